"""Models in onnxruntime behind the pipelines, and what they refuse."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from optimum.onnxruntime import ORTModel
from tiny_exports import CLIPS, KEYPOINT
from tiny_model import same_result, tiny_clip
from transformers import AutoModelForVideoClassification, pipeline

from signlang_hf.export import (
    ExportRecord,
    ORTModelForSignClassification,
    ORTModelForSignCTC,
    ORTModelForSignKeypoints,
    load_ort_model,
    load_ort_pipeline,
)
from signlang_hf.models.loading import checked_folder

pytestmark = pytest.mark.optimum


@pytest.mark.parametrize("name", KEYPOINT)
def test_recognition_says_what_torch_says(tiny, name):
    folder = str(tiny.export(name))
    model = ORTModelForSignClassification.from_pretrained(folder)
    assert isinstance(model, ORTModel)
    pipe = pipeline("sign-recognition", model=model, feature_extractor=folder)
    expected = pipeline("sign-recognition", model=str(tiny.source(name)))
    clips = [tiny_clip(frames, seed) for seed, frames in enumerate((20, 7, 31))]
    for one, other in zip(pipe(clips, top_k=6, batch_size=2), expected(clips, top_k=6)):
        same_result(one, other, atol=1e-4)


def test_embeddings_and_mirror_images(tiny):
    pipe = load_ort_pipeline("sign-recognition", str(tiny.export("transformer")))
    expected = pipeline("sign-recognition", model=str(tiny.source("transformer")))
    settings = {"return_embedding": True, "mirror_margin": 0.0}
    one, other = (each(tiny_clip(), **settings) for each in (pipe, expected))
    same_result(one["predictions"], other["predictions"], atol=1e-4)
    np.testing.assert_allclose(one["embedding"], other["embedding"], atol=1e-4)


@pytest.mark.parametrize("name", ["ctc", "ctc-causal"])
def test_glosses_and_their_times(tiny, name):
    folder = str(tiny.export(name))
    pipe = pipeline(
        "continuous-sign-recognition", model=ORTModelForSignCTC.from_pretrained(folder), feature_extractor=folder
    )
    expected = pipeline("continuous-sign-recognition", model=str(tiny.source(name)))
    clips = [tiny_clip(frames, seed, layout="mediapipe-holistic") for seed, frames in enumerate((30, 100))]
    for one, other in zip(pipe(clips, batch_size=2), expected(clips)):
        assert other["glosses"]
        assert [sign["gloss"] for sign in one["glosses"]] == [sign["gloss"] for sign in other["glosses"]]
        for key in ("score", "start", "end"):
            theirs = [sign[key] for sign in other["glosses"]]
            np.testing.assert_allclose([sign[key] for sign in one["glosses"]], theirs, atol=1e-4)


def test_arrays_for_arrays(tiny):
    model = load_ort_model(tiny.export("transformer"))
    values = np.random.default_rng(0).normal(size=(2, 9, model.config.input_size)).astype(np.float32)
    arrays, tensors = model(values), model(torch.from_numpy(values))
    assert isinstance(arrays.logits, np.ndarray)
    np.testing.assert_array_equal(arrays.logits, tensors.logits.numpy())


@pytest.mark.parametrize("name", [*CLIPS, "detector", "translator"])
def test_a_saved_model_opens_again(tiny, tmp_path, name):
    model = load_ort_model(tiny.export(name))
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert again.record == model.record
    assert {path.name for path in tmp_path.glob("*.onnx")} == set(model.record.files)


def test_int8_is_not_opened_as_float(tiny):
    folder = str(tiny.export("bilstm", "int8"))
    with pytest.raises(ValueError, match="holds the model in int8, not in float32"):
        ORTModelForSignClassification.from_pretrained(folder, precision="float32")
    assert ORTModelForSignClassification.from_pretrained(folder, precision="int8").record.precision == "int8"
    with pytest.raises(
        ValueError, match=r"exported to ONNX \(int8\), which torch cannot open; run it with --runtime ort"
    ):
        checked_folder(folder)


def test_a_folder_of_torch_is_no_export(tiny):
    with pytest.raises(FileNotFoundError, match="holds no model exported to ONNX"):
        ORTModelForSignClassification.from_pretrained(tiny.source("transformer"))
    with pytest.raises(ValueError, match=r"has no ONNX model; signlang export .* makes a folder that has"):
        load_ort_model(tiny.source("transformer"))
    with pytest.raises(ValueError, match=r"dgs30 has no ONNX model; signlang export dgs30 "):
        load_ort_model("dgs30")


def test_another_kind_of_model(tiny):
    with pytest.raises(ValueError, match="holds a signlang_ctc; ORTModelForSignKeypoints runs signlang_detector"):
        ORTModelForSignKeypoints.from_pretrained(tiny.export("ctc"))
    with pytest.raises(ValueError, match="is a model for continuous-sign-recognition; give one for sign-recognition"):
        load_ort_pipeline("sign-recognition", str(tiny.export("ctc")))


@pytest.mark.parametrize(
    ("file", "setting"), [("preprocessor_config.json", "processor"), ("config.json", "configuration")]
)
def test_a_graph_of_another_width_than_its_processor(tiny, tmp_path, file, setting):
    folder = tmp_path / "export"
    shutil.copytree(tiny.export("transformer"), folder)
    settings = json.loads((folder / file).read_text())
    name = "feature_size" if setting == "processor" else "input_size"
    width = settings[name]
    (folder / file).write_text(json.dumps(settings | {name: 99}))
    with pytest.raises(ValueError, match=rf"takes {width} features a frame and the {setting} beside it says 99"):
        load_ort_model(folder)


def test_a_detector_of_another_size_than_its_processor(tiny, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(tiny.export("detector"), folder)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_size": 128}))
    with pytest.raises(ValueError, match="takes pictures of 64 pixels and the processor beside it says 128"):
        load_ort_model(folder)


def test_an_export_that_is_not_complete(tiny, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(tiny.export("transformer"), folder)
    (folder / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ValueError, match=r"model\.onnx cannot be run on 'cpu'"):
        load_ort_model(folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(FileNotFoundError, match=r"is not complete: model\.onnx is missing"):
        load_ort_model(folder)
    (folder / "onnx_export.json").write_text("{}")
    with pytest.raises(ValueError, match="is no record of an export"):
        ExportRecord.load(folder)


def test_what_only_torch_can_do(tiny):
    model = load_ort_model(tiny.export("ctc"))
    values = torch.randn(1, 5, model.config.input_size)
    with pytest.raises(ValueError, match="computes no loss"):
        model(values, labels=torch.tensor([[2]]))
    with pytest.raises(ValueError, match="needs the model of torch"):
        model.step(values)
    with pytest.raises(ValueError, match=r"takes \d+ features a frame, \(B, T, F\), and got \(1, 5, 7\)"):
        model(torch.randn(1, 5, 7))
    with pytest.raises(ValueError, match=r"takes pictures \(N, 3, 64, 64\) and got \(1, 3, 32, 32\)"):
        load_ort_model(tiny.export("detector"))(torch.zeros(1, 3, 32, 32))


def test_nothing_is_asked_of_the_network(tiny, monkeypatch):
    """Every socket is closed; the Hub's own switch is not what keeps it quiet."""
    import socket

    from huggingface_hub import constants

    def no(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket.socket, "connect", no)
    for name, task in (("transformer", "sign-recognition"), ("composite", "sign-translation")):
        load_ort_pipeline(task, str(tiny.export(name)))


def test_the_graph_has_free_axes_and_the_names_of_torch(tiny):
    graph = onnx.load(str(tiny.export("bilstm") / "model.onnx")).graph
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    model = AutoModelForVideoClassification.from_pretrained(tiny.source("bilstm"))
    size = model.config.input_size
    assert shapes == {
        "input_values": ["batch", "time", size],
        "attention_mask": ["batch", "time"],
        "logits": ["batch", 6],
        "embedding": ["batch", 8],
        "pooling_weights": ["batch", "time"],
    }
