"""Model folders, for callers who want one sentence where a folder cannot be used: the command line, pose estimators and the recipes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers.utils import logging

from .. import pretrained

_KIND = re.compile(r"^\w+(?:Error|Exception): ")
"""How a traceback's last line begins."""


def checked_folder(model: str) -> str:
    """The folder of a bundled model's name, else what was given.

    Raises:
        FileNotFoundError, ValueError: a folder that is not there, or lacks what every model folder has.
    """
    model = pretrained.resolve(model)
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(f"{model} is not a model folder: it has no config.json.")
        if not any((folder / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
            raise ValueError(f"{model} has no processor; save it there with processor.save_pretrained().")
        if not any(folder.rglob("*.safetensors")):
            raise ValueError(f"{model} has no weights (*.safetensors); save them there with model.save_pretrained().")
    elif folder.is_absolute() or model.startswith(".") or model.count("/") > 1:
        raise FileNotFoundError(f"Model folder not found: {model}")
    return model


def loaded(model: str, load: Callable[[], Any]) -> Any:
    """What ``load`` gives; an error becomes one sentence that begins with the model. transformers' own messages are off from then
    on."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return load()
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # transformers puts whole tracebacks in some messages
        reason = _KIND.sub("", lines[-1]) if "Traceback" in str(error) else lines[0]
        here = Path(model).is_dir() or " and " in model
        where = "cannot be loaded" if here else "is not a folder here, and cannot be loaded from the Hub"
        raise ValueError(f"{model} {where}: {reason}") from error
