"""COCO-WholeBody: 133 points to 64 by name, hands where they are valid, and faults with the annotation's id."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from signlang_hf.data import DatasetError, load_dataset
from signlang_hf.data.loading import dataset_facts
from signlang_hf.landmarks import get_layout

LAYOUT = get_layout("signlang-64")
SIZE = (40, 30)


def triples(count: int, seed: int, v: float = 2) -> list[float]:
    xy = np.random.default_rng(seed).integers(0, 29, (count, 2))
    return np.concatenate([xy, np.full((count, 1), v)], axis=1).ravel().astype(float).tolist()


def person(number: int, image: int, **changes):
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [2.5, 3, 20, 25], "area": 123.5,
        "num_keypoints": 17, "keypoints": triples(17, number), "lefthand_kpts": triples(21, 100 + number),
        "righthand_kpts": triples(21, 200 + number), "face_kpts": triples(68, 300 + number), "foot_kpts": triples(6, 400),
        "lefthand_valid": True, "righthand_valid": False, "face_valid": True, "foot_valid": True,
    } | changes  # fmt: skip


def write(folder, annotations, *, name="annotations/coco_wholebody_val_v1.0.json", images=2):
    (folder / "val2017").mkdir(parents=True, exist_ok=True)
    listed = []
    for number in range(1, images + 1):
        file = f"{number:012d}.jpg"
        Image.new("RGB", SIZE).save(folder / "val2017" / file)
        listed.append({"id": number, "file_name": file, "width": SIZE[0], "height": SIZE[1]})
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": listed, "annotations": annotations, "categories": [{"id": 1}]}))
    return path


def load(folder, cache, **options):
    return load_dataset("coco_wholebody", folder, cache_dir=cache, **options)


def test_one_row_a_person_by_name(tmp_path, cache_folder):
    write(tmp_path, [person(7, 1), person(8, 1, righthand_valid=True), person(9, 2)])
    splits = load(tmp_path, cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"validation": 3}
    rows = splits["validation"]
    assert rows["id"][:] == ["000000000001-7", "000000000001-8", "000000000002-9"]
    assert rows["source"][:] == ["000000000001.jpg", "000000000001.jpg", "000000000002.jpg"]
    row = rows[0]
    assert (row["bbox"], row["area"], row["width"], row["height"]) == ([2.5, 3, 20, 25], 123.5, 40, 30)
    points = dict(zip(LAYOUT.points, row["keypoints"]))
    body = np.array(person(7, 1)["keypoints"]).reshape(17, 3)[:, :2] + 0.5
    left = np.array(person(7, 1)["lefthand_kpts"]).reshape(21, 3)[:, :2] + 0.5
    assert points["nose"] == points["face_nose"] == body[0].tolist()
    assert points["right_ear"] == points["face_right_ear"] == body[4].tolist()
    assert points["left_wrist"] == body[9].tolist() and points["right_ankle"] == body[16].tolist()
    assert points["left_hand_wrist"] == left[0].tolist() and points["left_hand_little_tip"] == left[20].tolist()
    assert np.isnan(points["right_hand_wrist"]).all() and sum(row["visible"]) == 17 + 21 + 5
    assert sum(rows[1]["visible"]) == 64


def test_what_is_not_visible(tmp_path, cache_folder):
    body = np.array(triples(17, 0)).reshape(17, 3)
    body[0] = 0, 0, 0
    body[1] = 5, 5, 1  # hidden, but its place is known
    body[5] = 41, 5, 2  # outside
    body[6] = 40, 30, 2  # on the edge
    write(tmp_path, [person(1, 1, keypoints=body.ravel().tolist(), lefthand_valid=False)])
    row = load(tmp_path, cache_folder, split="validation")[0]
    seen = dict(zip(LAYOUT.points, row["visible"]))
    assert not seen["nose"] and not seen["face_nose"] and not seen["left_shoulder"] and not seen["left_hand_wrist"]
    assert seen["left_eye"] and seen["right_shoulder"]
    assert row["keypoints"][6] == [40, 30], "half a pixel more would be outside"


def test_crowds_and_persons_without_a_point_are_left_out(tmp_path, cache_folder):
    nothing = {"keypoints": [0.0] * 51, "lefthand_valid": False}
    hand_only = {"keypoints": [0.0] * 51}
    write(tmp_path, [person(1, 1), person(2, 1, iscrowd=1), person(3, 2, **nothing), person(4, 2, **hand_only)])
    rows = load(tmp_path, cache_folder, split="validation")
    assert [name.split("-")[1] for name in rows["id"]] == ["1", "4"] and sum(rows[1]["visible"]) == 21


def test_splits_follow_the_names_and_a_file_without_one_is_divided_by_image(tmp_path, cache_folder):
    write(tmp_path / "a", [person(1, 1)], name="coco_wholebody_train_v1.0.json")
    write(tmp_path / "a", [person(2, 2)], name="x/coco_wholebody_val_v1.0.json")
    assert {name: len(split) for name, split in load(tmp_path / "a", cache_folder).items()} == {
        "train": 1, "validation": 1,
    }  # fmt: skip
    write(tmp_path / "b", [person(n, 1 + n // 2) for n in range(20)], name="wholebody.json", images=10)
    splits = load(tmp_path / "b", cache_folder)
    assert len(splits["validation"]) == 2 and len(set(splits["validation"]["source"])) == 1
    write(tmp_path / "a", [person(3, 2)], name="y/coco_wholebody_val.json")
    with pytest.raises(ValueError, match=r"are both of the split validation; keep one of them"):
        load(tmp_path / "a", cache_folder)


def test_images_that_are_not_there(tmp_path, cache_folder):
    write(tmp_path, [person(1, 1), person(2, 2)])
    (tmp_path / "val2017" / "000000000002.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of the 2 clips .* the first is 000000000002\.jpg"):
        load(tmp_path, cache_folder)
    assert len(load(tmp_path, cache_folder, split="validation", on_error="skip")) == 1
    (tmp_path / "val2017" / "000000000001.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="holds none of the 2 images"):
        load(tmp_path, cache_folder, on_error="skip")
    with pytest.raises(ValueError, match="on_error is 'ignore'; choose"):
        load(tmp_path, cache_folder, on_error="ignore")


def test_all_faults_are_listed(tmp_path, cache_folder):
    faulty = [
        person(1, 1, keypoints=[1, 2, 3]), person(2, 1, lefthand_kpts=None), person(3, 1, bbox=[1, 2, 0, 5]), person(4, 9),
        person(5, 2, righthand_kpts=None),
    ]  # fmt: skip
    write(tmp_path, faulty, images=3)
    Image.new("RGB", (30, 40)).save(tmp_path / "val2017" / "000000000003.jpg")
    with pytest.raises(DatasetError) as raised:
        load(tmp_path, cache_folder)
    text = str(raised.value)
    assert len(raised.value.faults) == 5
    for message in (
        "annotation 1: keypoints must be 17 points x, y, v", "annotation 2: lefthand_kpts must be 21 points",
        "annotation 3: bbox must be x, y, width, height", "annotation 4 is of image 9, which the file does not list",
        "val2017/000000000003.jpg: the image is 30 × 40; the annotations say 40 × 30",
    ):  # fmt: skip
        assert message in text


@pytest.mark.parametrize("name", ["coco_wholebody", "freihand"])
def test_facts(name):
    facts = dataset_facts(name)
    assert facts.title and facts.summary and facts.licence == "other" and facts.split_rule and facts.processing
    assert facts.homepage.startswith("https://") and facts.citation.startswith("@inproceedings") and facts.limits


def test_no_annotations(tmp_path, cache_folder):
    with pytest.raises(FileNotFoundError, match="holds no annotations"):
        load(tmp_path, cache_folder)
    (tmp_path / "coco_wholebody.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        load(tmp_path, cache_folder)
    (tmp_path / "coco_wholebody.json").write_text('{"images": []}')
    with pytest.raises(ValueError, match=r"is not an annotation file in COCO's format \(no 'annotations'\)"):
        load(tmp_path, cache_folder)


def test_real_annotations(signlang_data, cache_folder):
    folder = signlang_data / "keypoint-images" / "coco-wholebody"
    if not folder.is_dir():
        pytest.skip(f"COCO-WholeBody's images not found: {folder}")
    rows = load(folder, cache_folder, split="test")
    assert len(rows) == 12, "14 persons, of whom two have no labelled point"
    skier = next(row for row in rows if row["id"] == "000000000785-442619")
    points = dict(zip(LAYOUT.points, skier["keypoints"]))
    assert points["nose"] == [367.5, 81.5] and sum(skier["visible"]) == 17 + 21 + 5
    assert skier["image"].size == (skier["width"], skier["height"]) == (640, 425)
    # Hands lie at the ends of their arms, and to the side that they are named by.
    for row in rows:
        points = {name: np.array(xy) for name, xy in zip(LAYOUT.points, row["keypoints"])}
        for side in ("left", "right"):
            gap = np.linalg.norm(points[f"{side}_hand_wrist"] - points[f"{side}_wrist"])
            assert np.isnan(gap) or gap < 0.15 * max(row["bbox"][2:])
