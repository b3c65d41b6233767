"""``run_tflite.py``, which travels with an export: the same answers as the pipelines, without torch and without this library."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import tiny_clip
from transformers import AutoConfig, AutoFeatureExtractor, pipeline

from signlang_hf.export import run_tflite, tflite
from signlang_hf.export.sources import load_model
from signlang_hf.export.tflite_graphs import graph_of

FRAMES = 30
PARTS = {"model.tflite": "model", "encoder_model.tflite": "encoder", "decoder_step.tflite": "decoder"}


class TorchGraph:
    """What a ``.tflite`` file would answer: a model's folder in its place, and torch."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        kind = AutoConfig.from_pretrained(path.parent).model_type
        model = load_model(path.parent, kind)
        of_translators = {file: (inputs, outputs) for file, _, inputs, outputs in tflite._TRANSLATOR}
        names, outputs = tflite.single_graph(model.config) or of_translators[path.name]
        self.module = graph_of(model, PARTS[path.name], list(outputs))
        (example, *_) = tflite._examples(names, model.config, FRAMES)
        self.inputs = {name: (tuple(one.shape), one.numpy().dtype) for name, one in example.items()}

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        for name, (shape, _) in self.inputs.items():
            assert inputs[name].shape == shape
        made = {name: torch.from_numpy(np.asarray(inputs[name], kind)) for name, (_, kind) in self.inputs.items()}
        with torch.inference_mode():
            return {name: one.numpy() for name, one in self.module(**made).items()}


@pytest.fixture
def run(tiny, tmp_path, monkeypatch, capsys):
    """``run("ctc", clip, …)``: what the program prints, of a folder that it takes for an export."""
    monkeypatch.setattr(run_tflite, "Graph", TorchGraph)

    def call(name, *words, config=None):
        folder = tmp_path / f"export-{name}"
        if not folder.exists():
            shutil.copytree(tiny.source(name), folder)
        for one in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            (one / "tflite_export.json").write_text('{"members": ["member-upper"]}')
        if config is not None:
            settings = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps(settings | config))
        code = run_tflite.main([*map(str, words), "--model", str(folder)])
        if code:
            return code
        return json.loads(capsys.readouterr().out)

    return call


def features(tiny, name, clip, path):
    """As the README tells to save them."""
    processor = AutoFeatureExtractor.from_pretrained(tiny.source(name))
    np.savez(path, **processor(clip, return_tensors="np"))
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"logit_temperature": 2.0, "unknown_threshold": 0.99},
        {"logit_temperature": 0.5, "unknown_threshold": 80.0, "unknown_score": "logit"},
        {"unknown_threshold": 80.0, "unknown_score": "energy"},
    ],
)
def test_signs_as_in_the_pipeline(tiny, run, tmp_path, settings):
    clip = features(tiny, "transformer", tiny_clip(20), tmp_path / "clip.npz")
    answers = run("transformer", clip, "--top", "3", config=settings)
    expected = pipeline("sign-recognition", model=str(tmp_path / "export-transformer"))(tiny_clip(20), top_k=3)
    assert [one["label"] for one in answers] == [one["label"] for one in expected]
    assert [one["score"] for one in answers] == pytest.approx([one["score"] for one in expected], abs=1e-4)


def test_a_padded_batch_of_one_is_the_clip(tiny, run, tmp_path):
    clip = features(tiny, "transformer", tiny_clip(20), tmp_path / "clip.npz")
    arrays = dict(np.load(clip))
    padded = {name: np.concatenate([one, np.zeros_like(one[:, :4])], axis=1) for name, one in arrays.items()}
    np.savez(tmp_path / "padded.npz", **padded)
    np.save(tmp_path / "clip.npy", arrays["input_values"][0])
    assert run("transformer", clip) == run("transformer", tmp_path / "padded.npz")
    assert run("transformer", clip) == run("transformer", tmp_path / "clip.npy")


def test_sentences_as_in_the_pipeline(tiny, run, tmp_path):
    made = tiny_clip(25, layout="mediapipe-holistic")
    clip = features(tiny, "ctc", made, tmp_path / "clip.npz")
    expected = pipeline("continuous-sign-recognition", model=str(tiny.source("ctc")))(made)
    answers = run("ctc", clip)["glosses"]
    assert [one["gloss"] for one in answers] == [one["gloss"] for one in expected["glosses"]] and answers


@pytest.mark.parametrize("name", ["translator", "translator-deep", "translator-ensemble"])
def test_words_as_in_the_pipeline(tiny, run, name):
    translate = pipeline("gloss-translation", model=str(tiny.source(name)))
    for glosses in ("TODAY RAIN", "hello nobody yes"):
        assert run(name, "--glosses", glosses)["text"] == translate(glosses, num_beams=1, copy_unknown=False)["text"]


def test_a_clip_becomes_a_text(tiny, run, tmp_path):
    made = tiny_clip(25, layout="mediapipe-holistic")
    clip = features(tiny, "composite", made, tmp_path / "clip.npz")
    expected = pipeline("sign-translation", model=str(tiny.source("composite")))(made, num_beams=1)
    answer = run("composite", clip)
    assert answer["text"] == expected["text"] and answer["text"]


class BrightestGraph:
    """A detector all of whose points are where the picture is brightest."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.inputs = {"pixel_values": ((1, 3, 64, 64), np.float32)}
        self.config = json.loads((path.parent / "config.json").read_text())

    def __call__(self, pixel_values: np.ndarray) -> dict[str, np.ndarray]:
        cells = pixel_values[0].mean(0).reshape(32, 2, 32, 2).mean((1, 3))
        maps = np.repeat(cells[None, None], len(self.config["keypoints"]), axis=1)
        if self.config["head"] == "simcc":
            return {"simcc_x": 20 * maps.max(2), "simcc_y": 20 * maps.max(3)}
        return {"heatmaps": maps}


@pytest.mark.parametrize("name", ["detector", "simcc"])
@pytest.mark.parametrize("size", [(120, 80), (80, 120), (500, 500)])
def test_points_of_a_picture(tiny, run, tmp_path, monkeypatch, name, size):
    from PIL import Image

    monkeypatch.setattr(run_tflite, "Graph", BrightestGraph)
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    (x, y), half = (round(0.75 * size[0]), round(0.25 * size[1])), max(size) // 16
    picture[y - half : y + half, x - half : x + half] = 255
    Image.fromarray(picture).save(tmp_path / "picture.png")
    points = run(name, tmp_path / "picture.png")["keypoints"]
    assert [one["name"] for one in points] == json.loads((tiny.source(name) / "config.json").read_text())["keypoints"]
    for point in points:
        assert abs(point["x"] * size[0] - x) < 1.5 * half and abs(point["y"] * size[1] - y) < 1.5 * half
        assert 0 < point["score"] <= 1


def test_what_it_refuses(tiny, run, tmp_path):
    np.savez(tmp_path / "empty.npz", other=np.zeros(3))
    np.save(tmp_path / "narrow.npy", np.zeros((9, 3), np.float32))
    size = json.loads((tiny.source("ctc") / "config.json").read_text())["input_size"]
    np.save(tmp_path / "long.npy", np.zeros((FRAMES + 1, size), np.float32))
    for name, words, said in (
        ("ctc", ["nowhere.npz"], "File not found: nowhere.npz"),
        ("ctc", [], "Give a file"),
        ("ctc", [tmp_path / "empty.npz"], "holds no input_values"),
        ("ctc", [tmp_path / "narrow.npy"], f"have shape (9, 3); the model takes (T, {size})"),
        ("ctc", [tmp_path / "long.npy"], "export it again with --frames 31"),
        ("translator", [], "give --glosses"),
        ("translator", ["--glosses", " "], "holds no gloss"),
        ("translator", ["--glosses", "YES " * 40], "export it again with --frames 41"),
        ("vote", [], "--model"),
        ("detector", [tmp_path / "narrow.npy"], "has shape (9, 3)"),
    ):
        answer = run(name, *words)
        assert isinstance(answer, str) and said in answer and answer.startswith("run_tflite: ")
    assert "no tflite_export.json" in run_tflite.main(["--model", str(tmp_path)])


def test_without_the_interpreter(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    folder = tmp_path / "export"
    shutil.copytree(tiny.source("ctc"), folder)
    (folder / "tflite_export.json").write_text("{}")
    np.save(tmp_path / "clip.npy", np.zeros((9, 3), np.float32))
    assert run_tflite.main([str(tmp_path / "clip.npy"), "--model", str(folder)]) == (
        "run_tflite: it needs ai-edge-litert: pip install ai-edge-litert"
    )


def test_it_imports_next_to_nothing():
    tree = ast.parse(Path(run_tflite.__file__).read_text(encoding="utf-8"))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy", "ai_edge_litert", "PIL"}
