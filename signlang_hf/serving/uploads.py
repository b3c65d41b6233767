"""Bodies of requests: taken in pieces, measured while they come, and written to a folder of the server's own.

Design decisions:

* What is too large is refused by its ``Content-Length`` before anything is read, and without one as soon as it passes the limit.
* A body that trickles has a time limit. Names that clients give are never used: a file is called by a number.
* Only the field ``video`` is written; other fields of a form are passed over, and more than a few are an error.
* The folder is made when the server starts and removed when it ends. What a killed server left is swept by the next one: a lock tells
  whose owner lives.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request

from .errors import ServingError

FIELD = "video"
_PREFIX = "signlang-serve-"
_MORE_PARTS = 8  # of a form
_OVERHEAD = 64_000  # bytes of a form around its file


class Spool:
    """The server's folder for uploads.

    Args:
        parent: folder in which it is made; None: the system's for temporary files.
    """

    def __init__(self, parent: str | None = None) -> None:
        from filelock import FileLock, Timeout

        root = Path(parent or tempfile.gettempdir())
        sweep(root)
        self._numbers = itertools.count(1)
        while True:
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))  # for this user alone
            self._lock = FileLock(self.folder / "lock")
            with suppress(Timeout, OSError):
                self._lock.acquire(timeout=0)
                if (self.folder / "lock").exists():
                    return
            # Another server that starts just now took it for one that was left.

    def new(self) -> Path:
        """A path for the next upload."""
        return self.folder / f"{next(self._numbers)}.upload"

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep(root: Path) -> list[Path]:
    """Remove the folders of servers that are gone, and return them."""
    from filelock import FileLock, Timeout

    gone = []
    for folder in root.glob(f"{_PREFIX}*"):
        # Never through a link, never another user's: the folder for temporary files is everybody's.
        if (
            folder.is_symlink()
            or not folder.is_dir()
            or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid())
        ):
            continue
        try:
            with FileLock(folder / "lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            continue
        gone.append(folder)
    return gone


@asynccontextmanager
async def uploaded(request: Request, spool: Spool, limit: int, seconds: float) -> AsyncIterator[Path]:
    """The video of a request as a file that exists while the context is open: the field ``video`` of a form, or the body itself.

    Raises:
        ServingError: ``too_large``, ``timeout``, ``bad_input`` (no such field, an empty file, a broken form).
    """
    check_length(request, limit + _OVERHEAD, limit)
    path = spool.new()
    try:
        with path.open("wb") as file:
            sink = _sink(request, file, limit)
            async with _deadline(seconds):
                async for piece in _pieces(request, limit + _OVERHEAD, limit):
                    sink.write(piece)
            sink.finish()
        yield path
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """A whole body of at most ``limit`` bytes. Errors as :func:`uploaded`."""
    check_length(request, limit, limit)
    pieces = []
    async with _deadline(seconds):
        async for piece in _pieces(request, limit, limit):
            pieces.append(piece)
    return b"".join(pieces)


def check_length(request: Request, most: int, limit: int) -> None:
    """Refuse by the header what is too large."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal():
        raise ServingError("bad_input", "The header Content-Length is not a number.")
    if int(said) > most:
        raise too_large(limit)


def too_large(limit: int) -> ServingError:
    """A body over the limit."""
    return ServingError("too_large", f"The body is larger than {limit / 1e6:g} MB, the limit of this server.")


async def _pieces(request: Request, most: int, limit: int) -> AsyncIterator[bytes]:
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise too_large(limit)
            yield piece
    except ClientDisconnect:
        raise ServingError("bad_input", "The body ended before it was complete.") from None


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    """As ``asyncio.timeout``, which Python 3.10 does not have, for one task that only waits for its client."""
    task, late = asyncio.current_task(), False
    assert task is not None

    def stop() -> None:
        nonlocal late
        late = True
        task.cancel()

    handle = asyncio.get_running_loop().call_later(seconds, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not late:
            raise
        raise ServingError("timeout", f"The body did not come within {seconds:g} s.") from None
    finally:
        handle.cancel()


def _sink(request: Request, file: Any, limit: int) -> _Raw | _Form:
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/"):
        return _Raw(file, limit)
    from python_multipart.multipart import parse_options_header

    main, options = parse_options_header(kind)
    boundary = options.get(b"boundary", b"")
    if main != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise ServingError(
            "bad_input", "The form has no boundary that can be used; send multipart/form-data with the field video."
        )
    return _Form(file, limit, boundary)


class _Raw:
    """The body is the file."""

    def __init__(self, file: Any, limit: int) -> None:
        self._file, self._limit, self._size = file, limit, 0

    def write(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise too_large(self._limit)
        self._file.write(piece)

    def finish(self) -> None:
        if not self._size:
            raise ServingError("bad_input", f"There is no video: send one as the field {FIELD} of a form.")


class _Form:
    """The body is a form, one field of which is the file."""

    def __init__(self, file: Any, limit: int, boundary: bytes) -> None:
        from python_multipart.multipart import MultipartParser

        self._raw, self._found, self._inside, self._parts = _Raw(file, limit), False, False, 0
        self._name, self._value, self._headers = b"", b"", {}
        self._over = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._content,
                "on_header_end": self._header,
                "on_headers_finished": self._headers_done,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finished,
            },
        )

    def write(self, piece: bytes) -> None:
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(piece)
        except FormParserError:
            raise ServingError(
                "bad_input", "The form cannot be read; send multipart/form-data with the field video."
            ) from None

    def finish(self) -> None:
        if not self._over:
            raise ServingError("bad_input", "The form is cut off.")
        if not self._found:
            raise ServingError("bad_input", f"The form has no field {FIELD}; send the video under that name.")
        self._raw.finish()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MORE_PARTS:
            raise ServingError(
                "bad_input", f"The form has more than {_MORE_PARTS} fields; the server needs one, {FIELD}."
            )
        self._headers, self._inside = {}, False

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _content(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_done(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if options.get(b"name") == FIELD.encode():
            if self._found:
                raise ServingError("bad_input", f"The form has the field {FIELD} twice; send one video at a time.")
            self._found = self._inside = True

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._raw.write(data[start:end])

    def _end(self) -> None:
        self._inside = False

    def _finished(self) -> None:
        self._over = True


__all__ = ["FIELD", "Spool", "check_length", "read_body", "sweep", "too_large", "uploaded"]
