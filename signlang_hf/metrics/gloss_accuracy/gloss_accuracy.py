"""Recognition of signs whose answer is a word: accuracy to the letter, and accuracy that knows which glosses are one sign.

Used as ``evaluate.load("…/signlang_hf/metrics/gloss_accuracy")``, as the class below, or through the plain function
:func:`gloss_accuracy`. ``evaluate`` runs a copy of this file and of :mod:`.synonyms`; the default table is taken from the installed
library then, and without it ``synonyms=`` must be given.

Design decisions:

* Both figures are always reported. The strict one compares with other work; the other says how much of the difference is spelling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from .synonyms import Synonyms, normalize

_DESCRIPTION = """Accuracy of glosses that are answered as words: strict, and with glosses that stand for one sign counted as the same
(case, hyphen, inflection, synonyms), each with a percentile bootstrap confidence interval over clips (Efron & Tibshirani 1993)."""

_KWARGS_DESCRIPTION = """
Args:
    predictions: N words.
    references: N glosses.
    synonyms: table of glosses that are one sign: a JSON file, its content, or a list of lists; default: the table for ASL.
    inflection: whether regular inflections of English count as one sign, default True.
    confidence: of the interval, default 0.95.
    num_resamples: bootstrap resamples, default 1000; 0 leaves the intervals out.
    seed: of the resampling.
Returns:
    accuracy, accuracy_synonyms as fractions, each with <name>_low and <name>_high; n, the number of clips; forgiven, a list of
    {prediction, reference, n} of the pairs that only accuracy_synonyms counts as right; signature, which names table and rules.
"""


def gloss_accuracy(
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    synonyms: Any = None,
    inflection: bool = True,
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The metric on two lists of N words.

    Args:
        predictions, references: answers and glosses. The strict figure takes blanks at their ends away, nothing else.
        synonyms, inflection: as for :meth:`Synonyms.load`.
        confidence, num_resamples, seed: of the bootstrap.

    Raises:
        ValueError: lists of different length, or empty; not strings; an empty reference.
        FileNotFoundError, ImportError: as :meth:`Synonyms.load`.
    """
    if len(predictions) != len(references) or len(references) == 0:
        raise ValueError(
            f"There are {len(predictions)} predictions for {len(references)} references; give one each, and at least one."
        )
    if not all(isinstance(word, str) for word in (*predictions, *references)):
        raise ValueError("Predictions and references are words; give strings.")
    empty = sum(not normalize(reference) for reference in references)
    if empty:
        raise ValueError(f"{empty} of {len(references)} references are empty.")
    table = Synonyms.load(synonyms, inflection=inflection)
    classes = frozenset(map(normalize, references))
    known = {pair: table.same(*pair, classes=classes) for pair in set(zip(predictions, references))}
    strict = np.array([a.strip() == b.strip() for a, b in zip(predictions, references)])
    hits = {"accuracy": strict, "accuracy_synonyms": strict | [known[pair] for pair in zip(predictions, references)]}
    result: dict[str, Any] = {name: float(hit.mean()) for name, hit in hits.items()}
    if num_resamples:
        rng = np.random.default_rng(seed)
        rows = rng.integers(len(strict), size=(num_resamples, len(strict)))
        tail = 50 * (1 - confidence)
        for name, hit in hits.items():
            means = hit[rows].mean(axis=1)
            result[f"{name}_low"], result[f"{name}_high"] = np.percentile(means, [tail, 100 - tail]).tolist()
    forgiven = Counter(
        (a.strip(), b.strip())
        for a, b, right, kind in zip(predictions, references, strict, hits["accuracy_synonyms"])
        if kind and not right
    )
    pairs = [{"prediction": a, "reference": b, "n": count} for (a, b), count in forgiven.most_common()]
    return {**result, "n": len(strict), "forgiven": pairs, "signature": f"gloss_accuracy|{table.signature}"}


class GlossAccuracy(evaluate.Metric):
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
        return gloss_accuracy(list(predictions), list(references), **options)
