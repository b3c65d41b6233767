"""Sentences of ISL-30: signers apart, one signer and view a sentence, the same rows whichever way they are made."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from signlang_hf.data import load_dataset
from signlang_hf.data.isl30 import SIGNERS, SIGNS
from signlang_hf.data.isl30_sentences import Isl30Sentences, Isl30SentencesConfig
from signlang_hf.data.rows import LANDMARK_COLUMNS, to_sequence
from signlang_hf.landmarks import get_layout

FEW = {"train_sentences": 12, "validation_sentences": 3, "test_sentences": 5}
WORDS = SIGNS[:4]


def text(seed, frames=24):
    """A Kinect skeleton whose right hand rises, waves in a way that no other seed has, and falls."""
    rng = np.random.default_rng(seed)
    joints = np.repeat(rng.normal(0, 0.1, (1, 20, 3)) + [0, 0, 2.5], frames, axis=0)
    points = get_layout("kinect-20").index
    joints[:, points["left_shoulder"]], joints[:, points["right_shoulder"]] = (-0.17, 0.4, 2.5), (0.17, 0.4, 2.5)
    path = np.interp(np.arange(frames), [0, 6, 18, 23], [-0.2, 0.5, 0.5, -0.2])
    for name in ("right_wrist", "right_hand"):
        joints[:, points[name], 0] = 0.3 + 0.1 * np.sin(np.arange(frames) / (1 + seed % 5))
        joints[:, points[name], 1] = path + 0.01 * seed
    return "\n".join(" ".join(f"{value:.6f}" for value in frame) for frame in joints.reshape(frames, -1)) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four signs by four signers, frontal and turned."""
    raw = tmp_path_factory.mktemp("isl30") / "RawDataset"
    raw.mkdir()
    names = [f"{sign}_{signer}_{number}.txt" for sign in WORDS for signer in SIGNERS[:4] for number in (1, 4)]
    for seed, name in enumerate(names):
        (raw / name).write_text(text(seed))
    return raw


def test_rows_are_sentences_without_boundaries(folder, cache_folder):
    splits = load_dataset("isl30_sentences", folder, cache_dir=cache_folder, **FEW)
    assert {name: len(split) for name, split in splits.items()} == {"train": 12, "validation": 3, "test": 5}
    assert set(splits["train"].column_names) == {*LANDMARK_COLUMNS, "glosses"}, "boundaries do not belong in rows"
    lengths = Counter(len(row["glosses"]) for split in splits.values() for row in split)
    assert set(lengths) <= {3, 4, 5, 6} and len(lengths) > 1
    row = splits["test"].with_format("numpy")[0]
    sequence = to_sequence(row)
    assert (sequence.layout, sequence.units, sequence.fps) == ("kinect-20", "metre", 30.0)
    assert set(row["glosses"]) <= set(WORDS) and row["view"] in ("frontal", "turned-46")
    np.testing.assert_allclose(np.diff(sequence.timestamps), 1 / 30, atol=1e-6)
    steps = np.linalg.norm(np.diff(sequence.data, axis=0), axis=2)
    assert np.isfinite(sequence.data).all() and steps.max() < 0.2, "nobody jumps"


def test_signers_are_disjoint_and_rotate(folder, cache_folder):
    def signers(**options):
        splits = load_dataset("isl30_sentences", folder, cache_dir=cache_folder, **FEW, **options)
        return {name: set(split["signer"]) for name, split in splits.items()}

    assert signers() == {"train": set(SIGNERS[2:4]), "validation": {SIGNERS[1]}, "test": {SIGNERS[0]}}
    assert signers(test_signer=SIGNERS[3], dev_signer=SIGNERS[1]) == {
        "train": {SIGNERS[0], SIGNERS[2]}, "validation": {SIGNERS[1]}, "test": {SIGNERS[3]},
    }  # fmt: skip
    for test in SIGNERS:
        parts = Isl30SentencesConfig(test_signer=test).signers
        assert parts["test"] == (test,) and len(parts["validation"]) == 1 and len(parts["train"]) == 8
        assert sorted(sum(parts.values(), ())) == sorted(SIGNERS)
    assert Isl30SentencesConfig(test_signer=SIGNERS[-1]).signers["validation"] == (SIGNERS[0],)


def test_rows_depend_on_seed_and_number_alone(folder, cache_folder):
    def rows(**options):
        options = {"validation_sentences": 0, "test_sentences": 0, "train_sentences": 6} | options
        proc = options.pop("num_proc", None)
        return load_dataset("isl30_sentences", folder, split="train", num_proc=proc, cache_dir=cache_folder, **options).with_format("numpy")  # fmt: skip

    few, more, apart, other = rows(), rows(train_sentences=9), rows(train_sentences=7, num_proc=2), rows(seed=1)
    for again in (more, apart):
        for number, row in enumerate(few):
            assert again[number]["id"] == row["id"] == f"train-{number:05d}"
            np.testing.assert_array_equal(again[number]["landmarks"], row["landmarks"])
    assert [row["glosses"].tolist() for row in other] != [row["glosses"].tolist() for row in few]
    streamed = load_dataset(
        "isl30_sentences", folder, split="train", streaming=True, cache_dir=cache_folder, train_sentences=6
    )
    assert [row["glosses"] for row in streamed] == [row["glosses"].tolist() for row in few]


def test_every_sign_follows_every_other_as_often_as_chance(folder):
    """Over many sentences, counted: no sign is preferred, and repeats are 1 / vocabulary."""
    builder = Isl30Sentences(data_dir=str(folder))
    pool = builder.pool("test")
    drawn = [builder.draw(pool, n, np.random.default_rng(n))[1]["glosses"] for n in range(1500)]
    counts = Counter(gloss for glosses in drawn for gloss in glosses)
    share = np.array([counts[sign] for sign in WORDS]) / sum(counts.values())
    np.testing.assert_allclose(share, 1 / len(WORDS), atol=0.02)
    pairs = [a == b for glosses in drawn for a, b in pairwise(glosses)]
    assert np.mean(pairs) == pytest.approx(1 / len(WORDS), abs=0.02)
    assert Counter(map(len, drawn)).keys() == {3, 4, 5, 6}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_signer": "anna"}, "test_signer is the unknown signer 'anna'; known are apurve"),
        ({"dev_signer": "apurve"}, "apurve cannot be the test and the validation signer"),
        ({"shortest": 4, "longest": 3}, "Sentences of 4 to 3 signs cannot be made"),
        ({"shortest": 0}, "Sentences of 0 to 6 signs cannot be made"),
        ({"seed": -1}, "seed is -1; it must be a whole number"),
        ({"train_sentences": 0, "validation_sentences": 0, "test_sentences": 0}, "No sentences are asked for"),
        ({"sentences": 3}, "has no option sentences; it has dev_signer"),
        ({"test_signer": SIGNERS[9], "train_sentences": 0, "validation_sentences": 0}, "There is no clip of shewta"),
    ],
)
def test_options_that_cannot_be_are_named(folder, cache_folder, options, message):
    with pytest.raises(ValueError, match=message):
        load_dataset("isl30_sentences", folder, cache_dir=cache_folder, **options)


def test_the_real_archive(signlang_data, cache_folder):
    archive = signlang_data / "isl30-kinect.tar.xz"
    if not archive.is_file():
        pytest.skip(f"real data not found: {archive}")
    rows = load_dataset(
        "isl30_sentences", archive, split="test", cache_dir=cache_folder, train_sentences=0, validation_sentences=0, test_sentences=60
    ).with_format("numpy")  # fmt: skip
    assert set(rows["signer"]) == {SIGNERS[0]} and len(rows) == 60
    assert {gloss for row in rows for gloss in row["glosses"]} == set(SIGNS)
    hands = get_layout("kinect-20").indices(["left_hand", "right_hand"])
    for row in rows.select(range(0, 60, 6)):
        assert 3 < row["timestamps"][-1] < 30
        speed = np.linalg.norm(np.diff(row["landmarks"][:, hands], axis=0), axis=2) * 30
        assert np.percentile(speed, 97) < 4, "in metres a second; single frames of the source jump"
