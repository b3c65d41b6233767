"""XGBoost on top of other models: its settings, its objectives, and how many trees it gets.

Design decisions:

* The booster starts from given logits (``base_margin``) and learns what is still wrong with them: 200 trees at a step of 0.01 are
  too little to learn signs from nothing, and enough for a correction.
* How many of the trees are kept is measured on held-out folds, and none is a possible answer: an ensemble must not be worse for
  having been corrected. So they have to help by more than chance, that is by more than one standard error of the difference.
* Class weights are weights of rows, whatever the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from tqdm.auto import tqdm

from ..models.ensemble.modeling_ensemble import import_xgboost

OBJECTIVES = ("softmax", "focal")


@dataclass(frozen=True)
class BoosterSettings:
    """Settings of the booster.

    Args:
        objective: ``softmax``: cross-entropy, XGBoost's ``multi:softprob``. ``focal``: :func:`focal_softmax`, which cares less about
            clips that are right already.
        num_trees: rounds; each adds one tree a class.
        choose_num_trees: keep as many of them as are best on held-out folds, or none; False keeps all.
        patience: rounds without improvement after which nothing better is expected.
        eta: step size.
        max_depth: of a tree.
        subsample: share of clips that a tree sees.
        colsample_bytree: share of features that a tree sees.
        reg_lambda: L2 penalty on leaf values.
        reg_alpha: L1 penalty on leaf values.
        focal_gamma: γ of ``focal``; 0 makes it ``softmax``.
        class_weights: weigh clips by the inverse frequency of their class.
        device: ``cpu`` or ``cuda``; default: the GPU where there is one.
        seed: of the drawn clips and features.

    Raises:
        ValueError: a value that a setting cannot have.
    """

    objective: str = "softmax"
    num_trees: int = 200
    choose_num_trees: bool = True
    patience: int = 25
    eta: float = 0.01
    max_depth: int = 7
    subsample: float = 0.8
    colsample_bytree: float = 0.9
    reg_lambda: float = 0.5
    reg_alpha: float = 0.2
    focal_gamma: float = 2.0
    class_weights: bool = False
    device: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"The booster's objective is {self.objective!r}; choose one of {', '.join(OBJECTIVES)}.")
        for name in ("num_trees", "max_depth", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"The booster's {name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("eta", "subsample", "colsample_bytree"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"The booster's {name} is {getattr(self, name)}; it must be in (0, 1].")
        for name in ("reg_lambda", "reg_alpha", "focal_gamma"):
            if getattr(self, name) < 0:
                raise ValueError(f"The booster's {name} is {getattr(self, name)}; it must not be negative.")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> BoosterSettings:
        """Settings by name. Raises ValueError for an unknown one."""
        known = [field.name for field in fields(cls)]
        unknown = [str(name) for name in settings if name not in known]
        if unknown:
            raise ValueError(f"Unknown booster setting {', '.join(unknown)}; known are {', '.join(known)}.")
        return cls(**settings)

    def parameters(self, num_classes: int) -> dict[str, Any]:
        """The same for XGBoost."""
        return {
            "objective": "multi:softprob",
            "num_class": num_classes,
            "tree_method": "hist",
            "device": self.device or ("cuda" if torch.cuda.is_available() else "cpu"),
            "eta": self.eta,
            "max_depth": self.max_depth,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "lambda": self.reg_lambda,
            "alpha": self.reg_alpha,
            "seed": self.seed,
        }


def focal_softmax(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and second derivative of the focal loss (Lin et al. 2017) of a softmax, weighed by row.

    With p = softmax(z), y the true class and q = p_y, the loss is L = −w (1 − q)^γ log q. Then

        A(q)      = (1 − q)^γ − γ q (1 − q)^(γ−1) log q
        ∂L/∂z_j   = w A (p_j − δ_jy)
        ∂²L/∂z_j² = w [A p_j (1 − p_j) − q A'(q) (δ_jy − p_j)²]
        A'(q)     = γ (1 − q)^(γ−2) [(γ − 1) q log q − (1 − q) (2 + log q)]

    γ = 0 is cross-entropy: A = 1, A' = 0.

    Args:
        logits: z, (N, C).
        labels: y, (N,) class indices.
        weights: w, (N,).
        gamma: γ ≥ 0.

    Returns:
        the first and the second derivative by each logit, (N, C) each.
    """
    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    p, true = np.exp(log_p), np.eye(logits.shape[1])[labels]
    # A clip that is right beyond double precision would be 0 / 0 below; it teaches nothing either way.
    log_q = np.minimum((log_p * true).sum(1), -1e-9)[:, None]
    q, rest = np.exp(log_q), -np.expm1(log_q)
    factor = rest**gamma - gamma * q * rest ** (gamma - 1) * log_q
    slope = gamma * rest ** (gamma - 2) * ((gamma - 1) * q * log_q - rest * (2 + log_q))
    w = np.asarray(weights, np.float64)[:, None]
    return w * factor * (p - true), w * (factor * p * (1 - p) - q * slope * (true - p) ** 2)


def train_booster(
    features: np.ndarray, labels: np.ndarray, logits: np.ndarray, settings: BoosterSettings, num_trees: int
) -> Any:
    """A booster (``xgboost.Booster``) of ``num_trees`` rounds that corrects ``logits`` (N, C), by features (N, D)."""
    rows = _matrix(features, labels, logits, settings)
    booster = import_xgboost().Booster(settings.parameters(logits.shape[1]), [rows])
    for round in range(num_trees):
        booster.update(rows, round, _objective(settings))
    return booster


def best_num_trees(
    features: np.ndarray, labels: np.ndarray, logits: np.ndarray, folds: np.ndarray, settings: BoosterSettings
) -> tuple[int, np.ndarray]:
    """How many rounds of trees help clips that the booster has not seen, by cross-validation over ``folds`` (N,).

    All folds grow together, one round at a time, so that growing stops for all when it has stopped helping on average.

    Returns:
        the number of rounds with the least cross-entropy, 0 if that is no more than one standard error better than without; and
        with that many the corrected logits (N, C) of every clip, by the booster that has not seen it.
    """
    xgboost = import_xgboost()
    growing = []
    for fold in np.unique(folds):
        seen, held_out = folds != fold, folds == fold
        rows = [_matrix(features[part], labels[part], logits[part], settings) for part in (seen, held_out)]
        growing.append((held_out, *rows, xgboost.Booster(settings.parameters(logits.shape[1]), rows)))
    without = cross_entropy(logits, labels)
    best, best_logits, best_loss = 0, logits.astype(np.float32), without
    for round in tqdm(range(settings.num_trees), desc="choosing trees", unit="round", leave=False):
        corrected = np.empty_like(best_logits)
        for held_out, seen_rows, held_out_rows, booster in growing:
            booster.update(seen_rows, round, _objective(settings))
            corrected[held_out] = booster.predict(held_out_rows, output_margin=True)
        loss = cross_entropy(corrected, labels)
        if loss.mean() < best_loss.mean():
            best, best_logits, best_loss = round + 1, corrected, loss
        elif settings.choose_num_trees and round + 1 - best >= settings.patience:
            break
    if not settings.choose_num_trees:
        return settings.num_trees, corrected
    gain = without - best_loss
    if gain.mean() <= gain.std() / len(gain) ** 0.5:
        return 0, logits
    return best, best_logits


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """−log of the true class's probability, (N, C) → (N,)."""
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def _matrix(features: np.ndarray, labels: np.ndarray, logits: np.ndarray, settings: BoosterSettings) -> Any:
    counts = np.bincount(labels, minlength=logits.shape[1])
    weights = len(labels) / (np.count_nonzero(counts) * counts[labels]) if settings.class_weights else None
    return import_xgboost().DMatrix(features, label=labels, weight=weights, base_margin=logits)


def _objective(settings: BoosterSettings) -> Callable[[np.ndarray, Any], tuple[np.ndarray, np.ndarray]] | None:
    """None is XGBoost's own."""
    if settings.objective == "softmax":
        return None

    def focal(logits: np.ndarray, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        weights = rows.get_weight()
        weights = weights if len(weights) else np.ones(len(logits))
        gradient, second = focal_softmax(logits, rows.get_label().astype(int), weights, settings.focal_gamma)
        # Twice, as in XGBoost's own softmax, because raising one logit lowers the other probabilities; and focal loss is concave
        # where a clip is badly wrong, which a Newton step must not follow.
        return gradient, np.maximum(2 * second, 1e-16)

    return focal


__all__ = ["BoosterSettings", "best_num_trees", "cross_entropy", "focal_softmax", "train_booster"]
