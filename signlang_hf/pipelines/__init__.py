"""Pipelines. Importing this package registers all of them with transformers."""

from typing import Any

# First, and completely: our own modules below must never be imported while transformers' are half initialised.
from transformers import (
    AutoModelForCTC,
    AutoModelForImageTextToText,
    AutoModelForKeypointDetection,
    AutoModelForSeq2SeqLM,
    AutoModelForVideoClassification,
)
from transformers.pipelines import PIPELINE_REGISTRY

from .. import pretrained
from ..compat import default_model
from .continuous import ContinuousSignRecognitionPipeline
from .gate import SignRule
from .gloss_translation import GlossTranslationPipeline
from .keypoint_detection import SignKeypointDetectionPipeline
from .live import StreamingSentences, StreamingSigns
from .sign_recognition import SignRecognitionPipeline
from .sign_translation import SignTranslationPipeline
from .stream import StreamEvent
from .streaming import SignStream, StreamPool, StreamSettings
from .streaming_sentences import SENTENCE_RULE, SentenceStream


def _bundled(model: str | None) -> dict[str, Any] | None:
    """What transformers takes for a default: a bundled model, or a member of one; None where this installation lacks it."""
    name, _, member = (model or "").partition("/")
    return default_model(pretrained.path(name) / member) if name in pretrained.names() else None


# Task, its pipeline, what loads its model, and the bundled model that answers where none is named.
_TASKS: tuple[tuple[str, Any, Any, str | None, str], ...] = (
    (
        "sign-recognition",
        SignRecognitionPipeline,
        (AutoModelForVideoClassification, AutoModelForImageTextToText),
        pretrained.DEFAULT,
        "video",
    ),
    ("continuous-sign-recognition", ContinuousSignRecognitionPipeline, AutoModelForCTC, pretrained.SENTENCES, "video"),
    ("gloss-translation", GlossTranslationPipeline, AutoModelForSeq2SeqLM, f"{pretrained.SPELLING}/translator", "text"),
    (
        "sign-translation",
        SignTranslationPipeline,
        (AutoModelForSeq2SeqLM, AutoModelForImageTextToText),
        pretrained.SPELLING,
        "video",
    ),
    (
        "sign-keypoint-detection",
        SignKeypointDetectionPipeline,
        AutoModelForKeypointDetection,
        pretrained.DETECTOR,
        "image",
    ),
)
for _task, _pipeline, _loader, _default, _kind in _TASKS:
    PIPELINE_REGISTRY.register_pipeline(
        _task,
        pipeline_class=_pipeline,
        pt_model=_loader,
        default=_bundled(_default),
        type=_kind,
    )

__all__ = [
    "SENTENCE_RULE",
    "ContinuousSignRecognitionPipeline",
    "GlossTranslationPipeline",
    "SentenceStream",
    "SignKeypointDetectionPipeline",
    "SignRecognitionPipeline",
    "SignRule",
    "SignStream",
    "SignTranslationPipeline",
    "StreamEvent",
    "StreamPool",
    "StreamSettings",
    "StreamingSentences",
    "StreamingSigns",
]
