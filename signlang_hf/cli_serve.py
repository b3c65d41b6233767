"""``signlang serve``: the server, with its settings as options. What is not given comes from the environment, ``.env`` or a default."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .console import AsJson


def serve(
    model: Annotated[
        str | None,
        typer.Option(help="Model for signs: folder, Hub id or a name from signlang models. Default: the bundled one."),
    ] = None,
    more_models: Annotated[str | None, typer.Option(help="More models for signs, by commas.")] = None,
    sentence_model: Annotated[
        str | None, typer.Option(help="Model for sentences; an empty name for none. Default: the bundled one.")
    ] = None,
    translator: Annotated[str | None, typer.Option(help="Translator, for a sentence model without one.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1, this machine alone.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port. Default: 8000; 0 takes a free one.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    runtime: Annotated[
        str | None, typer.Option(help="torch, ort (exported models), or auto, by what a folder holds.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="Of onnxruntime: cpu, cuda, tensorrt, directml, coreml or auto.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that find landmarks. Default: 1.")] = None,
    estimator: Annotated[str | None, typer.Option(help="mediapipe, heatmap or module:callable.")] = None,
    allowed_origins: Annotated[
        str | None, typer.Option(help="Web pages of other origins that may use the server, by commas; * for all.")
    ] = None,
    allowed_hosts: Annotated[str | None, typer.Option(help="Host names of the server, by commas; * for any.")] = None,
    key_hashes: Annotated[str | None, typer.Option(help="Hashes of the API keys that are let in, by commas.")] = None,
    browser_landmarks: Annotated[
        str | None, typer.Option(help="Folder with MediaPipe's files for browsers, so that the page sends no pictures.")
    ] = None,
    max_upload_mb: Annotated[float | None, typer.Option(help="Largest video, in megabytes. Default: 100.")] = None,
    rate_limit: Annotated[str | None, typer.Option(help="Such as 10/second;120/minute. Default: 120/minute.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Print a fresh API key with its hash, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recognise and translate over HTTP and WebSocket, with a page for the browser at /live-signs/.

    Every setting is also an environment variable (SIGNLANG_PORT=9000) or a line of a file .env; .env.example lists them all.
    """
    options = {name: value for name, value in locals().items() if name not in ("new_key", "as_json")}
    from .console import say
    from .serving.server import require_serve
    from .serving.server import serve as run

    require_serve()
    if new_key:
        from .serving.access import new_key as make

        key, digest = make()
        if as_json:
            print(json.dumps({"key": key, "hash": digest}))
            return
        typer.echo(f"key:  {key}")
        typer.echo(f"hash: {digest}")
        say("keep the key, clients send it as X-API-Key; the hash goes into SIGNLANG_KEY_HASHES.")
        return
    from .serving.settings import load_settings

    run(load_settings(**options), say)
