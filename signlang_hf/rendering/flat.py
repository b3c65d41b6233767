"""The cheap renderer: the scene's surfaces as flat-shaded polygons, the farthest first, drawn by Pillow.

No Blender, no shadows, some tens of milliseconds. It serves tests and adds variety to training; its labels are those of
the Blender renderer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .scene import Scene
from .surface import Part, outwards

if TYPE_CHECKING:
    from PIL.Image import Image

_OVERSAMPLING = 2
# Metres that a thin cover is drawn nearer than it is: the order of whole faces cannot tell it from the skin below.
_LIFT = {
    "shirt": 0.025,
    "nail": 0.006,
    "eye": 0.01,
    "iris": 0.02,
    "lip": 0.015,
    "brow": 0.015,
    "frame": 0.03,
    "hair": 0.01,
}


def render_flat(scene: Scene) -> Image:
    """The scene as an RGB picture of the camera's size."""
    from PIL import Image, ImageDraw

    camera = scene.camera
    size = camera.width * _OVERSAMPLING, camera.height * _OVERSAMPLING
    background = Image.fromarray(np.round(scene.background * 255).astype(np.uint8)).resize(
        size, Image.Resampling.BILINEAR
    )
    draw = ImageDraw.Draw(background)
    polygons, colours, depths = [], [], []
    for part in scene.parts:
        corners, colour, depth = _shaded(part, scene)
        polygons.append(corners)
        colours.append(colour)
        depths.append(depth)
    corners, colour = np.concatenate(polygons), np.concatenate(colours)
    order = np.argsort(-np.concatenate(depths), kind="stable")
    flat = corners.reshape(len(corners), -1)[order].tolist()
    for outline, fill in zip(flat, map(tuple, colour[order].tolist())):
        draw.polygon(outline, fill=fill)
    return background.resize((camera.width, camera.height), Image.Resampling.BOX)


def _shaded(part: Part, scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the faces turned to the camera: corners (F, 4, 2) in oversampled pixels, colours (F, 3) uint8, depths (F,)."""
    corners = part.vertices[outwards(part)]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    middle = corners.mean(axis=1)
    facing = np.einsum("fk,fk->f", normal, middle - scene.camera.place) < 0
    pixels, depth = scene.camera.project(corners.reshape(-1, 3))
    pixels, depth = pixels.reshape(-1, 4, 2), depth.reshape(-1, 4)
    keep = facing & (depth > 0.02).all(axis=1)
    pixels, depth, normal, middle = pixels[keep], depth[keep], normal[keep], middle[keep]

    light = np.broadcast_to(scene.ambient, normal.shape).copy()
    for lamp in scene.lights:
        light += (lamp.strength * np.clip(normal @ lamp.towards * 0.85 + 0.15, 0.0, None))[:, None] * lamp.colour
    colour = _colour(part, scene, middle) * light
    depth = depth.mean(axis=1) - _LIFT.get(part.material, 0.0)
    return pixels * _OVERSAMPLING, np.round(np.clip(colour, 0, 1) * 255).astype(np.uint8), depth


def _colour(part: Part, scene: Scene, middle: np.ndarray) -> np.ndarray:
    look = scene.look
    base = np.broadcast_to(look.colours[part.material], middle.shape)
    if part.material != "shirt" or look.pattern == "plain":
        return base
    cells = (middle - scene.pose.pelvis) / max(look.pattern_size, 0.03)
    even = np.floor(cells[:, 2]).astype(int) % 2 == 0
    if look.pattern == "checks":
        even ^= np.floor(cells[:, 0]).astype(int) % 2 == 0
    elif look.pattern == "mottled":
        even = np.sin(cells @ np.array([2.1, 1.3, 1.7])) + np.sin(cells @ np.array([-1.1, 2.3, 2.9])) > 0
    return np.where(even[:, None], base, look.pattern_colour)
