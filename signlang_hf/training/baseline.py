"""A nearest-neighbour baseline: what looking up the most similar training clip is worth, on the very same splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence
from ..landmarks.normalize import hand_shape, normalize, normalize_side, resample
from ..landmarks.rows import to_sequence

_MOMENTS = 8


def describe(sequence: LandmarkSequence) -> np.ndarray:
    """(D,) descriptor of a clip, 0 where nothing was seen.

    Layouts with hands: both hands about their wrists at the middle of the clip, signing hand on the right. Other layouts:
    normalised positions at eight evenly spaced moments.
    """
    parts = sequence.spec.parts
    if "left_hand" in parts and "right_hand" in parts:
        shape = hand_shape(resample(normalize_side(sequence), num_frames=1))
    else:
        shape = resample(normalize(sequence, "centroid"), num_frames=_MOMENTS).data
    return np.nan_to_num(shape).ravel()


class NearestNeighbour:
    """1-NN under the Euclidean distance of :func:`describe`, with a score for every class."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], num_labels: int) -> None:
        self.num_labels = num_labels
        described = [(describe(to_sequence(row)), int(row["label"])) for row in rows]  # one pass: rows may be on disk
        self.descriptors = np.stack([descriptor for descriptor, _ in described])
        self.labels = np.array([label for _, label in described])

    def scores(self, rows: Iterable[Mapping[str, Any]]) -> np.ndarray:
        """(N, num_labels): minus the distance to the nearest training clip of each class, -inf for a class without any."""
        queries = np.stack([describe(to_sequence(row)) for row in rows])
        squared = (queries**2).sum(1)[:, None] - 2 * queries @ self.descriptors.T + (self.descriptors**2).sum(1)
        distances = np.sqrt(np.maximum(squared, 0))
        scores = np.full((len(queries), self.num_labels), -np.inf)
        for label in np.unique(self.labels):
            scores[:, label] = -distances[:, self.labels == label].min(axis=1)
        return scores
