"""Estimators for videos of one grey level, some of which do what no estimator should. Worker processes start with this: no torch."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from signlang_hf.pose import Detection, PoseEstimator

FAULT, CRASH, FATAL = (
    120,
    160,
    200,
)  # grey levels: an error, the end of the process, the end of the process that started it


class Grey(PoseEstimator):
    """All points at the height of the picture's grey level; ``log`` gets a line, "<level> <parent's PID>", a clip."""

    layout = "hands-42"

    def __init__(self, log: str = "", pause: float = 0.0, missing: str = "") -> None:
        if missing:
            raise ImportError(f"{missing} is not installed")
        self.log, self.pause = log, pause

    def reset(self) -> None:
        self.first = True

    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        level = round(float(frame.mean()))
        if self.first and self.log:
            with Path(self.log).open("a") as stream:
                stream.write(f"{level} {os.getppid()}\n")
        self.first = False
        time.sleep(self.pause)
        if abs(level - FAULT) < 8:
            raise RuntimeError("something went wrong\nin two lines")
        if abs(level - CRASH) < 8:
            os.kill(os.getpid(), signal.SIGSEGV)
        if abs(level - FATAL) < 8:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)  # the answer of this one must not matter
        data = np.full((42, 3), level / 255, np.float32)
        data[21:] = np.nan
        return Detection(data, (~np.isnan(data[:, 0])).astype(np.float32) * 0.75)
