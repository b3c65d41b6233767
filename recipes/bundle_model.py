"""Train a model that comes with the package, and put it on the package's shelf.

    accelerate launch recipes/bundle_model.py --name dgs30 --config recipes/configs/dgs30_openset.yaml --data_dir DGS --folds 1
    accelerate launch recipes/bundle_model.py --name fingerspelling --config recipes/configs/fingerspelling_transformer.yaml

takes the arguments of ``train_isolated.py`` and ``--name``. It trains on the dataset's own splits or, where there is no test split,
on the one fold that ``--cross_validate stratified --folds 1`` names; the card states the accuracy on clips that were held out, and
``tests/test_pretrained.py`` measures it again. What is put on the shelf brings no code: its classes are those of the installation.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from signlang_hf import pretrained
from signlang_hf.data.leaks import LeakError
from signlang_hf.training.arguments import DataArguments, parse
from signlang_hf.training.cards import launch_command, save_training_card
from signlang_hf.training.cross_validation import run_arguments
from signlang_hf.training.isolated import train_isolated
from signlang_hf.training.shelf import BundleArguments, put_on_shelf
from signlang_hf.training.splits import load_folds, load_splits, refuse_leaks

if TYPE_CHECKING:
    from datasets import DatasetDict

console = Console()


def main(argv: list[str] | None = None) -> Path:
    model_args, data_args, args, bundle = parse(argv, BundleArguments)
    fold, splits = held_out(data_args, args.seed)
    if "test" not in splits:
        raise ValueError(
            "There is no test split to measure the model on; hold one out with --cross_validate and --folds."
        )
    args = run_arguments(args, fold, None)
    result = train_isolated(model_args, data_args, args, splits)
    if args.should_save:
        test = f"test (fold {fold})" if fold else None
        command = launch_command("recipes/bundle_model.py", argv)
        save_training_card(result, data_args, args, splits, command, test, name=bundle.name, bundled=True)
        shelved = put_on_shelf(result.folder, bundle.name)
        console.print(f"Top-1 {100 * result.metrics['accuracy']:.1f} %. Wrote {shelved}")
    return pretrained.FOLDER / bundle.name


def held_out(data_args: DataArguments, seed: int) -> tuple[str, DatasetDict]:
    """Which fold is held out ("" for the dataset's own test split), and the splits of the one model.

    Raises:
        ValueError: a cross-validation of several folds.
        LeakError: splits that leak.
    """
    if not data_args.cross_validate:
        splits = load_splits(data_args, seed=seed)
        refuse_leaks(splits, data_args)
        return "", splits
    if len(data_args.folds or []) != 1:
        raise ValueError("A bundled model is one fold of a cross-validation; name it, for example --folds 1.")
    (found,) = load_folds(data_args)
    return found


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(f"bundle_model: {error}\nHere that is --signer_independent false if signers may recur.")
    except (ValueError, FileNotFoundError, ImportError, PermissionError) as error:
        sys.exit(f"bundle_model: {error}")
    except KeyboardInterrupt:
        sys.exit("bundle_model: interrupted; run the same command again to go on.")
