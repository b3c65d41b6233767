"""What a worker process of the server does: it decodes pictures and videos that strangers sent, and finds landmarks in them.

Design decisions:

* Decoders meet hostile files here and nowhere else: what crashes one takes this process down, and not the server.
* A stream of frames keeps an estimator of its own, because trackers remember. Those of streams that ended are used again.
* A clip is read a few frames at a time, so that frames of streams come between, and a clip that takes too long can be dropped.
* What a file is, its first bytes say. Only containers that hold their own data are opened: a playlist or a script of FFmpeg would
  make it read other files and addresses.
* Size, length and frames are checked before anything is decoded; of a picture, Pillow's limit for bombs is an error.
* A question is a line of JSON, an answer too; arrays travel as base64 of their bytes. No pickle.
"""

from __future__ import annotations

import base64
import io
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..pose.estimator import Detection, PoseEstimator
from ..pose.worker import answer_tasks, make_estimator
from ..video import VideoChunk, VideoWarning, iter_video, read_image

_STEP = 4  # frames of a clip between two looks at what else there is
_IMAGES: tuple[tuple[bytes, str], ...] = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"BM", "BMP"))
_VIDEOS = (
    b"\x1aE\xdf\xa3",  # Matroska and WebM
    b"GIF87a", b"GIF89a", b"FLV\x01", b"OggS", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # the last: ASF, .wmv
    b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3",  # MPEG
)  # fmt: skip
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


class Refused(Exception):
    """A file that is not taken, with the code of the answer."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def kind_of(head: bytes) -> str | None:
    """``image`` or ``video``, by the first bytes of a file; None for anything else."""
    if head.startswith(tuple(start for start, _ in _IMAGES)) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head.startswith(_VIDEOS) or head[4:8] in _MP4_BOXES or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return "video"
    if len(head) > 188 and head[0] == head[188] == 0x47:  # MPEG-TS: a packet, and the next
        return "video"
    return None


class Process:
    """The state of a worker process.

    Args:
        setup: ``estimator`` (module:callable), its ``options``, and the limits ``max_pixels``, ``max_seconds``, ``max_frames``.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup, self._limits = setup, setup["limits"]
        self._spare = [self._fresh()]
        self._streams: dict[int, PoseEstimator] = {}
        self._clip: Iterator[dict[str, Any]] | None = None
        self.layout = self._spare[0].layout

    def answer(self, task: dict[str, Any]) -> dict[str, Any]:
        """The answer to a task; what is wrong with its data is one, too."""
        try:
            return getattr(self, "do_" + task["do"])(task)
        except Refused as error:
            return {"error": str(error), "code": error.code}
        except MemoryError:
            return {"error": "The frames do not fit into memory; send smaller ones.", "code": "too_large"}
        except Exception as error:  # whatever a damaged file does to a decoder is this file's error
            return {"error": " ".join(str(error).split())[:300] or type(error).__name__, "code": "bad_input"}

    def do_ping(self, task: dict[str, Any]) -> dict[str, Any]:
        """Whether it lives."""
        return {"layout": self.layout}

    def do_frame(self, task: dict[str, Any]) -> dict[str, Any]:
        """Landmarks of the next frame of a stream."""
        started = time.perf_counter()
        frame = self._jpeg(base64.b64decode(task["jpeg"]))
        decoded = time.perf_counter()
        estimator = self._streams.get(task["stream"])
        if estimator is None:
            estimator = self._streams[task["stream"]] = self._spare.pop() if self._spare else self._fresh()
            estimator.reset()
        found = estimator.detect(frame, task["seconds"])
        answer = {"size": [frame.shape[1], frame.shape[0]], "decode": decoded - started}
        return answer | {"pose": time.perf_counter() - decoded} | _arrays([found])

    def do_restart(self, task: dict[str, Any]) -> dict[str, Any]:
        """The stream's next frame begins another one."""
        if (estimator := self._streams.get(task["stream"])) is not None:
            estimator.reset()
        return {}

    def do_forget(self, task: dict[str, Any]) -> dict[str, Any]:
        """The stream is over; its estimator is for the next."""
        if (estimator := self._streams.pop(task["stream"], None)) is not None:
            self._spare.append(estimator)
        return {}

    def do_open(self, task: dict[str, Any]) -> dict[str, Any]:
        """Look at a file, and get ready to read it."""
        path = Path(task["path"])
        with path.open("rb") as stream:
            kind = kind_of(stream.read(192))
        if kind is None:
            raise Refused(
                "unsupported", "This is neither a video nor a picture that can be read (MP4, WebM, JPEG, PNG …)."
            )
        if kind == "image":
            self._check_picture(path)
        else:
            self._check_video(path)
        self._clip = self._read(path, kind)
        return {"kind": kind, "layout": self.layout}

    def do_next(self, task: dict[str, Any]) -> dict[str, Any]:
        """Landmarks of the next frames of the file that was opened; ``last`` says that there are no more."""
        assert self._clip is not None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", VideoWarning)
            answer = next(self._clip, None)
        said = [str(one.message) for one in caught if issubclass(one.category, VideoWarning)]
        if answer is None:
            self._clip = None
            answer = {"last": True}
        return {**answer, "warnings": [text.replace(task["path"], "The video") for text in said]}

    def do_drop(self, task: dict[str, Any]) -> dict[str, Any]:
        """Nobody waits for the file any more."""
        self._clip = None
        return {}

    def _fresh(self) -> PoseEstimator:
        estimator = make_estimator(self._setup["estimator"], self._setup["options"])
        estimator.reset()  # loads its model
        return estimator

    def _read(self, path: Path, kind: str) -> Iterator[dict[str, Any]]:
        estimator, chunks, count = None, self._chunks(path, kind), 0
        try:
            while True:
                started = time.perf_counter()
                chunk = next(chunks, None)
                if chunk is None:
                    return
                decoded = time.perf_counter()
                count += len(chunk.frames)
                self._check_length(count, float(chunk.timestamps[-1]))
                if estimator is None:
                    estimator = self._spare.pop() if self._spare else self._fresh()
                    estimator.reset()
                found = estimator.detect_all(chunk.frames, chunk.timestamps)
                answer = {"times": chunk.timestamps.tolist(), "size": list(chunk.frames.shape[2:0:-1])}
                answer |= {"decode": decoded - started, "pose": time.perf_counter() - decoded}
                yield answer | _arrays(found) | {"last": False}
        except ValueError as error:
            raise Refused("bad_input", str(error).replace(str(path), "The file")) from error
        finally:
            if estimator is not None:
                self._spare.append(estimator)

    def _chunks(self, path: Path, kind: str) -> Iterator[VideoChunk]:
        if kind == "image":
            yield VideoChunk(read_image(path)[None], np.zeros(1))
        else:
            yield from iter_video(path, chunk=_STEP)

    def _check_video(self, path: Path) -> None:
        """Size and length as the file's header says them; what it says wrongly shows while it is read."""
        try:
            import av
        except ImportError:  # decord alone: no way to look without decoding
            return
        try:
            with av.open(str(path)) as container:
                streams = container.streams.video
                if not streams:
                    raise Refused("unsupported", "The file holds no video.")
                self._check_pixels(streams[0].codec_context.width, streams[0].codec_context.height)
                seconds = container.duration / av.time_base if container.duration else 0.0
                self._check_length(streams[0].frames, seconds)
        except (av.FFmpegError, OSError, ValueError):
            raise Refused(
                "bad_input", "The file is not a video that can be decoded; it is damaged or cut off."
            ) from None

    def _check_picture(self, path: Path) -> None:
        from PIL import Image

        # As an error here: the warning would let twice as much pass.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                with Image.open(path, formats=("JPEG", "PNG", "BMP", "WEBP")) as picture:
                    self._check_pixels(*picture.size)
            except (Image.DecompressionBombWarning, Image.DecompressionBombError):
                self._too_many_pixels()
            except (OSError, ValueError, SyntaxError):
                raise Refused(
                    "bad_input", "The file is not a picture that can be read; it is damaged or cut off."
                ) from None

    def _jpeg(self, data: bytes) -> np.ndarray:
        from PIL import Image

        if not data.startswith(b"\xff\xd8\xff"):
            raise Refused("bad_input", "A frame is not a JPEG picture; send frames as JPEG.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
                    self._check_pixels(*picture.size)
                    return np.ascontiguousarray(picture.convert("RGB"))
            except (Image.DecompressionBombWarning, Image.DecompressionBombError):
                self._too_many_pixels()
            except (OSError, ValueError, SyntaxError):
                raise Refused(
                    "bad_input", "A frame is a JPEG picture that cannot be read; it is damaged or cut off."
                ) from None

    def _check_pixels(self, width: int, height: int) -> None:
        if width * height > self._limits["max_pixels"]:
            self._too_many_pixels(f" ({width} × {height})")
        if width < 1 or height < 1:
            raise Refused("bad_input", "The picture has no pixels.")

    def _too_many_pixels(self, size: str = "") -> NoReturn:
        most = self._limits["max_pixels"]
        raise Refused("too_large", f"The picture has too many pixels{size}; this server takes {most:,} at most.")

    def _check_length(self, frames: int, seconds: float) -> None:
        if seconds > self._limits["max_seconds"]:
            most = self._limits["max_seconds"]
            raise Refused(
                "too_large", f"The video is longer than {most:g} s, the limit of this server; send a part of it."
            )
        if frames > self._limits["max_frames"]:
            most = self._limits["max_frames"]
            raise Refused(
                "too_large", f"The video has more than {most} frames, the limit of this server; send a part of it."
            )


def _arrays(found: list[Detection]) -> dict[str, Any]:
    data = np.stack([one.data for one in found]).astype("<f4")
    visibility = np.stack([one.visibility for one in found]).astype("<f4")
    return {"data": _text(data), "visibility": _text(visibility), "points": data.shape[1]}


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def main() -> None:
    """The process: answers a task at a time."""
    answer_tasks(lambda setup: Process(setup).answer)


__all__ = ["Process", "Refused", "kind_of", "main"]
