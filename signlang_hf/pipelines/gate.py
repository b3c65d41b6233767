"""Signing or rest, one frame at a time: the gate in front of everything that reads a running camera.

When signing starts and ends is a rule in seconds and shoulder widths (:class:`SignRule`), so it is the same at any frame rate and
distance from the camera:

* A hand is *up* while its centre is less than ``reach`` below the line of the shoulders.
* It *moves* while its points are on average displaced faster than ``speed``, measured over ``window``. A hand that nobody saw
  for ``hold`` moves when it appears; one that the tracker lost for a moment and found in the same place does not.
* Signing starts when a hand that is up moves. It ends when no hand has been up for ``rest``, because they went down or left the
  picture, or when none has moved for ``hold``; then it takes a movement to start again. At ``longest`` it is cut.
* What took less than ``shortest`` was no signing, such as a hand that goes down after a hold. The model also sees ``margin`` before the start.
* Hands that are known by the order in which they were found, and not by side, change places; each is followed as the nearer one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import numpy as np

from ..landmarks import Layout
from ..landmarks.normalize import hand_points

_SIDED, _FOUND = ("left", "right"), ("hand1", "hand2")


@dataclass(frozen=True)
class SignRule:
    """When signing starts and ends: lengths in shoulder widths (where no shoulders are seen, a third of the picture's shorter
    side), times in seconds, ``speed`` in shoulder widths a second. What they mean stands at the head of the module."""

    reach: float = 0.9
    speed: float = 0.6
    window: float = 0.2
    hold: float = 0.8
    rest: float = 0.3
    shortest: float = 0.5
    longest: float = 5.0
    margin: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 < getattr(self, field.name) < float("inf"):
                raise ValueError(f"{field.name} is {getattr(self, field.name)}; it must be a positive number.")


class _Track:
    """Where one hand was lately."""

    def __init__(self, rule: SignRule) -> None:
        self._rule = rule
        self._past: deque[tuple[float, np.ndarray]] = deque()

    def distance(self, seconds: float, points: np.ndarray) -> float | None:
        """From where the hand was last to its ``points`` (n, 2); None where that is too long ago."""
        if not self._past or seconds - self._past[-1][0] > self._rule.hold:
            return None
        return _mean_distance(points, self._past[-1][1])

    def moves(self, seconds: float, points: np.ndarray, unit: float) -> bool:
        """Whether the hand moves, now that its points (n, 2) are seen; ``unit`` is a shoulder width."""
        rule, past = self._rule, self._past
        if past and seconds - past[-1][0] > rule.hold:
            past.clear()
        while len(past) > 1 and past[1][0] <= seconds - rule.window:
            past.popleft()
        past.append((seconds, points))
        since, before = past[0]
        if len(past) == 1:
            return True
        # Not over less than the window: the first frames after a hand is found are unsteady.
        elapsed = max(seconds - since, rule.window)
        return _mean_distance(points, before) > rule.speed * unit * elapsed


class SigningGate:
    """Tells signing from rest.

    Args:
        layout: of the points; it needs hands, or wrists.
        rule: when signing starts and ends.

    Raises:
        ValueError: a layout without hands.
    """

    def __init__(self, layout: Layout, rule: SignRule) -> None:
        self.rule = rule
        self._sided = all(hand_points(layout, side) for side in _SIDED)
        found = (
            [hand_points(layout, side) for side in _SIDED]
            if self._sided
            else [layout.parts.get(one, ()) for one in _FOUND]
        )
        self._hands = [list(points) for points in found if points]
        if not self._hands:
            raise ValueError(f"Layout '{layout.name}' has no hands; live recognition needs them.")
        shoulders = [layout.index.get(f"{side}_shoulder") for side in _SIDED]
        self._shoulders = None if None in shoulders else shoulders
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame begins a stream."""
        self._tracks = [_Track(self.rule) for _ in self._hands]
        self.start: float | None = None
        """When signing started; None while there is none."""
        self.up = self.moved = 0.0
        """When a hand was last up, and when one that was up last moved; while somebody signs."""

    def step(self, seconds: float, points: np.ndarray, unit: float) -> tuple[float, float] | None:
        """Look at the next frame.

        Args:
            seconds: its time; later than that of the frame before.
            points: (K, 2) of the layout, one unit along x and y, y down; NaN where not seen.
            unit: a shoulder width where no shoulders are seen.

        Returns:
            from when to when somebody signed, if that ended with this frame.
        """
        up, moving = self._look(seconds, points, unit)
        if self.start is None:
            if not moving:
                return None
            self.start = seconds
        if up:
            self.up = seconds
        if moving:
            self.moved = seconds
        if seconds - self.up >= self.rule.rest:
            return self.end(self.up)
        if seconds - self.moved >= self.rule.hold or seconds - self.start >= self.rule.longest:
            return self.end(seconds)
        return None

    def end(self, seconds: float) -> tuple[float, float]:
        """Somebody signs, and does so until ``seconds``: from when to when. The next movement starts anew."""
        start, self.start = self.start, None
        assert start is not None
        return start, seconds

    def _look(self, seconds: float, points: np.ndarray, unit: float) -> tuple[bool, bool]:
        """Whether a hand is up, and whether one that is up moves."""
        line = np.inf  # without shoulders every hand in the picture is up
        if self._shoulders is not None and not np.isnan(points[self._shoulders]).any():
            left, right = points[self._shoulders]
            unit, line = max(float(np.linalg.norm(left - right)), 1e-6), float(left[1] + right[1]) / 2
        hands = [points[hand] for hand in self._hands]
        seen = [not np.isnan(hand).any() for hand in hands]
        tracks = self._tracks if self._sided else self._matched(seconds, hands, seen)
        up = moving = False
        for hand, there, track in zip(hands, seen, tracks):
            if not there:
                continue
            moves = track.moves(seconds, hand, unit)
            if hand[:, 1].mean() < line + self.rule.reach * unit:
                up, moving = True, moving or moves
        return up, moving

    def _matched(self, seconds: float, hands: list[np.ndarray], seen: list[bool]) -> list[_Track]:
        """The track of each hand that was found: whichever way round is nearer to where they were."""
        if len(self._tracks) < 2:
            return self._tracks

        def cost(tracks: list[_Track]) -> float:
            far = [track.distance(seconds, hand) for track, hand, there in zip(tracks, hands, seen) if there]
            return sum(one if one is not None else _FAR for one in far)

        swapped = self._tracks[::-1]
        return swapped if cost(swapped) < cost(self._tracks) else self._tracks


_FAR = 1e6  # what a hand costs that takes up a track of nobody


def _mean_distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(((one - other) ** 2).sum(axis=1)).mean())


__all__ = ["SignRule", "SigningGate"]
