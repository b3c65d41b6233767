"""``recipes/benchmark_detector_real.py``: each group of people is held out of the model that it is measured with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_pictures import TRAIN, dotted
from tiny_signs import load_recipe
from transformers import AutoModelForKeypointDetection

from signlang_hf.landmarks import get_layout
from signlang_hf.pose import Detection, PoseEstimator
from signlang_hf.training.results import load_results


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(TRAIN.with_name("benchmark_detector_real.py"))


class Teacher(PoseEstimator):
    """Finds the nose in the middle and both wrists nowhere."""

    layout = "mediapipe-holistic"

    def reset(self) -> None:
        pass

    def detect(self, frame, seconds):
        data = np.full((75, 3), np.nan, np.float32)
        data[get_layout(self.layout).index["nose"]] = 0.5, 0.5, 0
        return Detection(data, np.isfinite(data[:, 0]).astype(np.float32))


@pytest.fixture
def photographs(tmp_path):
    """Two people in one photograph, as COCO-WholeBody labels them: only noses are known."""
    image, _ = dotted(1)
    image.save(tmp_path / "7.jpg")
    people = []
    for number, (x, y) in enumerate(((24.0, 40.0), (72.0, 30.0))):
        people.append(
            {
                "id": number, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 900.0, "num_keypoints": 1,
                "bbox": [x - 20, y - 20, 40, 40], "keypoints": [x - 0.5, y - 0.5, 2] + [0, 0, 0] * 16,
                **{f"{part}_kpts": [0, 0, 0] * count for part, count in (("foot", 6), ("face", 68), ("lefthand", 21), ("righthand", 21))},
                **{f"{part}_valid": False for part in ("foot", "face", "lefthand", "righthand")},
            }
        )  # fmt: skip
    images = [{"id": 7, "file_name": "7.jpg", "width": image.width, "height": image.height}]
    content = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "coco_wholebody_val_v1.0.json").write_text(json.dumps(content))
    return tmp_path


def test_people_are_measured_with_models_that_have_not_seen_them(
    recipe, tiny_pictures, trained_detector, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    flags = {"model_name_or_path": trained_detector.folder, "model": "{}", "num_train_epochs": 1}
    flags |= {"people": ["one=video-0,video-1", "two=video-2"], "benchmark": "detector-real"}
    rows = recipe.main(tiny_pictures.arguments(tmp_path / "run", **flags))
    found = {
        (row.split, row.model, row.metric): row
        for row in load_results("detector-real", folder=tmp_path / "hub_cards/results")
    }
    assert len(found) == len(rows)
    for name, count in (("one", 6), ("two", 3)):
        settings = json.loads((tmp_path / "run" / name / "run_settings.json").read_text())
        assert "clips of test" in settings
        row = found[f"unseen: {name}", recipe.AFTER, "pck@0.1-body"]
        assert row.n == count and not row.headline
    values = [found[f"unseen: {name}", recipe.AFTER, "pck@0.1"].value for name in ("one", "two")]
    mean = found["mean of 2 unseen people or rooms", recipe.AFTER, "pck@0.1"]
    assert mean.value == pytest.approx(np.mean(values)) and mean.spread == pytest.approx(np.std(values)) and mean.n == 9
    assert found["mean of 2 unseen people or rooms", recipe.BEFORE, "pck@0.1"].headline
    tuned = AutoModelForKeypointDetection.from_pretrained(tmp_path / "run" / "one")
    assert not all((a == b).all() for a, b in zip(tuned.parameters(), trained_detector.trainer.model.parameters()))
    assert recipe.AFTER in capsys.readouterr().out


def test_hands_are_trained_into_the_same_runs(recipe, tiny_pictures, tmp_path):
    start = tiny_pictures.train(tmp_path / "hands", look_at="hand", num_train_epochs=1).folder
    flags = {"model_name_or_path": start, "model": "{}", "num_train_epochs": 1, "look_at": "hand"}
    flags |= {"people": ["one=video-0,video-1", "two=video-2"]}
    assert recipe.main(tiny_pictures.arguments(tmp_path / "run", **flags)) == []
    for name, tested in (("one", 6 * 2), ("two", 3 * 2)):
        folder = tmp_path / "run" / name / "hands"
        assert AutoModelForKeypointDetection.from_pretrained(folder).config.num_keypoints == 21
        assert json.loads((folder / "results.json").read_text())["metrics"]["n"] == tested


def test_photographs_are_cut_out_and_what_is_found_is_put_back(recipe, photographs):
    people = recipe.persons(str(photographs))
    found = recipe.measure(Teacher(), people, "test", cut_out=True)
    # The nose is in the middle of each box, and so is what the teacher says; of its other points none was labelled.
    assert found["n"] == 2 and found["n_images"] == 1 and found["n_points"] == 4  # nose and face_nose
    assert found["mean_error"] < 1 and found["missing"] == 0
    whole = recipe.measure(Teacher(), people, "test")
    assert whole["mean_error"] > 10


def test_frames_of_one_video_are_no_one_photograph(recipe, tiny_pictures):
    from signlang_hf.data import load_dataset

    rows = load_dataset("keypoint_images", tiny_pictures.folder)["test"]
    found = recipe.measure(Teacher(), rows, "test")
    assert found["n"] == found["n_images"] == 6 and found["missing"] == 6 * 62


@pytest.mark.parametrize(
    "flags, reason",
    (
        ({}, "nothing to measure on"),
        ({"people": ["one"]}, "'one' is no group"),
        ({"people": ["one=video-0"]}, "give the one to begin with"),
    ),
)
def test_what_cannot_be_measured(recipe, tiny_pictures, tmp_path, flags, reason):
    with pytest.raises(ValueError, match=reason):
        recipe.main(tiny_pictures.arguments(tmp_path, **flags))
