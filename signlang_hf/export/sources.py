"""What is exported: the folder of a model, the model in it, and whether its processor goes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from transformers import (
    AutoModelForCTC,
    AutoModelForKeypointDetection,
    AutoModelForSeq2SeqLM,
    AutoModelForVideoClassification,
)

from ..models.loading import checked_folder, loaded, processor_settings

TRANSLATORS = ("signlang_translator", "signlang_translator_ensemble")
"""Model types that read glosses and write words, in two graphs."""
FAILURES = (ValueError, OSError, ImportError, RuntimeError)
"""How an export of one model fails without taking that of the others with it."""
_AUTO = {
    "signlang_ctc": AutoModelForCTC,
    "signlang_detector": AutoModelForKeypointDetection,
    **dict.fromkeys(TRANSLATORS, AutoModelForSeq2SeqLM),
}


def source_folder(name: str) -> Path:
    """The folder of a model by its folder, Hub id or bundled name.

    Raises:
        FileNotFoundError, ValueError: there is none that can be used; one sentence says why.
    """
    where = checked_folder(name)
    if not Path(where).is_dir():
        where = loaded(where, lambda: snapshot_download(where, ignore_patterns=["*.bin", "*.pt"]))
        checked_folder(where)
    return Path(where)


def short_name(name: str) -> str:
    """What a record calls a model: its Hub id, or its folder's own name."""
    return Path(name).resolve().name if Path(name).is_dir() else name


def load_model(source: Path, kind: str) -> Any:
    """The model of one graph or a translator, in float32 and for evaluation."""
    auto = _AUTO.get(kind, AutoModelForVideoClassification)
    return loaded(str(source), lambda: auto.from_pretrained(source, dtype=torch.float32)).eval()


def check_processor(source: Path, config: Any) -> None:
    """A model whose processor makes other features would be a graph that nobody can feed. Raises ValueError in one sentence."""
    settings = processor_settings(source)
    if settings is None:
        raise ValueError(f"{source} has no processor; save it there with processor.save_pretrained().")
    made, taken = settings.get("feature_size"), getattr(config, "input_size", None)
    if None not in (made, taken) and made != taken:
        raise ValueError(
            f"The model in {source} takes {taken} features a frame, its processor makes {made}; they were not saved together."
        )


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


__all__ = [
    "FAILURES",
    "TRANSLATORS",
    "check_processor",
    "first_line",
    "load_model",
    "short_name",
    "source_folder",
]
