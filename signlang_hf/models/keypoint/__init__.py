"""Encoders over landmark sequences, with one processor for all of them."""

from .configuration_bilstm import SignBiLSTMConfig
from .configuration_conv import SignConvConfig
from .configuration_hybrid import SignHybridConfig
from .configuration_keypoint import SignKeypointConfig
from .configuration_transformer import SignTransformerConfig
from .modeling_bilstm import SignBiLSTMForSignClassification, SignBiLSTMModel, SignBiLSTMPreTrainedModel
from .modeling_conv import SignConvForSignClassification, SignConvModel, SignConvPreTrainedModel
from .modeling_hybrid import SignHybridForSignClassification, SignHybridModel, SignHybridPreTrainedModel
from .modeling_keypoint import SignClassifierOutput, SignModelOutput
from .modeling_transformer import (
    SignTransformerForSignClassification,
    SignTransformerModel,
    SignTransformerPreTrainedModel,
)
from .processing_keypoint import SignKeypointProcessor

__all__ = [
    "SignBiLSTMConfig",
    "SignBiLSTMForSignClassification",
    "SignBiLSTMModel",
    "SignBiLSTMPreTrainedModel",
    "SignClassifierOutput",
    "SignConvConfig",
    "SignConvForSignClassification",
    "SignConvModel",
    "SignConvPreTrainedModel",
    "SignHybridConfig",
    "SignHybridForSignClassification",
    "SignHybridModel",
    "SignHybridPreTrainedModel",
    "SignKeypointConfig",
    "SignKeypointProcessor",
    "SignModelOutput",
    "SignTransformerConfig",
    "SignTransformerForSignClassification",
    "SignTransformerModel",
    "SignTransformerPreTrainedModel",
]
