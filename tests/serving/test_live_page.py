"""The live page in a real browser: what it sends, shows and says, for whoever uses a mouse, a keyboard, a phone or a screen reader.

The server's side is scripted (``scripted_page_server.py``); ``test_live_page_with_server.py`` has the real one.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_page_server import PAGE, ScriptedPageServer, Talk

from signlang_hf.pose.tasks import assign_sides

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = os.environ.get("SIGNLANG_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium found (set SIGNLANG_CHROMIUM)")

# A browser that has learnt to speak, and that notes what it is told.
SPEECH = """
window.spoken = [];
class Utterance { constructor(text) { this.text = text; } }
Object.defineProperty(window, "SpeechSynthesisUtterance", {value: Utterance});
Object.defineProperty(window, "speechSynthesis", {value: {
  getVoices: () => [{lang: "en-US"}, {lang: "de-DE", name: "Anna"}],
  speak: (one) => { window.spoken.push([one.text, one.lang, one.voice?.name || null]); window.last = one; },
  cancel: () => { window.last?.onerror({error: "canceled"}); },
}});
"""
MUTE = "delete window.speechSynthesis;"
CAMERA_FAILS = 'navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "%s"));'

DRAWN = "document.getElementById('skeleton').getContext('2d').getImageData(0, 0, 2000, 2000).data.some(Boolean)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--use-fake-device-for-media-stream",
    ]
    with playwright.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def server() -> Iterator[ScriptedPageServer]:
    scripted = ScriptedPageServer()
    scripted.start()
    yield scripted
    scripted.stop()


@pytest.fixture
def opened(browser: Any, server: ScriptedPageServer) -> Iterator[Callable[..., Any]]:
    """``opened(locale=…, …)``: the page in a new window. Whatever goes wrong in the script, or leaves the server, fails the test."""
    contexts, faults = [], []

    def open_page(*, script: str = SPEECH, camera: bool = True, **options: Any) -> Any:
        context = browser.new_context(
            **{
                "locale": "en-GB",
                "viewport": {"width": 1280, "height": 800},
                "permissions": ["camera"] if camera else [],
            }
            | options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.add_init_script(script)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: request.url.startswith((server.url, "blob:")) or faults.append(request.url))
        page.on("console", lambda message: message.type == "error" and faults.append(message.text))
        page.goto(server.url)
        return page

    open_page.faults = faults
    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def says(page: Any, text: str, seconds: float = 6) -> None:
    """Wait until the status says it."""
    playwright.expect(page.get_by_role("status")).to_contain_text(text, timeout=1000 * seconds)


def until(page: Any, condition: Callable[[], Any], seconds: float = 5) -> None:
    """Wait until it holds on the server's side."""
    for _ in range(round(20 * seconds)):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came to that")


def start(page: Any) -> None:
    page.get_by_role("button", name="Start").click()
    says(page, "Watching")


def word(page: Any, text: str) -> Any:
    found = page.get_by_role("listitem").filter(has_text=re.compile(rf"^{text}"))
    return found.and_(page.locator("#words li"))


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
    page.wait_for_timeout(1000)
    assert page.evaluate(DRAWN)
    (talk,) = server.talks
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
    page.wait_for_timeout(1500)  # a server that swallowed them does not silence the page
    assert 2 < len(server.talks[0].frames) <= 6


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
    opened.faults[:] = [
        one for one in opened.faults if "ERR_CONNECTION" not in one
    ]  # the browser's own note of the refused tries


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
    page.wait_for_timeout(700)
    assert len(server.talks[-1].frames) > 6  # nothing is answered then, so nothing is waited for


def test_everything_can_be_done_by_keyboard(opened, server):
    server.on_ready = lambda talk: talk.sign("ich")
    page = opened(viewport={"width": 1280, "height": 1400})
    playwright.expect(page.locator("#labels li")).to_have_count(3)
    seen, outlines = [], []
    for _ in range(25):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "[document.activeElement.id || document.activeElement.dataset.language || document.activeElement.tagName,"
            " getComputedStyle(document.activeElement.matches('.switch input') ? document.activeElement.nextElementSibling"
            " : document.activeElement).outlineStyle]"
        )
        if name == "BODY":
            break
        seen.append(name)
        outlines.append(outline)
    assert seen == [
        "skip", "en", "ar", "run", "speak", "copy", "undo", "clear", "camera", "mode", "model", "mirror", "draw", "speak-each", "known-title",
    ]  # fmt: skip
    assert set(outlines) == {"solid"}  # one always sees where one is
    page.locator("#run").focus()
    page.keyboard.press("Enter")
    says(page, "Watching")
    playwright.expect(word(page, "ich")).to_be_visible()
    for key, name in (("Tab", "speak"), ("Tab", "copy"), ("Tab", "undo")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == name
    page.keyboard.press("Space")
    says(page, "Removed")
    assert page.evaluate("document.activeElement.id") == "undo"  # though there is nothing left to undo
    page.locator("#mirror").focus()
    page.keyboard.press("Space")
    assert not page.locator("#mirror").is_checked()
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "words"


def test_arabic_runs_from_right_to_left_and_is_remembered(opened, server):
    page = opened(locale="ar-EG")
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir, document.title]") == [
        "ar",
        "rtl",
        "إشارات مباشرة",
    ]
    says(page, "ابدأ")
    stage, words = (page.locator(f"section.{name}").bounding_box() for name in ("stage", "words"))
    assert stage["x"] > words["x"] + words["width"]  # the first thing stands on the right
    labels = set(server.config["labels"]) | {"English", "dgs30", "other", "fake_device_0"}
    shown = [line.strip(" \u2068\u2069") for line in page.locator("body").inner_text().splitlines() if line.strip()]
    assert [line for line in shown if line not in labels and not re.search(r"[\u0600-\u06ff]", line)] == []
    page.get_by_role("button", name="English").click()
    assert page.evaluate("document.documentElement.dir") == "ltr"
    page.reload()
    assert page.evaluate("document.documentElement.dir") == "ltr"
    assert opened(locale="fr-FR").evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize(("width", "locale"), [(320, "ar"), (360, "en"), (360, "ar")])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(opened, server, width, locale):
    server.config["key_required"] = server.config["browser_landmarks"] = True
    server.on_ready = lambda talk: [
        talk.sign("ich"),
        talk.sign("Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen"),
    ]
    page = opened(locale=locale, viewport={"width": width, "height": 780}, has_touch=True)
    page.locator("#key").fill("key")
    page.locator("#run").tap()
    playwright.expect(page.locator("#words li")).to_have_count(2)
    page.locator("#known summary").tap()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = "[...document.querySelectorAll('main *, header *')].filter((one) => one.checkVisibility() && !one.closest('svg')"
    wide += " && (one.getBoundingClientRect().right > innerWidth + 1 || one.getBoundingClientRect().left < -1)).map((one) => one.outerHTML)"
    assert page.evaluate(wide) == []
    targets = page.evaluate(
        "[...document.querySelectorAll('button, select, input[type=password], .switch, summary')].filter((one) => one.checkVisibility())"
        ".map((one) => [one.id || one.textContent, one.getBoundingClientRect().width, one.getBoundingClientRect().height])"
    )
    assert len(targets) > 12 and [one for one in targets if min(one[1:]) < 44] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "ar"])
def test_axe_finds_nothing_serious(opened, server, locale, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()
    server.config["key_required"] = server.config["browser_landmarks"] = True
    server.on_ready = lambda talk: [talk.sign("ich"), talk.say("gloss", time=1.0, start=0.5, label="DU", score=0.7)]
    page = opened(locale=locale, color_scheme=scheme, reduced_motion="reduce")
    page.locator("#run").click()  # no key yet: a warning, and the field
    serious(axe.run(page))
    page.locator("#key").fill("key")
    page.locator("#run").click()
    playwright.expect(page.locator("#words li")).to_have_count(2)
    serious(axe.run(page))
    server.stop()
    playwright.expect(page.locator("#status")).to_have_attribute("data-kind", "work")
    server.start()


def serious(results: Any) -> None:
    found = [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in results.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert found == []


def test_nothing_moves_for_whoever_asked_for_that(opened, server):
    server.on_ready = lambda talk: talk.sign("ich")
    page = opened(reduced_motion="reduce")
    start(page)
    moving = (
        "[...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).animationName !== 'none').length"
    )
    playwright.expect(word(page, "ich")).to_be_visible()
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moving) == 1  # so the count would have seen it


def test_labels_are_text_and_never_markup(opened, server):
    server.config["labels"] = ["<img src=x onerror=alert(1)>"]
    server.on_ready = lambda talk: talk.sign("<b>ich</b>")
    page = opened()
    start(page)
    playwright.expect(page.locator("#words .text")).to_have_text("<b>ich</b>")
    assert page.locator("#words b, #labels img").count() == 0


def test_a_screen_reader_hears_words_and_states_and_nothing_else(opened):
    page = opened()
    live = page.evaluate(
        "[...document.querySelectorAll('[aria-live], [role=status], [role=alert]')].map((one) =>"
        " [one.getAttribute('role') || one.getAttribute('aria-live'), !!one.querySelector('#words')])"
    )
    assert live == [["status", False], ["polite", True]]
    hidden = page.locator("#video, #skeleton, #caption").evaluate_all(
        "all => all.map((one) => one.getAttribute('aria-hidden'))"
    )
    assert hidden == ["true"] * 3


def test_all_texts_are_there_in_both_languages_and_none_is_idle():
    text = (PAGE / "texts.js").read_text(encoding="utf-8")
    english, arabic = (re.search(rf"^  {name}: \{{\n(.*?)^  \}},", text, re.M | re.S)[1] for name in ("en", "ar"))
    keys = [re.findall(r"^    (\w+): ", block, re.M) for block in (english, arabic)]
    assert keys[0] == keys[1] and len(keys[0]) == len(set(keys[0])) > 60
    blanks = [dict(re.findall(r'^    (\w+): "(.*)"', block, re.M)) for block in (english, arabic)]
    assert all(
        sorted(re.findall(r"\{\w+\}", blanks[0][key])) == sorted(re.findall(r"\{\w+\}", blanks[1][key]))
        for key in keys[0]
    )
    assert not [key for key, value in blanks[1].items() if not re.search(r"[\u0600-\u06ff]", value)]
    others = "".join(
        path.read_text(encoding="utf-8") for path in PAGE.iterdir() if path.name not in ("texts.js", "icon.svg")
    )
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', others)) | set(re.findall(r'"(\w+)"', others)) | {"title"}
    assert set(keys[0]) <= used
    assert set(re.findall(r'data-(?:text|label)="(\w+)"|say\("(\w+)"', others)) <= {
        pair for key in keys[0] for pair in ((key, ""), ("", key))
    }


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


def test_joints_found_in_the_browser_are_sent_without_a_picture(opened, server):
    server.config["browser_landmarks"] = True
    server.files["mediapipe/vision_bundle.mjs"] = STAND_IN.encode()
    page = opened()
    page.get_by_role("switch", name="Find my joints in this browser").check()
    playwright.expect(page.get_by_text("The picture stays on this device.")).to_be_visible()
    start(page)
    page.wait_for_timeout(500)
    (talk,) = server.talks
    assert talk.frames == [] and len(talk.messages) > 4
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
    page.wait_for_timeout(300)
    assert server.talks[0].start["source"] == "frames" and server.talks[0].frames


def test_screenshots(opened, server, tmp_path: Path):
    """For people to look at: SIGNLANG_SCREENSHOTS names a folder that keeps them."""
    folder = Path(os.environ.get("SIGNLANG_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    server.on_ready = lambda talk: [talk.sign("ich"), talk.sign("Universität", 0.97)]
    sizes = set()
    for name, locale, scheme, width, height in (
        ("en-light", "en", "light", 1280, 800),
        ("ar-dark-phone", "ar", "dark", 390, 844),
    ):
        page = opened(locale=locale, color_scheme=scheme, viewport={"width": width, "height": height})
        page.locator("#run").click()
        playwright.expect(page.locator("#words li")).to_have_count(2)
        page.wait_for_timeout(400)
        sizes.add(len(page.screenshot(path=folder / f"live-page-{name}.png")) > 10_000)
    assert sizes == {True}
