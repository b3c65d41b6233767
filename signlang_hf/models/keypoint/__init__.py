"""Encoders over landmark sequences, with one processor for all of them."""

from .configuration_transformer import SignTransformerConfig
from .modeling_transformer import (
    SignClassifierOutput,
    SignModelOutput,
    SignTransformerForSignClassification,
    SignTransformerModel,
    SignTransformerPreTrainedModel,
)
from .processing_keypoint import SignKeypointProcessor

__all__ = [
    "SignClassifierOutput",
    "SignKeypointProcessor",
    "SignModelOutput",
    "SignTransformerConfig",
    "SignTransformerForSignClassification",
    "SignTransformerModel",
    "SignTransformerPreTrainedModel",
]
