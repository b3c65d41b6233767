"""The card of a model that has just been trained: everything that the run itself knows."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..hub import CardInfo, TrainingData, save_model_card
from .arguments import DataArguments, SignTrainingArguments
from .results import ResultRow

if TYPE_CHECKING:
    from datasets import DatasetDict

    from .isolated import IsolatedResult

METRICS = ("accuracy", "top5_accuracy", "macro_f1")


def training_command() -> str:
    """The command line that this process was started with, without paths of this machine."""
    return shlex.join(["accelerate", "launch", f"recipes/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def test_rows(
    result: IsolatedResult, model: str, split: str, *, benchmark: str = "", seeds: tuple[int, ...] = ()
) -> tuple[list[ResultRow], list[ResultRow]]:
    """Result rows of the model and of the baseline on the test split."""
    rows = []
    for name, metrics in ((model, result.metrics), ("1-NN", result.baseline)):
        rows.append(
            [
                ResultRow(
                    model=name,
                    split=split,
                    metric=metric,
                    value=metrics[metric],
                    n=metrics["n"],
                    command=training_command(),
                    seeds=seeds,
                    benchmark=benchmark,
                )
                for metric in METRICS
            ]
        )
    return rows[0], rows[1]


def save_training_card(
    result: IsolatedResult, data_args: DataArguments, args: SignTrainingArguments, splits: DatasetDict
) -> Path:
    """Write ``README.md`` beside the model from the run's own facts and measured results."""
    signers = {name: sorted({str(signer) for signer in split["signer"] if signer}) for name, split in splits.items()}
    results: list[ResultRow] = []
    baselines: list[ResultRow] = []
    if result.metrics:
        held_out = f" ({', '.join(signers['test'])} held out)" if 0 < len(signers["test"]) <= 4 else ""
        results, baselines = test_rows(
            result, result.folder.name, f"test{held_out}", benchmark=data_args.dataset, seeds=(args.seed,)
        )
    return save_model_card(
        result.folder,
        repo_id=args.hub_model_id or str(result.folder),
        summary=f"Recognises one of {len(splits['train'].features['label'].names)} signs in a clip of landmarks or video.",
        datasets=[
            TrainingData(
                data_args.dataset,
                data_args.dataset_license or "unknown",
                description=f"{len(splits['train'])} training clips by {len(signers['train']) or 'unknown'} signers",
            )
        ],
        training={
            "epochs": args.num_train_epochs,
            "batch size": args.per_device_train_batch_size,
            "learning rate": args.learning_rate,
            "weight decay": args.weight_decay,
            "schedule": str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)),
            "seed": args.seed,
        },
        command=training_command(),
        results=results,
        baselines=baselines,
    )
