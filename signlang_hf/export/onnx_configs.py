"""Which inputs and outputs the ONNX graph of each family has, as Optimum wants to hear it: an ``OnnxConfig`` a family.

Design decisions:

* Outputs are called as torch calls them, so a model in onnxruntime answers with the same ``ModelOutput``.
* Batch and time are free. Pictures have the one size that the processor makes, which leaves onnxruntime more to fold.
* Dummy clips end in padding: what a graph does with it is traced and compared like everything else.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from optimum.exporters.onnx import OnnxConfig
from optimum.utils import DummyInputGenerator, NormalizedConfig

Axes = dict[str, dict[int, str]]

CLIP: Axes = {"input_values": {0: "batch", 1: "time"}, "attention_mask": {0: "batch", 1: "time"}}
SENTENCE: Axes = {"input_ids": {0: "batch", 1: "source"}, "attention_mask": {0: "batch", 1: "source"}}


class SignDummyInputs(DummyInputGenerator):
    """Random inputs of every kind that our graphs have.

    Args:
        batch_size: clips, sentences or pictures.
        frames: T of clips, S of sentences; the last one of several is padded in its last third.
    """

    SUPPORTED_INPUT_NAMES = (
        "input_values", "attention_mask", "pixel_values", "input_ids", "decoder_input_ids", "encoder_hidden_states",
        "states", "memory",
    )  # fmt: skip

    def __init__(
        self, task: str, normalized_config: NormalizedConfig, batch_size: int = 2, frames: int = 11, **_: Any
    ) -> None:
        self.config = normalized_config.config
        self.batch, self.frames = batch_size, frames

    def generate(
        self, input_name: str, framework: str = "pt", int_dtype: str = "int64", float_dtype: str = "fp32"
    ) -> Any:
        made = self._make(input_name)
        return made if framework == "pt" else made.numpy()

    def _make(self, name: str) -> torch.Tensor:
        batch, frames, config = self.batch, self.frames, self.config
        # The same numbers in every run: whether an export is right must not be a matter of luck.
        random = torch.Generator().manual_seed(97 * frames + batch)
        if name == "attention_mask":
            mask = torch.ones(batch, frames, dtype=torch.int64)
            if batch > 1:
                mask[-1, frames - frames // 3 :] = 0
            return mask
        if name == "input_values":
            return torch.randn(batch, frames, config.input_size, generator=random)
        if name == "pixel_values":
            return torch.rand(batch, 3, config.image_size, config.image_size, generator=random)
        if name == "input_ids":
            return torch.randint(0, config.source_vocab_size, (batch, frames), generator=random)
        if name == "decoder_input_ids":
            return torch.randint(0, config.vocab_size, (batch, 1), generator=random)
        source, states, memory = translator_widths(config)
        if name == "states":
            return torch.randn(batch, states, generator=random)
        width = source if name == "encoder_hidden_states" else memory
        return torch.randn(batch, frames, width, generator=random)


def translator_widths(config: Any) -> tuple[int, int, int]:
    """How wide the encoder's states, the decoder's states and the memory of a translator are, those of all members together."""
    members = getattr(config, "member_configs", None) or [config]
    return (
        sum(one.encoder_size for one in members),
        sum(one.num_hidden_layers * one.hidden_size for one in members),
        sum(sum(memory_widths(one)) for one in members),
    )


def memory_widths(config: Any) -> list[int]:
    """Widths of what one translator computes from the source alone: keys and, with input feeding, gates."""
    return [config.attention_size, *([3 * config.hidden_size] if config.input_feeding else [])]


class SignOnnxConfig(OnnxConfig):
    """Base: tables of the axes that are free."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (SignDummyInputs,)
    ATOL_FOR_VALIDATION = 1e-4
    input_axes: ClassVar[Axes] = CLIP
    output_axes: ClassVar[Axes] = {}

    @property
    def inputs(self) -> Axes:
        return dict(self.input_axes)

    @property
    def outputs(self) -> Axes:
        return dict(self.output_axes)


class SignKeypointOnnxConfig(SignOnnxConfig):
    """Isolated signs: what the four encoders share."""

    output_axes: ClassVar[Axes] = {
        "logits": {0: "batch"},
        "embedding": {0: "batch"},
        "pooling_weights": {0: "batch", 1: "time"},
    }


class SignTransformerOnnxConfig(SignKeypointOnnxConfig):
    """``signlang_transformer``."""


class SignBiLSTMOnnxConfig(SignKeypointOnnxConfig):
    """``signlang_bilstm``."""


class SignHybridOnnxConfig(SignKeypointOnnxConfig):
    """``signlang_hybrid``."""


class SignConvOnnxConfig(SignKeypointOnnxConfig):
    """``signlang_conv``."""


class SignCTCOnnxConfig(SignOnnxConfig):
    """``signlang_ctc``: the blank on padded frames is part of the graph."""

    output_axes: ClassVar[Axes] = {"logits": {0: "batch", 1: "steps"}, "logit_lengths": {0: "batch"}}


class SignDetectorOnnxConfig(SignOnnxConfig):
    """``signlang_detector``: heatmaps, or two SimCC distributions."""

    input_axes: ClassVar[Axes] = {"pixel_values": {0: "batch"}}

    @property
    def outputs(self) -> Axes:
        names = ("simcc_x", "simcc_y") if self._config.head == "simcc" else ("heatmaps",)
        return {name: {0: "batch"} for name in names}


class SignTranslatorEncoderOnnxConfig(SignOnnxConfig):
    """``signlang_translator``: the sentence once, see :mod:`.translator_graphs`."""

    input_axes: ClassVar[Axes] = SENTENCE
    output_axes: ClassVar[Axes] = {
        "last_hidden_state": {0: "batch", 1: "source"},
        "states": {0: "batch"},
        "memory": {0: "batch", 1: "source"},
    }


class SignTranslatorDecoderOnnxConfig(SignOnnxConfig):
    """``signlang_translator``: one word after the states before it, see :mod:`.translator_graphs`."""

    input_axes: ClassVar[Axes] = {
        "decoder_input_ids": {0: "batch"},
        "encoder_hidden_states": {0: "batch", 1: "source"},
        "attention_mask": {0: "batch", 1: "source"},
        "states": {0: "batch"},
        "memory": {0: "batch", 1: "source"},
    }
    output_axes: ClassVar[Axes] = {
        "logits": {0: "batch"},
        "cross_attentions": {0: "batch", 2: "source"},
        "new_states": {0: "batch"},
    }


ONNX_CONFIGS: dict[str, type[SignOnnxConfig]] = {
    "signlang_transformer": SignTransformerOnnxConfig,
    "signlang_bilstm": SignBiLSTMOnnxConfig,
    "signlang_hybrid": SignHybridOnnxConfig,
    "signlang_conv": SignConvOnnxConfig,
    "signlang_ctc": SignCTCOnnxConfig,
    "signlang_detector": SignDetectorOnnxConfig,
}
"""Model type → configuration, of the families that are one graph."""

__all__ = [
    "ONNX_CONFIGS",
    "SignBiLSTMOnnxConfig",
    "SignCTCOnnxConfig",
    "SignConvOnnxConfig",
    "SignDetectorOnnxConfig",
    "SignHybridOnnxConfig",
    "SignKeypointOnnxConfig",
    "SignOnnxConfig",
    "SignTransformerOnnxConfig",
    "SignTranslatorDecoderOnnxConfig",
    "SignTranslatorEncoderOnnxConfig",
    "memory_widths",
    "translator_widths",
]
