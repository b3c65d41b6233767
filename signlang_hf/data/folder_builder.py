"""What the two bring-your-own builders share: a folder with ``metadata.csv`` becomes splits of rows in one layout."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from ..landmarks import LandmarkSequence
from .fingerprint import files_fingerprint
from .metadata import METADATA, Clip, read_metadata
from .rows import landmark_features, to_row

logger = logging.getLogger(__name__)
VERSION = datasets.Version("1.0.0")


@dataclass
class FolderConfig(datasets.BuilderConfig):
    """``on_error``: what a clip that cannot be used does: ``"raise"`` (default) stops, ``"skip"`` leaves it out and says so."""

    on_error: str = "raise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {self.on_error!r}; choose 'raise' or 'skip'.")


class FolderBuilder(datasets.GeneratorBasedBuilder):
    """Base of ``landmark_folder`` and ``video_folder``.

    The table is read when the builder is made, so its faults are raised before anything is generated. The cache is keyed on
    path, time and size of every listed file: a changed folder is read again.
    """

    BUILDER_CONFIG_CLASS = FolderConfig
    VERSION = VERSION
    SUFFIXES: tuple[str, ...] = ()
    WHAT = ""

    def __init__(self, *args: Any, data_dir: str | Path | None = None, hash: str | None = None, **kwargs: Any) -> None:
        if data_dir is None:
            raise ValueError(f"The dataset needs data_dir=, the folder with {METADATA} and the {self.WHAT} files.")
        self.metadata = read_metadata(data_dir, self.SUFFIXES, self.WHAT).require()
        files = [clip.file for clip in self.metadata.clips]
        fingerprint = hash or files_fingerprint([Path(data_dir) / METADATA, *files], *self.cache_settings(kwargs))
        super().__init__(*args, data_dir=str(data_dir), hash=fingerprint, **kwargs)

    def cache_settings(self, options: dict[str, Any]) -> tuple[str, ...]:
        """What besides files and options makes the rows what they are; a change builds the cache again."""
        return ()

    @abstractmethod
    def find_layout(self) -> str:
        """Name of the layout of all rows; afterwards ``self.layout``."""

    @abstractmethod
    def sequences(self, clips: list[Clip]) -> Iterator[tuple[Clip, LandmarkSequence | Exception]]:
        """The landmarks of each clip in ``self.layout``, or the error that kept them from being read."""

    def _info(self) -> datasets.DatasetInfo:
        self.layout = self.find_layout()
        return datasets.DatasetInfo(features=landmark_features(self.layout, label_names=self.metadata.label_names))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        # A list in gen_kwargs is what datasets spreads over num_proc processes.
        return [
            datasets.SplitGenerator(datasets.NamedSplit(name), gen_kwargs={"clips": clips})
            for name, clips in self.metadata.splits.items()
        ]

    def _generate_examples(self, clips: list[Clip]) -> Iterator[tuple[str, dict[str, Any]]]:
        for clip, sequence in self.sequences(clips):
            if not isinstance(sequence, Exception):
                yield clip.id, to_row(sequence, id=clip.id, signer=clip.signer, view=clip.view, label=clip.label)
            elif self.config.on_error == "raise":
                raise sequence
            else:
                logger.warning("Left out row %d of %s: %s", clip.row, METADATA, sequence)
