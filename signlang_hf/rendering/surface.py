"""Surfaces as triangles and quads: tubes along a path, and rings joined to a skin. Numpy only.

Everything that is drawn is a :class:`Part`: vertices, faces of four corners (the last two are equal in a triangle), and the
name of its material. Both renderers and the test of what hides what use the same parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Part:
    """``vertices`` (V, 3) metres, ``faces`` (F, 4) int, ``material`` name, ``group`` of parts that are one piece of body."""

    vertices: np.ndarray
    faces: np.ndarray
    material: str
    group: str = "body"


def tube(
    path: np.ndarray,
    radii: np.ndarray,
    side: np.ndarray,
    material: str,
    *,
    group: str = "body",
    around: int = 10,
    caps: tuple[bool, bool] = (True, True),
    rounding: float = 0.0,
) -> Part:
    """A tube with round ends along a path.

    Args:
        path: (N, 3) centres.
        radii: (N,) or (N, 2): half widths along ``side`` and across it.
        side: (3,) the direction that the first half width is measured in; it is carried along the path without twist.
        around: corners of a ring.
        caps: whether the first and the last end are closed by a round cap, or else by a flat one.
        rounding: corners of the path are rounded within so many radii.
    """
    radii = np.asarray(radii, dtype=float)
    radii = np.repeat(radii[:, None], 2, axis=1) if radii.ndim == 1 else radii
    if rounding:
        path, radii = _rounded(path, radii, rounding)
    tangents = np.gradient(path, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-9)
    across = side / np.linalg.norm(side)
    angles = np.arange(around) * 2 * np.pi / around
    circle = np.cos(angles), np.sin(angles)
    rings = []
    frames = []
    for tangent in tangents:
        across = across - tangent * (across @ tangent)
        across = across / max(float(np.linalg.norm(across)), 1e-9)
        frames.append((across, np.cross(tangent, across)))
    steps = [(0.0, 1.0)] * len(path)
    order = list(range(len(path)))
    if caps[0]:
        steps, order = [(-0.86, 0.5), (-0.5, 0.86), *steps], [0, 0, *order]
    if caps[1]:
        steps, order = [*steps, (0.5, 0.86), (0.86, 0.5)], [*order, len(path) - 1, len(path) - 1]
    for (ahead, share), i in zip(steps, order):
        first, second = frames[i]
        centre = path[i] + tangents[i] * ahead * radii[i].min()
        rings.append(
            centre + share * (radii[i, 0] * circle[0][:, None] * first + radii[i, 1] * circle[1][:, None] * second)
        )
    ends = (
        path[0] - tangents[0] * (radii[0].min() if caps[0] else 0.0),
        path[-1] + tangents[-1] * (radii[-1].min() if caps[1] else 0.0),
    )
    return loft(np.stack(rings), material, group=group, ends=ends)


def loft(
    rings: np.ndarray,
    material: str,
    *,
    group: str = "body",
    ends: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    closed: bool = True,
) -> Part:
    """Rings (R, N, 3) joined to a surface; ``ends`` are the tips that close it; ``closed``: the last corner meets the first."""
    count, around = rings.shape[:2]
    corner = np.arange(count * around).reshape(count, around)
    nxt = np.roll(corner, -1, axis=1) if closed else corner[:, 1:]
    own = corner if closed else corner[:, :-1]
    faces = [np.stack([own[:-1], nxt[:-1], nxt[1:], own[1:]], axis=-1).reshape(-1, 4)]
    vertices = [rings.reshape(-1, 3)]
    total = count * around
    for end, row, turned in ((ends[0], 0, True), (ends[1], -1, False)):
        if end is not None:
            vertices.append(np.asarray(end, dtype=float)[None])
            first, second = (nxt[row], own[row]) if turned else (own[row], nxt[row])
            tip = np.full(len(first), total)
            faces.append(np.stack([first, second, tip, tip], axis=-1))
            total += 1
    return Part(np.concatenate(vertices), np.concatenate(faces), material, group)


def ellipsoid(
    centre: np.ndarray, axes: np.ndarray, material: str, *, group: str = "body", around: int = 12, rows: int = 7
) -> Part:
    """An ellipsoid; ``axes`` (3, 3) are its half axes as vectors, the last one through the poles."""
    up = np.pi * (np.arange(1, rows + 1) / (rows + 1) - 0.5)
    angles = np.arange(around) * 2 * np.pi / around
    ring = np.cos(angles)[:, None] * axes[0] + np.sin(angles)[:, None] * axes[1]
    rings = centre + np.cos(up)[:, None, None] * ring + np.sin(up)[:, None, None] * axes[2]
    return loft(rings, material, group=group, ends=(centre - axes[2], centre + axes[2]))


def box(low: np.ndarray, high: np.ndarray, material: str, *, group: str = "furniture") -> Part:
    """A box between two corners, along the world's axes."""
    x, y, z = np.stack([low, high], axis=1)
    corners = np.array([(a, b, c) for c in z for b in y for a in x])
    faces = np.array([(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (1, 3, 7, 5), (3, 2, 6, 7), (2, 0, 4, 6)])
    return Part(corners, faces, material, group)


def sheet(grid: np.ndarray, material: str, *, group: str = "body") -> Part:
    """An open surface through a grid of points (R, N, 3)."""
    return loft(grid, material, group=group, closed=False)


def outwards(part: Part) -> np.ndarray:
    """The faces (F, 4) with their corners anticlockwise seen from outside: a limb built on mirrored axes has them turned."""
    corners = part.vertices[part.faces] - part.vertices.mean(axis=0)
    volume = sum(
        np.einsum("fk,fk->", corners[:, 0], np.cross(corners[:, a], corners[:, b])) for a, b in ((1, 2), (2, 3))
    )
    return part.faces if volume >= 0 else part.faces[:, [1, 0, 3, 2]]


def spline(points: np.ndarray, count: int) -> np.ndarray:
    """``count`` places along a Catmull-Rom curve through ``points`` (N, D), evenly in the points' own parameter."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0.0, len(points) - 1 - 1e-9, count)
    i, f = t.astype(int), (t % 1.0)[:, None]
    a, b, c, d = (padded[i + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3)


def _rounded(path: np.ndarray, radii: np.ndarray, rounding: float) -> tuple[np.ndarray, np.ndarray]:
    """Each inner corner replaced by a quadratic Bézier arc of three points, so that a bent joint has no crease."""
    both = np.concatenate([path, radii], axis=1)
    result = [both[0]]
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    for i in range(1, len(path) - 1):
        cut = rounding * radii[i].mean()
        before = both[i] + min(cut / lengths[i - 1], 0.45) * (both[i - 1] - both[i])
        after = both[i] + min(cut / lengths[i], 0.45) * (both[i + 1] - both[i])
        result += [before, 0.25 * before + 0.5 * both[i] + 0.25 * after, after]
    result.append(both[-1])
    joined = np.array(result)
    return joined[:, :3], joined[:, 3:]
