"""Whatever a user has → :class:`LandmarkSequence`: the one place where pipelines look at the type of their input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..landmarks import LANDMARK_SUFFIXES, LandmarkSequence, get_layout, load_landmarks
from ..landmarks.rows import to_sequence
from ..pose import PoseEstimator, estimate_frames, estimate_video
from ..video import Video

ACCEPTED = (
    "a video or image file (path, URL or bytes), a .npz/.pose/.npy landmark file, RGB frames (T, H, W, 3) uint8, "
    "one RGB image, a LandmarkSequence, a dataset row, or landmarks (T, K, 3)"
)


def with_clock_and_size(inputs: Any) -> Any:
    """The rows that a ``landmarks`` column was taken from, a generator for a ``KeyDataset``; anything else as it is.

    Landmarks alone have lost their time stamps, and without the picture's size a 16:9 clip looks like a square one.
    """
    column, source = getattr(inputs, "column_name", None), getattr(inputs, "source", None)
    if column is None:  # transformers' KeyDataset
        column, source = getattr(inputs, "key", None), getattr(inputs, "dataset", None)
    if column != "landmarks" or "layout" not in (getattr(source, "features", None) or ()):
        return inputs
    return source if hasattr(inputs, "column_name") else (row for row in source)


def to_landmarks(
    source: Any,
    estimator: Callable[[], PoseEstimator],
    *,
    layout: str,
    fps: float | None = None,
) -> LandmarkSequence:
    """Landmarks of anything in :data:`ACCEPTED`.

    Args:
        source: the input.
        estimator: gives the pose estimator; called only when there are pictures to look at.
        layout: layout of bare landmark arrays.
        fps: frame rate of bare frames and arrays; default 25.

    Raises:
        FileNotFoundError, ValueError: one sentence that says what is wrong with the input.
    """
    if isinstance(source, LandmarkSequence):
        return source
    if isinstance(source, Mapping):
        return _from_mapping(source, estimator)
    if isinstance(source, (str, Path)):
        if Path(source).suffix.lower() in LANDMARK_SUFFIXES and "://" not in str(source):
            bare = Path(source).suffix.lower() == ".npy"  # the other two name their own
            return load_landmarks(source, layout=layout if bare else None, fps=fps)
        return estimate_video(source, estimator())
    if isinstance(source, (bytes, bytearray, Video)):
        return estimate_video(source, estimator())
    if hasattr(source, "convert") and hasattr(source, "mode"):  # a PIL image
        source = np.asarray(source.convert("RGB"))
    return _from_array(source, estimator, layout, fps)


def _from_mapping(source: Mapping[str, Any], estimator: Callable[[], PoseEstimator]) -> LandmarkSequence:
    if "landmarks" in source:
        return to_sequence(source)
    for key in ("bytes", "path"):  # datasets.Video(decode=False)
        if source.get(key) is not None:
            return estimate_video(source[key], estimator())
    raise ValueError(
        f"A dataset row needs a 'landmarks' column, or a video's 'path' or 'bytes'; it has {', '.join(source)}."
    )


def _from_array(
    source: Any, estimator: Callable[[], PoseEstimator], layout: str, fps: float | None
) -> LandmarkSequence:
    try:
        array = np.asarray(source)
    except ValueError:  # ragged lists
        array = np.empty((), object)
    if array.ndim == 0 or array.dtype.kind not in "fiu":
        raise ValueError(f"Cannot recognise signs in {type(source).__name__}; give {ACCEPTED}.")
    if array.dtype == np.uint8:
        if array.ndim not in (3, 4) or array.shape[-1] != 3:
            raise ValueError(f"Frames must have shape (T, H, W, 3), RGB; these have {array.shape}.")
        return estimate_frames(array, estimator(), fps=25.0 if fps is None else fps)
    if array.ndim == 4:
        raise ValueError(f"Frames must be uint8 in 0..255; these are {array.dtype}.")
    if array.ndim == 3:
        points = len(get_layout(layout))
        if array.shape[1] != points:
            raise ValueError(
                f"Landmarks must have shape (T, {points}, 3) in layout '{layout}'; these have {array.shape}. "
                "(Pictures must be uint8.)"
            )
        return LandmarkSequence(array, layout, fps=fps, units="unknown")
    raise ValueError(f"An array of shape {array.shape} is neither frames (T, H, W, 3) nor landmarks (T, K, 3).")
