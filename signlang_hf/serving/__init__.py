"""The server: recognition and translation over HTTP and WebSocket, with a page for the browser. ``signlang serve`` starts it.

The names load on first use: worker processes import this package too, and need neither FastAPI nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .server import serve
    from .settings import ServerSettings

_HOME = {"create_app": "app", "serve": "server", "ServerSettings": "settings"}

__all__ = ["ServerSettings", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
