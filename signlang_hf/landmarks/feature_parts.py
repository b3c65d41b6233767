"""Which columns of a frame's features tell of which body part.

Design decisions:

* No feature has to say it: a part is hidden in a made-up clip, and the columns that change are its own. So a new feature is
  placed the moment it exists.
* What depends on several parts, or on none, is :data:`OTHER`.
* Columns are given as half-open ranges, because a part's are mostly neighbours and the answer travels in a configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .features import extract_features
from .layout import Layout, get_layout
from .sequence import LandmarkSequence

OTHER = "other"
_FRAMES = 8  # enough for second derivatives


def feature_parts(layout: str | Layout, features: Sequence[str], dims: int = 3) -> dict[str, list[list[int]]]:
    """Body part → its columns of the feature vector as ranges ``[[start, stop], …]``; every column is in exactly one.

    Args:
        layout, features, dims: as for :func:`signlang_hf.landmarks.features.extract_features`.

    Returns:
        the layout's parts that any feature shows, in the layout's order, and :data:`OTHER` last where there is such a column.

    Raises:
        ValueError: an unknown layout or feature, or none that the layout can show.
    """
    spec = get_layout(layout)
    data = np.random.default_rng(0).random((_FRAMES, len(spec), 3))

    def measured(landmarks: np.ndarray) -> np.ndarray:
        return extract_features(LandmarkSequence(landmarks, spec.name, fps=25, units="unknown"), features, dims)

    whole = measured(data)
    changed = np.empty((len(spec.parts), whole.shape[1]), bool)
    for row, points in zip(changed, spec.parts.values()):
        hidden = data.copy()
        hidden[:, list(points)] = np.nan
        row[:] = ~np.isclose(measured(hidden), whole, equal_nan=True).all(axis=0)
    owner = np.where(changed.sum(axis=0) == 1, changed.argmax(axis=0), len(spec.parts))
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    ranges: dict[str, list[list[int]]] = {part: [] for part in (*spec.parts, OTHER)}
    names = list(ranges)
    for start, stop in zip(starts, [*starts[1:], len(owner)]):
        ranges[names[owner[start]]].append([int(start), int(stop)])
    return {part: columns for part, columns in ranges.items() if columns}


__all__ = ["OTHER", "feature_parts"]
