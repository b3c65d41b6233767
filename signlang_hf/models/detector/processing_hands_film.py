"""The second look at the hands of a film: its frames tell each other where to look.

What spoils a second look is its square: the first look often sees a hand in the wrong place. A picture has nothing but more
looks against that (:class:`~signlang_hf.models.detector.processing_hands.HandDetector`); in a film the hand was nearby a moment before.

Design decisions:

* Every frame's hands are looked at where the first look has them. So nothing found in an earlier frame can lead astray for long: after a
  cut, or when a hand comes back into the picture, nobody has to notice.
* Where that found a hand, its score says how far it is to be believed. The squares of the frames around, weighted so, make the square in which
  a hand should be; where another one was looked at, and the frames around are the surer ones, that one is looked at as well, and the surer
  of both looks counts.
* Following a hand from its last place alone is cheaper by a third, and worse than not following at all: it stays with what it once mistook for a hand.
* Both looks take all frames that come at once together, because many small pictures in the network cost half of what they cost one by one.
  Frames say it to those before them as well as to those after, as far as they come together; the frames before are remembered.
* Near is what was shown near in time. A frame with no other near it, such as the first from a camera, is a picture like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .processing_hands import HandDetector

# Chosen on film of three rooms whose people the detectors had not seen. Others near them do as well, but for _HOPELESS, which depends on how
# sure a network of hands is of itself.
_SPREAD = 0.05  # seconds: standard deviation of the weights of the frames around one
_REACH = 0.15  # seconds from which on a frame says nothing about another
_TRUST = 8  # power of the scores in those weights
_SAME = 0.6  # intersection over union from which on two squares show the same
_HOPELESS = 0.17  # mean score of the frames around below which they have seen no hand: it rests below the picture
_EQUAL = 0.999  # of a score, which is not exactly the mean of itself


class HandFollower:
    """Looks at the hands of a film again, a few frames at a time and in their order.

    Args:
        detector: what looks.
    """

    def __init__(self, detector: HandDetector) -> None:
        self.detector = detector
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far: the next one starts a clip."""
        self._last = -np.inf
        self._known: dict[str, list[tuple[float, np.ndarray, float]]] = {side: [] for side in self.detector.hands}

    def __call__(
        self,
        pictures: Sequence[np.ndarray],
        points: np.ndarray,
        scores: np.ndarray,
        clock: Sequence[float],
        threshold: float = 0.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points with those of the hands found anew.

        Args:
            pictures: N frames (H, W, 3) uint8 RGB, the next ones of the clip.
            points: (N, K, 2) pixels, of the first look.
            scores: (N, K) their scores.
            clock: (N,) seconds at which they were shown.
            threshold: score from which a point is believed. A hand with fewer than four such points, in this frame and in those near it,
                is left as it is.

        Returns:
            points and scores, both new arrays.
        """
        points, scores = np.array(points, np.float32), np.array(scores, np.float32)
        seconds = np.asarray(clock, float)
        near = np.diff(np.concatenate([[self._last], seconds, [np.inf]])) < _REACH
        alone = np.flatnonzero(~(near[:-1] | near[1:]))
        self._last = float(seconds[-1])

        looked = self.detector.squares(points, scores, threshold, first=True)
        found = set(looked)
        if len(alone):
            several = self.detector([pictures[row] for row in alone], points[alone], scores[alone], threshold)
            points[alone], scores[alone] = several
        looked = {place: square for place, square in looked.items() if place[0] not in alone}
        self._look(pictures, points, scores, looked)

        again = {}
        for side, known in self._observed(points, scores, seconds, found, threshold).items():
            for row in np.flatnonzero(~np.isin(np.arange(len(points)), alone)).tolist():
                square, sure = _expected(known, seconds[row])
                before, score = looked.get((row, side)), float(scores[row, self.detector.hands[side]].mean())
                if sure >= max(_HOPELESS, _EQUAL * score) and (before is None or _overlap(before, square) < _SAME):
                    again[row, side] = square
        found.update(self._look(pictures, points, scores, again, surer=True))
        for side, known in self._observed(points, scores, seconds, found, threshold).items():
            self._known[side] = [one for one in known if self._last - one[0] < _REACH]
        return points, scores

    def _look(
        self,
        pictures: Sequence[np.ndarray],
        points: np.ndarray,
        scores: np.ndarray,
        squares: Mapping[tuple[int, str], np.ndarray],
        surer: bool = False,
    ) -> list[tuple[int, str]]:
        """Put what is in the squares into ``points`` and ``scores``, and say where: everywhere, or where it is ``surer`` than what was there."""
        taken = []
        for (row, side), where, sure in zip(squares, *self.detector.look(pictures, squares)):
            hand = self.detector.hands[side]
            if not surer or sure.mean() > scores[row, hand].mean():
                points[row, hand], scores[row, hand] = where, sure
                taken.append((row, side))
        return taken

    def _observed(
        self, points: np.ndarray, scores: np.ndarray, seconds: np.ndarray, found: set[tuple[int, str]], threshold: float
    ) -> dict[str, list[tuple[float, np.ndarray, float]]]:
        """For each side when a hand was seen, the square around it and its mean score: in the frames before, and in those of now."""
        observed = {side: list(known) for side, known in self._known.items()}
        for (row, side), square in self.detector.squares(points, scores, threshold, first=False).items():
            if (row, side) in found:
                score = float(scores[row, self.detector.hands[side]].mean())
                observed[side].append((float(seconds[row]), square, score))
        return observed


def _expected(known: Sequence[tuple[float, np.ndarray, float]], seconds: float) -> tuple[np.ndarray, float]:
    """(4,) the square in which a hand should be at that time, and how sure the frames near it are of that: 0 where they saw none."""
    near = [(square, score, at - seconds) for at, square, score in known if abs(at - seconds) < _REACH]
    weights = np.array([score**_TRUST * np.exp(-((away / _SPREAD) ** 2) / 2) for _, score, away in near])
    if weights.sum() == 0:
        return np.zeros(4), 0.0
    square = np.average([square for square, *_ in near], axis=0, weights=weights)
    return square, float(np.average([score for _, score, _ in near], weights=weights))


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    both = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    return float(both / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - both))


__all__ = ["HandFollower"]
