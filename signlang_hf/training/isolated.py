"""Train and test one isolated-sign model on one set of splits: the body of ``recipes/train_isolated.py``."""

from __future__ import annotations

import copy
import importlib.util
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    SequenceFeatureExtractor,
    Trainer,
    TrainerCallback,
    TrainerState,
    set_seed,
)
from transformers.utils import logging

from ..compat import FINDS_MODELS_SAVED_AS_BEST
from ..data.mapped import MappedRows
from ..landmarks.augment import AugmentConfig, Augmenter
from ..metrics.open_set.open_set import calibration_error
from ..metrics.sign_recognition.sign_recognition import sign_recognition
from .arguments import DataArguments, ModelArguments, SignTrainingArguments
from .baseline import NearestNeighbour
from .building import fine_tuned_model, new_model, new_processor, saved_model, saved_processor
from .calibration import calibrate
from .callbacks import LAST_WEIGHTS, SetEpoch, Stopwatch, WeightAverage
from .checkpoints import RESULTS, STATE, claim, last_checkpoint, stopped_early, write_json
from .clips import ClipCollator, ClipDataset, digest
from .evaluation import label_names, label_positions, write_test
from .reports import learning_curve

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.get_logger(__name__)

METRICS = ("accuracy", "top5_accuracy", "macro_f1")
"""What is measured on the validation split, besides the loss."""
_TRACKERS = {"tensorboard": "train", "mlflow": "track", "trackio": "track", "wandb": "track"}


@dataclass
class IsolatedResult:
    """What one run measured.

    Args:
        metrics, baseline: of the model and of the nearest neighbour on the test split; empty without one.
        training: ``minutes`` (validation included), ``epochs`` and ``parameters``.
        calibration: :class:`.calibration.Calibration` as a dictionary, with the calibration error on the test split before and after;
            empty for a model that was not calibrated.
        folder: where everything was written.
        trainer: with the model, the processor and the log; None in the results of many runs.
    """

    metrics: dict[str, float]
    baseline: dict[str, float]
    training: dict[str, float]
    folder: Path
    trainer: Trainer | None
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
    args = _resolved(args, has_validation="validation" in splits)
    if model_args.calibrate and "validation" not in splits:
        raise ValueError("--calibrate needs a validation split; carve one out with --validation_size 0.15.")
    check_trackers(args)
    with args.main_process_first():  # it writes, the others compare
        finished = claim(folder, run_settings(model_args, data_args, args, splits))
    set_seed(args.seed)
    processor, model = _processor_and_model(str(folder) if finished else None, model_args, splits["train"], names)
    order = label_positions(model, names)
    clips = ClipDataset(splits["train"], processor, augmenter, args.seed, order, args.feature_dropout)
    resume = None if finished else _last_checkpoint(args, folder)
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=clips,
        eval_dataset=ClipDataset(splits["validation"], processor, labels=order) if "validation" in splits else None,
        data_collator=ClipCollator(processor, model.config.num_labels, args.mixup_alpha),
        processing_class=processor,
        compute_metrics=validation_metrics,
        callbacks=_callbacks(args, clips, resume),
    )
    if finished:
        if trainer.is_world_process_zero():
            logger.warning(f"{folder} is finished; its results are read. Delete it to train anew.")
        trainer.state = TrainerState.load_from_json(str(folder / STATE))
        return IsolatedResult(**json.loads((folder / RESULTS).read_text()), folder=folder, trainer=trainer)
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))

    calibration: dict[str, Any] = {}
    if model_args.calibrate and trainer.is_world_process_zero():
        calibration = asdict(calibrate(trainer.model, processor, splits["validation"], splits.get("unknown")))
    trainer.args.push_to_hub = False  # else save_model pushes, before there is a card
    trainer.save_model(str(folder))
    trainer.save_state()

    metrics: dict[str, float] = {}
    baseline: dict[str, float] = {}
    training = _account(trainer)
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


def measure_features(processor: SequenceFeatureExtractor, train: Dataset) -> None:
    """Let the processor measure what it takes from training clips, with a progress bar."""
    rows = tqdm(MappedRows(train), desc="measuring features", unit="clip", leave=False)
    processor.fit(rows)


def _last_checkpoint(args: SignTrainingArguments, folder: Path) -> Path | None:
    """The checkpoint to go on from; a run that had stopped early when it wrote it is not to be trained any further."""
    given = args.resume_from_checkpoint
    resume = Path(given) if given else last_checkpoint(folder, needs=(LAST_WEIGHTS,) if args.ema_decay else ())
    if resume is not None and stopped_early(resume):
        args.max_steps = TrainerState.load_from_json(str(resume / STATE)).global_step
    return resume


def _account(trainer: Trainer) -> dict[str, float]:
    # Resuming puts other callbacks in the place of those that were given.
    (watch,) = [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Stopwatch)]
    return {
        "minutes": round(watch.seconds / 60, 4),
        "epochs": trainer.state.epoch,
        "parameters": trainer.model.num_parameters(),
    }


def augmenter_of(data_args: DataArguments, chance: bool) -> Augmenter | None:
    """The augmenter of the settings, None where it is off and nothing else needs its random numbers."""
    settings = dict(data_args.augment)
    enabled = settings.pop("enabled", True)
    if not isinstance(enabled, bool):
        raise ValueError(f"Augmentation setting enabled is {enabled!r}; it must be true or false.")
    config = AugmentConfig.from_dict(settings)
    if enabled:
        return Augmenter(config)
    return Augmenter(AugmentConfig.off()) if chance else None  # mixing and feature dropout draw after the augmenter


def _resolved(args: SignTrainingArguments, has_validation: bool) -> SignTrainingArguments:
    """The arguments with what only the data can tell: without a validation split nothing is evaluated or chosen."""
    args = copy.copy(args)
    args.dataloader_pin_memory = args.dataloader_pin_memory and torch.cuda.is_available()
    args.restore_callback_states_from_checkpoint = True  # else a resumed run starts counting its patience anew
    if not has_validation or args.eval_strategy == "no":
        args.eval_strategy = type(args.eval_strategy)("no")
        args.load_best_model_at_end = False
        args.metric_for_best_model = None
    elif args.keep_best:
        _check_choice(args)
        args.load_best_model_at_end = True
        args.greater_is_better = not args.metric_for_best_model.endswith("loss")
    return args


def _check_choice(args: SignTrainingArguments) -> None:
    """The best model can only be kept if it was saved when it was measured, by something that is measured."""
    known = (*METRICS, "loss")
    if str(args.metric_for_best_model).removeprefix("eval_") not in known:
        raise ValueError(
            f"metric_for_best_model is {args.metric_for_best_model!r}; validation measures {', '.join(known)}."
        )
    if args.save_strategy == "best" and FINDS_MODELS_SAVED_AS_BEST:
        return
    together = args.save_strategy == args.eval_strategy
    if together and args.save_strategy == "steps" and args.eval_steps:
        together = args.save_steps % args.eval_steps == 0
    if not together:
        raise ValueError(
            "To keep the best model, it has to be saved whenever it is measured: give --save_strategy and --eval_strategy "
            "the same value (and --save_steps a multiple of --eval_steps), or set --keep_best false."
        )


def check_trackers(args: SignTrainingArguments) -> None:
    """Raise ImportError, in one sentence, for a tracker of ``report_to`` that is not installed."""
    for tracker in args.report_to:
        if tracker in _TRACKERS and importlib.util.find_spec(tracker) is None:
            raise ImportError(f'--report_to {tracker} needs {tracker}: pip install "signlang-hf[{_TRACKERS[tracker]}]"')


def _callbacks(args: SignTrainingArguments, clips: ClipDataset, resume: Path | None) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = [SetEpoch(clips), Stopwatch()]
    if args.ema_decay:
        callbacks.append(WeightAverage(resume))
    if args.load_best_model_at_end and args.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(args.early_stopping_patience))
    return callbacks


def validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """What the Trainer measures on the validation split."""
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    measured = sign_recognition(logits, prediction.label_ids, num_resamples=0)
    return {name: measured[name] for name in METRICS}


def run_settings(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, splits: DatasetDict
) -> dict[str, Any]:
    """What makes a run what it is: changing any of it in the middle would make a model that no command reproduces."""
    schedule = (
        "seed", "data_seed", "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size",
        "gradient_accumulation_steps", "weight_decay", "warmup_steps", "warmup_ratio", "lr_scheduler_type",
        "lr_scheduler_kwargs", "optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm",
        "label_smoothing_factor", "fp16", "bf16", "eval_strategy", "eval_steps", "metric_for_best_model", "keep_best",
        "early_stopping_patience", "mixup_alpha", "feature_dropout", "ema_decay",
    )  # fmt: skip
    training = {key: getattr(args, key, None) for key in schedule}
    return {
        **vars(model_args),
        "augment": data_args.augment,
        # An argument that is off, and one that this version of transformers does not have, are the same.
        **{key: str(getattr(value, "value", value)) for key, value in training.items() if value},
        **{f"clips of {name}": digest(split) for name, split in splits.items()},
    }


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


__all__ = [
    "METRICS",
    "IsolatedResult",
    "augmenter_of",
    "check_trackers",
    "measure_features",
    "run_settings",
    "train_isolated",
    "validation_metrics",
]
