"""The page ``/live-signs``: files of this package, and MediaPipe's for browsers where the settings name a folder with them.

The page's scripts are files: its policy allows no inline script, no other host, and no frame around it. WebAssembly is for MediaPipe.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from .answers import documented
from .settings import ServerSettings

PAGE = Path(__file__).resolve().parent / "page"
POLICY = "; ".join(
    (
        "default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self' blob:", "connect-src 'self'",
        "img-src 'self' data: blob:", "media-src 'self' blob: mediastream:", "style-src 'self'", "object-src 'none'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=()",
}
for suffix, kind in ((".js", "text/javascript"), (".mjs", "text/javascript"), (".wasm", "application/wasm")):
    mimetypes.add_type(kind, suffix)  # what a machine's own table says is not always what browsers run


class PageFiles(StaticFiles):
    """A folder of files with the page's headers.

    Args:
        directory: folder.
        cache: what ``Cache-Control`` says.
        html: whether the folder itself is its index.html.
    """

    def __init__(self, directory: Path, cache: str, html: bool = False) -> None:
        super().__init__(directory=directory, html=html)
        self._cache = cache

    async def get_response(self, path: str, scope: Scope) -> Response:
        scope["route"] = _Named("/live-signs/{file}")
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS | {"Cache-Control": self._cache})
        return response


class _Named:
    """What the metrics call files by."""

    def __init__(self, path: str) -> None:
        self.path = path


def add_page(app: FastAPI, settings: ServerSettings) -> None:
    """Serve the page, and what it asks before it starts."""

    @app.get("/live-signs/config.json", responses=documented(503), tags=["page"])
    async def config(request: Request, response: Response) -> dict[str, Any]:
        """What this server can do, for the page."""
        response.headers["Cache-Control"] = "no-cache"
        service = request.app.state.service
        service.engine("signs")  # says if models are not loaded yet
        signs = service.models("signs")
        modes = [mode for mode in ("signs", "sentences") if service.models(mode)]
        return {
            "modes": modes,
            "models": [one.name for one in signs],
            "models_by_mode": {mode: [one.name for one in service.models(mode)] for mode in modes},
            "key_required": service.gate.needs_key,
            "browser_landmarks": bool(settings.browser_landmarks),
            "max_fps": settings.max_fps,
            "labels": signs[0].labels,
            "language": settings.speech_language or signs[0].speech,
        }

    @app.get("/live-signs", include_in_schema=False)
    async def page() -> Response:
        return RedirectResponse("/live-signs/")

    if settings.browser_landmarks:
        files = PageFiles(Path(settings.browser_landmarks), "max-age=86400")
        app.mount("/live-signs/mediapipe", files, name="mediapipe")
    if PAGE.is_dir():
        app.mount("/live-signs", PageFiles(PAGE, "no-cache", html=True), name="page")
