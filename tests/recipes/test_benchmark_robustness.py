"""The robustness recipe: it reads finished folds, damages their test clips and writes comparable rows."""

from __future__ import annotations

import json

import pytest
from tiny_signs import ROOT, flags

from signlang_hf.training.results import load_results
from signlang_hf.training.robustness import DISTURBANCES

RECIPE = ROOT / "recipes" / "benchmark_robustness.py"


def test_finished_folds_are_measured_under_every_disturbance(tiny_signs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = {"cross_validate": "signer", "folds": ["anna", "ben"], "num_train_epochs": 3}
    tiny_signs.run(tmp_path / "out", tiny_signs.all_train, **run)
    words = flags(tiny_signs.all_train, tmp_path / "out", **run, benchmark="robustness")
    found = tiny_signs.main(words, RECIPE)
    assert set(found) == {"undisturbed", *DISTURBANCES} and all(values.shape == (2,) for values in found.values())
    rows = {row.split: row for row in load_results("robustness")}
    assert set(rows) == set(found)
    whole = rows["undisturbed"]
    assert whole.value == pytest.approx(found["undisturbed"].mean()) and whole.n == 32
    assert whole.spread == pytest.approx(found["undisturbed"].std()) and "cross_validate signer" in whole.command
    # Five per cent of noise and a whole missing hand are not the same damage as none.
    assert any((found[name] != found["undisturbed"]).any() for name in DISTURBANCES)
    trained = [json.loads((tmp_path / "out" / fold / "results.json").read_text()) for fold in ("anna", "ben")]
    assert found["undisturbed"].tolist() == pytest.approx([run["metrics"]["accuracy"] for run in trained])
    assert "30 % of frames dropped" in capsys.readouterr().out
    both = tiny_signs.main([*words, "--mirror_margin", "0"], RECIPE)
    assert both["mirrored signer"].tolist() == pytest.approx(both["undisturbed"].tolist())
    models = {row.model for row in load_results("robustness")}
    assert models == {"signlang_transformer, landmark_folder", "signlang_transformer, landmark_folder, mirror margin 0"}


def test_what_is_missing_is_said(tiny_signs, tmp_path):
    with pytest.raises(ValueError, match="give --cross_validate"):
        tiny_signs.main(flags(tiny_signs.all_train, tmp_path), RECIPE)
    with pytest.raises(
        FileNotFoundError, match=r"anna holds no finished model; train it with train_isolated\.py first"
    ):
        tiny_signs.main(flags(tiny_signs.all_train, tmp_path, cross_validate="signer"), RECIPE)
