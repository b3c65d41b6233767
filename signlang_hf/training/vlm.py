"""Fine-tune the video language model on clips with glosses: the body of ``recipes/train_vlm.py``.

Design decisions:

* TRL's SFTTrainer trains PEFT's model, as it would any other; what is ours is the collator, which asks a clip and writes the gloss
  behind it, and what is measured: constrained accuracy, the share of clips whose own gloss is the likeliest of the label set.
* A row is a clip and its gloss; it is decoded when its turn comes, so no set of videos has to fit into memory or onto the disk twice.
* A clip that cannot be read is left out before training, in one line with its reason: a training of days must not end in the middle for
  the sake of one of ten thousand.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm
from transformers import TrainerState
from transformers.utils import logging
from trl import SFTTrainer

from ..models.internvl import SignInternVLForConditionalGeneration, SignInternVLProcessor, choose_device
from ..pretrained import resolve
from ..video import VideoWarning, probe_video
from .callbacks import Stopwatch
from .checkpoints import RESULTS, STATE, last_checkpoint, write_json
from .fitting import RunResult, account, check_trackers, open_run, resolved, run_settings
from .reports import learning_curve
from .splits import load_splits
from .vlm_arguments import ClipArguments, VlmArguments, VlmTrainingArguments
from .vlm_evaluation import gloss_scores, label_probabilities

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.get_logger(__name__)

METRICS = ("accuracy", "accuracy_synonyms", "top5_accuracy")
"""What is measured on the validation split, besides the loss."""
_OUT_OF_MEMORY = (
    "There is not enough memory: fewer --num_frames, --quantization 4bit, a batch of 1 (--per_device_train_batch_size 1), or "
    "--gradient_checkpointing true."
)


@dataclass(frozen=True)
class AnswerCollator:
    """Rows of clips with their glosses → what the model learns from: the prompt with the clip, and the gloss behind it."""

    processor: SignInternVLProcessor

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        prompts = [row.get("prompt") or self.processor.prompt for row in rows]
        with warnings.catch_warnings():  # said once, when the data were looked through
            warnings.simplefilter("ignore", VideoWarning)
            return dict(self.processor(list(rows), prompts, [row["gloss"] for row in rows]))


class SignSFTTrainer(SFTTrainer):
    """TRL's trainer, which also measures what the model answers among its labels.

    Args:
        whole: the model that ``model``, PEFT's, belongs to.
        clips: rows of the validation split, or None.
        processor: of the model.
    """

    def __init__(
        self,
        *args: Any,
        whole: SignInternVLForConditionalGeneration,
        processor: SignInternVLProcessor,
        clips: Dataset | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.whole, self.sign_processor, self.clips = whole, processor, clips

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> dict[str, float]:
        metrics = super().evaluate(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        if self.clips is not None:
            training = self.whole.training
            self.whole.eval()
            scores = gloss_scores(
                label_probabilities(self.whole, self.sign_processor, self.clips), self.clips, self.whole
            )
            self.whole.train(training)
            found = {f"{metric_key_prefix}_{name}": scores[name] for name in METRICS}
            self.log(found)
            metrics |= found
        return metrics


def load_clips(data_args: ClipArguments, seed: int) -> DatasetDict:
    """The splits of a run, without the clips that cannot be read.

    Raises:
        ValueError: no gloss or video in the rows, a split that there is not, or one of which nothing can be read.
    """
    splits = load_splits(data_args, seed=seed)
    for name, rows in splits.items():
        missing = [column for column in ("video_path", "gloss") if column not in rows.column_names]
        if missing:
            raise ValueError(
                f"The split '{name}' has no column {' and no '.join(missing)}; it has {', '.join(rows.column_names)}."
            )
        splits[name] = readable_clips(rows, name)
    return splits


def readable_clips(rows: Dataset, split: str) -> Dataset:
    """The rows whose ``video_path`` can be decoded; one line says which of the split's cannot.

    Raises:
        ValueError: none can.
    """
    good, bad = [], []
    for index, path in enumerate(tqdm(rows["video_path"], desc=f"looking through {split}", unit="clip", leave=False)):
        try:
            probe_video(path)
        except (OSError, ValueError) as error:
            bad.append(str(error))
        else:
            good.append(index)
    if not good:
        raise ValueError(f"None of the {len(bad)} clips of the split '{split}' can be read; the first: {bad[0]}")
    if bad:
        logger.warning(
            f"Left {len(bad)} of {len(rows)} clips of {split} out: {' '.join(bad[:5])}" + " …" * (len(bad) > 5)
        )
    return rows.select(good) if bad else rows


def label_set(splits: DatasetDict) -> list[str]:
    """All glosses of the splits, in the order of the dataset's classes where it has some, else of the alphabet."""
    feature = splits["train"].features.get("label")
    names = list(getattr(feature, "names", []))
    return names or sorted({gloss for rows in splits.values() for gloss in rows["gloss"]})


def train_vlm(
    model_args: VlmArguments, data_args: ClipArguments, args: VlmTrainingArguments, splits: DatasetDict
) -> RunResult:
    """Fine-tune on ``train``, watch on ``validation`` where it exists, report on ``test`` where it exists.

    Writes into ``args.output_dir``: adapter, configuration and processor, ``results.json`` and ``learning_curve.png``. Resumes from the last
    whole checkpoint of the same run; a run that is finished is read.

    Raises:
        ValueError: settings that do not fit each other, the data or the run that the folder holds.
        OSError: the base cannot be had; says how to give a folder.
        ImportError: PEFT, bitsandbytes or a tracker is not installed.
        MemoryError: the device's memory is not enough; says what helps.
    """
    folder = Path(str(args.output_dir))
    args = resolved(args, "validation" in splits, METRICS)
    check_trackers(args)
    finished = open_run(args, _settings(model_args, data_args, args, splits))
    model, processor = _model(str(folder) if finished else None, model_args, args, label_set(splits))
    watched = None
    if "validation" in splits:
        watched = splits["validation"].select(range(min(data_args.eval_clips, len(splits["validation"]))))
    trainer = SignSFTTrainer(
        model.model,
        args,
        data_collator=AnswerCollator(processor),
        train_dataset=splits["train"],
        eval_dataset=watched,
        processing_class=processor.base_processor,
        callbacks=[Stopwatch()],
        whole=model,
        processor=processor,
        clips=watched,
    )
    if finished:
        trainer.state = TrainerState.load_from_json(str(folder / STATE))
        return RunResult(**json.loads((folder / RESULTS).read_text()), folder=folder, trainer=trainer)
    given = args.resume_from_checkpoint
    resume = Path(given) if given else last_checkpoint(folder)
    try:
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise MemoryError(_OUT_OF_MEMORY) from error

    # What is kept: the adapter in the model's own form, beside it what reads it
    model.eval()
    state = (
        trainer.accelerator.get_state_dict(trainer.model)
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        else None
    )
    if state is not None:
        state = {f"model.{name}": value for name, value in state.items()}
    model.save_pretrained(folder, is_main_process=trainer.is_world_process_zero(), state_dict=state)
    result = RunResult({}, {}, account(trainer), folder, trainer)
    result.training["trained_parameters"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if "test" in splits:
        probabilities = label_probabilities(model, processor, splits["test"])
        result.metrics = gloss_scores(probabilities, splits["test"], model)
    if trainer.is_world_process_zero():
        processor.save_pretrained(folder)
        trainer.save_state()
        references = {"test": result.metrics["accuracy"]} if result.metrics else {}
        learning_curve(
            trainer.state.log_history, folder / "learning_curve.png", references=references, metric="accuracy", loss_name="loss of the answers"
        )  # fmt: skip
        told = ("metrics", "baseline", "training")
        write_json(folder / RESULTS, {name: getattr(result, name) for name in told})
    return result


def _model(
    finished: str | None, model_args: VlmArguments, args: VlmTrainingArguments, labels: list[str]
) -> tuple[SignInternVLForConditionalGeneration, SignInternVLProcessor]:
    """Model and processor: of the finished run, of an adapter that is trained on, or with a fresh adapter."""
    place: dict[str, Any] = {
        "device": choose_device("cpu" if args.use_cpu else model_args.device),
        "base": model_args.base_path,
    }
    if args.bf16 or args.fp16:
        place["dtype"] = torch.bfloat16 if args.bf16 else torch.float16
    given = finished or (model_args.model_name_or_path and resolve(model_args.model_name_or_path))
    if given:
        model = SignInternVLForConditionalGeneration.from_pretrained(
            given, quantization=model_args.quantization, **place
        )
        if not finished:
            config = copy.deepcopy(model_args.config(labels))
            model.config.id2label, model.config.label2id = config.id2label, config.label2id
    else:
        model = SignInternVLForConditionalGeneration.from_base(model_args.config(labels), **place)
    processor = SignInternVLProcessor.for_model(model)
    processor.label_ids(model.config.labels)  # two glosses that no answer can tell apart are better known now
    return model, processor


def _settings(
    model_args: VlmArguments, data_args: ClipArguments, args: VlmTrainingArguments, splits: DatasetDict
) -> dict[str, Any]:
    where = ("base_path", "device")  # that a run goes on elsewhere does not make it another
    kept = copy.copy(model_args)
    for name in where:
        delattr(kept, name) if name in vars(kept) else None
    return run_settings(kept, data_args, args, splits, digest=_digest)  # type: ignore[arg-type]


def _digest(rows: Dataset) -> str:
    import hashlib

    told = "\n".join(f"{Path(path).name}\t{gloss}" for path, gloss in zip(rows["video_path"], rows["gloss"]))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


__all__ = ["METRICS", "AnswerCollator", "SignSFTTrainer", "label_set", "load_clips", "readable_clips", "train_vlm"]
