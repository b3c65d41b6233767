"""Pipelines of model folders, for callers who want one sentence where a folder cannot be used: the command line and the recipes."""

from __future__ import annotations

import warnings
from typing import Any

from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoModelForImageTextToText,
    AutoModelForKeypointDetection,
    AutoModelForSeq2SeqLM,
    pipeline,
)

from ..models.loading import checked_folder, loaded


def load_pipeline(task: str, model: str, base: str | None = None, device: str | None = None) -> Any:
    """The pipeline of a model folder, a Hub id or a bundled model's name. transformers' own messages are off from then on.

    Args:
        task, model: which are to go together.
        base: where the base of a video language model lies, if it cannot be had from the Hub under its own name.
        device: what runs it, such as ``cpu`` or ``cuda``; None leaves it to transformers.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it cannot be loaded, or is for another task; one sentence says why.
    """
    model = model_for(task, model)
    more = {} if base is None else {"model_kwargs": {"base": base}}
    return loaded(model, lambda: pipeline(task, model=model, device=device, **more))


def task_of(model: str, runtime: str = "torch") -> str:
    """The task that a model folder or Hub id is for; ``sign-recognition`` where its configuration does not say another. Errors as
    :func:`load_pipeline`; ``runtime`` as for :func:`~signlang_hf.models.loading.checked_folder`."""
    model = checked_folder(model, runtime)
    config = loaded(model, lambda: AutoConfig.from_pretrained(model))
    if type(config) in AutoModelForCTC._model_mapping:
        return "continuous-sign-recognition"
    if type(config) in AutoModelForKeypointDetection._model_mapping:
        return "sign-keypoint-detection"
    if type(config) in AutoModelForSeq2SeqLM._model_mapping:
        return "sign-translation" if hasattr(config, "recognizer") else "gloss-translation"
    return "sign-recognition"


def model_for(task: str, model: str, runtime: str = "torch") -> str:
    """:func:`checked_folder`, and the model is for ``task``: transformers would answer one of another kind with a list of all the
    configurations that it knows. Errors as :func:`load_pipeline`."""
    model = checked_folder(model, runtime)
    found = task_of(model, runtime)
    if found != task and not (task == "sign-translation" and _sees_frames(model)):
        raise ValueError(f"{model} is a model for {found}; give one for {task}.")
    return model


def _sees_frames(model: str) -> bool:
    """Whether it is a video language model, which recognises and translates."""
    return type(loaded(model, lambda: AutoConfig.from_pretrained(model))) in AutoModelForImageTextToText._model_mapping


def load_translation_pipeline(recognizer: str, translator: str, device: str | None = None) -> Any:
    """The ``sign-translation`` pipeline of two model folders that need not have been saved as one; ``device`` and errors as for
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
    return loaded(both, lambda: pipeline("sign-translation", model=model, feature_extractor=processor, device=device))
