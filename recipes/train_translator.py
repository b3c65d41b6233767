"""Train a gloss-to-text translator on any dataset of glosses with their text.

    accelerate launch recipes/train_translator.py --config recipes/configs/phoenix14t_translator.yaml
    accelerate launch recipes/train_translator.py --dataset landmark_sentences --data_dir my_sentences --num_train_epochs 60

A file of ``recipes/configs`` goes by its name, ``--config phoenix14t_translator``. Every argument of the three groups (``--help`` lists
them) can stand in the YAML file or on the command line; the command line wins. Running the same command again resumes from the last
checkpoint; a finished run or fold is read and not trained again.
``--cross_validate sentence`` and ``--seeds 0 1 2`` train several models; mean and spread are printed.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.hub import open_repo, push_to_hub
from signlang_hf.training.cards import launch_command
from signlang_hf.training.cross_validation import result_rows, train_many
from signlang_hf.training.results import save_results
from signlang_hf.training.sentence_arguments import parse_translation
from signlang_hf.training.sentence_cards import save_translation_card
from signlang_hf.training.splits import load_splits, refuse_leaks
from signlang_hf.training.translation import TRANSLATION, TranslationResult, train_translation

console = Console()


def main(argv: list[str] | None = None) -> TranslationResult | None:
    model_args, data_args, args = parse_translation(argv)
    command = launch_command("recipes/train_translator.py", argv)
    task = TRANSLATION
    if data_args.cross_validate or data_args.seeds:
        train_many(model_args, data_args, args, command, task)
        return None
    if args.push_to_hub and args.should_save:
        open_repo(**args.hub_repo)  # that a run may not push is better known before training than after it

    # Data
    splits = load_splits(data_args, seed=args.seed)
    refuse_leaks(splits, data_args)

    # Training, and the test split if there is one
    result = train_translation(model_args, data_args, args, splits)

    # Card, and the Hub
    if result.trainer.is_world_process_zero():
        rows = []
        if result.metrics:
            show_result(result)
            rows = result_rows({"test": {args.seed: result}}, model_args.model_type, None, command, task)
            if data_args.benchmark:
                console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
        save_translation_card(result, data_args, args, splits, command, rows)
        console.print(f"Wrote {result.folder}")
        if args.push_to_hub:
            # Not the Trainer's own push, which would replace the card.
            console.print(f"Pushed to {push_to_hub(result.folder, commit_message='End of training', **args.hub_repo)}")
    return result


def show_result(result: TranslationResult) -> None:
    columns = {"BLEU-4": "bleu", "chrF": "chrf", "ROUGE-L": "rouge_l"}
    table = Table("", *columns, title=f"Test split, {result.metrics['n']} sentences")
    for name, metrics in {"model": result.metrics, **result.baselines}.items():
        table.add_row(name, *(f"{metrics[key]:.2f}" for key in columns.values()))
    console.print(table)
    console.print("\n".join(f"{name}: {signature}" for name, signature in result.signatures.items()))


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(
            f"train_translator: {error}\nHere that is --allow_leaks true; --sentence_independent false if sentences may recur."
        )
    except (ValueError, FileNotFoundError, ImportError, PermissionError, ConnectionError) as error:
        sys.exit(f"train_translator: {error}")
    except KeyboardInterrupt:
        sys.exit("train_translator: interrupted; run the same command again to go on.")
