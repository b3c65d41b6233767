"""Train and test one isolated-sign model on one set of splits: the body of ``recipes/train_isolated.py``."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
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
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

from ..compat import FINDS_MODELS_SAVED_AS_BEST
from ..landmarks.augment import AugmentConfig, Augmenter
from ..landmarks.rows import to_sequence
from ..metrics.sign_recognition.sign_recognition import sign_recognition
from .arguments import DataArguments, ModelArguments, SignTrainingArguments
from .baseline import NearestNeighbour
from .building import fine_tuned_model, new_model, new_processor, saved_model, saved_processor
from .checkpoints import RESULTS, STATE, claim, last_checkpoint, stopped_early, write_json
from .clips import ClipCollator, ClipDataset, digest
from .evaluation import label_names, label_positions, predict
from .reports import confusion_matrix, learning_curve, per_class_table

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.get_logger(__name__)

_METRICS = ("accuracy", "top5_accuracy", "macro_f1")


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
    Resumes from the last whole checkpoint of the same run. A run that is finished is not trained again: its model and its
    results are read.

    Raises:
        ValueError: settings that do not fit each other, the data or the run that the folder holds.
    """
    folder = Path(args.output_dir)
    names = label_names(splits["train"])
    augmenter = _augmenter(data_args)
    args = _resolved(args, has_validation="validation" in splits)
    with args.main_process_first():  # it writes, the others compare
        finished = claim(folder, _settings(model_args, data_args, args, splits))
    set_seed(args.seed)
    processor, model = _processor_and_model(str(folder) if finished else None, model_args, splits["train"], names)
    order = label_positions(model, names)
    clips = ClipDataset(splits["train"], processor, augmenter, seed=args.seed, labels=order)
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=clips,
        eval_dataset=ClipDataset(splits["validation"], processor, labels=order) if "validation" in splits else None,
        data_collator=ClipCollator(processor),
        processing_class=processor,
        compute_metrics=_validation_metrics,
        callbacks=_callbacks(args, clips),
    )
    if finished:
        if trainer.is_world_process_zero():
            logger.warning(f"{folder} is finished; its results are read. Delete it to train anew.")
        trainer.state = TrainerState.load_from_json(str(folder / STATE))
        return IsolatedResult(**json.loads((folder / RESULTS).read_text()), folder=folder, trainer=trainer)
    _train(trainer, folder)

    metrics: dict[str, float] = {}
    baseline: dict[str, float] = {}
    if trainer.is_world_process_zero():
        if "test" in splits:
            metrics, baseline = _test(trainer.model, processor, splits, folder)
        references = {}
        if metrics:
            references = {"test": metrics["accuracy"], "test, 1-NN": baseline["accuracy"]}
        learning_curve(trainer.state.log_history, folder / "learning_curve.png", references=references)
        write_json(folder / RESULTS, {"metrics": metrics, "baseline": baseline})
    return IsolatedResult(metrics, baseline, folder, trainer)


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
        rows = tqdm(train.with_format("numpy"), desc="measuring features", unit="clip", leave=False)
        processor.fit(to_sequence(row) for row in rows)
    return processor, model


def _train(trainer: Trainer, folder: Path) -> None:
    """Train, from the last whole checkpoint where there is one, and save the model."""
    resume = trainer.args.resume_from_checkpoint or last_checkpoint(folder)
    if resume is not None and stopped_early(Path(resume)):
        trainer.args.max_steps = TrainerState.load_from_json(str(Path(resume) / STATE)).global_step
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    trainer.args.push_to_hub = False  # else save_model pushes, before there is a card
    trainer.save_model(str(folder))
    trainer.save_state()


class _SetEpoch(TrainerCallback):
    """Tells the augmentation which epoch it is."""

    def __init__(self, clips: ClipDataset) -> None:
        self.clips = clips

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.clips.set_epoch(int(state.epoch or 0))


def _augmenter(data_args: DataArguments) -> Augmenter | None:
    settings = dict(data_args.augment)
    enabled = settings.pop("enabled", True)
    if not isinstance(enabled, bool):
        raise ValueError(f"Augmentation setting enabled is {enabled!r}; it must be true or false.")
    config = AugmentConfig.from_dict(settings)
    return Augmenter(config) if enabled else None


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
    known = (*_METRICS, "loss")
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


def _callbacks(args: SignTrainingArguments, clips: ClipDataset) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = [_SetEpoch(clips)]
    if args.load_best_model_at_end and args.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(args.early_stopping_patience))
    return callbacks


def _validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    measured = sign_recognition(logits, prediction.label_ids, num_resamples=0)
    return {name: measured[name] for name in _METRICS}


def _settings(
    model_args: ModelArguments, data_args: DataArguments, args: SignTrainingArguments, splits: DatasetDict
) -> dict[str, Any]:
    """What makes a run what it is: changing any of it in the middle would make a model that no command reproduces."""
    schedule = (
        "seed", "data_seed", "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size",
        "gradient_accumulation_steps", "weight_decay", "warmup_steps", "warmup_ratio", "lr_scheduler_type",
        "lr_scheduler_kwargs", "optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm",
        "label_smoothing_factor", "fp16", "bf16", "eval_strategy", "eval_steps", "metric_for_best_model", "keep_best",
        "early_stopping_patience",
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
    neighbour = NearestNeighbour(splits["train"].with_format("numpy"), len(label_names(test)))
    baseline_scores = np.nan_to_num(neighbour.scores(test.with_format("numpy")), neginf=-1e9)
    return metrics, sign_recognition(baseline_scores, np.array(test["label"]))


__all__ = ["IsolatedResult", "train_isolated"]
