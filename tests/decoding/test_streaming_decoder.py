"""Streams against whole clips, however they are cut, and the bound on latency."""

from itertools import pairwise

import numpy as np
import pytest
from made_up_emissions import soft, spiky

from signlang_hf.decoding import Decoder, NgramModel, StreamingDecoder, beam_search
from signlang_hf.decoding.alignment import align_tokens
from signlang_hf.decoding.timed_beam import TimedBeam

VOCABULARY = ["<blank>", "<unk>", "A", "B", "C", "D", "E"]
CLIPS = [
    spiky([2, 2, 5, 3], 7),
    soft(60, 7, spread=4),
    soft(40, 7, seed=1),
    spiky([2, 6], 7, gap=0, width=9),
    soft(1, 7),
]


def stream(decoder, log_probs, chunk):
    """Tokens, and after how many frames each came out."""
    tokens, moments = [], []
    for start in range(0, len(log_probs), chunk):
        final = decoder.push(log_probs[start : start + chunk])
        tokens += final
        moments += [min(start + chunk, len(log_probs))] * len(final)
    final = decoder.finish()
    return tokens + final, moments + [len(log_probs)] * len(final)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("clip", CLIPS)
def test_greedy_is_the_whole_clip(clip, chunk):
    whole = Decoder(VOCABULARY)(clip)
    decoder = StreamingDecoder(VOCABULARY)
    for _ in range(2):  # finish makes it ready for the next clip
        tokens, moments = stream(decoder, clip, chunk)
        assert tuple(tokens) == whole.tokens
    if chunk == 1:
        assert all(moment <= token.end + 1 for token, moment in zip(tokens, moments))


MODEL = NgramModel.train([["A", "A", "D", "B"], ["A", "E"], ["C", "B"]], vocabulary=VOCABULARY)


@pytest.mark.parametrize("options", [{}, {"language_model": MODEL, "insertion_bonus": 0.2}])
@pytest.mark.parametrize("clip", CLIPS)
def test_a_patient_beam_is_the_whole_clip(clip, options):
    whole = beam_search(clip, vocabulary=VOCABULARY, **options)[0]
    results = [
        stream(StreamingDecoder(VOCABULARY, method="beam", max_latency=10_000, **options), clip, chunk)[0]
        for chunk in (1, 7, 1000)
    ]
    assert results[0] == results[1] == results[2]
    assert [token.token for token in results[0]] == whole.ids
    spans = [(token.start, token.end) for token in results[0]]
    assert all(0 <= start < end <= len(clip) for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_clear_clip_is_final_soon_and_timed_as_the_whole():
    clip = spiky([2, 3, 3, 6, 2], 7, blank=12, lead=16)
    tokens, moments = stream(StreamingDecoder(VOCABULARY, method="beam"), clip, 1)
    whole = beam_search(clip)[0].tokens
    assert [(t.token, t.start, t.end) for t in tokens] == [(t.token, t.start, t.end) for t in whole]
    assert [t.score for t in tokens] == pytest.approx([t.score for t in whole], abs=1e-3)
    assert max(moment - token.end for token, moment in zip(tokens, moments)) <= 2


@pytest.mark.parametrize("latency", [1, 5, 16])
@pytest.mark.parametrize("seed", range(4))
def test_no_token_is_later_than_the_bound(latency, seed):
    clip = soft(80, 7, seed=seed, spread=2)
    decoder = StreamingDecoder(VOCABULARY, method="beam", max_latency=latency, language_model=MODEL)
    tokens, moments = stream(decoder, clip, 1)
    assert tokens
    assert max(moment - token.start for token, moment in zip(tokens, moments)) <= latency
    assert all(one.end <= other.start for one, other in pairwise(tokens))


def test_more_patience_is_nearer_to_the_whole():
    def agreement(latency):
        total = 0
        for seed in range(6):
            clip = soft(60, 7, seed=seed, spread=2)
            tokens, _ = stream(StreamingDecoder(VOCABULARY, method="beam", max_latency=latency), clip, 1)
            total += [token.token for token in tokens] == beam_search(clip)[0].ids
        return total

    assert agreement(1) < agreement(200) == 6


def test_a_long_silence_leaves_nothing_behind():
    decoder = StreamingDecoder(VOCABULARY, method="beam", max_latency=10)
    decoder.push(np.log([[0.6] + [0.4 / 6] * 6]))  # perhaps a sign, never decided by what follows
    assert any(decoder._beam.prefixes)
    assert decoder.push(np.log([[0.997] + [0.0005] * 6] * 30)) == []
    assert decoder._beam.prefixes == [()]
    greedy = StreamingDecoder(VOCABULARY)
    greedy.push(np.log([[0.997] + [0.0005] * 6] * 300))
    assert greedy._open.shape[1] == 0


def test_carried_alignment_is_the_best_one():
    clip = soft(8, 4, seed=5)
    beam = TimedBeam(0, 10_000, None, 0.0, 0.0, np.inf)
    for frame in clip:
        beam.step(frame)
    assert len(beam.prefixes) > 200
    for number, prefix in enumerate(beam.prefixes):
        for carried, whole in zip(beam.tokens(number), align_tokens(clip, prefix)):
            assert (carried.token, carried.start, carried.end) == (whole.token, whole.start, whole.end)
            assert carried.score == pytest.approx(whole.score)


def test_odd_input():
    decoder = StreamingDecoder(VOCABULARY, method="beam")
    assert decoder.push(np.zeros((0, 7))) == [] == decoder.finish()
    with pytest.raises(ValueError, match="NaN in frame 0"):
        decoder.push(np.full((1, 7), np.nan))
    with pytest.raises(ValueError, match="numpy beam"):
        StreamingDecoder(VOCABULARY, method="beam", engine="flashlight")
    with pytest.raises(ValueError, match="max_latency"):
        StreamingDecoder(VOCABULARY, max_latency=0)
