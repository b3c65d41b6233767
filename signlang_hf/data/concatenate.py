"""Continuous signing out of isolated clips: rest trimmed away, signs joined by movements that hands could make.

A clip of one sign begins and ends with hands that rise from rest and fall back. In a sentence they go from sign to sign
instead, so a clip's rise and fall are cut where the next sign begins (they are *co-articulation*, not the sign), and the
gap is crossed by a transition.

Design decisions:

* **Rest** is what lies lower than the sign. The level is the lowest tenth of the higher hand's height in the middle of the
  clip; frames before and after it that are lower by a margin, or show no hand, are cut. What then stands still at an end is
  shortened to ``hold`` seconds. The first sign of a sentence keeps its beginning and the last its end: sentences do begin
  at rest.
* **A transition** is a cubic Hermite curve for each point, which leaves with the velocity of the one sign and arrives with
  that of the other. Its duration follows from the way: a Hermite curve between two standstills is fastest in its middle, at
  1.5 times its mean speed, and that peak is set to the signers' own brisk speed. Velocities come from a line fitted through
  a few frames, and are bounded, so that no point overshoots far.
* All of it happens on time stamps and in metres: thresholds and speeds mean the same for Kinect joints, webcam hands at any
  resolution, and any frame rate. Where units are not metres, shoulders or palms of usual size say how long one is.
* The signers' place, size and (with measured depth) direction become those of the first clip, so nobody jumps. With one
  signer little changes; DGS-30's clips come from many cameras.
* **Missing stays missing.** A hand that is seen on both sides of a transition is seen within it. A hand seen on one side
  only leaves in the first half of the transition, or comes in the second, slowing down to a standstill where it is lost.
* **Nothing marks a boundary.** Transitions have the visibility of the signs around them, whole frames of the clock, and the
  signs' own trembling (what smoothing takes away, played backwards), because a smooth curve between noisy signs would be
  easy to find. Where the signs are is returned beside the sequence and does not belong in rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..landmarks import LandmarkSequence
from ..landmarks.layout import HAND, Layout
from ..landmarks.normalize import smooth

SHOULDERS, PALM = 0.34, 0.095
"""Metres between the shoulders (the mean of ISL-30's signers), and from the wrist to the middle knuckle."""
HOLD = 0.2
"""Seconds for which a sign may stand still at an end that is joined to another sign."""
_MARGIN = 0.04  # metres below the sign's level that still belong to it
_STILL = 0.04  # metres within which a hand counts as standing still
_ARRIVAL = 0.12  # seconds in which a hand that has reached the sign's level comes to rest
_MIDDLE = 0.3  # share of the clip on both sides of its middle
_SIGHT = 0.2  # seconds: a point that was seen this recently is where it was
_FIT = 0.15  # seconds of the line that gives a velocity
_SPEEDS = (0.6, 2.0)  # metres a second: bounds of a brisk speed
_DURATIONS = (0.1, 0.8)  # seconds: bounds of a transition
_UNKNOWN_WAY = 0.3  # seconds of a transition between hands that cannot be compared
_PEAK = 1.5  # peak over mean speed of a Hermite curve between standstills
_FREE = 0.3  # metres of velocity x duration that any point may have; it strays at most 0.148 times as far
_TREMBLE = (7, 2)  # window and order of the smoothing that tells trembling from movement
_FACES = ("face", "right_eye", "nose", "head")
_EPSILON = 1e-6


class Joined(NamedTuple):
    """What :func:`concatenate` returns: the sequence, and where its signs are (N, 2), seconds of first and last frame."""

    sequence: LandmarkSequence
    spans: np.ndarray


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


def concatenate(
    signs: Sequence[Sign | LandmarkSequence], *, seed: int | np.random.Generator = 0, hold: float = HOLD
) -> Joined:
    """One sequence of signing out of several clips.

    Args:
        signs: clips of one layout, in order, or what :meth:`Sign.measure` made of them.
        seed: of the transitions' durations, which vary by ± 15 %.
        hold: see :func:`core`; for clips that are not measured yet.

    Returns:
        the sequence from time 0 on, in layout, size and nominal rate of the first clip, in ``image`` units where that is a
        picture's of known size, without ``world`` points; and the span of each sign.

    Raises:
        ValueError: no clip, clips of several layouts or in units that do not fit, or a clip that cannot be measured.
    """
    rng = np.random.default_rng(seed)
    parts = [sign if isinstance(sign, Sign) else Sign.measure(sign, hold=hold) for sign in signs]
    if not parts:
        raise ValueError("There is no clip to concatenate.")
    first = parts[0]
    for part in parts[1:]:
        if (part.clip.layout, part.clip.units) != (first.clip.layout, first.clip.units):
            raise ValueError(
                f"Clips in layout '{first.clip.layout}' ({first.clip.units} units) and '{part.clip.layout}' "
                f"({part.clip.units} units) cannot be concatenated; bring them into one with to_layout() and to_units()."
            )
    pieces: list[_Piece] = []
    spans = []
    for number, part in enumerate(parts):
        whole = slice(0 if number == 0 else part.start, len(part.clip) if number == len(parts) - 1 else part.stop)
        data, tremble = part.placed(first)
        time = part.clip.timestamps[whole] - part.clip.timestamps[whole.start]
        piece = _Piece(data[whole], part.clip.visibility[whole], time, tremble[whole])
        if pieces:
            speed = (parts[number - 1].speed + part.speed) / 2
            between = _transition(pieces[-1], piece, first, speed, float(rng.uniform(0.85, 1.15)))
            pieces.append(between)
            piece = piece._replace(time=piece.time + between.end)
        spans.append((piece.time[0], piece.time[-1]))
        pieces.append(piece)
    sequence = first.clip.replace(
        data=np.concatenate([piece.data for piece in pieces]).astype(np.float32),
        visibility=np.concatenate([piece.visibility for piece in pieces]).astype(np.float32),
        timestamps=np.concatenate([piece.time for piece in pieces]),
        world=None,
    )
    if sequence.units == "pixel" and sequence.size is not None:
        sequence = sequence.to_units("image")
    return Joined(sequence, np.array(spans))


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
    hands = [clip.data[:, hand, : _dimensions(clip)] for hand in _hands(clip.spec)]
    # y points down: the higher of the two hands has the smaller one.
    height = -np.fmin.reduce([_mean(hand[..., 1]) for hand in hands])
    share = (time - time[0]) / max(clip.duration, _EPSILON)
    middle = height[(share >= _MIDDLE) & (share <= 1 - _MIDDLE) & ~np.isnan(height)]
    if len(middle) == 0:
        middle = height[~np.isnan(height)]
    if len(middle) == 0:
        return 0, len(clip)
    signing = np.flatnonzero(height >= np.percentile(middle, 10) - _MARGIN * metre)
    start, stop = int(signing[0]), int(signing[-1]) + 1

    after = _movement([hand[start:stop] for hand in hands], time[start:stop], _STILL * metre)
    before = _movement([hand[start:stop][::-1] for hand in hands], -time[start:stop][::-1], _STILL * metre)
    centre = (time[start] + time[stop - 1]) / 2
    begin = min(centre, np.inf if after is None else after) - hold
    end = max(centre, -np.inf if before is None else -before) + hold
    kept = start + np.flatnonzero((time[start:stop] >= begin - _EPSILON) & (time[start:stop] <= end + _EPSILON))
    return (int(kept[0]), int(kept[-1]) + 1) if len(kept) > 1 else (start, stop)


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


class _Piece(NamedTuple):
    """Frames of a sign or a transition: points and trembling (T, K, 3), visibility (T, K), time (T,)."""

    data: np.ndarray
    visibility: np.ndarray
    time: np.ndarray
    tremble: np.ndarray
    end: float = 0.0  # of a transition: when the next sign begins


class _End(NamedTuple):
    """Where each point is at the end of a sign: position and velocity (K, 3), time and visibility (K,); NaN for unseen ones."""

    position: np.ndarray
    velocity: np.ndarray
    time: np.ndarray
    visibility: np.ndarray


def _transition(before: _Piece, after: _Piece, first: Sign, speed: float, stretch: float) -> _Piece:
    """The movement between two signs; ``speed`` in m/s, ``stretch`` scales its duration."""
    fps, metre = first.clip.fps, first.metre
    leave = _last(before.data, before.visibility, before.time)
    come = _last(after.data[::-1], after.visibility[::-1], -after.time[::-1])
    hands = np.concatenate(_hands(first.clip.spec))
    way = np.linalg.norm((come.position - leave.position)[hands, : _dimensions(first.clip)], axis=1) / metre
    seconds = _PEAK * np.nanmax(way) / speed if np.isfinite(way).any() else _UNKNOWN_WAY
    count = max(1, round(stretch * float(np.clip(seconds, *_DURATIONS)) * fps))
    begin, end = before.time[-1], before.time[-1] + count / fps
    time = begin + np.arange(1, count) / fps

    # Time of arrival and velocity of the sign that was looked at backwards.
    arrival = end - come.time + (-after.time[0])
    span = arrival - leave.time
    straight = np.linalg.norm(come.position - leave.position, axis=1)
    v0 = _bounded(leave.velocity, span, straight, metre)
    v1 = _bounded(-come.velocity, span, straight, metre)
    s = ((time[:, None] - leave.time) / span)[..., None]
    span = span[:, None]
    data = (
        (1 + 2 * s) * (1 - s) ** 2 * leave.position + s * (1 - s) ** 2 * span * v0
        + s**2 * (3 - 2 * s) * come.position - s**2 * (1 - s) * span * v1
    )  # fmt: skip
    visibility = leave.visibility + s[..., 0] * (come.visibility - leave.visibility)

    gone, new = np.isnan(come.time) & ~np.isnan(leave.time), np.isnan(leave.time) & ~np.isnan(come.time)
    half = (end - begin) / 2
    for points, side, since in (
        (gone, leave, time[:, None] - leave.time),
        (new, come, arrival - time[:, None]),
    ):
        if points.any():
            since = since[:, points]
            still = _bounded(side.velocity, half, 0.0, metre)[points]
            glide = since - np.minimum(since, half) ** 2 / (2 * half)  # velocity falls to 0 within half the transition
            where = side.position[points] + glide[..., None] * still
            data[:, points] = np.where((since <= half)[..., None], where, np.nan)
            visibility[:, points] = side.visibility[points]

    # Trembling of both sides, backwards in time; roots of the weights keep its strength in the middle.
    share = (np.arange(1, count) / count)[:, None, None]
    shaking = np.sqrt(1 - share) * _reflected(before.tremble[::-1], count - 1)
    shaking += np.sqrt(share) * _reflected(after.tremble, count - 1)[::-1]
    seen = ~np.isnan(data[..., 0])
    return _Piece(data + shaking, np.where(seen, visibility, 0.0), time, shaking, end)


def _last(data: np.ndarray, visibility: np.ndarray, time: np.ndarray) -> _End:
    """Where the points were last seen, and how fast they were."""
    recent = time >= time[-1] - _SIGHT - _EPSILON
    data, visibility, time = data[recent].astype(np.float64), visibility[recent], time[recent]
    seen = ~np.isnan(data[..., 0])
    row = len(seen) - 1 - seen[::-1].argmax(axis=0)
    points = np.arange(data.shape[1])
    when = np.where(seen.any(axis=0), time[row], np.nan)
    weight = seen & (time[:, None] >= when - _FIT - _EPSILON)
    count = np.maximum(weight.sum(axis=0), 1)
    offset = np.where(weight, time[:, None] - (weight * time[:, None]).sum(axis=0) / count, 0.0)
    spread = (offset**2).sum(axis=0)
    slope = (offset[..., None] * np.nan_to_num(data)).sum(axis=0) / np.maximum(spread, 1e-12)[:, None]
    return _End(data[row, points], slope, when, visibility[row, points])


def _bounded(velocity: np.ndarray, span: np.ndarray | float, straight: np.ndarray | float, metre: float) -> np.ndarray:
    """Velocities (K, 3) under which a point goes at most 3 times its way (the bound of a monotone cubic, Fritsch & Carlson
    1980) and a little more. All points of a clip share the strictest factor, so that a hand keeps its shape."""
    way = np.linalg.norm(velocity, axis=1) * span
    allowed = np.where(np.isnan(way), np.inf, (3 * straight + _FREE * metre) / np.maximum(way, _EPSILON))
    return velocity * min(1.0, float(np.min(allowed)))


def _reflected(frames: np.ndarray, count: int) -> np.ndarray:
    """``count`` frames: there, back again and so on."""
    index = np.arange(count) % max(2 * len(frames) - 2, 1)
    return frames[np.minimum(index, 2 * len(frames) - 2 - index) if len(frames) > 1 else np.zeros(count, int)]


def _metre(clip: LandmarkSequence) -> float:
    """Isotropic units a metre: known, or by the shoulders, or by the palms."""
    if clip.units == "metre":
        return 1.0
    left, right = _shoulders(clip.spec)
    if left >= 0:
        width = _median(np.linalg.norm((clip.data[:, left] - clip.data[:, right])[:, :2], axis=1))
        if width > _EPSILON:
            return float(width) / SHOULDERS
    palms = [hand for hand in _hands(clip.spec) if len(hand) == len(HAND)]
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
    hands = np.concatenate(_hands(clip.spec))
    hands = clip.data[:, hands, : _dimensions(clip)]
    speed = np.linalg.norm(np.diff(hands, axis=0), axis=2) / step / _metre(clip)
    speed = speed[~np.isnan(speed)]
    return float(np.clip(np.percentile(speed, 90) if len(speed) else 1.0, *_SPEEDS))


def _hands(spec: Layout) -> list[list[int]]:
    """Positions of the points of each hand, its wrist first; the body's own wrist and hand where the layout has no more."""
    found = [list(spec.parts[part]) for part in ("left_hand", "right_hand", "hand1", "hand2") if part in spec.parts]
    if not found:
        names = [[f"{side}_wrist", f"{side}_hand"] for side in ("left", "right")]
        found = [[spec.index[name] for name in pair if name in spec.index] for pair in names]
        found = [hand for hand in found if hand]
    if not found:
        raise ValueError(f"Layout '{spec.name}' has neither hands nor wrists; signs cannot be joined without.")
    return found


def _dimensions(clip: LandmarkSequence) -> int:
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
