"""Two decoders behind one small interface: decord (the default) and PyAV.

Both give the same frames, bit for bit, with the same time stamps, and turn them upright as the file's rotation says (decord
does so itself, PyAV hands the angle on). decord is fast but gives up on files that are cut off, on AV1 and on some AVI and GIF
files; PyAV, where it is installed, reads those and takes over in the middle of a file if it must.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

BACKENDS: tuple[str, ...] = ("auto", "decord", "pyav")
_THREADS = 2  # more gain little on sign clips and multiply with the workers of a batch
_SEEK_GAIN = 30  # frames that a seek must save to be worth its flush


class DecodeError(ValueError):
    """The file, or the rest of it, cannot be decoded by this decoder."""


class Decoder(Protocol):
    """An opened video.

    ``times``: (N,) seconds since the first frame, strictly increasing. ``claimed``: frames that the file says it has (0: it
    does not say). ``size``: (width, height) after rotation. ``rotation``: degrees counter-clockwise that were applied, or None
    where the decoder does not tell.
    """

    times: np.ndarray
    claimed: int
    rate: float

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def rotation(self) -> int | None: ...

    def frames(self, positions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """(position, (H, W, 3) uint8 RGB) of the wanted frames, ascending. Frames that do not decode are left out."""


class DecordDecoder:
    """decord's VideoReader, which applies the rotation itself."""

    rotation = None

    def __init__(self, path: Path) -> None:
        try:
            import decord
        except (ImportError, OSError) as error:  # a wheel that does not fit the machine
            raise DecodeError(f"decord cannot be loaded: {_reason(error)}") from error
        decord.logging.set_level(decord.logging.QUIET)
        from decord._ffi.base import DECORDLimitReachedError

        self._errors = (decord.DECORDError, DECORDLimitReachedError, RuntimeError, AssertionError)
        try:
            # No fault is tolerated: decord would hand out copies of other frames for those that it cannot decode.
            self._reader = decord.VideoReader(str(path), num_threads=_THREADS, fault_tol=1e-6)
            stamps = self._reader.get_frame_timestamp(np.arange(len(self._reader)))[:, 0].astype(np.float64)
        except self._errors as error:
            raise DecodeError(f"decord: {_reason(error)}") from error
        if not np.isfinite(stamps).all() or (np.diff(stamps) < 0).any():
            raise DecodeError("decord: time stamps that make no sense")
        if stamps[0] < -1e-3:  # a trimmed MP4: decord counts the frames that are not shown, too
            raise DecodeError("decord: frames before the start")
        self._kept = np.flatnonzero(np.diff(stamps, prepend=-np.inf) > 0)
        self.times = stamps[self._kept] - stamps[0]
        self.claimed = len(self._kept)
        self.rate = float(self._reader.get_avg_fps())

    @cached_property
    def size(self) -> tuple[int, int]:
        try:
            height, width, _ = self._reader[0].shape
        except (*self._errors, IndexError, StopIteration) as error:
            raise DecodeError(f"decord: {_reason(error)}") from error
        return width, height

    def frames(self, positions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        cursor = 0
        self._reader.seek(0)
        for position in positions.tolist():
            index = int(self._kept[position])
            try:
                # Frame by frame: in files with open GOPs (iPhones write them) decord's seek_accurate, skip_frames and
                # get_batch hand out frames that are some places late.
                for _ in range(index - cursor):
                    self._reader.next()
                frame = _without_padding(self._reader.next().asnumpy())
            except StopIteration:
                return
            except self._errors as error:
                raise DecodeError(f"decord: {_reason(error)}") from error
            cursor = index + 1
            yield position, frame


class PyAVDecoder:
    """PyAV: one pass over the packets for the time stamps, then only the frames that are wanted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as (container, stream):
            packets, hidden = [], 0
            for packet in _damage_tolerant(container.demux(stream)):
                if packet.is_discard:  # cut away by an edit list
                    hidden += 1
                elif packet.size:
                    packets.append((packet.pts, packet.is_keyframe))
            entries = getattr(stream, "index_entries", None)  # what the container's index lists; older PyAV: its header
            self.claimed = (stream.frames if entries is None else len(entries)) - hidden
            self.rate = float(stream.average_rate or stream.guessed_rate or 25)
            tick = float(stream.time_base or 0)
        self._stamps = np.array(sorted({pts for pts, _ in packets if pts is not None}), np.int64)
        # Raw streams carry no time stamps: their frames are counted and put on the nominal rate.
        self._counted = not tick or any(pts is None for pts, _ in packets)
        if self._counted:
            self.times, self._keys = np.arange(len(packets)) / self.rate, np.zeros(1, np.int64)
        else:
            self.times = (self._stamps - self._stamps[:1]) * tick
            self._keys = np.searchsorted(self._stamps, sorted(pts for pts, key in packets if key))
        self.claimed -= len(packets) - len(self.times)  # two frames at one time are one

    @cached_property
    def _first(self) -> Any:
        with self._open() as (container, stream):
            for frame in self._decode(container, stream):
                return frame
        raise DecodeError("no frame can be decoded")

    @property
    def rotation(self) -> int:
        return int(self._first.rotation)

    @property
    def size(self) -> tuple[int, int]:
        width, height = self._first.width, self._first.height
        return (height, width) if self.rotation % 180 else (width, height)

    def frames(self, positions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        pending, cursor = positions.tolist()[::-1], -1
        with self._open() as (container, stream):
            while pending:
                self._seek(container, stream, pending[-1], cursor)
                for frame in self._decode(container, stream):
                    counted = self._counted or frame.pts is None
                    cursor = cursor + 1 if counted else int(np.searchsorted(self._stamps, frame.pts))
                    target = pending[-1]
                    while pending and pending[-1] < cursor:
                        pending.pop()  # a frame that did not decode
                    if pending and pending[-1] == cursor:
                        yield pending.pop(), self._upright(frame)
                    # Only a new target may seek: a seek can land short of its key frame.
                    if not pending or (pending[-1] != target and self._jump(pending[-1], cursor)):
                        break
                else:
                    return

    def _upright(self, frame: Any) -> np.ndarray:
        # One size for the whole video, whatever the stream switches to.
        image = frame.to_ndarray(format="rgb24", width=self._first.width, height=self._first.height)
        return np.ascontiguousarray(np.rot90(image, frame.rotation // 90))

    def _jump(self, position: int, cursor: int) -> bool:
        key = self._keys[max(np.searchsorted(self._keys, position, side="right") - 1, 0)] if len(self._keys) else 0
        return bool(key - cursor > _SEEK_GAIN)

    def _seek(self, container: Any, stream: Any, position: int, cursor: int) -> None:
        import av

        if not self._jump(position, cursor):
            return
        key = self._keys[np.searchsorted(self._keys, position, side="right") - 1]
        try:
            container.seek(int(self._stamps[key]), stream=stream, backward=True)
        except av.FFmpegError:  # a container without an index is simply read on
            self._keys = np.zeros(1, np.int64)

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        import av

        try:
            container = av.open(str(self._path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise DecodeError(f"PyAV: {_reason(error)}") from error
        with container:
            if not container.streams.video:
                raise DecodeError("it holds no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = _THREADS
            yield container, stream

    @staticmethod
    def _decode(container: Any, stream: Any) -> Iterator[Any]:
        import av

        for packet in _damage_tolerant(container.demux(stream)):
            try:
                frames = packet.decode()
            except av.FFmpegError:  # a damaged packet: the ones after it may be fine
                continue
            for frame in frames:
                if not frame.is_corrupt:
                    yield frame


def _without_padding(frame: np.ndarray) -> np.ndarray:
    """decord takes the padding at the end of narrow rows (under 80 pixels) for more channels."""
    height, width, channels = frame.shape
    return frame if channels == 3 else frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


def open_decoder(path: Path, backend: str = "auto") -> Decoder:
    """The decoder for a file: decord, or PyAV where decord is missing or cannot open it.

    Raises:
        ImportError: neither is installed.
        DecodeError: nothing can open the file.
        ValueError: unknown backend.
    """
    if backend not in BACKENDS:
        raise ValueError(f"Unknown video backend {backend!r}; choose one of {', '.join(BACKENDS)}.")
    # At the end of a file that is cut off, decord once in a while hands out copies of its last frames as if all were well.
    distrusted = backend == "auto" and installed("av") and is_cut_off(path)
    if backend == "decord" or (backend == "auto" and installed("decord") and not distrusted):
        _require("decord")
        try:
            return DecordDecoder(path)
        except DecodeError:
            if backend == "decord" or not installed("av"):
                raise
    _require("av")
    return PyAVDecoder(path)


def is_cut_off(path: Path) -> bool:
    """Whether a file of the MP4 family (ISO/IEC 14496-12) ends before its last box does; False for other formats."""
    size = path.stat().st_size
    position = 0
    with path.open("rb") as stream:
        while position + 8 <= size:
            stream.seek(position)
            header = stream.read(16)
            if position == 0 and header[4:8] != b"ftyp":
                return False
            length = int.from_bytes(header[:4], "big")
            if length == 0:  # up to the end of the file
                return False
            position += max(8, int.from_bytes(header[8:], "big") if length == 1 else length)
    return position != size


def installed(package: str) -> bool:
    """Whether the package can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a module that was put in sys.modules by hand
        return True


def _require(package: str) -> None:
    if not installed(package):
        other = "decord or PyAV" if package == "av" else "decord"
        raise ImportError(f'Reading videos needs {other}: pip install "signlang-hf[pose]"')


def _damage_tolerant(packets: Iterable[Any]) -> Iterator[Any]:
    """The packets up to the first that cannot be read."""
    import av

    try:
        yield from packets
    except av.FFmpegError:
        return


def _reason(error: BaseException) -> str:
    """The reason in an error of either library, without the paths and prefixes around it."""
    text = getattr(error, "strerror", None) or str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0].split("] ")[-1].removeprefix("Error: ")[:120].rstrip(".") if lines else type(error).__name__
