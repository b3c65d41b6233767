"""``recipes/evaluate_detector.py``: what the pipeline finds, with and without the second look at the hands."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tiny_detector import save_tiny_detector
from tiny_pictures import TRAIN
from tiny_signs import load_recipe

from signlang_hf.training.results import load_results


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(TRAIN.with_name("evaluate_detector.py"))


def test_one_look_is_what_the_training_measured(recipe, tiny_pictures, trained_detector):
    rows = {
        row.metric: row
        for row in recipe.main(["--model", str(trained_detector.folder), "--data_dir", str(tiny_pictures.folder)])
    }
    for metric in ("pck@0.1", "pck@0.05-body", "pck@0.1-hands"):
        assert rows[metric].value == pytest.approx(trained_detector.metrics[metric], abs=0.02)
    assert rows["pck@0.1"].n == 6 and rows["pck@0.1"].split == "test"
    assert rows["pck@0.1"].model == "mobilenetv3_small_100, 64 px, one look"


def test_a_second_look_is_a_row_of_its_own(recipe, tiny_pictures, trained_detector, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "model"
    shutil.copytree(trained_detector.folder, folder)
    save_tiny_detector(folder / "hands", layout="right-hand-21")
    recipe.main(
        [
            "--model",
            str(folder),
            "--data_dir",
            str(tiny_pictures.folder),
            "--split",
            "validation",
            "--box_noise",
            "0.1",
            "--benchmark",
            "detector-synthetic",
        ]
    )
    rows = {
        (row.model, row.metric): row
        for row in load_results("detector-synthetic", folder=tmp_path / "hub_cards/results")
    }
    once, twice = (f"mobilenetv3_small_100, 64 px, {look}" for look in ("one look", "second look at the hands"))
    assert rows[once, "pck@0.1-body"].value == rows[twice, "pck@0.1-body"].value
    assert rows[once, "pck@0.1-hands"].value != rows[twice, "pck@0.1-hands"].value
    assert rows[twice, "pck@0.1"].command.startswith("python recipes/evaluate_detector.py --model model")
    assert "second look" in capsys.readouterr().out


def test_boxes_move_with_the_noise_and_stay_the_same(recipe, tiny_pictures):
    rows = {"bbox": [[10.0, 20.0, 30.0, 50.0]] * 50}
    plain = np.array(recipe.boxes_of(rows, 1.0, 0.0))
    np.testing.assert_allclose(plain, np.tile([0, 20, 50, 70], (50, 1)))
    moved = np.array(recipe.boxes_of(rows, 1.0, 0.2))
    np.testing.assert_array_equal(moved, recipe.boxes_of(rows, 1.0, 0.2))
    assert 3 < np.abs(moved - plain).mean() < 10


@pytest.mark.parametrize(
    "flags, reason",
    (
        (["--split", "nowhere"], "no split 'nowhere'; the dataset has train"),
        (["--model", "nowhere/at/all"], "nowhere/at/all"),
    ),
)
def test_what_cannot_be_measured(recipe, tiny_pictures, trained_detector, flags, reason):
    with pytest.raises((ValueError, OSError), match=reason):
        recipe.main(["--model", str(trained_detector.folder), "--data_dir", str(tiny_pictures.folder), *flags])


def test_bad_numbers_are_usage_errors(recipe, capsys):
    with pytest.raises(SystemExit):
        recipe.main(["--model", "m", "--data_dir", "d", "--padding", "9"])
    assert "--padding is in [1, 4]" in capsys.readouterr().err
