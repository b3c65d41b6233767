"""The head: skull, face, ears, hair, and at times a beard or glasses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .anatomy import FACE
from .looks import Look
from .pose import Pose
from .surface import Part, ellipsoid, loft, sheet, spline, tube

# In head heights: height above the head's middle · half width · foremost · backmost.
_PROFILE = np.array(
    [
        (-0.500, 0.090, -0.360, -0.200),
        (-0.455, 0.165, -0.405, -0.130),
        (-0.360, 0.235, -0.420, 0.020),
        (-0.220, 0.288, -0.430, 0.200),
        (-0.080, 0.325, -0.425, 0.350),
        (0.060, 0.345, -0.430, 0.430),
        (0.200, 0.345, -0.425, 0.450),
        (0.320, 0.315, -0.385, 0.420),
        (0.420, 0.240, -0.285, 0.330),
        (0.480, 0.135, -0.150, 0.200),
    ]
)
_AROUND = 20
_COLUMNS = 24


def head_parts(pose: Pose, look: Look) -> list[Part]:
    """Surfaces of the head in world coordinates."""
    person = pose.person
    wide = np.array([person.face_width, 1.0, 1.0])

    def world(local: np.ndarray) -> np.ndarray:
        return pose.head + (local * wide * person.head) @ pose.head_frame

    def blob(
        centre: tuple[float, float, float], radii: tuple[float, float, float], material: str, **shape: Any
    ) -> Part:
        return ellipsoid(
            world(np.array(centre)), np.diag(radii) * wide * person.head @ pose.head_frame, material, **shape
        )

    def line(
        path: list[tuple[float, float, float]], radii: list[float], material: str, around: int = 8, group: str = "body"
    ) -> Part:
        centres, thick = world(np.array(path)), np.array(radii) * person.head
        return tube(centres, thick, pose.head_frame[0], material, around=around, group=group)

    rings = np.stack([_ring(row, _AROUND) for row in spline(_PROFILE, 18)])
    tips = world(np.array([0.0, -0.28, -0.505])), world(np.array([0.0, 0.03, 0.50]))
    parts = [
        loft(world(rings), "skin", ends=tips, group="head"),
        line([(0, -0.41, 0.03), (0, -0.455, -0.08), (0, -0.478, -0.160)], [0.030, 0.040, 0.048], "skin", group="head"),
        blob((0, -0.452, -0.185), (0.074, 0.048, 0.036), "skin", group="head"),
    ]
    for side in (1.0, -1.0):
        x, y, z = FACE["left_eye"]
        parts += [
            blob((side * x, y + 0.022, z), (0.066, 0.034, 0.034), "eye", around=10, rows=5),
            blob((side * x, y + 0.002, z), (0.027, 0.018, 0.029), "iris", around=10, rows=5),
            line(
                [
                    (side * (x + s), _front(x + s, z + h) - 0.004, z + h)
                    for s, h in ((-0.07, 0.045), (0, 0.054), (0.07, 0.03))
                ],
                [0.016, 0.02, 0.016],
                "skin",
            ),
            line(
                [
                    (side * s, _front(s, z + h) - 0.006, z + h)
                    for s, h in ((0.065, 0.105), (0.14, 0.128), (0.235, 0.095))
                ],
                [0.016, 0.02, 0.010],
                "brow",
            ),
            blob(
                (side * FACE["left_ear"][0], 0.035, -0.06),
                (0.032, 0.07, 0.115),
                "skin",
                around=10,
                rows=5,
                group="head",
            ),
        ]
    half, gap = 0.115, look.mouth_open
    for up, thick in ((0.5, 0.020), (-0.5, 0.026)):
        lip = [(x, _front(x, -0.31) - 0.006, -0.315 + up * (0.022 + 2 * gap * (1 - (x / half) ** 2)))
               for x in (-half, -0.055, 0.0, 0.055, half)]  # fmt: skip
        parts.append(line(lip, [0.010, thick, thick, thick, 0.010], "lip"))
    parts.append(blob((0, _front(0, -0.31) + 0.012, -0.315), (0.085, 0.02, 0.012 + gap), "mouth", around=8, rows=4))
    parts += [Part(world(part.vertices), part.faces, part.material) for part in _hair(look)]
    if look.beard:
        parts.append(sheet(world(_beard()), "hair"))
    if look.glasses:
        parts += [_lens(world, side, person.head) for side in (1.0, -1.0)]
        parts.append(line([(-0.06, -0.45, 0.02), (0.06, -0.45, 0.02)], [0.01, 0.01], "frame", 6))
    return parts


def _row(z: float) -> np.ndarray:
    return np.array([z, *(np.interp(z, _PROFILE[:, 0], _PROFILE[:, i]) for i in (1, 2, 3))])


def _ring(row: np.ndarray, around: int) -> np.ndarray:
    z, width, front, back = row
    angles = np.arange(around) * 2 * np.pi / around - np.pi / 2  # starts at the front
    x = width * np.cos(angles)
    y = (front + back) / 2 + (back - front) / 2 * np.sin(angles)
    return np.stack([x, y, np.full(around, z)], axis=-1)


def _front(x: float, z: float) -> float:
    """y of the face's surface."""
    _, width, front, back = _row(z)
    return (front + back) / 2 - (back - front) / 2 * np.sqrt(max(1.0 - (x / width) ** 2, 0.0))


def _hair(look: Look) -> list[Part]:
    """A shell over the skull that ends at the hairline, and hangs down behind it where the hair is long."""
    if look.hair == "bald":
        return []
    grow = look.hair_thickness
    turn = np.abs(np.arange(_COLUMNS) * 2 * np.pi / _COLUMNS - np.pi)  # pi: front, 0: back
    front = np.pi - turn
    side, nape = {"short": (0.0, -0.30), "medium": (-0.30, -0.50), "long": (-0.45, -look.hair_length)}.get(
        look.hair, (0.02, -0.32)
    )
    if look.hair == "scarf":
        side, nape, grow = -0.52, -0.75, max(grow, 0.05)
    low = np.interp(front, [0.0, 0.55, 1.15, 1.65, 2.1, np.pi], [0.30, 0.27, 0.12, side, 0.5 * (side + nape), nape])
    if look.hair == "scarf":
        low = np.interp(front, [0.0, 0.5, 0.95, 1.3, np.pi], [0.26, 0.22, -0.1, -0.55, nape])
    share = np.linspace(0.0, 1.0, 14)[:, None]
    z = 0.485 + (low - 0.485) * share**0.85
    thickness = grow * (0.35 + 0.65 * np.minimum(1.0, (z - low) / 0.12)) + 0.01
    below = np.clip(-0.1 - z, 0.0, 1.0)
    width, first, last = (np.interp(np.maximum(z, -0.1), _PROFILE[:, 0], _PROFILE[:, i]) for i in (1, 2, 3))
    width = width + 0.10 * np.minimum(below, 0.8)
    angles = np.arange(_COLUMNS) * 2 * np.pi / _COLUMNS - np.pi / 2
    x = (width + thickness) * np.cos(angles)
    y = (first + last) / 2 + ((last - first) / 2 + thickness) * np.sin(angles)
    y = np.where(below > 0, np.maximum(y, -0.30 + 0.25 * below), y)  # what hangs falls behind the shoulders
    rows = np.stack([x, y, z + grow * np.clip((z - 0.3) / 0.2, 0.0, None)], axis=-1)
    parts = [loft(rows, "hair", ends=(np.array([0.0, 0.02, 0.505 + grow]), None))]
    if look.hair == "bun":
        parts.append(ellipsoid(np.array([0.0, 0.42, 0.30]), np.diag([0.15, 0.15, 0.15]), "hair"))
    if look.hair == "scarf":
        neck = np.stack([_ring(np.array([z, w, f, 0.18]), _COLUMNS) for z, w, f in
                         ((-0.42, 0.29, -0.43), (-0.56, 0.29, -0.36), (-0.75, 0.33, -0.33), (-0.95, 0.42, -0.38))])  # fmt: skip
        parts.append(loft(neck, "hair"))
    return parts


def _beard() -> np.ndarray:
    """Chin and cheeks, a little in front of the skin."""
    angles = np.linspace(-np.pi / 2 - 1.35, -np.pi / 2 + 1.35, 14)
    rows = []
    for z in (-0.20, -0.27, -0.36, -0.44, -0.50):
        _, width, front, back = _row(z)
        y = (front + back) / 2 + ((back - front) / 2 + 0.012) * np.sin(angles)
        x = (width + 0.012) * np.cos(angles)
        # The mouth and what is above it stay free.
        centre = np.exp(-((x / 0.17) ** 2))
        rows.append(np.stack([x, y, z - 0.15 * centre * max(0.0, (z + 0.44) / 0.24)], axis=-1))
    return np.array(rows)


def _lens(world: Callable[[np.ndarray], np.ndarray], side: float, size: float) -> Part:
    angles = np.linspace(0.0, 2 * np.pi, 13)
    x, _, z = FACE["left_eye"]
    path = np.stack(
        [side * x + 0.095 * np.cos(angles), np.full(13, -0.455), z - 0.01 + 0.075 * np.sin(angles)], axis=-1
    )
    return tube(world(path), np.full(13, 0.011 * size), np.array([0.0, 1.0, 0.0]), "frame", around=6)
