"""The paired bootstrap: scores of the metrics themselves, p-values that mean what they say, and the ways to call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from signlang_hf.metrics.gloss_wer.gloss_wer import gloss_wer
from signlang_hf.metrics.significance import significance as module
from signlang_hf.metrics.significance.significance import METRICS, Significance, paired_bootstrap
from signlang_hf.metrics.translation.translation import translation_scores

FOLDER = Path(module.__file__).parent
ROOT = FOLDER.parents[2]


def systems(n: int = 60, errors: tuple[float, float] = (0.2, 0.4), seed: int = 0) -> tuple[list[str], ...]:
    """Two systems with these shares of wrong words, and the references."""
    rng = np.random.default_rng(seed)
    words = np.array([f"w{i}" for i in range(50)])
    references = [rng.choice(words, rng.integers(4, 12)) for _ in range(n)]
    outputs = [[np.where(rng.random(len(r)) < share, rng.choice(words), r) for r in references] for share in errors]
    return tuple([" ".join(sentence) for sentence in part] for part in (*outputs, references))


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_the_metric_and_the_better_system_is_found(metric):
    if metric in ("bleu", "chrf"):
        pytest.importorskip("sacrebleu")
    better, worse, references = systems()
    found = paired_bootstrap(better, worse, references, metric=metric, num_resamples=200)
    measure = gloss_wer if metric in ("wer", "sentence_accuracy") else translation_scores
    for name, output in (("system", better), ("baseline", worse)):
        assert found[name] == pytest.approx(measure(output, references)[metric], rel=0, abs=1e-9)
    assert found["difference"] == found["system"] - found["baseline"]
    assert found["difference_low"] < found["difference"] < found["difference_high"]
    assert found["p_value"] < 0.02 and found["wins"] > 0.97 and found["n"] == 60
    back = paired_bootstrap(worse, better, references, metric=metric, num_resamples=200)
    assert back["difference"] == -found["difference"] and back["p_value"] == found["p_value"] and back["wins"] < 0.03


def test_resamples_are_scored_as_sacrebleu_does(monkeypatch):
    significance = pytest.importorskip("sacrebleu.significance")
    from sacrebleu.metrics import BLEU

    monkeypatch.setenv("SACREBLEU_SEED", "7")
    better, worse, references = systems(40, (0.3, 0.36))
    test = significance.PairedTest(
        [("worse", worse), ("better", better)], {"BLEU": BLEU(force=True)}, [references], "bs", 500
    )
    theirs = test()[1]["BLEU"][1]
    ours = paired_bootstrap(better, worse, references, metric="bleu", num_resamples=500, seed=7)
    assert ours["system"] == pytest.approx(theirs.score, abs=1e-9)
    # Theirs is nearly one-sided, see the module's docstring.
    assert theirs.p_value < ours["p_value"] < 3 * theirs.p_value and 0.005 < theirs.p_value < 0.4


def test_the_p_value_and_the_interval_are_those_of_the_paired_z_test():
    rng = np.random.default_rng(3)
    references = ["A"] * 500
    first, second = rng.random(500) < 0.74, rng.random(500) < 0.7
    outputs = [["A" if right else "B" for right in part] for part in (first, second)]
    found = paired_bootstrap(*outputs, references, metric="sentence_accuracy", num_resamples=4000)
    each = first.astype(float) - second
    error = each.std() / np.sqrt(500)
    assert found["difference"] == pytest.approx(each.mean())
    assert found["p_value"] == pytest.approx(2 * NormalDist().cdf(-abs(each.mean()) / error), rel=0.15)
    assert found["difference_high"] - found["difference_low"] == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_equal_systems_are_called_different_as_rarely_as_the_level_says():
    p_values = []
    for seed in range(120):
        first, second, references = systems(50, (0.3, 0.3), seed=seed)
        p_values.append(paired_bootstrap(first, second, references, num_resamples=200)["p_value"])
    assert np.mean(np.array(p_values) <= 0.1) < 0.2 and 0.35 < np.mean(p_values) < 0.65


def test_pairing_sees_what_separate_intervals_do_not():
    # Sentences are all right or all wrong for both, but for eight that only the first gets right.
    references = ["A B C D"] * 100
    first = ["A B C D" if i % 2 else "X X X X" for i in range(100)]
    second = ["X X X X" if i in range(1, 17, 2) else sentence for i, sentence in enumerate(first)]
    found = paired_bootstrap(first, second, references)
    alone = [gloss_wer(output, references) for output in (first, second)]
    assert alone[0]["wer_high"] > alone[1]["wer_low"] and found["p_value"] < 0.02


def test_the_same_output_twice_and_reproduction():
    better, worse, references = systems(20)
    same = paired_bootstrap(better, better, references)
    assert (same["difference"], same["p_value"], same["wins"]) == (0, 1, 0)
    found = paired_bootstrap(better, worse, references, num_resamples=50)
    assert found == paired_bootstrap(better, worse, references, num_resamples=50)
    assert found != paired_bootstrap(better, worse, references, num_resamples=50, seed=1)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["a"], ["a"], ["a"]), {"metric": "meteor"}, "metric is 'meteor'; choose one of wer, sentence_accuracy"),
        ((["a"], ["a"], ["a"]), {"num_resamples": 0}, "num_resamples is 0"),
        ((["a"], ["a", "b"], ["a"]), {}, "There are 2 predictions and 1 references"),
        ((["a"], ["a"], [""]), {}, "None of the 1 references holds a gloss"),
        (([["a"]], ["a"], ["a"]), {"metric": "rouge_l"}, r"predictions\[0\] is \['a'\]"),
    ],
)
def test_what_cannot_be_compared_says_so(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(*arguments, **options)


def test_metric_class_takes_lists_and_strings(tmp_path):
    better, worse, references = systems(20)
    metric = Significance(cache_dir=str(tmp_path))
    found = metric.compute(
        predictions=[sentence.split() for sentence in better], baseline=worse, references=references, num_resamples=50
    )
    assert found == paired_bootstrap(better, worse, references, num_resamples=50)


def test_evaluate_loads_it_offline_by_path(tmp_path):
    better, worse, references = systems(20)
    script = """
import json, sys
import evaluate
better, worse, references = json.loads(sys.argv[2])
metric = evaluate.load(sys.argv[1])
print(json.dumps(metric.compute(predictions=better, baseline=worse, references=references, num_resamples=50)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER), json.dumps([better, worse, references])],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(paired_bootstrap(better, worse, references, num_resamples=50))
