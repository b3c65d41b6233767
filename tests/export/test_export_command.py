"""``signlang export``, and the other commands on what it wrote."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_detector import spots
from tiny_model import LABELS, bundle_tiny_model, tiny_clip
from typer.testing import CliRunner, Result

from signlang_hf import pretrained
from signlang_hf.cli import app
from signlang_hf.cli_export import heatmap_estimator
from signlang_hf.pose import extract_folder
from signlang_hf.video import write_video

pytestmark = pytest.mark.optimum


def signlang(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    return result


def refused(result: Result, *said: str) -> None:
    """One sentence on the error stream, nothing on the other, and exit code 1."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("signlang: ")
    for words in said:
        assert words in line


@pytest.fixture
def clip(tmp_path):
    return tiny_clip().save(tmp_path / "clip.npz")


def test_export_and_recognise(tiny, tmp_path, clip):
    out = tmp_path / "out"
    done = signlang("export", tiny.source("transformer"), "--to", "onnx", "--out", out, "--json")
    assert done.exit_code == 0 and done.stderr == ""
    (row,) = json.loads(done.stdout)["exported"]
    assert row["precision"] == "float32" and row["parity"] < 1e-4 and row["folder"] == str(out)
    answers = [
        json.loads(signlang("recognize", clip, "--model", model, "--json", *more).stdout)["predictions"]
        for model, more in (
            (tiny.source("transformer"), []), (out, []), (out, ["--runtime", "ort", "--provider", "cpu"])
        )
    ]  # fmt: skip
    assert answers[1] == answers[2]
    for one, other in zip(answers[0], answers[1]):
        assert one["label"] == other["label"] and one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_a_table_for_people(tiny, tmp_path):
    done = signlang("export", tiny.source("transformer"), "--out", tmp_path / "out", "--quantize", "int8")
    assert done.exit_code == 0 and "int8" in done.stdout
    assert done.stderr == f"signlang: wrote {tmp_path / 'out'}\n"


def test_all_and_a_failure(tmp_path, monkeypatch):
    shelf = tmp_path / "shelf"
    bundle_tiny_model(shelf / "good")
    bundle_tiny_model(shelf / "bad")
    (shelf / "bad" / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(pretrained, "FOLDER", shelf)
    done = signlang("export", "--all", "--out", tmp_path / "out", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert [row["model"] for row in found["exported"]] == ["good"] and list(found["failed"]) == ["bad"]
    assert done.stderr.startswith("signlang: ") and "bad" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--opset", "9"], "Opset 9 cannot be written"),
        (["--quantize", "int4"], "no quantisation 'int4'"),
        (["--to", "coreml"], "cannot be exported to 'coreml'; choose onnx or tflite"),
        (["--frames", "64"], "--frames is not of onnx; leave it out"),
        (["--to", "tflite", "--opset", "18"], "--opset is not of tflite; leave it out"),
        (["--calibration", "nowhere"], "nowhere"),
    ],
)
def test_what_export_refuses(tiny, tmp_path, words, said):
    refused(signlang("export", tiny.source("transformer"), "--out", tmp_path / "out", *words), said)
    assert not (tmp_path / "out").exists()


def test_a_model_or_all(tmp_path):
    assert signlang("export", "--out", tmp_path / "out").exit_code == 2
    assert signlang("export", "dgs30", "--all", "--out", tmp_path / "out").exit_code == 2


def test_what_recognize_refuses(tiny, clip):
    folder = tiny.export("bilstm", "int8")
    refused(
        signlang("recognize", clip, "--model", folder, "--runtime", "torch"), "exported to ONNX (int8)", "--runtime ort"
    )
    refused(signlang("recognize", clip, "--model", folder, "--provider", "npu"), "There is no provider 'npu'")
    refused(signlang("recognize", clip, "--model", folder, "--runtime", "tpu"), "no runtime 'tpu'")
    refused(
        signlang("recognize", clip, "--model", tiny.source("bilstm"), "--provider", "cpu"),
        "--provider is of onnxruntime",
    )
    refused(signlang("recognize", clip, "--model", tiny.source("bilstm"), "--runtime", "ort"), "has no ONNX model")
    refused(signlang("recognize", clip, "--runtime", "ort"), "signlang export dgs30 --out FOLDER")
    refused(signlang("explain", clip, "--out", "heat", "--model", folder), "exported to ONNX")


def test_translate(tiny, tmp_path):
    clip = tmp_path / "clip.npz"
    tiny_clip(60, layout="mediapipe-holistic").save(clip)
    export, source = tiny.export("composite"), tiny.source("composite")
    whole, torch_whole, pair = (
        json.loads(signlang("translate", clip, *words).stdout)
        for words in (
            ("--model", export), ("--model", source),
            ("--recognizer", export / "recognizer", "--translator", export / "translator", "--runtime", "ort"),
        )
    )  # fmt: skip
    assert whole == pair and whole["text"] == torch_whole["text"]
    refused(
        signlang("translate", clip, "--recognizer", export / "recognizer", "--translator", source / "translator"),
        "One of recogniser and translator is exported to ONNX",
    )


def test_detect_and_extract(tiny, tmp_path):
    from PIL import Image

    Image.fromarray(spots()).save(tmp_path / "picture.png")
    rows = [
        json.loads(
            signlang("detect", tmp_path / "picture.png", "--model", model, "--json", "--conf-threshold", 0).stdout
        )
        for model in (tiny.export("detector"), tiny.source("detector"))
    ]
    for one, other in zip(*(row["keypoints"] for row in rows)):
        assert one["name"] == other["name"] and one["x"] == pytest.approx(other["x"], abs=0.05)
    refused(
        signlang("detect", tmp_path / "picture.png", "--model", tiny.export("detector"), "--device", "cuda", "--json"),
        "--device is of torch",
    )
    words = ("extract", tmp_path, "--out", tmp_path / "out", "--runtime", "ort")
    assert signlang(*words).exit_code == 2  # of MediaPipe there is no export


def test_extraction_takes_an_export(tiny, tmp_path):
    frames = np.stack([spots(((0.3 + 0.05 * step, 0.5), (0.5, 0.6), (0.2, 0.2))) for step in range(4)])
    write_video(tmp_path / "videos" / "clip.mp4", frames, fps=25)
    factory, options = heatmap_estimator(str(tiny.export("detector")), "auto", None, "auto")
    report = extract_folder(
        tmp_path / "videos", tmp_path / "out", num_workers=0, estimator=factory, estimator_options=options
    )
    assert not report.failures
    row = json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[-1])
    assert row["estimator"].endswith("onnxruntime")


def test_evaluate(tiny, tmp_path):
    import datasets

    from signlang_hf.data.rows import landmark_features, to_row

    features = landmark_features("isl-48", label_names=list(LABELS))
    rows = [to_row(tiny_clip(20, seed), id=str(seed), label=LABELS[seed]) for seed in range(6)]
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "rows" / "test.parquet")
    found = [
        json.loads(signlang("evaluate", model, "--dataset", tmp_path / "rows", "--json").stdout)["accuracy"]
        for model in (tiny.source("bilstm"), tiny.export("bilstm"))
    ]
    assert found[0] == found[1]
