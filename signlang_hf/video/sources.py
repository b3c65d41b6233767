"""Where a video comes from: a path, an http(s) address or bytes, always handed on as a file on disk.

Decoders want a file that they can seek in, so addresses and bytes go through a temporary file that is removed afterwards.
Whether a file is a still picture is decided by its first bytes, not by its name.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np

VIDEO_SUFFIXES: tuple[str, ...] = (
    ".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".3gp", ".wmv", ".flv", ".ogv", ".gif",
)  # fmt: skip
"""File names that batch extraction takes for videos; reading itself looks at the content."""

MAX_DOWNLOAD_BYTES = 2 * 1024**3
DOWNLOAD_TIMEOUT = 30.0
_DOWNLOAD_DEADLINE = 600.0

_IMAGE_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\x00", b"MM\x00*")


class LocalFile(NamedTuple):
    """A source on disk: where it lies, and what to call it in a message."""

    path: Path
    name: str


@contextmanager
def local_file(
    source: str | os.PathLike[str] | bytes,
    *,
    max_bytes: int = MAX_DOWNLOAD_BYTES,
    timeout: float = DOWNLOAD_TIMEOUT,
) -> Iterator[LocalFile]:
    """A path, http(s) address or bytes as a file that exists while the context is open.

    Args:
        source: what the user gave.
        max_bytes: largest download that is accepted.
        timeout: seconds without an answer after which a download is given up.

    Raises:
        FileNotFoundError: no such file.
        ConnectionError: the address could not be read.
        ValueError: a folder, an empty file, a download over the limit.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        with _temporary_file("") as path:
            path.write_bytes(source)
            yield _checked(path, "the given bytes")
    elif isinstance(source, str) and source.startswith(("http://", "https://")):
        with _temporary_file(PurePosixPath(urlsplit(source).path).suffix) as path:
            _download(source, path, max_bytes, timeout)
            yield _checked(path, source)
    elif isinstance(source, (str, os.PathLike)):
        if not str(source):
            raise ValueError("The path of the video is empty; give a file or an address.")
        yield _checked(Path(source), str(source))
    else:
        raise TypeError(f"A video is given as a path, an address or bytes, not as {type(source).__name__}.")


def is_image(path: Path) -> bool:
    """Whether the file starts like a still picture (JPEG, PNG, BMP, TIFF, WebP)."""
    with path.open("rb") as stream:
        head = stream.read(12)
    return head.startswith(_IMAGE_SIGNATURES) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def read_image(source: str | os.PathLike[str] | bytes) -> np.ndarray:
    """A still picture as (H, W, 3) uint8 RGB, turned upright as its EXIF data says.

    Raises:
        FileNotFoundError, ConnectionError: as for videos.
        ValueError: not a picture that Pillow can read.
    """
    with local_file(source) as (path, name):
        return _read_image(path, name)


def to_rgb(picture: Any) -> np.ndarray:
    """Any still picture as (H, W, 3) uint8 RGB, upright; transparency is left out.

    Args:
        picture: a PIL image of any mode; an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8 or uint16; or what
            :func:`read_image` takes.

    Raises:
        FileNotFoundError, ConnectionError: as for videos.
        ValueError: anything else, or a picture without pixels.
    """
    if isinstance(picture, (str, os.PathLike, bytes, bytearray, memoryview)):
        return read_image(picture)
    if hasattr(picture, "getexif") and hasattr(picture, "convert"):
        from PIL import ImageOps

        # Looking for what Pillow only finds when it decodes, so that a broken file is a sentence here, too.
        try:
            array = np.array(_eight_bit(ImageOps.exif_transpose(picture)).convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise ValueError(f"A picture of the list cannot be read: {error}.") from error
    else:
        array = _rgb_array(picture)
    if array.size == 0:
        raise ValueError(
            f"A picture of {array.shape[1]} × {array.shape[0]} pixels has none; give one of at least 1 × 1."
        )
    return array


def _rgb_array(picture: Any) -> np.ndarray:
    try:
        array = np.asarray(picture)
    except ValueError:  # ragged lists
        array = np.empty((), object)
    if array.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"A picture is a file, a PIL image or an array of uint8 or uint16; got {type(picture).__name__}"
            f"{f' of {array.dtype}' if array.ndim else ''}."
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ValueError(f"An array of shape {array.shape} is no picture; it must be (H, W), (H, W, 3) or (H, W, 4).")
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[..., :3]


def _read_image(path: Path, name: str) -> np.ndarray:
    pil: Any = _pillow()
    from PIL import ImageOps

    try:
        with pil.open(io.BytesIO(path.read_bytes())) as picture:
            return np.array(_eight_bit(ImageOps.exif_transpose(picture)).convert("RGB"))
    except (OSError, ValueError, SyntaxError, pil.DecompressionBombError) as error:
        reason = "cut off" if "truncated" in str(error) else "not a picture that can be read"
        raise ValueError(f"{name} is {reason}.") from error


def _eight_bit(picture: Any) -> Any:
    """16-bit grey as 8-bit grey; Pillow would make all but the darkest 256 levels white."""
    if not picture.mode.startswith("I"):
        return picture
    return _pillow().fromarray((np.clip(np.asarray(picture), 0, 65535) // 256).astype(np.uint8))


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError('Pictures need Pillow: pip install "signlang-hf[pose]"') from None
    return Image


def _checked(path: Path, name: str) -> LocalFile:
    if path.is_dir():
        raise ValueError(f"{name} is a folder, not a video; signlang extract and label-frames read whole folders.")
    if not path.is_file():
        raise FileNotFoundError(f"Video file not found: {name}")
    if path.stat().st_size == 0:
        raise ValueError(f"{name} is empty (0 bytes).")
    return LocalFile(path, name)


@contextmanager
def _temporary_file(suffix: str) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix="signlang-", suffix=suffix[:16])
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _download(url: str, path: Path, max_bytes: int, timeout: float) -> None:
    too_large = f"{url} is larger than {max_bytes / 1e6:g} MB, the limit for downloads; download it yourself."
    deadline = time.monotonic() + max(timeout, _DOWNLOAD_DEADLINE)
    try:
        request = Request(url, headers={"User-Agent": "signlang-hf"})
        with urlopen(request, timeout=timeout) as response, path.open("wb") as stream:
            if int(response.headers.get("Content-Length") or 0) > max_bytes:
                raise ValueError(too_large)
            size = 0
            while block := response.read(1 << 20):
                size += len(block)
                if size > max_bytes:
                    raise ValueError(too_large)
                if time.monotonic() > deadline:
                    raise TimeoutError("it took too long")
                stream.write(block)
    except HTTPError as error:
        raise ConnectionError(f"Could not download {url}: HTTP {error.code} {error.reason}.") from error
    except TimeoutError as error:
        raise ConnectionError(f"Could not download {url}: no answer within {timeout:g} s.") from error
    except (URLError, OSError) as error:
        raise ConnectionError(f"Could not download {url}: {getattr(error, 'reason', error)}.") from error
