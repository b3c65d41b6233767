"""``metadata.csv`` of sentences: what stands there instead of a label, and what can be wrong with it.

Columns: ``file_name`` and ``glosses`` (between blanks), and where known ``text``, ``signer``, ``split``, ``view`` and ``id``. Everything else is as for
isolated signs (:mod:`.metadata`). A row whose glosses or text are missing is an error; glosses that differ in capitals alone, that only a test
sentence shows, and sentences that stand in two splits are worth a look.
"""

from __future__ import annotations

import csv
import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .gloss_tables import split_glosses
from .metadata import METADATA, Clip, Fault, TableKind, by_split, spellings
from .sentence_splits import gloss_key, text_key
from .text_files import BadByte, decode_utf8

REQUIRED = ("file_name", "glosses")
COLUMNS: tuple[str, ...] = (*REQUIRED, "text", "signer", "split", "view", "id")
_MARKS = ",;|"


def sentence_table(vocabulary: Sequence[str] = ()) -> TableKind:
    """Tables of sentences.

    Args:
        vocabulary: the glosses that there are, in any capitals; a table that holds another one has an error. Empty: all are welcome.
    """
    known = {gloss.casefold(): gloss for gloss in vocabulary}

    def target(cells: dict[str, str]) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
        glosses, text = split_glosses(cells["glosses"]), cells.get("text", "").strip() or None
        faults = []
        if not glosses:
            faults.append(("empty-cell", "error", "glosses is empty."))
        if text is None and "text" in cells:
            message = "text is empty; give every row one, or leave the column out."
            faults.append(("empty-cell", "error", message))
        for gloss in dict.fromkeys(glosses):
            if known and gloss.casefold() not in known:
                near = difflib.get_close_matches(gloss.casefold(), known, 1)
                hint = f"; did you mean {known[near[0]]!r}?" if near else "."
                faults.append(("unknown-gloss", "error", f"the gloss {gloss!r} is not in the vocabulary{hint}"))
            mark = next((mark for mark in _MARKS if mark in gloss), None)
            if mark is not None and not known:
                message = f"the gloss {gloss!r} holds “{mark}”; glosses are separated by blanks."
                faults.append(("gloss-separator", "warning", message))
        return {"glosses": glosses, "text": text}, faults

    isolated = "the table lists isolated signs (column 'label'); load it as 'landmark_folder'."
    return TableKind(REQUIRED, COLUMNS, target, _sentence_faults, ("label", isolated))


def lists_sentences(folder: Path) -> bool:
    """Whether ``folder/metadata.csv`` is a table of sentences: its header has ``glosses`` and no ``label``."""
    text = decode_utf8((folder / METADATA).read_bytes())
    header = [] if isinstance(text, BadByte) else next(csv.reader(text.splitlines()[:1]), [])
    names = {name.strip() for name in header}
    return "glosses" in names and "label" not in names


def _sentence_faults(clips: list[Clip]) -> list[Fault]:
    """Faults that only the table as a whole shows: spellings, glosses that nobody is taught, sentences in two splits."""
    faults: list[Fault] = []
    counts = Counter(gloss for clip in clips for gloss in clip.glosses)
    for group in spellings(counts).values():
        listed = " and ".join(f"{gloss!r} ({counts[gloss]}×)" for gloss in group)
        message = (
            f"the glosses {listed} differ in capitals alone and count as one, {max(group, key=counts.__getitem__)!r}."
        )
        faults.append(Fault("warning", "gloss-spelling", message))
    splits = by_split(clips)
    taught = {gloss.casefold() for clip in splits.get("train", ()) for gloss in clip.glosses}
    for name in [name for name in splits if name != "train" and taught]:
        unknown = sorted({gloss for clip in splits[name] for gloss in clip.glosses if gloss.casefold() not in taught})
        if unknown:
            more = " …" if len(unknown) > 5 else ""
            message = f"the {name} split has {len(unknown)} glosses that train lacks: {', '.join(unknown[:5])}{more}"
            faults.append(Fault("warning", "gloss-not-in-train", message))
    first: dict[Any, Clip] = {}
    shared: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        for key in filter(None, (gloss_key(clip.glosses), text_key(clip.text or ""))):
            twin = first.setdefault(key, clip)
            if twin.split != clip.split:
                shared.setdefault((twin.split, clip.split), []).append(clip)
    for (one, other), members in shared.items():
        count = len({clip.row for clip in members})
        message = f"{other} has {count} of {one}'s sentences, the first {' '.join(members[0].glosses)!r}; they are not disjoint by sentence."
        faults.append(Fault("warning", "sentence-in-two-splits", message, members[0].name, members[0].row))
    return faults
