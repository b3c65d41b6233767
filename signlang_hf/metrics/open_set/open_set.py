"""Open set and calibration: how known a clip looks, how well that tells signs of the vocabulary from others, and whether
probabilities are as right as they say.

Used through the plain functions below, which need numpy alone (pipelines import them), or as
``evaluate.load("…/signlang_hf/metrics/open_set")``. Self-contained: ``evaluate`` runs a copy of this file.

Design decisions:

* Everything starts from logits (N, C), so scores, temperatures and thresholds can be chosen long after the model ran.
* A higher score means better known, whatever the score, and a clip is accepted when its score reaches the threshold.
* A temperature changes neither the order of a clip's labels nor, for the scores ``logit`` and ``energy``, anything at all: a threshold
  on these survives another calibration.
"""

from __future__ import annotations

import numpy as np

SCORES = ("probability", "logit", "energy")

_DESCRIPTION = """Recognition among clips of which some show no sign of the vocabulary: AUROC of known against unknown clips, the share
of unknown clips that is accepted when a given share of the known ones is kept, accuracy on the known clips and their expected
calibration error."""

_KWARGS_DESCRIPTION = """
Args:
    predictions: (N, C) logits, one row a clip.
    references: (N,) class indices, -1 for a clip that shows no sign of the vocabulary.
    score: 'probability', 'logit' or 'energy', default 'probability'.
    temperature: what logits are divided by before softmax, default 1.
    keep: share of known clips that the threshold keeps, default 0.95.
Returns:
    auroc, unknown_accepted, accuracy and calibration_error as fractions; threshold; n_known and n_unknown.
"""


def knownness(logits: np.ndarray, score: str = "probability", temperature: float = 1.0) -> np.ndarray:
    """How known each clip looks, (N, C) → (N,): the higher, the more it looks like a sign of the vocabulary.

    Args:
        logits: (N, C).
        score: ``probability``: the largest softmax probability of logits / ``temperature`` (Hendrycks & Gimpel 2017). ``logit``: the
            largest logit (Hendrycks et al. 2022). ``energy``: log-sum-exp of the logits, which is minus the free energy (Liu et
            al. 2020).

    Raises:
        ValueError: another score, or a temperature that is not positive.
    """
    logits = np.asarray(logits, np.float64)
    if score == "probability":
        return np.exp(_log_softmax(logits, temperature)).max(axis=1)
    if score == "logit":
        return logits.max(axis=1)
    if score == "energy":
        return np.logaddexp.reduce(logits, axis=1)
    raise ValueError(f"score is {score!r}; choose one of {', '.join(SCORES)}.")


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Probability that a known clip scores higher than an unknown one, ties counting half: the area under the ROC curve
    (Mann & Whitney 1947). Raises ValueError when either is empty."""
    known, unknown = _scores(known, "known"), np.sort(_scores(unknown, "unknown"))
    below = np.searchsorted(unknown, known, side="left") + np.searchsorted(unknown, known, side="right")
    return float(below.mean() / (2 * len(unknown)))


def threshold_at(known: np.ndarray, keep: float = 0.95) -> float:
    """The highest threshold that at least the share ``keep`` of the known clips reaches."""
    known = np.sort(_scores(known, "known"))
    if not 0 < keep <= 1:
        raise ValueError(f"keep is {keep}; it must be in (0, 1].")
    return float(known[int((1 - keep) * len(known) + 1e-9)])


def threshold_between(known: np.ndarray, unknown: np.ndarray) -> float:
    """The threshold that best tells known from unknown clips: largest (share of known accepted + share of unknown refused) / 2
    (Youden 1950). It lies in the middle between the two neighbouring scores, so that neither is favoured."""
    known, unknown = np.sort(_scores(known, "known")), np.sort(_scores(unknown, "unknown"))
    every = np.unique(np.concatenate([known, unknown]))
    candidates = np.concatenate([every[:1], (every[1:] + every[:-1]) / 2])
    accepted = 1 - np.searchsorted(known, candidates, side="left") / len(known)
    refused = np.searchsorted(unknown, candidates, side="left") / len(unknown)
    return float(candidates[np.argmax(accepted + refused)])


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which softmax(logits / temperature) has the least cross-entropy on held-out clips (Guo et al. 2017).

    Where every clip is right that would be 0 and all probabilities 1, however few clips there are. So the targets are Platt's (1999):
    1 - 1 / (N + 2) for the true label, the rest spread over all labels.

    Args:
        logits: (N, C) of clips that the model was not trained on.
        labels: (N,) class indices.

    Returns:
        A number in [0.01, 100]. Cross-entropy is convex in 1 / temperature, so its slope has one zero, found by bisection.
    """
    logits, labels = _checked(logits, labels)
    doubt = 1 / (len(logits) + 2)
    wanted = (1 - doubt) * logits[np.arange(len(logits)), labels] + doubt * logits.mean(axis=1)

    def slope(temperature: float) -> float:
        expected = (np.exp(_log_softmax(logits, temperature)) * logits).sum(axis=1)
        return float((expected - wanted).mean())

    low, high = 0.01, 100.0
    while high / low > 1 + 1e-6:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return round((low * high) ** 0.5, 4)


def calibration_error(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0, bins: int = 15) -> float:
    """Expected calibration error (Naeini et al. 2015): |accuracy - mean probability| of the best label, in ``bins`` equal intervals of
    that probability, averaged over clips."""
    logits, labels = _checked(logits, labels)
    confidence = knownness(logits, "probability", temperature)
    gap = (logits.argmax(axis=1) == labels) - confidence
    interval = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(interval, weights=gap, minlength=bins)).sum() / len(gap))


def open_set(
    logits: np.ndarray,
    references: np.ndarray,
    *,
    score: str = "probability",
    temperature: float = 1.0,
    keep: float = 0.95,
) -> dict[str, float]:
    """The metric on arrays: logits (N, C), references (N,) with -1 for unknown clips. Keys as ``evaluate`` returns them.

    ``threshold`` is where the share ``keep`` of these known clips is kept, and ``unknown_accepted`` the share of unknown clips that
    pass it.
    """
    logits, references = np.asarray(logits, np.float64), np.asarray(references, np.int64)
    scores, is_known = knownness(logits, score, temperature), references >= 0
    known, unknown = scores[is_known], scores[~is_known]
    threshold = threshold_at(known, keep)
    return {
        "auroc": auroc(known, unknown),
        "unknown_accepted": float((unknown >= threshold).mean()),
        "accuracy": float((logits[is_known].argmax(axis=1) == references[is_known]).mean()),
        "calibration_error": calibration_error(logits[is_known], references[is_known], temperature),
        "threshold": threshold,
        "n_known": len(known),
        "n_unknown": len(unknown),
    }


def _log_softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be positive.")
    scaled = logits / temperature
    return scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)


def _scores(values: np.ndarray, which: str) -> np.ndarray:
    values = np.asarray(values, np.float64).reshape(-1)
    if len(values) == 0:
        raise ValueError(f"There are no {which} clips.")
    if np.isnan(values).any():
        raise ValueError(f"{np.isnan(values).sum()} of {len(values)} {which} clips have scores that are NaN.")
    return values


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(logits) == 0:
        raise ValueError(f"Logits {logits.shape} and labels {labels.shape} must be (N, C) and (N,), N at least 1.")
    if np.isnan(logits).any():
        raise ValueError(f"{np.isnan(logits).any(axis=1).sum()} of {len(logits)} clips have logits that are NaN.")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(f"Labels run from {labels.min()} to {labels.max()}; there are {logits.shape[1]} classes.")
    return logits, labels


if __name__.startswith(
    "evaluate_modules."
):  # evaluate's copy of this file: nobody else needs evaluate for the functions above
    import datasets
    import evaluate

    class OpenSet(evaluate.Metric):
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

        def _compute(self, predictions: list, references: list, **options: float | str) -> dict[str, float]:
            return open_set(np.asarray(predictions), np.asarray(references), **options)
