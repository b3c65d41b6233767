"""Train and test one isolated-sign model on one set of splits: the body of ``recipes/train_isolated.py``."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForVideoClassification,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    SequenceFeatureExtractor,
    Trainer,
    set_seed,
)

from ..landmarks.augment import AugmentConfig, Augmenter
from ..landmarks.rows import to_sequence
from ..metrics.sign_recognition.sign_recognition import sign_recognition
from ..models.keypoint import SignKeypointProcessor
from .arguments import DataArguments, ModelArguments, SignTrainingArguments
from .baseline import NearestNeighbour
from .checkpoints import claim, last_checkpoint, write_json
from .clips import ClipCollator, ClipDataset
from .evaluation import label_names, predict
from .reports import confusion_matrix, learning_curve, per_class_table

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


@dataclass
class IsolatedResult:
    """What one run measured: ``metrics`` of the model and the ``baseline`` on the test split (empty without one)."""

    metrics: dict[str, float]
    baseline: dict[str, float]
    folder: Path
    trainer: Trainer


def train_isolated(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, splits: DatasetDict
) -> IsolatedResult:
    """Train on ``train``, choose on ``validation`` where it exists, report on ``test`` where it exists.

    Writes into ``args.output_dir``: the model with its processor, ``results.json``, ``learning_curve.png`` and, with a test
    split, ``confusion_matrix.png`` and ``per_class.csv``.
    Resumes from the last whole checkpoint of the same run.

    Raises:
        ValueError: settings that do not fit each other or an interrupted run with other settings.
    """
    folder = Path(args.output_dir)
    set_seed(args.seed)
    train = splits["train"]
    names = label_names(train)
    processor = _processor(model_args, train)
    model = _model(model_args, processor, train, names)
    augment = dict(data_args.augment)
    augmenter = Augmenter(AugmentConfig.from_dict(augment)) if augment.pop("enabled", True) else None
    trainer = Trainer(
        model=model,
        args=_resolved(args, has_validation="validation" in splits),
        train_dataset=ClipDataset(train, processor, augmenter, seed=args.seed),
        eval_dataset=ClipDataset(splits["validation"], processor) if "validation" in splits else None,
        data_collator=ClipCollator(processor),
        processing_class=processor,
        compute_metrics=_validation_metrics,
        callbacks=_callbacks(args, has_validation="validation" in splits),
    )
    if trainer.is_world_process_zero():
        claim(folder, _settings(model_args, data_args, args, len(train)))
    resume = args.resume_from_checkpoint or last_checkpoint(folder)
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    trainer.save_model(str(folder))

    metrics: dict[str, float] = {}
    baseline: dict[str, float] = {}
    if trainer.is_world_process_zero():
        if "test" in splits:
            metrics, baseline = _test(trainer.model, processor, splits, folder)
        references = {}
        if metrics:
            references = {"test": metrics["accuracy"], "test, 1-NN": baseline["accuracy"]}
        learning_curve(trainer.state.log_history, folder / "learning_curve.png", references=references)
        write_json(folder / "results.json", {"metrics": metrics, "baseline": baseline})
    return IsolatedResult(metrics, baseline, folder, trainer)


def _processor(model_args: ModelArguments, train: Dataset) -> SequenceFeatureExtractor:
    if model_args.model_name_or_path is not None:
        if model_args.processor:
            raise ValueError("A fine-tuned model keeps its processor; leave --processor out or train from scratch.")
        return AutoFeatureExtractor.from_pretrained(model_args.model_name_or_path)
    settings = dict(model_args.processor)
    settings.setdefault("layout", str(train[0]["layout"]))
    try:
        processor = SignKeypointProcessor(**settings)
    except TypeError as error:
        raise ValueError(f"The processor settings do not fit: {error}.") from None
    if model_args.standardize:
        rows = tqdm(train.with_format("numpy"), desc="measuring features", unit="clip", leave=False)
        processor.fit(to_sequence(row) for row in rows)
    return processor


def _model(
    model_args: ModelArguments, processor: SequenceFeatureExtractor, train: Dataset, names: list[str]
) -> PreTrainedModel:
    settings: dict[str, Any] = {
        **model_args.model,
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
    }
    if model_args.class_weights:
        counts = Counter(train["label"])
        settings["class_weights"] = [
            len(train) / (len(counts) * counts[i]) if i in counts else 0.0 for i in range(len(names))
        ]
    if model_args.model_name_or_path is not None:
        # A head for other labels than the old ones is made anew; the encoder is kept.
        return AutoModelForVideoClassification.from_pretrained(
            model_args.model_name_or_path, ignore_mismatched_sizes=True, **settings
        )
    config = AutoConfig.for_model(model_args.model_type, input_size=processor.feature_size, **settings)
    return AutoModelForVideoClassification.from_config(config)


def _resolved(args: SignTrainingArguments, has_validation: bool) -> SignTrainingArguments:
    """The arguments with what only the data can tell: without a validation split nothing is evaluated or chosen."""
    args = copy.copy(args)
    args.dataloader_pin_memory = args.dataloader_pin_memory and torch.cuda.is_available()
    if not has_validation:
        args.eval_strategy = type(args.eval_strategy)("no")
        args.load_best_model_at_end = False
        args.metric_for_best_model = None
    elif args.keep_best:
        args.load_best_model_at_end = True
        args.greater_is_better = not args.metric_for_best_model.endswith("loss")
    return args


def _callbacks(args: SignTrainingArguments, has_validation: bool) -> list[Any]:
    if has_validation and args.keep_best and args.early_stopping_patience:
        return [EarlyStoppingCallback(args.early_stopping_patience)]
    return []


def _validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    measured = sign_recognition(logits, prediction.label_ids, num_resamples=0)
    return {name: measured[name] for name in ("accuracy", "top5_accuracy", "macro_f1")}


def _settings(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, clips: int
) -> dict[str, Any]:
    """What makes a run what it is: changing any of it in the middle would make a model that no command reproduces."""
    schedule = (
        "seed", "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "weight_decay",
        "gradient_accumulation_steps", "warmup_steps", "lr_scheduler_type", "label_smoothing_factor", "max_grad_norm",
    )  # fmt: skip
    return {
        "model": {**vars(model_args)},
        "data": {key: value for key, value in vars(data_args).items() if key not in ("num_proc", "benchmark", "folds")},
        "training": {key: str(getattr(args, key)) for key in schedule},
        "training clips": clips,
    }


def _test(
    model: PreTrainedModel, processor: SequenceFeatureExtractor, splits: DatasetDict, folder: Path
) -> tuple[dict[str, float], dict[str, float]]:
    test = splits["test"]
    logits, references = predict(model, processor, test)
    metrics = sign_recognition(logits, references)
    names = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]
    predicted = logits.argmax(axis=1)
    confusion_matrix(
        predicted, references, names, folder / "confusion_matrix.png", title=f"top-1 {100 * metrics['accuracy']:.1f} %"
    )
    per_class_table(predicted, references, names, folder / "per_class.csv")
    neighbour = NearestNeighbour(splits["train"].with_format("numpy"), len(names))
    baseline_scores = np.nan_to_num(neighbour.scores(test.with_format("numpy")), neginf=-1e9)
    return metrics, sign_recognition(baseline_scores, references)


__all__ = ["IsolatedResult", "train_isolated"]
