"""A pose estimator that costs nothing, and videos for it. No torch here: worker processes start with this."""

from __future__ import annotations

from typing import Any

import numpy as np

from signlang_hf.pose import Detection, PoseEstimator


class CheapEstimator(PoseEstimator):
    """Landmarks that follow from the mean colour of a frame; a black frame shows nobody. Keeps count of its frames."""

    layout = "mediapipe-holistic"

    def __init__(self) -> None:
        self.clips = self.frames = 0
        self.shape = np.random.default_rng(1).random((75, 3)).astype(np.float32)

    def reset(self) -> None:
        self.clips += 1

    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        self.frames += 1
        mean = frame.reshape(-1, 3).mean(axis=0).astype(np.float32) / 255
        if mean.max() < 0.02:
            return Detection(np.full((75, 3), np.nan, np.float32), np.zeros(75, np.float32))
        return Detection(self.shape * (0.5 + mean), np.ones(75, np.float32))


def cheap_estimator(**options: Any) -> CheapEstimator:
    """What a worker of ``extract_folder`` makes; the options of the real estimator mean nothing to it."""
    return CheapEstimator()


def tiny_frames(frames: int = 6, seed: int = 0, height: int = 48, width: int = 64) -> np.ndarray:
    """(T, H, W, 3) uint8: one colour a frame, so that a codec keeps it."""
    colours = np.random.default_rng(seed).integers(60, 220, (frames, 1, 1, 3), np.uint8)
    return np.broadcast_to(colours, (frames, height, width, 3)).copy()
