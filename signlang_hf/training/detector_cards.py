"""The card of a detector that has just been trained, and the rows of what it reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.loading import dataset_facts
from ..hub import TrainingData, save_model_card
from .cards import dataset_name, portable, training_facts
from .detection import METRICS
from .detector_arguments import DetectorTrainingArguments, PictureArguments
from .results import ResultRow

if TYPE_CHECKING:
    from datasets import DatasetDict

    from .fitting import RunResult

_REPORTED = (*METRICS, "oks_ap")
_LIMITS = (
    "One person a picture: it answers with the points of one, and where several are to be seen they are mixed up.",
    "It has learned to guess points that are hidden; a score says how sure it is of a place, not whether the point is to be seen.",
)


def metric_rows(metrics: Mapping[str, Any], model: str, split: str, command: str, **more: Any) -> list[ResultRow]:
    """Rows of what :func:`~signlang_hf.metrics.keypoints.keypoints.keypoint_metrics` measured; what there was nothing to measure on is
    left out. ``more`` are further fields of the rows."""
    counts = {"-body": metrics["n_points-body"], "-hands": metrics["n_points-hands"]}
    return [
        ResultRow(
            model=model,
            split=split,
            metric=name,
            value=metrics[name],
            n=metrics["n"],
            command=command,
            headline=any(name.endswith(part) and count for part, count in counts.items()) or "-" not in name,
            **more,
        )
        for name in _REPORTED
        if np.isfinite(metrics[name])
    ]


def detector_rows(result: RunResult, split: str, command: str, *, seeds: tuple[int, ...] = ()) -> list[ResultRow]:
    """Rows of a run's test split, under the name of its backbone and size."""
    config = result.trainer.model.config
    name = f"{config.backbone}, {config.image_size} px"
    return metric_rows(result.metrics, name, split, command, seeds=seeds)


def save_detector_card(
    result: RunResult,
    data_args: PictureArguments,
    args: DetectorTrainingArguments,
    splits: DatasetDict,
    command: str,
    rows: Sequence[ResultRow],
    **facts: Any,
) -> Path:
    """Write ``README.md`` beside a detector; ``rows`` are its result rows, ``facts`` further fields of the card."""
    known = dataset_facts(data_args.dataset)
    used = TrainingData(
        dataset_name(data_args),
        data_args.dataset_license or (known.licence if known else "unknown"),
        url=(known.homepage if known else "") or None,
        description=f"{len(splits['train'])} training pictures",
    )
    name = facts.pop("name", result.folder.name)
    about: dict[str, Any] = {"datasets": [used]} | facts
    return save_model_card(
        result.folder,
        name=name,
        repo_id=args.hub_model_id or portable(str(result.folder)),
        limits=[*_LIMITS, *about.pop("limits", ())],
        training={**training_facts(args), "minutes": round(result.training["minutes"], 1)},
        command=command,
        results=[replace(row, model=name, benchmark=dataset_name(data_args)) for row in rows],
        **about,
    )


__all__ = ["detector_rows", "metric_rows", "save_detector_card"]
