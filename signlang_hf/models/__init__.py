"""Model families. Importing this package registers all of them with transformers' Auto classes."""

# First, and completely: our own modules below must never be imported while transformers' are half initialised.
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForVideoClassification,
    AutoProcessor,
)

from .ensemble import SignEnsembleConfig, SignEnsembleForSignClassification, SignEnsembleProcessor
from .keypoint import (
    SignBiLSTMConfig,
    SignBiLSTMForSignClassification,
    SignBiLSTMModel,
    SignConvConfig,
    SignConvForSignClassification,
    SignConvModel,
    SignHybridConfig,
    SignHybridForSignClassification,
    SignHybridModel,
    SignKeypointProcessor,
    SignTransformerConfig,
    SignTransformerForSignClassification,
    SignTransformerModel,
)

# One row a family: configuration, encoder, classifier. All keypoint families share one processor.
_KEYPOINT_FAMILIES = (
    (SignTransformerConfig, SignTransformerModel, SignTransformerForSignClassification),
    (SignConvConfig, SignConvModel, SignConvForSignClassification),
    (SignBiLSTMConfig, SignBiLSTMModel, SignBiLSTMForSignClassification),
    (SignHybridConfig, SignHybridModel, SignHybridForSignClassification),
)

for _config, _encoder, _classifier in _KEYPOINT_FAMILIES:
    AutoConfig.register(_config.model_type, _config)
    AutoModel.register(_config, _encoder)
    AutoModelForVideoClassification.register(_config, _classifier)
    AutoFeatureExtractor.register(_config, SignKeypointProcessor)
    AutoProcessor.register(_config, SignKeypointProcessor)
    # These make save_pretrained() copy the code beside the weights, so the Hub copy works without this library.
    _config.register_for_auto_class()
    _encoder.register_for_auto_class("AutoModel")
    _classifier.register_for_auto_class("AutoModelForVideoClassification")
SignKeypointProcessor.register_for_auto_class("AutoFeatureExtractor")

# An ensemble has no encoder of its own; its members register theirs.
AutoConfig.register(SignEnsembleConfig.model_type, SignEnsembleConfig)
AutoModelForVideoClassification.register(SignEnsembleConfig, SignEnsembleForSignClassification)
AutoFeatureExtractor.register(SignEnsembleConfig, SignEnsembleProcessor)
AutoProcessor.register(SignEnsembleConfig, SignEnsembleProcessor)
SignEnsembleConfig.register_for_auto_class()
SignEnsembleForSignClassification.register_for_auto_class("AutoModelForVideoClassification")
SignEnsembleProcessor.register_for_auto_class("AutoFeatureExtractor")
