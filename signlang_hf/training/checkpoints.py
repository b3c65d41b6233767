"""Resuming: which checkpoint is whole, whether it belongs to the run that wants it, and whether that run is finished."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..landmarks.files import atomic_write

_SETTINGS = "run_settings.json"
STATE = "trainer_state.json"
"""The Trainer's own account of a run."""
RESULTS = "results.json"
"""What a run measured; written last, so a folder that has it is finished."""


def write_json(path: Path, content: Any) -> Path:
    """Write readable JSON, whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=isinstance(content, dict)) + "\n"
    atomic_write(path, lambda stream: stream.write(text.encode()))
    return path


def last_checkpoint(folder: Path, needs: Sequence[str] = ()) -> Path | None:
    """The newest checkpoint that was written to its end, or None.

    The Trainer writes ``trainer_state.json`` last, so a checkpoint that a kill tore has none, or half of one. ``needs`` names
    further files that must be there.
    """
    found = []
    for candidate in folder.glob("checkpoint-*"):
        step = re.fullmatch(r"checkpoint-(\d+)", candidate.name)
        try:
            json.loads((candidate / STATE).read_text())
        except (OSError, ValueError):
            continue
        if step and all((candidate / name).is_file() for name in needs):
            found.append((int(step[1]), candidate))
    return max(found)[1] if found else None


def stopped_early(checkpoint: Path) -> bool:
    """Whether training had decided to stop when it wrote the checkpoint; the Trainer itself forgets that on resuming."""
    state = json.loads((checkpoint / STATE).read_text())
    control = state.get("stateful_callbacks", {}).get("TrainerControl", {})
    return bool(control.get("args", {}).get("should_training_stop"))


def claim(folder: Path, settings: Mapping[str, Any], *, started: bool = False) -> bool:
    """Record the settings of a run in its folder, or check them against those it was started with.

    A run that has left neither checkpoint nor results (its settings were wrong, or it was stopped at once) binds nobody, unless it
    has ``started`` in another way.

    Returns:
        Whether the run is finished: its results are there.

    Raises:
        ValueError: the folder belongs to a run with other settings; says which.
    """
    path = folder / _SETTINGS
    settings = json.loads(json.dumps(settings))
    finished = (folder / RESULTS).is_file()
    bound = started or finished or last_checkpoint(folder) is not None
    if bound and not path.is_file():
        raise ValueError(f"{folder} holds a run of unknown settings; choose another --output_dir or delete it.")
    if not bound:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, settings)
        return False
    before, now = _flat(json.loads(path.read_text())), _flat(settings)
    changed = [
        key if len(f"{before.get(key)}{now.get(key)}") > 60 else f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if changed:
        more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        raise ValueError(
            f"{folder} holds a run with other settings ({'; '.join(changed[:4])}{more}); choose another --output_dir or "
            "delete it."
        )
    return finished


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"model": {"hidden_size": 8}}`` → ``{"model.hidden_size": 8}``"""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
