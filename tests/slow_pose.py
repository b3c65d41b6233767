"""The cheap estimator, slow enough to be killed at work. No torch here: worker processes start with this."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from cheap_pose import CheapEstimator

from signlang_hf.pose import Detection


class SlowEstimator(CheapEstimator):
    """Takes its time over each frame."""

    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        time.sleep(0.03)
        return super().detect(frame, seconds)


def slow_estimator(**options: Any) -> SlowEstimator:
    """What a worker makes."""
    return SlowEstimator()
