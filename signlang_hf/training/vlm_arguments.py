"""Arguments of ``recipes/train_vlm.py``: what they have beyond those of every training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..models.internvl import BASE, PROMPT, SignInternVLConfig
from .arguments import DataArguments, FittingArguments, parse, parsed

try:
    from trl import SFTConfig
except ImportError:
    raise ImportError('Fine-tuning the video language model needs trl: pip install "signlang-hf[train,vlm]".') from None


@dataclass
class VlmArguments:
    """What is fine-tuned."""

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Folder or Hub id of an adapter to go on from. Default: a fresh one."}
    )
    base: str = field(default=BASE, metadata={"help": "Hub id or folder of the InternVL model that is adapted."})
    base_revision: str | None = field(default=None, metadata={"help": "Commit, tag or branch of it."})
    base_path: str | None = field(
        default=None, metadata={"help": "Where the base lies, if it cannot be had from the Hub under its name."}
    )
    lora: dict | str | None = field(
        default=None,
        metadata={"help": "Settings of the adapter that differ from the defaults, as in PEFT's LoraConfig."},
    )
    prompt: str = field(default=PROMPT, metadata={"help": "What the model is asked about a clip."})
    num_frames: int = field(default=8, metadata={"help": "Frames of a clip that it sees."})
    sampling: str = field(default="uniform", metadata={"help": "'uniform' over the clip, or its 'middle' half."})
    quantization: str | None = field(
        default=None, metadata={"help": "'4bit' keeps the frozen base in 4 bits (QLoRA); bitsandbytes does it."}
    )
    device: str = field(default="auto", metadata={"help": "auto, cuda, dml, mps or cpu."})

    def __post_init__(self) -> None:
        self.lora = parsed("lora", self.lora)
        self.config([])  # that settings are wrong is better known before the data are read

    def config(self, labels: list[str]) -> SignInternVLConfig:
        """The configuration of a fresh model with these labels."""
        names: dict[str, Any] = {}
        if labels:
            names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
        return SignInternVLConfig(
            self.base, self.base_revision, lora=self.lora, prompt=self.prompt, num_frames=self.num_frames,
            sampling=self.sampling, quantization=self.quantization, **names,
        )  # fmt: skip


@dataclass
class ClipArguments(DataArguments):
    """What it is fine-tuned on."""

    dataset: str = field(
        default="sign_videos", metadata={"help": "Registered name of a dataset of videos with glosses, or Hub id."}
    )
    validation_size: float = field(default=0.0, metadata={"help": "Share of training that is held out to watch it."})
    eval_clips: int = field(
        default=200,
        metadata={"help": "Most clips that are looked at when training is watched; the test split is always whole."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cross_validate or self.augment:
            raise ValueError("The video language model is fine-tuned once, on clips as they are.")
        if self.eval_clips < 1:
            raise ValueError(f"eval_clips is {self.eval_clips}; it must be at least 1.")


@dataclass
class VlmTrainingArguments(FittingArguments, SFTConfig):
    """Arguments of a fine-tuning: TRL's, with the defaults of this model."""

    output_dir: str | None = field(default="outputs/vlm", metadata={"help": "Where adapter and reports go."})
    per_device_train_batch_size: int = field(default=1, metadata={"help": "As in transformers."})
    per_device_eval_batch_size: int = field(default=1, metadata={"help": "As in transformers."})
    gradient_accumulation_steps: int = field(default=4, metadata={"help": "As in transformers."})
    num_train_epochs: float = field(default=1, metadata={"help": "As in transformers."})
    learning_rate: float = field(default=2e-4, metadata={"help": "As in transformers."})
    optim: str = field(default="adamw_torch", metadata={"help": "As in transformers."})
    logging_strategy: str = field(default="steps", metadata={"help": "As in transformers."})
    logging_steps: float = field(default=10, metadata={"help": "As in transformers."})
    gradient_checkpointing: bool = field(default=True, metadata={"help": "As in transformers."})
    metric_for_best_model: str | None = field(default=None, metadata={"help": "As in transformers."})
    keep_best: bool = field(default=False, metadata={"help": "Keep the best adapter by validation, not the last."})
    early_stopping_patience: int = field(default=0, metadata={"help": "Evaluations without improvement; 0: never."})
    max_length: int | None = field(
        default=None, metadata={"help": "None: a prompt that is cut off has lost frames, which the model counts."}
    )

    def __post_init__(self) -> None:
        # The rows are clips, which our own collator makes ready; without re-entrant checkpoints frozen inputs do no harm.
        self.dataset_kwargs = {"skip_prepare_dataset": True}
        self.remove_unused_columns = False
        if self.gradient_checkpointing_kwargs is None:
            self.gradient_checkpointing_kwargs = {"use_reentrant": False}
        super().__post_init__()
        if self.ema_decay:
            raise ValueError("The video language model has no average of its weights; leave --ema_decay out.")


def parse_vlm(argv: list[str] | None = None) -> tuple[VlmArguments, ClipArguments, VlmTrainingArguments]:
    """The argument groups of ``train_vlm``; see :func:`.arguments.parse`."""
    return parse(argv, groups=(VlmArguments, ClipArguments, VlmTrainingArguments))


__all__ = ["ClipArguments", "VlmArguments", "VlmTrainingArguments", "parse_vlm"]
