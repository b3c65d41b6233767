"""Train a continuous recogniser (CTC) on any dataset of landmarks with glosses.

    accelerate launch recipes/train_ctc.py --config recipes/configs/isl30_sentences_ctc.yaml
    accelerate launch recipes/train_ctc.py --dataset landmark_sentences --data_dir my_sentences --num_train_epochs 60

A file of ``recipes/configs`` goes by its name, ``--config isl30_sentences_ctc``. Every argument of the three groups (``--help`` lists
them) can stand in the YAML file or on the command line; the command line wins. Running the same command again resumes from the last
checkpoint; a finished run or fold is read and not trained again.
``--cross_validate signer`` and ``--seeds 0 1 2`` train several models; mean and spread are printed.

What the training glosses are in the habit of is kept in an n-gram model beside the weights (``language_model.arpa``) where that helped on
validation, and how the model was read in ``decoder.json``.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.hub import open_repo, push_to_hub
from signlang_hf.training.cards import launch_command
from signlang_hf.training.continuous import ContinuousResult, continuous_task, train_continuous
from signlang_hf.training.cross_validation import result_rows, train_many
from signlang_hf.training.results import save_results
from signlang_hf.training.sentence_arguments import parse_continuous
from signlang_hf.training.sentence_cards import save_continuous_card
from signlang_hf.training.splits import load_splits, refuse_leaks

console = Console()


def main(argv: list[str] | None = None) -> ContinuousResult | None:
    model_args, data_args, args = parse_continuous(argv)
    command = launch_command("recipes/train_ctc.py", argv)
    task = continuous_task(model_args.error_rate)
    if data_args.cross_validate or data_args.seeds:
        train_many(model_args, data_args, args, command, task)
        return None
    if args.push_to_hub and args.should_save:
        open_repo(**args.hub_repo)  # that a run may not push is better known before training than after it

    # Data
    splits = load_splits(data_args, seed=args.seed)
    refuse_leaks(splits, data_args)

    # Training, and the test split if there is one
    result = train_continuous(model_args, data_args, args, splits)

    # Card, and the Hub
    if result.trainer.is_world_process_zero():
        rows = []
        if result.metrics:
            show_result(result)
            rows = result_rows({"test": {args.seed: result}}, model_args.model_type, None, command, task)
            if data_args.benchmark:
                console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
        save_continuous_card(result, data_args, args, splits, command, rows)
        console.print(f"Wrote {result.folder}")
        if args.push_to_hub:
            # Not the Trainer's own push, which would replace the card.
            console.print(f"Pushed to {push_to_hub(result.folder, commit_message='End of training', **args.hub_repo)}")
    return result


def show_result(result: ContinuousResult) -> None:
    rate = "letter_error_rate" if "letter_error_rate" in result.metrics else "wer"
    title = f"Test split, {result.metrics['n']} sentences, {result.metrics['n_words']} glosses"
    table = Table("", rate.replace("_", " "), "substituted", "deleted", "inserted", "whole sentences", title=title)
    for name, metrics in ((result.decoding["method"], result.metrics), ("greedy", result.baseline)):
        if metrics:
            share = (
                f"{100 * metrics[rate]:.1f} % ({100 * metrics[f'{rate}_low']:.1f}–{100 * metrics[f'{rate}_high']:.1f})"
            )
            counts = (str(metrics[kind]) for kind in ("substitutions", "deletions", "insertions"))
            table.add_row(name, share, *counts, f"{100 * metrics['sentence_accuracy']:.1f} %")
    console.print(table)
    if sum(result.left_out.values()):
        told = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in result.left_out.items())
        console.print(f"Training clips left out: {told}.")


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(
            f"train_ctc: {error}\nHere that is --allow_leaks true; --signer_independent false if signers may recur, "
            "--sentence_independent false if sentences may."
        )
    except (ValueError, FileNotFoundError, ImportError, PermissionError, ConnectionError) as error:
        sys.exit(f"train_ctc: {error}")
    except KeyboardInterrupt:
        sys.exit("train_ctc: interrupted; run the same command again to go on.")
