"""Gloss-to-text translation: GRU encoder-decoder with Bahdanau attention, and ensembles of several."""

from .configuration_translator import SignTranslatorConfig
from .configuration_translator_ensemble import SignTranslatorEnsembleConfig
from .modeling_translator import SignTranslatorForConditionalGeneration, SignTranslatorModel, SignTranslatorScores
from .modeling_translator_ensemble import SignTranslatorEnsembleForConditionalGeneration
from .processing_translator import SignTranslatorProcessor

__all__ = [
    "SignTranslatorConfig",
    "SignTranslatorEnsembleConfig",
    "SignTranslatorEnsembleForConditionalGeneration",
    "SignTranslatorForConditionalGeneration",
    "SignTranslatorModel",
    "SignTranslatorProcessor",
    "SignTranslatorScores",
]
