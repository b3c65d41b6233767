"""Model families. Importing this package registers all of them with transformers' Auto classes."""

# First, and completely: our own modules below must never be imported while transformers' are half initialised.
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCTC,
    AutoModelForImageTextToText,
    AutoModelForKeypointDetection,
    AutoModelForSeq2SeqLM,
    AutoModelForVideoClassification,
    AutoProcessor,
)
from transformers.image_processing_base import ImageProcessingMixin

from ..compat import register_image_processor
from .ctc import SignCTCConfig, SignCTCModel, SignCTCProcessor, SignForCTC
from .detector import (
    SignDetectorConfig,
    SignDetectorForKeypointDetection,
    SignDetectorModel,
    SignDetectorProcessor,
)
from .ensemble import SignEnsembleConfig, SignEnsembleForSignClassification, SignEnsembleProcessor
from .internvl import SignInternVLConfig, SignInternVLForConditionalGeneration, SignInternVLProcessor
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

# One row a family: configuration, encoder (None for a composite, whose members have their own), the Auto class of its task, the model
# with a head for it, processor.
_VIDEO, _CTC, _TEXT = AutoModelForVideoClassification, AutoModelForCTC, AutoModelForSeq2SeqLM
_POINTS, _WORDS = AutoModelForKeypointDetection, AutoModelForImageTextToText
_FAMILIES = (
    (SignTransformerConfig, SignTransformerModel, _VIDEO, SignTransformerForSignClassification, SignKeypointProcessor),
    (SignConvConfig, SignConvModel, _VIDEO, SignConvForSignClassification, SignKeypointProcessor),
    (SignBiLSTMConfig, SignBiLSTMModel, _VIDEO, SignBiLSTMForSignClassification, SignKeypointProcessor),
    (SignHybridConfig, SignHybridModel, _VIDEO, SignHybridForSignClassification, SignKeypointProcessor),
    (SignEnsembleConfig, None, _VIDEO, SignEnsembleForSignClassification, SignEnsembleProcessor),
    (SignCTCConfig, SignCTCModel, _CTC, SignForCTC, SignCTCProcessor),
    (
        SignTranslatorConfig,
        SignTranslatorModel,
        _TEXT,
        SignTranslatorForConditionalGeneration,
        SignTranslatorProcessor,
    ),
    (
        SignTranslatorEnsembleConfig,
        None,
        _TEXT,
        SignTranslatorEnsembleForConditionalGeneration,
        SignTranslatorProcessor,
    ),
    (SignTranslationConfig, None, _TEXT, SignTranslationModel, SignTranslationProcessor),
    (SignDetectorConfig, SignDetectorModel, _POINTS, SignDetectorForKeypointDetection, SignDetectorProcessor),
    (SignInternVLConfig, None, _WORDS, SignInternVLForConditionalGeneration, SignInternVLProcessor),
)

for _config, _encoder, _auto, _model, _processor in _FAMILIES:
    AutoConfig.register(_config.model_type, _config)
    _auto.register(_config, _model)
    _pictures = issubclass(_processor, ImageProcessingMixin)
    if _pictures:
        register_image_processor(_config, _processor)
    else:
        AutoFeatureExtractor.register(_config, _processor)
    AutoProcessor.register(_config, _processor)
    # These make save_pretrained() copy the code beside the weights, so the Hub copy works without this library.
    _config.register_for_auto_class()
    _model.register_for_auto_class(_auto.__name__)
    _processor.register_for_auto_class("AutoImageProcessor" if _pictures else "AutoFeatureExtractor")
    if _encoder is not None:
        AutoModel.register(_config, _encoder)
        _encoder.register_for_auto_class("AutoModel")
