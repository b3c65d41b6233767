"""From what a model says about features back to the landmarks of the clip: feature → point, model frame → frame, layout → layout.

Gradients live on the processor's features (T', F). A user wants them on the points of the clip (T, K). Design decisions:

* Which points a feature shows is **found out, not tabulated**: every point of a random clip is moved in turn, and a feature
  belongs to the points that change it, in proportion to how much. So any feature and any layout is covered, also one that is
  written tomorrow. A feature that no movement changes (visibility, presence) belongs to the points whose mere appearance
  changes it.
* The random clip drifts without changing its shape, and only one of its frames is disturbed. What a feature takes from the whole
  clip, such as a median palm as its unit of length or an alignment in time, does not notice, so it does not make every feature
  belong to the points that it is measured by.
* Where a cell of the model's clip comes from is **carried along**: a tag with time and point travels through the processor in the
  place of the metric coordinates, which every step moves with its point and none computes with. Resampling, mirroring, another
  layout and exchanged hands are thereby undone exactly, whatever the processor's settings are.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout

_FRAMES = 7  # a middle one with room for second derivatives on both sides
# A point is moved along all four diagonals of space, each in a random clip of its own.
_STEPS = 1e-3 * np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)])


def feature_shares(processor: Any) -> np.ndarray:
    """How much of each feature belongs to each point of the processor's layout.

    Args:
        processor: a keypoint processor.

    Returns:
        (F, K') float32; a row sums to 1, or to 0 for a feature that no point changes.
    """
    probe = copy.copy(processor)
    probe.prepare = lambda sequence: sequence  # the features alone, on points that are in place already
    count, middle = len(get_layout(processor.layout)), _FRAMES // 2
    rng = np.random.default_rng(0)

    def features(data: np.ndarray) -> np.ndarray:
        fps = processor.target_fps or 25.0
        return probe.extract(LandmarkSequence(data, processor.layout, fps=fps, units="unknown"))

    moved = np.zeros((processor.feature_size, count))
    for step in _STEPS:
        clip = rng.normal(size=(count, 3)) + 0.3 * np.arange(_FRAMES)[:, None, None] * rng.normal(size=3)
        before = features(clip)
        for point in range(count):
            after = clip.copy()
            after[middle, point] += step
            moved[:, point] += np.abs(features(after) - before).sum(axis=0)
        moved[moved < 1e-6 * np.abs(before).max(axis=0)[:, None]] = 0  # rounding
    moved[moved < 1e-3 * moved.max(axis=1, keepdims=True)] = 0

    still = moved.sum(axis=1) == 0
    if still.any():
        nobody = np.full((_FRAMES, count, 3), np.nan)
        before = features(nobody)
        for point in range(count):
            after = nobody.copy()
            after[middle, point] = rng.normal(size=3)
            moved[still, point] = np.abs(features(after) - before).sum(axis=0)[still]
    total = moved.sum(axis=1, keepdims=True)
    return np.divide(moved, total, out=np.zeros_like(moved), where=total > 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Origin:
    """Where each cell of the model's clip comes from.

    Args:
        frames: (T', K') position among the clip's frames, with a fraction where frames were interpolated.
        points: (T', K') position among the clip's points; -1 where the cell comes from none.
        shape: (T, K) of the clip.
    """

    frames: np.ndarray
    points: np.ndarray
    shape: tuple[int, int]

    def carry(self, heat: np.ndarray) -> np.ndarray:
        """Heat (T', K') of the model's clip → (T, K) of the clip.

        Frames are aggregated by max-pooling: a frame of the clip gets the largest heat of the model's frames that fall on it,
        and between the model's frames heat is interpolated. Frames that the model never saw get none.
        """
        carried = np.zeros(self.shape, np.float32)
        clock = np.arange(self.shape[0])
        for column in range(heat.shape[1]):
            known = np.flatnonzero(self.points[:, column] >= 0)
            known = known[np.argsort(self.frames[known, column], kind="stable")]
            place, owners = self.frames[known, column], self.points[known, column]
            for point in np.unique(owners):
                value = np.where(owners == point, heat[known, column], 0)
                pooled = np.interp(clock, place, value).astype(np.float32)
                np.maximum.at(pooled, np.clip(np.rint(place).astype(int), 0, self.shape[0] - 1), value)
                step = np.diff(place).max(initial=1)
                pooled[(clock < place[0] - step) | (clock > place[-1] + step)] = 0
                # Points that are one in the clip and two in the model add up.
                carried[:, point] += pooled
        return carried


def origin(processor: Any, sequence: LandmarkSequence) -> Origin:
    """Frame and point of the clip that each cell of ``processor.prepare(sequence)`` comes from."""
    frames, points = sequence.data.shape[:2]
    times = sequence.timestamps - sequence.timestamps[0]
    tag = np.zeros((frames, points, 4), np.float32)
    tag[..., 1] = times[:, None]
    tag[..., 2] = np.arange(points)
    world = processor.prepare(sequence.replace(world=tag)).world
    point = np.rint(world[..., 2])
    # Missing: a point that the clip's layout lacks. Between two numbers: the moment in which two hands change places.
    lost = np.isnan(world[..., 2]) | (np.abs(world[..., 2] - point) > 0.01)
    place = np.interp(np.where(lost, 0, world[..., 1]), times, np.arange(frames))
    return Origin(place, np.where(lost, -1, point).astype(int), (frames, points))
