"""Sentences of DGS-30: clips apart, hands tracked, cameras brought together."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from signlang_hf.data import load_dataset
from signlang_hf.data.dgs30 import COPIES, WORDS
from signlang_hf.data.dgs30_sentences import FOLDS, Dgs30Sentences, clips_of_fold
from signlang_hf.data.rows import to_sequence

FEW = {"train_sentences": 6, "validation_sentences": 2, "test_sentences": 3}
COPY, ORIGINAL = next(iter(COPIES.items()))


def text(seed, frames=20):
    """A file of DGS-30 by a camera of its own: a face, and a hand whose shape and way no other seed has; no second hand."""
    rng = np.random.default_rng(seed)
    header = ";".join(["face_x", "face_y", *(f"landmark_{axis}_{i}" for i in range(1, 43) for axis in "xyz")])
    size, face = rng.uniform(0.7, 1.4), rng.uniform(0.4, 0.6, 2)
    shape = rng.normal(0, 0.02, (21, 3))
    shape[0], shape[9] = 0, (0, -0.1, 0)
    y = np.interp(np.arange(frames), [0, 5, 14, 19], [0.5, 0.2, 0.2, 0.5]) + 0.02 * np.sin(np.arange(frames))
    lines = [header]
    for height in y:
        hand = (shape + [-0.2, height, 0]) * size + [*face, 0]
        lines.append(";".join(f"{value:.6g}" for value in [*face, *hand.ravel()]))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("dgs30") / "3D_full"
    names = [f"{word}/{letter}" for word in WORDS[:3] for letter in "abcdefg"] + [COPY, ORIGINAL]
    for seed, name in enumerate(names):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / f"{name}.csv").write_text(text(seed))
    return top.parent


def test_rows_are_sentences_of_tracked_hands(folder, cache_folder):
    splits = load_dataset("dgs30_sentences", folder, cache_dir=cache_folder, **FEW)
    assert {name: len(split) for name, split in splits.items()} == {"train": 6, "validation": 2, "test": 3}
    for row in splits["train"].with_format("numpy"):
        sequence = to_sequence(row)
        assert (sequence.layout, sequence.units, sequence.size) == ("face-hands-43", "image", (640, 480))
        assert row["signer"] is None and 3 <= len(row["glosses"]) <= 6 and set(row["glosses"]) <= {*WORDS}
        assert sequence.part_seen("right_hand").all() and not sequence.part_seen("left_hand").any()
        pixels = sequence.isotropic().data
        assert np.ptp(pixels[:, 0], axis=0).max() < 1, "the face must stay where the first camera saw it"
        palm = np.linalg.norm(pixels[:, 22 + 9] - pixels[:, 22], axis=1)
        assert palm.max() / palm.min() < 1.3, "all cameras must show hands of one size"


def test_no_clip_stands_in_two_splits_whichever_fold(folder):
    tested = []
    for fold in range(FOLDS):
        builder = Dgs30Sentences(data_dir=str(folder), fold=fold)
        clips = {part: {sign.clip.data.tobytes() for signs in builder.pool(part).values() for sign in signs} for part in ("train", "validation", "test")}  # fmt: skip
        assert len(set.union(*clips.values())) == sum(map(len, clips.values())) == 3 * 7 + 1, "a copy is left out"
        tested.append(clips["test"])
    assert len(set.union(*tested)) == sum(map(len, tested)) == 22, "over all folds every clip is tested once"


def test_every_word_has_its_share_in_each_split():
    words = {f"{word}/{number}": word for word in WORDS for number in range(58)}
    parts = clips_of_fold(words, 2)
    for part, least, most in (("train", 34, 36), ("validation", 11, 12), ("test", 11, 12)):
        counts = {word: sum(name.startswith(f"{word}/") for name in parts[part]) for word in WORDS}
        assert least <= min(counts.values()) <= max(counts.values()) <= most
    assert sorted(chain(*parts.values())) == sorted(words)


def test_what_cannot_be_is_named(folder, tmp_path, cache_folder):
    with pytest.raises(ValueError, match="fold is 5; it must be a whole number from 0 to 4"):
        load_dataset("dgs30_sentences", folder, fold=5)
    with pytest.raises(ValueError, match="dgs30_sentences needs data_dir="):
        load_dataset("dgs30_sentences")
    with pytest.raises(ValueError, match="Brot/d: 'Brot' is none of the 30 words"):
        clips_of_fold({"Brot/d": "Brot"}, 0)
    (tmp_path / "3D_full" / "Bier").mkdir(parents=True)
    (tmp_path / "3D_full" / "Bier" / "a.csv").write_text(text(0))
    with pytest.raises(ValueError, match="No word has a clip for the train split"):
        load_dataset("dgs30_sentences", tmp_path, cache_dir=cache_folder)


def test_the_real_archive(signlang_data, cache_folder):
    archive = signlang_data / "dgs30.tar.xz"
    if not archive.is_file():
        pytest.skip(f"real data not found: {archive}")
    rows = load_dataset(
        "dgs30_sentences", archive, split="test", cache_dir=cache_folder, train_sentences=0, validation_sentences=0, test_sentences=60
    ).with_format("numpy")  # fmt: skip
    assert len(rows) == 60 and {gloss for row in rows for gloss in row["glosses"]} == set(WORDS)
    for row in rows.select(range(0, 60, 10)):
        sequence = to_sequence(row)
        assert 1 < sequence.duration < 25 and sequence.part_seen("right_hand").mean() > 0.5
