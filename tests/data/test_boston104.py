"""RWTH-BOSTON-104: generated tracks become sentences with glosses and half-open segments; counts and sides of the real ones."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from signlang_hf.data import find_sentence_leaks, load_dataset, to_sequence

FILES = {
    "speaker.csv": "video,speaker\n1,anna\n2,ben\n9,anna\n",
    "train_words.csv": "video,speaker,word,startframe,endframe\n1,anna,JOHN,1,3\n1,anna,GO1,3,4\n9,anna,IX-1P,0,0\n",
    "test_words.csv": "video,speaker,word,startframe,endframe\n2,ben,GO1,4,5\n2,ben,JOHN,0,2\n",
}
LENGTHS = {9: 2, 1: 6, 2: 6}


def track(video, frame):
    """Left hand at larger x than the right one, moving with video and frame; the nose above both."""
    return [200 + frame, 180 + video, 100 - frame, 121, 156, 60.5]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "AIND-Recognizer" / "data"
    folder.mkdir(parents=True)
    lines = [f"{v},{f},{','.join(map(str, track(v, f)))}" for v, count in LENGTHS.items() for f in range(count)]
    header = "video,frame,left-x,left-y,right-x,right-y,nose-x,nose-y"
    (folder / "hands_condensed.csv").write_text("\n".join([header, *lines]) + "\n")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def test_rows_hold_tracks_glosses_and_half_open_segments(folder, cache_folder):
    splits = load_dataset("boston104", folder.parent, cache_dir=cache_folder)
    assert {name: split["id"][:] for name, split in splits.items()} == {"train": ["001", "009"], "test": ["002"]}
    row = splits["train"][0]
    assert (row["signer"], row["glosses"], row["segments"]) == ("anna", ["JOHN", "GO1"], [[1, 4], [3, 5]])
    assert (splits["test"][0]["glosses"], splits["test"][0]["segments"]) == (["JOHN", "GO1"], [[0, 3], [4, 6]])
    sequence = to_sequence(row)
    assert (sequence.layout, sequence.fps, sequence.size, sequence.units, len(sequence)) == (
        "boston-3",
        30,
        (312, 242),
        "image",
        6,
    )
    points = sequence.spec.index
    for frame in range(6):
        want = np.reshape(track(1, frame), (3, 2)) / [312, 242]
        got = sequence.data[frame, [points["left_hand"], points["right_hand"], points["nose"]], :2]
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("train_words.csv", "JOHN,1,3", ",1,3", r"row 2, train_words\.csv: the row has no word"),
        ("train_words.csv", "JOHN,1,3", "JOHN,1,6", r"row 2, .*frames 1 to 6 are not in video 1, which has 6 frames"),
        ("train_words.csv", "JOHN,1,3", "JOHN,3,1", "frames 3 to 1 are not in video 1"),
        ("train_words.csv", "1,anna,JOHN", "7,anna,JOHN", "the video 7 is not among the hand tracks"),
        ("train_words.csv", ",", ";", r"train_words\.csv, line 1, column 6: the columns are separated by semicolons"),
        ("hands_condensed.csv", "1,0,200", "1,0,two", r"hands_condensed\.csv, line 4: a cell holds no number"),
        ("hands_condensed.csv", "1,1,201", "1,2,201", "line 5: frame 2 of video 1 stands where 1 should"),
        ("hands_condensed.csv", "1,0,200,", "1,0,", r"row 4, hands_condensed\.csv: column 2[0-9]: the row has 7 cells, the header 8"),
        ("speaker.csv", "speaker", "signer", r"speaker\.csv, line 1: the column speaker is missing"),
    ],
)  # fmt: skip
def test_a_faulty_table_is_named_with_its_line(name, old, new, message, folder, cache_folder):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        load_dataset("boston104", folder, cache_dir=cache_folder)


def test_missing_files_are_named(folder, tmp_path):
    (folder / "speaker.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no speaker\.csv; it should be the folder data of github"):
        load_dataset("boston104", folder)
    with pytest.raises(FileNotFoundError, match="Folder not found"):
        load_dataset("boston104", tmp_path / "none")
    with pytest.raises(ValueError, match="needs data_dir="):
        load_dataset("boston104")


def test_the_real_tracks_are_what_the_card_says(signlang_data, cache_folder):
    folder = signlang_data / "boston104"
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder}")
    splits = load_dataset("boston104", folder, cache_dir=cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 161, "test": 40}
    glosses = {name: [tuple(row) for row in split["glosses"]] for name, split in splits.items()}
    words = {name: {gloss for row in rows for gloss in row} for name, rows in glosses.items()}
    assert (len(words["train"]), len(words["test"])) == (112, 66) and words["test"] - words["train"] == {"MUST"}
    assert len(set(glosses["test"])) == 35 and len(set(glosses["test"]) & set(glosses["train"])) == 22
    assert len(find_sentence_leaks(splits)) == 22
    assert set(splits["test"]["signer"]) == set(splits["train"]["signer"]) == {"man-1", "woman-1", "woman-2"}
    frames = below = crossed = 0
    for split in splits.values():
        for row in split.with_format("numpy"):
            data = row["landmarks"][..., :2] * [312, 242]
            frames += len(data)
            below += int((data[:, :2, 1] > 242.01).sum())
            crossed += int((data[:, 0, 0] > data[:, 1, 0]).sum())
            assert all(0 <= start < end <= len(data) for start, end in row["segments"])
    assert (frames, below) == (15_746, 73) and 0.83 < crossed / frames < 0.86
    with (folder / "train_words.csv").open() as stream:
        first = [row for row in csv.DictReader(stream) if row["video"] == "1"]
    (row,) = [row for row in splits["train"] if row["id"] == "001"]
    assert row["glosses"] == [one["word"] for one in first]
    assert row["segments"] == [[int(one["startframe"]), int(one["endframe"]) + 1] for one in first]
