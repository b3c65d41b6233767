"""Prefix beam search against the sum over all paths, alignment against all alignments, and what becomes of odd input."""

from itertools import groupby, product

import numpy as np
import pytest
from made_up_emissions import soft, spiky

from signlang_hf.decoding import NgramModel, beam_search, greedy_search
from signlang_hf.decoding.alignment import align_tokens
from signlang_hf.decoding.beam import PrefixBeam, prune

VOCABULARY = ["<blank>", "<unk>", "A", "B"]
EXACT = {"beam_size": 10_000, "token_threshold": 0, "beam_threshold": np.inf, "num_hypotheses": 10_000}


def joined(path, blank):
    return tuple(token for token, _ in groupby(path) if token != blank)


def all_paths(log_probs, blank):
    """Tokens → log-probabilities of their paths, by going through every path."""
    found = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        found.setdefault(joined(path, blank), []).append((sum(log_probs[t, k] for t, k in enumerate(path)), path))
    return found


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_full_beam_is_the_sum_over_all_paths(frames, blank):
    log_probs = soft(frames, 3, seed=frames)
    expected = {ids: np.logaddexp.reduce([p for p, _ in paths]) for ids, paths in all_paths(log_probs, blank).items()}
    found = beam_search(log_probs, blank=blank, **EXACT)
    assert {tuple(h.ids): h.score for h in found} == pytest.approx(expected)
    assert [h.score for h in found] == pytest.approx(sorted(expected.values(), reverse=True))
    assert np.exp([h.score for h in found]).sum() == pytest.approx(1)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_language_model_and_bonus_are_added_once_for_every_token(order):
    model = NgramModel.train([["A", "B"], ["B", "B", "A"], ["A"]], order=order, vocabulary=VOCABULARY)
    log_probs, weight, bonus = soft(4, 4, seed=1), 0.7, -0.3
    expected = {}
    for ids, paths in all_paths(log_probs, 0).items():
        words = ["<s>", *(VOCABULARY[i] for i in ids), "</s>"]
        language = sum(model.log_prob(words[i], words[:i]) for i in range(1, len(words)))
        expected[ids] = np.logaddexp.reduce([p for p, _ in paths]) + weight * language + bonus * len(ids)
    found = beam_search(
        log_probs, language_model=model, lm_weight=weight, insertion_bonus=bonus, vocabulary=VOCABULARY, **EXACT
    )
    assert {tuple(h.ids): h.score for h in found} == pytest.approx(expected)


def test_alignment_is_the_best_of_all_alignments():
    log_probs = soft(6, 3, seed=4)
    for ids, paths in all_paths(log_probs, 0).items():
        _, best = max(paths)
        tokens = align_tokens(log_probs, ids)
        frames = [0] * len(best)
        for token in tokens:
            frames[token.start : token.end] = [token.token] * (token.end - token.start)
            assert token.score == pytest.approx(np.exp(log_probs[token.start : token.end, token.token]).mean())
        assert tuple(frames) == best


def test_more_tokens_than_frames_cannot_be_aligned():
    with pytest.raises(ValueError, match="2 tokens cannot be aligned to 2 frames"):
        align_tokens(soft(2, 3), [1, 1])


def test_a_clear_clip_reads_the_same_either_way():
    tokens = [3, 1, 1, 4, 2]
    log_probs = spiky(tokens, 6)
    greedy, beam = greedy_search(log_probs), beam_search(log_probs)[0]
    assert greedy.ids == beam.ids == tokens
    assert greedy.tokens == beam.tokens
    assert [(t.start, t.end) for t in beam.tokens] == [(6 + 9 * i, 9 + 9 * i) for i in range(5)]
    assert beam.score > greedy.score  # a sum holds more than its largest part


def test_a_long_clip_is_aligned_to_its_last_token():
    tokens = np.random.default_rng(0).integers(1, 6, 150).tolist()
    log_probs = spiky(tokens, 6)
    assert align_tokens(log_probs, tokens) == greedy_search(log_probs).tokens


def test_the_beam_finds_what_greedy_misses():
    log_probs = np.log([[0.6, 0.4], [0.6, 0.4]])  # the best path is blank (0.36), the best reading is not (0.64)
    assert greedy_search(log_probs).ids == []
    best = beam_search(log_probs)[0]
    assert best.ids == [1]
    assert best.score == pytest.approx(np.log(0.64))


def test_small_beams_keep_the_best_and_merge_prefixes_that_come_back():
    log_probs = soft(30, 8, seed=3, spread=3)
    scores = [beam_search(log_probs, beam_size=size, token_threshold=0)[0].score for size in (1, 4, 16, 64)]
    assert scores == sorted(scores)
    beam = PrefixBeam(beam_size=16)
    for frame in log_probs:
        beam.step(frame)
        assert len(set(beam.prefixes)) == len(beam.prefixes) <= 16


def test_pruning_keeps_the_blank_the_best_and_no_more_than_it_should():
    log_probs = np.log([[0.002, 0.9, 0.0505, 0.0475], [0.97, 0.01, 0.01, 0.01]])
    kept = prune(log_probs, 0.05, blank=0) > -np.inf
    assert kept.tolist() == [[True, True, True, False], [True, False, False, False]]
    assert np.array_equal(prune(log_probs, 0, blank=0), log_probs)
    assert (prune(soft(3, 200, spread=0.01), 1e-6, blank=0) > -np.inf).sum(1).max() <= 33


@pytest.mark.parametrize("search", [greedy_search, lambda x: beam_search(x)[0]])
def test_empty_blank_and_single_frames(search):
    empty = search(np.zeros((0, 3)))
    assert (empty.tokens, empty.score) == ((), 0.0)
    blanks = search(np.log([[0.998, 0.001, 0.001]] * 4))
    assert blanks.tokens == ()
    (one,) = search(np.log([[0.1, 0.2, 0.7]])).tokens
    assert (one.token, one.start, one.end, one.score) == (2, 0, 1, pytest.approx(0.7))


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("search", [greedy_search, beam_search])
@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (np.log([[0.5, 0.5], [np.nan, 0.5]]), "NaN in frame 1"),
        (np.array([[-1.0, -1.0], [-1.0, 3.0]]), "at most 0, but frame 1 holds 3; pass scores through log_softmax"),
        (np.full((1, 3), -np.inf), "In frame 0 every token has probability 0"),
        (np.zeros(3), r"got shape \(3,\)"),
        (np.zeros((2, 0)), "blank is column 0, but"),
    ],
)
def test_what_are_no_log_probabilities(search, log_probs, message):
    with pytest.raises(ValueError, match=message):
        search(log_probs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size is 1 or more"),
        ({"token_threshold": 1.5}, "a probability below 1"),
        ({"language_model": NgramModel.train([["A"]])}, "pass vocabulary="),
        ({"vocabulary": ["<blank>"]}, "3 columns and the vocabulary 1 entries"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        beam_search(soft(2, 3), **options)
