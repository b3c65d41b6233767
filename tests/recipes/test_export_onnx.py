"""``recipes/export_onnx.py``: exports, measures, and keeps what is good enough."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny_exports import keypoint
from tiny_model import LABELS, tiny_clip
from tiny_signs import load_recipe

pytestmark = [
    pytest.mark.optimum,
    pytest.mark.skipif(find_spec("optimum") is None, reason="ONNX export needs Optimum"),
]


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(Path(__file__).resolve().parents[2] / "recipes" / "export_onnx.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and rows for it."""
    import datasets

    from signlang_hf.data.rows import landmark_features, to_row

    folder = tmp_path_factory.mktemp("recipe")
    keypoint("bilstm", folder / "model")
    features = landmark_features("isl-48", label_names=list(LABELS))
    rows = [to_row(tiny_clip(20, seed), id=str(seed), label=LABELS[seed % 6]) for seed in range(6)]
    (folder / "rows").mkdir()
    datasets.Dataset.from_list(rows, features=features).to_parquet(folder / "rows" / "test.parquet")
    return folder


def words(folder, out, *more):
    return ["--model", str(folder / "model"), "--dataset", str(folder / "rows"), "--out", str(out), *more]


def test_both_versions_are_measured(recipe, folder, tmp_path, capsys):
    result = recipe.main(words(folder, tmp_path / "out", "--quantize", "int8", "--limit", "100"))
    assert result["folder"] == str(tmp_path / "out-int8")
    assert set(result["comparisons"]) == {"float32", "int8"}
    float32 = result["comparisons"]["float32"]
    assert list(float32["ran_on"]) == ["cpu"] and float32["ran_on"]["cpu"] > 5
    assert float32["drop"] == 0 and float32["n"] == 6 and float32["chosen"]
    assert (tmp_path / "out" / "model.onnx").is_file() and "points lost" in capsys.readouterr().out


def test_what_loses_too_much_is_reported_and_removed(recipe, folder, tmp_path, capsys, monkeypatch):
    from signlang_hf.export import comparing

    shares = iter([0.9, 0.9, 0.9, 0.7, 0.9, 0.9, 0.9, 0.7])
    monkeypatch.setattr(comparing, "_metrics", lambda *_: {"accuracy": next(shares)})
    given = words(folder, tmp_path / "out", "--quantize", "int8")
    result = recipe.main(given)
    assert result["folder"] == str(tmp_path / "out") and not (tmp_path / "out-int8").exists()
    assert result["comparisons"]["int8"]["drop"] == pytest.approx(20) and not result["comparisons"]["int8"]["chosen"]
    assert "int8 loses more than 1 points" in capsys.readouterr().out
    assert recipe.main([*given, "--keep"])["folder"] == str(tmp_path / "out") and (tmp_path / "out-int8").exists()


def test_impossible_settings(recipe, folder, tmp_path):
    with pytest.raises(SystemExit):
        recipe.main(words(folder, tmp_path / "out", "--limit", "-1"))
    with pytest.raises(ValueError, match="no provider 'npu'"):
        recipe.main(words(folder, tmp_path / "out", "--provider", "npu"))
