"""What MkDocs asks while it builds (``hooks:`` in mkdocs.yml): pages that are made of the sources, so that they cannot fall behind them.

* A page of the API reference for each room, with an entry for each public name.
* The measured tables and the table of operations, which stand in the README alone.
* ``<!-- floors -->``: the table of rooms and floors, out of ``FLOORS`` in ``tests/test_architecture.py``.
* ``<!-- layouts -->``, ``<!-- models -->``, ``<!-- datasets -->``: what the library knows by name.
* ``<!-- settings -->``: every setting of the server, and ``<!-- spaces -->``: the apps of ``spaces/``, by their cards.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

from markdown.extensions.toc import slugify
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import as_markdown
from rooms import PACKAGE, ROOT, Room, rooms

_FLOORS = ROOT / "tests" / "test_architecture.py"
_MARK = re.compile(r"^<!-- (floors|layouts|models|datasets|settings|spaces) -->$", re.MULTILINE)
_README = ROOT / "README.md"
_HEADING = re.compile(r"^(#+) (.+)$")


def on_config(config: Any) -> Any:
    """Puts the pages of the reference into the navigation."""
    for entry in config.nav:
        if "API reference" in entry:
            entry["API reference"] = ["api/index.md", *({room.title: room.page} for room in _shown())]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages of the reference."""
    files.append(File.generated(config, "api/index.md", content=_overview()))
    for room in _shown():
        files.append(File.generated(config, room.page, content=_reference(room)))
    files.append(File.generated(config, "numbers.md", content=_of_readme("Numbers", "In ONNX Runtime")))
    files.append(File.generated(config, "deployment/operations.md", content=_of_readme("Operations")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fills the marks in."""
    return _MARK.sub(lambda match: _TABLES[match.group(1)](), markdown)


def _shown() -> list[Room]:
    return [room for room in rooms() if room.module != "signlang_hf"]


def _overview() -> str:
    whole = rooms()[0]
    homes = {name: room for room in _shown() for name in room.names}
    lines = [
        "# API reference", "",
        "One page for each room of the package, from its docstrings. What has no underscore in front and stands here is public; anything else may",
        "change without notice. `import signlang_hf` hands the names of the last table on, and loads each on its first use.", "",
        "| room | what it is |", "|---|---|",
        *(f"| [`{room.module}`]({room.page.removeprefix('api/')}) | {_first_line(room.docstring)} |" for room in _shown()),
        "", "## Names of `signlang_hf` itself", "",
        "| name | its room |", "|---|---|",
        *(
            f"| [`{name}`][{homes[name].module}.{name}] | `{homes[name].module}` |"
            for name in whole.names if name in homes
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def _reference(room: Room) -> str:
    parts = [f"# `{room.module}`", as_markdown(room.docstring)]
    parts += [f"::: {room.module}.{name}" for name in room.names]
    return "\n\n".join(parts)


def _first_line(docstring: str) -> str:
    return as_markdown(docstring).split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


# ---- sections of the README ----


def _of_readme(first: str, *more: str) -> str:
    """A page of these sections, the first of which gives it its title."""
    text = "\n".join([*_section(first, 1), *(line for name in more for line in _section(name, 2))])
    anchors = {slugify(found[2], "-") for line in text.splitlines() if (found := _HEADING.match(line))}

    def link(match: re.Match[str]) -> str:
        return match[0] if match[2] in anchors else match[1]

    text = re.sub(r"\[([^\]]+)\]\(#([\w-]+)\)", link, text)  # to a section that is not on this page
    return text.replace("<details>", '<details markdown="1">')


def _section(name: str, level: int) -> list[str]:
    """Lines of a section, its heading and those in it moved to begin at ``level``."""
    lines: list[str] = []
    depth, fenced = 0, False
    for line in _README.read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading and depth and len(heading[1]) <= depth:
            break
        if heading and heading[2] == name:
            depth = len(heading[1])
        if depth:
            lines.append("#" * (len(heading[1]) - depth + level) + f" {heading[2]}" if heading else line)
    if not lines:
        raise ValueError(f"The README has no section {name!r}, which the documentation shows.")
    return lines


# ---- tables ----


def _floors() -> str:
    tree = ast.parse(_FLOORS.read_text(encoding="utf-8"))
    (table,) = (
        node.value for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "FLOORS"
    )
    by_floor: dict[float, list[str]] = {}
    for room, floor in ast.literal_eval(table).items():
        by_floor.setdefault(floor, []).append(room)
    lines = ["| floor | rooms | what they are |", "|---:|---|---|"]
    for floor in sorted(by_floor, reverse=True):
        names = by_floor[floor]
        told = " · ".join(filter(None, map(_of_room, names)))
        shown = ", ".join(f"`{name}`" if name else "the package's own `__init__`" for name in names)
        lines.append(f"| {floor:g} | {shown} | {told} |")
    return "\n".join(lines)


_TWO_ROOMS = {
    "models": "processors: landmarks or pictures in, tensors out, and tensors back into words",
    "models/modeling": "configurations and networks, which travel to the Hub by themselves",
    "": "hands on names, and registers everything with transformers",
}


def _of_room(room: str) -> str:
    if room in _TWO_ROOMS:
        return _TWO_ROOMS[room]
    for path in (PACKAGE / room / "__init__.py", PACKAGE / f"{room}.py"):
        if path.is_file():
            first = _first_line(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
            return re.split(r"(?<=[.:])\s", first)[0].rstrip(".:")
    return ""


def _layouts() -> str:
    from signlang_hf.landmarks import get_layout, list_layouts

    lines = ["| layout | points | parts |", "|---|---:|---|"]
    for name in list_layouts():
        layout = get_layout(name)
        parts = ", ".join(f"{part.replace('_', ' ')} {len(points)}" for part, points in layout.parts.items())
        lines.append(f"| `{name}` | {len(layout)} | {parts} |")
    return "\n".join(lines)


def _models() -> str:
    import json

    from signlang_hf import pretrained

    lines = ["| name | `model_type` | task |", "|---|---|---|"]
    for name in pretrained.names():
        folder = pretrained.path(name)
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        task = re.search(r"^\| Task \| `([\w-]+)` \|", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
        lines.append(f"| `{name}` | `{kind}` | `{task.group(1) if task else ''}` |")
    return "\n".join(lines)


def _datasets() -> str:
    from signlang_hf.data import get_builder, list_datasets

    lines = ["| name | what it reads |", "|---|---|"]
    for name in list_datasets():
        told = _first_line(
            (get_builder(name).__doc__ or "").strip() or sys.modules[get_builder(name).__module__].__doc__ or ""
        )
        lines.append(f"| `{name}` | {told} |")
    return "\n".join(lines)


def _settings() -> str:
    from signlang_hf.serving.settings import PREFIX, ServerSettings

    lines = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in ServerSettings.model_fields.items():
        told = (field.description or "").replace("|", "\\|")
        default = f"`{field.default}`" if field.default != "" else ""
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {told} |")
    return "\n".join(lines)


def _spaces() -> str:
    import yaml

    lines = ["| name | what it does |", "|---|---|"]
    for card in sorted((ROOT / "spaces").glob("*/README.md")):
        facts = yaml.safe_load(card.read_text(encoding="utf-8").split("---")[1])
        lines.append(f"| `{card.parent.name}` | {facts['title']} {facts['short_description']} |")
    return "\n".join(lines)


_TABLES = {
    "floors": _floors,
    "layouts": _layouts,
    "models": _models,
    "datasets": _datasets,
    "settings": _settings,
    "spaces": _spaces,
}
