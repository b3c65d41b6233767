"""Pipelines. Importing this package registers all of them with transformers."""

# First, and completely: our own modules below must never be imported while transformers' are half initialised.
from transformers import AutoModelForVideoClassification
from transformers.pipelines import PIPELINE_REGISTRY

from .. import pretrained
from ..compat import default_model
from .live import LiveRecognizer, LiveSign, SignRule
from .sign_recognition import SignRecognitionPipeline

PIPELINE_REGISTRY.register_pipeline(
    "sign-recognition",
    pipeline_class=SignRecognitionPipeline,
    pt_model=AutoModelForVideoClassification,
    default=default_model(pretrained.path()) if pretrained.DEFAULT in pretrained.names() else None,
    type="video",
)

__all__ = ["LiveRecognizer", "LiveSign", "SignRecognitionPipeline", "SignRule"]
