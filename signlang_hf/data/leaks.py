"""Leaks: what a model could have seen in training and is then tested on.

Three kinds, across every pair of splits: the same **signer** (where the splits claim to be signer-independent), the same
**content** (bit for bit the same landmarks under another name), and **near-duplicates**: the same recording cut, resampled, cropped
or extracted anew. One pass over the data keeps a few kilobytes a clip, in temporary files; 10,000 clips take seconds.

The thresholds are measured, not guessed (distance of :mod:`.descriptors`, each clip against its five nearest):

* With hands: the closest two different clips are 0.179 apart among the 410 fingerspelled letters (R and U of one signer), and
  0.190 among the 1755 clips of DGS-30. A copy, moved or scaled, is at 0.001; the median letter at 0.03 after losing its first frame,
  at 0.05 after losing two at either end, at 0.06 at half its rate or with 5 % of its points lost. Hence 0.14, which finds 99,
  98, 90 and 92 % of these, and in DGS-30 three of its four copies: two exact, and one processed twice (0.104); of the fourth a
  fifth of the frames differ.
* Without hands (20 Kinect joints, ISL-30): nine repetitions by one signer come as close as 0.0158, so body tracks alone only show
  copies. Hence 0.008, which finds one pair, at 0.0006: two "repetitions" that agree in 98 % of their numbers.

So this finds copies without false alarms. It does not find every new extraction of a re-encoded video: where the hands are seen
steadily, a clip that was cropped, cut, thinned out or strongly compressed is at 0.02 to 0.13, at half the resolution up to 0.21;
where the hands come and go it is not recognisable.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from .descriptors import Describer, RowFile, aligned_distance, coarse, nearest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDatasetDict

NEAR_WITH_HANDS = 0.14
NEAR_WITHOUT_HANDS = 0.008
_CANDIDATES = 5
_BATCH = 256
_PAIRS_AT_ONCE = 512
# Coarse distance of candidates that no alignment brings together; half of the letters that lost four frames are below 0.5.
_FAR = 1.0


@dataclass(frozen=True)
class Leak:
    """One thing that two splits share.

    ``kind`` is ``"signer"``, ``"content"``, ``"near-duplicate"``, ``"source"`` or ``"sentence"`` (:mod:`.sentence_splits`); ``splits`` the two
    splits; ``ids`` one row id of each (for a signer or source, the first row of each); ``detail`` says what is shared; ``distance`` is 0
    for content and None for signers, sources and sentences.
    """

    kind: str
    splits: tuple[str, str]
    ids: tuple[str, str]
    detail: str
    distance: float | None = None


class LeakError(ValueError):
    """Splits share signers or clips; ``leaks`` lists them."""

    def __init__(self, leaks: list[Leak], shown: int = 20) -> None:
        self.leaks = leaks
        super().__init__(
            f"{describe_leaks(leaks, shown)}\nRemove them, split anew, or allow them knowingly with allow=True."
        )


@dataclass
class _Split:
    """What one pass keeps of a split."""

    ids: list[str] = field(default_factory=list)
    signers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    digests: dict[bytes, int] = field(default_factory=dict)
    copies: list[tuple[int, int]] = field(default_factory=list)
    described: list[int] = field(default_factory=list)
    descriptors: RowFile = field(default_factory=RowFile)
    hands: list[bool] = field(default_factory=list)


def find_leaks(
    splits: DatasetDict | IterableDatasetDict,
    *,
    signer_independent: bool = False,
    near_duplicates: bool = True,
    threshold: float | None = None,
) -> list[Leak]:
    """Everything that two splits share.

    Args:
        splits: two or more splits of landmark rows in one layout, in memory or streaming.
        signer_independent: the splits claim to share no signer, so one that they share is a leak.
        near_duplicates: also look for clips that are nearly the same.
        threshold: distance below which two clips count as nearly the same; default: 0.14 for clips with hands, 0.008 for
            clips without (see the module).

    Returns:
        Leaks: signers first, then content, then near-duplicates by distance. A pair is reported once, by its strongest kind.
        Clips in which nothing was seen are left out.

    Raises:
        ValueError: a split without landmark columns, or in another layout.
    """
    passes: dict[str, _Split] = {}
    layouts: dict[str, str] = {}
    for name, split in splits.items():
        passes[name] = _read(name, split, near_duplicates, layouts)
    if len(set(layouts.values())) > 1:
        listed = ", ".join(f"{name} in {layout}" for name, layout in layouts.items())
        raise ValueError(f"The splits hold different layouts ({listed}); convert them to one first.")
    leaks: list[Leak] = []
    for (first, a), (second, b) in combinations(passes.items(), 2):
        pair = (first, second)
        if signer_independent:
            for signer in sorted(set(a.signers) & set(b.signers)):
                counts = f"signer {signer!r}: {len(a.signers[signer])} clips in {first}, {len(b.signers[signer])} in {second}"
                leaks.append(Leak("signer", pair, (a.signers[signer][0], b.signers[signer][0]), counts))
        same = [(a.digests[digest], b.digests[digest]) for digest in a.digests.keys() & b.digests.keys()]
        for i, j in sorted(same):
            leaks.append(Leak("content", pair, (a.ids[i], b.ids[j]), "the same landmarks", 0.0))
        if near_duplicates:
            leaks += _near(pair, a, b, threshold, set(same))
    order = {"signer": 0, "content": 1, "near-duplicate": 2}
    return sorted(leaks, key=lambda leak: (order[leak.kind], leak.distance or 0.0, leak.ids))


def find_duplicates(dataset: Dataset) -> list[Leak]:
    """Clips of one dataset that are the same as another of its clips, or nearly so, by the rules of :func:`find_leaks`.

    Returns:
        One entry a pair, copies first and then by distance; of its two ``ids`` the first comes earlier in the dataset.
    """
    found = _read("rows", dataset, True, {})
    pair = ("rows", "rows")
    leaks = [Leak("content", pair, (found.ids[i], found.ids[j]), "the same landmarks", 0.0) for i, j in found.copies]
    order = {clip: position for position, clip in enumerate(found.ids)}
    # Compared with itself: every clip and its copies are left out of it.
    same = {(row, row) for row in range(len(found.ids))} | {(j, i) for i, j in found.copies} | set(found.copies)
    near = {tuple(sorted(leak.ids, key=order.__getitem__)): leak for leak in _near(pair, found, found, None, same)}
    leaks += [replace(leak, ids=ids) for ids, leak in near.items()]
    return sorted(leaks, key=lambda leak: (leak.distance, [order[clip] for clip in leak.ids]))


def check_source_leaks(splits: DatasetDict, allow: bool = False) -> list[Leak]:
    """Refuse splits of pictures that share a source: frames of one video show one person before one wall. Otherwise as
    :func:`check_leaks`; pictures without a source are taken for unrelated."""
    first: dict[str, dict[str, str]] = {}
    for name, split in splits.items():
        first[name] = {}
        for row, source in zip(split["id"], split["source"]):
            if source is not None:
                first[name].setdefault(source, row)
    leaks = [
        Leak("source", (one, other), (first[one][source], first[other][source]), f"pictures of {source!r}")
        for one, other in combinations(first, 2)
        for source in sorted(first[one].keys() & first[other].keys())
    ]
    return _refused(leaks, allow)


def check_leaks(splits: DatasetDict | IterableDatasetDict, allow: bool = False, **options: Any) -> list[Leak]:
    """Refuse splits that leak. To be called before training.

    Args:
        splits: as for :func:`find_leaks`.
        allow: warn instead of refusing.
        options: of :func:`find_leaks`, above all ``signer_independent=True``.

    Returns:
        The leaks (empty unless ``allow``).

    Raises:
        LeakError: something leaks; the message is a table of what and where.
    """
    return _refused(find_leaks(splits, **options), allow)


def _refused(leaks: list[Leak], allow: bool) -> list[Leak]:
    if leaks and not allow:
        raise LeakError(leaks)
    if leaks:
        warnings.warn(describe_leaks(leaks), stacklevel=3)
    return leaks


def describe_leaks(leaks: list[Leak], shown: int = 20) -> str:
    """A table of leaks as text."""
    if not leaks:
        return "The splits share nothing."
    rows = [("kind", "splits", "clips", "what")]
    for leak in leaks[:shown]:
        distance = f", distance {leak.distance:.3f}" if leak.distance else ""
        rows.append((leak.kind, " / ".join(leak.splits), " / ".join(leak.ids), leak.detail + distance))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]) for row in rows]
    if len(leaks) > shown:
        lines.append(f"  … and {len(leaks) - shown} more")
    plural = "1 leak" if len(leaks) == 1 else f"{len(leaks)} leaks"
    return "\n".join([f"The splits share what they should not ({plural}):", *lines])


def _read(name: str, split: Any, describe: bool, layouts: dict[str, str]) -> _Split:
    """One pass over a split. Arrow batches are read without making Python objects of the landmarks."""
    columns = split.column_names or list(split.features or ())
    missing = [column for column in ("id", "landmarks", "layout") if column not in columns]
    if missing:
        raise ValueError(
            f"The split {name!r} has no column {', '.join(missing)}; leaks are looked for in landmark rows."
        )
    wanted = [column for column in ("id", "landmarks", "layout", "size", "units", "signer") if column in columns]
    found = _Split()
    describer: Describer | None = None
    for table in split.select_columns(wanted).with_format("arrow").iter(batch_size=_BATCH):
        plain = {column: table[column].to_pylist() for column in wanted if column != "landmarks"}
        for position, data in enumerate(_landmarks(table["landmarks"])):
            row = {column: values[position] for column, values in plain.items()}
            layout = layouts.setdefault(name, row["layout"])
            if row["layout"] != layout:
                raise ValueError(
                    f"The split {name!r} holds the layouts {layout} and {row['layout']}; convert to one first."
                )
            index = len(found.ids)
            found.ids.append(str(row["id"]))
            if row.get("signer") is not None:
                found.signers[row["signer"]].append(str(row["id"]))
            if len(data) == 0 or np.isnan(data).all():
                continue
            first = found.digests.setdefault(_digest(data), index)
            if first != index:
                found.copies.append((first, index))
            if describe:
                describer = describer or Describer(layout)
                size = row.get("size") if row.get("units", "image") == "image" else None
                descriptor, hands = describer(data, size)
                if not descriptor.any():  # a single point that never moves looks like any other
                    continue
                found.described.append(index)
                found.descriptors.append(descriptor.astype(np.float16)[None])
                found.hands.append(hands)
    return found


def _landmarks(column: Any) -> Iterator[np.ndarray]:
    """(T, K, 3) float32 views of the clips in an Arrow column."""
    for chunk in column.chunks:
        clips = getattr(chunk, "storage", chunk)  # Array3D is an extension type around lists of lists of lists
        frames = clips.flatten()
        points = frames.flatten()
        values = points.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        per_frame = len(points) // max(len(frames), 1)
        start = 0
        for count in clips.value_lengths().to_pylist():
            stop = start + count * per_frame * 3
            yield values[start:stop].reshape(count, per_frame, 3)
            start = stop


def _digest(data: np.ndarray) -> bytes:
    # Every NaN gets the same bits, and -0 those of 0: what is equal has to hash equal.
    plain = np.where(np.isnan(data), np.float32(np.nan), data + np.float32(0))
    return hashlib.blake2b(plain.tobytes(), digest_size=16).digest()


def _near(
    pair: tuple[str, str], a: _Split, b: _Split, threshold: float | None, same: set[tuple[int, int]]
) -> list[Leak]:
    """Near-duplicates between two splits: candidates by the coarse distance, then the aligned one."""
    if not a.described or not b.described:
        return []
    fine_a, fine_b = a.descriptors.array(), b.descriptors.array()
    coarse_a, coarse_b = coarse(fine_a), coarse(fine_b)
    j, distance = nearest(coarse_a, coarse_b, _CANDIDATES)
    i, k = np.nonzero(distance < _FAR)
    there = np.stack([i, j[i, k]], axis=1)
    i, distance = nearest(coarse_b, coarse_a, _CANDIDATES)
    j, k = np.nonzero(distance < _FAR)
    candidates = np.unique(np.concatenate([there, np.stack([i[j, k], j], axis=1)]), axis=0)
    if not len(candidates):
        return []
    distances = np.concatenate(
        [
            aligned_distance(fine_a[part[:, 0]].astype(np.float32), fine_b[part[:, 1]].astype(np.float32))
            for part in np.array_split(candidates, -(-len(candidates) // _PAIRS_AT_ONCE))
        ]
    )
    hands = np.array(a.hands)[candidates[:, 0]] | np.array(b.hands)[candidates[:, 1]]
    limits = np.where(hands, NEAR_WITH_HANDS, NEAR_WITHOUT_HANDS) if threshold is None else threshold
    leaks = []
    for (x, y), distance in zip(candidates[distances < limits].tolist(), distances[distances < limits].tolist()):
        rows = (a.described[x], b.described[y])
        if rows not in same:
            leaks.append(
                Leak("near-duplicate", pair, (a.ids[rows[0]], b.ids[rows[1]]), "nearly the same landmarks", distance)
            )
    return leaks
