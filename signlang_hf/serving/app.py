"""The app: routes, the WebSocket, the page, and around them all a door that counts, logs, and turns every error into one sentence.

Design decisions:

* The door is plain ASGI: it sees the WebSocket too, streams pass through it untouched, and nothing can be answered around it.
* A route is counted under its template, and what matches none under ``other``: no client can make the metrics grow.
* What nobody foresaw is an ``internal`` error with the request's id; the traceback goes to the log and nowhere else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import __version__
from .errors import ServingError
from .logs import REQUEST_ID, request_id
from .metrics import METHODS
from .pages import add_page
from .routes import error_response, open_routes, routes
from .service import Service
from .settings import ServerSettings, load_settings
from .socket import socket_route

logger = logging.getLogger(__name__)

_WITHOUT_ORIGIN = (
    "GET",
    "HEAD",
    "OPTIONS",
)  # what a foreign page may send: it cannot read the answer, and nothing is done
_STATUS_CODES = {404: "not_found", 405: "method_not_allowed", 401: "unauthorized", 403: "forbidden"}


def create_app(settings: ServerSettings | None = None) -> FastAPI:
    """The server as an ASGI app.

    Args:
        settings: of the server; default: those of the environment.

    Raises:
        ValueError: settings that cannot be used; one sentence says which.
    """
    settings = settings or load_settings()
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="signlang",
        summary="Signs of videos, landmarks and cameras as words.",
        version=__version__,
        lifespan=lifespan,
        license_info={"name": "Apache-2.0"},
    )
    app.state.service = service
    app.include_router(open_routes)
    app.include_router(routes)
    app.add_api_websocket_route("/ws", socket_route)
    add_page(app, settings)
    app.add_exception_handler(ServingError, _serving_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _validation_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["X-API-Key", "X-Request-ID", "Content-Type"],
        expose_headers=["X-Request-ID", "Retry-After"],
        max_age=600,
    )
    app.add_middleware(Door, service=service)
    return app


class Door:
    """What every request and every WebSocket passes.

    Args:
        app: behind it.
        service: of the server.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        identity = request_id(connection.headers.get("x-request-id"))
        token = REQUEST_ID.set(identity)
        visit = _Visit(send, identity)
        try:
            await self._enter(scope, connection, receive, visit)
        finally:
            self._note(scope, visit)
            REQUEST_ID.reset(token)

    async def _enter(self, scope: Scope, connection: HTTPConnection, receive: Receive, visit: _Visit) -> None:
        try:
            self.service.gate.check_host(connection)
            if scope["type"] == "http" and scope["method"] not in _WITHOUT_ORIGIN:
                self.service.gate.check_origin(connection)
            await self.app(scope, receive, visit.send)
        except ServingError as error:
            await visit.refuse(scope, receive, error)
        except Exception:
            logger.exception("a request failed")
            await visit.refuse(scope, receive, ServingError("internal", "The server failed; its log says why."))

    def _note(self, scope: Scope, visit: _Visit) -> None:
        metrics = self.service.metrics
        route = getattr(scope.get("route"), "path", None) or "other"
        method = "WS" if scope["type"] == "websocket" else scope["method"]
        method = method if method in METHODS else "other"
        seconds = time.perf_counter() - visit.began
        metrics.requests.labels(route, method, str(visit.status)).inc()
        if scope["type"] == "http":
            metrics.request_seconds.labels(route).observe(seconds)
        if visit.code is not None:
            metrics.errors.labels(visit.code).inc()
        said: dict[str, Any] = {
            "method": method,
            "route": route,
            "status": visit.status,
            "ms": round(1000 * seconds, 1),
        }
        client = scope.get("client")
        said["client"] = scope.get("signlang_client") or (client[0] if client else None)
        level = logging.DEBUG if route in ("/health", "/ready", "/metrics") and visit.status < 400 else logging.INFO
        logger.log(level, "request", extra=said)


class _Visit:
    """A request on its way out: its status, and the headers that every answer has."""

    def __init__(self, send: Send, identity: str) -> None:
        self.began = time.perf_counter()
        self.status, self.code = 0, None
        self.started = False
        self._send, self._identity = send, identity

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            self.started = True
            self.status = message.get("status", 101)
            more = [(b"x-request-id", self._identity.encode())]
            if "status" in message:
                more.append((b"x-content-type-options", b"nosniff"))
            kept = []
            for name, value in message.get("headers", ()):
                if name == b"x-signlang-code":
                    self.code = value.decode()
                else:
                    kept.append((name, value))
            message = {**message, "headers": [*kept, *more]}
        await self._send(message)

    async def refuse(self, scope: Scope, receive: Receive, error: ServingError) -> None:
        """Answer with an error, if nothing has been answered yet."""
        if self.started:
            return
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            self.status = error.status
            await self._send({"type": "websocket.close", "code": error.close_code, "reason": error.detail[:120]})
            return
        await _answer(error)(scope, receive, self.send)


def _answer(error: ServingError) -> Response:
    """The response to an error, with its code for the door; a client whose body was not read is cut off."""
    response = error_response(error)
    response.headers["x-signlang-code"] = error.code
    if error.code in ("too_large", "timeout"):
        response.headers["connection"] = "close"
    return response


async def _serving_error(_: Request, error: ServingError) -> Response:
    return _answer(error)


async def _validation_error(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    name = str(first["loc"][-1])[:60]
    return _answer(ServingError("bad_input", f"{name}: {first['msg']}."))


async def _http_error(request: Request, error: HTTPException) -> Response:
    code = _STATUS_CODES.get(error.status_code, "bad_input")
    detail = {404: "There is nothing here; /docs lists what there is.", 405: "This method is not of this address."}
    answer = ServingError(code, detail.get(error.status_code, str(error.detail)))
    answer.status = error.status_code
    response = _answer(answer)
    response.headers.update(error.headers or {})
    return response
