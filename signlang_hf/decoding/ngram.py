"""N-gram language models of glosses: estimated here or read from an ARPA file.

Design decisions:

* All numbers are natural logarithms; only ARPA files are in log10.
* A word that the model does not know is ``<unk>``. A model without ``<unk>`` gives it log10 probability -100, as KenLM does.
* ``<s>`` stands for the beginning of a sentence in a context, ``</s>`` is predicted at its end.
* :class:`NgramScorer` is the same model over the columns of a recogniser: all columns of one context at once, remembered, because
  a beam asks for the same few contexts in every frame.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .arpa import read_arpa, write_arpa
from .kneser_ney import BEGIN, END, UNKNOWN, Ngram, estimate

BLANK = "<blank>"

_NOWHERE = -100 * math.log(10)
_REMEMBERED = 2_000_000  # log-probabilities of contexts, in numbers of 8 bytes


class NgramModel:
    """Back-off n-gram model; made by :meth:`train` or :meth:`from_arpa`."""

    def __init__(self, log_probs: dict[Ngram, float], backoffs: dict[Ngram, float]) -> None:
        """``log_probs`` of n-grams and ``backoffs`` of contexts, natural logarithms."""
        self.log_probs = log_probs
        self.backoffs = backoffs
        self.order: int = max(map(len, log_probs))

    @property
    def vocabulary(self) -> list[str]:
        """Words that the model can predict, sorted; with ``</s>`` and, where it has it, ``<unk>``."""
        return sorted(ngram[0] for ngram in self.log_probs if len(ngram) == 1 and ngram[0] != BEGIN)

    @classmethod
    def train(
        cls, sentences: Iterable[Sequence[str]], order: int = 3, vocabulary: Sequence[str] | None = None
    ) -> NgramModel:
        """Interpolated Kneser-Ney estimate (:mod:`signlang_hf.decoding.kneser_ney`).

        Args:
            sentences: lists of glosses; empty ones are passed over.
            order: longest n-gram; where all sentences are shorter, the model is as long as they allow.
            vocabulary: all words that shall have a probability; others become ``<unk>``. Default: the words of the sentences.

        Raises:
            ValueError: no sentences, a sentence that is one string, a mark such as ``<s>`` in a sentence, an order below 1.
        """
        if order < 1:
            raise ValueError(f"The order of an n-gram model is 1 or more; got {order}.")
        known = None if vocabulary is None else {word for word in vocabulary if word not in (BLANK, UNKNOWN)}
        kept: list[tuple[str, ...]] = []
        for number, sentence in enumerate(sentences):
            if isinstance(sentence, str):
                raise ValueError(f"Sentence {number} is the string {sentence[:40]!r}; a sentence is a list of glosses.")
            for word in sentence:
                if word in (BEGIN, END, BLANK) or not word.strip():
                    raise ValueError(f"Sentence {number} holds {word!r}, which is no gloss.")
            if sentence:
                kept.append(tuple(word if known is None or word in known else UNKNOWN for word in sentence))
        if not kept:
            raise ValueError("A language model needs at least one sentence with glosses; all are empty.")
        words = {word for sentence in kept for word in sentence} if known is None else known
        return cls(*estimate(kept, order, words))

    @classmethod
    def from_arpa(cls, path: str | Path) -> NgramModel:
        """Read an ARPA file (:func:`signlang_hf.decoding.arpa.read_arpa`, with its errors)."""
        return cls(*read_arpa(path))

    def save_arpa(self, path: str | Path) -> Path:
        """Write the model as an ARPA file, which KenLM reads too."""
        return write_arpa(path, self.log_probs, self.backoffs)

    def log_prob(self, word: str, context: Sequence[str] = ()) -> float:
        """Natural log-probability of ``word`` after ``context`` (begin it with ``<s>`` where the sentence begins there)."""
        word = self._known(word)
        before = tuple(map(self._known, context[-(self.order - 1) :])) if self.order > 1 else ()
        backoff = 0.0
        while (*before, word) not in self.log_probs:
            if not before:
                return backoff + _NOWHERE
            backoff += self.backoffs.get(before, 0.0)
            before = before[1:]
        return backoff + self.log_probs[(*before, word)]

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """exp of the mean negative log-probability of words and sentence ends; unknown words count as ``<unk>``."""
        total, count = 0.0, 0
        for sentence in sentences:
            marked = [BEGIN, *sentence, END]
            total += sum(self.log_prob(marked[i], marked[:i]) for i in range(1, len(marked)))
            count += len(marked) - 1
        if not count:
            raise ValueError("Perplexity needs at least one sentence.")
        return math.exp(-total / count)

    def check_vocabulary(self, vocabulary: Sequence[str]) -> None:
        """ValueError naming the words of a recogniser's ``vocabulary`` that the model does not know.

        Words that only the model knows do no harm: nothing proposes them.
        """
        wanted = [word for word in vocabulary if word not in (BLANK, UNKNOWN)]
        strange = [word for word in wanted if (word,) not in self.log_probs]
        if not strange:
            return
        own = {word.casefold() for word in self.vocabulary}
        advice = "build it with NgramModel.train(sentences, vocabulary=...)"
        if all(word.casefold() in own for word in strange):
            advice = "it writes them in another case"
        names = ", ".join(map(repr, strange[:5])) + (", …" if len(strange) > 5 else "")
        raise ValueError(
            f"The language model does not know {len(strange)} of the recogniser's {len(wanted)} glosses ({names}); {advice}."
        )

    def _known(self, word: str) -> str:
        return word if (word,) in self.log_probs else UNKNOWN


class NgramScorer:
    """An :class:`NgramModel` over the V columns of a recogniser. A state is the context that still matters."""

    def __init__(self, model: NgramModel, vocabulary: Sequence[str], *, blank: int = 0) -> None:
        model.check_vocabulary([word for column, word in enumerate(vocabulary) if column != blank])
        self.model = model
        self.words = [word if (word,) in model.log_probs else UNKNOWN for word in vocabulary]
        self.blank = blank
        columns: defaultdict[str, list[int]] = defaultdict(list)
        for column, word in enumerate(self.words):
            if column != blank:
                columns[word].append(column)
        followers: defaultdict[Ngram, list[tuple[int, float]]] = defaultdict(list)
        for ngram, log_prob in model.log_probs.items():
            followers[ngram[:-1]] += [(column, log_prob) for column in columns.get(ngram[-1], ())]
        self._followers = {
            context: (np.array([c for c, _ in pairs], int), np.array([p for _, p in pairs], float))
            for context, pairs in followers.items()
        }
        self._rows: dict[Ngram, np.ndarray] = {}
        self._room = max(64, _REMEMBERED // max(1, len(self.words)))

    def start(self) -> Ngram:
        """State at the beginning of a sentence."""
        return self._shortened((BEGIN,))

    def advance(self, state: Ngram, column: int) -> Ngram:
        """State after the gloss of ``column``."""
        return self._shortened((*state, self.words[column]))

    def scores(self, state: Ngram) -> np.ndarray:
        """(V,) natural log-probabilities of all columns after ``state``; 0 for the blank, which is no word."""
        row = self._rows.get(state)
        if row is None:
            if state:
                row = self.scores(state[1:]) + self.model.backoffs.get(state, 0.0)
            else:
                row = np.full(len(self.words), _NOWHERE)
            if state in self._followers:
                columns, values = self._followers[state]
                row[columns] = values
            row[self.blank] = 0.0
            if len(self._rows) >= self._room:
                self._rows.clear()
            self._rows[state] = row
        return row

    def end(self, state: Ngram) -> float:
        """Natural log-probability that the sentence ends after ``state``."""
        return self.model.log_prob(END, state)

    def _shortened(self, context: Ngram) -> Ngram:
        """Without words at its front that no n-gram of the model still asks for, so that more beams share one state."""
        context = context[len(context) - self.model.order + 1 :] if len(context) >= self.model.order else context
        while context and context not in self._followers and context not in self.model.backoffs:
            context = context[1:]
        return context
