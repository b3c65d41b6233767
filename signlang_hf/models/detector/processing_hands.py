"""A second look at the hands: a detector of one hand, on what the detector of the whole person takes for hands.

In a picture of a person a hand is thirty pixels wide, and a network that sees all of the person has few cells left for it. MediaPipe Holistic
(Grishchenko and Bazarevsky 2020) answers that with a network of its own for hands, and so does this: the detector's points say where a hand
is, the square around them is cut out of the picture and looked at by a smaller detector, whose points take the place of the first ones.

Design decisions:

* The second model knows right hands only; a left hand is mirrored on its way in, and its points on their way out.
* It is a detector like any other, with a configuration and a processor, in the folder ``hands`` of the first model's folder. Where there is
  no such folder, there is no second look.
* The square comes from the person as well as from the hand's points: the first look is right about where a forearm points long before it is
  right about fingers, above all with people unlike those it has learned from. Where hand and forearm disagree, the surer one weighs more. What
  is found in the square says better where to look, so a hand is looked at more than once. In film the frames around it say so, too, and it
  takes fewer looks (:mod:`~signlang_hf.models.detector.processing_hands_film`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...landmarks import get_layout
from .processing_detector import SignDetectorProcessor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FOLDER = "hands"
"""Folder of the second model within that of the first."""
LAYOUT = "right-hand-21"
_FEWEST = 4  # points of a hand that the first look is sure of
# Chosen on made-up pictures of validation, and on film of one room that the detector had not seen.
_ROUNDS = 3
_AROUND_POINTS = 1.9  # side of the first square in longer sides of the box around the points
_AROUND_PERSON = (0.7, 1.3)  # its least and largest side in distances of the shoulders
_BEYOND_WRIST = 0.3  # where a hand's middle is, in forearms from the wrist on
_AROUND_HAND = 1.8  # side of the square around what was found in the square before: what the model was trained with


class HandDetector:
    """Looks at hands again.

    Args:
        model: a detector of the points of ``right-hand-21``.
        processor: its processor.
        layout: of the first look's points.

    Raises:
        ValueError: a model of other points, or a layout without hands.
    """

    def __init__(self, model: PreTrainedModel, processor: SignDetectorProcessor, layout: str = "signlang-64") -> None:
        processor.require_model(model)
        if processor.layout != LAYOUT:
            raise ValueError(
                f"The detector of hands finds the points of the layout '{processor.layout}'; they must be those of '{LAYOUT}'."
            )
        known = get_layout(layout)
        ours = get_layout(LAYOUT).points
        if any(point not in known.index for point in ours):
            raise ValueError(f"The layout '{layout}' has no hands to look at again.")
        self.model, self.processor = model, processor
        # Positions of a hand's points among those of the layout.
        self.hands = {
            side: known.indices(point.replace("right_", f"{side}_", 1) for point in ours) for side in ("left", "right")
        }
        self._shoulders = [known.index[f"{side}_shoulder"] for side in ("left", "right")]
        self._arms = {side: [known.index[f"{side}_wrist"], known.index[f"{side}_elbow"]] for side in ("left", "right")}

    @classmethod
    def beside(
        cls, folder: str | os.PathLike[str], layout: str = "signlang-64", **settings: Any
    ) -> HandDetector | None:
        """The detector in the folder ``hands`` of a model's folder or Hub repository; None where there is none.

        Args:
            folder: of the first model, or its Hub id.
            settings: further arguments of ``from_pretrained`` of the model, such as ``dtype``.
        """
        from .modeling_detector import SignDetectorForKeypointDetection

        if not _has_hands(folder):
            return None
        where = os.fspath(folder)
        model = SignDetectorForKeypointDetection.from_pretrained(where, subfolder=FOLDER, **settings)
        return cls(model.eval(), SignDetectorProcessor.from_pretrained(where, subfolder=FOLDER), layout)

    def to(self, device: Any) -> HandDetector:
        """Move the model."""
        self.model.to(device)
        return self

    def __call__(
        self, pictures: Sequence[np.ndarray], points: np.ndarray, scores: np.ndarray, threshold: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points with those of the hands found anew.

        Args:
            pictures: N arrays (H, W, 3) uint8 RGB.
            points: (N, K, 2) pixels, of the first look.
            scores: (N, K) their scores.
            threshold: score from which the first look is believed; a hand with fewer than four such points is left as it is.

        Returns:
            points and scores, both new arrays.
        """
        points, scores = np.array(points, np.float32), np.array(scores, np.float32)
        for number in range(_ROUNDS):
            squares = self.squares(points, scores, threshold, first=number == 0)
            found, sure = self.look(pictures, squares)
            for (row, side), where, score in zip(squares, found, sure):
                points[row, self.hands[side]], scores[row, self.hands[side]] = where, score
        return points, scores

    def squares(
        self, points: np.ndarray, scores: np.ndarray, threshold: float = 0.0, *, first: bool
    ) -> dict[tuple[int, str], np.ndarray]:
        """(number of the picture, side) → (4,) x0, y0, x1, y1 of the square to look at, where there is a hand.

        Args:
            points: (N, K, 2) pixels.
            scores: (N, K) their scores.
            threshold: score from which a point counts.
            first: the points are those of the first look; otherwise they were found in a square.
        """
        found = {}
        for row in range(len(points)):
            for side in self.hands:
                square = self._square(points[row], scores[row], side, threshold, first)
                if square is not None:
                    found[row, side] = square
        return found

    def look(
        self, pictures: Sequence[np.ndarray], squares: Mapping[tuple[int, str], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, 21, 2) in pixels of their pictures and scores (n, 21), float32, of the hands in n squares."""
        if not squares:
            return np.empty((0, len(self.hands["left"]), 2), np.float32), np.empty(
                (0, len(self.hands["left"])), np.float32
            )
        seen, boxes = [], []
        for (row, side), box in squares.items():
            picture = pictures[row]
            if side == "left":
                picture, width = picture[:, ::-1], picture.shape[1]
                box = np.array([width - box[2], box[1], width - box[0], box[3]])
            seen.append(picture)
            boxes.append(box)
        batch = self.processor(seen, boxes=np.array(boxes), return_tensors="pt")
        with torch.inference_mode():
            outputs = self.model(pixel_values=batch["pixel_values"].to(self.model.device))
        found = self.processor.post_process_keypoint_detection(outputs, batch["crops"], threshold=0.0)
        points = [
            [picture.shape[1], 0] + one["keypoints"] * [-1, 1] if side == "left" else one["keypoints"]
            for (_, side), picture, one in zip(squares, seen, found)
        ]
        return np.stack(points).astype(np.float32), np.stack([one["scores"] for one in found])

    def _square(
        self, points: np.ndarray, scores: np.ndarray, side: str, threshold: float, first: bool
    ) -> np.ndarray | None:
        """(4,) x0, y0, x1, y1 of the square to look at; None where there is no hand."""
        hand = self.hands[side]
        sure = np.isfinite(points).all(axis=1) & (scores >= threshold) & (scores > 0)
        held = points[hand][sure[hand]]
        if len(held) < _FEWEST:
            return None
        low, high = held.min(axis=0), held.max(axis=0)
        middle, length = (low + high) / 2, float((high - low).max())
        if first:
            middle = np.average(held, axis=0, weights=scores[hand][sure[hand]] ** 2)
            length *= _AROUND_POINTS
            if sure[self._arms[side]].all():
                (wrist, elbow), trust = points[self._arms[side]], [scores[hand].mean(), scores[self._arms[side][0]]]
                middle = np.average([middle, wrist + _BEYOND_WRIST * (wrist - elbow)], axis=0, weights=trust)
            if sure[self._shoulders].all():
                shoulders = float(np.linalg.norm(np.subtract(*points[self._shoulders])))
                length = float(np.clip(length, *(share * shoulders for share in _AROUND_PERSON)))
        else:
            length *= _AROUND_HAND
        half = max(length, 2.0) / 2
        return np.concatenate([middle - half, middle + half])


def _has_hands(folder: str | os.PathLike[str]) -> bool:
    """Whether a model's folder, or the Hub repository of that name, has a detector of hands."""
    if Path(folder).is_dir():
        return (Path(folder) / FOLDER / "config.json").is_file()
    from huggingface_hub.utils import HFValidationError, validate_repo_id
    from transformers.utils import has_file

    try:
        validate_repo_id(os.fspath(folder))
    except HFValidationError:  # a folder that is no more
        return False
    return has_file(os.fspath(folder), f"{FOLDER}/config.json")


__all__ = ["FOLDER", "HandDetector"]
