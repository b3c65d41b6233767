"""Kneser-Ney against numbers worked out by hand, sums to 1, and vocabularies that do not match."""

import math

import numpy as np
import pytest

from signlang_hf.decoding import NgramModel
from signlang_hf.decoding.ngram import NgramScorer

SENTENCES = [["A", "B"], ["A", "B"], ["A", "C"]]


def test_bigrams_as_worked_out_by_hand():
    # Bigrams: <s>A 3, AB 2, B</s> 2, AC 1, C</s> 1: n1 = 2, n2 = 2, D = 2/6. Words by different words before them: A 1, B 1, C 1,
    # </s> 2: n1 = 3, n2 = 1, D = 3/5, so 3/5 · 4/5 of the mass goes to 5 outcomes (A, B, C, </s>, <unk>) alike.
    model = NgramModel.train(SENTENCES, order=2)
    alone = {"A": 0.4 / 5 + 0.096, "B": 0.176, "C": 0.176, "</s>": 1.4 / 5 + 0.096, "<unk>": 0.096}
    for word, prob in alone.items():
        assert math.exp(model.log_prob(word)) == pytest.approx(prob)
    after_a = {"B": (2 - 1 / 3) / 3 + 2 / 9 * 0.176, "C": (1 - 1 / 3) / 3 + 2 / 9 * 0.176, "</s>": 2 / 9 * 0.376}
    for word, prob in after_a.items():
        assert math.exp(model.log_prob(word, ["<s>", "A"])) == pytest.approx(prob)
    assert math.exp(model.log_prob("A", ["<s>"])) == pytest.approx((3 - 1 / 3) / 3 + 1 / 9 * 0.176)
    assert math.exp(model.log_prob("B", ["Z"])) == pytest.approx(0.176)  # an unknown context says nothing
    logs = [model.log_prob(w, c) for w, c in [("A", ["<s>"]), ("B", ["A"]), ("</s>", ["B"])]]
    assert model.perplexity([["A", "B"]]) == pytest.approx(math.exp(-sum(logs) / 3))


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_of_every_context_sum_to_1(order):
    rng = np.random.default_rng(0)
    words = [f"W{i}" for i in range(8)]
    sentences = [list(rng.choice(words, rng.integers(1, 6), p=np.arange(1, 9) / 36)) for _ in range(60)]
    model = NgramModel.train(sentences, order=order, vocabulary=["<blank>", "<unk>", *words, "NEVER SEEN"])
    outcomes = model.vocabulary
    assert len(outcomes) == 11 and "NEVER SEEN" in outcomes
    contexts = [[], ["<s>"], ["NEVER SEEN"], ["out of vocabulary"], *(["<s>", *s[:3]] for s in sentences[:20])]
    for context in contexts:
        assert sum(math.exp(model.log_prob(word, context)) for word in outcomes) == pytest.approx(1, abs=1e-9)


def test_it_learns_and_longer_contexts_help():
    rng = np.random.default_rng(1)
    words = [f"W{i}" for i in range(6)]

    def sentence():
        start = int(rng.integers(6))
        return [words[(start + i) % 6] for i in range(5)]

    train, test = [sentence() for _ in range(40)], [sentence() for _ in range(20)]
    alone, pairs = (NgramModel.train(train, order=order).perplexity(test) for order in (1, 2))
    assert pairs < 2.5 < 5 < alone


def test_one_sentence_and_too_short_sentences():
    model = NgramModel.train([["A"]], order=5)
    assert model.order == 3  # <s> A </s>
    assert math.exp(model.log_prob("</s>", ["<s>", "A"])) > 0.45
    assert sum(math.exp(model.log_prob(w, ["<s>", "A"])) for w in model.vocabulary) == pytest.approx(1)


def test_scorer_equals_model_in_every_context():
    vocabulary = ["<blank>", "<unk>", "A", "B", "C", "D"]
    rng = np.random.default_rng(2)
    sentences = [[vocabulary[i] for i in rng.integers(2, 6, 4)] for _ in range(15)]
    model = NgramModel.train(sentences, order=3, vocabulary=vocabulary)
    scorer = NgramScorer(model, vocabulary)
    for ids in rng.integers(1, 6, (30, 5)):
        state, words = scorer.start(), ["<s>"]
        for column in ids:
            expected = [0.0] + [model.log_prob(word, words) for word in vocabulary[1:]]
            assert scorer.scores(state) == pytest.approx(expected)
            state, words = scorer.advance(state, int(column)), [*words, vocabulary[column]]
        assert scorer.end(state) == pytest.approx(model.log_prob("</s>", words))


@pytest.mark.parametrize(
    ("sentences", "options", "message"),
    [
        ([], {}, "at least one sentence"),
        ([[], []], {}, "at least one sentence"),
        (["A B"], {}, "Sentence 0 is the string 'A B'"),
        ([["A"], ["B", "</s>"]], {}, "Sentence 1 holds '</s>'"),
        ([["A", " "]], {}, "Sentence 0 holds ' '"),
        ([["A"]], {"order": 0}, "order"),
    ],
)
def test_sentences_that_are_none(sentences, options, message):
    with pytest.raises(ValueError, match=message):
        NgramModel.train(sentences, **options)


def test_a_vocabulary_that_does_not_match_is_named():
    model = NgramModel.train(SENTENCES)
    model.check_vocabulary(["<blank>", "<unk>", "A", "C"])  # words that only the model knows do no harm
    with pytest.raises(ValueError, match=r"2 of the recogniser's 3 glosses \('X', 'Y'\)"):
        model.check_vocabulary(["<blank>", "<unk>", "A", "X", "Y"])
    with pytest.raises(ValueError, match="in another case"):
        model.check_vocabulary(["<blank>", "a", "b"])
    with pytest.raises(ValueError, match="'X'"):
        NgramScorer(model, ["<blank>", "A", "X"])
