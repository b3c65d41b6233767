"""One run: resuming exactly, the arguments of the Trainer, the choice of the best model, fine-tuning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_signs import WORDS, flags, write_tiny_signs
from transformers import AutoModelForVideoClassification, TrainerCallback

from signlang_hf.compat import FINDS_MODELS_SAVED_AS_BEST
from signlang_hf.data import load_dataset
from signlang_hf.landmarks.rows import to_sequence
from signlang_hf.training import fitting, isolated
from signlang_hf.training.arguments import ModelArguments, parse
from signlang_hf.training.building import fine_tuned_model
from signlang_hf.training.checkpoints import last_checkpoint

STEPS = 12  # 32 clips, 8 a batch, 3 epochs


def losses(result) -> dict[int, float]:
    """Step → training loss. A step that was logged twice fails here."""
    logged = [(row["step"], row["loss"]) for row in result.trainer.state.log_history if "loss" in row]
    assert len(dict(logged)) == len(logged)
    return dict(logged)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForVideoClassification.from_pretrained(folder, dtype=torch.float32).state_dict()


def assert_same_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def isolated_arguments(tiny_signs, output_dir: Path, **changes):
    """The three argument groups of a run."""
    return parse(flags(tiny_signs.signs, output_dir, **changes))


class Stop(TrainerCallback):
    """Ends the run as an interruption would, after ``step`` steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.fixture
def interrupt(monkeypatch):
    """``with interrupt(7): train`` breaks off after 7 steps."""

    def after(step: int):
        real = fitting.callbacks_of
        monkeypatch.setattr(fitting, "callbacks_of", lambda *args: [*real(*args), Stop(step)])
        return pytest.raises(KeyboardInterrupt)

    yield after


@pytest.fixture(scope="session")
def uninterrupted(tiny_signs):
    """Three epochs in one go, dropout and augmentation on, every loss logged."""
    return tiny_signs.run(
        tiny_signs.folder / "uninterrupted", num_train_epochs=3, logging_strategy="steps", logging_steps=1
    )


MIXED = {"mixup_alpha": 0.5, "feature_dropout": 0.3, "ema_decay": 0.9}


@pytest.fixture(scope="session")
def uninterrupted_mixed(tiny_signs):
    """The same with mixup, feature dropout and averaged weights."""
    return tiny_signs.run(
        tiny_signs.folder / "mixed", num_train_epochs=3, logging_strategy="steps", logging_steps=1, **MIXED
    )


@pytest.mark.parametrize(
    ("step", "resumed_at", "changes"),
    [
        pytest.param(6, 4, {}, id="after-an-epoch"),
        pytest.param(11, 10, {"save_strategy": "steps", "save_steps": 5}, id="mid-epoch"),
        pytest.param(7, 6, {"save_strategy": "steps", "save_steps": 3, "dataloader_num_workers": 1}, id="worker"),
        pytest.param(6, 4, MIXED, id="mixed-after-an-epoch"),
        pytest.param(11, 10, {"save_strategy": "steps", "save_steps": 5, **MIXED}, id="mixed-mid-epoch"),
    ],
)
def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(
    tiny_signs, request, interrupt, monkeypatch, tmp_path, step, resumed_at, changes
):
    whole = request.getfixturevalue("uninterrupted_mixed" if "ema_decay" in changes else "uninterrupted")
    run = {"num_train_epochs": 3, "logging_strategy": "steps", "logging_steps": 1, **changes}
    with interrupt(step):
        tiny_signs.run(tmp_path, **run)
    assert not (tmp_path / "results.json").exists()
    monkeypatch.undo()
    # What a kill leaves in the middle of writing a checkpoint: the weights are there, the end is not.
    (tmp_path / "checkpoint-99").mkdir()
    (tmp_path / "checkpoint-99" / "model.safetensors").write_bytes(b"half")
    checkpoint = last_checkpoint(tmp_path)
    assert checkpoint.name == f"checkpoint-{resumed_at}"
    trained_before = json.loads((checkpoint / "trainer_state.json").read_text())["stateful_callbacks"]["Stopwatch"]
    result = tiny_signs.run(tmp_path, **run)
    expected = losses(whole)
    assert list(expected) == list(range(1, STEPS + 1))
    assert losses(result) == expected
    assert_same_weights(tmp_path, whole.folder)
    assert result.metrics == whole.metrics
    assert 60 * result.training["minutes"] > trained_before["attributes"]["seconds"] > 0


def test_a_finished_run_is_read_and_not_trained_again(tiny_signs, trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    monkeypatch.setattr(isolated.Trainer, "train", lambda *args, **kwargs: pytest.fail("it was trained again"))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != "README.md"}
    again = tiny_signs.run(folder, validation_size=0.25, num_train_epochs=3, report_to="tensorboard")
    assert again.metrics == trained.metrics
    assert again.baseline == trained.baseline
    assert again.training == trained.training
    assert again.trainer.state.log_history == trained.trainer.state.log_history
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != "README.md"} == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rate": 0.5}, "learning_rate was 0.01, is 0.5"),
        ({"seed": 7}, "seed was 42, is 7"),
        ({"augment": '{"shear": 0}'}, "augment.shear was None, is 0"),
        ({"model": '{"hidden_size": 8, "num_attention_heads": 2}'}, "model.hidden_size was 16, is 8"),
        ({"validation_size": 0.5}, "settings (clips of train; clips of validation);"),
    ],
)
def test_another_setting_in_the_same_folder_is_refused_in_one_sentence(tiny_signs, trained, changes, said):
    run = {"validation_size": 0.25, "num_train_epochs": 3, **changes}
    with pytest.raises(ValueError, match="holds a run with other settings") as refused:
        tiny_signs.run(trained.folder, **run)
    assert said in str(refused.value)
    assert "choose another --output_dir or delete it" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_other_clips_in_the_same_folder_are_refused(tiny_signs, tmp_path):
    data = write_tiny_signs(tmp_path / "signs")
    tiny_signs.run(tmp_path / "run", data, num_train_epochs=1)
    shutil.copy(data / "anna-book-0.npz", data / "anna-drink-0.npz")  # same name, same label, other landmarks
    with pytest.raises(ValueError, match=r"\(clips of train\);"):
        tiny_signs.run(tmp_path / "run", data, num_train_epochs=1)


def test_a_run_that_never_started_binds_nobody(tiny_signs, tmp_path):
    with pytest.raises(ValueError, match="hiden_size"):
        tiny_signs.run(tmp_path, model='{"hiden_size": 16}')
    assert tiny_signs.run(tmp_path, num_train_epochs=1).metrics["n"] == 16


def choose(monkeypatch, accuracies):
    """Let the validations of the next run find these accuracies, one after the other."""
    found = iter(accuracies)
    real = isolated.sign_recognition

    def measure(*args, **options):
        measured = real(*args, **options)
        return {**measured, "accuracy": next(found)} if options.get("num_resamples") == 0 else measured

    monkeypatch.setattr(isolated, "sign_recognition", measure)


PATIENT = {"num_train_epochs": 8, "validation_size": 0.25, "early_stopping_patience": 2}
ACCURACIES = (0.2, 0.9, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def test_training_stops_early_and_keeps_the_best_model(tiny_signs, tmp_path, monkeypatch):
    choose(monkeypatch, ACCURACIES)
    result = tiny_signs.run(tmp_path, **PATIENT)
    assert result.trainer.state.epoch == 4
    assert Path(result.trainer.state.best_model_checkpoint).name == "checkpoint-6"
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-6", "checkpoint-12"}
    assert_same_weights(tmp_path, tmp_path / "checkpoint-6")
    assert not torch.equal(
        weights(tmp_path / "checkpoint-12")["classifier.weight"], weights(tmp_path)["classifier.weight"]
    )


def test_a_resumed_run_goes_on_counting_its_patience(tiny_signs, tmp_path, monkeypatch, interrupt):
    choose(monkeypatch, ACCURACIES)
    with interrupt(10):  # in the fourth epoch, when one of two is used up
        tiny_signs.run(tmp_path, **PATIENT)
    monkeypatch.undo()
    choose(monkeypatch, ACCURACIES[3:])
    result = tiny_signs.run(tmp_path, **PATIENT)
    assert result.trainer.state.epoch == 4
    assert_same_weights(tmp_path, tmp_path / "checkpoint-6")


def test_a_run_that_had_stopped_early_is_not_trained_on(tiny_signs, tmp_path, monkeypatch):
    choose(monkeypatch, ACCURACIES)
    monkeypatch.setattr(isolated, "write_test", lambda *args: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        tiny_signs.run(tmp_path, **PATIENT)
    monkeypatch.undo()
    result = tiny_signs.run(tmp_path, **PATIENT)
    assert result.trainer.state.global_step == 12
    assert_same_weights(tmp_path, tmp_path / "checkpoint-6")
    assert result.metrics["n"] == 16


def test_without_choice_the_last_model_is_kept(tiny_signs, tmp_path, monkeypatch):
    choose(monkeypatch, ACCURACIES)
    result = tiny_signs.run(tmp_path, **PATIENT | {"num_train_epochs": 3}, keep_best=False)
    assert result.trainer.state.epoch == 3
    assert_same_weights(tmp_path, tmp_path / "checkpoint-9")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"save_strategy": "steps"}, "saved whenever it is measured"),
        ({"save_strategy": "no"}, "saved whenever it is measured"),
        ({"save_strategy": "steps", "save_steps": 3, "eval_strategy": "steps", "eval_steps": 2}, "a multiple of"),
        ({"metric_for_best_model": "acuracy"}, "metric_for_best_model is 'acuracy'; validation measures accuracy,"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(tiny_signs, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        tiny_signs.run(tmp_path, validation_size=0.25, **changes)
    assert not list(tmp_path.iterdir())


def test_the_best_by_steps_and_by_loss(tiny_signs, tmp_path):
    steps = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}
    result = tiny_signs.run(tmp_path, validation_size=0.25, metric_for_best_model="loss", **steps)
    evaluated = [(row["eval_loss"], row["step"]) for row in result.trainer.state.log_history if "eval_loss" in row]
    assert [step for _, step in evaluated] == [2, 4, 6]
    assert_same_weights(tmp_path, tmp_path / f"checkpoint-{min(evaluated)[1]}")


def test_only_better_models_can_be_saved(tiny_signs, tmp_path, monkeypatch):
    choose(monkeypatch, ACCURACIES)
    if not FINDS_MODELS_SAVED_AS_BEST:
        with pytest.raises(ValueError, match="saved whenever it is measured"):
            tiny_signs.run(tmp_path, validation_size=0.25, save_strategy="best")
        return
    tiny_signs.run(tmp_path, num_train_epochs=3, validation_size=0.25, save_strategy="best")
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-3", "checkpoint-6"}
    assert_same_weights(tmp_path, tmp_path / "checkpoint-6")


def test_gradient_accumulation_trains_as_one_batch_would(tiny_signs, tmp_path):
    # Plain gradient descent, because Adam makes whole steps of gradients that are next to nothing.
    model = '{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_dropout": 0.0}'
    shared = {
        "model": model, "augment": '{"enabled": false}', "optim": "sgd", "learning_rate": 0.1, "max_grad_norm": 0,
        "logging_steps": 1, "logging_strategy": "steps",
    }  # fmt: skip
    one = tiny_signs.run(tmp_path / "one", **shared)
    four = tiny_signs.run(tmp_path / "four", per_device_train_batch_size=2, gradient_accumulation_steps=4, **shared)
    assert len(losses(one)) == 8
    assert losses(one)[8] < losses(one)[1]
    assert losses(four) == pytest.approx(losses(one), abs=2e-4)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"bf16": True}, id="bf16"),
        pytest.param({"fp16": True}, id="fp16"),
        pytest.param({"gradient_checkpointing": True}, id="gradient-checkpointing"),
        pytest.param(
            {
                "optim": "adafactor", "lr_scheduler_type": "cosine", "warmup_steps": 2, "max_grad_norm": 0.5,
                "label_smoothing_factor": 0.1, "weight_decay": 0.1, "dataloader_drop_last": True,
                "per_device_eval_batch_size": 4, "logging_steps": 2, "save_total_limit": 1, "data_seed": 3,
            },
            id="many",
        ),
    ],
)  # fmt: skip
def test_arguments_of_the_trainer_take_effect(tiny_signs, tmp_path, changes):
    result = tiny_signs.run(tmp_path, **changes)
    for name, value in changes.items():
        assert getattr(result.trainer.args, name) == value, name
    layer = result.trainer.model.encoder.layers[0]
    assert layer.gradient_checkpointing == changes.get("gradient_checkpointing", False)
    assert all(np.isfinite(loss) for loss in losses(result).values())
    assert result.metrics["accuracy"] > 0.25
    assert weights(tmp_path)["classifier.weight"].dtype == torch.float32


def test_max_steps_end_a_run(tiny_signs, tmp_path):
    result = tiny_signs.run(tmp_path, max_steps=3, logging_strategy="steps", logging_steps=1)
    assert list(losses(result)) == [1, 2, 3]
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-3"]


def test_only_training_clips_are_augmented(tiny_signs, trained):
    trainer = trained.trainer
    assert trainer.train_dataset.augmenter is not None
    assert trainer.eval_dataset.augmenter is None
    row = trainer.eval_dataset.rows[0]
    plain = trainer.processing_class.extract(to_sequence(row))
    np.testing.assert_array_equal(trainer.eval_dataset[0]["input_values"], plain)
    row = trainer.train_dataset.rows[0]
    plain = trainer.processing_class.extract(to_sequence(row))
    seen = trainer.train_dataset[0]["input_values"]
    assert seen.shape != plain.shape or not np.allclose(seen, plain)


def test_augmentation_can_be_left_out(tiny_signs, tmp_path):
    result = tiny_signs.run(tmp_path, augment='{"enabled": false}', max_steps=1)
    assert result.trainer.train_dataset.augmenter is None


def test_without_a_test_split_nothing_is_measured(tiny_signs, tmp_path):
    result = tiny_signs.run(tmp_path, tiny_signs.all_train, num_train_epochs=1)
    assert result.metrics == result.baseline == {}
    written = json.loads((tmp_path / "results.json").read_text())
    assert written == {"metrics": {}, "baseline": {}, "training": result.training, "calibration": {}}
    assert (tmp_path / "learning_curve.png").is_file()
    assert not (tmp_path / "confusion_matrix.png").exists()


def test_class_weights_follow_the_training_clips(tiny_signs, tmp_path):
    data = write_tiny_signs(tmp_path / "signs")
    lines = (data / "metadata.csv").read_text().splitlines()
    kept = [line for line in lines if "anna-book" not in line]  # 4 of 28 training clips are books, 8 each of the others
    (data / "metadata.csv").write_text("\n".join(kept))
    result = tiny_signs.run(tmp_path / "run", data, class_weights=True, max_steps=1)
    config = result.trainer.model.config
    assert dict(zip(WORDS, config.class_weights)) == pytest.approx(
        {"book": 28 / 16, "drink": 28 / 32, "house": 28 / 32, "thanks": 28 / 32}
    )
    again = AutoModelForVideoClassification.from_pretrained(tmp_path / "run")
    assert again.config.class_weights == config.class_weights


class TestFineTuning:
    """From a saved model; a learning rate of next to nothing shows what it starts from."""

    STILL = {"learning_rate": 1e-12, "max_steps": 1, "model": None}  # noqa: RUF012

    def test_same_labels_keep_the_head(self, tiny_signs, trained, tmp_path):
        result = tiny_signs.run(tmp_path, model_name_or_path=trained.folder, **self.STILL)
        assert result.metrics == trained.metrics
        ours, theirs = weights(tmp_path), weights(trained.folder)
        for name, value in theirs.items():
            torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0)
        assert result.trainer.processing_class.to_dict() == trained.trainer.processing_class.to_dict()

    def test_same_labels_in_another_order_are_matched_by_name(self, tiny_signs, trained, uninterrupted, tmp_path):
        splits = load_dataset("landmark_folder", tiny_signs.signs, cache_dir=tiny_signs.cache)
        backwards = {name: index for index, name in enumerate(reversed(WORDS))}
        splits = splits.align_labels_with_mapping(backwards, "label")
        assert splits["train"].features["label"].names == list(reversed(WORDS))
        model_args, data_args, args = isolated_arguments(
            tiny_signs, tmp_path, model_name_or_path=trained.folder, class_weights=True, **self.STILL
        )
        result = isolated.train_isolated(model_args, data_args, args, splits)
        assert result.trainer.model.config.id2label == dict(enumerate(WORDS))
        assert result.metrics == trained.metrics
        for name in ("accuracy", "macro_f1"):
            assert result.baseline[name] == pytest.approx(uninterrupted.baseline[name])
        clip = result.trainer.train_dataset[0]
        assert WORDS[clip["labels"]] == splits["train"].features["label"].int2str(splits["train"][0]["label"])

    def test_other_labels_get_a_new_head_on_the_same_encoder(self, tiny_signs, trained, tmp_path, monkeypatch):
        said = []
        monkeypatch.setattr("signlang_hf.training.building.logger.warning", said.append)
        # As many labels as before, so that the old head would fit: three of its four labels are other signs.
        data = write_tiny_signs(tmp_path / "signs", words=("book", "tree", "water", "year"))
        result = tiny_signs.run(tmp_path / "run", data, model_name_or_path=trained.folder, **self.STILL)
        assert said == [
            f"{trained.folder} knows 4 labels and the data has 4, 1 of them the same: its encoder is kept, its head is "
            "made anew."
        ]
        assert list(result.trainer.model.config.id2label.values()) == ["book", "tree", "water", "year"]
        ours, theirs = weights(tmp_path / "run"), weights(trained.folder)
        for name, value in theirs.items():
            if name.startswith("encoder."):
                torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=0)
        assert not torch.allclose(ours["classifier.weight"], theirs["classifier.weight"], atol=1e-3)

    def test_class_weights_are_in_the_order_of_the_model(self, tiny_signs, trained):
        rows = load_dataset("landmark_folder", tiny_signs.signs, split="train", cache_dir=tiny_signs.cache)
        rows = rows.align_labels_with_mapping({name: i for i, name in enumerate(reversed(WORDS))}, "label")
        rows = rows.filter(lambda row: row["signer"] == "ben" or row["label"] != 3)  # 4 books, 8 of each other word
        model_args = ModelArguments(model_name_or_path=str(trained.folder), class_weights=True)
        config = fine_tuned_model(model_args, rows, list(reversed(WORDS))).config
        assert dict(zip(config.id2label.values(), config.class_weights)) == pytest.approx(
            {"book": 28 / 16, "drink": 28 / 32, "house": 28 / 32, "thanks": 28 / 32}
        )

    def test_more_labels_and_their_weights(self, tiny_signs, trained, tmp_path):
        data = write_tiny_signs(tmp_path / "signs", words=(*WORDS, "year"))
        result = tiny_signs.run(
            tmp_path / "run", data, model_name_or_path=trained.folder, class_weights=True, **self.STILL
        )
        assert result.trainer.model.config.class_weights == pytest.approx([1.0] * 5)
        again = AutoModelForVideoClassification.from_pretrained(tmp_path / "run")
        assert again.config.num_labels == again.classifier.out_features == 5

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"processor": '{"dims": 2}'}, "keeps its processor"),
            ({"model": '{"hidden_size": 32}'}, "cannot be loaded"),
            ({"model": '{"hiden_size": 32}'}, "Unknown model setting hiden_size"),
            ({"model_name_or_path": "nowhere"}, "nowhere cannot be loaded"),
            ({"model_name_or_path": "org/nowhere"}, "org/nowhere cannot be loaded"),
        ],
    )
    def test_what_does_not_fit_is_said_in_one_sentence(self, tiny_signs, trained, tmp_path, changes, said):
        run = {**self.STILL, "model_name_or_path": trained.folder, **changes}
        with pytest.raises(ValueError, match=said) as refused:
            tiny_signs.run(tmp_path, **run)
        assert "\n" not in str(refused.value)

    def test_a_folder_without_processor_says_so(self, tiny_signs, trained, tmp_path):
        bare = shutil.copytree(
            trained.folder, tmp_path / "bare", ignore=shutil.ignore_patterns("*processor*", "check*")
        )
        with pytest.raises(ValueError, match=r"bare has no processor; save it there with processor.save_pretrained"):
            tiny_signs.run(tmp_path / "run", model_name_or_path=bare, **self.STILL)

    def test_a_bare_encoder_gets_a_head(self, tiny_signs, trained, tmp_path):
        trained.trainer.model.encoder.save_pretrained(tmp_path / "encoder")
        trained.trainer.processing_class.save_pretrained(tmp_path / "encoder")
        result = tiny_signs.run(tmp_path / "run", model_name_or_path=tmp_path / "encoder", **self.STILL)
        assert list(result.trainer.model.config.id2label.values()) == list(WORDS)
        ours, theirs = weights(tmp_path / "run"), weights(trained.folder)
        torch.testing.assert_close(ours["encoder.norm.weight"], theirs["encoder.norm.weight"], atol=1e-6, rtol=0)
