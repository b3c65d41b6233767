"""The card of a fine-tuned video language model, and the rows of what it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.loading import dataset_facts
from ..hub import TrainingData, save_model_card
from .cards import dataset_name, portable, training_facts
from .results import ResultRow

if TYPE_CHECKING:
    from datasets import DatasetDict

    from .fitting import RunResult
    from .vlm_arguments import ClipArguments, VlmArguments, VlmTrainingArguments

_REPORTED = ("accuracy", "accuracy_synonyms", "top5_accuracy")
_LIMITS = (
    "It answers with one of its labels, whatever a clip shows; its probabilities are among the labels.",
    "It sees a few frames of a clip and so knows little of movement.",
)


def vlm_rows(result: RunResult, split: str, command: str, *, seeds: tuple[int, ...] = ()) -> list[ResultRow]:
    """Rows of a run's test split, under the name of its base."""
    model = result.trainer.whole
    return [
        ResultRow(
            model=f"{Path(model.config.base).name} + LoRA",
            split=split,
            metric=name,
            value=result.metrics[name],
            n=result.metrics["n"],
            command=command,
            seeds=seeds,
        )
        for name in _REPORTED
        if np.isfinite(result.metrics[name])
    ]


def save_vlm_card(
    result: RunResult,
    model_args: VlmArguments,
    data_args: ClipArguments,
    args: VlmTrainingArguments,
    splits: DatasetDict,
    command: str,
    rows: Sequence[ResultRow],
    **facts: Any,
) -> Path:
    """Write ``README.md`` beside an adapter; ``rows`` are its result rows, ``facts`` further fields of the card."""
    known = dataset_facts(data_args.dataset)
    used = TrainingData(
        dataset_name(data_args),
        data_args.dataset_license or (known.licence if known else "unknown"),
        url=(known.homepage if known else "") or None,
        description=f"{len(splits['train'])} training clips",
    )
    config = result.trainer.whole.config
    lora = {name: config.lora[name] for name in ("r", "lora_alpha", "lora_dropout")}
    precision = config.quantization or ("bf16" if args.bf16 else "fp16" if args.fp16 else "float32")
    return save_model_card(
        result.folder,
        repo_id=args.hub_model_id or portable(str(result.folder)),
        limits=list(_LIMITS),
        datasets=[used],
        base_model=portable(config.base),
        training={
            "base": portable(config.base),
            **lora,
            "precision of the base": precision,
            "frames": config.num_frames,
            **training_facts(args),
            "trained parameters": int(result.training["trained_parameters"]),
            "minutes": round(result.training["minutes"], 1),
        },
        command=command,
        results=[replace(row, model=result.folder.name, benchmark=dataset_name(data_args)) for row in rows],
        **facts,
    )


__all__ = ["save_vlm_card", "vlm_rows"]
