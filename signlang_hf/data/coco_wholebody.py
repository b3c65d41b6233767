"""Dataset ``coco_wholebody``: people in everyday photographs with the body and both hands labelled by hand, one row a person.

::

    data_dir/annotations/coco_wholebody_train_v1.0.json     any *wholebody*.json, in any folder; its name says the split
    data_dir/annotations/coco_wholebody_val_v1.0.json
    data_dir/train2017/000000000009.jpg …                   COCO's images, in any folder

The 133 points become the 64 of ``signlang-64`` by name: 17 of the body and 21 of each hand; the five of the face are the body's nose, eyes and
ears. What was decided:

* A point counts as visible where COCO labels it, hidden ones (v = 1) included: their place is known, and COCO's own evaluation counts them.
* A hand counts where ``lefthand_valid`` or ``righthand_valid`` says that its labels are good. In most persons it is too small for that.
* COCO counts pixels, this library measures: half a pixel is added to x and y, as detectron2 does.
* Crowds and persons without a visible point are left out. ``source`` is the image, so that people in one picture stay together.

A row's ``bbox`` is the person's box, ``area`` that of the segment, which OKS is measured by.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..landmarks import get_layout
from .about import DatasetFacts
from .coco_annotations import (
    Annotated,
    AnnotatedConfig,
    box,
    find_annotations,
    find_pictures,
    paths_of,
    read_annotations,
    triples,
)
from .keypoint_builder import KeypointBuilder
from .keypoint_labels import LAYOUT, KeypointLabel
from .metadata import DatasetError, Fault

_WHOLE = get_layout("coco-wholebody-133")
_ORDER = get_layout(LAYOUT).conversion_from(_WHOLE)
_HANDS = {"lefthand": _WHOLE.parts["left_hand"], "righthand": _WHOLE.parts["right_hand"]}
_MOST_SHOWN = 100


class CocoWholeBody(KeypointBuilder):
    """Options: ``on_error="skip"`` leaves out images that are not there; ``validation_size`` and ``seed`` for a file that names no split."""

    BUILDER_CONFIG_CLASS = AnnotatedConfig
    AREA = True
    NEEDS = "the folder with coco_wholebody_train_v1.0.json or coco_wholebody_val_v1.0.json and COCO's images"
    FACTS = DatasetFacts(
        title="COCO-WholeBody",
        summary="COCO-WholeBody: people in everyday photographs with body and hands labelled, as 64 points each.",
        licence="other",
        homepage="https://github.com/jin-s13/COCO-WholeBody",
        citation="""@inproceedings{jin2020whole,
  title = {Whole-Body Human Pose Estimation in the Wild},
  author = {Jin, Sheng and Xu, Lumin and Xu, Jin and Wang, Can and Liu, Wentao and Qian, Chen and Ouyang, Wanli and Luo, Ping},
  booktitle = {Proceedings of the European Conference on Computer Vision (ECCV)},
  year = {2020}
}""",
        split_rule="The publisher's splits, those of COCO 2017.",
        processing="The 133 points became 64 by name; half a pixel was added; hands count where the publisher calls them valid.",
        limits=(
            "For research that is not commercial.",
            "Most hands are too small to be labelled, and few people sign.",
        ),
        anchors=("COCO-WholeBody-Hand, PCK@0.2: ResNet-50 0.800, RTMPose-m 0.815 (mmpose)",),
    )

    def find_files(self, folder: Path) -> list[Path]:
        self.tables = find_annotations(folder, "*[wW]hole[bB]ody*.json")
        if not self.tables:
            raise FileNotFoundError(f"{folder} holds no annotations (*wholebody*.json); it should be {self.NEEDS}.")
        self.pictures = find_pictures(folder)
        return [*self.tables.values(), *paths_of(self.pictures)]

    def read(self) -> dict[str | None, list[KeypointLabel]]:
        faults: list[Fault] = []
        splits: dict[str | None, list[KeypointLabel]] = {}
        for split, file in self.tables.items():
            annotated = read_annotations(self.folder, file, self.pictures, self.config.on_error, faults)
            labels = [_label(one, file, faults) for one in annotated if not one.annotation.get("iscrowd")]
            splits[split] = [label for label in labels if label is not None]
        if faults:
            raise DatasetError(self.folder, faults, shown=_MOST_SHOWN)
        return splits


def _label(one: Annotated, file: Path, faults: list[Fault]) -> KeypointLabel | None:
    values = np.zeros((len(_WHOLE), 3))
    body = triples(one, "keypoints", 17, file, faults)
    if body is None:
        return None
    values[:17] = body
    for hand, points in _HANDS.items():
        if one.annotation.get(f"{hand}_valid"):
            labelled = triples(one, f"{hand}_kpts", len(points), file, faults)
            if labelled is None:
                return None
            values[list(points)] = labelled
    xy, labelled = values[_ORDER, :2], values[_ORDER, 2] > 0
    labelled &= ((xy >= 0) & (xy <= one.size)).all(1)
    if not labelled.any():
        return None
    bbox = box(one, file, faults)
    if bbox is None:
        return None
    keypoints = np.where(labelled[:, None], np.minimum(xy + 0.5, one.size), np.nan).astype(np.float32)
    area = one.annotation.get("area")
    return KeypointLabel(
        f"{one.path.stem}-{one.annotation['id']}", one.path, one.size, keypoints, bbox, one.path.name,
        None if area is None else float(area),
    )  # fmt: skip
