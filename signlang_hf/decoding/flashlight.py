"""Beam search in C++ through flashlight-text, with KenLM for the language model.

flashlight-text has wheels for Python 3.10 to 3.12 on Linux, macOS and Windows, asks for no numpy version, and brings KenLM along.

Design decisions:

* It gets the scores that the numpy beam gets (:func:`~signlang_hf.decoding.beam.prune`) and sums alignments as that does; tokens are
  put in time by the same alignment. Its beam holds a prefix twice, with a blank at the end and without, hence twice the size.
* KenLM counts in log10, so the weight is multiplied by ln 10.
* The lexicon-free search knows no insertion bonus. It is folded into the n-grams: a bonus b is the same as b / weight more for every
  word. Log-probabilities above 0 are refused by KenLM; where the bonus leads there, only the numpy beam can do it.
* KenLM takes orders 2 to 6; an order of 1 is written with one bigram that says nothing new.
* KenLM reads files only: the model is written to a temporary folder, which is gone when it is loaded. It draws a progress bar on
  the process's standard error, past Python; that is turned away for as long as it loads.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .alignment import align_tokens
from .arpa import to_arpa_word, write_arpa
from .beam import BEAM_THRESHOLD, TOKEN_THRESHOLD, prune
from .hypothesis import Hypothesis, check_log_probs, check_vocabulary
from .kneser_ney import BEGIN, END, UNKNOWN, Ngram
from .ngram import NgramModel

_HIGHEST_ORDER = 6


class FlashlightDecoder:
    """Beam search of flashlight-text over one vocabulary; settings, scores and readings are those of
    :func:`~signlang_hf.decoding.beam.beam_search`."""

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        blank: int = 0,
        beam_size: int = 10,
        language_model: NgramModel | str | Path | None = None,
        lm_weight: float = 0.5,
        insertion_bonus: float = 0.0,
        token_threshold: float = TOKEN_THRESHOLD,
        beam_threshold: float = BEAM_THRESHOLD,
    ) -> None:
        """See :func:`~signlang_hf.decoding.beam.beam_search`.

        Raises:
            ImportError: flashlight-text is missing.
            ValueError: a language model that does not fit, or a bonus that KenLM cannot hold (:func:`can_hold`).
        """
        self._library = _library()
        self.vocabulary = check_vocabulary(vocabulary, blank)
        if beam_size < 1:
            raise ValueError(f"beam_size is 1 or more; got {beam_size}.")
        if isinstance(language_model, (str, Path)):
            language_model = NgramModel.from_arpa(language_model)
        reason = why_not(language_model, lm_weight, insertion_bonus)
        if reason:
            raise ValueError(f"{reason}; take engine='numpy'.")
        self.blank, self.beam_size = blank, beam_size
        self.token_threshold, self.beam_threshold = token_threshold, beam_threshold
        if language_model is not None:
            language_model.check_vocabulary([word for i, word in enumerate(self.vocabulary) if i != blank])
        self._model, self._weight = self._load(language_model, lm_weight, insertion_bonus)

    def _load(self, model: NgramModel | None, weight: float, bonus: float) -> tuple[Any, float]:
        if model is None or weight == 0:
            if bonus == 0:
                return self._library.ZeroLM(), 0.0
            words = [word for i, word in enumerate(self.vocabulary) if i != self.blank]
            model, weight = NgramModel({(word,): 0.0 for word in {*words, BEGIN, END, UNKNOWN}}, {}), 1.0
        log_probs, backoffs = _for_kenlm(model, bonus / weight)
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary

        dictionary = Dictionary([to_arpa_word(word) for word in self.vocabulary])
        with tempfile.TemporaryDirectory(prefix="signlang-arpa-") as folder:
            path = write_arpa(Path(folder) / "model.arpa", log_probs, backoffs)
            with _without_progress_bar():
                return KenLM(str(path), dictionary), weight * math.log(10)

    def __call__(self, log_probs: np.ndarray, num_hypotheses: int = 1) -> list[Hypothesis]:
        """Up to ``num_hypotheses`` readings of one clip from its (T, V) natural log-probabilities, best first."""
        log_probs = check_log_probs(log_probs, blank=self.blank, vocabulary=self.vocabulary)
        pruned = prune(log_probs, self.token_threshold, self.blank)
        emissions = np.ascontiguousarray(pruned, dtype=np.float32)
        looked_at = int((emissions > -np.inf).sum(axis=1).max(initial=1))
        options = self._library.LexiconFreeDecoderOptions(
            beam_size=2 * self.beam_size,
            beam_size_token=min(looked_at + 1, len(self.vocabulary)),  # the blank may be -inf itself
            beam_threshold=min(self.beam_threshold, 1e9),
            lm_weight=self._weight,
            sil_score=0.0,
            log_add=True,
            criterion_type=self._library.CriterionType.CTC,
        )
        search = self._library.LexiconFreeDecoder(options, self._model, self.blank, self.blank, [])
        results = search.decode(emissions.ctypes.data, *emissions.shape)
        found: dict[tuple[int, ...], float] = {}
        for result in results:
            found.setdefault(self._joined(result.tokens), float(result.score))
        best = sorted(found.items(), key=lambda item: -item[1])[:num_hypotheses]
        return [Hypothesis(align_tokens(log_probs, ids, blank=self.blank), score) for ids, score in best]

    def _joined(self, path: Sequence[int]) -> tuple[int, ...]:
        """Tokens of a path with one column per frame: repeats joined, blanks dropped."""
        path = [*path]
        return tuple(token for i, token in enumerate(path) if token != self.blank and (not i or token != path[i - 1]))


def why_not(model: NgramModel | None, lm_weight: float, insertion_bonus: float) -> str | None:
    """Why flashlight-text cannot search with these settings, or None where it can."""
    if model is not None and model.order > _HIGHEST_ORDER:
        return f"KenLM reads orders up to {_HIGHEST_ORDER}; the language model has {model.order}"
    if model is None or lm_weight == 0:
        highest = insertion_bonus
    elif lm_weight < 0:
        return "flashlight-text takes no negative weight of a language model"
    else:
        highest = lm_weight * max(_predicted(model).values(), default=0.0) + insertion_bonus
    if insertion_bonus > 0 and highest > 0:
        return f"flashlight-text has no insertion bonus, and {insertion_bonus} is too large to be folded into the language model"
    return None


def _predicted(model: NgramModel) -> dict[Ngram, float]:
    """N-grams that end in a word and so get the bonus."""
    return {ngram: value for ngram, value in model.log_probs.items() if ngram[-1] not in (BEGIN, END)}


def _for_kenlm(model: NgramModel, bonus: float) -> tuple[dict[Ngram, float], dict[Ngram, float]]:
    log_probs = dict(model.log_probs)
    log_probs |= {ngram: value + bonus for ngram, value in _predicted(model).items()} if bonus else {}
    backoffs = dict(model.backoffs)
    if model.order == 1:
        log_probs[(BEGIN, END)] = log_probs[(END,)]
    return log_probs, backoffs


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # a process without standard error has nothing to turn away
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _library() -> Any:
    try:
        from flashlight.lib.text import decoder
    except ImportError as error:
        raise ImportError('This beam search needs flashlight-text: pip install "signlang-hf[decoding]"') from error
    return decoder
