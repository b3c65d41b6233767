"""``landmark_folder``: one's own files become splits; the cache follows the files; faults are sentences."""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest

from signlang_hf.data import load_dataset, to_sequence
from signlang_hf.landmarks import LandmarkSequence


def test_a_folder_becomes_splits_of_rows(landmark_folder, cache_folder, clip):
    splits = load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 9, "test": 3}
    assert splits["train"].features["label"].names == ["hello", "house", "thanks"]
    row = splits["train"][1]
    assert (row["id"], row["signer"], row["label"], row["view"]) == ("anna/house", "anna", 1, None)
    result = to_sequence(row)
    np.testing.assert_array_equal(result.data, clip(1).data)
    assert result.size == (640, 480) and result.layout == "hands-42"


def test_streaming_and_num_proc_give_the_same_rows(landmark_folder, cache_folder):
    plain = load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder / "a").with_format(
        "numpy"
    )
    spread = load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder / "b", num_proc=2)
    streamed = list(
        load_dataset("landmark_folder", landmark_folder, split="train", streaming=True, cache_dir=cache_folder / "c")
    )
    assert list(plain["id"]) == list(spread["id"]) == [row["id"] for row in streamed]
    for row, other, third in zip(plain, spread.with_format("numpy"), streamed):
        np.testing.assert_array_equal(row["landmarks"], other["landmarks"])
        np.testing.assert_array_equal(row["landmarks"], third["landmarks"])
    assert not list((cache_folder / "c").rglob("*.arrow")), "streaming wrote a cache"


def test_a_changed_an_added_and_a_removed_file_are_noticed(
    landmark_folder, cache_folder, clip, folder_rows, write_table
):
    def ids_and_frames():
        split = load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder)
        return dict(zip(split["id"], (len(landmarks) for landmarks in split["landmarks"])))

    assert set(ids_and_frames().values()) == {20}
    file = landmark_folder / "anna/hello.npz"
    clip(99, frames=8).save(file)
    assert ids_and_frames()["anna/hello"] == 8
    clip(98, frames=9).save(landmark_folder / "anna/new.npz")
    added = {"file_name": "anna/new.npz", "label": "house", "signer": "anna", "split": "train"}
    write_table(landmark_folder, [*folder_rows[1:], added])
    after = ids_and_frames()
    assert after["anna/new"] == 9 and "anna/hello" not in after and len(after) == 9


def test_an_unchanged_folder_is_built_once(landmark_folder, cache_folder):
    first = load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder)
    built = {path: path.stat().st_mtime_ns for path in cache_folder.rglob("*.arrow")}
    second = load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder)
    assert {path: path.stat().st_mtime_ns for path in cache_folder.rglob("*.arrow")} == built and len(built) == 2
    assert first.cache_files == second.cache_files


def test_id_view_and_split_aliases_are_kept(landmark_folder, cache_folder, folder_rows, write_table):
    for number, row in enumerate(folder_rows):
        row |= {"id": f"clip-{number}", "view": "front", "split": "dev" if row["signer"] == "ben" else row["split"]}
    write_table(landmark_folder, folder_rows)
    splits = load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder)
    assert list(splits) == ["train", "validation", "test"]
    assert splits["validation"][0]["id"] == "clip-3" and splits["validation"][0]["view"] == "front"


def test_without_a_split_column_everything_is_train(landmark_folder, cache_folder, folder_rows, write_table):
    rows = [{"file_name": row["file_name"], "label": row["label"]} for row in folder_rows]
    write_table(landmark_folder, rows)
    splits = load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 12}
    assert set(splits["train"]["signer"]) == {None}


def test_files_of_other_layouts_are_converted_by_name(landmark_folder, cache_folder, clip):
    holistic = clip(7, layout="mediapipe-holistic", points=75)
    holistic.save(landmark_folder / "anna/hello.npz")
    split = load_dataset("landmark_folder", landmark_folder, split="train", layout="hands-42", cache_dir=cache_folder)
    np.testing.assert_array_equal(to_sequence(split[0]).data, holistic.data[:, 33:])
    wide = load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder)
    assert wide.features["landmarks"].shape == (None, 75, 3), "the first clip's layout is the default"
    assert not to_sequence(wide[1]).part_seen("pose").any() and to_sequence(wide[1]).part_seen("left_hand").all()


def test_bare_arrays_are_read_with_the_given_layout_rate_and_size(tmp_path, cache_folder, clip, write_table):
    folder = tmp_path / "bare"
    folder.mkdir()
    for seed in range(4):
        np.save(folder / f"{seed}.npy", clip(seed).to_units("pixel").data)
    write_table(folder, [{"file_name": f"{seed}.npy", "label": label} for seed, label in enumerate("aabb")])
    options = {"layout": "hands-42", "fps": 50.0, "size": [640, 480], "units": "pixel"}
    split = load_dataset("landmark_folder", folder, split="train", cache_dir=cache_folder, **options)
    result = to_sequence(split[2])
    assert (result.fps, result.size, result.units) == (50.0, (640, 480), "image")
    np.testing.assert_allclose(result.data, clip(2).data, atol=1e-6)
    body = load_dataset(
        "landmark_folder",
        folder,
        split="train",
        cache_dir=cache_folder,
        layout="isl-48",
        file_layout="hands-42",
        size=[640, 480],
    )
    assert body.features["landmarks"].shape == (None, 48, 3)
    with pytest.raises(ValueError, match=r"0\.npy: an \.npy file does not name its layout; pass file_layout="):
        load_dataset("landmark_folder", folder, cache_dir=cache_folder)


def broken_file(folder):
    (folder / "ben/house.npz").write_bytes(b"PK\x03\x04 not an archive")


def wrong_points(folder):
    fields = dict(np.load(folder / "ben/house.npz"))
    np.savez(folder / "ben/house.npz", **fields | {"data": np.zeros((5, 41, 3), "f4")})


def no_frames(folder):
    clip = LandmarkSequence.load(folder / "ben/house.npz")
    clip.frames(slice(0, 0)).save(folder / "ben/house.npz")


def nothing_seen(folder):
    clip = LandmarkSequence.load(folder / "ben/house.npz")
    clip.replace(data=np.full_like(clip.data, np.nan)).save(folder / "ben/house.npz")


FAULTS = {
    broken_file: r"house\.npz: .*zip",
    wrong_points: r"house\.npz: .*have 41 points; the layout has 42",
    no_frames: r"house\.npz: the clip has no frames",
    nothing_seen: r"house\.npz: no point was seen in any frame \(NaN everywhere\)",
}


@pytest.mark.parametrize("break_it", FAULTS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("num_proc", [None, 2])
def test_a_faulty_file_is_one_sentence_or_is_left_out(landmark_folder, cache_folder, caplog, break_it, num_proc):
    break_it(landmark_folder)
    with pytest.raises(ValueError, match=FAULTS[break_it]):
        load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder, num_proc=num_proc)
    with pytest.raises(ValueError, match=FAULTS[break_it]):
        list(load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder, streaming=True))
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        splits = load_dataset(
            "landmark_folder", landmark_folder, cache_dir=cache_folder, num_proc=None, on_error="skip"
        )
    assert len(splits["train"]) == 8 and "ben/house" not in splits["train"]["id"]
    assert "Left out row 6 of metadata.csv" in caplog.text


def test_a_faulty_first_file_does_not_decide_the_layout(landmark_folder, cache_folder):
    (landmark_folder / "anna/hello.npz").write_bytes(b"")
    split = load_dataset("landmark_folder", landmark_folder, split="train", cache_dir=cache_folder, on_error="skip")
    assert len(split) == 8
    for file in landmark_folder.rglob("*.npz"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="not one of the 12 files can be read"):
        load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder, on_error="skip")


def test_faults_of_the_table_are_raised_together(landmark_folder, cache_folder, folder_rows, write_table):
    (landmark_folder / "anna/hello.npz").unlink()
    write_table(landmark_folder, [*folder_rows, folder_rows[3]])
    with pytest.raises(ValueError) as caught:
        load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder)
    message = str(caught.value)
    assert "metadata.csv has 2 faults" in message
    assert "row 2, anna/hello.npz: the file does not exist." in message
    assert "row 14, ben/hello.npz: the file is listed twice, first in row 5." in message


def test_missing_folder_table_and_data_dir(tmp_path, cache_folder):
    with pytest.raises(FileNotFoundError, match="Folder not found"):
        load_dataset("landmark_folder", tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"has no metadata\.csv\. Write a metadata\.csv with the columns file_name,label"
    ):
        load_dataset("landmark_folder", tmp_path)
    with pytest.raises(ValueError, match="needs data_dir="):
        load_dataset("landmark_folder")


def test_unknown_layout_and_options_are_named(landmark_folder, cache_folder):
    with pytest.raises(ValueError, match="Unknown layout 'mine'"):
        load_dataset("landmark_folder", landmark_folder, layout="mine", cache_dir=cache_folder)
    with pytest.raises(ValueError, match="has no option colour; it has file_layout, fps, layout, on_error"):
        load_dataset("landmark_folder", landmark_folder, colour="red")
    with pytest.raises(ValueError, match="choose 'raise' or 'skip'"):
        load_dataset("landmark_folder", landmark_folder, on_error="ignore")
    with pytest.raises(ValueError, match="no split 'dev' to stream; the dataset has train, test"):
        load_dataset("landmark_folder", landmark_folder, split="dev", streaming=True, cache_dir=cache_folder)


def test_a_table_with_a_changed_time_only_is_built_again(landmark_folder, cache_folder):
    load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder)
    os.utime(landmark_folder / "metadata.csv", ns=(5, 5))
    load_dataset("landmark_folder", landmark_folder, cache_dir=cache_folder)
    assert len(list(cache_folder.rglob("*train.arrow"))) == 2
