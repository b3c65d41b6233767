"""A stretch of a video, of whatever kind, as an MP4 of its own.

Design decisions:

* A stretch is seconds, found by the file's time stamps: the same stretch of a 25 and of a 30 fps copy shows the same movement.
* A whole, complete video that is H.264 in an MP4 already is linked or copied, bit for bit; everything else is written anew as H.264.
* What PyAV cannot read, an ``ffmpeg`` on the PATH may: distributions build it with more than PyAV's wheels have.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..landmarks.files import atomic_write
from .decoders import installed, is_cut_off
from .reading import VideoChunk, iter_video, probe_video
from .writing import write_video

_FFMPEG_SECONDS = 600


@dataclass(frozen=True)
class Stretch:
    """Seconds of a video, from ``start`` up to, but not including, ``end``; ``end`` None is the end of the video."""

    start: float = 0.0
    end: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of the video."""
        return self.start <= 0 and self.end is None


def cut_video(source: Path, target: Path, stretch: Stretch | None = None) -> None:
    """Write a stretch of a video as MP4; the file appears whole or not at all.

    Args:
        source: a video file of any kind.
        target: file to write; must end in ``.mp4``.
        stretch: default: the whole video.

    Raises:
        ImportError: PyAV is missing.
        ValueError: not a video, or nothing of it lies in the stretch.

    Warns:
        VideoWarning: the file is cut off or damaged; the frames that could be decoded are written.
    """
    stretch = stretch or Stretch()
    with readable(source) as path:
        if stretch.whole and is_browser_mp4(path) and not is_cut_off(path):
            _same_file(path, target)
            return
        between = None if stretch.whole else (stretch.start, float("inf") if stretch.end is None else stretch.end)
        write_video(target, iter_video(path, between=between), fps=probe_video(path).fps)


def cut_by_count(source: Path, target: Path, first: int, last: int) -> None:
    """As :func:`cut_video`, with the frames ``first`` to ``last`` counted from 0, both included."""
    with readable(source) as path:
        write_video(target, _counted(path, first, last), fps=probe_video(path).fps)


def is_browser_mp4(path: Path) -> bool:
    """Whether the file is H.264 in an MP4 or QuickTime container. Without PyAV nobody knows: False."""
    if not installed("av"):
        return False
    import av

    try:
        with av.open(str(path)) as container:
            video = container.streams.video
            return bool(video) and "mp4" in container.format.name and video[0].codec_context.name == "h264"
    except (av.FFmpegError, OSError, ValueError):
        return False


@contextmanager
def readable(source: Path) -> Iterator[Path]:
    """The file itself, or, where the library's decoders cannot read it, what ``ffmpeg`` makes of it for as long as the context is open.

    Raises:
        ValueError: neither can read it; the reason is the decoders' own.
    """
    try:
        probe_video(source)
    except ValueError as error:
        program = shutil.which("ffmpeg")
        if program is None or source.stat().st_size == 0:
            raise
        with tempfile.TemporaryDirectory(prefix="signlang-") as folder:
            converted = Path(folder) / "video.mp4"
            command = [program, "-nostdin", "-v", "error", "-i", str(source.absolute()), "-an", "-c:v", "libx264",
                       "-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", str(converted)]  # fmt: skip
            try:
                done = subprocess.run(command, capture_output=True, timeout=_FFMPEG_SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired):
                done = None
            if done is None or done.returncode or not converted.is_file():
                raise ValueError(f"{str(error).rstrip('.')}, by ffmpeg neither.") from error
            probe_video(converted)
            yield converted
        return
    yield source


def _counted(path: Path, first: int, last: int) -> Iterator[VideoChunk]:
    position, found = 0, False
    for chunk in iter_video(path):
        low, high = max(first - position, 0), min(last + 1 - position, len(chunk.frames))
        if low < high:
            found = True
            yield VideoChunk(chunk.frames[low:high], chunk.timestamps[low:high])
        position += len(chunk.frames)
        if position > last:
            break
    if not found:
        raise ValueError(f"It has {position} frames; there is none from {first + 1} to {last + 1}.")


def _same_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    link = target.with_name(f".{target.name}.link.tmp")
    try:
        link.unlink(missing_ok=True)
        os.link(source, link)
        os.replace(link, target)
        link.unlink(missing_ok=True)  # renaming does nothing between two links to one file
    except OSError:  # another disk, or one without hard links
        link.unlink(missing_ok=True)
        with source.open("rb") as stream:
            atomic_write(target, lambda copy: shutil.copyfileobj(stream, copy))
