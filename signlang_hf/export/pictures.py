"""Pictures on which the ranges of a detector are measured before it is put into int8."""

from __future__ import annotations

import os

import numpy as np

from ..pipelines.clip_files import clip_files
from ..video import PICTURE_SUFFIXES, VIDEO_SUFFIXES, read_video
from .quantizing import PICTURES


def calibration_pictures(source: str | os.PathLike[str], count: int = PICTURES) -> list[np.ndarray]:
    """Up to ``count`` pictures (H, W, 3) uint8 RGB, spread evenly over the pictures and videos of a folder, and over each video.

    Raises:
        FileNotFoundError, ValueError: there is none, or one cannot be read.
    """
    files = list(clip_files(os.fspath(source), (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES), "picture or video"))
    files = files[:: max(1, len(files) // count)][:count]
    each = -(-count // len(files))
    found = []
    for file in files:
        is_video = file.lower().endswith(tuple(VIDEO_SUFFIXES))
        found += list(read_video(file, num_frames=each if is_video else 1).frames)
    return found[:count]


__all__ = ["calibration_pictures"]
