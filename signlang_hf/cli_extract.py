"""``signlang extract``: videos to landmarks, by processes of this machine or by a Ray cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .cli_export import Provider, Runtime, heatmap_estimator
from .console import AsJson


def extract(
    source: Annotated[Path, typer.Argument(help="Video file, or folder that is searched for videos.")],
    out: Annotated[Path, typer.Option(help="Folder for landmark files and manifest.jsonl.")],
    num_workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Workers, one pose estimator each. Default: 1; on a Ray cluster, one for each of its CPUs."
        ),
    ] = None,
    format: Annotated[str | None, typer.Option(help="npz or pose. Default: npz; Ray writes parquet.")] = None,
    engine: Annotated[
        str,
        typer.Option(help="processes on this machine, or ray: Parquet shards from as many machines as a cluster has."),
    ] = "processes",
    address: Annotated[
        str | None,
        typer.Option(help="With ray: cluster to join (auto, host:port). Default: this machine alone."),
    ] = None,
    gpus_per_worker: Annotated[
        float, typer.Option(min=0, help="With ray: GPUs of each worker, 0.25 for four on one.")
    ] = 0,
    fps: Annotated[float | None, typer.Option(help="Look at this many frames a second. Default: all.")] = None,
    face: Annotated[bool, typer.Option(help="Keep the face mesh as well.")] = False,
    world: Annotated[bool, typer.Option(help="Keep metric 3-D points as well.")] = False,
    backend: Annotated[str, typer.Option(help="auto, solutions or tasks.")] = "auto",
    estimator: Annotated[str, typer.Option(help="mediapipe, or heatmap: our own keypoint detector.")] = "mediapipe",
    model: Annotated[
        str | None, typer.Option(help="With heatmap: model folder, Hub id or a name from signlang models.")
    ] = None,
    device: Annotated[str, typer.Option(help="With heatmap: auto, cpu, cuda or mps.")] = "auto",
    runtime: Runtime = "auto",
    provider: Provider = None,
    resume: Annotated[bool, typer.Option(help="Go on where an earlier run stopped.")] = True,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if a video failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find the landmarks in every video of a folder; running it again goes on where it stopped."""
    mediapipe = {"face": face, "world": world, "backend": backend}
    if estimator == "heatmap" and mediapipe != {"face": False, "world": False, "backend": "auto"}:
        raise typer.BadParameter("--face, --world and --backend are MediaPipe's.", param_hint="--estimator")
    if estimator == "mediapipe" and (model is not None or device != "auto"):
        raise typer.BadParameter("--model and --device go with --estimator heatmap.", param_hint="--estimator")
    if estimator != "heatmap" and (runtime, provider) != ("auto", None):
        raise typer.BadParameter("--runtime and --provider go with --estimator heatmap.", param_hint="--estimator")
    options = mediapipe if estimator == "mediapipe" else None
    if estimator == "heatmap":
        estimator, options = heatmap_estimator(model, runtime, provider, device)
    common: dict[str, Any] = {"fps": fps, "resume": resume, "estimator": estimator, "estimator_options": options}
    if engine == "ray":
        if format not in (None, "parquet"):
            raise typer.BadParameter("--engine ray writes parquet.", param_hint="--format")
        from .data import extract_with_ray

        workers = num_workers or (1 if address is None else None)
        report = extract_with_ray(
            source, out, address=address, num_workers=workers, gpus_per_worker=gpus_per_worker, **common
        )
    elif engine == "processes":
        if address is not None or gpus_per_worker:
            raise typer.BadParameter("--address and --gpus-per-worker go with --engine ray.", param_hint="--engine")
        from .pose import extract_folder

        report = extract_folder(source, out, num_workers=num_workers or 1, format=format or "npz", **common)
    else:
        raise typer.BadParameter(f"{engine!r} is neither processes nor ray.", param_hint="--engine")
    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        typer.echo(str(report), err=True)
    if strict and report.failures:
        raise typer.Exit(1)
