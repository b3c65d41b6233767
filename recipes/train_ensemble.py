"""Train an ensemble of isolated-sign recognisers, and an XGBoost booster that corrects their vote.

    accelerate launch recipes/train_ensemble.py --config recipes/configs/dgs30_ensemble.yaml
    accelerate launch recipes/train_ensemble.py --members a.yaml b.yaml --dataset landmark_folder --data_dir my_signs

``--members`` are configuration files of ``train_isolated.py``; what the ensemble's own file or the command line says holds for all
of them and wins (``--help`` lists everything). Each member is trained once on all training clips and once without each inner fold,
below ``<output_dir>/runs``. Running the same command again goes on where it stopped; finished trainings are read, so another
``--booster`` costs no training. ``--cross_validate signer`` or ``stratified`` makes one ensemble a fold, and ``--seeds 0 1 2`` three of
each; mean and spread are printed.
"""

from __future__ import annotations

import copy
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.hub import open_repo, push_to_hub
from signlang_hf.training.cards import launch_command, save_ensemble_card
from signlang_hf.training.checkpoints import write_json
from signlang_hf.training.cross_validation import SUMMARY, result_rows, show
from signlang_hf.training.ensemble_arguments import MemberArguments, parse_ensemble
from signlang_hf.training.results import ResultRow, save_results
from signlang_hf.training.splits import load_folds, load_splits, refuse_leaks
from signlang_hf.training.stacking import EnsembleResult, train_ensemble

console = Console()

Results = dict[str, dict[int, EnsembleResult]]
"""Fold → seed → what was measured. A dataset's own test split is the one fold ``test``."""


def main(argv: list[str] | None = None) -> Results:
    ensemble, members = parse_ensemble(argv)
    options = {"num_folds": ensemble.inner_folds, "booster": ensemble.booster_settings}
    command = launch_command("recipes/train_ensemble.py", argv)
    _, data_args, args = next(iter(members.values()))
    if data_args.seeds and not data_args.cross_validate:
        raise ValueError(
            "One ensemble is trained with one seed; leave --seeds out and give --seed, or --cross_validate."
        )
    train = cross_validate if data_args.cross_validate else train_one
    results = train(members, options, command)
    if args.should_save and _every(results)[0].metrics:
        show_members(results)
        if data_args.benchmark:
            rows = all_rows(results, data_args.cross_validate, command)
            console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
    return results


def train_one(members: dict[str, MemberArguments], options: dict[str, Any], command: str) -> Results:
    """One ensemble, with its card, and to the Hub."""
    _, data_args, args = next(iter(members.values()))
    folder = Path(args.output_dir)
    if args.push_to_hub and args.should_save:
        open_repo(**args.hub_repo)  # that a run may not push is better known before training than after it
    splits = load_splits(data_args, seed=args.seed)
    refuse_leaks(splits, data_args)
    result = train_ensemble(members, splits, folder, **options)
    if args.should_save:
        save_ensemble_card(result, data_args, args, splits, command)
        console.print(f"Wrote {folder}")
        if args.push_to_hub:
            console.print(f"Pushed to {push_to_hub(folder, commit_message='End of training', **args.hub_repo)}")
    return {"test": {args.seed: result}}


def cross_validate(members: dict[str, MemberArguments], options: dict[str, Any], command: str) -> Results:
    """One ensemble for each fold. What is finished is read."""
    _, data_args, args = next(iter(members.values()))
    if args.push_to_hub:
        raise ValueError("Several folds train several ensembles; push one of them with 'signlang push'.")
    results: Results = {}
    for fold, splits in load_folds(data_args):
        for seed in data_args.seeds or (args.seed,):
            folder = Path(args.output_dir) / (f"seed-{seed}" if data_args.seeds else "") / re.sub(r"[/\\:]", "_", fold)
            result = train_ensemble(_with_seed(members, seed), splits, folder, **options)
            results.setdefault(fold, {})[seed] = result
            if args.should_save:
                of_seed = f", seed {seed}" if data_args.seeds else ""
                console.print(f"{fold}{of_seed}: top-1 {100 * result.metrics['accuracy']:.1f} %")
    if args.should_save:
        show(results)
        summary = {
            fold: {seed: {**vars(result), "folder": str(result.folder)} for seed, result in seeds.items()}
            for fold, seeds in results.items()
        }
        console.print(f"Wrote {write_json(Path(args.output_dir) / SUMMARY, summary)}")
    return results


def _with_seed(members: dict[str, MemberArguments], seed: int) -> dict[str, MemberArguments]:
    seeded = {}
    for name, (model_args, data_args, args) in members.items():
        args = copy.copy(args)
        args.seed = seed
        seeded[name] = (model_args, data_args, args)
    return seeded


def all_rows(results: Results, cross_validate: str | None, command: str) -> list[ResultRow]:
    """Result rows of the ensemble, of the nearest neighbour and, out of the tables, of each member."""
    rows = result_rows(results, "signlang_ensemble", cross_validate, command)
    for member in _every(results)[0].members:
        alone = {
            fold: {seed: replace(result, metrics=result.members[member]) for seed, result in seeds.items()}
            for fold, seeds in results.items()
        }
        found = result_rows(alone, f"{member} in the ensemble", cross_validate, command)
        rows += [replace(row, headline=False) for row in found if row.model != "1-NN"]
    return rows


def show_members(results: Results) -> None:
    """Print the accuracy of each member and of the ensemble, and how much each member counts."""
    table = Table("", "top-1", "weight", title="Members and ensemble on the test clips")
    every = _every(results)
    for member in every[0].members:
        accuracy = np.mean([result.members[member]["accuracy"] for result in every])
        weights = [result.stack["weights"][member] for result in every if result.stack]
        table.add_row(member, f"{100 * accuracy:.1f} %", f"{np.mean(weights):.2f}" if weights else "equal")
    table.add_section()
    accuracy = np.mean([result.metrics["accuracy"] for result in every])
    trees = sorted({result.stack.get("num_trees", 0) for result in every})
    table.add_row("ensemble", f"{100 * accuracy:.1f} %", f"+ {', '.join(map(str, trees))} rounds of trees")
    console.print(table)


def _every(results: Results) -> list[EnsembleResult]:
    return [result for seeds in results.values() for result in seeds.values()]


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(
            f"train_ensemble: {error}\nHere that is --allow_leaks true; --signer_independent false if signers may recur."
        )
    except (ValueError, FileNotFoundError, ImportError, PermissionError, ConnectionError) as error:
        sys.exit(f"train_ensemble: {error}")
    except KeyboardInterrupt:
        sys.exit("train_ensemble: interrupted; run the same command again to go on.")
