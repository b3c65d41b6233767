"""A web site on loopback that gives out videos, and misbehaves as it is told to: for the tests of downloads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Resource:
    """What lies at a path. Every request uses up the first of ``script``, if there is one.

    ``script``: an integer is a status to answer with, ``"cut:<n>"`` sends n bytes and closes the connection, ``"stall"`` sends nothing for a while.
    ``ranges``: whether parts are given out.
    """

    content: bytes = b""
    etag: str | None = '"v1"'
    kind: str = "video/mp4"
    script: list[int | str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    length: bool = True
    redirect: str | None = None
    packing: str | None = None


class VideoServer:
    """``url(path)`` on one host, ``other(path)`` on a second one that is the same server; ``requests`` keeps what was asked."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.requests: list[dict[str, str]] = []
        self.open, self.most_open = {}, {}
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"site": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def other(self, path: str) -> str:
        return f"http://localhost:{self.port}/{path}"

    def put(self, path: str, content: bytes = b"", **options: object) -> str:
        """Lay something at a path; gives its address."""
        self.resources[f"/{path}"] = Resource(content, **options)
        return self.url(path)

    def asked(self, path: str) -> list[dict[str, str]]:
        """Requests of one path."""
        return [request for request in self.requests if request["path"] == f"/{path}"]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    site: VideoServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        host = self.headers["Host"]
        with self.site.lock:
            self.site.requests.append(
                {"path": self.path, "host": host, "method": self.command, "range": self.headers.get("Range", ""),
                 "if_range": self.headers.get("If-Range", ""), "agent": self.headers.get("User-Agent", ""),
                 "referer": self.headers.get("Referer", ""), "time": time.monotonic()}
            )  # fmt: skip
            self.site.open[host] = self.site.open.get(host, 0) + 1
            self.site.most_open[host] = max(self.site.most_open.get(host, 0), self.site.open[host])
        try:
            self._answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with self.site.lock:
                self.site.open[host] -= 1

    def _answer(self) -> None:
        resource = self.site.resources.get(self.path)
        if resource is None:
            self._status(404)
            return
        step = resource.script.pop(0) if resource.script else None
        if isinstance(step, int):
            self._status(step, resource.headers)
            return
        if resource.redirect is not None:
            self._status(302, {"Location": resource.redirect})
            return
        if step == "stall":
            time.sleep(1.5)
            self.close_connection = True
            return
        content, status = resource.content, 200
        asked = self.headers.get("Range", "")
        headers = {"Content-Type": resource.kind}
        if resource.packing:
            headers["Content-Encoding"] = resource.packing
        if resource.etag:
            headers["ETag"] = resource.etag
        same = self.headers.get("If-Range") in (None, resource.etag)
        if asked.startswith("bytes=") and resource.ranges and same:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            if start >= len(content):
                self._status(416, {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        if resource.length:
            headers["Content-Length"] = str(len(content))
        else:
            headers["Connection"] = "close"
            self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(step, str) and step.startswith("cut:"):
            self.wfile.write(content[: int(step.removeprefix("cut:"))])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(content)

    def _status(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(name="video_server")
def serve_videos(monkeypatch: pytest.MonkeyPatch) -> Iterator[VideoServer]:
    """A running, empty site."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    server = VideoServer()
    yield server
    server.close()
