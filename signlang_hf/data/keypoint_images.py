"""Dataset ``keypoint_images``: images of one's own with 64 labelled points each, for training a keypoint detector.

::

    data_dir/images/anna_0012.jpg      .jpg, .jpeg or .png
    data_dir/labels/anna_0012.json     the label of that image (format in :mod:`.keypoint_labels`)

or the same in ``train/``, ``validation/`` and ``test/`` where splits are given. Without them a tenth of the images becomes ``validation``, by
``source`` where labels name one, so that no video is in both splits. ``signlang label-frames`` and ``recipes/render_keypoint_images.py`` write
such folders, :func:`write_label` a single label.

Nothing is loaded from a folder with faults: all of them are listed at once, each with its file and point. ``signlang validate`` lists the same, and
reads every image whole.
"""

from __future__ import annotations

from pathlib import Path

from .keypoint_builder import KeypointBuilder
from .keypoint_folder import files_of_folder, read_keypoint_folder
from .keypoint_labels import KeypointLabel, write_label
from .metadata import DatasetError

__all__ = ["KeypointImages", "write_label"]

_MOST_SHOWN = 100


class KeypointImages(KeypointBuilder):
    """One row an image. Options: ``validation_size`` (0.1) and ``seed`` of the split that is made where none is given."""

    NEEDS = "the folder with images/ and labels/, or with train/, validation/ and test/ that hold them"

    def find_files(self, folder: Path) -> list[Path]:
        files = files_of_folder(folder)
        if not files:
            raise FileNotFoundError(f"{folder} has no images with labels; it should be {self.NEEDS}.")
        return files

    def read(self) -> dict[str | None, list[KeypointLabel]]:
        splits, faults = read_keypoint_folder(self.folder)
        if faults:
            raise DatasetError(self.folder, faults, shown=_MOST_SHOWN)
        return splits
