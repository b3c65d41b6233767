"""Pictures with points for the Trainer: rows of a keypoint dataset, turned into square views when they are asked for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .image_augment import ImageAugmenter, padded

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import BaseImageProcessor

LOOKS = ("person", "image", "hand")
"""What is learned from and looked at: the person's box, the whole picture (in evaluation), or each hand as a picture of its own."""


class KeypointViews(torch.utils.data.Dataset):
    """Row i → ``{"pixel_values": (3, S, S) float32, "labels": (K, 3) float32}``: x, y in pixels of the view and a weight, 0 where the
    point is not to be seen.

    With an augmenter the view is drawn from a generator made of (seed, epoch, i) and of nothing else, as clips are
    (:class:`.clips.ClipDataset`); without one it is what the processor makes of the picture.

    Args:
        rows: dataset with the columns ``image``, ``keypoints``, ``visible`` and ``bbox``.
        processor: of the detector.
        augmenter: draws views; None for evaluation.
        seed: of the augmenter.
        look_at: one of :data:`LOOKS`, where there is no augmenter.
        padding: how much larger than the box its view is.
    """

    def __init__(
        self,
        rows: Dataset,
        processor: BaseImageProcessor,
        augmenter: ImageAugmenter | None = None,
        seed: int = 0,
        look_at: str = "person",
        padding: float = 1.25,
    ) -> None:
        self.rows, self.processor, self.augmenter, self.seed = rows, processor, augmenter, seed
        self.look_at, self.padding = look_at, padding
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that outlive an epoch see it change

    @property
    def epoch(self) -> int:
        """Epoch that views are drawn for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """To be called at the start of each epoch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        row = self.rows[int(index)]
        points, visible = np.array(row["keypoints"], np.float32), np.array(row["visible"], bool)
        box, image = np.array(row["bbox"], float), row["image"].convert("RGB")
        if self.augmenter is not None:
            rng = np.random.default_rng([self.seed, self.epoch, int(index)])
            view = self.augmenter(image, points, visible, box, rng)
            values = view.pixels.transpose(2, 0, 1).astype(np.float32) / 255
            return {"pixel_values": values, "labels": np.column_stack([view.points, view.weights])}
        boxes = None if self.look_at == "image" else [corners(squared(padded(box, self.padding)))]
        seen = self.processor(image, boxes=boxes, return_tensors="np")
        return {"pixel_values": seen["pixel_values"][0], "labels": labels_of(points, visible, seen["crops"][0])}


def corners(box: np.ndarray) -> np.ndarray:
    """(4,) left, top, right, bottom of x, y, width, height."""
    return np.concatenate([box[:2], box[:2] + box[2:]]).astype(np.float32)


def squared(box: np.ndarray) -> np.ndarray:
    """(4,) the square about a box x, y, width, height: what lies beside somebody is seen, as it is in training, and not grey."""
    side = box[2:].max()
    return np.array([*(box[:2] + (box[2:] - side) / 2), side, side])


def labels_of(points: np.ndarray, visible: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """(K, 3) what is to be found in a view: ``points`` (K, 2) of the picture in pixels of the view, and 1 where they are ``visible``.

    Args:
        crop: (3,) of the processor: left and top in the picture's pixels, picture pixels per pixel of the view.
    """
    return np.column_stack([(points - crop[:2]) / crop[2], visible]).astype(np.float32)


def collate(views: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """A batch of views."""
    return {name: torch.from_numpy(np.stack([view[name] for view in views])) for name in views[0]}


def keypoint_digest(rows: Dataset) -> str:
    """Hash of what is trained on: ids, sizes, points and who is to be seen, in their order. Pictures are known by their rows' ids."""
    found = hashlib.blake2b(digest_size=16)
    told: Any = rows.select_columns(["id", "width", "height", "keypoints", "visible", "bbox"])
    for row in told:
        found.update(repr(sorted(row.items())).encode())
    return found.hexdigest()


__all__ = ["LOOKS", "KeypointViews", "collate", "corners", "keypoint_digest", "labels_of", "squared"]
