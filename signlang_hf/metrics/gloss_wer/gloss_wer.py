"""Continuous sign recognition: corpus gloss error rate with its substitutions, deletions and insertions.

Used as ``evaluate.load("…/signlang_hf/metrics/gloss_wer")``, as the class below, or through the plain function :func:`gloss_wer`.
Self-contained: ``evaluate`` runs a copy of this file.

Design decisions:

* The headline is the corpus figure, errors of all sentences over glosses of all sentences; the mean over sentences, which some papers
  print as WER, has its own name. An error costs 1 whatever its kind, as in jiwer. (NIST's sclite, which the PHOENIX papers use, aligns
  with 4 for a substitution and 3 for the others, and may count more errors.)
* The total is unique, its parts are not: two substitutions cost as much as a deletion, an insertion and a hit around them.
  The parts are chosen as in rapidfuzz and therefore jiwer, so that both give the same table (rule in :func:`_align`).
* A list is taken gloss by gloss, so a gloss may hold blanks; a string is split at white space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """Gloss error rate of continuous sign recognition over a corpus, (substitutions + deletions + insertions) / glosses
of the references, with its parts, a percentile bootstrap interval over sentences (Bisani & Ney 2004), the mean over sentences and the
share of sentences without an error."""

_KWARGS_DESCRIPTION = """
Args:
    predictions: N sentences, each a string of glosses or a list of glosses.
    references: N sentences likewise.
    ignore_case: whether HOUSE and House are the same gloss, default False.
    confidence: of the interval, default 0.95.
    num_resamples: bootstrap resamples, default 1000; 0 leaves the interval out.
    seed: of the resampling.
Returns:
    wer (over the corpus; may exceed 1), mean_sample_wer (over sentences with glosses) and sentence_accuracy as fractions; substitutions,
    deletions, insertions and hits; n_words, the glosses of the references; n, the sentences; wer_low and wer_high.
"""

Sentence = str | Sequence[str]


def _align(reference: Sequence[str], prediction: Sequence[str]) -> tuple[int, int, int, int]:
    """Substitutions, deletions, insertions and hits of a shortest alignment (Levenshtein 1966; Wagner & Fischer 1974).

    Among the shortest, rapidfuzz's: what both begin or end with is a hit; in between, from the end, a deletion where one is on a shortest
    way, else an insertion where predictions up to the one before are nearer to the reference, else both step back.
    """
    start, reference_end, prediction_end = 0, len(reference), len(prediction)
    while start < min(reference_end, prediction_end) and reference[start] == prediction[start]:
        start += 1
    while min(reference_end, prediction_end) > start and reference[reference_end - 1] == prediction[prediction_end - 1]:
        reference_end, prediction_end = reference_end - 1, prediction_end - 1
    rows, columns = reference[start:reference_end], prediction[start:prediction_end]
    distance = [list(range(len(columns) + 1))]
    for row, gloss in enumerate(rows, 1):
        above, current = distance[-1], [row]
        for column, said in enumerate(columns):
            current.append(min(above[column] + (gloss != said), above[column + 1] + 1, current[column] + 1))
        distance.append(current)
    substitutions = deletions = insertions = 0
    row, column = len(rows), len(columns)
    while row and column:
        if distance[row][column] == distance[row - 1][column] + 1:
            deletions, row = deletions + 1, row - 1
        elif distance[row][column - 1] == distance[row - 1][column - 1] - 1:
            insertions, column = insertions + 1, column - 1
        else:
            row, column = row - 1, column - 1
            substitutions += rows[row] != columns[column]
    deletions, insertions = deletions + row, insertions + column
    return substitutions, deletions, insertions, len(reference) - substitutions - deletions


def _glosses(sentence: Sentence, which: str, number: int, ignore_case: bool) -> list[str]:
    glosses = sentence.split() if isinstance(sentence, str) else sentence
    if glosses is None or not all(isinstance(gloss, str) for gloss in glosses):
        raise ValueError(f"{which} {number} is {sentence!r}; it must be a string or a list of strings.")
    return [gloss.casefold() for gloss in glosses] if ignore_case else list(glosses)


def error_counts(
    predictions: Sequence[Sentence], references: Sequence[Sentence], *, ignore_case: bool = False
) -> np.ndarray:
    """(N, 4) int64: substitutions, deletions, insertions and hits of each sentence. Their sums over sentences are those of the corpus,
    which is what resampling needs. Raises ValueError when the two differ in number or hold something else than glosses."""
    for which, given in (("predictions", predictions), ("references", references)):
        if isinstance(given, str):
            raise ValueError(f"{which} is one string; give a list with one entry a sentence.")
    if len(predictions) != len(references) or len(references) == 0:
        raise ValueError(
            f"There are {len(predictions)} predictions and {len(references)} references; "
            "both must hold the same sentences, at least one."
        )
    return np.array(
        [
            _align(_glosses(truth, "Reference", i, ignore_case), _glosses(said, "Prediction", i, ignore_case))
            for i, (said, truth) in enumerate(zip(predictions, references))
        ],
        np.int64,
    )


def gloss_wer(
    predictions: Sequence[Sentence],
    references: Sequence[Sentence],
    *,
    ignore_case: bool = False,
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """The metric on lists.

    Args:
        predictions, references: N sentences each, in the same order: strings of glosses, or lists of glosses.
        ignore_case: whether glosses that differ in case alone are the same.
        confidence, num_resamples, seed: of the bootstrap interval over sentences; 0 resamples leave it out.
    Returns:
        The entries that the metric's ``inputs_description`` names. A reference without glosses counts in the corpus (everything said is an
        insertion) and not in ``mean_sample_wer``, where it has no value.
    Raises:
        ValueError: numbers of sentences that differ, entries that are no glosses, references without any gloss.
    """
    counts = error_counts(predictions, references, ignore_case=ignore_case)
    substitutions, deletions, insertions, hits = counts.sum(axis=0).tolist()
    errors, words = counts[:, :3].sum(axis=1), counts[:, [0, 1, 3]].sum(axis=1)
    if not words.any():
        raise ValueError(f"None of the {len(counts)} references holds a gloss, so there is no error rate.")
    result = {
        "wer": float(errors.sum() / words.sum()),
        "substitutions": substitutions,
        "deletions": deletions,
        "insertions": insertions,
        "hits": hits,
        "n_words": int(words.sum()),
        "n": len(counts),
        "mean_sample_wer": float((errors[words > 0] / words[words > 0]).mean()),
        "sentence_accuracy": float((errors == 0).mean()),
    }
    if num_resamples:
        rng, samples = np.random.default_rng(seed), []
        for _ in range(num_resamples):
            rows = rng.integers(len(counts), size=len(counts))
            samples.append(errors[rows].sum() / max(words[rows].sum(), 1))
        tail = 50 * (1 - confidence)
        result["wer_low"], result["wer_high"] = np.percentile(samples, [tail, 100 - tail]).tolist()
    return result


class GlossWer(evaluate.Metric):
    """The metric as an ``evaluate`` module."""

    def _info(self) -> evaluate.MetricInfo:
        glosses, text = datasets.Sequence(datasets.Value("string")), datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_KWARGS_DESCRIPTION,
            features=[
                datasets.Features({"predictions": said, "references": truth})
                for said, truth in ((glosses, glosses), (text, text), (text, glosses), (glosses, text))
            ],
        )

    def _compute(self, predictions: Any, references: Any, **options: Any) -> dict[str, float]:
        return gloss_wer(predictions, references, **options)
