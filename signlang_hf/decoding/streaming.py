"""Decoding while the frames come in: every call hands out the tokens that became final.

Design decisions:

* Greedy: a token is final when its run of frames has ended, which is one frame after it. Tokens, times and confidences are those of
  :func:`~signlang_hf.decoding.greedy.greedy_search` on the whole clip.
* Beam: a token is final when all prefixes of the beam begin with it and the best one has left it; this changes nothing of what the
  search would have found. What began ``max_latency`` frames ago and is still in doubt is decided for the best prefix: prefixes
  that have other tokens there are dropped. That bounds latency and memory, and is the only place where the tokens may differ
  from those of the whole clip.
* Times and confidences of a beam are those of the best prefix when the token became final
  (:mod:`signlang_hf.decoding.timed_beam`); the whole clip may move them by a few frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .beam import BEAM_THRESHOLD, TOKEN_THRESHOLD, prune
from .decoder import load_language_model
from .greedy import runs
from .hypothesis import DecodedToken, check_log_probs, check_vocabulary
from .ngram import NgramModel, NgramScorer
from .timed_beam import TimedBeam


class StreamingDecoder:
    """Push frames, get final tokens; :meth:`finish` at the end of the clip makes it ready for the next."""

    def __init__(
        self,
        vocabulary: Sequence[str],
        blank: int = 0,
        *,
        method: str = "greedy",
        beam_size: int = 10,
        language_model: NgramModel | str | Path | None = None,
        lm_weight: float = 0.5,
        insertion_bonus: float = 0.0,
        token_threshold: float = TOKEN_THRESHOLD,
        beam_threshold: float = BEAM_THRESHOLD,
        engine: str = "auto",
        max_latency: int = 32,
    ) -> None:
        """Options as in :class:`~signlang_hf.decoding.decoder.Decoder`.

        Args:
            max_latency: frames after its beginning at which a token of a beam is final at the latest.

        Raises:
            ValueError: as in ``Decoder``; ``engine="flashlight"``, whose search cannot be decided early.
        """
        self.vocabulary, self.blank, self.method = check_vocabulary(vocabulary, blank), blank, method
        model = load_language_model(method, language_model, engine)
        if engine == "flashlight":
            raise ValueError("Streaming decodes with the numpy beam; take engine='auto' or engine='numpy'.")
        if max_latency < 1:
            raise ValueError(f"max_latency is 1 frame or more; got {max_latency}.")
        scorer = None if model is None else NgramScorer(model, self.vocabulary, blank=blank)
        self._beam_options = (blank, beam_size, scorer, lm_weight, insertion_bonus, beam_threshold)
        self.token_threshold, self.max_latency = token_threshold, max_latency
        self._reset()

    def _reset(self) -> None:
        self.frames = 0  # seen so far
        self._open = np.zeros((2, 0))  # greedy: best columns and their probabilities in the run that goes on
        self._beam = TimedBeam(*self._beam_options)
        self._last_end = 0

    def push(self, log_probs: np.ndarray) -> list[DecodedToken]:
        """Take in (t, V) natural log-probabilities, any number of frames; returns the tokens that are final now.

        How the frames are cut into calls makes no difference to what comes out.
        """
        log_probs = check_log_probs(log_probs, blank=self.blank, vocabulary=self.vocabulary)
        if self.method == "greedy":
            self.frames += len(log_probs)
            now = np.stack([log_probs.argmax(axis=1), np.exp(log_probs.max(axis=1))])
            self._open = np.concatenate([self._open, now], axis=1)
            return self._greedy(open_end=True)
        final: list[DecodedToken] = []
        for frame in prune(log_probs, self.token_threshold, self.blank):
            self._beam.step(frame)
            self.frames += 1
            final += self._settle()
        return final

    def finish(self) -> list[DecodedToken]:
        """The tokens still open at the end of the clip."""
        if self.method == "greedy":
            final = self._greedy(open_end=False)
        else:
            prefix, _ = self._beam.best(1)[0]
            final = self._in_order(self._beam.tokens(self._beam.prefixes.index(prefix)))
        self._reset()
        return final

    def _greedy(self, *, open_end: bool) -> list[DecodedToken]:
        best, probabilities = self._open[0].astype(int), self._open[1]
        tokens, rest = runs(best, probabilities, blank=self.blank, offset=self.frames - len(best), open_end=open_end)
        self._open = self._open[:, rest:]
        return tokens

    def _settle(self) -> list[DecodedToken]:
        """Final tokens after the frame just taken in."""
        beam = self._beam
        if not any(beam.prefixes):
            return []
        readings = [beam.tokens(number) for number in range(len(beam.prefixes))]
        prefix, _ = beam.best(1, finished=False)[0]
        best = readings[beam.prefixes.index(prefix)]
        deadline = self.frames - self.max_latency
        late = sum(token.start <= deadline for token in best)
        keep = [
            other[:late] == prefix[:late] and not any(token.start <= deadline for token in reading[late:])
            for other, reading in zip(beam.prefixes, readings)
        ]
        if not all(keep):
            beam.select(keep)
        ended = sum(token.end < self.frames for token in best)
        count = max(late, min(_shared(beam.prefixes), ended))
        if count:
            beam.forget(count)
        return self._in_order(best[:count])

    def _in_order(self, tokens: list[DecodedToken]) -> list[DecodedToken]:
        """The best prefix may have changed since the last final token, and now say that this one ended earlier."""
        final = []
        for token in tokens:
            start = max(token.start, self._last_end)
            self._last_end = max(token.end, start + 1)
            final.append(replace(token, start=start, end=self._last_end))
        return final


def _shared(prefixes: Sequence[tuple[int, ...]]) -> int:
    """Length of the beginning that all prefixes have in common."""
    length = 0
    for tokens in zip(*prefixes):
        if len(set(tokens)) > 1:
            break
        length += 1
    return length
