"""A picture of pictures: labelled images with their points drawn, so that people see what a dataset holds before they train on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..landmarks import LandmarkSequence
from ..landmarks.files import atomic_write
from ..video.drawing import draw_landmarks
from ..video.sources import read_image
from .keypoint_labels import LAYOUT, KeypointLabel, read_label

_TILE = 300
_MARGIN = 0.08


def write_contact_sheet(
    folder: Path, groups: Mapping[str, Sequence[str]], file: Path, *, columns: int = 8, most_rows: int = 16
) -> Path:
    """Draw some images of a ``keypoint_images`` folder, a row for each group of them, cut out around the points.

    Args:
        folder: holds ``images/`` and ``labels/``.
        groups: what to write onto a row → names of images; ``columns`` of each group, evenly spaced, and ``most_rows`` groups are shown.
        file: the PNG.
        columns, most_rows: the size of the sheet.

    Raises:
        ValueError: there is no image to show, or a label is faulty.
    """
    titles = _evenly([title for title, names in groups.items() if names], most_rows)
    if not titles:
        raise ValueError(f"There is no labelled image in {folder} to show.")
    shown = [_evenly(list(groups[title]), columns) for title in titles]
    sheet = np.full((len(shown) * _TILE, max(map(len, shown)) * _TILE, 3), 255, np.uint8)
    for row, (title, names) in enumerate(zip(titles, shown)):
        for column, name in enumerate(names):
            tile = _tile(folder, name, None if column else title)
            top, left = row * _TILE, column * _TILE
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    from PIL import Image

    atomic_write(file, lambda stream: Image.fromarray(sheet).save(stream, "PNG", optimize=True))
    return file


def draw_label(image: np.ndarray, label: KeypointLabel, text: str | None = None) -> np.ndarray:
    """A copy of an image (H, W, 3) uint8 with the visible points of its label, and a caption at its foot."""
    data = np.concatenate([label.keypoints, np.zeros((len(label.keypoints), 1), np.float32)], axis=1)
    height, width = image.shape[:2]
    sequence = LandmarkSequence(data[None], LAYOUT, fps=25.0, size=(width, height), units="pose")
    return draw_landmarks(image[None], sequence, text=text)[0]


def _tile(folder: Path, name: str, title: str | None) -> np.ndarray:
    from PIL import Image

    path = folder / "images" / name
    image = read_image(path)
    size = (image.shape[1], image.shape[0])
    label, faults = read_label(folder / "labels" / f"{path.stem}.json", path, size, f"labels/{path.stem}.json")
    if label is None:
        raise ValueError(f"{folder}: {faults[0]}")
    low, high = _view(label)
    part = Image.fromarray(image).crop((*low, *high))
    scale = _TILE / max(part.size)
    part = part.resize((max(1, round(part.width * scale)), max(1, round(part.height * scale))))
    # Drawn after scaling, so that lines are as thick in every tile.
    moved = KeypointLabel(label.id, path, part.size, ((label.keypoints - low) * scale).astype(np.float32), label.bbox)
    return draw_label(np.asarray(part), moved, title)


def _view(label: KeypointLabel) -> tuple[np.ndarray, np.ndarray]:
    """Top-left and bottom-right corner, in whole pixels, of what is around the visible points."""
    size = np.array(label.size)
    if not label.visible.any():
        return np.zeros(2, int), size
    points = label.keypoints[label.visible]
    low, high = points.min(axis=0), points.max(axis=0)
    margin = max(_MARGIN * (high - low).max(), 8)
    low, high = np.floor(np.maximum(low - margin, 0)), np.ceil(np.minimum(high + margin, size))
    return low.astype(int), high.astype(int)


def _evenly(items: list, count: int) -> list:
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]
