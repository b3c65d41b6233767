"""Exported folders → models and pipelines, for callers who name a folder and want the right class: the command line and the recipes."""

from __future__ import annotations

import os
from typing import Any

from transformers import AutoConfig, AutoFeatureExtractor, AutoImageProcessor, pipeline

from ..models.loading import checked_folder, loaded
from ..models.translation.modeling_translation import joined
from ..pipelines.loading import model_for
from .ort_composites import ORTModelForSignEnsemble, ORTModelForSignTranslation, paired
from .ort_models import ORTModelForSignClassification, ORTModelForSignCTC, ORTModelForSignKeypoints
from .ort_translator import ORTModelForSignTranslator

_CLASSES = (
    ORTModelForSignClassification,
    ORTModelForSignCTC,
    ORTModelForSignKeypoints,
    ORTModelForSignTranslator,
)
_COMPOSITES = {"signlang_ensemble": ORTModelForSignEnsemble, "signlang_translation": ORTModelForSignTranslation}
ORT_MODELS = {kind: one for one in _CLASSES for kind in one.model_types} | _COMPOSITES
"""Model type → the class that runs its export."""


def load_ort_model(model: str | os.PathLike[str], **settings: Any) -> Any:
    """The model of an exported folder, whatever family it is of.

    Args:
        model: folder.
        **settings: of ``from_pretrained``: ``provider``, ``precision``, ``num_threads`` …

    Raises:
        FileNotFoundError, ValueError: it cannot be opened; one sentence says why.
    """
    folder = checked_folder(os.fspath(model), "ort")
    kind = AutoConfig.from_pretrained(folder).model_type
    if kind not in ORT_MODELS:
        raise ValueError(f"{folder} holds a {kind}, which this library does not run in onnxruntime.")
    return ORT_MODELS[kind].from_pretrained(folder, **settings)


def load_ort_pipeline(task: str, model: str, provider: str = "cpu") -> Any:
    """The pipeline of an exported folder. Errors as :func:`load_ort_model`, and ValueError for a model of another task."""
    folder = model_for(task, model, "ort")
    part, auto = ("feature_extractor", AutoFeatureExtractor)
    if task == "sign-keypoint-detection":
        part, auto = ("image_processor", AutoImageProcessor)
    processor = loaded(folder, lambda: auto.from_pretrained(folder))
    return loaded(folder, lambda: pipeline(task, model=load_ort_model(folder, provider=provider), **{part: processor}))


def load_ort_translation(recognizer: str, translator: str, provider: str = "cpu") -> Any:
    """The ``sign-translation`` pipeline of two exported folders. Errors as :func:`load_ort_pipeline`."""
    from ..models.translation import SignTranslationProcessor

    first = model_for("continuous-sign-recognition", recognizer, "ort")
    second = model_for("gloss-translation", translator, "ort")
    processors = [loaded(one, lambda one=one: AutoFeatureExtractor.from_pretrained(one)) for one in (first, second)]
    models = [loaded(one, lambda one=one: load_ort_model(one, provider=provider)) for one in (first, second)]
    model = paired(*models, joined(*processors), processors[0].blank_token_id)
    processor = SignTranslationProcessor(*processors)
    return loaded(
        f"The pair of {first} and {second}",
        lambda: pipeline("sign-translation", model=model, feature_extractor=processor),
    )


__all__ = ["ORT_MODELS", "load_ort_model", "load_ort_pipeline", "load_ort_translation"]
