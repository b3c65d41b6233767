"""Execution providers: names, what is missing, and what has really run."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch

from signlang_hf.export import available_providers, load_ort_model, ran_on
from signlang_hf.export import providers as module
from signlang_hf.export.providers import PROVIDERS, open_session, provider_of

pytestmark = pytest.mark.optimum


@pytest.fixture
def graph(tiny):
    return tiny.export("transformer") / "model.onnx"


def test_names_are_known():
    assert list(PROVIDERS) == ["cpu", "cuda", "tensorrt", "directml", "coreml"]
    assert "cpu" in available_providers()
    assert {provider.name for provider in PROVIDERS.values()} <= set(ort.get_all_providers())


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "cpu"])
def test_a_provider_that_is_absent(graph, tiny, provider):
    if provider in available_providers():
        pytest.skip(f"{provider} is there")
    with pytest.raises(ValueError, match=rf"has no provider '{provider}' \(it has .*cpu.*\); onnxruntime.* brings it"):
        open_session(graph, provider)
    with pytest.raises(ValueError, match=f"has no provider '{provider}'"):
        load_ort_model(tiny.export("translator"), provider=provider)


def test_an_unknown_provider(graph):
    with pytest.raises(ValueError, match="no provider 'npu'; choose cpu, cuda, tensorrt, directml, coreml or auto"):
        open_session(graph, "npu")


def test_auto_takes_what_starts(graph, monkeypatch):
    """A provider that is built in but does not start is passed over by ``auto``, and an error for who names it."""
    monkeypatch.setattr(
        module.ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    session = ort.InferenceSession

    def falls_back(path, sess_options, providers):
        return session(path, sess_options=sess_options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(module.ort, "InferenceSession", falls_back)
    assert provider_of(open_session(graph, "auto")) == "cpu"
    with pytest.raises(ValueError, match="'cuda' did not start here"):
        open_session(graph, "cuda")


def test_tensorrt_is_half_precision_with_a_cache(graph, monkeypatch, tmp_path):
    asked = {}
    names = [PROVIDERS[name].name for name in ("tensorrt", "cuda", "cpu")]
    monkeypatch.setattr(module.ort, "get_available_providers", lambda: names)

    class Session:
        def __init__(self, path, sess_options, providers):
            asked.update(providers)

        def get_providers(self):
            return list(asked)

    monkeypatch.setattr(module.ort, "InferenceSession", Session)
    open_session(graph, "tensorrt", engine_cache=tmp_path / "engines")
    assert list(asked) == names
    assert asked[names[0]] == {
        "trt_fp16_enable": True, "trt_engine_cache_enable": True, "trt_engine_cache_path": str(tmp_path / "engines"),
    }  # fmt: skip
    assert (tmp_path / "engines").is_dir()
    asked.clear()
    open_session(graph, "auto")
    assert list(asked) == names[1:]


def test_what_has_run_is_read_from_the_profile(graph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = {one.name: one.shape for one in ort.InferenceSession(str(graph)).get_inputs()}
    feeds = {
        "input_values": np.zeros((1, 7, inputs["input_values"][-1]), np.float32),
        "attention_mask": np.ones((1, 7), np.int64),
    }
    ran = ran_on(graph, "cpu", feeds)
    assert list(ran) == ["cpu"] and ran["cpu"] > 5
    assert ran_on(graph) == ran  # inputs are made where none are given
    assert list(tmp_path.iterdir()) == []


def test_sessions_take_as_many_threads_as_torch(graph):
    options = open_session(graph).get_session_options()
    assert options.intra_op_num_threads == torch.get_num_threads()
    assert open_session(graph, num_threads=3).get_session_options().intra_op_num_threads == 3
