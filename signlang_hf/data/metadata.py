"""``metadata.csv``: the one table a user writes to bring clips of their own, and everything that can be wrong with it.

Columns: ``file_name`` (relative to the table) and ``label``, and where known ``signer``, ``split``, ``view`` and ``id``. Nothing
else: a column that is silently ignored is a misspelt one. Reading never stops at the first fault; it collects all of them,
so that ``signlang validate`` lists them in one run and the dataset builders raise the same sentences. What a table of sentences has
instead of ``label`` is told in :mod:`.sentence_metadata`; :class:`TableKind` is what the two differ in.

Row numbers are lines of the file, as editors and spreadsheets count them: the header is row 1.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .text_files import BadByte, decode_utf8

METADATA = "metadata.csv"
REQUIRED = ("file_name", "label")
COLUMNS: tuple[str, ...] = (*REQUIRED, "signer", "split", "view", "id")
SPLIT_ALIASES = {"val": "validation", "valid": "validation", "dev": "validation"}
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a dataset.

    ``severity`` is ``"error"`` (the dataset cannot be used like this) or ``"warning"`` (look at it); ``kind`` a short name for
    programs; ``file`` relative to the dataset's folder; ``row`` the row of ``metadata.csv``.
    """

    severity: str
    kind: str
    message: str
    file: str | None = None
    row: int | None = None

    def __str__(self) -> str:
        place = ", ".join(([f"row {self.row}"] if self.row else []) + ([self.file] if self.file else []))
        return f"{place}: {self.message}" if place else self.message


class DatasetError(ValueError):
    """A dataset has faults that keep it from being used; ``faults`` lists them."""

    def __init__(self, where: str | Path, faults: Sequence[Fault], shown: int = 10) -> None:
        self.faults = list(faults)
        lines = [str(fault) for fault in self.faults[:shown]]
        if len(self.faults) == 1:
            message = f"{where}: {lines[0]}"
        else:
            more = [f"… and {len(self.faults) - shown} more"] if len(self.faults) > shown else []
            message = f"{where} has {len(self.faults)} faults:\n  " + "\n  ".join(lines + more)
        super().__init__(message)


@dataclass(frozen=True)
class Clip:
    """One clip of a dataset: a row of the table, or (``row`` 0) what a builder found by itself.

    What it shows is ``label``, or ``glosses`` and, where known, ``text``. ``file`` is the path to open, ``name`` what the table calls it, ``member`` the array in it where a file holds several clips.
    """

    row: int
    name: str
    file: Path
    label: str
    id: str
    split: str = "train"
    signer: str | None = None
    view: str | None = None
    member: str | None = None
    glosses: tuple[str, ...] = ()
    text: str | None = None

    @property
    def place(self) -> str:
        """Where to look, for messages."""
        return f"row {self.row} of {METADATA}" if self.row else self.name


@dataclass
class Metadata:
    """The usable rows of a table, and what is wrong with it.

    ``classes``: where there are more than the clips show, or in another order; ``tables``: what else the rows are made from.
    """

    folder: Path
    clips: list[Clip] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    classes: Sequence[str] = ()
    tables: Sequence[Path] = ()

    @property
    def label_names(self) -> list[str]:
        """Classes; in alphabetical order unless ``classes`` gives another."""
        return list(self.classes) or sorted({clip.label for clip in self.clips})

    @property
    def splits(self) -> dict[str, list[Clip]]:
        """Clips by split; train, validation and test first."""
        return by_split(self.clips)

    def require(self) -> Metadata:
        """Itself. Raises :class:`DatasetError` with all errors, if there are any."""
        errors = [fault for fault in self.faults if fault.severity == "error"]
        if errors:
            raise DatasetError(self.folder / METADATA, errors)
        return self


@dataclass(frozen=True)
class TableKind:
    """What tables of isolated signs and of sentences differ in.

    Args:
        required, columns: columns that a table must and may have.
        target: the fields of :class:`Clip` that a row's cells say what the clip shows with, and (kind, severity, message) of each fault.
        table_faults: faults that only all clips together show.
        elsewhere: column of the other kind → what to do with such a table.
    """

    required: tuple[str, ...]
    columns: tuple[str, ...]
    target: Callable[[dict[str, str]], tuple[dict[str, Any], list[tuple[str, str, str]]]]
    table_faults: Callable[[list[Clip]], list[Fault]]
    elsewhere: tuple[str, str] = ("", "")

    @property
    def example(self) -> str:
        """What to write, for messages."""
        more = [name for name in self.columns if name not in self.required]
        return f"Write a {METADATA} with the columns {','.join(self.required)}[,{','.join(more)}] and one row a clip."


def read_metadata(
    folder: str | Path, suffixes: Iterable[str], what: str = "landmark", kind: TableKind | None = None
) -> Metadata:
    """Read ``folder/metadata.csv`` and collect everything that is wrong with it.

    Args:
        folder: folder of the dataset.
        suffixes: file name endings that the dataset may list.
        what: kind of files, for the sentences: "landmark" or "video".
        kind: kind of table; default: :data:`SIGNS`.

    Raises:
        FileNotFoundError: there is no such folder, or no ``metadata.csv`` in it.
    """
    folder, kind = Path(folder), kind or SIGNS
    if not folder.is_dir():
        raise FileNotFoundError(f"Folder not found: {folder}")
    table = folder / METADATA
    if not table.is_file():
        raise FileNotFoundError(f"{folder} has no {METADATA}. {kind.example}")
    metadata = Metadata(folder, tables=[table])
    rows = _read_table(table, kind, metadata.faults)
    suffixes = tuple(suffixes)
    clips = _unique([_clip(folder, *row, suffixes, what, kind, metadata.faults) for row in rows], metadata.faults)
    broken = {fault.row for fault in metadata.faults if fault.severity == "error"}
    # A clip whose file is missing still counts as one of its class, or one fault would be reported as many.
    usable = [clip for clip in clips if (clip.label or clip.glosses) and clip.split]
    metadata.faults += kind.table_faults(usable) + _common_faults(usable)
    metadata.clips = [clip for clip in clips if clip.row not in broken]
    return metadata


def _read_table(table: Path, kind: TableKind, faults: list[Fault]) -> list[tuple[int, dict[str, str]]]:
    """Rows as (row number, cells of the known columns); faults of the file and its header are added to ``faults``."""

    def error(kind: str, message: str, row: int | None = None) -> None:
        faults.append(Fault("error", kind, message, row=row))

    text = decode_utf8(table.read_bytes())  # spreadsheets put a byte order mark in front
    if isinstance(text, BadByte):
        error("not-utf8", f"column {text.column}: {text.reason}; save the table as “CSV UTF-8”.", text.line)
        return []
    # Strict, or a quotation mark that nobody closed would swallow the rest of the table.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    before = 0
    try:
        header = [name.strip() for name in next(reader, [])]
        before = reader.line_num
        for cells in reader:
            before = reader.line_num
            if any(cell.strip() for cell in cells):
                lines.append((before, cells))
    except csv.Error as fault:
        error("not-csv", f"the row is not CSV; is there a quotation mark that nothing closes? ({fault})", before + 1)
        return []
    foreign = re.search("[;\t|]", header[0]) if len(header) == 1 else None
    if foreign:
        error(
            "separator",
            f"column {foreign.start() + 1}: the columns are separated by {_SEPARATORS[foreign[0]]}; save the table with commas.",
            1,
        )
        return []
    unknown = [name for name in header if name not in kind.columns]
    if kind.elsewhere[0] in unknown:
        error("unknown-column", kind.elsewhere[1], 1)
        return []
    if unknown:
        names = ", ".join(repr(name) for name in unknown)
        error(
            "unknown-column",
            f"unknown column{'s' * (len(unknown) > 1)} {names}; known are {', '.join(kind.columns)}. Rename or remove.",
            1,
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        error("unknown-column", f"the column {', '.join(twice)} stands there twice.", 1)
    missing = [name for name in kind.required if name not in header]
    if missing:
        error("missing-column", f"the column {' and '.join(missing)} is missing. {kind.example}", 1)
        return []
    if not lines:
        error("empty", "the table lists no clip.")
    rows = []
    for number, cells in lines:
        if len(cells) != len(header):
            error("cells", f"the row has {len(cells)} cells, the header {len(header)}.", number)
            continue
        rows.append((number, dict(zip(header, cells))))
    return rows


def _clip(
    folder: Path,
    row: int,
    cells: dict[str, str],
    suffixes: tuple[str, ...],
    what: str,
    kind: TableKind,
    faults: list[Fault],
) -> Clip:
    """The clip of one row; what keeps it from being used is added to ``faults``."""
    name = cells["file_name"].strip()

    def error(kind: str, message: str) -> None:
        faults.append(Fault("error", kind, message, name or None, row))

    file = folder / name
    if not name:
        error("empty-cell", "file_name is empty.")
    elif file.suffix.lower() not in suffixes:
        error("not-a-clip", f"not a {what} file; known are {', '.join(suffixes)}.")
    elif not file.is_file():
        hint = " (use / between folders)" if "\\" in name else ""
        error("missing-file", f"the file does not exist{hint}.")
    target, found = kind.target(cells)
    faults += [Fault(severity, fault, message, name or None, row) for fault, severity, message in found]
    split = cells["split"].strip() if "split" in cells else "train"
    split = SPLIT_ALIASES.get(split, split)
    if not split:
        error("empty-cell", "split is empty; give every row one, or leave the column out.")
    elif not re.fullmatch(r"\w+(\.\w+)*", split) or split == "all":
        error("split-name", f"{split!r} cannot name a split; use train, validation and test.")
    return Clip(
        row, name, file, target.pop("label", ""),
        id=cells.get("id", "").strip() or os.path.splitext(name)[0],
        split=split,
        signer=cells.get("signer", "").strip() or None,
        view=cells.get("view", "").strip() or None,
        **target,
    )  # fmt: skip


def _unique(clips: list[Clip], faults: list[Fault]) -> list[Clip]:
    """Clips without those that repeat a file or an id of an earlier row."""
    kept: list[Clip] = []
    files: dict[Path, Clip] = {}
    ids: dict[str, Clip] = {}
    for clip in clips:
        if not clip.name:
            continue
        first = files.setdefault(clip.file.resolve(), clip)
        twin = ids.setdefault(clip.id, clip)
        if first is not clip:
            differ = f" with another label ({first.label!r}, {clip.label!r})" if first.label != clip.label else ""
            message = f"the file is listed twice, first in row {first.row}{differ}."
            faults.append(Fault("error", "duplicate-row", message, clip.name, clip.row))
        elif twin is not clip:
            message = f"the id {clip.id!r} is taken by row {twin.row}; give each clip an id of its own (column id)."
            faults.append(Fault("error", "duplicate-id", message, clip.name, clip.row))
        else:
            kept.append(clip)
    return kept


def group_clips(clips: Iterable[Clip], key: Callable[[Clip], Any]) -> dict[Any, list[Clip]]:
    """Clips by ``key(clip)``, in order of first appearance."""
    groups: dict[Any, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[key(clip)].append(clip)
    return groups


def _label(cells: dict[str, str]) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """The label of a row, and what is wrong with it."""
    label = cells["label"] if cells["label"].strip() else ""
    return {"label": label}, [] if label else [("empty-cell", "error", "label is empty.")]


def _label_faults(clips: list[Clip]) -> list[Fault]:
    """Faults that only the table as a whole shows: classes and their spellings."""
    faults: list[Fault] = []
    by_label = group_clips(clips, lambda clip: clip.label)
    if len(by_label) == 1:
        message = f"all clips have the label {next(iter(by_label))!r}; a classifier needs at least two."
        faults.append(Fault("error", "one-class", message))
    for labels in spellings(by_label).values():
        listed = " and ".join(f"{label!r} (row {by_label[label][0].row})" for label in labels)
        spaces = len({label.casefold() for label in labels}) > 1  # more than capitals differ
        reason = "white space or Unicode form" if spaces else "capitals"
        message = f"the labels {listed} differ only in {reason} and count as {len(labels)} classes."
        faults.append(Fault("error" if spaces else "warning", "label-spelling", message))
    for label, members in by_label.items():
        if label != label.strip():
            message = f"the label {label!r} has spaces around it."
            faults.append(Fault("warning", "label-spelling", message, members[0].name, members[0].row))
        if len(members) == 1 and len(by_label) > 1:
            message = f"the class {label!r} has a single clip; it cannot stand in two splits."
            faults.append(Fault("warning", "single-clip", message, members[0].name, members[0].row))
    splits = by_split(clips)
    taught = {clip.label for clip in splits.get("train", ())}
    for name in [name for name in splits if name != "train" and taught]:
        unknown = sorted({clip.label for clip in splits[name]} - taught)
        if unknown:
            message = f"the {name} split has {len(unknown)} classes that train lacks: {', '.join(unknown[:5])}."
            faults.append(Fault("warning", "class-not-in-train", message))
    return faults


def _common_faults(clips: list[Clip]) -> list[Fault]:
    """Faults of the whole table that do not depend on what clips show: splits and signers."""
    faults: list[Fault] = []
    for name, members in by_split(clips).items():
        if name not in _SPLITS:
            message = f"the split {name!r} is none of {', '.join(_SPLITS)}."
            faults.append(Fault("warning", "split-name", message, row=members[0].row))
    for signer, members in group_clips(clips, lambda clip: clip.signer).items():
        names = list(by_split(members))
        if signer is not None and len(names) > 1:
            message = f"the signer {signer!r} is in the splits {' and '.join(names)}; they are not signer-independent."
            faults.append(Fault("warning", "signer-in-two-splits", message))
    unsigned = [clip for clip in clips if clip.signer is None]
    if unsigned and len(unsigned) < len(clips):
        message = f"{len(unsigned)} clips have no signer, first row {unsigned[0].row}."
        faults.append(Fault("warning", "no-signer", message))
    return faults


def by_split(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by split; train, validation and test first."""
    order = {name: i for i, name in enumerate(_SPLITS)}
    groups = group_clips(clips, lambda clip: clip.split)
    return {name: groups[name] for name in sorted(groups, key=lambda name: (order.get(name, 9), name))}


def spellings(labels: Iterable[str]) -> dict[str, list[str]]:
    """Labels that are one word to a reader: keyed by the word without capitals, spaces and Unicode forms; two or more each."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        plain = unicodedata.normalize("NFKC", label).casefold()
        groups[" ".join(plain.split())].append(label)
    return {key: names for key, names in groups.items() if len(names) > 1}


_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "“|”"}
SIGNS = TableKind(
    REQUIRED,
    COLUMNS,
    _label,
    _label_faults,
    ("glosses", "the table lists sentences (column 'glosses'); load it as 'landmark_sentences'."),
)
"""Tables of isolated signs: one ``label`` a clip."""
