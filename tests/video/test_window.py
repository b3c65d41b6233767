"""The window and its process: with an OpenCV that writes down what it is asked to show, and with a real one on a virtual display."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.video.window import open_window

OPENCV = """
import json, os
WINDOW_AUTOSIZE = WINDOW_GUI_NORMAL = WND_PROP_VISIBLE = 1
scene, shown = os.environ["SCENE"], 0
def namedWindow(title, flags):
    if scene == "server":
        raise RuntimeError("The function is not implemented.")
    if scene == "abort":
        os.abort()
def imshow(title, picture):
    global shown
    shown += 1
    with open(os.environ["SHOWN"], "a") as stream:
        stream.write(json.dumps([title, picture.shape, picture[0, 0].tolist(), picture[-1, -1].tolist()]) + "\\n")
def waitKey(milliseconds):
    return {"q": ord("q"), "escape": 27}.get(scene, -1) if shown == 2 else -1
def getWindowProperty(title, name):
    return 0.0 if scene == "closed" and shown == 2 else 1.0
"""


@pytest.fixture
def scene(monkeypatch, tmp_path):
    """``scene(name)``: OpenCV in the window's process is a made-up one, with such a person before it."""
    (tmp_path / "cv2.py").write_text(OPENCV)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SHOWN", str(tmp_path / "shown.jsonl"))

    def prepare(name: str) -> Path:
        monkeypatch.setenv("SCENE", name)
        return tmp_path / "shown.jsonl"

    return prepare


def two_colours(height: int = 6, width: int = 8) -> np.ndarray:
    frame = np.zeros((height, width, 3), np.uint8)
    frame[0, 0], frame[-1, -1] = (1, 2, 3), (4, 5, 6)
    return frame


def gone(window) -> bool:
    """Whether the window's process has ended; it may take a moment."""
    deadline = time.monotonic() + 30
    while window._process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return window._process.poll() is not None


def test_pictures_arrive_whole_and_in_opencvs_order(scene):
    shown = scene("stays")
    with open_window("Gebärden") as window:
        assert window.show(two_colours())
        assert window.show(two_colours(400, 300)[:, ::-1][:, ::-1])  # not contiguous, larger than a pipe holds
        while not shown.is_file() or len(lines := shown.read_text().splitlines()) < 2:
            assert not window._process.poll()
    assert [json.loads(line) for line in lines] == [
        ["Gebärden", [6, 8, 3], [3, 2, 1], [6, 5, 4]],
        ["Gebärden", [400, 300, 3], [3, 2, 1], [6, 5, 4]],
    ]
    assert gone(window)


@pytest.mark.parametrize("how", ["q", "escape", "closed"])
def test_a_person_closes_the_window(scene, how):
    scene(how)
    with open_window() as window:
        assert window.show(two_colours()) and window.show(two_colours())
        assert gone(window)
        assert not window.show(two_colours())


@pytest.mark.parametrize("how", ["server", "abort"])
def test_an_opencv_without_windows(scene, how):
    scene(how)
    assert open_window() is None


def test_no_opencv_at_all(scene, tmp_path):
    scene("stays")
    (tmp_path / "cv2.py").write_text("raise ImportError")
    assert open_window() is None


def test_without_a_display_nothing_is_started(scene, monkeypatch):
    scene("stays")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setattr(subprocess, "Popen", None)
    assert open_window() is None


def test_a_real_window_beside_pyav(monkeypatch, tmp_path):
    """With PyAV in the same process OpenCV's windows hang; see the module."""
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    pytest.importorskip("av")
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb, a virtual display, is not installed")
    read, write = os.pipe()
    display = subprocess.Popen(["Xvfb", "-displayfd", str(write)], pass_fds=[write], stderr=subprocess.DEVNULL)
    try:
        os.close(write)
        with os.fdopen(read) as stream:
            monkeypatch.setenv("DISPLAY", f":{stream.readline().strip()}")
        with open_window() as window:
            for _ in range(20):
                assert window.show(two_colours(240, 320))
            assert window._process.poll() is None
    finally:
        display.kill()
        display.wait()
