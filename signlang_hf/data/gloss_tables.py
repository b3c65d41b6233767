"""Reading sentences: tables of glosses and texts as publishers and spreadsheets write them, and what can be wrong with one.

Design decisions:

* UTF-8, strictly: a table in another encoding is refused with line and column (:mod:`.text_files`).
* A wrong separator is recognised by the header and said with line and column; so is a row with too many or too few cells.
* A gloss is what stands between white space. What capitals alone tell apart is one gloss, in the spelling that is used most: a vocabulary that
  holds *House* and *HOUSE* is half as good, and no publisher means two signs by it.
* All rows are looked at before anything is raised, so that the faults of a table come in one list.
"""

from __future__ import annotations

import csv
import io
import logging
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .metadata import DatasetError, Fault
from .text_files import read_utf8

logger = logging.getLogger(__name__)
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "“|”"}


@dataclass(frozen=True)
class Sentence:
    """One sentence of a table: ``glosses``, and ``text`` where there is one; ``file`` and ``line`` say where it stands."""

    id: str
    glosses: tuple[str, ...]
    text: str | None = None
    signer: str | None = None
    split: str = "train"
    file: str = ""
    line: int = 0


def split_glosses(cell: str) -> tuple[str, ...]:
    """The glosses of a cell: what stands between white space, in Unicode's composed form."""
    return tuple(unicodedata.normalize("NFC", cell).split())


def read_table(
    path: Path, separator: str, columns: Sequence[str], faults: list[Fault], *, optional: Sequence[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Rows of a table with a header.

    Args:
        path: the table. Tables with commas may quote cells; the others are taken as they are.
        separator: what stands between cells.
        columns: columns that it must have, in any order; others may stand beside them.
        faults: takes what is wrong with single rows, which are left out.
        optional: columns that are read where they are there.

    Returns:
        (line, cells of ``columns`` and ``optional``); lines are counted from 1, the header.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not UTF-8, another separator, or a column that is missing.
    """
    text = read_utf8(path)
    first = text.split("\n", 1)[0]
    other = next((sign for sign in _SEPARATORS if sign in first), separator)
    if separator not in first and other != separator:
        raise ValueError(
            f"{path}, line 1, column {first.index(other) + 1}: the columns are separated by {_SEPARATORS[other]}, not by "
            f"{_SEPARATORS[separator]}; save the table with {_SEPARATORS[separator]}."
        )
    header, lines = _cells(path, text, separator)
    missing = [name for name in dict.fromkeys(columns) if name not in header]
    if missing:
        raise ValueError(
            f"{path}, line 1: the column {' and '.join(missing)} is missing; the table has {', '.join(header)}."
        )
    rows = []
    for line, cells in lines:
        if len(cells) != len(header):
            foreign = [sign for sign in _SEPARATORS if sign != separator and len(cells) == 1 and sign in cells[0]]
            # Cells without quotes stand where their lengths say.
            column = sum(map(len, cells[: len(header)])) + min(len(cells), len(header))
            column = cells[0].index(foreign[0]) + 1 if foreign else column
            place = f"column {column}: " if '"' not in "".join(cells) else ""
            message = f"{place}the row has {len(cells)} cell{'s' * (len(cells) > 1)}, the header {len(header)}."
            if foreign:
                message += f" It seems to have {_SEPARATORS[foreign[0]]} instead of {_SEPARATORS[separator]}."
            faults.append(Fault("error", "cells", message, path.name, line))
            continue
        named = dict(zip(header, cells))
        rows.append((line, {name: named[name].strip() for name in (*columns, *optional) if name in named}))
    return rows


def read_parallel(glosses: Path, texts: Path) -> list[tuple[int, str, str]]:
    """(line, glosses, text) of two files that hold the same sentences line by line. Raises ValueError when one is longer."""
    left, right = (read_utf8(path).splitlines() for path in (glosses, texts))
    if len(left) != len(right):
        raise ValueError(
            f"{glosses} has {len(left)} lines, {texts.name} {len(right)}; line by line they must hold the same sentences."
        )
    return [(number, *pair) for number, pair in enumerate(zip(left, right), 1)]


def checked_sentences(
    sentences: Iterable[Sentence], where: str | Path, faults: Sequence[Fault], on_error: str, *, text: bool = True
) -> list[Sentence]:
    """The sentences that can be used, each gloss in one spelling.

    Args:
        sentences: as read.
        where: folder or file, for messages.
        faults: those found while reading.
        on_error: ``"raise"`` all faults as one error, or ``"skip"`` what has them, in one line.
        text: every sentence needs a text.

    Raises:
        DatasetError: faults, with ``on_error="raise"``: a row without glosses or text, or an id that stands there twice.
    """
    faults, kept, places = list(faults), [], {}
    for one in sentences:
        lacks = [name for name, there in (("glosses", one.glosses), ("text", one.text or not text)) if not there]
        if lacks:
            message = f"the row has no {' and no '.join(lacks)}."
            faults.append(Fault("error", f"no-{lacks[0]}", message, one.file, one.line))
        elif one.id in places:
            first = places[one.id]
            message = f"the id {one.id!r} stands in line {first.line} of {first.file}, too."
            faults.append(Fault("error", "duplicate-id", message, one.file, one.line))
        else:
            places[one.id] = one
            kept.append(one)
    if faults and on_error == "raise":
        raise DatasetError(where, faults)
    if faults:
        logger.warning("%s: %d rows are left out, the first: %s", where, len(faults), faults[0])
    if not kept:
        raise ValueError(f"{where}: there is no sentence in it.")
    spelling = one_spelling((one.glosses for one in kept), where)
    if not spelling:
        return kept
    return [replace(one, glosses=tuple(spelling.get(gloss, gloss) for gloss in one.glosses)) for one in kept]


def one_spelling(sequences: Iterable[Sequence[str]], where: str | Path) -> dict[str, str]:
    """Glosses that differ in capitals alone → the spelling that is used most. Says which in one line."""
    groups: dict[str, list[str]] = defaultdict(list)
    counts = Counter(gloss for glosses in sequences for gloss in glosses)
    for gloss in sorted(counts):
        groups[gloss.casefold()].append(gloss)
    mixed = {max(group, key=counts.__getitem__): group for group in groups.values() if len(group) > 1}
    if mixed:
        shown = [f"{' and '.join(group)} as {best}" for best, group in list(mixed.items())[:5]]
        more = f" … and {len(mixed) - 5} more" if len(mixed) > 5 else ""
        logger.warning("%s: glosses that differ in capitals alone are one: %s%s.", where, ", ".join(shown), more)
    return {gloss: best for best, group in mixed.items() for gloss in group if gloss != best}


def _cells(path: Path, text: str, separator: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and (line, cells) of the rows that are not empty."""
    quoting = csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
    # Strict, or a quotation mark that nobody closed would swallow the rest of the table.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
    lines: list[tuple[int, list[str]]] = []
    last = 0
    try:
        for cells in reader:
            lines.append((last + 1, cells))
            last = reader.line_num
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {last + 1}: a quotation mark in the row is not closed or misplaced ({error})."
        ) from None
    header = [name.strip() for name in lines[0][1]] if lines else []
    return header, [(line, cells) for line, cells in lines[1:] if any(cell.strip() for cell in cells)]
