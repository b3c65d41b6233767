"""Interpolated Kneser-Ney estimation (Kneser & Ney 1995; Chen & Goodman 1999, section 4.1.6).

For a context h with adjusted counts c and total c(h·), the probability of a word is

    p(w | h) = max(c(hw) - D, 0) / c(h·) + γ(h) p(w | h without its first word),    γ(h) = D N₁₊(h·) / c(h·),

where N₁₊(h·) counts the different words seen after h. The highest order uses plain counts; lower orders count in how many
different contexts a word was seen, except at the beginning of a sentence, which has no context before it. The lowest order falls
back to the uniform distribution over all words, so that a gloss of the vocabulary that no sentence shows has a probability too.

One discount per order, D = n₁ / (n₁ + 2 n₂) with n₁ and n₂ the numbers of n-grams counted once and twice. Glosses of small data
sets are so few that n₁ or n₂ may be 0: D is kept within 0.1 and 0.9, which a large text never touches. The three discounts of the
modified method would need counts of four.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
Ngram = tuple[str, ...]

_DISCOUNT_RANGE = (0.1, 0.9)


def estimate(
    sentences: Iterable[Sequence[str]], order: int, words: Iterable[str]
) -> tuple[dict[Ngram, float], dict[Ngram, float]]:
    """Log-probability of every n-gram seen, and log back-off weight of every context.

    Args:
        sentences: without the marks of their beginnings and ends, made of ``words``.
        order: longest n-gram; 1 or more.
        words: everything that may be predicted, without the end of the sentence and :data:`UNKNOWN`, which are added.

    Returns:
        Two dictionaries with natural logarithms; contexts of the highest order have no back-off.
    """
    adjusted = _adjusted_counts(_raw_counts(sentences, order))
    outcomes = sorted({*words, END, UNKNOWN})
    log_probs: dict[Ngram, float] = {(BEGIN,): -99 * math.log(10)}  # never predicted; the mark that ARPA files use
    backoffs: dict[Ngram, float] = {}
    below: dict[Ngram, float] = {
        (word,): 1 / len(outcomes) for word in outcomes
    }  # of the order below; uniform at first
    for counts in adjusted:
        discount = _discount(counts)
        totals: Counter[Ngram] = Counter()
        different: Counter[Ngram] = Counter()
        for ngram, count in counts.items():
            totals[ngram[:-1]] += count
            different[ngram[:-1]] += 1
        gammas = {context: discount * different[context] / totals[context] for context in totals}
        length = len(next(iter(counts)))
        if length == 1:
            probs = {
                (word,): max(counts[(word,)] - discount, 0) / totals[()] + gammas[()] / len(outcomes)
                for word in outcomes
            }
        else:
            probs = {
                ngram: (count - discount) / totals[ngram[:-1]] + gammas[ngram[:-1]] * below[ngram[1:]]
                for ngram, count in counts.items()
            }
            backoffs |= {context: math.log(gamma) for context, gamma in gammas.items()}
        log_probs |= {ngram: math.log(prob) for ngram, prob in probs.items()}
        below = probs
    return log_probs, backoffs


def _raw_counts(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Ngram]]:
    """Counts of the n-grams of length 1 to ``order``, as far as sentences are long enough for them."""
    counts: list[Counter[Ngram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        marked = (BEGIN, *sentence, END)
        for length in range(1, order + 1):
            for start in range(len(marked) - length + 1):
                counts[length - 1][marked[start : start + length]] += 1
    return [count for count in counts if count]


def _adjusted_counts(raw: list[Counter[Ngram]]) -> list[Counter[Ngram]]:
    adjusted = []
    for length, counts in enumerate(raw, start=1):
        if length == len(raw):
            kept = Counter(counts)
        else:
            kept = Counter(longer[1:] for longer in raw[length])
            kept.update({ngram: count for ngram, count in counts.items() if ngram[0] == BEGIN})
        del kept[(BEGIN,)]
        adjusted.append(kept)
    return adjusted


def _discount(counts: Counter[Ngram]) -> float:
    how_often: defaultdict[int, int] = defaultdict(int)
    for count in counts.values():
        how_often[count] += 1
    once, twice = how_often[1], how_often[2]
    low, high = _DISCOUNT_RANGE
    return min(max(once / (once + 2 * twice), low), high) if once else low
