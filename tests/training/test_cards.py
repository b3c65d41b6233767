"""Cards of trained models: the command on them, and what they say about data and results."""

from __future__ import annotations

from dataclasses import replace

import yaml
from tiny_signs import flags

from signlang_hf.data import load_dataset
from signlang_hf.training import cards
from signlang_hf.training.arguments import parse
from signlang_hf.training.cards import launch_command, save_training_card


def test_the_command_holds_no_path_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--data_dir", "/home/me/signs", "--output_dir", str(tmp_path / "out/x"), "--model", '{"hidden_size": 8}']
    assert launch_command("recipes/x.py", words) == (
        "accelerate launch recipes/x.py --data_dir signs --output_dir out/x --model '{\"hidden_size\": 8}'"
    )
    monkeypatch.setattr("sys.argv", ["x.py", "--seed", "3"])
    assert launch_command("recipes/x.py") == "accelerate launch recipes/x.py --seed 3"


def test_rows_of_model_and_baseline(trained):
    ours, baseline = cards.test_rows(trained, "tiny", "test", "make x", benchmark="isl30-loso", seeds=(1,))
    assert [(row.model, row.metric, row.value) for row in ours] == [
        ("tiny", name, trained.metrics[name]) for name in ("accuracy", "top5_accuracy", "macro_f1")
    ]
    assert {row.model for row in baseline} == {"1-NN"}
    assert baseline[0].value == trained.baseline["accuracy"]
    assert {(row.n, row.command, row.benchmark, row.seeds) for row in ours} == {(16, "make x", "isl30-loso", (1,))}


def test_the_card_names_the_data_without_its_path(tiny_signs, trained, tmp_path):
    splits = load_dataset("landmark_folder", tiny_signs.signs, cache_dir=tiny_signs.cache)
    parquet = tmp_path / "my_letters"
    parquet.mkdir()
    trained.trainer.model.save_pretrained(tmp_path / "model")
    words = flags(
        tiny_signs.signs, tmp_path / "model", dataset=parquet, dataset_license="cc-by-4.0", hub_model_id="org/x"
    )
    _, data_args, args = parse(words)
    result = replace(trained, folder=tmp_path / "model")
    path = save_training_card(result, data_args, args, splits, "make x")
    card = path.read_text()
    assert path == tmp_path / "model" / "README.md"
    assert str(tmp_path) not in card
    assert "**my_letters**, licence: cc-by-4.0. 32 training clips by 2 signers" in card
    assert 'pipeline("sign-recognition", model="org/x")' in card
    (entry,) = yaml.safe_load(card.split("---\n")[1])["model-index"]
    assert entry["results"][0]["dataset"]["name"] == "my_letters"


def test_a_card_without_measurement_says_so(tiny_signs, trained, tmp_path):
    splits = load_dataset("landmark_folder", tiny_signs.all_train, cache_dir=tiny_signs.cache)
    trained.trainer.model.save_pretrained(tmp_path)
    _, data_args, args = parse(flags(tiny_signs.all_train, tmp_path))
    result = replace(trained, folder=tmp_path, metrics={}, baseline={})
    card = save_training_card(result, data_args, args, splits, "make x").read_text()
    assert "Not measured." in card
    assert "model-index" not in card
    assert "licence: unknown. 48 training clips by 3 signers" in card
