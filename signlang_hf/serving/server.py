"""Running the server: an address of its own, signals, and an end that loses nothing.

Design decisions:

* The address is taken before anything is loaded: a busy port is said at once.
* On SIGTERM or Ctrl-C nothing new is let in, streams say their last events and are closed with 1001, and requests that run are finished,
  within ``shutdown_timeout``. uvicorn alone would cut the WebSockets off.
* Where models or processes cannot be had the server ends, with one sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .settings import ServerSettings


def serve(settings: ServerSettings, say: Callable[[str], None] = print) -> None:
    """Run the server until it is told to stop.

    Args:
        settings: of the server.
        say: takes a line for the person at the terminal.

    Raises:
        ValueError, FileNotFoundError: a model that is not there, a setting that cannot be used; one sentence says which.
        OSError: the address cannot be listened on.
        ImportError: the extra ``serve`` is not installed.
    """
    require_serve()
    from .app import create_app
    from .logs import set_up_logging
    from .models import check_models
    from .settings import unknown_names

    for name in unknown_names(dict(os.environ)):
        say(f"{name} is no setting of the server; is it misspelt?")
    check_models(settings)
    listener = listen(settings.host, settings.port)
    with contextlib.closing(listener):
        set_up_logging(settings.log_level)
        app = create_app(settings)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        server = make_server(app, settings)
        say(f"listening on http://{shown}:{port}, the page is http://{shown}:{port}/live-signs/, loading the models …")
        server.run(sockets=[listener])
        if app.state.service.failure is not None:
            raise ValueError(app.state.service.failure)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the address.

    Raises:
        OSError: the port is taken, or the address is none of this machine; one sentence says so.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # of Linux: a client that takes nothing any more is cut off
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(
            f"Cannot listen on {host}:{port} ({reason.lower()}); end what uses it, or choose another with --port."
        ) from None
    listener.setblocking(False)
    return listener


def require_serve() -> None:
    """Raise an ImportError that says what to install, unless the server's packages are there."""
    try:
        import fastapi
        import limits
        import prometheus_client
        import pydantic_settings
        import python_multipart
        import pythonjsonlogger
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ImportError(f'The server needs {error.name}: pip install "signlang-hf[serve]"') from None
    del fastapi, limits, prometheus_client, pydantic_settings, python_multipart, pythonjsonlogger


def make_server(app: Any, settings: ServerSettings) -> Any:
    """uvicorn around an app, for whoever runs it in a way of their own: ``make_server(app, settings).run(sockets=[listen(…)])``."""
    import uvicorn

    class Server(uvicorn.Server):
        """uvicorn, which tells the app first when it stops, and ends well after a signal."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for one in self.servers:
                one.close()
            service = app.state.service
            service.draining.set()
            limit = asyncio.get_running_loop().time() + settings.shutdown_timeout
            while service.open_sockets and asyncio.get_running_loop().time() < limit and not self.force_exit:
                await asyncio.sleep(0.02)
            await super().shutdown(sockets)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
                yield
                return
            caught = (signal.SIGINT, signal.SIGTERM)
            before = {one: signal.signal(one, self.handle_exit) for one in caught}
            try:
                yield
            finally:
                for one, handler in before.items():
                    signal.signal(one, handler)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            self.force_exit = self.should_exit and sig == signal.SIGINT  # the second Ctrl-C
            self.should_exit = True

    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            ws_max_size=settings.max_message + 1024,  # so that the app can say what is wrong
            ws_per_message_deflate=False,  # it costs more than it saves, and unpacks to anything
            limit_concurrency=settings.max_connections,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=int(settings.shutdown_timeout) + 1,
            forwarded_allow_ips=settings.trusted_proxies,
            server_header=False,
        )
    )

    def stop() -> None:
        server.should_exit = True

    app.state.service.on_failure = stop
    return server


__all__ = ["listen", "make_server", "require_serve", "serve"]
