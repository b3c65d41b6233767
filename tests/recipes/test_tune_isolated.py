"""``recipes/tune_isolated.py``: it finds settings, goes on after a kill, and says what does not fit."""

from __future__ import annotations

import json
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny_signs import ROOT, flags

from signlang_hf.training import search as module
from signlang_hf.training.search import DEFAULT_SPACES, SearchArguments, checked_space, finished_trials

pytest.importorskip("optuna")

RECIPE = ROOT / "recipes" / "tune_isolated.py"
SPACE = {
    "model.num_hidden_layers": [1, 2],
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "per_device_train_batch_size": [8, 16],
}


def words(tiny_signs, folder: Path, **changes) -> list[str]:
    run = {"validation_size": 0.25, "space": json.dumps(SPACE), "num_trials": 3, "learning_rate": None}
    return flags(tiny_signs.signs, folder, **run | changes)


def tune(tiny_signs, folder: Path, **changes):
    return tiny_signs.main(words(tiny_signs, folder, **changes), RECIPE)


@pytest.fixture(scope="module")
def tuned(tiny_signs):
    """A search of three trials: study and folder, only to be read."""
    folder = tiny_signs.folder / "tuned"
    return tune(tiny_signs, folder, ema_decay=0.5), folder


def test_trials_take_their_settings_from_the_space_and_report_by_epoch(tuned):
    study, folder = tuned
    trials = finished_trials(study)
    assert len(trials) == 3
    for trial in trials:
        assert set(trial.params) == set(SPACE)
        assert trial.params["model.num_hidden_layers"] in (1, 2)
        assert 1e-4 <= trial.params["learning_rate"] <= 1e-1
        assert list(trial.intermediate_values) == [1, 2]  # not 3 and 6 steps of one batch size, 2 and 4 of the other
        assert trial.value == trial.intermediate_values[2]
    assert study.best_value == max(trial.value for trial in trials)
    assert not list(folder.rglob("*.safetensors"))
    with Image.open(folder / "study.png") as picture:
        assert picture.size[0] > 1500 and len(np.unique(np.asarray(picture))) > 50


def test_the_settings_of_a_trial_are_those_that_it_trained_with(tiny_signs, tmp_path, monkeypatch):
    trained = []
    real = module._SearchTrainer.train

    def train(self, *args, **kwargs):
        output = real(self, *args, **kwargs)
        trained.append((self.model.config.num_hidden_layers, self.args.learning_rate, self._train_batch_size))
        return output

    monkeypatch.setattr(module._SearchTrainer, "train", train)
    study = tune(tiny_signs, tmp_path, num_trials=2)
    assert trained == [
        tuple(
            trial.params[name] for name in ("model.num_hidden_layers", "learning_rate", "per_device_train_batch_size")
        )
        for trial in study.trials
    ]


def test_the_best_settings_train_a_model(tiny_signs, tuned, monkeypatch, tmp_path):
    study, folder = tuned
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert (
        (folder / "best.yaml")
        .read_text()
        .startswith(f"# Trial {study.best_trial.number} of 3: {study.best_value:.4f} on")
    )
    assert best["model"]["num_hidden_layers"] == study.best_params["model.num_hidden_layers"]
    assert best["model"]["hidden_size"] == 16  # given for the search
    assert best["learning_rate"] == study.best_params["learning_rate"]
    assert best["ema_decay"] == 0.5 and best["validation_size"] == 0.25
    assert not {"logging_dir", "hub_token", "num_trials", "space"} & set(best)
    assert best["output_dir"] == str(folder / "best")
    result = tiny_signs.main(["--config", str(folder / "best.yaml"), "--output_dir", str(tmp_path)])
    assert result.trainer.model.config.num_hidden_layers == best["model"]["num_hidden_layers"]
    assert result.trainer.args.per_device_train_batch_size == study.best_params["per_device_train_batch_size"]
    # The same run as the trial: the last epoch on validation is worth the same.
    accuracies = [row["eval_accuracy"] for row in result.trainer.state.log_history if "eval_accuracy" in row]
    assert accuracies[-1] == study.best_value


def test_a_finished_search_is_read_and_a_longer_one_goes_on(tiny_signs, tmp_path, monkeypatch):
    first = tune(tiny_signs, tmp_path, num_trials=2)
    before = [(trial.number, trial.params, trial.value) for trial in first.trials]
    longer = tune(tiny_signs, tmp_path, num_trials=3)
    assert [(trial.number, trial.params, trial.value) for trial in longer.trials[:2]] == before
    assert len(longer.trials) == 3
    assert len({trial.params["learning_rate"] for trial in longer.trials}) == 3  # nothing is drawn twice
    monkeypatch.setattr(module, "_trainer", lambda *args: pytest.fail("it searched again"))
    assert len(tune(tiny_signs, tmp_path, num_trials=3).trials) == 3


def states(study: Path) -> list[str]:
    try:
        with sqlite3.connect(f"file:{study}?mode=ro", uri=True, timeout=10) as database:
            return [state for (state,) in database.execute("SELECT state FROM trials ORDER BY number")]
    except sqlite3.OperationalError:  # not there yet
        return []


def test_a_killed_search_goes_on_counting(tiny_signs, tmp_path):
    command = [sys.executable, str(RECIPE), *words(tiny_signs, tmp_path, num_trials=4, num_train_epochs=6)]
    process = subprocess.Popen(
        command, env=tiny_signs.environment(), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while states(tmp_path / "study.db") != ["COMPLETE", "RUNNING"]:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)  # its settings are drawn
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert states(tmp_path / "study.db") == ["COMPLETE", "RUNNING"]
    study = tune(tiny_signs, tmp_path, num_trials=4, num_train_epochs=6)
    assert [trial.number for trial in study.trials] == list(range(5))
    assert states(tmp_path / "study.db") == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    killed, retried = study.trials[1], study.trials[2]
    assert retried.params == {**retried.params, **killed.params}
    assert retried.user_attrs == {"retries": 1}
    drawn = [trial.params["learning_rate"] for trial in finished_trials(study)]
    assert len(set(drawn)) == len(drawn) == 4


def test_a_hopeless_trial_is_pruned(tiny_signs, tmp_path, monkeypatch):
    """Two good trials, then one that learns nothing."""
    import optuna

    monkeypatch.setattr(module, "_PRUNE_AFTER", 2)
    rates = [0.01, 0.012, 1e-9]
    monkeypatch.setattr(module, "suggest", lambda trial, space: _fixed(trial, rates[trial.number]))
    space = '{"learning_rate": {"low": 1e-9, "high": 1}}'
    study = tune(tiny_signs, tmp_path, num_trials=3, num_train_epochs=5, space=space)
    complete, pruned = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED
    assert [trial.state for trial in study.trials] == [complete, complete, pruned]
    assert len(study.trials[2].intermediate_values) == 2


def _fixed(trial, value: float) -> dict[str, float]:
    return {"learning_rate": trial.suggest_float("learning_rate", value, value)}


# -------------------------------------------------------------------------------------------------- spaces and mistakes


@pytest.mark.parametrize("family", ["signlang_transformer", "signlang_bilstm", "signlang_hybrid", "signlang_conv"])
def test_the_spaces_of_the_families_fit_them(family):
    space = checked_space({}, family)
    assert space["model.num_hidden_layers"] == [4, 6, 8]
    assert space["learning_rate"] == {"low": 1e-5, "high": 1e-3, "log": True}
    assert space["per_device_train_batch_size"] == [32, 64, 128]
    assert set(space) == set(DEFAULT_SPACES[family])
    units = {"signlang_bilstm": "model.hidden_size", "signlang_hybrid": "model.lstm_units"}
    assert [name for name in space if name not in DEFAULT_SPACES["signlang_transformer"]] == [
        *filter(None, [units.get(family)])
    ]


def test_a_space_can_be_a_file(tmp_path):
    (tmp_path / "space.yaml").write_text("learning_rate: {low: 1e-5, high: 1e-3, log: true}\nseed: {low: 0, high: 5}\n")
    space = checked_space(SearchArguments(space=str(tmp_path / "space.yaml")).space, "signlang_transformer")
    assert space == {
        "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "seed": {"low": 0, "high": 5, "log": False},
    }


MISTAKES = [
    ({"space": '{"learning_rate": {"low": 0.1, "high": 0.01}}'}, "The space of learning_rate is"),
    ({"space": '{"learning_rate": {"low": 0, "high": 1, "log": true}}'}, "above 0 with log"),
    ({"space": '{"learning_rate": []}'}, "it must be a list of choices, or low and high"),
    (
        {"space": '{"learningrate": [1]}'},
        "names 'learningrate', which is neither model.<setting of signlang_transformer>",
    ),
    ({"space": '{"model.lstm_units": [1]}'}, "names 'model.lstm_units', which is neither"),
    ({"space": "[1]"}, "--space must be a mapping of settings, got list."),
    ({"space": "nowhere.yaml"}, "The space nowhere.yaml does not exist."),
    ({"num_trials": 0}, "num_trials is 0; it must be at least 1."),
    ({"validation_size": None}, "A search needs a validation split"),
    ({"model_type": "signlang_gpt"}, "Unknown model_type 'signlang_gpt'"),
    ({"model_name_or_path": "x"}, "A search trains models from scratch"),
    ({"cross_validate": "signer"}, "A search compares settings on one validation split"),
    ({"metric_for_best_model": "acuracy"}, "metric_for_best_model is 'acuracy'; validation measures accuracy,"),
]


@pytest.mark.parametrize(("changes", "said"), MISTAKES, ids=[str(changes) for changes, _ in MISTAKES])
def test_mistakes_end_in_one_sentence(tiny_signs, monkeypatch, tmp_path, changes, said):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tiny_signs.cache)
    monkeypatch.setattr(sys, "argv", [str(RECIPE), *words(tiny_signs, tmp_path / "run", **changes)])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(RECIPE), run_name="__main__")
    message = stopped.value.code
    assert message.startswith("tune_isolated: ") and said in message and "\n" not in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"space": json.dumps(SPACE | {"model.num_hidden_layers": [1, 2, 3]})},
            "num_hidden_layers was [1, 2], is [1, 2, 3]",
        ),
        ({"space": json.dumps(SPACE | {"learning_rate": [0.1]})}, "space.learning_rate was None, is [0.1]"),
        ({"num_train_epochs": 5}, "num_train_epochs was 2, is 5"),
    ],
)
def test_a_search_resumed_with_another_space_is_refused_in_one_sentence(tiny_signs, tuned, changes, said):
    with pytest.raises(ValueError) as refused:
        tune(tiny_signs, tuned[1], ema_decay=0.5, num_trials=9, **changes)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_without_optuna_the_extra_is_named(tiny_signs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'pip install "signlang-hf\[tune\]"'):
        tune(tiny_signs, tmp_path)
