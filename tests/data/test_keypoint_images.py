"""Labelled images: rows, splits that share no source, and every fault of a folder in one list."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from signlang_hf.data import DatasetError, load_dataset, save_dataset, validate_folder
from signlang_hf.data.keypoint_folder import divide, read_keypoint_folder
from signlang_hf.data.keypoint_labels import POINTS, KeypointLabel, box_of, image_size, write_label
from signlang_hf.hub import DatasetCardInfo, dataset_card
from signlang_hf.landmarks import get_layout

SIZE = (40, 30)


def points(seed: int = 0) -> np.ndarray:
    """64 points inside the image, of which five are not visible."""
    xy = np.random.default_rng(seed).uniform(0, 1, (64, 2)) * SIZE
    xy[20:25] = np.nan
    return xy


def add(folder, stem, *, seed=0, suffix=".png", **label):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    pixels = np.full((SIZE[1], SIZE[0], 3), seed * 20 % 256, np.uint8)
    Image.fromarray(pixels).save(folder / "images" / f"{stem}{suffix}")
    return write_label(folder, f"{stem}{suffix}", SIZE, points(seed), **label)


@pytest.fixture
def folder(tmp_path):
    """Ten faultless images."""
    for i in range(10):
        add(tmp_path / "data", f"image{i}", seed=i)
    return tmp_path / "data"


def change(file, edit):
    """Rewrite a label after ``edit`` changed its content."""
    content = json.loads(file.read_text())
    edit(content, {point.get("name"): point for point in content["keypoints"]})
    file.write_text(json.dumps(content))


def test_rows(folder, cache_folder):
    splits = load_dataset("keypoint_images", folder, cache_dir=cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 9, "validation": 1}
    split = next(split for split in splits.values() if "image3" in split["id"])
    row = next(r for r in split.with_format("numpy") if r["id"] == "image3")
    assert (row["width"], row["height"]) == SIZE and row["source"] is None
    assert row["keypoints"].dtype == np.float32 and row["keypoints"].shape == (64, 2)
    assert np.allclose(row["keypoints"], points(3), atol=6e-4, equal_nan=True)
    assert row["visible"].tolist() == (~np.isnan(points(3)[:, 0])).tolist()
    assert np.allclose(row["bbox"], box_of(points(3), SIZE), atol=2e-3)
    plain = next(r for r in split if r["id"] == "image3")
    assert plain["image"].size == SIZE and plain["image"].getpixel((5, 5)) == (60, 60, 60)
    assert get_layout("signlang-64").points == POINTS


def test_streaming_and_processes_give_the_same_rows(folder, cache_folder):
    built = load_dataset("keypoint_images", folder, split="train", num_proc=2, cache_dir=cache_folder)
    streamed = list(load_dataset("keypoint_images", folder, split="train", streaming=True, cache_dir=cache_folder))
    assert [row["id"] for row in built] == [row["id"] for row in streamed]
    assert np.allclose(built[4]["keypoints"], streamed[4]["keypoints"], equal_nan=True)


def test_images_travel_with_saved_parquet(folder, cache_folder, tmp_path):
    saved = save_dataset(load_dataset("keypoint_images", folder, cache_dir=cache_folder), tmp_path / "saved")
    shutil.rmtree(folder)
    again = load_dataset(saved, split="train", cache_dir=cache_folder)
    assert again[0]["image"].size == SIZE and np.isnan(np.array(again[0]["keypoints"])[20:25]).all()


def test_a_changed_label_is_read_again(folder, cache_folder):
    load_dataset("keypoint_images", folder, cache_dir=cache_folder)
    write_label(folder, "image0.png", SIZE, np.full((64, 2), 7.0), source="new.mp4")
    splits = load_dataset("keypoint_images", folder, cache_dir=cache_folder)
    rows = [row for split in splits.values() for row in split]
    assert [row["source"] for row in rows if row["id"] == "image0"] == ["new.mp4"]


def test_given_splits_stay(tmp_path, cache_folder):
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        for i in range(count):
            add(tmp_path / part, f"image{i}", source=f"{part}{i}.mp4")
    splits = load_dataset("keypoint_images", tmp_path, cache_dir=cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 3, "validation": 2, "test": 1}


def test_a_given_box_is_kept_and_a_missing_one_is_made(tmp_path, cache_folder):
    add(tmp_path, "given", bbox=[-3, 2, 20, 40])
    write_label(tmp_path, "given.png", SIZE, points(), bbox=[-3, 2, 20, 40])
    add(tmp_path, "nobody")
    write_label(tmp_path, "nobody.png", SIZE, np.full((64, 2), np.nan))
    one = np.full((64, 2), np.nan)
    one[3] = 5, 6
    add(tmp_path, "one")
    write_label(tmp_path, "one.png", SIZE, one)
    rows = load_dataset("keypoint_images", tmp_path, split="train", validation_size=0, cache_dir=cache_folder)
    assert {row["id"]: row["bbox"] for row in rows} == {
        "given": [-3, 2, 20, 40], "nobody": [0, 0, 40, 30], "one": [5, 6, 1, 1],
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------- automatic splits


def labels(sources):
    image = Path("/somewhere/images/i.jpg")
    return [
        KeypointLabel(name, image.with_stem(name), SIZE, np.zeros((64, 2), "f4"), np.zeros(4, "f4"), source)
        for name, source in ((f"i{n:03d}", source) for n, source in enumerate(sources))
    ]


def ids(splits):
    return {name: [label.id for label in members] for name, members in splits.items()}


def test_a_tenth_is_validation_and_order_and_place_do_not_matter():
    rows = labels([None] * 200)
    splits = ids(divide(rows, 0.1, 0))
    assert len(splits["validation"]) == 20 and len(splits["train"]) == 180
    assert ids(divide(rows[::-1], 0.1, 0)) == splits
    moved = [KeypointLabel(r.id, r.image.parent / "b" / r.image.name, r.size, r.keypoints, r.bbox) for r in rows]
    assert ids(divide(moved, 0.1, 0)) == splits != ids(divide(rows, 0.1, 1))
    # The same on every machine and in every version, or results made on the split cannot be compared.
    assert splits["validation"][:4] == ["i017", "i029", "i059", "i062"]


def test_no_source_is_in_two_splits_and_sizes_come_near():
    rng = np.random.default_rng(0)
    sources = [f"v{n}.mp4" for n in range(30) for _ in range(rng.integers(1, 30))]
    for seed in range(20):
        splits = divide(labels(sources), 0.1, seed)
        train, validation = ({label.source for label in splits[name]} for name in ("train", "validation"))
        assert not train & validation and len(train | validation) == 30
        assert 0.05 < len(splits["validation"]) / len(sources) < 0.15


def test_few_sources():
    two = divide(labels(["a"] * 9 + ["b"] * 2), 0.1, 0)
    assert {label.source for label in two["validation"]} == {"b"}
    with pytest.warns(UserWarning, match=r"All 5 images come from 'a', so there is no validation split"):
        one = divide(labels(["a"] * 5), 0.1, 0)
    assert len(one["train"]) == 5 and not one["validation"]
    assert [len(part) for part in divide(labels([None] * 2), 0.1, 0).values()] == [1, 1]
    assert [len(part) for part in divide(labels([None]), 0.1, 0).values()] == [1, 0]
    assert not divide(labels([None] * 50), 0, 0)["validation"]


def test_the_split_follows_the_seed(tmp_path, cache_folder):
    for i in range(20):
        add(tmp_path / "a", f"image{i}", seed=i)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    found = {
        (name, seed): load_dataset(
            "keypoint_images", tmp_path / name, split="validation", seed=seed, cache_dir=cache_folder
        )["id"][:]
        for name in "ab"
        for seed in range(3)
    }
    assert all(found["a", seed] == found["b", seed] for seed in range(3))
    assert len({tuple(found["a", seed]) for seed in range(3)}) > 1


# ------------------------------------------------------------------------------------------------------------------ faults


def drop(name):
    return lambda content, _: content.update(keypoints=[p for p in content["keypoints"] if p["name"] != name])


@pytest.mark.parametrize(
    ("edit", "kind", "message"),
    [
        (drop("left_wrist"), "missing-point", "left_wrist is missing; write it with visible 0"),
        (lambda c, p: p["nose"].update(name="snout"), "unknown-point", "point 1 is called 'snout'"),
        (lambda c, p: c["keypoints"].append(p["nose"]), "duplicate-point", "nose is there twice"),
        (lambda c, p: p["nose"].update(visible=2), "bad-visible", "nose: visible is 2; it must be 0 or 1"),
        (lambda c, p: p["nose"].update(visible=True), "bad-visible", "nose: visible is true"),
        (lambda c, p: p["nose"].update(x=40.5), "out-of-bounds", "nose: x is 40.5, outside 0 to 40, the image's width"),
        (lambda c, p: p["nose"].update(y=-1), "out-of-bounds", "nose: y is -1, outside 0 to 30, the image's height"),
        (lambda c, p: p["nose"].update(x=float("nan")), "bad-number", "nose: x is NaN; a visible point needs a finite"),
        (lambda c, p: p["nose"].update(x=10**400), "bad-number", "nose: x is 1000"),
        (lambda c, p: p["nose"].update(y="12"), "bad-number", 'nose: y is "12"'),
        (lambda c, p: p["nose"].pop("x"), "bad-number", "nose: x is null"),
        (lambda c, p: p["nose"].update(visable=0), "unknown-field", "nose has the unknown field 'visable'"),
        (lambda c, p: c["keypoints"].insert(0, 7), "bad-point", "point 1 is 7; it must be an object"),
        (lambda c, p: c.update(keypoints={}), "bad-label", "keypoints is {}; it must be a list of 64 points"),
        (lambda c, p: c.update(keypoints=[]), "missing-point", "none of the 64 points"),
        (lambda c, p: c.update(width=41), "wrong-size", "are 41 × 30, but the image is 40 × 30 when upright"),
        (lambda c, p: c.update(width=0), "bad-size", "width is 0; it must be a whole number of pixels"),
        (lambda c, p: c.update(height=30.5), "bad-size", "height is 30.5"),
        (lambda c, p: c.pop("height"), "missing-field", "the field 'height' is missing"),
        (lambda c, p: c.update(sorce="a.mp4"), "unknown-field", "unknown field 'sorce'; a label has bbox"),
        (lambda c, p: c.update(source=7), "bad-source", "source is 7; it must be a name"),
        (lambda c, p: c.update(image="image9.png"), "other-image", "image is 'image9.png', but its label lies beside"),
        (lambda c, p: c.update(bbox=[1, 2, 3]), "bad-bbox", r"bbox is \[1, 2, 3\]; it must be four finite numbers"),
        (lambda c, p: c.update(bbox=[1, 2, 0, 9]), "bad-bbox", "bbox is 0 wide and 9 high; both must be positive"),
        (lambda c, p: c.update(bbox=[41, 2, 5, 5]), "bad-bbox", "lies outside the image"),
    ],
)
def test_a_fault_names_file_and_point(folder, cache_folder, edit, kind, message):
    change(folder / "labels" / "image4.json", edit)
    with pytest.raises(DatasetError, match=f"labels/image4.json: .*{message}") as raised:
        load_dataset("keypoint_images", folder, cache_dir=cache_folder)
    assert kind in [fault.kind for fault in raised.value.faults]
    assert {fault.file for fault in raised.value.faults} == {"labels/image4.json"}


def test_invisible_points_may_lie_anywhere_and_visible_is_1_by_itself(folder, cache_folder):
    def edit(content, by_name):
        by_name["nose"].pop("visible")
        by_name["left_eye"].update(x=-1e9, y=float("nan"), visible=0)
        by_name["right_eye"].update(visible=0)
        by_name["right_eye"].pop("x")
        by_name["left_ear"].update(x=40, y=0)

    change(folder / "labels" / "image4.json", edit)
    rows = [row for split in load_dataset("keypoint_images", folder, cache_dir=cache_folder).values() for row in split]
    row = next(row for row in rows if row["id"] == "image4")
    assert row["visible"][:4] == [True, False, False, True] and row["keypoints"][3] == [40, 0]
    assert np.isnan(np.array(row["keypoints"])[1:3]).all()


def test_broken_json_says_where(folder, cache_folder):
    (folder / "labels" / "image2.json").write_text('{"image": "image2.png",\n "width": 40,, "height": 30}')
    (folder / "labels" / "image3.json").write_bytes(b'{"image": "im\xe4ge3.png"}')
    (folder / "labels" / "image5.json").write_text("[1, 2]")
    (folder / "labels" / "image6.json").write_text("[" * 100_000)
    with pytest.raises(DatasetError) as raised:
        load_dataset("keypoint_images", folder, cache_dir=cache_folder)
    text = str(raised.value)
    assert "labels/image2.json: broken JSON at line 2, column 14: " in text
    assert "labels/image3.json: broken JSON at line 1, column 14: the byte 0xe4 is not UTF-8" in text
    assert "labels/image5.json: holds [1, 2], not an object" in text and "labels/image6.json: cannot be read" in text


@pytest.fixture
def broken_folder(folder):
    """Faults in files and between them."""
    (folder / "images" / "image0.png").unlink()
    (folder / "labels" / "image1.json").unlink()
    Image.new("RGB", SIZE).save(folder / "images" / "image2.jpg")
    (folder / "images" / "image3.png").write_bytes(b"not an image")
    change(folder / "labels" / "image4.json", lambda c, p: (p["nose"].update(visible=2), p["left_ear"].update(x=41)))
    change(folder / "labels" / "image5.json", drop("right_hand_wrist"))
    return folder


EXPECTED = {
    ("missing-image", "labels/image0.json"), ("missing-label", "images/image1.png"), ("duplicate-stem", "images/image2.jpg"),
    ("bad-image", "images/image3.png"), ("bad-visible", "labels/image4.json"), ("out-of-bounds", "labels/image4.json"),
    ("missing-point", "labels/image5.json"),
}  # fmt: skip


def test_all_faults_are_listed_in_one_run(broken_folder, cache_folder):
    with pytest.raises(DatasetError) as raised:
        load_dataset("keypoint_images", broken_folder, cache_dir=cache_folder)
    assert {(fault.kind, fault.file) for fault in raised.value.faults} == EXPECTED
    text = str(raised.value)
    assert "has 7 faults" in text and all(file in text for _, file in EXPECTED)
    assert "images/image2.jpg: image2.jpg and image2.png have the same stem" in text


def test_very_many_faults_are_counted(folder, cache_folder):
    for file in (folder / "labels").iterdir():
        change(file, lambda c, p: [point.update(visible=3) for point in c["keypoints"]])
    with pytest.raises(DatasetError, match="has 640 faults") as raised:
        load_dataset("keypoint_images", folder, cache_dir=cache_folder)
    assert str(raised.value).count("visible is 3") == 100 and "… and 540 more" in str(raised.value)


def test_signlang_validate_lists_the_same_and_reads_images_whole(broken_folder):
    file = broken_folder / "images" / "image6.png"
    file.write_bytes(file.read_bytes()[:60])
    report = validate_folder(broken_folder)
    found = {(fault.kind, fault.file) for fault in report.faults}
    assert found == EXPECTED | {("bad-image", "images/image6.png")} and not report.ok
    assert report.images == 3 and report.to_dict()["images"] == 3 and "3 images" in str(report)


def test_signlang_validate_of_a_faultless_folder(folder):
    write_label(folder, "image1.png", SIZE, np.full((64, 2), np.nan))
    report = validate_folder(folder)
    assert report.ok and [(fault.kind, fault.file) for fault in report.warnings] == [("no-point", "labels/image1.json")]
    assert report.splits == {"train": 9, "validation": 1} and report.layouts == {"signlang-64": 10}
    assert str(report).endswith("10 images · train 9, validation 1 · signlang-64: 0 errors, 1 warnings.")


def test_splits_that_share_a_source_or_are_not_clear(tmp_path, cache_folder):
    add(tmp_path / "one" / "train", "a", source="x.mp4")
    add(tmp_path / "one" / "test", "b", source="x.mp4")
    with pytest.raises(DatasetError, match=r"images of the source 'x\.mp4' are in the splits test and train"):
        load_dataset("keypoint_images", tmp_path / "one", cache_dir=cache_folder)
    add(tmp_path / "two" / "train", "a")
    add(tmp_path / "two", "b")
    with pytest.raises(DatasetError, match="images/ lies beside train/; move its images into a split"):
        load_dataset("keypoint_images", tmp_path / "two", cache_dir=cache_folder)
    add(tmp_path / "three" / "val", "a")
    add(tmp_path / "three" / "validation", "b")
    with pytest.raises(DatasetError, match="two folders are the same split"):
        load_dataset("keypoint_images", tmp_path / "three", cache_dir=cache_folder)


def test_no_data(tmp_path, cache_folder):
    with pytest.raises(FileNotFoundError, match=r"has no images with labels; it should be the folder with images/ and"):
        load_dataset("keypoint_images", tmp_path, cache_dir=cache_folder)
    with pytest.raises(ValueError, match="needs data_dir="):
        load_dataset("keypoint_images", cache_dir=cache_folder)
    add(tmp_path, "a")
    with pytest.raises(ValueError, match="validation_size is 1; it must be a share"):
        load_dataset("keypoint_images", tmp_path, validation_size=1, cache_dir=cache_folder)


# ------------------------------------------------------------------------------------------------------ images of all kinds


def test_images_of_all_kinds(tmp_path, cache_folder):
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8))
    made = {
        "grey.png": colour.convert("L"),
        "alpha.png": colour.convert("RGBA"),
        "deep.png": Image.fromarray(rng.integers(0, 65535, (30, 40), np.uint16)),
        "small.png": Image.new("RGB", (1, 1)),
        "upper.JPG": colour,
    }
    for name, image in made.items():
        image.save(images / name)
        size = image.size
        write_label(tmp_path, name, size, rng.uniform(0, 1, (64, 2)) * size)
    exif = Image.Exif()
    exif[0x0112] = 6
    colour.save(images / "turned.jpg", exif=exif)
    write_label(tmp_path, "turned.jpg", (30, 40), np.full((64, 2), (29.5, 39.5)))
    assert image_size(images / "turned.jpg") == (30, 40)
    rows = {
        row["id"]: row
        for row in load_dataset("keypoint_images", tmp_path, split="train+validation", cache_dir=cache_folder)
    }
    assert {name: row["image"].size for name, row in rows.items()} == {
        "grey": (40, 30), "alpha": (40, 30), "deep": (40, 30), "small": (1, 1), "upper": (40, 30), "turned": (30, 40),
    }  # fmt: skip
    assert all((row["width"], row["height"]) == row["image"].size for row in rows.values())


def test_a_label_for_the_stored_side_of_a_turned_image_is_a_fault(tmp_path):
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", SIZE).save(tmp_path / "images" / "turned.jpg", exif=exif)
    write_label(tmp_path, "turned.jpg", SIZE, points())
    _, faults = read_keypoint_folder(tmp_path)
    assert [str(fault) for fault in faults] == [
        "labels/turned.json: width and height are 40 × 30, but the image is 30 × 40 when upright."
    ]


# ----------------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": np.zeros((17, 2))}, r"keypoints are \(17, 2\); signlang-64 needs \(64, 2\)"),
        ({"keypoints": np.full((64, 2), 41.0)}, "nose: x is 41, outside 0 to 40"),
        ({"visible": [True] * 64}, "left_hand_thumb_ip: x is null; a visible point needs a finite number"),
        ({"bbox": [0, 0, 0, 5]}, "bbox is 0 wide"),
        ({"size": (0, 30)}, "width is 0"),
    ],
)
def test_a_faulty_label_is_not_written(tmp_path, change, message):
    arguments = {"size": SIZE, "keypoints": points(), **change}
    with pytest.raises(ValueError, match=message):
        write_label(tmp_path, "a.png", **arguments)
    assert not (tmp_path / "labels").exists()


def test_hidden_points_keep_their_place_in_the_file(tmp_path):
    xy = points()
    visible = ~np.isnan(xy[:, 0])
    visible[:3] = False
    file = write_label(tmp_path, "ä.png", SIZE, xy, visible=visible, source="Ärger.mp4")
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["source"] == "Ärger.mp4" and content["image"] == "ä.png" and file.name == "ä.json"
    assert content["keypoints"][0] == {
        "name": "nose", "x": round(xy[0, 0], 3), "y": round(xy[0, 1], 3), "visible": 0,
    }  # fmt: skip
    assert content["keypoints"][20]["x"] is None and list(file.parent.iterdir()) == [file]


def test_pictures_have_a_dataset_card_without_signers(folder, cache_folder):
    splits = load_dataset("keypoint_images", folder, cache_dir=cache_folder)
    info = DatasetCardInfo.from_dataset(splits, repo_id="org/name", name="My frames", licence="mit")
    card = str(dataset_card(info))
    assert info.signers is None and "# My frames" in card and "| train | 9 |" in card and "license: mit" in card
