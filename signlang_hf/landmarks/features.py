"""Per-frame features: what a model sees of a landmark sequence.

Each feature is a function of a *normalised* sequence that returns a (T, D) array; :data:`FEATURES` lists them by name and
:func:`extract_features` puts the chosen ones side by side. NaN marks what was not seen; the processor decides what becomes
of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np

from .alignment import KEY_POINTS, trajectory
from .hand_geometry import (
    angle_size,
    hand_data,
    hand_names,
    hands_relation,
    hull_shape,
    joint_angles,
    relation_size,
)
from .layout import Layout, get_layout
from .normalize import hand_shape
from .sequence import LandmarkSequence
from .vectors import length, take_points


def derivative(values: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """Time derivative per second, (T, …) → (T, …).

    Central difference over the neighbouring frames' time stamps, one-sided at the ends and beside a missing frame, NaN
    where neither neighbour is known, and 0 for a single frame (nothing is known to move).
    """
    if len(values) < 2:
        return np.where(np.isnan(values), values, np.zeros((), values.dtype))
    shape = (-1, *(1,) * (values.ndim - 1))
    slope = (values[1:] - values[:-1]) / np.diff(timestamps).astype(values.dtype).reshape(shape)
    result = np.empty_like(values)
    result[0], result[-1] = slope[0], slope[-1]
    if len(values) > 2:
        span = (timestamps[2:] - timestamps[:-2]).astype(values.dtype).reshape(shape)
        result[1:-1] = (values[2:] - values[:-2]) / span
        lost = np.isnan(result[1:-1])
        if lost.any():
            beside = np.where(np.isnan(slope[:-1]), slope[1:], slope[:-1])
            np.copyto(result[1:-1], beside, where=lost)
    return result


def _per_frame(values: np.ndarray) -> np.ndarray:
    """(T, n, d) → (T, n · d), for T = 0 as well."""
    return values.reshape(len(values), values.shape[1] * values.shape[2])


def _position(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    return _per_frame(sequence.data[..., :dims])


def _velocity(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    return derivative(_position(sequence, dims), sequence.timestamps)


def _acceleration(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    return derivative(_velocity(sequence, dims), sequence.timestamps)


def _hand_position(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    return hand_data(sequence)[..., :dims].reshape(len(sequence), 42 * dims)


def _hand_velocity(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    return derivative(_hand_position(sequence, dims), sequence.timestamps)


def _hand_acceleration(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    return derivative(_hand_velocity(sequence, dims), sequence.timestamps)


def _hand_shape(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    return _per_frame(hand_shape(sequence, hand_names(sequence.spec))[..., :dims])


# Wrist, thumb and, of each finger, knuckle, middle joint and tip: what tells one hand shape from another.
_DISTANCE_POINTS = (0, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20)
_DISTANCE_ENDS = np.array([[a + hand, b + hand] for hand in (0, 21) for a, b in combinations(_DISTANCE_POINTS, 2)]).T


def _hand_distance(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    hands = hand_shape(sequence, hand_names(sequence.spec))[..., :dims]
    first, second = _DISTANCE_ENDS
    return length(take_points(hands, first) - take_points(hands, second))


def _bone_direction(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    first, second = _bone_ends(sequence.spec)
    points = sequence.data[..., :dims]
    bone = take_points(points, second) - take_points(points, first)
    return _per_frame(bone / np.maximum(length(bone), 1e-6)[..., None])


@lru_cache(maxsize=64)
def _bone_ends(layout: Layout) -> np.ndarray:
    return np.array(layout.bones, int).reshape(-1, 2).T


def _visibility(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    return sequence.visibility


def _presence(sequence: LandmarkSequence, dims: int) -> np.ndarray:
    order, starts = _points_by_part(sequence.spec)
    return np.logical_or.reduceat(take_points(sequence.seen, order), starts, axis=1).astype(np.float32)


@lru_cache(maxsize=64)
def _points_by_part(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Positions of all points, part by part, and where in this order each part begins."""
    parts = list(layout.parts.values())
    return np.concatenate(parts), np.cumsum([0, *map(len, parts[:-1])])


Feature = Callable[..., np.ndarray]

FEATURES: dict[str, tuple[Feature, Callable[[Layout, int], int]]] = {
    "position": (_position, lambda layout, dims: len(layout) * dims),
    "velocity": (_velocity, lambda layout, dims: len(layout) * dims),
    "acceleration": (_acceleration, lambda layout, dims: len(layout) * dims),
    "hand_shape": (_hand_shape, lambda layout, dims: 42 * dims),
    "hand_distance": (_hand_distance, lambda layout, dims: _DISTANCE_ENDS.shape[1]),
    "hand_position": (_hand_position, lambda layout, dims: 42 * dims),
    "hand_velocity": (_hand_velocity, lambda layout, dims: 42 * dims),
    "hand_acceleration": (_hand_acceleration, lambda layout, dims: 42 * dims),
    "joint_angle": (joint_angles, lambda layout, dims: angle_size(dims)),
    "hull_shape": (lambda sequence, dims: hull_shape(sequence), lambda layout, dims: 4),
    "hands_relation": (lambda sequence, dims: hands_relation(sequence), lambda layout, dims: relation_size(layout)),
    "trajectory": (trajectory, lambda layout, dims: len(KEY_POINTS) * dims),
    "bone_direction": (_bone_direction, lambda layout, dims: len(layout.bones) * dims),
    "visibility": (_visibility, lambda layout, dims: len(layout)),
    "presence": (_presence, lambda layout, dims: len(layout.parts)),
}
"""Name → (function, size). With K points, dims d and T frames, in one frame:

=====================  =======  ============================================================================================
``position``           K d      coordinates p of all points
``velocity``           K d      dp/dt per second, see :func:`derivative`
``acceleration``       K d      d²p/dt²
``hand_shape``         42 d     both hands about their own wrists in palms, see :func:`.normalize.hand_shape`
``hand_distance``      210      distances between 15 points of each hand in palms; no turn of the hand changes them (d = 3)
``hand_position``      42 d     coordinates p of both hands where they are
``hand_velocity``      42 d     dp/dt of both hands
``hand_acceleration``  42 d     d²p/dt² of both hands
``joint_angle``        78       cosines of 26 angles between bones, in the planes xy, xz, yz (d = 2: 26, xy only), see
                                :func:`.hand_geometry.joint_angles`
``hull_shape``         4        4πA/P² and A/(area of the smallest rectangle) of each hand's convex hull, see
                                :func:`.hand_geometry.hull_shape`
``hands_relation``     47 + 4n  wrist to wrist, and how near finger tips and palms are to each other and to n places of
                                the body, see :func:`.hand_geometry.hands_relation`
``trajectory``         10 d     10 key points relative to a reference path that DTW aligns, see
                                :func:`.alignment.trajectory`
``bone_direction``     B d      unit vectors along the layout's B bones
``visibility``         K        visibility of each point
``presence``           parts    1 for each body part of which any point was seen
=====================  =======  ============================================================================================

``hand_position``, ``joint_angle``, ``hand_velocity``, ``hand_acceleration``, ``hull_shape`` and ``trajectory`` with three
coordinates make 126 + 78 + 126 + 126 + 4 + 30 = 490 values."""


def feature_size(layout: str | Layout, features: Sequence[str], dims: int = 3) -> int:
    """Length F of the feature vector of one frame. Raises ValueError for an unknown feature."""
    return sum(_feature(name)[1](get_layout(layout), dims) for name in features)


def extract_features(
    sequence: LandmarkSequence, features: Sequence[str], dims: int = 3, *, reference: np.ndarray | None = None
) -> np.ndarray:
    """The chosen features side by side: (T, F) float32 with NaN where something was not seen.

    Args:
        sequence: normalised landmarks.
        features: names from :data:`FEATURES`, in order.
        dims: 2 to leave z out of every feature, 3 to keep it.
        reference: reference path of ``trajectory``; see there.

    Raises:
        ValueError: an unknown feature, or which points or part of one the layout lacks.
    """
    if not features:
        raise ValueError("Choose at least one feature.")
    options = {"trajectory": {"reference": reference}}
    blocks = [_feature(name)[0](sequence, dims=dims, **options.get(name, {})) for name in features]
    return np.concatenate(blocks, axis=1, dtype=np.float32)


def _feature(name: str) -> tuple[Feature, Callable[[Layout, int], int]]:
    try:
        return FEATURES[name]
    except KeyError:
        raise ValueError(f"Unknown feature {name!r}; known are {', '.join(FEATURES)}.") from None
