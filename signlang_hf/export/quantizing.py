"""Fewer bits for exported graphs: int8 through Optimum's ``ORTQuantizer``, half precision for GPUs.

Design decisions:

* Networks over time are quantised dynamically: weights in int8, activations measured as they come. That reaches matrix products and
  LSTMs, which become faster. For convolutions over time, GRUs and tables of words onnxruntime has no such operator: of those the
  weights alone are kept in int8, and unpacked when a session opens. They are as fast as before and a quarter as large.
* A detector is all convolutions. It is quantised statically, with ranges measured on pictures: whoever asks for int8 has to show
  some. Its output layer stays in float32, because a point's place is read from differences between neighbouring cells, and of its
  transposed convolutions the weights alone are int8, because onnxruntime computes them in float32 anyhow.
* A detector of depthwise convolutions (MobileNet) has int8 weights alone, too. With activations in 8 bits the bundled one lost 3.7
  points of PCK@0.1 on made-up people and was no faster; neither did other ranges and formats, or layers left out, make it so.
* Weights are unpacked by ``Cast`` and ``Mul``, which every provider folds into constants, and not by ``DequantizeLinear``, which
  onnxruntime runs again for each picture.
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
_STATIC = ["Conv", "Add", "MaxPool", "GlobalAveragePool", "Mul", "HardSigmoid", "Relu", "Concat"]
# Operator → place of each of its weights among the inputs, and the axes along which each row has a scale of its own.
_WEIGHTS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "Conv": ((1,), (0,)), "ConvTranspose": ((1,), (1,)), "Gather": ((0,), (0,)), "Gemm": ((1,), (0,)), "MatMul": ((1,), (-1,)),
    "GRU": ((1, 2), (0, 1)), "LSTM": ((1, 2), (0, 1)),
}  # fmt: skip
_SMALL = 1024
"""Weights of fewer numbers than this stay as they are: there is nothing to gain."""


def quantize_dynamic(path: Path) -> None:
    """Put a graph's weights into int8, in place."""
    _quantize(path, _settings(is_static=False, operators=_DYNAMIC), None)
    pack_weights(path)


def quantize_static(path: Path, pictures: Iterable[np.ndarray]) -> str:
    """Put a detector's graph into int8, in place.

    Args:
        path: the graph.
        pictures: ``pixel_values`` (3, S, S) float32 each, as the processor makes them.

    Returns:
        what was done, ``static``, or ``weights`` for a network of depthwise convolutions.

    Raises:
        ValueError: there is no picture.
    """
    last = _last_layers(path)
    if _is_depthwise(path):
        pack_weights(path, leave=last)
        return "weights"
    rows = [{"pixel_values": np.asarray(picture, np.float32)} for picture in pictures]
    if not rows:
        raise ValueError("There is no picture to measure the detector's ranges on.")
    settings = _settings(is_static=True, operators=_STATIC)
    settings.nodes_to_exclude = last
    _quantize(path, settings, rows)
    pack_weights(path, leave=last)
    return "static"


def pack_weights(path: Path, leave: Iterable[str] = ()) -> None:
    """Keep a graph's float32 weights in int8, in place: symmetric, with a scale for each channel. It computes in float32 as before.

    Args:
        path: the graph.
        leave: names of nodes whose weights stay as they are.
    """
    model = onnx.load(str(path))
    graph, leave = model.graph, set(leave)
    weights = {one.name: one for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT}
    packed: dict[str, tuple[int, ...]] = {}
    for node in graph.node:
        places, kept = _WEIGHTS.get(node.op_type, ((), ()))
        names = [node.input[place] for place in places if place < len(node.input)]
        if node.name in leave:
            weights = {name: one for name, one in weights.items() if name not in names}
        packed |= {name: kept for name in names if name in weights and name not in packed}
    unpacking = []
    for name in (name for name in packed if name in weights):
        values = onnx.numpy_helper.to_array(weights[name])
        if values.size < _SMALL:
            continue
        kept = {axis % values.ndim for axis in packed[name]}
        scale = np.abs(values).max(tuple(axis for axis in range(values.ndim) if axis not in kept), keepdims=True) / 127
        scale[scale == 0] = 1
        whole = np.round(values / scale).astype(np.int8)
        graph.initializer.remove(weights[name])
        graph.initializer.extend(
            [onnx.numpy_helper.from_array(whole, f"{name}_int8"), onnx.numpy_helper.from_array(scale, f"{name}_scale")]
        )
        unpacking += [
            onnx.helper.make_node(
                "Cast", [f"{name}_int8"], [f"{name}_whole"], f"{name}_cast", to=onnx.TensorProto.FLOAT
            ),
            onnx.helper.make_node("Mul", [f"{name}_whole", f"{name}_scale"], [name], f"{name}_unpack"),
        ]
    for place, node in enumerate(unpacking):
        graph.node.insert(place, node)
    _save(model, path)


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


def _is_depthwise(path: Path) -> bool:
    """Whether a graph has convolutions in which each channel sees itself alone."""
    graph = onnx.load(str(path), load_external_data=False).graph
    groups = (one.i for node in graph.node if node.op_type == "Conv" for one in node.attribute if one.name == "group")
    return any(group > 1 for group in groups)


def _save(model: onnx.ModelProto, path: Path) -> None:
    half = path.with_name(f".{path.name}.tmp")
    onnx.save(model, str(half))
    half.replace(path)


__all__ = ["PICTURES", "pack_weights", "quantize_dynamic", "quantize_static", "to_half"]
