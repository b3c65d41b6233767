"""Ways to split a dataset: stratified, by signer, leaving one signer out, in folds, or by explicit lists.

Every function takes a ``datasets.Dataset`` (the rows of :mod:`.rows`), is seeded, selects rows without copying them and returns a
``DatasetDict`` with ``train``, ``test`` and, where asked for, ``validation``. A signer is whoever the column ``signer`` names; results
that claim to hold for new signers need a split that shares none (:func:`signer_disjoint_split`, :func:`leave_one_signer_out`).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_TRIES = 256


def stratified_split(
    dataset: Dataset,
    *,
    test_size: float = 0.2,
    validation_size: float = 0.0,
    label: str = "label",
    seed: int = 0,
) -> DatasetDict:
    """Split so that every class has its share in each part. Signers may stand in several parts.

    Args:
        dataset: rows with a class.
        test_size, validation_size: shares of all rows, together below 1. A class with few rows gives at least one to each
            part where it can, train first.
        label: column of the class.
        seed: seed of the shuffle.

    Raises:
        ValueError: sizes out of range, no such column, or a class with a single row, which cannot stand in two parts.
    """
    check_sizes(test_size, validation_size)
    if test_size == 0:
        raise ValueError("test_size is 0; nothing to split off.")
    labels = column_values(dataset, label)
    _check_classes(dataset, labels, label)
    rest, test = _stratified(labels, np.arange(len(labels)), test_size, seed)
    train, validation = _stratified(labels, rest, validation_size / (1 - test_size), seed + 1)
    return select_rows(dataset, train=train, validation=validation, test=test)


def signer_disjoint_split(
    dataset: Dataset,
    *,
    test_size: float = 0.2,
    validation_size: float = 0.0,
    signer: str = "signer",
    label: str = "label",
    seed: int = 0,
) -> DatasetDict:
    """Split whole signers, so that no signer stands in two parts.

    Of many random assignments the one is taken whose parts have every class in train, come closest to the asked sizes and
    have the most even class shares.

    Args:
        dataset: rows with a signer each.
        test_size, validation_size: shares of all rows, met as closely as whole signers allow.
        signer, label: columns; without a ``label`` column only sizes are balanced.
        seed: seed of the assignments.

    Raises:
        ValueError: sizes out of range, no such column, rows without a signer, or fewer signers than parts.
    """
    check_sizes(test_size, validation_size)
    if test_size == 0:
        raise ValueError("test_size is 0; nothing to split off.")
    signers = _signers(dataset, signer)
    labels = column_values(dataset, label) if label in dataset.column_names else np.zeros(len(signers), int)
    sizes = (1 - test_size - validation_size, validation_size, test_size)
    train, validation, test = _assign_groups(signers, labels, sizes, seed)
    unseen = len(set(labels.tolist()) - set(labels[train].tolist()))
    if unseen:
        warnings.warn(f"{unseen} classes are signed by no signer of the train split.", stacklevel=2)
    return select_rows(dataset, train=train, validation=validation, test=test)


def leave_one_signer_out(
    dataset: Dataset,
    *,
    validation_size: float = 0.0,
    validation_by: str = "signer",
    signer: str = "signer",
    label: str = "label",
    seed: int = 0,
) -> Iterator[tuple[str, DatasetDict]]:
    """One fold a signer: that signer is ``test``, the others are ``train``.

    Args:
        dataset: rows with a signer each.
        validation_size: share of the other signers' rows to carve ``validation`` out of.
        validation_by: ``"signer"`` keeps whole signers for validation (what early stopping should look at), ``"clip"`` takes
            a stratified share of everybody.
        signer, label: columns.
        seed: seed of the validation part.

    Yields:
        (held-out signer, DatasetDict), signers in alphabetical order.

    Raises:
        ValueError: no signer column, rows without a signer, a single signer, or too few signers for a validation part.
    """
    check_sizes(0.0, validation_size)
    if validation_by not in ("signer", "clip"):
        raise ValueError(f"validation_by is {validation_by!r}; choose 'signer' or 'clip'.")
    signers = _signers(dataset, signer)
    names = sorted(set(signers))
    needed = 3 if validation_size and validation_by == "signer" else 2
    if len(names) < needed:
        raise ValueError(f"Leaving one signer out needs at least {needed} signers here; the dataset has {len(names)}.")
    labels = column_values(dataset, label) if label in dataset.column_names else np.zeros(len(signers), int)
    return _folds(dataset, signers, labels, names, validation_size, validation_by, seed)


def stratified_folds(
    dataset: Dataset,
    *,
    num_folds: int = 5,
    validation_size: float = 0.0,
    label: str = "label",
    seed: int = 0,
) -> Iterator[tuple[str, DatasetDict]]:
    """``num_folds`` folds: each row is ``test`` once, and every class has its share in each of them. Signers may stand in several parts.

    Args:
        dataset: rows with a class.
        num_folds: k, at least 2. A class with fewer rows than that is missing from some test parts, never from a train part.
        validation_size: share of the other rows to carve a stratified ``validation`` out of.
        label: column of the class.
        seed: seed of the shuffle.

    Yields:
        (number of the fold from "1", DatasetDict).

    Raises:
        ValueError: sizes out of range, no such column, fewer rows than folds, or a class with a single row, which cannot be both
            learned and tested.
    """
    check_sizes(0.0, validation_size)
    labels = column_values(dataset, label)
    if not 2 <= num_folds <= len(labels):
        raise ValueError(f"num_folds is {num_folds}; it must be 2 to {len(labels)}, the number of rows.")
    _check_classes(dataset, labels, label)
    _, index = np.unique(labels.astype(str), return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    fold = np.empty(len(labels), int)
    # Dealt out class by class: folds differ by at most one row of a class, and by at most one row in all.
    fold[shuffled[np.argsort(index[shuffled], kind="stable")]] = np.arange(len(labels)) % num_folds
    return _stratified_folds(dataset, labels, fold, num_folds, validation_size, seed)


def explicit_split(
    dataset: Dataset,
    splits: Mapping[str, Sequence[Any]],
    *,
    column: str = "id",
    rest: str | None = None,
) -> DatasetDict:
    """Split by lists of values, e.g. the official lists of a benchmark.

    Args:
        dataset: rows.
        splits: split name → values of ``column``: ids, signers, labels (as names or numbers) …
        column: column that the values are from.
        rest: split that takes the rows that no list names; default: they are left out.

    Raises:
        ValueError: a value that no row has, one that two lists name, or a split that gets no row.
    """
    values = column_values(dataset, column)
    names = getattr(dataset.features[column], "names", None)
    place: dict[Any, str] = {}
    for split, members in splits.items():
        if isinstance(members, str):
            raise ValueError(f"The split {split!r} is given as a string; give a list of values.")
        for member in members:
            key = names.index(member) if names and member in names else member
            if place.setdefault(key, split) != split:
                raise ValueError(f"{column} {member!r} is listed for {place[key]!r} and for {split!r}.")
    known = set(values.tolist())
    unknown = [str(key) for key in place if key not in known]
    if unknown:
        more = " …" if len(unknown) > 5 else ""
        raise ValueError(f"{len(unknown)} listed values of {column} are in no row: {', '.join(unknown[:5])}{more}")
    parts = {name: np.array([], int) for name in splits} | ({rest: np.array([], int)} if rest else {})
    assigned = np.array([place.get(value, rest) or "" for value in values.tolist()])
    for name in parts:
        parts[name] = np.flatnonzero(assigned == name)
        if len(parts[name]) == 0:
            raise ValueError(f"The split {name!r} gets no row.")
    return select_rows(dataset, **parts)


def _folds(
    dataset: Dataset, signers: np.ndarray, labels: np.ndarray, names: list[str],
    validation_size: float, validation_by: str, seed: int,
) -> Iterator[tuple[str, DatasetDict]]:  # fmt: skip
    for name in names:
        rest = np.flatnonzero(signers != name)
        validation = rest[:0]
        if validation_size and validation_by == "clip":
            rest, validation = _stratified(labels, rest, validation_size, seed)
        elif validation_size:
            sizes = (1 - validation_size, validation_size, 0.0)
            train, chosen, _ = _assign_groups(signers[rest], labels[rest], sizes, seed)
            rest, validation = rest[train], rest[chosen]
        yield name, select_rows(dataset, train=rest, validation=validation, test=np.flatnonzero(signers == name))


def _stratified_folds(
    dataset: Dataset, labels: np.ndarray, fold: np.ndarray, num_folds: int, validation_size: float, seed: int
) -> Iterator[tuple[str, DatasetDict]]:
    for number in range(num_folds):
        train, validation = _stratified(labels, np.flatnonzero(fold != number), validation_size, seed)
        yield (
            str(number + 1),
            select_rows(dataset, train=train, validation=validation, test=np.flatnonzero(fold == number)),
        )


def column_values(dataset: Dataset, name: str) -> np.ndarray:
    """The values of one column as an object array. Raises ValueError when there is no such column."""
    if name not in dataset.column_names:
        raise ValueError(f"The dataset has no column {name!r}; it has {', '.join(dataset.column_names)}.")
    # Only this column is read, past any format or transform that the dataset carries.
    values = dataset.select_columns([name]).with_format("arrow")[:][name].to_pylist()
    column = np.empty(len(values), object)
    column[:] = values
    return column


def _signers(dataset: Dataset, name: str) -> np.ndarray:
    if name not in dataset.column_names:
        raise ValueError(
            f"The dataset has no column {name!r}, so it cannot be split by signer; stratified_split() needs none."
        )
    signers = column_values(dataset, name)
    unknown = sum(signer is None for signer in signers)
    if unknown:
        raise ValueError(f"{unknown} of {len(signers)} rows have no signer; a split by signer needs one for each row.")
    return signers


def check_sizes(test_size: float, validation_size: float) -> None:
    """Raise ValueError unless both are shares that leave something to train."""
    for name, size in (("test_size", test_size), ("validation_size", validation_size)):
        if not 0 <= size < 1:
            raise ValueError(f"{name} is {size}; it is a share between 0 and 1.")
    if test_size + validation_size >= 1:
        raise ValueError(
            f"test_size and validation_size add up to {test_size + validation_size:g}; nothing is left to train."
        )


def _check_classes(dataset: Dataset, labels: np.ndarray, column: str) -> None:
    names = getattr(dataset.features[column], "names", None)
    single = [names[label] if names else str(label) for label, count in Counter(labels.tolist()).items() if count == 1]
    if single:
        more = " …" if len(single) > 5 else ""
        raise ValueError(
            f"A class with a single row cannot stand in two splits: {', '.join(single[:5])}{more}. Add rows or leave it out."
        )


def _stratified(labels: np.ndarray, rows: np.ndarray, size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``rows`` as (kept, taken): ``size`` of every class is taken, in whole rows, so that the total comes out right too."""
    if size == 0:
        return rows, rows[:0]
    rng = np.random.default_rng(seed)
    _, index, counts = np.unique(labels[rows].astype(str), return_inverse=True, return_counts=True)
    exact = counts * size
    take = np.clip(np.floor(exact), counts > 1, counts - 1).astype(int)
    # Largest remainders share out the rows that rounding down left over; never the last row of a class.
    short = round(size * len(rows)) - take.sum()
    open_classes = np.flatnonzero(take < counts - 1)
    order = open_classes[np.lexsort((rng.random(len(open_classes)), -(exact - take)[open_classes]))]
    take[order[: max(short, 0)]] += 1
    shuffled = rng.permutation(len(rows))
    by_class = shuffled[np.argsort(index[shuffled], kind="stable")]
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.zeros(len(rows), bool)
    taken[by_class[rank < take[index[by_class]]]] = True
    return rows[~taken], rows[taken]


def _assign_groups(
    groups: np.ndarray, labels: np.ndarray, sizes: tuple[float, float, float], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of three parts of about the given shares, whole groups each; the best of many random assignments."""
    names, group = np.unique(groups.astype(str), return_inverse=True)
    _, label = np.unique(labels.astype(str), return_inverse=True)
    wanted = np.array(sizes)
    parts = np.flatnonzero(wanted)
    if len(names) < len(parts):
        raise ValueError(f"{len(parts)} parts need at least {len(parts)} signers; the dataset has {len(names)}.")
    table = np.zeros((len(names), label.max() + 1))
    np.add.at(table, (group, label), 1)
    weight = table.sum(1)
    rng = np.random.default_rng(seed)
    best, best_cost = None, np.inf
    for _ in range(_TRIES):
        order = rng.permutation(len(names))
        part = np.empty(len(names), int)
        part[order[: len(parts)]] = parts  # no part stays empty
        filled = np.zeros(3)
        np.add.at(filled, part[order[: len(parts)]], weight[order[: len(parts)]])
        for one in order[len(parts) :]:
            part[one] = parts[np.argmax((wanted - filled / weight.sum())[parts])]
            filled[part[one]] += weight[one]
        cost = _cost(table, part, parts, wanted)
        if cost < best_cost:
            best, best_cost = part, cost
    return tuple(np.flatnonzero(best[group] == index) for index in range(3))


def _cost(table: np.ndarray, part: np.ndarray, parts: np.ndarray, wanted: np.ndarray) -> float:
    """How far an assignment is from what was asked: classes missing from train, then sizes, then class shares."""
    counts = np.stack([table[part == index].sum(0) for index in parts])
    missing = float((counts[0] == 0).sum())
    size = np.abs(counts.sum(1) / table.sum() - wanted[parts]).sum()
    shares = counts / counts.sum(1, keepdims=True)
    uneven = np.abs(shares - table.sum(0) / table.sum()).sum(1).mean()
    return 100 * missing + 4 * size + uneven


def select_rows(dataset: Dataset, **parts: np.ndarray) -> DatasetDict:
    """The parts of a dataset that have rows, in the dataset's order."""
    from datasets import DatasetDict

    return DatasetDict({name: dataset.select(np.sort(rows)) for name, rows in parts.items() if len(rows)})
