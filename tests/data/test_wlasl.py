"""WLASL: the publisher's tables, subsets and splits; videos that are gone are counted and left out."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from cheap_pose import CheapEstimator, tiny_frames

from signlang_hf.data import load_dataset, to_sequence
from signlang_hf.data.metadata import Metadata
from signlang_hf.data.wlasl import read_instances
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.video import write_video

GLOSSES = ("book", "drink", "computer")
SPLITS = ("train", "val", "test")


def instances():
    """Nine instances: every gloss once in every split."""
    return [(f"{69000 + i:05d}", GLOSSES[i // 3], SPLITS[i % 3]) for i in range(9)]


def table():
    return [
        {
            "gloss": gloss,
            "instances": [
                {
                    "bbox": [385, 37, 885, 720], "fps": 25, "frame_end": -1, "frame_start": 1, "instance_id": number,
                    "signer_id": int(video) % 4, "source": "aslbrick", "split": split, "url": "http://x/y.mp4",
                    "variation_id": 0, "video_id": video,
                }
                for number, (video, name, split) in enumerate(instances()) if name == gloss
            ],
        }
        for gloss in GLOSSES
    ]  # fmt: skip


def save_landmarks(folder, videos):
    for seed, video in enumerate(videos):
        data = np.random.default_rng(seed).random((5, 42, 3))
        LandmarkSequence(data, "hands-42", fps=25, size=(640, 480)).save(folder / f"{video}.npz")


@pytest.fixture
def wlasl(tmp_path):
    """The table and landmarks of all nine videos."""
    folder = tmp_path / "WLASL"
    save_landmarks(folder / "landmarks", [video for video, _, _ in instances()])
    (folder / "WLASL_v0.3.json").write_text(json.dumps(table()))
    return folder


def sizes(splits):
    return {name: len(split) for name, split in splits.items()}


def test_instances_become_rows_with_the_official_splits(wlasl, cache_folder):
    splits = load_dataset("wlasl", wlasl, cache_dir=cache_folder, words=3)
    assert sizes(splits) == {"train": 3, "validation": 3, "test": 3}
    assert splits["train"].features["label"].names == list(GLOSSES), "in the order of the table"
    row = splits["validation"][1]
    assert (row["id"], row["label"], row["signer"], row["bbox"]) == ("69004", 1, "0", [385, 37, 885, 720])
    assert to_sequence(row).layout == "hands-42"


def test_a_subset_is_the_first_glosses_of_the_table(wlasl, cache_folder):
    splits = load_dataset("wlasl", wlasl, cache_dir=cache_folder, words=2)
    assert sizes(splits) == {"train": 2, "validation": 2, "test": 2}
    assert splits["test"].features["label"].names == ["book", "drink"]
    for name in ("100", "300", "1000", "2000"):
        with pytest.raises(ValueError, match=f"lists 3 glosses, fewer than the {name} asked for"):
            load_dataset("wlasl", wlasl, cache_dir=cache_folder, config_name=name)


def test_missing_videos_are_one_line(wlasl, cache_folder, caplog):
    for video in ("69000", "69001"):
        (wlasl / "landmarks" / f"{video}.npz").unlink()
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        splits = load_dataset("wlasl", wlasl, cache_dir=cache_folder, words=3)
    assert sizes(splits) == {"train": 2, "validation": 2, "test": 3}
    assert caplog.text.count("2 of the 9 clips that the dataset lists are not there, the first is 69000") == 1


def test_the_authors_other_tables_are_read_as_well(wlasl, cache_folder):
    (wlasl / "WLASL_v0.3.json").unlink()
    content = {video: {"subset": split, "action": [GLOSSES.index(gloss), 1, 60]} for video, gloss, split in instances()}
    (wlasl / "nslt_3.json").write_text(json.dumps(content))
    with pytest.raises(
        FileNotFoundError, match=r"neither WLASL_v0\.3\.json nor both nslt_3\.json and wlasl_class_list"
    ):
        load_dataset("wlasl", wlasl, cache_dir=cache_folder, words=3)
    names = "".join(f"{i}\t{gloss}\n" for i, gloss in enumerate([*GLOSSES, "before"]))
    (wlasl / "wlasl_class_list.txt").write_text(names)
    splits = load_dataset("wlasl", wlasl, cache_dir=cache_folder, words=3)
    assert sizes(splits) == {"train": 3, "validation": 3, "test": 3}
    assert splits["train"].features["label"].names == list(GLOSSES)
    assert (splits["train"][2]["signer"], splits["train"][2]["bbox"]) == (None, None)


def test_videos_are_extracted(tmp_path, cache_folder):
    pytest.importorskip("av", reason="PyAV writes the test videos")
    (tmp_path / "videos").mkdir()
    for seed, (video, _, _) in enumerate(instances()):
        write_video(tmp_path / "videos" / f"{video}.mp4", tiny_frames(seed=seed), fps=25)
    (tmp_path / "mine.json").write_text(json.dumps(table()))
    estimator = CheapEstimator()
    splits = load_dataset(
        "wlasl", tmp_path, cache_dir=cache_folder, words=3, estimator=estimator, table=str(tmp_path / "mine.json")
    )
    assert sizes(splits) == {"train": 3, "validation": 3, "test": 3} and estimator.clips == 9


def test_wrong_folders_and_tables_are_named(wlasl, tmp_path, cache_folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no clip called by a video id; it should be .*WLASL_v0\.3\.json"):
        load_dataset("wlasl", tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"Table not found: .*nowhere"):
        load_dataset("wlasl", wlasl, words=3, table=str(tmp_path / "nowhere.json"))
    save_landmarks(tmp_path / "other", ["12345"])
    with pytest.raises(FileNotFoundError, match="none of the 9 videos of WLASL3"):
        load_dataset("wlasl", tmp_path / "other", words=3, table=str(wlasl / "WLASL_v0.3.json"))
    (wlasl / "WLASL_v0.3.json").write_text('[{"gloss": "book"}]')
    with pytest.raises(ValueError, match="is not a table in the schema of WLASL_v0"):
        load_dataset("wlasl", wlasl, words=1)
    (wlasl / "WLASL_v0.3.json").write_text("[")
    with pytest.raises(ValueError, match="is not valid JSON"):
        load_dataset("wlasl", wlasl, words=1)


def test_published_tables_agree_on_the_splits(signlang_data, tmp_path):
    folder = signlang_data / "wlasl"
    nslt = json.loads((folder / "nslt_2000.json").read_text())
    expected = {100: (1442, 338, 258), 300: (3549, 900, 668)}
    for words, counts in expected.items():
        glosses, found = read_instances(Metadata(folder, tables=[folder / f"asl{words}.json"]), words)
        splits = [one.split for one in found]
        assert len(set(glosses)) == words and tuple(map(splits.count, ("train", "validation", "test"))) == counts
        for one in found:
            split, (number, *_) = nslt[one.video]["subset"], nslt[one.video]["action"]
            assert one.split == {"val": "validation"}.get(split, split) and glosses[number] == one.gloss
    by_split = {split: {one.signer for one in found if one.split == split} for split in ("train", "test")}
    assert by_split["train"] & by_split["test"], "the publisher's splits share signers"


def test_a_published_table_finds_its_videos(signlang_data, tmp_path, cache_folder):
    _, found = read_instances(Metadata(tmp_path, tables=[signlang_data / "wlasl" / "asl100.json"]), 100)
    save_landmarks(tmp_path, [one.video for one in found[::100]])
    splits = load_dataset(
        "wlasl", tmp_path, cache_dir=cache_folder, config_name="100", table=str(signlang_data / "wlasl" / "asl100.json")
    )
    assert sum(map(len, splits.values())) == len(found[::100]) == 21
    assert len(splits["train"].features["label"].names) == 100
