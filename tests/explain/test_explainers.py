"""Explainers: where heat falls, on models whose evidence is known, and on every family."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cheap_pose import CheapEstimator, tiny_frames
from tiny_model import LABELS, tiny_clip, tiny_model

from signlang_hf import GradCAMExplainer, IntegratedGradientsExplainer, SignKeypointProcessor, get_layout
from signlang_hf.explain import EXPLAINERS, get_explainer
from signlang_hf.explain.regions import region_of, regions
from signlang_hf.models import _FAMILIES
from signlang_hf.video import as_video, write_video

METHODS = pytest.mark.parametrize("method", list(EXPLAINERS))
KEYPOINT_FAMILIES = {
    config: classifier for config, _, _, classifier, processor in _FAMILIES if processor is SignKeypointProcessor
}
TIP = "right_hand_index_tip"


class KnownModel(torch.nn.Module):
    """Its logits are the mean over time of one feature, times 3 for ``yes`` and times -3 for ``no``: evidence in a known place."""

    def __init__(self, processor: SignKeypointProcessor, column: int) -> None:
        super().__init__()
        self.config = SimpleNamespace(
            input_size=processor.feature_size, id2label={0: "no", 1: "yes"}, logit_temperature=2.0
        )
        self.device = torch.device("cpu")
        self.weights = torch.nn.Parameter(torch.zeros(processor.feature_size, 2))
        with torch.no_grad():
            self.weights[column, 1] = 3.0
            self.weights[column, 0] = -3.0
        self.encoder = torch.nn.Module()
        self.encoder.forward = lambda values: SimpleNamespace(last_hidden_state=values @ self.weights)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.encoder(values).last_hidden_state.mean(dim=1))


@pytest.fixture(scope="module")
def processor() -> SignKeypointProcessor:
    return SignKeypointProcessor(layout="isl-48", normalization="none", target_fps=None)


@pytest.fixture(scope="module")
def explained() -> tuple[Any, SignKeypointProcessor]:
    """A real tiny model with random weights."""
    processor = SignKeypointProcessor(layout="isl-48")
    return tiny_model(processor.feature_size), processor


# ---------------------------------------------------------------------------------------------------------- known evidence


@METHODS
def test_heat_falls_on_the_one_point_that_counts_and_when_it_does(processor, method):
    column = 3 * get_layout("isl-48").index[TIP]
    clip = tiny_clip(20)
    data = clip.data.copy()
    data[:8, :, 0], data[8:, :, 0] = -data[:8, :, 0], data[8:, :, 0]  # x speaks against the label first, then for it
    clip = clip.replace(data=data, visibility=None)
    explanation = EXPLAINERS[method](KnownModel(processor, column), processor).generate(clip, label="yes")
    assert explanation.method == method and (explanation.label, explanation.label_id) == ("yes", 1)
    hot = np.argwhere(explanation.heat > 0)
    assert {clip.spec.points[point] for _, point in hot} == {TIP}
    assert set(hot[:, 0]) == set(range(8, 20))
    assert explanation.heat.shape == (20, 48) and explanation.heat.dtype == np.float32 and explanation.heat.max() == 1
    order = np.argsort(data[8:, get_layout("isl-48").index[TIP], 0])
    np.testing.assert_array_equal(np.argsort(explanation.frame_weights[8:]), order)
    assert explanation.parts["right hand"].max() == 1 and explanation.parts["left hand"].max() == 0
    assert explanation.point_weights[clip.spec.index[TIP]] == 1


def test_integrated_gradients_add_up_to_what_the_logit_gains(processor):
    column = 3 * get_layout("isl-48").index[TIP]
    model = KnownModel(processor, column)
    inputs = processor(tiny_clip(20), return_tensors="pt")
    heat = IntegratedGradientsExplainer(model, processor).attribute(inputs["input_values"], inputs["attention_mask"], 1)
    gain = model(inputs["input_values"], None).logits[0, 1]
    torch.testing.assert_close(heat.sum(), gain.detach())


@METHODS
def test_another_clock_layout_and_side_come_back_to_the_clip(method):
    """A left-handed signer at 50 fps with a face, mirrored and resampled for a model of right hands."""
    processor = SignKeypointProcessor(
        layout="hands-42", normalization="none", target_fps=20, dominant_hand="right", max_frames=12
    )
    model = KnownModel(processor, 3 * get_layout("hands-42").index[TIP])
    clip = tiny_clip(60, layout="mediapipe-holistic", fps=50)
    data = clip.data.copy()
    data[:, list(clip.spec.parts["right_hand"])] = np.nan
    clip = clip.replace(data=data, visibility=None)
    explanation = EXPLAINERS[method](model, processor).generate(clip, label="yes")
    assert {clip.spec.points[k] for k in np.flatnonzero(explanation.point_weights)} == {"left_hand_index_tip"}
    assert (explanation.heat[:, clip.spec.index["left_hand_index_tip"]] > 0).all()
    looked_at = {clip.spec.points[k] for k in np.flatnonzero(explanation.looked_at)}
    assert looked_at == set(get_layout("hands-42").points)
    assert list(explanation.parts) == ["right hand", "left hand"] and np.isnan(explanation.parts["right hand"]).all()


@METHODS
def test_nothing_speaks_for_the_label(processor, method):
    model = KnownModel(processor, 3 * get_layout("isl-48").index[TIP])
    explanation = EXPLAINERS[method](model, processor).generate(tiny_clip(12), label="no")
    assert not explanation.heat.any() and explanation.summary()["points"] == {}


def test_score_is_calibrated(processor):
    model = KnownModel(processor, 3 * get_layout("isl-48").index[TIP])
    clip = tiny_clip(12)
    with torch.no_grad():
        logits = model(processor(clip, return_tensors="pt")["input_values"], None).logits[0]
    explanation = GradCAMExplainer(model, processor).generate(clip)
    assert explanation.label == "yes"
    assert explanation.score == pytest.approx(float((logits / 2).softmax(-1)[1]))


# ------------------------------------------------------------------------------------------------------------- every family


@METHODS
@pytest.mark.parametrize("family", KEYPOINT_FAMILIES, ids=lambda family: family.model_type)
def test_every_family_can_be_explained(family, method):
    processor = SignKeypointProcessor(layout="isl-48", max_frames=16)
    torch.manual_seed(0)
    config = family(input_size=processor.feature_size, embedding_size=16, initializer_range=0.1, num_labels=4)
    model = KEYPOINT_FAMILIES[family](config).train()
    options = {"steps": 4} if method == "integrated-gradients" else {}
    explainer = EXPLAINERS[method](model, processor, **options)
    clip = tiny_clip(20)
    explanation = explainer.generate(clip, label=2)
    assert explanation.heat.shape == (20, 48) and explanation.heat.max() == 1 and explanation.heat.min() == 0
    assert np.isfinite(explanation.heat).all()
    assert explanation.looked_at.all()
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    model.eval()
    with torch.inference_mode():
        again = explainer.generate(clip, label=2)
    np.testing.assert_allclose(again.heat, explanation.heat, atol=1e-5)


@METHODS
def test_cudnn_is_off_while_gradients_are_taken(explained, method, monkeypatch):
    """Its recurrent layers give none in evaluation mode."""
    seen = []
    monkeypatch.setattr(
        EXPLAINERS[method], "attribute",
        lambda self, values, *_: seen.append(torch.backends.cudnn.enabled) or values.new_zeros(values.shape[1], 48),
    )  # fmt: skip
    EXPLAINERS[method](*explained).generate(tiny_clip())
    assert seen == [False] and torch.backends.cudnn.enabled


# ------------------------------------------------------------------------------------------------------------------ inputs


def test_labels_by_name_by_number_and_by_default(explained):
    explainer, clip = GradCAMExplainer(*explained), tiny_clip()
    answered = explainer.generate(clip)
    by_number = explainer.generate(clip, label=LABELS.index(answered.label))
    np.testing.assert_array_equal(answered.heat, by_number.heat)
    other = explainer.generate(clip, label="thanks")
    assert other.label == "thanks" and other.score < answered.score
    assert np.abs(other.heat - answered.heat).max() > 0.1


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("docter", "no label 'docter' among its 6; did you mean doctor?"),
        ("zzz", "it knows doctor, hello, thanks, today, tomorrow, yes."),
        (6, "no label 6 among its 6"),
        (-1, "no label -1"),
    ],
)
def test_unknown_label(explained, label, said):
    with pytest.raises(ValueError, match="The model has") as error:
        GradCAMExplainer(*explained).generate("no such file.mp4", label=label)  # said before the clip is even opened
    assert said in str(error.value)


def test_clips_that_cannot_be_explained(explained):
    explainer, clip = GradCAMExplainer(*explained), tiny_clip(6)
    with pytest.raises(ValueError, match=r"has 2 frames; heat over time needs at least 3"):
        explainer.generate(clip.frames(slice(0, 2)))
    with pytest.raises(ValueError, match="has 1 frame;"):
        explainer.generate(clip.frames(slice(0, 1)))
    with pytest.raises(ValueError, match="Nobody was found in this clip"):
        explainer.generate(clip.replace(data=np.full_like(clip.data, np.nan), visibility=None))
    with pytest.raises(ValueError, match="'dgs-43' shares no point with layout 'isl-48'"):
        explainer.generate(tiny_clip(6, layout="dgs-43"))
    with pytest.raises(FileNotFoundError, match="not found"):
        explainer.generate("no such file.mp4")
    assert explainer.generate(clip.frames(slice(0, 3))).heat.shape == (3, 48)


def test_models_that_cannot_be_explained(explained):
    model, processor = explained
    for other in (torch.nn.Linear(2, 2), model.encoder, object()):
        with pytest.raises(ValueError, match="Only keypoint models") as error:
            GradCAMExplainer(other, processor)
        assert type(other).__name__ in str(error.value)
    with pytest.raises(ValueError, match=r"takes 144 features a frame, the processor makes 126"):
        GradCAMExplainer(model, SignKeypointProcessor(layout="hands-42", normalization="centroid"))
    with pytest.raises(ValueError, match="the processor makes none"):
        GradCAMExplainer(model, None)
    with pytest.raises(ValueError, match="Unknown method 'shap'; known are gradcam, integrated-gradients"):
        get_explainer("shap")
    with pytest.raises(ValueError, match="steps is 0"):
        IntegratedGradientsExplainer(model, processor, steps=0)


def test_missing_captum_is_one_line(explained, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r'need captum: pip install "signlang-hf\[explain\]"'):
        IntegratedGradientsExplainer(*explained).generate(tiny_clip())


def test_what_heat_is_drawn_onto(explained, tmp_path):
    explainer = GradCAMExplainer(*explained, estimator=CheapEstimator())
    frames = tiny_frames(6)
    path = write_video(tmp_path / "clip.mp4", frames, fps=10)
    landmarks = tiny_clip().save(tmp_path / "clip.npz")
    assert explainer.generate(path).video == path
    assert explainer.generate(str(path)).video == str(path)
    assert explainer.generate(path.read_bytes()).video == path.read_bytes()
    assert explainer.generate({"path": str(path), "bytes": None}).video == str(path)
    video = as_video(frames, fps=10)
    assert explainer.generate(video).video is video
    bare = explainer.generate(frames, fps=10)
    np.testing.assert_array_equal(bare.video.frames, frames)
    np.testing.assert_allclose(bare.sequence.timestamps, bare.video.timestamps)
    assert explainer.generate(landmarks).video is None
    assert explainer.generate(tiny_clip()).video is None


# ----------------------------------------------------------------------------------------------------------------- regions


def test_regions_of_layouts():
    found = regions(get_layout("mediapipe-holistic-face468"))
    assert list(found) == ["head", "right arm", "right hand", "left hand", "left arm", "right leg", "left leg"]
    assert sum(map(len, found.values())) == 75 + 468
    assert len(found["left hand"]) == 21 and len(found["head"]) == 11 + 468
    kinect = regions(get_layout("kinect-20"))
    assert list(kinect) == [
        "head",
        "right arm",
        "right hand",
        "left hand",
        "left arm",
        "trunk",
        "right leg",
        "left leg",
    ]
    assert list(regions(get_layout("dgs-43"))) == ["head", "hand 1", "hand 2"]
    assert list(regions(get_layout("boston-3"))) == ["head", "right hand", "left hand"]
    assert len(regions(get_layout("coco-wholebody-133"))["head"]) == 5 + 68


@pytest.mark.parametrize(
    ("point", "region"),
    [
        ("left_thumb", "left arm"), ("right_hand_thumb_tip", "right hand"), ("mouth_left", "head"), ("hip_center", "trunk"),
        ("left_heel", "left leg"), ("p17", "body"), ("antenna", "body"),
    ],
)  # fmt: skip
def test_region_of_a_point(point, region):
    assert region_of(point) == region
