"""Isolated sign recognition: top-1, top-5 and macro-F1 with bootstrap confidence intervals.

Used as ``evaluate.load("…/signlang_hf/metrics/sign_recognition")``, as the class below, or through the plain function
:func:`sign_recognition`. Self-contained: ``evaluate`` runs a copy of this file.
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """Top-1 accuracy, top-5 accuracy and macro-averaged F1 of isolated sign recognition, each with a percentile
bootstrap confidence interval over clips (Efron & Tibshirani 1993)."""

_KWARGS_DESCRIPTION = """
Args:
    predictions: (N, C) scores or logits, one row a clip.
    references: (N,) class indices.
    confidence: of the interval, default 0.95.
    num_resamples: bootstrap resamples, default 1000; 0 leaves the intervals out.
    seed: of the resampling.
Returns:
    accuracy, top5_accuracy, macro_f1 as fractions, each with <name>_low and <name>_high; n, the number of clips.
"""


def top_k_hits(scores: np.ndarray, references: np.ndarray, k: int) -> np.ndarray:
    """(N,) bool: whether the true class is among the k best. Of equal scores the lower class counts as better, as in argmax."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return (best == references[:, None]).any(axis=1)


def macro_f1(predicted: np.ndarray, references: np.ndarray, num_classes: int) -> float:
    """Mean F1 over the classes that occur in predictions or references (as scikit-learn's ``average="macro"``)."""
    both = np.bincount(predicted, minlength=num_classes) + np.bincount(references, minlength=num_classes)
    right = np.bincount(references[predicted == references], minlength=num_classes)
    occurs = both > 0
    return float((2 * right[occurs] / both[occurs]).mean())


def sign_recognition(
    scores: np.ndarray,
    references: np.ndarray,
    *,
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """The metric on arrays: scores (N, C), references (N,). Raises ValueError when shapes, classes or scores do not fit."""
    scores, references = np.asarray(scores, np.float64), np.asarray(references, np.int64)
    if scores.ndim != 2 or references.shape != scores.shape[:1] or len(scores) == 0:
        raise ValueError(
            f"Scores {scores.shape} and references {references.shape} must be (N, C) and (N,), N at least 1."
        )
    if np.isnan(scores).any():
        raise ValueError(f"{np.isnan(scores).any(axis=1).sum()} of {len(scores)} clips have scores that are NaN.")
    num_classes = scores.shape[1]
    if references.min() < 0 or references.max() >= num_classes:
        raise ValueError(
            f"References run from {references.min()} to {references.max()}; there are {num_classes} classes."
        )
    predicted = scores.argmax(axis=1)
    hits = {"accuracy": predicted == references, "top5_accuracy": top_k_hits(scores, references, min(5, num_classes))}
    result = {name: float(hit.mean()) for name, hit in hits.items()}
    result["macro_f1"] = macro_f1(predicted, references, num_classes)
    if num_resamples:
        rng = np.random.default_rng(seed)
        samples: dict[str, list[float]] = {name: [] for name in (*hits, "macro_f1")}
        for _ in range(num_resamples):
            rows = rng.integers(len(scores), size=len(scores))
            for name, hit in hits.items():
                samples[name].append(float(hit[rows].mean()))
            samples["macro_f1"].append(macro_f1(predicted[rows], references[rows], num_classes))
        tail = 50 * (1 - confidence)
        for name, values in samples.items():
            result[f"{name}_low"], result[f"{name}_high"] = np.percentile(values, [tail, 100 - tail]).tolist()
    return {**result, "n": len(scores)}


class SignRecognition(evaluate.Metric):
    """The metric as an ``evaluate`` module."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float64")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Any, references: Any, **options: Any) -> dict[str, float]:
        return sign_recognition(np.asarray(predictions), np.asarray(references), **options)
