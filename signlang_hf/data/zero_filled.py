"""Landmarks whose missing points are zeros: the habit of most scripts that save MediaPipe's output."""

from __future__ import annotations

import numpy as np

from ..landmarks import LandmarkSequence, get_layout


def from_zero_filled(
    data: np.ndarray,
    layout: str,
    *,
    visibility: np.ndarray | None = None,
    fps: float,
    size: tuple[int, int] | None = None,
) -> LandmarkSequence:
    """Landmarks with NaN where a body part was not found.

    MediaPipe finds a part (body, face, a hand) or does not find it, so a part is missing from a frame when **all** of its
    coordinates are 0. A single 0 is a coordinate: a wrist that the others are measured from is (0, 0, 0) in every frame.

    Args:
        data: (T, K, 3) points of the layout.
        layout: name of the layout.
        visibility: (T, K), where the source has it; a part for which it is 0 throughout was not measured and counts as 1.
        fps: frames a second.
        size: (width, height) in pixels, if the coordinates are divided by them; without it they are taken as they are
            (``unknown`` units), which is exact for square pictures only.
    """
    data = np.array(data, np.float32)
    visibility = None if visibility is None else np.array(visibility, np.float32)
    for part in get_layout(layout).parts.values():
        columns = list(part)
        missing = ~data[:, columns].any(axis=(1, 2))
        data[np.ix_(missing, columns)] = np.nan
        if visibility is not None and not visibility[:, columns].any():
            visibility[:, columns] = 1.0
    return LandmarkSequence(
        data, layout, visibility=visibility, fps=fps, size=size, units="unknown" if size is None else "image"
    )
