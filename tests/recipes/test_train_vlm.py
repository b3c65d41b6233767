"""``recipes/train_vlm.py`` and ``evaluate_vlm.py`` from end to end on a tiny base: what they write, that it learns, resumes and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
import yaml
from tiny_internvl import save_tiny_internvl
from tiny_signs import ROOT, load_recipe

from signlang_hf.models.internvl import LORA, PROMPT, SignInternVLForConditionalGeneration, SignInternVLProcessor
from signlang_hf.video import Video, read_video, write_video

pytest.importorskip("peft")
CONFIGURATIONS = sorted((ROOT / "recipes/configs").glob("*_vlm*.yaml"))
train_vlm, evaluate_vlm = (load_recipe(ROOT / "recipes" / name) for name in ("train_vlm.py", "evaluate_vlm.py"))
GLOSSES = ("red", "green", "blue")


@pytest.fixture(autouse=True)
def own_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """TrainingArguments with bf16 leave a variable behind that every later Trainer of the process would follow."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_internvl(tmp_path_factory.mktemp("internvl") / "base")


def write_rows(folder: Path, splits: dict[str, list[tuple[Path, str]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        lines = [json.dumps({"prompt": PROMPT, "video_path": str(path), "gloss": gloss}) for path, gloss in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of one colour, which is their gloss: six to learn from, three to watch and three to test on."""
    folder = tmp_path_factory.mktemp("rows")
    splits: dict[str, list[tuple[Path, str]]] = {"train": [], "validation": [], "test": []}
    rng = np.random.default_rng(0)
    for split, copies in (("train", 2), ("validation", 1), ("test", 1)):
        for colour, gloss in enumerate(GLOSSES):
            for copy in range(copies):
                frames = rng.integers(0, 60, (10, 32, 32, 3), np.uint8)
                frames[..., colour] += 180
                path = folder / f"{split}-{gloss}-{copy}.mp4"
                write_video(path, Video(frames, np.arange(10) / 25, 25.0))
                splits[split].append((path, gloss))
    return write_rows(folder / "rows", splits)


def words(own: Path, rows: Path, out: Path, **flags: Any) -> list[str]:
    settings = {
        "base": own, "data_dir": rows, "output_dir": out, "signer_independent": "false", "use_cpu": "true", "bf16": "false",
        "report_to": "none", "lora": '{"r": 8, "lora_alpha": 16, "lora_dropout": 0}', "disable_tqdm": "true",
        "num_train_epochs": 2, "gradient_accumulation_steps": 2, "learning_rate": 0.01, "gradient_checkpointing": "true", **flags,
    }  # fmt: skip
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def trained(base: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train_vlm.main(words(base, rows, tmp_path_factory.mktemp("vlm") / "run"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_the_configurations_are_what_was_published(path: Path) -> None:
    from signlang_hf.training.vlm_arguments import parse_vlm

    model_args, _, args = parse_vlm(["--config", str(path), "--bf16", "false", "--use_cpu", "true"])
    config = model_args.config(["a", "b"])
    assert config.lora == LORA and config.lora["r"] == 128 and config.lora["lora_alpha"] == 256
    assert config.num_frames == 8 and config.prompt == PROMPT
    assert config.quantization == ("4bit" if "qlora" in path.stem else None)
    assert args.per_device_train_batch_size == args.per_device_eval_batch_size == 1
    assert args.gradient_accumulation_steps == 4 and args.num_train_epochs == 1 and args.logging_steps == 10
    assert getattr(args.optim, "value", args.optim) == "adamw_torch" and args.gradient_checkpointing
    assert args.gradient_checkpointing_kwargs == {"use_reentrant": False} and not args.remove_unused_columns


def test_the_recipe_leaves_what_it_promises(trained: Any) -> None:
    folder = trained.folder
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written >= {
        "config.json", "preprocessor_config.json", "adapter/adapter_model.safetensors", "adapter/adapter_config.json",
        "README.md", "results.json", "learning_curve.png", "trainer_state.json",
    }  # fmt: skip
    assert not [name for name in written if name.startswith("model") and name.endswith(".safetensors")]
    results = json.loads((folder / "results.json").read_text())
    assert (
        results["metrics"]["accuracy"] == trained.metrics["accuracy"] and results["training"]["trained_parameters"] > 0
    )
    log = [entry for entry in trained.trainer.state.log_history if "eval_accuracy" in entry]
    assert len(log) == 2 and all(0 <= entry["eval_accuracy"] <= 1 for entry in log)
    card = (folder / "README.md").read_text()
    meta = yaml.safe_load(card.split("---\n")[1])
    assert meta["base_model"] and "AutoModelForImageTextToText" in card and "6 training clips" in card


def test_the_saved_model_answers_as_was_measured(trained: Any, rows: Path) -> None:
    pipe = transformers.pipeline("sign-recognition", model=str(trained.folder))
    told = [json.loads(line) for line in (rows / "test.jsonl").read_text().splitlines()]
    answers = [pipe(row["video_path"], top_k=1)[0]["label"] for row in told]
    assert np.mean([answer == row["gloss"] for answer, row in zip(answers, told)]) == trained.metrics["accuracy"]


def test_a_run_that_was_stopped_goes_on_exactly(base: Path, rows: Path, trained: Any, tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(trained.folder, half)
    first, last = sorted(half.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    shutil.rmtree(last)
    for name in ("results.json", "adapter"):
        path = half / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = train_vlm.main(words(base, rows, half))
    assert again.trainer.state.global_step == trained.trainer.state.global_step > int(first.name.split("-")[1])
    from safetensors.torch import load_file

    one, other = (load_file(run.folder / "adapter" / "adapter_model.safetensors") for run in (trained, again))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-4, msg=name)
    read = train_vlm.main(words(base, rows, half))
    assert read.metrics == again.metrics
    with pytest.raises(ValueError, match=r"learning_rate was 0\.01, is 0\.02"):
        train_vlm.main(words(base, rows, half, learning_rate=0.02))


def test_it_learns_the_films_and_not_the_prompt(base: Path, clips: Path, tmp_path: Path) -> None:
    """Seven real films with seven glosses are learned by heart; a grey film, and one made of the others' frames, is not known for its own."""
    films = sorted(clips.glob("*.mp4"))
    glosses = ["ambulance", "doctor", "pain", "are-you-free", "today", "hello", "I"][: len(films)]
    table = list(zip(films, glosses))
    rows = write_rows(tmp_path / "rows", {"train": table})
    run = train_vlm.main(
        words(
            base,
            rows,
            tmp_path / "run",
            num_train_epochs=60,
            gradient_accumulation_steps=7,
            save_strategy="no",
            gradient_checkpointing="false",
            lora='{"r": 16, "lora_alpha": 32, "lora_dropout": 0}',
        )
    )
    model = SignInternVLForConditionalGeneration.from_pretrained(run.folder)
    processor = SignInternVLProcessor.for_model(model)
    seen = [read_video(film, num_frames=8).frames for film in films]
    small = [np.stack([frame[::8, ::8] for frame in frames]) for frames in seen]
    order = {gloss: index for index, gloss in enumerate(model.config.labels)}
    truth = torch.tensor([order[gloss] for gloss in glosses])

    def right(shown: list[np.ndarray]) -> float:
        scores = model.score_labels(label_ids=processor.label_ids(model.config.labels), **processor(shown)).logits
        return (scores.argmax(-1) == truth).float().mean().item()

    assert right([read_video(film) for film in films]) == 1.0
    assert right([np.full_like(frames, 128) for frames in seen]) <= 1 / len(films) + 1e-6
    side = min(min(frames.shape[1:3]) for frames in small)
    mixed = [
        np.stack(
            [small[(index + 1 + frame % (len(films) - 1)) % len(films)][frame][:side, :side] for frame in range(8)]
        )
        for index in range(len(films))
    ]
    assert right(mixed) <= 0.5


def test_what_fine_tuning_has_brought_is_reported(trained: Any, rows: Path, tmp_path: Path) -> None:
    found = evaluate_vlm.main(
        ["--model", str(trained.folder), "--data_dir", str(rows), "--out", str(tmp_path), "--device", "cpu"]
    )
    assert set(found) == {"base", "fine-tuned"}
    assert found["fine-tuned"]["accuracy"] == trained.metrics["accuracy"]
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"accuracy.json", "confusion.png", "per_class.csv", "predictions.jsonl", "examples.png"}
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert np.mean([line["fine-tuned"] == line["gloss"] for line in lines]) == found["fine-tuned"]["accuracy"]


def test_a_film_that_cannot_be_read_is_left_out_with_a_line(
    base: Path, rows: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from signlang_hf.training.vlm import load_clips
    from signlang_hf.training.vlm_arguments import parse_vlm

    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film" * 100)
    folder = shutil.copytree(rows, tmp_path / "rows")
    with (folder / "train.jsonl").open("a") as stream:
        stream.write(json.dumps({"video_path": str(broken), "gloss": "red"}) + "\n")
    _, data_args, _ = parse_vlm(words(base, folder, tmp_path / "run"))
    splits = load_clips(data_args, seed=0)
    assert len(splits["train"]) == 6


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0"),
        ({"quantization": "8bit"}, "'4bit' or None"),
        ({"lora": '{"rank": 3}'}, "does not know rank"),
        ({"ema_decay": 0.9}, "no average"),
        ({"cross_validate": "signer"}, "fine-tuned once"),
        ({"base": "/no/such/folder"}, "Say where it lies: base="),
        ({"no_such": 1}, "Unknown argument"),
    ],
)
def test_a_bad_argument_gets_a_sentence(
    base: Path, rows: Path, tmp_path: Path, flags: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        train_vlm.main(words(base, rows, tmp_path / "run", **flags))
