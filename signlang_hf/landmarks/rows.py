"""A clip as a row of a dataset: plain columns, and the way there and back. The Arrow types of the columns are in ``data.rows``.

A row gives back the :class:`LandmarkSequence` that it was made of (without the metric ``world`` points, which no dataset
needs twice). ``units`` is one of the columns: without it ``size`` could not tell whether x runs from 0 to 1 or to 1920.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .layout import get_layout
from .sequence import LandmarkSequence

LANDMARK_COLUMNS: tuple[str, ...] = (
    "id", "landmarks", "visibility", "timestamps", "fps", "size", "layout", "units", "signer", "view",
)  # fmt: skip
"""Columns of every row; the target (``label``, ``glosses`` or ``text``) comes on top."""


def to_row(
    sequence: LandmarkSequence, *, id: str, signer: str | None = None, view: str | None = None, **targets: Any
) -> dict[str, Any]:
    """The row of one clip.

    Args:
        sequence: landmarks; ``pose`` and ``pixel`` units become ``image`` units where the size is known.
        id: what names the clip, unique in its dataset.
        signer, view: who signs and from where it is seen; None where nobody knows.
        targets: what the row teaches: ``label="A"`` (or its number), ``glosses=[…]``, ``text="…"``.
    """
    if sequence.units in ("pose", "pixel") and sequence.size is not None:
        sequence = sequence.to_units("image")
    return {
        "id": id,
        "landmarks": sequence.data,
        "visibility": sequence.visibility,
        "timestamps": sequence.timestamps,
        "fps": sequence.fps,
        "size": None if sequence.size is None else list(sequence.size),
        "layout": sequence.layout,
        "units": sequence.units,
        "signer": signer,
        "view": view,
        **targets,
    }


def to_sequence(row: Mapping[str, Any]) -> LandmarkSequence:
    """The landmarks of a row, in whatever format the dataset hands rows out (Python lists, numpy, torch).

    Raises:
        ValueError: the row lacks a column of the contract, or its layout is not registered.
    """
    missing = [name for name in ("landmarks", "layout") if row.get(name) is None]
    if missing:
        raise ValueError(
            f"The row has no {' and no '.join(missing)}; a landmark dataset has the columns "
            f"{', '.join(LANDMARK_COLUMNS)} (this row: {', '.join(row)})."
        )
    layout = get_layout(str(row["layout"]))
    data = np.asarray(row["landmarks"], np.float32)
    visibility, timestamps, fps, size = (row.get(name) for name in ("visibility", "timestamps", "fps", "size"))
    if data.size == 0:  # in Python format a clip without frames is [], which has lost its (0, K, 3)
        data, visibility = data.reshape(0, len(layout), 3), None
    return LandmarkSequence(
        data,
        layout.name,
        timestamps=None if timestamps is None else np.asarray(timestamps, np.float64).reshape(-1),
        visibility=None if visibility is None else np.asarray(visibility, np.float32),
        fps=None if fps is None else float(fps),
        size=None if size is None else tuple(int(side) for side in size),
        units=str(row.get("units") or "image"),
    )
