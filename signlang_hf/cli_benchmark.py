"""``signlang benchmark``: how fast models are, in which runtime, against what one would write instead."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .console import say


def benchmark(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Model folders, Hub ids, names from signlang models. Default: the bundled one."),
    ] = None,
    batch: Annotated[str, typer.Option(help="Clips at once, by commas.")] = "1,32,64",
    frames: Annotated[str, typer.Option(help="Frames of a clip, by commas.")] = "64,150,300",
    providers: Annotated[
        str | None,
        typer.Option(
            help="torch, torch-compile, ort, ort-int8, ort-fp16, each with :device if wanted (ort:cuda). The first is what ratios are "
            "to. Default: torch,ort,ort-int8, or torch where there is no Optimum."
        ),
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(help="Video: also measure where the time of a whole clip goes, with each provider.")
    ] = None,
    alternatives: Annotated[bool, typer.Option(help="Also torch.nn layers and XGBoost for the same task.")] = True,
    memory: Annotated[bool, typer.Option(help="Also peak memory, in a process for each version.")] = True,
    rounds: Annotated[int, typer.Option(min=1, help="At most so many for each shape.")] = 30,
    seconds: Annotated[
        float, typer.Option(min=0, help="For each shape about so long, and five rounds at least.")
    ] = 10.0,
    calibration: Annotated[
        Path | None, typer.Option(help="Pictures of signers, for int8 of a keypoint detector.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file; - prints them.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw bars into this PNG.")] = None,
) -> None:
    """Time models by turns with their exports and their alternatives, and print a Markdown table."""
    from . import pretrained
    from .benchmark import benchmark_models
    from .benchmark.report import markdown as table_of
    from .benchmark.report import picture as draw
    from .landmarks.files import atomic_write

    chosen = _default_providers() if providers is None else _split(providers)
    names = models or [pretrained.DEFAULT]
    found = benchmark_models(
        names,
        batches=_numbers("--batch", batch),
        frames=_numbers("--frames", frames),
        providers=chosen,
        alternatives=alternatives,
        memory=memory,
        rounds=rounds,
        seconds=seconds,
        calibration=calibration,
        progress=say,
    )
    roads = [] if clip is None else _roads(names, chosen, clip)
    everything = found.to_dict() | {"roads": [asdict(road) for road in roads]}
    text = json.dumps(everything, indent=2, ensure_ascii=False) + "\n"
    table = table_of(found, roads)
    for path, content in ((out, text), (markdown, table)):
        if path is not None and str(path) != "-":
            atomic_write(path, lambda stream, content=content: stream.write(content.encode()))
            say(f"wrote {path}")
    if picture is not None:
        say(f"wrote {draw(found, picture, roads)}")
    typer.echo(text if str(out) == "-" else table, nl=False)


def _default_providers() -> list[str]:
    from .compat import require_optimum

    try:
        require_optimum()
    except ImportError:
        return ["torch"]
    return ["torch", "ort", "ort-int8"]


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in _split(text)]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of whole numbers such as 1,32,64.", param_hint=option) from None


def _roads(models: list[str], providers: list[str], clip: Path) -> list:
    """The road of the clip with each model in each runtime that holds weights as they are."""
    import tempfile

    from .benchmark import measure_road
    from .benchmark.measuring import parse_provider
    from .cli_export import open_pipeline
    from .models.loading import is_export
    from .pipelines.loading import task_of
    from .pretrained import resolve

    roads = []
    for model in models:
        folder = resolve(model)
        task = task_of(folder, "ort" if is_export(folder) else "torch")
        for provider in providers:
            runtime, device = parse_provider(provider)
            if runtime not in ("torch", "ort") or (is_export(folder) and runtime == "torch"):
                continue
            with tempfile.TemporaryDirectory() as exports:
                opened = folder
                if runtime == "ort" and not is_export(folder):
                    from .export import export_model

                    opened = str(export_model(folder, Path(exports, "out")).folder)
                say(f"{model}: the road of {clip.name}, {provider}")
                pipe = open_pipeline(task, opened, runtime, device if runtime == "ort" else None)
                roads.append(measure_road(pipe, clip, model=f"{model}, {provider}"))
    return roads
