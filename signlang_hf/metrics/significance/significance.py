"""Whether one system is better than another on the same sentences: the paired bootstrap.

Used as ``evaluate.load("…/signlang_hf/metrics/significance")``, as the class below, or through the plain function
:func:`paired_bootstrap`. It compares the figures of the metrics ``gloss_wer`` and ``translation`` and takes them from there, so unlike
these it needs the library installed, also as an ``evaluate`` module.

Design decisions:

* Both systems are scored on the same resampled sentences (Koehn 2004): what makes a sentence hard for both falls out of the difference.
* A corpus score is no mean over sentences. Each sentence is reduced to the counts from which its metric is computed (errors and glosses,
  matching n-grams), a resample sums counts, and the score is the metric of the sums.
* The p-value is two-sided: how often the differences of the resamples, shifted so that their mean is none, are as far from none as the one
  observed (Noreen 1989; Riezler & Maxwell 2005), with 1 added above and below so that it is never 0. SacreBLEU's own paired bootstrap shifts
  absolute differences instead, which comes close to a one-sided test and prints p-values of about half the size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """Paired bootstrap over sentences between two systems (Koehn 2004): difference of a corpus metric, its percentile interval
and a two-sided p-value."""

_KWARGS_DESCRIPTION = """
Args:
    predictions: N sentences of the system.
    baseline: N sentences of the system that it is compared with.
    references: N sentences.
    metric: 'wer', 'sentence_accuracy', 'bleu', 'chrf' or 'rouge_l', default 'wer'; the last three take strings only.
    confidence: of the interval, default 0.95.
    num_resamples: bootstrap resamples, default 1000.
    seed: of the resampling.
    ignore_case (wer, sentence_accuracy), tokenize and lowercase (bleu, chrf, rouge_l): as in the metric itself.
Returns:
    metric; system and baseline, the two scores; difference (system - baseline) with difference_low and difference_high; p_value; wins, the
    share of resamples in which the system is better; n, the sentences; num_resamples.
"""

METRICS = ("wer", "sentence_accuracy", "bleu", "chrf", "rouge_l")
LOWER_IS_BETTER = ("wer",)

# (N, K) counts of the sentences → score of the corpus with these sums (K,).
Scorer = Callable[[np.ndarray], float]


def paired_bootstrap(
    predictions: Sequence[Any],
    baseline: Sequence[Any],
    references: Sequence[Any],
    *,
    metric: str = "wer",
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
    **options: Any,
) -> dict[str, Any]:
    """Compare two systems on the same N sentences.

    Args:
        predictions, baseline, references: N sentences each, in the same order, as the metric takes them.
        metric: one of ``METRICS``; scores are on the metric's own scale (``wer`` and ``sentence_accuracy`` fractions, the others 0 to 100).
        confidence, num_resamples, seed: of the bootstrap.
        options: further settings of the metric.
    Returns:
        The entries that the metric's ``inputs_description`` names.
    Raises:
        ValueError: an unknown metric, sentences that do not fit, no resamples.
        ImportError: sacrebleu is not installed and ``metric`` is 'bleu' or 'chrf'.
    """
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; choose one of {', '.join(METRICS)}.")
    if num_resamples < 1:
        raise ValueError(f"num_resamples is {num_resamples}; a comparison needs at least one.")
    system, scorer = _counts(metric, predictions, references, options)
    other, _ = _counts(metric, baseline, references, options)
    scores = scorer(system.sum(axis=0)), scorer(other.sum(axis=0))
    observed, count = scores[0] - scores[1], len(system)
    rng, differences = np.random.default_rng(seed), np.empty(num_resamples)
    for i in range(num_resamples):
        rows = rng.integers(count, size=count)
        differences[i] = scorer(system[rows].sum(axis=0)) - scorer(other[rows].sum(axis=0))
    tail = 50 * (1 - confidence)
    low, high = np.percentile(differences, [tail, 100 - tail]).tolist()
    # A hair of tolerance: shifted differences that equal the observed one must count as such.
    extreme = np.abs(differences - differences.mean()) >= abs(observed) - 1e-12
    return {
        "metric": metric,
        "system": scores[0],
        "baseline": scores[1],
        "difference": observed,
        "difference_low": low,
        "difference_high": high,
        "p_value": float((extreme.sum() + 1) / (num_resamples + 1)),
        "wins": float(((differences < 0) if metric in LOWER_IS_BETTER else (differences > 0)).mean()),
        "n": count,
        "num_resamples": num_resamples,
    }


def _counts(
    metric: str, predictions: Sequence[Any], references: Sequence[Any], options: dict[str, Any]
) -> tuple[np.ndarray, Scorer]:
    """(N, K) counts of each sentence, and what makes the corpus's score of their sums."""
    if metric in ("wer", "sentence_accuracy"):
        from signlang_hf.metrics.gloss_wer.gloss_wer import error_counts

        counts = error_counts(predictions, references, **options)
        errors, words = counts[:, :3].sum(axis=1), counts[:, [0, 1, 3]].sum(axis=1)
        if metric == "sentence_accuracy":
            return np.stack([errors == 0, np.ones_like(errors)], axis=1).astype(np.int64), lambda s: float(s[0] / s[1])
        if not words.any():
            raise ValueError(f"None of the {len(words)} references holds a gloss, so there is no error rate.")
        return np.stack([errors, words], axis=1), lambda s: float(s[0] / max(s[1], 1))

    from signlang_hf.metrics.translation.translation import check_sentences, corpus_metrics, rouge_l_scores

    if metric == "rouge_l":
        scores = rouge_l_scores(predictions, references, **options)
        return np.stack([scores, np.ones_like(scores)], axis=1), lambda s: float(s[0] / s[1])
    check_sentences(predictions, references)
    scorer = corpus_metrics(**options)[metric]
    # These two methods have no public name; SacreBLEU's own significance tests call them, and a test here compares the scores.
    counts = np.asarray(scorer._extract_corpus_statistics(predictions, [references]), np.int64)
    return counts, lambda s: scorer._compute_score_from_stats(s.tolist()).score


class Significance(evaluate.Metric):
    """The metric as an ``evaluate`` module."""

    def _info(self) -> evaluate.MetricInfo:
        kinds = datasets.Sequence(datasets.Value("string")), datasets.Value("string")
        names = ("predictions", "baseline", "references")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_KWARGS_DESCRIPTION,
            features=[datasets.Features(dict(zip(names, chosen))) for chosen in product(kinds, repeat=3)],
        )

    def _compute(self, predictions: Any, baseline: Any, references: Any, **options: Any) -> dict[str, Any]:
        return paired_bootstrap(list(predictions), list(baseline), list(references), **options)
