"""A folder of numbered pictures as a video: how several datasets are published that were videos once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .reading import VideoChunk
from .sampling import sample_rate
from .sources import read_image

PICTURE_SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""File names that count as frames."""


def iter_pictures(
    folder: str | os.PathLike[str], rate: float, *, fps: float | None = None, chunk: int = 8
) -> Iterator[VideoChunk]:
    """Chunks of consecutive frames, as :func:`iter_video` gives them of a video.

    Args:
        folder: folder with one picture a frame. Numbers in names count as numbers: ``2.jpg`` comes before ``10.jpg``.
        rate: frames a second at which they were taken; pictures carry no time.
        fps: look at this many of them a second only. Default: all.
        chunk: most frames in a chunk.

    Raises:
        ValueError: no picture in the folder, one that cannot be read, or one of another size than the first.
    """
    files = [path for path in Path(folder).iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.name[0] != "."]
    if not files:
        raise ValueError(f"{folder} holds no picture ({', '.join(PICTURE_SUFFIXES)}).")
    files.sort(key=by_number)
    times = np.arange(len(files)) / rate
    positions = np.arange(len(files)) if fps is None else sample_rate(times, fps=fps)
    size: tuple[int, ...] | None = None
    for start in range(0, len(positions), chunk):
        part = positions[start : start + chunk]
        frames = [read_image(files[position]) for position in part]
        size = size or frames[0].shape
        other = next((files[position] for position, frame in zip(part, frames) if frame.shape != size), None)
        if other is not None:
            raise ValueError(f"{other} is of another size than the pictures before it.")
        yield VideoChunk(np.stack(frames), times[part])


def by_number(path: Path) -> list[int | str]:
    """Sorting key of file names in which numbers count as numbers."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
