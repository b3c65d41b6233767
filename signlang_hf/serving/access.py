"""Who may come in, and how often: API keys, origins, hosts, rates, and the number of WebSockets.

Design decisions:

* A key is compared by its SHA-256 hash, in constant time, with every hash there is. It is never logged; its owner is told by the first
  digits of the hash.
* Browsers send the Origin of the page with WebSockets and with POST, whatever CORS says; a foreign one that is not allowed is refused.
  Clients that are no browsers send none.
* On a loopback address the server answers only to names of this machine, so that a page cannot reach it under a name of its own.
* If the storage of the rates cannot be reached, requests pass: it is told in the log, and the queues are bounded anyway.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from limits import RateLimitItem, parse_many
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string
from starlette.requests import HTTPConnection

from .errors import ServingError, one_line
from .settings import ServerSettings

logger = logging.getLogger(__name__)

KEY_HEADER = "X-API-Key"
_LONGEST_KEY = 512


class Client(NamedTuple):
    """Who asks: ``name`` for counting (a key's or an address's), ``shown`` for the log."""

    name: str
    shown: str


def new_key() -> tuple[str, str]:
    """A fresh API key, and the hash that goes into the settings."""
    key = f"sl-{secrets.token_urlsafe(32)}"
    return key, hash_of(key)


def hash_of(key: str) -> str:
    """SHA-256 of a key. Keys are long and random, so a slow hash would gain nothing."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Gatekeeper:
    """Decides about requests and connections.

    Args:
        settings: of the server.

    Raises:
        ValueError: the storage of the rates cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._hashes = settings.hashes
        self._origins, self._hosts = settings.origins, settings.hosts
        self._rates = {"http": _rates(settings.rate_limit), "ws": _rates(settings.websocket_rate_limit)}
        self._most, self._most_per_client = settings.max_websockets, settings.max_websockets_per_client
        self._sockets: Counter[str] = Counter()
        try:
            self._limiter = MovingWindowRateLimiter(storage_from_string(f"async+{settings.rate_limit_storage}"))
        except Exception as error:  # each storage has its own way to be missing
            raise ValueError(
                f"SIGNLANG_RATE_LIMIT_STORAGE (--rate-limit-storage) cannot be used: {one_line(error, 120)}"
            ) from None

    @property
    def needs_key(self) -> bool:
        """Whether there are keys at all."""
        return bool(self._hashes)

    def check_host(self, connection: HTTPConnection) -> None:
        """Raise ``forbidden`` if the server is called by a name that is not its own."""
        if self._hosts is None:
            return
        name = _host_name(connection.headers.get("host", ""))
        if name not in self._hosts:
            raise ServingError(
                "forbidden",
                "The server does not answer under this host name; SIGNLANG_ALLOWED_HOSTS names those that it has.",
            )

    def check_origin(self, connection: HTTPConnection) -> None:
        """Raise ``forbidden`` if the request comes from a page that may not use the server."""
        origin = connection.headers.get("origin")
        if origin is None or "*" in self._origins or origin in self._origins:
            return
        if urlsplit(origin).netloc.lower() != connection.headers.get("host", "").lower() or origin == "null":
            raise ServingError(
                "forbidden",
                "Pages of this origin may not use the server; SIGNLANG_ALLOWED_ORIGINS names those that may.",
            )

    def identify(self, connection: HTTPConnection, key: str | None = None) -> Client:
        """Who asks.

        Args:
            connection: with the key in its header.
            key: given in another way.

        Raises:
            ServingError: ``unauthorized``: a key is needed, and this is none.
        """
        address = connection.client.host if connection.client else "unknown"
        if not self._hashes:
            return Client(f"ip:{address}", address)
        key = key or connection.headers.get(KEY_HEADER)
        if not key:
            raise ServingError("unauthorized", f"This server asks for an API key; send it in the header {KEY_HEADER}.")
        found = hash_of(key) if len(key) <= _LONGEST_KEY else ""
        matches = [hmac.compare_digest(found, known) for known in self._hashes]  # all of them, for equal time
        if not any(matches):
            raise ServingError("unauthorized", "This API key is not known here.")
        return Client(f"key:{found}", f"key {found[:8]}")

    async def count(self, kind: str, client: Client) -> None:
        """One more request (``http``) or stream (``ws``) of a client; raises ``too_many`` where it asks too often."""
        for rate in self._rates[kind]:
            try:
                if await self._limiter.hit(rate, kind, client.name):
                    continue
                window = await self._limiter.get_window_stats(rate, kind, client.name)
            except Exception as error:  # whatever the storage's own client raises
                logger.error("the storage of the rates cannot be reached", extra={"reason": one_line(error)})
                return
            wait = max(window.reset_time - time.time(), 1.0)
            raise ServingError("too_many", f"Too many requests (more than {rate}); try again in {wait:.0f} s.", wait)

    @contextmanager
    def socket(self, name: str) -> Iterator[Place]:
        """A place for a WebSocket under the client's address; raises ``too_many`` where there is none."""
        if sum(self._sockets.values()) >= self._most:
            raise ServingError("too_many", "The server has as many WebSockets open as it can; try again later.", 5)
        place = Place(self._sockets, self._most_per_client, name)
        try:
            yield place
        finally:
            place.leave()


class Place:
    """The place of one WebSocket in the count of its client.

    Args:
        sockets: client → WebSockets that it has open.
        most: of a client.
        name: of the client.
    """

    def __init__(self, sockets: Counter[str], most: int, name: str) -> None:
        self._sockets, self._most = sockets, most
        self._name: str | None = None
        self.move(name)

    def move(self, name: str) -> None:
        """It is known by another name now: by its key. Raises ``too_many`` where that has no place left."""
        if name == self._name:
            return
        if self._sockets[name] >= self._most:
            raise ServingError("too_many", "You have as many WebSockets open as the server allows; close one.", 5)
        self.leave()
        self._sockets[name] += 1
        self._name = name

    def leave(self) -> None:
        """It is closed."""
        if self._name is not None:
            self._sockets[self._name] -= 1
            if not self._sockets[self._name]:
                del self._sockets[self._name]  # addresses come and go
            self._name = None


def _rates(text: str) -> list[RateLimitItem]:
    return list(parse_many(text)) if text else []


def _host_name(header: str) -> str:
    """``localhost`` of ``localhost:8000``, ``[::1]`` of ``[::1]:8000``."""
    header = header.lower()
    return header[: header.find("]") + 1] if header.startswith("[") else header.partition(":")[0]


__all__ = ["KEY_HEADER", "Client", "Gatekeeper", "Place", "hash_of", "new_key"]
