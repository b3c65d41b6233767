"""Model families. Importing this package registers all of them with transformers' Auto classes."""

# First, and completely: our own modules below must never be imported while transformers' are half initialised.
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCTC,
    AutoModelForSeq2SeqLM,
    AutoModelForVideoClassification,
    AutoProcessor,
)

from .ctc import SignCTCConfig, SignCTCModel, SignCTCProcessor, SignForCTC
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
from .translation import SignTranslationConfig, SignTranslationModel, SignTranslationProcessor
from .translator import (
    SignTranslatorConfig,
    SignTranslatorEnsembleConfig,
    SignTranslatorEnsembleForConditionalGeneration,
    SignTranslatorForConditionalGeneration,
    SignTranslatorModel,
    SignTranslatorProcessor,
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

AutoConfig.register(SignCTCConfig.model_type, SignCTCConfig)
AutoModel.register(SignCTCConfig, SignCTCModel)
AutoModelForCTC.register(SignCTCConfig, SignForCTC)
AutoFeatureExtractor.register(SignCTCConfig, SignCTCProcessor)
AutoProcessor.register(SignCTCConfig, SignCTCProcessor)
SignCTCConfig.register_for_auto_class()
SignCTCModel.register_for_auto_class("AutoModel")
SignForCTC.register_for_auto_class("AutoModelForCTC")
SignCTCProcessor.register_for_auto_class("AutoFeatureExtractor")

# An ensemble has no encoder of its own; its members register theirs.
AutoConfig.register(SignEnsembleConfig.model_type, SignEnsembleConfig)
AutoModelForVideoClassification.register(SignEnsembleConfig, SignEnsembleForSignClassification)
AutoFeatureExtractor.register(SignEnsembleConfig, SignEnsembleProcessor)
AutoProcessor.register(SignEnsembleConfig, SignEnsembleProcessor)
SignEnsembleConfig.register_for_auto_class()
SignEnsembleForSignClassification.register_for_auto_class("AutoModelForVideoClassification")
SignEnsembleProcessor.register_for_auto_class("AutoFeatureExtractor")

AutoConfig.register(SignTranslatorConfig.model_type, SignTranslatorConfig)
AutoModel.register(SignTranslatorConfig, SignTranslatorModel)
AutoModelForSeq2SeqLM.register(SignTranslatorConfig, SignTranslatorForConditionalGeneration)
AutoFeatureExtractor.register(SignTranslatorConfig, SignTranslatorProcessor)
AutoProcessor.register(SignTranslatorConfig, SignTranslatorProcessor)
SignTranslatorConfig.register_for_auto_class()
SignTranslatorModel.register_for_auto_class("AutoModel")
SignTranslatorForConditionalGeneration.register_for_auto_class("AutoModelForSeq2SeqLM")
SignTranslatorProcessor.register_for_auto_class("AutoFeatureExtractor")

AutoConfig.register(SignTranslatorEnsembleConfig.model_type, SignTranslatorEnsembleConfig)
AutoModelForSeq2SeqLM.register(SignTranslatorEnsembleConfig, SignTranslatorEnsembleForConditionalGeneration)
AutoFeatureExtractor.register(SignTranslatorEnsembleConfig, SignTranslatorProcessor)
AutoProcessor.register(SignTranslatorEnsembleConfig, SignTranslatorProcessor)
SignTranslatorEnsembleConfig.register_for_auto_class()
SignTranslatorEnsembleForConditionalGeneration.register_for_auto_class("AutoModelForSeq2SeqLM")

# Two members in their own folders, without an encoder of its own.
AutoConfig.register(SignTranslationConfig.model_type, SignTranslationConfig)
AutoModelForSeq2SeqLM.register(SignTranslationConfig, SignTranslationModel)
AutoFeatureExtractor.register(SignTranslationConfig, SignTranslationProcessor)
AutoProcessor.register(SignTranslationConfig, SignTranslationProcessor)
SignTranslationConfig.register_for_auto_class()
SignTranslationModel.register_for_auto_class("AutoModelForSeq2SeqLM")
SignTranslationProcessor.register_for_auto_class("AutoFeatureExtractor")
