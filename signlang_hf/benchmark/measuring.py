"""Models in all their versions, and their alternatives, by turns: :func:`benchmark_models`.

Design decisions:

* A model in torch is exported for the time of the benchmark; a folder that is exported already is measured as it is.
* What cannot be measured is said before anything is: a benchmark takes minutes.
* Every model is a run of its own, with alternatives of its own size and features.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig

from .. import pretrained
from ..models.loading import checked_folder, is_export, loaded
from ..training.results import installed_versions
from .alternatives import ALTERNATIVES
from .contenders import TRANSLATORS, Contender, Opened, Shape
from .memory import peak_memory
from .turns import in_turns, ratio

RUNTIMES = ("torch", "torch-compile", "ort", "ort-int8", "ort-fp16")
"""What runs a model; ``:`` and a device or a provider of onnxruntime may follow (``torch:cuda``, ``ort:tensorrt``)."""
_VERSIONS = {"float32": "ort", "int8": "ort-int8", "float16": "ort-fp16"}
_CLIPS = ("signlang_transformer", "signlang_bilstm", "signlang_hybrid", "signlang_conv", "signlang_ensemble")
_NO_FRAMES = "signlang_detector"
_ALONE = {"signlang_internvl": "python recipes/benchmark_vlm.py measures it"}


@dataclass(frozen=True)
class Speed:
    """How fast one version of a model is on one shape.

    Args:
        model: its name.
        version: ``torch``, ``ort`` …, or the name of an alternative.
        batch, frames: clips at once, frames of each (0 for pictures; of a translator: glosses read and words written).
        median_ms, p95_ms: of a run, all clips.
        clips_per_second, frames_per_second: by the median. Pictures are clips without frames.
        ratio: how many times as fast as the first version of the model in the same rounds.
        runs: rounds.
        parameters: weights; None for what is no network of torch.
        file_mb: its weights or graphs on disk, 0 for an alternative.
        peak_mb: highest resident set of a process that does only this; None where it was not measured.
    """

    model: str
    version: str
    batch: int
    frames: int
    median_ms: float
    p95_ms: float
    clips_per_second: float
    frames_per_second: float
    ratio: float
    runs: int
    parameters: int | None = None
    file_mb: float = 0.0
    peak_mb: float | None = None


@dataclass
class Benchmark:
    """Rows, what was left out and why, and on what it ran."""

    rows: list[Speed] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=lambda: _machine())

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"machine": self.machine, "left_out": self.left_out, "rows": [asdict(row) for row in self.rows]}


def benchmark_models(
    models: Sequence[str] = (pretrained.DEFAULT,),
    *,
    batches: Sequence[int] = (1, 32, 64),
    frames: Sequence[int] = (64, 150, 300),
    providers: Sequence[str] = ("torch",),
    alternatives: bool = True,
    memory: bool = True,
    rounds: int = 30,
    seconds: float = 10.0,
    calibration: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Benchmark:
    """Time models by turns with their other versions and their alternatives.

    Args:
        models: folders, Hub ids or bundled names; a composite of recogniser and translator counts as its two members.
        batches, frames: every pair is a shape. A detector's pictures have no frames.
        providers: versions, see :data:`RUNTIMES`; the first one is what ratios are to.
        alternatives: also torch's own layers and XGBoost, for models of clips.
        memory: also measure peak memory, in a process for each version (some seconds each).
        rounds, seconds: of each shape, see :func:`.turns.in_turns`.
        calibration: folder of pictures for int8 of a detector, without which that is left out.
        progress: told what comes next.

    Raises:
        FileNotFoundError, ValueError, ImportError: a model, shape or provider that cannot be measured; one sentence says why.
    """
    _check(batches, frames, providers)
    found = Benchmark()
    folders = [folder for model in models for folder in _single_models(model)]
    for folder in folders:
        _check_kind(folder, batches)
    for folder in folders:
        with tempfile.TemporaryDirectory(prefix="signlang-benchmark-") as exports, _threads():
            contenders = _contenders(folder, providers, Path(exports), calibration, found.left_out, progress)
            kind = AutoConfig.from_pretrained(folder).model_type
            sizes = (0,) if kind == _NO_FRAMES else tuple(frames)
            shapes = [Shape(batch, length) for length in sizes for batch in batches]
            opened = {name: contender.open() for name, contender in contenders.items()}
            if alternatives:
                beside = _alternatives(folder, kind, opened)
                contenders |= beside
                opened |= {name: contender.open() for name, contender in beside.items()}
            times = {}
            for shape in shapes:
                progress(f"{_name(folder)}: {shape}")
                runs = {name: one.run(shape) for name, one in opened.items()}
                times[shape] = in_turns(runs, rounds=rounds, seconds=seconds)
            peaks = {}
            if memory:
                for name, contender in contenders.items():
                    progress(f"{_name(folder)}: memory of {name}")
                    peaks[name] = peak_memory(contender, shapes)
            found.rows += _rows(_name(folder), times, opened, peaks)
    return found


def parse_provider(provider: str) -> tuple[str, str]:
    """``ort:cuda`` → (``ort``, ``cuda``). Raises ValueError for what does not exist."""
    runtime, _, device = provider.partition(":")
    if runtime not in RUNTIMES:
        raise ValueError(
            f"There is no provider {runtime!r}; choose among {', '.join(RUNTIMES)}, with :device if wanted."
        )
    if runtime.startswith("torch") and device:
        try:
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(f"torch cannot run on {device!r} here: {str(error).splitlines()[0]}") from None
    elif device:
        from ..export.providers import check_provider

        check_provider(device)
    return runtime, device or "cpu"


def _check(batches: Sequence[int], frames: Sequence[int], providers: Sequence[str]) -> None:
    for what, values in (("batch", batches), ("frames", frames)):
        if not values or min(values) < 1:
            raise ValueError(f"{what} is {', '.join(map(str, values)) or 'empty'}; it must be whole numbers from 1.")
    if not providers:
        raise ValueError(f"Name at least one provider: {', '.join(RUNTIMES)}.")
    for provider in providers:
        runtime, _ = parse_provider(provider)
        if runtime.startswith("ort"):
            from ..compat import require_optimum

            require_optimum()


def _single_models(model: str) -> list[str]:
    """The folder of a model, or of its members where it is recogniser and translator in one."""
    runtime = "ort" if is_export(pretrained.resolve(model)) else "torch"
    folder = checked_folder(model, runtime)
    if not Path(folder).is_dir():
        from huggingface_hub import snapshot_download

        folder = loaded(folder, lambda: snapshot_download(folder, ignore_patterns=["*.bin", "*.pt"]))
    config = loaded(folder, lambda: AutoConfig.from_pretrained(folder))
    if config.model_type == "signlang_translation":
        return [str(Path(folder, config.folder(member))) for member in ("recognizer", "translator")]
    return [str(folder)]


def _check_kind(folder: str, batches: Sequence[int]) -> None:
    kind = AutoConfig.from_pretrained(folder).model_type
    if kind in _ALONE:
        most = f"batches of {max(batches)}" if max(batches) > 1 else "here"
        raise ValueError(
            f"{folder} is a {kind}, which reads one video at a time and cannot be timed in {most}; {_ALONE[kind]}."
        )
    if kind not in (*_CLIPS, *TRANSLATORS, "signlang_ctc", _NO_FRAMES):
        raise ValueError(f"{folder} is a {kind or 'model of another library'}, which this benchmark does not know.")


def _name(folder: str) -> str:
    path = Path(folder)
    if path.parent == pretrained.FOLDER:
        return path.name
    return f"{path.parent.name}/{path.name}" if path.parent.parent == pretrained.FOLDER else path.name


def _contenders(
    folder: str,
    providers: Sequence[str],
    exports: Path,
    calibration: str | os.PathLike[str] | None,
    left_out: list[str],
    progress: Callable[[str], None],
) -> dict[str, Contender]:
    """Version → what opens it; models in torch are exported to a sub-folder of ``exports`` where that is needed."""
    contenders: dict[str, Contender] = {}
    for provider in providers:
        runtime, device = parse_provider(provider)
        if is_export(folder):
            from ..export import ExportRecord

            if runtime == _VERSIONS[ExportRecord.load(folder).precision]:
                contenders[provider] = Contender(provider, folder, device)
            continue
        if runtime.startswith("torch"):
            contenders[provider] = Contender(provider, folder, device, compiled=runtime == "torch-compile")
            continue
        exported = exports / runtime
        if not exported.is_dir():
            quantize = runtime.partition("-")[2] or None
            kind = AutoConfig.from_pretrained(folder).model_type
            if quantize == "int8" and kind == _NO_FRAMES and calibration is None:
                left_out.append(f"{_name(folder)}, {provider}: int8 of a detector needs pictures (--calibration).")
                continue
            progress(f"{_name(folder)}: export for {runtime}")
            _export(folder, exported, quantize, calibration)
        contenders[provider] = Contender(provider, str(exported), device)
    if not contenders:
        raise ValueError(
            f"{folder} holds none of the versions {', '.join(providers)}; name the one that it was exported for."
        )
    return contenders


def _export(folder: str, out: Path, quantize: str | None, calibration: str | os.PathLike[str] | None) -> None:
    from ..export import export_model
    from ..export.pictures import calibration_pictures

    pictures = calibration_pictures(Path(calibration)) if quantize == "int8" and calibration is not None else []
    export_model(folder, out, quantize=quantize, pictures=pictures)


def _alternatives(folder: str, kind: str, opened: dict[str, Opened]) -> dict[str, Contender]:
    """Torch's own layers and XGBoost for a model's features and labels; none for what reads no features over time."""
    if kind not in (*_CLIPS, "signlang_ctc"):
        return {}
    config = AutoConfig.from_pretrained(folder)
    per_frame = kind == "signlang_ctc"
    counts = [one.parameters for one in opened.values() if one.parameters]
    settings = {
        "input_size": config.input_size,
        "num_labels": config.vocab_size if per_frame else config.num_labels,
        # Of an export the number of weights follows from its size: four bytes each.
        "parameters": counts[0] if counts else next(iter(opened.values())).bytes // 4,
        "per_frame": per_frame,
    }
    names = [name for name in ALTERNATIVES if not (per_frame and name == "XGBoost")]
    return {name: Contender(name, settings=settings) for name in names}


@contextmanager
def _threads() -> Iterator[None]:
    """XGBoost sets the threads of the process; they are put back."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rows(
    model: str,
    times: dict[Shape, dict[str, np.ndarray]],
    opened: dict[str, Opened],
    peaks: dict[str, dict[Shape, float]],
) -> list[Speed]:
    parameters = next((one.parameters for one in opened.values() if one.parameters), None)
    rows = []
    for shape, found in times.items():
        base = next(iter(found.values()))
        for name, seconds in found.items():
            median = float(np.median(seconds))
            rows.append(
                Speed(
                    model=model, version=name, batch=shape.batch, frames=shape.frames,
                    median_ms=1e3 * median, p95_ms=1e3 * float(np.percentile(seconds, 95)),
                    clips_per_second=shape.batch / median, frames_per_second=shape.batch * max(1, shape.frames) / median,
                    ratio=ratio(base, seconds), runs=len(seconds),
                    parameters=parameters if name not in ALTERNATIVES else opened[name].parameters,
                    file_mb=opened[name].bytes / 1e6, peak_mb=peaks.get(name, {}).get(shape),
                )
            )  # fmt: skip
    return rows


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "versions": installed_versions(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


__all__ = ["RUNTIMES", "Benchmark", "Speed", "benchmark_models", "parse_provider"]
