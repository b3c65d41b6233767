"""The comparison recipe: baselines on every fold, and the cost of models beside the plain LSTM."""

from __future__ import annotations

import json

import pytest
from tiny_signs import ROOT, flags

from signlang_hf.training.results import comparison_table, load_results

pytest.importorskip("xgboost")
pytest.importorskip("sklearn")

RECIPE = ROOT / "recipes" / "benchmark_isolated.py"


def test_baselines_and_costs_of_a_cross_validation(tiny_signs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = {"cross_validate": "signer", "folds": ["anna", "ben"]}
    tiny_signs.run(tmp_path / "mine", tiny_signs.all_train, **run)
    words = flags(
        tiny_signs.all_train, tmp_path / "mine", **run, models=[tmp_path / "mine"], rounds=3, benchmark="isl30-loso"
    )
    tiny_signs.main(words, RECIPE)
    rows = {(row.model, row.metric, row.split): row for row in load_results("isl30-loso")}
    for name in ("plain LSTM", "ExtraTrees", "XGBoost"):
        accuracy = rows[name, "accuracy", "mean of 2 signers"]
        assert accuracy.value > 0.4 and accuracy.n == 32  # four signs that are easy to tell
        assert rows[name, "training_minutes", "mean of 2 signers"].value > 0
    trained = [
        json.loads((tmp_path / "mine" / fold / "results.json").read_text())["training"] for fold in ("anna", "ben")
    ]
    of = "mean of 2 signers"
    minutes = rows["signlang_transformer", "training_minutes", of].value
    assert minutes == pytest.approx(sum(one["minutes"] for one in trained) / 2)
    assert rows["signlang_transformer", "parameter_count", of].value == trained[0]["parameters"]
    assert rows["plain LSTM", "parameter_count", of].value > 0
    for batch in (1, 16):  # there are only 16 test clips
        speed = rows["signlang_transformer", "clip_ms", f"batch of {batch}"]
        assert speed.value > 0 and speed.against == "plain LSTM" and speed.ratio > 0
        assert rows["plain LSTM", "clip_ms", f"batch of {batch}"].ratio == 1
    folds = [json.loads((tmp_path / "mine" / fold / "results.json").read_text()) for fold in ("anna", "ben")]
    neighbour = [one["baseline"]["accuracy"] for one in folds]  # the trainings measured it as well
    assert rows["1-NN", "accuracy", of].value == pytest.approx(sum(neighbour) / 2)
    assert [rows["1-NN", "accuracy", f"signer={name}"].value for name in ("anna", "ben")] == neighbour
    assert "| signlang_transformer |" in comparison_table(rows.values())
    assert "clip ms" in capsys.readouterr().out


def test_what_is_missing_is_said(tiny_signs, tmp_path):
    with pytest.raises(ValueError, match="give --cross_validate"):
        tiny_signs.main(flags(tiny_signs.all_train, tmp_path), RECIPE)
    with pytest.raises(FileNotFoundError, match="holds no finished fold"):
        tiny_signs.main(flags(tiny_signs.all_train, tmp_path, cross_validate="signer", models=[tmp_path]), RECIPE)
    for name in ("one", "two"):
        (tmp_path / name / "anna").mkdir(parents=True)
        (tmp_path / name / "anna" / "results.json").write_text("{}")
        (tmp_path / name / "anna" / "config.json").write_text('{"model_type": "signlang_conv"}')
    with pytest.raises(ValueError, match=r"two and .*one both hold a signlang_conv"):
        twice = [tmp_path / "one", tmp_path / "two"]
        tiny_signs.main(flags(tiny_signs.all_train, tmp_path, cross_validate="signer", models=twice), RECIPE)
    with pytest.raises(ValueError, match="rounds is 0"):
        tiny_signs.main(flags(tiny_signs.all_train, tmp_path, cross_validate="signer", rounds=0), RECIPE)
    for given, message in (
        ({"methods": ["2-NN"]}, "names 2-NN"),
        ({"methods": ["1-NN"], "models": [tmp_path]}, "timed beside the plain LSTM"),
    ):
        with pytest.raises(ValueError, match=message):
            tiny_signs.main(flags(tiny_signs.all_train, tmp_path, cross_validate="signer", **given), RECIPE)


def test_one_method_alone(tiny_signs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = {"cross_validate": "signer", "folds": ["anna", "ben"]}
    tiny_signs.main(flags(tiny_signs.all_train, tmp_path, **run, methods=["1-NN"], benchmark="isl30-loso"), RECIPE)
    assert {row.model for row in load_results("isl30-loso")} == {"1-NN"}
