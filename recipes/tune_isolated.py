"""Search for the settings of an isolated-sign recogniser with Optuna.

    python recipes/tune_isolated.py --dataset landmark_folder --data_dir my_signs --validation_size 0.2 \\
        --model_type signlang_bilstm --num_train_epochs 40 --output_dir outputs/tune
    accelerate launch recipes/train_isolated.py --config outputs/tune/best.yaml

Takes every argument of ``train_isolated.py``, and ``--num_trials`` (200) and ``--space``. Giving the same command again goes on with a
search that was interrupted; a larger ``--num_trials`` goes on with one that was finished. The test split is not looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.training.arguments import parse
from signlang_hf.training.search import BEST, SearchArguments, finished_trials, search
from signlang_hf.training.splits import load_splits, refuse_leaks

console = Console()


def main(argv: list[str] | None = None) -> object:
    model_args, data_args, args, search_args = parse(argv, SearchArguments)
    if data_args.cross_validate or data_args.seeds:
        raise ValueError(
            "A search compares settings on one validation split; cross-validate the best of them afterwards."
        )
    splits = load_splits(data_args, seed=args.seed)
    refuse_leaks(splits, data_args)
    study = search(model_args, data_args, args, search_args, splits)
    show(study)
    console.print(f"Wrote {Path(args.output_dir) / 'study.png'} and {Path(args.output_dir) / BEST}")
    return study


def show(study: object, rows: int = 5) -> None:
    """The best trials that ran to their end."""
    complete = [trial for trial in finished_trials(study) if trial.state.name == "COMPLETE"]
    best = sorted(complete, key=lambda trial: trial.value, reverse=study.direction.name == "MAXIMIZE")
    names = list(study.best_params)
    pruned = len(finished_trials(study)) - len(complete)
    table = Table("trial", "value", *names, title=f"{len(complete)} trials, {pruned} more pruned")
    for trial in best[:rows]:
        values = (trial.params[name] for name in names)
        cells = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in values)
        table.add_row(str(trial.number), f"{trial.value:.4f}", *cells)
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(
            f"tune_isolated: {error}\nHere that is --allow_leaks true; --signer_independent false if signers may recur."
        )
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"tune_isolated: {error}")
    except KeyboardInterrupt:
        sys.exit("tune_isolated: interrupted; run the same command again to go on.")
