"""What happens to a rendered picture before it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from signlang_hf.landmarks.layout import get_layout

from .anatomy import HEAD_RADII
from .scene import Scene

if TYPE_CHECKING:
    from PIL.Image import Image

_BLOCKS = 6
_MOST_STEPS = 24


def finish(picture: Image, scene: Scene) -> Image:
    """The picture as a camera with a slow shutter and a shy publisher would show it: moving hands blurred, the face hidden behind
    coarse pixels, where the scene says so. The labels stay what they are."""
    picture = _moved(picture, scene)
    return _hidden(picture, scene) if scene.mosaic else picture


def _moved(picture: Image, scene: Scene) -> Image:
    """Each hand as the mean of where it was while the shutter was open; its labels are of the middle of that time."""
    from PIL import Image

    layout = get_layout("signlang-64")
    for side, motion in zip(("left", "right"), scene.motion):
        hand = scene.pixels[list(layout.parts[f"{side}_hand"])]
        if not motion.any() or not np.isfinite(hand).all():
            continue
        low, high = hand.min(axis=0), hand.max(axis=0)
        extent = float((high - low).max())
        steps = int(min(np.ceil(np.linalg.norm(motion) * extent), _MOST_STEPS))
        if steps < 2:
            continue
        y, x = np.mgrid[: picture.height, : picture.width] + 0.5
        far = np.hypot(x - (low[0] + high[0]) / 2, y - (low[1] + high[1]) / 2) / max(extent, 1.0)
        pixels = np.asarray(picture, np.float32)
        total = np.zeros_like(pixels)
        for share in np.linspace(-0.5, 0.5, steps):
            across, down = np.round(share * motion * extent).astype(int).tolist()
            total += np.roll(pixels, (down, across), axis=(0, 1))
        weight = np.clip(2.2 - 2.0 * far, 0, 1)[..., None].astype(
            np.float32
        )  # the hand wholly, its surroundings less and less
        picture = Image.fromarray((pixels + weight * (total / steps - pixels) + 0.5).astype(np.uint8))
    return picture


def _hidden(picture: Image, scene: Scene) -> Image:
    from PIL import Image

    head, depth = scene.camera.project(scene.pose.head[None])
    half = 0.8 * HEAD_RADII[1] * scene.pose.person.head * scene.camera.focal / depth[0]
    low, high = (np.round(head[0] + side * half).astype(int) for side in (-1, 1))
    low, high = np.maximum(low, 0), np.minimum(high, picture.size)
    if (high - low < _BLOCKS).any():
        return picture
    box = (*low.tolist(), *high.tolist())
    face = picture.crop(box)
    coarse = face.resize((_BLOCKS, _BLOCKS), Image.Resampling.BOX).resize(face.size, Image.Resampling.NEAREST)
    result = picture.copy()
    result.paste(coarse, box)
    return result
