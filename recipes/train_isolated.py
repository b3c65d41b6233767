"""Train an isolated-sign recogniser on any landmark dataset.

    accelerate launch recipes/train_isolated.py --config recipes/configs/fingerspelling_transformer.yaml
    accelerate launch recipes/train_isolated.py --dataset landmark_folder --data_dir my_signs --num_train_epochs 60

Every argument of the three groups (``--help`` lists them) can stand in the YAML file or on the command line; the command line
wins. Running the same command again resumes from the last checkpoint; a finished run or fold is read and not trained again.
``--leave_one_signer_out true`` trains one model for each signer and prints mean and spread.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from datasets import DatasetDict
from rich.console import Console
from rich.table import Table

from signlang_hf.compat import move_output
from signlang_hf.data import load_dataset
from signlang_hf.data.leaks import LeakError, check_leaks
from signlang_hf.data.splits import leave_one_signer_out, signer_disjoint_split, stratified_split
from signlang_hf.hub import open_repo, push_to_hub
from signlang_hf.training.arguments import DataArguments, ModelArguments, SignTrainingArguments, parse
from signlang_hf.training.cards import launch_command, save_training_card, test_rows
from signlang_hf.training.checkpoints import write_json
from signlang_hf.training.isolated import IsolatedResult, train_isolated
from signlang_hf.training.results import BENCHMARKS, ResultRow, save_results

console = Console()


def main(argv: list[str] | None = None) -> IsolatedResult | None:
    model_args, data_args, args = parse(argv)
    command = launch_command("recipes/train_isolated.py", argv)
    if data_args.benchmark is not None and data_args.benchmark not in BENCHMARKS:
        raise ValueError(f"Unknown benchmark {data_args.benchmark!r}; known are {', '.join(BENCHMARKS)}.")
    if data_args.leave_one_signer_out:
        cross_validate(model_args, data_args, args, command)
        return None
    hub = {
        "repo_id": args.hub_model_id or Path(args.output_dir).name,
        "private": bool(args.hub_private_repo),
        "revision": args.hub_revision,
        "token": args.hub_token,
    }
    if args.push_to_hub and args.should_save:
        open_repo(**hub)  # that a run may not push is better known before training than after it

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
        if result.metrics and data_args.benchmark:
            rows = test_rows(result, model_args.model_type, "test", command, seeds=(args.seed,))
            console.print(f"Wrote {save_results(data_args.benchmark, [*rows[0], *rows[1]])}")
        console.print(f"Wrote {result.folder}")
        if args.push_to_hub:
            # Not the Trainer's own push, which would replace the card.
            console.print(f"Pushed to {push_to_hub(result.folder, commit_message='End of training', **hub)}")
    return result


def load_splits(data_args: DataArguments, seed: int) -> DatasetDict:
    """The splits that the run uses, under the names train, validation and test."""
    loaded = load_dataset(
        data_args.dataset, data_args.data_dir, num_proc=data_args.num_proc, **data_args.dataset_options
    )
    if data_args.train_split not in loaded:
        raise ValueError(f"There is no split '{data_args.train_split}'; the dataset has {', '.join(loaded)}.")
    splits = DatasetDict(train=loaded[data_args.train_split])
    defaults = {field.name: field.default for field in fields(DataArguments)}
    for name in ("validation", "test"):
        source = getattr(data_args, f"{name}_split")
        if source in loaded and source != data_args.train_split:
            splits[name] = loaded[source]
        elif source != defaults[f"{name}_split"]:
            raise ValueError(
                f"There is no split '{source}' beside the training split; the dataset has {', '.join(loaded)}."
            )
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
    """One fold for each signer of the training split, or for those that ``--folds`` names."""
    rows = load_dataset(
        data_args.dataset,
        data_args.data_dir,
        split=data_args.train_split,
        num_proc=data_args.num_proc,
        **data_args.dataset_options,
    )
    every = dict(
        leave_one_signer_out(
            rows, validation_size=data_args.validation_size, validation_by=data_args.validation_by, seed=seed
        )
    )
    wanted = list(every) if data_args.folds is None else data_args.folds
    unknown = [signer for signer in wanted if signer not in every]
    if unknown:
        raise ValueError(f"No signer is called {', '.join(unknown)}; the signers are {', '.join(every)}.")
    for signer in wanted:
        yield signer, every[signer]


def fold_arguments(args: SignTrainingArguments, signer: str) -> SignTrainingArguments:
    """The arguments with a folder of the fold's own, also for its logs."""
    fold_args = copy.copy(args)
    move_output(fold_args, str(Path(args.output_dir) / re.sub(r"[/\\:]", "_", signer)))
    return fold_args


def cross_validate(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, command: str
) -> None:
    """All folds, one after the other, then mean and spread. A fold that is finished is not trained again."""
    if args.push_to_hub:
        raise ValueError(
            "Leaving one signer out trains a model for each signer; push one of them with 'signlang push'."
        )
    results: dict[str, IsolatedResult] = {}
    for signer, splits in folds(data_args, args.seed):
        refuse_leaks(splits, data_args)
        results[signer] = train_isolated(model_args, data_args, fold_arguments(args, signer), splits)
        if args.should_save:
            accuracy = results[signer].metrics["accuracy"]
            console.print(
                f"{signer}: top-1 {100 * accuracy:.1f} %, 1-NN {100 * results[signer].baseline['accuracy']:.1f} %"
            )
    if args.should_save:
        show_folds(results)
        rows = fold_rows(results, model_args, args, command)
        if data_args.benchmark:
            console.print(f"Wrote {save_results(data_args.benchmark, rows)}")
        summary = {f"{row.model}, {row.metric}": {"mean": row.value, "std": row.spread} for row in rows if row.headline}
        by_signer = {signer: {"metrics": one.metrics, "baseline": one.baseline} for signer, one in results.items()}
        console.print(
            f"Wrote {write_json(Path(args.output_dir) / 'folds.json', {'mean': summary, 'folds': by_signer})}"
        )


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
    except LeakError as error:
        sys.exit(
            f"train_isolated: {error}\nHere that is --allow_leaks true; --signer_independent false if signers may recur."
        )
    except (ValueError, FileNotFoundError, ImportError, PermissionError, ConnectionError) as error:
        sys.exit(f"train_isolated: {error}")
    except KeyboardInterrupt:
        sys.exit("train_isolated: interrupted; run the same command again to go on.")
