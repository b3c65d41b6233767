"""A hand's 21 points from its joint angles, and the hand shapes that signing uses.

A hand is computed in its own three components: ``radial`` (towards the thumb), ``distal`` (from the wrist to the middle
knuckle) and ``dorsal`` (out of the back of the hand), with the wrist at zero. Left and right differ only in the axes that
the components are laid along, so that one set of angles means the same shape on both.

Angles are in degrees. A finger has four: flexion of its knuckle, of its middle joint and of its last joint, and spreading
(positive towards the thumb). A thumb has five: how far its metacarpal stands off radially and palmwards, flexion of its two
further joints, and a roll about its own axis, which turns the pad from the palm to the fingers. Ranges are those of
the American Academy of Orthopaedic Surgeons (Joint Motion, 1965), rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FINGERS: tuple[str, ...] = ("index", "middle", "ring", "little")
FINGER_LIMITS = np.array([(-20.0, 90.0), (0.0, 110.0), (0.0, 80.0), (-22.0, 22.0)])
"""(4, 2): flexion of knuckle, middle and last joint, spreading."""
THUMB_LIMITS = np.array([(0.0, 65.0), (-10.0, 70.0), (-5.0, 60.0), (-15.0, 80.0), (-20.0, 90.0)])
"""(5, 2): radial and palmar stand-off, flexion of both further joints, roll."""

# All lengths are fractions of the hand's length, wrist to tip of the middle finger.
_KNUCKLES = np.array([(0.130, 0.475, 0.0), (0.025, 0.485, 0.008), (-0.075, 0.458, 0.002), (-0.162, 0.410, -0.014)])
_PHALANGES = np.array([(0.215, 0.125, 0.100), (0.235, 0.145, 0.105), (0.217, 0.137, 0.105), (0.172, 0.098, 0.095)])
_THUMB_ROOT = np.array([0.115, 0.110, -0.045])
_THUMB_BONES = np.array([0.245, 0.175, 0.125])
FINGER_RADII = np.array([0.060, 0.050, 0.044, 0.037])
"""Thickness of the middle finger at its knuckle, two joints and tip."""
FINGER_SCALES = np.array([0.98, 1.0, 0.95, 0.84])
THUMB_RADII = np.array([0.088, 0.066, 0.057, 0.044])


@dataclass(frozen=True)
class HandShape:
    """Joint angles in degrees: ``fingers`` (4, 4), ``thumb`` (5,)."""

    fingers: np.ndarray
    thumb: np.ndarray

    def clipped(self) -> HandShape:
        """The same shape within the joints' ranges; fingers spread the less the more their knuckle is bent."""
        fingers = np.clip(self.fingers, *FINGER_LIMITS.T)
        room = 1.0 - 0.8 * np.clip(fingers[:, 0] / 90.0, 0.0, 1.0)
        fingers[:, 3] = np.clip(fingers[:, 3], FINGER_LIMITS[3, 0] * room, FINGER_LIMITS[3, 1] * room)
        return HandShape(fingers, np.clip(self.thumb, *THUMB_LIMITS.T))


_STRAIGHT, _CURLED, _RELAXED = (2.0, 3.0, 2.0), (82.0, 100.0, 62.0), (28.0, 32.0, 20.0)
_BENT, _HOOKED, _ROUND, _CLAWED = (75.0, 8.0, 4.0), (8.0, 95.0, 60.0), (60.0, 50.0, 31.0), (12.0, 58.0, 42.0)
_SPREAD, _CLOSED = (13.0, 3.0, -8.0, -18.0), (0.0, 0.0, 0.0, 3.0)
_OUT, _ALONG, _ACROSS = (55.0, 12.0, 5.0, 0.0, 10.0), (14.0, 12.0, 10.0, 5.0, 25.0), (28.0, 52.0, 42.0, 38.0, 60.0)
_OPPOSED, _UP, _OVER = (38.0, 42.0, 23.0, 25.0, 72.0), (22.0, 5.0, 0.0, -8.0, 0.0), (20.0, 48.0, 55.0, 40.0, 55.0)


_Angles = tuple[float, ...]


def _shape(
    index: _Angles, middle: _Angles, ring: _Angles, little: _Angles, thumb: _Angles, spread: _Angles = _CLOSED
) -> HandShape:
    fingers = np.array([(*finger, side) for finger, side in zip((index, middle, ring, little), spread)])
    return HandShape(fingers, np.array(thumb, dtype=float))


_I, _C, _B = _STRAIGHT, _CURLED, _BENT
SHAPES: Mapping[str, HandShape] = {
    name: shape.clipped()
    for name, shape in {
        "flat": _shape(_I, _I, _I, _I, _ALONG),
        "five": _shape(_I, _I, _I, _I, _OUT, _SPREAD),
        "open": _shape(_I, _I, _I, _I, _OUT),
        "four": _shape(_I, _I, _I, _I, _ACROSS, _SPREAD),
        "fist": _shape(_C, _C, _C, _C, _ACROSS),
        "fist-side": _shape(_C, _C, _C, _C, _UP),
        "thumb-up": _shape(_C, _C, _C, _C, (50.0, 0.0, -5.0, -12.0, 0.0)),
        "point": _shape(_I, _C, _C, _C, _OVER),
        "little": _shape(_C, _C, _C, _I, _OVER),
        "v": _shape(_I, _I, _C, _C, _OVER, (12.0, -10.0, 0.0, 0.0)),
        "u": _shape(_I, _I, _C, _C, _OVER),
        "w": _shape(_I, _I, _I, _C, _OVER, (14.0, 0.0, -13.0, 0.0)),
        "l": _shape(_I, _C, _C, _C, _OUT),
        "y": _shape(_C, _C, _C, _I, _OUT, (0.0, 0.0, 0.0, -16.0)),
        "ily": _shape(_I, _C, _C, _I, _OUT, (8.0, 0.0, 0.0, -14.0)),
        "horns": _shape(_I, _C, _C, _I, _OVER, (4.0, 0.0, 0.0, -10.0)),
        "three": _shape(_I, _I, _C, _C, _OUT, (10.0, -8.0, 0.0, 0.0)),
        "o": _shape(_ROUND, _ROUND, _ROUND, _ROUND, _OPPOSED),
        "c": _shape((28.0, 42.0, 26.0), (26.0, 42.0, 26.0), (26.0, 42.0, 26.0), (28.0, 42.0, 26.0),
                    (40.0, 50.0, 5.0, 12.0, 60.0)),
        "claw": _shape(_CLAWED, _CLAWED, _CLAWED, _CLAWED, (48.0, 28.0, 18.0, 32.0, 35.0), _SPREAD),
        "pinch": _shape((61.0, 52.0, 33.0), _I, _I, _I, _OPPOSED, (0.0, 2.0, -6.0, -14.0)),
        "pinch-closed": _shape((61.0, 52.0, 33.0), _C, _C, _C, _OPPOSED),
        "squeezed": _shape((62.0, 22.0, 10.0), (60.0, 24.0, 10.0), (60.0, 24.0, 10.0), (62.0, 22.0, 10.0),
                           (23.0, 40.0, 20.0, 3.0, 87.0)),
        "bent": _shape(_B, _B, _B, _B, _ALONG),
        "hook": _shape(_HOOKED, _C, _C, _C, _ACROSS),
        "hook-two": _shape(_HOOKED, _HOOKED, _C, _C, _ACROSS, (9.0, -8.0, 0.0, 0.0)),
        "middle-bent": _shape(_I, (55.0, 20.0, 10.0), _I, _I, _OUT, _SPREAD),
        "relaxed": _shape(_RELAXED, (32.0, 34.0, 22.0), (36.0, 36.0, 24.0), (38.0, 36.0, 24.0),
                          (30.0, 28.0, 12.0, 16.0, 35.0)),
    }.items()
}  # fmt: skip
"""Name → hand shape, as the manual alphabets and number systems of sign languages use them."""


def sample_shape(rng: np.random.Generator) -> HandShape:
    """A known shape with the inaccuracy of a person, a shape on the way between two, or angles at random."""
    names = list(SHAPES)
    first, second = (SHAPES[names[i]] for i in rng.integers(len(names), size=2))
    kind = rng.random()
    if kind < 0.60:
        fingers, thumb = first.fingers, first.thumb
    elif kind < 0.85:
        # Each finger on its own way: a hand between two signs does not open like a shutter.
        way = np.clip(rng.uniform(0.0, 1.0) + rng.normal(0.0, 0.12, size=5), 0.0, 1.0)
        fingers = first.fingers + way[:4, None] * (second.fingers - first.fingers)
        thumb = first.thumb + way[4] * (second.thumb - first.thumb)
    else:
        curl = rng.uniform(0.0, 1.0, size=(4, 1)) * np.array([1.0, 1.0, 0.0, 0.0])
        fingers = FINGER_LIMITS[:, 0] + (curl + rng.normal(0.0, 0.08, size=(4, 4))) * np.ptp(FINGER_LIMITS, axis=1)
        fingers[:, 0] = np.maximum(fingers[:, 0], -8.0)
        fingers[:, 2] = 0.65 * fingers[:, 1]  # the last joint follows the middle one: one tendon bends both
        fingers[:, 3] = rng.uniform(-0.2, 1.0) * np.array(_SPREAD)
        thumb = rng.uniform(*THUMB_LIMITS.T)
    fingers = fingers + rng.normal(0.0, (5.0, 5.0, 4.0, 2.5), size=(4, 4))
    return HandShape(fingers, thumb + rng.normal(0.0, (4.0, 4.0, 5.0, 5.0, 5.0))).clipped()


def hand_points(shape: HandShape, length: float) -> np.ndarray:
    """The 21 points of a hand of ``length`` metres: (21, 3) as radial, distal and dorsal components from the wrist."""
    points = np.zeros((21, 3))
    points[1:5] = _thumb(shape.thumb)
    bend = np.radians(np.cumsum(shape.fingers[:, :3], axis=1))  # (4, 3) from the palm's plane
    side = np.radians(shape.fingers[:, 3, None])
    reach = np.cos(bend)
    steps = np.stack([reach * np.sin(side), reach * np.cos(side), -np.sin(bend)], axis=-1) * _PHALANGES[..., None]
    chains = np.concatenate([_KNUCKLES[:, None], steps], axis=1).cumsum(axis=1)
    points[5:] = chains.reshape(16, 3)
    return points * length


def nail_directions(shape: HandShape) -> np.ndarray:
    """Which way the nails face, thumb first: (5, 3) radial, distal and dorsal components of unit vectors."""
    bend = np.radians(shape.fingers[:, :3].sum(axis=1))
    side = np.radians(shape.fingers[:, 3])
    nails = np.stack([np.sin(bend) * np.sin(side), np.sin(bend) * np.cos(side), np.cos(bend)], axis=1)
    along, pad = _thumb_axes(shape.thumb)
    bend = np.radians(shape.thumb[2:4].sum())
    return np.concatenate([[np.sin(bend) * along - np.cos(bend) * pad], nails])


def _thumb_axes(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions of the metacarpal and of the pad."""
    radial, palmar, roll = np.radians(angles[[0, 1, 4]])
    along = np.array([np.cos(palmar) * np.sin(radial), np.cos(palmar) * np.cos(radial), -np.sin(palmar)])
    pad = np.array([-np.sin(roll), 0.25 * np.sin(roll), -np.cos(roll)])
    pad -= along * (pad @ along)
    return along, pad / np.linalg.norm(pad)


def _thumb(angles: np.ndarray) -> np.ndarray:
    along, pad = _thumb_axes(angles)
    middle, last = np.radians(angles[2:4])
    points = [_THUMB_ROOT]
    for bend, bone in zip((0.0, middle, middle + last), _THUMB_BONES):
        points.append(points[-1] + bone * (np.cos(bend) * along + np.sin(bend) * pad))
    return np.array(points)
