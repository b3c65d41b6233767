"""``recipes/export_tflite.py``: exports in both precisions, and rows of what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tflite_stand_in import stand_in
from tiny_exports import keypoint
from tiny_signs import load_recipe

from signlang_hf.training.results import load_results


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(Path(__file__).resolve().parents[2] / "recipes" / "export_tflite.py")


def test_rows(recipe, tmp_path):
    model = keypoint("conv", tmp_path / "model")
    words = ["--models", str(model), "--out", str(tmp_path / "out"), "--frames", "12"]
    words += ["--converter", str(stand_in(tmp_path)), "--results", str(tmp_path / "results")]
    found = recipe.main(words)["model"]
    assert found["float32"]["parity"] < 1e-5 and found["int8"]["difference"] == pytest.approx(0.01, rel=0.1)
    assert (tmp_path / "out" / "model-int8" / "run_tflite.py").is_file()
    rows = {(row.split, row.metric): row.value for row in load_results("export-parity", folder=tmp_path / "results")}
    assert rows["TFLite int8, 12 frames", "largest_difference"] == found["int8"]["difference"]
    assert rows["TFLite float32, 12 frames", "size_mb"] == found["float32"]["bytes_after"] / 1e6
    assert ("torch, as stored", "size_mb") in rows
    recipe.main(words)  # again: rows take the place of their like
    assert len(load_results("export-parity", folder=tmp_path / "results")) == len(rows)
