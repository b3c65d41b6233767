"""Layouts: which named points a landmark array holds, in which order.

Design decisions:

* A point is known by its **name**; two layouts share a point exactly when they share its name, so conversion, mirroring
  and bones are all derived from names and a user's own layout works everywhere the moment its names are given.
* ``left`` and ``right`` are the signer's own sides, never the picture's.
* Body points carry bare names (``left_wrist``), hand points ``left_hand_*`` / ``right_hand_*``, mesh points ``face_<n>``.
  A hand's own wrist (``left_hand_wrist``) and the body's (``left_wrist``) are different measurements, hence different points.
* A name is a promise: once published, the order of points under it does not change. A new order gets a new name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from .facemesh import FACE_CONTOURS, FACE_IRISES, face_mirror

MEDIAPIPE_POSE: tuple[str, ...] = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel",
    "left_foot_index", "right_foot_index",
)  # fmt: skip
"""The 33 body points of MediaPipe Pose, in its order."""

HAND: tuple[str, ...] = ("wrist", *(f"thumb_{joint}" for joint in ("cmc", "mcp", "ip", "tip"))) + tuple(
    f"{finger}_{joint}" for finger in ("index", "middle", "ring", "little") for joint in ("mcp", "pip", "dip", "tip")
)
"""The 21 points of a hand, in the order that MediaPipe, COCO-WholeBody and FreiHAND share."""

COCO_BODY: tuple[str, ...] = ("nose",) + tuple(
    f"{side}_{joint}"
    for joint in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""The 17 COCO body points."""

_LEFT_HAND = tuple(f"left_hand_{point}" for point in HAND)
_RIGHT_HAND = tuple(f"right_hand_{point}" for point in HAND)
_ARMS = tuple(f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist") for side in ("left", "right"))
_HOLISTIC = MEDIAPIPE_POSE + _LEFT_HAND + _RIGHT_HAND

# Names that mean the same anatomical point; conversion may take one for the other.
_ALIASES: dict[str, str] = {
    f"face_{point}": point for point in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
}
_ALIASES |= {point: alias for alias, point in _ALIASES.items()}

_BODY_BONES: tuple[tuple[str, str], ...] = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("mouth_left", "mouth_right"),
    ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"),
    ("head", "shoulder_center"), ("shoulder_center", "spine"), ("spine", "hip_center"),
    ("shoulder_center", "left_shoulder"), ("shoulder_center", "right_shoulder"),
    ("hip_center", "left_hip"), ("hip_center", "right_hip"),
) + tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("shoulder", "hip"), ("hip", "knee"),
        ("knee", "ankle"), ("ankle", "heel"), ("ankle", "foot"), ("heel", "foot_index"), ("heel", "big_toe"),
        ("big_toe", "small_toe"),
    )
)  # fmt: skip
_HAND_BONES: tuple[tuple[str, str], ...] = tuple(
    (("wrist" if joint == 0 else HAND[finger * 4 + joint]), HAND[finger * 4 + joint + 1])
    for finger in range(5)
    for joint in range(4)
) + (("index_mcp", "middle_mcp"), ("middle_mcp", "ring_mcp"), ("ring_mcp", "little_mcp"))
_HAND_PREFIXES = ("left_hand_", "right_hand_", "hand1_", "hand2_")

# The 68-point face of COCO-WholeBody (the iBUG 300-W scheme): partners on the left and right half of the face.
_FACE68_PAIRS = (
    [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)] + [(31, 35), (32, 34)]
    + [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    + [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]
)  # fmt: skip


@lru_cache(maxsize=1)
def _mirror_names() -> dict[str, str]:
    """Mirror partners of the points whose names do not say their side."""
    names = {f"face_{a}": f"face_{b}" for a, b in face_mirror().items()}
    for a, b in _FACE68_PAIRS:
        names[f"face68_{a}"], names[f"face68_{b}"] = f"face68_{b}", f"face68_{a}"
    return names


def mirror_name(point: str) -> str:
    """Name of the point on the other side of the body: ``left_wrist`` → ``right_wrist``, ``face_33`` → ``face_263``."""
    known = _mirror_names().get(point)
    if known is not None:
        return known
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(word, word) for word in point.split("_"))


def part_of(point: str) -> str:
    """Body part of a point by its name: ``left_hand``, ``right_hand``, ``hand1``, ``hand2``, ``face`` or ``pose``."""
    for prefix in _HAND_PREFIXES:
        if point.startswith(prefix):
            return prefix.rstrip("_")
    return "face" if point == "face" or point.startswith(("face_", "face68_")) else "pose"


@dataclass(frozen=True)
class Layout:
    """Named, ordered points of a landmark array with K points.

    Args:
        name: unique name, as stored in files and processors.
        points: K point names, all different.

    ``parts``, ``bones`` and ``mirror`` follow from the names.
    """

    name: str
    points: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(self.points))
        if not self.name or not self.points:
            raise ValueError("A layout needs a name and at least one point.")
        if len(set(self.points)) != len(self.points):
            twice = sorted({point for point in self.points if self.points.count(point) > 1})
            raise ValueError(f"Layout '{self.name}' names these points twice: {', '.join(twice)}.")

    def __len__(self) -> int:
        return len(self.points)

    def __hash__(self) -> int:  # not over hundreds of points: what follows from a layout is looked up for every clip
        return hash(self.name)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each point name."""
        return {point: i for i, point in enumerate(self.points)}

    @cached_property
    def parts(self) -> Mapping[str, tuple[int, ...]]:
        """Body part → positions of its points, in order of first appearance."""
        parts: dict[str, list[int]] = {}
        for i, point in enumerate(self.points):
            parts.setdefault(part_of(point), []).append(i)
        return {part: tuple(indices) for part, indices in parts.items()}

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """Pairs of positions that a skeleton drawing connects."""
        pairs = list(_BODY_BONES)
        for prefix in _HAND_PREFIXES:
            pairs += [(prefix + a, prefix + b) for a, b in _HAND_BONES]
        return tuple((self.index[a], self.index[b]) for a, b in pairs if a in self.index and b in self.index)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """Position of each point's mirror partner; a point whose partner is not in the layout keeps its own place."""
        return tuple(self.index.get(mirror_name(point), i) for i, point in enumerate(self.points))

    def indices(self, points: Iterable[str]) -> list[int]:
        """Positions of the named points. Raises ValueError that names the missing ones."""
        points = list(points)
        missing = [point for point in points if point not in self.index]
        if missing:
            raise ValueError(f"Layout '{self.name}' has no point {', '.join(missing)}.")
        return [self.index[point] for point in points]

    def conversion_from(self, source: Layout) -> np.ndarray:
        """For each point of this layout its position in ``source``, or -1 where ``source`` has no such point."""
        return _conversion(source, self)


@lru_cache(maxsize=256)
def _conversion(source: Layout, target: Layout) -> np.ndarray:
    index = source.index
    return np.array([index.get(point, index.get(_ALIASES.get(point, ""), -1)) for point in target.points])


_REGISTRY: dict[str, Layout] = {}


def register_layout(name: str, points: Sequence[str]) -> Layout:
    """Make a layout known under ``name``. Registering the same points again is allowed, other points are not.

    Args:
        name: name to store in files and processors.
        points: point names. Use the names of the built-in layouts where the points are the same, ``left_``/``right_`` for
            sides (the signer's own) and ``left_hand_*``/``right_hand_*`` for hands: conversion, mirroring, parts and
            bones then work without more.

    Raises:
        ValueError: the name is taken by other points, or a point is named twice.
    """
    layout = Layout(name, tuple(points))
    known = _REGISTRY.setdefault(name, layout)
    if known.points != layout.points:
        raise ValueError(f"A layout named '{name}' with other points is already registered; choose another name.")
    return known


def get_layout(name: str | Layout) -> Layout:
    """The layout of that name. Raises ValueError that lists the known names."""
    if isinstance(name, Layout):
        return name
    try:
        return _REGISTRY[name]
    except (KeyError, TypeError):
        known = ", ".join(_REGISTRY)
        raise ValueError(f"Unknown layout {name!r}; known are {known}. register_layout() adds your own.") from None


def list_layouts() -> list[str]:
    """Names of all registered layouts."""
    return list(_REGISTRY)


def _faces(count: int) -> tuple[str, ...]:
    return tuple(f"face_{i}" for i in range(count))


register_layout("mediapipe-holistic", _HOLISTIC)
register_layout("mediapipe-holistic-face468", _HOLISTIC + _faces(468))
register_layout("mediapipe-holistic-face478", _HOLISTIC + _faces(478))
register_layout("hands-42", _LEFT_HAND + _RIGHT_HAND)
register_layout("right-hand-21", _RIGHT_HAND)
register_layout("isl-48", _ARMS + _LEFT_HAND + _RIGHT_HAND)
register_layout("karsl-184", _ARMS + tuple(f"face_{i}" for i in FACE_CONTOURS + FACE_IRISES) + _RIGHT_HAND + _LEFT_HAND)
register_layout(
    "signlang-64",
    COCO_BODY
    + _LEFT_HAND
    + _RIGHT_HAND
    + tuple(f"face_{p}" for p in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")),
)
register_layout(
    "coco-wholebody-133",
    COCO_BODY
    + tuple(f"{side}_{point}" for side in ("left", "right") for point in ("big_toe", "small_toe", "heel"))
    + tuple(f"face68_{i}" for i in range(68))
    + _LEFT_HAND
    + _RIGHT_HAND,
)
register_layout("gislr-543", _faces(468) + _LEFT_HAND + MEDIAPIPE_POSE + _RIGHT_HAND)
register_layout("dgs-43", ("face",) + tuple(f"{hand}_{point}" for hand in ("hand1", "hand2") for point in HAND))
register_layout("face-hands-43", ("face", *_LEFT_HAND, *_RIGHT_HAND))
register_layout("boston-3", ("left_hand", "right_hand", "nose"))
register_layout(
    "kinect-20",
    (
        "head", "shoulder_center", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
        "right_wrist", "left_hand", "right_hand", "spine", "hip_center", "left_hip", "right_hip", "left_knee",
        "right_knee", "left_ankle", "right_ankle", "left_foot", "right_foot",
    ),
)  # fmt: skip

BUILT_IN_LAYOUTS: tuple[str, ...] = tuple(_REGISTRY)
"""Names of the layouts that every installation knows; a user's own must travel with what uses it."""
