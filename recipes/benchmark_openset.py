"""How well a model tells signs of its vocabulary from all others.

    accelerate launch recipes/benchmark_openset.py --config recipes/configs/dgs30_openset.yaml --data_dir DGS
    accelerate launch recipes/benchmark_openset.py --config recipes/configs/dgs30_conv.yaml --data_dir DGS --leave_words_out 6

takes the arguments of ``train_isolated.py``. With ``--unknown_split`` the folds of its cross-validation are measured: known are the
test clips of each fold, unknown the clips of that split; folds that are not trained yet are trained. With ``--leave_words_out N``
the vocabulary is cut into groups of N words instead. For each group a model is trained on the other words, of which every fifth clip
is kept for testing, and the group's clips are unknown. The folds' AUROC and the share of unknown clips that is accepted when 95 %
of the known ones are kept are averaged. Which of the three scores is the headline is fixed beforehand (``--score``, default
``energy``); the others are written beside it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.data.splits import stratified_split
from signlang_hf.metrics.open_set.open_set import SCORES, open_set
from signlang_hf.training.arguments import DataArguments, SignTrainingArguments, parse
from signlang_hf.training.building import saved_model, saved_processor
from signlang_hf.training.cards import launch_command
from signlang_hf.training.cross_validation import run_arguments
from signlang_hf.training.evaluation import label_names, predict, predict_unknown
from signlang_hf.training.isolated import train_isolated
from signlang_hf.training.results import ResultRow, save_results
from signlang_hf.training.splits import load_folds, load_splits, without_duplicates

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

METRICS = ("auroc", "unknown_accepted", "accuracy")

console = Console()


@dataclass
class OpenSetArguments:
    """What is unknown, and how it is told."""

    leave_words_out: int = field(
        default=0, metadata={"help": "Leave groups of so many words out of training; 0 measures --unknown_split."}
    )
    score: str = field(default="energy", metadata={"help": f"Score of the headline: {', '.join(SCORES)}."})

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ValueError(f"score is {self.score!r}; choose one of {', '.join(SCORES)}.")
        if self.leave_words_out < 0:
            raise ValueError(f"leave_words_out is {self.leave_words_out}; it is a number of words.")


def main(argv: list[str] | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Score → metric → (folds,) values."""
    model_args, data_args, args, how = parse(argv, OpenSetArguments)
    if how.leave_words_out:
        folds = words_left_out(data_args, how.leave_words_out)
        what, of = f"{how.leave_words_out} words left out", "groups"
    elif data_args.cross_validate and data_args.unknown_split:
        folds = load_folds(data_args)
        what, of = f"split {data_args.unknown_split}", "folds"
    else:
        raise ValueError("Give --cross_validate and --unknown_split, or --leave_words_out.")
    found: dict[str, dict[str, list[float]]] = {score: {metric: [] for metric in METRICS} for score in SCORES}
    clips = 0
    for name, splits in folds:
        unknown = splits["unknown"]
        clips += len(splits["test"]) + len(unknown)
        logits, references = logits_of(model_args, data_args, run_arguments(args, name, None), splits, unknown)
        for score, metrics in found.items():
            measured = open_set(logits, references, score=score)
            for metric, values in metrics.items():
                values.append(measured[metric])
        console.print(f"{name}: " + ", ".join(f"AUROC by {score} {found[score]['auroc'][-1]:.3f}" for score in SCORES))
    arrays = {
        score: {metric: np.array(values) for metric, values in metrics.items()} for score, metrics in found.items()
    }
    show(arrays)
    if data_args.benchmark:
        shared = {"seeds": (args.seed,), "command": launch_command("recipes/benchmark_openset.py", argv)}
        rows = [
            ResultRow(
                f"{model_args.model_type}, by {score}", f"{what}, mean of {len(values)} {of}", metric, float(values.mean()), clips,
                spread=float(values.std()), headline=score == how.score, **shared,
            )
            for score, metrics in arrays.items()
            for metric, values in metrics.items()
        ]  # fmt: skip
        console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
    return arrays


def logits_of(
    model_args: object, data_args: DataArguments, args: SignTrainingArguments, splits: DatasetDict, unknown: Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the test clips and then of the unknown ones, and their classes, -1 for unknown ones."""
    folder = train_isolated(model_args, data_args, args, splits).folder
    model, processor = saved_model(str(folder)), saved_processor(str(folder))
    known, labels = predict(model, processor, splits["test"])
    others = predict_unknown(model, processor, unknown)
    return np.concatenate([known, others]), np.concatenate([labels, np.full(len(others), -1)])


def words_left_out(data_args: DataArguments, size: int) -> Iterator[tuple[str, DatasetDict]]:
    """For each group of ``size`` words: training and test clips of all other words, and the group's clips as ``unknown``.

    Groups are drawn with a fixed seed. Raises ValueError when fewer than two words stay.
    """
    from datasets import ClassLabel

    plain = copy.copy(data_args)
    plain.unknown_split = None
    rows = without_duplicates(load_splits(plain, seed=0)["train"])
    names = label_names(rows)
    if len(names) - size < 2:
        raise ValueError(f"Of {len(names)} words {size} cannot be left out; at least two must stay.")
    order = np.random.default_rng(0).permutation(len(names))
    labels = np.array(rows["label"])
    for number, start in enumerate(range(0, len(names) - size + 1, size), 1):
        left_out = set(order[start : start + size].tolist())
        is_out = np.isin(labels, list(left_out))
        kept = [index for index in range(len(names)) if index not in left_out]
        known = rows.select(np.flatnonzero(~is_out))
        renumbered = np.full(len(names), -1)
        renumbered[kept] = np.arange(len(kept))
        known = known.remove_columns("label").add_column("label", renumbered[np.array(known["label"])].tolist())
        known = known.cast_column("label", ClassLabel(names=[names[index] for index in kept]))
        splits = stratified_split(known, test_size=0.2, seed=0)
        splits["unknown"] = rows.select(np.flatnonzero(is_out))
        yield f"without-{number}", splits


def show(found: dict[str, dict[str, np.ndarray]]) -> None:
    """Print a line a score."""
    table = Table("score", "AUROC", "unknown accepted", "accuracy", title="mean ± std over folds, 95 % of known kept")
    for score, metrics in found.items():
        table.add_row(
            score, *(f"{100 * values.mean():.1f} ± {100 * values.std():.1f} %" for values in metrics.values())
        )
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except (LeakError, ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"benchmark_openset: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_openset: interrupted; run the same command again to go on.")
