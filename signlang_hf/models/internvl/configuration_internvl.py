"""Configuration of the video language model. Self-contained: it travels to the Hub beside the adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PretrainedConfig

BASE = "OpenGVLab/InternVL3-2B-hf"
PROMPT = (
    "You are an expert sign-language recognition model. Identify the sign in the video and respond with exactly one word and nothing "
    "else."
)
"""What a model is asked in training, and when it recognises a sign."""
INTERPRETER_PROMPT = (
    "You are a sign-language interpreter. Translate what the person in the video signs into one fluent English sentence, and respond with "
    "the sentence alone."
)
"""What a model is asked for a free translation."""
LORA: dict[str, Any] = {
    "r": 128,
    "lora_alpha": 256,
    "lora_dropout": 0.05,
    "bias": "none",
    # PEFT matches a string against the whole name of a module: the attention of the language model, never that of the vision tower.
    "target_modules": r".*language_model.*self_attn\.[qkvo]_proj",
    "task_type": "CAUSAL_LM",
}
"""Settings of the adapter."""
_LORA_SETTINGS = (*LORA, "use_rslora", "use_dora", "layers_to_transform")
_SAMPLING = ("uniform", "middle")
_QUANTIZATIONS = (None, "4bit")


class SignInternVLConfig(PretrainedConfig):
    """Settings of :class:`SignInternVLForConditionalGeneration`.

    Args:
        base: Hub id or folder of the InternVL model that the adapter belongs to.
        base_revision: commit, tag or branch of it on the Hub.
        base_config: configuration of the base as a mapping. It is written when an adapter is saved, and compared with that of the base
            when it is loaded: an adapter fits one architecture.
        lora: settings of the adapter that differ from :data:`LORA`, named as in ``peft.LoraConfig``.
        prompt: what the model is asked about a clip.
        num_frames: frames of a clip that it sees.
        sampling: which ones: ``uniform``, the middles of ``num_frames`` equal stretches of the clip's time; ``middle``, the same of the
            middle half of it, where an isolated sign is.
        quantization: ``4bit`` (NF4 with double quantisation, computed in bfloat16) or None.
        unknown_threshold: a clip whose likeliest label has less probability is answered ``unknown`` by the pipeline; None: never.
        logit_temperature: the labels' scores are divided by it before their softmax (calibration).

    ``id2label`` and ``label2id`` are the label set; an answer of the pipeline is one of these.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_internvl"

    def __init__(
        self,
        base: str = BASE,
        base_revision: str | None = None,
        base_config: Mapping[str, Any] | None = None,
        lora: Mapping[str, Any] | None = None,
        prompt: str = PROMPT,
        num_frames: int = 8,
        sampling: str = "uniform",
        quantization: str | None = None,
        unknown_threshold: float | None = None,
        logit_temperature: float = 1.0,
        **kwargs: Any,
    ) -> None:
        self.base = base
        self.base_revision = base_revision
        self.base_config = None if base_config is None else dict(base_config)
        self.lora = {**LORA, **(lora or {})}
        self.prompt = prompt
        self.num_frames = num_frames
        self.sampling = sampling
        self.quantization = quantization
        self.unknown_threshold = unknown_threshold
        self.unknown_score = "probability"
        self.logit_temperature = logit_temperature
        kwargs.pop("unknown_score", None)  # there is one, and it is saved
        super().__init__(**kwargs)
        self.check()

    @property
    def labels(self) -> list[str]:
        """The label set, in the order of the scores."""
        return [self.id2label[index] for index in range(len(self.id2label))]

    def check(self) -> None:
        """Refuse settings that no model can be built from."""
        for name in ("base", "prompt"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a text.")
        if not isinstance(self.num_frames, int) or self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}; it must be at least 1.")
        if self.sampling not in _SAMPLING:
            raise ValueError(f"sampling is {self.sampling!r}; it must be {' or '.join(map(repr, _SAMPLING))}.")
        if self.quantization not in _QUANTIZATIONS:
            raise ValueError(f"quantization is {self.quantization!r}; it must be '4bit' or None.")
        if not self.logit_temperature > 0:
            raise ValueError(f"logit_temperature is {self.logit_temperature}; it must be positive.")
        if self.unknown_threshold is not None and not 0 <= self.unknown_threshold <= 1:
            raise ValueError(f"unknown_threshold is {self.unknown_threshold}; it is a probability, in [0, 1].")
        foreign = sorted(set(self.lora) - set(_LORA_SETTINGS))
        if foreign:
            raise ValueError(f"lora does not know {', '.join(foreign)}; it takes {', '.join(_LORA_SETTINGS)}.")
        if not isinstance(self.lora["r"], int) or self.lora["r"] < 1:
            raise ValueError(f"lora's r is {self.lora['r']}; it must be at least 1.")
        if not 0 <= self.lora["lora_dropout"] < 1:
            raise ValueError(f"lora's lora_dropout is {self.lora['lora_dropout']}; it must be in [0, 1).")


__all__ = ["BASE", "INTERPRETER_PROMPT", "LORA", "PROMPT", "SignInternVLConfig"]
