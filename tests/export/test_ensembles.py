"""Ensembles in onnxruntime: members, and the booster's trees as a graph."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
import xgboost
from tiny_model import same_result, tiny_clip
from transformers import AutoFeatureExtractor, AutoModelForVideoClassification, pipeline

from signlang_hf.export import ORTModelForSignClassification, ORTModelForSignEnsemble, load_ort_model, load_ort_pipeline
from signlang_hf.export.booster import booster_graph

pytestmark = pytest.mark.optimum


def trained(classes=5, features=12, **settings):
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(300, features)).astype(np.float32), rng.integers(0, classes, 300)
    values[np.arange(300), labels] += 1
    rows = xgboost.DMatrix(values, labels, base_margin=np.zeros((300, classes)))
    options = {"objective": "multi:softprob", "num_class": classes, "eta": 0.5, "max_depth": 4, **settings}
    return xgboost.train(options, rows, 7), values


def margins(booster, values):
    zero = np.zeros((len(values), 5))
    return booster.predict(xgboost.DMatrix(values, base_margin=zero), output_margin=True).reshape(zero.shape)


def run(graph, values):
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"features": values})[0]


@pytest.mark.parametrize("settings", [{}, {"num_parallel_tree": 3}, {"grow_policy": "lossguide", "max_leaves": 9}])
def test_trees_are_the_booster(settings):
    booster, values = trained(**settings)
    found, expected = run(booster_graph(booster), values), margins(booster, values)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.ptp(expected) > 0.5


def test_a_value_at_the_threshold_and_a_missing_one_go_the_same_way():
    booster, values = trained()
    table = booster.trees_to_dataframe()
    splits = table[table["Feature"] != "Leaf"][["Feature", "Split"]].drop_duplicates().head(50)
    rows = np.repeat(values[:1], len(splits), axis=0)
    for row, (feature, split) in enumerate(splits.itertuples(index=False)):
        rows[row, int(feature[1:])] = np.float32(split)
    rows = np.concatenate([rows, np.where(np.random.default_rng(1).random(values.shape) < 0.3, np.nan, values)])
    rows = rows.astype(np.float32)
    np.testing.assert_allclose(run(booster_graph(booster), rows), margins(booster, rows), atol=1e-6)


def test_what_is_no_plain_tree_stays_with_xgboost():
    assert booster_graph(trained(booster="dart", rate_drop=0.5)[0]) is None


@pytest.mark.parametrize("name", ["ensemble", "vote"])
def test_the_ensemble_answers_as_in_torch(tiny, name):
    model = AutoModelForVideoClassification.from_pretrained(tiny.source(name)).eval()
    graph = ORTModelForSignClassification.from_pretrained(tiny.export(name))
    assert isinstance(graph, ORTModelForSignEnsemble)
    processor = AutoFeatureExtractor.from_pretrained(tiny.export(name))
    batch = processor([tiny_clip(frames, seed) for seed, frames in enumerate((20, 7, 64))], return_tensors="pt")
    with torch.inference_mode():
        one, other = graph(**batch), model(**batch)
    for output in ("logits", "embedding", "member_logits"):
        torch.testing.assert_close(one[output], other[output], atol=1e-4, rtol=0)
    assert (tiny.export(name) / "booster.onnx").is_file() == (name == "ensemble")
    assert not (tiny.export(name) / "booster.ubj").exists()


def test_the_trees_count(tiny):
    graph = load_ort_model(tiny.export("ensemble"))
    batch = AutoFeatureExtractor.from_pretrained(tiny.export("ensemble"))(tiny_clip(), return_tensors="pt")
    with torch.inference_mode():
        with_trees = graph(**batch).logits
        graph.booster = None
        assert (graph(**batch).logits - with_trees).abs().max() > 0.05


def test_a_booster_that_is_no_graph_runs_in_xgboost(tiny, tmp_path, monkeypatch):
    from signlang_hf.export import export_model, exporting

    monkeypatch.setattr(exporting, "booster_graph", lambda booster: None)
    folder = export_model(tiny.source("ensemble"), tmp_path / "export").folder
    assert (folder / "booster.ubj").is_file() and not (folder / "booster.onnx").exists()
    pipe, expected = (load_ort_pipeline("sign-recognition", str(one)) for one in (folder, tiny.export("ensemble")))
    same_result(pipe(tiny_clip()), expected(tiny_clip()))


def test_pipeline(tiny):
    pipe = load_ort_pipeline("sign-recognition", str(tiny.export("ensemble")))
    expected = pipeline("sign-recognition", model=str(tiny.source("ensemble")))
    clips = [tiny_clip(20), tiny_clip(7, 1)]
    for one, other in zip(pipe(clips, batch_size=2), expected(clips)):
        same_result(one, other, atol=1e-4)
