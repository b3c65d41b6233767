"""Train and test one continuous recogniser on one set of splits: the body of ``recipes/train_ctc.py``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCTC,
    EvalPrediction,
    PreTrainedModel,
    SequenceFeatureExtractor,
    Trainer,
)
from transformers.utils import logging

from ..landmarks.augment import Augmenter
from ..metrics.gloss_wer.gloss_wer import gloss_wer
from ..models.ctc.processing_ctc import SignCTCProcessor, fold, gloss_vocabulary
from ..pretrained import resolve
from .alignment_pictures import ctc_picture
from .arguments import DataArguments
from .building import checked, loaded, new_processor, refuse_unknown, saved_processor
from .checkpoints import RESULTS, write_json
from .fitting import (
    RunResult,
    Task,
    account,
    augmenter_of,
    check_trackers,
    fit,
    measure_features,
    open_run,
    resolved,
    run_settings,
    save_run,
)
from .recognition import Decoder, fit_decoder, glosses_of, load_decoder, log_probabilities
from .reports import learning_curve
from .sentence_arguments import ContinuousArguments, ContinuousTrainingArguments
from .sentences import (
    PREDICTIONS,
    SentenceCollator,
    SentenceDataset,
    SimilarLengthsMixin,
    require_columns,
    tell_unknown,
    trainable,
    write_predictions,
)

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.get_logger(__name__)

METRICS = ("wer", "sentence_accuracy")
"""What is measured on the validation split, besides the loss."""
GREEDY = "greedy"
EXAMPLE = "example.png"
"""What the model sees in the first test clip."""


class ContinuousTrainer(SimilarLengthsMixin, Trainer):
    """A Trainer with batches of similar length."""


@dataclass
class ContinuousResult(RunResult):
    """What one run measured. ``metrics`` are those of the chosen decoder, ``baseline`` those of greedy search where that is another.

    Args:
        decoding: options of the decoder that was chosen.
        left_out: training clips that were ``too_short`` for their glosses or ``too_long`` for the model's window.
    """

    decoding: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def train_continuous(
    model_args: ContinuousArguments, data_args: DataArguments, args: ContinuousTrainingArguments, splits: DatasetDict
) -> ContinuousResult:
    """Train on ``train``, choose the model and the decoder on ``validation`` where it exists, report on ``test`` where it exists.

    Writes into ``args.output_dir``: the model with its processor, ``decoder.json``, ``language_model.arpa`` where one helped,
    ``results.json``, ``learning_curve.png`` and, with a test split, ``predictions.jsonl`` and ``example.png``. Resumes from the last whole checkpoint of
    the same run; a run that is finished is read.

    Raises:
        ValueError: settings that do not fit each other, the data or the run that the folder holds; rows without glosses.
        ImportError: a tracker that is not installed.
    """
    folder = Path(args.output_dir)
    for name in ("train", "validation", "test"):
        if name in splits:
            require_columns(splits[name], ("landmarks", "glosses"), "Continuous recognition")
    augmenter = sentence_augmenter(data_args, chance=args.feature_dropout > 0)
    args = resolved(args, "validation" in splits, METRICS)
    check_trackers(args)
    finished = open_run(args, run_settings(model_args, data_args, args, splits))
    processor, model = _processor_and_model(str(folder) if finished else None, model_args, splits["train"])
    if not finished:
        tell_unknown(splits, processor)
    train, lengths, left_out = trainable(splits["train"], processor, model)
    validation = splits.get("validation")
    trainer = fit(
        ContinuousTrainer,
        args,
        finished,
        model=model,
        train_dataset=SentenceDataset(
            train, processor, augmenter, args.seed, feature_dropout=args.feature_dropout, lengths=lengths
        ),
        eval_dataset=None if validation is None else SentenceDataset(validation, processor),
        data_collator=SentenceCollator(processor),
        processing_class=processor,
        compute_metrics=None if validation is None else validation_metrics(processor, validation["glosses"]),
        preprocess_logits_for_metrics=best_columns,
    )
    if finished:
        return ContinuousResult(**json.loads((folder / RESULTS).read_text()), folder=folder, trainer=trainer)

    save_run(trainer)
    result = ContinuousResult({}, {}, account(trainer), folder, trainer, left_out=left_out)
    if trainer.is_world_process_zero():
        _choose_and_test(result, model_args, splits, args)
        metric = model_args.error_rate
        references = {f"test, {name}": found[metric] for name, found in _methods(result).items()}
        learning_curve(
            trainer.state.log_history,
            folder / "learning_curve.png",
            references=references,
            metric="wer",
            loss_name="CTC loss",
        )
        told = ("metrics", "baseline", "training", "decoding", "left_out")
        write_json(folder / RESULTS, {name: getattr(result, name) for name in told})
    return result


def _choose_and_test(
    result: ContinuousResult, model_args: ContinuousArguments, splits: DatasetDict, args: ContinuousTrainingArguments
) -> None:
    model, processor, folder = result.trainer.model, result.trainer.processing_class, result.folder

    def read(rows: Dataset) -> list[np.ndarray]:
        size = args.per_device_eval_batch_size
        return list(log_probabilities(model, processor, rows, batch_size=size, progress=not args.disable_tqdm))

    chosen_on = None
    if "validation" in splits and model_args.decoding["method"] == "beam":
        few = splits["validation"].select(range(min(model_args.decoding["chosen_on"], len(splits["validation"]))))
        chosen_on = (read(few), list(few["glosses"]))
    result.decoding = fit_decoder(processor, model_args.decoding, splits["train"]["glosses"], chosen_on, folder)
    if "test" not in splits:
        return
    references, log_probs = list(splits["test"]["glosses"]), read(splits["test"])
    decoder = load_decoder(processor, result.decoding, folder)
    said = glosses_of(processor, decoder, log_probs)
    result.metrics = error_rates(said, references, model_args.error_rate)
    more = {}
    if result.decoding["method"] != GREEDY:
        more[GREEDY] = glosses_of(processor, Decoder(processor.vocabulary), log_probs)
        result.baseline = error_rates(more[GREEDY], references, model_args.error_rate)
    write_predictions(folder / PREDICTIONS, splits["test"]["id"], references, said, more)
    rate = processor.target_fps and model.config.temporal_stride / processor.target_fps
    ctc_picture(
        log_probs[0], processor.vocabulary, folder / EXAMPLE, tokens=decoder(log_probs[0]).tokens, reference=references[0],
        seconds_per_frame=rate, title=f"{splits['test'][0]['id']}, {result.decoding['method']}",
    )  # fmt: skip


def error_rates(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], name: str = "wer"
) -> dict[str, float]:
    """What :func:`~signlang_hf.metrics.gloss_wer.gloss_wer.gloss_wer` measures, its rate called ``name``; case is ignored."""
    found = gloss_wer(predictions, references, ignore_case=True)
    return {key.replace("wer", name): value for key, value in found.items()}


def sentence_augmenter(data_args: DataArguments, chance: bool) -> Augmenter | None:
    """The augmenter of the settings, which by default cuts nothing off: a target still names what was cut.

    Raises:
        ValueError: ``crop_time`` above 0, or a setting that there is not.
    """
    if data_args.augment.get("crop_time"):
        raise ValueError("Augmentation crop_time would cut signs off that the glosses still name; set it to 0.")
    return augmenter_of(replace(data_args, augment={**data_args.augment, "crop_time": 0.0}), chance)


def best_columns(logits: torch.Tensor | tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
    """(B, T') the best column of each output frame: all that greedy search needs, and a thousandth of the memory."""
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(dim=-1)


def validation_metrics(
    processor: SequenceFeatureExtractor, references: Sequence[Sequence[str]]
) -> Callable[[EvalPrediction], dict[str, float]]:
    """What the Trainer measures on the validation split, by greedy search; ``references`` are its glosses, in order."""
    references = list(references)

    def measure(prediction: EvalPrediction) -> dict[str, float]:
        said = []
        for columns in np.asarray(prediction.predictions):
            columns = columns[columns != -100]  # of the Trainer, between batches of unequal length
            starts = np.flatnonzero(np.diff(columns, prepend=-1) != 0)
            said.append(processor.decode(columns[starts]))
        found = gloss_wer(said, references, ignore_case=True, num_resamples=0)
        return {name: found[name] for name in METRICS}

    return measure


def _processor_and_model(
    finished: str | None, model_args: ContinuousArguments, train: Dataset
) -> tuple[SequenceFeatureExtractor, PreTrainedModel]:
    if finished is not None:
        return saved_processor(finished), loaded(finished, AutoModelForCTC.from_pretrained, dtype=torch.float32)
    vocabulary = gloss_vocabulary(train["glosses"], model_args.minimum_count)
    if not vocabulary:
        raise ValueError(f"No gloss occurs {model_args.minimum_count} times in training; lower --minimum_count.")
    if model_args.model_name_or_path is not None:
        return _fine_tuned(model_args, vocabulary)
    family = _family(model_args.model_type)
    refuse_unknown("model", model_args.model, family, also=family().to_dict())
    processor = new_processor(model_args, train, SignCTCProcessor, vocabulary=vocabulary)
    sizes = {"input_size": processor.feature_size, "vocab_size": len(processor.vocabulary)}
    config = checked("model", lambda: family(**{**model_args.model, **sizes}))
    model = AutoModelForCTC.from_config(config)
    if model_args.standardize:  # last, so that a mistake in the settings shows before the wait
        measure_features(processor, train)
    return processor, model


def _family(model_type: str, where: str = "") -> type:
    families = [name for name in CONFIG_MAPPING if name.startswith("signlang_")]
    if model_type not in families or CONFIG_MAPPING[model_type] not in AutoModelForCTC._model_mapping:
        raise ValueError(f"{where}model_type {model_type!r} does not read sentences of glosses; signlang_ctc does.")
    return CONFIG_MAPPING[model_type]


def _fine_tuned(
    model_args: ContinuousArguments, vocabulary: Sequence[str]
) -> tuple[SequenceFeatureExtractor, PreTrainedModel]:
    """The saved model; with a new classifier if its glosses are others than the data's."""
    if model_args.processor:
        raise ValueError("A fine-tuned model keeps its processor; leave --processor out or train from scratch.")
    source = resolve(str(model_args.model_name_or_path))
    config = loaded(source, AutoConfig.from_pretrained)
    _family(config.model_type, f"{source}: ")
    processor = saved_processor(source)
    refuse_unknown("model", model_args.model, type(config), also=config.to_dict())
    lacking = processor.unknown(vocabulary)
    if lacking:
        known = {fold(gloss) for gloss in vocabulary}
        shared = sum(fold(gloss) in known for gloss in processor.glosses)
        logger.warning(
            f"{source} knows {len(processor.glosses)} glosses and the data has {len(vocabulary)}, {shared} of them the same: "
            "its encoder is kept, its classifiers are made anew."
        )
        processor.vocabulary = SignCTCProcessor(vocabulary).vocabulary
    config = loaded(source, AutoConfig.from_pretrained, **model_args.model, vocab_size=len(processor.vocabulary))
    model = loaded(
        source, AutoModelForCTC.from_pretrained, config=config, dtype=torch.float32, ignore_mismatched_sizes=True
    )
    if lacking:  # also where the number of columns happens to agree
        for name, module in model.named_modules():
            if name in ("classifier", "auxiliary_classifier"):
                model._init_weights(module)
    return processor, model


def _methods(result: ContinuousResult) -> dict[str, dict[str, float]]:
    """Decoder → what was measured with it on the test split."""
    found = {result.decoding.get("method", GREEDY): result.metrics, GREEDY: result.baseline}
    return {name: metrics for name, metrics in found.items() if metrics}


def continuous_task(error_rate: str = "wer") -> Task:
    """The task for :func:`.cross_validation.train_many`; ``error_rate`` as in :class:`ContinuousArguments`."""
    return Task(
        train_continuous,
        (error_rate, f"mean_sample_{error_rate}", "substitutions", "deletions", "insertions", "sentence_accuracy"),
        {error_rate.replace("_", " "): error_rate, "whole sentences": "sentence_accuracy"},
        lambda result: {f"signlang_ctc, {GREEDY}": result.baseline} if result.baseline else {},
    )


__all__ = ["ContinuousResult", "continuous_task", "error_rates", "sentence_augmenter", "train_continuous"]
