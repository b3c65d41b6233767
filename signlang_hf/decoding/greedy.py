"""Greedy decoding: the best token of every frame, repeats joined, blanks dropped (Graves et al. 2006, best path decoding)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .hypothesis import DecodedToken, Hypothesis, check_log_probs


def greedy_search(log_probs: np.ndarray, *, blank: int = 0) -> Hypothesis:
    """Best path of a clip.

    Args:
        log_probs: (T, V) natural log-probabilities.
        blank: column of the blank.

    Returns:
        Its tokens with their frames; the score is the log-probability of that one path. No frames give no tokens.

    Raises:
        ValueError: ``log_probs`` is not what it should be (:func:`~signlang_hf.decoding.hypothesis.check_log_probs`).
    """
    log_probs = check_log_probs(log_probs, blank=blank)
    best = log_probs.max(axis=1)
    tokens, _ = runs(log_probs.argmax(axis=1), np.exp(best), blank=blank)
    return Hypothesis(tuple(tokens), float(best.sum()))


def runs(
    best: np.ndarray, probabilities: np.ndarray, *, blank: int, offset: int = 0, open_end: bool = False
) -> tuple[list[DecodedToken], int]:
    """Tokens of a path of best columns ``best`` (T,) with their ``probabilities`` (T,), whose first frame is number ``offset``.

    With ``open_end`` the last run is left out where it is a token, because the next frame may prolong it.

    Returns:
        The tokens, and the index at which what was left out begins (T where nothing was).
    """
    bounds = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)] if len(best) else [0]
    spans = list(pairwise(bounds))
    rest = len(best)
    if open_end and spans and best[spans[-1][0]] != blank:
        rest = spans.pop()[0]
    tokens = [
        DecodedToken(int(best[start]), float(min(1.0, probabilities[start:end].mean())), start + offset, end + offset)
        for start, end in spans
        if best[start] != blank
    ]
    return tokens, rest
