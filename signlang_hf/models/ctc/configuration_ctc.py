"""Configuration of the continuous recogniser. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig


class SignCTCConfig(PretrainedConfig):
    """Settings of :class:`SignCTCModel` and :class:`SignForCTC`.

    Args:
        input_size: F, length of a frame's feature vector; ``SignCTCProcessor.feature_size`` gives it.
        vocab_size: V, columns of the output, the blank and the unknown gloss among them: ``len(processor.vocabulary)``.
        hidden_size: width of the temporal convolutions.
        num_hidden_layers: residual blocks of two dilated convolutions each.
        dilations: frames between a kernel's taps, one number a block; default 1, 2, 4, 8, 1, 2, …
        kernel_size: taps of a convolution; odd unless the model is causal.
        num_recurrent_layers: GRU layers after them.
        recurrent_hidden_size: units of a GRU in each direction; default ``hidden_size``.
        temporal_stride: input frames to one output frame: 1, 2 or 4. The GRU reads so many times fewer steps.
        causal: convolutions look back only and the GRU has one direction, so that a frame's output never changes again: what
            streaming without delay needs.
        auxiliary_weight: weight of a second CTC loss on the convolutions' own output (visual enhancement of Min et al. 2021,
            VAC); 0 leaves it out.
        distillation_weight: weight of the alignment loss, the Kullback–Leibler divergence from the GRU's glosses to those of the
            convolutions (the same paper, 25 there); 0 leaves it out.
        distillation_temperature: softens both sides of it.
        ctc_loss_reduction: ``mean`` divides a clip's loss by its number of glosses, ``sum`` does not. The batch's loss is the mean
            over its clips either way.
        time_mask_share: expected share of a training clip's frames that are hidden, in spans (Park et al. 2019); in [0, 1).
        time_mask_frames: length of such a span.
        hidden_dropout: in the residual branches, between GRU layers and before the classifier.
        input_dropout: on whole input features of a clip (a feature is dropped in all frames).
        layer_norm_eps: epsilon of the layer norms.
        pad_token_id: column of the blank; the processor puts it first.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_ctc"
    # What the Trainer need not gather in evaluation: everything but the log-probabilities, whose padding is blank.
    keys_to_ignore_at_inference = ["logit_lengths", "auxiliary_logits", "skipped", "hidden_states"]  # noqa: RUF012

    def __init__(
        self,
        input_size: int = 432,
        vocab_size: int = 32,
        hidden_size: int = 256,
        num_hidden_layers: int = 4,
        dilations: Sequence[int] | None = None,
        kernel_size: int = 3,
        num_recurrent_layers: int = 2,
        recurrent_hidden_size: int | None = None,
        temporal_stride: int = 1,
        causal: bool = False,
        auxiliary_weight: float = 0.0,
        distillation_weight: float = 0.0,
        distillation_temperature: float = 8.0,
        ctc_loss_reduction: str = "mean",
        time_mask_share: float = 0.0,
        time_mask_frames: int = 10,
        hidden_dropout: float = 0.2,
        input_dropout: float = 0.0,
        layer_norm_eps: float = 1e-5,
        pad_token_id: int = 0,
        **kwargs: Any,
    ) -> None:
        self.input_size = input_size
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.dilations = [2 ** (i % 4) for i in range(num_hidden_layers)] if dilations is None else list(dilations)
        self.kernel_size = kernel_size
        self.num_recurrent_layers = num_recurrent_layers
        self.recurrent_hidden_size = hidden_size if recurrent_hidden_size is None else recurrent_hidden_size
        self.temporal_stride = temporal_stride
        self.causal = causal
        self.auxiliary_weight = auxiliary_weight
        self.distillation_weight = distillation_weight
        self.distillation_temperature = distillation_temperature
        self.ctc_loss_reduction = ctc_loss_reduction
        self.time_mask_share = time_mask_share
        self.time_mask_frames = time_mask_frames
        self.hidden_dropout = hidden_dropout
        self.input_dropout = input_dropout
        self.layer_norm_eps = layer_norm_eps
        self.pad_token_id = pad_token_id
        super().__init__(pad_token_id=pad_token_id, **kwargs)
        self.check()

    def check(self) -> None:
        """Refuse settings that no model can be built from."""
        sizes = ("input_size", "hidden_size", "num_hidden_layers", "kernel_size", "num_recurrent_layers")
        for name in (*sizes, "recurrent_hidden_size", "time_mask_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("hidden_dropout", "input_dropout", "time_mask_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1).")
        for name in ("auxiliary_weight", "distillation_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0.")
        if not self.distillation_temperature > 0:
            raise ValueError(f"distillation_temperature is {self.distillation_temperature}; it must be positive.")
        if self.vocab_size < 2:
            raise ValueError(f"vocab_size is {self.vocab_size}; there must be a blank and at least one gloss.")
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(f"pad_token_id {self.pad_token_id} is none of the {self.vocab_size} columns.")
        if len(self.dilations) != self.num_hidden_layers or min(self.dilations) < 1:
            raise ValueError(
                f"dilations is {self.dilations}; there must be one number of at least 1 for each of the "
                f"{self.num_hidden_layers} num_hidden_layers."
            )
        if self.kernel_size % 2 == 0 and not self.causal:
            raise ValueError(f"kernel_size is {self.kernel_size}; a model that is not causal needs an odd one.")
        if self.temporal_stride not in (1, 2, 4):
            raise ValueError(f"temporal_stride is {self.temporal_stride}; it must be 1, 2 or 4.")
        if self.ctc_loss_reduction not in ("mean", "sum"):
            raise ValueError(f"ctc_loss_reduction is {self.ctc_loss_reduction!r}; it must be 'mean' or 'sum'.")


__all__ = ["SignCTCConfig"]
