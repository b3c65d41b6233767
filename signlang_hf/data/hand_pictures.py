"""Pictures of hands out of pictures of people: each hand that is to be seen becomes a row of its own, cut out with its surroundings.

Every hand is a right one: a left hand's picture is mirrored. What learns from them has one hand to learn instead of two, and twice as
many of it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..landmarks import get_layout
from .keypoint_labels import box_of, keypoint_features

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL.Image import Image

LAYOUT = "right-hand-21"
"""Layout of the points of the rows."""
_FEWEST = 10  # points of a hand that is worth learning from
_SURROUNDINGS = (
    3.2  # side of the picture in longer sides of the hand's box: an augmenter moves, turns and shrinks within it
)
_LARGEST = 320  # pixels of its side, which are enough for any network that looks at hands
_SIDES = {side: get_layout("signlang-64").indices(get_layout("hands-42").points[start : start + 21])
          for side, start in (("left", 0), ("right", 21))}  # fmt: skip


def hand_pictures(rows: Dataset) -> Dataset:
    """Rows of a dataset of people with the 64 points → one row for each hand of which at least ten points are to be seen, with the 21
    points of the layout ``right-hand-21``, the box around them, and the same ``source``."""
    unused = [name for name in rows.column_names if name == "area"]
    return rows.map(
        _hands, batched=True, batch_size=32, writer_batch_size=256, remove_columns=unused,
        features=keypoint_features(points=21), desc="Cutting out hands",
    )  # fmt: skip


def _hands(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    made: dict[str, list[Any]] = {name: [] for name in keypoint_features(points=21)}
    for row in range(len(batch["id"])):
        points, seen = np.array(batch["keypoints"][row], np.float32), np.array(batch["visible"][row], bool)
        image = None
        for side, hand in _SIDES.items():
            if seen[hand].sum() < _FEWEST:
                continue
            image = batch["image"][row].convert("RGB") if image is None else image
            picture, found = _cut_out(image, np.where(seen[hand, None], points[hand], np.nan), mirror=side == "left")
            stream = io.BytesIO()
            picture.save(stream, "JPEG", quality=95, subsampling=0)
            values = {
                "id": f"{batch['id'][row]}-{side}",
                "image": {"bytes": stream.getvalue(), "path": None},
                "width": picture.width,
                "height": picture.height,
                "keypoints": np.nan_to_num(found),
                "visible": seen[hand].tolist(),
                "bbox": box_of(found, picture.size).tolist(),
                "source": batch["source"][row],
            }
            for name, value in values.items():
                made[name].append(value)
    return made


def _cut_out(image: Image, points: np.ndarray, *, mirror: bool) -> tuple[Image, np.ndarray]:
    """The surroundings of the points (K, 2) that are not NaN, as far as the picture goes, and the points in them."""
    from PIL import Image as Images

    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    half = max(float((high - low).max()), 8.0) * _SURROUNDINGS / 2
    left, top = np.maximum(np.floor((low + high) / 2 - half), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil((low + high) / 2 + half), image.size).astype(int).tolist()
    picture, points = image.crop((left, top, right, bottom)), points - [left, top]
    shrink = -(-max(picture.size) // _LARGEST)
    if shrink > 1:  # by whole pixels, which lie where they lay
        picture, points = picture.reduce(shrink), points / shrink
    if mirror:
        picture = picture.transpose(Images.Transpose.FLIP_LEFT_RIGHT)
        points = np.array([picture.width, 0]) + points * [-1, 1]
    return picture, points.astype(np.float32)


__all__ = ["LAYOUT", "hand_pictures"]
