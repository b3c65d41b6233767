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
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ..compat import move_output
from .arguments import DataArguments, ModelArguments, SignTrainingArguments
from .checkpoints import write_json
from .isolated import METRICS, IsolatedResult, train_isolated
from .results import ResultRow, save_results
from .splits import load_folds, load_splits, refuse_leaks

if TYPE_CHECKING:
    from datasets import DatasetDict

SUMMARY = "runs.json"

console = Console()

Results = dict[str, dict[int, IsolatedResult]]
"""Fold → seed → what was measured. A dataset's own test split is the one fold ``test``."""


def train_many(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, command: str
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
            result = train_isolated(
                model_args, data_args, run_arguments(args, name, seed if data_args.seeds else None), splits
            )
            _close_trackers(args)
            # Without its trainer, or all models and their optimisers would stay in memory.
            results.setdefault(fold, {})[seed] = replace(result, trainer=None)
            if args.should_save:
                console.print(
                    f"{fold}{f', seed {seed}' if data_args.seeds else ''}: top-1 {100 * result.metrics['accuracy']:.1f} %, "
                    f"1-NN {100 * result.baseline['accuracy']:.1f} %, {result.training['minutes']:.1f} min"
                )
    if args.should_save:
        rows = result_rows(results, model_args.model_type, data_args.cross_validate, command)
        show(results)
        if data_args.benchmark:
            console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
        folder = Path(args.output_dir)
        console.print(f"Wrote {write_json(folder / SUMMARY, _summary(results, rows, folder))}")
    return results


def _folds(data_args: DataArguments, args: SignTrainingArguments) -> Iterable[tuple[str, DatasetDict]]:
    if data_args.cross_validate:
        return load_folds(data_args)
    splits = load_splits(data_args, seed=args.seed)
    if "test" not in splits:
        raise ValueError(
            f"There is no split '{data_args.test_split}' to compare seeds on; --cross_validate makes some."
        )
    refuse_leaks(splits, data_args)
    return [("test", splits)]


def _close_trackers(args: SignTrainingArguments) -> None:
    """wandb keeps its run open for whatever comes next in the process; the next training is a run of its own."""
    if "wandb" in args.report_to:
        import wandb

        wandb.finish()


def run_arguments(args: SignTrainingArguments, fold: str, seed: int | None) -> SignTrainingArguments:
    """The arguments with a folder of the run's own, also for its logs, and with its seed."""
    run_args = copy.copy(args)
    folder = Path(args.output_dir)
    if seed is not None:
        run_args.seed = seed
        folder /= f"seed-{seed}"
    move_output(run_args, str(folder / re.sub(r"[/\\:]", "_", fold)))
    return run_args


def result_rows(results: Results, model: str, cross_validate: str | None, command: str) -> list[ResultRow]:
    """Result rows of the model and of the baseline: the mean with its spread over folds (over seeds where there is one fold); out of the
    tables the same with its spread over seeds, and every fold."""
    what = {"signer": "signers", "stratified": "folds", None: ""}[cross_validate]
    mean_of = f"mean of {len(results)} {what}" if cross_validate else "test"
    shared = {"seeds": tuple(next(iter(results.values()))), "command": command}
    rows = []
    for name, kind in ((model, "metrics"), ("1-NN", "baseline")):
        clips = {fold: next(iter(runs.values())).metrics["n"] for fold, runs in results.items()}
        several_seeds = name == model and len(shared["seeds"]) > 1
        for metric in METRICS:
            table = _table(results, kind, metric)
            row = ResultRow(name, mean_of, metric, float(table.mean()), int(sum(clips.values())), **shared)
            over_folds, over_seeds = float(table.mean(axis=1).std()), float(table.mean(axis=0).std())
            if cross_validate:
                rows.append(replace(row, spread=over_folds))
                if several_seeds:
                    split = f"{mean_of}, spread over seeds"
                    rows.append(replace(row, split=split, spread=over_seeds, headline=False))
            else:
                rows.append(replace(row, spread=over_seeds if several_seeds else None))
        if kind == "metrics":
            for metric, key in (("training_minutes", "minutes"), ("parameter_count", "parameters")):
                value = float(_table(results, "training", key).mean())
                rows.append(ResultRow(name, mean_of, metric, value, int(sum(clips.values())), **shared))
        if cross_validate:
            label = "signer" if cross_validate == "signer" else "fold"
            for fold, values in zip(results, _table(results, kind, "accuracy")):
                row = ResultRow(name, f"{label}={fold}", "accuracy", float(values.mean()), clips[fold], **shared)
                rows.append(replace(row, spread=float(values.std()) if several_seeds else None, headline=False))
    return rows


def _table(results: Results, kind: str, metric: str) -> np.ndarray:
    """(folds, seeds) of one metric."""
    return np.array([[getattr(run, kind)[metric] for run in runs.values()] for runs in results.values()])


def _summary(results: Results, rows: list[ResultRow], folder: Path) -> dict[str, Any]:
    mean = {f"{row.model}, {row.split}, {row.metric}": {"mean": row.value, "std": row.spread} for row in rows}
    runs = [
        {
            "fold": fold, "seed": seed, "folder": run.folder.relative_to(folder).as_posix(), "metrics": run.metrics,
            "baseline": run.baseline, "training": run.training, "calibration": run.calibration,
        }
        for fold, seeds in results.items() for seed, run in seeds.items()
    ]  # fmt: skip
    return {"mean": mean, "runs": runs}


def show(results: Results) -> None:
    """Print a line a fold, means over its seeds, and the mean over folds."""
    columns = {
        "top-1": ("metrics", "accuracy"), "top-5": ("metrics", "top5_accuracy"), "1-NN top-1": ("baseline", "accuracy"),
    }  # fmt: skip
    minutes = _table(results, "training", "minutes")
    clips = [next(iter(runs.values())).metrics["n"] for runs in results.values()]
    tables = [_table(results, *column) for column in columns.values()]
    seeds = tables[0].shape[1]
    table = Table("held out", "clips", *columns, "minutes", title=f"{len(results)} folds, {seeds} seeds")
    for row, fold in enumerate(results):
        shares = (f"{100 * values[row].mean():.1f} %" for values in tables)
        table.add_row(fold, str(clips[row]), *shares, f"{minutes[row].mean():.1f}")
    table.add_section()
    folds = (f"{100 * values.mean():.1f} ± {100 * values.mean(axis=1).std():.1f} %" for values in tables)
    table.add_row("mean ± std over folds", str(sum(clips)), *folds, f"{minutes.mean():.1f}")
    if seeds > 1:
        table.add_row(
            "std over seeds", "", *(f"{100 * values.mean(axis=0).std():.1f} %" for values in tables[:2]), "", ""
        )
    console.print(table)
