"""``recipes/benchmark_parity.py``: every graph of a model is compared, and what differs too much ends in an error."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny_exports import KEYPOINT, composite, keypoint
from tiny_signs import load_recipe

from signlang_hf.training.results import load_results

pytestmark = [
    pytest.mark.optimum,
    pytest.mark.skipif(find_spec("optimum") is None, reason="ONNX export needs Optimum"),
]


@pytest.fixture
def recipe(monkeypatch):
    found = load_recipe(Path(__file__).resolve().parents[2] / "recipes" / "benchmark_parity.py")
    monkeypatch.setattr(found, "BATCHES", (1, 3))
    monkeypatch.setattr(found, "FRAMES", (5, 37))
    return found


def test_every_graph_of_every_model(recipe, tmp_path, capsys):
    models = [str(keypoint("conv", tmp_path / "conv")), str(composite(tmp_path / "pair"))]
    recipe.main(["--models", *models, "--results", str(tmp_path)])
    rows = load_results("export-parity", folder=tmp_path)
    assert [row.model for row in rows[::2]] == [
        "signlang_conv (conv)",
        "signlang_ctc (whole/recognizer)",
        "signlang_translator encoder (whole/translator)",
        "signlang_translator decoder (whole/translator)",
    ]
    assert {row.metric for row in rows} == {"torch_difference", "padding_difference"}
    assert all(row.n == 4 and row.split == "all shapes" and 0 <= row.value < 1e-4 for row in rows)
    assert rows[0].command.startswith("python recipes/benchmark_parity.py --models conv whole")
    assert "padded to alone" in capsys.readouterr().out


def test_what_differs_too_much_is_an_error(recipe, tmp_path, monkeypatch):
    from signlang_hf.export import parity

    model = keypoint("conv", tmp_path / "conv")
    monkeypatch.setattr(parity, "padding_difference", lambda *_: 0.5)
    with pytest.raises(ValueError, match=r"signlang_conv \(conv\) \(padding_difference, 5.0e-01\) differ too much"):
        recipe.main(["--models", str(model), "--results", str(tmp_path)])
    assert load_results("export-parity", folder=tmp_path)[1].value == 0.5  # a bad row is written too


def test_without_models_all_that_come_with_the_package_and_one_of_each_family(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe.pretrained, "names", lambda: ["fingerspelling"])
    small = [(config, model) for config, model, _ in KEYPOINT.values() if config.model_type == "signlang_hybrid"]
    monkeypatch.setattr(recipe, "FAMILIES", small)
    rows = recipe.main(["--results", str(tmp_path)])
    assert [row.model for row in rows[::2]] == [
        "signlang_transformer (fingerspelling)", "signlang_hybrid (random weights)",
    ]  # fmt: skip
