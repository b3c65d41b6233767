"""What decoding gives back, and the check of what goes in.

Design decisions:

* Times are frames of the model's output, half open; whoever knows the stride and the frame rate turns them into seconds.
* A token's confidence is the mean probability of its own column over the frames that it holds, whatever search found it,
  so that greedy and beam search are comparable. It is not a posterior of the whole sentence.
* Scores that are no log-probabilities (logits, NaN, a frame in which nothing is possible) are an error here: a search would
  quietly return something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_ABOVE_ZERO = 1e-2  # what rounding in half precision may leave above log 1


@dataclass(frozen=True)
class DecodedToken:
    """One decoded sign.

    Attributes:
        token: column of the model's output.
        score: mean probability of that column in its frames, 0 to 1.
        start, end: output frames, half open.
    """

    token: int
    score: float
    start: int
    end: int


@dataclass(frozen=True)
class Hypothesis:
    """One reading of a clip: its tokens in order and its score, a natural logarithm.

    Greedy search scores its one path; beam search the sum over all alignments of the tokens, plus what language model and
    insertion bonus add.
    """

    tokens: tuple[DecodedToken, ...]
    score: float

    @property
    def ids(self) -> list[int]:
        """Columns of the tokens in order."""
        return [token.token for token in self.tokens]


def check_log_probs(log_probs: Any, *, blank: int = 0, vocabulary: Sequence[str] | None = None) -> np.ndarray:
    """(T, V) natural log-probabilities as float64, checked.

    Raises:
        ValueError: not two axes, another number of columns than ``vocabulary`` has, a blank outside, NaN, values above 0, or a
            frame without any possible token.
    """
    values = np.asarray(log_probs, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(
            f"Decoding takes the (frames, vocabulary) log-probabilities of one clip; got shape {values.shape}."
        )
    if vocabulary is not None and values.shape[1] != len(vocabulary):
        raise ValueError(
            f"The log-probabilities have {values.shape[1]} columns and the vocabulary {len(vocabulary)} entries; "
            "take model and processor from one folder."
        )
    if not 0 <= blank < values.shape[1]:
        raise ValueError(f"The blank is column {blank}, but the log-probabilities have {values.shape[1]} columns.")
    if not len(values):
        return values
    best = values.max(axis=1)  # NaN wins a maximum
    if np.isnan(best).any():
        raise ValueError(
            f"The log-probabilities hold NaN in frame {int(np.isnan(best).argmax())}; look for missing points in the clip "
            "or a training that diverged."
        )
    if best.max() > _ABOVE_ZERO:
        raise ValueError(
            f"A log-probability is at most 0, but frame {int(best.argmax())} holds {best.max():.3g}; "
            "pass scores through log_softmax first."
        )
    if np.isneginf(best).any():
        raise ValueError(
            f"In frame {int(np.isneginf(best).argmax())} every token has probability 0; nothing can be decoded."
        )
    return values


def check_vocabulary(vocabulary: Sequence[str], blank: int = 0) -> list[str]:
    """The vocabulary as a list of distinct names, one per column; ValueError where it is none."""
    names = list(vocabulary)
    if isinstance(vocabulary, str) or not all(isinstance(name, str) for name in names):
        raise ValueError("The vocabulary is a list of glosses, one string for each column of the model's output.")
    if not 0 <= blank < len(names):
        raise ValueError(f"The blank is column {blank}, but the vocabulary has {len(names)} entries.")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(
            f"The vocabulary names {', '.join(map(repr, twice[:5]))} more than once; columns need their own names."
        )
    return names
