"""Models and processors for training: new ones from settings, or saved ones to fine-tune.

Design decisions:

* transformers takes any setting without a word; here an unknown one is refused, because a typo would train another model.
* A model that is fine-tuned keeps its head where it knows the same labels as the data, in whatever order. Otherwise it gets a
  new head: a head of the same size for other signs would be taken over by transformers as if it fitted.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForVideoClassification,
    PreTrainedModel,
    SequenceFeatureExtractor,
)
from transformers.utils import logging

from ..landmarks import get_layout, register_layout
from ..models.keypoint import SignKeypointConfig, SignKeypointProcessor
from ..pretrained import resolve
from .arguments import ModelArguments, NetworkArguments

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.get_logger(__name__)

# What was chosen for the old weights says nothing about the new ones.
_UNCALIBRATED = {"logit_temperature": 1.0, "unknown_threshold": None, "unknown_score": "probability"}


def new_processor(
    model_args: NetworkArguments, train: Dataset, family: type = SignKeypointProcessor, **own: Any
) -> SequenceFeatureExtractor:
    """The processor of the settings; by default in the layout of the data, and centred on the shoulders where it has them.

    Args:
        model_args: with its settings.
        train: landmark rows.
        family: class of the processor.
        own: settings that are no user's to make, such as the vocabulary.

    Raises:
        ValueError: an unknown setting, or one with a value that it cannot have.
    """
    settings = dict(model_args.processor)
    layout = settings.setdefault("layout", str(train[0]["layout"]))
    if settings.get("layout_points") is not None:
        register_layout(layout, settings["layout_points"])
    if "left_shoulder" not in get_layout(layout).index:
        settings.setdefault("normalization", "centroid")
    known = [name for name in inspect.signature(SignKeypointProcessor).parameters if name != "kwargs"]
    refuse_unknown("processor", settings, family, also=[] if family is SignKeypointProcessor else known)
    return checked("processor", lambda: family(**settings, **own))


def new_model(
    model_args: ModelArguments, processor: SequenceFeatureExtractor, train: Dataset, names: Sequence[str]
) -> PreTrainedModel:
    """A model with fresh weights for the processor's features and the labels ``names``.

    Raises:
        ValueError: an unknown family or setting, or a setting with a value that it cannot have.
    """
    families = [family for family in CONFIG_MAPPING if family.startswith("signlang_")]
    if model_args.model_type not in families:
        raise ValueError(f"Unknown model_type {model_args.model_type!r}; known are {', '.join(families)}.")
    family = CONFIG_MAPPING[model_args.model_type]
    refuse_unknown("model", model_args.model, family, also=family().to_dict())
    settings = {**model_args.model, "input_size": processor.feature_size, **_labels(names)}
    if "parts" in inspect.signature(family).parameters:
        settings.setdefault("parts", processor.parts)
    if model_args.class_weights:
        settings["class_weights"] = class_weights(train, names)
    config = checked("model", lambda: AutoConfig.for_model(model_args.model_type, **settings))
    return AutoModelForVideoClassification.from_config(config)


def fine_tuned_model(model_args: ModelArguments, train: Dataset, names: Sequence[str]) -> PreTrainedModel:
    """The model of ``model_args.model_name_or_path``, with a new head if its labels are not ``names`` in some order.

    Raises:
        ValueError: nothing to load there, or settings that the saved weights do not fit.
    """
    source = resolve(str(model_args.model_name_or_path))
    config = loaded(source, AutoConfig.from_pretrained)
    refuse_unknown("model", model_args.model, type(config), also=config.to_dict())
    known = [str(config.id2label[index]) for index in range(config.num_labels)]
    same = set(known) == set(names)
    settings = {"class_weights": None, **_UNCALIBRATED, **model_args.model, **({} if same else _labels(names))}
    if model_args.class_weights:
        weights = dict(zip(names, class_weights(train, names)))
        settings["class_weights"] = [weights[name] for name in (known if same else names)]
    config = loaded(source, AutoConfig.from_pretrained, **settings)
    if same:
        return saved_model(source, config=config)
    shared = len(set(known) & set(names))
    logger.warning(
        f"{source} knows {len(known)} labels and the data has {len(names)}, {shared} of them the same: "
        "its encoder is kept, its head is made anew."
    )
    model = AutoModelForVideoClassification.from_config(config)
    setattr(
        model, model.base_model_prefix, loaded(source, AutoModel.from_pretrained, config=config, dtype=torch.float32)
    )
    return model


def saved_processor(source: str) -> SequenceFeatureExtractor:
    """The processor of a model folder, bundled model or Hub id. Raises ValueError where there is none."""
    source = resolve(source)
    folder = Path(source)
    files = ("preprocessor_config.json", "processor_config.json")
    if (folder / "config.json").is_file() and not any((folder / file).is_file() for file in files):
        raise ValueError(f"{source} has no processor; save it there with processor.save_pretrained().")
    return loaded(source, AutoFeatureExtractor.from_pretrained)


def saved_model(source: str, **options: Any) -> PreTrainedModel:
    """The classifier of a model folder, bundled model or Hub id. Raises ValueError where it cannot be loaded."""
    return loaded(resolve(source), AutoModelForVideoClassification.from_pretrained, dtype=torch.float32, **options)


def class_weights(train: Dataset, names: Sequence[str]) -> list[float]:
    """For each class the inverse of its frequency, 1 on average over clips; 0 for a class without clips."""
    counts = Counter(train["label"])
    return [len(train) / (len(counts) * counts[label]) if label in counts else 0.0 for label in range(len(names))]


def _labels(names: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}


def refuse_unknown(what: str, settings: Mapping[str, Any], taker: Any, also: Iterable[str] = ()) -> None:
    """Raise ValueError for settings that nobody takes: ``taker`` is the class that takes the settings, ``also`` what it takes beyond its own parameters."""
    bases = taker.__mro__[1:] if isinstance(taker, type) else ()
    takers = [taker, *(base for base in bases if issubclass(base, SignKeypointConfig))]
    named = dict.fromkeys(name for one in takers for name in inspect.signature(one).parameters)
    own = [name for name in named if name != "kwargs"]
    unknown = [str(name) for name in settings if name not in (*own, *also)]
    if unknown:
        raise ValueError(f"Unknown {what} setting {', '.join(unknown)}; known are {', '.join(own)}.")


def checked(what: str, build: Callable[[], Any]) -> Any:
    """What ``build`` builds of settings. Raises ValueError, in one sentence, where their types do not fit."""
    try:
        return build()
    except TypeError as error:  # a text where a number belongs
        raise ValueError(f"The {what} settings do not fit: {error}.") from None


def loaded(source: str, load: Callable[..., Any], **options: Any) -> Any:
    """What ``load`` loads from a model folder. Raises ValueError, in one sentence, where it cannot."""
    try:
        return load(source, **options)
    except (OSError, RuntimeError) as error:  # nothing there, or weights of another size than the settings ask for
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(f"{source} cannot be loaded: {' '.join(lines[:2])}") from error


__all__ = [
    "checked",
    "class_weights",
    "fine_tuned_model",
    "loaded",
    "new_model",
    "new_processor",
    "refuse_unknown",
    "saved_model",
    "saved_processor",
]
