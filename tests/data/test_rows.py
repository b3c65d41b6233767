"""The row contract: a sequence becomes a row and comes back, in every format that ``datasets`` hands rows out in."""

from __future__ import annotations

import subprocess
import sys

import datasets
import numpy as np
import pytest

from signlang_hf.data.rows import LANDMARK_COLUMNS, landmark_features, to_row, to_sequence
from signlang_hf.landmarks import LandmarkSequence

LAYOUT = "hands-42"


def stored(*sequences: LandmarkSequence) -> datasets.Dataset:
    rows = [to_row(sequence, id=str(i), signer="anna", label="a") for i, sequence in enumerate(sequences)]
    return datasets.Dataset.from_list(rows, features=landmark_features(LAYOUT, label_names=["a", "b"]))


@pytest.mark.parametrize("fmt", [None, "numpy", "torch"])
def test_a_row_gives_back_its_sequence_in_every_format(fmt, clip):
    original = clip(0)
    result = to_sequence(stored(original).with_format(fmt)[0])
    np.testing.assert_array_equal(result.data, original.data)
    np.testing.assert_array_equal(result.visibility, original.visibility)
    np.testing.assert_allclose(result.timestamps, original.timestamps, atol=1e-6)
    assert (result.layout, result.units, result.size, result.fps) == (LAYOUT, "image", (640, 480), 25.0)


def test_columns_are_those_of_the_contract(clip):
    row = to_row(clip(0), id="x", label="a")
    assert tuple(row) == (*LANDMARK_COLUMNS, "label")
    features = landmark_features(LAYOUT, label_names=["a"])
    assert list(features) == list(row)
    assert features["landmarks"].shape == (None, 42, 3)
    assert "label" not in landmark_features(LAYOUT)


def test_clips_of_different_length_share_a_column(clip):
    short, long = clip(1, frames=7), clip(2, frames=31)
    dataset = stored(short, long)
    assert [len(to_sequence(row)) for row in dataset] == [7, 31]


@pytest.mark.parametrize("fmt", [None, "numpy", "torch"])
def test_a_clip_without_frames_survives(fmt, clip):
    empty = clip(0).frames(slice(0, 0))
    result = to_sequence(stored(empty, clip(1)).with_format(fmt)[0])
    assert result.data.shape == (0, 42, 3)


def test_pixels_become_image_units_and_other_units_stay(clip):
    pixels = clip(0).to_units("pixel")
    row = to_row(pixels, id="x")
    assert row["units"] == "image"
    np.testing.assert_allclose(row["landmarks"], clip(0).data, atol=1e-6)
    metres = LandmarkSequence(np.zeros((2, 42, 3)), LAYOUT, units="metre")
    assert to_row(metres, id="x")["units"] == "metre"
    assert to_row(metres, id="x")["size"] is None


def test_null_timestamps_and_size_are_allowed(clip):
    row = to_row(clip(0), id="x", label="a") | {"timestamps": None, "size": None}
    dataset = datasets.Dataset.from_list([row], features=landmark_features(LAYOUT, label_names=["a"]))
    result = to_sequence(dataset[0])
    assert result.size is None
    np.testing.assert_allclose(result.timestamps, np.arange(20) / 25.0)


def test_a_row_without_landmarks_says_which_columns_it_needs():
    with pytest.raises(ValueError, match=r"no landmarks and no layout.*this row: text"):
        to_sequence({"text": "hello"})


def test_a_row_in_an_unknown_layout_names_it():
    with pytest.raises(ValueError, match="Unknown layout 'mine'"):
        to_sequence({"landmarks": np.zeros((1, 3, 3)), "layout": "mine"})


def test_a_row_with_the_wrong_number_of_points_says_so():
    with pytest.raises(ValueError, match="41 points; the layout has 42"):
        to_sequence({"landmarks": np.zeros((2, 41, 3)), "layout": LAYOUT})


def test_importing_the_package_does_not_import_datasets():
    code = (
        "import sys, signlang_hf.data as d\n"
        "assert 'datasets' not in sys.modules and 'torch' not in sys.modules, 'heavy import'\n"
        "assert set(d.__all__) <= set(dir(d)) and all(getattr(d, name) for name in d.__all__)\n"
        "d.nothing"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "heavy import" not in result.stderr
    assert "has no attribute 'nothing'" in result.stderr
