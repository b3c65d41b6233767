"""Alignment in time: clips against one reference path by dynamic time warping (Sakoe & Chiba 1978).

Design decisions:

* The reference path is **class-free**: one path for all signs, measured on training clips as their barycentre under DTW
  (Petitjean et al. 2011). It is what all signs share (hands come up, act, go down); what is left beside it tells them
  apart.
* A clip is aligned by its key points alone: elbow, wrist and three finger tips of each arm, as far as the layout has
  them.
* It is aligned by how they **move**: both paths are centred in time and brought to one root mean square, and both have
  one length. Where a signer holds the hands and how large the sign is would otherwise outweigh when they move, and
  nothing would be shifted at all.
* A band keeps every frame within a quarter of the clip from where it was, and every step off the diagonal costs
  something, so that no moment is stretched beyond sense. ISL-30 turned to the front, four signers left out one by one,
  extremely randomised trees on 16 frames: 72.8 % unaligned, 74.7 % aligned without that cost, 76.4 % with it.
* A key point that is missing for a while is carried over the gap, for the alignment only; one that the clip never saw
  takes no part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .layout import Layout, get_layout
from .normalize import interpolate
from .sequence import LandmarkSequence

KEY_POINTS: tuple[str, ...] = tuple(
    f"{side}_{point}"
    for side in ("left", "right")
    for point in ("elbow", "wrist", "hand_thumb_tip", "hand_index_tip", "hand_little_tip")
)
"""The 10 points of the feature ``trajectory``: of each side elbow, wrist, thumb, index and little finger tip."""

REFERENCE_STEPS = 32
_EPSILON = 1e-6
_BAND = 0.25
_COST_OF_A_STEP = 0.3  # of the mean squared distance of a point from its own mean
# What shows the arms in layouts without fingers or without sides.
_OTHER_KEY_POINTS = ("left_hand", "right_hand") + tuple(
    f"{hand}_{point}" for hand in ("hand1", "hand2") for point in ("wrist", "thumb_tip", "index_tip", "little_tip")
)


def key_points(layout: str | Layout) -> list[str]:
    """Names of the P points that clips of a layout are aligned by: those of :data:`KEY_POINTS` that it has, then single
    hand points and hands without sides. Raises ValueError where it has none of them."""
    spec = get_layout(layout)
    points = [point for point in KEY_POINTS + _OTHER_KEY_POINTS if point in spec.index]
    if not points:
        raise ValueError(f"Layout '{spec.name}' has no elbow, wrist or hand; alignment in time needs one of them.")
    return points


def key_path(sequence: LandmarkSequence) -> np.ndarray:
    """(T, P, 3) the clip's :func:`key_points`, NaN where they were not seen."""
    return sequence.data[:, sequence.spec.indices(key_points(sequence.spec))]


def warping_path(path: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which frame of ``path`` (T, P, d) goes with which step of ``reference`` (R, P, d), first stretched to T steps.

    Returns:
        two index arrays of one length with values 0 to T - 1, neither of them decreasing, each beginning with 0
        and ending with T - 1. They are equal where there is nothing to align by: nobody seen, or nothing that moves.

    Raises:
        ModuleNotFoundError: dtaidistance is not installed.
    """
    return _warping_path(_carried(path), _stretched(_table(reference), len(path)))


def reference_path(paths: Sequence[np.ndarray], steps: int = REFERENCE_STEPS, rounds: int = 5) -> np.ndarray:
    """The path that clips have in common: their barycentre under DTW.

    It begins as the mean of the clips, each stretched to ``steps``. Each of the ``rounds`` aligns all clips with it and
    moves every step to the mean of what was aligned with that step.

    Args:
        paths: :func:`key_path` of each clip, all in one layout and normalised alike.

    Returns:
        (steps, P, 3) float32; 0 for a point that no clip saw.

    Raises:
        ValueError: there is no clip in which any key point was seen.
        ModuleNotFoundError: dtaidistance is not installed.
    """
    clips = [_stretched(_carried(path), steps) for path in paths if not np.isnan(path).all()]
    if not clips:
        raise ValueError("There is no clip to measure the reference path on, or no hand or arm was seen in any.")
    reference = _mean_by_step(clips, [np.arange(steps)] * len(clips), steps)
    for _ in range(rounds):
        ways = [_warping_path(clip, reference) for clip in clips]
        reference = _mean_by_step([clip[way[0]] for clip, way in zip(clips, ways)], [way[1] for way in ways], steps)
    return reference.reshape(steps, -1, 3).astype(np.float32)


def trajectory(sequence: LandmarkSequence, reference: np.ndarray | None = None, dims: int = 3) -> np.ndarray:
    """Where the 10 :data:`KEY_POINTS` are, relative to the reference path at the moment that the clip has reached.

    In frame t: position - mean position of the reference path over the steps that are aligned with frame t, in the
    units of ``sequence``, which must be normalised as the reference was.

    Args:
        sequence: normalised landmarks.
        reference: (R, P, 3) of :func:`reference_path` with the layout's :func:`key_points`. None: each point's mean
            position in the clip takes its place in all frames, without alignment.

    Returns:
        (T, 10 · dims) float32, by point, NaN where a point was not seen.

    Raises:
        ValueError: which of the 10 points the layout lacks.
    """
    sequence.spec.indices(KEY_POINTS)
    path = key_path(sequence)[..., :dims]
    if len(path) == 0:
        return path.reshape(0, len(KEY_POINTS) * dims)
    carried = _carried(path)
    if reference is None:
        expected = carried.mean(axis=0)
    else:
        steps = _stretched(_table(reference[..., :dims]), len(path))
        frame, step = _warping_path(carried, steps)
        expected = _mean_by_step([steps[step]], [frame], len(path))
    relative = _table(path) - expected
    return relative[:, : len(KEY_POINTS) * dims].astype(np.float32)


def align(sequence: LandmarkSequence, reference: np.ndarray, dims: int = 3) -> LandmarkSequence:
    """The clip at the pace of the reference path: as many frames on the same clock, its moments moved to where DTW sees
    them in the reference, which is stretched to the clip's length. First and last frame stay.

    Args:
        reference: (R, P, 3), as in :func:`trajectory`; the clip must be normalised as it was.
        dims: 2 aligns by x and y alone.

    A clip of fewer than three frames has no pace and stays as it is.
    """
    frames = len(sequence)
    if frames < 3:
        return sequence
    frame, step = warping_path(key_path(sequence)[..., :dims], reference[..., :dims])
    moment = np.bincount(step, weights=frame) / np.bincount(step)  # for each new frame the mean of the old ones
    moment[[0, -1]] = 0, frames - 1
    return interpolate(sequence, np.interp(moment, np.arange(frames), sequence.timestamps), sequence.timestamps)


# --------------------------------------------------------------------------------------------- paths as tables (T, P · d)


def _table(path: np.ndarray) -> np.ndarray:
    """(T, P, d) → (T, P · d)."""
    return path.reshape(len(path), -1)


def _warping_path(path: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        from dtaidistance import dtw_ndim
    except ImportError:
        raise ModuleNotFoundError('Alignment in time needs dtaidistance: pip install "signlang-hf[features]"') from None
    seen = ~np.isnan(path[0])
    first, second = (_movement(table[:, seen]) for table in (path, reference))
    if first is None or second is None:
        return np.arange(len(path)), np.arange(len(path))
    pairs = dtw_ndim.warping_path(
        first,
        second,
        window=1 + round(_BAND * len(path)),
        penalty=np.sqrt(_COST_OF_A_STEP * seen.sum()),  # squared by the package, as distances are
        use_c=True,
    )
    frame, step = np.array(pairs).T
    return frame, step


def _movement(path: np.ndarray) -> np.ndarray | None:
    """(T, D) about its mean over time and with a root mean square of 1; None where nothing moves or is there."""
    centred = path - path.mean(axis=0)
    size = np.sqrt((centred**2).mean()) if centred.size else 0.0
    return np.ascontiguousarray(centred / size) if size > _EPSILON else None


def _carried(path: np.ndarray) -> np.ndarray:
    """:func:`_table` in float64 with gaps interpolated and ends held; NaN for a point that was never seen."""
    carried = path.astype(np.float64)
    seen = ~np.isnan(path[..., 0])
    frames = np.arange(len(path))
    for point in np.flatnonzero(seen.any(axis=0) & ~seen.all(axis=0)):
        known = frames[seen[:, point]]
        for axis in range(path.shape[2]):
            carried[:, point, axis] = np.interp(frames, known, path[known, point, axis])
    return _table(carried)


def _stretched(path: np.ndarray, steps: int) -> np.ndarray:
    """(T, D) → (steps, D), linear between frames."""
    place = np.linspace(0, len(path) - 1, steps)
    before = place.astype(int)
    weight = (place - before)[:, None]
    return path[before] * (1 - weight) + path[np.minimum(before + 1, len(path) - 1)] * weight


def _mean_by_step(tables: Sequence[np.ndarray], steps: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Mean (count, D) of the seen rows (n, D) of all tables by the step that a row belongs to; 0 without any."""
    total, number = np.zeros((2, count, tables[0].shape[1]))
    for table, step in zip(tables, steps):
        seen = ~np.isnan(table)
        np.add.at(total, step, np.where(seen, table, 0))
        np.add.at(number, step, seen)
    return total / np.maximum(number, 1)
