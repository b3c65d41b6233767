"""What every training shares: arguments that only the data can complete, one run a folder, exact resuming, the account of it.

Design decisions:

* A task's own module (:mod:`.isolated`, :mod:`.continuous`, :mod:`.translation`) reads from top to bottom and calls these pieces; there
  is no base class with holes to fill.
* A folder is one run. :func:`open_run` records its settings or refuses others, :func:`fit` resumes from its last whole checkpoint, and
  a run whose results are written is never trained again.
* Everything random is drawn from (seed, epoch, row) or from generators that checkpoints hold, so a run that was killed and resumed is
  the run that was not.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm
from transformers import (
    EarlyStoppingCallback,
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
from .arguments import DataArguments, FittingArguments, NetworkArguments
from .callbacks import LAST_WEIGHTS, SetEpoch, Stopwatch, WeightAverage
from .checkpoints import STATE, claim, last_checkpoint, stopped_early
from .clips import digest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.get_logger(__name__)

_TRACKERS = {"tensorboard": "train", "mlflow": "track", "trackio": "track", "wandb": "track"}
_LESS_IS_BETTER = ("loss", "wer", "error_rate")


@dataclass
class RunResult:
    """What one run measured.

    Args:
        metrics, baseline: of the model and of a simpler method on the test split; empty without one.
        training: ``minutes`` (validation included), ``epochs`` and ``parameters``.
        folder: where everything was written.
        trainer: with the model, the processor and the log; None in the results of many runs.
    """

    metrics: dict[str, float]
    baseline: dict[str, float]
    training: dict[str, float]
    folder: Path
    trainer: Trainer | None


@dataclass(frozen=True)
class Task:
    """What tells one kind of training from another where several runs make one figure.

    Args:
        train: takes the model's, the data's and the training's arguments and the splits, returns a :class:`RunResult`.
        metrics: what is reported of a run's ``metrics`` and baselines; the first one of each fold, too.
        shown: title → metric that people are shown while it runs.
        baselines: result of a run → name → metrics of the simpler methods.
        signatures: result of a run → metric → how its tool says it was counted; rows carry it among the versions.
    """

    train: Callable[..., Any]
    metrics: tuple[str, ...]
    shown: Mapping[str, str]
    baselines: Callable[[Any], dict[str, dict[str, float]]]
    signatures: Callable[[Any], dict[str, str]] = lambda run: {}


def resolved(args: FittingArguments, has_validation: bool, metrics: Sequence[str]) -> FittingArguments:
    """The arguments with what only the data can tell: without a validation split nothing is evaluated or chosen.

    Args:
        args: they are copied.
        has_validation: whether there is something to choose the best model on.
        metrics: what is measured on it, besides the loss.

    Raises:
        ValueError: the best model cannot be chosen as the arguments say.
    """
    args = copy.copy(args)
    args.dataloader_pin_memory = args.dataloader_pin_memory and torch.cuda.is_available()
    args.restore_callback_states_from_checkpoint = True  # else a resumed run starts counting its patience anew
    if not has_validation or args.eval_strategy == "no":
        args.eval_strategy = type(args.eval_strategy)("no")
        args.load_best_model_at_end = False
        args.metric_for_best_model = None
    elif args.keep_best:
        _check_choice(args, metrics)
        args.load_best_model_at_end = True
        args.greater_is_better = not args.metric_for_best_model.endswith(_LESS_IS_BETTER)
    return args


def _check_choice(args: FittingArguments, metrics: Sequence[str]) -> None:
    """The best model can only be kept if it was saved when it was measured, by something that is measured."""
    known = (*metrics, "loss")
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


def check_trackers(args: FittingArguments) -> None:
    """Raise ImportError, in one sentence, for a tracker of ``report_to`` that is not installed."""
    for tracker in args.report_to:
        if tracker in _TRACKERS and importlib.util.find_spec(tracker) is None:
            raise ImportError(f'--report_to {tracker} needs {tracker}: pip install "signlang-hf[{_TRACKERS[tracker]}]"')


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


def measure_features(processor: SequenceFeatureExtractor, train: Dataset) -> None:
    """Let the processor measure what it takes from training clips, with a progress bar."""
    rows = tqdm(MappedRows(train), desc="measuring features", unit="clip", leave=False)
    processor.fit(rows)


def run_settings(
    model_args: NetworkArguments,
    data_args: DataArguments,
    args: FittingArguments,
    splits: DatasetDict,
    digest: Callable[[Dataset], str] = digest,
) -> dict[str, Any]:
    """What makes a run what it is: changing any of it in the middle would make a model that no command reproduces. ``digest`` tells
    the rows of a split from others."""
    schedule = (
        "seed", "data_seed", "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size",
        "gradient_accumulation_steps", "weight_decay", "warmup_steps", "warmup_ratio", "lr_scheduler_type",
        "lr_scheduler_kwargs", "optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm",
        "label_smoothing_factor", "fp16", "bf16", "eval_strategy", "eval_steps", "metric_for_best_model", "keep_best",
        "early_stopping_patience", "mixup_alpha", "feature_dropout", "ema_decay", "group_by_length",
    )  # fmt: skip
    training = {key: getattr(args, key, None) for key in schedule}
    return {
        **vars(model_args),
        "augment": data_args.augment,
        # An argument that is off, and one that this version of transformers does not have, are the same.
        **{key: _written(getattr(value, "value", value)) for key, value in training.items() if value},
        **{f"clips of {name}": digest(split) for name, split in splits.items()},
    }


def _written(value: Any) -> str:
    """A setting as text; 40 epochs are 40 epochs, whether a file or the command line says so."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def open_run(args: FittingArguments, settings: Mapping[str, Any]) -> bool:
    """Claim the folder ``args.output_dir`` for a run of these settings, and set its seed.

    Returns:
        Whether the run is finished: then its results are to be read.

    Raises:
        ValueError: the folder belongs to a run with other settings.
    """
    with args.main_process_first():  # it writes, the others compare
        finished = claim(Path(args.output_dir), settings)
    set_seed(args.seed)
    return finished


def fit(
    trainer_class: type[Trainer],
    args: FittingArguments,
    finished: bool,
    *,
    more_callbacks: Iterable[TrainerCallback] = (),
    **parts: Any,
) -> Trainer:
    """Train to the end, from the last whole checkpoint if there is one; a finished run is only given its log.

    Args:
        trainer_class: Trainer or a subclass.
        args: what :func:`resolved` returned.
        finished: what :func:`open_run` returned.
        more_callbacks: beyond those that every run has.
        parts: of the trainer: ``model``, ``train_dataset`` (with ``set_epoch``), ``eval_dataset``, ``data_collator`` …
    """
    folder = Path(args.output_dir)
    resume = None if finished else _last_checkpoint(args, folder)
    callbacks = [*callbacks_of(args, parts["train_dataset"], resume), *more_callbacks]
    trainer = trainer_class(args=args, callbacks=callbacks, **parts)
    if finished:
        if trainer.is_world_process_zero():
            logger.warning(f"{folder} is finished; its results are read. Delete it to train anew.")
        trainer.state = TrainerState.load_from_json(str(folder / STATE))
    else:
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    return trainer


def save_run(trainer: Trainer) -> None:
    """Write model, processor and log into the run's folder."""
    trainer.args.push_to_hub = False  # else save_model pushes, before there is a card
    trainer.save_model(trainer.args.output_dir)
    trainer.save_state()


def account(trainer: Trainer) -> dict[str, float]:
    """Minutes, epochs and number of parameters of a training."""
    # Resuming puts other callbacks in the place of those that were given.
    (watch,) = [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Stopwatch)]
    return {
        "minutes": round(watch.seconds / 60, 4),
        "epochs": trainer.state.epoch,
        "parameters": trainer.model.num_parameters(),
    }


def callbacks_of(args: FittingArguments, clips: Any, resume: Path | None) -> list[TrainerCallback]:
    """What every run has: the epoch told to its clips, a watch, and by the arguments averaged weights and an early end."""
    callbacks: list[TrainerCallback] = [SetEpoch(clips), Stopwatch()]
    if args.ema_decay:
        callbacks.append(WeightAverage(resume))
    if args.load_best_model_at_end and args.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(args.early_stopping_patience))
    return callbacks


def _last_checkpoint(args: FittingArguments, folder: Path) -> Path | None:
    """The checkpoint to go on from; a run that had stopped early when it wrote it is not to be trained any further."""
    given = args.resume_from_checkpoint
    resume = Path(given) if given else last_checkpoint(folder, needs=(LAST_WEIGHTS,) if args.ema_decay else ())
    if resume is not None and stopped_early(resume):
        args.max_steps = TrainerState.load_from_json(str(resume / STATE)).global_step
    return resume


__all__ = [
    "RunResult",
    "Task",
    "account",
    "augmenter_of",
    "callbacks_of",
    "check_trackers",
    "fit",
    "measure_features",
    "open_run",
    "resolved",
    "run_settings",
    "save_run",
]
