"""Dataset ``landmark_folder``: one's own landmark files and a ``metadata.csv``.

::

    my_landmarks/
        metadata.csv            file_name,label,signer,split
        anna/hello_1.npz        anna/hello_1.npz,hello,anna,train
        ben/hello_1.pose        ben/hello_1.pose,hello,ben,test

``load_dataset("landmark_folder", data_dir="my_landmarks")`` gives the splits that the column ``split`` names, or one ``train``
split without it. All clips are converted to one layout by point name: ``layout=``, else the first clip's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..landmarks import LANDMARK_SUFFIXES, LandmarkSequence, get_layout
from .folder_builder import FolderBuilder, FolderConfig
from .metadata import METADATA, Clip
from .validation import ReadOptions, read_clip


@dataclass
class LandmarkFolderConfig(FolderConfig):
    """Options of :class:`LandmarkFolder`; ``file_layout``, ``fps``, ``size`` and ``units`` are for files that do not say (``.npy``)."""

    layout: str | None = None
    file_layout: str | None = None
    fps: float | None = None
    size: Sequence[int] | None = None
    units: str | None = None


class LandmarkFolder(FolderBuilder):
    """``.npz``, ``.pose`` and ``.npy`` files listed in ``metadata.csv``."""

    BUILDER_CONFIG_CLASS = LandmarkFolderConfig
    SUFFIXES = LANDMARK_SUFFIXES
    WHAT = "landmark"
    NEEDS = f"the folder with {METADATA} and the landmark files"

    def find_layout(self) -> str:
        if self.config.layout is not None:
            return get_layout(self.config.layout).name
        for clip in self.metadata.clips:
            try:
                return read_clip(clip.file, self._options(None)).layout
            except (ValueError, OSError):
                if self.config.on_error == "raise":
                    raise
        raise ValueError(f"{self.metadata.folder}: not one of the {len(self.metadata.clips)} files can be read.")

    def sequences(self, clips: list[Clip]) -> Iterator[tuple[Clip, LandmarkSequence | Exception]]:
        options = self._options(self.layout)
        for clip in clips:
            try:
                yield clip, read_clip(clip.file, options)
            except (ValueError, OSError) as error:
                yield clip, error

    def _options(self, layout: str | None) -> ReadOptions:
        config = self.config
        size = None if config.size is None else (int(config.size[0]), int(config.size[1]))
        return ReadOptions(layout, config.file_layout, config.fps, size, config.units)
