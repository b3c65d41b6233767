"""Splits of sentences in which no sentence stands twice, and the check that tells those in which one does.

A corpus of sentences repeats them: several people sign the same ones. A model that has seen a sentence in training knows its words and
their order, so what is measured on a split that shares sentences is memory. (Scores near 100 are published on ISL-CSLTR in this way.)

Design decisions:

* Two rows hold the same sentence when their texts agree **or** their glosses do, and so do rows that are linked through a third. Capitals,
  punctuation and white space of a text, and capitals of glosses, make no difference.
* Whole groups of such rows go to one part. Parts and folds come as close to the asked sizes, counted in rows, as groups allow.
* The official splits of some corpora share short sentences (*good evening*): :func:`check_sentence_leaks` can warn instead of refusing.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from .leaks import Leak, LeakError, describe_leaks
from .splits import check_sizes, column_values, select_rows

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_TRIES = 64
_STEPS = 50_000  # of all tries together, so that ten thousand sentences are split in a moment


def sentence_groups(dataset: Dataset) -> np.ndarray:
    """Which sentence each row holds: (rows,) int64, numbered from 0 in order of appearance.

    Args:
        dataset: rows with ``glosses``, ``text`` or both.

    Raises:
        ValueError: neither column is there, or a row has neither glosses nor text.
    """
    group = np.arange(len(dataset))

    def root(row: int) -> int:
        while group[row] != row:
            group[row] = row = group[group[row]]
        return row

    first: dict[Any, int] = {}
    for row, keys in enumerate(_row_keys(dataset)):
        for key in keys:
            one, other = sorted((root(first.setdefault(key, row)), root(row)))
            group[other] = one
    roots = [root(row) for row in range(len(group))]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[name] for name in roots], np.int64)


def sentence_split(
    dataset: Dataset, *, test_size: float = 0.2, validation_size: float = 0.0, seed: int = 0
) -> DatasetDict:
    """Split whole sentences: no sentence stands in two parts. Signers may.

    Args:
        dataset: rows with ``glosses``, ``text`` or both.
        test_size, validation_size: shares of all rows, met as closely as whole sentences allow.
        seed: seed of the draw.

    Returns:
        ``train``, ``test`` and, where asked for, ``validation``.

    Raises:
        ValueError: sizes out of range, a row without a sentence, or fewer sentences than parts.
    """
    check_sizes(test_size, validation_size)
    if test_size == 0:
        raise ValueError("test_size is 0; nothing to split off.")
    sizes = (1 - test_size - validation_size, validation_size, test_size)
    train, validation, test = _assign(sentence_groups(dataset), sizes, seed)
    return select_rows(dataset, train=train, validation=validation, test=test)


def sentence_folds(
    dataset: Dataset, *, num_folds: int = 5, validation_size: float = 0.0, seed: int = 0
) -> Iterator[tuple[str, DatasetDict]]:
    """``num_folds`` folds by sentence: each sentence is ``test`` in one of them, with all its rows.

    Args:
        dataset: rows with ``glosses``, ``text`` or both.
        num_folds: k, from 2 to the number of sentences.
        validation_size: share of the other rows to carve ``validation`` out of, by sentence too.
        seed: seed of the draw.

    Yields:
        (number of the fold from "1", DatasetDict).

    Raises:
        ValueError: sizes out of range, a row without a sentence, or fewer sentences than folds (and parts) need.
    """
    check_sizes(0.0, validation_size)
    groups = sentence_groups(dataset)
    count = int(groups.max(initial=-1)) + 1
    if not 2 <= num_folds <= count:
        raise ValueError(f"num_folds is {num_folds}; it must be 2 to {count}, the number of different sentences.")
    weights = np.bincount(groups, minlength=count)
    order = np.random.default_rng(seed).permutation(count)
    order = order[np.argsort(-weights[order], kind="stable")]
    fold, filled = np.empty(count, int), np.zeros(num_folds)
    for one in order:  # the largest first, each to the emptiest fold
        fold[one] = np.argmin(filled)
        filled[fold[one]] += weights[one]
    return _folds(dataset, groups, fold[groups], num_folds, validation_size, seed)


def find_sentence_leaks(splits: Mapping[str, Dataset]) -> list[Leak]:
    """Sentences that two splits share: the same text, or the same glosses.

    Args:
        splits: two or more splits of rows with ``glosses``, ``text`` or both.

    Returns:
        One entry for each sentence and pair of splits, in order of appearance.

    Raises:
        ValueError: a split without those columns, or a row with neither.
    """
    found: dict[str, dict[Any, int]] = {}
    ids: dict[str, Sequence[Any]] = {}
    for name, split in splits.items():
        ids[name] = column_values(split, "id") if "id" in split.column_names else np.arange(len(split))
        found[name] = {}
        for row, keys in enumerate(_row_keys(split)):
            for key in keys:
                found[name].setdefault(key, row)
    leaks = []
    for pair in combinations(found, 2):
        here, there = (found[name] for name in pair)
        reported: set[int] = set()
        for key, row in here.items():
            if key not in there or row in reported:
                continue
            reported.add(row)
            kind, sentence = key
            shown = sentence if kind == "text" else " ".join(sentence)
            rows = (str(ids[pair[0]][row]), str(ids[pair[1]][there[key]]))
            leaks.append(Leak("sentence", pair, rows, f"the same {kind}: {shown}"))
    return leaks


def check_sentence_leaks(splits: Mapping[str, Dataset], allow: bool = False) -> list[Leak]:
    """Refuse splits that share sentences. To be called before training on splits that claim to be disjoint by sentence.

    Args:
        splits: as for :func:`find_sentence_leaks`.
        allow: warn instead of refusing.

    Raises:
        LeakError: they share a sentence; the message is a table of which.
    """
    leaks = find_sentence_leaks(splits)
    if leaks and not allow:
        raise LeakError(leaks)
    if leaks:
        warnings.warn(describe_leaks(leaks), stacklevel=2)
    return leaks


def text_key(text: str) -> str:
    """A text without what makes no difference between sentences: capitals, punctuation, white space, Unicode forms.

    Only punctuation goes, not everything but letters: the vowel signs of Indian scripts are no letters to Unicode.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(" " if unicodedata.category(sign)[0] in "PZ" else sign for sign in plain).split()
    return " ".join(words)


def gloss_key(glosses: Sequence[str]) -> tuple[str, ...]:
    """A gloss sequence without the capitals and Unicode forms of its glosses."""
    return tuple(unicodedata.normalize("NFKC", gloss).casefold().strip() for gloss in glosses)


def _row_keys(dataset: Dataset) -> Iterator[list[tuple[str, Any]]]:
    """What identifies the sentence of each row: its text and its glosses, where it has them."""
    names = [name for name in ("text", "glosses") if name in dataset.column_names]
    if not names:
        raise ValueError(
            f"The rows have neither glosses nor text, so they cannot be told by sentence; they have {', '.join(dataset.column_names)}."
        )
    makers = {"text": text_key, "glosses": gloss_key}
    columns = [column_values(dataset, name) for name in names]
    for row, values in enumerate(zip(*columns)):
        keys = [(name, makers[name](value)) for name, value in zip(names, values) if value is not None]
        keys = [key for key in keys if key[1]]
        if not keys:
            raise ValueError(f"Row {row} has no {' and no '.join(names)}; a split by sentence needs one for each row.")
        yield keys


def _assign(
    groups: np.ndarray, sizes: tuple[float, float, float], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of train, validation and test of about the given shares, whole groups each; the closest of some random draws."""
    count = int(groups.max(initial=-1)) + 1
    wanted = np.array(sizes) * len(groups)
    parts = np.flatnonzero(wanted)
    if count < len(parts):
        raise ValueError(f"{len(parts)} parts need at least {len(parts)} different sentences; the dataset has {count}.")
    weights = np.bincount(groups, minlength=count)
    rng = np.random.default_rng(seed)
    best, best_cost = None, np.inf
    for _ in range(max(1, min(_TRIES, _STEPS // count))):
        part, left = np.empty(count, int), wanted.copy()
        for position, one in enumerate(rng.permutation(count)):
            # The first of them one each, so that no part stays empty; then where most is missing.
            part[one] = parts[position] if position < len(parts) else parts[np.argmax(left[parts])]
            left[part[one]] -= weights[one]
        cost = np.abs(left).sum()
        if cost < best_cost:
            best, best_cost = part, cost
    return tuple(np.flatnonzero(best[groups] == index) for index in range(3))


def _folds(
    dataset: Dataset, groups: np.ndarray, fold: np.ndarray, num_folds: int, validation_size: float, seed: int
) -> Iterator[tuple[str, DatasetDict]]:
    for number in range(num_folds):
        train, validation = np.flatnonzero(fold != number), np.array([], int)
        if validation_size:
            _, inner = np.unique(groups[train], return_inverse=True)
            kept, carved, _ = _assign(inner, (1 - validation_size, validation_size, 0.0), seed)
            train, validation = train[kept], train[carved]
        yield (
            str(number + 1),
            select_rows(dataset, train=train, validation=validation, test=np.flatnonzero(fold == number)),
        )
