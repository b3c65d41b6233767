"""Which Spaces there are and how one is opened from its file. No Gradio here: listing them needs none."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import yaml


@dataclass(frozen=True)
class Space:
    """One Space: its ``name`` (that of its folder), ``title`` and ``summary`` from its README, and the ``app`` file."""

    name: str
    title: str
    summary: str
    app: Path


def folder() -> Path:
    """Where the Spaces lie: in an installed package inside it, in a checkout beside it.

    Raises:
        FileNotFoundError: this installation has none.
    """
    here = Path(__file__).resolve().parent.parent
    for place in (here / "spaces", here.parent / "spaces"):
        if any(place.glob("*/app.py")):
            return place
    raise FileNotFoundError("This installation of signlang_hf has no Spaces; install the package anew.")


def spaces() -> list[Space]:
    """All Spaces, by name."""
    found = []
    for app in sorted(folder().glob("*/app.py")):
        facts = front_matter(app.with_name("README.md"))
        found.append(Space(app.parent.name, str(facts["title"]), str(facts["short_description"]), app))
    return found


def space(name: str) -> Space:
    """The Space of that name. Raises ValueError that lists the known ones."""
    known = {one.name: one for one in spaces()}
    if name not in known:
        raise ValueError(f"There is no Space {name!r}; choose one of {', '.join(known)}.")
    return known[name]


def front_matter(readme: Path) -> dict[str, object]:
    """What the head of a Space's README says to the Hub. Raises ValueError where it has none."""
    parts = readme.read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    if not isinstance(facts, dict):
        raise ValueError(f"{readme} has no front matter between two lines of ---.")
    return facts


def opened(one: Space) -> ModuleType:
    """The module of a Space's app, with its page as ``demo``. Its settings are read now.

    Raises:
        ImportError: Gradio is missing.
    """
    require_gradio()
    name = f"signlang_space_{one.name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, one.app)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def require_gradio() -> None:
    """Raise ImportError in one sentence where Gradio is missing."""
    if importlib.util.find_spec("gradio") is None:
        raise ImportError('The Spaces need Gradio: pip install "signlang-hf[demo]"')
