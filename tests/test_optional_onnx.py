"""What happens where ONNX cannot be had: one sentence, and nothing else of the library suffers."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

import signlang_hf
from signlang_hf import compat
from signlang_hf.cli import app

ROOM = "signlang_hf.export"


@pytest.fixture(autouse=True)
def fresh_room(monkeypatch):
    """The room as if it had never been imported, and back again."""
    for name in [name for name in sys.modules if name == ROOM or name.startswith(f"{ROOM}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(signlang_hf, "export", raising=False)


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1 and result.stdout == "" and isinstance(result.exception, SystemExit)
    (line,) = result.stderr.strip().splitlines()
    return line


def test_on_transformers_5(monkeypatch, tmp_path):
    monkeypatch.setattr(compat, "_V5", True)
    with pytest.raises(
        ImportError, match=r"needs Optimum, which goes with transformers 4\.57 only; this is transformers"
    ):
        from signlang_hf.export import export_model  # noqa: F401
    assert "transformers<5" in refused("export", "dgs30", "--out", str(tmp_path / "out"))


@pytest.mark.parametrize("missing", ["optimum", "onnx", "onnxruntime"])
def test_without_a_package(monkeypatch, tmp_path, missing):
    monkeypatch.setattr(compat, "_V5", False)
    monkeypatch.setattr(compat, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ImportError, match=rf'ONNX export needs {missing}: pip install "signlang-hf\[onnx\]"'):
        from signlang_hf.export import export_model  # noqa: F401
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "onnx_export.json").write_text("{}")
    assert f"needs {missing}" in refused("recognize", "clip.npz", "--model", str(tmp_path))


def test_tflite_needs_none_of_it(monkeypatch, tmp_path):
    monkeypatch.setattr(compat, "_V5", True)
    monkeypatch.setattr(sys.modules[__name__].compat, "find_spec", lambda name: None)
    for name in ("optimum", "onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    from signlang_hf.export import export_tflite

    with pytest.raises(FileNotFoundError, match="needs litert-torch in an environment of its own"):
        export_tflite("dgs30", tmp_path / "out", converter=tmp_path / "python")
    assert "needs Optimum" in refused("extract", "clips", "--out", "x", "--estimator", "heatmap", "--runtime", "ort")


def test_names_on_the_front_page():
    assert "ORTModelForSignClassification" in dir(signlang_hf)
