"""Which frames of a clip are worth labelling: few that differ, instead of many that resemble each other.

Frames are picked by farthest-point sampling (Gonzalez 1985): each next one is the frame whose pose is furthest from all that were picked. A
pose is the upper body around the middle of the shoulders, in shoulder widths, and the shape of each hand around its wrist, in its own
size; a hand that is seen differs from one that is not. Evenly spaced frames would mostly show a signer at rest.
"""

from __future__ import annotations

import numpy as np

from ..landmarks import Layout

_BODY = ("nose", *(f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist")))
_HANDS = ("left_hand", "right_hand")
_SHAPE = 0.7  # of a hand, as against the place of the arms
_SEEN = 0.5  # what a hand that comes or goes is worth, in shoulder widths
_LEAST_POINTS = 8
SAME_POSE = 0.02
"""Distance up to which two poses count as the same. MediaPipe trembles by 0.001 to 0.01 while a signer holds still."""


def pose_descriptors(keypoints: np.ndarray, layout: Layout) -> np.ndarray:
    """(T, D) descriptors whose Euclidean distance says how much two poses differ, about in shoulder widths.

    Args:
        keypoints: (T, K, 2) pixels, NaN where not visible.
        layout: names of the K points.
    """
    points = np.asarray(keypoints, np.float64)
    body = points[:, layout.indices(_BODY)]
    shoulders = points[:, layout.indices(("left_shoulder", "right_shoulder"))]
    width = _median(np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=1))
    if width is None:
        spread = [np.ptp(frame[~np.isnan(frame[:, 0])], axis=0).max() for frame in points if not np.isnan(frame).all()]
        width = _median(np.array(spread)) or 1.0
    blocks = [_filled((body - shoulders.mean(1, keepdims=True)) / width) / np.sqrt(len(_BODY))]
    for hand in _HANDS:
        part = points[:, list(layout.parts[hand])]
        shape = part - part[:, :1]
        sizes = np.linalg.norm(shape, axis=2)
        seen = ~np.isnan(sizes).all(axis=1)
        size = np.full(len(part), np.nan)
        size[seen] = np.nanmax(sizes[seen], axis=1)
        shape = shape / np.where(size > 0, size, np.nan)[:, None, None]
        blocks.append(_SHAPE * np.where(np.isnan(shape), 0, shape) / np.sqrt(part.shape[1]))
        blocks.append(_SEEN * seen[:, None, None].astype(float))
    return np.concatenate([block.reshape(len(points), -1) for block in blocks], axis=1)


def choose_frames(
    keypoints: np.ndarray, layout: Layout, count: int, *, seed: int = 0, least_distance: float = SAME_POSE
) -> np.ndarray:
    """At most ``count`` frames that differ as much as they can, in the order of the clip.

    Args:
        keypoints: (T, K, 2) pixels, NaN where not visible. A frame with fewer than 8 visible points is not chosen.
        layout: names of the K points.
        count: how many.
        seed: chooses the first one, which the others follow from.
        least_distance: a frame that is nearer than that to a chosen one is not chosen, so a clip that stands still gives few.
    """
    usable = np.flatnonzero((~np.isnan(keypoints[..., 0])).sum(axis=1) >= _LEAST_POINTS)
    if not len(usable) or count < 1:
        return np.zeros(0, int)
    poses = pose_descriptors(keypoints, layout)[usable]
    chosen = [int(np.random.default_rng(seed).integers(len(usable)))]
    distance = np.linalg.norm(poses - poses[chosen[0]], axis=1)
    while len(chosen) < min(count, len(usable)):
        furthest = int(distance.argmax())
        if distance[furthest] <= least_distance:
            break
        chosen.append(furthest)
        distance = np.minimum(distance, np.linalg.norm(poses - poses[furthest], axis=1))
    return np.sort(usable[chosen])


def _filled(points: np.ndarray) -> np.ndarray:
    """Points that are not visible at their usual place in the clip, where they differ from nothing."""
    filled = points.copy()
    for i in range(points.shape[1]):
        seen = ~np.isnan(points[:, i, 0])
        filled[~seen, i] = np.median(points[seen, i], axis=0) if seen.any() else 0
    return filled


def _median(values: np.ndarray) -> float | None:
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) and np.median(values) > 0 else None
