"""ISL-30: names, axes and views of a generated copy, folder and archive alike; counts and sides of the real one."""

from __future__ import annotations

import tarfile
from collections import Counter

import numpy as np
import pytest

from signlang_hf.data import load_dataset
from signlang_hf.data.isl30 import SIGNERS, SIGNS, parse_clip, parse_name
from signlang_hf.data.rows import to_sequence
from signlang_hf.landmarks import get_layout

FILES = ("afternoon_apurve_1.txt", "born__pradeep_4.txt", " no_rajat_9.txt", "you_shewta_2.txt")


def _text(seed: int, frames: int = 5) -> str:
    """A skeleton in Kinect's space: the head above the feet (y up), the right hand at larger x, everything 2 to 3 m away."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.02, (frames, 20, 3)) + [0, 0, 2.5]
    points = get_layout("kinect-20").index
    joints[:, points["head"], 1] += 0.7
    joints[:, points["left_foot"], 1] -= 0.9
    joints[:, points["right_hand"], 0] += 0.4
    return "\n".join(" ".join(f"{value:.6f}" for value in frame) for frame in joints.reshape(frames, -1)) + "\n"


@pytest.fixture
def folder(tmp_path):
    raw = tmp_path / "isl30" / "RawDataset"
    raw.mkdir(parents=True)
    for seed, name in enumerate(FILES):
        (raw / name).write_text(_text(seed))
    (raw.parent / "LICENSE").write_text("MIT")
    return raw


def test_rows_hold_names_views_and_turned_axes(folder, cache_folder):
    rows = load_dataset("isl30", folder, split="train", cache_dir=cache_folder).with_format("numpy")
    assert sorted(rows["id"]) == ["afternoon_apurve_1", "born_pradeep_4", "no_rajat_9", "you_shewta_2"]
    views = dict(zip(rows["id"], rows["view"], strict=True))
    assert views == {"afternoon_apurve_1": "frontal", "born_pradeep_4": "turned-46", "no_rajat_9": "turned-61",
                     "you_shewta_2": "frontal"}  # fmt: skip
    assert set(rows["signer"]) == {"apurve", "pradeep", "rajat", "shewta"}
    assert rows.features["label"].names == list(SIGNS)
    sequence = to_sequence(rows[0])
    assert (sequence.layout, sequence.units, sequence.fps, len(sequence)) == ("kinect-20", "metre", 30.0, 5)
    points = sequence.spec.index
    head, foot, hand = (sequence.data[:, points[name]].mean(0) for name in ("head", "left_foot", "right_hand"))
    assert head[1] < foot[1], "y must grow downwards"
    assert hand[0] < head[0], "the signer's right hand must lie to the left in the picture"
    assert 2.3 < head[2] < 2.7


def test_folder_parent_and_archive_give_the_same_rows(folder, tmp_path, cache_folder):
    archive = tmp_path / "isl30.tar.xz"
    with tarfile.open(archive, "w:xz") as stream:
        stream.add(folder.parent, "isl30")
    copies = [
        load_dataset("isl30", place, split="train", cache_dir=cache_folder).with_format("numpy")
        for place in (folder, folder.parent, archive)
    ]
    for copy in copies[1:]:
        assert list(copy["id"]) == list(copies[0]["id"])
        for one, other in zip(copy, copies[0], strict=True):
            np.testing.assert_array_equal(one["landmarks"], other["landmarks"])


def test_signers_can_be_held_out(folder, cache_folder):
    splits = load_dataset("isl30", folder, hold_out=["shewta", "rajat"], cache_dir=cache_folder)
    assert {name: sorted(split["signer"]) for name, split in splits.items()} == {
        "train": ["apurve", "pradeep"],
        "test": ["rajat", "shewta"],
    }
    with pytest.raises(ValueError, match="unknown signer anna; known are apurve"):
        load_dataset("isl30", folder, hold_out="anna")
    with pytest.raises(ValueError, match="at least one must stay"):
        load_dataset("isl30", folder, hold_out=SIGNERS)


def test_several_processes_build_the_same_rows(folder, cache_folder):
    rows = load_dataset("isl30", folder, split="train", num_proc=2, cache_dir=cache_folder)
    assert len(rows) == 4


@pytest.mark.parametrize("name", ["hello.txt", "hello_nobody_1.txt", "nothing_apurve_1.txt", "hello_apurve_0.txt"])
def test_a_name_that_is_no_clip_is_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' names no clip of ISL-30"):
        parse_name(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no frame"),
        ("1 2 3\n", "every row must hold 60 numbers"),
        (_text(0) + "1 2\n", "every row must hold 60 numbers"),
        (_text(0).replace("0.", "zero", 1), "every row must hold 60 numbers"),
        ("nan " * 60, "no finite numbers"),
    ],
)
def test_a_broken_file_is_named(text, message):
    with pytest.raises(ValueError, match=rf"a\.txt: .*{message}"):
        parse_clip(text, "a.txt")


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="isl30 needs data_dir="):
        load_dataset("isl30")
    with pytest.raises(FileNotFoundError, match="neither a folder nor a tar archive"):
        load_dataset("isl30", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="holds no clip of isl30"):
        load_dataset("isl30", tmp_path)


def test_the_real_archive_holds_2700_clips_of_right_handers(signlang_data, cache_folder):
    archive = signlang_data / "isl30-kinect.tar.xz"
    if not archive.is_file():
        pytest.skip(f"real data not found: {archive}")
    rows = load_dataset("isl30", archive, split="train", cache_dir=cache_folder).with_format("numpy")
    assert set(Counter(zip(rows["signer"], rows["label"], strict=True)).values()) == {9} and len(rows) == 2700
    assert Counter(rows["view"]) == {"frontal": 900, "turned-46": 900, "turned-61": 900}
    points = get_layout("kinect-20").index
    sample = rows.select(range(0, 2700, 20))
    right = nearer = 0
    for row in sample:
        path = np.linalg.norm(np.diff(row["landmarks"], axis=0), axis=2).sum(0)
        right += path[points["right_hand"]] > path[points["left_hand"]]
        body = row["landmarks"].mean(0)
        assert body[points["head"], 1] < body[points["spine"], 1] < body[points["left_foot"], 1]
        nearer += body[points["left_shoulder"], 2] < body[points["right_shoulder"], 2]
    assert right > 0.75 * len(sample)
    assert nearer > 0.6 * len(sample), "two thirds of the clips show the left shoulder in front"
