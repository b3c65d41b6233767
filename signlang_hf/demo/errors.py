"""Mistakes of the people who use a Space: one sentence on their screen, and nothing about the machine behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

import gradio as gr

_SECONDS = 10.0  # on the screen
# The folders of a path: what people named is the file, where it lies here is none of their business.
_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/:'\"]+/)+")
_CAUSED = (ValueError, OSError, ImportError, MemoryError)


def plain_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """What people cause by ``function``, an endpoint, becomes a message of Gradio; a fault of ours stays one and is logged."""
    if isgeneratorfunction(function):

        @wraps(function)
        def told(*arguments: Any, **named: Any) -> Any:
            try:
                yield from function(*arguments, **named)
            except _CAUSED as error:
                raise message(error) from error

    else:

        @wraps(function)
        def told(*arguments: Any, **named: Any) -> Any:
            try:
                return function(*arguments, **named)
            except _CAUSED as error:
                raise message(error) from error

    return told


def message(error: BaseException) -> gr.Error:
    """The error as Gradio shows it."""
    return gr.Error(sentence(error), duration=_SECONDS, title="That did not work", print_exception=False)


def sentence(error: BaseException) -> str:
    """What an error says, without the folders of this machine."""
    said = _FOLDERS.sub("", str(error).strip())
    return said or f"Something went wrong ({type(error).__name__})."
