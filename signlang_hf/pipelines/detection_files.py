"""``signlang detect``: keypoints of pictures and videos, and the same pictures with the skeleton drawn onto them."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..landmarks import get_layout
from ..landmarks.files import atomic_write
from ..pose import Detection, PoseEstimator
from ..video import PICTURE_SUFFIXES, VIDEO_SUFFIXES, draw_landmarks, iter_video, probe_video, write_video
from ..video.sources import is_image, local_file
from ..video.window import Window
from .clip_files import beside, clip_files

_SUFFIXES = (*PICTURE_SUFFIXES, ".tif", ".tiff", *VIDEO_SUFFIXES)
_SAVED_AS = {".jpg": ".jpg", ".jpeg": ".jpg"}
"""Suffix of a picture → suffix of its overlay; the others become PNG."""
_SCREEN = (1280, 720)
_PAUSE = 1.0  # seconds that a still picture stays
_TICK = 0.05  # seconds between two looks at whether the window is still there

Done = Callable[[dict[str, Any], np.ndarray], None]
"""Takes the row of a frame, and that frame with the skeleton, (H, W, 3) uint8 RGB."""


def keypoint_row(
    file: str, number: int, seconds: float, detection: Detection, layout: str, size: tuple[int, int]
) -> dict[str, Any]:
    """A frame's points as plain values: pixels from the picture's left top corner, null with score 0 where not seen."""
    places = detection.data[:, :2].astype(np.float64) * size
    points = [
        {"name": name, "x": None, "y": None, "score": 0.0}
        if np.isnan(x)
        else {"name": name, "x": round(x, 2), "y": round(y, 2), "score": round(score, 4)}
        for name, (x, y), score in zip(get_layout(layout).points, places.tolist(), detection.visibility.tolist())
    ]
    return {"file": file, "frame": number, "seconds": round(seconds, 4), "size": list(size), "keypoints": points}


def detect_files(
    estimator: PoseEstimator,
    sources: Sequence[str],
    *,
    out: Path | None = None,
    done: Done | None = None,
    draw: bool = True,
) -> Iterator[dict[str, Any]]:
    """Find the points in every picture and video of ``sources``, one after the other; files are written on the way.

    Args:
        estimator: what finds them.
        sources: pictures, videos, addresses, or folders that are searched.
        out: folder that gets, in the sub-folders of the sources, each file with its skeleton (``.jpg`` or ``.png``, ``.mp4``) and
            ``.jsonl`` with a :func:`keypoint_row` a frame. None writes nothing.
        done: is called with every frame as it is done.
        draw: whether ``done`` needs the skeleton; bare frames come faster.

    Yields:
        ``{"file", "frames", "seen"}`` with the number of frames and the share of points that were seen, and with the paths
        ``"overlay"`` and ``"keypoints"`` where they were written; ``{"file", "error"}`` where a file cannot be read.

    Raises:
        FileNotFoundError: a folder without pictures and videos.
        ValueError: two files whose overlays would be one, or an overlay that would take the place of a source.
    """
    files = {file: source for source in sources for file in clip_files(source, _SUFFIXES, "picture or video")}
    places = {} if out is None else _places(files, out)
    for file in files:
        row: dict[str, Any] = {"file": file}
        try:
            row |= _detect_file(estimator, file, places.get(file), done, draw or out is not None)
        except (ValueError, OSError, ImportError) as error:
            row["error"] = str(error)
        yield row


def _places(files: dict[str, str], out: Path) -> dict[str, Path]:
    """File → path of its overlay without a suffix of its own."""
    places = {file: path.with_suffix("") for file, path in beside(files, out, ".jsonl").items()}
    originals = {Path(file).resolve() for file in files if "://" not in file}
    for place in places.values():
        for suffix in (".jpg", ".png", ".mp4", ".jsonl"):
            target = place.with_name(place.name + suffix)
            if target.resolve() in originals:
                raise ValueError(
                    f"{target} would be written over; choose another output folder than that of the sources."
                )
    return places


def _detect_file(
    estimator: PoseEstimator, file: str, place: Path | None, done: Done | None, draw: bool
) -> dict[str, Any]:
    """One file's row but for its name; errors as :func:`signlang_hf.video.iter_video` and what writes."""
    with local_file(file) as (path, name), tempfile.TemporaryFile("w+b") as lines:
        seen: list[float] = []

        def frames() -> Iterator[np.ndarray]:
            """Frames with skeletons; the lines are written on the way."""
            for row, drawn in _frames(estimator, path, file, draw):
                lines.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
                seen.append(float(np.mean([point["x"] is not None for point in row["keypoints"]])))
                if done is not None:
                    done(row, drawn)
                yield drawn

        written: dict[str, str] = {}
        try:
            if place is None:
                for _ in frames():
                    pass
            elif is_image(path):
                suffix = _SAVED_AS.get(Path(name).suffix.lower(), ".png")
                written["overlay"] = str(_save_picture(place.with_name(place.name + suffix), next(frames())))
            else:
                overlay = place.with_name(place.name + ".mp4")
                rate = probe_video(path).fps
                written["overlay"] = str(write_video(overlay, (drawn[None] for drawn in frames()), rate))
        except ValueError as error:  # an address is known by its own name, not by that of its copy here
            raise ValueError(str(error).replace(str(path), name)) from error
        if place is not None:
            target = place.with_name(place.name + ".jsonl")
            lines.seek(0)
            atomic_write(target, lambda stream: shutil.copyfileobj(lines, stream))
            written["keypoints"] = str(target)
    return {"frames": len(seen), "seen": round(float(np.mean(seen)), 4), **written}


def _frames(estimator: PoseEstimator, path: Path, file: str, draw: bool) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Each frame's row and the frame, with its skeleton if it is to be drawn."""
    number = 0
    for chunk in iter_video(path, chunk=estimator.chunk):
        if number == 0:
            estimator.reset()
        found = estimator.detect_all(chunk.frames, chunk.timestamps)
        size = (chunk.frames.shape[2], chunk.frames.shape[1])
        sequence = estimator.sequence(found, chunk.timestamps, size)
        drawn = draw_landmarks(chunk.frames, sequence, min_visibility=0.0) if draw else chunk.frames
        for seconds, detection, picture in zip(chunk.timestamps.tolist(), found, drawn):
            yield keypoint_row(file, number, seconds, detection, estimator.layout, size), picture
            number += 1


def _save_picture(path: Path, frame: np.ndarray) -> Path:
    from PIL import Image

    kind = {".jpg": "JPEG", ".png": "PNG"}[path.suffix]
    atomic_write(path, lambda stream: Image.fromarray(frame).save(stream, kind, quality=92))
    return path


class Slideshow:
    """Shows frames in a window as they are done; once its person has closed it, nothing more."""

    def __init__(self, window: Window) -> None:
        self._window, self._open = window, True
        self._last: np.ndarray | None = None

    def show(self, frame: np.ndarray) -> None:
        """Show (H, W, 3) uint8 RGB, made smaller where it would leave the screen."""
        self._last = _fitting(frame)
        self._open = self._open and self._window.show(self._last)

    def pause(self) -> None:
        """Let a still picture be seen."""
        if self._open:
            time.sleep(_PAUSE)

    def wait(self) -> None:
        """Leave the last frame there until its person closes the window."""
        while self._last is not None and self._open:
            time.sleep(_TICK)
            self._open = self._window.show(self._last)


def _fitting(frame: np.ndarray) -> np.ndarray:
    from PIL import Image

    scale = min(1.0, _SCREEN[0] / frame.shape[1], _SCREEN[1] / frame.shape[0])
    if scale == 1.0:
        return frame
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    return np.asarray(Image.fromarray(frame).resize(size))
