"""One file at a time from the web: polite, resumable, and clear about why a file could not be had.

Design decisions:

* Of one host a caller asks for one file at a time; between two requests to it lies at least an interval (:class:`Host`).
* A download grows as ``<name>.part``, and ``<name>.part.json`` says what it is a part of. It goes on with ``Range`` and ``If-Range`` where the
  server named a strong ETag or a date, so that two versions of a file are never mixed; everything else starts again from nothing.
* 429, 408 and 5xx are asked again, when ``Retry-After`` says, else after a wait that doubles, with some chance in it so that many clients do not come
  back together. A host that goes on like that, or that asks for a longer wait than one would sit through, is left alone for the run.
* What is gone is told from what did not work this time: :class:`DeadLink` and :class:`DownloadFailed`.
* Only http and https, also after a redirect: ``requests`` knows no other scheme.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..landmarks.files import atomic_write

USER_AGENT = f"signlang-hf/{__version__} (downloads a research dataset, one file at a time)"
MAX_BYTES = 2 * 1024**3
TIMEOUT = (10.0, 30.0)  # seconds to connect, and without a byte
_BLOCK = 1 << 13  # what a connection that breaks may cost
_ASK_AGAIN = {408, 425, 429, 500, 502, 503, 504, 520, 522, 524}
_PART = ".part"


class DeadLink(Exception):
    """The file is gone, is not given out, or is no file: asking again is pointless."""


class DownloadFailed(Exception):
    """It did not work this time; what arrived is kept, and a later run goes on from there."""


class HostUnavailable(DownloadFailed):
    """The host itself does not answer, or has enough of us: the rest of its files can wait, too."""


class Stopped(Exception):
    """The caller's event was set."""


@dataclass
class Patience:
    """How long to wait for what.

    ``retries``: further tries of a file · ``interval``: seconds between two requests to a host · ``backoff``: first wait, which doubles · ``longest``:
    seconds of a single wait at most.
    """

    retries: int = 4
    interval: float = 1.0
    backoff: float = 2.0
    longest: float = 120.0


@dataclass
class Host:
    """One host as its caller meets it: a session that keeps its connection, and when the next request may be made."""

    patience: Patience = field(default_factory=Patience)
    stop: threading.Event = field(default_factory=threading.Event)
    headers: Mapping[str, str] = field(default_factory=dict)
    session: Any = None
    next_request: float = 0.0

    def __post_init__(self) -> None:
        import requests

        self.session = requests.Session()
        # A video must arrive as it is; its length and parts are counted in its own bytes.
        self.session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **self.headers})

    def take_turn(self) -> None:
        """Wait until the host may be asked again. Raises :class:`Stopped`."""
        self.pause(self.next_request - time.monotonic())
        self.next_request = time.monotonic() + self.patience.interval * random.uniform(0.9, 1.3)

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the caller stops. Raises :class:`Stopped`."""
        if self.stop.is_set() or (seconds > 0 and self.stop.wait(seconds)):
            raise Stopped

    def close(self) -> None:
        self.session.close()


def fetch(
    url: str, target: Path, host: Host, *, max_bytes: int = MAX_BYTES, seen: Callable[[int], None] | None = None
) -> None:
    """Download ``url`` to ``target``; it appears whole or not at all.

    Args:
        url: an http or https address.
        target: file to write. ``<target>.part`` and ``<target>.part.json`` are what an earlier try left, and what this one leaves if it fails.
        host: the host of the address.
        max_bytes: largest file that is accepted.
        seen: called with the number of each bytes that arrived.

    Raises:
        DeadLink: the server says that there is no such file, or nothing that may be had, or answers with a web page; the file is too large.
        DownloadFailed: all tries failed. HostUnavailable: and the next file of the host would, too.
        Stopped: the host's event was set.
        OSError: the disk is full, the folder cannot be written to.
    """
    import requests

    if not url.lower().startswith(("http://", "https://")):
        raise DeadLink("it is no http or https address")
    target.parent.mkdir(parents=True, exist_ok=True)
    patience, wait = host.patience, host.patience.backoff
    reason, unavailable = "", False
    for attempt in range(patience.retries + 1):
        if attempt:
            host.pause(min(wait, patience.longest) * random.uniform(0.8, 1.2))
            wait *= 2
        host.take_turn()
        try:
            before = _bytes_of(_part(target))
            asked = _fetch_once(url, target, host, max_bytes, seen)
            if asked is None:
                return
            reason, delay = asked
            # 500 is one file's trouble; 429, and 503 with a time to come back, are the host's word to us.
            unavailable = "429" in reason or delay > 0
            if delay > patience.longest:
                raise HostUnavailable(f"{reason} and asks to wait {delay:.0f} s; try again then")
            wait = max(wait, delay)
        except requests.exceptions.SSLError as error:
            raise DownloadFailed(f"no secure connection ({_cause(error)})") from error
        except requests.exceptions.TooManyRedirects as error:
            raise DeadLink("it is redirected in circles") from error
        except (
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidURL,
            requests.exceptions.MissingSchema,
        ) as error:
            raise DeadLink(f"it is, or leads to, no http or https address ({_cause(error)})") from error
        except requests.exceptions.RequestException as error:
            now = _bytes_of(_part(target))
            # A connection that breaks after some bytes says nothing about the host.
            unavailable = now == 0
            reason = (
                f"the connection broke after {now} bytes ({_cause(error)})" if now else f"no answer ({_cause(error)})"
            )
            if now > before:
                wait = patience.backoff
    raise (HostUnavailable if unavailable else DownloadFailed)(f"{reason}, {patience.retries + 1} times")


def _fetch_once(
    url: str, target: Path, host: Host, max_bytes: int, seen: Callable[[int], None] | None
) -> tuple[str, float] | None:
    """None when the file is there; else (what the server said, seconds that it asks to wait)."""
    part = _part(target)
    known = _known(part, url)
    have = part.stat().st_size if known else 0
    headers = {"Range": f"bytes={have}-", "If-Range": known["validator"]} if have else {}
    with host.session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        status = response.status_code
        if status == 416 and have:  # nothing is left, or the file has become shorter
            if _total(response) == have:
                _finish(part, target)
                return None
            _forget(part)
            return "HTTP 416 on going on", 0.0
        if status in _ASK_AGAIN:
            return f"HTTP {status} {response.reason}".strip(), _retry_after(response.headers.get("Retry-After"))
        if status not in (200, 206):
            raise DeadLink(f"HTTP {status} {response.reason}".strip())
        if status == 206 and not (have and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")):
            _forget(part)
            return "HTTP 206 with another part than asked for", 0.0
        resumed = status == 206
        # Lengths and parts of a packed answer are not those of the file.
        packed = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        length = None if packed else _length(response)
        total = None if length is None else length + (have if resumed else 0)
        if total is not None and total > max_bytes:
            raise DeadLink(f"it has {total / 1e6:.0f} MB, more than the {max_bytes / 1e6:.0f} MB allowed")
        if not resumed:
            _forget(part)
            validator = _validator(response)
            if validator is not None and not packed:
                _remember(part, {"url": url, "validator": validator})
        _receive(response, part, have if resumed else 0, max_bytes, host, seen)
        size = part.stat().st_size
        if total is not None and size != total:
            import requests

            raise requests.exceptions.ChunkedEncodingError(f"{size} of {total} bytes")
        _check_content(part, response.headers.get("Content-Type", ""))
    _finish(part, target)
    return None


def _receive(
    response: Any, part: Path, have: int, max_bytes: int, host: Host, seen: Callable[[int], None] | None
) -> None:
    size = have
    with part.open("ab" if have else "wb") as stream:
        for block in response.iter_content(_BLOCK):
            if host.stop.is_set():
                raise Stopped
            size += len(block)
            if size > max_bytes:
                stream.close()
                _forget(part)
                raise DeadLink(f"it has more than the {max_bytes / 1e6:.0f} MB allowed")
            stream.write(block)
            if seen is not None:
                seen(len(block))


def _check_content(part: Path, kind: str) -> None:
    """Many a site answers for a file that is gone with a page that says so, and calls that 200."""
    with part.open("rb") as stream:
        head = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        _forget(part)
        raise DeadLink("it is empty (0 bytes)")
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<script", b"<title")):
        _forget(part)
        raise DeadLink(f"a web page came instead of a video ({kind or 'text/html'})")


def _part(target: Path) -> Path:
    return target.with_name(target.name + _PART)


def _facts(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _known(part: Path, url: str) -> dict[str, str]:
    """What the part is a part of; empty where it cannot be gone on with."""
    try:
        facts = json.loads(_facts(part).read_text(encoding="utf-8"))
        usable = facts["url"] == url and isinstance(facts["validator"], str) and part.is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return facts if usable else {}


def _remember(part: Path, facts: dict[str, str]) -> None:
    text = json.dumps(facts)
    atomic_write(_facts(part), lambda stream: stream.write(text.encode()))  # type: ignore[arg-type, return-value]


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _facts(part).unlink(missing_ok=True)


def _finish(part: Path, target: Path) -> None:
    os.replace(part, target)
    _facts(part).unlink(missing_ok=True)


def _validator(response: Any) -> str | None:
    """What ``If-Range`` may hold (RFC 9110, 13.1.5): a strong ETag, else the date of the last change."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    return response.headers.get("Last-Modified")


def _length(response: Any) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() else None


def _total(response: Any) -> int | None:
    value = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(value) if value.isdecimal() else None


def _retry_after(value: str | None) -> float:
    """Seconds of a ``Retry-After``, which is a number or a date; 0 where there is none that makes sense."""
    if value is None:
        return 0.0
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _cause(error: BaseException) -> str:
    """The innermost reason in a few words: requests and urllib3 wrap what the system said."""
    inner: Any = error
    while True:
        reason = (
            getattr(inner, "reason", None)
            or inner.__cause__
            or next(iter(a for a in inner.args if isinstance(a, BaseException)), None)
        )
        if not isinstance(reason, BaseException) or reason is inner:
            break
        inner = reason
    text = " ".join(str(inner).split()) or type(inner).__name__
    return text.rpartition(": ")[2][:120].rstrip(".") or type(inner).__name__
