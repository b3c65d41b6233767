"""``signlang``: the command line. Each command is a thin door to a function of the library.

What goes to a person goes to the error stream or through rich; with ``--json`` the standard output holds JSON and nothing
else. A mistake ends in one sentence and exit code 1 (2 for a wrong command line), a warning is one line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from . import __version__
from .cli_benchmark import benchmark
from .cli_demo import demo
from .cli_export import Provider, Runtime, export, heatmap_estimator, open_pipeline, open_translation, runtime_of
from .cli_extract import extract
from .cli_serve import serve
from .cli_wlasl import wlasl
from .console import AsJson, Commands, output, say

app = typer.Typer(
    name="signlang",
    cls=Commands,
    help="Sign language on the Hugging Face stack: landmarks, recognition, translation, evaluation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Base = Annotated[
    str | None,
    typer.Option(
        help="Where the base of a video language model lies, if it cannot be had from the Hub under its name."
    ),
]

# What cards of models measure, and how a table says it.
_MEASURED = {
    "accuracy": "",
    "wer": " gloss errors",
    "letter_error_rate": " letter errors",
    "text_accuracy": " texts right",
    "pck@0.1-body": " of body points within a tenth of the torso",
}
app.add_typer(wlasl, name="wlasl")
app.command()(export)
app.command()(benchmark)
app.command()(serve)
app.command()(demo)


def main() -> None:
    """Entry point."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


app.command()(extract)


@app.command("label-frames")
def label_frames(
    source: Annotated[Path, typer.Argument(help="Folder that is searched for videos, or one video.")],
    out: Annotated[Path, typer.Option(help="Folder for the dataset: images, labels and contact_sheet.png.")],
    frames_per_clip: Annotated[int, typer.Option(min=1, help="Most frames of a video; those that differ most.")] = 40,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Points less sure than that are not visible.")
    ] = 0.5,
    fps: Annotated[float | None, typer.Option(help="Look at this many frames a second. Default: all.")] = None,
    max_size: Annotated[
        int, typer.Option(min=1, help="Longest side of an image; larger frames are made smaller.")
    ] = 1280,
    split_by: Annotated[
        str, typer.Option(help="What no two splits share: video, or folder where videos lie in one a signer.")
    ] = "video",
    seed: Annotated[int, typer.Option(help="Seed of the choice of frames.")] = 0,
    num_workers: Annotated[int, typer.Option(min=1, help="Worker processes, one teacher each.")] = 1,
    estimator: Annotated[str, typer.Option(help="The teacher: mediapipe, heatmap or module:callable.")] = "mediapipe",
    estimator_options: Annotated[str, typer.Option(help="Options of the teacher as JSON.")] = "{}",
    resume: Annotated[bool, typer.Option(help="Go on where an earlier run stopped.")] = True,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if a video failed, not only if all did.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a dataset for training a keypoint detector out of any videos: frames that differ, with the points that MediaPipe finds."""
    options = _settings(estimator_options, "--estimator-options", '{"backend": "tasks"}')
    from .data.label_frames import label_frames as label

    report = label(
        source,
        out,
        frames_per_clip=frames_per_clip,
        min_confidence=min_confidence,
        fps=fps,
        max_size=max_size,
        split_by=split_by,
        seed=seed,
        num_workers=num_workers,
        estimator=estimator,
        estimator_options=options,
        resume=resume,
    )
    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        typer.echo(str(report), err=True)
    if not report.images or (strict and report.failures):
        raise typer.Exit(1)


@app.command()
def detect(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Pictures, videos or addresses; folders are searched.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model folder, Hub id or a name from signlang models.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the same files with the skeleton, and .jsonl with their points.")
    ] = None,
    conf_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Points below it are missing. Default: the model's own, or 0.3.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show them in a window, too.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    runtime: Runtime = "auto",
    provider: Provider = None,
    smooth: Annotated[bool, typer.Option(help="Take the trembling out of the points of videos.")] = True,
    track: Annotated[bool, typer.Option(help="Look closer at where the signer is.")] = True,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if any file failed, not only if all did.")] = False,
    webcam: Annotated[bool, typer.Option("--webcam", help="Find the points live, from a camera.")] = False,
    camera: Annotated[str, typer.Option(help="With --webcam: number of the camera, or a video in its place.")] = "0",
    no_window: Annotated[bool, typer.Option("--no-window", help="With --webcam: stay in the terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line a frame on standard output.")] = False,
) -> None:
    """Find the signer's points in pictures and videos, or before a camera, and draw them. A file that cannot be read is reported
    and skipped."""
    if webcam == bool(sources):
        raise typer.BadParameter("Give pictures or videos, or --webcam for a camera.", param_hint="SOURCES")
    if webcam and (out is not None or show):
        raise typer.BadParameter("--out and --show go with files; a camera has its own window.", param_hint="--webcam")
    if not (webcam or out is not None or show or as_json):
        raise typer.BadParameter("Say what becomes of the points: --out, --show or --json.", param_hint="--out")
    from .pipelines.detection_console import tell_files, watch_keypoints
    from .pose.worker import make_estimator

    factory, options = heatmap_estimator(model, runtime, provider, device)
    options |= {"confidence": conf_threshold, "smooth": smooth, "track": track}
    with make_estimator(factory, options) as estimator:
        if webcam:
            watch_keypoints(estimator, camera, no_window=no_window, as_json=as_json, console=output)
            return
        count, failed = tell_files(
            estimator, sources or (), out=out, show=show, as_json=as_json, console=output, say=say
        )
    if failed == count or (failed and strict):
        raise typer.Exit(1)


@app.command()
def recognize(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Videos, images, landmark files or addresses; folders are searched.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model folder, Hub id or a name from signlang models.")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="How many labels to show.")] = 5,
    mirror_margin: Annotated[
        float | None,
        typer.Option(
            min=0, help="Try mirror images too, which count where so many logits ahead. Default: the model's own."
        ),
    ] = None,
    runtime: Runtime = "auto",
    provider: Provider = None,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if any file failed, not only if all did.")] = False,
    webcam: Annotated[bool, typer.Option("--webcam", help="Recognise signs live, from a camera.")] = False,
    camera: Annotated[str, typer.Option(help="With --webcam: number of the camera, or a video in its place.")] = "0",
    no_window: Annotated[bool, typer.Option("--no-window", help="With --webcam: stay in the terminal.")] = False,
    base: Base = None,
    as_json: AsJson = False,
) -> None:
    """Say which sign each clip shows, or a camera sees. A clip that cannot be read is reported and skipped."""
    if webcam == bool(sources):
        raise typer.BadParameter("Give clips, or --webcam for a camera.", param_hint="SOURCES")
    from .pipelines.clip_files import clip_files

    files = [file for source in sources or () for file in clip_files(source)]
    pipe = load_pipeline(model, runtime, provider, base)
    if mirror_margin is not None:
        pipe.model.config.mirror_margin = mirror_margin
    if webcam:
        _watch(camera, pipe, top_k, as_json, no_window)
        return
    failed = 0
    for file in files:
        try:
            row: dict[str, Any] = {"file": file, "predictions": pipe(file, top_k=top_k)}
        except (ValueError, OSError, ImportError, MemoryError) as error:
            failed += 1
            row = {"file": file, "error": str(error)}
            if not as_json:
                say(str(error) if file in str(error) else f"{file}: {error}")
        if as_json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        elif "predictions" in row:
            _show_predictions(file, row["predictions"])
    if failed and len(files) > 1:
        say(f"{failed} of {len(files)} clips could not be read.")
    if failed == len(files) or (failed and strict):
        raise typer.Exit(1)


@app.command()
def translate(
    sources: Annotated[list[str], typer.Argument(help="Videos, landmark files or addresses; folders are searched.")],
    model: Annotated[
        str | None, typer.Option(help="Recogniser and translator saved as one: folder, Hub id or a name.")
    ] = None,
    recognizer: Annotated[str | None, typer.Option(help="Continuous recogniser; alone it gives glosses.")] = None,
    translator: Annotated[str | None, typer.Option(help="Translator of its glosses.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the JSON lines (.jsonl), or folder for them and the subtitles. Default: print them."
        ),
    ] = None,
    srt: Annotated[
        bool, typer.Option("--srt", help="Write SubRip subtitles too, beside the clips or into --out.")
    ] = False,
    vtt: Annotated[bool, typer.Option("--vtt", help="Write WebVTT subtitles too.")] = False,
    beam: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Beams of the recogniser; 1 is greedy. Default: what training chose, else 1, or 10 with a language model.",
        ),
    ] = None,
    language_model: Annotated[Path | None, typer.Option(help="ARPA file over the recogniser's glosses.")] = None,
    lm_weight: Annotated[
        float | None,
        typer.Option(help="How much the language model counts. Default: what training chose, if not 0, else 0.5."),
    ] = None,
    num_beams: Annotated[int | None, typer.Option(min=1, help="Beams of the translator.")] = None,
    base: Base = None,
    runtime: Runtime = "auto",
    provider: Provider = None,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if any file failed, not only if all did.")] = False,
) -> None:
    """Write down what each clip says, as JSON lines: glosses with their times, and the sentence. A clip that cannot be read is
    reported and skipped."""
    if translator is not None and recognizer is None:
        raise typer.BadParameter("A translator needs glosses: give --recognizer too.", param_hint="--translator")
    if model is not None and recognizer is not None:
        raise typer.BadParameter("Give --model, or --recognizer with --translator, not both.", param_hint="--model")
    if num_beams is not None and recognizer is not None and translator is None:
        raise typer.BadParameter("--num-beams is of a translator, and there is none.", param_hint="--num-beams")
    from .pipelines.clip_files import translate_files

    options = {"beam_size": beam, "lm_weight": lm_weight, "num_beams": num_beams}
    options["language_model"] = None if language_model is None else str(language_model)
    pipe = open_translation(model, recognizer, translator, runtime, provider, base)
    formats = [suffix for suffix, wanted in ((".srt", srt), (".vtt", vtt)) if wanted]
    count = failed = 0
    for row in translate_files(
        pipe,
        sources,
        out=out,
        subtitle_formats=formats,
        **{name: value for name, value in options.items() if value is not None},
    ):
        count, failed = count + 1, failed + ("error" in row)
        if out is None:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        if out is not None or "error" in row:
            said = (
                row.get("error")
                or row.get("text")
                or row.get("message")
                or " ".join(s["gloss"] for s in row["glosses"])
            )
            say(said if row["file"] in said else f"{row['file']}: {said}")
    if count > 1:
        say(f"{count - failed} of {count} clips were read" + (f", {failed} could not be." if failed else "."))
    if failed == count or (failed and strict):
        raise typer.Exit(1)


@app.command()
def explain(
    clip: Annotated[str, typer.Argument(help="Video, landmark file or address.")],
    out: Annotated[Path, typer.Option(help="Folder for heat.mp4, heat.png, parts.png and the numbers.")],
    model: Annotated[str | None, typer.Option(help="Model folder, Hub id or a name from signlang models.")] = None,
    method: Annotated[str, typer.Option(help="gradcam or integrated-gradients.")] = "gradcam",
    label: Annotated[str | None, typer.Option(help="Sign to explain. Default: the one that the model answers.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which moments and joints of a clip speak for a sign, on its own frames and as a chart."""
    from .explain import get_explainer

    explainer = get_explainer(method)
    pipe = load_pipeline(model, "torch")
    explanation = explainer(pipe.model, pipe.feature_extractor).generate(clip, label=label)
    files = {name: str(path) for name, path in explanation.save(out).items()}
    summary = explanation.summary()
    if as_json:
        print(json.dumps({"file": clip, **summary, "files": files}, ensure_ascii=False))
        return
    if not explanation.heat.any():
        say(f"nothing in this clip speaks for '{explanation.label}'.")
    output.print(f"{explanation.label}  {100 * explanation.score:.1f} %", markup=False, highlight=False)
    table = Table("region", "heat")
    for part, heat in sorted(summary["parts"].items(), key=lambda item: -item[1]):
        table.add_row(part, f"{heat:.2f}")
    output.print(table)
    say(f"wrote {', '.join(Path(path).name for path in files.values())} to {out}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder, Hub id or a name from signlang models.")],
    dataset: Annotated[str, typer.Option(help="Registered dataset, Parquet folder or Hub id.")],
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the dataset's source.")] = None,
    split: Annotated[str, typer.Option(help="Split to measure.")] = "test",
    options: Annotated[str, typer.Option(help="Options of the dataset as JSON.")] = "{}",
    batch_size: Annotated[int, typer.Option(min=1, help="Clips per forward pass.")] = 32,
    runtime: Runtime = "auto",
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on a split. Signs: top-1, top-5 and macro-F1; glosses of sentences: word error rate; text: BLEU and chrF."""
    from .data import load_dataset
    from .metrics.sign_recognition.sign_recognition import sign_recognition
    from .pipelines.loading import task_of
    from .training.evaluation import predict
    from .training.sentence_evaluation import evaluate_sentences

    task = task_of(model, runtime_of(model, runtime, provider))
    pipe = open_pipeline(task, model, runtime, provider)
    rows = load_dataset(dataset, data_dir, split=split, **_settings(options))
    if task == "sign-recognition":
        logits, references = predict(pipe.model, pipe.feature_extractor, rows, batch_size=batch_size)
        metrics = sign_recognition(logits, references)
    else:
        metrics = evaluate_sentences(pipe, rows, batch_size=batch_size)
    if as_json:
        print(json.dumps({"model": model, "dataset": dataset, "split": split, **metrics}))
        return
    title = f"{model} on {dataset}, {split} ({metrics['n']} {'clips' if task == 'sign-recognition' else 'sentences'})"
    table = Table("", "value", "95 % interval", title=title)
    for name in ("accuracy", "top5_accuracy", "macro_f1", "wer"):
        if name in metrics:
            low, high = metrics[f"{name}_low"], metrics[f"{name}_high"]
            table.add_row(name, f"{100 * metrics[name]:.1f} %", f"{100 * low:.1f}–{100 * high:.1f} %")
    for name in ("bleu", "chrf", "rouge_l"):
        if name in metrics:
            table.add_row(name, f"{metrics[name]:.2f}", "")
    output.print(table)
    for name in ("signature", "chrf_signature"):
        if name in metrics:
            output.print(metrics[name], markup=False, highlight=False)


@app.command()
def validate(
    folder: Annotated[Path, typer.Argument(help="Dataset folder: metadata.csv and clips, or bare clips.")],
    layout: Annotated[str | None, typer.Option(help="Layout to convert to.")] = None,
    file_layout: Annotated[str | None, typer.Option(help="Layout of files that do not name theirs (.npy).")] = None,
    signer_independent: Annotated[bool, typer.Option(help="A signer in two splits is an error.")] = False,
    as_json: AsJson = False,
) -> None:
    """List all faults of a dataset in one run; exit code 1 if one keeps it from being loaded."""
    from .data.validation import validate_folder

    report = validate_folder(
        folder, layout=layout, file_layout=file_layout, signer_independent=signer_independent, progress=not as_json
    )
    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        print(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def layouts(
    name: Annotated[str | None, typer.Argument(help="Show the points of this layout.")] = None, as_json: AsJson = False
) -> None:
    """List the landmark layouts, or the points of one."""
    from .landmarks import get_layout, list_layouts

    if name is not None:
        points = get_layout(name).points
        print(json.dumps(list(points)) if as_json else "\n".join(points))
        return
    known = [get_layout(layout) for layout in list_layouts()]
    if as_json:
        print(json.dumps({layout.name: {part: len(ids) for part, ids in layout.parts.items()} for layout in known}))
        return
    table = Table("layout", "points", "parts")
    for layout in known:
        parts = ", ".join(f"{part} {len(indices)}" for part, indices in layout.parts.items())
        table.add_row(layout.name, str(len(layout)), parts)
    output.print(table)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show the signs of this model.")] = None, as_json: AsJson = False
) -> None:
    """List the models that come with the package, or the signs of one. Their names go wherever a model is asked for."""
    from . import pretrained

    if name is not None:
        labels = _facts(pretrained.path(name))["labels"]
        print(json.dumps(labels, ensure_ascii=False) if as_json else "\n".join(labels))
        return
    known = {model: _facts(pretrained.path(model)) for model in pretrained.names()}
    if as_json:
        print(json.dumps(known, ensure_ascii=False))
        return
    table = Table("model", "task", "signs or points", "languages", "measured", "licence")
    for model, facts in known.items():
        measured = ", ".join(
            f"{100 * facts[key]:.1f} %{name}" for key, name in _MEASURED.items() if facts[key] is not None
        )
        languages = ", ".join(facts["sign_languages"])
        table.add_row(model, facts["task"], str(len(facts["labels"])), languages, measured, facts["licence"])
    output.print(table)


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="Model folder with processor and card.")],
    repo_id: Annotated[str, typer.Argument(help="org/name on the Hub.")],
    private: Annotated[bool, typer.Option(help="Make a new repository private.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch to push to.")] = None,
) -> None:
    """Upload a model folder to the Hub as one commit."""
    from .hub import push_to_hub

    print(push_to_hub(folder, repo_id, private=private, revision=revision))


def load_pipeline(
    model: str | None = None, runtime: str = "auto", provider: str | None = None, base: str | None = None
) -> Any:
    """The recognition pipeline of a model folder, a Hub id or a bundled model's name; by default of the one that comes with the
    package. Raises ValueError in one sentence where it cannot be loaded."""
    from . import pretrained

    return open_pipeline(
        "sign-recognition", str(pretrained.path()) if model is None else model, runtime, provider, base
    )


def _watch(camera: str, pipe: Any, top_k: int, as_json: bool, no_window: bool) -> None:
    from contextlib import ExitStack

    from .pipelines.live import StreamingSigns
    from .pipelines.stream import StreamEvent
    from .pipelines.streaming import StreamSettings
    from .pipelines.webcam import in_terminal, in_window, watch
    from .video.window import open_window

    def report(event: StreamEvent) -> None:
        if as_json:
            print(json.dumps(event.to_dict(), ensure_ascii=False), flush=True)
        elif event.answers:
            output.print(f"{event.start:6.1f}–{event.end:.1f} s  {event}", markup=False, highlight=False)

    live = StreamingSigns(pipe, StreamSettings(top_k=top_k))
    with ExitStack() as stack:
        show = None
        if not (as_json or no_window) and (window := open_window()) is not None:
            show = in_window(stack.enter_context(window), camera)
        elif not as_json:
            show = in_terminal(stack.enter_context(output.status("waiting for a sign")))
        watch(live, camera, show, report)


def _facts(folder: Path) -> dict[str, Any]:
    """What a model folder and its card say."""
    from huggingface_hub import ModelCard

    from .hub import CardInfo

    info, card = CardInfo.from_folder(folder), ModelCard.load(folder / "README.md").data
    scores = {row.metric_name: row.metric_value for row in reversed(card.eval_results or ())}
    return {
        "task": info.task,
        "labels": list(info.labels),
        "parameters": info.parameters,
        "sign_languages": card.language or [],
        "licence": card.license,
        **{name: scores.get(name) for name in _MEASURED},
    }


def _settings(options: str, name: str = "--options", example: str = '{"hold_out": "ase"}') -> dict[str, Any]:
    try:
        settings = json.loads(options)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not valid JSON ({error}).") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{name} must be a JSON object such as '{example}'; got {options}.")
    return settings


def _show_predictions(file: str, predictions: list[dict[str, Any]]) -> None:
    if predictions[0]["label"] is None:
        say(f"{file}: {predictions[0]['message']}")
        return
    table = Table("sign", "score", title=file, title_justify="left")
    for row in predictions:
        table.add_row(str(row["label"]), f"{100 * row['score']:5.1f} %")
    output.print(table)


if __name__ == "__main__":
    main()
