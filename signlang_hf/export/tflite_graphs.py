"""What is converted to TFLite: modules with tensors in and named tensors out.

It imports torch alone, like what it imports: this library reads it to know what torch answers, and the converter to know what to convert.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .translator_graphs import TranslatorDecoderGraph, TranslatorEncoderGraph


class SingleGraph(nn.Module):
    """A model of one graph, and the outputs that are wanted of it."""

    def __init__(self, model: nn.Module, outputs: list[str]) -> None:
        super().__init__()
        self.model, self.outputs = model, outputs

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        answer = self.model(**inputs)
        return {name: answer[name] for name in self.outputs}


def graph_of(model: Any, part: str, outputs: list[str]) -> nn.Module:
    """The module of a model's ``part``: ``model``, or ``encoder`` and ``decoder`` of a translator."""
    if part == "model":
        return SingleGraph(model, outputs).eval()
    return (TranslatorEncoderGraph if part == "encoder" else TranslatorDecoderGraph)(model).eval()


__all__ = ["SingleGraph", "graph_of"]
