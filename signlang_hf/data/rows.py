"""The row contract: what one clip looks like inside a ``datasets.Dataset``, and the way there and back.

Every dataset of this library, whatever it was built from, has the same columns, so splits, leak checks, processors and
recipes never ask where a row came from. A row gives back the :class:`LandmarkSequence` that it was made of (without the
metric ``world`` points, which no dataset needs twice).

Design decisions:

* A missing point is NaN in the Arrow column too: a float32 NaN costs nothing and survives Parquet.
* ``landmarks`` and ``visibility`` have a free first dimension, so a clip is as long as it is and nothing is padded on disk.
* A sentence has ``glosses``, a list of strings, and no class numbers: which glosses a model knows is the processor's matter. Rows of text
  without landmarks (gloss → text) have the same names for the same things (:func:`text_features`).
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

__all__ = ["COLUMN_MEANINGS", "LANDMARK_COLUMNS", "landmark_features", "text_features", "to_row", "to_sequence"]

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
    "segments": "[start, end) of each gloss in frames, for measuring; a model of sentences never needs them",
    "bbox": "[xmin, ymin, xmax, ymax] of the signer in pixels",
    "prompt": "what a model is asked about the clip",
    "video_path": "where the clip lies",
    "gloss": "the word to answer",
}
"""Column → what it holds, for cards."""


def landmark_features(
    layout: str | Layout, *, label_names: Sequence[str] | None = None, glosses: bool = False, text: bool = False
) -> Features:
    """The ``datasets.Features`` of clips in one layout.

    Args:
        layout: layout of all clips; it sets K.
        label_names: classes of an isolated-sign dataset; adds a ``label`` ClassLabel.
        glosses: rows are sentences; adds ``glosses``, a list of strings.
        text: rows have a spoken-language sentence; adds ``text``, a string. Datasets with another target add their own column.

    Returns:
        ``id`` string · ``landmarks`` (T, K, 3) float32, NaN where a point was not seen · ``visibility`` (T, K) float32 ·
        ``timestamps`` list of T seconds, or null · ``fps`` nominal rate · ``size`` [width, height] in pixels, or null ·
        ``layout`` and ``units`` strings · ``signer`` and ``view`` strings, or null · ``label``, ``glosses`` and ``text`` where asked for.
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
    if glosses:
        features["glosses"] = List(Value("string"))
    if text:
        features["text"] = Value("string")
    return features


def text_features() -> Features:
    """The ``datasets.Features`` of sentences without landmarks: ``id`` · ``signer``, or null · ``glosses`` list of strings · ``text``."""
    from datasets import Features, List, Value

    return Features(
        {"id": Value("string"), "signer": Value("string"), "glosses": List(Value("string")), "text": Value("string")}
    )
