"""Train an isolated-sign recogniser on any landmark dataset.

    accelerate launch recipes/train_isolated.py --config recipes/configs/fingerspelling_transformer.yaml
    accelerate launch recipes/train_isolated.py --dataset landmark_folder --data_dir my_signs --num_train_epochs 60

Every argument of the three groups (``--help`` lists them) can stand in the YAML file or on the command line; the command line
wins. Running the same command again resumes from the last checkpoint. ``--leave_one_signer_out true`` trains one model for each
signer and prints mean and spread.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import DatasetDict
from rich.console import Console
from rich.table import Table

from signlang_hf.data import load_dataset
from signlang_hf.data.leaks import check_leaks
from signlang_hf.data.splits import leave_one_signer_out, signer_disjoint_split, stratified_split
from signlang_hf.hub import push_to_hub
from signlang_hf.training.arguments import DataArguments, ModelArguments, SignTrainingArguments, parse
from signlang_hf.training.cards import launch_command, save_training_card
from signlang_hf.training.isolated import IsolatedResult, train_isolated
from signlang_hf.training.results import ResultRow, save_results

console = Console()


def main(argv: list[str] | None = None) -> IsolatedResult | None:
    model_args, data_args, args = parse(argv)
    command = launch_command("recipes/train_isolated.py", argv)
    if data_args.leave_one_signer_out:
        cross_validate(model_args, data_args, args, command)
        return None

    # Data
    splits = load_splits(data_args, seed=args.seed)
    refuse_leaks(splits, data_args)

    # Training, and the test split if there is one
    result = train_isolated(model_args, data_args, args, splits)

    # Card, and the Hub
    if result.trainer.is_world_process_zero():
        save_training_card(result, data_args, args, splits, command)
        if result.metrics:
            show_result(result)
        console.print(f"Wrote {result.folder}")
        if args.push_to_hub:
            console.print(f"Pushed to {push(result, args)}")
    return result


def push(result: IsolatedResult, args: SignTrainingArguments) -> str:
    """The finished folder as one commit; the Trainer's own push would replace the card."""
    return push_to_hub(
        result.folder,
        args.hub_model_id or result.folder.name,
        private=bool(args.hub_private_repo),
        revision=getattr(args, "hub_revision", None),
        token=args.hub_token,
        commit_message="End of training",
    )


def load_splits(data_args: DataArguments, seed: int) -> DatasetDict:
    """The splits that the run uses, under the names train, validation and test."""
    loaded = load_dataset(
        data_args.dataset, data_args.data_dir, num_proc=data_args.num_proc, **data_args.dataset_options
    )
    if data_args.train_split not in loaded:
        raise ValueError(f"There is no split '{data_args.train_split}'; the dataset has {', '.join(loaded)}.")
    splits = DatasetDict(train=loaded[data_args.train_split])
    for name, source in (("validation", data_args.validation_split), ("test", data_args.test_split)):
        if source in loaded and source != data_args.train_split:
            splits[name] = loaded[source]
    if "validation" not in splits and data_args.validation_size:
        carve = signer_disjoint_split if data_args.validation_by == "signer" else stratified_split
        carved = carve(splits["train"], test_size=data_args.validation_size, seed=seed)
        splits["train"], splits["validation"] = carved["train"], carved["test"]
    return splits


def refuse_leaks(splits: DatasetDict, data_args: DataArguments) -> None:
    """No clip may stand in two splits, and no signer in training and test where the splits claim so.

    Validation may share signers with training: it chooses a model, it does not measure one.
    """
    check_leaks(splits, allow=data_args.allow_leaks)
    measured = DatasetDict({name: split for name, split in splits.items() if name != "validation"})
    if data_args.signer_independent and len(measured) > 1:
        check_leaks(measured, allow=data_args.allow_leaks, signer_independent=True, near_duplicates=False)


def folds(data_args: DataArguments, seed: int) -> Iterator[tuple[str, DatasetDict]]:
    """One fold for each signer of the training split."""
    rows = load_dataset(
        data_args.dataset,
        data_args.data_dir,
        split=data_args.train_split,
        num_proc=data_args.num_proc,
        **data_args.dataset_options,
    )
    for signer, splits in leave_one_signer_out(
        rows, validation_size=data_args.validation_size, validation_by=data_args.validation_by, seed=seed
    ):
        if data_args.folds is None or signer in data_args.folds:
            yield signer, splits


def cross_validate(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, command: str
) -> None:
    """All folds, one after the other, then mean and spread. A fold that is finished is not trained again."""
    results: dict[str, IsolatedResult] = {}
    for signer, splits in folds(data_args, args.seed):
        fold_args = copy.copy(args)
        fold_args.output_dir = str(Path(args.output_dir) / signer)
        refuse_leaks(splits, data_args)
        results[signer] = train_isolated(model_args, data_args, fold_args, splits)
        if results[signer].trainer.is_world_process_zero():
            accuracy = results[signer].metrics["accuracy"]
            console.print(
                f"{signer}: top-1 {100 * accuracy:.1f} %, 1-NN {100 * results[signer].baseline['accuracy']:.1f} %"
            )
    if not results:
        raise ValueError(f"None of the folds {data_args.folds} is a signer of the dataset.")
    if next(iter(results.values())).trainer.is_world_process_zero():
        show_folds(results)
        if data_args.benchmark:
            path = save_results(data_args.benchmark, fold_rows(results, model_args, args, command))
            console.print(f"Wrote {path}")


def fold_rows(
    results: dict[str, IsolatedResult], model_args: ModelArguments, args: SignTrainingArguments, command: str
) -> list[ResultRow]:
    """Result rows: the mean over folds with its spread, and each fold, for the model and the baseline."""
    shared = {"seeds": (args.seed,), "command": command}
    rows = []
    for model, measured in (
        (model_args.model_type, {signer: result.metrics for signer, result in results.items()}),
        ("1-NN", {signer: result.baseline for signer, result in results.items()}),
    ):
        clips = int(sum(metrics["n"] for metrics in measured.values()))
        for metric in ("accuracy", "top5_accuracy", "macro_f1"):
            values = [metrics[metric] for metrics in measured.values()]
            mean, spread = float(np.mean(values)), float(np.std(values))
            rows.append(
                ResultRow(model, f"mean of {len(values)} signers", metric, mean, clips, spread=spread, **shared)
            )
        for signer, metrics in measured.items():
            row = ResultRow(model, f"signer={signer}", "accuracy", metrics["accuracy"], metrics["n"], **shared)
            rows.append(replace(row, headline=False))
    return rows


def show_result(result: IsolatedResult) -> None:
    table = Table("", "top-1", "top-5", "macro-F1", title=f"Test split, {result.metrics['n']} clips")
    for name, metrics in (("model", result.metrics), ("1-NN baseline", result.baseline)):
        cells = [
            f"{100 * metrics[key]:.1f} % ({100 * metrics[f'{key}_low']:.1f}–{100 * metrics[f'{key}_high']:.1f})"
            for key in ("accuracy", "top5_accuracy", "macro_f1")
        ]
        table.add_row(name, *cells)
    console.print(table)


def show_folds(results: dict[str, IsolatedResult]) -> None:
    table = Table("held out", "clips", "top-1", "top-5", "1-NN top-1", title="Leave one signer out")
    for signer, result in results.items():
        shares = (result.metrics["accuracy"], result.metrics["top5_accuracy"], result.baseline["accuracy"])
        table.add_row(signer, str(result.metrics["n"]), *(f"{100 * share:.1f} %" for share in shares))
    table.add_section()
    columns = [
        [result.metrics["accuracy"] for result in results.values()],
        [result.metrics["top5_accuracy"] for result in results.values()],
        [result.baseline["accuracy"] for result in results.values()],
    ]
    clips = sum(result.metrics["n"] for result in results.values())
    cells = (f"{100 * np.mean(column):.1f} ± {100 * np.std(column):.1f} %" for column in columns)
    table.add_row("mean ± std", str(clips), *cells)
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"train_isolated: {error}")
