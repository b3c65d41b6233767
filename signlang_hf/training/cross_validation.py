"""Several runs for one figure: a model for each fold, for each seed, or for each fold and seed.

Design decisions:

* Folds outside, seeds inside: with three seeds of one fold there is a first result with a spread long before the last fold.
* Every run has a folder of its own, ``[seed-<n>/]<fold>``, and is finished, resumed or read there like any single run. So a fold can be
  added, or a seed, and nothing is trained twice.
* The figure is the mean over folds of the mean over seeds. It has two spreads that say different things: over **folds** how much it
  depends on who is held out, over **seeds** how much on chance.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ..compat import move_output
from .arguments import DataArguments, FittingArguments, NetworkArguments
from .checkpoints import write_json
from .fitting import RunResult, Task
from .isolated import ISOLATED
from .results import ResultRow, installed_versions, save_results, unit_of
from .splits import load_folds, load_splits, refuse_leaks

if TYPE_CHECKING:
    from datasets import DatasetDict

SUMMARY = "runs.json"

console = Console()

Results = dict[str, dict[int, RunResult]]
"""Fold → seed → what was measured. A dataset's own test split is the one fold ``test``."""


def train_many(
    model_args: NetworkArguments, data_args: DataArguments, args: FittingArguments, command: str, task: Task = ISOLATED
) -> Results:
    """All folds and seeds that the arguments ask for, then their mean and spread: printed, in ``runs.json`` and, for a benchmark, in
    its results.

    Raises:
        ValueError: ``push_to_hub``, a fold that there is not, or no test split.
        LeakError: splits that leak.
    """
    if args.push_to_hub:
        raise ValueError("Several folds or seeds train several models; push one of them with 'signlang push'.")
    results: Results = {}
    for fold, splits in _folds(data_args, args):
        for seed in data_args.seeds or [args.seed]:
            name = fold if data_args.cross_validate else ""
            result = task.train(
                model_args, data_args, run_arguments(args, name, seed if data_args.seeds else None), splits
            )
            _close_trackers(args)
            # Without its trainer, or all models and their optimisers would stay in memory.
            results.setdefault(fold, {})[seed] = replace(result, trainer=None)
            if args.should_save:
                said = [
                    f"{name} {_said(metric, measured(result)[metric])}"
                    for name, (measured, metric) in _columns(task, result).items()
                ]
                console.print(
                    f"{fold}{f', seed {seed}' if data_args.seeds else ''}: {', '.join(said)}, "
                    f"{result.training['minutes']:.1f} min"
                )
    if args.should_save:
        rows = result_rows(results, model_args.model_type, data_args.cross_validate, command, task)
        show(results, task)
        if data_args.benchmark:
            console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
        folder = Path(args.output_dir)
        console.print(f"Wrote {write_json(folder / SUMMARY, _summary(results, rows, folder))}")
    return results


def _folds(data_args: DataArguments, args: FittingArguments) -> Iterable[tuple[str, DatasetDict]]:
    if data_args.cross_validate:
        return load_folds(data_args)
    splits = load_splits(data_args, seed=args.seed)
    if "test" not in splits:
        raise ValueError(
            f"There is no split '{data_args.test_split}' to compare seeds on; --cross_validate makes some."
        )
    refuse_leaks(splits, data_args)
    return [("test", splits)]


def _close_trackers(args: FittingArguments) -> None:
    """wandb keeps its run open for whatever comes next in the process; the next training is a run of its own."""
    if "wandb" in args.report_to:
        import wandb

        wandb.finish()


def run_arguments(args: FittingArguments, fold: str, seed: int | None) -> FittingArguments:
    """The arguments with a folder of the run's own, also for its logs, and with its seed."""
    run_args = copy.copy(args)
    folder = Path(args.output_dir)
    if seed is not None:
        run_args.seed = seed
        folder /= f"seed-{seed}"
    move_output(run_args, str(folder / re.sub(r"[/\\:]", "_", fold)))
    return run_args


def result_rows(
    results: Results, model: str, cross_validate: str | None, command: str, task: Task = ISOLATED
) -> list[ResultRow]:
    """Result rows of the model and of the baselines: the mean with its spread over folds (over seeds where there is one fold); out of
    the tables the same with its spread over seeds, and every fold."""
    what = {
        "signer": "signers",
        "stratified": "folds",
        "sentence": "folds by sentence",
        "rotation": "rotations",
        None: "",
    }[cross_validate]
    mean_of = f"mean of {len(results)} {what}" if cross_validate else "test"
    first_run = next(iter(next(iter(results.values())).values()))
    versions = installed_versions() | task.signatures(first_run)
    shared = {"seeds": tuple(next(iter(results.values()))), "command": command, "versions": versions}
    rows = []
    for name, measured in _methods(task, first_run).items():
        name = name or model
        clips = {fold: next(iter(runs.values())).metrics["n"] for fold, runs in results.items()}
        several_seeds = name == model and len(shared["seeds"]) > 1
        for metric in task.metrics:
            table = _table(results, measured, metric)
            row = ResultRow(name, mean_of, metric, float(table.mean()), int(sum(clips.values())), **shared)
            over_folds, over_seeds = float(table.mean(axis=1).std()), float(table.mean(axis=0).std())
            if cross_validate:
                rows.append(replace(row, spread=over_folds))
                if several_seeds:
                    split = f"{mean_of}, spread over seeds"
                    rows.append(replace(row, split=split, spread=over_seeds, headline=False))
            else:
                rows.append(replace(row, spread=over_seeds if several_seeds else None))
        if name == model:
            for metric, key in (("training_minutes", "minutes"), ("parameter_count", "parameters")):
                value = float(_table(results, _training, key).mean())
                rows.append(ResultRow(name, mean_of, metric, value, int(sum(clips.values())), **shared))
        if cross_validate:
            label = "signer" if cross_validate == "signer" else "fold"
            first = task.metrics[0]
            for fold, values in zip(results, _table(results, measured, first)):
                row = ResultRow(name, f"{label}={fold}", first, float(values.mean()), clips[fold], **shared)
                rows.append(replace(row, spread=float(values.std()) if several_seeds else None, headline=False))
    return rows


Measured = Callable[[RunResult], dict[str, float]]
"""Where a run holds some of its metrics."""


def _own(run: RunResult) -> dict[str, float]:
    return run.metrics


def _training(run: RunResult) -> dict[str, float]:
    return run.training


def _of_baseline(task: Task, name: str) -> Measured:
    return lambda run: task.baselines(run)[name]


Measured = Callable[[RunResult], dict[str, float]]
"""Where a run holds some of its metrics."""


def _own(run: RunResult) -> dict[str, float]:
    return run.metrics


def _training(run: RunResult) -> dict[str, float]:
    return run.training


def _of_baseline(task: Task, name: str) -> Measured:
    return lambda run: task.baselines(run)[name]


def _methods(task: Task, result: RunResult) -> dict[str, Measured]:
    """The model, whose name is not known here, and the baselines."""
    return {"": _own} | {name: _of_baseline(task, name) for name in task.baselines(result)}


def _columns(task: Task, result: RunResult) -> dict[str, tuple[Measured, str]]:
    """What people are shown of a run: what the task names of the model, and the first of it of each baseline."""
    title, metric = next(iter(task.shown.items()))
    baselines = {f"{name} {title}": (_of_baseline(task, name), metric) for name in task.baselines(result)}
    return {name: (_own, metric) for name, metric in task.shown.items()} | baselines


def _said(metric: str, *values: float) -> str:
    """A value, with its spread if there is one: rates in per cent, scores as they are."""
    score = unit_of(metric) == "score"
    said = " ± ".join(f"{value if score else 100 * value:.{2 if score else 1}f}" for value in values)
    return said if score else f"{said} %"


def _table(results: Results, measured: Measured, metric: str) -> np.ndarray:
    """(folds, seeds) of one metric."""
    return np.array([[measured(run)[metric] for run in runs.values()] for runs in results.values()])


def _summary(results: Results, rows: list[ResultRow], folder: Path) -> dict[str, Any]:
    mean = {f"{row.model}, {row.split}, {row.metric}": {"mean": row.value, "std": row.spread} for row in rows}
    runs = []
    for fold, seeds in results.items():
        for seed, run in seeds.items():
            told = {
                part.name: getattr(run, part.name) for part in fields(run) if part.name not in ("trainer", "folder")
            }
            runs.append({"fold": fold, "seed": seed, "folder": run.folder.relative_to(folder).as_posix(), **told})
    return {"mean": mean, "runs": runs}


def show(results: Results, task: Task = ISOLATED) -> None:
    """Print a line a fold, means over its seeds, and the mean over folds."""
    first = next(iter(next(iter(results.values())).values()))
    columns = _columns(task, first)
    minutes = _table(results, _training, "minutes")
    clips = [next(iter(runs.values())).metrics["n"] for runs in results.values()]
    metrics = [metric for _, metric in columns.values()]
    tables = [_table(results, *column) for column in columns.values()]
    seeds = tables[0].shape[1]
    table = Table("held out", "clips", *columns, "minutes", title=f"{len(results)} folds, {seeds} seeds")
    for row, fold in enumerate(results):
        shares = (_said(metric, values[row].mean()) for metric, values in zip(metrics, tables))
        table.add_row(fold, str(clips[row]), *shares, f"{minutes[row].mean():.1f}")
    table.add_section()
    folds = (_said(metric, v.mean(), v.mean(axis=1).std()) for metric, v in zip(metrics, tables))
    table.add_row("mean ± std over folds", str(sum(clips)), *folds, f"{minutes.mean():.1f}")
    if seeds > 1:
        own = list(zip(metrics, tables))[: len(task.shown)]
        rest = [""] * (len(tables) - len(own))
        table.add_row("std over seeds", "", *(_said(metric, v.mean(axis=0).std()) for metric, v in own), *rest, "")
    console.print(table)
