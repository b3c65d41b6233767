"""The live page in a real browser: what it sends, shows and says.

The server's side is scripted (``scripted_page_server.py``); ``test_live_page_with_server.py`` has the real one.
"""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
from live_page import CAMERA_FAILS, DRAWN, MUTE, needs_chromium, playwright, says, start, until, word
from scripted_page_server import PAGE, Talk

from signlang_hf.pose.tasks import assign_sides

pytestmark = needs_chromium

# MediaPipe's module with the few names that the page uses: a body and the signer's right hand stand still.
STAND_IN = """
const points = (count, x) => Array.from({length: count}, (_, index) => ({x: x + index / 1000, y: 0.5, z: -0.25, visibility: 0.75}));
export const FilesetResolver = {forVisionTasks: async (folder) => ({folder})};
const maker = (answer) => ({createFromOptions: async (files, options) => {
  if (!files.folder.endsWith("/mediapipe/wasm") || options.runningMode !== "VIDEO") throw new Error("asked for other things");
  return {detectForVideo: answer, close() {}};
}});
export const PoseLandmarker = maker(() => ({landmarks: [points(33, 0.25)]}));
export const HandLandmarker = maker(() => ({landmarks: [points(21, 0.266)], handedness: [[{categoryName: "Right", score: 0.9}]]}));
"""


def test_a_sign_becomes_a_word_that_can_be_spoken_copied_and_taken_back(opened, server):
    server.on_ready = lambda talk: [talk.sign(label) for label in ("ich", "Universität")]
    page = opened()
    speak, undo = page.get_by_role("button", name="Speak"), page.get_by_role("button", name="Undo last word")
    playwright.expect(speak).to_be_disabled()
    start(page)
    playwright.expect(word(page, "Universität")).to_have_text("Universität⁨90%⁩ sure")
    assert page.locator("#words .text").all_text_contents() == ["ich", "Universität"]
    assert page.locator("#words .text").first.get_attribute("lang") == "de"
    speak.click()
    assert page.evaluate("window.spoken") == [["ich Universität", "de", "Anna"]]
    page.get_by_role("button", name="Stop speaking").click()
    playwright.expect(speak).to_be_visible()  # cancelled, which is no failure
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    says(page, "The sentence is copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "ich Universität"
    undo.click()
    says(page, "Universität")
    assert page.locator("#words .text").all_text_contents() == ["ich"]
    page.get_by_role("button", name="Clear").click()
    playwright.expect(page.get_by_text("Words that are recognised are collected here.")).to_be_visible()
    playwright.expect(undo).to_be_disabled()


def test_what_it_sends(opened, server):
    page = opened()
    start(page)
    (talk,) = server.talks
    until(page, lambda: len(talk.frames) > 8 and page.evaluate(DRAWN))
    page.get_by_role("button", name="Stop").click()
    says(page, "Stopped. The camera is off.")
    assert not page.evaluate("document.getElementById('video').srcObject")
    assert talk.start == {
        "type": "start", "mode": "signs", "model": None, "api_key": None, "source": "frames", "timestamps": True, "mirrored": False,
        "return_landmarks": True,
    }  # fmt: skip
    assert [one["type"] for one in talk.messages] == ["stop"]
    times = [struct.unpack("<d", frame[:8])[0] for frame in talk.frames]
    assert len(times) >= 8 and times == sorted(set(times))
    assert (len(times) - 1) / (times[-1] - times[0]) < 21.5  # max_fps is 20
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(talk.frames[-1][8:]))
    assert image.format == "JPEG" and image.size == (640, 480)


def test_the_picture_is_mirrored_for_the_visitor_and_not_for_the_server(opened, server):
    page = opened()
    start(page)
    page.wait_for_timeout(300)
    for mirrored in (
        True,
        False,
    ):  # the browser's test picture has its clock on one side: what is sent does not depend on the switch
        assert page.locator("#picture.mirrored").count() == mirrored
        shown = page.evaluate("getComputedStyle(document.getElementById('video')).transform")
        assert (shown == "matrix(-1, 0, 0, 1, 0, 0)") == mirrored
        assert page.evaluate("getComputedStyle(document.getElementById('skeleton')).transform") == shown
        page.locator("#mirror").click()
    assert server.talks[0].start["mirrored"] is False


def test_no_frame_goes_while_two_are_unanswered(opened, server):
    server.on_frame = lambda talk: None
    page = opened()
    start(page)
    page.wait_for_timeout(1200)
    assert len(server.talks[0].frames) == 2
    until(page, lambda: len(server.talks[0].frames) > 2)  # a server that swallowed them does not silence the page


def test_a_busy_server_is_said_and_then_forgotten(opened, server):
    server.on_ready = lambda talk: talk.say("busy", dropped=3)
    page = opened()
    page.get_by_role("button", name="Start").click()
    says(page, "The server is busy")
    says(page, "Watching")


@pytest.mark.parametrize(
    ("reason", "text"), [("unknown", "does not know"), ("short", "too short"), ("nothing", "Nothing was recognised")]
)
def test_what_was_no_known_sign_is_said(opened, server, reason, text):
    def script(talk: Talk) -> None:
        talk.say("sign_started", time=1.0, start=0.9)
        talk.say("idle", time=2.0, start=0.9, end=1.8, reason=reason)

    server.on_ready = script
    page = opened()
    page.get_by_role("button", name="Start").click()
    says(page, text)
    assert page.locator("#words li").count() == 0 and page.locator("#caption").text_content() == ""


def test_nobody_before_the_camera_is_said(opened, server):
    server.on_frame = lambda talk: talk.say("landmarks", time=1.0, points=[None] * 75, layout="mediapipe-holistic")
    page = opened()
    start(page)
    says(page, "Nobody is seen")
    server.on_frame = lambda talk: talk.say(
        "landmarks", time=1.0, points=[[0.5, 0.5]] * 75, layout="mediapipe-holistic"
    )
    says(page, "Watching")


@pytest.mark.parametrize(
    ("text", "shown"), [("Ich trinke.", "Ich trinke."), (None, "ICH TRINKEN")]
)  # None: no translator
def test_sentences_take_the_place_of_their_glosses(opened, server, text, shown):
    def script(talk: Talk) -> None:
        for label in ("ICH", "TRINKEN"):
            talk.say("gloss", time=1.0, start=0.9, label=label, score=0.8)

    server.on_ready = script
    known = {} if text is None else {"text": text}
    glosses = [{"gloss": label, "score": 0.8, "start": 0.9, "end": 1.8} for label in ("ICH", "TRINKEN")]
    server.on_stop = lambda talk: talk.say(
        "sentence", time=2.0, start=0.9, end=1.8, score=0.8, glosses=glosses, **known
    )
    page = opened()
    page.get_by_label("Mode", exact=True).select_option("sentences")
    playwright.expect(page.get_by_label("Model")).to_be_hidden()  # there is one
    start(page)
    playwright.expect(page.locator("#words .gloss")).to_have_text(["ICH⁨80%⁩ sure", "TRINKEN⁨80%⁩ sure"])
    page.get_by_role("button", name="Stop").click()
    says(page, "Stopped")
    playwright.expect(page.locator("#words li")).to_have_text([shown])
    assert server.talks[0].start["mode"] == "sentences"


def test_each_word_is_spoken_at_once_on_request(opened, server):
    page = opened()
    page.locator("#speak-each").click()
    server.on_ready = lambda talk: talk.sign("du")
    start(page)
    playwright.expect(word(page, "du")).to_be_visible()
    assert page.evaluate("window.spoken") == [["du", "de", "Anna"]]


def test_a_browser_that_cannot_speak_says_so(opened, server):
    server.on_ready = lambda talk: talk.sign("ich")
    page = opened(script=MUTE)
    start(page)
    playwright.expect(word(page, "ich")).to_be_visible()
    speak = page.get_by_role("button", name="Speak")
    playwright.expect(speak).to_be_disabled()
    playwright.expect(speak).to_have_accessible_description("This browser cannot speak, so the button is off.")
    playwright.expect(page.get_by_text("This browser cannot speak")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "english", "arabic"),
    [
        ("NotFoundError", "No camera was found", "لم يُعثَر على كاميرا"),
        ("NotReadableError", "another program may be using it", "يستخدمها برنامج آخر"),
    ],
)
def test_a_camera_that_does_not_open_is_explained(opened, name, english, arabic):
    page = opened(script=CAMERA_FAILS % name)
    page.get_by_role("button", name="Start").click()
    says(page, english)
    page.get_by_role("button", name="العربية").click()
    says(page, arabic)
    playwright.expect(page.get_by_role("button", name="ابدأ")).to_be_visible()  # and can be tried again


def test_a_camera_that_is_refused_is_explained(opened, server):
    page = opened(camera=False)
    page.get_by_role("button", name="Start").click()
    says(page, "The camera is not allowed")
    assert server.talks == []


def test_a_camera_that_goes_away_ends_it(opened):
    page = opened()
    start(page)
    page.evaluate("document.getElementById('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    says(page, "unplugged or switched off")
    playwright.expect(page.get_by_role("button", name="Start")).to_be_visible()


def test_a_server_that_stops_and_returns_finds_the_sentence_kept(opened, server):
    server.on_ready = lambda talk: talk.sign("ich")
    page = opened()
    start(page)
    playwright.expect(word(page, "ich")).to_be_visible()
    server.stop()
    says(page, "The connection to the server is lost.")
    assert page.locator("#words .text").all_text_contents() == ["ich"]
    server.on_ready = lambda talk: talk.sign("du")
    server.start()
    says(page, "Watching")
    playwright.expect(page.locator("#words .text")).to_have_text(["ich", "du"])


@pytest.mark.parametrize(
    ("code", "close", "text", "again"),
    [
        ("too_many", 1013, "as many visitors as it can serve", True),
        ("unavailable", 1013, "cannot take you right now", True),
        ("internal", 1011, "Something went wrong in the server", True),
        ("timeout", 1008, "reached its time limit", False),
        ("bad_message", 1008, "could not use what this page sent: ⁨Too wide.⁩", False),
    ],
)
def test_what_the_server_refuses_is_said(opened, server, code, close, text, again):
    tries = []

    def refuse(talk: Talk) -> bool:
        tries.append(talk)
        if len(tries) == 1:
            talk.fail(code, "Too wide.", close)
        return len(tries) == 1

    server.refuse = refuse
    page = opened()
    page.get_by_role("button", name="Start").click()
    says(page, text)
    if again:
        says(page, "Watching")
    else:
        playwright.expect(page.get_by_role("button", name="Start")).to_be_visible()
        assert len(tries) == 1


def test_a_key_is_asked_for_and_a_wrong_one_is_said(opened, server):
    server.config["key_required"] = True

    def refuse(talk: Talk) -> bool:
        wrong = talk.start["api_key"] != "right"
        if wrong:
            talk.fail("unauthorized", "The key is wrong.", 1008)
        return wrong

    server.refuse = refuse
    page = opened()
    key = page.get_by_label("API key")
    page.get_by_role("button", name="Start").click()
    says(page, "needs an API key")
    playwright.expect(key).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    says(page, "does not accept this key")
    playwright.expect(key).to_be_focused()
    key.fill("right")
    page.keyboard.press("Enter")
    says(page, "Watching")
    page.reload()
    playwright.expect(key).to_have_value("right")  # as long as the tab
    assert page.evaluate("Object.values(localStorage).join()").find("right") < 0


def test_other_settings_start_anew_and_are_remembered(opened, server):
    page = opened()
    start(page)
    page.get_by_label("Model").select_option("other")
    until(page, lambda: len(server.talks) == 2 and server.talks[1].start)
    says(page, "Watching")
    assert [talk.start["model"] for talk in server.talks] == [None, "other"]
    page.locator("#draw").click()
    until(page, lambda: len(server.talks) == 3 and server.talks[2].start)
    says(page, "Watching")
    page.reload()
    playwright.expect(page.get_by_label("Model")).to_have_value("other")
    assert not page.locator("#draw").is_checked()
    start(page)
    assert server.talks[-1].start["return_landmarks"] is False
    until(page, lambda: len(server.talks[-1].frames) > 6)  # nothing is answered then, so nothing is waited for


def test_labels_are_text_and_never_markup(opened, server):
    server.config["labels"] = ["<img src=x onerror=alert(1)>"]
    server.on_ready = lambda talk: talk.sign("<b>ich</b>")
    page = opened()
    start(page)
    playwright.expect(page.locator("#words .text")).to_have_text("<b>ich</b>")
    assert page.locator("#words b, #labels img").count() == 0


def test_the_page_holds_no_inline_code_and_names_no_other_host():
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[\w.]+", text) == [], path
        if path.suffix == ".html":
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_hands_get_their_sides_as_in_python(opened):
    page = opened()
    rng = np.random.default_rng(0)
    cases, wanted = [], []
    for _ in range(60):
        count = int(rng.integers(0, 3))
        body = rng.uniform(0.2, 0.8, (33, 2))
        hands = body[rng.choice([15, 16], count)][:, None] + rng.normal(0, 0.12, (count, 21, 2))
        labels, scores = rng.choice(["Left", "Right"], count).tolist(), rng.uniform(0.5, 1, count).tolist()
        seen = bool(rng.random() < 0.8)
        where = body if seen else np.full((33, 2), np.nan)
        wanted.append(assign_sides(hands, labels, scores, where, (640, 480)) if count else {})
        points = [[{"x": x, "y": y} for x, y in hand] for hand in hands.tolist()]
        sides = [[{"categoryName": label, "score": score}] for label, score in zip(labels, scores)]
        cases.append([points, sides, [{"x": x, "y": y} for x, y in body.tolist()] if seen else None])
    code = "async ([url, cases]) => { const { assignSides } = await import(url);"
    code += " return cases.map(([hands, sides, body]) => assignSides(hands, sides, body, [640, 480])); }"
    assert page.evaluate(code, [f"{page.url}points.js", cases]) == wanted
    assert {len(one) for one in wanted} == {0, 1, 2}


def test_joints_found_in_the_browser_are_sent_without_a_picture(opened, server):
    server.config["browser_landmarks"] = True
    server.files["mediapipe/vision_bundle.mjs"] = STAND_IN.encode()
    page = opened()
    page.get_by_role("switch", name="Find my joints in this browser").check()
    playwright.expect(page.get_by_text("The picture stays on this device.")).to_be_visible()
    start(page)
    (talk,) = server.talks
    until(page, lambda: len(talk.messages) > 4)
    assert talk.frames == []
    assert {name: talk.start[name] for name in ("source", "layout", "size", "return_landmarks")} == {
        "source": "landmarks", "layout": "mediapipe-holistic", "size": [640, 480], "return_landmarks": False,
    }  # fmt: skip
    message = talk.messages[-1]
    assert message["type"] == "landmarks" and len(message["points"]) == len(message["visibility"]) == 75
    assert message["points"][1] == [0.251, 0.5, -0.25] and message["points"][55] == [0.267, 0.5, -0.25]
    assert message["points"][33:54] == [None] * 21 and message["visibility"] == [0.75] * 33 + [0] * 21 + [1] * 21
    assert page.evaluate(
        "document.getElementById('skeleton').getContext('2d').getImageData(0, 0, 2000, 2000).data.some(Boolean)"
    )


def test_a_browser_without_mediapipe_sends_pictures_instead(opened, server):
    server.config["browser_landmarks"] = True
    server.files["mediapipe/vision_bundle.mjs"] = b"throw new Error('not here');"
    page = opened()
    page.get_by_role("switch", name="Find my joints in this browser").check()
    start(page)
    until(page, lambda: server.talks[0].frames)
    assert server.talks[0].start["source"] == "frames"
