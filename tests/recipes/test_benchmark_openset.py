"""The open-set recipe: known and unknown clips are told apart, by a split of other signs or by words left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_signs import ROOT, WORDS, flags, write_tiny_signs

from signlang_hf.metrics.open_set.open_set import SCORES
from signlang_hf.training.results import load_results

RECIPE = ROOT / "recipes" / "benchmark_openset.py"


def test_words_left_out_are_unknown(tiny_signs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = {"leave_words_out": 2, "benchmark": "dgs30-openset", "num_train_epochs": 4, "signer_independent": False}
    words = flags(tiny_signs.all_train, tmp_path / "out", **run)
    found = tiny_signs.main(words, RECIPE)
    assert set(found) == set(SCORES) and found["energy"]["auroc"].shape == (2,)
    # The groups are disjoint, and each model knows the other words.
    vocabularies = [
        set(json.loads((tmp_path / "out" / f"without-{number}" / "config.json").read_text())["label2id"])
        for number in (1, 2)
    ]
    assert all(len(known) == 2 for known in vocabularies) and vocabularies[0] | vocabularies[1] == set(WORDS)
    rows = load_results("dgs30-openset")
    assert {row.model for row in rows if row.headline} == {"signlang_transformer, by energy"}
    row = next(row for row in rows if row.headline and row.metric == "auroc")
    assert (
        row.value == pytest.approx(found["energy"]["auroc"].mean())
        and row.split == "2 words left out, mean of 2 groups"
    )
    assert np.isfinite([one.value for one in rows]).all() and {one.metric for one in rows} == {
        "auroc", "unknown_accepted", "accuracy"
    }  # fmt: skip
    # Finished models are read, not trained again.
    weights = tmp_path / "out" / "without-1" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = tiny_signs.main(words, RECIPE)
    assert weights.stat().st_mtime_ns == before
    np.testing.assert_array_equal(again["logit"]["auroc"], found["logit"]["auroc"])


def test_a_split_of_other_signs_is_unknown_in_every_fold(tiny_signs, tmp_path):
    signs = write_tiny_signs(tmp_path / "signs", test=("cleo",))
    run = {"cross_validate": "stratified", "num_folds": 2, "unknown_split": "test", "signer_independent": False}
    found = tiny_signs.main(flags(signs, tmp_path / "out", **run, score="logit"), RECIPE)
    assert all(values.shape == (2,) for metrics in found.values() for values in metrics.values())
    assert (found["logit"]["unknown_accepted"] > 0.3).all()  # they are the same signs, by somebody else


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "Give --cross_validate and --unknown_split, or --leave_words_out"),
        ({"leave_words_out": 3}, "Of 4 words 3 cannot be left out"),
        ({"score": "distance"}, "choose one of probability, logit, energy"),
    ],
)
def test_what_cannot_be_measured_is_said(tiny_signs, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        tiny_signs.main(flags(tiny_signs.all_train, tmp_path, **change), RECIPE)
