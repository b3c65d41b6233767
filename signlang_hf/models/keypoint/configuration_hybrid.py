"""Configuration of the hybrid of Transformer and BiLSTM. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from typing import Any

from .configuration_keypoint import SignKeypointConfig


class SignHybridConfig(SignKeypointConfig):
    """Settings of :class:`SignHybridModel` and :class:`SignHybridForSignClassification`.

    Args:
        hidden_size: width of the projected features and of the Transformer; even.
        num_hidden_layers: Transformer blocks.
        num_attention_heads: heads of all attention; must divide ``hidden_size`` and ``fusion_size``.
        intermediate_size: width of the Transformer's feed-forward layers; default 4 x ``hidden_size``.
        attention_dropout: on attention weights.
        lstm_units: units of every LSTM in each direction.
        num_lstm_layers: bidirectional LSTM layers beside the Transformer.
        zoneout: as in :class:`SignBiLSTMConfig`, of every LSTM.
        fusion_size: width of the Transformer's output, and of the attention over both branches.
        **kwargs: what all keypoint models share, see :class:`SignKeypointConfig`.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_hybrid"
    sizes = (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "lstm_units", "num_lstm_layers",
        "fusion_size",
    )  # fmt: skip
    shares = ("attention_dropout", "zoneout")

    def __init__(
        self,
        hidden_size: int = 256,
        num_hidden_layers: int = 6,
        num_attention_heads: int = 8,
        intermediate_size: int | None = None,
        attention_dropout: float = 0.0,
        lstm_units: int = 256,
        num_lstm_layers: int = 2,
        zoneout: float = 0.0,
        fusion_size: int = 512,
        **kwargs: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = 4 * hidden_size if intermediate_size is None else intermediate_size
        self.attention_dropout = attention_dropout
        self.lstm_units = lstm_units
        self.num_lstm_layers = num_lstm_layers
        self.zoneout = zoneout
        self.fusion_size = fusion_size
        super().__init__(**kwargs)

    def check(self) -> None:
        super().check()
        if self.hidden_size % self.num_attention_heads or self.hidden_size % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be even and a multiple of "
                f"num_attention_heads {self.num_attention_heads}."
            )
        if self.fusion_size % self.num_attention_heads:
            raise ValueError(
                f"fusion_size {self.fusion_size} must be a multiple of num_attention_heads {self.num_attention_heads}."
            )


__all__ = ["SignHybridConfig"]
