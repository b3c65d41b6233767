"""``signlang export``, and what the other commands need to run exported models: ``--runtime`` and ``--provider``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from .console import AsJson, output, say

Runtime = Annotated[
    str, typer.Option(help="What runs the model: torch, ort (onnxruntime), or auto, by what its folder holds.")
]
Provider = Annotated[
    str | None, typer.Option(help="Of onnxruntime: cpu (default), cuda, tensorrt, directml, coreml or auto.")
]
_RUNTIMES = ("auto", "torch", "ort")
_FORMATS = ("onnx", "tflite")
_OPSET = 18


def export(
    model: Annotated[str | None, typer.Argument(help="Model folder, Hub id or a name from signlang models.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the export; with --all for one folder a model.")] = ...,  # type: ignore[assignment]
    every: Annotated[bool, typer.Option("--all", help="Export all models that come with the package.")] = False,
    to: Annotated[str, typer.Option(help="Format: onnx, or tflite for phones and small computers.")] = "onnx",
    quantize: Annotated[str | None, typer.Option(help="int8 or, of ONNX, fp16 (for GPUs). Default: float32.")] = None,
    opset: Annotated[
        int | None, typer.Option(help=f"Version of the ONNX operators, 14 to 20; default {_OPSET}.")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Of TFLite, whose graphs take clips of one length: how many frames or glosses; default 64."),
    ] = None,
    converter: Annotated[
        Path | None,
        typer.Option(help="Of TFLite: the Python that has litert-torch; default .venv-tflite (make setup-tflite)."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Of ONNX: pictures and videos of signers, on which int8 of a keypoint detector is measured out."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export a model to ONNX or TFLite, with its processor and its card: a folder for onnxruntime, pipelines and the Hub, or for phones."""
    if (model is None) == (not every):
        raise typer.BadParameter("Give a model, or --all.", param_hint="MODEL")
    if to not in _FORMATS:
        raise ValueError(f"Models cannot be exported to {to!r}; choose {' or '.join(_FORMATS)}.")
    given = {"opset": opset, "calibration": calibration, "frames": frames, "converter": converter}
    for name in ("frames", "converter") if to == "onnx" else ("opset", "calibration"):
        if given[name] is not None:
            raise ValueError(f"--{name} is not of {to}; leave it out.")
    reports, failures = (_to_onnx if to == "onnx" else _to_tflite)(model, out, quantize, given)
    for name, reason in failures.items():
        say(reason if name in reason else f"{name}: {reason}")
    if as_json:
        print(json.dumps({"exported": [one.to_dict() for one in reports], "failed": failures}, ensure_ascii=False))
    elif reports:
        table = Table("model", "precision", "MB before", "MB after", "float32 against torch")
        if to == "tflite" and quantize is not None:
            table.add_column(f"{quantize} against torch")
        for one in reports:
            sizes = (f"{size / 1e6:.2f}" for size in (one.bytes_before, one.bytes_after))
            differences = [one.record.parity, *([one.record.difference] if len(table.columns) > 5 else [])]
            table.add_row(one.model, one.record.precision, *sizes, *(f"{one:.1e}" for one in differences))
        output.print(table)
        say(f"wrote {out}")
    if failures:
        raise typer.Exit(1)


def _to_onnx(
    model: str | None, out: Path, quantize: str | None, given: dict[str, Any]
) -> tuple[list[Any], dict[str, str]]:
    from .export import export_all, export_model
    from .export.pictures import calibration_pictures

    pictures = calibration_pictures(given["calibration"]) if given["calibration"] is not None else []
    opset = _OPSET if given["opset"] is None else given["opset"]
    settings: dict[str, Any] = {"quantize": quantize, "opset": opset, "pictures": pictures}
    return export_all(out, **settings) if model is None else ([export_model(model, out, **settings)], {})


def _to_tflite(
    model: str | None, out: Path, quantize: str | None, given: dict[str, Any]
) -> tuple[list[Any], dict[str, str]]:
    from .export import export_all_tflite, export_tflite

    settings = {"quantize": quantize, "converter": given["converter"]}
    if given["frames"] is not None:
        settings["frames"] = given["frames"]
    return export_all_tflite(out, **settings) if model is None else ([export_tflite(model, out, **settings)], {})


def runtime_of(model: str | None, runtime: str, provider: str | None) -> str:
    """``torch`` or ``ort``, by what was asked for or what the model's folder holds.

    Raises:
        ValueError: no such runtime, or a provider without onnxruntime.
    """
    if runtime not in _RUNTIMES:
        raise ValueError(f"There is no runtime {runtime!r}; choose {', '.join(_RUNTIMES)}.")
    if runtime == "auto":
        from . import pretrained
        from .models.loading import is_export

        runtime = "ort" if model is not None and is_export(pretrained.resolve(model)) else "torch"
    if provider is not None and runtime == "torch":
        raise ValueError("--provider is of onnxruntime; it goes with an exported model (signlang export).")
    return runtime


def open_pipeline(
    task: str, model: str, runtime: str = "auto", provider: str | None = None, base: str | None = None
) -> Any:
    """The pipeline of a model in torch or onnxruntime. Raises ValueError in one sentence where it cannot be loaded."""
    if runtime_of(model, runtime, provider) == "ort":
        if base is not None:
            raise ValueError("--base is of a video language model, which runs in torch.")
        from .export import load_ort_pipeline

        return load_ort_pipeline(task, model, provider or "cpu")
    from .pipelines.loading import load_pipeline

    return load_pipeline(task, model, base)


def open_translation(
    model: str | None,
    recognizer: str | None,
    translator: str | None,
    runtime: str,
    provider: str | None,
    base: str | None = None,
) -> Any:
    """The pipeline of ``signlang translate``: of one model for sentences, of a recogniser alone, or of a pair."""
    from . import pretrained

    if recognizer is not None and translator is not None:
        return _open_pair(recognizer, translator, runtime, provider)
    if recognizer is not None:
        return open_pipeline("continuous-sign-recognition", recognizer, runtime, provider)
    if model is None and pretrained.SPELLING not in pretrained.names():
        raise ValueError(
            "No model for sentences comes with this installation; give --model, or --recognizer and --translator."
        )
    return open_pipeline("sign-translation", pretrained.SPELLING if model is None else model, runtime, provider, base)


def _open_pair(recognizer: str, translator: str, runtime: str, provider: str | None) -> Any:
    found = {runtime_of(one, runtime, provider) for one in (recognizer, translator)}
    if len(found) > 1:
        raise ValueError(
            "One of recogniser and translator is exported to ONNX and the other is not; give two of a kind."
        )
    if found == {"ort"}:
        from .export import load_ort_translation

        return load_ort_translation(recognizer, translator, provider or "cpu")
    from .pipelines.loading import load_translation_pipeline

    return load_translation_pipeline(recognizer, translator)


def heatmap_estimator(model: str | None, runtime: str, provider: str | None, device: str) -> tuple[str, dict[str, Any]]:
    """What makes the detector's pose estimator (as extraction names it), and its options."""
    if runtime_of(model, runtime, provider) == "torch":
        return "heatmap", {"model": model} | ({} if device == "auto" else {"device": device})
    if device != "auto":
        raise ValueError("--device is of torch; an exported model takes --provider.")
    from .compat import require_optimum

    require_optimum()
    from .export.estimator import FACTORY

    return FACTORY, {"model": model} | ({} if provider is None else {"provider": provider})
