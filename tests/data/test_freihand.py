"""FreiHAND: the release's points in space as pixels of right hands, and mmpose's files of the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from signlang_hf.data import DatasetError, load_dataset
from signlang_hf.landmarks import get_layout

LAYOUT = get_layout("signlang-64")
RIGHT = list(LAYOUT.parts["right_hand"])
CAMERA = [[400.0, 0, 112], [0, 420, 112], [0, 0, 1]]


def space(seed: int) -> np.ndarray:
    """(21, 3) metres about 60 cm before the camera."""
    return np.random.default_rng(seed).normal(0, 0.04, (21, 3)) + [0, 0, 0.6]


def release(folder, hands=10, *, part="training", copies=2):
    (folder / part / "rgb").mkdir(parents=True)
    for number in range(hands * copies):
        Image.new("RGB", (224, 224)).save(folder / part / "rgb" / f"{number:08d}.jpg")
    (folder / f"{part}_xyz.json").write_text(json.dumps([space(seed).tolist() for seed in range(hands)]))
    (folder / f"{part}_K.json").write_text(json.dumps([CAMERA] * hands))
    return folder


def load(folder, cache, **options):
    return load_dataset("freihand", folder, cache_dir=cache, **options)


def test_the_release_is_projected_and_its_hands_stay_together(tmp_path, cache_folder):
    splits = load(release(tmp_path), cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 18, "validation": 2}
    assert not set(splits["train"]["source"]) & set(splits["validation"]["source"])
    rows = {row["id"]: row for split in splits.values() for row in split}
    for number in (3, 13):  # the same hand before two backgrounds
        row = rows[f"training-{number:08d}"]
        x, y, z = space(3).T
        expected = np.stack([400 * x / z + 112, 420 * y / z + 112], axis=1)
        assert np.allclose(np.array(row["keypoints"])[RIGHT], expected, atol=1e-4)
        assert sum(row["visible"]) == 21 and all(np.array(row["visible"])[RIGHT])
        low, high = expected.min(0), expected.max(0)
        assert np.allclose(row["bbox"], [*low, *(high - low)], atol=1e-3) and row["source"] == "training 3"


def test_points_outside_the_image_are_not_visible(tmp_path, cache_folder):
    release(tmp_path, hands=1, copies=1)
    points = space(0)
    points[4] = [0.3, 0, 0.6]
    (tmp_path / "training_xyz.json").write_text(json.dumps([points.tolist()]))
    row = load(tmp_path, cache_folder, split="train")[0]
    assert sum(row["visible"]) == 20 and not row["visible"][LAYOUT.index["right_hand_thumb_tip"]]


def test_the_evaluation_images_are_the_test_split(tmp_path, cache_folder):
    release(tmp_path)
    release(tmp_path, hands=4, part="evaluation", copies=1)
    assert {name: len(split) for name, split in load(tmp_path, cache_folder, validation_size=0.2).items()} == {
        "train": 16, "validation": 4, "test": 4,
    }  # fmt: skip


def test_files_that_do_not_fit(tmp_path, cache_folder):
    release(tmp_path)
    (tmp_path / "training_K.json").write_text(json.dumps([CAMERA] * 9))
    with pytest.raises(ValueError, match=r"training_xyz\.json has 10 hands and training_K\.json 9 cameras"):
        load(tmp_path, cache_folder)
    (tmp_path / "training_K.json").write_text(json.dumps([[1, 2], [3, 4]]))
    with pytest.raises(ValueError, match=r"training_K\.json is \(2, 2\); it must be \(N, 3, 3\)"):
        load(tmp_path, cache_folder)
    (tmp_path / "training_K.json").write_text("[[1, 2], [3")
    with pytest.raises(ValueError, match=r"training_K\.json is not a table of numbers"):
        load(tmp_path, cache_folder)
    (tmp_path / "training_K.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"training_K\.json is missing"):
        load(tmp_path, cache_folder)
    (tmp_path / "training_xyz.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds neither training_xyz\.json nor"):
        load(tmp_path, cache_folder)


def test_damaged_images_are_all_named(tmp_path, cache_folder):
    release(tmp_path)
    for number in (3, 5):
        (tmp_path / "training" / "rgb" / f"{number:08d}.jpg").write_bytes(b"none")
    with pytest.raises(DatasetError, match=r"rgb/00000003\.jpg: the image cannot be read(.|\n)*rgb/00000005\.jpg"):
        load(tmp_path, cache_folder)


def test_a_file_in_cocos_format(tmp_path, cache_folder):
    images, annotations = [], []
    for number, key in enumerate((17, 17 + 32560, 18)):
        Image.new("RGB", (224, 224)).save(tmp_path / f"{key:08d}.jpg")
        images.append({"id": key, "file_name": f"{key:08d}.jpg", "width": 224, "height": 224})
        triples = np.concatenate([np.full((21, 2), 10.0 + number), np.ones((21, 1))], axis=1)
        triples[5, 2] = 0
        annotations.append({
            "id": key, "image_id": key, "bbox": [1, 2, 30, 40], "keypoints": triples.ravel().tolist(), "iscrowd": 0,
        })  # fmt: skip
    (tmp_path / "freihand_train.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    rows = load(tmp_path, cache_folder, split="train")
    assert rows["source"][:] == ["training 17", "training 17", "training 18"]
    assert rows[1]["keypoints"][RIGHT[0]] == [11, 11] and rows[1]["bbox"] == [1, 2, 30, 40]
    assert [sum(row["visible"]) for row in rows] == [20] * 3 and not rows[0]["visible"][RIGHT[5]]


def test_real_images(signlang_data, cache_folder):
    folder = signlang_data / "keypoint-images" / "freihand"
    if not folder.is_dir():
        pytest.skip(f"FreiHAND's images not found: {folder}")
    rows = load(folder, cache_folder, split="test")
    assert len(rows) == 8 and len(set(rows["source"])) == 2, "two hands before four backgrounds each"
    assert all(row["image"].size == (224, 224) and sum(row["visible"]) == 21 for row in rows)
    first = next(row for row in rows if row["id"].startswith("00017620"))
    assert np.allclose(first["keypoints"][RIGHT[0]], [75.09007, 114.79035], atol=1e-4)
