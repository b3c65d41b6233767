"""The card of a model that has just been trained: everything that the run itself knows."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.loading import dataset_facts
from ..hub import TrainingData, save_model_card
from .arguments import DataArguments, FittingArguments, SignTrainingArguments
from .results import ResultRow

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .isolated import IsolatedResult
    from .stacking import EnsembleResult

METRICS = ("accuracy", "top5_accuracy", "macro_f1")


def launch_command(recipe: str, argv: list[str] | None = None) -> str:
    """The command that trains the same model again, for cards and result rows.

    Args:
        recipe: path of the recipe from the project's root.
        argv: its arguments; default: those of this process. Absolute paths are cut to what other machines can share.
    """
    words = sys.argv[1:] if argv is None else argv
    return shlex.join(["accelerate", "launch", recipe, *(portable(word) for word in words)])


def portable(word: str) -> str:
    """An absolute path cut to what other machines can share; any other word as it is."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name


def test_rows(
    result: IsolatedResult | EnsembleResult,
    model: str,
    split: str,
    command: str,
    *,
    benchmark: str = "",
    seeds: tuple[int, ...] = (),
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
                    command=command,
                    seeds=seeds,
                    benchmark=benchmark,
                )
                for metric in METRICS
            ]
        )
    return rows[0], rows[1]


def training_facts(args: FittingArguments) -> dict[str, Any]:
    """What every training is told by."""
    accumulated = args.gradient_accumulation_steps
    return {
        "epochs": args.num_train_epochs,
        "batch size": args.per_device_train_batch_size,
        **({"batches a step": accumulated} if accumulated > 1 else {}),
        "learning rate": args.learning_rate,
        "weight decay": args.weight_decay,
        "schedule": str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)),
        "seed": args.seed,
    }


def _extras(result: IsolatedResult, args: SignTrainingArguments) -> dict[str, float | str]:
    """What only some runs have."""
    found: dict[str, float | str] = {"minutes": round(result.training["minutes"], 1)}
    if args.mixup_alpha:
        found["mixup"] = f"Beta({args.mixup_alpha:g}, {args.mixup_alpha:g})"
    if args.feature_dropout:
        found["feature dropout"] = f"{args.feature_dropout:g}"
    if args.ema_decay:
        found["average of the weights"] = f"exponential, decay {args.ema_decay:g}"
    if result.calibration:
        found["temperature"] = f"{result.calibration['logit_temperature']:.3g}, chosen on validation"
        kept = "{unknown_score} {unknown_threshold:.3g}, which {known_kept:.1%} of the validation clips reach"
        if result.calibration.get("n_unknown"):
            kept += " and {unknown_accepted:.1%} of {n_unknown} clips of other signs"
        found["unknown below"] = kept.format(**result.calibration)
    return found


def dataset_name(data_args: DataArguments) -> str:
    """The dataset's name, without the path to it."""
    return Path(data_args.dataset).name if Path(data_args.dataset).is_dir() else data_args.dataset


def _signers(rows: Dataset) -> list[str]:
    return sorted({str(signer) for signer in rows["signer"] if signer})


def _held_out(splits: DatasetDict) -> str:
    """The test split, with its signers where they are few."""
    signers = _signers(splits["test"])
    return f"test ({', '.join(signers)} held out)" if 0 < len(signers) <= 4 else "test"


def about_data(data_args: DataArguments, splits: DatasetDict) -> dict[str, Any]:
    """What a card says of the data: how much of it there was, and what its publisher states."""
    known = dataset_facts(data_args.dataset)
    signers = _signers(splits["train"]) if "signer" in splits["train"].column_names else []
    sentences = "landmarks" not in splits["train"].column_names
    languages = known.sign_languages if known else ()
    used = TrainingData(
        dataset_name(data_args),
        data_args.dataset_license or (known.licence if known else "unknown"),
        url=(known.homepage if known else "") or None,
        description=f"{len(splits['train'])} training sentences"
        if sentences
        else f"{len(splits['train'])} training clips by {len(signers) or 'unknown'} signers",
    )
    return {
        "datasets": [used],
        # Where a language is one signer, some may be held out.
        "sign_languages": [language for language in languages if language in signers] or languages,
        "limits": known.limits if known else (),
    }


def save_training_card(
    result: IsolatedResult,
    data_args: DataArguments,
    args: SignTrainingArguments,
    splits: DatasetDict,
    command: str,
    test: str | None = None,
    **facts: Any,
) -> Path:
    """Write ``README.md`` beside the model from the run's own facts and measured results.

    ``test`` is what the test split is called; by default test, and whom it holds out. ``facts`` are further fields of the card.
    """
    results: list[ResultRow] = []
    baselines: list[ResultRow] = []
    if result.metrics:
        about = {"command": command, "benchmark": dataset_name(data_args), "seeds": (args.seed,)}
        name = facts.get("name", result.folder.name)
        results, baselines = test_rows(result, name, test or _held_out(splits), **about)
    return save_model_card(
        result.folder,
        repo_id=args.hub_model_id or portable(str(result.folder)),
        summary=f"Recognises one of {len(splits['train'].features['label'].names)} signs in a clip of landmarks or video.",
        **about_data(data_args, splits),
        training={**training_facts(args), **_extras(result, args)},
        command=command,
        results=results,
        baselines=baselines,
        **facts,
    )


def save_ensemble_card(
    result: EnsembleResult, data_args: DataArguments, args: SignTrainingArguments, splits: DatasetDict, command: str
) -> Path:
    """Write ``README.md`` beside an ensemble; its members' results on the same clips stand beside its own."""
    results: list[ResultRow] = []
    others: list[ResultRow] = []
    if result.metrics:
        about = {
            "split": _held_out(splits),
            "command": command,
            "benchmark": dataset_name(data_args),
            "seeds": (args.seed,),
        }
        results, others = test_rows(result, result.folder.name, **about)
        for name, metrics in reversed(result.members.items()):
            others = [*test_rows(replace(result, metrics=metrics), name, **about)[0], *others]
    stack = result.stack
    corrected = f", corrected by {stack['num_trees']} rounds of XGBoost trees" if stack.get("num_trees") else ""
    weights = {f"weight of {name}": weight for name, weight in stack.get("weights", {}).items()}
    return save_model_card(
        result.folder,
        repo_id=args.hub_model_id or portable(str(result.folder)),
        summary=f"Recognises one of {len(splits['train'].features['label'].names)} signs in a clip of landmarks or video: "
        f"{len(result.members)} models ({', '.join(result.members)}) vote{corrected}."
        + (' It needs XGBoost: `pip install "signlang-hf[ensemble]"`.' if corrected else ""),
        **about_data(data_args, splits),
        training={**weights, "seed": args.seed, "minutes": round(result.training["minutes"], 1)},
        command=command,
        results=results,
        baselines=others,
    )
