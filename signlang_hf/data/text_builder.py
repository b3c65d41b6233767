"""What builders share whose rows are sentences without landmarks: glosses and text, for gloss → text.

A subclass says which sentences its folder holds (:meth:`TextBuilder.read`). All of them are read before the first row is written, so
what is wrong with a table is raised before anything is, and glosses have one spelling in all splits. The cache is keyed on the tables and
the options.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

from .about import DatasetFacts
from .fingerprint import files_fingerprint
from .folder_builder import FolderConfig
from .gloss_tables import Sentence, checked_sentences
from .metadata import Fault
from .rows import text_features

VERSION = datasets.Version("1.0.0")
_ORDER = ("train", "validation", "test")


class TextBuilder(datasets.GeneratorBasedBuilder):
    """Base of the gloss ↔ text corpora. ``on_error="skip"`` leaves out rows that lack glosses or text, and says how many."""

    BUILDER_CONFIG_CLASS = FolderConfig
    VERSION = VERSION
    NEEDS = "the folder with the tables"
    FACTS: DatasetFacts

    def __init__(self, *args: Any, data_dir: str | Path | None = None, hash: str | None = None, **kwargs: Any) -> None:
        if data_dir is None:
            raise ValueError(f"The dataset needs data_dir=, {self.NEEDS}.")
        folder = Path(data_dir).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(f"Folder not found: {folder}. It should be {self.NEEDS}.")
        self.folder = folder
        self.tables = self.find_tables(folder)
        fingerprint = hash or files_fingerprint([file for files in self.tables.values() for file in files])
        super().__init__(*args, data_dir=str(data_dir), hash=fingerprint, **kwargs)

    @abstractmethod
    def find_tables(self, folder: Path) -> dict[str, tuple[Path, ...]]:
        """Name (a split, where each has files of its own) → its files. Raises FileNotFoundError that says what should be there."""

    @abstractmethod
    def read(self, name: str, files: tuple[Path, ...], faults: list[Fault]) -> Iterator[Sentence]:
        """The sentences of one entry of :meth:`find_tables`; what is wrong with single rows is added to ``faults``."""

    def _info(self) -> datasets.DatasetInfo:
        self.config.check()
        return self.FACTS.info(text_features())

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        faults: list[Fault] = []
        found = [one for name, files in self.tables.items() for one in self.read(name, files, faults)]
        sentences = checked_sentences(found, self.folder, faults, self.config.on_error)
        names = dict.fromkeys([*_ORDER, *(one.split for one in sentences)])
        splits = {name: [one for one in sentences if one.split == name] for name in names}
        return [
            datasets.SplitGenerator(datasets.NamedSplit(name), gen_kwargs={"sentences": members})
            for name, members in splits.items()
            if members
        ]

    def _generate_examples(self, sentences: list[Sentence]) -> Iterator[tuple[str, dict[str, Any]]]:
        for one in sentences:
            yield one.id, text_row(one)


def text_row(sentence: Sentence) -> dict[str, Any]:
    """The row of one sentence, with the columns of :func:`.rows.text_features`."""
    return {
        "id": sentence.id,
        "signer": sentence.signer,
        "glosses": list(sentence.glosses),
        "text": sentence.text,
    }


def find_one(folder: Path, *patterns: str) -> Path | None:
    """The first file below ``folder``, in any depth, whose name fits a pattern; earlier patterns win."""
    for pattern in patterns:
        for path in sorted(folder.rglob(pattern)):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
                return path
    return None
