"""Looking for the clips of a published dataset in whatever folder its user unpacked it to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ..video import PICTURE_SUFFIXES, VIDEO_SUFFIXES

EXTRACTED_SUFFIXES: tuple[str, ...] = (".npz", ".pose")
"""What ``signlang extract`` writes: landmark files that say themselves what they hold."""

Key = TypeVar("Key")


def find_clip_files(
    folder: Path, key: Callable[[PurePosixPath], Key | None], *, pictures: bool = False
) -> dict[Key, Path]:
    """Clips below ``folder``, in any depth: videos, and the landmark files that were extracted from them.

    Args:
        folder: where to look. Hidden files and folders are passed over.
        key: names the clip of a path (relative to ``folder``, without suffix), or None for what is no clip.
        pictures: a folder that holds pictures is a clip, too.

    Returns:
        key → file (or folder of pictures), sorted by path. Landmarks win over the video that they were made of.
    """
    found: dict[Key, Path] = {}
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = PurePosixPath(Path(root).relative_to(folder).as_posix())
        if pictures and any(name.lower().endswith(PICTURE_SUFFIXES) for name in files):
            clip = key(here)
            if clip is not None:
                found.setdefault(clip, Path(root))
            continue
        for name in sorted(files):
            stem, suffix = os.path.splitext(name)
            extracted = suffix.lower() in EXTRACTED_SUFFIXES
            if name.startswith(".") or not (extracted or suffix.lower() in VIDEO_SUFFIXES):
                continue
            # Of two videos that differ in their suffix only, the landmarks of the second keep it: clip.mov.npz.
            if extracted and stem.lower().endswith(VIDEO_SUFFIXES):
                stem = os.path.splitext(stem)[0]
            clip = key(here / stem)
            better = extracted and clip in found and found[clip].suffix.lower() not in EXTRACTED_SUFFIXES
            if clip is not None and (clip not in found or better):
                found[clip] = Path(root) / name
    return found
