"""What builders share whose data is a folder of one's own: clips, found once, become splits of rows in one layout."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from ..landmarks import LandmarkSequence
from .about import DatasetFacts
from .fingerprint import files_fingerprint
from .metadata import METADATA, Clip, Metadata, read_metadata
from .rows import landmark_features, to_row

logger = logging.getLogger(__name__)
VERSION = datasets.Version("1.0.0")


@dataclass
class FolderConfig(datasets.BuilderConfig):
    """``on_error``: what a clip that cannot be used does: ``"raise"`` (default) stops, ``"skip"`` leaves it out and says so."""

    on_error: str = "raise"

    def check(self) -> None:
        """Raise ValueError for a value that an option cannot have. Called by the builder: ``datasets`` sets options afterwards."""
        if self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {self.on_error!r}; choose 'raise' or 'skip'.")


class FolderBuilder(datasets.GeneratorBasedBuilder):
    """Base of every dataset that is read from ``data_dir``: the bring-your-own folders and the published ones.

    A subclass says which clips there are (:meth:`find_clips`; by default ``metadata.csv`` does), what the configuration makes of
    them (:meth:`configured`), their layout and their landmarks. Clips are looked for when the builder is made, so what is
    wrong with the folder is raised before anything is generated. The cache is keyed on path, time and size of every file: a
    changed folder is read again.
    """

    BUILDER_CONFIG_CLASS = FolderConfig
    VERSION = VERSION
    # Rows held in memory while the cache is written, which are a third of a megabyte each with a whole face.
    DEFAULT_WRITER_BATCH_SIZE = 100
    SUFFIXES: tuple[str, ...] = ()
    WHAT = ""
    NEEDS = f"the folder with {METADATA} and its clips"
    FACTS: DatasetFacts | None = None
    SENTENCES = False
    """Whether clips show sentences (``glosses`` and, where one clip has it, ``text``) instead of one ``label``."""

    def __init__(self, *args: Any, data_dir: str | Path | None = None, hash: str | None = None, **kwargs: Any) -> None:
        if data_dir is None:
            raise ValueError(f"The dataset needs data_dir=, {self.NEEDS}.")
        folder = Path(data_dir).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(f"Folder not found: {folder}. It should be {self.NEEDS}.")
        self.metadata = self.find_clips(folder, kwargs)
        files = {*self.metadata.tables, *(clip.file for clip in self.metadata.clips)}
        fingerprint = hash or files_fingerprint(files, *self.cache_settings(kwargs))
        super().__init__(*args, data_dir=str(data_dir), hash=fingerprint, **kwargs)

    def find_clips(self, folder: Path, options: dict[str, Any]) -> Metadata:
        """All clips of the folder. ``options`` are those of the configuration that were given."""
        return read_metadata(folder, self.SUFFIXES, self.WHAT).require()

    def configured(self, metadata: Metadata) -> Metadata:
        """The clips with the splits and labels of ``self.config``."""
        return metadata

    def cache_settings(self, options: dict[str, Any]) -> tuple[str, ...]:
        """What besides files and options makes the rows what they are; a change builds the cache again."""
        return ()

    @abstractmethod
    def find_layout(self) -> str:
        """Name of the layout of all rows; afterwards ``self.layout``."""

    @abstractmethod
    def sequences(self, clips: list[Clip]) -> Iterator[tuple[Clip, LandmarkSequence | Exception]]:
        """The landmarks of each clip in ``self.layout``, or the error that kept them from being read."""

    def row_features(self) -> datasets.Features:
        """Columns of the rows, without those of :meth:`extra_features`."""
        if not self.SENTENCES:
            return landmark_features(self.layout, label_names=self.metadata.label_names)
        text = any(clip.text is not None for clip in self.metadata.clips)
        return landmark_features(self.layout, glosses=True, text=text)

    def target_values(self, clip: Clip) -> dict[str, Any]:
        """What one clip shows: its label, or its glosses and text."""
        if not self.SENTENCES:
            return {"label": clip.label}
        text = {"text": clip.text} if "text" in self.info.features else {}
        return {"glosses": list(clip.glosses), **text}

    def extra_features(self) -> datasets.Features:
        """Columns beyond those of every landmark dataset."""
        return datasets.Features()

    def extra_values(self, clip: Clip) -> dict[str, Any]:
        """Their values for one clip."""
        return {}

    def _info(self) -> datasets.DatasetInfo:
        self.config.check()
        self.metadata = self.configured(self.metadata)
        self.layout = self.find_layout()
        features = self.row_features()
        features.update(self.extra_features())
        return datasets.DatasetInfo(features=features) if self.FACTS is None else self.FACTS.info(features)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        # A list in gen_kwargs is what datasets spreads over num_proc processes.
        return [
            datasets.SplitGenerator(datasets.NamedSplit(name), gen_kwargs={"clips": clips})
            for name, clips in self.metadata.splits.items()
        ]

    def _generate_examples(self, clips: list[Clip]) -> Iterator[tuple[str, dict[str, Any]]]:
        for clip, sequence in self.sequences(clips):
            if not isinstance(sequence, Exception):
                values = self.target_values(clip) | self.extra_values(clip)
                yield clip.id, to_row(sequence, id=clip.id, signer=clip.signer, view=clip.view, **values)
            elif self.config.on_error == "raise":
                raise sequence
            else:
                logger.warning("Left out %s: %s", clip.place, sequence)


def leave_out(folder: Path, missing: Sequence[str], total: int, on_error: str) -> None:
    """What a list does that names clips which are not in the folder: ``"raise"`` an error, or ``"skip"`` them in one line."""
    if not missing:
        return
    message = (
        f"{folder}: {len(missing)} of the {total} clips that the dataset lists are not there, the first is {missing[0]}"
    )
    if on_error == "raise":
        raise FileNotFoundError(f"{message}. With on_error='skip' they are left out.")
    logger.warning("%s; they are left out.", message)
