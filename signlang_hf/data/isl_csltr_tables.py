"""The tables of ISL-CSLTR, in the forms that they are found in, and names of folders that are spelled in several ways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from .gloss_tables import Sentence, checked_sentences, read_table, split_glosses
from .metadata import SPLIT_ALIASES, DatasetError, Fault
from .sentence_splits import text_key
from .text_builder import find_one

_PAIRS: tuple[tuple[str, tuple[str, str, str]], ...] = (  # file → its columns for folder, glosses and sentence
    ("glosses.csv", ("folder_name", "gloss", "sentence")),
    ("sentence_disjoint_split.csv", ("folder_name", "gloss", "sentence")),
    ("ISL Corpus sign glosses.csv", ("Sentence", "SIGN GLOSSES", "Sentence")),
)
NEEDS = "glosses.csv (folder_name,gloss,sentence) or “ISL Corpus sign glosses.csv”"
_MARKS = ".,;:!?()"


@dataclass(frozen=True)
class Performance:
    """A row of ``videos.csv``: one performance of a sentence. ``clip`` is ``folder/name`` as :func:`clip_key` writes it."""

    clip: str
    sentence: Sentence


@dataclass
class Corpus:
    """What the tables say.

    ``sentences`` by :func:`folder_key`, their ``split`` empty where no table gives one; ``performances`` in the order of ``videos.csv``;
    ``tables`` the files that were read.
    """

    sentences: dict[str, Sentence]
    performances: list[Performance]
    tables: list[Path]

    def signer(self, clip: str) -> str | None:
        """Who signs a clip, where the table says it once. The published one lists most names for several signers."""
        signers = {one.sentence.signer for one in self.performances if one.clip == clip}
        return signers.pop() if len(signers) == 1 else None


def folder_key(name: str) -> str:
    """A folder's or sentence's name without capitals, punctuation and blanks: the publisher spells some in two ways."""
    return text_key(name).replace(" ", "")


def clip_key(path: PurePosixPath) -> str:
    """``folder/name`` of a video's path without suffix, however it is spelled and wherever it lies."""
    return f"{folder_key(path.parent.name)}/{path.name.casefold().strip()}"


def read_corpus(folder: Path, on_error: str) -> Corpus:
    """Read the tables below ``folder``.

    Raises:
        FileNotFoundError: there is no table of glosses.
        ValueError: one that cannot be used, with file, line and column; rows without glosses or sentence unless ``on_error="skip"``.
    """
    found = next(((path, columns) for name, columns in _PAIRS if (path := find_one(folder, name))), None)
    if found is None:
        raise FileNotFoundError(f"{folder} holds no table of glosses; it should hold {NEEDS}.")
    table, (name, gloss, sentence) = found
    faults: list[Fault] = []
    table_rows = read_table(table, ",", (name, gloss, sentence), faults, optional=("split",))
    names = {folder_key(cells[name]): cells[name] for _, cells in table_rows}
    rows = [
        Sentence(
            folder_key(cells[name]),
            _glosses(cells[gloss]),
            cells[sentence],
            None,
            cells.get("split", ""),
            table.name,
            line,
        )
        for line, cells in table_rows
    ]
    sentences = {
        one.id: replace(one, id=names[one.id]) for one in checked_sentences(rows, table.parent, faults, on_error)
    }
    videos = find_one(folder, "videos.csv")
    performances = [] if videos is None else _performances(videos, on_error)
    return Corpus(sentences, performances, [table] if videos is None else [table, videos])


def _performances(table: Path, on_error: str) -> list[Performance]:
    faults: list[Fault] = []
    clips: dict[str, str] = {}
    counts: dict[str, int] = {}
    rows = []
    for line, cells in read_table(
        table, ",", ("sentence", "video", "gloss", "signer"), faults, optional=("published_split",)
    ):
        path = PurePosixPath(cells["video"].replace("\\", "/"))
        clip = f"{path.parent.name}/{path.stem}"
        counts[clip] = counts.get(clip, 0) + 1
        # One name stands for the films of several signers: each row keeps an id of its own.
        id = clip if counts[clip] == 1 else f"{clip}#{counts[clip]}"
        clips[id] = clip_key(path.with_suffix(""))
        split = cells.get("published_split", "")
        split = SPLIT_ALIASES.get(split, split)
        rows.append(
            Sentence(id, _glosses(cells["gloss"]), cells["sentence"], cells["signer"] or None, split, table.name, line)
        )
    if faults and on_error == "raise":
        raise DatasetError(table.parent, faults)
    return [Performance(clips[one.id], one) for one in checked_sentences(rows, table.parent, faults, on_error)]


def _glosses(cell: str) -> tuple[str, ...]:
    """The glosses of a cell without the punctuation that four of the published sentences have."""
    return tuple(filter(None, (gloss.strip(_MARKS) for gloss in split_glosses(cell))))
