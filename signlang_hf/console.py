"""What all commands share: where their words go, and how a mistake ends."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

if TYPE_CHECKING:
    import click

output = Console()
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


class Commands(TyperGroup):
    """Turns the errors that users cause into one sentence, and warnings into a line each."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_: say(str(message))
                return super().invoke(ctx)
        except BrokenPipeError:  # ``signlang … | head``: click ends quietly
            raise
        except (ValueError, OSError, ImportError, MemoryError) as error:
            say(str(error))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            say("interrupted; run the same command again to go on.")
            raise typer.Exit(130) from None


def say(message: str) -> None:
    """A line for the person at the terminal."""
    typer.echo(f"signlang: {message}", err=True)
