"""Mixup: training on blends of two clips, with blended labels (Zhang et al. 2018).

Design decisions:

* Clips are mixed as features, in pairs within a batch, which costs next to nothing; each clip leads once.
* Two signs have no common clock. The partner is **stretched or squeezed to the frames of the leading clip**, so that the beginning of one
  sign is blended with the beginning of the other and no frame is half empty. The leading clip has at least half the weight: the blend
  has its duration.
* What is drawn follows from the clips' own random numbers, which follow from seed, epoch and index: whichever process or resumed run
  makes the batch mixes it in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stretch(values: np.ndarray, frames: int) -> np.ndarray:
    """(T, F) → (``frames``, F) by linear interpolation; first and last frame stay."""
    place = np.linspace(0.0, len(values) - 1, frames)
    before = np.minimum(place.astype(int), max(len(values) - 2, 0))
    after = np.minimum(before + 1, len(values) - 1)
    weight = (place - before).astype(values.dtype)[:, None]
    return values[before] + weight * (values[after] - values[before])


def mix(
    values: Sequence[np.ndarray], labels: Sequence[int], num_labels: int, alpha: float, draws: Sequence[int]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Blend each clip of a batch with another: share · clip + (1 - share) · partner.

    Args:
        values: N clips (T, F).
        labels: their classes.
        num_labels: C.
        alpha: the share is drawn from Beta(``alpha``, ``alpha``), and the larger part goes to the leading clip.
        draws: a random number of each clip.

    Returns:
        the blends, each (T of its leading clip, F), and their labels (N, C) float32, rows summing to 1.
    """
    rng = np.random.default_rng(list(draws))
    partner = rng.permutation(len(values))
    share = rng.beta(alpha, alpha, len(values))
    share = np.maximum(share, 1 - share).astype(np.float32)
    mixed = [
        part * clip + (1 - part) * stretch(values[other], len(clip))
        for clip, other, part in zip(values, partner, share)
    ]
    shares = np.zeros((len(values), num_labels), np.float32)
    rows, labels = np.arange(len(values)), np.asarray(labels)
    np.add.at(shares, (rows, labels), share)
    np.add.at(shares, (rows, labels[partner]), 1 - share)
    return mixed, shares
