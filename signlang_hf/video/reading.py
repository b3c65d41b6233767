"""Videos and pictures as frames with time stamps.

Design decisions:

* A frame carries its time: seconds since the first frame, from the file's own time stamps. Everything after this room works
  on time, so a variable frame rate needs no special case.
* :func:`iter_video` is the one road; it holds one chunk at a time, so a video of any length needs the same memory.
* A picture is a video of one frame; an array of frames is a video at a nominal rate.
* A file that is cut off gives the frames that can be read, with a warning; only a file with none is an error.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from .decoders import DecodeError, Decoder, PyAVDecoder, installed, open_decoder
from .sampling import TIME_SLACK, mean_rate, sample_rate, sample_uniform
from .sources import _read_image, is_image, local_file

_SPARSE = 8  # frames passed over for each one wanted, from which on seeking pays


class VideoWarning(UserWarning):
    """Something to know about a video that was read nonetheless: it is cut off, or nobody is in it."""


class VideoInfo(NamedTuple):
    """What a file says about itself; ``width`` and ``height`` as it is shown, after rotation.

    ``rotation``: degrees counter-clockwise by which the stored frames are turned for display; None where only decord, which
    applies it without telling, is installed.
    """

    width: int
    height: int
    fps: float
    num_frames: int
    duration: float
    rotation: int | None


class VideoChunk(NamedTuple):
    """Consecutive frames: ``frames`` (t, H, W, 3) uint8 RGB, ``timestamps`` (t,) float64 seconds."""

    frames: np.ndarray
    timestamps: np.ndarray


@dataclass(frozen=True, eq=False)
class Video:
    """Frames in memory.

    Args:
        frames: (T, H, W, 3) uint8 RGB, T ≥ 1.
        timestamps: (T,) seconds, never decreasing.
        fps: nominal frame rate.
    """

    frames: np.ndarray
    timestamps: np.ndarray
    fps: float

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.frames.shape[2], self.frames.shape[1]


VideoSource: TypeAlias = "str | os.PathLike[str] | bytes | np.ndarray | Video"
"""A path, an http(s) address, the bytes of a file, an array of frames, or a :class:`Video`."""


def probe_video(source: str | os.PathLike[str] | bytes, *, backend: str = "auto") -> VideoInfo:
    """Size, rate and length of a video (or picture) without decoding all of it. Errors as for :func:`iter_video`."""
    with local_file(source) as (path, name):
        if is_image(path):
            height, width, _ = _read_image(path, name).shape
            return VideoInfo(width, height, 25.0, 1, 0.0, 0)
        # PyAV knows the rotation, which decord keeps to itself.
        decoder = _opened(path, name, "pyav" if backend == "auto" and installed("av") else backend)
        try:
            width, height = decoder.size
        except DecodeError as error:
            raise ValueError(f"{name} holds no frame that can be decoded.") from error
        fps = mean_rate(decoder.times, default=decoder.rate)
        return VideoInfo(width, height, fps, len(decoder.times), float(decoder.times[-1]), decoder.rotation)


def iter_video(
    source: VideoSource,
    *,
    fps: float | None = None,
    between: tuple[float, float] | None = None,
    chunk: int = 32,
    backend: str = "auto",
) -> Iterator[VideoChunk]:
    """Chunks of consecutive frames, holding one chunk at a time. What is wrong with the source shows with the first.

    Args:
        source: path, http(s) address, bytes, array of frames or :class:`Video`; a picture is one frame.
        fps: target rate: the frame nearest to each tick of 1/fps seconds; slower sources keep all frames. Default: all.
        between: (from, to) seconds; only frames that begin then, ``to`` itself excluded. Time stamps stay those of the whole.
        chunk: most frames in a chunk.
        backend: ``auto`` (decord, else PyAV), ``decord`` or ``pyav``.

    Raises:
        FileNotFoundError, ConnectionError: the source cannot be had.
        ValueError: empty, not a video, no frame that can be decoded, none ``between``, wrong shape or dtype of an array.

    Warns:
        VideoWarning: the file is cut off or damaged; the frames that could be decoded are given.
    """
    _check_positive(fps=fps, chunk=chunk)
    select = partial(sample_rate, fps=fps) if fps is not None else _all
    if between is not None:
        select = partial(_within, between=between, select=select)
    if isinstance(source, (np.ndarray, Video)):
        video = as_video(source)
        positions = select(video.timestamps)
        for start in range(0, len(positions), chunk):
            part = positions[start : start + chunk]
            yield VideoChunk(video.frames[part], video.timestamps[part])
        return
    with local_file(source) as (path, name):
        if is_image(path):
            yield VideoChunk(_read_image(path, name)[None], np.zeros(1))
            return
        frames: list[np.ndarray] = []
        times: list[float] = []
        for seconds, frame in _decode(path, name, select, backend):
            frames.append(frame)
            times.append(seconds)
            if len(frames) == chunk:
                yield VideoChunk(np.stack(frames), np.array(times))
                frames, times = [], []
        if frames:
            yield VideoChunk(np.stack(frames), np.array(times))


def read_video(
    source: VideoSource, *, fps: float | None = None, num_frames: int | None = None, backend: str = "auto"
) -> Video:
    """A whole video in memory.

    Args:
        source, fps, backend: as in :func:`iter_video`.
        num_frames: instead of ``fps``: exactly this many frames, spread evenly over time; a video with fewer repeats frames
            (with their time stamps).

    Raises:
        As :func:`iter_video`; ValueError for both ``fps`` and ``num_frames``.
    """
    if fps is not None and num_frames is not None:
        raise ValueError("Give fps or num_frames, not both.")
    _check_positive(num_frames=num_frames)
    if num_frames is not None:
        return _read_uniform(source, num_frames, backend)
    if isinstance(source, (np.ndarray, Video)) and fps is None:
        return as_video(source)
    chunks = list(iter_video(source, fps=fps, backend=backend))
    times = np.concatenate([chunk.timestamps for chunk in chunks])
    return Video(np.concatenate([chunk.frames for chunk in chunks]), times, mean_rate(times))


def as_video(frames: np.ndarray | Video, *, fps: float = 25.0, timestamps: np.ndarray | None = None) -> Video:
    """An array of frames as a :class:`Video`, checked.

    Args:
        frames: (T, H, W, 3) uint8 RGB, or (H, W, 3) for one picture. A :class:`Video` is handed back.
        fps: nominal rate, used where there are no time stamps.
        timestamps: (T,) seconds, strictly increasing.

    Raises:
        ValueError: another shape or dtype, no frames, time stamps that do not fit.
    """
    if isinstance(frames, Video):
        return frames
    frames = np.asarray(frames)
    if frames.ndim == 3 and frames.shape[2] == 3:
        frames = frames[None]
    check_frames(frames)
    _check_positive(fps=fps)
    if timestamps is None:
        return Video(frames, np.arange(len(frames)) / fps, float(fps))
    timestamps = np.asarray(timestamps, np.float64)
    if timestamps.shape != (len(frames),):
        raise ValueError(f"There are {timestamps.size} time stamps for {len(frames)} frames.")
    if not np.isfinite(timestamps).all() or (np.diff(timestamps) <= 0).any():
        raise ValueError("Time stamps must be finite seconds that increase from frame to frame.")
    return Video(frames, timestamps, mean_rate(timestamps, default=fps))


def check_frames(frames: np.ndarray) -> None:
    """Raise a ValueError that says what is wrong unless ``frames`` is (T, H, W, 3) uint8 with T, H, W ≥ 1."""
    shape, dtype = getattr(frames, "shape", None), getattr(frames, "dtype", None)
    if dtype != np.uint8:
        raise ValueError(f"Frames have dtype {dtype}; expected uint8 RGB from 0 to 255.")
    if len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"Frames have shape {shape}; expected (T, H, W, 3).")
    if 0 in shape:
        raise ValueError(f"Frames have shape {shape}: there is no frame or no picture in them.")


def _all(times: np.ndarray) -> np.ndarray:
    return np.arange(len(times))


def _within(times: np.ndarray, between: tuple[float, float], select: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Positions of the frames that begin in [from, to); the slack counts a frame to the stretch that it begins."""
    inside = np.flatnonzero((times >= between[0] - TIME_SLACK) & (times < between[1] - TIME_SLACK))
    if len(inside) == 0:
        raise ValueError(
            f"The last frame begins at {times[-1]:.2f} s; there is none from {between[0]:.2f} to {between[1]:.2f} s."
        )
    return inside[select(times[inside])]


def _read_uniform(source: VideoSource, count: int, backend: str) -> Video:
    if isinstance(source, (np.ndarray, Video)):
        video = as_video(source)
        positions = sample_uniform(video.timestamps, count)
        return Video(video.frames[positions], video.timestamps[positions], video.fps)
    wanted = np.zeros(count)
    rate = 25.0

    def select(times: np.ndarray) -> np.ndarray:
        nonlocal wanted, rate
        positions = sample_uniform(times, count)
        wanted, rate = times[positions], mean_rate(times)
        return np.unique(positions)

    with local_file(source) as (path, name):
        if is_image(path):
            return Video(np.repeat(_read_image(path, name)[None], count, axis=0), wanted, rate)
        decoded = list(_decode(path, name, select, backend))
    times = np.array([seconds for seconds, _ in decoded])
    # A sound file has every wanted frame; a damaged one repeats the last before the gap.
    positions = np.searchsorted(times, wanted + TIME_SLACK, side="right").clip(1) - 1
    return Video(np.stack([decoded[position][1] for position in positions]), times[positions], rate)


def _opened(path: Path, name: str, backend: str) -> Decoder:
    try:
        decoder = open_decoder(path, backend)
    except DecodeError as error:
        raise ValueError(f"{name} is not a video that can be decoded ({error}).") from error
    if len(decoder.times) == 0:
        raise ValueError(f"{name} holds no frames.")
    return decoder


def _decode(
    path: Path, name: str, select: Callable[[np.ndarray], np.ndarray], backend: str
) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, frame) of the selected frames; goes on with PyAV where decord stops, warns if some could not be had."""
    decoder = _opened(path, name, backend)
    positions = select(decoder.times)
    if backend == "auto" and len(positions) * _SPARSE < len(decoder.times):
        other = _stand_in(path)  # decord goes through every frame, PyAV seeks; their positions are the same
        if other is not None and len(other.times) == len(decoder.times):
            decoder = other
    wanted, done, last = decoder.times[positions], 0, -1.0
    try:
        for position, frame in decoder.frames(positions):
            last, done = float(decoder.times[position]), done + 1
            yield last, frame
    except DecodeError:
        other = _stand_in(path) if backend == "auto" else None
        if other is not None:
            decoder, positions = other, select(other.times)
            wanted = decoder.times[positions]
            for position, frame in decoder.frames(positions[wanted > last + TIME_SLACK]):
                done += 1
                yield float(decoder.times[position]), frame
    claimed = max(decoder.claimed, len(decoder.times))
    expected = round(len(wanted) * claimed / len(decoder.times))
    if done == 0:
        raise ValueError(f"{name} holds no frame that can be decoded; it is cut off, damaged or in an unknown codec.")
    if (1 - done / expected) * claimed > 1.5:  # a header that is one off does not make a file damaged
        warnings.warn(
            f"{name} is cut off or damaged: {done} of {expected} frames could be decoded.", VideoWarning, stacklevel=3
        )


def _stand_in(path: Path) -> PyAVDecoder | None:
    try:
        return PyAVDecoder(path) if installed("av") else None
    except DecodeError:
        return None


def _check_positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}; it must be a positive number.")
