"""``recipes/train_ctc.py`` from end to end: what it writes, folds and seeds, and what it refuses."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import fields

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_sentences import CTC, CTC_FLAGS, GLOSSES, ROOT, sentence_clip, words_of
from transformers import AutoModelForCTC, pipeline

from signlang_hf.data import list_datasets
from signlang_hf.data.leaks import LeakError
from signlang_hf.decoding import Decoder
from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.models.ctc import SignCTCConfig
from signlang_hf.models.ctc.processing_ctc import SignCTCProcessor
from signlang_hf.training.arguments import DataArguments
from signlang_hf.training.building import new_processor
from signlang_hf.training.continuous import sentence_augmenter
from signlang_hf.training.results import load_results
from signlang_hf.training.sentence_arguments import parse_continuous
from signlang_hf.training.splits import load_folds, load_splits

CONFIGURATIONS = sorted(path for path in (ROOT / "recipes/configs").glob("*.yaml") if "ctc" in path.stem.split("_"))
WRITTEN = {
    "config.json", "model.safetensors", "preprocessor_config.json", "modeling_ctc.py", "README.md", "results.json",
    "predictions.jsonl", "learning_curve.png", "example.png", "decoder.json", "language_model.arpa", "trainer_state.json",
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_precision(monkeypatch):
    """TrainingArguments with bf16 leave a variable behind that every later Trainer of the process would follow."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_configuration_builds_a_model_that_trains(path):
    """Without its data, which is not here: processor, model, augmentation and decoder from the file, one step on blank clips."""
    model_args, data_args, args = parse_continuous(["--config", str(path), "--use_cpu", "true", "--report_to", "none"])
    processor = new_processor(model_args, [{"layout": "face-hands-43"}], SignCTCProcessor, vocabulary=GLOSSES)
    sizes = {"input_size": processor.feature_size, "vocab_size": len(processor.vocabulary)}
    model = AutoModelForCTC.from_config(SignCTCConfig(**{**model_args.model, **sizes}))
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    metric = {"units": "metre"} if processor.normalization == "body" else {"units": "unknown"}
    blank = LandmarkSequence(np.zeros((40, len(get_layout(processor.layout)), 3)), processor.layout, fps=25, **metric)
    augmented = sentence_augmenter(data_args, chance=False)(blank, np.random.default_rng(0))
    output = model.train()(**processor([blank, augmented], [["BOOK"], ["DRINK", "HOUSE"]], return_tensors="pt"))
    output.loss.backward()
    assert torch.isfinite(output.loss) and int(output.skipped) == 0
    options = {name: value for name, value in model_args.decoding.items() if name in ("method", "beam_size", "engine")}
    Decoder(processor.vocabulary, **options)(output.logits[0].detach().numpy())
    assert data_args.dataset in list_datasets() and args.early_stopping_patience == 15
    assert 1 < args.num_train_epochs <= 100 and "Budget" in path.read_text()


def test_the_profile_for_8_gb_is_the_one_that_was_promised():
    model_args, _, args = parse_continuous(
        ["--config", str(ROOT / "recipes/configs/isl_csltr_ctc_8gb.yaml"), "--use_cpu", "true", "--report_to", "none"]
    )
    assert (args.per_device_train_batch_size, args.gradient_accumulation_steps) == (4, 4)
    assert model_args.model["hidden_size"] == 192 and model_args.processor["max_frames"] == 150
    assert args.bf16 and args.gradient_checkpointing and args.torch_empty_cache_steps == 50
    assert args.learning_rate == 1e-3 and args.num_train_epochs <= 100


def test_the_recipe_leaves_what_it_promises(trained_ctc):
    folder = trained_ctc.folder
    assert {path.name for path in folder.iterdir()} >= WRITTEN
    results = json.loads((folder / "results.json").read_text())
    told = {part.name for part in fields(trained_ctc)} - {"folder", "trainer"}
    assert results == {name: getattr(trained_ctc, name) for name in told}
    card = (folder / "README.md").read_text()
    index = yaml.safe_load(card.split("---\n")[1])["model-index"][0]
    measured = {one["name"]: one["value"] for entry in index["results"] for one in entry["metrics"]}
    assert measured == {name: trained_ctc.metrics[name] for name in ("wer", "mean_sample_wer", "sentence_accuracy")}
    assert {one["type"] for entry in index["results"] for one in entry["metrics"]} >= {"wer"}
    assert "signlang_ctc, greedy" in card and "continuous-sign-recognition" in card and "AutoModelForCTC" in card
    assert all(gloss in card for gloss in GLOSSES) and "landmark_sentences" in card
    for name in ("learning_curve.png", "example.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 300


def test_the_pipeline_reads_as_the_recipe_did(trained_ctc):
    rows = [json.loads(line) for line in (trained_ctc.folder / "predictions.jsonl").read_text().splitlines()][:5]
    pipe = pipeline("continuous-sign-recognition", model=str(trained_ctc.folder))
    for row in rows:
        number = int(row["id"].removesuffix(".npz").rsplit("-", 1)[-1])
        found = pipe(sentence_clip(row["reference"], 2, number))
        assert [sign["gloss"] for sign in found["glosses"]] == row["hypothesis"]


def test_folds_by_sentence_and_seeds_give_two_spreads(tiny_sentences, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = {"cross_validate": "sentence", "num_folds": 2, "seeds": [3, 4], "num_train_epochs": 1, "validation_size": 0}
    run |= {"signer_independent": False, "decoding": '{"method": "greedy"}', "benchmark": "boston104"}
    assert tiny_sentences.ctc(tmp_path / "run", **run) is None
    found = json.loads((tmp_path / "run/runs.json").read_text())
    rates = np.array([[one["metrics"]["wer"] for one in found["runs"] if one["fold"] == fold] for fold in ("1", "2")])
    rows = {(row.split, row.metric): row for row in load_results("boston104", folder=tmp_path / "hub_cards/results")}
    mean = rows["mean of 2 folds by sentence", "wer"]
    assert mean.value == pytest.approx(rates.mean()) and mean.spread == pytest.approx(rates.mean(axis=1).std())
    assert mean.seeds == (3, 4) and mean.n == 32
    assert rows["fold=2", "wer"].value == pytest.approx(rates[1].mean()) and not rows["fold=2", "wer"].headline
    assert f"2, seed 4: wer {100 * rates[1, 1]:.1f} %" in capsys.readouterr().out


@pytest.fixture
def use_cache(tiny_sentences, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tiny_sentences.cache)


def arguments(tiny_sentences, **changes) -> DataArguments:
    return DataArguments(dataset="landmark_sentences", data_dir=str(tiny_sentences.data), **changes)


def sentences(rows) -> set[tuple[str, ...]]:
    return {tuple(glosses) for glosses in rows["glosses"]}


def test_folds_by_sentence_share_none(tiny_sentences, use_cache):
    changes = {"cross_validate": "sentence", "num_folds": 3, "validation_size": 0.2, "validation_by": "sentence"}
    folds = dict(load_folds(arguments(tiny_sentences, signer_independent=False, sentence_independent=True, **changes)))
    assert list(folds) == ["1", "2", "3"]
    for splits in folds.values():
        parts = [sentences(splits[name]) for name in ("train", "validation", "test")]
        assert all(parts) and not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert sum(len(splits["test"]) for splits in folds.values()) == 32


def test_signers_can_be_held_out_by_name(tiny_sentences, use_cache):
    splits = load_splits(arguments(tiny_sentences, test_signers=["ben"]), seed=0)
    assert set(splits["train"]["signer"]) == {"anna"} and set(splits["test"]["signer"]) == {"ben"}
    with pytest.raises(ValueError, match=r"No clip of the training split is by dora; its signers are anna, ben\."):
        load_splits(arguments(tiny_sentences, test_signers=["dora"]), seed=0)
    with pytest.raises(ValueError, match="the train split is empty; hold out fewer signers"):
        load_splits(arguments(tiny_sentences, test_signers=["anna", "ben"]), seed=0)


def test_a_dataset_that_divides_itself_is_rotated(tiny_sentences, use_cache, monkeypatch):
    import signlang_hf.training.splits as module

    asked, real = [], module.load_dataset

    def load(name, data_dir, *, num_proc, **options):
        asked.append(options)
        return real(name, data_dir, num_proc=num_proc)

    monkeypatch.setattr(module, "load_dataset", load)
    changes = {"cross_validate": "rotation", "rotation": "test_signer", "folds": ["anna", "3"]}
    names = [name for name, _ in load_folds(arguments(tiny_sentences, dataset_options={"seed": 1}, **changes))]
    assert names == ["anna", "3"]
    assert asked == [{"seed": 1, "test_signer": "anna"}, {"seed": 1, "test_signer": 3}]


def test_shared_sentences_are_refused_where_the_splits_claim_there_are_none(tiny_sentences, tmp_path):
    with pytest.raises(LeakError, match="the same text: thanks drinks"):
        tiny_sentences.ctc(tmp_path, sentence_independent=True, num_train_epochs=1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": "phoenix14t_text", "data_dir": None}, "train_ctc: "),
        ({"cross_validate": "rotation"}, "train_ctc: --cross_validate rotation and --rotation with an option"),
        ({"sentence_independent": True}, "Here that is --allow_leaks true"),
        ({"output_dri": "x"}, r"unknown argument --output_dri (did you mean --output_dir?)"),
    ],
)
def test_as_a_command_mistakes_are_one_sentence(tiny_sentences, tmp_path, monkeypatch, changes, said):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tiny_sentences.cache)
    flags = {**CTC_FLAGS, "data_dir": tiny_sentences.data, "output_dir": tmp_path, **changes}
    monkeypatch.setattr(sys, "argv", [str(CTC), *words_of(flags)])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(CTC), run_name="__main__")
    assert isinstance(stopped.value.code, str) and said.lower() in stopped.value.code.lower()


def test_it_trains_as_the_profile_for_8_gb_does(tiny_sentences, tmp_path):
    profile = {"bf16": True, "gradient_checkpointing": True, "gradient_accumulation_steps": 2}
    profile |= {"per_device_train_batch_size": 4, "torch_empty_cache_steps": 2}
    result = tiny_sentences.ctc(tmp_path, num_train_epochs=8, **profile)
    losses = [row["loss"] for row in result.trainer.state.log_history if "loss" in row]
    assert losses[-1] < 0.5 * losses[0]
