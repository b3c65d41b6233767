"""The live page from a server whose side of the WebSocket is a script: real HTTP and real frames, without a model.

It can be stopped and started again on its port, as a server that goes away and comes back.
"""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

PAGE = Path(__file__).resolve().parent.parent / "signlang_hf" / "serving" / "page"
# What the real server sends at least: no inline script or style, nothing of other hosts.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CONFIG: dict[str, Any] = {
    "modes": ["signs", "sentences"], "models": ["dgs30", "other"],
    "models_by_mode": {"signs": ["dgs30", "other"], "sentences": ["spelling"]}, "key_required": False, "browser_landmarks": False, "max_fps": 20,
    "labels": ["ich", "du", "Universität"], "language": "de",
}  # fmt: skip
READY = {"type": "ready", "mode": "signs", "model": "dgs30", "labels": 3, "layout": "mediapipe-holistic", "fps": 20}
BODY = [[0.3 + index / 100, 0.3 + index / 60] for index in range(33)]
HANDS = [[0.2 + index / 100, 0.7 - index / 100] for index in range(42)]


class Talk:
    """One connection: what came, and how to answer it."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.start: dict[str, Any] = {}
        self.frames: list[bytes] = []
        self.messages: list[dict[str, Any]] = []

    def say(self, kind: str, **fields: Any) -> None:
        self.connection.send(json.dumps({"type": kind, **fields}))

    def sign(self, label: str, score: float = 0.9) -> None:
        """All events of a sign."""
        self.say("sign_started", time=1.0, start=0.9)
        self.say("partial", time=1.5, start=0.9, label=label, score=score)
        self.say("sign", time=2.0, start=0.9, end=1.8, label=label, score=score, predictions=[])
        self.say("idle", time=2.0, start=0.9, end=1.8, reason="sign")

    def fail(self, code: str, detail: str, close: int) -> None:
        """A fatal error."""
        self.say("error", code=code, detail=detail)
        self.connection.close(close)


class ScriptedPageServer:
    """``on_ready(talk)`` is called when a client has started, ``on_frame(talk)`` after each frame."""

    def __init__(self) -> None:
        self.config = dict(CONFIG)
        self.files: dict[str, bytes] = {}  # beside those of the page, by what comes after /live-signs/
        self.on_ready: Callable[[Talk], None] = lambda talk: None
        self.on_frame: Callable[[Talk], None] = answer_landmarks
        self.on_stop: Callable[[Talk], None] = lambda talk: None
        self.refuse: Callable[[Talk], bool] = lambda talk: False
        self.talks: list[Talk] = []
        self._server: Server | None = None
        self.port = 0
        self.interrupted = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/live-signs/"

    def start(self) -> None:
        self._server = serve(self._talk, "127.0.0.1", self.port, process_request=self._answer)
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self.interrupted = True
        self._server.shutdown()
        for talk in self.talks:
            talk.connection.socket.close()
        self.talks.clear()

    def _talk(self, connection: ServerConnection) -> None:
        talk = Talk(connection)
        self.talks.append(talk)
        try:
            talk.start = json.loads(connection.recv())
            if self.refuse(talk):
                return
            talk.say("ready", **{name: value for name, value in READY.items() if name != "type"})
            self.on_ready(talk)
            for message in connection:
                if isinstance(message, bytes):
                    talk.frames.append(message)
                    self.on_frame(talk)
                    continue
                talk.messages.append(json.loads(message))
                if talk.messages[-1]["type"] == "stop":
                    self.on_stop(talk)
                    talk.say("stopped", counts={"frames": len(talk.frames)})
        except (ConnectionClosed, OSError):
            return

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/ws":
            return None
        name = path.removeprefix("/live-signs").lstrip("/") or "index.html"
        if name == "config.json":
            return _response(json.dumps(self.config).encode(), "application/json")
        if name in self.files:
            return _response(self.files[name], _type(name))
        file = PAGE / name
        if path.startswith("/live-signs") and file.parent == PAGE and file.is_file():
            return _response(file.read_bytes(), _type(name))
        return Response(HTTPStatus.NOT_FOUND, "Not Found", Headers({"Content-Length": "0"}), b"")


def answer_landmarks(talk: Talk) -> None:
    """Points for each frame, where they are asked for."""
    if talk.start["return_landmarks"]:
        talk.say("landmarks", time=len(talk.frames) / 20, points=BODY + HANDS, layout="mediapipe-holistic")


def _type(name: str) -> str:
    return (
        "text/javascript"
        if name.endswith(("js", "mjs"))
        else mimetypes.guess_type(name)[0] or "application/octet-stream"
    )


def _response(body: bytes, kind: str) -> Response:
    headers = Headers(
        {
            "Content-Type": kind if "/j" in kind and "script" not in kind else f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
    )
    return Response(HTTPStatus.OK, "OK", headers, body)
