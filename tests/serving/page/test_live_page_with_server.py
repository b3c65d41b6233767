"""A real clip before the fake webcam of a real browser, and the real server with the packaged model behind the page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from live_page import CHROMIUM, DRAWN, SPEECH, needs_chromium, playwright, says, until

pytest.importorskip("mediapipe", reason="MediaPipe is not installed")
pytestmark = needs_chromium
# "I" in Mexican sign language, which is signed as the German "ich" that the packaged model knows: a finger to the chest.
CLIP, WORD = "yo_001.mp4", "ich"


@pytest.fixture(scope="module")
def webcam(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip as the browser's fake webcam reads it, with a rest at its end; it plays again and again."""
    import av

    path = tmp_path_factory.mktemp("webcam") / "clip.mjpeg"
    with av.open(str(clips / CLIP)) as source, av.open(str(path), "w", format="mjpeg") as target:
        stream = target.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuvj420p"
        frames = [frame.reformat(640, 360, "yuvj420p") for frame in source.decode(video=0)]
        for place, frame in enumerate([*frames, *[frames[-1]] * 45]):
            frame.pts, frame.time_base = place, Fraction(1, 30)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def server(signlang_data: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """``signlang serve`` on a free port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIGNLANG_")}
    environment["SIGNLANG_MEDIAPIPE_TASKS"] = str(signlang_data / "mediapipe-tasks")  # where MediaPipe brings no models
    process = subprocess.Popen(
        [sys.executable, "-m", "signlang_hf.cli", "serve", "--port", "0", "--sentence-model", ""],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"the page is (http://\S+/live-signs)", line):
            break
    else:
        raise AssertionError(said)
    yield process, found[1]
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def browser(webcam: Path) -> Iterator[Any]:
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--use-fake-device-for-media-stream",
    ]
    with playwright.sync_playwright() as play:
        opened = play.chromium.launch(
            executable_path=CHROMIUM, args=[*arguments, f"--use-file-for-fake-video-capture={webcam}"]
        )
        yield opened
        opened.close()


def ready(page: Any, url: str) -> None:
    until(page, lambda: page.request.get(url.replace("/live-signs", "/ready")).ok, 60)


def test_a_sign_before_the_camera_is_read_and_spoken(browser, server, tmp_path):
    process, url = server
    context = browser.new_context(locale="en-GB", permissions=["camera"], viewport={"width": 1280, "height": 800})
    page, faults = context.new_page(), []
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.add_init_script(SPEECH)
    ready(page, url)
    page.goto(url)
    page.get_by_role("button", name="Start").click()
    words = page.locator("#words .text")
    playwright.expect(words.first).to_have_text(WORD, timeout=30_000)
    assert page.evaluate(DRAWN)
    folder = Path(os.environ.get("SIGNLANG_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / "live-page-real.png")
    page.get_by_role("button", name="Speak").click()
    assert page.evaluate("window.spoken[0]") == [" ".join(words.all_text_contents()), "de", "Anna"]
    assert faults == []
    process.send_signal(signal.SIGTERM)
    says(page, "The connection to the server is lost.", 20)
    assert words.first.text_content() == WORD
    context.close()
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process.returncode == 0
