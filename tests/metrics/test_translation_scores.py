"""The metric translation: SacreBLEU's numbers, the ROUGE-L of the sign translation papers, and the ways to call it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.metrics.translation import translation as module
from signlang_hf.metrics.translation.translation import (
    Translation,
    longest_common_subsequence,
    rouge_l_scores,
    translation_scores,
)

sacrebleu = pytest.importorskip("sacrebleu")
FOLDER = Path(module.__file__).parent


def random_pairs(n: int, words: int, seed: int) -> tuple[list[str], list[str]]:
    """Sentences with punctuation, case and numbers, and predictions that share a part of them; one prediction is empty."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array([f"{'Wa' if i % 3 else 'wä'}{i}{'.,!'[i % 3] if i % 5 == 0 else ''}" for i in range(words)])
    references = [rng.choice(vocabulary, rng.integers(1, 15)) for _ in range(n)]
    predictions = [
        np.where(rng.random(len(r)) < 0.7, r, rng.choice(vocabulary, len(r)))[rng.integers(2) :] for r in references
    ]
    predictions[0] = np.array([], str)
    return [" ".join(p) for p in predictions], [" ".join(r) for r in references]


def assert_as_in_sacrebleu(predictions: list[str], references: list[str], **options: object) -> dict:
    found = translation_scores(predictions, references, **options)
    for order in (1, 2, 3, 4):
        bleu = sacrebleu.BLEU(max_ngram_order=order, **options)
        score = bleu.corpus_score(predictions, [references]).score
        assert found[f"bleu{order}"] == pytest.approx(score, rel=0, abs=1e-9)
    assert found["bleu"] == found["bleu4"] and found["signature"] == str(bleu.get_signature())
    chrf = sacrebleu.CHRF(lowercase=options.get("lowercase", False))
    assert found["chrf"] == pytest.approx(chrf.corpus_score(predictions, [references]).score, rel=0, abs=1e-9)
    assert found["chrf_signature"] == str(chrf.get_signature()) and found["n"] == len(references)
    return found


@pytest.mark.parametrize("options", [{}, {"tokenize": "none"}, {"tokenize": "char", "lowercase": True}])
def test_500_random_pairs_as_in_sacrebleu(options):
    found = assert_as_in_sacrebleu(*random_pairs(500, 40, seed=1), **options)
    assert 5 < found["bleu4"] < found["bleu3"] < found["bleu2"] < found["bleu1"] < 95


def test_few_and_short_sentences_as_in_sacrebleu():
    for predictions, references in ((["a b", "c"], ["a b", "d"]), (["x"], ["y"]), ([""], ["y z"]), (["a"], ["a"])):
        assert_as_in_sacrebleu(predictions, references)


def read(folder: Path, name: str) -> list[dict[str, str]]:
    path = folder / name
    if not path.is_file():
        pytest.skip(f"corpus not found: {path}")
    tab = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if path.suffix == ".tsv" else {}
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, **tab))


def test_phoenix_as_in_sacrebleu(signlang_data):
    rows = read(signlang_data, "phoenix14t-gloss-text/test.tsv")
    texts, copied = [row["text"] for row in rows], [row["gloss"].lower() for row in rows]
    found = assert_as_in_sacrebleu(copied, texts)
    assert len(rows) == 642
    # The floor that the data's description gives for copying the gloss.
    assert found["bleu"] == pytest.approx(1.37, abs=0.01) and "tok:13a" in found["signature"]
    shuffled = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]
    assert assert_as_in_sacrebleu(shuffled, texts)["bleu1"] > 10
    perfect = assert_as_in_sacrebleu(texts, texts)
    assert [perfect[name] for name in ("bleu", "chrf", "rouge_l")] == pytest.approx([100] * 3)


def test_isl_csltr_as_in_sacrebleu(signlang_data):
    rows = read(signlang_data, "isl-csltr/ISL Corpus sign glosses.csv")
    found = assert_as_in_sacrebleu([row["SIGN GLOSSES"] for row in rows], [row["Sentence"] for row in rows])
    ignoring = assert_as_in_sacrebleu(
        [row["SIGN GLOSSES"] for row in rows], [row["Sentence"] for row in rows], lowercase=True
    )
    assert found["bleu1"] < 5 < 40 < ignoring["bleu1"] and found["rouge_l"] < 5 < 40 < ignoring["rouge_l"]


def test_rouge_made_by_hand():
    # Common: "the cat the mat", 4 words; P = 4/5, R = 4/6.
    p, r, weight = 4 / 5, 4 / 6, 1.2**2
    score = 100 * (1 + weight) * p * r / (r + weight * p)
    found = rouge_l_scores(["the cat lay the mat", "x", "", "A b"], ["the cat sat on the mat", "y", "y", "a b"])
    assert found == pytest.approx([score, 0, 0, 50])
    # Recall weighs more: the short prediction loses more than the long one.
    short, long = rouge_l_scores(["a b", "a b c d x x x x"], ["a b c d", "a b c d"])
    assert short == pytest.approx(100 * 2.44 * 0.5 / (0.5 + 1.44)) and long == pytest.approx(
        100 * 2.44 * 0.5 / (1 + 0.72)
    )
    assert rouge_l_scores(["a b"], ["a b c d"], beta=1.0) == pytest.approx(100 * 2 / 3)
    assert rouge_l_scores(["A b"], ["a b"], lowercase=True) == pytest.approx(100)


def test_the_longest_common_subsequence_is_the_longest_of_all():
    rng = np.random.default_rng(2)
    for _ in range(60):
        first, second = (tuple(rng.integers(3, size=rng.integers(7)).astype(str)) for _ in range(2))
        common = {s for n in range(7) for s in combinations(first, n)} & {
            s for n in range(7) for s in combinations(second, n)
        }
        assert longest_common_subsequence(first, second) == max(map(len, common))


@pytest.mark.parametrize(
    ("predictions", "references", "options", "message"),
    [
        (["a"], ["a", "b"], {}, "There are 1 predictions and 2 references"),
        ([], [], {}, "at least one"),
        ("a", ["a"], {}, "predictions is one string; give a list"),
        (["a"], [["a", "b"]], {}, r"references\[0\] is \['a', 'b'\]; it must be one sentence"),
        (["a", None], ["a", "b"], {}, r"predictions\[1\] is None"),
        (["a"], ["a"], {"tokenize": "german"}, "tokenize is 'german'; SacreBLEU has 13a, char"),
    ],
)
def test_what_cannot_be_measured_says_so(predictions, references, options, message):
    with pytest.raises(ValueError, match=message):
        translation_scores(predictions, references, **options)


def test_without_sacrebleu_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ImportError, match=r"signlang-hf\[train\]"):
        translation_scores(["a"], ["a"])


# -------------------------------------------------------------------------------------------------- as an evaluate module


def test_metric_class_gives_the_same(tmp_path):
    predictions, references = random_pairs(20, 10, seed=3)
    metric = Translation(cache_dir=str(tmp_path))
    found = metric.compute(predictions=predictions, references=references, lowercase=True)
    assert found == translation_scores(predictions, references, lowercase=True)
    assert "case:lc" in found["signature"] and "beta 1.2" in metric.description


def test_evaluate_loads_it_offline_by_path_without_the_library(tmp_path):
    predictions, references = random_pairs(20, 10, seed=4)
    script = """
import json, sys
sys.modules["signlang_hf"] = None
import evaluate
predictions, references = json.loads(sys.argv[2])
print(json.dumps(evaluate.load(sys.argv[1]).compute(predictions=predictions, references=references)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER), json.dumps([predictions, references])],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == translation_scores(predictions, references)
