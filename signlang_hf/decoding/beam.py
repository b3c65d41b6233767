"""Prefix beam search over CTC outputs (Graves & Jaitly 2014; Hannun et al. 2014), in numpy.

Design decisions:

* A prefix carries two scores, of its alignments that end in a blank and of those that end in its last token; all alignments of one
  prefix are summed, so with a beam that holds every prefix the result is exact.
* All candidates of a frame are one matrix (prefixes × tokens). Frames in which only the blank is likely, which are most of a CTC
  output, skip the matrix.
* :func:`prune` takes away what the search shall not look at before it begins. Both engines get the same pruned scores, so that they
  can be compared, and the times of the tokens are still read from the whole ones.
* The language model is added when a token is, weighted, and once more for the end of the sentence. Prefixes are ranked by
  acoustics, language model and bonus together.
* The state between two frames is all that there is (:class:`PrefixBeam`), so that streaming is the same search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .alignment import align_tokens
from .hypothesis import Hypothesis, check_log_probs
from .ngram import NgramModel, NgramScorer

TOKEN_THRESHOLD = 1e-3
MOST_TOKENS = 32
BEAM_THRESHOLD = 10.0


def beam_search(
    log_probs: np.ndarray,
    *,
    blank: int = 0,
    beam_size: int = 10,
    language_model: NgramModel | NgramScorer | None = None,
    lm_weight: float = 0.5,
    insertion_bonus: float = 0.0,
    token_threshold: float = TOKEN_THRESHOLD,
    beam_threshold: float = BEAM_THRESHOLD,
    num_hypotheses: int = 1,
    vocabulary: Sequence[str] | None = None,
) -> list[Hypothesis]:
    """The most probable readings of a clip, best first.

    Args:
        log_probs: (T, V) natural log-probabilities.
        blank: column of the blank.
        beam_size: prefixes kept after every frame.
        language_model: n-gram model, or one already bound to the columns.
        lm_weight: weight of its natural log-probabilities.
        insertion_bonus: added for every token; above 0 it makes up for words that a language model costs.
        token_threshold: probability below which a token is not looked at in a frame, nor are more than 32 there; 0 looks at all.
        beam_threshold: prefixes this far (natural logarithm) below the best are dropped.
        num_hypotheses: how many readings; there may be fewer.
        vocabulary: gloss of every column; needed with an :class:`NgramModel`.

    Returns:
        Readings with the times of their most probable alignment. Score: log of the sum over all alignments, plus language model
        and bonus.

    Raises:
        ValueError: scores, sizes or vocabulary that are not what they should be.
    """
    log_probs = check_log_probs(log_probs, blank=blank, vocabulary=vocabulary)
    scorer = bind(language_model, vocabulary, blank)
    beam = PrefixBeam(blank, beam_size, scorer, lm_weight, insertion_bonus, beam_threshold)
    for frame in prune(log_probs, token_threshold, blank):
        beam.step(frame)
    return [
        Hypothesis(align_tokens(log_probs, prefix, blank=blank), score) for prefix, score in beam.best(num_hypotheses)
    ]


def bind(
    language_model: NgramModel | NgramScorer | None, vocabulary: Sequence[str] | None, blank: int
) -> NgramScorer | None:
    """The language model over the columns of ``vocabulary``."""
    if not isinstance(language_model, NgramModel):
        return language_model
    if vocabulary is None:
        raise ValueError("A language model needs the gloss of every column: pass vocabulary=.")
    return NgramScorer(language_model, vocabulary, blank=blank)


def prune(log_probs: np.ndarray, token_threshold: float, blank: int) -> np.ndarray:
    """A copy of (T, V) log-probabilities with -inf for what the search shall not look at: below ``token_threshold``, and all but
    the best :data:`MOST_TOKENS` of a frame. The blank and each frame's best stay; a threshold of 0 takes nothing away."""
    if not 0 <= token_threshold < 1:
        raise ValueError(f"token_threshold is a probability below 1; got {token_threshold}.")
    if not token_threshold or not len(log_probs):
        return log_probs.copy()
    floor = np.minimum(np.log(token_threshold), log_probs.max(axis=1, keepdims=True))
    if log_probs.shape[1] > MOST_TOKENS:
        floor = np.maximum(floor, np.partition(log_probs, -MOST_TOKENS, axis=1)[:, [-MOST_TOKENS]])
    pruned = np.where(log_probs < floor, -np.inf, log_probs)
    pruned[:, blank] = log_probs[:, blank]
    return pruned


class PrefixBeam:
    """The prefixes after some frames.

    Attributes:
        prefixes: tuples of columns, best first.
        blank_scores, token_scores: (B,) log of the sum of the alignments that end in a blank, and in the last token.
        extra: (B,) what language model and bonus added.
    """

    def __init__(
        self,
        blank: int = 0,
        beam_size: int = 10,
        scorer: NgramScorer | None = None,
        lm_weight: float = 0.5,
        insertion_bonus: float = 0.0,
        beam_threshold: float = BEAM_THRESHOLD,
    ) -> None:
        if beam_size < 1:
            raise ValueError(f"beam_size is 1 or more; got {beam_size}.")
        self.blank, self.beam_size, self.beam_threshold = blank, beam_size, beam_threshold
        self.scorer, self.lm_weight, self.insertion_bonus = scorer, lm_weight, insertion_bonus
        self.prefixes: list[tuple[int, ...]] = [()]
        self.blank_scores = np.zeros(1)
        self.token_scores = np.full(1, -np.inf)
        self.extra = np.zeros(1)
        self.last = np.full(1, -1)  # last token; outlives `forget`
        self.states = [scorer.start() if scorer else ()]

    def step(self, frame: np.ndarray) -> None:
        """Take in one frame, (V,) log-probabilities with -inf for what is not looked at."""
        tokens = np.flatnonzero(frame > -np.inf)
        tokens = tokens[tokens != self.blank]
        total = np.logaddexp(self.blank_scores, self.token_scores)
        to_blank = total + frame[self.blank]
        if not len(tokens):  # nothing grows, and the order stays
            everything = range(len(total))
            self._follow(frame, {}, [True] * len(total), everything, everything)
            self.blank_scores, self.token_scores = to_blank, np.full(len(total), -np.inf)
            return
        to_same = self.token_scores + np.where(self.last >= 0, frame[self.last], -np.inf)
        before = np.where(self.last[:, None] == tokens, self.blank_scores[:, None], total[:, None])
        grown = before + frame[tokens]  # (B, K)
        joined = self._join(tokens, grown, to_same)
        extra = np.broadcast_to(self.extra[:, None] + self.insertion_bonus, grown.shape)
        if self.scorer:
            rows = np.stack([self.scorer.scores(state)[tokens] for state in self.states])
            extra = extra + self.lm_weight * rows
        ranks = np.concatenate([np.logaddexp(to_blank, to_same) + self.extra, (grown + extra).ravel()])
        old, source, column = self._choose(ranks, len(tokens))
        self._follow(frame, joined, old.tolist(), source.tolist(), tokens[column].tolist())
        self.blank_scores = np.where(old, to_blank[source], -np.inf)
        self.token_scores = np.where(old, to_same[source], grown[source, column])
        self.extra = np.where(old, self.extra[source], extra[source, column])
        self.last = np.where(old, self.last[source], tokens[column])
        prefixes, states = [], []
        for stays, parent, token in zip(old.tolist(), source.tolist(), tokens[column].tolist()):
            prefix, state = self.prefixes[parent], self.states[parent]
            prefixes.append(prefix if stays else (*prefix, token))
            states.append(state if stays or not self.scorer else self.scorer.advance(state, token))
        self.prefixes, self.states = prefixes, states

    def _join(self, tokens: np.ndarray, grown: np.ndarray, to_same: np.ndarray) -> dict[int, int]:
        """Where a grown prefix is one that the beam holds already, move its score there; returns which came from which."""
        joined = {}
        index = {prefix: number for number, prefix in enumerate(self.prefixes)}
        for number, prefix in enumerate(self.prefixes):
            parent = index.get(prefix[:-1]) if prefix else None
            if parent is not None:
                column = int(np.searchsorted(tokens, prefix[-1]))
                if column < len(tokens) and tokens[column] == prefix[-1]:
                    to_same[number] = np.logaddexp(to_same[number], grown[parent, column])
                    grown[parent, column] = -np.inf
                    joined[number] = parent
        return joined

    def _choose(self, ranks: np.ndarray, grown_by: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Best of the ranks, first those of the B prefixes that stay, then of the B × ``grown_by`` that grow: whether it stays,
        of which prefix it comes, and by which token it grows."""
        chosen = np.arange(len(ranks))
        if len(ranks) > self.beam_size:
            chosen = np.argpartition(-ranks, self.beam_size - 1)[: self.beam_size]
        chosen = chosen[np.lexsort((chosen, -ranks[chosen]))]
        best = ranks[chosen[0]]
        chosen = chosen[(ranks[chosen] >= best - self.beam_threshold) & (ranks[chosen] > -np.inf)]
        size = len(self.prefixes)
        old = chosen < size
        source = np.where(old, chosen, (chosen - size) // grown_by)
        return old, source, np.where(old, 0, (chosen - size) % grown_by)

    def _follow(
        self,
        frame: np.ndarray,
        joined: dict[int, int],
        old: Sequence[bool],
        source: Sequence[int],
        tokens: Sequence[int],
    ) -> None:
        """For a beam that keeps more of each prefix: what becomes of it in ``frame``, called before anything changes."""

    def best(self, count: int = 1, *, finished: bool = True) -> list[tuple[tuple[int, ...], float]]:
        """Up to ``count`` prefixes with their scores, best first; ``finished`` counts the end of the sentence."""
        scores = np.logaddexp(self.blank_scores, self.token_scores) + self.extra
        if finished and self.scorer:
            scores = scores + self.lm_weight * np.array([self.scorer.end(state) for state in self.states])
        order = np.argsort(-scores, kind="stable")[:count]
        return [(self.prefixes[i], float(scores[i])) for i in order.tolist()]

    def select(self, keep: Sequence[bool]) -> None:
        """Drop the prefixes that ``keep`` denies."""
        mask = np.asarray(keep, bool)
        self.prefixes = [prefix for prefix, kept in zip(self.prefixes, mask) if kept]
        self.states = [state for state, kept in zip(self.states, mask) if kept]
        self.blank_scores, self.token_scores = self.blank_scores[mask], self.token_scores[mask]
        self.extra, self.last = self.extra[mask], self.last[mask]

    def forget(self, count: int) -> None:
        """Cut the first ``count`` tokens, which all prefixes share, off the prefixes; scores and contexts stay."""
        self.prefixes = [prefix[count:] for prefix in self.prefixes]
