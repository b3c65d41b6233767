"""INCLUDE and INCLUDE-50: the bundled lists are the official ones, and clips are found as videos or as extracted landmarks."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter, defaultdict

import numpy as np
import pytest
from cheap_pose import CheapEstimator, tiny_frames

from signlang_hf.data import load_dataset, to_sequence
from signlang_hf.data.include import official_clips
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.pose import extract_folder
from signlang_hf.video import write_video

SIZES = {"include": (3127, 348, 817), "include50": (689, 77, 192)}
SPLITS = ("train", "validation", "test")


def some(subset, per_split=2):
    """A few official clips of each split, and always one that lies in a folder ``Extra``."""
    chosen = defaultdict(list)
    for clip in sorted(official_clips(), key=lambda clip: "/Extra/" not in clip.path):
        split = getattr(clip, subset)
        if split and len(chosen[split]) < per_split:
            chosen[split].append(clip)
    return [clip for clips in chosen.values() for clip in clips]


def landmarks(seed):
    data = np.random.default_rng(seed).random((8, 75, 3)).astype("f4")
    return LandmarkSequence(data, "mediapipe-holistic", fps=25, size=(1920, 1080))


@pytest.fixture
def extracted(tmp_path):
    """What ``signlang extract`` leaves of six clips of INCLUDE-50."""
    folder = tmp_path / "landmarks"
    for seed, clip in enumerate(some("include50")):
        landmarks(seed).save(folder / f"{clip.path}.npz")
    return folder


@pytest.mark.parametrize("subset", SIZES)
def test_the_lists_have_the_published_sizes_and_every_sign_in_training(subset):
    clips = [clip for clip in official_clips() if getattr(clip, subset)]
    counts = Counter(getattr(clip, subset) for clip in clips)
    assert tuple(counts[split] for split in SPLITS) == SIZES[subset]
    assert len({clip.path for clip in clips}) == len(clips)
    signs = {clip.label for clip in clips}
    assert len(signs) == {"include": 263, "include50": 50}[subset]
    assert {clip.label for clip in clips if getattr(clip, subset) == "train"} == signs


def test_include50_tests_on_clips_that_include_trains_on():
    """What the cards warn of."""
    test = [clip for clip in official_clips() if clip.include50 == "test"]
    assert sum(clip.include != "test" for clip in test) == 159


@pytest.mark.parametrize("subset", SIZES)
def test_the_lists_are_the_authors(subset, signlang_data):
    folder = signlang_data / "include"
    for name, split in zip(("train", "val", "test"), SPLITS):
        lines = (folder / f"{subset}_{name}.txt").read_text().splitlines()
        official = {f"{clip.path}.MOV" for clip in official_clips() if getattr(clip, subset) == split}
        assert official == {line for line in lines if line.strip()}
    numbers = json.loads((folder / f"label_map_{subset}.json").read_text())
    labels = sorted({clip.label for clip in official_clips() if getattr(clip, subset)})
    assert labels == sorted(numbers, key=numbers.get) and sorted(numbers.values()) == list(range(len(labels)))


def test_extracted_landmarks_become_the_official_splits(extracted, cache_folder):
    splits = load_dataset("include50", extracted, cache_dir=cache_folder, on_error="skip")
    assert {name: len(split) for name, split in splits.items()} == dict.fromkeys(SPLITS, 2)
    names = splits["train"].features["label"].names
    assert len(names) == 50 and names == sorted(names)
    for clip in some("include50"):
        (row,) = [row for row in splits[clip.include50] if row["id"] == clip.path]
        assert (names[row["label"]], row["signer"]) == (clip.label, None)
    row = splits["train"][0]
    expected = landmarks([clip.path for clip in some("include50")].index(row["id"]))
    np.testing.assert_array_equal(to_sequence(row).data, expected.data)


def test_clips_are_found_however_deep_their_categories_lie(extracted, cache_folder):
    shutil.move(extracted, extracted.parent / "deep" / "INCLUDE" / "parts")
    splits = load_dataset("include50", extracted.parent / "deep", cache_dir=cache_folder, on_error="skip")
    assert sum(map(len, splits.values())) == 6


@pytest.fixture
def videos(tmp_path):
    """Three clips of INCLUDE as videos."""
    pytest.importorskip("av", reason="PyAV writes the test videos")
    clips = some("include", 1)
    for seed, clip in enumerate(clips):
        path = tmp_path / "videos" / f"{clip.path}.MOV"
        path.parent.mkdir(parents=True)
        write_video(path.with_suffix(".mp4"), tiny_frames(seed=seed), fps=25)
        path.with_suffix(".mp4").rename(path)
    return tmp_path / "videos"


def test_videos_are_extracted_once_and_for_all_datasets(videos, cache_folder):
    estimator = CheapEstimator()
    options = {"cache_dir": cache_folder, "on_error": "skip", "estimator": estimator}
    splits = load_dataset("include", videos, **options)
    assert sum(map(len, splits.values())) == 3 and estimator.clips == 3
    assert to_sequence(splits["train"][0]).size == (64, 48)
    load_dataset("include", videos, layout="hands-42", **options)
    in_both = [clip for clip in some("include", 1) if clip.include50]
    fifty = load_dataset("include50", videos, **options)
    assert sum(map(len, fifty.values())) == len(in_both) > 0 and estimator.clips == 3


def test_what_signlang_extract_writes_is_read_and_wins_over_the_videos(videos, cache_folder):
    extract_folder(videos, videos / "landmarks", num_workers=0, estimator="cheap_pose:cheap_estimator", progress=False)
    splits = load_dataset("include", videos, cache_dir=cache_folder, on_error="skip")
    assert sum(map(len, splits.values())) == 3
    assert not (cache_folder / "signlang_landmarks").exists(), "nothing was extracted"


def test_missing_clips_are_counted_and_refused_or_left_out(extracted, cache_folder, caplog):
    with pytest.raises(FileNotFoundError, match=r"952 of the 958 clips .* the first is .*MOV\. With on_error='skip'"):
        load_dataset("include50", extracted, cache_dir=cache_folder)
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        load_dataset("include50", extracted, cache_dir=cache_folder, on_error="skip")
    assert caplog.text.count("are not there") == 1 and "952 of the 958" in caplog.text


def test_a_wrong_folder_says_what_is_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none of the 4292 clips; it should be .*Adjectives/1\. loud/MVI_9289"):
        load_dataset("include", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"Folder not found: .*It should be the folder into which INCLUDE"):
        load_dataset("include", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="needs data_dir=, the folder into which INCLUDE was unpacked"):
        load_dataset("include50")


def test_an_option_that_cannot_be_is_refused(extracted):
    with pytest.raises(ValueError, match="on_error is 'ignore'"):
        load_dataset("include50", extracted, on_error="ignore")
