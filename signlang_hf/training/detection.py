"""Train and test one keypoint detector on one set of splits: the body of ``recipes/train_detector.py``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import (
    CONFIG_MAPPING,
    AutoImageProcessor,
    AutoModelForKeypointDetection,
    BaseImageProcessor,
    EvalPrediction,
    PreTrainedModel,
    Trainer,
)
from transformers.utils import logging

from ..data import load_dataset
from ..data.hand_pictures import LAYOUT as HAND_LAYOUT
from ..data.hand_pictures import hand_pictures
from ..data.leaks import check_source_leaks
from ..landmarks import get_layout
from ..metrics.keypoints.keypoints import keypoint_metrics
from ..models.detector import SignDetectorProcessor
from ..pretrained import resolve
from .building import checked, loaded, refuse_unknown
from .checkpoints import RESULTS, write_json
from .detector_arguments import DetectorArguments, DetectorTrainingArguments, PictureArguments
from .detector_pictures import PanelWriter, write_panel
from .fitting import RunResult, account, check_trackers, fit, open_run, resolved, run_settings, save_run
from .image_augment import ImageAugmenter
from .keypoint_views import KeypointViews, collate, keypoint_digest
from .reports import learning_curve
from .splits import load_splits

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.get_logger(__name__)

METRICS = ("pck@0.05", "pck@0.1", "pck@0.05-body", "pck@0.1-body", "pck@0.05-hands", "pck@0.1-hands")
"""What is measured on the validation split, besides the loss."""
EXAMPLES = "examples.png"
"""What the model finds in the first test pictures."""


def load_pictures(data_args: PictureArguments, seed: int) -> DatasetDict:
    """The splits that one run uses, under the names train, validation and test.

    Raises:
        ValueError: a split, source or folder that there is not.
        LeakError: pictures of one source in training and test, unless ``allow_leaks``.
    """
    from datasets import DatasetDict, concatenate_datasets

    splits = load_splits(data_args, seed=seed)
    if data_args.look_at == "hand":
        splits = _hands_of(splits)
    if data_args.overfit:
        few = splits["train"].select(range(min(data_args.overfit, len(splits["train"]))))
        return DatasetDict(train=few, test=few)
    for folder in data_args.more_data_dirs or ():
        more = load_dataset(data_args.dataset, folder, num_proc=data_args.num_proc, **data_args.dataset_options)
        if data_args.train_split not in more:
            raise ValueError(
                f"There is no split '{data_args.train_split}' in {folder}; the dataset has {', '.join(more)}."
            )
        learned = more[data_args.train_split]
        if data_args.more_pictures is not None:
            learned = learned.select(range(min(data_args.more_pictures, len(learned))))
        if data_args.look_at == "hand":
            learned = hand_pictures(learned)
        splits["train"] = concatenate_datasets([splits["train"], learned])
    if data_args.test_sources:
        _hold_out(splits, data_args.test_sources)
    check_source_leaks(splits, allow=data_args.allow_leaks)
    return splits


def _hands_of(splits: DatasetDict) -> DatasetDict:
    """The hands of the people in each split.

    Raises:
        ValueError: nobody's hand can be seen in one of them.
    """
    for name, rows in splits.items():
        hands = hand_pictures(rows)
        if not len(hands):
            raise ValueError(f"No hand is to be seen well enough in the {len(rows)} pictures of the split '{name}'.")
        splits[name] = hands
    return splits


def _hold_out(splits: DatasetDict, sources: Sequence[str]) -> None:
    """Take the sources out of training and validation; their pictures of both are the test split."""
    from datasets import concatenate_datasets

    held, known = [], set()
    for name in [name for name in ("train", "validation") if name in splits]:
        of_rows = splits[name]["source"]
        known.update(source for source in of_rows if source is not None)
        held.append(splits[name].select([row for row, source in enumerate(of_rows) if source in sources]))
        kept = splits[name].select([row for row, source in enumerate(of_rows) if source not in sources])
        if name == "train" and not len(kept):
            raise ValueError(f"Without {', '.join(sources)} nothing is left to train on; hold out fewer sources.")
        splits[name] = kept
        if not len(kept):
            del splits[name]
    missing = sorted(set(sources) - known)
    if missing:
        raise ValueError(
            f"No picture is of {', '.join(missing)}; the sources are {', '.join(sorted(known)) or 'none'}."
        )
    splits["test"] = concatenate_datasets(held)


def train_detector(
    model_args: DetectorArguments,
    data_args: PictureArguments,
    args: DetectorTrainingArguments,
    splits: DatasetDict,
) -> RunResult:
    """Train on ``train``, choose the model on ``validation`` where it exists, report on ``test`` where it exists.

    Writes into ``args.output_dir``: the model with its processor, ``results.json``, ``learning_curve.png`` and, with a test split,
    ``examples.png``; with validation also ``validation.png`` after each evaluation, which TensorBoard shows too. Resumes from the last
    whole checkpoint of the same run; a run that is finished is read.

    Raises:
        ValueError: settings that do not fit each other, the data or the run that the folder holds.
        ImportError: timm, or a tracker, is not installed.
    """
    folder = Path(args.output_dir)
    args = resolved(args, "validation" in splits, METRICS)
    check_trackers(args)
    settings = run_settings(model_args, data_args, args, splits, digest=keypoint_digest)
    finished = open_run(args, settings | {"padding": data_args.padding, "look_at": data_args.look_at})
    layout = HAND_LAYOUT if data_args.look_at == "hand" else "signlang-64"
    processor, model = _processor_and_model(str(folder) if finished else None, model_args, layout)
    if args.channels_last:
        model.to(memory_format=torch.channels_last)
    augmenter = None
    if data_args.augment.get("enabled", True) and not data_args.overfit:
        augmenter = ImageAugmenter(data_args.image_augment, processor.layout, processor.image_size, data_args.padding)

    def views(rows: Dataset, augmenter: ImageAugmenter | None = None) -> KeypointViews:
        return KeypointViews(rows, processor, augmenter, args.seed, data_args.look_at, data_args.padding)

    validation = views(splits["validation"]) if "validation" in splits else None
    trainer = fit(
        Trainer,
        args,
        finished,
        model=model,
        train_dataset=views(splits["train"], augmenter),
        eval_dataset=validation,
        data_collator=collate,
        processing_class=processor,
        compute_metrics=validation_metrics(processor),
        preprocess_logits_for_metrics=found_points(processor),
        more_callbacks=[PanelWriter(validation, processor, args.panel_size)] if validation and args.panel_size else [],
    )
    if finished:
        return RunResult(**json.loads((folder / RESULTS).read_text()), folder=folder, trainer=trainer)

    save_run(trainer)
    result = RunResult({}, {}, account(trainer), folder, trainer)
    if "test" in splits:
        result.metrics = measure(trainer, data_args, splits["test"])
        if trainer.is_world_process_zero():
            write_panel(trainer.model, views(splits["test"]), processor, max(args.panel_size, 1), folder / EXAMPLES)
    if trainer.is_world_process_zero():
        references = {"test": result.metrics["pck@0.05"]} if result.metrics else {}
        learning_curve(
            trainer.state.log_history,
            folder / "learning_curve.png",
            references=references,
            metric="pck@0.05",
            loss_name="loss of the heatmaps" if model.config.head == "heatmap" else "loss of the coordinates",
        )
        told = ("metrics", "baseline", "training")
        write_json(folder / RESULTS, {name: getattr(result, name) for name in told})
    return result


def measure(trainer: Trainer, data_args: PictureArguments, rows: Dataset) -> dict[str, Any]:
    """What :func:`~signlang_hf.metrics.keypoints.keypoints.keypoint_metrics` measures of a trainer's model on rows, each picture looked
    at as ``data_args`` say. PCK and OKS are ratios of lengths within a picture: pixels of the views serve as well as the picture's."""
    processor = trainer.processing_class
    views = KeypointViews(rows, processor, look_at=data_args.look_at, padding=data_args.padding)
    output = trainer.predict(views)
    return keypoint_metrics(output.predictions, references_of(output.label_ids), names=_points(processor))


def measure_points(points: np.ndarray, rows: Dataset) -> dict[str, Any]:
    """What :func:`~signlang_hf.metrics.keypoints.keypoints.keypoint_metrics` measures of points in rows of labelled pictures, however they
    were found. People in one photograph are matched with each other; frames of one video are only resampled together.

    Args:
        points: (N, 64, 2) pixels of the pictures, NaN for what was not found.
        rows: the N pictures.
    """
    references = np.where(np.array(rows["visible"], bool)[..., None], np.array(rows["keypoints"], float), np.nan)
    photographs = "area" in rows.column_names
    told = {"images": rows["source"], "areas": rows["area"]} if photographs else {"groups": rows["source"]}
    return keypoint_metrics(points, references, **told)


def found_points(processor: BaseImageProcessor) -> Callable[..., torch.Tensor]:
    """What the Trainer keeps of a batch's outputs: (N, K, 3) x, y in pixels of the views, and scores. A thousandth of the heatmaps."""

    def decode(outputs: torch.Tensor | tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
        # The Trainer takes the names off, and a single output out of its tuple.
        names = ("simcc_x", "simcc_y") if isinstance(outputs, tuple) else ("heatmaps",)
        points, scores = processor.decode(dict(zip(names, outputs if isinstance(outputs, tuple) else (outputs,))))
        return torch.cat([points, scores[..., None]], dim=-1)

    return decode


def validation_metrics(processor: BaseImageProcessor) -> Callable[[EvalPrediction], dict[str, float]]:
    """What the Trainer measures on the validation split; what it has no points for is left out."""

    def measure(prediction: EvalPrediction) -> dict[str, float]:
        references = references_of(np.asarray(prediction.label_ids))
        measured = keypoint_metrics(
            np.asarray(prediction.predictions), references, names=_points(processor), num_resamples=0
        )
        return {name: measured[name] for name in METRICS if np.isfinite(measured[name])}

    return measure


def references_of(labels: np.ndarray) -> np.ndarray:
    """(N, K, 2) of labels (N, K, 3), NaN where there is nothing to be seen."""
    return np.where(labels[..., 2:] > 0, labels[..., :2], np.nan)


def _points(processor: BaseImageProcessor) -> tuple[str, ...]:
    return get_layout(processor.layout).points


def _processor_and_model(
    finished: str | None, model_args: DetectorArguments, layout: str
) -> tuple[BaseImageProcessor, PreTrainedModel]:
    """Both, for pictures with the points of ``layout``."""
    source = finished or (model_args.model_name_or_path and resolve(model_args.model_name_or_path))
    if source is not None:
        if not finished and model_args.processor:
            raise ValueError("A fine-tuned model keeps its processor; leave --processor out or train from scratch.")
        changes = {} if finished else model_args.model
        model = loaded(source, AutoModelForKeypointDetection.from_pretrained, dtype=torch.float32, **changes)
        sized = {
            name: getattr(model.config, name) for name in ("image_size", "sigma", "simcc_sigma") if name in changes
        }
        processor = loaded(source, partial(AutoImageProcessor.from_pretrained, **sized))
        if processor.layout != layout:
            raise ValueError(
                f"{source} finds the points of the layout '{processor.layout}', these pictures have those of '{layout}': "
                "--look_at hand is for models of hands, and only for them."
            )
    else:
        family = CONFIG_MAPPING[_known_family(model_args.model_type)]
        refuse_unknown("model", model_args.model, family, also=family().to_dict())
        points = list(get_layout(layout).points)
        config = checked("model", lambda: family(**{"keypoints": points} | model_args.model))
        refuse_unknown("processor", model_args.processor, SignDetectorProcessor)
        described = {"layout": layout} | model_args.processor
        processor = checked("processor", lambda: SignDetectorProcessor.for_model(config, **described))
        model = checked("model", lambda: AutoModelForKeypointDetection.from_config(config))
    processor.require_model(model)
    return processor, model


def _known_family(name: str) -> str:
    # Optimum enters AutoConfig itself as the family of a model that it has opened.
    known = (getattr(family, "model_type", "") for family in AutoModelForKeypointDetection._model_mapping)
    families = [family for family in known if family.startswith("signlang_")]
    if name not in families:
        raise ValueError(f"Unknown model_type {name!r}; known are {', '.join(families)}.")
    return name


__all__ = [
    "EXAMPLES",
    "METRICS",
    "found_points",
    "load_pictures",
    "measure",
    "references_of",
    "train_detector",
    "validation_metrics",
]
