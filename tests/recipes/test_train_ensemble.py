"""``recipes/train_ensemble.py`` from end to end: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import yaml
from stub_hub import serve_hub  # noqa: F401  makes the fixture 'stub_hub' known here
from tiny_ensemble import BOOSTER, MEMBERS, RECIPE, TINY, load_ensemble_recipe, tiny_ensembles, tiny_trained_ensemble  # noqa: F401
from tiny_signs import ROOT, WORDS, write_tiny_signs
from transformers import AutoModelForVideoClassification, pipeline

from signlang_hf.data.leaks import LeakError
from signlang_hf.training.ensemble_arguments import parse_ensemble
from signlang_hf.training.results import load_results

pytest.importorskip("xgboost")

FOLDER = {
    "config.json", "model.safetensors", "booster.ubj", "preprocessor_config.json", "modeling_ensemble.py", "README.md",
    "results.json", "predictions.npz", "confusion_matrix.png", "per_class.csv", "member-near", "member-far", "runs",
}  # fmt: skip


def test_the_recipe_leaves_one_folder_that_works(trained_ensemble, ensembles):
    folder = trained_ensemble.folder
    assert {path.name for path in folder.iterdir()} >= FOLDER
    assert not [
        path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".bin") and "runs" not in path.parts
    ]
    pipe = pipeline("sign-recognition", model=str(folder))
    clips = sorted(ensembles.tiny.signs.glob("cleo-*.npz"))
    right = [
        rows[0]["label"] in clip.name for clip, rows in zip(clips, pipe([str(clip) for clip in clips], batch_size=5))
    ]
    assert np.mean(right) == trained_ensemble.metrics["accuracy"]


def test_the_card_shows_the_ensemble_beside_its_members(trained_ensemble, ensembles):
    card = (trained_ensemble.folder / "README.md").read_text()
    index = yaml.safe_load(card.split("---\n")[1])["model-index"]
    measured = {one["name"]: one["value"] for entry in index[0]["results"] for one in entry["metrics"]}
    assert measured == {name: trained_ensemble.metrics[name] for name in ("accuracy", "top5_accuracy", "macro_f1")}
    for name, metrics in trained_ensemble.members.items():
        assert f"| {name} | test (cleo held out) | accuracy | {100 * metrics['accuracy']:.1f} % |" in card
        assert f"| weight of {name} | {trained_ensemble.stack['weights'][name]} |" in card
    assert "2 models (near, far) vote, corrected by 4 rounds of XGBoost trees" in card
    assert 'pip install "signlang-hf[ensemble]"' in card and "accelerate launch recipes/train_ensemble.py" in card
    assert str(ensembles.folder) not in card
    parameters = trained_ensemble.training["parameters"] + 4 * (16 + 12) + 16 + 12  # and the class means
    assert f"{parameters:,}" in card


def test_cross_validation_makes_one_ensemble_a_fold(ensembles, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = {"cross_validate": "signer", "folds": ["anna", "ben"], "benchmark": "isl30-loso", "num_train_epochs": 1}
    run["members"] = [ensembles.file("near")]
    of_seeds = ensembles.run(tmp_path / "out", ensembles.tiny.all_train, **run)
    (seed,) = of_seeds["anna"]
    results = {fold: seeds[seed] for fold, seeds in of_seeds.items()}
    assert list(results) == ["anna", "ben"]
    for fold in results:
        assert AutoModelForVideoClassification.from_pretrained(tmp_path / "out" / fold).config.num_labels == len(WORDS)
    rows = {(row.model, row.split, row.metric): row for row in load_results("isl30-loso")}
    row = rows["signlang_ensemble", "mean of 2 signers", "accuracy"]
    accuracies = [result.metrics["accuracy"] for result in results.values()]
    assert (row.value, row.spread, row.n) == (pytest.approx(np.mean(accuracies)), pytest.approx(np.std(accuracies)), 32)
    member = rows["near in the ensemble", "mean of 2 signers", "accuracy"]
    assert member.value == pytest.approx(np.mean([result.members["near"]["accuracy"] for result in results.values()]))
    assert row.headline and not member.headline and ("1-NN", "signer=ben", "accuracy") in rows
    summary = json.loads((tmp_path / "out/runs.json").read_text())
    assert summary["ben"][str(seed)]["stack"] == results["ben"].stack
    printed = capsys.readouterr().out
    assert "mean ± std" in printed and "+ 4 rounds of trees" in printed


def test_seeds_are_ensembles_of_their_own_with_the_mean_of_all(ensembles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = {"cross_validate": "signer", "folds": ["anna"], "seeds": [3, 4], "benchmark": "isl30-loso", "inner_folds": 0}
    run |= {"num_train_epochs": 1, "members": [ensembles.file("near")]}
    results = ensembles.run(tmp_path / "out", ensembles.tiny.all_train, **run)["anna"]
    assert {seed: result.folder for seed, result in results.items()} == {
        seed: tmp_path / f"out/seed-{seed}/anna" for seed in (3, 4)
    }
    one, two = (AutoModelForVideoClassification.from_pretrained(result.folder) for result in results.values())
    assert any(not a.equal(b) for a, b in zip(one.parameters(), two.parameters()))
    row = next(row for row in load_results("isl30-loso") if row.model == "signlang_ensemble")
    assert row.seeds == (3, 4)
    assert row.value == pytest.approx(np.mean([result.metrics[row.metric] for result in results.values()]))


def test_what_the_ensemble_says_wins_over_the_members_files(ensembles, tmp_path):
    shared = {"dataset": "landmark_folder", "data_dir": "signs", "output_dir": "out", "seed": 7, "learning_rate": 0.5}
    own = {"members": [str(ensembles.file(name)) for name in MEMBERS], "inner_folds": 3, "booster": {"eta": 0.2}}
    (tmp_path / "ensemble.yaml").write_text(yaml.safe_dump({**shared, **own, "augment": {"enabled": False}}))
    for config in (["--config", str(tmp_path / "ensemble.yaml")], [f"--config={tmp_path / 'ensemble.yaml'}"]):
        ensemble, members = parse_ensemble([*config, "--learning_rate", "0.25", "--use_cpu", "true"])
        assert ensemble.inner_folds == 3 and ensemble.booster_settings.eta == 0.2
        assert list(members) == list(MEMBERS)
        for name, (model_args, data_args, args) in members.items():
            assert model_args.model == MEMBERS[name]["model"]
            assert model_args.processor == MEMBERS[name].get("processor", {})
            assert (data_args.data_dir, data_args.augment) == ("signs", {"enabled": False})
            assert (args.seed, args.learning_rate, args.num_train_epochs) == (7, 0.25, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": None}, "Name the members, one configuration file each"),
        ({"members": ["nowhere.yaml"]}, "There is no configuration file nowhere.yaml for member 'nowhere'"),
        ({"booster": '{"etta": 1}'}, "Unknown booster setting etta"),
        ({"booster": "{eta}"}, "--booster is not valid JSON"),
        ({"booster": "[1]"}, "--booster must be a mapping of settings, got list"),
        ({"booster": '{"enabled": "no"}'}, "enabled is 'no'; it must be true or false"),
        ({"inner_flods": 3}, r"Unknown argument --inner_flods \(did you mean --inner_folds\?\)"),
        ({"seeds": [0, 1]}, "trained with one seed; leave --seeds out and give --seed, or --cross_validate"),
        ({"benchmark": "mine"}, "Unknown benchmark 'mine'"),
        ({"cross_validate": "signer", "push_to_hub": True}, "Several folds train several ensembles"),
    ],
)
def test_what_cannot_be_run_says_so(ensembles, tmp_path, changes, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        ensembles.run(tmp_path, **changes)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_members_on_different_data_are_refused(ensembles, tmp_path):
    for name, folder in (("one", "here"), ("two", "there")):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"model": TINY, "data_dir": folder}))
    words = ensembles.words(tmp_path / "out", members=[tmp_path / "one.yaml", tmp_path / "two.yaml"])
    at = words.index("--data_dir")
    with pytest.raises(ValueError, match="Members differ in data_dir: here for one, there for two; say it once"):
        parse_ensemble([*words[:at], *words[at + 2 :]])
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper/one.yaml").write_text("model_type: signlang_transformer")
    with pytest.raises(ValueError, match=r"called alike \(one, one\)"):
        parse_ensemble(ensembles.words(tmp_path, members=[tmp_path / "one.yaml", tmp_path / "deeper/one.yaml"]))


def test_a_signer_in_two_splits_is_refused(ensembles, tmp_path):
    data = write_tiny_signs(tmp_path / "signs")
    text = (data / "metadata.csv").read_text()
    (data / "metadata.csv").write_text(
        text.replace("anna-book-0.npz,book,anna,train", "anna-book-0.npz,book,anna,test")
    )
    with pytest.raises(LeakError):
        ensembles.run(tmp_path / "run", data)


def test_a_mistake_ends_in_one_line(ensembles, tmp_path):
    words = ensembles.words(tmp_path / "run", booster='{"etta": 1}')
    done = subprocess.run(
        [sys.executable, str(RECIPE), *words],
        env=ensembles.tiny.environment(), cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("train_ensemble: Unknown booster setting etta; known are ")


def test_to_the_hub(ensembles, trained_ensemble, tmp_path, stub_hub):
    """A finished ensemble is only pushed: one commit, members with it, their trainings not."""
    words = ensembles.words(trained_ensemble.folder, push_to_hub=True, hub_model_id="org/ensemble")
    code = f"import runpy, sys\nsys.argv = {[str(RECIPE), *words]!r}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    done = stub_hub.run(textwrap.dedent(code), tmp_path, HF_DATASETS_CACHE=str(ensembles.tiny.cache))
    assert done.returncode == 0, done.stderr[-3000:]
    repo = stub_hub.repos["org/ensemble"]
    assert [commit.title for commit in repo.log()] == ["End of training", "initial commit"]
    files = set(repo.files())
    assert {"booster.ubj", "member-far/model.safetensors", "member-near/preprocessor_config.json", "README.md"} <= files
    assert not [name for name in files if name.startswith("runs")]
    assert 'model="org/ensemble"' in repo.files()["README.md"].decode()


@pytest.mark.parametrize("path", sorted((ROOT / "recipes/configs").glob("*_ensemble.yaml")), ids=lambda path: path.stem)
def test_every_configuration_can_be_read(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    ensemble, members = parse_ensemble(["--config", str(path)])
    assert len(members) > 1 and ensemble.booster_settings is not None
    assert {args.output_dir for _, _, args in members.values()} == {yaml.safe_load(path.read_text())["output_dir"]}
