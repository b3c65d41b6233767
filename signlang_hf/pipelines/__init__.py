"""Pipelines. Importing this package registers all of them with transformers."""

from typing import Any

# First, and completely: our own modules below must never be imported while transformers' are half initialised.
from transformers import AutoModelForCTC, AutoModelForSeq2SeqLM, AutoModelForVideoClassification
from transformers.pipelines import PIPELINE_REGISTRY

from .. import pretrained
from ..compat import default_model
from .continuous import ContinuousSignRecognitionPipeline
from .gloss_translation import GlossTranslationPipeline
from .live import LiveRecognizer, LiveSign, SignRule
from .live_sentences import SENTENCE_RULE, LiveGloss, LiveSentence, LiveSentences
from .sign_recognition import SignRecognitionPipeline
from .sign_translation import SignTranslationPipeline

# Task, its pipeline, what loads its model, and the bundled model that answers where none is named.
_TASKS: tuple[tuple[str, Any, Any, str | None, str], ...] = (
    ("sign-recognition", SignRecognitionPipeline, AutoModelForVideoClassification, pretrained.DEFAULT, "video"),
    ("continuous-sign-recognition", ContinuousSignRecognitionPipeline, AutoModelForCTC, pretrained.SENTENCES, "video"),
    ("gloss-translation", GlossTranslationPipeline, AutoModelForSeq2SeqLM, None, "text"),
    ("sign-translation", SignTranslationPipeline, AutoModelForSeq2SeqLM, pretrained.SPELLING, "video"),
)
for _task, _pipeline, _loader, _default, _kind in _TASKS:
    PIPELINE_REGISTRY.register_pipeline(
        _task,
        pipeline_class=_pipeline,
        pt_model=_loader,
        default=default_model(pretrained.path(_default)) if _default in pretrained.names() else None,
        type=_kind,
    )

__all__ = [
    "SENTENCE_RULE",
    "ContinuousSignRecognitionPipeline",
    "GlossTranslationPipeline",
    "LiveGloss",
    "LiveRecognizer",
    "LiveSentence",
    "LiveSentences",
    "LiveSign",
    "SignRecognitionPipeline",
    "SignRule",
    "SignTranslationPipeline",
]
