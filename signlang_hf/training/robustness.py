"""What a test clip may suffer: fixed, seeded damage of stated size, to measure how much a model's accuracy falls.

Unlike :mod:`signlang_hf.landmarks.augment`, which draws how much it changes, every disturbance here always has its full size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..landmarks import LandmarkSequence
from ..landmarks.normalize import mirror

Disturbance = Callable[[LandmarkSequence, np.random.Generator], LandmarkSequence]

_FRAMES_DROPPED = 0.3
_ROLL_DEGREES = 15.0
_NOISE_SHARE = 0.05


def drop_frames(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
    """30 % of the frames are missing at random places; the others keep their time stamps."""
    frames = len(sequence)
    dropped = rng.permutation(frames)[: int(_FRAMES_DROPPED * frames)]
    return sequence.frames(np.setdiff1d(np.arange(frames), dropped)) if frames > 2 else sequence


def half_rate(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
    """Every second frame, as from a camera of half the frame rate."""
    return sequence.frames(slice(0, None, 2))


def mirrored(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
    """The signer seen in a mirror, who is a signer with the other dominant hand."""
    return mirror(sequence)


def passive_hand_missing(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
    """The hand that moves less is never seen. A clip that shows one hand only stays as it is."""
    hands = hand_points(sequence)
    path = [_path(sequence, points) for points in hands]
    return sequence if min(path) == 0 else _hide(sequence, hands[int(np.argmin(path))])


def active_hand_missing(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
    """The hand that moves more is never seen: all that is left of a one-handed sign is its arm, if the layout has arms."""
    hands = hand_points(sequence)
    return _hide(sequence, hands[int(np.argmax([_path(sequence, points) for points in hands]))])


def rolled(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
    """The camera is tilted by 15°, to the left or to the right."""
    angle = np.deg2rad(_ROLL_DEGREES) * rng.choice([-1.0, 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    isotropic = sequence.isotropic()
    data = isotropic.data.copy()
    centre = np.nanmean(data[..., :2], axis=(0, 1)) if sequence.seen.any() else 0.0
    data[..., :2] = (data[..., :2] - centre) @ turn.T + centre
    return isotropic.replace(data=data)


def noisy(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
    """Gaussian noise on every point of every frame, with 5 % of the signer's size (the root-mean-square distance of the seen
    points from their mean in the picture plane) as its standard deviation."""
    if not sequence.seen.any():
        return sequence
    isotropic = sequence.isotropic()
    plane = isotropic.data[..., :2]
    size = np.sqrt(np.nanmean(np.square(plane - np.nanmean(plane, axis=(0, 1))).sum(-1)))
    noise = rng.normal(0.0, _NOISE_SHARE * size, isotropic.data.shape).astype(np.float32)
    if not np.nan_to_num(isotropic.data[..., 2]).any():
        noise[..., 2] = 0  # landmarks without depth stay without
    return isotropic.replace(data=isotropic.data + noise)


DISTURBANCES: Mapping[str, Disturbance] = {
    "30 % of frames dropped": drop_frames,
    "half the frame rate": half_rate,
    "mirrored signer": mirrored,
    "±15° roll": rolled,
    "5 % landmark noise": noisy,
    "passive hand missing": passive_hand_missing,
    "active hand missing": active_hand_missing,
}
"""Name → disturbance."""


def hand_points(sequence: LandmarkSequence) -> tuple[list[int], list[int]]:
    """Positions of all points of each hand: its 21 points, or for layouts without them its wrist and hand joints.

    Raises:
        ValueError: the layout has no hands.
    """
    points = sequence.spec.points
    found = []
    for hand, side in (("hand1", "left"), ("hand2", "right")):
        own = [i for i, point in enumerate(points) if point.startswith((f"{side}_hand", f"{hand}_"))]
        found.append(own + [i for i, point in enumerate(points) if point == f"{side}_wrist" and own])
    if not all(found):
        raise ValueError(f"Layout '{sequence.layout}' does not have two hands.")
    return found[0], found[1]


def _path(sequence: LandmarkSequence, points: list[int]) -> float:
    """Length of the way that the points' mean goes, plus a little for being seen at all."""
    hand = sequence.isotropic().data[:, points, :2]
    seen = ~np.isnan(hand).any(axis=(1, 2))
    if not seen.any():
        return 0.0
    return 1e-6 + float(np.linalg.norm(np.diff(hand[seen].mean(axis=1), axis=0), axis=1).sum())


def _hide(sequence: LandmarkSequence, points: list[int]) -> LandmarkSequence:
    data, visibility = sequence.data.copy(), sequence.visibility.copy()
    data[:, points], visibility[:, points] = np.nan, 0.0
    return sequence.replace(data=data, visibility=visibility)
