"""``signlang export --to tflite`` with a converter that only stands in for litert-torch: folders, options, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from tflite_stand_in import stand_in
from tiny_model import bundle_tiny_model
from typer.testing import CliRunner, Result

from signlang_hf import hub, pretrained
from signlang_hf.cli import app
from signlang_hf.export import TFLiteRecord, export_all_tflite, export_tflite, tflite, tflite_process
from signlang_hf.export.tflite_process import converter_python


@pytest.fixture(scope="session")
def converter(tmp_path_factory):
    return stand_in(tmp_path_factory.mktemp("stand-in"))


@pytest.fixture(scope="session")
def exported(tiny, converter, tmp_path_factory):
    """``exported("ctc", "int8")``: a tiny model's report, made once a run."""
    reports = {}

    def export(name, quantize=None):
        if (name, quantize) not in reports:
            out = tmp_path_factory.mktemp("tflite") / f"{name}-{quantize}"
            reports[name, quantize] = export_tflite(
                tiny.source(name), out, frames=12, quantize=quantize, converter=converter
            )
        return reports[name, quantize]

    return export


def signlang(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


@pytest.mark.parametrize("name", ["transformer", "ctc", "composite", "detector", "translator-ensemble", "vote"])
def test_a_folder_is_a_complete_repository(tiny, exported, name):
    report = exported(name)
    folder = report.folder
    files = {path.relative_to(folder).as_posix() for path in hub._complete_model(folder).values()}
    assert {"config.json", "README.md", "tflite_export.json", "run_tflite.py", "preprocessor_config.json"} <= files
    assert not list(folder.rglob("*.tmp")) and not list(folder.rglob(".*")) and not list(folder.rglob("*.safetensors"))
    for path in folder.rglob("*.json"):
        assert "auto_map" not in path.read_text(encoding="utf-8")
        assert str(tiny.folder) not in path.read_text(encoding="utf-8")
    record = TFLiteRecord.load(folder)
    assert record.parity < 1e-5 and record.difference == record.parity and record.frames == (12, 0)[name == "detector"]
    for member in record.members:
        assert TFLiteRecord.load(folder / member).files
    assert report.to_dict()["bytes_after"] == sum(path.stat().st_size for path in folder.rglob("*.tflite"))


def test_the_files_are_those_of_the_family(exported):
    assert exported("transformer").record.files == ("model.tflite",)
    assert exported("translator-ensemble").record.files == ("encoder_model.tflite", "decoder_step.tflite")
    composite = exported("composite")
    assert composite.record.files == () and composite.record.members == ("recognizer", "translator")
    assert (composite.folder / "translator" / "generation_config.json").is_file()
    assert exported("detector").record.members == ("hands",)


@pytest.mark.parametrize(("name", "how", "difference"), [("ctc", "dynamic", 0.01), ("detector", "weights", 0.001)])
def test_int8(exported, name, how, difference):
    record = exported(name, "int8").record
    assert (record.precision, record.quantization) == ("int8", how)
    assert record.parity < 1e-5 and record.difference == pytest.approx(difference, rel=0.1)
    assert record.versions["litert-torch"] == "0.0" and record.versions["torch"]


def test_the_card_says_how_to_run_it(tmp_path, converter):
    source = bundle_tiny_model(tmp_path / "bundled", licence="cc-by-4.0", sign_languages=["gsg"])
    folder = export_tflite(source, tmp_path / "export", frames=30, quantize="int8", converter=converter).folder
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-4.0" in card and "- tflite" in card and "library_name: litert" in card
    assert f"python {folder.as_posix()}/run_tflite.py clip.npz" in card and "up to 30 frames" in card
    assert card.count("## How to use it") == 1 and "AutoModelForVideoClassification" not in card
    assert "| The same in int8 | 1.0e-02 |" in card and "model-index" not in card


def test_on_the_command_line(tiny, tmp_path, converter):
    words = ("--to", "tflite", "--converter", converter, "--frames", "20")
    done = signlang("export", tiny.source("conv"), "--out", tmp_path / "out", *words, "--json")
    assert done.exit_code == 0 and done.stderr == ""
    (row,) = json.loads(done.stdout)["exported"]
    assert row["frames"] == 20 and row["parity"] < 1e-5 and row["precision"] == "float32"
    done = signlang("export", tiny.source("conv"), "--out", tmp_path / "out", *words, "--quantize", "int8")
    assert done.exit_code == 0 and "int8 against" in " ".join(done.stdout.split()) and "1.0e-02" in done.stdout


def test_the_converter_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv(tflite_process.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tflite_process, "_PACKAGE", tmp_path / "elsewhere" / "signlang_hf")
    with pytest.raises(FileNotFoundError) as caught:
        converter_python()
    sentence = str(caught.value)
    assert ".venv-tflite" in sentence and "make setup-tflite" in sentence and "pip install litert-torch" in sentence
    python = tmp_path / ".venv-tflite" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert converter_python() == python
    monkeypatch.setenv(tflite_process.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"there is no .*nowhere"):
        converter_python()
    assert converter_python(python) == python


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quantize": "fp16"}, "no quantisation 'fp16' in TFLite; choose int8"),
        ({"frames": 2}, "frames is 2; a graph takes 5 to 1000"),
        ({"frames": 5000}, "frames is 5000"),
        ({"frames": 2.5}, r"frames is 2\.5"),
        ({"converter": "nowhere"}, "there is no nowhere"),
    ],
)
def test_what_is_asked_for_in_vain(tiny, tmp_path, converter, settings, said):
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        export_tflite(tiny.source("transformer"), tmp_path / "out", **{"converter": converter, **settings})
    assert list(tmp_path.iterdir()) == []


def test_models_that_cannot_be_exported(tiny, exported, tmp_path, converter):
    bare = tmp_path / "bare"
    shutil.copytree(tiny.source("transformer"), bare)
    (bare / "preprocessor_config.json").unlink()
    other = tmp_path / "other"
    shutil.copytree(tiny.source("transformer"), other)
    settings = json.loads((other / "preprocessor_config.json").read_text())
    (other / "preprocessor_config.json").write_text(json.dumps(settings | {"feature_size": 7}))
    for source, said in (
        (bare, "has no processor; save it there"),
        (other, r"its processor makes 7; they were not saved"),
        (tiny.source("ensemble"), r"corrects itself with trees, .* export one of its members \(member-upper"),
        (exported("transformer").folder, "holds a model exported to TFLite"),
    ):
        with pytest.raises(ValueError, match=said):
            export_tflite(source, tmp_path / "out", converter=converter)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare", "other"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("crash", "cannot be converted to TFLite: RuntimeError: aten.frobnicate has no lowering"),
        ("killed", "signal 9 ended it"),
        ("missing", "lacks litert_torch"),
        ("silent", "said nothing about its work"),
        ("wrong", "differently from torch"),
        ("shapes", "did not answer as asked: its logits has shape"),
    ],
)
def test_a_converter_that_fails(tiny, tmp_path, monkeypatch, converter, fault, said):
    monkeypatch.setenv("STAND_IN", fault)
    monkeypatch.setattr(tflite.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    done = signlang(
        "export", tiny.source("transformer"), "--to", "tflite", "--converter", converter, "--out", tmp_path / "out"
    )
    assert done.exit_code == 1 and done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert said in line
    assert os.listdir(tmp_path) == ["temporary"] and os.listdir(tmp_path / "temporary") == []


def test_an_executable_that_is_none(tiny, tmp_path):
    (tmp_path / "python").write_text("no program")
    with pytest.raises(ValueError, match="cannot be run: Permission denied"):
        export_tflite(tiny.source("transformer"), tmp_path / "out", converter=tmp_path / "python")


def test_an_earlier_export_is_replaced_and_nothing_else(tiny, exported, tmp_path, converter):
    out = tmp_path / "out"
    shutil.copytree(exported("ctc").folder, out)
    export_tflite(tiny.source("transformer"), out, frames=12, converter=converter)
    assert json.loads((out / "config.json").read_text())["model_type"] == "signlang_transformer"
    (out / "tflite_export.json").unlink()
    with pytest.raises(FileExistsError, match="holds something else than an export"):
        export_tflite(tiny.source("transformer"), out, converter=converter)


def test_all_models_of_the_package_but_the_broken_one(tmp_path, monkeypatch, converter):
    shelf = tmp_path / "shelf"
    for name in ("one", "broken"):
        bundle_tiny_model(shelf / name)
    (shelf / "broken" / "model.safetensors").write_bytes(b"no weights")
    monkeypatch.setattr(pretrained, "FOLDER", shelf)
    reports, failures = export_all_tflite(tmp_path / "out", converter=converter)
    assert [report.model for report in reports] == ["one"] and "cannot be loaded" in failures["broken"]
    with pytest.raises(FileNotFoundError, match="litert-torch"):
        export_all_tflite(tmp_path / "other", converter=tmp_path / "nowhere")


def test_records_that_are_none(exported, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no model exported to TFLite"):
        TFLiteRecord.load(tmp_path)
    folder = tmp_path / "copy"
    shutil.copytree(exported("transformer").folder, folder)
    (folder / "model.tflite").unlink()
    with pytest.raises(FileNotFoundError, match=r"not complete: model\.tflite is missing"):
        TFLiteRecord.load(folder)
    Path(folder, "tflite_export.json").write_text("[]")
    with pytest.raises(ValueError, match="is no record of an export"):
        TFLiteRecord.load(folder)


def test_other_commands_say_what_it_is(exported, tmp_path):
    done = signlang("recognize", tmp_path / "clip.npz", "--model", exported("transformer").folder)
    assert done.exit_code == 1 and "holds a model exported to TFLite, which run_tflite.py in it runs" in done.stderr
