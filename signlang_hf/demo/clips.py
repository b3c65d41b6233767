"""A clip that somebody gives to a Space → its landmarks, within limits.

Design decisions:

* How long and how large a clip is, is looked at before anything is decoded; what it says itself is checked again by what comes out.
* One estimator serves everybody by turns: a tracker knows one signer at a time.
* Landmarks of the last few clips are kept, so that another model, or the heat after the answer, costs no second look. Gradio names an
  upload by its content, so a path is a clip.
"""

from __future__ import annotations

import threading
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import settings

if TYPE_CHECKING:
    from ..landmarks import LandmarkSequence

SUFFIXES = (".pose", ".npz")
"""Landmark files that name their own points."""
NOTHING = "There is no clip yet: record one, upload one, or take an example."
_SECONDS, _FPS = 30.0, 30.0
_SIDE = 4096  # pixels
_UNPACKED = 300e6  # bytes of an .npz
_KEPT = 8

_looking = threading.Lock()
_estimator: Any = None
_known: OrderedDict[tuple[str, int, int], LandmarkSequence] = OrderedDict()


@dataclass(frozen=True)
class Clip:
    """What was seen in a clip: ``landmarks``, and the ``video`` that they came from, if it is one."""

    landmarks: LandmarkSequence
    video: Path | None


def longest() -> float:
    """Seconds that a clip may have."""
    return settings.number("MAX_SECONDS", _SECONDS)


def read_clip(video: str | None, landmarks: str | None = None) -> Clip:
    """Landmarks of a video or of a landmark file.

    Args:
        video: path of a video.
        landmarks: path of a ``.pose`` or ``.npz`` file; one of the two.

    Raises:
        ValueError: none or both, a clip that is too long or too large, or one that cannot be read.
        ImportError: what finds landmarks is not installed.
    """
    path = check(video, landmarks)
    about = path.stat()
    key = (str(path), about.st_mtime_ns, about.st_size)
    with _looking:
        if key not in _known:
            _known[key] = _seen(path) if video else _read(path)
            while len(_known) > _KEPT:
                _known.popitem(last=False)
        _known.move_to_end(key)
        return Clip(_known[key], path if video else None)


def check(video: str | None, landmarks: str | None) -> Path:
    """The one file of the two. Raises ValueError where there is none, where there are both, or where it is beyond the limits."""
    if video and landmarks:
        raise ValueError("There are a video and a landmark file; take one of them away.")
    if not video and not landmarks:
        raise ValueError(NOTHING)
    path = Path(video or landmarks or "")
    _check_file(path, is_video=bool(video))
    return path


def new_estimator() -> Any:
    """What finds landmarks in pictures, made but not loaded."""
    from ..pose.worker import make_estimator

    return make_estimator(settings.text("ESTIMATOR", "mediapipe"), {})


def _seen(path: Path) -> LandmarkSequence:
    global _estimator
    from ..pose import estimate_video

    if _estimator is None:
        _estimator = new_estimator()
    return estimate_video(path, _estimator, fps=_FPS)


def _read(path: Path) -> LandmarkSequence:
    from ..landmarks import load_landmarks

    sequence = load_landmarks(path)
    if len(sequence) == 0:
        raise ValueError(f"{path.name} holds no frame.")
    _check_length(path.name, sequence.duration)
    if len(sequence) > 240 * longest():
        raise ValueError(
            f"{path.name} has {len(sequence)} frames, which is more than a clip of {longest():g} s can have."
        )
    return sequence


def _check_file(path: Path, is_video: bool) -> None:
    if not path.is_file():
        raise ValueError(f"{path.name} is not there any more; upload it again.")
    if is_video:
        from ..video import probe_video

        about = probe_video(path)
        if max(about.width, about.height) > _SIDE:
            raise ValueError(f"{path.name} has {about.width} x {about.height} pixels; a side may have {_SIDE}.")
        _check_length(path.name, about.duration)
        return
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path.name} is no landmark file; these end in {' or '.join(SUFFIXES)}.")
    if path.suffix.lower() == ".npz":
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(file.file_size for file in archive.infolist())
        except zipfile.BadZipFile:
            raise ValueError(f"{path.name} is no .npz file.") from None
        if size > _UNPACKED:
            raise ValueError(f"{path.name} unpacks to {size / 1e6:.0f} MB, which no clip needs; it is not opened.")


def _check_length(name: str, seconds: float) -> None:
    if seconds > longest():
        raise ValueError(
            f"{name} takes {seconds:.0f} s; a clip may take {longest():g} s. Cut out the part with the sign."
        )
