"""The nearest-neighbour baseline."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_signs import tiny_clip

from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.landmarks.rows import to_row
from signlang_hf.training.baseline import NearestNeighbour, describe


def row(sequence: LandmarkSequence, label: int) -> dict:
    return to_row(sequence, id="x", label=label)


def body(seed: int, frames: int = 12) -> LandmarkSequence:
    data = np.random.default_rng(seed).normal(0, 1, (frames, 20, 3)).astype(np.float32)
    return LandmarkSequence(data, "kinect-20", fps=30, units="metre")


@pytest.fixture(scope="module")
def train():
    return [row(tiny_clip(word, 0, take), word) for word in (0, 1, 3) for take in range(2)]


def test_a_training_clip_is_its_own_nearest_neighbour(train):
    scores = NearestNeighbour(train, 4).scores(train)
    assert scores.shape == (6, 4)
    assert scores.argmax(axis=1).tolist() == [0, 0, 1, 1, 3, 3]
    np.testing.assert_allclose(scores.max(axis=1), 0, atol=1e-2)


def test_scores_are_distances_to_the_nearest_clip_of_each_class(train):
    query = tiny_clip(1, 2, 9)
    scores = NearestNeighbour(train, 4).scores([row(query, 1)])[0]
    for label in (0, 1, 3):
        distances = [np.linalg.norm(describe(query) - describe(tiny_clip(label, 0, take))) for take in range(2)]
        assert scores[label] == pytest.approx(-min(distances), rel=1e-3)
    assert scores[2] == -np.inf  # nobody signs it in training


def test_hands_are_described_about_their_wrists():
    sequence = tiny_clip(0, 0, 0)
    moved = LandmarkSequence(sequence.data + np.float32(0.2), sequence.layout, fps=25, size=sequence.size)
    np.testing.assert_allclose(describe(moved), describe(sequence), atol=1e-4)
    assert describe(sequence).shape == (126,)


def test_bodies_without_hands_are_described_over_time():
    sequence = body(0)
    assert describe(sequence).shape == (8 * 20 * 3,)
    assert np.linalg.norm(describe(sequence) - describe(body(1))) > 1
    np.testing.assert_allclose(describe(LandmarkSequence(sequence.data * 3 + 1, "kinect-20", fps=30, units="metre")),
                               describe(sequence), atol=1e-4)  # fmt: skip


def test_what_was_not_seen_is_zero():
    data = tiny_clip(0, 0, 0).data.copy()
    data[:, :21] = np.nan
    described = describe(LandmarkSequence(data, "hands-42", fps=25, size=(640, 480)))
    assert np.isfinite(described).all()
    assert (described == 0).sum() >= 63
    nobody = LandmarkSequence(np.full((4, 42, 3), np.nan, np.float32), "hands-42", fps=25, size=(640, 480))
    assert (describe(nobody) == 0).all()


def test_one_pass_over_the_rows_is_enough(train):
    once = NearestNeighbour(iter(train), 4)
    np.testing.assert_array_equal(once.scores(iter(train)), NearestNeighbour(train, 4).scores(train))
