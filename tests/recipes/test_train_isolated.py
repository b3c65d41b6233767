"""``recipes/train_isolated.py`` from end to end: what it writes, what it refuses, and how it goes on."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from stub_hub import serve_hub  # noqa: F401  makes the fixture 'stub_hub' known here
from tiny_signs import FLAGS, RECIPE, ROOT, SIGNERS, WORDS, flags, tiny_clip, write_tiny_signs
from transformers import AutoModelForVideoClassification, Trainer, pipeline

from signlang_hf.data import list_datasets
from signlang_hf.data.leaks import LeakError
from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.training.arguments import DataArguments, parse
from signlang_hf.training.building import new_model, new_processor
from signlang_hf.training.cross_validation import run_arguments
from signlang_hf.training.evaluation import Predictions
from signlang_hf.training.fitting import augmenter_of
from signlang_hf.training.results import load_results
from signlang_hf.training.splits import load_splits

MODEL = {
    "config.json", "model.safetensors", "preprocessor_config.json", "configuration_transformer.py",
    "modeling_transformer.py", "README.md",
}  # fmt: skip
REPORTS = {
    "results.json", "predictions.npz", "learning_curve.png", "confusion_matrix.png", "per_class.csv", "trainer_state.json",
}  # fmt: skip

# Recipe, debug flags, files that must exist, bound on the last training loss.
SMALL = '{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}'
TINY = {**FLAGS, "report_to": "tensorboard"}
RUNS = [
    pytest.param(
        {**TINY, "num_train_epochs": 4, "validation_size": 0.25, "logging_strategy": "epoch"},
        MODEL | REPORTS,
        1.0,
        id="landmark_folder",
    ),
    pytest.param(
        {"config": ROOT / "recipes/configs/fingerspelling_transformer.yaml", "model": SMALL, "max_steps": 3, "use_cpu": True,
         "per_device_train_batch_size": 8, "disable_tqdm": True, "logging_strategy": "steps", "logging_steps": 1},
        MODEL | REPORTS,
        3.6,
        id="fingerspelling_transformer.yaml",
    ),
]  # fmt: skip


CONFIGURATIONS = sorted(
    path
    for path in (ROOT / "recipes/configs").glob("*.yaml")
    if not {"ensemble", "ctc", "translator", "detector", "vlm"} & set(path.stem.split("_"))
)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_configuration_builds_a_model_that_trains(path):
    """Without its data, which is not here: processor, model and augmentation from the file, one step on a blank clip."""
    model_args, data_args, args = parse(["--config", str(path)])
    processor = new_processor(model_args, [{"layout": "isl-48"}])
    torch.manual_seed(0)
    model = new_model(model_args, processor, [], ["one", "other"]).eval()  # dropout would move the loss
    blank = LandmarkSequence(np.zeros((9, len(get_layout(processor.layout)), 3)), processor.layout, units="unknown")
    augmented = augmenter_of(data_args, chance=False)(blank, np.random.default_rng(0))
    loss = model(**processor([blank, augmented], return_tensors="pt"), labels=torch.tensor([0, 1])).loss
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2), abs=0.5)
    assert args.num_train_epochs > 1 and data_args.dataset in list_datasets()


@pytest.mark.parametrize(("debug", "files", "bound"), RUNS)
def test_the_recipe_trains_and_leaves_what_it_promises(tiny_signs, tmp_path, debug, files, bound):
    data = {} if "config" in debug else {"data_dir": tiny_signs.signs}
    words = [
        str(word) for name, value in {**debug, **data, "output_dir": tmp_path}.items() for word in (f"--{name}", value)
    ]
    result = tiny_signs.main(words)
    assert files <= {path.name for path in tmp_path.iterdir()}
    assert list((tmp_path / "runs").rglob("events.out.tfevents.*"))
    losses = [row["loss"] for row in result.trainer.state.log_history if "loss" in row]
    assert losses[-1] < bound
    assert (
        AutoModelForVideoClassification.from_pretrained(tmp_path).config.num_labels
        == result.trainer.model.config.num_labels
    )
    assert pipeline("sign-recognition", model=str(tmp_path))(tiny_clip(0, 0, 0))[0]["score"] > 0


def test_what_is_written_agrees_with_what_was_measured(trained, tiny_signs):
    folder, metrics = trained.folder, trained.metrics
    results = json.loads((folder / "results.json").read_text())
    assert results == {
        "metrics": metrics,
        "baseline": trained.baseline,
        "training": trained.training,
        "calibration": {},
    }
    assert trained.training["minutes"] > 0 and trained.training["epochs"] == 3
    assert trained.training["parameters"] == trained.trainer.model.num_parameters()
    assert metrics["n"] == 16
    assert metrics["accuracy"] > 0.75

    card = (folder / "README.md").read_text()
    index = yaml.safe_load(card.split("---\n")[1])["model-index"]
    assert index[0]["name"] == "trained"
    measured = {one["name"]: one["value"] for entry in index[0]["results"] for one in entry["metrics"]}
    assert measured == {name: metrics[name] for name in ("accuracy", "top5_accuracy", "macro_f1")}
    assert {entry["dataset"]["split"] for entry in index[0]["results"]} == {"test (cleo held out)"}
    assert f"1-NN | test (cleo held out) | accuracy | {100 * trained.baseline['accuracy']:.1f} %" in card
    assert "accelerate launch recipes/train_isolated.py --dataset landmark_folder" in card
    assert str(tiny_signs.folder) not in card  # nobody else has these folders
    for name in (*WORDS, "24 training clips by 2 signers", "`layout` | `hands-42`"):
        assert name in card

    with (folder / "per_class.csv").open(newline="") as stream:
        rows = {row["label"]: row for row in csv.DictReader(stream)}
    assert list(rows) == list(WORDS)
    assert sum(float(row["recall"]) * int(row["clips"]) for row in rows.values()) == pytest.approx(
        16 * metrics["accuracy"]
    )
    assert np.mean([float(row["f1"]) for row in rows.values()]) == pytest.approx(metrics["macro_f1"], abs=1e-4)
    for name in ("learning_curve.png", "confusion_matrix.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 300

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (log,) = {path.parent for path in (folder / "runs").rglob("events.out.tfevents.*")}
    events = EventAccumulator(str(log)).Reload()
    logged = [row["loss"] for row in trained.trainer.state.log_history if "loss" in row]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(logged)
    assert len(events.Scalars("eval/accuracy")) == 3


def test_the_model_reads_files_as_well_as_the_recipe_did(trained, tiny_signs):
    pipe = pipeline("sign-recognition", model=str(trained.folder))
    clips = sorted(tiny_signs.signs.glob("cleo-*.npz"))
    right = [rows[0]["label"] in clip.name for clip, rows in zip(clips, pipe([str(clip) for clip in clips], top_k=1))]
    assert np.mean(right) == trained.metrics["accuracy"]


# ---------------------------------------------------------------------------------------------------------- splits


def splits_of(tiny_signs, data: Path, **changes):
    arguments = DataArguments(dataset="landmark_folder", data_dir=str(data), **changes)
    return load_splits(arguments, seed=0)


@pytest.fixture
def use_cache(tiny_signs, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tiny_signs.cache)


def test_validation_is_carved_out_of_training_by_clip_or_by_signer(tiny_signs, use_cache):
    by_clip = splits_of(tiny_signs, tiny_signs.signs, validation_size=0.25)
    assert {name: len(split) for name, split in by_clip.items()} == {"train": 24, "validation": 8, "test": 16}
    assert np.bincount(by_clip["validation"]["label"]).tolist() == [2, 2, 2, 2]
    by_signer = splits_of(tiny_signs, tiny_signs.signs, validation_size=0.5, validation_by="signer")
    signers = {name: set(split["signer"]) for name, split in by_signer.items()}
    assert signers["test"] == {"cleo"}
    assert sorted(signers["train"] | signers["validation"]) == ["anna", "ben"]
    assert not signers["train"] & signers["validation"]
    again = splits_of(tiny_signs, tiny_signs.signs, validation_size=0.25)
    assert again["validation"]["id"] == by_clip["validation"]["id"]


def test_splits_can_be_named(tiny_signs, use_cache):
    swapped = splits_of(tiny_signs, tiny_signs.signs, train_split="test", test_split="train", validation_split="train")
    assert {name: len(split) for name, split in swapped.items()} == {"train": 16, "validation": 32, "test": 32}
    for change in ({"train_split": "trian"}, {"test_split": "trian"}, {"validation_split": "trian"}):
        with pytest.raises(ValueError, match=r"There is no split 'trian'.*; the dataset has train, test\."):
            splits_of(tiny_signs, tiny_signs.signs, **change)


# -------------------------------------------------------------------------------------------------- what is refused


def run_as_command(monkeypatch, words: list[str]) -> str:
    """What the recipe says when it gives up, as a command would."""
    monkeypatch.setattr(sys, "argv", [str(RECIPE), *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(RECIPE), run_name="__main__")
    assert isinstance(stopped.value.code, str)  # printed on the error stream, exit code 1
    return stopped.value.code


MISTAKES = [
    ({"data_dir": None}, "The dataset needs data_dir="),
    ({"data_dir": "nowhere"}, "nowhere"),
    ({"dataset": "landmarks"}, "Unknown dataset 'landmarks'; known are aslg_pc12, "),
    ({"dataset": "org/nothing", "data_dir": None}, "org/nothing"),
    ({"dataset_options": '{"colour": 1}'}, "has no option colour"),
    ({"train_split": "trian"}, "There is no split 'trian'"),
    ({"model_type": "signlang_gpt"}, "Unknown model_type 'signlang_gpt'; known are signlang_transformer"),
    ({"model_type": "bert"}, "Unknown model_type 'bert'; known are signlang_transformer"),
    ({"model": "{hidden_size: 8}"}, "--model is not valid JSON"),
    ({"model": '{"hiden_size": 8}'}, "Unknown model setting hiden_size; known are hidden_size, num_hidden_layers"),
    ({"model": '{"hidden_size": 9}'}, "hidden_size 9 must be even"),
    ({"model": '{"hidden_size": "wide"}'}, "The model settings do not fit"),
    ({"processor": '{"target_fsp": 8}'}, "Unknown processor setting target_fsp; known are layout"),
    ({"processor": '{"layout": "hands-43"}'}, "Unknown layout 'hands-43'"),
    ({"processor": '{"normalization": "shoulder"}'}, "Layout 'hands-42' has no point left_shoulder"),
    ({"processor": '{"max_frames": "many"}'}, "The processor settings do not fit"),
    ({"augment": '{"shaer": 0.5}'}, "Unknown augmentation setting shaer"),
    ({"augment": '{"shear": 2}'}, "Augmentation setting shear is 2"),
    ({"augment": '{"enabled": "no"}'}, "Augmentation setting enabled is 'no'; it must be true or false."),
    ({"benchmark": "letters"}, "Unknown benchmark 'letters'; known are fingerspelling-lolo"),
    ({"push_to_hub": True}, "Cannot push to run in offline mode; unset HF_HUB_OFFLINE"),
    ({"cross_validate": "signer", "push_to_hub": True}, "Several folds or seeds train several models; push one of them"),
    ({"seeds": [0, 1], "push_to_hub": True}, "Several folds or seeds train several models; push one of them"),
    ({"cross_validate": "signer", "folds": ["ben", "dora"]}, "There is no fold dora; the folds are anna, ben."),
    ({"cross_validate": "stratified", "num_folds": 99}, "num_folds is 99; it must be 2 to 32, the number of rows."),
    ({"cross_validate": "signer", "train_split": "trian"}, "There is no split 'trian'; the dataset has train, test."),
    ({"unknown_split": "others"}, "There is no split 'others' beside the training split; the dataset has train, test."),
    ({"report_to": "wandb"}, '--report_to wandb needs wandb: pip install "signlang-hf[track]"'),
    ({"ema_decay": 1}, "ema_decay is 1.0; it must be in [0, 1)."),
    ({"learningrate": 1}, "Unknown argument --learningrate (did you mean --learning_rate?)"),
    ({"config": "nowhere.yaml"}, "nowhere.yaml"),
    ({"optim": "adamm"}, "adamm"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), MISTAKES, ids=[str(changes) for changes, _ in MISTAKES])
def test_mistakes_end_in_one_sentence(tiny_signs, use_cache, monkeypatch, tmp_path, changes, said):
    real = importlib.util.find_spec  # a machine without wandb
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "wandb" else real(name, *rest))
    message = run_as_command(monkeypatch, flags(tiny_signs.signs, tmp_path / "run", **changes))
    assert message.startswith("train_isolated: ")
    assert said in message
    assert "\n" not in message
    assert not list(tmp_path.rglob("*.safetensors"))


def test_an_interruption_is_no_traceback(monkeypatch):
    def interrupt(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr("signlang_hf.training.arguments.parse", interrupt)
    assert run_as_command(monkeypatch, []) == "train_isolated: interrupted; run the same command again to go on."


@pytest.fixture
def leaky(tiny_signs, tmp_path) -> Path:
    """One training clip stands in the test split as well, under another name."""
    data = write_tiny_signs(tmp_path / "leaky")
    shutil.copy(data / "anna-book-0.npz", data / "cleo-book-9.npz")
    with (data / "metadata.csv").open("a") as stream:
        stream.write("cleo-book-9.npz,book,cleo,test\n")
    return data


def test_a_clip_in_two_splits_stops_the_training(tiny_signs, use_cache, monkeypatch, tmp_path, leaky):
    message = run_as_command(monkeypatch, flags(leaky, tmp_path / "run"))
    assert message.startswith("train_isolated: The splits share what they should not (1 leak):")
    assert "anna-book-0" in message
    assert "cleo-book-9" in message
    assert "--allow_leaks true" in message
    assert not (tmp_path / "run").exists()


def test_leaks_can_be_allowed_knowingly(tiny_signs, tmp_path, leaky):
    with pytest.warns(UserWarning, match="The splits share what they should not"):
        result = tiny_signs.run(tmp_path / "run", leaky, allow_leaks=True, num_train_epochs=1)
    assert result.metrics["n"] == 17


def test_a_signer_in_training_and_test_is_a_leak_where_the_splits_claim_otherwise(tiny_signs, tmp_path):
    data = write_tiny_signs(tmp_path / "shared")
    table = (data / "metadata.csv").read_text()
    (data / "metadata.csv").write_text(table.replace("cleo-book-0.npz,book,cleo", "cleo-book-0.npz,book,anna"))
    with pytest.raises(LeakError, match="signer 'anna': 16 clips in train, 1 in test"):
        tiny_signs.run(tmp_path / "run", data)
    result = tiny_signs.run(tmp_path / "run", data, signer_independent=False, num_train_epochs=1)
    assert result.metrics["n"] == 16


# ------------------------------------------------------------------------------------------------ folds and seeds


@pytest.fixture
def count_trainings(monkeypatch):
    """The folders that were trained in."""
    folders = []
    real = Trainer.train

    def train(self, *args, **kwargs):
        folders.append(Path(self.args.output_dir).name)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "train", train)
    return folders


def test_each_signer_is_left_out_once_and_finished_folds_are_kept(
    tiny_signs, tmp_path, monkeypatch, capsys, count_trainings
):
    monkeypatch.chdir(tmp_path)
    run = {"cross_validate": "signer", "report_to": "tensorboard", "save_total_limit": 1}
    tiny_signs.run("loso", tiny_signs.all_train, folds=["ben"], **run)
    assert count_trainings == ["ben"]
    assert sorted(path.name for path in Path("loso").iterdir()) == ["ben", "runs.json"]

    tiny_signs.run("loso", tiny_signs.all_train, benchmark="isl30-loso", **run)
    assert count_trainings == ["ben", "anna", "cleo"]
    printed = capsys.readouterr().out
    folds = {signer: json.loads(Path(f"loso/{signer}/results.json").read_text()) for signer in SIGNERS}
    accuracies = [fold["metrics"]["accuracy"] for fold in folds.values()]
    mean, spread = np.mean(accuracies), np.std(accuracies)
    assert f"{100 * mean:.1f} ± {100 * spread:.1f} %" in printed
    for signer, fold in folds.items():
        assert f"{signer}: top-1 {100 * fold['metrics']['accuracy']:.1f} %" in printed
        assert len(list(Path(f"loso/{signer}/runs").rglob("events*"))) == 1  # each fold logs into its own folder
        assert (Path("loso") / signer / "model.safetensors").is_file()
        assert len(Predictions.load(Path("loso") / signer / "predictions.npz").ids) == 16
    summary = json.loads(Path("loso/runs.json").read_text())
    assert summary["runs"] == [{"fold": name, "seed": 42, "folder": name, **fold} for name, fold in folds.items()]
    assert summary["mean"]["signlang_transformer, mean of 3 signers, accuracy"] == pytest.approx(
        {"mean": mean, "std": spread}
    )

    rows = {(row.model, row.split, row.metric): row for row in load_results("isl30-loso")}
    row = rows["signlang_transformer", "mean of 3 signers", "accuracy"]
    assert (row.value, row.spread, row.n, row.seeds) == (pytest.approx(mean), pytest.approx(spread), 48, (42,))
    assert row.command.startswith("accelerate launch recipes/train_isolated.py --dataset landmark_folder")
    assert rows["1-NN", "mean of 3 signers", "macro_f1"].headline
    minutes = np.mean([fold["training"]["minutes"] for fold in folds.values()])
    assert rows["signlang_transformer", "mean of 3 signers", "training_minutes"].value == pytest.approx(minutes)
    parameters = rows["signlang_transformer", "mean of 3 signers", "parameter_count"]
    assert parameters.value == folds["ben"]["training"]["parameters"] > 1000
    for signer, fold in folds.items():
        row = rows["signlang_transformer", f"signer={signer}", "accuracy"]
        assert (row.value, row.n, row.headline) == (fold["metrics"]["accuracy"], 16, False)

    tiny_signs.run("loso", tiny_signs.all_train, **run)
    assert count_trainings == ["ben", "anna", "cleo"]
    assert f"{100 * mean:.1f} ± {100 * spread:.1f} %" in capsys.readouterr().out


def test_folds_and_seeds_give_two_spreads(tiny_signs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = {"cross_validate": "stratified", "num_folds": 2, "num_train_epochs": 1, "validation_size": 0.2}
    tiny_signs.run("folds", tiny_signs.all_train, seeds=[3, 4, 5], benchmark="dgs30-5fold", **run)
    found = np.array(
        [
            [json.loads(Path(f"folds/seed-{seed}/{fold}/results.json").read_text())["metrics"]["accuracy"] for seed in (3, 4, 5)]
            for fold in (1, 2)
        ]
    )  # fmt: skip
    assert len(np.unique(found)) > 1
    rows = {(row.model, row.split, row.metric): row for row in load_results("dgs30-5fold")}
    mean = rows["signlang_transformer", "mean of 2 folds", "accuracy"]
    assert (mean.value, mean.spread) == (pytest.approx(found.mean()), pytest.approx(found.mean(axis=1).std()))
    assert (mean.n, mean.seeds, mean.headline) == (48, (3, 4, 5), True)
    chance = rows["signlang_transformer", "mean of 2 folds, spread over seeds", "accuracy"]
    assert (chance.value, chance.spread) == (mean.value, pytest.approx(found.mean(axis=0).std()))
    assert not chance.headline
    one = rows["signlang_transformer", "fold=2", "accuracy"]
    assert (one.value, one.spread, one.headline) == (
        pytest.approx(found[1].mean()),
        pytest.approx(found[1].std()),
        False,
    )
    assert rows["1-NN", "fold=2", "accuracy"].spread is None
    printed = capsys.readouterr().out
    assert f"1, seed 4: top-1 {100 * found[0, 1]:.1f} %" in printed
    assert f"{100 * found.mean(axis=0).std():.1f} %" in printed
    # Whatever the seed, the folds hold the same clips, and the two together each clip once.
    ids = [
        [Predictions.load(Path(f"folds/seed-{seed}/{fold}/predictions.npz")).ids.tolist() for fold in (1, 2)]
        for seed in (3, 5)
    ]
    assert ids[0] == ids[1]
    assert len(set(ids[0][0]) | set(ids[0][1])) == 48


def test_seeds_alone_repeat_one_split(tiny_signs, tmp_path, monkeypatch, count_trainings):
    monkeypatch.chdir(tmp_path)
    tiny_signs.run("seeds", seeds=[0], num_train_epochs=1)
    tiny_signs.run("seeds", seeds=[0, 1], num_train_epochs=1, benchmark="isl30-loso")
    assert count_trainings == ["seed-0", "seed-1"]
    accuracies = [
        json.loads(Path(f"seeds/seed-{seed}/results.json").read_text())["metrics"]["accuracy"] for seed in (0, 1)
    ]
    rows = {(row.model, row.metric): row for row in load_results("isl30-loso")}
    row = rows["signlang_transformer", "accuracy"]
    assert (row.split, row.value, row.spread, row.seeds) == ("test", np.mean(accuracies), np.std(accuracies), (0, 1))
    with pytest.raises(ValueError, match="There is no split 'test' to compare seeds on"):
        tiny_signs.run("none", tiny_signs.all_train, seeds=[0, 1])


def test_a_copy_of_a_clip_is_left_out_of_stratified_folds(tiny_signs, tmp_path, monkeypatch):
    data = write_tiny_signs(tmp_path / "signs", test=())
    shutil.copy(data / "anna-book-0.npz", data / "again.npz")
    with (data / "metadata.csv").open("a") as stream:
        stream.write("again.npz,book,ben,train\n")
    said = []
    monkeypatch.setattr("signlang_hf.training.splits.logger.warning", said.append)
    tiny_signs.run(tmp_path / "run", data, cross_validate="stratified", num_folds=2, num_train_epochs=1)
    assert said == ["Left out, because an earlier clip is the same or nearly so: again."]
    ids = [Predictions.load(tmp_path / f"run/{fold}/predictions.npz").ids.tolist() for fold in (1, 2)]
    assert len(ids[0]) + len(ids[1]) == 48


def test_a_class_with_one_clip_cannot_be_divided(tiny_signs, tmp_path):
    data = write_tiny_signs(tmp_path / "signs", test=())
    table = (data / "metadata.csv").read_text()
    (data / "metadata.csv").write_text(table.replace("anna-book-0.npz,book", "anna-book-0.npz,tree"))
    with pytest.raises(
        ValueError, match=r"A class with a single row cannot stand in two splits: tree\. Add rows or leave it out"
    ):
        tiny_signs.run(tmp_path / "run", data, cross_validate="stratified")


def test_runs_with_odd_names_get_folders_inside(tiny_signs):
    _, _, args = parse(["--output_dir", "outputs/x", "--report_to", "none"])
    for signer, folder in (("anna", "anna"), ("a/b", "a_b"), ("../x", ".._x"), ("c:\\d", "c__d"), ("Ä 1", "Ä 1")):
        run = run_arguments(args, signer, None)
        assert run.output_dir == os.path.join("outputs/x", folder)
        assert run_arguments(args, signer, 7).output_dir == os.path.join("outputs/x/seed-7", folder)
    assert (run.seed, run_arguments(args, "", 7).seed) == (42, 7)
    assert args.output_dir == "outputs/x"


def test_a_single_run_can_write_a_benchmark_too(tiny_signs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = tiny_signs.run("run", benchmark="isl30-loso", num_train_epochs=1)
    rows = {(row.model, row.metric): row.value for row in load_results("isl30-loso")}
    assert rows["signlang_transformer", "accuracy"] == result.metrics["accuracy"]
    assert rows["1-NN", "macro_f1"] == result.baseline["macro_f1"]


# ------------------------------------------------------------------------------------------------- whole processes


def log_of(folder: Path) -> list[tuple[int, float]]:
    state = json.loads((folder / "trainer_state.json").read_text())
    return [(row["step"], row["loss"]) for row in state["log_history"] if "loss" in row]


def test_accelerate_launches_it_and_nothing_asks_the_hub(tiny_signs, tmp_path, stub_hub):
    words = flags(tiny_signs.signs, tmp_path / "run", num_train_epochs=1)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    done = subprocess.run(
        [*launch, str(ROOT / "recipes/accelerate_configs/single_cpu.yaml"), str(RECIPE), *words],
        env={**stub_hub.env(tmp_path), "HF_DATASETS_CACHE": str(tiny_signs.cache)},
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "1-NN baseline" in done.stdout
    assert {path.name for path in (tmp_path / "run").iterdir()} >= MODEL | REPORTS
    assert stub_hub.requests == []


def test_a_killed_run_goes_on_where_it_was(tiny_signs, tmp_path):
    run = {"num_train_epochs": 8, "logging_strategy": "steps", "logging_steps": 1, "save_total_limit": 2}
    expected = tiny_signs.run(tmp_path / "reference", **run)
    words = flags(tiny_signs.signs, tmp_path / "run", **run)
    process = subprocess.Popen(
        [sys.executable, str(RECIPE), *words], env=tiny_signs.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not (tmp_path / "run/checkpoint-8/trainer_state.json").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "run/results.json").exists()

    result = tiny_signs.main(words)
    assert log_of(tmp_path / "run") == log_of(expected.folder)
    assert [step for step, _ in log_of(tmp_path / "run")] == list(range(1, 33))
    assert result.metrics == expected.metrics
    ours, theirs = ((folder / "model.safetensors").read_bytes() for folder in (tmp_path / "run", expected.folder))
    assert ours == theirs


def test_two_processes_train_together(tiny_signs, tmp_path):
    """torchrun, gloo: everything is written once, and every process augments anew in every epoch."""
    (tmp_path / "watch.py").write_text(
        textwrap.dedent(f"""
        import os, runpy, sys
        sys.argv[0] = {str(RECIPE)!r}
        from signlang_hf.training.clips import ClipDataset
        plain = ClipDataset.__getitem__
        def watched(self, index):
            if self.augmenter is not None:
                with open(f"rank{{os.environ['RANK']}}.txt", "a") as stream:
                    stream.write(f"{{self.epoch}} {{int(index)}}\\n")
            return plain(self, index)
        ClipDataset.__getitem__ = watched
        runpy.run_path(sys.argv[0], run_name="__main__")
        """)
    )
    words = flags(tiny_signs.signs, tmp_path / "run", validation_size=0.25, num_train_epochs=3)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "watch.py", *words],
        env=tiny_signs.environment(), cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path.name for path in (tmp_path / "run").iterdir()} >= MODEL | REPORTS
    assert done.stdout.count("Test split, 16 clips") == 1
    assert done.stdout.count("Wrote ") == 1
    state = json.loads((tmp_path / "run/trainer_state.json").read_text())
    assert state["global_step"] == 6  # 24 clips, 2 processes with 8 each, 3 epochs
    assert [row["eval_accuracy"] for row in state["log_history"] if "eval_accuracy" in row]
    seen = [
        [tuple(map(int, line.split())) for line in (tmp_path / f"rank{rank}.txt").read_text().splitlines()]
        for rank in (0, 1)
    ]
    for epoch in range(3):
        drawn = [{index for at, index in rank if at == epoch} for rank in seen]
        assert drawn[0] | drawn[1] == set(range(24))
        assert all(len(one) >= 8 for one in drawn)


# ------------------------------------------------------------------------------------------------------------- Hub


def test_to_the_hub_and_back(tiny_signs, tmp_path, stub_hub):
    words = [str(RECIPE), *flags(tiny_signs.signs, tmp_path / "run", num_train_epochs=1, push_to_hub=True)]
    push = f"""
        import os, runpy, sys
        sys.argv = {words!r} + ["--hub_model_id", "org/x", "--hub_token", "hf_wrong"]
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as stop:
            print(stop.code)
        assert not os.path.exists("run")  # found out before training
        sys.argv = sys.argv[:-2]
        runpy.run_path(sys.argv[0], run_name="__main__")
        sys.argv[-1] = "somebody/x"  # the run is finished, and only pushed; but not by this token
        runpy.run_path(sys.argv[0], run_name="__main__")
    """
    done = stub_hub.run(textwrap.dedent(push), tmp_path, HF_DATASETS_CACHE=str(tiny_signs.cache))
    assert done.returncode == 1
    wrong, *_ = done.stdout.splitlines()
    assert wrong == "train_isolated: The Hub does not accept this token; run 'hf auth login' or pass another."
    last = done.stderr.splitlines()[-1]
    assert last == "train_isolated: Pushing to somebody/x failed: the token has no right to write there."
    repo = stub_hub.repos["org/x"]
    assert [commit.title for commit in repo.log()] == ["End of training", "initial commit"]
    files = repo.files()
    assert set(files) >= MODEL
    assert not [name for name in files if name.startswith(("checkpoint", "runs")) or name.endswith(".bin")]
    card = files["README.md"].decode()
    assert 'model="org/x"' in card
    assert "model-index" in card
    assert f"{stub_hub.endpoint}/org/x/commit/{repo.branches['main']}" in "".join(done.stdout.split())

    clip = next(tiny_signs.signs.glob("cleo-*.npz"))
    use = f"""
        import json, sys, torch
        sys.modules["signlang_hf"] = None  # the model by itself
        from transformers import AutoModel, AutoModelForVideoClassification, pipeline
        for auto in (AutoModel, AutoModelForVideoClassification):
            model = auto.from_pretrained("org/x", trust_remote_code=True)
            assert type(model).__module__.startswith("transformers_modules"), type(model)
            assert torch.isfinite(model(torch.zeros(1, 3, 126))[0]).all()

        del sys.modules["signlang_hf"]
        import signlang_hf
        print(json.dumps(pipeline("sign-recognition", model="org/x")({str(clip)!r})))
        model = AutoModel.from_pretrained("org/x", revision={repo.branches["main"]!r})
        assert type(model) is signlang_hf.SignTransformerModel
        try:
            AutoModel.from_pretrained("org/x", revision="v9")
        except OSError as error:
            assert "v9" in str(error)
        else:
            raise AssertionError("there is no revision v9")
    """
    done = stub_hub.run(textwrap.dedent(use), tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == pipeline("sign-recognition", model=str(tmp_path / "run"))(str(clip))
