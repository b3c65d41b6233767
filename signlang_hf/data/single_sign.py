"""One sign out of a clip: where it begins and ends between rest, how long a metre is, and what else joining clips needs.

Design decisions:

* **Rest** is what lies lower than the sign. A hand's level is the lowest tenth of its height in the middle of the clip;
  the sign goes on from there, to both sides, until no signing hand has been at its level for a moment. What stands still at
  an end is shortened to ``hold`` seconds.
* Thresholds are metres and seconds, so that they mean the same for Kinect joints, webcam hands at any resolution, and any
  frame rate. Where units are not metres, shoulders or palms of usual size say how long one is.
* Measured with extremely randomised trees on 12 frames of each clip, whole and trimmed: DGS-30 (fold 0) 89.6 % and 90.1 %,
  ISL-30 (two signers left out) 77.4 % and 77.0 %. What is cut away does not tell signs apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..landmarks import LandmarkSequence
from ..landmarks.layout import HAND, Layout
from ..landmarks.normalize import smooth

SHOULDERS, PALM = 0.34, 0.095
"""Metres between the shoulders (the mean of ISL-30's signers), and from the wrist to the middle knuckle."""
HOLD = 0.2
"""Seconds for which a sign may stand still at an end that is joined to another sign."""
SIGHT = 0.2
"""Seconds: a point that was seen this recently is where it was."""
_MARGIN = 0.04  # metres below a hand's level that still belong to the sign
_OFTEN = 0.5  # how often a hand must be seen, compared with the other one, to say when a sign begins
_LOWER = 0.15  # metres by which a signing hand may be lower than the other one
_DIP = 0.2  # seconds for which hands may be low or lost within a sign
_STILL = 0.04  # metres within which a hand counts as standing still
_ARRIVAL = 0.12  # seconds in which a hand that has reached the sign's level comes to rest
_MIDDLE = 0.3  # share of the clip before its middle, and after it
_SPEEDS = (0.6, 2.0)  # metres a second: bounds of a brisk speed
_TREMBLE = (7, 2)  # window and order of the smoothing that tells trembling from movement
_FACES = ("face", "right_eye", "nose", "head")
_EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class Sign:
    """A clip of one sign, measured once to be joined many times. Made by :meth:`measure`.

    Attributes: ``clip`` in isotropic units; ``start`` and ``stop``, the frames that remain between other signs; ``metre``,
    isotropic units a metre; ``origin`` (3,), between the shoulders or at the face, NaN without either; ``turn``, radians between the shoulder
    line and the picture; ``speed``, the brisk speed of its hands in m/s; ``tremble`` (T, K, 3).
    """

    clip: LandmarkSequence
    start: int
    stop: int
    metre: float
    origin: np.ndarray
    turn: float
    speed: float
    tremble: np.ndarray

    @classmethod
    def measure(cls, sequence: LandmarkSequence, *, hold: float = HOLD) -> Sign:
        """Measure a clip; see :func:`core` for ``hold``.

        Raises:
            ValueError: the clip has no frames, ``image`` units without a size, or a layout with neither shoulders nor palms.
        """
        clip = sequence.isotropic()
        start, stop = core(sequence, hold=hold)
        data = clip.data
        left, right = _shoulders(clip.spec)
        across = np.zeros(3)
        if left >= 0:
            origin, across = _median((data[:, left] + data[:, right]) / 2), _median(data[:, left] - data[:, right])
        else:
            faces = [clip.spec.index[name] for name in _FACES if name in clip.spec.index]
            origin = _median(data[:, faces[0]]) if faces else np.full(3, np.nan)
        turn = float(np.arctan2(across[2], across[0])) if clip.units == "metre" else 0.0
        tremble = np.nan_to_num(data - smooth(clip, *_TREMBLE).data)
        return cls(clip, start, stop, _metre(clip), origin, np.nan_to_num(turn), _brisk(clip), tremble)

    def placed(self, other: Sign) -> tuple[np.ndarray, np.ndarray]:
        """Points and trembling (T, K, 3) at the place, in the size and in the direction of ``other``; unchanged where a clip
        shows neither shoulders nor face."""
        if np.isnan(self.origin).any() or np.isnan(other.origin).any():
            return self.clip.data, self.tremble
        angle, scale = other.turn - self.turn, other.metre / self.metre
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[cos, 0, sin], [0, scale, 0], [-sin, 0, cos]])
        return (self.clip.data - self.origin) @ turn + other.origin, self.tremble @ turn


def core(sequence: LandmarkSequence, *, hold: float = HOLD) -> tuple[int, int]:
    """First and last + 1 frame of the sign itself, without hands that rise from rest and fall back to it.

    Args:
        hold: seconds for which what remains may stand still at either end; at least twice as long is kept of a sign, if
            it lasts as long.

    Raises:
        ValueError: the sequence has no frames, or a layout with neither shoulders nor palms.
    """
    if len(sequence) == 0:
        raise ValueError("A clip without frames holds no sign.")
    clip = sequence.isotropic()
    time, metre = clip.timestamps, _metre(clip)
    hands = [clip.data[:, hand, : dimensions(clip)] for hand in hands_of(clip.spec)]
    heights = [-_mean(hand[..., 1]) for hand in hands]  # y points down
    share = (time - time[0]) / max(clip.duration, _EPSILON)
    middle = (share >= _MIDDLE) & (share <= 1 - _MIDDLE)
    if not any((middle & ~np.isnan(height)).any() for height in heights):
        middle[:] = True
    seen = [height[middle & ~np.isnan(height)] for height in heights]
    most = max(map(len, seen))
    if most == 0:
        return 0, len(clip)
    # A hand that is hardly seen in the middle, or rests there below the other one, does not say when the sign begins.
    levels = [np.percentile(known, 10) if len(known) > _OFTEN * most else -np.inf for known in seen]
    raised = np.zeros(len(clip), bool)
    for height, level in zip(heights, levels, strict=True):
        if level > max(levels) - _LOWER * metre:
            raised |= height >= level - _MARGIN * metre
    signing = np.flatnonzero(raised & middle)
    start, stop = _edge(raised, time, int(signing[0]), -1), _edge(raised, time, int(signing[-1]), 1) + 1

    after = _movement([hand[start:stop] for hand in hands], time[start:stop], _STILL * metre)
    before = _movement([hand[start:stop][::-1] for hand in hands], -time[start:stop][::-1], _STILL * metre)
    centre = (time[start] + time[stop - 1]) / 2
    begin = min(centre, np.inf if after is None else after) - hold
    end = max(centre, -np.inf if before is None else -before) + hold
    kept = start + np.flatnonzero((time[start:stop] >= begin - _EPSILON) & (time[start:stop] <= end + _EPSILON))
    return (int(kept[0]), int(kept[-1]) + 1) if len(kept) > 1 else (start, stop)


def _edge(raised: np.ndarray, time: np.ndarray, frame: int, step: int) -> int:
    """The last frame with a raised hand from ``frame`` on, forwards or backwards, until there is none for a while."""
    edge = frame
    while 0 <= frame < len(raised) and abs(time[frame] - time[edge]) <= _DIP + _EPSILON:
        edge = frame if raised[frame] else edge
        frame += step
    return edge


def _movement(hands: Sequence[np.ndarray], time: np.ndarray, still: float) -> float | None:
    """When the first hand leaves the place where it came to rest; None when none does."""
    moments = []
    arrived = time >= time[0] + _ARRIVAL - _EPSILON  # the last of the rise is no movement of the sign
    for hand in hands:
        seen = np.flatnonzero(arrived & ~np.isnan(hand[..., 0]).all(axis=1))
        if len(seen):
            way = _mean(np.linalg.norm(hand[seen] - hand[seen[0]], axis=-1))
            moments += time[seen[np.flatnonzero(way > still)[:1]]].tolist()
    return min(moments, default=None)


def _metre(clip: LandmarkSequence) -> float:
    """Isotropic units a metre: known, or by the shoulders, or by the palms."""
    if clip.units == "metre":
        return 1.0
    left, right = _shoulders(clip.spec)
    if left >= 0:
        width = _median(np.linalg.norm((clip.data[:, left] - clip.data[:, right])[:, :2], axis=1))
        if width > _EPSILON:
            return float(width) / SHOULDERS
    palms = [hand for hand in hands_of(clip.spec) if len(hand) == len(HAND)]
    if palms:
        middle = HAND.index("middle_mcp")
        size = _median(
            np.concatenate([np.linalg.norm(clip.data[:, h[middle]] - clip.data[:, h[0]], axis=1) for h in palms])
        )
        if size > _EPSILON:
            return float(size) / PALM
    raise ValueError(
        f"A clip in layout '{clip.layout}' ({clip.units} units) shows neither both shoulders nor a hand with its palm, so "
        "nothing says how long a metre is in it; leave the clip out."
    )


def _brisk(clip: LandmarkSequence) -> float:
    """How fast the hands of a clip are in their fast tenth, in m/s, within what people do."""
    step = np.diff(clip.timestamps)[:, None]
    hands = np.concatenate(hands_of(clip.spec))
    hands = clip.data[:, hands, : dimensions(clip)]
    speed = np.linalg.norm(np.diff(hands, axis=0), axis=2) / step / _metre(clip)
    speed = speed[~np.isnan(speed)]
    return float(np.clip(np.percentile(speed, 90) if len(speed) else 1.0, *_SPEEDS))


def hands_of(spec: Layout) -> list[list[int]]:
    """Positions of the points of each hand, its wrist first; the body's own wrist and hand where the layout has no more."""
    found = [list(spec.parts[part]) for part in ("left_hand", "right_hand", "hand1", "hand2") if part in spec.parts]
    if not found:
        names = [[f"{side}_wrist", f"{side}_hand"] for side in ("left", "right")]
        found = [[spec.index[name] for name in pair if name in spec.index] for pair in names]
        found = [hand for hand in found if hand]
    if not found:
        raise ValueError(f"Layout '{spec.name}' has neither hands nor wrists; signs cannot be joined without.")
    return found


def dimensions(clip: LandmarkSequence) -> int:
    """Coordinates that measure movement: the depth of a picture's points is a guess."""
    return 3 if clip.units == "metre" else 2


def _shoulders(spec: Layout) -> tuple[int, int]:
    return spec.index.get("left_shoulder", -1), spec.index.get("right_shoulder", -1)


def _median(values: np.ndarray) -> np.ndarray:
    """Median over the frames in which ``values`` (T, …) were seen; NaN where there are none."""
    seen = ~np.isnan(values.reshape(len(values), -1)).any(axis=1)
    return np.median(values[seen], axis=0) if seen.any() else np.full(values.shape[1:], np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the seen points of the last axis, NaN (without a warning) where there are none."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=-1)
    return np.where(count > 0, np.where(seen, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)
