"""Arguments of ``recipes/train_ctc.py`` and ``recipes/train_translator.py``: what they have beyond those of every training.

Design decisions:

* Both tasks start from the same defaults: learning rate 1e-3, at most 100 epochs, an end after 15 evaluations without improvement.
* What a decoder can be set to is either one value or a list; of a list, validation chooses. Nothing is chosen on the test split.
* A decoder is needed when training is over, but what it cannot do is said before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from transformers import Seq2SeqTrainingArguments

from ..decoding import Decoder
from .arguments import DataArguments, FittingArguments, NetworkArguments, parse, parsed

CTC_DECODING: dict[str, Any] = {
    "method": "beam", "beam_size": 10, "order": 3, "lm_weight": [0.0, 0.25, 0.5, 1.0], "insertion_bonus": [0.0, 1.0],
    "engine": "auto", "chosen_on": 200,
}  # fmt: skip
"""How a trained recogniser is read. ``order`` of the language model of the training glosses (0: none) and ``chosen_on``, how many
validation clips the weights are chosen on, are ours; the others are :class:`~signlang_hf.decoding.Decoder`'s."""

TRANSLATOR_DECODING: dict[str, Any] = {"num_beams": [1, 5], "length_penalty": [0.6, 1.0, 1.4], "max_new_tokens": 64}
"""How a trained translator writes: settings of ``generate``."""


@dataclass
class ContinuousArguments(NetworkArguments):
    """What is trained to read sentences of glosses."""

    model_type: str = field(default="signlang_ctc", metadata={"help": "Family of a model trained from scratch."})
    standardize: bool = field(
        default=True, metadata={"help": "Measure mean and spread of each feature on training clips."}
    )
    minimum_count: int = field(
        default=1, metadata={"help": "Glosses that the training split holds fewer times are <unk>."}
    )
    error_rate: str = field(
        default="wer",
        metadata={"help": "What the error rate is called in results: 'wer', or 'letter_error_rate' of spelled words."},
    )
    decoding: dict | str | None = field(
        default=None,
        metadata={
            "help": "method (greedy, beam), beam_size, order of the n-gram model of the training glosses (0: none), lm_weight and "
            "insertion_bonus (a value, or a list to choose from on validation), engine, chosen_on (validation clips)."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.decoding = decoding_settings(self.decoding, CTC_DECODING, ("lm_weight", "insertion_bonus"))
        if self.decoding["method"] not in ("greedy", "beam"):
            raise ValueError(f"decoding method is {self.decoding['method']!r}; choose 'greedy' or 'beam'.")
        require_whole(self.decoding, beam_size=1, order=0, chosen_on=1)
        if min(self.decoding["lm_weight"]) < 0:
            raise ValueError(f"decoding lm_weight is {min(self.decoding['lm_weight'])}; it must be at least 0.")
        Decoder(["<blank>", "a"], method=self.decoding["method"], engine=self.decoding["engine"])  # or it says why not
        if self.minimum_count < 1:
            raise ValueError(f"minimum_count is {self.minimum_count}; it must be at least 1.")
        if self.error_rate not in ("wer", "letter_error_rate"):
            raise ValueError(f"error_rate is {self.error_rate!r}; choose 'wer' or 'letter_error_rate'.")


@dataclass
class TranslatorArguments(NetworkArguments):
    """What is trained to write a sentence for glosses."""

    model_type: str = field(default="signlang_translator", metadata={"help": "Family of a model trained from scratch."})
    teacher_forcing_start: float = field(
        default=1.0,
        metadata={
            "help": "How often the decoder reads the right word at first; at the end as the model's settings say."
        },
    )
    teacher_forcing_epochs: float = field(
        default=20.0, metadata={"help": "Epochs over which teacher forcing falls, in a straight line; then it stays."}
    )
    bpe_dropout: float = field(
        default=0.0, metadata={"help": "Share of merges of word pieces that are left out at random in training."}
    )
    gloss_noise: float = field(
        default=0.0,
        metadata={
            "help": "Share of training glosses that are replaced, left out or followed by another, as recognisers err."
        },
    )
    decoding: dict | str | None = field(
        default=None,
        metadata={
            "help": "Settings of generate: num_beams and length_penalty (a value, or a list to choose from on validation) and "
            "max_new_tokens."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.decoding = decoding_settings(self.decoding, TRANSLATOR_DECODING, ("num_beams", "length_penalty"))
        require_whole(self.decoding, num_beams=1, max_new_tokens=1)
        if not 0 <= self.teacher_forcing_start <= 1:
            raise ValueError(f"teacher_forcing_start is {self.teacher_forcing_start}; it must be in [0, 1].")
        if not 0 <= self.gloss_noise < 1:
            raise ValueError(f"gloss_noise is {self.gloss_noise}; it must be in [0, 1).")
        if not 0 <= self.bpe_dropout < 1:
            raise ValueError(f"bpe_dropout is {self.bpe_dropout}; it must be in [0, 1).")
        if self.bpe_dropout and self.processor.get("level", "word") != "bpe":
            raise ValueError('bpe_dropout needs word pieces: --processor \'{"level": "bpe"}\'.')
        if self.teacher_forcing_epochs < 0:
            raise ValueError(f"teacher_forcing_epochs is {self.teacher_forcing_epochs}; it must be at least 0.")


def decoding_settings(given: dict | str | None, defaults: dict[str, Any], lists: tuple[str, ...]) -> dict[str, Any]:
    """The settings with defaults for what is not given; those in ``lists`` as lists. Raises ValueError for unknown or empty ones."""
    settings = parsed("decoding", given)
    unknown = [name for name in settings if name not in defaults]
    if unknown:
        raise ValueError(f"Unknown decoding setting {', '.join(unknown)}; known are {', '.join(defaults)}.")
    settings = defaults | settings
    for name in lists:
        values = settings[name] if isinstance(settings[name], list) else [settings[name]]
        numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        if not values or len(numbers) < len(values) or not all(map(math.isfinite, numbers)):
            raise ValueError(f"decoding {name} is {settings[name]!r}; give a number or a list of numbers.")
        settings[name] = values
    return settings


def require_whole(settings: dict[str, Any], **least: int) -> None:
    """Raise ValueError where one of these settings, or of its values, is no whole number from its least one."""
    for name, lowest in least.items():
        values = settings[name] if isinstance(settings[name], list) else [settings[name]]
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ValueError(f"decoding {name} is {value!r}; it must be a whole number from {lowest}.")


@dataclass
class ContinuousTrainingArguments(FittingArguments):
    """Arguments of a training on sentences of glosses."""

    output_dir: str | None = field(default="outputs/ctc", metadata={"help": "Where model and reports go."})
    learning_rate: float = field(default=1e-3, metadata={"help": "As in transformers."})
    num_train_epochs: float = field(default=100, metadata={"help": "As in transformers."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "As in transformers."})
    max_grad_norm: float = field(default=1.0, metadata={"help": "As in transformers."})
    metric_for_best_model: str | None = field(default="wer", metadata={"help": "As in transformers."})
    group_by_length: bool = field(
        default=True, metadata={"help": "Batches of clips of similar length, so that little is padded."}
    )
    feature_dropout: float = field(
        default=0.0,
        metadata={"help": "Leave each of the processor's features out of so large a share of the training clips."},
    )


@dataclass
class TranslationTrainingArguments(FittingArguments, Seq2SeqTrainingArguments):
    """Arguments of a training on pairs of glosses and text."""

    output_dir: str | None = field(default="outputs/translator", metadata={"help": "Where model and reports go."})
    learning_rate: float = field(default=1e-3, metadata={"help": "As in transformers."})
    num_train_epochs: float = field(default=100, metadata={"help": "As in transformers."})
    per_device_train_batch_size: int = field(default=64, metadata={"help": "As in transformers."})
    per_device_eval_batch_size: int = field(default=128, metadata={"help": "As in transformers."})
    metric_for_best_model: str | None = field(default="bleu", metadata={"help": "As in transformers."})
    predict_with_generate: bool = field(default=True, metadata={"help": "Validation measures what the model writes."})
    generation_max_length: int | None = field(default=64, metadata={"help": "As in transformers."})
    group_by_length: bool = field(
        default=True, metadata={"help": "Batches of sentences of similar length, so that little is padded."}
    )


def parse_continuous(
    argv: list[str] | None = None,
) -> tuple[ContinuousArguments, DataArguments, ContinuousTrainingArguments]:
    """The argument groups of ``train_ctc``; see :func:`.arguments.parse`."""
    return parse(argv, groups=(ContinuousArguments, DataArguments, ContinuousTrainingArguments))


def parse_translation(
    argv: list[str] | None = None,
) -> tuple[TranslatorArguments, DataArguments, TranslationTrainingArguments]:
    """The argument groups of ``train_translator``; see :func:`.arguments.parse`."""
    return parse(argv, groups=(TranslatorArguments, DataArguments, TranslationTrainingArguments))


__all__ = [
    "CTC_DECODING",
    "TRANSLATOR_DECODING",
    "ContinuousArguments",
    "ContinuousTrainingArguments",
    "TranslationTrainingArguments",
    "TranslatorArguments",
    "decoding_settings",
    "parse_continuous",
    "parse_translation",
]
