"""What an export writes: complete folders, whole or not at all; and what it refuses."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections import namedtuple
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from stub_hub import serve_hub  # noqa: F401  makes the fixture 'stub_hub' known here
from tiny_exports import BUILDERS
from tiny_model import bundle_tiny_model, same_result, tiny_clip
from transformers import AutoModelForVideoClassification, pipeline

from signlang_hf import hub, pretrained
from signlang_hf.export import export_all, export_model, exporting, folders, load_ort_model
from signlang_hf.export.exporting import OPSETS
from signlang_hf.export.record import ExportRecord

pytestmark = pytest.mark.optimum


@pytest.mark.parametrize("name", BUILDERS)
def test_a_folder_is_a_complete_repository(tiny, name):
    folder = tiny.export(name)
    assert {path.name for path in hub._complete_model(folder).values()} >= {
        "config.json",
        "README.md",
        "onnx_export.json",
    }
    assert not list(folder.rglob("*.py")) and not list(folder.rglob("*.tmp")) and not list(folder.rglob(".*"))
    for path in folder.rglob("*.json"):
        assert "auto_map" not in path.read_text(encoding="utf-8")
        assert str(tiny.folder) not in path.read_text(encoding="utf-8")
    record = ExportRecord.load(folder)
    for member in record.members:
        assert ExportRecord.load(folder / member).files


def test_settings_are_those_of_the_model(tiny):
    for name in ("transformer", "translator", "ctc"):
        before, after = (
            json.loads((one / "config.json").read_text()) for one in (tiny.source(name), tiny.export(name))
        )
        before.pop("auto_map", None)
        assert before == after


def test_the_decoder_and_its_language_model_travel(tiny, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(tiny.source("composite"), source)
    chosen = {"method": "beam", "beam_size": 4, "language_model": "lm.arpa", "lm_weight": 0.3}
    (source / "recognizer" / "decoder.json").write_text(json.dumps(chosen))
    (source / "recognizer" / "lm.arpa").write_text("\\data\\\n")
    folder = export_model(source, tmp_path / "export").folder
    assert json.loads((folder / "recognizer" / "decoder.json").read_text()) == chosen
    assert (folder / "recognizer" / "lm.arpa").read_text() == "\\data\\\n"


def test_the_card_says_how_to_run_it(tiny, tmp_path):
    source = bundle_tiny_model(tmp_path / "bundled", licence="cc-by-4.0", sign_languages=["gsg"])
    folder = export_model(source, tmp_path / "export").folder
    card = (folder / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0]
    assert "license: cc-by-4.0" in card and "- onnx" in card and "library_name: optimum" in card
    assert card.count("## How to use it") == 1 and "AutoModelForVideoClassification" not in card
    assert "## Training data" in card and "float32" in card
    names: dict[str, object] = {}
    for line in code.replace('pipe("clip.mp4")', "").splitlines():  # the example is run as it stands, but for its clip
        if line.startswith(("import", "from")):
            exec(line, names)
    model = names["ORTModelForSignClassification"].from_pretrained(str(folder))
    assert f'from_pretrained("{folder.as_posix()}")' in code and model.config.num_labels == 6


def test_fewer_bits_do_not_take_the_results_over(tmp_path):
    cards = {}
    for kind in (None, "int8"):
        folder = export_model("dgs30", tmp_path / str(kind), quantize=kind).folder
        cards[kind] = (folder / "README.md").read_text(encoding="utf-8")
    assert "model-index" in cards[None] and "measured in torch |" in cards[None]
    assert "model-index" not in cards["int8"] and "before the precision was reduced; `recipes/" in cards["int8"]


@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[-1]])
@pytest.mark.parametrize("name", ["conv", "hybrid", "ctc", "translator"])
def test_every_opset_works(tiny, tmp_path, name, opset):
    folder = export_model(tiny.source(name), tmp_path / "export", opset=opset).folder
    for path in folder.glob("*.onnx"):
        versions = {one.domain: one.version for one in onnx.load(str(path)).opset_import}
        assert versions[""] == opset
    load_ort_model(folder)


def test_an_earlier_export_is_replaced_and_nothing_else(tiny, tmp_path):
    out = tmp_path / "out"
    export_model(tiny.source("ctc"), out)
    (out / "left.txt").write_text("of the last one")
    export_model(tiny.source("transformer"), out)
    assert not (out / "left.txt").exists() and load_ort_model(out).config.model_type == "signlang_transformer"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds something else than an export"):
        export_model(tiny.source("ctc"), other)
    with pytest.raises(FileExistsError, match="is a file"):
        export_model(tiny.source("ctc"), other / "thesis.txt")
    assert (other / "thesis.txt").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_a_failure_leaves_nothing_and_keeps_what_was(tiny, tmp_path, monkeypatch):
    out = export_model(tiny.source("transformer"), tmp_path / "out").folder
    monkeypatch.setattr(exporting, "largest_difference", lambda *_: 0.5)
    with pytest.raises(ValueError, match=r"answers up to 5\.0e-01 differently from torch"):
        export_model(tiny.source("transformer"), out)
    with pytest.raises(ValueError, match="differently"):
        export_model(tiny.source("transformer"), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and load_ort_model(out)


def test_too_little_room_is_known_beforehand(tiny, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    monkeypatch.setattr(exporting, "_export", lambda *_: pytest.fail("it began all the same"))
    with pytest.raises(OSError, match=r"needs about \d+ MB and .* has 1 MB left"):
        export_model(tiny.source("transformer"), tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_processor(tiny, tmp_path):
    AutoModelForVideoClassification.from_pretrained(tiny.source("transformer")).save_pretrained(tmp_path / "bare")
    with pytest.raises(ValueError, match="has no processor; save it there"):
        export_model(tmp_path / "bare", tmp_path / "out")


def test_a_processor_of_another_model(tiny, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny.source("transformer"), folder)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"feature_size": 7}))
    with pytest.raises(ValueError, match=r"takes \d+ features a frame, its processor makes 7; they were not saved"):
        export_model(folder, tmp_path / "out")


def test_what_is_asked_for_in_vain(tiny, tmp_path):
    source = tiny.source("transformer")
    with pytest.raises(ValueError, match="Opset 9 cannot be written; choose 14 to 20"):
        export_model(source, tmp_path / "out", opset=9)
    with pytest.raises(ValueError, match="no quantisation 'int4'; choose int8 or fp16"):
        export_model(source, tmp_path / "out", quantize="int4")
    with pytest.raises(FileNotFoundError, match="Model folder not found"):
        export_model(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ValueError, match="exported to ONNX"):
        export_model(tiny.export("transformer"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_all_models_of_the_package_but_the_broken_one(tmp_path, monkeypatch):
    shelf = tmp_path / "shelf"
    for name in ("one", "two"):
        bundle_tiny_model(shelf / name)
    bundle_tiny_model(shelf / "broken")
    (shelf / "broken" / "model.safetensors").write_bytes(b"no weights")
    monkeypatch.setattr(pretrained, "FOLDER", shelf)
    reports, failures = export_all(tmp_path / "out")
    assert [report.model for report in reports] == ["one", "two"]
    assert list(failures) == ["broken"] and "cannot be loaded" in failures["broken"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one", "two"]


def test_a_bundled_model_answers_as_in_torch(tmp_path):
    """One that comes with the package, with its real weights."""
    folder = export_model("dgs30", tmp_path / "out").folder
    model = AutoModelForVideoClassification.from_pretrained(pretrained.path("dgs30")).eval()
    values = torch.randn(2, 40, model.config.input_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(values).logits
    np.testing.assert_allclose(load_ort_model(folder)(values).logits, expected, atol=1e-4)
    assert ExportRecord.load(folder).model == "dgs30"
    assert Path(folder, "README.md").read_text(encoding="utf-8").startswith("---")


def test_to_the_hub_and_back(tiny, tmp_path, stub_hub):
    folder = tiny.export("ensemble")
    tiny_clip().save(tmp_path / "clip.npz")
    code = f"""
        import json
        from transformers import pipeline
        from signlang_hf.export import ORTModelForSignClassification, load_ort_pipeline
        from signlang_hf.hub import push_to_hub
        push_to_hub({str(folder)!r}, "org/onnx")
        model = ORTModelForSignClassification.from_pretrained("org/onnx", revision="main")
        pipe = pipeline("sign-recognition", model=model, feature_extractor="org/onnx")
        print(json.dumps(pipe("clip.npz")))
        assert load_ort_pipeline("sign-recognition", "org/onnx")("clip.npz") == pipe("clip.npz")
    """
    done = stub_hub.run(textwrap.dedent(code), tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    files = stub_hub.repos["org/onnx"].files()
    assert {"booster.onnx", "member-upper/model.onnx", "onnx_export.json", "README.md"} <= set(files)
    (answer,) = [line for line in done.stdout.splitlines() if line.startswith("[{")]
    same_result(json.loads(answer), pipeline("sign-recognition", model=str(tiny.source("ensemble")))(tiny_clip()), 1e-4)
