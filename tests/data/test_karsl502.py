"""KArSL: every layout that circulates is read, labels in two languages, and signers are held out whole."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from cheap_pose import CheapEstimator, tiny_frames

from signlang_hf.data import check_leaks, load_dataset, to_sequence
from signlang_hf.data.karsl502 import find_labels, read_labels
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.landmarks.facemesh import FACE_CONTOURS, FACE_IRISES
from signlang_hf.landmarks.layout import get_layout
from signlang_hf.video import write_video

SIGNERS = ("01", "02", "03")


def clip_name(signer, sign, number=0):
    return f"03_{signer}_{sign:04d}_(10_11_16_15_41_{number:02d})_c"


def keypoints(seed, frames=9):
    """One clip as the keypoint files hold it: a right hand that is missing in two frames, visibility for the body only."""
    array = np.random.default_rng(seed).normal(0, 1, (frames, 184, 4))
    array[..., 3] = 0
    array[:, :6, 3] = 0.9
    array[:, 163] = 0  # an adjusted hand is measured from its wrist
    array[2:4, 142:163] = 0
    return array


def labels_json(folder):
    arabic, english = [f"ع{sign}" for sign in range(1, 503)], [f"word {sign}" for sign in range(1, 503)]
    english[212] = english[213] = "nephew"
    arabic[0] = english[0] = 0  # the numbers are numbers in the published file
    (folder / "KARSL-502_Labels.json").write_text(json.dumps({"AR_WORDS": arabic, "EN_WORDS": english}))


@pytest.fixture
def karsl_kps(tmp_path):
    """The keypoint layout: 3 signers × 2 splits × 3 signs × 2 clips, with labels."""
    folder = tmp_path / "karsl"
    for seed, (signer, split, sign) in enumerate(
        (signer, split, sign) for signer in SIGNERS for split in ("train", "test") for sign in (5, 71, 213)
    ):
        file = folder / "karsl-kps" / f"{signer}-{split}" / f"{sign:04d}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        clips = {clip_name(signer, sign, 2 * seed + i): keypoints(2 * seed + i) for i in range(2)}
        np.savez_compressed(file, **clips)
    labels_json(folder)
    return folder


def sizes(splits):
    return {name: len(split) for name, split in splits.items()}


def test_keypoint_files_hold_many_clips_each(karsl_kps, cache_folder):
    splits = load_dataset("karsl502", karsl_kps, cache_dir=cache_folder)
    assert sizes(splits) == {"train": 18, "test": 18}
    row = splits["train"][0]
    assert (row["id"], row["signer"], row["layout"]) == (f"01/train/0005/{clip_name('01', 5, 0)}", "01", "karsl-184")
    sequence = to_sequence(row)
    assert (sequence.units, sequence.size, sequence.fps) == ("unknown", None, 30.0)
    np.testing.assert_allclose(sequence.data[0], keypoints(0)[0, :, :3], rtol=1e-6)
    assert sequence.part_seen("right_hand").tolist() == [True] * 2 + [False] * 2 + [True] * 5
    assert sequence.part_seen("left_hand").all() and sequence.seen[:, 163].all(), "a point at 0 is a point"
    spec = get_layout("karsl-184")
    np.testing.assert_allclose(sequence.visibility[:, list(spec.parts["pose"])], 0.9)
    assert (sequence.visibility[:, list(spec.parts["face"])] == 1).all(), "not measured, so not in doubt"


def test_streaming_gives_the_same_rows(karsl_kps, cache_folder):
    built = load_dataset("karsl502", karsl_kps, split="test", cache_dir=cache_folder).with_format("numpy")
    streamed = list(load_dataset("karsl502", karsl_kps, split="test", streaming=True, cache_dir=cache_folder))
    assert [row["id"] for row in streamed] == list(built["id"])
    np.testing.assert_array_equal(streamed[3]["landmarks"], built[3]["landmarks"])


def test_the_layout_has_the_order_of_the_keypoint_files():
    """Shoulders, elbows, wrists; face vertices by number, irises last; the right hand before the left one."""
    points = get_layout("karsl-184").points
    assert points[:6] == tuple(f"{side}_{p}" for p in ("shoulder", "elbow", "wrist") for side in ("left", "right"))
    assert points[6:142] == tuple(f"face_{i}" for i in sorted(FACE_CONTOURS + FACE_IRISES))
    assert points[142] == "right_hand_wrist" and points[163] == "left_hand_wrist"


def test_configurations_are_the_publishers_subsets(karsl_kps, cache_folder):
    def load(**options):
        split = load_dataset("karsl502", karsl_kps, split="train", cache_dir=cache_folder, **options)
        return len(split), len(split.features["label"].names)

    assert load() == (18, 502)
    assert load(config_name="190") == (12, 190)
    assert load(config_name="100") == (6, 100)
    assert load(signs=[200, 220]) == (6, 21)


def test_labels_are_arabic_english_or_numbers(karsl_kps, cache_folder):
    def names(**options):
        split = load_dataset("karsl502", karsl_kps, split="train", cache_dir=cache_folder, **options)
        return [split.features["label"].int2str(label) for label in sorted(set(split["label"]))]

    assert names() == ["ع5", "ع71", "ع213"]
    assert names(language="en") == ["word 5", "word 71", "nephew (213)"]
    assert names(language="number") == ["0005", "0071", "0213"]
    (karsl_kps / "KARSL-502_Labels.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no KARSL-502_Labels\.xlsx or \.json; .*language='number'"):
        names()
    assert names(language="number") == ["0005", "0071", "0213"]
    with pytest.raises(ValueError, match="language is 'fr'; choose 'ar', 'en' or 'number'"):
        names(language="fr")


def test_a_held_out_signer_is_the_test_split_with_all_clips(karsl_kps, cache_folder):
    splits = load_dataset("karsl502", karsl_kps, cache_dir=cache_folder, hold_out="03")
    assert sizes(splits) == {"train": 12, "validation": 12, "test": 12}
    assert set(splits["test"]["signer"]) == {"03"}
    assert set(splits["train"]["signer"]) == set(splits["validation"]["signer"]) == {"01", "02"}
    del splits["validation"]
    assert check_leaks(splits, signer_independent=True) == []
    assert sizes(load_dataset("karsl502", karsl_kps, cache_dir=cache_folder, hold_out=["02", "03"]))["test"] == 24
    with pytest.raises(ValueError, match="unknown signer 04; known are 01, 02, 03"):
        load_dataset("karsl502", karsl_kps, cache_dir=cache_folder, hold_out="04")
    with pytest.raises(ValueError, match="names every signer"):
        load_dataset("karsl502", karsl_kps, cache_dir=cache_folder, hold_out=SIGNERS)


@pytest.mark.parametrize(
    "folder",
    [
        "01/train/0071",  # the archives, unpacked
        "01/train/videos/0071",
        "01/train/0071-0170/0071",
        "01/01/train/0071",  # a mirror
        "KArSL-502/01/train/0071-0170/0071-0170/0071",
    ],
)
def test_videos_are_found_in_every_tree(folder, tmp_path, cache_folder):
    pytest.importorskip("av", reason="PyAV writes the test videos")
    path = tmp_path / folder / f"{clip_name('01', 71)}.mp4"
    path.parent.mkdir(parents=True)
    write_video(path, tiny_frames(), fps=25)
    split = load_dataset(
        "karsl502", tmp_path, split="train", cache_dir=cache_folder, language="number", estimator=CheapEstimator()
    )
    assert (split[0]["id"], split[0]["signer"]) == (f"01/train/0071/{path.stem}", "01")
    assert split.features["label"].int2str(split[0]["label"]) == "0071" and len(to_sequence(split[0])) == 6


def write_pictures(folder, frames):
    image = pytest.importorskip("PIL.Image", reason="Pillow writes the test pictures")
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        image.fromarray(frame).save(folder / f"frame_{number}.jpg", quality=95)


def test_folders_of_pictures_are_clips(tmp_path, cache_folder):
    write_pictures(tmp_path / "data/02/02/test/0072" / clip_name("02", 72), tiny_frames(12))
    write_pictures(tmp_path / "data/0073" / clip_name("03", 73), tiny_frames(3, seed=1))  # a mirror without signers
    estimator = CheapEstimator()
    options = {"cache_dir": cache_folder, "language": "number", "estimator": estimator}
    splits = load_dataset("karsl502", tmp_path / "data", **options)
    assert sizes(splits) == {"train": 1, "test": 1} and splits["train"][0]["signer"] == "03"
    sequence = to_sequence(splits["test"][0])
    np.testing.assert_allclose(sequence.timestamps, np.arange(12) / 30)
    red = tiny_frames(12)[:, 0, 0, 0] / 255
    expected = estimator.shape[0, 0] * (0.5 + red)
    np.testing.assert_allclose(sequence.data[:, 0, 0], expected, atol=0.02, err_msg="10.jpg comes after 9.jpg")
    assert estimator.clips == 2 and estimator.frames == 15
    load_dataset("karsl502", tmp_path / "data", layout="hands-42", **options)
    assert estimator.clips == 2, "extracted once"
    slow = load_dataset("karsl502", tmp_path / "data", split="test", fps=10, source_fps=20, **options)
    np.testing.assert_allclose(to_sequence(slow[0]).timestamps, np.arange(6) / 10)
    assert estimator.clips == 4, "another rate is another extraction"


def test_extracted_landmarks_need_no_estimator(tmp_path, cache_folder):
    data = np.random.default_rng(0).random((5, 42, 3))
    LandmarkSequence(data, "hands-42", fps=30, size=(1920, 1080)).save(
        tmp_path / "01/train/0071" / f"{clip_name('01', 71)}.npz"
    )
    split = load_dataset("karsl502", tmp_path, split="train", cache_dir=cache_folder, language="number")
    assert to_sequence(split[0]).layout == "hands-42"
    assert load_dataset(
        "karsl502", tmp_path, split="train", cache_dir=cache_folder, language="number", layout="isl-48"
    )[0]["layout"] == "isl-48"  # fmt: skip


def test_broken_files_and_wrong_folders_are_named(karsl_kps, tmp_path, cache_folder):
    file = karsl_kps / "karsl-kps/01-train/0005.npz"
    np.savez(file, wrong=np.zeros((3, 75, 3)))
    with pytest.raises(ValueError, match=r"0005\.npz: wrong has shape \(3, 75, 3\); expected \(frames, 184, 3 or 4\)"):
        load_dataset("karsl502", karsl_kps, cache_dir=cache_folder)
    np.savez(file, empty=np.zeros((3, 184, 3)))
    with pytest.raises(ValueError, match="no point was seen in any frame"):
        load_dataset("karsl502", karsl_kps, cache_dir=cache_folder)
    assert sizes(load_dataset("karsl502", karsl_kps, cache_dir=cache_folder, on_error="skip")) == {
        "train": 16,
        "test": 18,
    }
    file.write_bytes(b"half a download")
    with pytest.raises(ValueError, match=r"0005\.npz is no readable \.npz file"):
        load_dataset("karsl502", karsl_kps, cache_dir=cache_folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no clip of KArSL; it should be .*01/train/0071.*karsl-kps"):
        load_dataset("karsl502", tmp_path / "empty")
    file.unlink()
    with pytest.raises(ValueError, match="no clip of the signs 300 to 310"):
        load_dataset("karsl502", karsl_kps, cache_dir=cache_folder, signs=(300, 310))
    with pytest.raises(ValueError, match="first and the last SignID, from 1 to 502"):
        load_dataset("karsl502", karsl_kps, cache_dir=cache_folder, signs=(0, 10))


def test_published_labels_agree_in_both_formats(signlang_data, tmp_path):
    folder = signlang_data / "karsl"
    workbook = next(folder.glob("*.xlsx"))
    assert find_labels(folder).suffix == ".json"
    pytest.importorskip("openpyxl", reason="openpyxl reads the workbook")
    for language in ("ar", "en"):
        names = read_labels(find_labels(folder), language)
        assert names == read_labels(workbook, language)
        assert len(set(names)) == 502 and names[29] == "1000000"
    assert [name for name in names if name.endswith(")")] == [
        "thermometer (104)", "nephew (213)", "nephew (214)", "thermometer (355)",
    ]  # fmt: skip
    shutil.copy(workbook, tmp_path / "labels.json")
    with pytest.raises(ValueError, match=r"labels\.json is no labels file of KArSL"):
        read_labels(tmp_path / "labels.json", "ar")


def test_without_openpyxl_one_line_says_what_to_install(signlang_data, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r'needs openpyxl: pip install "signlang-hf\[train\]"'):
        read_labels(next((signlang_data / "karsl").glob("*.xlsx")), "ar")
