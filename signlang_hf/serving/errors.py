"""What goes wrong, as one sentence with a code: the same for HTTP (a status) and for the WebSocket (an ``error`` message and a close)."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

# Code → HTTP status, close code of a WebSocket. What has no close code cannot happen there.
CODES: dict[str, tuple[int, int]] = {
    "bad_input": (422, 1008),
    "bad_message": (422, 1008),
    "unauthorized": (401, 1008),
    "forbidden": (403, 1008),
    "not_found": (404, 1008),
    "method_not_allowed": (405, 1008),
    "too_large": (413, 1009),
    "unsupported": (415, 1008),
    "too_many": (429, 1013),
    "internal": (500, 1011),
    "unavailable": (503, 1013),
    "timeout": (504, 1008),
}


class ServingError(Exception):
    """An error that the client is told.

    Args:
        code: one of :data:`CODES`.
        detail: one sentence: what is wrong, and what to do.
        retry_after: seconds after which trying again may help.
    """

    def __init__(self, code: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.retry_after = code, detail, retry_after
        self.status, self.close_code = CODES[code]

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, round(self.retry_after + 0.5)))}
        return headers | ({"WWW-Authenticate": "ApiKey"} if self.status == 401 else {})

    @property
    def body(self) -> dict[str, Any]:
        """The answer of HTTP."""
        return {"detail": self.detail, "code": self.code}

    @property
    def message(self) -> dict[str, Any]:
        """The message of a WebSocket, whose clients know fewer codes."""
        code = {"bad_input": "bad_message", "unsupported": "bad_message", "forbidden": "unauthorized"}.get(
            self.code, self.code
        )
        return {"type": "error", "code": code, "detail": self.detail}


def one_line(error: BaseException, limit: int = 300) -> str:
    """What an exception says, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def busy(detail: str, retry_after: float = 2.0) -> ServingError:
    """All queues are full, or something is not up yet."""
    return ServingError("unavailable", detail, retry_after)


def settle(future: Future[Any], answer: Any) -> None:
    """Give a future its answer, or the error that is one; nothing where somebody has cancelled it meanwhile."""
    with suppress(InvalidStateError):
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
