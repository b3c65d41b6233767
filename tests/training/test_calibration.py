"""Temperature and threshold: chosen on held-out clips, kept in the model, and without a say in which label is best."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_signs import write_tiny_signs
from transformers import AutoModelForVideoClassification

from signlang_hf.data import load_dataset
from signlang_hf.metrics.open_set.open_set import SCORES, auroc, calibration_error, fit_temperature, knownness
from signlang_hf.training.building import saved_model, saved_processor
from signlang_hf.training.calibration import calibrate
from signlang_hf.training.evaluation import Predictions, predict, predict_unknown


@pytest.fixture(scope="module")
def held_out(tiny_signs):
    return load_dataset("landmark_folder", tiny_signs.signs, split="test", cache_dir=tiny_signs.cache)


@pytest.fixture(scope="module")
def strangers(tiny_signs):
    """Clips of two signs that the model does not know."""
    data = write_tiny_signs(tiny_signs.folder / "strangers", words=("tree", "year"), test=())
    return load_dataset("landmark_folder", data, split="train", cache_dir=tiny_signs.cache)


@pytest.fixture
def model(trained):
    """The trained model, much too sure of itself."""
    model = saved_model(str(trained.folder))
    model.classifier.weight.data *= 500
    return model


@pytest.fixture(scope="module")
def processor(trained):
    return saved_processor(str(trained.folder))


def test_without_unknown_clips_the_threshold_keeps_the_known_ones(model, processor, held_out):
    logits, labels = predict(model, processor, held_out, progress=False)
    found = calibrate(model, processor, held_out, keep=0.75)
    assert found.logit_temperature == fit_temperature(logits, labels) > 1
    assert found.error_before == calibration_error(logits, labels)
    assert found.error_after == calibration_error(logits, labels, found.logit_temperature)
    scores = knownness(logits, "probability", found.logit_temperature)
    assert found.known_kept == (scores >= found.unknown_threshold).mean() >= 0.75
    assert (found.unknown_score, found.n, found.auroc) == ("probability", 16, None)
    config = model.config
    assert (config.logit_temperature, config.unknown_score, config.unknown_threshold) == (
        found.logit_temperature, found.unknown_score, found.unknown_threshold,
    )  # fmt: skip


def test_with_unknown_clips_the_best_score_is_taken(model, processor, held_out, strangers):
    found = calibrate(model, processor, held_out, strangers)
    known = predict(model, processor, held_out, progress=False)[0]
    unknown = predict_unknown(model, processor, strangers, progress=False)
    areas = {
        score: auroc(*(knownness(logits, score, found.logit_temperature) for logits in (known, unknown)))
        for score in SCORES
    }
    assert found.auroc == areas[found.unknown_score] == max(areas.values())
    assert found.n_unknown == len(strangers) == 24
    accepted = knownness(unknown, found.unknown_score, found.logit_temperature) >= found.unknown_threshold
    assert found.unknown_accepted == accepted.mean()
    assert found.known_kept - found.unknown_accepted > 0


def test_unknown_clips_need_no_label(model, processor, strangers):
    bare = strangers.remove_columns("label")
    np.testing.assert_array_equal(
        predict_unknown(model, processor, bare, progress=False),
        predict_unknown(model, processor, strangers, progress=False),
    )


def test_labels_that_the_model_does_not_know_cannot_calibrate_it(model, processor, strangers):
    with pytest.raises(ValueError, match=r"does not know 2 of the dataset's 2 labels \(tree, year\)"):
        calibrate(model, processor, strangers)


def test_a_model_without_the_setting_says_so(model, processor, held_out):
    del model.config.logit_temperature
    with pytest.raises(ValueError, match="signlang_transformer has no logit_temperature to calibrate"):
        calibrate(model, processor, held_out)


@pytest.fixture(scope="module")
def calibrated(tiny_signs):
    return tiny_signs.run(tiny_signs.folder / "calibrated", validation_size=0.25, num_train_epochs=3, calibrate=True)


def test_a_run_calibrates_its_model_and_reports_the_error_on_the_test_split(calibrated, trained, tiny_signs):
    folder, found = calibrated.folder, calibrated.calibration
    assert calibrated.metrics == trained.metrics  # the same run without --calibrate
    config = AutoModelForVideoClassification.from_pretrained(folder).config
    assert config.logit_temperature == found["logit_temperature"] != 1
    assert config.unknown_threshold == found["unknown_threshold"] > 0
    assert found["n"] == 8
    test = Predictions.load(folder / "predictions.npz")
    assert found["test_error_before"] == calibration_error(test.logits, test.labels)
    assert found["test_error_after"] == calibration_error(test.logits, test.labels, found["logit_temperature"])
    assert json.loads((folder / "results.json").read_text())["calibration"] == found
    card = (folder / "README.md").read_text()
    assert f"{found['logit_temperature']:.3g}, chosen on validation" in card
    again = tiny_signs.run(folder, validation_size=0.25, num_train_epochs=3, calibrate=True)
    assert again.calibration == found


def test_a_run_learns_from_unknown_clips(tiny_signs, tmp_path):
    data = write_tiny_signs(tmp_path / "signs")
    write_tiny_signs(data / "others", words=("tree", "year"))
    lines = (data / "others" / "metadata.csv").read_text().splitlines()[1:]
    with (data / "metadata.csv").open("a") as stream:
        for line in lines:
            name, _, signer, _ = line.split(",")
            stream.write(f"others/{name},book,{signer},other\n")
    result = tiny_signs.run(
        tmp_path / "run", data, validation_size=0.25, calibrate=True, unknown_split="other", num_train_epochs=3
    )
    assert result.calibration["n_unknown"] == 24
    assert 0 <= result.calibration["auroc"] <= 1
    assert result.metrics["n"] == 16


def test_a_fine_tuned_model_is_no_longer_calibrated(tiny_signs, calibrated, tmp_path):
    result = tiny_signs.run(tmp_path, model_name_or_path=calibrated.folder, max_steps=1, model=None)
    config = result.trainer.model.config
    assert (config.logit_temperature, config.unknown_threshold, config.unknown_score) == (1.0, None, "probability")


def test_calibration_needs_a_validation_split(tiny_signs, tmp_path):
    with pytest.raises(ValueError, match="--calibrate needs a validation split; carve one out with --validation_size"):
        tiny_signs.run(tmp_path, calibrate=True)
    assert not list(tmp_path.iterdir())


def test_predictions_are_those_of_the_model(trained, held_out, tmp_path):
    stored = Predictions.load(trained.folder / "predictions.npz")
    logits, labels = predict(trained.trainer.model, trained.trainer.processing_class, held_out, progress=False)
    np.testing.assert_array_equal(stored.logits, logits)
    np.testing.assert_array_equal(stored.labels, labels)
    assert stored.ids.tolist() == list(held_out["id"])
    assert stored.names.tolist() == list(trained.trainer.model.config.id2label.values())
    with np.load(trained.folder / "predictions.npz", allow_pickle=False) as plain:
        assert set(plain) == {"ids", "logits", "labels", "names"}
    with pytest.raises(FileNotFoundError, match="a training run with a test split writes it"):
        Predictions.load(tmp_path / "predictions.npz")
    np.savez(tmp_path / "other.npz", logits=logits)
    with pytest.raises(ValueError, match=r"other\.npz holds no predictions"):
        Predictions.load(tmp_path / "other.npz")
