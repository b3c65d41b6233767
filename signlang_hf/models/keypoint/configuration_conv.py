"""Configuration of the causal convolution model. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from typing import Any

from .configuration_keypoint import SignKeypointConfig


class SignConvConfig(SignKeypointConfig):
    """Settings of :class:`SignConvModel` and :class:`SignConvForSignClassification`. The defaults have about 2 M parameters.

    Args:
        hidden_size: width of a frame.
        num_hidden_layers: stages, each of ``num_convolutions`` convolution blocks and one attention block.
        num_convolutions: convolution blocks a stage.
        kernel_size: frames that a convolution sees, the current one being the last.
        expansion: how many times wider a convolution block is inside.
        num_attention_heads: heads; must divide ``hidden_size``.
        intermediate_size: width of the attention block's feed-forward layer; default 2 x ``hidden_size``.
        attention_dropout: on attention weights.
        drop_path: share of clips for which a block is left out in training (Huang et al. 2016).
        **kwargs: what all keypoint models share, see :class:`SignKeypointConfig`; ``pooling`` is ``mean`` here.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_conv"
    sizes = (
        "hidden_size", "num_hidden_layers", "num_convolutions", "kernel_size", "expansion", "num_attention_heads",
        "intermediate_size",
    )  # fmt: skip
    shares = ("attention_dropout", "drop_path")

    def __init__(
        self,
        hidden_size: int = 192,
        num_hidden_layers: int = 2,
        num_convolutions: int = 3,
        kernel_size: int = 17,
        expansion: int = 2,
        num_attention_heads: int = 4,
        intermediate_size: int | None = None,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        pooling: str = "mean",
        embedding_size: int = 384,
        **kwargs: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_convolutions = num_convolutions
        self.kernel_size = kernel_size
        self.expansion = expansion
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = 2 * hidden_size if intermediate_size is None else intermediate_size
        self.attention_dropout = attention_dropout
        self.drop_path = drop_path
        super().__init__(pooling=pooling, embedding_size=embedding_size, **kwargs)

    def check(self) -> None:
        super().check()
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of num_attention_heads {self.num_attention_heads}."
            )


__all__ = ["SignConvConfig"]
