"""The models of a server: pipelines with a name, what they answer, and the streams that they read.

A model is used by one thread alone (:mod:`.engine`). What it makes of landmarks and what the network costs are timed apart.
"""

from __future__ import annotations

import os
import time
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..landmarks import LandmarkSequence
from ..pipelines.loading import load_pipeline, load_translation_pipeline, model_for, task_of
from ..pipelines.stream import LandmarkStream
from ..pipelines.streaming import SignStream, StreamSettings, Window
from ..pipelines.streaming_sentences import SentenceStream
from ..pretrained import resolve
from .settings import ServerSettings

TOP_K = 10
"""Most predictions of an answer."""
# Sign language (ISO 639-3) → the spoken language in which its glosses are usually written.
_SPOKEN = {
    "ase": "en",
    "bfi": "en",
    "asf": "en",
    "gsg": "de",
    "fsl": "fr",
    "ssp": "es",
    "ise": "it",
    "ins": "en",
    "bzs": "pt",
}


class ServedModel(ABC):
    """A pipeline under a name."""

    mode: str
    """``signs`` or ``sentences``: what its streams give."""

    def __init__(self, name: str, task: str, runtime: str, pipe: Any) -> None:
        self.name, self.task, self.runtime, self.pipe = name, task, runtime, pipe
        self.seconds_of_features = 0.0
        self.languages = _languages(pipe.model)

    @property
    @abstractmethod
    def labels(self) -> list[str]:
        """Signs or glosses that it knows."""

    @property
    @abstractmethod
    def processor(self) -> Any:
        """What makes its inputs of landmarks."""

    @abstractmethod
    def predict(self, sequences: Sequence[LandmarkSequence]) -> list[Any]:
        """What the pipeline answers to clips, read in one batch."""

    @abstractmethod
    def stream(self, mirrored: bool) -> tuple[LandmarkStream, deque[Window]]:
        """A new stream, and the windows of it that are to be predicted (always empty if it predicts by itself)."""

    @property
    def speech(self) -> str | None:
        """The spoken language of its glosses, where its card names one sign language."""
        return _SPOKEN.get(self.languages[0]) if len(self.languages) == 1 else None

    def facts(self) -> dict[str, Any]:
        """What clients are told about it."""
        return {
            "name": self.name,
            "mode": self.mode,
            "task": self.task,
            "runtime": self.runtime,
            "labels": self.labels,
            "layout": self.processor.layout,
            "fps": self.processor.target_fps,
            "languages": self.languages,
        }

    def _time(self, owner: Any, method: str) -> None:
        """Add up what a method of the pipeline's parts takes."""
        original: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self.seconds_of_features += time.perf_counter() - started

        setattr(owner, method, timed)

    def _call(self, sequences: Sequence[LandmarkSequence], **arguments: Any) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what clients should know, answers say
            return list(self.pipe(list(sequences), batch_size=len(sequences), **arguments))


class SignModel(ServedModel):
    """A ``sign-recognition`` pipeline."""

    mode = "signs"

    def __init__(self, name: str, runtime: str, pipe: Any) -> None:
        super().__init__(name, "sign-recognition", runtime, pipe)
        self._time(pipe, "preprocess")

    @property
    def labels(self) -> list[str]:
        names = self.pipe.model.config.id2label
        return [names[number] for number in sorted(names)]

    @property
    def processor(self) -> Any:
        return self.pipe.feature_extractor

    def predict(self, sequences: Sequence[LandmarkSequence]) -> list[Any]:
        return self._call(sequences, top_k=TOP_K)

    def stream(self, mirrored: bool) -> tuple[LandmarkStream, deque[Window]]:
        stream = SignStream(StreamSettings(mirrored=mirrored))
        return stream, stream.due


class SentenceModel(ServedModel):
    """A ``continuous-sign-recognition`` or ``sign-translation`` pipeline."""

    mode = "sentences"

    def __init__(self, name: str, task: str, runtime: str, pipe: Any) -> None:
        super().__init__(name, task, runtime, pipe)
        self._time(self.processor, "extract")

    @property
    def _recognizer(self) -> Any:
        return self.pipe.recognizer if self.task == "sign-translation" else self.pipe

    @property
    def labels(self) -> list[str]:
        return [gloss for gloss in self.processor.vocabulary if not (gloss.startswith("<") and gloss.endswith(">"))]

    @property
    def processor(self) -> Any:
        return self._recognizer.feature_extractor

    def predict(self, sequences: Sequence[LandmarkSequence]) -> list[Any]:
        return self._call(sequences)

    def stream(self, mirrored: bool) -> tuple[LandmarkStream, deque[Window]]:
        return SentenceStream(self.pipe, mirrored=mirrored), deque()


def check_models(settings: ServerSettings) -> None:
    """Whether the models that are asked for are there and of the right kind, before anything is loaded.

    Raises:
        FileNotFoundError, ValueError: one sentence says which is not.
    """
    for model in settings.sign_models:
        model_for("sign-recognition", model, runtime_of(model, settings))
    if settings.translator and not settings.sentences:
        raise ValueError("A translator needs glosses: set SIGNLANG_SENTENCE_MODEL (--sentence-model) too.")
    if settings.sentences:
        _task_of_sentences(settings, settings.sentences)
    names = [name_of(model) for model in [*settings.sign_models, settings.sentences] if model]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ValueError(f"Two models are called {double!r}; requests could not tell them apart. Rename a folder.")


def load_models(settings: ServerSettings) -> list[ServedModel]:
    """The models of a server, the default for signs first. Errors as :func:`check_models`."""
    # oneDNN keeps what it has prepared for a shape, of 1024 shapes; batches of streams have a new one every time, so it would only grow.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
    if settings.threads:
        import torch

        torch.set_num_threads(settings.threads)
    check_models(settings)
    models: list[ServedModel] = []
    for model in settings.sign_models:
        runtime = runtime_of(model, settings)
        models.append(SignModel(name_of(model), runtime, _open("sign-recognition", model, runtime, settings)))
    if (sentences := settings.sentences) is not None:
        task, runtime = _task_of_sentences(settings, sentences), runtime_of(sentences, settings)
        if settings.translator:
            pipe = _open_pair(sentences, runtime, settings)
        else:
            pipe = _open(task, sentences, runtime, settings)
        models.append(SentenceModel(name_of(sentences), task, runtime, pipe))
    for one in models:
        if not hasattr(one.processor, "layout"):  # a video language model
            raise ValueError(f"{one.name} does not read landmarks; the server needs a model that does.")
        one.stream(False)  # says what a stream of it would not take
    return models


def name_of(model: str) -> str:
    """What a model is called in requests: its folder's name, or its id on the Hub. It is never used as a path."""
    return Path(resolve(model)).name if Path(resolve(model)).is_dir() else model


def runtime_of(model: str, settings: ServerSettings) -> str:
    """``torch`` or ``ort``, as asked for or by what the folder holds."""
    if settings.runtime != "auto":
        return settings.runtime
    from ..models.loading import is_export

    return "ort" if is_export(resolve(model)) else "torch"


def _task_of_sentences(settings: ServerSettings, model: str) -> str:
    task = task_of(model, runtime_of(model, settings))
    if settings.translator:
        model_for("continuous-sign-recognition", model, runtime_of(model, settings))
        return "sign-translation"
    if task not in ("continuous-sign-recognition", "sign-translation"):
        raise ValueError(f"{model} is a model for {task}; give one for sentences (SIGNLANG_SENTENCE_MODEL).")
    return task


def _open(task: str, model: str, runtime: str, settings: ServerSettings) -> Any:
    if runtime == "ort":
        from ..export import load_ort_pipeline

        return load_ort_pipeline(task, model, settings.provider or "cpu")
    return load_pipeline(task, model, device=_device(settings))


def _open_pair(recognizer: str, runtime: str, settings: ServerSettings) -> Any:
    if runtime == "ort":
        from ..export import load_ort_translation

        return load_ort_translation(recognizer, settings.translator, settings.provider or "cpu")
    return load_translation_pipeline(recognizer, settings.translator, device=_device(settings))


def _device(settings: ServerSettings) -> str | None:
    return None if settings.device == "auto" else settings.device


def _languages(model: Any) -> list[str]:
    """Sign languages on the card in a model's folder."""
    card = Path(getattr(model, "name_or_path", "") or "", "README.md")
    if not card.is_file() or not card.parent.name:
        return []
    from huggingface_hub import ModelCard

    try:
        said = ModelCard.load(card).data.language
    except (OSError, ValueError):
        return []
    return [said] if isinstance(said, str) else list(said or [])


__all__ = ["TOP_K", "SentenceModel", "ServedModel", "SignModel", "check_models", "load_models", "name_of"]
