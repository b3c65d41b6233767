"""Averaged weights are those of the formula, are what is evaluated and saved, and leave training as it was; time is kept."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from signlang_hf.compat import FINDS_MODELS_SAVED_AS_BEST
from signlang_hf.training import callbacks, fitting
from signlang_hf.training.callbacks import LAST_WEIGHTS, Stopwatch
from signlang_hf.training.checkpoints import last_checkpoint
from signlang_hf.training.evaluation import predict
from signlang_hf.training.splits import load_splits

DECAY = 0.5


class Record(TrainerCallback):
    """The weights after every step; comes before the average is put in their place."""

    def __init__(self) -> None:
        self.weights = []

    def on_step_end(self, args, state, control, **kwargs):
        self.weights.append({name: value.clone() for name, value in kwargs["model"].state_dict().items()})


@pytest.fixture
def record(monkeypatch):
    recorder = Record()
    real = fitting.callbacks_of
    monkeypatch.setattr(fitting, "callbacks_of", lambda *args: [recorder, *real(*args)])
    return recorder


RUN = {"num_train_epochs": 4, "logging_strategy": "steps", "logging_steps": 1}


def test_the_average_is_saved_and_training_goes_on_from_the_weights(tiny_signs, tmp_path, record):
    plain = tiny_signs.run(tmp_path / "plain", **RUN)
    weights = record.weights
    record.weights = []
    averaged = tiny_signs.run(tmp_path / "averaged", ema_decay=DECAY, **RUN)
    assert len(weights) == len(record.weights) == 16
    for one, other in zip(weights, record.weights):  # checkpoints between them change nothing
        for name, value in one.items():
            assert torch.equal(value, other[name]), name
    expected: dict[str, torch.Tensor] = {}
    for step, found in enumerate(weights, start=1):
        decay = min(DECAY, (1 + step) / (10 + step))
        start = expected or initial(tiny_signs, tmp_path)
        expected = {name: decay * start[name] + (1 - decay) * value for name, value in found.items()}
    saved = load_file(averaged.folder / "model.safetensors")
    for name, value in expected.items():
        torch.testing.assert_close(saved[name], value, atol=1e-6, rtol=1e-5)
    last = load_file(averaged.folder / "checkpoint-16" / LAST_WEIGHTS)
    for name, value in weights[-1].items():
        assert torch.equal(last[name], value), name
    assert torch.equal(load_file(plain.folder / "model.safetensors")["classifier.bias"], last["classifier.bias"])


def initial(tiny_signs, tmp_path) -> dict[str, torch.Tensor]:
    """The weights before the first step: those after a step that moves them nowhere."""
    still = tiny_signs.run(tmp_path / "still", max_steps=1, learning_rate=0.0)
    return still.trainer.model.state_dict()


def test_the_average_is_what_is_evaluated_and_what_the_best_is_chosen_from(tiny_signs, tmp_path):
    run = {"ema_decay": 0.9, "validation_size": 0.25, "metric_for_best_model": "loss", **RUN}
    result = tiny_signs.run(tmp_path, **run)
    evaluated = {row["step"]: row["eval_loss"] for row in result.trainer.state.log_history if "eval_loss" in row}
    best = min(evaluated, key=evaluated.get)
    kept = load_file(tmp_path / "model.safetensors")
    for name, value in load_file(tmp_path / f"checkpoint-{best}" / "model.safetensors").items():
        assert torch.equal(kept[name], value), name
    assert result.trainer.evaluate()["eval_loss"] == pytest.approx(evaluated[best])
    last = load_file(tmp_path / f"checkpoint-{best}" / LAST_WEIGHTS)
    assert not torch.allclose(kept["classifier.weight"], last["classifier.weight"], atol=1e-4)
    assert predict(result.trainer.model, result.trainer.processing_class, result_test(tiny_signs))[0].shape == (16, 4)


def result_test(tiny_signs):
    from signlang_hf.training.arguments import DataArguments

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.config.HF_DATASETS_CACHE", tiny_signs.cache)
        return load_splits(DataArguments(dataset="landmark_folder", data_dir=str(tiny_signs.signs)), seed=0)["test"]


@pytest.mark.skipif(not FINDS_MODELS_SAVED_AS_BEST, reason="needs transformers 5")
def test_the_weights_are_there_when_only_the_best_is_saved(tiny_signs, tmp_path):
    tiny_signs.run(tmp_path, ema_decay=0.9, validation_size=0.25, save_strategy="best", **RUN)
    saved = list(tmp_path.glob("checkpoint-*"))
    assert saved and all((checkpoint / LAST_WEIGHTS).is_file() for checkpoint in saved)


def test_a_checkpoint_without_the_weights_is_not_whole(tmp_path):
    for step in (1, 2):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps({}))
    (tmp_path / "checkpoint-1" / LAST_WEIGHTS).touch()
    assert last_checkpoint(tmp_path).name == "checkpoint-2"
    assert last_checkpoint(tmp_path, needs=(LAST_WEIGHTS,)).name == "checkpoint-1"


def test_the_stopwatch_goes_on_where_a_checkpoint_left_it(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: now[0])
    watch = Stopwatch()
    watch.on_train_begin()
    now[0] = 130.0
    saved = watch.state()
    now[0] = 1000.0  # killed, and started again much later
    resumed = Stopwatch.from_state(saved)
    resumed.on_train_begin()
    now[0] = 1012.0
    resumed.on_train_end()
    now[0] = 2000.0
    assert resumed.seconds == 42.0
    assert resumed.state()["attributes"] == {"seconds": 42.0}
