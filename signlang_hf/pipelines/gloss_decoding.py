"""How glosses are read off a recogniser's probabilities: call arguments, and what training chose.

Design decisions:

* A training that chose a decoder on validation clips leaves ``decoder.json`` beside the model, and the language model's ARPA file. A
  pipeline reads as the model was measured unless its caller says otherwise, one setting at a time.
* A caller's language model is there to be heard. Where training gave none a say, its weight of 0 is not for the caller's.
* The language model is named by its file alone and lies in the same folder: a model's settings open no other file.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.utils import cached_file

from .clip_pipeline import is_number

DECODING = ("beam_size", "language_model", "lm_weight", "insertion_bonus", "engine")
"""Call arguments that say how glosses are read off the model's probabilities."""
LM_WEIGHT = 0.5
"""How much a caller's language model counts where neither the caller nor training says."""
DECODER = "decoder.json"
"""What training chose, as options of :class:`~signlang_hf.decoding.Decoder`, in the model's folder."""


def check_decoding(said: Mapping[str, Any]) -> None:
    """Raise ValueError for call arguments of :data:`DECODING` that do not go together."""
    size = said.get("beam_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f"beam_size is {size!r}; it must be a whole number, 1 (greedy) or more.")
    if size == 1 and said.get("language_model") is not None:
        raise ValueError("A language model needs a beam: beam_size must be at least 2, such as 10.")
    for name, least in (("lm_weight", 0.0), ("insertion_bonus", -math.inf)):
        value = said.get(name, 0.0)
        if not is_number(value) or value < least:
            raise ValueError(f"{name} is {value!r}; it must be a number{', 0 or more' if least == 0 else ''}.")


def own_decoding(model: str) -> dict[str, Any]:
    """What training chose for a model folder or Hub id, as call arguments; empty for greedy search and where nothing was chosen.

    Raises:
        ValueError: a ``decoder.json`` that cannot be used.
        FileNotFoundError: the language model that it names is missing.
    """
    path = _beside(model, DECODER)
    if path is None:
        return {}
    try:
        chosen = json.loads(path.read_text(encoding="utf-8"))
        method = chosen.get("method", "beam")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} holds no settings of a decoder: {error}") from None
    if method == "greedy":
        return {}
    settings = {name: chosen[name] for name in DECODING if chosen.get(name) is not None}
    settings.setdefault("beam_size", 10)
    check_decoding(settings)
    if name := settings.get("language_model"):
        if Path(name).name != name:
            raise ValueError(f"{path} names the language model {name!r}; it must lie in the same folder.")
        found = _beside(model, name)
        if found is None:
            raise FileNotFoundError(f"{path} names the language model {name}, which is not beside it.")
        settings["language_model"] = str(found)
    return settings


def decoder_options(said: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Options of :class:`~signlang_hf.decoding.Decoder`: call arguments of :data:`DECODING`, and the model's own where none is said."""
    if said.get("beam_size") == 1:
        return {"method": "greedy"}
    settings = {**own, **{name: said[name] for name in DECODING if name in said}}
    if said.get("language_model") is not None and "lm_weight" not in said and not settings.get("lm_weight"):
        settings["lm_weight"] = LM_WEIGHT
    beam = settings.get("beam_size", 1) > 1 or settings.get("language_model") is not None
    return {"method": "beam", **settings} if beam else {"method": "greedy"}


def save_own_decoding(model: str, folder: Path) -> None:
    """Put what training chose for a model into another folder of it."""
    path = _beside(model, DECODER)
    if path is None or path.parent.resolve() == folder.resolve():
        return
    language_model = own_decoding(model).get("language_model")
    for source in (path, *([Path(language_model)] if language_model else [])):
        shutil.copyfile(source, folder / source.name)


def _beside(model: str, name: str) -> Path | None:
    """A file of a model folder or a Hub repository; None where there is none, or no model was named."""
    if not model:
        return None
    if Path(model).is_dir():
        path = Path(model, name)
        return path if path.is_file() else None
    found = cached_file(
        model, name, _raise_exceptions_for_gated_repo=False, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    return None if found is None else Path(found)
