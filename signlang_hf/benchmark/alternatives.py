"""What one would write instead of our models: torch's own layers and XGBoost, made for the same features and labels.

Design decisions:

* The layers are as wide as it takes to come closest to the model's number of parameters, so the comparison is of builds and not of sizes.
* They do what has to be done and nothing else: no mask, no positions, the mean over time.
* XGBoost sees what :func:`~signlang_hf.training.baseline.pool` makes of a clip, which counts. Its trees are grown on random clips: how
  long a tree takes to answer does not depend on what it has learned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..training.baseline import BoosterBaseline

if TYPE_CHECKING:
    from .contenders import Shape

_LAYERS, _HEADS = 2, 4
_WIDTHS = range(8, 1025, 8)
_CLIPS_A_LABEL, _GROWN_ON = 4, 16


class _Layers(nn.Module, ABC):
    """Layers over time and a linear layer, on the mean over time or on every frame."""

    def __init__(self, input_size: int, num_labels: int, width: int, per_frame: bool) -> None:
        super().__init__()
        self.per_frame, self.input_size = per_frame, input_size
        self.build(input_size, num_labels, width)

    @abstractmethod
    def build(self, input_size: int, num_labels: int, width: int) -> None:
        """Make the layers, and the linear one as ``head``."""

    @abstractmethod
    def encode(self, values: torch.Tensor) -> torch.Tensor:
        """(B, T, input_size) → what ``head`` takes of every frame."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        hidden = self.encode(values)
        return self.head(hidden if self.per_frame else hidden.mean(dim=1))


class _LSTM(_Layers):
    def build(self, input_size: int, num_labels: int, width: int) -> None:
        self.lstm = nn.LSTM(input_size, width, _LAYERS, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, num_labels)

    def encode(self, values: torch.Tensor) -> torch.Tensor:
        return self.lstm(values)[0]


class _Transformer(_Layers):
    def build(self, input_size: int, num_labels: int, width: int) -> None:
        self.project = nn.Linear(input_size, width)
        layer = nn.TransformerEncoderLayer(width, _HEADS, 4 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, _LAYERS)
        self.head = nn.Linear(width, num_labels)

    def encode(self, values: torch.Tensor) -> torch.Tensor:
        return self.encoder(self.project(values))


class _Alternative(ABC):
    """What all have: ``parameters`` and ``run(shape)``."""

    parameters: int | None

    @abstractmethod
    def run(self, shape: Shape) -> Callable[[], Any]:
        """What runs on made-up clips of a shape."""


class _OfLayers(_Alternative):
    family: type[_Layers]

    def __init__(self, input_size: int, num_labels: int, parameters: int, per_frame: bool) -> None:
        def build(width: int) -> _Layers:
            return self.family(input_size, num_labels, width, per_frame)

        with torch.device("meta"):  # without memory, and at once
            width = min(_WIDTHS, key=lambda width: abs(_count(build(width)) - parameters))
        self.module = build(width).eval()
        self.parameters = _count(self.module)

    def run(self, shape: Shape) -> Callable[[], Any]:
        values = torch.randn(shape.batch, shape.frames, self.module.input_size)
        return lambda: self.module(values)


class PlainLSTM(_OfLayers):
    """Two layers of a bidirectional ``torch.nn.LSTM``."""

    family = _LSTM


class PlainTransformer(_OfLayers):
    """A linear layer and two of ``torch.nn.TransformerEncoder``."""

    family = _Transformer


class PlainBooster(_Alternative):
    """XGBoost on pooled features, 100 rounds."""

    parameters = None

    def __init__(self, input_size: int, num_labels: int, **_: Any) -> None:
        random = np.random.default_rng(0)
        self.input_size = input_size
        clips = [
            {"input_values": random.normal(label / num_labels, 1, (_GROWN_ON, input_size)).astype(np.float32), "labels": label}
            for label in range(num_labels)
            for _ in range(_CLIPS_A_LABEL)
        ]  # fmt: skip
        self.booster = BoosterBaseline(num_labels)
        threads = torch.get_num_threads()
        # Fewer bins make other trees, none that answer sooner; and threads only wait for each other on so few clips.
        self.booster.parameters |= {"max_bin": 8, "nthread": 1}
        self.booster.fit(clips).booster.set_param({"nthread": threads})

    def run(self, shape: Shape) -> Callable[[], Any]:
        values = np.random.default_rng(0).normal(size=(*shape, self.input_size)).astype(np.float32)
        clips = [{"input_values": one} for one in values]
        return lambda: self.booster.scores(clips)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


ALTERNATIVES: dict[str, Callable[..., _Alternative]] = {
    "torch.nn.LSTM": PlainLSTM,
    "torch.nn.TransformerEncoder": PlainTransformer,
    "XGBoost": PlainBooster,
}
"""Name → what makes it from ``input_size``, ``num_labels``, ``parameters`` of the model that it stands beside, and ``per_frame``."""

__all__ = ["ALTERNATIVES"]
