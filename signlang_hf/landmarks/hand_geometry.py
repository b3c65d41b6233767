"""What hands look like and where they are: joint angles, hulls, and how hands stand to each other and to the body.

Design decisions:

* The hands of a layout are ``left_hand`` and ``right_hand``, or ``hand1`` and ``hand2`` where nobody knows their sides.
* Everything here is free of size: angles, ratios, or lengths in **palms** (wrist to middle knuckle, the clip's median),
  because a palm is seen whenever a hand is. So it means the same after every normalisation.
* A hull and the relations between body parts live in the picture's plane (x, y): an estimator measures the depth of
  each hand from that hand's own wrist and the body's from the hips, so depths of different parts do not compare.
* A hand that was not seen gives NaN and takes nothing else with it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from .layout import HAND, Layout
from .sequence import LandmarkSequence
from .vectors import length, take_points

_PAIRS_OF_HANDS = (("left_hand", "right_hand"), ("hand1", "hand2"))
_EPSILON = 1e-6


def hand_names(layout: Layout) -> tuple[str, str]:
    """The two hands of a layout. Raises ValueError that says which one it lacks."""
    for hands in _PAIRS_OF_HANDS:
        if layout.parts.keys() >= set(hands):
            return hands
    missing = [hand for hand in _PAIRS_OF_HANDS[0] if hand not in layout.parts]
    raise ValueError(f"Layout '{layout.name}' has no {' or '.join(missing)}; hand features need it.")


@lru_cache(maxsize=64)
def _hand_indices(layout: Layout) -> np.ndarray:
    return np.array([layout.indices(f"{hand}_{point}" for point in HAND) for hand in hand_names(layout)])


def hand_data(sequence: LandmarkSequence) -> np.ndarray:
    """(T, 2, 21, 3) points of both hands. Raises ValueError that says which hand or points the layout lacks."""
    return take_points(sequence.data, _hand_indices(sequence.spec))


def palm_length(hands: np.ndarray) -> np.ndarray:
    """(2,) the clip's median distance from wrist to middle knuckle of each hand; NaN for a hand never seen."""
    return _median(length(hands[:, :, HAND.index("middle_mcp")] - hands[:, :, 0]))


# ------------------------------------------------------------------------------------------------------ joint angles


def _angle_bones() -> tuple[tuple[tuple[str, str], tuple[str, str]], ...]:
    fingers = ("index", "middle", "ring", "little")
    knuckles = [(("wrist", f"{f}_mcp"), (f"{f}_mcp", f"{f}_pip")) for f in fingers]
    middle_joints = [((f"{f}_mcp", f"{f}_pip"), (f"{f}_pip", f"{f}_dip")) for f in fingers]
    thumb = [(("thumb_mcp", "thumb_ip"), ("thumb_ip", "thumb_tip"))]
    proximal = [("thumb_cmc", "thumb_mcp"), *((f"{f}_mcp", f"{f}_pip") for f in fingers)]
    return (*knuckles, *middle_joints, *thumb, *pairwise(proximal))


ANGLE_BONES: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = _angle_bones()
"""The 13 bone pairs of a hand: how far each of the four fingers is bent at its knuckle (palm bone, first phalanx) and
at its middle joint (first, second phalanx), how far the thumb is bent at its last joint, and how far neighbouring
digits are spread (the bones that leave thumb base, index, middle, ring and little knuckle, four pairs). The outermost
finger joints are left out: no one bends them without the middle joint. Both hands together: 26 pairs."""

_PLANES = ((0, 1), (0, 2), (1, 2))
_ANGLE_POINTS = np.array([[[HAND.index(point) for point in bone] for bone in pair] for pair in ANGLE_BONES])


def joint_angles(sequence: LandmarkSequence, dims: int = 3) -> np.ndarray:
    """Cosines of the angles between the 13 bone pairs :data:`ANGLE_BONES` of each hand, projected on planes.

    For bones u, v and the plane (a, b): (u_a v_a + u_b v_b) / (|(u_a, u_b)| |(v_a, v_b)|); 0 where a bone stands
    upright on the plane and has no direction in it.

    Returns:
        (T, 2 · 13 · planes) float32 in [-1, 1], by hand, pair, plane; planes are xy, xz and yz, with ``dims`` = 2
        only xy.
    """
    hands = hand_data(sequence)
    bones = hands[:, :, _ANGLE_POINTS[..., 1]] - hands[:, :, _ANGLE_POINTS[..., 0]]  # (T, 2, 13, 2, 3)
    first, second = bones[:, :, :, 0], bones[:, :, :, 1]
    cosines = []
    for a, b in _PLANES if dims == 3 else _PLANES[:1]:
        dot = first[..., a] * second[..., a] + first[..., b] * second[..., b]
        lengths = np.hypot(first[..., a], first[..., b]) * np.hypot(second[..., a], second[..., b])
        cosines.append(dot / np.maximum(lengths, _EPSILON**2))
    return np.stack(cosines, axis=3).clip(-1, 1).reshape(len(hands), angle_size(dims))


def angle_size(dims: int) -> int:
    """Values of :func:`joint_angles` in a frame."""
    return 2 * len(ANGLE_BONES) * (len(_PLANES) if dims == 3 else 1)


# -------------------------------------------------------------------------------------------------------------- hull


def convex_hull(points: np.ndarray) -> np.ndarray:
    """Corners of the convex hulls of M point sets at once, by gift wrapping (Jarvis 1973).

    Args:
        points: (M, N, 2) without NaN; N at least 1.

    Returns:
        (M, H) positions of the corners, from the lowest one in the direction of growing angle; rows that have
        fewer than H corners are filled up with their first. Points on an edge may count as corners.
    """
    points = points.astype(np.float64)
    rows = np.arange(len(points))
    lowest = points[..., 1] == points[..., 1].min(axis=1, keepdims=True)
    start = np.where(lowest, points[..., 0], np.inf).argmin(axis=1)
    corners, current = [start], start
    heading, closed = np.zeros(len(points)), np.zeros(len(points), bool)
    for _ in range(points.shape[1] - 1):
        offset = points - points[rows, current][:, None]
        angle = np.arctan2(offset[..., 1], offset[..., 0]) % (2 * np.pi)
        # A hull only turns one way: its next corner is the first that a ray meets which turns on from the last edge.
        # The tolerance keeps points on that edge, whose angle is the same but for rounding.
        ahead = (offset != 0).any(axis=2) & (angle > heading[:, None] - 1e-9)
        angle[~ahead] = np.inf
        following = np.where(closed | ~ahead.any(axis=1), start, angle.argmin(axis=1))
        closed |= following == start
        if closed.all():
            break
        heading, current = angle[rows, following], following
        corners.append(following)
    return np.stack(corners, axis=1)


def hull_shape(sequence: LandmarkSequence) -> np.ndarray:
    """Circularity and rectangularity of the convex hull of each hand in the picture's plane.

    With A the hull's area and P its perimeter: circularity = 4πA / P² (1 for a disc, towards 0 for a line) and
    rectangularity = A / the area of the smallest rectangle around it, which has a side along one of the hull's edges
    (Freeman & Shapira 1975). Both 0 when the seen points lie on a line.

    Returns:
        (T, 4) float32: circularity and rectangularity of the first hand, then of the second; NaN for a hand of
        which fewer than three points were seen.
    """
    hands = hand_data(sequence)[..., :2].reshape(-1, len(HAND), 2)
    shape = np.full((len(hands), 2), np.nan, np.float32)
    seen = ~np.isnan(hands[..., 0])
    enough = seen.sum(axis=1) >= 3
    if enough.any():
        hands, seen = hands[enough], seen[enough]
        # A missing point takes the place of a seen one, where it changes no hull.
        stand_in = hands[np.arange(len(hands)), seen.argmax(axis=1)]
        shape[enough] = _hull_shape(np.where(seen[..., None], hands, stand_in[:, None]))
    return shape.reshape(len(sequence), 4)


def _hull_shape(points: np.ndarray) -> np.ndarray:
    """(M, 2) circularity and rectangularity of M sets of points (M, N, 2)."""
    corners = np.take_along_axis(points, convex_hull(points)[..., None], axis=1).astype(np.float64)
    corners -= corners[:, :1]  # the shoelace formula loses less near the origin
    following = np.roll(corners, -1, axis=1)
    edges = following - corners
    sides = length(edges)
    area = 0.5 * np.abs((corners[..., 0] * following[..., 1] - corners[..., 1] * following[..., 0]).sum(axis=1))
    perimeter = sides.sum(axis=1)
    along = edges / np.where(sides > 0, sides, 1)[..., None]
    across = np.stack([-along[..., 1], along[..., 0]], axis=2)
    extents = [np.ptp(corners @ direction.swapaxes(1, 2), axis=1) for direction in (along, across)]
    rectangle = np.where(sides > 0, extents[0] * extents[1], np.inf).min(axis=1)  # no edge at all: infinite
    circularity = _ratio(4 * np.pi * area, perimeter**2)
    return np.stack([circularity, _ratio(area, rectangle)], axis=1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


# --------------------------------------------------------------------------------------------------------- relations

_TIPS = [HAND.index(f"{finger}_tip") for finger in ("thumb", "index", "middle", "ring", "little")]
_PALM = [0, *(HAND.index(f"{finger}_mcp") for finger in ("index", "middle", "ring", "little"))]

# Places on the body that signs are made at, and what each may be called; several points stand for their midpoint.
_PLACES: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("nose",), ("face_1",), ("face_nose",), ("head",), ("face",)),
    (("mouth_left", "mouth_right"), ("face_13", "face_14"), ("face68_62", "face68_66")),
    (("left_shoulder",),),
    (("right_shoulder",),),
)


@lru_cache(maxsize=64)
def _places(layout: Layout) -> tuple[list[int], ...]:
    """For each place of the body that the layout has: the positions of its points."""
    found = (next((names for names in place if layout.index.keys() >= set(names)), None) for place in _PLACES)
    return tuple(layout.indices(names) for names in found if names is not None)


def hands_relation(sequence: LandmarkSequence) -> np.ndarray:
    """Where the hands are to each other and to the body, in the picture's plane, in units of the mean of both palms.

    * 2: the vector from the left wrist to the right wrist;
    * 25: nearness of each finger tip of the left hand to each of the right;
    * 10 + 10: nearness of each tip of one hand to the other's wrist and palm centre, left tips first;
    * 4 for each of nose (or head, or face), mouth, left and right shoulder that the layout has: nearness to it of the
      left hand's index tip and palm centre, then of the right hand's.

    Nearness is 1 / (1 + d) for a distance of d palms: 1 where they touch, fine where contact is decided and coarse far
    off, and towards 0 for what is far away, so that a missing hand, which ends as 0 in a model's input, is not one that
    touches.

    Returns:
        (T, 47 + 4 · places) float32, NaN for each value whose hand or place was not seen.
    """
    hands = hand_data(sequence)
    palms = palm_length(hands)
    unit = palms[~np.isnan(palms)].mean() if (~np.isnan(palms)).any() else np.float32(np.nan)
    unit = np.where(unit > _EPSILON, unit, np.float32(1.0))  # nobody seen, or all points in one place
    plane = hands[..., :2] / unit
    centre = plane[:, :, _PALM].mean(axis=2, keepdims=True)
    tips, base = plane[:, :, _TIPS], np.concatenate([plane[:, :, :1], centre], axis=2)
    reaching = np.concatenate([tips[:, :, 1:2], centre], axis=2).reshape(len(plane), 4, 2)
    body = sequence.data[..., :2] / unit
    values = [
        plane[:, 1, 0] - plane[:, 0, 0],
        _nearness(tips[:, 0], tips[:, 1]),
        _nearness(tips[:, 0], base[:, 1]),
        _nearness(tips[:, 1], base[:, 0]),
        *(_nearness(body[:, place].mean(axis=1, keepdims=True), reaching) for place in _places(sequence.spec)),
    ]
    return np.concatenate(values, axis=1)


def relation_size(layout: Layout) -> int:
    """Values of :func:`hands_relation` in a frame."""
    return 47 + 4 * len(_places(layout))


def _nearness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(T, a, 2) and (T, b, 2) → (T, a · b) values 1 / (1 + distance)."""
    distance = length(first[:, :, None] - second[:, None])
    return (1 / (1 + distance)).reshape(len(first), first.shape[1] * second.shape[1])


def _median(values: np.ndarray) -> np.ndarray:
    """Median of each column over the values that are not NaN; NaN, without a warning, where there are none."""
    seen = ~np.isnan(values)
    return np.array([np.median(v[s]) if s.any() else np.nan for v, s in zip(values.T, seen.T)], np.float32)
