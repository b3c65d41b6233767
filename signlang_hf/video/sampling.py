"""Which frames to take, decided on time stamps and never on frame counts.

Both functions take the time stamps of all frames, so a variable frame rate is respected: a target rate keeps the frame
nearest to each tick of its clock, and ``N frames`` are the ones on screen in the middle of N equal stretches of time.
"""

from __future__ import annotations

import numpy as np

TIME_SLACK = 1e-4
"""Seconds within which two moments are the same: decord's time stamps have single precision."""


def sample_rate(times: np.ndarray, fps: float) -> np.ndarray:
    """Positions of the frames nearest to the ticks 0, 1/fps, 2/fps, …; each frame at most once.

    A source slower than ``fps`` keeps all its frames: frames are left out, never invented.

    Args:
        times: (T,) seconds, strictly increasing.
        fps: target frames per second.
    """
    if len(times) == 0:
        return np.zeros(0, np.int64)
    relative = times - times[0]
    ticks = np.arange(int(np.floor((relative[-1] + TIME_SLACK) * fps)) + 1) / fps
    after = np.searchsorted(relative, ticks).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    nearer_before = ticks - relative[before] <= relative[after] - ticks + TIME_SLACK
    return np.unique(np.where(nearer_before, before, after))


def sample_uniform(times: np.ndarray, count: int) -> np.ndarray:
    """Positions of ``count`` frames spread evenly over time; repeats frames where there are fewer than ``count``.

    Args:
        times: (T,) seconds, strictly increasing.
        count: number of frames.
    """
    if len(times) == 0:
        return np.zeros(0, np.int64)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    end = times[-1] - times[0] + step  # the last frame stays on screen for a step, too
    middles = times[0] + (np.arange(count) + 0.5) * (end / count)
    return np.searchsorted(times, middles + TIME_SLACK, side="right").clip(1) - 1


def mean_rate(times: np.ndarray, default: float = 25.0) -> float:
    """Mean frames per second of the time stamps; ``default`` where there are fewer than two."""
    if len(times) < 2:
        return default
    return round((len(times) - 1) / float(times[-1] - times[0]), 3)
