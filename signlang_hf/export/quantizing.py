"""Fewer bits for exported graphs: int8 through Optimum's ``ORTQuantizer``, half precision for GPUs.

Design decisions:

* Networks over time are quantised dynamically: weights in int8, activations measured as they come. That reaches matrix products and
  LSTMs; convolutions over time and GRUs stay in float32, for which onnxruntime has no such operator.
* The detector is all convolutions. It is quantised statically, with ranges measured on pictures: whoever asks for int8 has to show
  some. Its output layer stays in float32, because a point's place is read from differences between neighbouring cells.
* Half precision keeps float32 at its inputs and outputs, so nobody who calls it has to know. It is for GPUs: a CPU computes it in
  float32, only slower.
"""

from __future__ import annotations

import logging
import platform
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig, CalibrationConfig, QuantizationConfig
from transformers import PretrainedConfig

PICTURES = 64
"""How many pictures measure the ranges of a detector."""
_DYNAMIC = ["MatMul", "LSTM", "Attention"]
_STATIC = ["Conv", "ConvTranspose", "Add", "MaxPool", "GlobalAveragePool", "Mul", "HardSigmoid", "Relu", "Concat"]


def quantize_dynamic(path: Path) -> None:
    """Put a graph's weights into int8, in place."""
    _quantize(path, _settings(is_static=False, operators=_DYNAMIC), None)


def quantize_static(path: Path, pictures: Iterable[np.ndarray]) -> None:
    """Put a detector's graph into int8, in place.

    Args:
        path: the graph.
        pictures: ``pixel_values`` (3, S, S) float32 each, as the processor makes them.

    Raises:
        ValueError: there is no picture.
    """
    rows = [{"pixel_values": np.asarray(picture, np.float32)} for picture in pictures]
    if not rows:
        raise ValueError("There is no picture to measure the detector's ranges on.")
    settings = _settings(is_static=True, operators=_STATIC)
    settings.nodes_to_exclude = _last_layers(path)
    _quantize(path, settings, rows)


def to_half(path: Path) -> None:
    """Put a graph into half precision, in place; its inputs and outputs stay as they are.

    Raises:
        ValueError: it has a loop, whose body onnxruntime's converter does not reach.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(str(path))
    if any(node.op_type in ("Loop", "Scan", "If") for node in model.graph.node):
        raise ValueError("A graph with a loop in it (zoneout) cannot be put into half precision; export it in float32.")
    _save(convert_float_to_float16(model, keep_io_types=True), path)


def _settings(*, is_static: bool, operators: list[str]) -> QuantizationConfig:
    kind = (
        AutoQuantizationConfig.arm64
        if platform.machine() in ("arm64", "aarch64")
        else AutoQuantizationConfig.avx512_vnni
    )
    settings = kind(is_static=is_static, per_channel=True, operators_to_quantize=operators)
    # Without VNNI products of full int8 weights overflow; seven bits never do, and cost little.
    settings.reduce_range = kind is AutoQuantizationConfig.avx512_vnni
    if is_static:
        settings.format = QuantFormat.QDQ
    return settings


def _quantize(path: Path, settings: QuantizationConfig, rows: list[dict[str, np.ndarray]] | None) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".quantize.") as folder:
        # Alone in a folder, because the quantiser copies what lies beside a graph; and it wants a configuration to write.
        graph = Path(folder, "graph", path.name)
        graph.parent.mkdir()
        shutil.copyfile(path, graph)
        quantizer = ORTQuantizer(graph, config=PretrainedConfig())
        ranges: Any = None
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)  # of single nodes that stay as they are, through the root logger
        try:
            if rows is not None:
                calibration = CalibrationConfig(
                    "pictures",
                    "",
                    "",
                    len(rows),
                    CalibrationMethod.MinMax,
                    moving_average=False,
                    averaging_constant=0.01,
                )
                ranges = quantizer.fit(
                    rows, calibration, onnx_augmented_model_name=str(Path(folder, "augmented.onnx")),
                    operators_to_quantize=settings.operators_to_quantize,
                )  # fmt: skip
            quantizer.quantize(settings, Path(folder, "done"), file_suffix="", calibration_tensors_range=ranges)
        finally:
            logging.disable(disabled)
        Path(folder, "done", path.name).replace(path)


def _last_layers(path: Path) -> list[str]:
    """Names of the nodes that make the outputs, and of what feeds them alone up to the convolution before."""
    graph = onnx.load(str(path), load_external_data=False).graph
    makers = {name: node for node in graph.node for name in node.output}
    names = []
    for output in graph.output:
        node = makers.get(output.name)
        while node is not None:
            names.append(node.name)
            if node.op_type in ("Conv", "Gemm", "MatMul"):
                break
            node = makers.get(node.input[0])
    return names


def _save(model: onnx.ModelProto, path: Path) -> None:
    half = path.with_name(f".{path.name}.tmp")
    onnx.save(model, str(half))
    half.replace(path)


__all__ = ["PICTURES", "quantize_dynamic", "quantize_static", "to_half"]
