"""Docstrings of this library, as Markdown: an extension of Griffe, which reads the sources for mkdocstrings.

Docstrings are Google's in their sections and use three marks of reStructuredText: roles (``:class:`.layout.Layout```), which become links to
the API reference where the name has an entry there and plain code elsewhere; ``::`` before an indented block; and ``Example:``, whose
doctests Griffe knows under the name ``Examples:``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parent))
from rooms import entries

_ROLE = re.compile(r":(?:py:)?(?:attr|class|data|exc|func|meth|mod|obj):`([^`]+)`")
_EXAMPLE = re.compile(r"^(\s*)Example:\s*$", re.MULTILINE)
_BLOCK = re.compile(r"::[ \t]*$", re.MULTILINE)


def _link(match: re.Match[str]) -> str:
    target = match.group(1).strip().lstrip("~").lstrip(".")
    name = target.rpartition(".")[2]
    # A method is found under its class: the last two names, where the last alone is no entry.
    owner = target.split(".")[-2] if "." in target else ""
    shown = f"{owner}.{name}" if owner[:1].isupper() else name
    if name in entries():
        return f"[`{shown}`][{entries()[name]}]"
    if owner in entries() and owner[:1].isupper():
        return f"[`{shown}`][{entries()[owner]}]"
    return f"`{shown}`"


def as_markdown(text: str) -> str:
    """A docstring with links in place of roles, and blocks and examples as Markdown and Griffe know them."""
    text = _ROLE.sub(_link, text)
    text = _EXAMPLE.sub(r"\1Examples:", text)
    return _BLOCK.sub(lambda match: "" if match.string[: match.start()].endswith("\n") else ":", text)


class Docstrings(griffe.Extension):
    """Rewrites every docstring once, as soon as its object is known."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
