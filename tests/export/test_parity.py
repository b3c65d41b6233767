"""Graphs of every family against torch: at many sizes, with padding, alone as in a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_exports import CLIPS
from transformers import (
    AutoModelForCTC,
    AutoModelForKeypointDetection,
    AutoModelForSeq2SeqLM,
    AutoModelForVideoClassification,
)

from signlang_hf.export import load_ort_model
from signlang_hf.export.onnx_configs import SignTranslatorDecoderOnnxConfig, SignTranslatorEncoderOnnxConfig
from signlang_hf.export.parity import graphs_of, largest_difference, padding_difference
from signlang_hf.export.record import DECODER, ENCODER, ExportRecord
from signlang_hf.export.translator_graphs import TranslatorDecoderGraph, TranslatorEncoderGraph

pytestmark = pytest.mark.optimum

SHAPES = [(1, 5), (1, 300), (3, 5), (3, 37), (3, 64), (8, 5), (8, 64), (8, 300)]
TOLERANCE = 1e-4


def in_torch(folder, name):
    auto = AutoModelForCTC if name.startswith("ctc") else AutoModelForVideoClassification
    return auto.from_pretrained(folder, dtype=torch.float32).eval()


def clips(model, batch, frames, seed=0):
    """Random features, and a mask that ends every clip but the first somewhere else."""
    values = torch.randn(batch, frames, model.config.input_size, generator=torch.Generator().manual_seed(seed))
    lengths = torch.tensor([frames - (row * frames) // (batch + 1) for row in range(batch)])
    return values, (torch.arange(frames) < lengths[:, None]).long()


@pytest.mark.parametrize("name", CLIPS)
def test_graph_equals_torch_at_every_size(tiny, name):
    model, graph = in_torch(tiny.source(name), name), load_ort_model(tiny.export(name))
    for batch, frames in SHAPES:
        values, mask = clips(model, batch, frames)
        with torch.inference_mode():
            expected = model(input_values=values, attention_mask=mask)
        answer = graph(input_values=values, attention_mask=mask)
        assert answer.keys() <= expected.keys() and answer.logits.shape == expected.logits.shape
        for output in answer:
            torch.testing.assert_close(
                answer[output], expected[output], atol=TOLERANCE, rtol=0, msg=f"{batch}×{frames}"
            )


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_alone_equals_the_same_clip_in_a_padded_batch(tiny, name):
    graph = load_ort_model(tiny.export(name))
    values, mask = clips(graph, 3, 37)
    values[mask == 0] = 1e3  # whatever stands in the padding
    together = graph(input_values=values, attention_mask=mask).logits
    for row in range(3):
        alone = graph(input_values=values[row : row + 1, : mask[row].sum()]).logits[0]
        own = together[row, : len(alone)] if name.startswith("ctc") else together[row]
        torch.testing.assert_close(own, alone, atol=TOLERANCE, rtol=0)


def test_padded_frames_are_the_blank(tiny):
    graph = load_ort_model(tiny.export("ctc"))
    values, mask = clips(graph, 3, 37)
    answer = graph(input_values=values, attention_mask=mask)
    assert answer.logit_lengths.tolist() == [-(-int(length) // 2) for length in mask.sum(1)]
    padding = torch.arange(answer.logits.shape[1]) >= answer.logit_lengths[:, None]
    assert padding.any() and (answer.logits.argmax(-1)[padding] == 0).all()
    assert (answer.logits[padding][:, 0] == 0).all() and (answer.logits[padding][:, 1:] < -1000).all()


@pytest.mark.parametrize("name", ["detector", "simcc"])
def test_pictures(tiny, name):
    model = AutoModelForKeypointDetection.from_pretrained(tiny.source(name), dtype=torch.float32).eval()
    graph = load_ort_model(tiny.export(name))
    for batch in (1, 3, 8):
        pixel_values = torch.rand(batch, 3, 64, 64, generator=torch.Generator().manual_seed(batch))
        with torch.inference_mode():
            expected = model(pixel_values=pixel_values)
        answer = graph(pixel_values=pixel_values)
        assert set(answer) == ({"simcc_x", "simcc_y"} if name == "simcc" else {"heatmaps"})
        for output in answer:
            torch.testing.assert_close(answer[output], expected[output], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", ["translator", "translator-deep", "translator-unfed", "translator-ensemble"])
def test_both_graphs_of_a_translator(tiny, name):
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny.source(name), dtype=torch.float32).eval()
    folder = tiny.export(name)
    for graph, kind, file in (
        (TranslatorEncoderGraph(model), SignTranslatorEncoderOnnxConfig, ENCODER),
        (TranslatorDecoderGraph(model), SignTranslatorDecoderOnnxConfig, DECODER),
    ):
        shapes = [(1, 1), (1, 5), (3, 37), (8, 64)]
        assert largest_difference(graph.eval(), kind(graph.config), folder / file, shapes) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("conv", {".": ["signlang_conv"]}),
        ("detector", {".": ["signlang_detector"], "hands": ["signlang_detector"]}),
        ("ensemble", {"member-upper": ["signlang_transformer"], "member-hands": ["signlang_transformer"]}),
        (
            "composite",
            {
                "recognizer": ["signlang_ctc"],
                "translator": ["signlang_translator encoder", "signlang_translator decoder"],
            },
        ),
    ],
)
def test_the_graphs_of_a_folder_and_what_padding_does_to_them(tiny, name, kinds):
    found: dict[str, list[str]] = {}
    for graph in graphs_of(tiny.source(name), tiny.export(name)):
        found.setdefault(graph.member, []).append(graph.kind)
        shapes = [(1, 5), (3, 37)]
        assert largest_difference(graph.model, graph.config, graph.path, shapes) < TOLERANCE
        assert padding_difference(graph.config, graph.path, shapes) < TOLERANCE
    assert found == kinds


def test_a_graph_that_looks_at_its_padding_is_found(tiny, tmp_path):
    """One whose mask is all ones, whatever it is given."""
    import onnx

    graph = next(iter(graphs_of(tiny.source("transformer"), tiny.export("transformer"))))
    model = onnx.load(str(graph.path))
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "attention_mask":
                node.input[place] = "everything"
    ones = [
        onnx.helper.make_node("Equal", ["attention_mask", "attention_mask"], ["same"]),
        onnx.helper.make_node("Cast", ["same"], ["everything"], to=onnx.TensorProto.INT64),
    ]
    for place, node in enumerate(ones):
        model.graph.node.insert(place, node)
    onnx.save(model, str(tmp_path / "blind.onnx"))
    assert padding_difference(graph.config, tmp_path / "blind.onnx", [(3, 37)]) > 0.01


def test_a_difference_is_found(tiny):
    """The comparison itself: a graph of other weights is far from the model."""
    from signlang_hf.export.onnx_configs import SignTransformerOnnxConfig

    model = in_torch(tiny.source("transformer"), "transformer")
    path = tiny.export("transformer") / "model.onnx"
    assert largest_difference(model, SignTransformerOnnxConfig(model.config), path) < TOLERANCE
    with torch.no_grad():
        model.classifier.bias[0] += 0.5
    assert largest_difference(model, SignTransformerOnnxConfig(model.config), path) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("name", ["transformer", "translator", "detector", "ctc"])
def test_the_record_says_how_close_it_is(tiny, name):
    record = ExportRecord.load(tiny.export(name))
    assert record.precision == "float32" and record.opset == 18 and 0 < record.parity < TOLERANCE
    assert np.isfinite(record.parity)
