"""``signlang wlasl …``: from the table of WLASL to clips, to rows for training, to a score.

::

    signlang wlasl filter WLASL_v0.3.json --glossary --min-clips 10 --out small.json
    signlang wlasl download small.json --out WLASL
    signlang wlasl build small.json --videos WLASL/videos --out rows
    signlang wlasl score answers.jsonl
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from .console import AsJson, output, say

wlasl = typer.Typer(
    help="WLASL, words of American Sign Language: download, filter, build rows for training, score answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

TableFile = Annotated[Path, typer.Argument(help="WLASL_v0.3.json, or a table that signlang wlasl filter wrote.")]
Words = Annotated[int | None, typer.Option(min=1, help="Only the first so many glosses: 100 is WLASL100.")]


@wlasl.command()
def download(
    table: TableFile,
    out: Annotated[Path, typer.Option(help="Folder for videos/, raw/ and download.jsonl.")],
    words: Words = None,
    videos: Annotated[
        Path | None, typer.Option(help="Cut the videos of this folder (called by video id) instead of downloading any.")
    ] = None,
    already_cut: Annotated[
        bool, typer.Option("--already-cut", help="With --videos: they show the sign alone.")
    ] = False,
    cut_by: Annotated[
        str,
        typer.Option(help="time: frames of the table are moments at its 25 fps. count: they are frames of the file."),
    ] = "time",
    max_workers: Annotated[int, typer.Option(min=1, help="Hosts at a time; each is asked for one file at a time.")] = 4,
    pages: Annotated[bool, typer.Option(help="Videos of YouTube and other pages too, through yt-dlp.")] = True,
    retry_dead: Annotated[bool, typer.Option("--retry-dead", help="Ask for dead and unreadable links again.")] = False,
    keep_raw: Annotated[bool, typer.Option(help="Keep the downloaded files beside the clips cut from them.")] = True,
    max_mb: Annotated[float, typer.Option(help="Largest file that is accepted, in megabytes.")] = 2000,
    interval: Annotated[float, typer.Option(min=0, help="Seconds between two requests to a host.")] = 1.0,
    retries: Annotated[int, typer.Option(min=0, help="Further tries of a file that could not be had.")] = 4,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, host by host, and do nothing.")
    ] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if a clip is missing, not only if all are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch the videos of a table and cut each sign out; running it again goes on where it stopped. Every dead link is in
    download.jsonl, with its reason."""
    from .data.downloads import Patience
    from .data.wlasl_download import download_wlasl, plan_wlasl

    options: dict[str, Any] = {
        "words": words,
        "videos": videos,
        "already_cut": already_cut,
        "cut_by": cut_by,
        "retry_dead": retry_dead,
    }
    if dry_run:
        rows = plan_wlasl(table, out, **options)
        if as_json:
            print(json.dumps(rows, ensure_ascii=False))
        else:
            _show_plan(rows)
        return
    report = download_wlasl(
        table, out, **options, max_workers=max_workers, pages=pages, keep_raw=keep_raw, max_mb=max_mb,
        patience=Patience(retries=retries, interval=interval),
    )  # fmt: skip
    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        typer.echo(str(report), err=True)
    if len(report.failures) == len(report.rows) or (strict and report.failures):
        say(
            f"{len(report.failures)} of {len(report.rows)} clips are not there; {out}/download.jsonl says why, and another run tries what failed again."
        )
        raise typer.Exit(1)


@wlasl.command()
def filter(
    table: TableFile,
    out: Annotated[
        Path | None, typer.Option(help="File for the smaller table. Default: only say what it would be.")
    ] = None,
    words: Words = None,
    glossary: Annotated[
        bool, typer.Option("--glossary", help="Only words of the glossary of 319 words that comes along.")
    ] = False,
    glossary_file: Annotated[
        Path | None, typer.Option(help="Only words of this glossary (.json, or a word a line).")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Only this group of the glossary; may be given more than once.")
    ] = None,
    synonyms: Annotated[
        bool, typer.Option("--synonyms", help="Take synonyms and inflections of the words, too.")
    ] = False,
    signer: Annotated[list[str] | None, typer.Option(help="Only this signer; may be given more than once.")] = None,
    without_signer: Annotated[
        list[str] | None, typer.Option(help="All but this signer; may be given more than once.")
    ] = None,
    videos: Annotated[Path | None, typer.Option(help="Only clips that this folder holds, called by video id.")] = None,
    min_clips: Annotated[int, typer.Option(min=1, help="Glosses with fewer clips left drop out.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Make a smaller table, and say what dropped out and why."""
    from .data.wlasl_filter import filter_table

    report = filter_table(
        table, out, words=words, glossary=glossary_file or glossary, groups=group or (), synonyms=synonyms,
        signers=signer or (), without_signers=without_signer or (), videos=videos, min_clips=min_clips,
    )  # fmt: skip
    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        typer.echo(str(report), err=True)


@wlasl.command()
def build(
    table: TableFile,
    videos: Annotated[
        Path, typer.Option(help="Folder of clips called by video id, as signlang wlasl download makes it.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for train.jsonl and other splits, statistics and clips_per_gloss.png.")
    ],
    split: Annotated[str, typer.Option(help="official, stratified (by gloss) or signer-disjoint.")] = "official",
    words: Words = None,
    test_size: Annotated[float, typer.Option(help="Share of the test split, where one is made.")] = 0.2,
    validation_size: Annotated[float, typer.Option(help="Share of the validation split, where one is made.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    prompt: Annotated[
        str | None, typer.Option(help="What the model is asked. Default: to name the sign in one word.")
    ] = None,
    relative: Annotated[
        bool, typer.Option("--relative", help="Paths of videos start at --out, to move both together.")
    ] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if a video of the table is missing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a row {"prompt", "video_path", "gloss"} for each clip that is there; load_dataset("sign_videos", folder) reads them."""
    from .data.sign_videos import PROMPT
    from .data.wlasl_rows import build_rows

    report = build_rows(
        table, videos, out, split=split, words=words, test_size=test_size, validation_size=validation_size, seed=seed,
        prompt=PROMPT if prompt is None else prompt, relative=relative,
    )  # fmt: skip
    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        typer.echo(str(report), err=True)
    if strict and report.missing:
        raise typer.Exit(1)


@wlasl.command()
def score(
    answers: Annotated[Path, typer.Argument(help='JSON lines {"prediction": …, "gloss": …}, one a clip.')],
    synonyms: Annotated[
        Path | None, typer.Option(help="Table of glosses that are one sign. Default: the one for ASL that comes along.")
    ] = None,
    inflection: Annotated[bool, typer.Option(help="Count regular inflections as one sign.")] = True,
    as_json: AsJson = False,
) -> None:
    """Measure answers: accuracy to the letter, and accuracy that counts glosses of one sign as the same."""
    from .data.answers import read_answers
    from .metrics.gloss_accuracy.gloss_accuracy import gloss_accuracy

    predictions, references = read_answers(answers)
    metrics = gloss_accuracy(predictions, references, synonyms=synonyms, inflection=inflection)
    if as_json:
        print(json.dumps(metrics, ensure_ascii=False))
        return
    shown = Table("", "value", "95 % interval", title=f"{answers.name} ({metrics['n']} clips)")
    for name, said in (("accuracy", "accuracy, strict"), ("accuracy_synonyms", "accuracy, synonyms count")):
        shown.add_row(
            said,
            f"{100 * metrics[name]:.1f} %",
            f"{100 * metrics[f'{name}_low']:.1f}–{100 * metrics[f'{name}_high']:.1f} %",
        )
    output.print(shown)
    for pair in metrics["forgiven"][:10]:
        output.print(f"{pair['n']:>5} × {pair['prediction']} for {pair['reference']}", markup=False, highlight=False)
    output.print(metrics["signature"], markup=False, highlight=False)


@wlasl.command()
def glossary(
    group: Annotated[str | None, typer.Argument(help="Show the words of this group.")] = None, as_json: AsJson = False
) -> None:
    """List the groups of the glossary that comes along, or the words of one."""
    from .data.glossary import glossary_words, load_glossary

    groups = load_glossary()
    if group is not None:
        words = glossary_words(groups, [group])
        print(json.dumps(words) if as_json else "\n".join(words))
        return
    if as_json:
        print(json.dumps(groups))
        return
    shown = Table("group", "words", "")
    for name, words in groups.items():
        shown.add_row(name, str(len(words)), ", ".join(words[:6]) + " …")
    output.print(shown)


def _show_plan(rows: list[dict[str, Any]]) -> None:
    if any(row["how"] == "yt-dlp" and row["to_do"] for row in rows):
        from .data import page_videos

        if not page_videos.available():
            say(f"yt-dlp is not installed: {page_videos.INSTALL}, or --no-pages to do without those videos.")
    names = [
        name
        for name in ("host", "how", "links", "clips", "done", "dead", "missing", "to_do")
        if any(name in row for row in rows)
    ]
    shown = Table(*(name.replace("_", " ") for name in names))
    for row in rows:
        shown.add_row(*(str(row.get(name, "")) for name in names))
    if len(rows) > 1:
        total = {name: sum(row[name] for row in rows) for name in names if name not in ("host", "how")}
        shown.add_row("all", "", *(str(total[name]) for name in names if name not in ("host", "how")), end_section=True)
    output.print(shown)
