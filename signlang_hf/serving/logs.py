"""The server's log: a line of JSON for each request and each thing that went wrong, with the id of the request.

A request's id comes from its ``X-Request-ID``, if that is a plain word, else it is made here; the answer carries it, so that a user's
report and the log find each other. Neither keys nor bodies nor query strings are ever logged.
"""

from __future__ import annotations

import logging
import re
import sys
import uuid
from contextvars import ContextVar
from typing import IO, Any

REQUEST_ID: ContextVar[str | None] = ContextVar("signlang_request_id", default=None)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def request_id(given: str | None) -> str:
    """The id that a client gave, if it is plain, else a new one."""
    return given if given is not None and _PLAIN.fullmatch(given) else uuid.uuid4().hex


def set_up_logging(level: str, stream: IO[str] | None = None) -> logging.Handler:
    """Log as JSON to ``stream`` (default: standard error), from this package and from uvicorn; returns the handler."""
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_add_request_id)
    fields = {"asctime": "time", "levelname": "level", "name": "logger"}
    handler.setFormatter(
        JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=fields, json_ensure_ascii=False)
    )
    for name, least in (("signlang_hf.serving", level), ("uvicorn", "warning"), ("uvicorn.error", "warning")):
        logger = logging.getLogger(name)
        logger.setLevel(max(getattr(logging, level.upper()), getattr(logging, least.upper())))
        logger.propagate = False
        logger.handlers = [handler] if name != "uvicorn.error" else []
    logging.getLogger("uvicorn.error").propagate = True  # to uvicorn
    return handler


def _add_request_id(record: logging.LogRecord) -> bool:
    found: Any = REQUEST_ID.get()
    if found is not None and not hasattr(record, "request_id"):
        record.request_id = found
    return True


__all__ = ["REQUEST_ID", "request_id", "set_up_logging"]
