"""Train a recogniser of sentences that comes with the package, alone or with its translator, and put it on the package's shelf.

    accelerate launch recipes/bundle_sentences.py --name sentences --config recipes/configs/dgs30_sentences_ctc.yaml --data_dir DGS
    accelerate launch recipes/bundle_sentences.py --name spelling --config recipes/configs/fingerspelled_words_ctc.yaml \
        --translator recipes/configs/fingerspelled_words_translator.yaml

takes the arguments of ``train_ctc.py``, ``--name``, and in ``--translator`` a file for ``train_translator.py``: then the two become one
model for the task ``sign-translation``, and what the card states is measured on both in a row. Training that is finished is read;
``--keep_recognizer true`` joins a new translator to the recogniser that is on the shelf, which is not trained again. What is put on the shelf brings no code: its classes are those of the installation. ``tests/test_pretrained.py`` measures it again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from signlang_hf import pretrained
from signlang_hf.data.leaks import LeakError
from signlang_hf.pipelines.loading import load_translation_pipeline
from signlang_hf.training.arguments import DataArguments, parse
from signlang_hf.training.cards import launch_command
from signlang_hf.training.continuous import ContinuousResult, continuous_task, train_continuous
from signlang_hf.training.cross_validation import result_rows
from signlang_hf.training.results import save_results
from signlang_hf.training.sentence_arguments import (
    ContinuousArguments,
    ContinuousTrainingArguments,
    parse_translation,
)
from signlang_hf.training.sentence_cards import save_continuous_card, save_pair_card
from signlang_hf.training.sentence_evaluation import evaluate_sentences, pair_rows
from signlang_hf.training.shelf import BundleArguments, put_on_shelf
from signlang_hf.training.splits import load_splits, refuse_leaks
from signlang_hf.training.translation import TranslationResult, train_translation

console = Console()


@dataclass
class SentenceBundleArguments(BundleArguments):
    """Where it goes, and what goes with it."""

    translator: str | None = field(
        default=None,
        metadata={"help": "YAML file for train_translator.py: the translator that is joined to the recogniser."},
    )
    keep_recognizer: bool = field(
        default=False,
        metadata={"help": "Join a new translator to the recogniser of the pair of this name that is on the shelf."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep_recognizer and self.translator is None:
            raise ValueError("--keep_recognizer is for a pair; say what is joined to it with --translator.")


def main(argv: list[str] | None = None) -> Path:
    groups = (ContinuousArguments, DataArguments, ContinuousTrainingArguments)
    model_args, data_args, args, bundle = parse(argv, SentenceBundleArguments, groups=groups)
    splits = load_splits(data_args, seed=args.seed)
    refuse_leaks(splits, data_args)
    if "test" not in splits:
        raise ValueError("There is no test split to measure the model on.")
    if bundle.keep_recognizer:
        recognizer = ContinuousResult({}, {}, {}, pretrained.path(bundle.name) / "recognizer", trainer=None)
    else:
        recognizer = train_continuous(model_args, data_args, args, splits)
    translator, texts = (None, set()) if bundle.translator is None else train_second(bundle.translator)
    if not args.should_save:
        return pretrained.FOLDER / bundle.name
    command = launch_command("recipes/bundle_sentences.py", argv)
    about = {"name": bundle.name, "bundled": True}
    if translator is None:
        task = continuous_task(model_args.error_rate)
        rows = result_rows({"test": {args.seed: recognizer}}, bundle.name, None, command, task)
        save_continuous_card(recognizer, data_args, args, splits, command, rows, **about)
        shelved = put_on_shelf(recognizer.folder, bundle.name)
    else:
        pipe = load_translation_pipeline(str(recognizer.folder), str(translator.folder))
        found = evaluate_sentences(pipe, splits["test"])
        rows = pair_rows(found, bundle.name, command, model_args.error_rate, seeds=(args.seed,))
        about["limits"] = [
            "Of the texts that it was measured on "
            f"{share(splits['test']['text'], set(splits['train']['text'])):.0%} were in the recogniser's training and "
            f"{share(splits['test']['text'], texts):.0%} in the translator's."
        ]
        with TemporaryDirectory() as folder:
            pipe.save_pretrained(folder)
            save_pair_card(Path(folder), recognizer, data_args, args, splits, command, rows, **about)
            shelved = put_on_shelf(Path(folder), bundle.name)
    if data_args.benchmark:
        console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
    console.print(f"Wrote {shelved}")
    return shelved


def train_second(config: str) -> tuple[TranslationResult, set[str]]:
    """The translator of a file for ``train_translator.py``, and the texts that it was trained on. It never sees a clip."""
    model_args, data_args, args = parse_translation(["--config", config])
    splits = load_splits(data_args, seed=args.seed)
    refuse_leaks(splits, data_args)
    return train_translation(model_args, data_args, args, splits), set(splits["train"]["text"])


def share(texts: Sequence[str], known: set[str]) -> float:
    return sum(text in known for text in texts) / len(texts)


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(f"bundle_sentences: {error}\nHere that is --signer_independent false if signers may recur.")
    except (ValueError, FileNotFoundError, ImportError, PermissionError) as error:
        sys.exit(f"bundle_sentences: {error}")
    except KeyboardInterrupt:
        sys.exit("bundle_sentences: interrupted; run the same command again to go on.")
