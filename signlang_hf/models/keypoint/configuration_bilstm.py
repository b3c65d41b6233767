"""Configuration of the attention BiLSTM. Self-contained: it travels to the Hub beside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .configuration_keypoint import SignKeypointConfig


class SignBiLSTMConfig(SignKeypointConfig):
    """Settings of :class:`SignBiLSTMModel` and :class:`SignBiLSTMForSignClassification`.

    Args:
        hidden_size: width of a frame, half of it from each direction; even.
        num_hidden_layers: residual bidirectional LSTM blocks.
        num_attention_heads: heads of the self-attention after them; must divide ``hidden_size``.
        attention_dropout: on attention weights.
        zoneout: probability with which a unit of the LSTM's state keeps its old value at a step (Krueger et al. 2017). Beyond 0 a
            loop over frames takes the place of the fused LSTM, two to three times slower.
        parts: body part → its columns of the feature vector as half-open ranges, ``{"left_hand": [[18, 81]], …}``; together
            they name every column once. Each part gets a projection of its own. ``SignKeypointProcessor.parts`` gives it;
            None projects all features together.
        **kwargs: what all keypoint models share, see :class:`SignKeypointConfig`.

    Raises:
        ValueError: a setting that no model can be built from, in one sentence.
    """

    model_type = "signlang_bilstm"
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads")
    shares = ("attention_dropout", "zoneout")
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        # As for KArSL-502: about 4.6 M parameters with its 184 points x 4 values and its 502 labels.
        "karsl502": {
            "hidden_size": 384, "num_hidden_layers": 4, "embedding_size": 256, "pooling": "attention", "hidden_dropout": 0.3
        },
        # As for INCLUDE: two layers of 2 x 256 units.
        "include50": {
            "hidden_size": 512, "num_hidden_layers": 2, "embedding_size": 256, "pooling": "query", "hidden_dropout": 0.3,
            "zoneout": 0.1,
        },
    }  # fmt: skip

    def __init__(
        self,
        hidden_size: int = 384,
        num_hidden_layers: int = 4,
        num_attention_heads: int = 8,
        attention_dropout: float = 0.0,
        zoneout: float = 0.0,
        parts: Mapping[str, Sequence[Sequence[int]]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.attention_dropout = attention_dropout
        self.zoneout = zoneout
        self.parts = parts
        super().__init__(**kwargs)

    @classmethod
    def preset(cls, name: str, **settings: Any) -> SignBiLSTMConfig:
        """The network of a preset, ``karsl502`` or ``include50``. ``settings`` say the rest (``input_size``, ``parts``, labels)
        and win over the preset's. Raises ValueError for another name."""
        if name not in cls.presets:
            raise ValueError(f"Unknown preset {name!r}; known are {', '.join(cls.presets)}.")
        return cls(**{**cls.presets[name], **settings})

    def check(self) -> None:
        super().check()
        if self.hidden_size % self.num_attention_heads or self.hidden_size % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be even and a multiple of "
                f"num_attention_heads {self.num_attention_heads}."
            )
        if self.parts is None:
            return
        try:
            parts = {part: [[start, stop] for start, stop in self.parts[part]] for part in self.parts}
            # The order of their projections, which has to survive a file whose keys are sorted.
            self.parts = dict(sorted(parts.items(), key=lambda item: item[1]))
            columns = [column for ranges in self.parts.values() for pair in ranges for column in range(*pair)]
        except (TypeError, ValueError):
            raise ValueError("parts must give a list of column ranges [[start, stop], …] for each part.") from None
        if sorted(columns) != list(range(self.input_size)):
            raise ValueError(
                f"parts must name each of the {self.input_size} features once; they name {len(columns)} columns, "
                f"{len({*columns} & {*range(self.input_size)})} of these features."
            )
        if not all(any(stop > start for start, stop in ranges) for ranges in self.parts.values()):
            raise ValueError("parts has a part without features; leave it out.")
        if len(self.parts) > self.hidden_size:
            raise ValueError(f"There are {len(self.parts)} parts for a hidden_size of {self.hidden_size}.")


__all__ = ["SignBiLSTMConfig"]
