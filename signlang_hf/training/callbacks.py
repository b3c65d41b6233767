"""What the training loop does besides training: tell augmentation the epoch, keep the time, average the weights."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..landmarks.files import atomic_write
from .clips import ClipDataset

LAST_WEIGHTS = "last_weights.safetensors"
"""In a checkpoint of an averaged run: the weights that training goes on from. Its ``model.safetensors`` is the average."""


class SetEpoch(TrainerCallback):
    """Tells the augmentation which epoch it is."""

    def __init__(self, clips: ClipDataset) -> None:
        self.clips = clips

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.clips.set_epoch(int(state.epoch or 0))


class Stopwatch(TrainerCallback, ExportableState):
    """Seconds from the beginning of training to its end, validation included. Checkpoints carry them, so the time before an
    interruption counts, and what was lost and trained again counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started: float | None = None

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._started = time.perf_counter() - self.seconds

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds, self._started = self._now(), None

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"seconds": self._now()}}

    def _now(self) -> float:
        return self.seconds if self._started is None else time.perf_counter() - self._started


class WeightAverage(TrainerCallback):
    """An exponential moving average of the weights (Polyak & Juditsky 1992), which is what is evaluated, saved and kept.

    After optimiser step t the average moves by 1 - d towards the weights, d = min(``ema_decay``, (1 + t) / (10 + t)): the first steps,
    whose weights are far from good, are soon forgotten. Buffers (the statistics of a batch norm) are averaged likewise.

    The average takes the place of the weights whenever they are evaluated or saved, and leaves it when the next step begins. A
    checkpoint holds both, so a resumed run goes on exactly.

    Args:
        resume: the checkpoint that training resumes from.
    """

    def __init__(self, resume: Path | None = None) -> None:
        self.resume = resume
        self._average: dict[str, torch.Tensor] = {}
        self._weights: dict[str, torch.Tensor] = {}  # those of training, while the average is in their place

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        model = kwargs["model"]
        self._average, self._weights = _copy(model), {}
        if self.resume is not None:  # the Trainer has loaded the average as it would any model
            from safetensors.torch import load_file

            _put(model, load_file(self.resume / LAST_WEIGHTS))

    @torch.no_grad()
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        decay = min(args.ema_decay, (1 + state.global_step) / (10 + state.global_step))
        for name, value in kwargs["model"].state_dict().items():
            if value.is_floating_point():
                self._average[name].lerp_(value.float(), 1 - decay)
            else:
                self._average[name].copy_(value)
        self._show(args, state, control, kwargs["model"])

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._show(args, state, control, kwargs["model"])

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._weights:
            _put(kwargs["model"], self._weights)
            self._weights = {}

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # The best model is saved when it turns out to be the best, which _show() could not know.
        if not (_checkpoint(args, state) / LAST_WEIGHTS).is_file():
            self._save(args, state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not self._weights and not (args.load_best_model_at_end and state.best_model_checkpoint):
            _put(kwargs["model"], self._average)
        self._average, self._weights = {}, {}

    def _show(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: PreTrainedModel
    ) -> None:
        """Put the average in place if the model is about to be looked at, and save the weights first if it is to be saved: the
        Trainer writes last the file that tells a whole checkpoint from a torn one."""
        if not (control.should_evaluate or control.should_save):
            return
        if not self._weights:
            self._weights = _copy(model)
            _put(model, self._average)
        if control.should_save:
            self._save(args, state)

    def _save(self, args: TrainingArguments, state: TrainerState) -> None:
        if args.should_save:
            from safetensors.torch import save

            path = _checkpoint(args, state) / LAST_WEIGHTS
            path.parent.mkdir(parents=True, exist_ok=True)
            content = save({name: value.cpu().contiguous() for name, value in self._weights.items()})
            atomic_write(path, lambda stream: stream.write(content))


def _checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"


def _copy(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@torch.no_grad()
def _put(model: PreTrainedModel, values: dict[str, torch.Tensor]) -> None:
    for name, value in model.state_dict().items():
        value.copy_(values[name])


__all__ = ["LAST_WEIGHTS", "SetEpoch", "Stopwatch", "WeightAverage"]
