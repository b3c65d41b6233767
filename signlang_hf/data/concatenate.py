"""Continuous signing out of isolated clips: rest trimmed away, signs joined by movements that hands could make.

A clip of one sign begins and ends with hands that rise from rest and fall back. In a sentence they go from sign to sign
instead, so a clip's rise and fall are cut where the next sign begins (they are *co-articulation*, not the sign), and the
gap is crossed by a transition.

Design decisions:

* A clip is cut to :func:`.single_sign.core`, but the first sign of a sentence keeps its beginning and the last its end:
  sentences do begin at rest.
* **A transition** is a cubic Hermite curve for each point, which leaves with the velocity of the one sign and arrives with
  that of the other. Its duration follows from the way: a Hermite curve between two standstills is fastest in its middle, at
  1.5 times its mean speed, and that peak is set to the signers' own brisk speed. Velocities come from a line fitted through
  a few frames, and are bounded, so that no point overshoots far.
* All of it happens on time stamps and in metres, whatever the frame rate and the units of the clips.
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
from typing import NamedTuple

import numpy as np

from ..landmarks import LandmarkSequence
from .single_sign import HOLD, SIGHT, Sign, dimensions, hands_of

_FIT = 0.15  # seconds of the line that gives a velocity
_DURATIONS = (0.1, 0.8)  # seconds: bounds of a transition
_UNKNOWN_WAY = 0.3  # seconds of a transition between hands that cannot be compared
_PEAK = 1.5  # peak over mean speed of a Hermite curve between standstills
_FREE = 0.3  # metres of velocity x duration that any point may have; it strays at most 0.148 times as far
_EPSILON = 1e-6


class Joined(NamedTuple):
    """What :func:`concatenate` returns: the sequence, and where its signs are (N, 2), seconds of first and last frame."""

    sequence: LandmarkSequence
    spans: np.ndarray


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
    hands = np.concatenate(hands_of(first.clip.spec))
    way = np.linalg.norm((come.position - leave.position)[hands, : dimensions(first.clip)], axis=1) / metre
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
    recent = time >= time[-1] - SIGHT - _EPSILON
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
