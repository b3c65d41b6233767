"""The Spaces as people see them: Chromium uploads, clicks and signs before a fake camera that shows a real clip.

Chromium is looked for in the PATH or in the environment variable SIGNLANG_CHROMIUM; with SIGNLANG_SCREENSHOTS (a folder) each page is kept as
a picture, before and after.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signlang_hf.video import iter_video

playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by Playwright")
ROOT = Path(__file__).resolve().parent.parent.parent
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SPACES = ["compare-models", "keypoint-detector", "live-signs", "sign-recognition", "sign-translation"]
PATIENCE = 60_000  # milliseconds; a machine that does other things as well
# What axe finds in Gradio's own components, and no Space can mend; everything else that is serious is ours.
OF_GRADIO = {
    "aria-required-children": 'role="grid"',  # its table, whose rows are no rows to a screen reader
    "nested-interactive": "import data into dataframe",  # and which is a button around buttons
}


def chromium() -> str | None:
    found = os.environ.get("SIGNLANG_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    return found or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Mexican YO (I) as a fake camera shows it again and again; None without the real data."""
    clip = Path(os.environ.get("SIGNLANG_DATA", ROOT.parent / "shared" / "data"), "clips", "yo_001.mp4")
    if not clip.is_file():
        return None
    from PIL import Image

    path = tmp_path_factory.mktemp("camera") / "yo.mjpeg"
    with path.open("wb") as stream:
        for chunk in iter_video(clip, fps=20.0, chunk=8):
            for frame in chunk.frames:
                Image.fromarray(frame).resize((640, 360)).save(stream, "JPEG", quality=85)
    return path


@pytest.fixture(scope="module")
def browser(camera_clip: Path | None) -> Iterator[Any]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium in the PATH or in SIGNLANG_CHROMIUM")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    if camera_clip is not None:
        camera.append(f"--use-file-for-fake-video-capture={camera_clip}")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", *camera],
        )
        yield opened
        opened.close()


@pytest.fixture
def look(browser, served) -> Iterator[Any]:
    """``look("live-signs", PHONE)``: the page of a Space; what it asked other machines for, and its faults, are ``page.outside`` and
    ``page.faults``."""
    contexts = []

    def opened(name: str, size: dict[str, int] = WIDE) -> Any:
        context = browser.new_context(viewport=size, permissions=["camera"])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.outside, page.faults = [], []
        page.on("request", lambda request: _note(request.url, page.outside))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(served(name).url)
        page.wait_for_selector("h1")
        page.wait_for_function("document.title")
        return page

    yield opened
    for context in contexts:
        context.close()


def _note(url: str, outside: list[str]) -> None:
    if not re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|blob:|data:|about:", url):
        outside.append(url)


def keep(page: Any, name: str) -> None:
    folder = os.environ.get("SIGNLANG_SCREENSHOTS")
    if folder:
        size = page.viewport_size["width"]
        page.screenshot(path=str(Path(folder) / f"{name}-{size}.png"), full_page=True)


def serious(page: Any) -> list[str]:
    """What axe-core calls serious or critical, without what is Gradio's own."""
    page.wait_for_timeout(300)  # names are given to what has just appeared
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = []
    for fault in axe.run(page).response["violations"]:
        if fault["impact"] in ("serious", "critical"):
            found += [
                f"{fault['id']}: {node['html'][:200]}" for node in fault["nodes"] if not _gradios(fault["id"], node)
            ]
    return found


def _gradios(rule: str, node: dict[str, Any]) -> bool:
    return rule in OF_GRADIO and OF_GRADIO[rule] in node["html"]


@pytest.mark.parametrize("name", SPACES)
def test_every_page_fits_a_phone_asks_nobody_and_can_be_read(look, name):
    page = look(name, PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("h1").count() == 1
    assert serious(page) == []
    assert page.outside == [] and page.faults == []
    keep(page, f"{name}-before")
    page.set_viewport_size(WIDE)
    keep(page, f"{name}-before")
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDE["width"]


def upload(page: Any, path: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(str(path))


def test_a_video_is_uploaded_and_recognised(look, film):
    page = look("sign-recognition")
    upload(page, film)
    page.wait_for_selector("video")
    page.get_by_role("button", name="Recognise").click()
    playwright.expect(
        page.get_by_text("signs that it knows").or_(page.get_by_text("none of the 30 signs"))
    ).to_be_visible(timeout=PATIENCE)
    page.get_by_role("tab", name="Where it looked").click()
    playwright.expect(page.get_by_text("is hottest at").or_(page.get_by_text("Nothing in this clip"))).to_be_visible(
        timeout=PATIENCE
    )
    keep(page, "sign-recognition-after")
    assert serious(page) == [] and page.outside == []


def test_an_example_needs_one_click(look):
    pytest.importorskip("spoken_to_signed")
    page = look("sign-recognition", PHONE)
    page.get_by_role("button", name="Letter B").click()
    playwright.expect(page.get_by_role("heading", name="B", exact=True)).to_be_visible(timeout=PATIENCE)
    page.wait_for_selector("video[src*='skeleton']")
    keep(page, "sign-recognition-example")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_mistake_is_one_sentence_on_the_page(look, no_film):
    page = look("sign-recognition", PHONE)
    page.get_by_role("button", name="Recognise").click()
    playwright.expect(page.get_by_text("There is no clip yet: record one")).to_be_visible(timeout=PATIENCE)
    keep(page, "sign-recognition-mistake")


def test_a_landmark_file_is_uploaded_and_translated(look, berlin):
    page = look("sign-translation")
    page.get_by_role("tab", name="Landmark file").click()
    page.locator("input[type=file][accept*='.npz']").set_input_files(str(berlin))
    playwright.expect(page.get_by_text("berlin.npz")).to_be_visible()
    page.get_by_role("button", name="Translate").click()
    playwright.expect(page.locator(".signlang-answer .word", has_text="berlin")).to_be_visible(timeout=PATIENCE)
    playwright.expect(page.locator(".file-preview").last).to_contain_text(".vtt")
    keep(page, "sign-translation-after")
    assert serious(page) == [] and page.outside == []


def test_a_picture_is_uploaded_and_gets_its_points(look):
    from signlang_hf.demo import examples

    page = look("keypoint-detector")
    upload(page, examples.pictures()[0].make())
    page.get_by_role("button", name="Find the points").click()
    playwright.expect(page.get_by_role("heading", name=re.compile("of 64 points"))).to_be_visible(timeout=PATIENCE)
    keep(page, "keypoint-detector-after")
    assert serious(page) == [] and page.outside == []


def test_models_are_compared(look, film):
    page = look("compare-models")
    upload(page, film)
    page.wait_for_selector("video")
    page.get_by_role("button", name="Compare").click()
    playwright.expect(page.get_by_role("heading", name="They cannot agree")).to_be_visible(timeout=PATIENCE)
    keep(page, "compare-models-after")
    assert serious(page) == [] and page.outside == []


def test_somebody_signs_before_the_camera_and_the_word_appears(look, served, real_estimator, camera_clip):
    if camera_clip is None:
        pytest.skip("the real clip is not there (set SIGNLANG_DATA)")
    page = look("live-signs", PHONE)
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("[...document.querySelectorAll('video')].some(video => video.readyState === 4)")
    page.get_by_role("button", name="capture photo").click()
    playwright.expect(page.locator(".signlang-answer .word", has_text="ich")).to_be_visible(timeout=PATIENCE)
    keep(page, "live-signs-after")
    page.set_viewport_size(WIDE)
    keep(page, "live-signs-after")
    assert page.outside == [] and page.faults == []
    places = served("live-signs").app.places()
    assert len(places) == 1
    page.context.close()  # whoever closes the page gives the place back
    until = time.monotonic() + 30
    while len(places) and time.monotonic() < until:
        time.sleep(0.2)
    assert len(places) == 0
