"""Gloss-to-text translation: GRU encoder-decoder with Bahdanau attention."""

from .configuration_translator import SignTranslatorConfig
from .modeling_translator import SignTranslatorForConditionalGeneration, SignTranslatorModel, SignTranslatorScores
from .processing_translator import SignTranslatorProcessor

__all__ = [
    "SignTranslatorConfig",
    "SignTranslatorForConditionalGeneration",
    "SignTranslatorModel",
    "SignTranslatorProcessor",
    "SignTranslatorScores",
]
