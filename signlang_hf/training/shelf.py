"""The shelf of models that come with the package: what of a trained folder goes there, and under which name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import pretrained
from ..landmarks.files import atomic_write
from ..pipelines.gloss_decoding import DECODER
from .checkpoints import write_json
from .recognition import LANGUAGE_MODEL

MAX_BYTES = 5_000_000
"""What a model may weigh, all files together."""

_SETTINGS = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
    DECODER,
)
_CONTENT = ("README.md", "model.safetensors", LANGUAGE_MODEL)


@dataclass
class BundleArguments:
    """Where it goes."""

    name: str | None = field(
        default=None, metadata={"help": "Short name of the model, and of its folder on the shelf."}
    )

    def __post_init__(self) -> None:
        if not self.name or not self.name.isidentifier():
            raise ValueError(f"name is {self.name!r}; give the model a short one of letters and digits, such as dgs30.")


def put_on_shelf(folder: Path, name: str) -> Path:
    """Copy a trained model's weights, settings and card, with those of its members; its code, and the ``auto_map`` that asks for it,
    stay behind, and so does what training has left, and a language model that decoding gives no weight. What an earlier model of the
    name had and this one lacks is removed.

    Returns:
        Its folder in the package.

    Raises:
        ValueError: it is larger than a package should carry.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.name in (*_SETTINGS, *_CONTENT)]
    files = [
        path for path in files if not any(part.startswith("checkpoint-") for part in path.relative_to(folder).parts)
    ]
    mute = {path.parent for path in files if path.name == DECODER and _read(path).get("lm_weight") == 0}
    files = [path for path in files if not (path.name == LANGUAGE_MODEL and path.parent in mute)]
    size = sum(path.stat().st_size for path in files)
    if size > MAX_BYTES:
        raise ValueError(
            f"{folder} weighs {size / 1e6:.1f} MB; a model that comes with the package may have {MAX_BYTES / 1e6:g}."
        )
    shelf = pretrained.FOLDER / name
    goals = {path: shelf / path.relative_to(folder) for path in files}
    for path, goal in goals.items():
        goal.parent.mkdir(parents=True, exist_ok=True)
        if path.name in _SETTINGS:
            settings = _without_code(_read(path))
            if path.name == DECODER and path.parent in mute:
                settings["language_model"] = None
            write_json(goal, settings)
        else:
            content = path.read_bytes()
            atomic_write(goal, lambda stream, content=content: stream.write(content))
    for path in list(shelf.rglob("*")):
        if path.name in (*_SETTINGS, *_CONTENT) and path not in goals.values():
            path.unlink()
    return shelf


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _without_code(settings: object) -> object:
    """Settings without ``auto_map``, also those of members."""
    if not isinstance(settings, dict):
        return settings
    return {key: _without_code(value) for key, value in settings.items() if key != "auto_map"}


__all__ = ["MAX_BYTES", "BundleArguments", "put_on_shelf"]
