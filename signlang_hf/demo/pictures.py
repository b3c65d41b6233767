"""Pictures that go back to the screen: skeletons over a clip, points over a picture. Written where Gradio serves from."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..landmarks import LandmarkSequence
    from ..video import VideoChunk
    from .clips import Clip

_LONGEST_SIDE = 960  # pixels: what a screen shows of it, and a phone downloads
_CHUNK = 16
_GROUND = (30, 34, 40)
_DOT = 110  # of a picture's longer side a dot's radius is one part
_KEPT_SECONDS = 600.0

_folder = tempfile.TemporaryDirectory(prefix="signlang-space-")  # goes with the process
_making = threading.Lock()
_places: list[tuple[float, Path]] = []


def new_file(name: str) -> Path:
    """A place for a file of that name. Gradio copies it into its own cache when it is shown; ours goes after :data:`_KEPT_SECONDS`."""
    with _making:
        _places.append((time.monotonic(), Path(tempfile.mkdtemp(dir=_folder.name))))
        while _places[0][0] < _places[-1][0] - _KEPT_SECONDS:
            shutil.rmtree(_places.pop(0)[1], ignore_errors=True)
        return _places[-1][1] / name


def skeleton_video(clip: Clip, text: str | None = None) -> str:
    """An MP4 of the clip with its skeleton, or of the skeleton alone; ``text`` is its caption. Returns its path."""
    from ..video import write_video

    return str(write_video(new_file("skeleton.mp4"), _drawn(clip, text), fps=clip.landmarks.fps))


def canvas(landmarks: LandmarkSequence) -> tuple[LandmarkSequence, np.ndarray]:
    """Landmarks in the pixels of a picture that has room for the upper body, and that picture, (H, W, 3) uint8, empty."""
    from ..explain.overlay import on_canvas

    placed = on_canvas(landmarks)
    width, height = placed.size
    return placed, np.full((height, width, 3), _GROUND, np.uint8)


def heat_video(explanation: Any) -> str:
    """An MP4 of the clip with heat over its joints. Returns its path."""
    from ..explain.overlay import iter_overlay
    from ..video import write_video

    return str(write_video(new_file("heat.mp4"), iter_overlay(explanation), fps=explanation.sequence.fps))


def marked_picture(picture: np.ndarray, points: LandmarkSequence) -> np.ndarray:
    """A picture (H, W, 3) with the points of one person, in pixels: bones, and dots that are seen on a phone as well."""
    from PIL import Image, ImageDraw

    from ..video import PART_COLOURS, draw_landmarks

    drawn = Image.fromarray(draw_landmarks(picture[None], points, min_visibility=0.0)[0])
    brush, radius = ImageDraw.Draw(drawn), max(2.0, max(drawn.size) / _DOT)
    for part, indices in points.spec.parts.items():
        size = radius * (1.0 if part == "pose" else 0.6)  # those of a hand lie close together
        for x, y in points.data[0, list(indices), :2].tolist():
            if x == x:  # NaN where not seen
                brush.ellipse([x - size, y - size, x + size, y + size], fill=PART_COLOURS[part], outline="white")
    return np.asarray(drawn)


def _drawn(clip: Clip, text: str | None) -> Iterator[VideoChunk]:
    from ..video import Video, VideoChunk, draw_landmarks, iter_video

    sequence = clip.landmarks
    if clip.video is None:
        if not sequence.seen.any():
            raise ValueError("Nobody was found in this clip; there is no skeleton to draw.")
        sequence, blank = canvas(sequence)
        for start in range(0, len(sequence), _CHUNK):
            part = sequence.frames(slice(start, start + _CHUNK))
            frames = np.broadcast_to(blank, (len(part), *blank.shape)).copy()
            yield VideoChunk(draw_landmarks(frames, part, text=text, min_visibility=0.0), part.timestamps)
        return
    for chunk in iter_video(clip.video, fps=sequence.fps, chunk=_CHUNK):
        frames = _smaller(chunk.frames)
        # By their own time stamps, because a video may hold more frames than were looked at.
        video = Video(frames, chunk.timestamps, sequence.fps)
        yield VideoChunk(draw_landmarks(video, sequence, text=text), chunk.timestamps)


def _smaller(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) no larger than a screen needs."""
    height, width = frames.shape[1:3]
    scale = _LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return frames
    from PIL import Image

    size = (2 * round(width * scale / 2), 2 * round(height * scale / 2))
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)) for frame in frames])
