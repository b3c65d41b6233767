"""Models, their exports and their alternatives by turns."""

from __future__ import annotations

import json

import pytest
import torch
from tiny_detector import save_tiny_detector
from tiny_exports import KEYPOINT, keypoint
from tiny_translation import save_tiny_composite, save_tiny_recognizer, save_tiny_translator

from signlang_hf.benchmark import Shape, benchmark_models
from signlang_hf.benchmark.alternatives import ALTERNATIVES
from signlang_hf.benchmark.contenders import Contender
from signlang_hf.benchmark.measuring import parse_provider

QUICK = {"rounds": 2, "seconds": 0.0, "memory": False}


@pytest.mark.parametrize("name", [*KEYPOINT])
def test_a_classifier_beside_its_alternatives(name, tmp_path):
    pytest.importorskip("xgboost")
    folder = keypoint(name, tmp_path / name)
    found = benchmark_models([str(folder)], batches=(1, 3), frames=(5, 9), **QUICK)
    versions = ["torch", *ALTERNATIVES]
    assert [(row.frames, row.batch, row.version) for row in found.rows] == [
        (frames, batch, version) for frames in (5, 9) for batch in (1, 3) for version in versions
    ]
    for row in found.rows:
        assert row.model == name and 0 < row.median_ms <= row.p95_ms and row.ratio > 0
        assert row.clips_per_second == pytest.approx(1000 * row.batch / row.median_ms)
        assert row.frames_per_second == pytest.approx(row.frames * row.clips_per_second)
        assert (row.file_mb > 0) == (row.version == "torch")
    assert all(row.ratio == 1 for row in found.rows if row.version == "torch")


def test_alternatives_are_of_the_models_size():
    for name in ("torch.nn.LSTM", "torch.nn.TransformerEncoder"):
        made = ALTERNATIVES[name](input_size=144, num_labels=5, parameters=500_000, per_frame=False)
        assert made.parameters == pytest.approx(500_000, rel=0.1)
        assert made.run(Shape(2, 7))().shape == (2, 5)
        every = ALTERNATIVES[name](input_size=144, num_labels=5, parameters=500_000, per_frame=True)
        assert every.run(Shape(2, 7))().shape == (2, 7, 5)


def test_sentences_pictures_and_glosses(tmp_path):
    recognizer = save_tiny_recognizer(tmp_path / "ctc")
    translator = save_tiny_translator(tmp_path / "translator")
    detector = tmp_path / "detector"
    save_tiny_detector(detector)
    found = benchmark_models([str(recognizer), str(translator), str(detector)], batches=(1, 2), frames=(4, 6), **QUICK)
    by_model = {name: [row for row in found.rows if row.model == name] for name in ("ctc", "translator", "detector")}
    assert {row.version for row in by_model["ctc"]} == {"torch", "torch.nn.LSTM", "torch.nn.TransformerEncoder"}
    assert [(row.batch, row.frames) for row in by_model["translator"]] == [(1, 4), (2, 4), (1, 6), (2, 6)]
    assert [(row.batch, row.frames) for row in by_model["detector"]] == [(1, 0), (2, 0)]


def test_a_translator_writes_as_many_words_as_it_reads_glosses(tmp_path):
    opened = Contender("torch", str(save_tiny_translator(tmp_path / "translator"))).open()
    with torch.inference_mode():
        assert opened.run(Shape(2, 7))().shape == (2, 8)  # and the token that it begins with


def test_recogniser_and_translator_in_one_folder_are_two_models(tmp_path):
    parts = save_tiny_recognizer(tmp_path / "ctc"), save_tiny_translator(tmp_path / "words")
    folder = save_tiny_composite(tmp_path / "both", *parts)
    found = benchmark_models([str(folder)], batches=(1,), frames=(4,), alternatives=False, **QUICK)
    assert [row.model for row in found.rows] == ["recognizer", "translator"]


def test_memory_is_that_of_a_process_of_its_own(tmp_path):
    folder = keypoint("transformer", tmp_path / "model")
    found = benchmark_models([str(folder)], batches=(1, 2), frames=(5,), alternatives=False, rounds=1, memory=True)
    peaks = [row.peak_mb for row in found.rows]
    assert all(peak is not None and 50 < peak < 5000 for peak in peaks) and peaks == sorted(peaks)


@pytest.mark.optimum
def test_exports_are_made_for_the_time_of_the_benchmark(tmp_path):
    pytest.importorskip("optimum")
    folder = keypoint("bilstm", tmp_path / "model")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    providers = ("torch", "ort", "ort-int8", "ort-fp16")
    found = benchmark_models(
        [str(folder)], batches=(1, 2), frames=(5,), providers=providers, alternatives=False, **QUICK
    )
    assert [row.version for row in found.rows] == list(providers) * 2
    sizes = {row.version: row.file_mb for row in found.rows}
    assert len(set(sizes.values())) == 4 and min(sizes.values()) > 0
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.optimum
def test_an_exported_folder_is_measured_as_it_is(tmp_path):
    pytest.importorskip("optimum")
    from signlang_hf.export import export_model

    export_model(keypoint("conv", tmp_path / "model"), tmp_path / "out")
    found = benchmark_models(
        [str(tmp_path / "out")], batches=(1,), frames=(5,), providers=("torch", "ort"), alternatives=False, **QUICK
    )
    assert [row.version for row in found.rows] == ["ort"]
    with pytest.raises(ValueError, match="holds none of the versions torch, ort-int8"):
        benchmark_models([str(tmp_path / "out")], providers=("torch", "ort-int8"), **QUICK)


@pytest.mark.optimum
def test_int8_of_a_detector_needs_pictures(tmp_path):
    pytest.importorskip("optimum")
    save_tiny_detector(tmp_path / "detector")
    found = benchmark_models([str(tmp_path / "detector")], batches=(1,), providers=("torch", "ort-int8"), **QUICK)
    assert [row.version for row in found.rows] == ["torch"]
    assert found.left_out == ["detector, ort-int8: int8 of a detector needs pictures (--calibration)."]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batches": (0,)}, "batch is 0"),
        ({"frames": ()}, "frames is empty"),
        ({"providers": ()}, "Name at least one provider"),
        ({"providers": ("tensorflow",)}, "There is no provider 'tensorflow'; choose among torch"),
        ({"providers": ("torch:quantum",)}, "torch cannot run on 'quantum' here"),
    ],
)
def test_what_cannot_be_measured_is_said_first(settings, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        benchmark_models([str(tmp_path / "nowhere")], **settings)


def test_a_model_that_cannot_batch(tmp_path):
    folder = keypoint("conv", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "signlang_internvl"}))
    with pytest.raises(ValueError, match=r"one video at a time and cannot be timed in batches of 8; .*benchmark_vlm"):
        benchmark_models([str(folder)], batches=(1, 8))


def test_models_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="Model folder not found"):
        benchmark_models([str(tmp_path / "nowhere")])
    folder = keypoint("conv", tmp_path / "model")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="is a bert, which this benchmark does not know"):
        benchmark_models([str(folder)])


def test_providers_by_name():
    assert parse_provider("torch") == ("torch", "cpu")
    assert parse_provider("torch-compile:cpu") == ("torch-compile", "cpu")


def test_checkpoints_of_a_training_are_no_weights_of_the_model(tmp_path):
    folder = keypoint("conv", tmp_path / "model")
    size = Contender("torch", str(folder)).open().bytes
    assert size == (folder / "model.safetensors").stat().st_size
    (folder / "checkpoint-10").mkdir()
    (folder / "checkpoint-10" / "model.safetensors").write_bytes(b"0" * 1000)
    assert Contender("torch", str(folder)).open().bytes == size
