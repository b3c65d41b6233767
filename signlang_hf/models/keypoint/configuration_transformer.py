"""Configuration of the keypoint Transformer. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig


class SignTransformerConfig(PretrainedConfig):
    """Settings of :class:`SignTransformerModel` and :class:`SignTransformerForSignClassification`.

    Args:
        input_size: F, length of a frame's feature vector; ``SignKeypointProcessor.feature_size`` gives it.
        hidden_size: d_model.
        num_hidden_layers: encoder blocks.
        num_attention_heads: heads; must divide ``hidden_size``.
        intermediate_size: width of the feed-forward layers; default 4 x ``hidden_size``.
        embedding_size: length of ``pooler_output``, the clip's embedding.
        pooling: ``attention`` (learned weights over frames) or ``mean``, both over real frames only.
        hidden_dropout: on residual branches, positions and the embedding.
        attention_dropout: on attention weights.
        input_dropout: on whole input features of a clip (a feature is dropped in all frames).
        label_smoothing: of the training loss, in [0, 1).
        class_weights: one weight a label for the loss, or None.
        initializer_range: standard deviation of the initial linear weights.
        layer_norm_eps: epsilon of the layer norms.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_transformer"
    # What the Trainer need not gather from the output in evaluation: everything but the logits.
    keys_to_ignore_at_inference = ["embedding", "hidden_states", "attentions", "pooling_weights"]  # noqa: RUF012

    def __init__(
        self,
        input_size: int = 225,
        hidden_size: int = 256,
        num_hidden_layers: int = 6,
        num_attention_heads: int = 8,
        intermediate_size: int | None = None,
        embedding_size: int = 512,
        pooling: str = "attention",
        hidden_dropout: float = 0.2,
        attention_dropout: float = 0.0,
        input_dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        initializer_range: float = 0.02,
        layer_norm_eps: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = 4 * hidden_size if intermediate_size is None else intermediate_size
        self.embedding_size = embedding_size
        self.pooling = pooling
        self.hidden_dropout = hidden_dropout
        self.attention_dropout = attention_dropout
        self.input_dropout = input_dropout
        self.label_smoothing = label_smoothing
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        super().__init__(**kwargs)
        self._check()

    def _check(self) -> None:
        sizes = ("input_size", "hidden_size", "num_attention_heads", "intermediate_size", "embedding_size")
        for name in sizes:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.hidden_size % self.num_attention_heads or self.hidden_size % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be even and a multiple of "
                f"num_attention_heads {self.num_attention_heads}."
            )
        if self.pooling not in ("attention", "mean"):
            raise ValueError(f"pooling is {self.pooling!r}; it must be 'attention' or 'mean'.")
        for name in ("hidden_dropout", "attention_dropout", "input_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1).")
        if self.class_weights is not None and len(self.class_weights) != self.num_labels:
            raise ValueError(f"There are {len(self.class_weights)} class_weights for {self.num_labels} labels.")


__all__ = ["SignTransformerConfig"]
