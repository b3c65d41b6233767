"""Open set and calibration: scores, AUROC, thresholds and temperatures against other ways of computing them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from signlang_hf.metrics.open_set import open_set as module
from signlang_hf.metrics.open_set.open_set import (
    SCORES,
    auroc,
    calibration_error,
    fit_temperature,
    knownness,
    open_set,
    threshold_at,
    threshold_between,
)

FOLDER = Path(module.__file__).parent


def calibrated(n: int = 4000, classes: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true distribution of the labels."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, classes))
    probabilities = torch.from_numpy(logits).softmax(-1).numpy()
    return logits, np.array([rng.choice(classes, p=p) for p in probabilities])


def known_and_unknown(n: int = 300, classes: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and references: two thirds of the clips are of the vocabulary and mostly sure."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    truth[::3] = -1
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), truth] += np.where(truth >= 0, 3.0, 0.0)
    return logits, truth


def test_scores_are_those_of_torch():
    logits, _ = calibrated(50)
    tensor = torch.from_numpy(logits)
    expected = {
        "probability": (tensor / 2.5).softmax(-1).amax(-1),
        "logit": tensor.amax(-1),
        "energy": tensor.logsumexp(-1),
    }
    for score in SCORES:
        np.testing.assert_allclose(knownness(logits, score, 2.5), expected[score].numpy())
    assert np.isfinite(knownness(1e4 * logits, "energy")).all() and knownness(1e4 * logits).max() == 1


@pytest.mark.parametrize("levels", [3, 1000])
def test_auroc_is_that_of_scikit_learn_with_ties_and_without(levels):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    known, unknown = rng.integers(0, levels, 80) + levels // 3, rng.integers(0, levels, 150)
    truth = [1] * 80 + [0] * 150
    assert auroc(known, unknown) == pytest.approx(sklearn.roc_auc_score(truth, [*known, *unknown]))
    assert auroc(known, unknown) + auroc(unknown, known) == pytest.approx(1)


def test_the_threshold_keeps_the_share_and_is_the_highest_that_does():
    rng = np.random.default_rng(2)
    for size in (1, 7, 20, 333):
        for keep in (0.5, 0.9, 0.95, 1.0):
            known = rng.normal(size=size)
            threshold = threshold_at(known, keep)
            assert (known >= threshold).mean() >= keep
            assert (known > threshold).mean() < keep


def test_the_threshold_between_is_the_best_of_all():
    rng = np.random.default_rng(3)
    known, unknown = rng.normal(1.0, size=70), rng.normal(-1.0, 1.5, size=200)

    def balanced(threshold: float) -> float:
        return (known >= threshold).mean() + (unknown < threshold).mean()

    assert balanced(threshold_between(known, unknown)) == max(map(balanced, [*known, *unknown]))
    assert threshold_between([2.0, 3.0], [0.0, 1.0]) == 1.5


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_temperature_of_scaled_logits_is_found_again(scale):
    logits, labels = calibrated()
    assert fit_temperature(scale * logits, labels) == pytest.approx(scale, rel=0.05)


def test_the_temperature_is_the_one_that_gradient_descent_finds():
    logits, labels = calibrated(500, seed=4)
    logits = 3 * logits
    targets = np.eye(7)[labels] * (1 - 1 / 502) + 1 / 502 / 7
    log = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log], max_iter=100, tolerance_change=1e-12)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits) / log.exp(), torch.from_numpy(targets))
        loss.backward()
        return loss

    optimizer.step(step)
    assert fit_temperature(logits, labels) == pytest.approx(log.exp().item(), abs=2e-4)


def test_clips_that_are_all_right_do_not_make_a_model_sure_of_everything():
    few, many = ([fit_temperature(5 * np.eye(4)[np.arange(n) % 4], np.arange(n) % 4)] for n in (8, 8000))
    assert 0.01 < many[0] < few[0]
    assert knownness(5 * np.eye(4), temperature=few[0]).max() < 0.95


def test_a_temperature_mends_the_calibration_error_and_leaves_the_order():
    logits, labels = calibrated()
    overconfident = 4 * logits
    temperature = fit_temperature(overconfident, labels)
    assert calibration_error(overconfident, labels) > 0.15
    assert calibration_error(overconfident, labels, temperature) < 0.03
    assert ((overconfident / temperature).argmax(1) == logits.argmax(1)).all()


def test_the_calibration_error_made_by_hand():
    # Two clips at 0.88 (one right), one at 0.5 (right; of equal labels the first counts): |1 - 1.76| / 3 + |1 - 0.5| / 3.
    sure = np.log(0.88 / 0.12)
    logits, labels = np.array([[sure, 0], [0, sure], [0, 0]]), np.array([0, 0, 0])
    assert calibration_error(logits, labels) == pytest.approx((0.76 + 0.5) / 3)
    assert calibration_error(logits, labels, bins=1) == pytest.approx(abs(2 - 2.26) / 3)


def test_the_metric_agrees_with_its_parts():
    logits, truth = known_and_unknown()
    for score in SCORES:
        found = open_set(logits, truth, score=score, temperature=2.0, keep=0.9)
        known, unknown = (knownness(logits[part], score, 2.0) for part in (truth >= 0, truth < 0))
        assert found["auroc"] == auroc(known, unknown) > 0.8
        assert found["threshold"] == threshold_at(known, 0.9)
        assert found["unknown_accepted"] == (unknown >= found["threshold"]).mean() < 0.6
        assert found["accuracy"] == (logits.argmax(1) == truth).sum() / 200
        assert (found["n_known"], found["n_unknown"]) == (200, 100)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: knownness(np.zeros((2, 3)), "distance"),
            "score is 'distance'; choose one of probability, logit, energy",
        ),
        (lambda: knownness(np.zeros((2, 3)), temperature=0), "temperature is 0; it must be positive"),
        (lambda: auroc([], [1.0]), "There are no known clips"),
        (lambda: auroc([1.0], [np.nan, 2.0]), "1 of 2 unknown clips have scores that are NaN"),
        (lambda: threshold_at([1.0], keep=0), r"keep is 0; it must be in \(0, 1\]"),
        (lambda: fit_temperature(np.zeros((2, 3)), [0, 3]), "Labels run from 0 to 3; there are 3 classes"),
        (lambda: fit_temperature(np.zeros((2, 3)), [0]), r"Logits \(2, 3\) and labels \(1,\) must be"),
        (lambda: fit_temperature(np.zeros((0, 3)), []), "N at least 1"),
        (lambda: calibration_error([[0, np.nan]], [0]), "1 of 1 clips have logits that are NaN"),
    ],
)
def test_what_cannot_be_measured_says_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_evaluate_loads_it_offline_by_path_without_the_library(tmp_path):
    logits, truth = known_and_unknown(90)
    np.savez(tmp_path / "data.npz", logits=logits, truth=truth)
    script = """
import json, sys
sys.modules["signlang_hf"] = None
import evaluate, numpy as np
data = np.load(sys.argv[2])
metric = evaluate.load(sys.argv[1])
print(json.dumps(metric.compute(predictions=data["logits"], references=data["truth"], score="energy")))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER), str(tmp_path / "data.npz")],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(open_set(logits, truth, score="energy"))


def test_the_functions_need_numpy_alone():
    script = "import sys\nfor name in ('evaluate', 'datasets', 'torch'): sys.modules[name] = None\n"
    script += f"import runpy; runpy.run_path({module.__file__!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
