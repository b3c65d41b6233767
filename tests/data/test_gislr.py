"""Google's isolated signs: the Kaggle layout, its order of points, its clock, and what is wrong with a copy."""

from __future__ import annotations

import csv
import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from signlang_hf.data import leave_one_signer_out, load_dataset, signer_disjoint_split, to_sequence
from signlang_hf.data.gislr import read_parquet
from signlang_hf.landmarks import get_layout

PARTS = (("face", 468), ("left_hand", 21), ("pose", 33), ("right_hand", 21))
SIGNS = ("hello", "TV", "airplane")


def write_sequence(path, seed, frames=4, first=22, gap=False):
    """A file as Kaggle gives it; the left hand is missing, the right one in the first frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = first + np.arange(frames) + (np.arange(frames) >= 2) * (3 if gap else 0)
    data = np.random.default_rng(seed).random((frames, 543, 3))
    data[:, 468:489] = data[0, 522:] = np.nan
    kinds = [kind for kind, count in PARTS for _ in range(count)]
    index = np.concatenate([np.arange(count) for _, count in PARTS]).astype(np.int16)
    columns = {
        "frame": np.repeat(numbers, 543).astype(np.int16),
        "row_id": [f"{number}-{kind}-{i}" for number in numbers for kind, i in zip(kinds, index)],
        "type": kinds * frames,
        "landmark_index": np.tile(index, frames),
    } | {axis: pa.array(data[..., i].ravel(), from_pandas=True) for i, axis in enumerate("xyz")}
    parquet.write_table(pa.table(columns), path)
    return data


@pytest.fixture
def asl_signs(tmp_path):
    """Three signs by three participants."""
    folder = tmp_path / "asl-signs"
    rows = []
    for seed, (participant, sign) in enumerate((p, s) for p in (16069, 2044, 4718) for s in SIGNS):
        path = f"train_landmark_files/{participant}/{1000 + seed}.parquet"
        write_sequence(folder / path, seed)
        rows.append((path, participant, 1000 + seed, sign))
    with (folder / "train.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "participant_id", "sequence_id", "sign"), *rows])
    (folder / "sign_to_prediction_index_map.json").write_text(json.dumps({"TV": 0, "airplane": 1, "hello": 2}))
    return folder


def test_sequences_become_rows(asl_signs, cache_folder):
    split = load_dataset("gislr", asl_signs, split="train", cache_dir=cache_folder)
    assert len(split) == 9 and split.features["label"].names == ["TV", "airplane", "hello"]
    row = split[0]
    assert (row["id"], row["signer"], row["label"]) == ("16069/1000", "16069", 2)
    sequence = to_sequence(row)
    assert (sequence.layout, sequence.units, sequence.fps) == ("gislr-543", "unknown", 30.0)
    data = write_sequence(asl_signs.parent / "again.parquet", 0)
    np.testing.assert_array_equal(sequence.data, data.astype("f4"))
    assert (
        not sequence.part_seen("left_hand").any() and sequence.part_seen("right_hand").tolist() == [False] + [True] * 3
    )
    assert sequence.part_seen("face").all() and sequence.part_seen("pose").all()


def test_the_clock_starts_with_the_clip_and_keeps_gaps(asl_signs, tmp_path):
    write_sequence(tmp_path / "gap.parquet", 0, gap=True)
    np.testing.assert_allclose(read_parquet(tmp_path / "gap.parquet", fps=15).timestamps, np.array([0, 1, 5, 6]) / 15)


def test_points_have_the_names_of_the_layout():
    points = get_layout("gislr-543").points
    starts = {"face": 0, "left_hand": 468, "pose": 489, "right_hand": 522}
    assert [points[start] for start in starts.values()] == ["face_0", "left_hand_wrist", "nose", "right_hand_wrist"]


def test_another_layout_size_and_rate(asl_signs, cache_folder):
    options = {"layout": "mediapipe-holistic", "size": [1080, 1920], "source_fps": 15}
    sequence = to_sequence(load_dataset("gislr", asl_signs, split="train", cache_dir=cache_folder, **options)[0])
    assert (sequence.layout, sequence.units, sequence.size, sequence.fps) == (
        "mediapipe-holistic", "image", (1080, 1920), 15.0,
    )  # fmt: skip
    assert sequence.data.shape == (4, 75, 3)


def test_without_the_index_signs_are_in_alphabetical_order(asl_signs, cache_folder):
    (asl_signs / "sign_to_prediction_index_map.json").unlink()
    split = load_dataset("gislr", asl_signs, split="train", cache_dir=cache_folder)
    assert split.features["label"].names == ["TV", "airplane", "hello"] == sorted(SIGNS)


def test_participants_can_be_kept_apart(asl_signs, cache_folder):
    split = load_dataset("gislr", asl_signs, split="train", cache_dir=cache_folder)
    assert len(dict(leave_one_signer_out(split))) == 3
    parts = signer_disjoint_split(split, test_size=0.3)
    assert not set(parts["train"]["signer"]) & set(parts["test"]["signer"])


def test_missing_files_are_counted_and_refused_or_left_out(asl_signs, cache_folder, caplog):
    for name in ("1000", "1004"):
        next(asl_signs.rglob(f"{name}.parquet")).unlink()
    with pytest.raises(FileNotFoundError, match=r"2 of the 9 clips .* the first is train_landmark_files/16069/1000"):
        load_dataset("gislr", asl_signs, cache_dir=cache_folder)
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        assert len(load_dataset("gislr", asl_signs, split="train", cache_dir=cache_folder, on_error="skip")) == 7
    assert caplog.text.count("2 of the 9") == 1


def test_broken_files_are_named(asl_signs, cache_folder):
    file = next(asl_signs.rglob("1001.parquet"))
    table = parquet.read_table(file)
    parquet.write_table(table.slice(0, 600), file)
    with pytest.raises(ValueError, match=r"1001\.parquet does not hold 543 points a frame"):
        load_dataset("gislr", asl_signs, cache_dir=cache_folder)
    parquet.write_table(table.take(np.roll(np.arange(len(table)), 1)), file)
    with pytest.raises(ValueError, match="in the order of layout gislr-543"):
        load_dataset("gislr", asl_signs, cache_dir=cache_folder)
    file.write_bytes(b"not parquet")
    with pytest.raises(ValueError, match=r"1001\.parquet is no landmark file of asl-signs"):
        load_dataset("gislr", asl_signs, cache_dir=cache_folder)
    assert len(load_dataset("gislr", asl_signs, split="train", cache_dir=cache_folder, on_error="skip")) == 8


def test_wrong_folders_and_tables_are_named(asl_signs, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no train\.csv; it should be the unpacked Kaggle"):
        load_dataset("gislr", tmp_path / "empty")
    (asl_signs / "sign_to_prediction_index_map.json").write_text('{"TV": 0, "airplane": 1}')
    with pytest.raises(ValueError, match=r"has no number for hello, which train\.csv lists"):
        load_dataset("gislr", asl_signs)
    (asl_signs / "sign_to_prediction_index_map.json").write_text('{"TV": 0, "hello": 2}')
    with pytest.raises(ValueError, match="do not run from 0 without gaps"):
        load_dataset("gislr", asl_signs)
    table = asl_signs / "train.csv"
    table.write_text(table.read_text().replace("participant_id", "who"))
    with pytest.raises(ValueError, match=r"train\.csv has no column participant_id"):
        load_dataset("gislr", asl_signs)


def test_published_files(signlang_data, cache_folder):
    """42 sequences as Kaggle has them: 21 participants, two signs."""
    split = load_dataset("gislr", signlang_data / "gislr-sample", split="train", cache_dir=cache_folder)
    assert len(split) == 42 and len(split.unique("signer")) == 21
    assert split.features["label"].names == ["hello", "thankyou"]
    lengths = []
    for row in split.with_format("numpy"):
        sequence = to_sequence(row)
        lengths.append(len(sequence))
        assert sequence.timestamps[0] == 0 and sequence.part_seen("pose").all() and sequence.part_seen("face").any()
        # The wrist of a hand that was seen lies where the body's wrist is: sides and order are right.
        for side in ("left", "right"):
            hand, body = sequence.spec.indices([f"{side}_hand_wrist", f"{side}_wrist"])
            gap = np.linalg.norm(sequence.data[:, hand, :2] - sequence.data[:, body, :2], axis=1)
            assert not (gap > 0.2).any()
    assert (min(lengths), max(lengths)) == (4, 19)
