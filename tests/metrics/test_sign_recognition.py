"""The metric sign_recognition: right numbers, honest intervals, and the ways to call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.metrics.sign_recognition import sign_recognition as module
from signlang_hf.metrics.sign_recognition.sign_recognition import SignRecognition, sign_recognition

FOLDER = Path(module.__file__).parent
NAMES = ("accuracy", "top5_accuracy", "macro_f1")


def scores_and_truth(n: int = 300, classes: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are right in about half of the clips; classes are not equally frequent."""
    rng = np.random.default_rng(seed)
    truth = np.minimum(rng.geometric(0.2, n) - 1, classes - 1)
    scores = rng.normal(size=(n, classes))
    scores[np.arange(n), truth] += 1.8
    return scores, truth


def test_numbers_made_by_hand():
    scores = np.array(
        [
            [9, 1, 2, 3, 4, 5, 6],  # right
            [9, 8, 0, 0, 0, 0, 1],  # second
            [5, 4, 3, 2, 1, 0, 6],  # of class 5: seventh
            [0, 1, 2, 9, 3, 4, 5],  # right
        ]
    )
    result = sign_recognition(scores, np.array([0, 1, 5, 3]), num_resamples=0)
    # F1: class 0 = 2·1/(2 predicted + 1 true), class 3 = 1; classes 1, 5 and 6 have none right.
    assert result == {"accuracy": 0.5, "top5_accuracy": 0.75, "macro_f1": pytest.approx((2 / 3 + 1) / 5), "n": 4}


@pytest.mark.parametrize("classes", [2, 5, 12])
def test_the_same_as_scikit_learn(classes):
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, truth = scores_and_truth(classes=classes)
    result = sign_recognition(scores, truth, num_resamples=0)
    predicted = scores.argmax(axis=1)
    assert result["accuracy"] == pytest.approx(sklearn.accuracy_score(truth, predicted))
    assert result["macro_f1"] == pytest.approx(sklearn.f1_score(truth, predicted, average="macro"))
    if classes > 5:
        top5 = sklearn.top_k_accuracy_score(truth, scores, k=5, labels=np.arange(classes))
        assert result["top5_accuracy"] == pytest.approx(top5)
    else:
        assert result["top5_accuracy"] == 1.0


def test_classes_that_occur_nowhere_do_not_count():
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, truth = scores_and_truth(classes=4)
    wide = np.concatenate([scores, np.full((len(scores), 3), -np.inf)], axis=1)
    assert sign_recognition(wide, truth, num_resamples=0)["macro_f1"] == pytest.approx(
        sklearn.f1_score(truth, scores.argmax(axis=1), average="macro")
    )


def test_equal_scores_count_as_in_argmax():
    scores, truth = np.zeros((14, 7)), np.arange(14) % 7
    result = sign_recognition(scores, truth, num_resamples=0)
    assert result["accuracy"] == pytest.approx(1 / 7) and result["top5_accuracy"] == pytest.approx(5 / 7)
    for seed in range(20):
        coarse = np.random.default_rng(seed).integers(0, 3, (40, 9))
        truth = np.random.default_rng(seed + 100).integers(0, 9, 40)
        result = sign_recognition(coarse, truth, num_resamples=0)
        assert result["accuracy"] == (coarse.argmax(axis=1) == truth).mean() <= result["top5_accuracy"]


def test_intervals_are_deterministic_and_hold_the_value():
    scores, truth = scores_and_truth()
    result = sign_recognition(scores, truth)
    assert result == sign_recognition(scores, truth) and result["n"] == 300
    for name in NAMES:
        assert 0 <= result[f"{name}_low"] < result[name] < result[f"{name}_high"] <= 1
    assert result != sign_recognition(scores, truth, seed=1)
    narrow = sign_recognition(scores, truth, confidence=0.5)
    many = sign_recognition(*scores_and_truth(3000))
    for name in NAMES:
        width = result[f"{name}_high"] - result[f"{name}_low"]
        assert narrow[f"{name}_high"] - narrow[f"{name}_low"] < 0.7 * width
        assert many[f"{name}_high"] - many[f"{name}_low"] < 0.5 * width
    normal = 2 * 1.96 * np.sqrt(many["accuracy"] * (1 - many["accuracy"]) / 3000)  # width by the normal approximation
    assert many["accuracy_high"] - many["accuracy_low"] == pytest.approx(normal, rel=0.08)
    assert set(sign_recognition(scores, truth, num_resamples=0)) == {*NAMES, "n"}


def test_intervals_cover_the_true_accuracy_about_as_often_as_they_say():
    rng, covered, runs = np.random.default_rng(5), 0, 200
    for _ in range(runs):
        truth = rng.integers(0, 6, 120)
        scores = np.eye(6)[np.where(rng.random(120) < 0.7, truth, (truth + 1) % 6)]
        result = sign_recognition(scores, truth, num_resamples=200)
        covered += result["accuracy_low"] <= 0.7 <= result["accuracy_high"]
    assert 0.88 <= covered / runs <= 0.99


def test_perfect_and_hopeless_models():
    truth = np.arange(30) % 10
    perfect = sign_recognition(np.eye(10)[truth], truth)
    assert all(perfect[name] == perfect[f"{name}_low"] == perfect[f"{name}_high"] == 1 for name in NAMES)
    hopeless = sign_recognition(-np.eye(10)[truth], truth)
    assert all(hopeless[name] == hopeless[f"{name}_high"] == 0 for name in NAMES)


def test_many_classes_and_clips_take_seconds():
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    sign_recognition(rng.normal(size=(2000, 2000)), rng.integers(0, 2000, 2000))
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("scores", "references", "message"),
    [
        (np.zeros(3), [0, 0, 0], r"Scores \(3,\) and references \(3,\) must be \(N, C\) and \(N,\)"),
        (np.zeros((3, 4)), [0, 0], r"Scores \(3, 4\) and references \(2,\)"),
        (np.zeros((3, 4)), [[0], [0], [0]], r"references \(3, 1\)"),
        (np.zeros((0, 4)), [], "N at least 1"),
        (np.zeros((3, 4)), [0, 1, 4], "References run from 0 to 4; there are 4 classes"),
        (np.zeros((3, 4)), [0, -100, 1], "References run from -100 to 1"),
        (np.array([[0, np.nan], [1, 0], [np.nan, np.nan]]), [0, 1, 1], "2 of 3 clips have scores that are NaN"),
    ],
)
def test_what_cannot_be_measured_says_so(scores, references, message):
    with pytest.raises(ValueError, match=message):
        sign_recognition(scores, references)


# -------------------------------------------------------------------------------------------------- as an evaluate module


def test_metric_class_with_batches_gives_the_same(tmp_path):
    scores, truth = scores_and_truth(60)
    expected = sign_recognition(scores, truth, num_resamples=50, seed=3)
    metric = SignRecognition(cache_dir=str(tmp_path))
    assert metric.compute(predictions=scores, references=truth, num_resamples=50, seed=3) == pytest.approx(expected)
    for start in range(0, 60, 25):
        metric.add_batch(predictions=scores[start : start + 25], references=truth[start : start + 25])
    assert metric.compute(num_resamples=50, seed=3) == pytest.approx(expected)
    assert "macro-averaged F1" in metric.description and "num_resamples" in metric.inputs_description


def test_evaluate_loads_it_offline_by_path_without_the_library(tmp_path):
    scores, truth = scores_and_truth(60)
    np.savez(tmp_path / "data.npz", scores=scores, truth=truth)
    script = """
import json, sys
sys.modules["signlang_hf"] = None
import evaluate, numpy as np
data = np.load(sys.argv[2])
metric = evaluate.load(sys.argv[1])
metric.add_batch(predictions=data["scores"], references=data["truth"])
print(json.dumps(metric.compute(num_resamples=50)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER), str(tmp_path / "data.npz")],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(sign_recognition(scores, truth, num_resamples=50))
