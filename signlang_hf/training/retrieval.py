"""The floor that a translator has to beat: the text of the training sentence whose glosses are most alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datasets import Dataset


def nearest_texts(train: Dataset, glosses: Sequence[Sequence[str]]) -> list[str]:
    """For each of N sentences the text of the training sentence with the highest cosine of tf-idf vectors of single glosses; of equals
    the first. A gloss's weight is log(N / n), n the training sentences that have it (Spärck Jones 1972); case is ignored.

    Args:
        train: rows with ``glosses`` and ``text``.
        glosses: of N sentences.
    """
    from scipy.sparse import csr_matrix

    texts, known = list(train["text"]), [[gloss.casefold() for gloss in one] for one in train["glosses"]]
    asked = [[gloss.casefold() for gloss in one] for one in glosses]
    columns = {gloss: place for place, gloss in enumerate(dict.fromkeys(gloss for one in known for gloss in one))}
    spread = Counter(gloss for one in known for gloss in set(one))
    # 1 is added, or a gloss that all sentences have would make the vectors of some of them vanish.
    weight = np.array([1 + np.log(len(known) / spread[gloss]) for gloss in columns])

    def vectors(sentences: Sequence[Sequence[str]]) -> csr_matrix:
        places = [(row, columns[gloss]) for row, one in enumerate(sentences) for gloss in one if gloss in columns]
        rows, found = zip(*places) if places else ((), ())
        counts = csr_matrix((weight[list(found)], (rows, found)), shape=(len(sentences), len(columns)))
        norms = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
        return csr_matrix(counts.multiply(1 / np.maximum(norms, 1e-9)[:, None]))

    references = vectors(known).T.tocsr()
    best: list[int] = []
    for first in range(0, len(asked), 256):
        best += vectors(asked[first : first + 256]).dot(references).toarray().argmax(axis=1).tolist()
    return [texts[row] for row in best]


__all__ = ["nearest_texts"]
