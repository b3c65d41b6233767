"""Dataset ``freihand``: right hands with their 21 points, one row an image; all other points are not visible.

``data_dir`` holds either the publisher's release::

    data_dir/training/rgb/00000000.jpg …       130,240 images: 32,560 hands, each before four backgrounds
    data_dir/training_xyz.json                 32,560 × 21 × 3 metres in the camera's coordinates
    data_dir/training_K.json                   32,560 × 3 × 3 camera matrices
    data_dir/evaluation/rgb, evaluation_xyz.json, evaluation_K.json        3,960 images, where they are there: the split ``test``

or a file in COCO's format (``*freihand*.json``, whose name says the split) with its images, as mmpose has them. The publisher gives no
validation images: a tenth of the hands becomes ``validation``. ``source`` is the hand, whose four pictures so stay together.

A point is K · xyz, divided by its depth. Every hand of FreiHAND is a right one; the order of its points is the library's own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..landmarks import get_layout
from ..landmarks.layout import HAND
from .about import DatasetFacts
from .coco_annotations import AnnotatedConfig, box, find_annotations, find_pictures, paths_of, read_annotations, triples
from .keypoint_builder import KeypointBuilder
from .keypoint_labels import LAYOUT, POINTS, KeypointLabel, box_of, image_size
from .metadata import DatasetError, Fault

_RIGHT = list(get_layout(LAYOUT).parts["right_hand"])
_HANDS = 32_560  # training images that show another hand; after them the same ones before another background
_PARTS = {"training": None, "evaluation": "test"}
_MOST_SHOWN = 100


class FreiHand(KeypointBuilder):
    """Options: ``validation_size`` and ``seed`` of the validation split; ``on_error="skip"`` leaves out listed images that are not there."""

    BUILDER_CONFIG_CLASS = AnnotatedConfig
    NEEDS = (
        "the folder with training/rgb, training_xyz.json and training_K.json, or with *freihand*.json and its images"
    )
    FACTS = DatasetFacts(
        title="FreiHAND",
        summary="FreiHAND: right hands of 32 people in many poses, with 21 points each.",
        licence="other",
        homepage="https://lmb.informatik.uni-freiburg.de/projects/freihand/",
        citation="""@inproceedings{zimmermann2019freihand,
  title = {FreiHAND: A Dataset for Markerless Capture of Hand Pose and Shape from Single RGB Images},
  author = {Zimmermann, Christian and Ceylan, Duygu and Yang, Jimei and Russell, Bryan and Argus, Max and Brox, Thomas},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year = {2019}
}""",
        split_rule="The publisher's training and evaluation images; a tenth of the training hands is split off for validation. People are in several splits.",
        processing="Points in space were projected with the publisher's cameras; all points but those of the right hand count as not visible.",
        limits=("For research only; commercial use is prohibited.", "Right hands alone, cut out of their image."),
    )

    def find_files(self, folder: Path) -> list[Path]:
        self.tables = find_annotations(folder, "*[fF]rei[hH][aA][nN][dD]*.json")
        self.pictures: dict[str, list[Path]] = {}
        self.released = [part for part in _PARTS if (folder / f"{part}_xyz.json").is_file()]
        files = [folder / f"{part}_{what}.json" for part in self.released for what in ("xyz", "K")]
        if self.released:
            return files + [path for part in self.released for path in _images(folder, part)]
        if not self.tables:
            raise FileNotFoundError(
                f"{folder} holds neither training_xyz.json nor *freihand*.json; it should be {self.NEEDS}."
            )
        self.pictures = find_pictures(folder)
        return [*self.tables.values(), *paths_of(self.pictures)]

    def read(self) -> dict[str | None, list[KeypointLabel]]:
        faults: list[Fault] = []
        splits: dict[str | None, list[KeypointLabel]] = {}
        if self.released:
            for part in self.released:
                splits[_PARTS[part]] = _read_release(self.folder, part, faults)
        else:
            for split, file in self.tables.items():
                splits[split] = self._read_table(file, faults)
        if faults:
            raise DatasetError(self.folder, faults, shown=_MOST_SHOWN)
        return splits

    def _read_table(self, file: Path, faults: list[Fault]) -> list[KeypointLabel]:
        labels = []
        for one in read_annotations(self.folder, file, self.pictures, self.config.on_error, faults):
            points, bbox = triples(one, "keypoints", len(HAND), file, faults), box(one, file, faults)
            if points is None or bbox is None:
                continue
            keypoints = _keypoints(np.where(points[:, 2:] > 0, points[:, :2], np.nan), one.size)
            name = f"{one.path.stem}-{one.annotation['id']}"
            labels.append(KeypointLabel(name, one.path, one.size, keypoints, bbox, _source(one.path)))
        return labels


def _read_release(folder: Path, part: str, faults: list[Fault]) -> list[KeypointLabel]:
    xyz = _array(folder / f"{part}_xyz.json", (len(HAND), 3))
    cameras = _array(folder / f"{part}_K.json", (3, 3))
    if len(xyz) != len(cameras):
        raise ValueError(
            f"{part}_xyz.json has {len(xyz)} hands and {part}_K.json {len(cameras)} cameras; both in {folder} must have as many."
        )
    images = _images(folder, part)
    if not images:
        raise FileNotFoundError(f"{folder / part / 'rgb'} holds no image (00000000.jpg …).")
    projected = np.einsum("nij,npj->npi", cameras, xyz)
    projected = projected[..., :2] / projected[..., 2:]
    labels = []
    for path in images:
        try:
            size = image_size(path)
        except ValueError as error:
            faults.append(Fault("error", "bad-image", str(error), path.relative_to(folder).as_posix()))
            continue
        keypoints = _keypoints(projected[int(path.stem) % len(xyz)], size)
        bbox = box_of(keypoints, size)
        source = f"{part} {int(path.stem) % len(xyz)}"
        labels.append(KeypointLabel(f"{part}-{path.stem}", path, size, keypoints, bbox, source))
    return labels


def _keypoints(hand: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(64, 2) float32 from the hand's (21, 2); points outside the image are not visible."""
    keypoints = np.full((len(POINTS), 2), np.nan, np.float32)
    inside = ((hand >= 0) & (hand <= size)).all(1)  # NaN is not inside
    keypoints[_RIGHT] = np.where(inside[:, None], hand, np.nan)
    return keypoints


def _source(path: Path) -> str:
    """The hand of a training image, or the image."""
    return f"training {int(path.stem) % _HANDS}" if path.stem.isdecimal() else path.name


def _array(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        values = np.array(json.loads(file.read_text(encoding="utf-8")), float)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file} is missing; FreiHAND's release has it beside the images.") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} is not a table of numbers ({error}).") from None
    if values.shape[1:] != shape or not np.isfinite(values).all():
        raise ValueError(f"{file} is {values.shape}; it must be (N, {shape[0]}, {shape[1]}) finite numbers.")
    return values


def _images(folder: Path, part: str) -> list[Path]:
    pictures = folder / part / "rgb"
    if not pictures.is_dir():
        return []
    return sorted(path for path in pictures.iterdir() if path.suffix.lower() == ".jpg" and path.stem.isdecimal())
