"""Which columns of the features belong to which body part."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf import SignKeypointProcessor, get_layout, list_layouts
from signlang_hf.landmarks.feature_parts import OTHER, feature_parts
from signlang_hf.landmarks.features import FEATURES, feature_size


def columns(parts: dict[str, list[list[int]]]) -> dict[str, list[int]]:
    return {part: [c for start, stop in ranges for c in range(start, stop)] for part, ranges in parts.items()}


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("layout", list_layouts())
@pytest.mark.parametrize("feature", FEATURES)
def test_every_column_is_in_one_part(layout: str, feature: str, dims: int) -> None:
    try:
        size = len(feature_parts(layout, [feature], dims)) and feature_size(layout, [feature], dims)
    except ValueError as error:  # hand features of a layout without hands
        assert "Layout" in str(error)
        return
    named = columns(feature_parts(layout, [feature], dims))
    assert sorted(column for own in named.values() for column in own) == list(range(size))
    assert set(named) <= {*get_layout(layout).parts, OTHER}


@pytest.mark.parametrize("layout", ["karsl-184", "dgs-43", "gislr-543"])
def test_coordinates_go_with_their_points(layout: str) -> None:
    spec = get_layout(layout)
    named = columns(feature_parts(layout, ["position", "velocity", "acceleration", "visibility"]))
    for part, points in spec.parts.items():
        coordinates = (3 * np.array(points)[:, None] + np.arange(3)).ravel()
        expected = [*(coordinates + block * 3 * len(spec) for block in range(3)), np.array(points) + 9 * len(spec)]
        assert named[part] == np.concatenate(expected).tolist()


def test_hands_and_bones_go_with_their_part() -> None:
    assert feature_parts("isl-48", ["hand_shape", "presence"]) == {
        "pose": [[126, 127]], "left_hand": [[0, 63], [127, 128]], "right_hand": [[63, 126], [128, 129]]
    }  # fmt: skip
    bones = columns(feature_parts("isl-48", ["bone_direction"]))
    spec = get_layout("isl-48")
    for part, points in spec.parts.items():
        own = [i for i, bone in enumerate(spec.bones) if set(bone) <= set(points)]
        assert bones[part] == [3 * i + axis for i in own for axis in range(3)]


def test_what_depends_on_several_parts_is_other(monkeypatch: pytest.MonkeyPatch) -> None:
    between = (lambda sequence, dims: sequence.data[:, 10, :1] - sequence.data[:, 30, :1], lambda layout, dims: 1)
    constant = (lambda sequence, dims: np.ones((len(sequence), 1)), lambda layout, dims: 1)
    monkeypatch.setitem(FEATURES, "between_hands", between)
    monkeypatch.setitem(FEATURES, "constant", constant)
    parts = feature_parts("isl-48", ["between_hands", "presence", "constant"])
    assert parts == {"pose": [[1, 2]], "left_hand": [[2, 3]], "right_hand": [[3, 4]], OTHER: [[0, 1], [4, 5]]}


def test_processor_hands_on_its_parts() -> None:
    processor = SignKeypointProcessor("hands-42", features=("position",), dims=2, normalization="centroid")
    assert processor.parts == {"left_hand": [[0, 42]], "right_hand": [[42, 84]]}
    assert "parts" not in processor.to_dict()
