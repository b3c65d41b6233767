"""Arguments of the training recipes: three dataclasses, read from YAML (``--config``) and flags, flags winning.

A configuration that comes with the recipes is known by its name: ``--config isl_csltr_ctc_8gb``.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from transformers import TrainingArguments

from .results import require_benchmark

_ENDS = (".yaml", ".yml")


def parsed(name: str, value: dict[str, Any] | str | None) -> dict[str, Any]:
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
class NetworkArguments:
    """What is trained, whatever the task."""

    model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "Folder or Hub id to fine-tune; its processor is kept, and its head where it knows the same labels. "
            "Default: train from scratch."
        },
    )
    model_type: str = field(
        default="signlang_transformer", metadata={"help": "Family of a model trained from scratch."}
    )
    model: dict | str | None = field(
        default=None, metadata={"help": "Settings of its configuration, e.g. hidden_size."}
    )
    processor: dict | str | None = field(default=None, metadata={"help": "Settings of the model's processor."})

    def __post_init__(self) -> None:
        self.model = parsed("model", self.model)
        self.processor = parsed("processor", self.processor)


@dataclass
class ModelArguments(NetworkArguments):
    """What is trained to tell isolated signs."""

    standardize: bool = field(
        default=True, metadata={"help": "Measure mean and spread of each feature on training clips."}
    )
    class_weights: bool = field(
        default=False, metadata={"help": "Weigh the loss by inverse class frequency in the training split."}
    )
    calibrate: bool = field(
        default=False,
        metadata={
            "help": "Choose the model's temperature and its threshold for unknown signs on the validation split."
        },
    )


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
        default="clip",
        metadata={
            "help": "Carve out single clips ('clip'), whole signers ('signer') or every clip of a sentence ('sentence')."
        },
    )
    test_signers: list[str] | None = field(
        default=None,
        metadata={
            "help": "Hold these signers out of training and validation and report on their clips of the training split."
        },
    )
    unknown_split: str | None = field(
        default=None,
        metadata={"help": "Split with clips of other signs, which --calibrate learns to tell from those known."},
    )
    cross_validate: str | None = field(
        default=None,
        metadata={
            "help": "Train one model for each signer of the training split, tested on that signer ('signer'), or for each "
            "of --num_folds parts of it with every class in its share ('stratified') or no sentence in two ('sentence'), or "
            "for each value of the dataset's option --rotation that --folds lists ('rotation')."
        },
    )
    num_folds: int = field(default=5, metadata={"help": "Parts of a cross-validation that is not by signer."})
    rotation: str | None = field(
        default=None,
        metadata={
            "help": "Option of the dataset that says what is tested, such as test_signer; each fold gives it one of --folds."
        },
    )
    folds: list[str] | None = field(
        default=None, metadata={"help": "Only these folds: names of signers, or numbers from 1."}
    )
    seeds: list[int] | None = field(
        default=None, metadata={"help": "Train anew with each of these seeds; results are their mean and spread."}
    )
    signer_independent: bool = field(
        default=True, metadata={"help": "The splits claim to share no signer between training and test; it is checked."}
    )
    sentence_independent: bool = field(
        default=False,
        metadata={"help": "The splits claim to share no sentence between training and test; it is checked."},
    )
    allow_leaks: bool = field(
        default=False, metadata={"help": "Train although splits share signers, sentences or clips."}
    )
    augment: dict | str | None = field(
        default=None,
        metadata={"help": "Settings of AugmentConfig. Default: its defaults; '{\"enabled\": false}' for none."},
    )
    benchmark: str | None = field(
        default=None, metadata={"help": "Write the results to hub_cards/results/<benchmark>.json as well."}
    )
    num_proc: int | None = field(default=None, metadata={"help": "Processes that build the dataset cache."})

    def __post_init__(self) -> None:
        self.dataset_options = parsed("dataset_options", self.dataset_options)
        self.augment = parsed("augment", self.augment)
        if not 0 <= self.validation_size < 1:
            raise ValueError(f"validation_size is {self.validation_size}; it must be in [0, 1).")
        if self.validation_by not in ("clip", "signer", "sentence"):
            raise ValueError(f"validation_by is {self.validation_by!r}; choose 'clip', 'signer' or 'sentence'.")
        known = ("signer", "stratified", "sentence", "rotation")
        if self.cross_validate not in (None, *known):
            raise ValueError(
                f"cross_validate is {self.cross_validate!r}; choose {', '.join(map(repr, known[:-1]))} or {known[-1]!r}."
            )
        if (self.rotation is not None) != (self.cross_validate == "rotation"):
            raise ValueError("--cross_validate rotation and --rotation with an option of the dataset belong together.")
        if self.cross_validate == "rotation" and not self.folds:
            raise ValueError(f"Say which values of {self.rotation} are tested, one a fold: --folds a b c.")
        if self.test_signers and self.cross_validate:
            raise ValueError("--test_signers and --cross_validate both say what is tested on; choose one.")
        if self.num_folds < 2:
            raise ValueError(f"num_folds is {self.num_folds}; it must be at least 2.")
        if self.folds is not None and self.cross_validate is None:
            raise ValueError(
                "--folds selects from the folds of --cross_validate signer, stratified, sentence or rotation; choose one."
            )
        if self.seeds is not None and len(set(self.seeds)) < max(1, len(self.seeds)):
            raise ValueError(f"--seeds {' '.join(map(str, self.seeds))} names a seed twice, or none.")
        if self.benchmark is not None:
            require_benchmark(self.benchmark)


@dataclass
class FittingArguments(TrainingArguments):
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
    trackio_space_id: str | None = field(
        default=None,
        metadata={"help": "Space that shows a run tracked by trackio; by default it stays on this machine."},
    )
    hub_strategy: str = field(
        default="end",
        metadata={"help": "As in transformers; whatever it is, the last commit is the whole model folder."},
    )
    early_stopping_patience: int = field(
        default=15, metadata={"help": "Stop after so many evaluations without improvement; 0 never stops early."}
    )
    keep_best: bool = field(
        default=True,
        metadata={"help": "Keep the best model by validation instead of the last, where there is validation."},
    )
    ema_decay: float = field(
        default=0.0,
        metadata={
            "help": "Evaluate and keep an exponential moving average of the weights with this decay; 0 does not."
        },
    )

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except ValueError as error:
            if "support bf16" not in str(error):
                raise
            # Not another precision in silence: what a run was trained with would then depend on where it was started.
            raise ValueError(
                "bf16 is set, in the --config file or by a flag, and this machine cannot compute with it: add --bf16 false, or "
                "--bf16 false --fp16 true on an older GPU."
            ) from None
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}; it must be in [0, 1).")

    @property
    def hub_repo(self) -> dict[str, Any]:
        """Where ``--push_to_hub`` goes, as :func:`signlang_hf.hub.open_repo` and :func:`~signlang_hf.hub.push_to_hub` take it."""
        return {
            "repo_id": self.hub_model_id or Path(str(self.output_dir)).name,
            "private": bool(self.hub_private_repo),
            "revision": self.hub_revision,
            "token": self.hub_token,
        }


@dataclass
class SignTrainingArguments(FittingArguments):
    """Arguments of a training on isolated signs."""

    mixup_alpha: float = field(
        default=0.0,
        metadata={"help": "Train on blends of two clips, their shares drawn from Beta(alpha, alpha); 0 does not."},
    )
    feature_dropout: float = field(
        default=0.0,
        metadata={"help": "Leave each of the processor's features out of so large a share of the training clips."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mixup_alpha < 0:
            raise ValueError(f"mixup_alpha is {self.mixup_alpha}; it must be positive, or 0 for no mixing.")
        if not 0 <= self.feature_dropout < 1:
            raise ValueError(f"feature_dropout is {self.feature_dropout}; it must be in [0, 1).")
        if self.mixup_alpha and self.label_smoothing_factor:
            raise ValueError(
                "label_smoothing_factor needs whole labels, which mixup_alpha blends; smooth in the model instead: "
                "--model '{\"label_smoothing\": 0.1}'."
            )


def parse(
    argv: list[str] | None = None,
    *more: type,
    groups: Sequence[type] = (ModelArguments, DataArguments, SignTrainingArguments),
) -> tuple[Any, ...]:
    """The three argument groups from ``argv`` (default: the command line), with ``--config file.yaml``, or the name of one of
    ``recipes/configs``, below the flags.

    Args:
        argv: words of a command line.
        more: dataclasses of further groups, which come after the three.
        groups: dataclasses of the three; default: those of isolated signs.

    Returns:
        One of each of ``groups`` and ``more``.

    Raises:
        ValueError: an argument that does not exist or cannot be read, or a file that is no YAML mapping.
        FileNotFoundError: no such file; names those that there are.
    """
    try:
        from trl import TrlParser
    except ImportError:
        raise ImportError('The recipes need trl: pip install "signlang-hf[train]"') from None
    from yaml import YAMLError

    def refuse(message: str) -> NoReturn:  # instead of argparse's pages of usage
        raise ValueError(f"{message[:1].upper()}{message[1:]}; --help lists all arguments.")

    parser = TrlParser((*groups, *more))
    parser.error = refuse
    argv = [part for flag in (sys.argv[1:] if argv is None else argv) for part in _apart(flag)]
    if argv[-1:] == ["--config"]:
        refuse("argument --config: expected one argument")
    argv = [config_file(word) if before == "--config" else word for before, word in zip(["", *argv], argv)]
    try:
        *found, from_file, from_flags = parser.parse_args_and_config(
            argv, return_remaining_strings=True, separate_remaining_strings=True
        )
    except YAMLError as error:
        raise ValueError(
            f"{argv[argv.index('--config') + 1]} is not valid YAML: {' '.join(str(error).split())}"
        ) from None
    unknown = [flag.partition("=")[0] for flag in (*from_file, *from_flags) if flag.startswith("--")] or from_flags
    if unknown:
        known = [option for action in parser._actions for option in action.option_strings]
        close = [match for flag in unknown for match in difflib.get_close_matches(flag, known, n=1)]
        refuse(f"unknown argument {', '.join(unknown)}" + (f" (did you mean {', '.join(close)}?)" if close else ""))
    return tuple(found)


def config_file(name: str) -> str:
    """The file that ``--config`` means: one that is there, or one of ``recipes/configs`` by its name, with or without its ending.

    Raises:
        FileNotFoundError: neither; the message lists the names.
    """
    if Path(name).exists() and not Path(name).is_dir():
        return name
    # In the checkout that this package lies in, and beside the recipe that runs.
    homes = (Path(__file__).resolve().parents[2] / "recipes", Path(sys.argv[0]).resolve().parent)
    files = [path for home in homes for path in sorted((home / "configs").glob("*")) if path.suffix in _ENDS]
    known = {path.stem: path for path in files}
    stem = name.removesuffix(".yaml").removesuffix(".yml")
    if stem in known:
        return str(known[stem])
    there = f"; known by name are {', '.join(known)}" if known else ""
    raise FileNotFoundError(f"There is no configuration {name}: give a YAML file{there}.")


def _apart(flag: str) -> list[str]:
    """``--config=file`` as two words; the parser below looks for the bare ``--config``."""
    return flag.split("=", 1) if flag.startswith("--config=") else [flag]


__all__ = ["DataArguments", "FittingArguments", "ModelArguments", "NetworkArguments", "SignTrainingArguments", "parse"]
