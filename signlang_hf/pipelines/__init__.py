"""Pipelines. Importing this package registers all of them with transformers."""

# First, and completely: our own modules below must never be imported while transformers' are half initialised.
from transformers import AutoModelForVideoClassification
from transformers.pipelines import PIPELINE_REGISTRY

from .sign_recognition import SignRecognitionPipeline

PIPELINE_REGISTRY.register_pipeline(
    "sign-recognition",
    pipeline_class=SignRecognitionPipeline,
    pt_model=AutoModelForVideoClassification,
    type="video",
)

__all__ = ["SignRecognitionPipeline"]
