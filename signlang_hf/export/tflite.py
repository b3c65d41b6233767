"""Model folders → folders with TFLite graphs for phones and small computers, complete like those with ONNX graphs.

Design decisions:

* TFLite knows no free axes: a graph takes one clip of a fixed number of frames. The mask stays an input, so shorter clips are padded
  and get the same answer.
* Recurrences are written out step by step, because the converter knows no other way: twice the frames is twice the graph, and twice
  the time to convert it.
* litert-torch runs in another environment (:mod:`.tflite_process`). It converts and runs what it made; the answers are compared with
  those of torch here, at several masks, before the folder is kept.
* int8 is of weights. Networks over time compute with it (activations are measured as they come); a detector keeps float32 for that,
  because its few, large activations lose more than a point's place.
* The trees of an ensemble have no operator there. An ensemble with trees is refused; one that only votes is exported by its members.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig

from .. import pretrained
from ..models.detector.processing_hands import FOLDER as HANDS
from ..models.loading import loaded, weight_bytes
from .examples import made_up
from .folders import check_goal, check_space, copy_settings, whole_folder
from .record import size_of
from .sources import (
    FAILURES,
    TRANSLATORS,
    check_processor,
    first_line,
    load_model,
    short_name,
    source_folder,
)
from .tflite_card import save_tflite_card
from .tflite_graphs import graph_of
from .tflite_process import converter_python, run_converter
from .tflite_record import DECODER, ENCODER, MODEL, RUNNER, TFLiteRecord

FRAMES = range(5, 1001)
"""How many frames a graph may take."""
DEFAULT_FRAMES = 64
QUANTIZATIONS = ("int8",)
TOLERANCE = 1e-4
_KEYPOINT = ("signlang_transformer", "signlang_bilstm", "signlang_hybrid", "signlang_conv")
_CLIP = ("input_values", "attention_mask")
_TRANSLATOR = (
    (ENCODER, "encoder", ("input_ids", "attention_mask"), ("last_hidden_state", "states", "memory")),
    (
        DECODER, "decoder", ("decoder_input_ids", "encoder_hidden_states", "attention_mask", "states", "memory"),
        ("logits", "cross_attentions", "new_states"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class TFLiteReport:
    """What came of an export: the folder, its record, and bytes of the weights before and of the graphs after."""

    model: str
    folder: Path
    record: TFLiteRecord
    bytes_before: int
    bytes_after: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "model": self.model, "folder": str(self.folder), "precision": self.record.precision, "frames": self.record.frames,
            "parity": self.record.parity, "difference": self.record.difference, "quantization": self.record.quantization,
            "bytes_before": self.bytes_before, "bytes_after": self.bytes_after,
        }  # fmt: skip


@dataclass
class _Job:
    """Settings of one export, and what has come of it so far."""

    name: str
    python: Path
    frames: int
    quantize: str | None
    parity: list[float] = field(default_factory=list)
    difference: list[float] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def export_tflite(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    frames: int = DEFAULT_FRAMES,
    quantize: str | None = None,
    converter: str | os.PathLike[str] | None = None,
) -> TFLiteReport:
    """Export a model to TFLite.

    Args:
        model: folder, Hub id or a bundled model's name; of any family but the video language model.
        out: folder for the export.
        frames: how many frames the graphs take; of a translator, how many glosses.
        quantize: ``int8`` for smaller weights, or None for float32.
        converter: the Python that has litert-torch, see :func:`.tflite_process.converter_python`.

    Raises:
        FileNotFoundError, ValueError, ImportError: the model or the converter cannot be used, there is no such precision or number of
            frames; or a graph does not answer as torch does.
        FileExistsError: ``out`` holds something else.
        OSError: there is too little room on the disk.
    """
    out, name = Path(out), os.fspath(model)
    if quantize is not None and quantize not in QUANTIZATIONS:
        raise ValueError(f"There is no quantisation {quantize!r} in TFLite; choose int8, or none for float32.")
    if isinstance(frames, bool) or not isinstance(frames, int) or frames not in FRAMES:
        raise ValueError(f"frames is {frames}; a graph takes {FRAMES[0]} to {FRAMES[-1]}.")
    source = source_folder(name)
    python = converter_python(converter)
    check_goal(out)
    check_space(source, out)
    job = _Job(short_name(name), python, frames, quantize)
    with whole_folder(out) as folder:
        record = _export(source, folder, job)
        save_tflite_card(source, folder, record, shown=out)
    return TFLiteReport(job.name, out, record, weight_bytes(source), size_of(out, ".tflite"))


def export_all_tflite(out: str | os.PathLike[str], **settings: Any) -> tuple[list[TFLiteReport], dict[str, str]]:
    """Export every model that comes with the package into a sub-folder of its name.

    Returns:
        what was exported, and the name of each model that could not be → why. One that fails takes no other with it.
    """
    converter_python(settings.get("converter"))  # said once, and not of every model
    reports, failures = [], {}
    for name in pretrained.names():
        try:
            reports.append(export_tflite(str(pretrained.path(name)), Path(out, name), **settings))
        except FAILURES as error:
            failures[name] = first_line(error)
    return reports, failures


def single_graph(config: Any) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of the inputs and outputs of a model that is one graph; None for another."""
    if config.model_type in _KEYPOINT:
        return _CLIP, ("logits", "embedding", "pooling_weights")
    if config.model_type == "signlang_ctc":
        return _CLIP, ("logits", "logit_lengths")
    if config.model_type == "signlang_detector":
        return ("pixel_values",), ("simcc_x", "simcc_y") if config.head == "simcc" else ("heatmaps",)
    return None


def _export(source: Path, target: Path, job: _Job) -> TFLiteRecord:
    """One folder, and through it the folders of its members."""
    config = loaded(str(source), lambda: AutoConfig.from_pretrained(source))
    kind = config.model_type
    copy_settings(source, target)
    shutil.copyfile(Path(__file__).with_name(RUNNER), target / RUNNER)
    graphs: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = ()
    members: list[str] = []
    if (names := single_graph(config)) is not None:
        graphs = ((MODEL, "model", *names),)
        members = [HANDS] if (source / HANDS / "config.json").is_file() else []
    elif kind in TRANSLATORS:
        graphs = _TRANSLATOR
    elif kind == "signlang_translation":
        members = [config.folder(name) for name in ("recognizer", "translator")]
    elif kind == "signlang_ensemble":
        members = [config.folder(name) for name in config.members]
        if config.booster:
            raise ValueError(
                f"{source} is an ensemble that corrects itself with trees, for which TFLite has no operator; export one of its "
                f"members ({', '.join(members)}), or the ensemble to ONNX."
            )
    else:
        raise ValueError(f"{source} is a {kind} model; there is no TFLite export for it.")
    how = ""
    if graphs and job.quantize:
        how = "weights" if kind == "signlang_detector" else "dynamic"
    if graphs:
        _convert(source, target, kind, graphs, how, job)
    for member in members:
        _export(source / member, target / member, job)
    record = TFLiteRecord(
        model=job.name,
        files=tuple(file for file, *_ in graphs),
        precision=job.quantize or "float32",
        frames=0 if kind == "signlang_detector" else job.frames,
        parity=max(job.parity, default=0.0),
        difference=max(job.difference, default=0.0),
        quantization=how,
        members=tuple(members),
        versions=job.versions,
    )
    record.save(target)
    return record


def _convert(source: Path, target: Path, kind: str, graphs: Any, how: str, job: _Job) -> None:
    """Write the graphs of one model, and make sure that they answer as torch does."""
    model = load_model(source, kind)
    check_processor(source, model.config)
    if kind in TRANSLATORS:
        model.generation_config.save_pretrained(target)
    with tempfile.TemporaryDirectory(prefix="signlang.tflite.") as work:
        asked, expected = [], {}
        for file, part, inputs, outputs in graphs:
            module, examples = graph_of(model, part, list(outputs)), []
            for number, example in enumerate(_examples(inputs, model.config, job.frames)):
                path = Path(work, f"{part}{number}.npz")
                np.savez(path, **{name: value.numpy() for name, value in example.items()})
                with torch.inference_mode():
                    expected[path] = {name: value.numpy() for name, value in module(**example).items()}
                examples.append(str(path))
            asked.append({"file": file, "part": part, "outputs": list(outputs), "examples": examples})
        task = {"source": str(source.resolve()), "target": str(target.resolve()), "quantize": how, "graphs": asked}
        job.versions = run_converter(job.python, task, Path(work), job.name).get("versions", {})
        for file, *_ in graphs:
            if not (target / file).is_file():
                raise ValueError(f"{job.name} cannot be converted to TFLite: the converter wrote no {file}.")
        parity = max(_difference(path, answers, "answers", job.name) for path, answers in expected.items())
        if parity > TOLERANCE:
            raise ValueError(
                f"The TFLite graph of {job.name} answers up to {parity:.1e} differently from torch; more than {TOLERANCE:g} is a fault."
            )
        job.parity.append(parity)
        job.difference.append(
            max(_difference(path, answers, "quantized", job.name) for path, answers in expected.items())
            if how
            else parity
        )


def _examples(names: tuple[str, ...], config: Any, frames: int) -> list[dict[str, torch.Tensor]]:
    """Inputs with a full mask, one of half the frames, and one of five: noise behind the mask must change nothing."""
    masks = (frames, max(5, frames // 2), 5) if "attention_mask" in names else (1, 1)
    found = []
    for number, real in enumerate(masks):
        # The same numbers in every run: whether an export is right must not be a matter of luck.
        random = torch.Generator().manual_seed(97 * frames + number)
        example = {name: made_up(name, config, 1, frames, random) for name in names}
        if "attention_mask" in names:
            example["attention_mask"][:, real:] = 0
        # Whole numbers of 32 bits, which is what phones count with.
        found.append({name: one if one.is_floating_point() else one.int() for name, one in example.items()})
    return found


def _difference(example: Path, expected: dict[str, np.ndarray], kind: str, name: str) -> float:
    """Largest absolute difference between any number of torch's answers and the converter's."""
    worst = 0.0
    try:
        with np.load(example.with_suffix(f".{kind}.npz"), allow_pickle=False) as answers:
            for output, ours in expected.items():
                theirs = answers[output]
                if ours.shape != theirs.shape:
                    raise ValueError(f"its {output} has shape {theirs.shape}, torch's has {ours.shape}")
                worst = max(worst, float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()))
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"The TFLite graph of {name} did not answer as asked: {first_line(error)}.") from None
    return worst if np.isfinite(worst) else float("inf")


__all__ = ["DEFAULT_FRAMES", "FRAMES", "QUANTIZATIONS", "TFLiteReport", "export_all_tflite", "export_tflite"]
