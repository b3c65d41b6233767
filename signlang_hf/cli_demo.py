"""``signlang demo``: the Spaces on one's own machine, with the same files as on the Hub."""

from __future__ import annotations

import ipaddress
import os
from typing import Annotated

import typer

from .console import output, say


def demo(
    name: Annotated[str | None, typer.Argument(help="Which Space. Default: list them.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model that it starts with: folder, Hub id or a name from signlang models.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every one of this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port. Default: 7860, or the next that is free.")
    ] = None,
    mcp: Annotated[bool, typer.Option("--mcp", help="Offer its functions to language models, too (MCP).")] = False,
    share: Annotated[
        bool, typer.Option("--share", help="Open a public address through Gradio's servers, for a week at most.")
    ] = False,
) -> None:
    """Open a Space in the browser: recognition, live signs, translation, keypoints, or models side by side."""
    from .demo import catalogue

    if name is None:
        _list(catalogue.spaces())
        return
    one = catalogue.space(name)
    catalogue.require_gradio()
    if model is not None:
        os.environ["SIGNLANG_MODEL"] = _absolute(model)
    if _is_loopback(host) and not share:
        os.environ.setdefault("SIGNLANG_LOCAL_MODELS", "1")  # whoever can reach it can read these folders anyway
    module = catalogue.opened(one)
    from .demo.models import warm
    from .demo.page import launch

    say(f"{one.title} opens in a moment; Ctrl-C ends it.")
    if share:
        say("Its public address is for everybody who knows it.")
    warm(*module.TASKS)
    try:
        launch(module.demo, server_name=host, server_port=port, mcp_server=mcp, share=share)
    except OSError as error:
        raise ValueError(f"Nothing can listen on {host}, port {port or '7860 and after'}: {error}") from error


def _list(spaces: list) -> None:
    from rich.table import Table

    table = Table("Space", "what it does")
    for one in spaces:
        table.add_row(one.name, one.summary)
    output.print(table)
    say("open one with: signlang demo NAME")


def _absolute(model: str) -> str:
    """A model's folder by its whole path, so that its name means the same wherever it is read; other names as they are.

    Raises:
        FileNotFoundError, ValueError: a folder that is not there or holds no model; better known now than at the first click.
    """
    from pathlib import Path

    from . import pretrained

    folder = Path(pretrained.resolve(model))
    if model in pretrained.names() and folder.parent == pretrained.FOLDER:
        return model
    if folder.is_dir():
        from .models.loading import checked_folder, is_export

        checked_folder(str(folder), "ort" if is_export(folder) else "torch")
        return str(folder.resolve())
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1:
        known = ", ".join(pretrained.names())
        raise FileNotFoundError(
            f"Model folder not found: {model}; give a folder, an id on the Hub such as org/model, or one of {known}."
        )
    return model


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
