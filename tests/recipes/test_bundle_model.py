"""The recipe that puts a model on the package's shelf: what lies there afterwards, and what it refuses."""

from __future__ import annotations

import json

import pytest
from tiny_signs import ROOT, flags
from transformers import pipeline

from signlang_hf import pretrained

RECIPE = ROOT / "recipes" / "bundle_model.py"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "shelf")
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def test_a_model_on_the_shelf_is_the_one_that_was_trained_without_its_code(tiny_signs, tmp_path, shelf):
    folder = tiny_signs.main(flags(tiny_signs.signs, tmp_path / "out", name="letters"), RECIPE)
    assert folder == shelf / "letters" == pretrained.path("letters")
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "model.safetensors", "preprocessor_config.json"
    }  # fmt: skip
    assert not any("auto_map" in path.read_text() for path in folder.glob("*.json"))
    clip = str(next(tiny_signs.signs.glob("cleo-*.npz")))
    shelved, trained = (pipeline("sign-recognition", model=str(one))(clip) for one in (folder, tmp_path / "out"))
    assert shelved == trained
    accuracy = json.loads((tmp_path / "out" / "results.json").read_text())["metrics"]["accuracy"]
    card = (folder / "README.md").read_text()
    assert "test (cleo held out)" in card and f"value: {accuracy}" in card and "name: letters" in card
    assert 'signlang_hf.pretrained.path("letters")' in card and "trust_remote_code" not in card
    assert "recipes/bundle_model.py" in card and str(tmp_path) not in card


def test_one_fold_of_a_cross_validation(tiny_signs, tmp_path, shelf):
    run = {"name": "letters", "cross_validate": "stratified", "num_folds": 2, "signer_independent": False}
    folder = tiny_signs.main(flags(tiny_signs.all_train, tmp_path / "out", folds="2", **run), RECIPE)
    assert "test (fold 2)" in (folder / "README.md").read_text()
    assert (tmp_path / "out" / "2" / "results.json").is_file()  # where a cross-validation of the same settings finds it


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "name is None; give the model a short one"),
        ({"name": "../up"}, "name is '../up'; give the model a short one"),
        ({"name": "letters"}, "There is no test split to measure the model on"),
        ({"name": "letters", "cross_validate": "signer"}, "one fold of a cross-validation; name it"),
    ],
)
def test_what_cannot_be_bundled_is_said(tiny_signs, tmp_path, shelf, change, message):
    with pytest.raises(ValueError, match=message):
        tiny_signs.main(flags(tiny_signs.all_train, tmp_path / "out", **change), RECIPE)
    assert not list(shelf.iterdir())


def test_a_model_that_is_too_large_stays_off_the_shelf(tiny_signs, tmp_path, shelf, monkeypatch):
    monkeypatch.setattr("signlang_hf.training.shelf.MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"a model that comes with the package may have 0\.001"):
        tiny_signs.main(flags(tiny_signs.signs, tmp_path / "out", name="letters"), RECIPE)
    assert not list(shelf.iterdir())
