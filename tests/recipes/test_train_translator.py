"""``recipes/train_translator.py`` from end to end: what it writes, and its configurations."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
import torch
import yaml
from PIL import Image
from tiny_sentences import ROOT, sentence_of
from transformers import AutoModelForSeq2SeqLM, pipeline

from signlang_hf.data import list_datasets
from signlang_hf.models.translator import SignTranslatorConfig, SignTranslatorProcessor
from signlang_hf.training.results import load_results
from signlang_hf.training.sentence_arguments import parse_translation

CONFIGURATIONS = sorted(
    path for path in (ROOT / "recipes/configs").glob("*.yaml") if "translator" in path.stem.split("_")
)
WRITTEN = {
    "config.json", "model.safetensors", "preprocessor_config.json", "generation_config.json", "README.md", "results.json",
    "predictions.jsonl", "learning_curve.png", "example.png", "trainer_state.json",
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_precision(monkeypatch):
    """TrainingArguments with bf16 leave a variable behind that every later Trainer of the process would follow."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_configuration_builds_a_model_that_trains(path):
    model_args, data_args, args = parse_translation(["--config", str(path), "--use_cpu", "true", "--report_to", "none"])
    glosses = [["MORGEN", "REGEN", "NORD"], ["HEUTE", "SONNE"]] * 3
    texts = ["morgen regnet es im norden .", "heute scheint die sonne ."] * 3
    processor = SignTranslatorProcessor.train(glosses, texts, **model_args.processor)
    sizes = {"source_vocab_size": len(processor.source_vocabulary), "vocab_size": processor.target_vocabulary_size}
    model = AutoModelForSeq2SeqLM.from_config(SignTranslatorConfig(**{**model_args.model, **sizes})).train()
    loss = model(**processor(glosses[:2], texts[:2], return_tensors="pt")).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert data_args.dataset in list_datasets() and args.predict_with_generate
    assert args.early_stopping_patience == 15 and args.num_train_epochs <= 100 and "Budget" in path.read_text()


def test_the_recipe_leaves_what_it_promises(trained_translator):
    folder = trained_translator.folder
    assert {path.name for path in folder.iterdir()} >= WRITTEN
    results = json.loads((folder / "results.json").read_text())
    told = {part.name for part in fields(trained_translator)} - {"folder", "trainer"}
    assert results == {name: getattr(trained_translator, name) for name in told}
    card = (folder / "README.md").read_text()
    index = yaml.safe_load(card.split("---\n")[1])["model-index"][0]
    measured = {one["name"]: one["value"] for entry in index["results"] for one in entry["metrics"]}
    assert measured["bleu"] == trained_translator.metrics["bleu"]
    assert measured["rouge_l"] == trained_translator.metrics["rouge_l"]
    assert "nearest training sentence" in card and "version:" in card and "AutoModelForSeq2SeqLM" in card
    with Image.open(folder / "learning_curve.png") as picture:
        assert min(picture.size) > 300


def test_the_pipeline_writes_as_the_recipe_did(trained_translator):
    pipe = pipeline("gloss-translation", model=str(trained_translator.folder))
    rows = [json.loads(line) for line in (trained_translator.folder / "predictions.jsonl").read_text().splitlines()][:5]
    for row in rows:
        number = int(row["id"].removesuffix(".npz").rsplit("-", 1)[-1])
        assert pipe(sentence_of(number + 200))["text"] == row["hypothesis"]


def test_seeds_are_averaged_into_result_rows(tiny_sentences, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = {"seeds": [1, 2], "num_train_epochs": 1, "validation_size": 0, "benchmark": "isl-csltr-g2t"}
    assert tiny_sentences.translator(tmp_path / "run", **run) is None
    runs = json.loads((tmp_path / "run/runs.json").read_text())["runs"]
    rows = {
        (row.model, row.metric): row for row in load_results("isl-csltr-g2t", folder=tmp_path / "hub_cards/results")
    }
    bleu = [one["metrics"]["bleu"] for one in runs]
    assert rows["signlang_translator", "bleu"].value == pytest.approx(sum(bleu) / 2)
    assert rows["signlang_translator", "bleu"].spread == pytest.approx(abs(bleu[0] - bleu[1]) / 2)
    assert rows["glosses as text", "bleu"].spread is None
    assert rows["signlang_translator", "bleu"].versions["bleu"].startswith("nrefs:1|")
    assert f"test, seed 2: BLEU {bleu[1]:.2f}" in capsys.readouterr().out


def test_it_trains_as_the_profile_for_8_gb_does(tiny_sentences, tmp_path):
    profile = {"bf16": True, "gradient_checkpointing": True, "gradient_accumulation_steps": 2}
    profile |= {"per_device_train_batch_size": 4, "torch_empty_cache_steps": 2, "teacher_forcing_epochs": 0}
    result = tiny_sentences.translator(tmp_path, num_train_epochs=8, **profile)
    losses = [row["loss"] for row in result.trainer.state.log_history if "loss" in row]
    assert losses[-1] < 0.8 * losses[0]
