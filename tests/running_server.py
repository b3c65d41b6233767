"""Servers for tests: real ones, on a port of this machine, in a thread of the test's own process."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from signlang_hf.serving.app import create_app
from signlang_hf.serving.server import listen, make_server
from signlang_hf.serving.service import Service
from signlang_hf.serving.settings import ServerSettings


@dataclass
class Running:
    """A server that runs in a thread of this process."""

    settings: ServerSettings
    service: Service
    port: int
    server: Any
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    @contextlib.contextmanager
    def socket(self, **options: Any) -> Iterator[ClientConnection]:
        with connect(f"ws://127.0.0.1:{self.port}/ws", compression=None, proxy=None, **options) as socket:
            yield socket

    @contextlib.contextmanager
    def started(self, **start: Any) -> Iterator[ClientConnection]:
        """A WebSocket after ``start`` and ``ready``."""
        with self.socket() as socket:
            said = talk(socket, {"type": "start", **start})
            assert said["type"] == "ready", said
            yield socket

    def wait(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.service.ready:
            assert self.service.failure is None, self.service.failure
            assert time.monotonic() < end, self.service.state
            time.sleep(0.02)

    def files(self) -> list[str]:
        """What lies in the server's folder for uploads."""
        assert self.service.spool is not None
        return sorted(path.name for path in self.service.spool.folder.iterdir() if path.name != "lock")

    def metric(self, line: str) -> float:
        """Value of a line of /metrics, such as ``signlang_streams`` or ``signlang_frames_total{outcome="used"}``."""
        text = self.http.get("/metrics").text
        found = [one for one in text.splitlines() if one.rpartition(" ")[0] == line]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


def talk(socket: ClientConnection, message: Any, timeout: float = 20) -> dict[str, Any]:
    """Send a message (an object as JSON), and return the next one."""
    socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    return json.loads(socket.recv(timeout))


def until(socket: ClientConnection, kind: str, timeout: float = 20) -> list[dict[str, Any]]:
    """The messages up to the first of this type."""
    messages = []
    while not messages or messages[-1]["type"] != kind:
        messages.append(json.loads(socket.recv(timeout)))
    return messages


@contextlib.contextmanager
def running(settings: ServerSettings, *, wait: bool = True) -> Iterator[Running]:
    """A server, from its start to its end."""
    app = create_app(settings)
    listener = listen("127.0.0.1", 0)
    server = make_server(app, settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    found = Running(settings, app.state.service, listener.getsockname()[1], server)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        if wait:
            found.wait()
        yield found
    finally:
        found.http.close()
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()
        spool = found.service.spool
        assert spool is not None and not spool.folder.exists()  # nothing is left on disk
