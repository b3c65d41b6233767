"""Where the time of a whole clip goes."""

from __future__ import annotations

import time

import pytest
from cheap_pose import CheapEstimator, tiny_frames
from tiny_detector import save_tiny_detector
from tiny_model import save_tiny_model
from transformers import pipeline

from signlang_hf.benchmark import STAGES, measure_road
from signlang_hf.video import write_video

FRAMES, PAUSE = 6, 0.02


class Slow(CheapEstimator):
    """Takes its time with every frame."""

    def detect(self, frame, seconds):
        time.sleep(PAUSE)
        return super().detect(frame, seconds)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", tiny_frames(FRAMES), fps=25)


def test_each_stage_has_its_own_time(tmp_path, clip):
    pipe = pipeline("sign-recognition", model=str(save_tiny_model(tmp_path / "model")), estimator=Slow())
    road = measure_road(pipe, clip, runs=2, model="tiny")
    assert (road.model, road.clip, road.frames, road.runs) == ("tiny", "clip.mp4", FRAMES, 2)
    assert tuple(road.ms) == STAGES and all(value > 0 for value in road.ms.values())
    # Sleeping is the landmarks' and nobody else's.
    assert road.ms["landmarks"] >= 1000 * PAUSE * FRAMES > 0
    assert road.total_ms == pytest.approx(sum(road.ms.values()))
    assert sum(road.share(stage) for stage in STAGES) == pytest.approx(1)
    assert pipe.estimator.frames == 3 * FRAMES  # one round warms up


def test_only_what_reads_landmarks(tmp_path, clip):
    save_tiny_detector(tmp_path / "detector")
    pipe = pipeline("sign-keypoint-detection", model=str(tmp_path / "detector"))
    with pytest.raises(ValueError, match="measured for models that read landmarks"):
        measure_road(pipe, clip)


def test_a_video_that_is_not_there(tmp_path):
    pipe = pipeline("sign-recognition", model=str(save_tiny_model(tmp_path / "model")), estimator=Slow())
    with pytest.raises(FileNotFoundError, match=r"nothing\.mp4"):
        measure_road(pipe, tmp_path / "nothing.mp4")
