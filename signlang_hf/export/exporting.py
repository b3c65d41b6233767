"""Model folders → folders with ONNX graphs that are complete: processor, decoder and card travel along.

Design decisions:

* A composite's folder keeps its shape: each member is exported into the sub-folder that it had, and opens by itself. So does the
  detector of hands beside a detector.
* Every graph is compared with torch before anything is kept: by Optimum on what it was traced with, and on other sizes with padding.
* All that can be known beforehand (a processor, the opset, the disk, what lies in the way) is asked before a model is loaded.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optimum.exporters.onnx import export, validate_model_outputs
from optimum.utils import logging as optimum_logging
from transformers import AutoConfig

from .. import pretrained
from ..models.detector import HandDetector, SignDetectorProcessor
from ..models.detector.processing_hands import FOLDER as HANDS
from ..models.ensemble.modeling_ensemble import BOOSTER as TREES
from ..models.ensemble.modeling_ensemble import WEIGHTS, load_booster
from ..models.loading import loaded, weight_bytes
from .booster import booster_graph
from .card import save_export_card
from .folders import check_goal, check_space, copy_settings, whole_folder
from .onnx_configs import (
    ONNX_CONFIGS,
    SignOnnxConfig,
    SignTranslatorDecoderOnnxConfig,
    SignTranslatorEncoderOnnxConfig,
)
from .parity import TOLERANCE, largest_difference
from .quantizing import PICTURES, quantize_dynamic, quantize_static, to_half
from .record import BOOSTER, DECODER, ENCODER, MODEL, ExportRecord, size_of
from .sources import (
    FAILURES,
    TRANSLATORS,
    check_processor,
    first_line,
    load_model,
    short_name,
    source_folder,
)
from .translator_graphs import TranslatorDecoderGraph, TranslatorEncoderGraph

OPSETS = range(14, 21)
"""What torch's exporter writes, and our operators need."""
OPSET = 18
QUANTIZATIONS = {"int8": "int8", "fp16": "float16"}
"""What ``quantize`` takes → the precision that comes out."""


@dataclass(frozen=True)
class ExportReport:
    """What came of an export: the folder, its record, and bytes of the weights before and of the graphs after."""

    model: str
    folder: Path
    record: ExportRecord
    bytes_before: int
    bytes_after: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "model": self.model, "folder": str(self.folder), "precision": self.record.precision, "opset": self.record.opset,
            "parity": self.record.parity, "bytes_before": self.bytes_before, "bytes_after": self.bytes_after,
        }  # fmt: skip


@dataclass
class _Job:
    """Settings of one export, and its worst difference so far."""

    name: str
    opset: int
    quantize: str | None
    pictures: Sequence[np.ndarray] = ()
    parity: list[float] = field(default_factory=list)


def export_model(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    quantize: str | None = None,
    opset: int = OPSET,
    pictures: Sequence[np.ndarray] = (),
) -> ExportReport:
    """Export a model to ONNX.

    Args:
        model: folder, Hub id or a bundled model's name, of any family.
        out: folder for the export.
        quantize: ``int8``, ``fp16`` or None for float32.
        opset: version of the ONNX operators, one of :data:`OPSETS`.
        pictures: (H, W, 3) uint8 RGB, on which int8 ranges of a detector are measured; other models need none.

    Raises:
        FileNotFoundError, ValueError: the model cannot be used, has no processor, or there is no such opset or precision; or the
            graph does not answer as torch does.
        FileExistsError: ``out`` holds something else.
        OSError: there is too little room on the disk.
    """
    out, name = Path(out), os.fspath(model)
    if quantize is not None and quantize not in QUANTIZATIONS:
        raise ValueError(
            f"There is no quantisation {quantize!r}; choose {' or '.join(QUANTIZATIONS)}, or none for float32."
        )
    if opset not in OPSETS:
        raise ValueError(f"Opset {opset} cannot be written; choose {OPSETS[0]} to {OPSETS[-1]}.")
    source = source_folder(name)
    check_goal(out)
    check_space(source, out)
    job = _Job(short_name(name), opset, quantize, pictures)
    verbosity = optimum_logging.get_verbosity()
    optimum_logging.set_verbosity_error()
    try:
        with whole_folder(out) as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about what tracing fixes; the comparison says what matters
            record = _export(source, folder, job)
            save_export_card(source, folder, record, shown=out)
    finally:
        optimum_logging.set_verbosity(verbosity)
    return ExportReport(job.name, out, record, weight_bytes(source), size_of(out))


def export_all(out: str | os.PathLike[str], **settings: Any) -> tuple[list[ExportReport], dict[str, str]]:
    """Export every model that comes with the package into a sub-folder of its name.

    Returns:
        what was exported, and the name of each model that could not be → why. One that fails takes no other with it.
    """
    reports, failures = [], {}
    for name in pretrained.names():
        try:
            reports.append(export_model(str(pretrained.path(name)), Path(out, name), **settings))
        except FAILURES as error:
            failures[name] = first_line(error)
    return reports, failures


def _export(source: Path, target: Path, job: _Job) -> ExportRecord:
    """One folder, and through it the folders of its members."""
    config = loaded(str(source), lambda: AutoConfig.from_pretrained(source))
    kind = config.model_type
    copy_settings(source, target)
    files, members, how = [], [], ""
    if kind in ONNX_CONFIGS:
        model = load_model(source, kind)
        check_processor(source, model.config)
        how = _single(model, source, target, job)
        files = [MODEL]
        if (source / HANDS / "config.json").is_file():
            members = [HANDS]
            _export(source / HANDS, target / HANDS, _for_hands(source, model, job))
    elif kind in TRANSLATORS:
        how = _translator(load_model(source, kind), target, job)
        files = [ENCODER, DECODER]
    elif kind == "signlang_translation":
        members = [config.folder(name) for name in ("recognizer", "translator")]
    elif kind == "signlang_ensemble":
        members = [config.folder(name) for name in config.members]
        if config.booster:
            files = _trees(source, target)
    else:
        raise ValueError(f"{source} is a {kind} model; there is no ONNX export for it.")
    if members != [HANDS]:
        for member in members:
            _export(source / member, target / member, job)
    record = ExportRecord(
        model=job.name,
        files=tuple(files),
        precision=QUANTIZATIONS[job.quantize] if job.quantize else "float32",
        opset=job.opset,
        parity=max(job.parity, default=0.0),
        quantization=how,
        members=tuple(members),
    )
    record.save(target)
    return record


def _single(model: Any, source: Path, target: Path, job: _Job) -> str:
    config = ONNX_CONFIGS[model.config.model_type](model.config)
    _graph(model, config, target / MODEL, job)
    if model.config.model_type != "signlang_detector" or job.quantize != "int8":
        return _reduce(target / MODEL, job)
    if not len(job.pictures):
        raise ValueError(
            "A detector is put into int8 by the ranges that it has on pictures; give some with --calibration (pictures= in Python)."
        )
    processor = SignDetectorProcessor.from_pretrained(source)
    shown = (processor([picture])["pixel_values"][0] for picture in job.pictures[:PICTURES])
    return quantize_static(target / MODEL, shown)


def _translator(model: Any, target: Path, job: _Job) -> str:
    model.generation_config.save_pretrained(target)
    how = ""
    for module, kind, name in (
        (TranslatorEncoderGraph(model), SignTranslatorEncoderOnnxConfig, ENCODER),
        (TranslatorDecoderGraph(model), SignTranslatorDecoderOnnxConfig, DECODER),
    ):
        _graph(module.eval(), kind(module.config), target / name, job)
        how = _reduce(target / name, job)
    return how


def _graph(model: torch.nn.Module, config: SignOnnxConfig, path: Path, job: _Job) -> None:
    """Write one graph, and make sure that it answers as torch does."""
    try:
        _, outputs = export(model, config, path, opset=job.opset)
        validate_model_outputs(config, model, path, outputs, TOLERANCE, use_subprocess=False)
    except Exception as error:  # torch's and Optimum's errors about a graph share no base class
        raise ValueError(f"{job.name} cannot be exported with opset {job.opset}: {first_line(error)}") from error
    difference = largest_difference(model, config, path)
    job.parity.append(difference)
    if difference > TOLERANCE:
        raise ValueError(
            f"The graph of {job.name} answers up to {difference:.1e} differently from torch; more than {TOLERANCE:g} is a fault."
        )


def _reduce(path: Path, job: _Job) -> str:
    if job.quantize == "int8":
        quantize_dynamic(path)
        return "dynamic"
    if job.quantize == "fp16":
        to_half(path)
    return ""


def _trees(source: Path, target: Path) -> list[str]:
    """The booster as a graph, or as it is where a graph cannot say it; and the class means."""
    shutil.copyfile(source / WEIGHTS, target / WEIGHTS)
    graph = booster_graph(load_booster(str(source / TREES)))
    if graph is None:
        shutil.copyfile(source / TREES, target / TREES)
        return []
    (target / BOOSTER).write_bytes(graph.SerializeToString())
    return [BOOSTER]


class _Listener:
    """A detector's network that keeps what it is shown."""

    def __init__(self, model: Any) -> None:
        self.model, self.seen = model, []
        self.config, self.device = model.config, model.device

    def __call__(self, pixel_values: torch.Tensor) -> Any:
        self.seen += list(pixel_values)
        return self.model(pixel_values=pixel_values)


def _for_hands(source: Path, model: Any, job: _Job) -> _Job:
    """The same job for the detector of hands, whose pictures are the hands in the pictures."""
    own = _Job(job.name, job.opset, job.quantize, parity=job.parity)
    if job.quantize != "int8":
        return own
    processor = SignDetectorProcessor.from_pretrained(source)
    hands = HandDetector.beside(source, processor.layout, dtype=torch.float32)
    hands.model = listener = _Listener(hands.model)
    for picture in job.pictures[:PICTURES]:
        batch = processor([picture], return_tensors="pt")
        with torch.inference_mode():
            found = processor.post_process_keypoint_detection(
                model(pixel_values=batch["pixel_values"]), batch["crops"], threshold=0.0
            )[0]
        hands([picture], found["keypoints"][None], found["scores"][None], 0.3)
    # Back to what a processor takes. The squares are of its size already, so it changes nothing about them.
    own.pictures = [(255 * one).round().to(torch.uint8).permute(1, 2, 0).numpy() for one in listener.seen]
    if not own.pictures:
        raise ValueError("No hand is to be seen in any of the pictures; show the detector of hands some.")
    step = max(1, len(own.pictures) // PICTURES)
    own.pictures = own.pictures[::step][:PICTURES]
    return own


__all__ = ["OPSET", "OPSETS", "QUANTIZATIONS", "ExportReport", "export_all", "export_model"]
