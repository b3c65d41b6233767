"""Scores of sentence models on a dataset, through their pipelines: what a user of the model gets is what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics.gloss_wer.gloss_wer import gloss_wer
from ..metrics.translation.translation import translation_scores
from .results import ResultRow
from .sentences import require_columns

if TYPE_CHECKING:
    from datasets import Dataset


def evaluate_sentences(pipe: Any, rows: Dataset, *, batch_size: int = 16, **arguments: Any) -> dict[str, Any]:
    """Error rate of glosses, scores of texts, or both.

    Args:
        pipe: a ``continuous-sign-recognition``, ``gloss-translation`` or ``sign-translation`` pipeline.
        rows: clips with ``glosses``, glosses with ``text``, or clips with both; a ``sign-translation`` pipeline is measured on
            those of the two that there are.
        batch_size: windows or sentences a forward pass.
        arguments: call arguments of the pipeline.

    Returns:
        What :func:`~signlang_hf.metrics.gloss_wer.gloss_wer.gloss_wer` (case is ignored) and
        :func:`~signlang_hf.metrics.translation.translation.translation_scores` measure (case is ignored for a model that writes lower
        case alone), ``text_accuracy``, the share of texts that are right to the letter, and ``n`` sentences.

    Raises:
        ValueError: rows without what the pipeline reads or is measured on, or none at all.
    """
    if len(rows) == 0:
        raise ValueError("The split has no sentences to evaluate.")
    task = pipe.task_name
    wanted = {"continuous-sign-recognition": ["landmarks", "glosses"], "gloss-translation": ["glosses", "text"]}
    targets = [name for name in ("glosses", "text") if name in rows.column_names]
    columns = wanted.get(task, ["landmarks", *(targets or ["text"])])
    require_columns(rows, columns, task)
    read = rows.select_columns(["glosses"]) if task == "gloss-translation" else rows
    answers = pipe(read, batch_size=batch_size, **arguments)
    found: dict[str, Any] = {}
    if "landmarks" in columns and "glosses" in columns:
        said = [[sign["gloss"] for sign in answer["glosses"]] for answer in answers]
        found |= gloss_wer(said, list(rows["glosses"]), ignore_case=True)
    if "text" in columns:
        processor = getattr(pipe.feature_extractor, "translator", pipe.feature_extractor)
        lower = getattr(processor, "lowercase", False)
        said, texts = [answer["text"] for answer in answers], list(rows["text"])
        found |= translation_scores(said, texts, lowercase=lower)
        found["text_accuracy"] = text_accuracy(said, texts, lower)
    return found


def text_accuracy(predictions: Sequence[str], references: Sequence[str], lowercase: bool = False) -> float:
    """Share of texts that are right to the letter; white space, and on request case, are ignored."""
    pairs = [(one.lower(), other.lower()) if lowercase else (one, other) for one, other in zip(predictions, references)]
    return float(np.mean([one.split() == other.split() for one, other in pairs]))


def pair_rows(
    found: dict[str, Any], model: str, command: str, error_rate: str = "wer", seeds: tuple[int, ...] = ()
) -> list[ResultRow]:
    """Result rows of a recogniser and a translator in a row on a test split.

    Args:
        found: what :func:`evaluate_sentences` measured.
        model, command, seeds: see :class:`~signlang_hf.training.results.ResultRow`.
        error_rate: what the rate of wrong glosses is called, ``letter_error_rate`` of spelled words.
    """
    values = {error_rate: found["wer"], "gloss_sentence_accuracy": found["sentence_accuracy"]}
    scores = ("text_accuracy", "chrf") if error_rate == "letter_error_rate" else ("text_accuracy", "bleu", "chrf")
    values |= {name: found[name] for name in scores}  # a single word has no four words in a row
    shared = {"n": found["n"], "command": command, "seeds": seeds}
    return [ResultRow(model, split="test", metric=name, value=float(value), **shared) for name, value in values.items()]
