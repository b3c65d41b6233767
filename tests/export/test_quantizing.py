"""Fewer bits: what becomes int8, how far answers move, and which version is chosen."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from tiny_detector import spots
from tiny_model import LABELS, tiny_clip

from signlang_hf.data.rows import landmark_features, to_row
from signlang_hf.export import export_model, load_ort_model
from signlang_hf.export.comparing import Comparison, compare, compare_versions, interleaved_ratio
from signlang_hf.export.pictures import calibration_pictures
from signlang_hf.export.providers import open_session
from signlang_hf.export.quantizing import pack_weights
from signlang_hf.export.record import ExportRecord, size_of

pytestmark = pytest.mark.optimum


def operators(folder, name="model.onnx"):
    graph = onnx.load(str(folder / name)).graph
    return Counter(node.op_type for node in graph.node)


@pytest.fixture(scope="module")
def rows():
    import datasets

    features = landmark_features("isl-48", label_names=list(LABELS))
    clips = [to_row(tiny_clip(20 + seed, seed), id=str(seed), label=LABELS[seed % 6]) for seed in range(12)]
    return datasets.Dataset.from_list(clips, features=features)


def logits(folder, seed=0):
    model = load_ort_model(folder)
    values = torch.randn(2, 37, model.config.input_size, generator=torch.Generator().manual_seed(seed))
    return model(values).logits


@pytest.mark.parametrize(
    ("name", "operator"),
    [("transformer", "MatMulInteger"), ("bilstm", "DynamicQuantizeLSTM"), ("ctc", "MatMulInteger")],
)
def test_weights_become_int8(tiny, name, operator):
    folder, whole = tiny.export(name, "int8"), tiny.export(name)
    assert operators(folder)[operator] > 0 and operators(whole)[operator] == 0
    record = ExportRecord.load(folder)
    assert (record.precision, record.quantization) == ("int8", "dynamic") and record.parity < 1e-4
    difference = (logits(folder) - logits(whole)).abs().max()
    assert 0 < difference < 0.2 * logits(whole).abs().max()


def large_graph(path):
    """Convolution, GRU and a table of words, each with weights enough to be packed; a bias and small weights beside them."""
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {
        "table": rng.normal(size=(50, 32)), "kernel": rng.normal(size=(48, 32, 3)), "bias": rng.normal(size=48),
        "inputs": rng.normal(size=(1, 60, 48)), "states": rng.normal(size=(1, 60, 20)), "last": rng.normal(size=(20, 5)),
    }  # fmt: skip
    weights = {name: 0.2 * value for name, value in weights.items()}
    weights["kernel"][0] = 0  # a channel without a scale
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["embedded"], "gather"),
        helper.make_node("Transpose", ["embedded"], ["channels"], "turn", perm=[0, 2, 1]),
        helper.make_node("Conv", ["channels", "kernel", "bias"], ["seen"], "conv", pads=[1, 1]),
        helper.make_node("Transpose", ["seen"], ["steps"], "turn_back", perm=[2, 0, 1]),
        helper.make_node("GRU", ["steps", "inputs", "states"], ["", "hidden"], "gru", hidden_size=20),
        helper.make_node("MatMul", ["hidden", "last"], ["logits"], "head"),
    ]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["batch", "time"])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, "batch", 5])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


def test_weights_are_packed(tmp_path):
    large_graph(tmp_path / "whole.onnx")
    large_graph(tmp_path / "packed.onnx")
    pack_weights(tmp_path / "packed.onnx")
    kinds = {one.name: one.data_type for one in onnx.load(str(tmp_path / "packed.onnx")).graph.initializer}
    assert {name for name, kind in kinds.items() if kind == onnx.TensorProto.INT8} == {
        "table_int8", "kernel_int8", "inputs_int8", "states_int8",
    }  # fmt: skip
    assert {"bias", "last"} <= set(kinds)
    ids = {"ids": np.random.default_rng(1).integers(0, 50, (3, 17))}
    whole, packed = (open_session(tmp_path / f"{name}.onnx").run(None, ids)[0] for name in ("whole", "packed"))
    assert np.isfinite(packed).all() and 0 < np.abs(whole - packed).max() < 0.05 * np.abs(whole).max()


def test_what_is_to_be_left_keeps_its_weights(tmp_path):
    large_graph(tmp_path / "graph.onnx")
    pack_weights(tmp_path / "graph.onnx", leave=["conv"])
    names = {one.name for one in onnx.load(str(tmp_path / "graph.onnx")).graph.initializer}
    assert "kernel" in names and "table_int8" in names


def test_a_packed_graph_has_nothing_to_unpack_when_it_runs(tmp_path):
    """onnxruntime folds the weights when a session opens; each pass would cost the time otherwise."""
    import onnxruntime

    large_graph(tmp_path / "graph.onnx")
    pack_weights(tmp_path / "graph.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(str(tmp_path / "graph.onnx"), options, providers=["CPUExecutionProvider"])
    found = operators(tmp_path, "optimised.onnx")
    assert found["GRU"] == 1 and found["Cast"] == found["Mul"] == 0


def test_a_larger_model_becomes_smaller(tmp_path):
    from tiny_exports import KEYPOINT, keypoint

    _, _, sizes = KEYPOINT["transformer"]
    small = dict(sizes)
    try:
        sizes.update(hidden_size=128, num_hidden_layers=2)
        source = keypoint("transformer", tmp_path / "source")
    finally:
        sizes.clear()
        sizes.update(small)
    whole, less, half = (
        export_model(source, tmp_path / str(kind), quantize=kind).folder for kind in (None, "int8", "fp16")
    )
    assert size_of(less) < 0.4 * size_of(whole) and size_of(half) < 0.6 * size_of(whole)


@pytest.mark.parametrize("name", ["transformer", "bilstm", "conv", "hybrid", "ctc", "detector", "translator"])
def test_half_precision_keeps_its_inputs_and_outputs(tiny, name):
    folder = tiny.export(name, "fp16")
    assert ExportRecord.load(folder).precision == "float16"
    for path in folder.glob("*.onnx"):
        graph = onnx.load(str(path)).graph
        kinds = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
        assert onnx.TensorProto.FLOAT16 not in kinds
        assert any(weights.data_type == onnx.TensorProto.FLOAT16 for weights in graph.initializer)
    if name in ("detector", "translator"):
        load_ort_model(folder)
    else:
        torch.testing.assert_close(logits(folder), logits(tiny.export(name)), atol=0.05, rtol=0.02)


def test_a_loop_stays_in_float(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"loop in it .* cannot be put into half precision"):
        export_model(tiny.source("zoneout"), tmp_path / "half", quantize="fp16")
    assert list(tmp_path.iterdir()) == []


def test_members_are_quantised_too(tiny):
    folder = tiny.export("composite", "int8")
    assert operators(folder / "recognizer")["MatMulInteger"] > 0
    assert operators(folder / "translator", "decoder_with_past_model.onnx")["MatMulInteger"] > 0
    assert ExportRecord.load(folder / "translator").precision == ExportRecord.load(folder).precision == "int8"


def test_a_detector_is_quantised_on_pictures(tiny, tmp_path):
    with pytest.raises(ValueError, match="give some with --calibration"):
        export_model(tiny.source("detector"), tmp_path / "none", quantize="int8")
    rng = np.random.default_rng(0)
    pictures = [spots(rng.uniform(0.2, 0.8, (3, 2))) for _ in range(6)]
    folder = export_model(tiny.source("detector"), tmp_path / "int8", quantize="int8", pictures=pictures).folder
    for one in (folder, folder / "hands"):
        record = ExportRecord.load(one)
        assert (record.precision, record.quantization) == ("int8", "static")
        assert operators(one)["QuantizeLinear"] > 0
    # The layer that points are read from is not among them: it reads and writes float.
    graph = onnx.load(str(folder / "model.onnx")).graph
    *_, before, last = (node for node in graph.node if node.op_type == "Conv")
    weights = {one.name for one in graph.initializer}
    assert last.input[1] in weights and before.input[1] not in weights
    batch = torch.from_numpy(np.stack([spots() for _ in range(2)]).transpose(0, 3, 1, 2).astype(np.float32) / 255)
    batch = torch.nn.functional.interpolate(batch, (64, 64))
    one, other = (load_ort_model(each)(batch).heatmaps for each in (folder, tiny.export("detector")))
    assert 0 < (one - other).abs().max() < 0.3 * other.abs().max()


def test_of_a_detector_of_depthwise_convolutions_the_weights_alone(tmp_path):
    from signlang_hf.models.detector import (
        SignDetectorConfig,
        SignDetectorForKeypointDetection,
        SignDetectorProcessor,
    )

    torch.manual_seed(0)
    processor = SignDetectorProcessor(image_size=64)
    config = SignDetectorConfig(
        keypoints=processor.keypoints, backbone="test_efficientnet", image_size=64, deconv_width=16
    )
    SignDetectorForKeypointDetection(config).eval().save_pretrained(tmp_path / "source")
    processor.save_pretrained(tmp_path / "source")
    whole = export_model(tmp_path / "source", tmp_path / "whole").folder
    less = export_model(tmp_path / "source", tmp_path / "less", quantize="int8", pictures=[spots()]).folder
    assert ExportRecord.load(less).quantization == "weights" and operators(less)["QuantizeLinear"] == 0
    assert size_of(less) < 0.6 * size_of(whole)
    batch = torch.from_numpy(spots(size=(64, 64)).transpose(2, 0, 1)[None].astype(np.float32) / 255)
    one, other = (load_ort_model(each)(batch).heatmaps for each in (less, whole))
    assert 0 < (one - other).abs().max() < 0.1 * other.abs().max()


def test_pictures_of_folders(tmp_path, clips):
    from PIL import Image

    for number in range(5):
        Image.fromarray(spots()).save(tmp_path / f"{number}.png")
    assert len(calibration_pictures(tmp_path, count=3)) == 3
    assert len(calibration_pictures(tmp_path)) == 5
    found = calibration_pictures(next(clips.glob("*.mp4")), count=4)
    assert len(found) == 4 and found[0].ndim == 3 and not np.array_equal(found[0], found[-1])
    (tmp_path / "empty").mkdir()
    for where in ("empty", "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"picture or video|not found"):
            calibration_pictures(tmp_path / where)


def test_what_fewer_bits_cost_is_measured(tiny, rows):
    source, whole, less = (str(one) for one in (
        tiny.source("bilstm"), tiny.export("bilstm"), tiny.export("bilstm", "int8")
    ))  # fmt: skip
    same = compare(source, whole, rows, runs=3)
    assert same.before == same.after and same.drop == 0 and same.chosen and same.n == 12 and same.metric == "accuracy"
    assert same.speedup > 0 and same.bytes_after == size_of(tiny.export("bilstm"))
    other = compare(whole, less, rows, runs=0)
    assert other.speedup is None and other.to_dict()["chosen"] == (other.drop <= 1)


def test_several_versions_are_compared_with_one_that_is_measured_once(tiny, rows, monkeypatch):
    from signlang_hf.export import comparing

    measured = []
    metrics = comparing._metrics
    monkeypatch.setattr(comparing, "_metrics", lambda *given: measured.append(given) or metrics(*given))
    versions = {"float32": str(tiny.export("bilstm")), "int8": str(tiny.export("bilstm", "int8"))}
    found = compare_versions(str(tiny.source("bilstm")), versions, rows, runs=2)
    assert list(found) == ["float32", "int8"] and len(measured) == 3
    assert found["float32"].milliseconds[0] == found["int8"].milliseconds[0] > 0 and found["int8"].runs == 2
    assert found["float32"].values == (found["float32"].before, found["float32"].after)
    assert compare_versions(str(tiny.source("bilstm")), versions, rows, runs=0)["int8"].milliseconds is None


def test_errors_are_turned_round_and_stay_in_the_values(tiny, rows, monkeypatch):
    from signlang_hf.export import comparing

    rates = iter([0.2, 0.35])
    monkeypatch.setattr(comparing, "_metrics", lambda *_: {"wer": next(rates)})
    found = compare(str(tiny.source("ctc")), str(tiny.export("ctc")), rows, runs=1)
    assert found.metric == "wer" and found.values == (0.2, 0.35) and found.before == pytest.approx(0.8)
    assert found.drop == pytest.approx(15) and not found.chosen and found.speedup > 0


def test_a_translator_is_compared_by_its_texts_and_the_time_of_a_search(tiny):
    import datasets

    sentences = datasets.Dataset.from_list(
        [
            {"id": "1", "glosses": ["DOCTOR", "COME"], "text": "the doctor comes"},
            {"id": "2", "glosses": ["TODAY"], "text": "today"},
        ]
    )
    found = compare(str(tiny.source("translator")), str(tiny.export("translator")), sentences, runs=2)
    assert found.metric == "chrf" and found.drop == 0 and found.values[0] == pytest.approx(100 * found.before)
    assert found.n == 2 and found.speedup > 0 and found.milliseconds[0] > 0


def test_a_version_that_loses_more_than_a_point_is_not_chosen():
    made = {"metric": "accuracy", "bytes_before": 2, "bytes_after": 1, "speedup": 2.0, "n": 100}
    assert Comparison(before=0.90, after=0.89 + 1e-9, **made).chosen
    assert not Comparison(before=0.90, after=0.88, **made).chosen
    assert Comparison(before=0.90, after=0.88, limit=3.0, **made).chosen
    assert Comparison(before=0.90, after=0.88, **made).drop == pytest.approx(2.0)


def test_two_models_of_different_tasks_are_not_compared(tiny, rows):
    with pytest.raises(ValueError, match="compare two of a kind"):
        compare(str(tiny.source("ctc")), str(tiny.export("transformer")), rows)


def test_times_are_taken_by_turns(monkeypatch):
    from signlang_hf.export import comparing

    clock, order = [0.0], []
    monkeypatch.setattr(comparing.time, "perf_counter", lambda: clock[0])

    def taking(seconds, name):
        def run():
            order.append(name)
            clock[0] += seconds * (10 if len(order) < 3 else 1)  # the first of each is not counted

        return run

    assert interleaved_ratio(taking(0.5, 1), taking(0.125, 2), runs=3, warmup=1) == pytest.approx(4)
    assert order == [1, 2] * 4
