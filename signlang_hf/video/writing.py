"""Writing frames as an MP4 that every browser plays: H.264, yuv420p, even sides, index at the front."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..landmarks.files import atomic_write
from .reading import Video, VideoChunk, check_frames


def write_video(
    path: str | os.PathLike[str],
    frames: np.ndarray | Video | Iterable[np.ndarray | VideoChunk],
    fps: float | None = None,
    *,
    quality: int = 20,
) -> Path:
    """Write an MP4 (H.264, yuv420p, fast start); the file appears whole or not at all.

    Args:
        path: file to write; must end in ``.mp4``.
        frames: (T, H, W, 3) uint8 RGB, a :class:`Video`, or chunks of either kind, which are written as they come. An odd side
            is made even by repeating its last row or column, as H.264 players need it.
        fps: frames per second; default: the video's, or 25. Frames are written at this constant rate.
        quality: x264's constant rate factor: 0 is lossless, 51 the worst.

    Raises:
        ImportError: PyAV is missing.
        ValueError: no frames, wrong shape or dtype, frames of different sizes, a name that does not end in .mp4.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"Cannot write a video to {path.name}; use a name that ends in .mp4.")
    if fps is None:
        fps = frames.fps if isinstance(frames, Video) else 25.0
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is {fps}; it must be a positive number.")
    chunks = [frames] if isinstance(frames, (np.ndarray, Video)) else frames
    # Fast start rewrites the finished file, which needs a file of its own rather than a stream.
    with tempfile.TemporaryDirectory(prefix="signlang-") as folder:
        draft = Path(folder) / "video.mp4"
        _encode(draft, chunks, fps, quality)
        with draft.open("rb") as encoded:
            atomic_write(path, lambda stream: shutil.copyfileobj(encoded, stream))
    return path


def _encode(path: Path, chunks: Iterable[Any], fps: float, quality: int) -> None:
    try:
        import av
    except ImportError:
        raise ImportError('Writing videos needs PyAV: pip install "signlang-hf[pose]"') from None
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = None
        size: tuple[int, ...] = ()
        for chunk in chunks:
            frames = chunk.frames if isinstance(chunk, (Video, VideoChunk)) else np.asarray(chunk)
            check_frames(frames)
            height, width = frames.shape[1:3]
            if stream is None:
                size = (height, width)
                rate = Fraction(fps).limit_denominator(1001)
                stream = container.add_stream("libx264", rate=rate, options={"crf": str(quality), "preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
            if (height, width) != size:
                raise ValueError(f"Frames of {width} x {height} follow frames of {size[1]} x {size[0]}; use one size.")
            frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        if stream is None:
            raise ValueError("There is no frame to write.")
        container.mux(stream.encode())
