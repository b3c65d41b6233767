"""Arguments of the training recipes: three dataclasses, read from YAML (``--config``) and flags, flags winning."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments


def _parsed(name: str, value: dict[str, Any] | str | None) -> dict[str, Any]:
    """A settings field, given as a mapping in YAML and as JSON on the command line."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"--{name} is not valid JSON ({error}); write it like '{{\"key\": 1}}'.") from None
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"--{name} must be a mapping of settings, got {type(value).__name__}.")
    return dict(value or {})


@dataclass
class ModelArguments:
    """What is trained."""

    model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "Folder or Hub id to fine-tune; its processor is kept. Default: train from scratch."},
    )
    model_type: str = field(
        default="signlang_transformer", metadata={"help": "Family of a model trained from scratch."}
    )
    model: dict | str | None = field(
        default=None, metadata={"help": "Settings of its configuration, e.g. hidden_size."}
    )
    processor: dict | str | None = field(default=None, metadata={"help": "Settings of SignKeypointProcessor."})
    standardize: bool = field(
        default=True, metadata={"help": "Measure mean and spread of each feature on training clips."}
    )
    class_weights: bool = field(
        default=False, metadata={"help": "Weigh the loss by inverse class frequency in the training split."}
    )

    def __post_init__(self) -> None:
        self.model = _parsed("model", self.model)
        self.processor = _parsed("processor", self.processor)


@dataclass
class DataArguments:
    """What it is trained on."""

    dataset: str = field(default="fingerspelling", metadata={"help": "Registered name, Parquet folder or Hub id."})
    data_dir: str | None = field(default=None, metadata={"help": "Folder with the source data."})
    dataset_options: dict | str | None = field(default=None, metadata={"help": "Options of the dataset's builder."})
    dataset_license: str | None = field(default=None, metadata={"help": "Licence of the data, for the card."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    validation_split: str = field(
        default="validation", metadata={"help": "Split to choose the best model on, if it exists."}
    )
    test_split: str = field(default="test", metadata={"help": "Split to report on, if it exists."})
    validation_size: float = field(
        default=0.0, metadata={"help": "Share of the training split to carve out where there is no validation split."}
    )
    validation_by: str = field(
        default="clip", metadata={"help": "Carve out single clips ('clip') or whole signers ('signer')."}
    )
    leave_one_signer_out: bool = field(
        default=False,
        metadata={"help": "Train one model for each signer of the training split, tested on that signer."},
    )
    folds: list[str] | None = field(default=None, metadata={"help": "Only these signers' folds."})
    signer_independent: bool = field(
        default=True, metadata={"help": "The splits claim to share no signer between training and test; it is checked."}
    )
    allow_leaks: bool = field(default=False, metadata={"help": "Train although splits share signers or clips."})
    augment: dict | str | None = field(
        default=None,
        metadata={"help": "Settings of AugmentConfig. Default: its defaults; '{\"enabled\": false}' for none."},
    )
    benchmark: str | None = field(
        default=None, metadata={"help": "Write the results to hub_cards/results/<benchmark>.json as well."}
    )
    num_proc: int | None = field(default=None, metadata={"help": "Processes that build the dataset cache."})

    def __post_init__(self) -> None:
        self.dataset_options = _parsed("dataset_options", self.dataset_options)
        self.augment = _parsed("augment", self.augment)
        if not 0 <= self.validation_size < 1:
            raise ValueError(f"validation_size is {self.validation_size}; it must be in [0, 1).")


@dataclass
class SignTrainingArguments(TrainingArguments):
    """``TrainingArguments`` with defaults that suit small keypoint models; every one of them can still be set."""

    output_dir: str | None = field(
        default="outputs/train", metadata={"help": "Where checkpoints, model and reports go."}
    )
    # In this order of types: the argument parser takes the second one for the command line.
    report_to: None | str | list[str] = field(  # noqa: RUF036
        default="tensorboard", metadata={"help": "Tracker, as in transformers."}
    )
    remove_unused_columns: bool | None = field(
        default=False, metadata={"help": "Clips are featurised in the data loader."}
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "As in transformers."})
    save_strategy: str = field(default="epoch", metadata={"help": "As in transformers."})
    logging_strategy: str = field(default="epoch", metadata={"help": "As in transformers."})
    save_total_limit: int | None = field(default=2, metadata={"help": "As in transformers."})
    metric_for_best_model: str | None = field(default="accuracy", metadata={"help": "As in transformers."})
    early_stopping_patience: int = field(
        default=15, metadata={"help": "Stop after so many evaluations without improvement; 0 never stops early."}
    )
    keep_best: bool = field(
        default=True,
        metadata={"help": "Keep the best model by validation instead of the last, where there is validation."},
    )


def parse(
    argv: list[str] | None = None,
) -> tuple[ModelArguments, DataArguments, SignTrainingArguments]:
    """The three argument groups from ``argv`` (default: the command line), with ``--config file.yaml`` below the flags."""
    try:
        from trl import TrlParser
    except ImportError:
        raise ImportError('The recipes need trl: pip install "signlang-hf[train]"') from None
    parser = TrlParser((ModelArguments, DataArguments, SignTrainingArguments))
    return parser.parse_args_and_config(argv)


__all__ = ["DataArguments", "ModelArguments", "SignTrainingArguments", "parse"]
