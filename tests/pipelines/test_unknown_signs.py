"""pipeline("sign-recognition") on signs outside the vocabulary, calibrated scores, embeddings, and models of other families."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cheap_pose import tiny_frames
from tiny_model import LABELS, same_result, tiny_clip
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from signlang_hf import LandmarkSequence, SignRecognitionPipeline
from signlang_hf.metrics.open_set.open_set import knownness
from signlang_hf.video import VideoWarning


@pytest.fixture
def setting(loaded, monkeypatch):
    """``setting(unknown_threshold=0.5, …)`` for this test alone."""

    def change(**settings):
        for name, value in settings.items():
            monkeypatch.setattr(loaded.model.config, name, value)

    return change


@pytest.fixture(scope="session")
def logits(loaded):
    """Logits (1, 6) of a clip."""

    def compute(clip):
        with torch.no_grad():
            return loaded.model(**loaded.feature_extractor(clip, return_tensors="pt")).logits.numpy().astype(np.float64)

    return compute


def softmax(values: np.ndarray) -> np.ndarray:
    weights = np.exp(values - values.max())
    return weights / weights.sum()


# ------------------------------------------------------------------------------------------------------------- calibration


def test_scores_are_calibrated_by_the_models_temperature(pipe, setting, logits, agrees):
    setting(logit_temperature=2.5)
    agrees(pipe(tiny_clip(), top_k=6), dict(zip(LABELS, softmax(logits(tiny_clip())[0] / 2.5))))


class Plain(PreTrainedModel):
    """Logits from a function, and a configuration that knows nothing of ours: as an exported model."""

    config_class = PretrainedConfig

    def __init__(self, labels, compute):
        super().__init__(PretrainedConfig(id2label=dict(enumerate(labels))))
        self.compute, self.scale = compute, torch.nn.Parameter(torch.ones(()))
        self.post_init()

    def forward(self, **inputs):
        return ModelOutput(**{name: self.scale * value for name, value in self.compute(**inputs).items()})


def test_models_without_these_settings_still_work(loaded, expected, agrees):
    model = Plain(LABELS, lambda **inputs: {"logits": loaded.model(**inputs).logits})
    pipe = SignRecognitionPipeline(model=model, feature_extractor=loaded.feature_extractor)
    agrees(pipe(tiny_clip()), expected(tiny_clip()))
    assert pipe(tiny_clip(), threshold=1.0)[0]["label"] == "unknown"
    with pytest.raises(ValueError, match="Plain gives no embedding; leave return_embedding out"):
        pipe(tiny_clip(), return_embedding=True)


# ---------------------------------------------------------------------------------------------------------------- unknown


@pytest.mark.parametrize("score", ["probability", "logit", "energy"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_clip_below_the_threshold_is_unknown(pipe, setting, logits, score, temperature):
    setting(unknown_score=score, logit_temperature=temperature)
    known = float(knownness(logits(tiny_clip()), score, temperature)[0])
    step = 0.01 if score == "probability" else 0.5
    closed = pipe(tiny_clip(), top_k=6)
    assert pipe(tiny_clip(), top_k=6, threshold=known - step) == closed
    result = pipe(tiny_clip(), top_k=7, threshold=known + step)
    assert [row["label"] for row in result] == ["unknown", *(row["label"] for row in closed)]
    scores = [row["score"] for row in result]
    assert scores == sorted(scores, reverse=True) and scores[0] > 0.5
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    ratio = [row["score"] / same["score"] for row, same in zip(result[1:], closed)]
    np.testing.assert_allclose(ratio, 1 - scores[0], rtol=1e-4)
    # At the threshold it is even odds, and the less known a clip is, the surer the answer.
    just = pipe(tiny_clip(), threshold=known + 1e-6)[0]
    assert just["label"] == "unknown" and just["score"] == pytest.approx(0.5, abs=1e-3)
    surer = pipe(tiny_clip(), threshold=known + 2 * step)[0]["score"]
    assert surer > scores[0] > just["score"]


def test_the_score_of_unknown_is_what_the_module_says(pipe, setting, logits):
    probability = float(softmax(logits(tiny_clip())[0]).max())
    odds = probability / (1 - probability) / (0.95 / 0.05)
    assert pipe(tiny_clip(), threshold=0.95)[0]["score"] == pytest.approx(1 - odds / (1 + odds), abs=1e-5)
    setting(unknown_score="energy", logit_temperature=2.0)
    energy = float(np.log(np.exp(logits(tiny_clip())[0]).sum()))
    assert pipe(tiny_clip(), threshold=energy + 3)[0]["score"] == pytest.approx(1 / (1 + np.exp(-1.5)), abs=1e-5)


def test_extreme_thresholds(pipe, setting):
    certain = pipe(tiny_clip(), threshold=1)
    assert certain[0] == {"label": "unknown", "score": pytest.approx(1)} and len(certain) == 5
    assert pipe(tiny_clip(), threshold=0) == pipe(tiny_clip(), threshold=None)
    setting(unknown_score="logit")
    assert pipe(tiny_clip(), threshold=1e9)[0]["score"] == 1.0
    assert json.loads(json.dumps(certain)) == certain


def test_the_models_threshold_the_calls_and_none(pipe, setting, model_folder):
    closed = pipe(tiny_clip())
    setting(unknown_threshold=0.999)
    unknown = pipe(tiny_clip())
    assert unknown[0]["label"] == "unknown" and len(unknown) == 5
    assert pipe(tiny_clip(), threshold="model") == unknown
    assert pipe(tiny_clip(), threshold=None) == closed == pipe(tiny_clip(), threshold=0.01)
    assert pipe(tiny_clip(), top_k=1) == unknown[:1]
    assert pipe(tiny_clip(), top_k=2) == unknown[:2]
    # Given once, it holds for all calls that do not say otherwise.
    open_set = SignRecognitionPipeline(model=pipe.model, feature_extractor=pipe.feature_extractor, threshold=None)
    assert open_set(tiny_clip()) == closed and open_set(tiny_clip(), threshold=0.999) == unknown


def test_unknown_and_known_in_one_batch(pipe, logits):
    clips = [tiny_clip(9 + seed, seed) for seed in range(6)]
    best = [float(softmax(logits(clip)[0]).max()) for clip in clips]
    threshold = float(np.median(best))
    results = pipe(clips, batch_size=4, threshold=threshold)
    assert [result[0]["label"] == "unknown" for result in results] == [value < threshold for value in best]
    assert {result[0]["label"] == "unknown" for result in results} == {True, False}
    for clip, result in zip(clips, results):
        same_result(pipe(clip, threshold=threshold), result)


def test_a_saved_threshold_comes_back(pipe, setting, tmp_path):
    from transformers import pipeline

    setting(unknown_threshold=0.999, unknown_score="probability", logit_temperature=1.5)
    pipe.save_pretrained(tmp_path)
    assert pipeline("sign-recognition", model=str(tmp_path))(tiny_clip()) == pipe(tiny_clip())


@pytest.mark.parametrize("threshold", [True, False, "high", float("nan"), float("inf")])
def test_thresholds_that_cannot_be_used(pipe, threshold):
    with pytest.raises(
        ValueError, match=r"threshold is .*; it must be a number, None \(accept every clip\) or 'model'"
    ):
        pipe(tiny_clip(), threshold=threshold)


def test_a_threshold_on_the_wrong_scale(pipe, setting):
    with pytest.raises(
        ValueError, match=r"threshold is 80; this model scores by probability, so it must be in \[0, 1\]"
    ):
        pipe(tiny_clip(), threshold=80)
    setting(unknown_score="energy")
    assert pipe(tiny_clip(), threshold=80)[0]["label"] == "unknown"


# -------------------------------------------------------------------------------------------------------------- embeddings


def test_return_embedding(pipe, loaded):
    plain = pipe(tiny_clip())
    result = pipe(tiny_clip(), return_embedding=True)
    assert [*result] == ["predictions", "embedding"] and result["predictions"] == plain
    with torch.no_grad():
        wanted = loaded.model(**loaded.feature_extractor(tiny_clip(), return_tensors="pt")).embedding[0]
    np.testing.assert_allclose(result["embedding"], wanted, atol=1e-5)
    assert json.loads(json.dumps(result)) == result and len(result["embedding"]) == 16
    assert pipe(tiny_clip(), return_embedding=False) == plain
    unknown = pipe(tiny_clip(), return_embedding=True, threshold=1.0)
    assert unknown["embedding"] == result["embedding"] and unknown["predictions"][0]["label"] == "unknown"


def test_embeddings_of_a_batch_with_nobody_in_one_clip(pipe):
    clips = [tiny_clip(9), np.full((4, 48, 3), np.nan, np.float32), tiny_clip(30, 1)]
    first, nobody, last = pipe(clips, batch_size=3, return_embedding=True)
    assert nobody["embedding"] is None and nobody["predictions"][0]["label"] is None
    np.testing.assert_allclose(first["embedding"], pipe(clips[0], return_embedding=True)["embedding"], atol=1e-5)
    assert first["embedding"] != last["embedding"]


# ---------------------------------------------------------------------------------------- several tensors a clip, short clips


def test_a_processor_of_several_tensors_goes_through(loaded, expected, agrees):
    """As a composite's: each member has its own input, with lengths of their own."""
    members = loaded.feature_extractor

    class Both:
        layout = members.layout
        padding_value = 0.0

        def __call__(self, clip, return_tensors):
            one, two = members(clip, return_tensors="pt"), members(clip.frames(slice(0, None, 2)), return_tensors="pt")
            return {f"{name}_{i}": value for i, part in enumerate((one, two)) for name, value in part.items()}

    def mean(input_values_0, attention_mask_0, input_values_1, attention_mask_1):
        outputs = [loaded.model(input_values_0, attention_mask_0), loaded.model(input_values_1, attention_mask_1)]
        logits = torch.stack([output.logits.log_softmax(-1) for output in outputs]).logsumexp(0)
        return {"logits": logits, "embedding": torch.cat([output.embedding for output in outputs], dim=1)}

    pipe = SignRecognitionPipeline(model=Plain(LABELS, mean), feature_extractor=Both())
    clips = [tiny_clip(20 + 7 * seed, seed) for seed in range(3)]
    for clip, result in zip(clips, pipe(clips, batch_size=3, return_embedding=True)):
        one, two = expected(clip), expected(clip.frames(slice(0, None, 2)))
        agrees(result["predictions"], {label: (one[label] + two[label]) / 2 for label in one})
        assert len(result["embedding"]) == 32


@pytest.mark.parametrize("frames", [1, 2])
def test_a_short_clip_is_answered_with_a_warning(pipe, frames):
    for source in (tiny_clip(frames), tiny_clip(frames).data, tiny_frames(frames)):
        with pytest.warns(VideoWarning, match=f"too short to show a movement \\({frames} of at least 3 frames\\)"):
            assert len(pipe(source)) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe(tiny_clip(3))
    with pytest.raises(ValueError, match="no frames"):
        pipe(LandmarkSequence(np.zeros((0, 48, 3)), "isl-48", units="unknown"))


def test_the_command_prints_unknown_first(pipe, setting, tmp_path, monkeypatch):
    from transformers.utils import logging
    from typer.testing import CliRunner

    from signlang_hf.cli import app

    setting(unknown_threshold=0.999)
    pipe.save_pretrained(tmp_path / "model")
    clip = tiny_clip().save(tmp_path / "clip.npz")
    verbosity = logging.get_verbosity()
    try:
        words = ["recognize", str(clip), "--model", str(tmp_path / "model"), "--top-k", "2"]
        table = CliRunner().invoke(app, words).stdout
        row = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()
    assert row["predictions"][0]["label"] == "unknown" and len(row["predictions"]) == 2
    assert table.index("unknown") < table.index(row["predictions"][1]["label"])
    assert Path(row["file"]) == clip
