"""Streams made of clips: what they hold, and how what was heard is counted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from signlang_hf import LandmarkSequence
from signlang_hf.training.streams import RESTS, Heard, Spoken, score, stream_of


def clip(frames: int, seed: int = 0, layout: str = "mediapipe-holistic") -> LandmarkSequence:
    data = np.random.default_rng(seed).uniform(0.3, 0.6, (frames, 75, 3)).astype(np.float32)
    return LandmarkSequence(data, layout, fps=25, size=(640, 480))


@pytest.mark.parametrize("hands", RESTS)
def test_clips_stand_in_a_stream_as_they_are(hands):
    clips = [("A", clip(30)), (None, clip(20, 1)), ("B", clip(40, 2))]
    stream, spoken = stream_of(clips, np.random.default_rng(0), hands=hands)
    assert [sign.label for sign in spoken] == ["A", None, "B"]
    for sign, (_, one) in zip(spoken, clips):
        first, last = round(sign.start * 25), round(sign.end * 25)
        assert np.array_equal(stream.data[first : last + 1], one.data)
    assert np.allclose(np.diff(stream.timestamps), 1 / 25) and stream.size == (640, 480)
    rest = np.ones(len(stream), bool)
    for sign in spoken:
        rest[round(sign.start * 25) - 10 : round(sign.end * 25) + 11] = False  # and the way there and back
    assert np.isnan(stream.data[rest][:, 33:]).all() == (hands == "away") and rest.sum() > 4 * 25
    assert not np.isnan(stream.data[rest][:, :33]).any()


def test_all_clips_go_at_one_rate():
    slow = clip(15).replace(fps=12.5, timestamps=np.arange(15) / 12.5)
    stream, spoken = stream_of([("A", clip(30)), ("B", slow)], np.random.default_rng(0))
    assert stream.fps == 25 and spoken[1].end - spoken[1].start == pytest.approx(slow.duration, abs=0.041)


def test_rest_lasts_as_long_as_was_asked_for():
    pauses = []
    for seed in range(5):
        _, spoken = stream_of([("A", clip(20))] * 4, np.random.default_rng(seed), rest=(0.5, 1.0))
        pauses += [after.start - before.end for before, after in itertools.pairwise(spoken)]
    assert min(pauses) >= 0.5 + 0.8 and max(pauses) <= 1.0 + 0.8 + 0.1  # the way there and back takes 0.8 s


def test_hands_that_twitch_move_more_than_those_that_lie():
    def moved(hands: str) -> float:
        stream, spoken = stream_of([("A", clip(20))], np.random.default_rng(0), rest=(6, 6), hands=hands)
        return float(np.abs(np.diff(stream.data[: round(spoken[0].start * 25) - 10, 33:54], axis=0)).max())

    assert moved("restless") > 5 * moved("still") > 0


def test_streams_that_cannot_be_made():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no clips"):
        stream_of([], rng)
    with pytest.raises(ValueError, match="hands is 'up'; at rest they are away, still, restless"):
        stream_of([("A", clip(5))], rng, hands="up")
    other = LandmarkSequence(np.zeros((5, 42, 3)), "hands-42", fps=25, units="unknown")
    with pytest.raises(ValueError, match="one layout and one unit"):
        stream_of([("A", clip(5)), ("B", other)], rng)


SPOKEN = [Spoken("A", 1, 2), Spoken(None, 4, 5), Spoken("B", 7, 8)]


def test_all_heard():
    found = score(SPOKEN, [Heard("A", 0.9, 2.1, 2.4), Heard("B", 7, 8, 8.2)], 10)
    assert (found.signs, found.others, found.said, found.right, found.found) == (2, 1, 2, 2, 2)
    assert found.f1 == found.detection_f1 == 1 and found.false_at_rest == found.false_at_others == 0
    assert found.latencies == pytest.approx((0.4, 0.2)) and found.rest_minutes == pytest.approx(7 / 60)


def test_what_is_wrong_counts_where_it_belongs():
    heard = [
        Heard("B", 1, 2, 2.3),  # the wrong word
        Heard("A", 1.5, 2.2, 2.5),  # the right one, but twice is one too many
        Heard("C", 4, 5, 5.3),  # a sign that is not in the vocabulary
        Heard("A", 5.5, 6, 6.3),  # nobody signs
    ]
    found = score(SPOKEN, heard, 10)
    assert (found.said, found.found, found.right) == (4, 1, 0)
    assert (found.false_at_others, found.false_at_rest) == (1, 1)
    assert found.f1 == 0 and found.detection_f1 == pytest.approx(2 * 1 / (2 + 4))
    assert found.false_per_minute == pytest.approx(1 / (7 / 60))


def test_one_word_over_two_signs_is_that_which_it_names():
    found = score([Spoken("A", 0, 1), Spoken("B", 1.2, 3)], [Heard("A", 0.5, 3, 3.2)], 4)
    assert (found.right, found.found) == (1, 1) and found.latencies == (pytest.approx(2.2),)


def test_nothing_heard():
    found = score(SPOKEN, [], 10)
    assert (found.f1, found.said, found.latencies) == (0, 0, ())
