"""The live page for whoever uses a keyboard, a phone, a screen reader, Arabic, or dark colours."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from live_page import needs_chromium, playwright, says, start, word
from scripted_page_server import PAGE

pytestmark = needs_chromium


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
    serious(axe.run(page))
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
