"""Model folders, for callers who want one sentence where a folder cannot be used: the command line, pose estimators and the recipes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers.utils import logging

from .. import pretrained

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
EXPORT_RECORD = "onnx_export.json"
"""What tells the folder of a model in ONNX, see :mod:`signlang_hf.export.record`."""
TFLITE_RECORD = "tflite_export.json"
"""What tells the folder of a model in TFLite, see :mod:`signlang_hf.export.tflite_record`."""
_KIND = re.compile(r"^\w+(?:Error|Exception): ")
"""How a traceback's last line begins."""


def checked_folder(model: str, runtime: str = "torch") -> str:
    """The folder of a bundled model's name, else what was given.

    Args:
        runtime: what is to run it, ``torch`` or ``ort`` (onnxruntime): its weights must be of that kind.

    Raises:
        FileNotFoundError, ValueError: a folder that is not there, or lacks what every model folder has.
    """
    model = pretrained.resolve(model)
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(f"{model} is not a model folder: it has no config.json.")
        if not any((folder / name).is_file() for name in _PROCESSORS):
            raise ValueError(f"{model} has no processor; save it there with processor.save_pretrained().")
        if (folder / TFLITE_RECORD).is_file():
            raise ValueError(
                f"{model} holds a model exported to TFLite, which run_tflite.py in it runs; give the model that it was made of here."
            )
        if runtime == "ort" and not is_export(model):
            name = folder.name if folder.parent == pretrained.FOLDER else model
            raise ValueError(f"{name} has no ONNX model; signlang export {name} --out FOLDER makes a folder that has.")
        if runtime == "torch" and is_export(model):
            raise ValueError(
                f"{model} holds a model exported to ONNX ({_precision(folder)}), which torch cannot open; run it with --runtime ort "
                "(ORTModelForSign… in Python)."
            )
        if runtime == "torch" and not any(folder.rglob("*.safetensors")):
            raise ValueError(f"{model} has no weights (*.safetensors); save them there with model.save_pretrained().")
    elif folder.is_absolute() or model.startswith(".") or model.count("/") > 1:
        raise FileNotFoundError(f"Model folder not found: {model}")
    return model


def is_export(model: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a model exported to ONNX."""
    return Path(model, EXPORT_RECORD).is_file()


def weight_bytes(folder: str | os.PathLike[str]) -> int:
    """Bytes of the weights in a model's folder, those of its members included, and of no checkpoint of its training."""
    root = Path(folder)
    return sum(
        path.stat().st_size
        for path in root.rglob("*")
        if path.suffix in (".safetensors", ".ubj")
        and not any(part.startswith("checkpoint-") for part in path.relative_to(root).parts)
    )


def processor_settings(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What a folder's processor was saved with, read without making one; None where there is none."""
    path = next((Path(folder, name) for name in _PROCESSORS if Path(folder, name).is_file()), None)
    if path is None:
        return None
    settings = json.loads(path.read_text(encoding="utf-8"))
    for part in ("feature_extractor", "image_processor"):  # as transformers 5 nests them
        if isinstance(settings.get(part), dict):
            return settings[part]
    return settings


def _precision(folder: Path) -> str:
    try:
        return str(json.loads((folder / EXPORT_RECORD).read_text(encoding="utf-8"))["precision"])
    except (OSError, ValueError, KeyError, TypeError):
        return "of unknown precision"


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
