"""Calibration of a trained model: probabilities that are as right as they say, and a threshold below which it answers ``unknown``.

Both are chosen on clips that the model was not trained on, kept in its configuration (``logit_temperature``, ``unknown_score``,
``unknown_threshold``) and used by the pipeline. Neither changes which label is best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformers import PreTrainedModel, SequenceFeatureExtractor

from ..metrics.open_set.open_set import (
    SCORES,
    auroc,
    calibration_error,
    fit_temperature,
    knownness,
    threshold_at,
    threshold_between,
)
from .evaluation import predict, predict_unknown

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Calibration:
    """What was chosen, and what it was chosen by.

    Args:
        logit_temperature, unknown_score, unknown_threshold: as in the model's configuration.
        error_before, error_after: expected calibration error on these clips without and with the temperature.
        known_kept: share of these clips that reaches the threshold.
        n: number of these clips.
        auroc, unknown_accepted, n_unknown: with unknown clips: how well the score tells them apart, the share of them that reaches the
            threshold, and their number.
    """

    logit_temperature: float
    unknown_score: str
    unknown_threshold: float
    error_before: float
    error_after: float
    known_kept: float
    n: int
    auroc: float | None = None
    unknown_accepted: float | None = None
    n_unknown: int = 0


def calibrate(
    model: PreTrainedModel,
    processor: SequenceFeatureExtractor,
    rows: Dataset,
    unknown_rows: Dataset | None = None,
    *,
    keep: float = 0.95,
    progress: bool = False,
) -> Calibration:
    """Choose temperature and threshold, and write them into ``model.config``; saving the model is the caller's.

    Args:
        model, processor: made for each other.
        rows: clips of the model's signs, held out of training.
        unknown_rows: clips of other signs. With them the score is the one that tells them apart best, and the threshold lies where
            most of both are told right. Without them a clip is as known as its best probability, and the threshold keeps the
            share ``keep`` of ``rows``.
        progress: show progress bars.

    Raises:
        ValueError: the dataset has labels that the model does not know, no clips, or the configuration has no such settings.
    """
    if not hasattr(model.config, "logit_temperature"):
        raise ValueError(f"A model of type {model.config.model_type} has no logit_temperature to calibrate.")
    logits, labels = predict(model, processor, rows, progress=progress)
    temperature = fit_temperature(logits, labels)
    known = {score: knownness(logits, score, temperature) for score in SCORES}
    score, threshold, unseen = "probability", threshold_at(known["probability"], keep), {}
    if unknown_rows is not None:
        others = predict_unknown(model, processor, unknown_rows, progress=progress)
        unknown = {score: knownness(others, score, temperature) for score in SCORES}
        score = max(SCORES, key=lambda name: auroc(known[name], unknown[name]))
        threshold = threshold_between(known[score], unknown[score])
        unseen = {
            "auroc": auroc(known[score], unknown[score]),
            "unknown_accepted": float((unknown[score] >= threshold).mean()),
            "n_unknown": len(others),
        }
    model.config.logit_temperature = temperature
    model.config.unknown_score = score
    model.config.unknown_threshold = threshold
    return Calibration(
        temperature,
        score,
        threshold,
        error_before=calibration_error(logits, labels),
        error_after=calibration_error(logits, labels, temperature),
        known_kept=float((known[score] >= threshold).mean()),
        n=len(logits),
        **unseen,
    )
