"""Scores of a model on a dataset, matched by the names of the labels; and the command that prints them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tiny_signs import WORDS, write_tiny_signs
from typer.testing import CliRunner

from signlang_hf import cli
from signlang_hf.data import load_dataset
from signlang_hf.landmarks.normalize import hand_lead, mirror
from signlang_hf.landmarks.rows import to_sequence
from signlang_hf.pipelines.sides import mirror_image_wins
from signlang_hf.training.evaluation import label_names, label_positions, predict


@pytest.fixture(scope="module")
def held_out(tiny_signs):
    return load_dataset("landmark_folder", tiny_signs.signs, split="test", cache_dir=tiny_signs.cache)


@pytest.fixture
def use_cache(tiny_signs, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tiny_signs.cache)


def test_predictions_are_those_of_the_model_clip_by_clip(trained, held_out):
    model, processor = trained.trainer.model, trained.trainer.processing_class
    logits, references = predict(model, processor, held_out, batch_size=5, progress=False)
    assert references.tolist() == held_out["label"]
    for index in (0, 7, 15):
        with torch.no_grad():
            alone = model(**processor(held_out[index], return_tensors="pt")).logits[0]
        np.testing.assert_allclose(logits[index], alone.numpy(), atol=1e-4)


def test_mirror_images_count_as_in_the_pipeline(trained, held_out, monkeypatch):
    model, processor = trained.trainer.model, trained.trainer.processing_class
    alone, references = predict(model, processor, held_out, progress=False)
    turned = lambda sequence, rng: mirror(sequence)  # noqa: E731
    image, _ = predict(model, processor, held_out, progress=False, disturbance=turned)
    leads = np.array([hand_lead(to_sequence(row)) for row in held_out])
    expected = np.where(mirror_image_wins(alone, image, leads, 0.0)[:, None], image, alone)
    monkeypatch.setattr(model.config, "mirror_margin", 0.0)
    found, same = predict(model, processor, held_out, batch_size=5, progress=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(same, references)
    # What is mirrored before gets the same answer, and None reads the clips alone.
    np.testing.assert_allclose(
        predict(model, processor, held_out, progress=False, disturbance=turned)[0], found, atol=1e-4
    )
    np.testing.assert_array_equal(predict(model, processor, held_out, progress=False, mirror_margin=None)[0], alone)


def test_labels_are_matched_by_name_not_by_number(trained, held_out):
    model, processor = trained.trainer.model, trained.trainer.processing_class
    logits, references = predict(model, processor, held_out, progress=False)
    backwards = {name: index for index, name in enumerate(reversed(WORDS))}
    turned = held_out.align_labels_with_mapping(backwards, "label")
    assert turned["label"] != held_out["label"]
    again, same = predict(model, processor, turned, progress=False)
    np.testing.assert_array_equal(again, logits)
    np.testing.assert_array_equal(same, references)


def test_a_dataset_may_hold_fewer_labels_than_the_model_knows(trained):
    assert label_positions(trained.trainer.model, ["thanks", "book"]).tolist() == [3, 0]


def test_labels_that_the_model_does_not_know_are_named(trained):
    with pytest.raises(ValueError) as refused:
        label_positions(trained.trainer.model, ["book", "tree", "house", "year"])
    assert str(refused.value) == (
        "The model does not know 2 of the dataset's 4 labels (tree, year); it was trained on other labels."
    )


def test_what_cannot_be_evaluated_says_so(trained, held_out):
    model, processor = trained.trainer.model, trained.trainer.processing_class
    with pytest.raises(ValueError, match=r"no class column 'label'; it has id, landmarks"):
        label_names(held_out.remove_columns("label"))
    with pytest.raises(ValueError, match="no class column"):
        label_names(held_out.remove_columns("label").add_column("label", ["a"] * 16))
    with pytest.raises(ValueError, match="no clips to evaluate"):
        predict(model, processor, held_out.select([]))


def evaluate(*words) -> tuple[int, str]:
    """Exit code and everything printed, as one line."""
    done = CliRunner().invoke(cli.app, ["evaluate", *map(str, words)])
    return done.exit_code, " ".join(done.output.split())


def test_the_command_measures_what_training_measured(tiny_signs, trained, use_cache, capfd):
    code, printed = evaluate(trained.folder, "--dataset", "landmark_folder", "--data-dir", tiny_signs.signs, "--json")
    assert code == 0
    measured = json.loads(printed[printed.index("{") :])
    assert {name: measured[name] for name in trained.metrics} == trained.metrics


def test_the_command_refuses_labels_that_disagree_in_one_sentence(trained, tmp_path, use_cache):
    data = write_tiny_signs(tmp_path, words=("book", "tree"))
    code, printed = evaluate(trained.folder, "--dataset", "landmark_folder", "--data-dir", data)
    assert code == 1
    assert printed.endswith(
        "The model does not know 1 of the dataset's 2 labels (tree); it was trained on other labels."
    )


def test_the_command_names_a_missing_processor(tiny_signs, trained, tmp_path, use_cache):
    trained.trainer.model.save_pretrained(tmp_path)
    code, printed = evaluate(tmp_path, "--dataset", "landmark_folder", "--data-dir", tiny_signs.signs)
    assert code == 1
    assert "has no processor" in printed
