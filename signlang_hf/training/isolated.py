"""Train and test one isolated-sign model on one set of splits: the body of ``recipes/train_isolated.py``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import EvalPrediction, PreTrainedModel, SequenceFeatureExtractor, Trainer

from ..data.mapped import MappedRows
from ..metrics.open_set.open_set import calibration_error
from ..metrics.sign_recognition.sign_recognition import sign_recognition
from .arguments import DataArguments, ModelArguments, SignTrainingArguments
from .baseline import NearestNeighbour
from .building import fine_tuned_model, new_model, new_processor, saved_model, saved_processor
from .calibration import calibrate
from .checkpoints import RESULTS, write_json
from .clips import ClipCollator, ClipDataset
from .evaluation import label_names, label_positions, write_test
from .fitting import (
    RunResult,
    Task,
    account,
    augmenter_of,
    check_trackers,
    fit,
    measure_features,
    open_run,
    resolved,
    run_settings,
    save_run,
)
from .reports import learning_curve

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

METRICS = ("accuracy", "top5_accuracy", "macro_f1")
"""What is measured on the validation split, besides the loss."""


@dataclass
class IsolatedResult(RunResult):
    """What one run measured; its baseline is the nearest neighbour.

    Args:
        calibration: :class:`.calibration.Calibration` as a dictionary, with the calibration error on the test split before and after;
            empty for a model that was not calibrated.
    """

    calibration: dict[str, Any] = field(default_factory=dict)


def train_isolated(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, splits: DatasetDict
) -> IsolatedResult:
    """Train on ``train``, choose and calibrate on ``validation`` where it exists, report on ``test`` where it exists.

    Writes into ``args.output_dir``: the model with its processor, ``results.json``, ``learning_curve.png`` and, with a test
    split, ``confusion_matrix.png``, ``per_class.csv`` and ``predictions.npz`` (:class:`.evaluation.Predictions`).
    Resumes from the last whole checkpoint of the same run. A run that is finished is not trained again: its model and its
    results are read.

    Raises:
        ValueError: settings that do not fit each other, the data or the run that the folder holds.
        ImportError: a tracker that is not installed.
    """
    folder = Path(args.output_dir)
    names = label_names(splits["train"])
    augmenter = augmenter_of(data_args, chance=args.mixup_alpha > 0 or args.feature_dropout > 0)
    args = resolved(args, "validation" in splits, METRICS)
    if model_args.calibrate and "validation" not in splits:
        raise ValueError("--calibrate needs a validation split; carve one out with --validation_size 0.15.")
    check_trackers(args)
    finished = open_run(args, run_settings(model_args, data_args, args, splits))
    processor, model = _processor_and_model(str(folder) if finished else None, model_args, splits["train"], names)
    order = label_positions(model, names)
    trainer = fit(
        Trainer,
        args,
        finished,
        model=model,
        train_dataset=ClipDataset(splits["train"], processor, augmenter, args.seed, order, args.feature_dropout),
        eval_dataset=ClipDataset(splits["validation"], processor, labels=order) if "validation" in splits else None,
        data_collator=ClipCollator(processor, model.config.num_labels, args.mixup_alpha),
        processing_class=processor,
        compute_metrics=validation_metrics,
    )
    if finished:
        return IsolatedResult(**json.loads((folder / RESULTS).read_text()), folder=folder, trainer=trainer)

    calibration: dict[str, Any] = {}
    if model_args.calibrate and trainer.is_world_process_zero():
        calibration = asdict(calibrate(trainer.model, processor, splits["validation"], splits.get("unknown")))
    save_run(trainer)

    metrics: dict[str, float] = {}
    baseline: dict[str, float] = {}
    training = account(trainer)
    if trainer.is_world_process_zero():
        references = {}
        if "test" in splits:
            metrics, baseline, errors = _test(trainer.model, processor, splits, folder)
            references = {"test": metrics["accuracy"], "test, 1-NN": baseline["accuracy"]}
            calibration |= errors if calibration else {}
        learning_curve(trainer.state.log_history, folder / "learning_curve.png", references=references)
        found = {"metrics": metrics, "baseline": baseline, "training": training, "calibration": calibration}
        write_json(folder / RESULTS, found)
    return IsolatedResult(metrics, baseline, training, folder, trainer, calibration)


def _processor_and_model(
    finished: str | None, model_args: ModelArguments, train: Dataset, names: list[str]
) -> tuple[SequenceFeatureExtractor, PreTrainedModel]:
    if finished is not None:
        return saved_processor(finished), saved_model(finished)
    if model_args.model_name_or_path is not None:
        if model_args.processor:
            raise ValueError("A fine-tuned model keeps its processor; leave --processor out or train from scratch.")
        return saved_processor(model_args.model_name_or_path), fine_tuned_model(model_args, train, names)
    processor = new_processor(model_args, train)
    model = new_model(model_args, processor, train, names)
    if model_args.standardize:  # last, so that a mistake in the settings shows before the wait
        measure_features(processor, train)
    return processor, model


def validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """What the Trainer measures on the validation split."""
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    measured = sign_recognition(logits, prediction.label_ids, num_resamples=0)
    return {name: measured[name] for name in METRICS}


def _test(
    model: PreTrainedModel, processor: SequenceFeatureExtractor, splits: DatasetDict, folder: Path
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Metrics of the model and of the baseline, and the calibration error before and after."""
    test = splits["test"]
    metrics, said = write_test(model, processor, test, folder)
    neighbour = NearestNeighbour(MappedRows(splits["train"]), len(label_names(test)))
    baseline_scores = np.nan_to_num(neighbour.scores(MappedRows(test)), neginf=-1e9)
    errors = {
        "test_error_before": calibration_error(said.logits, said.labels),
        "test_error_after": calibration_error(
            said.logits, said.labels, getattr(model.config, "logit_temperature", 1.0)
        ),
    }
    return metrics, sign_recognition(baseline_scores, np.array(list(test["label"]))), errors


ISOLATED = Task(
    train_isolated, METRICS, {"top-1": "accuracy", "top-5": "top5_accuracy"}, lambda result: {"1-NN": result.baseline}
)

__all__ = ["ISOLATED", "METRICS", "IsolatedResult", "train_isolated", "validation_metrics"]
