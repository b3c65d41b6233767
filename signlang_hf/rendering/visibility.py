"""Which points a camera sees: a ray from the camera to each point, tested against every surface of the scene.

A joint lies under its own skin, and a knuckle counts as seen from both sides of the hand. So what is hit closer to the point
than its own limb is thick does not hide it, nor does the limb itself where it comes straight at the camera; anything farther
in front does: the other hand, a sleeve across the chest, hair, a table.

A hand does not hide its own points: of a fist that is seen, annotators and MediaPipe mark all 21, and a detector that took the back of
a hand for the absence of its fingers would lose most handshapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from signlang_hf.landmarks.layout import get_layout

from .anatomy import Person
from .camera import Camera
from .hands import FINGER_RADII, THUMB_RADII
from .surface import Part

_SLACK = {
    "nose": 0.03, "eye": 0.03, "ear": 0.03, "shoulder": 0.10, "elbow": 0.065, "wrist": 0.045,
    "hip": 0.17, "knee": 0.085, "ankle": 0.06,
}  # fmt: skip
_LIMBS = {"shoulder": "arm", "elbow": "arm", "wrist": "arm", "hip": "leg", "knee": "leg", "ankle": "leg"}
_FORESHORTENED = 0.22
"""Metres of its own limb that do not hide a joint."""


@lru_cache(maxsize=1)
def _slack() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Of each of the 64 points: metres, and hand lengths, that may lie before it, and the group of parts it lies in."""
    metres, hands, limbs = np.zeros(64), np.zeros(64), [""] * 64
    for i, name in enumerate(get_layout("signlang-64").points):
        words = name.removeprefix("face_").split("_")
        if "hand" not in words:
            metres[i] = _SLACK[words[-1]]
            limbs[i] = f"{words[0]}_{_LIMBS.get(words[-1], '')}"
        elif words[2] == "wrist":
            hands[i] = 0.17
        elif words[2] == "thumb":
            hands[i] = 1.5 * THUMB_RADII[("cmc", "mcp", "ip", "tip").index(words[3])]
        else:
            joint = ("mcp", "pip", "dip", "tip").index(words[3])
            hands[i] = (1.9 if joint == 0 else 1.6) * FINGER_RADII[joint]
        if "hand" in words:
            limbs[i] = f"{words[0]}_hand"
    return metres, hands, tuple(limbs)


def visible_points(points: np.ndarray, person: Person, camera: Camera, parts: Sequence[Part]) -> np.ndarray:
    """Which of the 64 points (64, 3) lie in the picture and are not hidden: (64,) bool."""
    pixels, _ = camera.project(points)
    with np.errstate(invalid="ignore"):
        inside = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(axis=1)
    metres, hands, limbs = _slack()
    groups = sorted({part.group for part in parts})
    slack = np.repeat((metres + hands * person.hand)[:, None], len(groups), axis=1)
    for group, column in zip(groups, slack.T):
        own = [limb == group.removesuffix("_nails") for limb in limbs]
        column[own] = np.inf if group.removesuffix("_nails").endswith("_hand") else _FORESHORTENED
    seen = inside.copy()
    ordered = [[part for part in parts if part.group == group] for group in groups]
    seen[inside] = ~hidden(points[inside], slack[inside], camera.place, ordered)
    return seen


def hidden(points: np.ndarray, slack: np.ndarray, eye: np.ndarray, groups: Sequence[Sequence[Part]]) -> np.ndarray:
    """Whether a surface crosses the line from ``eye`` (3,) to each of N points (N, 3) well before it: (N,) bool.

    ``slack`` (N, G) says by how many metres for each of the G groups of parts.
    """
    pieces = [
        (part.vertices[part.faces[:, corners]], number)
        for number, parts in enumerate(groups)
        for part in parts
        for corners in ((0, 1, 2), (0, 2, 3))
    ]
    triangles = np.concatenate([piece for piece, _ in pieces])
    group = np.repeat([number for _, number in pieces], [len(piece) for piece, _ in pieces])
    # A plane through the eye bounds each triangle by angle; with that, few of the pairs need the exact test.
    corners = triangles - eye
    rays = points - eye
    distance = np.linalg.norm(rays, axis=1)
    rays = rays / distance[:, None]
    centre = corners.mean(axis=1)
    far = np.linalg.norm(centre, axis=1)
    reach = np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1)
    miss = far[None] ** 2 - np.einsum("pk,tk->pt", rays, centre) ** 2  # squared distance of a centre from a ray
    point, triangle = np.nonzero(miss <= reach[None] ** 2)
    a, b, c = corners[triangle].transpose(1, 0, 2)
    ray = rays[point]
    edge1, edge2 = b - a, c - a
    normal = np.cross(ray, edge2)  # Möller and Trumbore (1997), with the eye as origin
    determinant = (edge1 * normal).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1.0 / determinant
        u = -(a * normal).sum(axis=1) * scale
        cross = np.cross(-a, edge1)
        v = (ray * cross).sum(axis=1) * scale
        hit = (edge2 * cross).sum(axis=1) * scale
        blocks = (
            (u >= 0) & (v >= 0) & (u + v <= 1) & (hit > 1e-4) & (hit < distance[point] - slack[point, group[triangle]])
        )
    result = np.zeros(len(points), dtype=bool)
    result[point[blocks]] = True
    return result
