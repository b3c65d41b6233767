"""Smoothing of points that are found frame by frame: the One Euro filter.

Géry Casiez, Nicolas Roussel, Daniel Vogel: "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012. A low-pass filter whose cut-off rises with speed: a hand that rests does not tremble, one that signs does not
lag behind.

Design decisions:

* Speed is that of the point, not of each coordinate by itself, so a movement is smoothed alike in whatever direction it goes.
* Time is taken from time stamps: the same movement is smoothed alike at 15 and at 60 frames a second.
* A point that is not seen (NaN) loses its past; where it is seen again it is taken as it is.
"""

from __future__ import annotations

import numpy as np


class OneEuroFilter:
    """Smooths K points from frame to frame.

    Args:
        min_cutoff: cut-off of a point at rest, in Hz; lower is smoother.
        beta: how fast the cut-off rises, in Hz for each unit a second; higher lags less.
        speed_cutoff: cut-off of the speed, in Hz.

    Raises:
        ValueError: a cut-off that is not positive, or a negative ``beta``.
    """

    def __init__(self, min_cutoff: float = 1.0, beta: float = 1.0, speed_cutoff: float = 1.0) -> None:
        for name, value in (("min_cutoff", min_cutoff), ("speed_cutoff", speed_cutoff)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; it must be a positive number of Hz.")
        if not 0 <= beta < float("inf"):
            raise ValueError(f"beta is {beta}; it must be a number from 0.")
        self.min_cutoff, self.beta, self.speed_cutoff = min_cutoff, beta, speed_cutoff
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next frame is the first."""
        self._seconds = 0.0
        self._points: np.ndarray | None = None
        self._raw = self._velocity = np.empty(0)

    def __call__(self, points: np.ndarray, seconds: float) -> np.ndarray:
        """The points of the next frame, smoothed.

        Args:
            points: (K, D) in any unit that is the same along all axes; NaN where a point is not seen.
            seconds: when the frame was taken; later than the one before.

        Returns:
            (K, D) float64, NaN where ``points`` is.

        Raises:
            ValueError: a time stamp that does not increase, or another number of points than before.
        """
        points = np.asarray(points, np.float64)
        if self._points is None:
            self._velocity = np.zeros_like(points)
            smooth = points.copy()
        else:
            if points.shape != self._points.shape:
                raise ValueError(f"The points have shape {points.shape}; the frame before had {self._points.shape}.")
            elapsed = seconds - self._seconds
            if not 0 < elapsed < float("inf"):
                raise ValueError("A frame does not come after the one before it; time stamps must increase.")
            known = ~np.isnan(points + self._points).any(axis=1, keepdims=True)
            # By raw points, as in the paper: the smoothed one lags, which would feign speed where there is none any more.
            speed = np.where(known, (points - self._raw) / elapsed, 0.0)
            self._velocity += _weight(self.speed_cutoff, elapsed) * (speed - self._velocity)
            self._velocity = np.where(known, self._velocity, 0.0)
            cutoff = self.min_cutoff + self.beta * np.linalg.norm(self._velocity, axis=1, keepdims=True)
            smooth = np.where(known, self._points + _weight(cutoff, elapsed) * (points - self._points), points)
        self._seconds, self._points, self._raw = seconds, smooth, points
        return smooth.copy()


def _weight(cutoff: float | np.ndarray, elapsed: float) -> float | np.ndarray:
    """Share of the new value in exponential smoothing with this cut-off in Hz (equations 2 and 3 of the paper)."""
    return 1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff * elapsed))
