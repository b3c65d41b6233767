"""The metric gloss_wer: the numbers of jiwer, honest intervals, and the ways to call it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.metrics.gloss_wer import gloss_wer as module
from signlang_hf.metrics.gloss_wer.gloss_wer import GlossWer, error_counts, gloss_wer

FOLDER = Path(module.__file__).parent
PARTS = ("substitutions", "deletions", "insertions", "hits")


def random_pairs(n: int, words: int, longest: int, seed: int) -> tuple[list[str], list[str]]:
    """References of 1 to ``longest`` words out of ``words`` and predictions of any length; few words make many ties."""
    rng = np.random.default_rng(seed)

    def sentence(shortest: int) -> str:
        return " ".join(f"W{word}" for word in rng.integers(words, size=rng.integers(shortest, longest + 1)))

    return [sentence(0) for _ in range(n)], [sentence(1) for _ in range(n)]


def disturbed(sentences: list[str], seed: int) -> list[str]:
    """Copies in which words are missing, doubled, exchanged or shuffled, as in a weak recogniser's output."""
    rng, copies = np.random.default_rng(seed), []
    for sentence in sentences:
        words = [word for word in sentence.split() for _ in range(rng.choice(3, p=[0.1, 0.8, 0.1]))]
        if rng.random() < 0.3:
            rng.shuffle(words)
        copies.append(" ".join("UND" if rng.random() < 0.15 else word for word in words))
    return copies


def phoenix_glosses(folder: Path) -> list[str]:
    path = folder / "phoenix14t-gloss-text" / "test.tsv"
    if not path.is_file():
        pytest.skip(f"PHOENIX-2014T's sentences not found: {path}")
    with path.open(encoding="utf-8", newline="") as stream:
        return [row["gloss"] for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)]


def assert_as_in_jiwer(predictions: list[str], references: list[str]) -> dict[str, float]:
    jiwer = pytest.importorskip("jiwer")
    found = gloss_wer(predictions, references, num_resamples=0)
    expected = jiwer.process_words(references, predictions)
    assert found["wer"] == pytest.approx(expected.wer, rel=0, abs=1e-9)
    assert {name: found[name] for name in PARTS} == {name: getattr(expected, name) for name in PARTS}
    each = [jiwer.process_words(*pair) for pair in zip(references, predictions)]
    assert error_counts(predictions, references).tolist() == [[getattr(one, name) for name in PARTS] for one in each]
    assert found["mean_sample_wer"] == pytest.approx(np.mean([one.wer for one in each]), rel=0, abs=1e-9)
    assert found["sentence_accuracy"] == np.mean([p == r for p, r in zip(predictions, references)])
    return found


@pytest.mark.parametrize(("words", "longest"), [(2, 12), (4, 9), (30, 15), (3, 90)])
def test_500_random_pairs_as_in_jiwer(words, longest):
    assert_as_in_jiwer(*random_pairs(500 if longest < 20 else 30, words, longest, seed=words))


def test_a_real_corpus_as_in_jiwer(signlang_data):
    references = phoenix_glosses(signlang_data)
    assert len(references) == 642
    found = assert_as_in_jiwer(disturbed(references, 0), references)
    assert 0.2 < found["wer"] < 0.8 and all(found[name] > 100 for name in PARTS)
    shuffled = [references[i] for i in np.random.default_rng(1).permutation(642)]
    assert assert_as_in_jiwer(shuffled, references)["wer"] > 0.7
    assert assert_as_in_jiwer(references, references)["wer"] == 0


def test_numbers_made_by_hand():
    found = gloss_wer(["I GO", "TODAY RAIN HEAVY", ""], ["I GO HOME", "RAIN", "SUN"], num_resamples=0)
    assert found == {
        "wer": 4 / 5, "substitutions": 0, "deletions": 2, "insertions": 2, "hits": 3, "n_words": 5, "n": 3,
        "mean_sample_wer": pytest.approx((1 / 3 + 2 + 1) / 3), "sentence_accuracy": 0.0,
    }  # fmt: skip


@lru_cache
def _costs(reference: tuple[str, ...], prediction: tuple[str, ...]) -> frozenset[tuple[int, int, int]]:
    """Substitutions, deletions and insertions of every shortest alignment, by trying all of them."""
    if not reference or not prediction:
        return frozenset({(0, len(reference), len(prediction))})
    ways = {(s + (reference[-1] != prediction[-1]), d, i) for s, d, i in _costs(reference[:-1], prediction[:-1])}
    ways |= {(s, d + 1, i) for s, d, i in _costs(reference[:-1], prediction)}
    ways |= {(s, d, i + 1) for s, d, i in _costs(reference, prediction[:-1])}
    shortest = min(map(sum, ways))
    return frozenset(way for way in ways if sum(way) == shortest)


def test_the_parts_are_those_of_a_shortest_alignment():
    predictions, references = random_pairs(300, 2, 7, seed=9)
    counts = error_counts(predictions, references).tolist()
    ties = 0
    for prediction, reference, (*parts, hits) in zip(predictions, references, counts):
        ways = _costs(tuple(reference.split()), tuple(prediction.split()))
        assert tuple(parts) in ways and parts[0] + parts[1] + hits == len(reference.split())
        ties += len(ways) > 1
    assert ties > 20


def test_lists_strings_and_case():
    assert gloss_wer([["A", "B"]], ["A  B\n"]) == gloss_wer(["A B"], [("A", "B")])
    assert gloss_wer([["GOOD MORNING"]], [["GOOD MORNING"]])["n_words"] == 1
    assert gloss_wer(["house Ärger"], ["HOUSE ÄRGER"])["wer"] == 1
    assert gloss_wer(["house Ärger"], ["HOUSE ÄRGER"], ignore_case=True)["wer"] == 0


def test_a_reference_without_glosses_counts_in_the_corpus_alone():
    found = gloss_wer(["X", "A"], ["", "A"])
    assert (found["wer"], found["insertions"], found["mean_sample_wer"], found["sentence_accuracy"]) == (1, 1, 0, 0.5)
    assert gloss_wer(["", "A"], ["", "A"])["sentence_accuracy"] == 1


def test_the_interval_is_deterministic_and_holds_the_value():
    references = [f"A B C D{i}" for i in range(400)]
    predictions = [r if i % 5 else r.replace("B ", "X ") for i, r in enumerate(references)]
    found = gloss_wer(predictions, references)
    assert found == gloss_wer(predictions, references) != gloss_wer(predictions, references, seed=1)
    assert found["wer_low"] < found["wer"] == 0.05 < found["wer_high"]
    # One sentence in five has one of its four glosses wrong: a quarter of a binomial share.
    width = 2 * 1.96 * np.sqrt(0.2 * 0.8 / 400) / 4
    assert found["wer_high"] - found["wer_low"] == pytest.approx(width, rel=0.1)
    narrow = gloss_wer(predictions, references, confidence=0.5)
    assert narrow["wer_high"] - narrow["wer_low"] < 0.5 * width


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["A"], ["A", "B"], "There are 1 predictions and 2 references"),
        ([], [], "at least one"),
        ("A B", ["A", "B"], "predictions is one string; give a list"),
        (["A", None], ["A", "B"], "Prediction 1 is None; it must be a string or a list of strings"),
        (["A"], [["A", 3]], r"Reference 0 is \['A', 3\]"),
        (["A", "B"], ["", []], "None of the 2 references holds a gloss"),
    ],
)
def test_what_cannot_be_measured_says_so(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        gloss_wer(predictions, references)


# -------------------------------------------------------------------------------------------------- as an evaluate module


@pytest.mark.parametrize("split_predictions", [False, True])
@pytest.mark.parametrize("split_references", [False, True])
def test_metric_class_takes_lists_and_strings(tmp_path, split_predictions, split_references):
    predictions, references = random_pairs(20, 4, 6, seed=3)
    expected = gloss_wer(predictions, references, num_resamples=50)
    predictions = [p.split() for p in predictions] if split_predictions else predictions
    references = [r.split() for r in references] if split_references else references
    metric = GlossWer(cache_dir=str(tmp_path))
    found = metric.compute(predictions=predictions, references=references, num_resamples=50)
    assert found == pytest.approx(expected) and "insertions" in metric.inputs_description


def test_evaluate_loads_it_offline_by_path_without_the_library(tmp_path):
    predictions, references = random_pairs(30, 5, 8, seed=4)
    script = """
import json, sys
sys.modules["signlang_hf"] = None
import evaluate
metric = evaluate.load(sys.argv[1])
predictions, references = json.loads(sys.argv[2])
metric.add_batch(predictions=predictions[:20], references=references[:20])
metric.add_batch(predictions=predictions[20:], references=references[20:])
print(json.dumps(metric.compute(num_resamples=50)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER), json.dumps([predictions, references])],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(gloss_wer(predictions, references, num_resamples=50))
