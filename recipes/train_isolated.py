"""Train an isolated-sign recogniser on any landmark dataset.

    accelerate launch recipes/train_isolated.py --config recipes/configs/fingerspelling_transformer.yaml
    accelerate launch recipes/train_isolated.py --dataset landmark_folder --data_dir my_signs --num_train_epochs 60

Every argument of the three groups (``--help`` lists them) can stand in the YAML file or on the command line; the command line
wins. Running the same command again resumes from the last checkpoint; a finished run or fold is read and not trained again.
``--cross_validate signer`` trains one model for each signer, ``--cross_validate stratified`` one for each of ``--num_folds`` parts, and
``--seeds 0 1 2`` each of them three times; mean and spread are printed.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.hub import open_repo, push_to_hub
from signlang_hf.training.arguments import parse
from signlang_hf.training.cards import launch_command, save_training_card, test_rows
from signlang_hf.training.cross_validation import train_many
from signlang_hf.training.isolated import IsolatedResult, train_isolated
from signlang_hf.training.results import save_results
from signlang_hf.training.splits import load_splits, refuse_leaks

console = Console()


def main(argv: list[str] | None = None) -> IsolatedResult | None:
    model_args, data_args, args = parse(argv)
    command = launch_command("recipes/train_isolated.py", argv)
    if data_args.cross_validate or data_args.seeds:
        train_many(model_args, data_args, args, command)
        return None
    if args.push_to_hub and args.should_save:
        open_repo(**args.hub_repo)  # that a run may not push is better known before training than after it

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
            console.print(f"Wrote {save_results(data_args.benchmark, [*rows[0], *rows[1]], replace=False)}")
        console.print(f"Wrote {result.folder}")
        if args.push_to_hub:
            # Not the Trainer's own push, which would replace the card.
            console.print(f"Pushed to {push_to_hub(result.folder, commit_message='End of training', **args.hub_repo)}")
    return result


def show_result(result: IsolatedResult) -> None:
    table = Table("", "top-1", "top-5", "macro-F1", title=f"Test split, {result.metrics['n']} clips")
    for name, metrics in (("model", result.metrics), ("1-NN baseline", result.baseline)):
        cells = [
            f"{100 * metrics[key]:.1f} % ({100 * metrics[f'{key}_low']:.1f}–{100 * metrics[f'{key}_high']:.1f})"
            for key in ("accuracy", "top5_accuracy", "macro_f1")
        ]
        table.add_row(name, *cells)
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
