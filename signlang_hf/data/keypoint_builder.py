"""What the builders of labelled images share: rows of :mod:`.keypoint_labels`, splits that share no source, and a cache keyed on the files.

A subclass says which files there are (:meth:`KeypointBuilder.find_files`) and what they hold (:meth:`KeypointBuilder.read`). All of it is
read and checked before the first row is written, so what is wrong is raised at once and in one list. Rows name their images by path: the
images stay where they are, and :func:`.parquet.save_dataset` puts them into the shards that travel.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from .about import DatasetFacts
from .fingerprint import files_fingerprint
from .keypoint_folder import divide
from .keypoint_labels import KeypointLabel, keypoint_features, keypoint_row

VERSION = datasets.Version("1.0.0")
_ORDER = ("train", "validation", "test")


@dataclass
class KeypointConfig(datasets.BuilderConfig):
    """``validation_size`` and ``seed`` of the split that is made where the data has none."""

    validation_size: float = 0.1
    seed: int = 0

    def check(self) -> None:
        """Raise ValueError for a value that an option cannot have. Called by the builder: ``datasets`` sets options afterwards."""
        if not 0 <= self.validation_size < 1:
            raise ValueError(
                f"validation_size is {self.validation_size}; it must be a share from 0 to below 1 (0: train only)."
            )


class KeypointBuilder(datasets.GeneratorBasedBuilder):
    """Base of the datasets of labelled images, one row a person."""

    BUILDER_CONFIG_CLASS = KeypointConfig
    VERSION = VERSION
    NEEDS = "the folder with images and labels"
    FACTS: DatasetFacts | None = None
    AREA = False
    """Whether rows have the column ``area``."""

    def __init__(self, *args: Any, data_dir: str | Path | None = None, hash: str | None = None, **kwargs: Any) -> None:
        if data_dir is None:
            raise ValueError(f"The dataset needs data_dir=, {self.NEEDS}.")
        # Absolute, because the cache keeps the images' paths.
        folder = Path(data_dir).expanduser().absolute()
        if not folder.is_dir():
            raise FileNotFoundError(f"Folder not found: {folder}. It should be {self.NEEDS}.")
        self.folder = folder
        fingerprint = hash or files_fingerprint(self.find_files(folder))
        super().__init__(*args, data_dir=str(data_dir), hash=fingerprint, **kwargs)

    @abstractmethod
    def find_files(self, folder: Path) -> list[Path]:
        """All files that the rows are made from. Raises FileNotFoundError that says what should be there."""

    @abstractmethod
    def read(self) -> dict[str | None, list[KeypointLabel]]:
        """Split → its labels; the key None for those that are to be divided into train and validation. Raises DatasetError."""

    def _info(self) -> datasets.DatasetInfo:
        self.config.check()
        features = keypoint_features(area=self.AREA)
        if self.FACTS is not None:
            return self.FACTS.info(features)
        return datasets.DatasetInfo(
            description="Images with the points of a person, one row an image.", features=features
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        splits: dict[str, list[KeypointLabel]] = {}
        for name, labels in self.read().items():
            if name is None:
                splits |= divide(labels, self.config.validation_size, self.config.seed)
            else:
                splits[name] = labels
        # A list in gen_kwargs is what datasets spreads over num_proc processes.
        return [
            datasets.SplitGenerator(datasets.NamedSplit(name), gen_kwargs={"labels": splits[name]})
            for name in (*_ORDER, *(name for name in splits if name not in _ORDER))
            if splits.get(name)
        ]

    def _generate_examples(self, labels: list[KeypointLabel]) -> Iterator[tuple[str, dict[str, Any]]]:
        for label in labels:
            area = {"area": label.area} if self.AREA else {}
            yield label.id, {**keypoint_row(label), **area}
