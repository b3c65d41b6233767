"""The fingerspelling dataset: what the installed package holds, how it is split, and what a missing or broken copy says."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter

import numpy as np
import pytest

from signlang_hf.data import fingerspelling, load_dataset
from signlang_hf.data.fingerspelling import LANGUAGES, LETTERS, read_lexicon
from signlang_hf.data.rows import to_sequence
from signlang_hf.landmarks import load_landmarks


@pytest.fixture(scope="module")
def lexicon():
    pytest.importorskip("spoken_to_signed", reason="the package spoken-to-signed is not installed")
    return read_lexicon()


@pytest.fixture(scope="module")
def letters(lexicon, tmp_path_factory):
    return load_dataset("fingerspelling", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def small_lexicon(lexicon, tmp_path):
    """A copy of the lexicon with the letters A and B of three languages, and the rows that have to be dropped."""
    folder = tmp_path / "lexicon"
    rows = []
    for row in lexicon:
        if row["language"] in ("ase", "ise", "sgg") and row["letter"] in "AB":
            path = f"{row['language']}/{row['file'].name}"
            (folder / row["language"]).mkdir(parents=True, exist_ok=True)
            shutil.copy(row["file"], folder / path)
            rows.append({"path": path, "signed_language": row["language"], "words": row["letter"]})
            if row["language"] == "ase":
                rows.append({"path": path, "signed_language": "fsl", "words": row["letter"]})
                rows.append({"path": path, "signed_language": "asq", "words": row["letter"]})
    rows.append({"path": "ise/none.pose", "signed_language": "ise", "words": "bb"})
    with (folder / "index.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "signed_language", "words"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_the_package_holds_410_clips_of_26_letters_in_16_languages(lexicon):
    counts = Counter(row["language"] for row in lexicon)
    assert len(lexicon) == 410 and set(counts) == set(LANGUAGES)
    assert {language for language, count in counts.items() if count != 26} == {"lls", "tsm"}
    for language in ("lls", "tsm"):
        assert set(LETTERS) - {row["letter"] for row in lexicon if row["language"] == language} == set("QWX")
    assert len({(row["language"], row["letter"]) for row in lexicon}) == 410, "a language has a letter twice"
    assert len({row["file"] for row in lexicon}) == 410, "two letters point at one file"


def test_start_and_end_of_the_index_are_those_of_another_recording(lexicon):
    """Why the builder reads whole files: every ``end`` lies far behind the end of the file that it is listed for."""
    folder = lexicon[0]["file"].parent.parent
    with (folder / "index.csv").open(encoding="utf-8", newline="") as stream:
        spans = {folder / row["path"]: (int(row["start"]), int(row["end"])) for row in csv.DictReader(stream)}
    for row in lexicon[::41]:
        start, end = spans[row["file"]]
        sequence = load_landmarks(row["file"])
        assert start == 0 and len(sequence) / sequence.fps * 1000 < 0.52 * end


def test_the_default_split_holds_american_sign_language_out(letters):
    assert {name: len(split) for name, split in letters.items()} == {"train": 384, "test": 26}
    assert set(letters["test"]["signer"]) == {"ase"}
    assert set(letters["train"]["signer"]) == set(LANGUAGES) - {"ase"}
    assert letters["train"].features["label"].names == list(LETTERS)
    assert sorted(letters["test"]["label"]) == list(range(26))


def test_rows_are_holistic_landmarks_in_image_units(letters, lexicon):
    row = letters["test"].with_format("numpy")[0]
    sequence = to_sequence(row)
    original = load_landmarks(next(item["file"] for item in lexicon if item["language"] == "ase"))
    assert (sequence.layout, sequence.units, sequence.size) == ("mediapipe-holistic", "image", (500, 500))
    assert len(sequence) == len(original) and sequence.fps == original.fps
    np.testing.assert_array_equal(sequence.data, original.to_layout("mediapipe-holistic").to_units("image").data)
    np.testing.assert_allclose(sequence.data[..., :2] * 500, original.data[:, :75, :2], rtol=1e-5)
    assert not sequence.part_seen("left_hand").any() and sequence.part_seen("right_hand").all()


def test_another_language_several_or_none_can_be_held_out(small_lexicon, cache_folder):
    def signers(**config):
        splits = load_dataset("fingerspelling", small_lexicon, cache_dir=cache_folder, **config)
        return {name: sorted(set(split["signer"])) for name, split in splits.items()}

    assert signers(hold_out="sgg") == {"train": ["ase", "ise"], "test": ["sgg"]}
    assert signers(hold_out=["sgg", "ase"]) == {"train": ["ise"], "test": ["ase", "sgg"]}
    assert signers(hold_out=None) == signers(config_name="all") == {"train": ["ase", "ise", "sgg"]}


def test_rows_that_repeat_a_file_are_dropped(small_lexicon):
    rows = read_lexicon(small_lexicon)
    assert Counter(row["language"] for row in rows) == {"ase": 2, "ise": 2, "sgg": 2}


def test_streaming_gives_the_same_rows(small_lexicon, cache_folder):
    built = load_dataset("fingerspelling", small_lexicon, split="train", cache_dir=cache_folder).with_format("numpy")
    streamed = list(
        load_dataset("fingerspelling", small_lexicon, split="train", streaming=True, cache_dir=cache_folder)
    )
    assert [row["id"] for row in streamed] == list(built["id"])
    np.testing.assert_array_equal(streamed[1]["landmarks"], built[1]["landmarks"])


def test_a_changed_file_is_read_again(small_lexicon, cache_folder):
    def frames():
        return len(load_dataset("fingerspelling", small_lexicon, split="test", cache_dir=cache_folder)[0]["landmarks"])

    before = frames()
    file = read_lexicon(small_lexicon)[0]["file"]
    load_landmarks(file).frames(slice(0, 5)).save(file)
    os.utime(file, ns=(1, 1))
    assert (before, frames()) == (before, 5) and before != 5


def test_an_unknown_language_is_named():
    with pytest.raises(ValueError, match="unknown language xyz; known are ase, asq"):
        load_dataset("fingerspelling", hold_out="xyz")


def test_holding_everything_out_is_refused(small_lexicon, cache_folder):
    with pytest.raises(ValueError, match="at least one must stay"):
        load_dataset("fingerspelling", small_lexicon, hold_out=LANGUAGES, cache_dir=cache_folder)


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(fingerspelling, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "signlang-hf\[train\]"'):
        load_dataset("fingerspelling")


def test_a_folder_without_index_and_a_missing_clip_are_named(small_lexicon, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no index\.csv"):
        load_dataset("fingerspelling", tmp_path)
    read_lexicon(small_lexicon)[0]["file"].unlink()
    with pytest.raises(FileNotFoundError, match="1 files that are not there"):
        load_dataset("fingerspelling", small_lexicon)
