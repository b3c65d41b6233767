"""The interface of estimators: bounded memory, checked frames, time stamps, and a result for a clip without anybody."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

from signlang_hf.pose import Detection, PoseEstimator, estimate_frames, estimate_video
from signlang_hf.video import Video, VideoChunk, VideoWarning, as_video, write_video


class Brightness(PoseEstimator):
    """Finds a right hand at the height of the picture's brightness, and nothing in a black picture."""

    layout = "boston-3"

    def __init__(self):
        self.events = []

    def reset(self):
        self.events.append("reset")

    def detect(self, frame, seconds):
        self.events.append(seconds)
        data = np.full((3, 3), np.nan, np.float32)
        if frame.max() > 20:
            data[1] = (0.5, frame.mean() / 255, 0)
        return Detection(data, np.where(np.isnan(data[:, 0]), 0, 0.9).astype(np.float32))

    def close(self):
        self.events.append("close")


def ramp(count=20, size=(64, 48)):
    return np.broadcast_to(
        np.linspace(50, 250, count).astype(np.uint8)[:, None, None, None], (count, size[1], size[0], 3)
    ).copy()


def test_a_clip_from_array_video_chunks_and_file(tmp_path):
    estimator, frames = Brightness(), ramp()
    sequence = estimator.estimate(frames)
    assert sequence.layout == "boston-3" and sequence.units == "image" and sequence.size == (64, 48)
    assert sequence.fps == 25.0 and len(sequence) == 20
    np.testing.assert_allclose(sequence.data[:, 1, 1], frames[:, 0, 0, 0] / 255, atol=1e-6)
    assert sequence.visibility[0].tolist() == pytest.approx([0, 0.9, 0])
    assert estimator.events[0] == "reset" and estimator.events.count("reset") == 1

    chunks = [VideoChunk(frames[:7], np.arange(7) / 10), VideoChunk(frames[7:], np.arange(7, 20) / 10)]
    assert estimator.estimate(iter(chunks)).fps == 10.0
    assert estimator.estimate(as_video(frames, fps=50)).fps == 50.0
    path = write_video(tmp_path / "ramp.mp4", frames, fps=20)
    from_file = estimate_video(path, estimator)
    np.testing.assert_allclose(from_file.data[:, 1, 1], sequence.data[:, 1, 1], atol=0.02)
    np.testing.assert_allclose(from_file.timestamps, np.arange(20) / 20, atol=1e-6)
    assert len(estimate_video(path, estimator, fps=10)) == 10
    assert len(estimate_video(path.read_bytes(), estimator, fps=4)) == 4


def test_frames_with_a_rate_or_time_stamps():
    assert estimate_frames(ramp(10), Brightness(), fps=50).fps == 50.0
    stamps = np.array([0, 0.1, 0.4])
    np.testing.assert_array_equal(estimate_frames(ramp(3), Brightness(), timestamps=stamps).timestamps, stamps)


def test_one_picture(tmp_path):
    from PIL import Image

    Image.fromarray(ramp(1)[0] + 50).save(tmp_path / "a.png")
    for sequence in (estimate_video(tmp_path / "a.png", Brightness()), estimate_frames(ramp(1)[0], Brightness())):
        assert len(sequence) == 1 and sequence.seen.tolist() == [[False, True, False]]


def test_the_given_estimator_stays_open_and_a_context_closes():
    estimator = Brightness()
    estimate_frames(ramp(2), estimator)
    assert "close" not in estimator.events
    with estimator as same:
        assert same is estimator
    assert estimator.events[-1] == "close"


def test_nobody_is_a_result_that_says_so(tmp_path):
    path = write_video(tmp_path / "dark.mp4", np.zeros((5, 48, 64, 3), np.uint8))
    with pytest.warns(VideoWarning, match=r"No person was found in any of the 5 frames of .*dark\.mp4; all landmarks"):
        sequence = estimate_video(path, Brightness())
    assert len(sequence) == 5 and not sequence.seen.any() and (sequence.visibility == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate_frames(ramp(3), Brightness())


@pytest.mark.parametrize(
    "frames, message",
    [
        (np.zeros((3, 8, 8, 3), np.float64), "dtype float64; expected uint8"),
        (np.zeros((3, 8, 8), np.uint8), r"expected \(T, H, W, 3\)"),
        (np.zeros((3, 8, 8, 1), np.uint8), r"expected \(T, H, W, 3\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), "there is no frame"),
    ],
)
def test_wrong_frames(frames, message):
    for call in (Brightness().estimate, lambda f: estimate_frames(f, Brightness())):
        with pytest.raises(ValueError, match=message):
            call(frames)
    with pytest.raises(ValueError, match=message):
        Brightness().estimate([VideoChunk(frames, np.arange(len(frames)) / 25)])


def test_wrong_chunks():
    estimator = Brightness()
    with pytest.raises(ValueError, match="There are no frames"):
        estimator.estimate(iter(()))
    mixed = [VideoChunk(ramp(2), np.array([0, 0.1])), VideoChunk(ramp(2, (32, 48)), np.array([0.2, 0.3]))]
    with pytest.raises(ValueError, match=r"change size from \(64, 48\) to \(32, 48\)"):
        estimator.estimate(mixed)
    with pytest.raises(ValueError, match="time stamps must increase"):
        estimator.estimate(Video(ramp(2), np.zeros(2), 25.0))


_MEASURE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from test_estimator import Brightness
from signlang_hf.pose import estimate_video
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
short, long = sys.argv[2:]
estimate_video(short, Brightness())
before = peak()
print(len(estimate_video(long, Brightness())), peak() - before)
"""


def test_ten_minutes_need_the_memory_of_a_moment(tmp_path, request):
    pattern = ramp(24, (160, 120))
    short = write_video(tmp_path / "short.mp4", pattern, fps=12)
    long = write_video(tmp_path / "long.mp4", (pattern for _ in range(300)), fps=12, quality=40)  # 415 MB decoded
    command = [sys.executable, "-c", _MEASURE, str(request.path.parent), str(short), str(long)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    frames, megabytes = done.stdout.split()
    assert int(frames) == 7200
    assert float(megabytes) < 60
