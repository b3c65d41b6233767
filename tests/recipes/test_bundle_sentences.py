"""The recipe that puts models of sentences on the package's shelf: a recogniser alone, and one with its translator."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import yaml
from tiny_sentences import BUNDLE, GLOSSES, TRANSLATOR_FLAGS
from transformers import pipeline

from signlang_hf import pretrained
from signlang_hf.training.results import load_results
from signlang_hf.training.shelf import put_on_shelf

SETTINGS = {"validation_size": 0.25, "validation_by": "sentence", "num_train_epochs": 25}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "shelf")
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


@pytest.fixture
def finished(trained_ctc, tmp_path):
    """A copy of the trained recogniser's folder, which the recipe reads instead of training."""
    return shutil.copytree(trained_ctc.folder, tmp_path / "out")


def test_a_recogniser_on_the_shelf(tiny_sentences, trained_ctc, finished, shelf):
    folder = tiny_sentences.run(BUNDLE, finished, name="signs", **SETTINGS)
    assert folder == pretrained.path("signs")
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "model.safetensors", "preprocessor_config.json", "decoder.json", "language_model.arpa",
    }  # fmt: skip
    assert not any("auto_map" in path.read_text() for path in folder.glob("*.json"))
    clip = str(next(tiny_sentences.data.glob("cleo-*.npz")))
    shelved, trained = (pipeline("continuous-sign-recognition", model=str(one)) for one in (folder, finished))
    assert shelved(clip) == trained(clip) and shelved.own_decoding["beam_size"] == 4
    card = (folder / "README.md").read_text()
    assert f"value: {trained_ctc.metrics['wer']}" in card and "name: signs" in card
    assert 'signlang_hf.pretrained.path("signs")' in card and "recipes/bundle_sentences.py" in card


def test_a_pair_on_the_shelf(tiny_sentences, trained_ctc, trained_translator, finished, shelf, tmp_path, monkeypatch):
    pytest.importorskip("sacrebleu")
    second = shutil.copytree(trained_translator.folder, tmp_path / "second")
    flags = {**TRANSLATOR_FLAGS, **SETTINGS, "num_train_epochs": 15, "data_dir": str(tiny_sentences.data)}
    (tmp_path / "second.yaml").write_text(yaml.safe_dump(flags | {"output_dir": str(second)}))
    monkeypatch.chdir(tmp_path)
    more = {"translator": tmp_path / "second.yaml", "benchmark": "fingerspelled-words"}
    folder = tiny_sentences.run(BUNDLE, finished, name="pair", **more, **SETTINGS)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"README.md", "config.json", "recognizer/decoder.json", "translator/model.safetensors"} <= files
    assert not any(name.endswith(".py") or "results" in name or "trainer" in name for name in files)
    assert not any("auto_map" in path.read_text() for path in folder.rglob("*.json"))
    pipe = pipeline("sign-translation", model=str(folder))
    clip = str(next(tiny_sentences.data.glob("cleo-*.npz")))
    alone = pipeline("continuous-sign-recognition", model=str(finished))(clip)
    answer = pipe(clip)
    assert answer["glosses"] == alone["glosses"] and {sign["gloss"] for sign in answer["glosses"]} <= {*GLOSSES}
    rows = {row.metric: row for row in load_results("fingerspelled-words")}
    assert rows["wer"].value == pytest.approx(trained_ctc.metrics["wer"], abs=1e-9) and rows["wer"].model == "pair"
    texts = [pipe(str(path))["text"] for path in sorted(tiny_sentences.data.glob("cleo-*.npz"))]
    assert 0 <= rows["text_accuracy"].value <= 1 and len(texts) == rows["text_accuracy"].n
    card = (folder / "README.md").read_text()
    assert f"value: {rows['text_accuracy'].value}" in card and 'pipeline("sign-translation"' in card
    assert re.search(r"\d+% were in the recogniser's training and \d+% in the translator's", card)
    assert "words = model.generate(**processor(" in card
    assert "AutoModelForSeq2SeqLM" in card and str(tmp_path) not in card


def test_a_new_translator_beside_the_recogniser_that_is_there(
    tiny_sentences, trained_ctc, trained_translator, finished, shelf, tmp_path, monkeypatch
):
    pytest.importorskip("sacrebleu")
    monkeypatch.chdir(tmp_path)
    second = shutil.copytree(trained_translator.folder, tmp_path / "second")
    flags = {**TRANSLATOR_FLAGS, **SETTINGS, "num_train_epochs": 15, "data_dir": str(tiny_sentences.data)}
    (tmp_path / "second.yaml").write_text(yaml.safe_dump(flags | {"output_dir": str(second)}))
    more = {"translator": tmp_path / "second.yaml", "name": "pair"}
    folder = tiny_sentences.run(BUNDLE, finished, **more, **SETTINGS)
    before = (folder / "recognizer" / "model.safetensors").read_bytes()
    card = (folder / "README.md").read_text()
    shutil.rmtree(finished)  # of the recogniser only the shelf is left
    again = tiny_sentences.run(BUNDLE, finished, keep_recognizer="true", **more, **SETTINGS)
    assert again == folder and not finished.exists()
    assert (folder / "recognizer" / "model.safetensors").read_bytes() == before
    now = (folder / "README.md").read_text()
    assert "| minutes |" in card and "| minutes |" not in now and "--keep_recognizer true" in now
    assert (
        now.partition("## Results")[2].partition("Measured")[0]
        == card.partition("## Results")[2].partition("Measured")[0]
    )
    with pytest.raises(ValueError, match="--keep_recognizer is for a pair; say what is joined to it with --translator"):
        tiny_sentences.run(BUNDLE, finished, name="pair", keep_recognizer="true", **SETTINGS)
    with pytest.raises(ValueError, match="No model 'other' comes with this installation"):
        tiny_sentences.run(BUNDLE, finished, **{**more, "name": "other"}, keep_recognizer="true", **SETTINGS)


def test_a_language_model_without_a_say_stays_off_the_shelf(trained_ctc, shelf, tmp_path):
    folder = shutil.copytree(trained_ctc.folder, tmp_path / "trained")
    decoder = json.loads((folder / "decoder.json").read_text())
    assert decoder["lm_weight"] > 0
    assert (put_on_shelf(folder, "signs") / "language_model.arpa").is_file()
    (folder / "decoder.json").write_text(json.dumps(decoder | {"lm_weight": 0.0}))
    shelved = put_on_shelf(folder, "signs")  # in the place of the first
    assert not (shelved / "language_model.arpa").exists()
    assert json.loads((shelved / "decoder.json").read_text()) == decoder | {"lm_weight": 0.0, "language_model": None}
    pipe = pipeline("continuous-sign-recognition", model=str(shelved))
    assert pipe.own_decoding["beam_size"] == decoder["beam_size"] and "language_model" not in pipe.own_decoding


def test_what_cannot_be_bundled_is_said(tiny_sentences, finished, shelf, monkeypatch):
    with pytest.raises(ValueError, match="name is None; give the model a short one"):
        tiny_sentences.run(BUNDLE, finished, **SETTINGS)
    monkeypatch.setattr("signlang_hf.training.shelf.MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"a model that comes with the package may have 0\.001"):
        tiny_sentences.run(BUNDLE, finished, name="signs", **SETTINGS)
    assert not list(shelf.iterdir()) and json.loads((finished / "results.json").read_text())
