"""The row contract: what one clip looks like inside a ``datasets.Dataset``, and the way there and back.

Every dataset of this library, whatever it was built from, has the same columns, so splits, leak checks, processors and
recipes never ask where a row came from. A row gives back the :class:`LandmarkSequence` that it was made of (without the
metric ``world`` points, which no dataset needs twice).

Design decisions:

* A missing point is NaN in the Arrow column too: a float32 NaN costs nothing and survives Parquet.
* ``landmarks`` and ``visibility`` have a free first dimension, so a clip is as long as it is and nothing is padded on disk.
* ``units`` is stored: without it ``size`` could not tell whether x runs from 0 to 1 or to 1920. Pixels become ``image`` units
  where the picture's size is known, so that clips of different resolution agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..landmarks import Layout, get_layout
from ..landmarks.rows import LANDMARK_COLUMNS, to_row, to_sequence

if TYPE_CHECKING:
    from datasets import Features

__all__ = ["COLUMN_MEANINGS", "LANDMARK_COLUMNS", "landmark_features", "to_row", "to_sequence"]

COLUMN_MEANINGS: Mapping[str, str] = {
    "id": "name of the clip, unique in the dataset",
    "landmarks": "(frames, points, 3) float32: x, y, z; NaN where a point was not seen",
    "visibility": "(frames, points) float32 in [0, 1]; 0 where a point was not seen",
    "timestamps": "seconds of each frame",
    "fps": "nominal frames a second",
    "size": "[width, height] of the picture in pixels, if known",
    "layout": "name of the layout, which names the points",
    "units": "what the coordinates count: `image` (x / width, y / height), `metre` or `unknown`",
    "signer": "who signs, if known",
    "view": "from where, if known",
    "label": "the sign",
    "glosses": "the signs of a sentence",
    "text": "the sentence in a spoken language",
    "bbox": "[xmin, ymin, xmax, ymax] of the signer in pixels",
}
"""Column → what it holds, for cards."""


def landmark_features(layout: str | Layout, *, label_names: Sequence[str] | None = None) -> Features:
    """The ``datasets.Features`` of clips in one layout.

    Args:
        layout: layout of all clips; it sets K.
        label_names: classes of an isolated-sign dataset; adds a ``label`` ClassLabel. Datasets with another target add
            their own column to the result (``features["text"] = Value("string")``).

    Returns:
        ``id`` string · ``landmarks`` (T, K, 3) float32, NaN where a point was not seen · ``visibility`` (T, K) float32 ·
        ``timestamps`` list of T seconds, or null · ``fps`` nominal rate · ``size`` [width, height] in pixels, or null ·
        ``layout`` and ``units`` strings · ``signer`` and ``view`` strings, or null · ``label`` where asked for.
    """
    from datasets import Array2D, Array3D, ClassLabel, Features, List, Value

    points = len(get_layout(layout))
    features = Features(
        {
            "id": Value("string"),
            "landmarks": Array3D((None, points, 3), "float32"),
            "visibility": Array2D((None, points), "float32"),
            "timestamps": List(Value("float64")),
            "fps": Value("float64"),
            "size": List(Value("int32")),
            "layout": Value("string"),
            "units": Value("string"),
            "signer": Value("string"),
            "view": Value("string"),
        }
    )
    if label_names is not None:
        features["label"] = ClassLabel(names=list(label_names))
    return features
