"""``--report_to``: one flag writes to each tracker, all of them on this machine alone."""

from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_signs import RECIPE, flags

from signlang_hf.training import cross_validation
from signlang_hf.training.arguments import parse
from signlang_hf.training.fitting import check_trackers

TRACKERS = ("tensorboard", "mlflow", "trackio", "wandb")


@pytest.fixture(scope="module")
def tracked(tiny_signs, tmp_path_factory) -> Path:
    """A run that reported to every tracker that is installed."""
    folder = tmp_path_factory.mktemp("tracked")
    installed = [name for name in TRACKERS if importlib.util.find_spec(name)]
    (folder / "run.yaml").write_text(json.dumps({"report_to": installed}))  # several at once only fit into a file
    words = flags(
        tiny_signs.signs, folder / "run", config=folder / "run.yaml", validation_size=0.25, report_to=None
    )  # fmt: skip
    home = {"MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    home |= {"TRACKIO_DIR": str(folder), "WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
    done = subprocess.run(
        [sys.executable, str(RECIPE), *words], env=tiny_signs.environment(**home), cwd=folder, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def from_tensorboard(folder: Path) -> list[float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (log,) = (folder / "run").rglob("events.out.tfevents.*")
    return [event.value for event in EventAccumulator(str(log.parent)).Reload().Scalars("eval/accuracy")]


def from_mlflow(folder: Path) -> list[float]:
    (log,) = (folder / "mlruns").rglob("metrics/eval_accuracy")
    return [float(line.split()[1]) for line in log.read_text().splitlines()]


def from_trackio(folder: Path) -> list[float]:
    (log,) = folder.glob("*.db")
    with sqlite3.connect(log) as database:
        logged = [json.loads(row) for (row,) in database.execute("SELECT metrics FROM metrics ORDER BY id")]
    return [row["eval/accuracy"] for row in logged if "eval/accuracy" in row]


def from_wandb(folder: Path) -> list[float]:
    """Out of the log's bytes, since wandb has no reader of its own: name of a metric, length of a number, the number as text."""
    (log,) = folder.rglob("run-*.wandb")
    found = re.findall(rb"eval/accuracy[^0-9]{1,6}([0-9.]+)", log.read_bytes())
    return [float(number) for number in dict.fromkeys(found)]  # each is there again in the run's summary


@pytest.mark.parametrize("tracker", TRACKERS)
def test_the_tracker_holds_what_was_logged(tracked, tracker):
    pytest.importorskip(tracker)
    state = json.loads((tracked / "run/trainer_state.json").read_text())
    logged = [row["eval_accuracy"] for row in state["log_history"] if "eval_accuracy" in row]
    assert len(set(logged)) == 2
    assert globals()[f"from_{tracker}"](tracked) == pytest.approx(logged)


def test_a_tracker_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for tracker, extra in (("tensorboard", "train"), ("mlflow", "track"), ("trackio", "track"), ("wandb", "track")):
        args = parse(["--report_to", "none"])[2]
        args.report_to = [tracker]
        with pytest.raises(ImportError) as refused:
            check_trackers(args)
        assert str(refused.value) == f'--report_to {tracker} needs {tracker}: pip install "signlang-hf[{extra}]"'


def test_each_of_several_trainings_is_a_run_of_its_own(tiny_signs, tmp_path, monkeypatch):
    """wandb would go on with the run that is open."""
    ended = []
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(finish=lambda: ended.append(True)))
    real = cross_validation.ISOLATED

    def train(model_args, data_args, args, splits):
        args.report_to = []  # the stand-in cannot track
        return real.train(model_args, data_args, args, splits)

    # The default of a parameter, so it is changed where it is kept.
    monkeypatch.setattr(cross_validation.train_many, "__defaults__", (replace(real, train=train),))
    installed = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: name == "wandb" or installed(name, *rest))
    tiny_signs.run(tmp_path, seeds=[0, 1], num_train_epochs=1, report_to="wandb")
    assert ended == [True, True]
