"""How far a graph's answers are from torch's, on clips of other sizes than it was traced with, and with padding; and how far they are
from its own on the same clip without padding."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    AutoModelForKeypointDetection,
    AutoModelForSeq2SeqLM,
    AutoModelForVideoClassification,
)

from ..models.loading import loaded
from .onnx_configs import (
    ONNX_CONFIGS,
    SignOnnxConfig,
    SignTranslatorDecoderOnnxConfig,
    SignTranslatorEncoderOnnxConfig,
)
from .providers import open_session
from .record import DECODER, ENCODER, MODEL, ExportRecord
from .translator_graphs import TranslatorDecoderGraph, TranslatorEncoderGraph

SHAPES = ((1, 5), (3, 37))
"""Batch and time of what an export is checked on."""
TOLERANCE = 1e-4
_PADDING = 1e3
"""What stands in padding, where nobody may look."""
_AUTO = {"signlang_ctc": AutoModelForCTC, "signlang_detector": AutoModelForKeypointDetection}


@dataclass(frozen=True)
class Graph:
    """A graph and what it was made of.

    Args:
        kind: family, with ``encoder`` or ``decoder`` where it is one of two.
        member: sub-folder of the export that it lies in, ``.`` for the folder itself.
        model: in torch.
        config: how its inputs are made.
        path: the graph.
    """

    kind: str
    member: str
    model: torch.nn.Module
    config: SignOnnxConfig
    path: Path


def graphs_of(source: str | os.PathLike[str], export: str | os.PathLike[str], member: str = ".") -> Iterator[Graph]:
    """Every network of an exported folder beside its torch model; an ensemble's trees are none.

    Args:
        source: the folder that was exported.
        export: the folder with its graphs.
        member: what the folder is called in the one that it belongs to.

    Raises:
        FileNotFoundError, ValueError: one of them is no such folder.
    """
    source, export = Path(source), Path(export)
    record = ExportRecord.load(export)
    kind = loaded(str(source), lambda: AutoConfig.from_pretrained(source)).model_type
    if {ENCODER, DECODER} <= set(record.files):
        model = loaded(str(source), lambda: AutoModelForSeq2SeqLM.from_pretrained(source, dtype=torch.float32)).eval()
        for part, module, config, file in (
            ("encoder", TranslatorEncoderGraph(model), SignTranslatorEncoderOnnxConfig, ENCODER),
            ("decoder", TranslatorDecoderGraph(model), SignTranslatorDecoderOnnxConfig, DECODER),
        ):
            yield Graph(f"{kind} {part}", member, module.eval(), config(module.config), export / file)
    elif MODEL in record.files and kind in ONNX_CONFIGS:
        auto = _AUTO.get(kind, AutoModelForVideoClassification)
        model = loaded(str(source), lambda: auto.from_pretrained(source, dtype=torch.float32)).eval()
        yield Graph(kind, member, model, ONNX_CONFIGS[kind](model.config), export / MODEL)
    for name in record.members:
        yield from graphs_of(source / name, export / name, name if member == "." else f"{member}/{name}")


def largest_difference(
    model: torch.nn.Module,
    config: SignOnnxConfig,
    path: str | os.PathLike[str],
    shapes: Sequence[tuple[int, int]] = SHAPES,
    provider: str = "cpu",
) -> float:
    """Largest absolute difference between any number that torch and a graph answer.

    Args:
        model: in torch; answers with a dictionary or a ``ModelOutput``.
        config: how its inputs are made.
        path: the graph.
        shapes: batch and time of the inputs.
        provider: what runs the graph.

    Raises:
        ValueError: the graph's outputs have other shapes than torch's.
    """
    session = open_session(path, provider)
    worst = 0.0
    for batch, frames in shapes:
        inputs = config.generate_dummy_inputs(framework="pt", batch_size=batch, frames=frames)
        with torch.inference_mode():
            expected: Any = model(**inputs)
        names = [output.name for output in session.get_outputs()]
        feeds = {one.name: inputs[one.name].numpy() for one in session.get_inputs()}
        for name, answer in zip(names, session.run(names, feeds)):
            ours = expected[name].numpy()
            if ours.shape != answer.shape:
                raise ValueError(
                    f"The graph's {name} has shape {answer.shape} for {batch} × {frames} inputs, torch's has {ours.shape}."
                )
            worst = max(worst, float(np.abs(ours.astype(np.float64) - answer.astype(np.float64)).max()))
    return worst


def padding_difference(
    config: SignOnnxConfig,
    path: str | os.PathLike[str],
    shapes: Sequence[tuple[int, int]] = SHAPES,
    provider: str = "cpu",
) -> float:
    """Largest absolute difference between what a graph answers for a clip in a batch, behind which large numbers stand as padding, and
    for the same clip alone; of pictures, between one in a batch and alone.

    Args:
        config: how the graph's inputs are made, and which of their axes are free.
        path: the graph.
        shapes: batch and time of the inputs. Every clip of a batch ends somewhere else, and all before the last frame.
        provider: what runs the graph.
    """
    session = open_session(path, provider)
    names = [output.name for output in session.get_outputs()]
    wanted = {one.name for one in session.get_inputs()}
    worst = 0.0
    for batch, frames in shapes:
        made = config.generate_dummy_inputs(framework="pt", batch_size=batch, frames=frames)
        feeds = {name: value.numpy() for name, value in made.items() if name in wanted}
        lengths = [max(1, frames - (row + 1) * frames // (batch + 2)) for row in range(batch)]
        _pad(feeds, config.inputs, lengths)
        together = session.run(names, feeds)
        for row, length in enumerate(lengths):
            own = {name: _cut(value[row : row + 1], config.inputs[name], length) for name, value in feeds.items()}
            for whole, alone in zip(together, session.run(names, own)):
                # Of outputs over time there are as many as the clip alone has.
                kept = whole[row : row + 1][tuple(slice(size) for size in alone.shape)]
                worst = max(worst, float(np.abs(kept.astype(np.float64) - alone.astype(np.float64)).max()))
    return worst


def _time_axis(axes: Mapping[int, str]) -> int | None:
    return next((axis for axis, name in axes.items() if name in ("time", "source")), None)


def _pad(feeds: dict[str, np.ndarray], axes: Mapping[str, Mapping[int, str]], lengths: Sequence[int]) -> None:
    """End each clip at its length, in place."""
    for name, value in feeds.items():
        if _time_axis(axes[name]) is None:
            continue
        for row, length in enumerate(lengths):
            if name == "attention_mask":
                value[row] = np.arange(value.shape[1]) < length
            elif value.dtype == np.float32:
                value[row, length:] = _PADDING


def _cut(value: np.ndarray, axes: Mapping[int, str], length: int) -> np.ndarray:
    return value if _time_axis(axes) is None else value[:, :length]


__all__ = ["SHAPES", "TOLERANCE", "Graph", "graphs_of", "largest_difference", "padding_difference"]
