"""Cameras, as far as they can be had without one: a device that a test makes up, and no device at all."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from made_up_camera import make_up_camera

from signlang_hf.video import write_video
from signlang_hf.video.camera import camera_frames, is_camera


@pytest.fixture
def device(monkeypatch):
    return make_up_camera(monkeypatch)


def test_pictures_are_rgb_with_the_time_of_the_clock(device):
    camera = device(1)
    frames = list(zip(camera_frames("0"), range(3)))
    assert [tuple(frame[0, 0]) for (_, frame), _ in frames] == [(0, 0, 255)] * 3
    assert [seconds for (seconds, _), _ in frames] == pytest.approx([0.04, 0.08, 0.12])
    assert camera.opened[-1].number == 0


def test_a_picture_that_is_lost_is_no_lost_camera(device):
    camera = device(4)
    seen = []
    with pytest.raises(ConnectionError, match=r"Camera 0 gives no pictures any more, after 4 s\."):
        for seconds, _ in camera_frames("0"):
            seen.append(seconds)
    assert len(seen) == 90 and seen[-1] == pytest.approx(4, abs=0.2) and camera.opened[-1].released


def test_a_camera_that_nobody_watches_any_more_is_given_back(device):
    camera = device(60)
    frames = camera_frames("0")
    next(frames)
    frames.close()
    assert camera.opened[-1].released


def test_a_camera_that_is_not_there(device):
    camera = device(1)
    with pytest.raises(
        ConnectionError, match=r"Camera 3 cannot be opened; is it connected, and does no other program use"
    ):
        next(camera_frames("3"))
    assert camera.opened[-1].released


def test_no_camera_at_all_is_one_quiet_sentence(capfd):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(ConnectionError, match="Camera 97 cannot be opened"):
        next(camera_frames("97"))
    assert capfd.readouterr() == ("", "")
    assert cv2.utils.logging.getLogLevel() == level


def test_opencv_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r'A camera needs OpenCV: pip install "signlang-hf\[pose\]"'):
        next(camera_frames("0"))


def test_a_video_in_its_place(tmp_path):
    frames = np.random.default_rng(0).integers(60, 220, (20, 1, 1, 3), np.uint8) + np.zeros((20, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / "clip.mp4", frames, fps=10, quality=0)
    found = list(camera_frames(str(path)))
    assert [seconds for seconds, _ in found] == pytest.approx(np.arange(20) / 10, abs=1e-3)
    assert np.abs(found[13][1].astype(int) - frames[13]).max() < 12
    with pytest.raises(FileNotFoundError, match=r"Video file not found: none\.mp4"):
        next(camera_frames("none.mp4"))


def test_numbers_are_cameras():
    assert is_camera("0") and is_camera("12")
    assert not is_camera("clip.mp4") and not is_camera("-1") and not is_camera("")
