"""Resuming: which checkpoint is whole, and whether it belongs to the run that wants it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..landmarks.files import atomic_write

_SETTINGS = "run_settings.json"


def write_json(path: Path, content: Any) -> Path:
    """Write readable JSON, whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=isinstance(content, dict)) + "\n"
    atomic_write(path, lambda stream: stream.write(text.encode()))
    return path


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end, or None.

    The Trainer writes ``trainer_state.json`` last, so a checkpoint that a kill tore has none, or half of one.
    """
    found = []
    for candidate in folder.glob("checkpoint-*"):
        step = re.fullmatch(r"checkpoint-(\d+)", candidate.name)
        try:
            json.loads((candidate / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        if step:
            found.append((int(step[1]), candidate))
    return max(found)[1] if found else None


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Record the settings of a run in its folder, or check them against those it was started with.

    Raises:
        ValueError: the folder belongs to a run with other settings; says which.
    """
    path = folder / _SETTINGS
    settings = json.loads(json.dumps(settings))
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, settings)
        return
    before = json.loads(path.read_text())
    changed = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
    if changed:
        raise ValueError(
            f"{folder} holds a run with other settings ({', '.join(changed)}); choose another --output_dir or delete it."
        )
