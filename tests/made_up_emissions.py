"""Log-probabilities as a CTC model gives them, made up."""

from __future__ import annotations

import numpy as np


def soft(frames: int, columns: int, seed: int = 0, spread: float = 1.5) -> np.ndarray:
    """(T, V) normalised noise: every path is possible and few are likely."""
    return _normalised(np.random.default_rng(seed).normal(0, spread, (frames, columns)))


def spiky(
    tokens: list[int],
    columns: int,
    *,
    gap: int = 6,
    width: int = 3,
    blank: float = 7.0,
    lead: float = 4.0,
    seed: int = 0,
) -> np.ndarray:
    """``tokens`` one after the other, ``width`` frames each with ``gap`` frames of blank before, between and after;
    a token's score is ``lead`` above the blank's, and the blank's ``blank`` above the noise."""
    logits = np.random.default_rng(seed).normal(size=(gap + len(tokens) * (gap + width), columns))
    logits[:, 0] += blank
    for number, token in enumerate(tokens):
        start = gap + number * (gap + width)
        logits[start : start + width, token] += blank + lead
    return _normalised(logits)


def _normalised(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
