"""Configuration of the keypoint Transformer. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from typing import Any

from .configuration_keypoint import SignKeypointConfig


class SignTransformerConfig(SignKeypointConfig):
    """Settings of :class:`SignTransformerModel` and :class:`SignTransformerForSignClassification`.

    Args:
        hidden_size: d_model.
        num_hidden_layers: encoder blocks.
        num_attention_heads: heads; must divide ``hidden_size``.
        intermediate_size: width of the feed-forward layers; default 4 x ``hidden_size``.
        attention_dropout: on attention weights.
        **kwargs: what all keypoint models share, see :class:`SignKeypointConfig`.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_transformer"
    sizes = ("hidden_size", "num_attention_heads", "intermediate_size")
    shares = ("attention_dropout",)

    def __init__(
        self,
        hidden_size: int = 256,
        num_hidden_layers: int = 6,
        num_attention_heads: int = 8,
        intermediate_size: int | None = None,
        attention_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = 4 * hidden_size if intermediate_size is None else intermediate_size
        self.attention_dropout = attention_dropout
        super().__init__(**kwargs)

    def check(self) -> None:
        super().check()
        if self.hidden_size % self.num_attention_heads or self.hidden_size % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be even and a multiple of "
                f"num_attention_heads {self.num_attention_heads}."
            )


__all__ = ["SignTransformerConfig"]
