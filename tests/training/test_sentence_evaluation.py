"""``signlang evaluate`` of sentence models: glosses against glosses, text against text."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest
from tiny_model import tiny_clip
from tiny_translation import SENTENCES, save_tiny_composite, save_tiny_recognizer, save_tiny_translator
from transformers import pipeline
from transformers.utils import logging
from typer.testing import CliRunner

from signlang_hf.cli import app
from signlang_hf.data.rows import landmark_features, to_row
from signlang_hf.training.sentence_evaluation import evaluate_sentences, text_accuracy


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_composite(
        folder / "both", save_tiny_recognizer(folder / "recognizer"), save_tiny_translator(folder / "translator")
    )
    return folder


@pytest.fixture(scope="module")
def rows(models) -> datasets.Dataset:
    """Three clips; the recogniser is right about the first, leaves out a gloss of the second and all of the third."""
    pipe = pipeline("continuous-sign-recognition", model=str(models / "recognizer"))
    clips = [tiny_clip(20, seed) for seed in range(3)]
    said = [[sign["gloss"] for sign in pipe(clip)["glosses"]] for clip in clips]
    truth = [[gloss.lower() for gloss in said[0]], [*said[1], "YES"], ["NEVER"] * len(said[2])]
    found = [
        to_row(clip, id=str(i), glosses=glosses, text=text)
        for i, (clip, glosses, text) in enumerate(zip(clips, truth, SENTENCES.values()))
    ]
    return datasets.Dataset.from_list(found, features=landmark_features("isl-48", glosses=True, text=True))


def test_glosses(models, rows):
    pipe = pipeline("continuous-sign-recognition", model=str(models / "recognizer"))
    found = evaluate_sentences(pipe, rows)
    first, second, third = map(len, rows["glosses"])
    assert (found["hits"], found["deletions"], found["substitutions"]) == (first + second - 1, 1, third)
    assert found["wer"] == pytest.approx((1 + third) / (first + second + third)) and found["n"] == 3
    assert "bleu" not in found


def test_text(models, rows):
    pytest.importorskip("sacrebleu")
    pipe = pipeline("gloss-translation", model=str(models / "translator"))
    pairs = datasets.Dataset.from_list(
        [{"id": key, "glosses": key.split(), "text": pipe(key)["text"].upper()} for key in SENTENCES]
    )
    found = evaluate_sentences(pipe, pairs, batch_size=2)
    assert found["bleu"] == pytest.approx(100) and "case:lc" in found["signature"] and "wer" not in found
    assert found["text_accuracy"] == 1
    assert evaluate_sentences(pipe, pairs, num_beams=1)["bleu"] == pytest.approx(100)
    assert text_accuracy(["a  b", "A", "c"], ["a b", "a", "d"]) == pytest.approx(1 / 3)
    assert text_accuracy(["a  b", "A", "c"], ["a b", "a", "d"], lowercase=True) == pytest.approx(2 / 3)


def test_command(models, rows, tmp_path):
    pytest.importorskip("sacrebleu")
    (tmp_path / "data").mkdir()
    rows.to_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    verbosity = logging.get_verbosity()
    try:
        words = ["evaluate", str(models / "both"), "--dataset", str(tmp_path / "data")]
        result = CliRunner().invoke(app, [*words, "--json"])
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert 0 < found["wer"] < 1 and 0 <= found["bleu"] <= 100 and found["n"] == 3
        table = " ".join(CliRunner().invoke(app, words).stdout.split())  # a title with a long path fills several lines
        assert f"{100 * found['wer']:.1f} %" in table and "(3 sentences)" in table
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


def test_rows_that_cannot_be_used(models, rows):
    pipe = pipeline("continuous-sign-recognition", model=str(models / "recognizer"))
    with pytest.raises(ValueError, match="needs rows with glosses; these have"):
        evaluate_sentences(pipe, rows.remove_columns("glosses"))
    with pytest.raises(ValueError, match="no sentences to evaluate"):
        evaluate_sentences(pipe, rows.select([]))
    both = pipeline("sign-translation", model=str(models / "both"))
    with pytest.raises(ValueError, match="needs rows with text; these have"):
        evaluate_sentences(both, rows.remove_columns(["glosses", "text"]))
