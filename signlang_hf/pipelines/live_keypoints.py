"""Keypoints from a running camera: every frame goes in and its points come out, for ``signlang detect --webcam``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..landmarks import LandmarkSequence
from ..pose import PoseEstimator
from .detection_files import keypoint_row


@dataclass(frozen=True)
class LiveKeypoints:
    """What was found in a frame. As text it is short: ``58 of 64 points, 12 ms``.

    Args:
        row: the points, as :func:`~signlang_hf.pipelines.detection_files.keypoint_row` gives them.
        milliseconds: how long it took.
    """

    row: dict[str, Any]
    milliseconds: float
    answers: ClassVar[bool] = True

    def __str__(self) -> str:
        seen = sum(point["x"] is not None for point in self.row["keypoints"])
        return f"{seen} of {len(self.row['keypoints'])} points, {self.milliseconds:.0f} ms"


class LiveDetector:
    """Finds points while frames come in; what :func:`~signlang_hf.pipelines.webcam.watch` looks at.

    Args:
        estimator: what finds them.
        camera: name of the camera, for the rows.
    """

    signing = False  # nobody asks whether somebody signs
    landmarks: LandmarkSequence | None = None
    """What was found in the latest frame, a sequence of one; None before the first."""

    def __init__(self, estimator: PoseEstimator, camera: str) -> None:
        self._estimator, self._camera, self._number = estimator, camera, 0

    def process(self, frame: np.ndarray, timestamp: float) -> list[LiveKeypoints]:
        """Points of the next frame (H, W, 3) uint8 RGB, taken at ``timestamp`` seconds on any clock."""
        if self._number == 0:
            self._estimator.reset()
        start = time.perf_counter()
        detection = self._estimator.detect(frame, timestamp)
        spent = 1e3 * (time.perf_counter() - start)
        size = (frame.shape[1], frame.shape[0])
        self.landmarks = self._estimator.sequence([detection], np.zeros(1), size)
        row = keypoint_row(self._camera, self._number, timestamp, detection, self._estimator.layout, size)
        self._number += 1
        return [LiveKeypoints(row, spent)]

    def finish(self) -> list[LiveKeypoints]:
        """The next frame starts a new stream; nothing is held back."""
        self._number, self.landmarks = 0, None
        return []
