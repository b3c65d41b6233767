"""``recipes/bundle_detector.py``: a detector on the package's shelf, in half precision, with what it reaches like that."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_pictures import dotted
from transformers import AutoModelForKeypointDetection

from signlang_hf import pretrained
from signlang_hf.models.detector import HandDetector
from signlang_hf.pose import HeatmapEstimator


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    return folder


def test_the_shelf_holds_half_of_it_and_loads_whole(tiny_pictures, trained_detector, shelf):
    folder = tiny_pictures.train(trained_detector.folder, recipe="bundle_detector", name="detector")
    assert folder == shelf / "detector"
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json", "README.md",
    }  # fmt: skip
    stored = load_file(folder / "model.safetensors")
    assert {value.dtype for name, value in stored.items() if value.is_floating_point()} == {torch.float16}
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == "float32" and "auto_map" not in config
    model = AutoModelForKeypointDetection.from_pretrained(folder, dtype="auto")
    assert model.dtype == torch.float32
    card = (folder / "README.md").read_text()
    assert '"detector"' in card and "bundle_detector.py" in card and "pck@0.1" in card
    # Trained already, so this took no training; the weights differ by their rounding.
    for (name, before), after in zip(trained_detector.trainer.model.named_parameters(), model.parameters()):
        assert torch.allclose(before, after, atol=1e-3, rtol=1e-3), name


def test_the_shelved_detector_is_the_estimator_s_default(tiny_pictures, trained_detector, shelf):
    tiny_pictures.train(trained_detector.folder, recipe="bundle_detector", name="detector", keypoint_threshold=0.125)
    with HeatmapEstimator() as estimator:
        assert estimator.confidence == 0.125
    image, _ = dotted(2)
    with HeatmapEstimator(confidence=0.0) as estimator:
        found = estimator.detect(np.asarray(image), 0.0)
    assert found.data.shape == (64, 3) and np.isfinite(found.data).all()


def test_a_detector_of_hands_comes_along(tiny_pictures, trained_detector, shelf, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained_detector.folder, run)
    tiny_pictures.train(run / "hands", look_at="hand", num_train_epochs=1)
    folder = tiny_pictures.train(run, recipe="bundle_detector", name="detector")
    assert {path.name for path in (folder / "hands").iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json", "README.md",
    }  # fmt: skip
    assert pretrained.names() == ["detector"]
    hands = HandDetector.beside(folder)
    assert hands.model.dtype == torch.float32 and hands.processor.layout == "right-hand-21"
    assert load_file(folder / "hands" / "model.safetensors")["head.points.weight"].dtype == torch.float16
    # A detector that is bundled without one takes the old one away.
    shutil.rmtree(run / "hands")
    tiny_pictures.train(run, recipe="bundle_detector", name="detector")
    assert not list((folder / "hands").glob("*.safetensors"))


def test_a_model_without_a_test_is_not_shelved(tiny_pictures, shelf, tmp_path):
    with pytest.raises(ValueError, match="no test split"):
        tiny_pictures.train(
            tmp_path / "run", recipe="bundle_detector", name="detector", data_dir=tiny_pictures.folder / "train"
        )
    assert not list(shelf.iterdir())
