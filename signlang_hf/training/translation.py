"""Train and test one gloss-to-text translator on one set of splits: the body of ``recipes/train_translator.py``.

Design decisions:

* The vocabularies are those of the training split; what validation and test add is unknown, and counts as an error.
* While it trains, validation is written greedily, which costs little; how the test is written (beams, length penalty) is chosen
  afterwards on validation too.
* References are the texts as the rows hold them, in lower case where the model writes lower case. SacreBLEU tokenises both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForSeq2SeqLM,
    EvalPrediction,
    FeatureExtractionMixin,
    PreTrainedModel,
    Seq2SeqTrainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from ..metrics.translation.translation import translation_scores
from ..models.translator import SignTranslatorProcessor
from ..pretrained import resolve
from .alignment_pictures import alignment_picture, attention_of
from .arguments import DataArguments
from .building import checked, loaded, refuse_unknown, saved_processor
from .checkpoints import RESULTS, write_json
from .fitting import RunResult, Task, account, check_trackers, fit, open_run, resolved, run_settings, save_run
from .reports import learning_curve
from .retrieval import nearest_texts
from .sentence_arguments import TranslationTrainingArguments, TranslatorArguments
from .sentence_evaluation import text_accuracy
from .sentences import (
    PREDICTIONS,
    SentenceCollator,
    SimilarLengthsMixin,
    TextDataset,
    require_columns,
    tell_unknown,
    write_predictions,
)

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

METRICS = ("bleu", "chrf", "sentence_accuracy")
"""What is measured on the validation split, besides the loss."""
REPORTED = ("bleu", "bleu1", "bleu2", "bleu3", "chrf", "rouge_l", "sentence_accuracy")
EXAMPLE = "example.png"
"""Where the model looked for each word of the first test sentence."""
_VALIDATION_SEED = 2**31
_TRAIN_SETTINGS = ("level", "vocabulary_size", "minimum_count", "lowercase", "split_glosses")


class TranslationTrainer(SimilarLengthsMixin, Seq2SeqTrainer):
    """A Seq2SeqTrainer with batches of similar length."""


class TeacherForcing(TrainerCallback):
    """Lowers the model's ``teacher_forcing_ratio`` in a straight line over the first epochs to that of its configuration.

    The ratio is a function of the epoch alone, so that a resumed run has the same one.
    """

    def __init__(self, start: float, epochs: float) -> None:
        self.start, self.epochs = start, epochs

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        model = kwargs["model"]
        end = model.config.teacher_forcing_ratio
        passed = min(int(state.epoch or 0) / self.epochs, 1.0) if self.epochs else 1.0
        model.teacher_forcing_ratio = self.start + passed * (end - self.start)


@dataclass
class TranslationResult(RunResult):
    """What one run measured. ``metrics`` are those of the chosen way to write.

    Args:
        baselines: name → metrics of simpler methods: greedy search where it was not chosen, the text of the most similar training
            sentence, and the glosses themselves.
        decoding: arguments of ``generate`` that were chosen, and the BLEU on validation that they were chosen by.
        signatures: SacreBLEU's, without which the figures cannot be compared.
    """

    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    decoding: dict[str, Any] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)


def train_translation(
    model_args: TranslatorArguments, data_args: DataArguments, args: TranslationTrainingArguments, splits: DatasetDict
) -> TranslationResult:
    """Train on ``train``, choose the model and how it writes on ``validation`` where it exists, report on ``test`` where it exists.

    Writes into ``args.output_dir``: the model with its processor and ``generation_config.json``, ``results.json``,
    ``learning_curve.png`` and, with a test split, ``predictions.jsonl`` and ``example.png``. Resumes from the last whole checkpoint of the same run; a
    run that is finished is read.

    Raises:
        ValueError: settings that do not fit each other, the data or the run that the folder holds; rows without glosses or text.
        ImportError: a tracker or SacreBLEU is not installed.
    """
    folder = Path(args.output_dir)
    for name in ("train", "validation", "test"):
        if name in splits:
            require_columns(splits[name], ("glosses", "text"), "Translation")
    args = resolved(args, "validation" in splits, METRICS)
    check_trackers(args)
    if {"validation", "test"} & set(splits):
        translation_scores(["one"], ["one"])  # that SacreBLEU is missing is better known before training
    finished = open_run(args, run_settings(model_args, data_args, args, splits))
    processor, model = _processor_and_model(str(folder) if finished else None, model_args, splits["train"])
    if not finished:
        tell_unknown(splits, processor)
    validation = splits.get("validation")
    trainer = fit(
        TranslationTrainer,
        args,
        finished,
        more_callbacks=[TeacherForcing(model_args.teacher_forcing_start, model_args.teacher_forcing_epochs)],
        model=model,
        train_dataset=TextDataset(
            splits["train"], processor, model_args.bpe_dropout, model_args.gloss_noise, args.seed
        ),
        # The same errors each time: what is chosen shall be the best at putting them right.
        eval_dataset=None
        if validation is None
        else TextDataset(validation, processor, 0.0, model_args.gloss_noise, _VALIDATION_SEED),
        data_collator=SentenceCollator(processor),
        processing_class=processor,
        compute_metrics=None if validation is None else validation_metrics(processor, validation["text"]),
    )
    if finished:
        return TranslationResult(**json.loads((folder / RESULTS).read_text()), folder=folder, trainer=trainer)

    model = trainer.model
    model.teacher_forcing_ratio = model.config.teacher_forcing_ratio
    decoding: dict[str, Any] = {}
    if trainer.is_world_process_zero():
        decoding = choose_decoding(model, processor, model_args.decoding, validation, args)
        for name, value in decoding["generate"].items():
            setattr(model.generation_config, name, value)
    save_run(trainer)
    result = TranslationResult({}, {}, account(trainer), folder, trainer, decoding=decoding)
    if trainer.is_world_process_zero():
        references = {}
        if "test" in splits:
            _test(result, splits, args)
            references = {"test": result.metrics["bleu"]}
            references |= {f"test, {name}": found["bleu"] for name, found in list(result.baselines.items())[:2]}
        learning_curve(trainer.state.log_history, folder / "learning_curve.png", references=references, metric="bleu")
        told = ("metrics", "baseline", "training", "baselines", "decoding", "signatures")
        write_json(folder / RESULTS, {name: getattr(result, name) for name in told})
    return result


def _test(result: TranslationResult, splits: DatasetDict, args: TranslationTrainingArguments) -> None:
    model, processor, test = result.trainer.model, result.trainer.processing_class, splits["test"]
    size, chosen = args.per_device_eval_batch_size, result.decoding["generate"]
    said = {"model": translate(model, processor, test["glosses"], batch_size=size, **chosen)}
    if chosen.get("num_beams", 1) > 1:
        said["greedy"] = translate(model, processor, test["glosses"], batch_size=size, **chosen | {"num_beams": 1})
    said["nearest training sentence"] = nearest_texts(splits["train"], test["glosses"])
    said["glosses as text"] = [" ".join(glosses).lower() for glosses in test["glosses"]]
    lower = getattr(processor, "lowercase", False)
    found = {name: scores(texts, test["text"], lower) for name, texts in said.items()}
    told = {"bleu": "signature", "chrf": "chrf_signature"}
    result.signatures = {name: found["model"][key] for name, key in told.items()}
    numbers = {
        name: {key: value for key, value in one.items() if not isinstance(value, str)} for name, one in found.items()
    }
    result.metrics = numbers.pop("model")
    result.baselines = numbers
    more = {"greedy": said["greedy"]} if "greedy" in said else {}
    write_predictions(result.folder / PREDICTIONS, test["id"], list(test["text"]), said["model"], more)
    looked = attention_of(model, processor, test["glosses"][0], **chosen)
    alignment_picture(looked, result.folder / EXAMPLE, title=str(test["id"][0]))


def scores(predictions: Sequence[str], references: Sequence[str], lowercase: bool) -> dict[str, Any]:
    """What :func:`~signlang_hf.metrics.translation.translation.translation_scores` measures, and ``sentence_accuracy``, the share of texts
    that are right to the letter. A model that writes lower case alone is compared in lower case, which SacreBLEU's signature says."""
    found = translation_scores(list(predictions), list(references), lowercase=lowercase)
    return found | {"sentence_accuracy": text_accuracy(predictions, references, lowercase)}


@torch.inference_mode()
def translate(
    model: PreTrainedModel,
    processor: FeatureExtractionMixin,
    glosses: Sequence[Sequence[str]],
    *,
    batch_size: int = 64,
    **generate: Any,
) -> list[str]:
    """A text for each sentence of glosses; unknown words are copied from the gloss that was looked at.

    Args:
        model, processor: which belong together.
        glosses: of N sentences.
        batch_size: sentences at once; those of similar length are written together.
        generate: arguments of ``model.generate``.
    """
    model.eval()
    glosses = [list(one) for one in glosses]
    order = sorted(range(len(glosses)), key=lambda index: len(glosses[index]))
    texts = [""] * len(glosses)
    if generate.get("num_beams", 1) == 1:
        generate.pop("length_penalty", None)  # of beams; transformers warns
    for first in range(0, len(order), batch_size):
        some = order[first : first + batch_size]
        sources = [glosses[index] for index in some]
        batch = {name: value.to(model.device) for name, value in processor(sources, return_tensors="pt").items()}
        ids = model.generate(**batch, **generate)
        attentions = model.score(ids, batch["input_ids"], batch["attention_mask"]).attentions.float().cpu().numpy()
        for index, text in zip(some, processor.batch_decode(ids.cpu().numpy(), sources, attentions)):
            texts[index] = text
    return texts


def choose_decoding(
    model: PreTrainedModel,
    processor: FeatureExtractionMixin,
    settings: Mapping[str, Any],
    validation: Dataset | None,
    args: TranslationTrainingArguments,
) -> dict[str, Any]:
    """The arguments of ``generate`` with the highest BLEU on validation; the first of each list without one.

    Returns:
        ``generate``: the arguments; ``chosen_by``: BLEU of each choice, where there was one.
    """
    same = {"max_new_tokens": settings["max_new_tokens"]}
    beams = [int(count) for count in settings["num_beams"]]
    penalties = [float(value) for value in settings["length_penalty"]]
    grid = [(count, penalty) for count, penalty in product(beams, penalties) if count > 1 or penalty == penalties[0]]
    found: dict[tuple[int, float], float] = {}
    if validation is not None and len(grid) > 1:
        lower = getattr(processor, "lowercase", False)
        for count, penalty in tqdm(grid, desc="choosing a way to write", leave=False, disable=args.disable_tqdm):
            way = same | {"num_beams": count, "length_penalty": penalty}
            texts = translate(
                model, processor, validation["glosses"], batch_size=args.per_device_eval_batch_size, **way
            )
            found[count, penalty] = scores(texts, validation["text"], lower)["bleu"]
    count, penalty = max(found, key=found.get) if found else grid[0]
    chosen = same | {"num_beams": count} | ({"length_penalty": penalty} if count > 1 else {})
    told = {f"{count} beams, length penalty {penalty:g}": round(bleu, 3) for (count, penalty), bleu in found.items()}
    return {"generate": chosen} | ({"chosen_by": told} if told else {})


def validation_metrics(
    processor: FeatureExtractionMixin, references: Sequence[str]
) -> Callable[[EvalPrediction], dict[str, float]]:
    """What the Trainer measures on the validation split; ``references`` are its texts, in order."""
    references, lower = list(references), getattr(processor, "lowercase", False)

    def measure(prediction: EvalPrediction) -> dict[str, float]:
        ids = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
        ids = np.where(np.asarray(ids) == -100, processor.pad_token_id, ids)  # of the Trainer, between batches
        found = scores(processor.batch_decode(ids), references, lower)
        return {name: found[name] for name in METRICS}

    return measure


def _processor_and_model(
    finished: str | None, model_args: TranslatorArguments, train: Dataset
) -> tuple[FeatureExtractionMixin, PreTrainedModel]:
    source = finished or model_args.model_name_or_path
    if source is not None:
        if model_args.processor and finished is None:
            raise ValueError("A fine-tuned model keeps its processor; leave --processor out or train from scratch.")
        source = resolve(str(source))
        settings = {} if finished else model_args.model
        config = loaded(source, AutoConfig.from_pretrained)
        if not config.model_type.startswith("signlang_translator"):  # or several of them
            raise ValueError(
                f"{source}: model_type {config.model_type!r} does not translate glosses; signlang_translator does."
            )
        refuse_unknown("model", settings, type(config), also=config.to_dict())
        config = loaded(source, AutoConfig.from_pretrained, **settings)
        model = loaded(source, AutoModelForSeq2SeqLM.from_pretrained, config=config, dtype=torch.float32)
        return saved_processor(source), model
    if model_args.model_type not in CONFIG_MAPPING or model_args.model_type != "signlang_translator":
        raise ValueError(f"model_type {model_args.model_type!r} does not translate glosses; signlang_translator does.")
    family = CONFIG_MAPPING[model_args.model_type]
    refuse_unknown("model", model_args.model, family, also=family().to_dict())
    refuse_unknown("processor", {name: None for name in model_args.processor if name not in _TRAIN_SETTINGS}, _settings)
    processor = checked(
        "processor", lambda: SignTranslatorProcessor.train(train["glosses"], train["text"], **model_args.processor)
    )
    sizes = {"source_vocab_size": len(processor.source_vocabulary), "vocab_size": processor.target_vocabulary_size}
    model = AutoModelForSeq2SeqLM.from_config(checked("model", lambda: family(**{**model_args.model, **sizes})))
    return processor, model


def _settings(level: Any, vocabulary_size: Any, minimum_count: Any, lowercase: Any, split_glosses: Any) -> None:
    """Whose parameters a processor of a translator can be trained with."""


def translation_baselines(result: TranslationResult) -> dict[str, dict[str, float]]:
    return result.baselines


TRANSLATION = Task(
    train_translation, REPORTED, {"BLEU": "bleu", "chrF": "chrf"}, translation_baselines, lambda run: run.signatures
)

__all__ = ["TRANSLATION", "TeacherForcing", "TranslationResult", "train_translation", "translate"]
