"""Rows for a vision-language model: three keys, honest splits, statistics with a picture, and the dataset that reads them."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from cheap_pose import tiny_frames

from signlang_hf.data import list_datasets, load_dataset, save_dataset
from signlang_hf.data.gloss_counts import count_glosses, draw_gloss_counts
from signlang_hf.data.sign_videos import PROMPT
from signlang_hf.data.wlasl_rows import build_rows
from signlang_hf.data.wlasl_table import read_table
from signlang_hf.video import read_video, write_video

pytest.importorskip("matplotlib", reason="the picture of clips per gloss needs matplotlib")
GLOSSES = ("book", "drink", "computer", "go")


def records():
    """Four glosses of ten clips by five signers; the official split shares them, and two clips share a video."""
    splits = ("train",) * 6 + ("val",) * 2 + ("test",) * 2
    return [
        (gloss, {"video_id": f"{10 * g + i:05d}", "url": "http://x/shared.mp4" if 10 * g + i in (0, 9) else f"http://x/{10 * g + i}.mp4",
                 "split": splits[i], "signer_id": (i + g) % 5})
        for g, gloss in enumerate(GLOSSES)
        for i in range(10)
    ]  # fmt: skip


def save_table(path, found):
    glosses = dict.fromkeys(gloss for gloss, _ in found)
    path.write_text(
        json.dumps([{"gloss": gloss, "instances": [r for g, r in found if g == gloss]} for gloss in glosses])
    )
    return path


@pytest.fixture
def wlasl(tmp_path):
    folder = tmp_path / "WLASL" / "videos"
    folder.mkdir(parents=True)
    for _, record in records():
        (folder / f"{record['video_id']}.mp4").write_bytes(b"not looked into")
    save_table(tmp_path / "table.json", records())
    return tmp_path


def build(wlasl, **options):
    return build_rows(wlasl / "table.json", wlasl / "WLASL" / "videos", wlasl / "rows", **options)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_have_three_keys_and_the_official_split(wlasl):
    report = build(wlasl)
    rows = {name: lines(wlasl / "rows" / f"{name}.jsonl") for name in ("train", "validation", "test")}
    assert {name: len(part) for name, part in rows.items()} == {"train": 24, "validation": 8, "test": 8}
    for row in (row for part in rows.values() for row in part):
        assert (
            list(row) == ["prompt", "video_path", "gloss"]
            and Path(row["video_path"]).is_file()
            and Path(row["video_path"]).is_absolute()
        )
        assert row["prompt"] == (
            "You are an expert sign-language recognition model. Identify the sign in the video and respond with exactly one word and nothing else."
        )
    assert rows["test"][0] == {
        "prompt": PROMPT,
        "video_path": str(wlasl / "WLASL" / "videos" / "00008.mp4"),
        "gloss": "book",
    }
    assert report.missing == [] and report.statistics["shared_with_train"]["test"] == {
        "signers": 5,
        "clips_of_same_video": 1,
    }
    assert "5 of its 5 signers also train" in str(report)
    assert {path.name for path in (wlasl / "rows").iterdir()} == {
        "train.jsonl", "validation.jsonl", "test.jsonl", "clips.jsonl", "statistics.json", "clips_per_gloss.png"
    }  # fmt: skip
    assert lines(wlasl / "rows" / "clips.jsonl")[0]["signer"] == "0"


def test_a_stratified_split_gives_each_gloss_its_share(wlasl):
    build(wlasl)
    report = build(wlasl, split="stratified", test_size=0.2, seed=3)
    assert not (wlasl / "rows" / "validation.jsonl").exists(), "of the earlier build"
    counts = {
        name: Counter(row["gloss"] for row in lines(wlasl / "rows" / f"{name}.jsonl")) for name in ("train", "test")
    }
    assert counts == {"train": dict.fromkeys(GLOSSES, 8), "test": dict.fromkeys(GLOSSES, 2)}
    first = (wlasl / "rows" / "test.jsonl").read_text()
    build(wlasl, split="stratified", test_size=0.2, seed=3)
    assert (wlasl / "rows" / "test.jsonl").read_text() == first
    build(wlasl, split="stratified", test_size=0.2, seed=4)
    assert (wlasl / "rows" / "test.jsonl").read_text() != first
    assert report.statistics["seed"] == 3 and report.statistics["splits"]["test"]["glosses"] == 4


def test_a_signer_disjoint_split_shares_no_signer(wlasl):
    report = build(wlasl, split="signer-disjoint", test_size=0.2, validation_size=0.2)
    clips = lines(wlasl / "rows" / "clips.jsonl")
    signers = {
        name: {clip["signer"] for clip in clips if clip["split"] == name} for name in ("train", "validation", "test")
    }
    assert [len(found) for found in signers.values()] == [3, 1, 1] and not signers["train"] & (
        signers["test"] | signers["validation"]
    )
    assert report.statistics["shared_with_train"]["test"]["signers"] == 0
    assert {clip["gloss"] for clip in clips if clip["split"] == "test"} == set(GLOSSES)
    dataset = load_dataset("sign_videos", wlasl / "rows", cache_dir=wlasl / "cache")
    assert not set(dataset["train"]["signer"]) & set(dataset["test"]["signer"])
    with pytest.raises(ValueError, match="2 parts need at least 2 signers"):
        one = [(gloss, record | {"signer_id": 1}) for gloss, record in records()]
        build_rows(
            save_table(wlasl / "one.json", one), wlasl / "WLASL" / "videos", wlasl / "r", split="signer-disjoint"
        )


def test_missing_videos_are_left_out_and_counted(wlasl):
    for name in ("00000", "00001"):
        (wlasl / "WLASL" / "videos" / f"{name}.mp4").unlink()
    (wlasl / "WLASL" / "videos" / "00002.mp4").write_bytes(b"")
    report = build(wlasl)
    assert report.missing == ["00000", "00001", "00002"] and report.statistics["clips"] == 37
    assert "3 clips of the table are not there and were left out, the first is 00000; signlang wlasl download" in str(
        report
    )
    assert json.loads((wlasl / "rows" / "statistics.json").read_text())["missing_videos"] == report.missing
    shutil.rmtree(wlasl / "WLASL" / "videos")
    with pytest.raises(FileNotFoundError, match="Folder of videos not found"):
        build(wlasl)
    (wlasl / "WLASL" / "videos").mkdir()
    with pytest.raises(
        FileNotFoundError,
        match=r"holds none of the 40 clips of .*table\.json, the first is 00000\.mp4; signlang wlasl download",
    ):
        build(wlasl)


def test_what_cannot_be_built_says_so(wlasl):
    with pytest.raises(ValueError, match="split is 'random'; choose one of official, stratified, signer-disjoint"):
        build(wlasl, split="random")
    with pytest.raises(ValueError, match="The prompt is empty"):
        build(wlasl, prompt=" ")
    with pytest.raises(ValueError, match=r"test_size is 1\.5"):
        build(wlasl, split="stratified", test_size=1.5)
    lone = [*records(), ("zebra", {"video_id": "00000z", "split": "train", "signer_id": 0})]
    (wlasl / "WLASL" / "videos" / "00000z.mp4").write_bytes(b"x")
    table = save_table(wlasl / "lone.json", lone)
    with pytest.raises(ValueError, match=r"zebra\. Add rows or leave it out\. signlang wlasl filter --min-clips 2"):
        build_rows(table, wlasl / "WLASL" / "videos", wlasl / "r", split="stratified")
    odd = save_table(wlasl / "odd.json", [(gloss, record | {"split": "mine"}) for gloss, record in records()])
    with pytest.raises(ValueError, match="The table has the split 'mine'"):
        build_rows(odd, wlasl / "WLASL" / "videos", wlasl / "r")
    no_signer = save_table(
        wlasl / "n.json", [(g, {k: v for k, v in r.items() if k != "signer_id"}) for g, r in records()]
    )
    with pytest.raises(ValueError, match="has no 'signer_id', and 39 more like it"):
        build_rows(no_signer, wlasl / "WLASL" / "videos", wlasl / "r", split="signer-disjoint")
    assert not (wlasl / "r").exists()
    report = build_rows(no_signer, wlasl / "WLASL" / "videos", wlasl / "r")
    assert report.statistics["signers"] == {"train": 0, "validation": 0, "test": 0}


# ------------------------------------------------------------------------------------------------------ the dataset


def test_load_dataset_reads_the_rows(wlasl):
    build(wlasl, prompt="Which sign?")
    dataset = load_dataset("sign_videos", wlasl / "rows", cache_dir=wlasl / "cache")
    assert "sign_videos" in list_datasets()
    assert {name: len(split) for name, split in dataset.items()} == {"train": 24, "validation": 8, "test": 8}
    row = dataset["test"][0]
    assert row == {"id": "00008", "prompt": "Which sign?", "video_path": str(wlasl / "WLASL" / "videos" / "00008.mp4"),
                   "gloss": "book", "label": 0, "signer": "3"}  # fmt: skip
    assert dataset["train"].features["label"].names == sorted(GLOSSES)
    streamed = load_dataset("sign_videos", wlasl / "rows", split="train", streaming=True)
    assert [row["gloss"] for row in streamed] == dataset["train"]["gloss"]
    save_dataset(dataset, wlasl / "saved")
    assert "video-classification" in (wlasl / "saved" / "README.md").read_text()
    assert load_dataset(wlasl / "saved", cache_dir=wlasl / "cache2")["test"][0]["gloss"] == "book"


def test_rows_can_move_with_their_videos(wlasl, tmp_path):
    build(wlasl, relative=True)
    assert lines(wlasl / "rows" / "train.jsonl")[0]["video_path"] == "../WLASL/videos/00000.mp4"
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("WLASL", "rows"):
        (wlasl / name).rename(moved / name)
    row = load_dataset("sign_videos", moved / "rows", split="train", cache_dir=tmp_path / "cache")[0]
    assert Path(row["video_path"]).is_file() and row["signer"] == "0"


def test_videos_that_are_gone_when_loading(wlasl, caplog):
    build(wlasl)
    (wlasl / "WLASL" / "videos" / "00003.mp4").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"1 of the 40 clips that the dataset lists are not there, the first is .*00003\.mp4"
    ):
        load_dataset("sign_videos", wlasl / "rows", cache_dir=wlasl / "cache")
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        dataset = load_dataset("sign_videos", wlasl / "rows", cache_dir=wlasl / "cache", on_error="skip")
    assert len(dataset["train"]) == 23 and "they are left out" in caplog.text
    (wlasl / "WLASL" / "videos" / "00003.mp4").write_bytes(b"x")
    assert len(load_dataset("sign_videos", wlasl / "rows", cache_dir=wlasl / "cache", on_error="skip")["train"]) == 24
    shutil.rmtree(wlasl / "WLASL")
    with pytest.raises(
        FileNotFoundError, match=r"None of the 40 videos that .* lists is there.* was the folder moved\?"
    ):
        load_dataset("sign_videos", wlasl / "rows", cache_dir=wlasl / "cache", on_error="skip")


def test_wrong_rows_are_named(tmp_path):
    with pytest.raises(ValueError, match="needs data_dir="):
        load_dataset("sign_videos")
    with pytest.raises(FileNotFoundError, match=r"holds no split such as train\.jsonl"):
        load_dataset("sign_videos", tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"x")
    rows = tmp_path / "train.jsonl"
    for content, message in (
        ('{"video_path": "a.mp4"}\n', r"train\.jsonl: row 1 has no 'gloss'"),
        ('{"gloss": "a"}\n\n[3]\n', r"has 2 faults:\n  train\.jsonl: row 1 has no 'video_path'\n  train\.jsonl: row 3 has no 'video_path' and no 'gloss'"),
        ('{"gloss": "a", "video_path": "a.mp4"}\n{"gloss": "b", "video_path": "a.mp4"}\n', r"row 2 has the video of row 1 of train\.jsonl"),
        ("{\n", "not valid JSON"),
    ):  # fmt: skip
        rows.write_text(content)
        with pytest.raises(ValueError, match=message):
            load_dataset("sign_videos", tmp_path, cache_dir=tmp_path / "cache")
    rows.unlink()
    (tmp_path / "val.json").write_text('[{"gloss": "a", "video_path": "a.mp4", "signer": "x"}]')
    (row,) = load_dataset("sign_videos", tmp_path, cache_dir=tmp_path / "cache")["validation"]
    assert row["prompt"] == PROMPT and row["signer"] == "x"


# ------------------------------------------------------------------------------------------------------ statistics


def test_statistics_of_glosses():
    found = count_glosses({"train": ["a", "a", "b"], "test": ["a", "c"]})
    assert (found["clips"], found["glosses"], found["min"], found["median"], found["mean"], found["max"]) == (
        5,
        3,
        1,
        1.0,
        1.67,
        3,
    )
    assert found["splits"]["test"] == {"clips": 2, "glosses": 2, "min": 1, "median": 1.0, "mean": 1.0, "max": 1}
    assert found["missing"] == {"train": ["c"], "test": ["b"]}
    assert list(found["clips_per_gloss"]) == ["a", "b", "c"] and found["clips_per_gloss"]["a"] == {
        "train": 2,
        "test": 1,
    }


@pytest.mark.parametrize(
    ("glosses", "size"), [(1, (1050, 248)), (20, (1050, 681)), (300, (2070, 1593)), (2000, (1650, 780))]
)
def test_the_picture_grows_with_the_glosses(tmp_path, glosses, size):
    rng = np.random.default_rng(0)
    names = [f"gloss {i}" for i in range(glosses) for _ in range(int(rng.integers(3, 30)))]
    draw_gloss_counts(count_glosses({"train": names[::2], "test": names[1::2]}), tmp_path / "a.png")
    from PIL import Image

    with Image.open(tmp_path / "a.png") as picture:
        assert np.abs(np.subtract(picture.size, size)).max() <= 2
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((59, 111, 182), (224, 138, 60)):
        assert (pixels == colour).all(axis=1).sum() > 200, "both splits are to be seen"


def test_published_tables_build(signlang_data, tmp_path):
    instances = read_table(signlang_data / "wlasl" / "asl100.json")
    (tmp_path / "videos").mkdir()
    for one in instances:
        (tmp_path / "videos" / f"{one.video}.mp4").write_bytes(b"x")
    table = signlang_data / "wlasl" / "asl100.json"
    official = build_rows(table, tmp_path / "videos", tmp_path / "official").statistics
    assert {name: split["clips"] for name, split in official["splits"].items()} == {
        "train": 1442,
        "validation": 338,
        "test": 258,
    }
    assert official["shared_with_train"]["test"]["signers"] == 52 and official["signers"]["test"] == 56
    disjoint = build_rows(table, tmp_path / "videos", tmp_path / "disjoint", split="signer-disjoint").statistics
    assert disjoint["shared_with_train"]["test"]["signers"] == 0 and disjoint["missing"]["train"] == []
    assert 0.15 < disjoint["splits"]["test"]["clips"] / 2038 < 0.25
    stratified = build_rows(table, tmp_path / "videos", tmp_path / "stratified", split="stratified").statistics
    assert stratified["splits"]["test"]["clips"] == 408 and stratified["splits"]["test"]["glosses"] == 100


def test_rows_of_real_clips_open(tmp_path):
    pytest.importorskip("av", reason="PyAV writes the test videos")
    (tmp_path / "videos").mkdir()
    found = []
    for i in range(4):
        write_video(tmp_path / "videos" / f"{i}.mp4", tiny_frames(seed=i), fps=25)
        found.append(("book", {"video_id": str(i), "split": ("train", "test")[i % 2]}))
    build_rows(save_table(tmp_path / "t.json", found), tmp_path / "videos", tmp_path / "rows")
    dataset = load_dataset("sign_videos", tmp_path / "rows", cache_dir=tmp_path / "cache")
    assert all(len(read_video(row["video_path"])) == 6 for split in dataset.values() for row in split)
