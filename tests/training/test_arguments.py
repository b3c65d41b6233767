"""Arguments from YAML and flags: flags win, everything unknown is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers

from signlang_hf.training.arguments import DataArguments, ModelArguments, SignTrainingArguments, parse
from signlang_hf.training.detector_arguments import parse_detector
from signlang_hf.training.sentence_arguments import (
    ContinuousArguments,
    ContinuousTrainingArguments,
    TranslationTrainingArguments,
    TranslatorArguments,
    parse_continuous,
    parse_translation,
)
from signlang_hf.training.vlm_arguments import parse_vlm

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "recipes" / "configs").glob("*.yaml"))
CONFIGS = [path for path in CONFIGS if "\nmembers:" not in path.read_text()]  # those are for train_ensemble.py


@pytest.fixture
def config(tmp_path):
    """Writes a YAML file and gives its path."""

    def write(text: str) -> str:
        (tmp_path / "run.yaml").write_text(text)
        return str(tmp_path / "run.yaml")

    return write


def test_defaults_suit_small_keypoint_models():
    model, data, training = parse([])
    assert (type(model), type(data), type(training)) == (ModelArguments, DataArguments, SignTrainingArguments)
    assert model.model_type == "signlang_transformer"
    assert model.model == model.processor == data.augment == data.dataset_options == {}
    assert training.early_stopping_patience == 15
    assert training.keep_best is True
    assert training.remove_unused_columns is False
    assert training.report_to == ["tensorboard"]
    assert training.trackio_space_id is None
    assert training.eval_strategy == training.save_strategy == training.logging_strategy == "epoch"


def test_flags_win_over_the_file(config):
    path = config(
        "dataset: landmark_folder\n"
        "model:\n  hidden_size: 32\n"
        "augment:\n  shear: 0.0\n"
        "learning_rate: 1e-3\n"  # YAML reads this as a text
        "num_train_epochs: 7\n"
        "cross_validate: signer\n"
        "folds: [anna, ben]\n"
        "seeds: [0, 1]\n"
    )
    for words in (["--config", path], [f"--config={path}"]):
        model, data, training = parse([*words, "--learning_rate", "0.5", "--model", '{"hidden_size": 8}'])
        assert data.dataset == "landmark_folder"
        assert data.folds == ["anna", "ben"]
        assert data.seeds == [0, 1]
        assert data.augment == {"shear": 0.0}
        assert model.model == {"hidden_size": 8}
        assert training.learning_rate == 0.5
        assert training.num_train_epochs == 7
    assert parse(["--config", path])[2].learning_rate == 1e-3


def test_any_argument_of_the_trainer_is_taken(monkeypatch):
    monkeypatch.setenv(
        "ACCELERATE_MIXED_PRECISION", "no"
    )  # which bf16 leaves behind for every later Trainer of the process
    wanted = {
        "use_cpu": "true", "bf16": "true", "gradient_accumulation_steps": "4", "optim": "adafactor",
        "lr_scheduler_type": "cosine", "save_strategy": "steps", "save_steps": "9", "report_to": "none",
        "hub_strategy": "every_save",
    }  # fmt: skip
    _, _, training = parse([word for name, value in wanted.items() for word in (f"--{name}", value)])
    assert training.bf16
    assert training.gradient_accumulation_steps == 4
    assert training.optim == "adafactor"
    assert training.lr_scheduler_type == "cosine"
    assert (training.save_strategy, training.save_steps) == ("steps", 9)
    assert training.report_to == []
    assert training.hub_strategy == "every_save"
    assert isinstance(training, transformers.TrainingArguments)


def test_every_argument_of_transformers_is_an_argument_here():
    ours, theirs = SignTrainingArguments.__dataclass_fields__, transformers.TrainingArguments.__dataclass_fields__
    assert not set(theirs) - set(ours)
    for group in (ModelArguments, DataArguments, ContinuousArguments, TranslatorArguments):
        assert not set(group.__dataclass_fields__) & set(ours)
        assert all(field.metadata["help"].strip() for field in group.__dataclass_fields__.values())
    for group in (ContinuousTrainingArguments, TranslationTrainingArguments):
        defaults = group(output_dir="outputs/x", report_to="none", use_cpu=True)
        assert (defaults.learning_rate, defaults.num_train_epochs) == (1e-3, 100)
        assert defaults.early_stopping_patience == 15 and defaults.group_by_length


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_configurations_of_the_project_are_read(path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")  # which half precision would leave behind
    family = {"ctc": parse_continuous, "translator": parse_translation, "detector": parse_detector, "vlm": parse_vlm}
    (read,) = [family[part] for part in path.stem.split("_") if part in family] or [parse]
    _, data, training = read(["--config", str(path), "--use_cpu", "true"])
    assert data.dataset_license
    assert training.output_dir.startswith("outputs/")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--learningrate", "1"], "Unknown argument --learningrate (did you mean --learning_rate?); --help lists all"),
        (["--no_such_thing=1"], "Unknown argument --no_such_thing; --help lists all arguments."),
        (["stray"], "Unknown argument stray; --help lists all arguments."),
        (["--learning_rate", "fast"], "Argument --learning_rate/--learning-rate: invalid float value: 'fast'; --help"),
        (["--config"], "Argument --config: expected one argument"),
        (["--model", "{hidden_size: 8}"], "--model is not valid JSON"),
        (["--model", "[8]"], "--model must be a mapping of settings, got list."),
        (["--processor", "3"], "--processor must be a mapping of settings, got int."),
        (["--augment", "off"], "--augment is not valid JSON"),
        (["--dataset_options", "'x'"], "--dataset_options is not valid JSON"),
        (["--validation_size", "1"], "validation_size is 1.0; it must be in [0, 1)."),
        (["--validation_by", "speaker"], "validation_by is 'speaker'; choose 'clip', 'signer' or 'sentence'."),
        (
            ["--cross_validate", "signers"],
            "cross_validate is 'signers'; choose 'signer', 'stratified', 'sentence' or 'rotation'.",
        ),
        (["--num_folds", "1"], "num_folds is 1; it must be at least 2."),
        (
            ["--folds", "anna"],
            "--folds selects from the folds of --cross_validate signer, stratified, sentence or rotation; choose one.",
        ),
        (["--seeds", "0", "1", "0"], "--seeds 0 1 0 names a seed twice"),
        (["--mixup_alpha", "-1"], "mixup_alpha is -1.0; it must be positive, or 0 for no mixing."),
        (["--feature_dropout", "1"], "feature_dropout is 1.0; it must be in [0, 1)."),
        (["--ema_decay", "1"], "ema_decay is 1.0; it must be in [0, 1)."),
        (["--mixup_alpha", "0.2", "--label_smoothing_factor", "0.1"], "label_smoothing_factor needs whole labels"),
    ],
)
def test_mistakes_on_the_command_line_are_one_sentence(words, said, capsys):
    with pytest.raises(ValueError) as refused:
        parse(words)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learningrate: 1\nseed: 3\n", "Unknown argument --learningrate (did you mean --learning_rate?)"),
        ("model: [1, 2]\n", "--model must be a mapping of settings, got list."),
        ("seed: {1: 2\n", "run.yaml is not valid YAML: "),
        ("- seed\n- 3\n", "must contain a YAML mapping"),
        ("num_train_epochs: many\n", "--num-train-epochs: invalid float value: 'many'"),
        ("validation_size: 2.0\n", "validation_size is 2.0"),
    ],
)
def test_mistakes_in_the_file_are_one_sentence(config, text, said):
    with pytest.raises(ValueError) as refused:
        parse(["--config", config(text)])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named_and_what_there_is():
    for name in ("nowhere.yaml", "isl_csltr", "recipes/configs/nowhere.yaml"):
        with pytest.raises(
            FileNotFoundError, match=f"no configuration {name}: give a YAML file; known by name are "
        ) as no:
            parse(["--config", name])
        listed = str(no.value).partition("known by name are ")[2].rstrip(".").split(", ")
        assert {path.stem for path in CONFIGS} <= {*listed} and "\n" not in str(no.value)


def test_a_configuration_of_the_recipes_goes_by_its_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "isl_csltr_ctc_tiny").mkdir()  # a folder of that name is none
    (path,) = [path for path in CONFIGS if path.stem == "isl_csltr_ctc_tiny"]
    for words in (["--config", "isl_csltr_ctc_tiny"], ["--config=isl_csltr_ctc_tiny.yaml"], ["--config", str(path)]):
        model, data, training = parse_continuous([*words, "--num_train_epochs", "3", "--use_cpu", "true"])
        assert (data.dataset, training.output_dir) == ("isl_csltr", "outputs/isl-csltr-ctc-tiny")
        assert model.model["hidden_size"] and training.num_train_epochs == 3
    # A file of one's own goes first.
    (tmp_path / "isl_csltr_ctc_tiny.yaml").write_text("dataset: landmark_sentences\n")
    assert (
        parse_continuous(["--config", "isl_csltr_ctc_tiny.yaml", "--use_cpu", "true"])[1].dataset
        == "landmark_sentences"
    )
    # And those that lie beside the recipe.
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yml").write_text("dataset: mp_data\n")
    monkeypatch.setattr("sys.argv", [str(tmp_path / "train_mine.py")])
    assert parse(["--config", "mine"])[1].dataset == "mp_data"


@pytest.mark.parametrize("read", [parse, parse_continuous, parse_translation])
def test_a_machine_without_bf16_is_told_what_to_do(read, monkeypatch):
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: False)
    with pytest.raises(ValueError) as refused:
        read(["--bf16", "true"])
    assert str(refused.value).startswith("bf16 is set, in the --config file or by a flag, and this machine cannot")
    assert "add --bf16 false, or --bf16 false --fp16 true on an older GPU." in str(refused.value)
    assert read(["--bf16", "false"])[2].bf16 is False
    with pytest.raises(ValueError, match="fp16 and bf16"):  # any other mistake is the Trainer's to say
        read(["--bf16", "true", "--fp16", "true", "--use_cpu", "true"])


def test_help_lists_our_arguments_and_the_trainers(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "--cross_validate" in text
    assert "--gradient_accumulation_steps" in text


def test_without_trl_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "trl", None)
    with pytest.raises(ImportError, match=r'pip install "signlang-hf\[train\]"'):
        parse([])
