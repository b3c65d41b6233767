"""The keypoint detector in onnxruntime: the pipeline, the second look at the hands, and the pose estimator."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_detector import spots
from transformers import pipeline

from signlang_hf.export import ORTModelForSignKeypoints, load_ort_pipeline
from signlang_hf.export.estimator import FACTORY, ORTHeatmapEstimator
from signlang_hf.pose import HeatmapEstimator, estimate_frames
from signlang_hf.pose.worker import load_estimator

pytestmark = pytest.mark.optimum


def same_points(one, other, atol=0.05):
    assert [point["name"] for point in one["keypoints"]] == [point["name"] for point in other["keypoints"]]
    for key in ("x", "y", "score"):
        theirs = [point[key] for point in other["keypoints"]]
        np.testing.assert_allclose([point[key] for point in one["keypoints"]], theirs, atol=atol)


def test_the_same_points_and_the_second_look(tiny):
    folder = str(tiny.export("detector"))
    pipe = pipeline(
        "sign-keypoint-detection", model=ORTModelForSignKeypoints.from_pretrained(folder), image_processor=folder
    )
    assert isinstance(pipe.second_look.model, ORTModelForSignKeypoints)
    expected = pipeline("sign-keypoint-detection", model=str(tiny.source("detector")))
    pictures = [spots(), spots(((0.7, 0.5), (0.5, 0.6), (0.2, 0.2)))]
    for one, other in zip(pipe(pictures, batch_size=2, threshold=0.0), expected(pictures, threshold=0.0)):
        same_points(one, other)
    once = pipe(pictures[0], hands=False, threshold=0.0)
    same_points(once, expected(pictures[0], hands=False, threshold=0.0))
    assert once != pipe(pictures[0], threshold=0.0)


def test_without_hands_and_with_simcc(tiny):
    pipe = load_ort_pipeline("sign-keypoint-detection", str(tiny.export("simcc")))
    assert not pipe.second_look
    expected = pipeline("sign-keypoint-detection", model=str(tiny.source("simcc")))
    same_points(pipe(spots(), threshold=0.0), expected(spots(), threshold=0.0))


@pytest.mark.parametrize("hands", [True, False])
def test_estimator(tiny, hands):
    options = {"hands": hands, "confidence": 0.0, "smooth": False}
    ours = load_estimator(FACTORY, {"model": str(tiny.export("detector")), **options})
    assert isinstance(ours, ORTHeatmapEstimator) and ours.description.endswith("onnxruntime")
    assert (ours._second_look is not None) == hands
    frames = np.stack([spots(((0.3 + 0.02 * step, 0.5), (0.5, 0.6), (0.2, 0.2))) for step in range(10)])
    theirs = HeatmapEstimator(tiny.source("detector"), device="cpu", **options)
    one, other = estimate_frames(frames, ours), estimate_frames(frames, theirs)
    np.testing.assert_allclose(one.data, other.data, atol=1e-3)
    np.testing.assert_allclose(one.visibility, other.visibility, atol=1e-4)


def test_what_the_estimator_refuses(tiny):
    with pytest.raises(ValueError, match="has no ONNX model"):
        ORTHeatmapEstimator(tiny.source("detector"))
    with pytest.raises(ValueError, match="exported to ONNX"):
        HeatmapEstimator(tiny.export("detector"))
    with pytest.raises(ValueError, match="no provider 'npu'"):
        ORTHeatmapEstimator(tiny.export("detector"), provider="npu")
