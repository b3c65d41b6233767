"""Video language model: InternVL with a LoRA adapter that answers with a sign's gloss, or with a sentence."""

from .configuration_internvl import BASE, INTERPRETER_PROMPT, LORA, PROMPT, SignInternVLConfig
from .modeling_internvl import SignInternVLForConditionalGeneration, SignInternVLLabelsOutput, SignInternVLOutput
from .modeling_internvl_devices import best_dtype, choose_device
from .modeling_internvl_labels import LabelTrie, score_labels
from .processing_internvl import SignInternVLProcessor

__all__ = [
    "BASE",
    "INTERPRETER_PROMPT",
    "LORA",
    "PROMPT",
    "LabelTrie",
    "SignInternVLConfig",
    "SignInternVLForConditionalGeneration",
    "SignInternVLLabelsOutput",
    "SignInternVLOutput",
    "SignInternVLProcessor",
    "best_dtype",
    "choose_device",
    "score_labels",
]
