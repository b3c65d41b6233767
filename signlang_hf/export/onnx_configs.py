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

from .examples import INPUTS, made_up

Axes = dict[str, dict[int, str]]

CLIP: Axes = {"input_values": {0: "batch", 1: "time"}, "attention_mask": {0: "batch", 1: "time"}}
SENTENCE: Axes = {"input_ids": {0: "batch", 1: "source"}, "attention_mask": {0: "batch", 1: "source"}}


class SignDummyInputs(DummyInputGenerator):
    """Random inputs of every kind that our graphs have.

    Args:
        batch_size: clips, sentences or pictures.
        frames: T of clips, S of sentences; the last one of several is padded in its last third.
    """

    SUPPORTED_INPUT_NAMES = INPUTS

    def __init__(
        self, task: str, normalized_config: NormalizedConfig, batch_size: int = 2, frames: int = 11, **_: Any
    ) -> None:
        self.config = normalized_config.config
        self.batch, self.frames = batch_size, frames

    def generate(
        self, input_name: str, framework: str = "pt", int_dtype: str = "int64", float_dtype: str = "fp32"
    ) -> Any:
        # The same numbers in every run: whether an export is right must not be a matter of luck.
        random = torch.Generator().manual_seed(97 * self.frames + self.batch)
        made = made_up(input_name, self.config, self.batch, self.frames, random)
        if input_name == "attention_mask" and self.batch > 1:
            made[-1, self.frames - self.frames // 3 :] = 0
        return made if framework == "pt" else made.numpy()


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
]
