"""How far a graph's answers are from torch's, on clips of other sizes than it was traced with, and with padding."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .onnx_configs import SignOnnxConfig
from .providers import open_session

SHAPES = ((1, 5), (3, 37))
"""Batch and time of what an export is checked on."""
TOLERANCE = 1e-4


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


__all__ = ["SHAPES", "TOLERANCE", "largest_difference"]
