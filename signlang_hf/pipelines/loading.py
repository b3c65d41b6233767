"""Pipelines of model folders, for callers who want one sentence where a folder cannot be used: the command line and the recipes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForCTC, AutoModelForSeq2SeqLM, pipeline
from transformers.utils import logging

from .. import pretrained

_KIND = re.compile(r"^\w+(?:Error|Exception): ")
"""How a traceback's last line begins."""


def load_pipeline(task: str, model: str) -> Any:
    """The pipeline of a model folder, a Hub id or a bundled model's name. transformers' own messages are off from then on.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it cannot be loaded, or is for another task; one sentence says why.
    """
    model = model_for(task, model)
    return loaded(model, lambda: pipeline(task, model=model))


def task_of(model: str) -> str:
    """The task that a model folder or Hub id is for; ``sign-recognition`` where its configuration does not say another. Errors as
    :func:`load_pipeline`."""
    model = checked_folder(model)
    config = loaded(model, lambda: AutoConfig.from_pretrained(model))
    if type(config) in AutoModelForCTC._model_mapping:
        return "continuous-sign-recognition"
    if type(config) in AutoModelForSeq2SeqLM._model_mapping:
        return "sign-translation" if hasattr(config, "recognizer") else "gloss-translation"
    return "sign-recognition"


def model_for(task: str, model: str) -> str:
    """:func:`checked_folder`, and the model is for ``task``: transformers would answer one of another kind with a list of all the
    configurations that it knows. Errors as :func:`load_pipeline`."""
    model = checked_folder(model)
    found = task_of(model)
    if found != task:
        raise ValueError(f"{model} is a model for {found}; give one for {task}.")
    return model


def load_translation_pipeline(recognizer: str, translator: str) -> Any:
    """The ``sign-translation`` pipeline of two model folders that need not have been saved as one; errors as
    :func:`load_pipeline`."""
    from ..models.translation import SignTranslationModel, SignTranslationProcessor

    first = model_for("continuous-sign-recognition", recognizer)
    second = model_for("gloss-translation", translator)
    members = {
        "recognizer": loaded(first, lambda: AutoFeatureExtractor.from_pretrained(first)),
        "translator": loaded(second, lambda: AutoFeatureExtractor.from_pretrained(second)),
    }
    both = f"The pair of {first} and {second}"
    model = loaded(both, lambda: SignTranslationModel.from_recognizer_translator_pretrained(first, second))
    with warnings.catch_warnings():  # the model has named the glosses that the translator does not know
        warnings.simplefilter("ignore")
        processor = SignTranslationProcessor(**members)
    return loaded(both, lambda: pipeline("sign-translation", model=model, feature_extractor=processor))


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
    """What ``load`` gives; an error becomes one sentence that begins with the model."""
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
