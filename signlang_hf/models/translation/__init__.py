"""Video → glosses → sentence: a recogniser and a translator as one model."""

from .configuration_translation import SignTranslationConfig
from .modeling_translation import SignTranslationModel, SignTranslationOutput
from .processing_translation import SignTranslationProcessor

__all__ = ["SignTranslationConfig", "SignTranslationModel", "SignTranslationOutput", "SignTranslationProcessor"]
