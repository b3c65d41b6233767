"""Targets and losses of the keypoint detector. Self-contained: it travels to the Hub beside the weights.

Design decisions:

* Targets are made here from the labels' own coordinates: a Gaussian about the point itself, not about the middle of its cell, which
  would teach every point an error of a quarter of a cell on average (Zhang et al., CVPR 2020).
* A Gaussian is the product of one along x and one along y, so no target is ever computed twice.
* The squared error of a point is divided by that of an empty map, pi · sigma²: 1 is what a model that sees nothing gets, whatever the
  map's size. The plain mean over cells would be a thousandth of that.
* A batch loss is the weighted mean over the points that count; without any it is 0, and so is its gradient.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def counting_points(labels: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which labels count.

    Args:
        labels: (N, K, 3): x, y in pixels and a weight; x and y may be anything where the weight is 0.
        height, width: of the picture in pixels.

    Returns:
        points (N, K, 2), finite, and weights (N, K): 0 where the label's is not positive, or the point is not a number or outside
        the picture.
    """
    points, weights = labels[..., :2].float(), labels[..., 2].float()
    inside = (points >= 0).all(-1) & (points[..., 0] < width) & (points[..., 1] < height)  # False for NaN
    counts = inside & (weights > 0)
    return torch.where(counts[..., None], points, 0.0), torch.where(counts, weights, 0.0)


def gaussian(centres: torch.Tensor, length: int, sigma: float) -> torch.Tensor:
    """(…,) centres on an axis of ``length`` cells, cell i from i to i + 1 → (…, length): exp(-d² / 2 sigma²) at the cells' middles."""
    middles = torch.arange(length, device=centres.device, dtype=centres.dtype) + 0.5
    return torch.exp(-((middles - centres[..., None]) ** 2) / (2 * sigma**2))


def heatmap_loss(
    scores: torch.Tensor,
    points: torch.Tensor,
    weights: torch.Tensor,
    *,
    kind: str,
    sigma: float,
    ohkm_top: int,
    hidden_weight: float = 0.0,
) -> torch.Tensor:
    """Loss of heatmaps.

    Args:
        scores: (N, K, H, W) float32; for ``focal`` before the sigmoid.
        points: (N, K, 2) x, y in cells.
        weights: (N, K), 0 where a point does not count.
        kind: ``mse``, ``ohkm`` or ``focal``.
        sigma: of the targets, in cells.
        ohkm_top: how many of a picture's points count with ``ohkm``, the worst ones.
        hidden_weight: weight of an empty map for points that do not count.
    """
    height, width = scores.shape[-2:]
    seen = (weights > 0).float()
    along_x = gaussian(points[..., 0], width, sigma) * seen[..., None]
    target = gaussian(points[..., 1], height, sigma)[..., :, None] * along_x[..., None, :]
    if kind == "focal":
        each = _focal(scores, target, points, seen)
    else:
        each = (scores - target).square().sum(dim=(-2, -1)) / (math.pi * sigma**2)
    weights = weights + hidden_weight * (1 - seen)
    if kind == "ohkm":
        hardness = each.detach().masked_fill(weights <= 0, -1.0)
        hardest = hardness.topk(min(ohkm_top, each.shape[1]), dim=1).indices
        weights = torch.zeros_like(weights).scatter(1, hardest, weights.gather(1, hardest))
    return weighted_mean(each, weights)


def _focal(scores: torch.Tensor, target: torch.Tensor, points: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """(N, K): the focal loss of CornerNet, eq. 1 with alpha 2 and beta 4; the positive is the cell that the point is in."""
    height, width = scores.shape[-2:]
    cell = points.floor().long()
    peak = F.one_hot(cell[..., 1].clamp(0, height - 1), height)[..., :, None] * F.one_hot(
        cell[..., 0].clamp(0, width - 1), width
    ).unsqueeze(-2)
    peak = peak * seen[..., None, None]
    probability, log_yes, log_no = scores.sigmoid(), F.logsigmoid(scores), F.logsigmoid(-scores)
    positive = peak * (1 - probability) ** 2 * log_yes
    negative = (1 - peak) * (1 - target) ** 4 * probability**2 * log_no
    return -(positive + negative).sum(dim=(-2, -1))


def simcc_loss(
    scores_x: torch.Tensor, scores_y: torch.Tensor, points: torch.Tensor, weights: torch.Tensor, sigma: float
) -> torch.Tensor:
    """Kullback–Leibler divergence of the two distributions of each point from Gaussians, their mean.

    Args:
        scores_x, scores_y: (N, K, bins) float32, before the softmax.
        points: (N, K, 2) x, y in bins.
        weights: (N, K), 0 where a point does not count.
        sigma: of the targets, in bins.
    """
    each = torch.zeros_like(weights)
    for axis, scores in enumerate((scores_x, scores_y)):
        target = gaussian(points[..., axis], scores.shape[-1], sigma)
        target = target / target.sum(dim=-1, keepdim=True)
        each = each + 0.5 * F.kl_div(scores.log_softmax(dim=-1), target, reduction="none").sum(dim=-1)
    return weighted_mean(each, weights)


def weighted_mean(each: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Σ weight · value / Σ weight; 0 where nothing has a weight."""
    # A product with 0 would make NaN of an infinite loss that does not count.
    counted = torch.where(weights > 0, each, 0.0) * weights
    return counted.sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


__all__ = ["counting_points", "gaussian", "heatmap_loss", "simcc_loss", "weighted_mean"]
