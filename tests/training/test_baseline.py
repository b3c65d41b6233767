"""The baselines: nearest neighbour, and what is fitted to clips of features."""

from __future__ import annotations

import builtins
from functools import partial

import numpy as np
import pytest
from tiny_signs import tiny_clip

from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.landmarks.rows import to_row
from signlang_hf.training.baseline import (
    BoosterBaseline,
    ExtraTreesBaseline,
    LSTMBaseline,
    NearestNeighbour,
    describe,
    pool,
)


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


# ------------------------------------------------------------------------------------------------ on clips of features


FITTED = [
    pytest.param(ExtraTreesBaseline, "sklearn", id="ExtraTreesBaseline"),
    pytest.param(BoosterBaseline, "xgboost", id="BoosterBaseline"),
    pytest.param(partial(LSTMBaseline, hidden_size=32, epochs=20), None, id="LSTMBaseline"),
]


def movements(seed: int, clips: int = 48) -> list[dict]:
    """Clips of 2 to 14 frames and three classes, told apart by when the first feature rises; class 1 has none."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(clips):
        label = (0, 2, 3)[index % 3]
        frames = int(rng.integers(2, 15))
        rise = np.linspace(0, 1, frames) > (0, 0.3, 0.75)[index % 3]
        values = np.stack([rise * 2.0, *rng.normal(0, 0.3, (3, frames))], axis=1)
        found.append({"input_values": values.astype(np.float32), "labels": label})
    return found


@pytest.mark.parametrize(("kind", "package"), FITTED)
def test_every_baseline_is_used_alike_and_learns(kind, package):
    if package:
        pytest.importorskip(package)
    train, test = movements(0, 90), movements(1)
    scores = kind(4).fit(iter(train)).scores(test)
    assert scores.shape == (48, 4) and np.isfinite(scores).all()
    assert (scores.argmax(1) == [clip["labels"] for clip in test]).mean() > 0.75
    assert (scores[:, 1] <= scores.max(1)).all()
    again = kind(4).fit(train)
    np.testing.assert_allclose(again.scores(test), scores, atol=1e-4)  # of the same seed
    alone = np.concatenate([again.scores([{"input_values": clip["input_values"]}]) for clip in test[:5]])
    np.testing.assert_allclose(alone, scores[:5], atol=1e-4)  # whatever else is in the batch
    with pytest.raises(ValueError, match="There is no clip"):
        kind(4).fit([])


def test_pooled_features_describe_each_quarter():
    values = np.arange(16, dtype=np.float32).reshape(8, 2)
    pooled = pool(values).reshape(4, 4, 2)  # quarter, statistic, feature
    np.testing.assert_allclose(pooled[1, :, 0], [5, 1, 4, 6])
    np.testing.assert_allclose(pooled[3, :, 1], [14, 1, 13, 15])
    short = pool(values[:3]).reshape(4, 4, 2)
    assert np.isfinite(short).all() and (short[:, 1] == 0).all()
    assert len(pool(values[:1])) == len(pool(values)) == 32


@pytest.mark.parametrize(
    ("kind", "package", "extra"), [(ExtraTreesBaseline, "sklearn", "train"), (BoosterBaseline, "xgboost", "ensemble")]
)
def test_a_missing_package_ends_in_one_line(kind, package, extra, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.partition(".")[0] == package:
            raise ImportError(f"No module named '{package}'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=rf'pip install "signlang-hf\[{extra}\]"$'):
        kind(4)
