"""Encoders over landmark sequences, with one processor for all of them."""

from .configuration_keypoint import SignKeypointConfig
from .configuration_transformer import SignTransformerConfig
from .modeling_keypoint import SignClassifierOutput, SignModelOutput
from .modeling_transformer import (
    SignTransformerForSignClassification,
    SignTransformerModel,
    SignTransformerPreTrainedModel,
)
from .processing_keypoint import SignKeypointProcessor

__all__ = [
    "SignClassifierOutput",
    "SignKeypointConfig",
    "SignKeypointProcessor",
    "SignModelOutput",
    "SignTransformerConfig",
    "SignTransformerForSignClassification",
    "SignTransformerModel",
    "SignTransformerPreTrainedModel",
]
