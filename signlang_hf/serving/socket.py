"""``WS /ws``: frames or landmarks in, events out. What goes over the wire is described in :func:`socket_route`.

Design decisions:

* The event loop only carries messages: frames go to a worker process, landmarks to the model's thread, and events come back from there.
* What a client does not read waits in a bounded queue; landmarks that were asked for are left out when it is half full, and when it is
  full the client is let go.
* A client has a time limit for its first message and for silence, and a place of its own in the count of connections.
* When the server stops, every stream ends as if the client had said ``stop``: the last events, ``stopped``, and a close with 1001.
"""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import time
from contextlib import suppress
from typing import Any

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from ..landmarks import get_layout
from .access import Client, Place
from .engine import Engine, LiveSession
from .errors import ServingError, busy
from .estimators import FrameStream
from .landmarks_in import frame_of, layout_of, parse_json, seconds_of, size_of, units_of
from .service import Service

logger = logging.getLogger(__name__)

_MOST_FRAMES = 256  # of a message
_BUSY_EVERY = 1.0  # seconds
_LAST_WORDS = 10.0  # seconds for the answer to what was sent last
_SLOW = 5.0  # seconds for a client to take what is sent to it
_FIELDS = frozenset(
    (
        "type",
        "mode",
        "model",
        "api_key",
        "source",
        "layout",
        "size",
        "units",
        "timestamps",
        "mirrored",
        "return_landmarks",
    )
)


async def socket_route(websocket: WebSocket) -> None:
    """Live recognition.

    The client sends ``{"type": "start", …}``, then JPEG frames as binary messages or ``{"type": "landmarks", …}``, then
    ``{"type": "stop"}``; after that it may start again. The server sends ``ready``, events (``sign_started``, ``partial``, ``sign``,
    ``gloss``, ``sentence``, ``idle``), ``landmarks``, ``busy``, ``stopped`` and ``error``.
    """
    service: Service = websocket.app.state.service
    service.gate.check_origin(websocket)
    await websocket.accept()
    service.open_sockets += 1
    service.metrics.websockets.set(service.open_sockets)
    try:
        await Conversation(websocket, service).run()
    finally:
        service.open_sockets -= 1
        service.metrics.websockets.set(service.open_sockets)


class Conversation:
    """One WebSocket from its first message to its last.

    Args:
        websocket: accepted.
        service: of the server.
    """

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self.websocket, self.service, self.settings = websocket, service, service.settings
        self._loop = asyncio.get_running_loop()
        self._place: Place
        self._started = False
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue(self.settings.outgoing_queue)
        self._over = asyncio.Event()
        self._stopped = asyncio.Event()
        self._roomy = asyncio.Event()
        self._close: tuple[int, str] | None = None
        self._session: LiveSession | None = None
        self._frames: FrameStream | None = None
        self._began = 0.0
        self._timestamps = False
        self._size: tuple[int, int] | None = None
        self._points = 0
        self._said_busy = -_BUSY_EVERY

    async def run(self) -> None:
        """Talk until one side has had enough."""
        reader, writer = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        ends = [asyncio.create_task(event.wait()) for event in (self._over, self.service.draining)]
        try:
            await asyncio.wait({reader, writer, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if self.service.draining.is_set() and not self._over.is_set():
                reader.cancel()
                await self._say_last()
                self._end(1001, "The server is shutting down.")
        finally:
            for task in (reader, *ends):
                task.cancel()
            self._let_go()
            await self._hang_up(writer)
            await asyncio.gather(reader, writer, *ends, return_exceptions=True)

    async def _read(self) -> None:
        """Take messages until there are no more."""
        address = self.websocket.client.host if self.websocket.client else "unknown"
        gate = self.service.gate
        try:
            with gate.socket(f"ip:{address}") as self._place:
                await gate.count("ws", Client(f"ip:{address}", address))
                while True:
                    await self._take(await self._receive())
        except WebSocketDisconnect:
            self._over.set()
        except ServingError as error:
            self._refuse(error)
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("a WebSocket failed")
            self._refuse(ServingError("internal", "The server failed; its log says why."))

    async def _receive(self) -> dict[str, Any]:
        limit = self.settings.idle_timeout
        try:
            message = await asyncio.wait_for(self.websocket.receive(), limit)
        except (asyncio.TimeoutError, TimeoutError):
            raise ServingError("timeout", f"Nothing has come for {limit:g} s; connect again to go on.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1005)
        return message

    async def _take(self, message: dict[str, Any]) -> None:
        text, data = message.get("text"), message.get("bytes")
        size = len(data) if data is not None else len(text or "")
        if size > self.settings.max_message:
            most = self.settings.max_message
            raise ServingError("too_large", f"A message has {size} bytes; the server takes {most} at most.")
        if data is not None:
            self._take_frame(data)
            return
        given = parse_json(text or "")
        kind = given.get("type") if isinstance(given, dict) else None
        if kind == "start":
            await self._start(given)
        elif kind == "landmarks":
            await self._take_landmarks(given)
        elif kind == "stop":
            await self._stop()
        else:
            raise ServingError("bad_message", "A message must be an object whose type is start, landmarks or stop.")

    async def _start(self, given: dict[str, Any]) -> None:
        foreign = sorted(set(given) - _FIELDS)
        if foreign:
            raise ServingError(
                "bad_message", f"start does not know {foreign[0][:60]!r}; it knows {', '.join(sorted(_FIELDS))}."
            )
        key = _word(given, "api_key", None)
        client = self.service.gate.identify(self.websocket, key)
        self.websocket.scope["signlang_client"] = client.shown
        self._place.move(client.name)
        if self._started or client.name.startswith("key:"):  # the address was counted when it connected
            await self.service.gate.count("ws", client)
        self._started = True
        if self._session is not None:
            await self._stop()
        mode, source = _word(given, "mode", "signs"), _word(given, "source", "frames")
        if mode not in ("signs", "sentences") or source not in ("frames", "landmarks"):
            raise ServingError("bad_message", "mode must be signs or sentences, and source frames or landmarks.")
        engine = self.service.engine(mode, _word(given, "model", None))
        self._timestamps, mirrored, echo = (
            _flag(given, name) for name in ("timestamps", "mirrored", "return_landmarks")
        )
        if source == "landmarks":
            layout, units = layout_of(given.get("layout")), units_of(given.get("units"))
            self._size = size_of(given.get("size"), units)
            self._begin(engine, layout, units, mirrored, echo)
        else:
            self._begin_frames(engine, mirrored, echo)
        facts = engine.model.facts()
        ready = {"type": "ready", "mode": mode, "model": engine.model.name, "labels": len(facts["labels"])}
        ready |= {"layout": self._session.layout, "fps": facts["fps"], "languages": facts["languages"]}
        self._say([ready])

    def _begin_frames(self, engine: Engine, mirrored: bool, echo: bool) -> None:
        pool = self.service.pool
        assert pool is not None
        deliver, fail = self._delivered, self._failed
        frames = pool.stream(deliver, fail)
        try:
            self._begin(engine, pool.layout, "image", mirrored, echo)
        except BaseException:
            frames.close()
            raise
        self._frames = frames

    def _begin(self, engine: Engine, layout: str, units: str, mirrored: bool, echo: bool) -> None:
        self._points = len(get_layout(layout))
        self._stopped.clear()
        loop, say, roomy = self._loop, self._say, self._roomy.set
        self._session = LiveSession(
            engine,
            layout=layout,
            units=units,
            mirrored=mirrored,
            say=lambda messages: _in_loop(loop, say, messages),
            echo=echo,
            roomy=lambda: _in_loop(loop, roomy),
        )
        self._began = time.monotonic()
        self.service.metrics.streams.inc()

    def _delivered(self, frame: Any) -> None:
        """Landmarks of a frame, in the thread of a worker process."""
        session = self._session
        if session is not None:
            session.put([frame])

    def _failed(self, error: ServingError) -> None:
        """A worker process has died, or a frame was none; in its thread."""
        _in_loop(self._loop, self._refuse, error)

    def _take_frame(self, data: bytes) -> None:
        if self._session is None or self._frames is None:
            raise ServingError("bad_message", "A frame came before start, or into a stream of landmarks.")
        seconds = time.monotonic() - self._began
        if self._timestamps:
            if len(data) < 8:
                raise ServingError(
                    "bad_message", "A frame must be 8 bytes of time (float64, little-endian) and a JPEG."
                )
            seconds, data = seconds_of(struct.unpack("<d", data[:8])[0], "frame"), data[8:]
        if not data.startswith(b"\xff\xd8\xff"):
            raise ServingError("bad_message", "A frame is not a JPEG picture; send frames as JPEG.")
        if not self._frames.put(seconds, data):
            self._session.dropped = self._frames.dropped
            now = time.monotonic()
            if now - self._said_busy >= _BUSY_EVERY:
                self._said_busy = now
                self._say([{"type": "busy", "dropped": self._frames.dropped}])

    async def _take_landmarks(self, given: dict[str, Any]) -> None:
        session = self._session
        if session is None or self._frames is not None:
            raise ServingError("bad_message", "Landmarks came before start, or into a stream of frames.")
        many = given.get("frames")
        if many is None:
            frames = [frame_of(given, self._points, self._size)]
        elif isinstance(many, list) and len(many) <= _MOST_FRAMES:
            frames = [frame_of(one, self._points, self._size, f"frame {number}") for number, one in enumerate(many)]
        else:
            raise ServingError("bad_message", f"frames must be a list of at most {_MOST_FRAMES} frames.")
        while session.crowded and not session.closed:  # nothing is lost: the client is read more slowly
            self._roomy.clear()
            with suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._roomy.wait(), 0.2)
        session.put(frames)

    async def _stop(self) -> None:
        """What is being signed is over; the last events have been said when this returns."""
        if self._session is None:
            raise ServingError("bad_message", "There is nothing to stop: no stream has been started.")
        await self._say_last()

    async def _say_last(self) -> None:
        session, frames = self._session, self._frames
        if session is None:
            return
        if frames is None:
            session.finish()
        else:
            frames.when_empty(session.finish)
        try:
            await asyncio.wait_for(self._stopped.wait(), _LAST_WORDS)
        except (asyncio.TimeoutError, TimeoutError):
            self._refuse(busy("The server has too much to do to look at what was sent last; try again in a moment."))
        self._let_go()

    def _let_go(self) -> None:
        """The stream is over."""
        session, frames, self._session, self._frames = self._session, self._frames, None, None
        if frames is not None:
            frames.close()
        if session is not None:
            session.close()
            self.service.metrics.streams.dec()

    def _say(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if self._close is not None:  # the last word has been said
                return
            if message["type"] == "landmarks" and 2 * self._outgoing.qsize() > self._outgoing.maxsize:
                continue
            try:
                self._outgoing.put_nowait(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
            except asyncio.QueueFull:
                self._end(1008, "The client does not read what is sent to it.", in_a_hurry=True)
                return
            if message["type"] == "stopped":
                self._stopped.set()
            elif message["type"] == "error":
                self.service.metrics.errors.labels(message["code"]).inc()
                close = {"too_large": 1009, "too_many": 1013, "unavailable": 1013, "internal": 1011}
                self._end(close.get(message["code"], 1008), message["detail"])

    def _refuse(self, error: ServingError) -> None:
        self._say([error.message])

    def _end(self, code: int, reason: str, in_a_hurry: bool = False) -> None:
        if self._close is None:
            self._close = code, reason
        if in_a_hurry:
            while not self._outgoing.empty():
                self._outgoing.get_nowait()
        self._stopped.set()
        self._over.set()

    async def _write(self) -> None:
        try:
            while (text := await self._outgoing.get()) is not None:
                await asyncio.wait_for(self.websocket.send_text(text), _SLOW)
        except (asyncio.TimeoutError, TimeoutError):
            self._end(1008, "The client does not read what is sent to it.", in_a_hurry=True)
        except (WebSocketDisconnect, RuntimeError, OSError):  # the client is gone, which the reader hears too
            pass

    async def _hang_up(self, writer: asyncio.Task[None]) -> None:
        """Send what is left, and close; a client that takes neither is cut off."""
        code, reason = self._close or (1000, "")
        gone = self.websocket.client_state is WebSocketState.DISCONNECTED

        async def rest() -> None:
            await self._outgoing.put(None)
            await writer
            await self.websocket.close(code, reason.encode()[:120].decode(errors="ignore"))

        if not gone:
            with suppress(asyncio.TimeoutError, TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
                await asyncio.wait_for(rest(), _SLOW)
        writer.cancel()


def _in_loop(loop: asyncio.AbstractEventLoop, call: Any, *arguments: Any) -> None:
    with suppress(RuntimeError):  # the loop has ended, and the conversation with it
        loop.call_soon_threadsafe(call, *arguments)


def _word(given: dict[str, Any], name: str, default: str | None) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise ServingError("bad_message", f"{name} must be a string.")
    return default if value is None else value


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise ServingError("bad_message", f"{name} must be true or false.")
    return value


__all__ = ["Conversation", "socket_route"]
