"""Translation into spoken language: BLEU-1 to 4 and chrF of SacreBLEU with their signatures, and ROUGE-L.

Used as ``evaluate.load("…/signlang_hf/metrics/translation")``, as the class below, or through the plain function
:func:`translation_scores`. Self-contained: ``evaluate`` runs a copy of this file.

Design decisions:

* BLEU and chrF are SacreBLEU's own and travel with its signature (Post 2018), without which a BLEU cannot be compared with another.
  ``bleu`` is BLEU-4; BLEU-n is the BLEU with n-grams up to n, as the sign translation papers print it, not the precision of n-grams alone.
* ROUGE-L is what Camgoz et al. (2018) and neccam/slt print under that name: the F-measure over the longest common subsequence
  (Lin 2004) with β = 1.2, which weighs recall over precision, a sentence at a time, then the mean. The ``rouge_score`` package takes β = 1
  and a stemmer's tokens: its figures are others.
* All scores are on the scale 0 to 100 on which papers print them.
* One reference a sentence, as in the corpora of this field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """Translations against one reference each: corpus BLEU-1 to BLEU-4 and chrF by SacreBLEU (Papineni et al. 2002; Popović
2015; Post 2018) with signatures, and ROUGE-L (Lin 2004; mean F-measure over sentences, beta 1.2). All from 0 to 100."""

_KWARGS_DESCRIPTION = """
Args:
    predictions: N sentences.
    references: N sentences.
    tokenize: SacreBLEU's tokenizer for BLEU, default '13a'; 'zh' for Chinese, 'char' for scripts without blanks.
    lowercase: whether case is ignored, default False.
Returns:
    bleu (the same as bleu4), bleu1, bleu2, bleu3, bleu4, chrf, rouge_l from 0 to 100; signature of BLEU, chrf_signature; n, the sentences.
"""

ROUGE_BETA = 1.2


def corpus_metrics(*, tokenize: str = "13a", lowercase: bool = False) -> dict[str, Any]:
    """SacreBLEU's ``BLEU`` and ``CHRF`` under the names ``bleu`` and ``chrf``, as all figures of this library use them.

    Raises:
        ImportError: sacrebleu is not installed.
        ValueError: SacreBLEU has no such tokenizer.
    """
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        raise ImportError('BLEU and chrF need sacrebleu: pip install "signlang-hf[train]"') from None
    if tokenize not in BLEU.TOKENIZERS:
        raise ValueError(f"tokenize is {tokenize!r}; SacreBLEU has {', '.join(sorted(BLEU.TOKENIZERS))}.")
    # force only silences the warning about text that is tokenised already, as the published references here are.
    return {"bleu": BLEU(tokenize=tokenize, lowercase=lowercase, force=True), "chrf": CHRF(lowercase=lowercase)}


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest sequence of words that both hold in this order, with or without others in between."""
    lengths = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for column, other in enumerate(second, 1):
            above = lengths[column]
            lengths[column] = diagonal + 1 if word == other else max(above, lengths[column - 1])
            diagonal = above
    return lengths[-1]


def rouge_l_scores(
    predictions: Sequence[str], references: Sequence[str], *, lowercase: bool = False, beta: float = ROUGE_BETA
) -> np.ndarray:
    """(N,) float64: ROUGE-L of each sentence from 0 to 100, ``100 (1 + β²) P R / (R + β² P)`` with P and R the longest common subsequence
    over the words of prediction and reference, split at white space; 0 where they share no word."""
    check_sentences(predictions, references)
    scores = np.zeros(len(references))
    for i, (said, truth) in enumerate(zip(predictions, references)):
        words, wanted = (text.lower().split() if lowercase else text.split() for text in (said, truth))
        if common := longest_common_subsequence(words, wanted):
            precision, recall = common / len(words), common / len(wanted)
            scores[i] = 100 * (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    return scores


def check_sentences(predictions: Sequence[str], references: Sequence[str]) -> None:
    """Raises ValueError unless both are lists of as many strings, at least one."""
    for which, sentences in (("predictions", predictions), ("references", references)):
        if isinstance(sentences, str):
            raise ValueError(f"{which} is one string; give a list with one sentence each.")
        for i, sentence in enumerate(sentences):
            if not isinstance(sentence, str):
                raise ValueError(f"{which}[{i}] is {sentence!r}; it must be one sentence as a string.")
    if len(predictions) != len(references) or len(references) == 0:
        raise ValueError(
            f"There are {len(predictions)} predictions and {len(references)} references; "
            "both must hold the same sentences, at least one."
        )


def translation_scores(
    predictions: Sequence[str], references: Sequence[str], *, tokenize: str = "13a", lowercase: bool = False
) -> dict[str, Any]:
    """The metric on lists.

    Args:
        predictions, references: N sentences each, in the same order.
        tokenize: SacreBLEU's tokenizer for BLEU.
        lowercase: whether case is ignored, in all scores.
    Returns:
        The entries that the metric's ``inputs_description`` names.
    Raises:
        ValueError: numbers of sentences that differ, entries that are no strings, an unknown tokenizer.
        ImportError: sacrebleu is not installed.
    """
    check_sentences(predictions, references)
    metrics = corpus_metrics(tokenize=tokenize, lowercase=lowercase)
    bleu, chrf = (metric.corpus_score(predictions, [references]) for metric in metrics.values())
    # The counts of n-grams up to 4 hold those of the lower orders: no need to count again.
    orders = {
        f"bleu{n}": metrics["bleu"]
        .compute_bleu(
            bleu.counts[:n], bleu.totals[:n], bleu.sys_len, bleu.ref_len, smooth_method="exp", max_ngram_order=n
        )
        .score
        for n in (1, 2, 3, 4)
    }
    return {
        "bleu": bleu.score,
        **orders,
        "chrf": chrf.score,
        "rouge_l": float(rouge_l_scores(predictions, references, lowercase=lowercase).mean()),
        "signature": str(metrics["bleu"].get_signature()),
        "chrf_signature": str(metrics["chrf"].get_signature()),
        "n": len(references),
    }


class Translation(evaluate.Metric):
    """The metric as an ``evaluate`` module."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions: Any, references: Any, **options: Any) -> dict[str, Any]:
        return translation_scores(list(predictions), list(references), **options)
