"""What the API reference shows: the rooms of the package and their public names, read from the sources without importing them.

A room is public where its ``__init__`` has an ``__all__``; the few files below that are rooms of their own show what does not begin with an
underscore. So a new room, or a new name in ``__all__``, is in the reference without a line here.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "signlang_hf"
FILES = ("hub.py", "pretrained/__init__.py", "training/results.py")
"""Modules without ``__all__`` that users call."""


@dataclass(frozen=True)
class Room:
    """A module of the reference: its dotted name, its public names in the order of the alphabet, and its docstring."""

    module: str
    names: tuple[str, ...]
    docstring: str

    @property
    def title(self) -> str:
        parts = self.module.split(".")[1:]
        return ".".join(parts[:-1] if parts[-1:] == parts[-2:-1] else parts)  # metrics.gloss_wer.gloss_wer

    @property
    def page(self) -> str:
        return f"api/{self.title.replace('.', '-')}.md"


def _public(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


def _defined(tree: ast.Module) -> list[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


@functools.cache
def rooms() -> tuple[Room, ...]:
    """All rooms with something public, the package itself first, the others by name."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        where = path.relative_to(PACKAGE).as_posix()
        if path.name != "__init__.py" and where not in FILES and not where.startswith("metrics/"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = _public(tree)
        if names is None and (
            where in FILES or (where.startswith("metrics/") and path.name == f"{path.parent.name}.py")
        ):
            names = _defined(tree)
        if names:
            parts = ["signlang_hf", *where.removesuffix(".py").removesuffix("__init__").strip("/").split("/")]
            shown = tuple(sorted((name for name in names if not name.startswith("_")), key=str.lower))
            found.append(Room(".".join(filter(None, parts)), shown, ast.get_docstring(tree) or ""))
    return tuple(sorted(found, key=lambda room: (room.module != "signlang_hf", room.module)))


@functools.cache
def entries() -> dict[str, str]:
    """Public name → the identifier of its entry. A name that the package hands on has its entry in its own room."""
    return {
        name: f"{room.module}.{name}"
        for room in reversed(rooms())
        for name in room.names
        if room.module != "signlang_hf"
    }
