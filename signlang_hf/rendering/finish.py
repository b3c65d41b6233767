"""What happens to a rendered picture before it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .anatomy import HEAD_RADII
from .scene import Scene

if TYPE_CHECKING:
    from PIL.Image import Image

_BLOCKS = 6


def finish(picture: Image, scene: Scene) -> Image:
    """The picture with the face hidden behind coarse pixels where the scene says so; the labels stay what they are."""
    if not scene.mosaic:
        return picture
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
