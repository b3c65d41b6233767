"""Where to look for the signer: the part of the picture that a detector gets next, from the points that it found last.

Design decisions:

* What is not in the crop cannot be found, so it holds all points of the last frames *and* the space around the shoulders that hands
  reach, it grows at once and shrinks slowly.
* It never leaves the picture: beyond it there is nothing to see, and what is saved is resolution.
* A look at the whole picture every so often, and whenever the points get fewer or less sure, keeps an error from feeding on itself.
"""

from __future__ import annotations

import numpy as np

from ..landmarks import Layout

_MARGIN = 1.25  # side of the crop, in sides of what it holds
_REACH = np.array([[-1.2, -1.6], [1.2, 1.6]])  # signing space around the middle of the shoulders, in their distance
_SHRINK = 1.0  # seconds in which a side that is too far out comes nearer by two thirds
_GAIN = 0.85  # a crop that is larger than this share of the picture is not worth it
_SMALLEST = 0.1  # side of the smallest crop, in longer sides of the picture
_AGAIN = 2.0  # seconds between two looks at the whole picture
_FEWEST = 4  # points that make somebody
_LOST = 0.6  # share of the confidence at the last whole look below which the signer is lost


class PersonCrop:
    """Follows one signer. Used like this for a few frames at a time::

        if crop.due(seconds):
            crop.start(*points_in_the_whole_picture, size, seconds)
        points, scores = detector(frames, crop.box)
        crop.follow(points, scores, seconds)

    Args:
        layout: names of the K points.
    """

    def __init__(self, layout: Layout) -> None:
        shoulders = [layout.index.get(f"{side}_shoulder") for side in ("left", "right")]
        self._shoulders = None if None in shoulders else shoulders
        self.reset()

    def reset(self) -> None:
        """Forget the signer."""
        self._sides: np.ndarray | None = None
        self._size = (0, 0)
        self._looked = self._seen = -np.inf
        self._sure = 0.0

    @property
    def box(self) -> np.ndarray | None:
        """(4,) left, top, right, bottom in pixels; None for the whole picture."""
        if self._sides is None or np.max(self._sides[2:] - self._sides[:2]) > _GAIN * max(self._size):
            return None
        return self._sides

    def due(self, seconds: float) -> bool:
        """Whether it is time to look at the whole picture."""
        return self._sides is None or seconds - self._looked >= _AGAIN

    def start(self, points: np.ndarray, scores: np.ndarray, size: tuple[int, int], seconds: float) -> None:
        """Take note of a look at the whole picture.

        Args:
            points: (t, K, 2) pixels, NaN where not seen.
            scores: (t, K) confidence, 0 where not seen.
            size: (width, height) of the picture.
            seconds: when.
        """
        self._size, self._looked, self._sure = size, seconds, float(scores.mean())
        wanted = self._around(points)
        if self._sides is None or wanted is None or _overlap(self._sides, wanted) < 0.3:
            self._sides = wanted
        else:
            self._move(wanted, seconds)
        self._seen = seconds

    def lost(self, scores: np.ndarray) -> bool:
        """Whether frames with these scores (t, K) hold the signer no more, or not in this crop."""
        return bool(scores.mean() < _LOST * self._sure or (scores[-1] > 0).sum() < _FEWEST)

    def follow(self, points: np.ndarray, scores: np.ndarray, seconds: float) -> None:
        """Move to where the signer is, as found in the crop; the last of the frames was shown at ``seconds``."""
        wanted = None if self.lost(scores) else self._around(points)
        if wanted is None:
            self._sides = None
        elif self._sides is not None:
            self._move(wanted, seconds)

    def _move(self, wanted: np.ndarray, seconds: float) -> None:
        assert self._sides is not None
        inwards = (1 - np.exp(-max(0.0, seconds - self._seen) / _SHRINK)) * (wanted - self._sides)
        low, high = np.minimum(self._sides + inwards, wanted)[:2], np.maximum(self._sides + inwards, wanted)[2:]
        self._sides, self._seen = np.concatenate([low, high]), seconds

    def _around(self, points: np.ndarray) -> np.ndarray | None:
        """Sides of the crop around points (t, K, 2), within the picture; None where there are too few."""
        seen = ~np.isnan(points).any(axis=2)
        if seen[-1].sum() < _FEWEST:
            return None
        held = points[seen]
        if self._shoulders is not None:
            left, right = points[:, self._shoulders[0]], points[:, self._shoulders[1]]
            width = np.linalg.norm(left - right, axis=1)[:, None, None]
            space = ((left + right) / 2)[:, None] + width * _REACH
            held = np.concatenate([held, space[~np.isnan(space).any(axis=(1, 2))].reshape(-1, 2)])
        low, high = held.min(axis=0), held.max(axis=0)
        half = max(_MARGIN * float((high - low).max()), _SMALLEST * max(self._size)) / 2
        middle = (low + high) / 2
        low, high = np.maximum(middle - half, 0), np.minimum(middle + half, self._size)
        return None if (high - low < 2).any() else np.concatenate([low, high])


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    both = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    areas = [(box[2:] - box[:2]).prod() for box in (one, other)]
    return float(both / (sum(areas) - both))
