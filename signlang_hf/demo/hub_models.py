"""Models on the Hub that a stranger may name: fetched as data, without a line of their code.

Design decisions:

* Only settings, weights in safetensors and what goes with them are downloaded; a repository's Python files and pickles are not.
* Every ``config.json`` in it must be of a kind that this library registers. transformers then takes the library's class, whatever the
  repository's ``auto_map`` asks for.
* The size is asked for before the first byte, so that nobody fills the disk.
"""

from __future__ import annotations

import json
from pathlib import Path

from . import settings
from .models import LOADING

_DATA = ("*.json", "*.safetensors", "*.ubj", "*.arpa", "*.onnx")
_MOST_BYTES = 500e6


def fetched(name: str, token: bool | None = False) -> Path:
    """The folder with a model's data.

    Args:
        name: id on the Hub.
        token: None uses the machine's own token, False none.

    Raises:
        ValueError: there is no such model, it is too large, or of a kind that this library has no code for.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.constants import HF_HUB_OFFLINE

    try:
        revision = None
        if not HF_HUB_OFFLINE:
            api = HfApi(token=token)
            revision = api.model_info(name, timeout=20.0).sha
            files = api.list_repo_tree(name, recursive=True, revision=revision)
            _check_size(name, sum(getattr(file, "size", 0) for file in files if _is_data(file.path)))
        folder = Path(
            snapshot_download(
                name, revision=revision, allow_patterns=list(_DATA), token=token, local_files_only=HF_HUB_OFFLINE
            )
        )
    except OSError as error:  # all that the Hub and the way to it can say
        why = "this Space is offline" if HF_HUB_OFFLINE else type(error).__name__
        raise ValueError(
            f"{name} cannot be had from the Hub ({why}); is it public, and written as org/model?"
        ) from error
    check_kinds(name, folder)
    return folder


def check_kinds(name: str, folder: Path) -> None:
    """Raise ValueError unless a folder holds models of this library's own kinds and nothing else."""
    with LOADING:
        from transformers import CONFIG_MAPPING

    configs = sorted(folder.rglob("config.json"))
    if not (folder / "config.json").is_file():
        raise ValueError(f"{name} holds no model: it has no config.json.")
    for config in configs:
        try:
            kind = json.loads(config.read_text(encoding="utf-8"))["model_type"]
        except (ValueError, KeyError, TypeError):
            kind = None
        if not isinstance(kind, str) or not kind.startswith("signlang_") or kind not in CONFIG_MAPPING:
            raise ValueError(
                f"{name} is a model of kind {str(kind)[:50]!r}, which is none of this library's; it is not opened."
            )
        if kind == "signlang_internvl":
            raise ValueError(f"{name} is a video language model; these run with signlang recognize and translate.")


def _is_data(file: str) -> bool:
    return file.endswith(tuple(pattern.removeprefix("*") for pattern in _DATA))


def _check_size(name: str, size: int) -> None:
    most = settings.number("MAX_MODEL_BYTES", _MOST_BYTES)
    if size > most:
        raise ValueError(f"{name} has {size / 1e6:.0f} MB; this Space opens models of up to {most / 1e6:.0f} MB.")
