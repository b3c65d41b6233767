"""Pictures of the live page and of a Space for the README: ``python hub_cards/screenshots.py``.

No person's picture goes into them: before the camera stands an empty wall, and in place of a pose estimator recorded landmarks are played,
five letters of the Swiss-German finger alphabet from the package spoken-to-signed (MIT), which the model was not trained on. What the page
and the Space say about them is what they find. Needs Chromium (``SIGNLANG_CHROMIUM`` or in the path) and the extras serve, demo and dev.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from signlang_hf import LandmarkSequence
from signlang_hf.pose import Detection, PoseEstimator

PICTURES = Path(__file__).resolve().parent / "pictures"
WIDTH, HEIGHT, FPS = 640, 480, 25
LANGUAGE, WORD = "sgg", "HANDS"
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)  # fmt: skip


class PlayedBack(PoseEstimator):
    """Recorded landmarks in the time of the frames, whatever these show; still at the end."""

    layout = "mediapipe-holistic"

    def __init__(self, landmarks: str) -> None:
        self._clip = LandmarkSequence.load(landmarks)
        self._began: float | None = None

    def reset(self) -> None:
        self._began = None

    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        if self._began is None:
            self._began = seconds
        place = min(np.searchsorted(self._clip.timestamps, seconds - self._began), len(self._clip) - 1)
        return Detection(self._clip.data[place], self._clip.visibility[place])


def spelled() -> LandmarkSequence:
    """The letters one after the other with rest between, in the middle of a wide picture."""
    from signlang_hf import load_landmarks
    from signlang_hf.data.fingerspelling import read_lexicon
    from signlang_hf.training.streams import stream_of

    files = {row["letter"]: row["file"] for row in read_lexicon() if row["language"] == LANGUAGE}
    clips = [(letter, load_landmarks(files[letter]).to_units("image").to_layout(PlayedBack.layout)) for letter in WORD]
    stream, _ = stream_of(clips, np.random.default_rng(0), rest=(0.6, 0.8))
    narrow = np.float32([HEIGHT / WIDTH, 1, HEIGHT / WIDTH])
    return stream.replace(data=(stream.data - [0.5, 0, 0]) * narrow + [0.5, 0, 0], size=(WIDTH, HEIGHT))


def wall(path: Path) -> Path:
    """What the camera sees, as the browser's fake webcam reads it."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH] / [[[HEIGHT]], [[WIDTH]]]
    light = 150 - 60 * down + 25 * np.exp(-8 * ((across - 0.5) ** 2 + (down - 0.35) ** 2))
    half = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8).tobytes()
    frame = b"FRAME\n" + light.astype(np.uint8).tobytes() + half + half
    path.write_bytes(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode() + frame * FPS)
    return path


@contextmanager
def running(command: list[str], ready: str, **environment: str) -> Iterator[str]:
    """A command of ``signlang``, and the address that it says once it is ready."""
    variables = (
        os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "signlang_hf.cli", *command], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip
    try:
        said = ""
        for line in process.stdout or ():
            said += line
            if found := re.search(ready, line):
                yield found[1]
                break
        else:
            raise RuntimeError(f"signlang {command[0]} did not start: {said}")
    finally:
        process.terminate()
        process.communicate()


def live_page(browser: Any, folder: Path) -> None:
    """``hub_cards/pictures/live_page.png``."""
    spelled().save(folder / "spelled.npz")
    options = json.dumps({"landmarks": str(folder / "spelled.npz")})
    command = [
        "serve",
        "--model",
        "fingerspelling",
        "--sentence-model",
        "",
        "--port",
        "0",
        "--estimator",
        "screenshots:PlayedBack",
    ]
    with running(command, r"the page is (http://\S+/live-signs)", SIGNLANG_ESTIMATOR_OPTIONS=options) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.locator("#run").click()
        page.locator("#words li").nth(len(WORD) - 2).wait_for(timeout=120_000)
        page.wait_for_timeout(1_600)  # in the middle of the last letter
        page.screenshot(path=PICTURES / "live_page.png")
        page.close()


def space(browser: Any) -> None:
    """``hub_cards/pictures/space_sign_recognition.png``."""
    with running(["demo", "sign-recognition", "--model", "fingerspelling"], r"(http://[\w.:]+)") as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.get_by_role("button", name="Letter L").click()
        page.get_by_role("heading", name="L", exact=True).wait_for(timeout=60_000)
        page.wait_for_selector("video[src*='skeleton']")
        page.wait_for_timeout(2_000)
        page.screenshot(path=PICTURES / "space_sign_recognition.png")
        page.close()


def main() -> None:
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("SIGNLANG_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        sys.exit("screenshots: no Chromium found; install it or set SIGNLANG_CHROMIUM.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        camera = wall(Path(folder) / "wall.y4m")
        arguments = [*_ARGUMENTS, f"--use-file-for-fake-video-capture={camera}"]
        browser = play.chromium.launch(executable_path=chromium, args=arguments)
        live_page(browser, Path(folder))
        space(browser)
        browser.close()


if __name__ == "__main__":
    main()
