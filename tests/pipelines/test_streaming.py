"""Streams of frames and landmarks: which events they give, and that they give them once."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_signer import Hand, ScriptedSigner, blank_frames, first_of, sign
from tiny_translation import save_tiny_recognizer
from transformers import pipeline

from signlang_hf import LandmarkSequence, SignRecognitionPipeline
from signlang_hf.landmarks.normalize import mirror
from signlang_hf.pipelines.gate import SignRule
from signlang_hf.pipelines.live import StreamingSigns
from signlang_hf.pipelines.stream import KINDS, StreamEvent
from signlang_hf.pipelines.streaming import SignStream, StreamPool, StreamSettings


@pytest.fixture
def signs(loaded):
    """``signs(right, left, …)``: a stream of the tiny model in front of a scripted signer."""

    def make(*hands: Hand, settings: StreamSettings | None = None, **arguments: object) -> StreamingSigns:
        pipe = SignRecognitionPipeline(
            model=loaded.model, feature_extractor=loaded.feature_extractor, estimator=ScriptedSigner(*hands)
        )
        return StreamingSigns(pipe, settings, **arguments)

    return make


def run(live: StreamingSigns, seconds: float, fps: float = 30.0) -> list[StreamEvent]:
    return [
        event
        for time, frame in blank_frames(np.arange(round(seconds * fps)) / fps)
        for event in live.process(frame, time)
    ]


def landmarks(script: Hand, clock: np.ndarray) -> LandmarkSequence:
    """What the scripted signer's landmarks are, without frames."""
    signer = ScriptedSigner(script)
    signer.reset()
    frames = [(signer.detect(frame, time), frame.shape) for time, frame in blank_frames(clock)]
    height, width = frames[0][1][:2]
    return signer.sequence([found for found, _ in frames], np.asarray(clock, float), (width, height))


def kinds(events: list[StreamEvent]) -> list[str]:
    return [event.kind for event in events if event.kind != "partial"]


TWO = first_of(sign(1, 2.5), sign(4, 5.2))


@pytest.mark.parametrize("fps", [10, 15, 25, 30, 60])
def test_each_sign_is_said_once_at_any_rate(signs, fps):
    events = run(signs(TWO, threshold=None), 7, fps)
    assert kinds(events) == ["sign_started", "sign", "idle"] * 2
    found = [event for event in events if event.kind == "sign"]
    for event, (start, end) in zip(found, ((1.1, 2.4), (4.1, 5.1))):
        assert abs(event.start - start) < 0.25 and abs(event.end - end) < 0.25
        assert event.label == event.predictions[0]["label"] and 0 < event.score <= 1 and len(event.predictions) == 3
        assert event.time - event.end <= SignRule().rest + 2 / fps  # it comes as soon as hands have come to rest
    assert all(event.kind in KINDS for event in events)
    assert [event.time for event in events] == sorted(event.time for event in events)


def test_a_recorded_clip_gives_the_same_events_every_time(signs):
    first, second = (run(signs(TWO, threshold=None), 7) for _ in range(2))
    assert first == second and len(first) > 6


def test_landmarks_and_frames_give_the_same(signs):
    clock = np.arange(210) / 30
    framewise = run(signs(TWO, threshold=None), 7)
    live = signs(TWO, threshold=None)
    assert live.push(landmarks(TWO, clock)) != []  # in one piece: what is overtaken is not predicted
    one_by_one = signs(TWO, threshold=None)
    sequence = landmarks(TWO, clock)
    events = [event for place in range(210) for event in one_by_one.push(sequence.frames(slice(place, place + 1)))]
    assert events == framewise


def test_windows_are_looked_at_while_somebody_signs_and_never_at_rest(signs):
    live = signs(sign(1, 4), threshold=None)
    events = run(live, 3.9)
    assert kinds(events) == ["sign_started"] and live.signing
    partial = [event for event in events if event.kind == "partial"]
    assert partial and all(event.end is None and event.label for event in partial)
    windows = live.stream.counts.windows
    assert 5 < windows <= 3 / live.stream.settings.stride
    resting = signs(sign(100, 101))
    assert run(resting, 5) == [] and resting.stream.counts.windows == 0


def test_what_the_model_does_not_know_is_no_sign(signs):
    events = run(signs(sign(1, 2.5), threshold=1.0), 4)
    assert kinds(events) == ["sign_started", "idle"]
    assert events[-1].reason == "unknown" and events[-1].predictions[0]["label"] == "unknown"
    assert not [event for event in events if event.kind == "partial"]


def test_a_twitch_is_no_sign(signs):
    assert run(signs(sign(1, 1.15), threshold=None), 3) == []
    events = run(signs(sign(1, 1.5), threshold=None), 3)
    assert kinds(events) in ([], ["sign_started", "idle"])
    assert [event.reason for event in events if event.kind == "idle"] in ([], ["short"])


def test_late_frames_are_left_out_and_gaps_begin_anew(signs):
    live = signs(sign(1, 20), threshold=None)
    frame = next(blank_frames(np.zeros(1)))[1]
    for time in (1.0, 1.1, 1.05, 1.1, 1.2):
        live.process(frame, time)
    assert (live.stream.counts.frames, live.stream.counts.late) == (3, 2)
    run_on = [event for time in np.arange(1.3, 3, 1 / 30) for event in live.process(frame, time)]
    assert kinds(run_on) == ["sign_started"] and live.signing
    after = live.process(frame, 10.0)
    assert live.stream.counts.gaps == 1 and kinds(after) == ["sign", "idle"]
    assert after[0].end < 3.1


def test_the_end_of_a_stream_ends_a_sign(signs):
    live = signs(sign(1, 9), threshold=None)
    run(live, 3)
    assert kinds(live.finish()) == ["sign", "idle"] and not live.signing
    assert live.finish() == []
    assert run(live, 0.5) == []  # on a clock of its own


def test_many_streams_are_predicted_together(signs, loaded):
    pipe = SignRecognitionPipeline(model=loaded.model, feature_extractor=loaded.feature_extractor)
    pool, streams = StreamPool(pipe, threshold=None), [SignStream() for _ in range(3)]
    scripts = [sign(1, 2.5), sign(1.5, 3), sign(100, 101)]
    sequences = [landmarks(script, np.arange(120) / 30) for script in scripts]
    found: list[list[StreamEvent]] = [[] for _ in streams]
    for place in range(120):
        for number, stream in enumerate(streams):
            found[number] += stream.push(sequences[number].frames(slice(place, place + 1)))
        for number, events in enumerate(pool.predict(streams)):
            found[number] += events
    for script, events in zip(scripts, found):
        alone = run(signs(script, threshold=None), 4)
        assert [(one.kind, one.label, one.start, one.end) for one in events] == [
            (one.kind, one.label, one.start, one.end) for one in alone
        ]
        assert np.allclose([one.score or 0 for one in events], [one.score or 0 for one in alone], atol=1e-5)


def test_overtaken_windows_are_counted_and_signs_are_never_lost(loaded):
    pipe = SignRecognitionPipeline(model=loaded.model, feature_extractor=loaded.feature_extractor)
    stream = SignStream()
    stream.push(landmarks(TWO, np.arange(210) / 30))
    assert [window.final for window in stream.due] == [True, True] and stream.counts.coalesced > 5
    assert kinds(StreamPool(pipe, threshold=None).predict([stream])[0]) == ["sign", "idle"] * 2


def test_a_camera_that_is_known_to_mirror_changes_nothing(signs):
    plain, mirrored = signs(TWO, threshold=None), signs(TWO, settings=StreamSettings(mirrored=True), threshold=None)
    wrong = signs(TWO, threshold=None)
    sequence = landmarks(TWO, np.arange(210) / 30)
    events: dict[str, list[StreamEvent]] = {"plain": [], "mirrored": [], "wrong": []}
    for place in range(210):
        frame = sequence.frames(slice(place, place + 1))
        events["plain"] += plain.push(frame)
        events["mirrored"] += mirrored.push(mirror(frame))
        events["wrong"] += wrong.push(mirror(frame))
    assert kinds(events["plain"]) == kinds(events["mirrored"]) == ["sign_started", "sign", "idle"] * 2
    scores = {name: [event.score for event in all_of if event.kind == "sign"] for name, all_of in events.items()}
    assert np.allclose(scores["plain"], scores["mirrored"], atol=1e-4)
    assert not np.allclose(scores["plain"], scores["wrong"], atol=1e-4)


def test_another_majority_ends_a_sign_without_rest():
    settings = StreamSettings(split=True, votes=3, agree=2, window=1.0)
    stream, sequence = SignStream(settings), landmarks(sign(1, 9), np.arange(240) / 30)
    events: list[StreamEvent] = []
    for place in range(240):
        piece = sequence.frames(slice(place, place + 1))
        events += stream.push(piece)
        while stream.due:
            label = "hello" if stream.due[0].end < 4 else "thanks"
            events += stream.answer([{"label": label, "score": 0.9}])
    events += stream.finish()
    while stream.due:
        events += stream.answer([{"label": "thanks", "score": 0.9}])
    said = [event.label for event in events if event.kind == "sign"]
    assert said[0] == "hello" and set(said[1:]) == {"thanks"}
    first, second = [event for event in events if event.kind == "sign"][:2]
    assert 3 < first.end < 4.5 and second.start >= first.end - 0.01


def test_events_as_plain_values():
    event = StreamEvent("sign", 2.0, 1.0, 1.8, "hello", 0.9, predictions=({"label": "hello", "score": 0.9},))
    assert event.to_dict() == {
        "kind": "sign", "time": 2.0, "start": 1.0, "end": 1.8, "label": "hello", "score": 0.9,
        "predictions": [{"label": "hello", "score": 0.9}],
    }  # fmt: skip
    assert StreamEvent("sign_started", 1.0, 0.8).to_dict() == {"kind": "sign_started", "time": 1.0, "start": 0.8}


def test_settings_and_streams_that_cannot_be_used(signs, tmp_path):
    with pytest.raises(ValueError, match="stride is 0; it must be a positive number"):
        StreamSettings(stride=0)
    with pytest.raises(ValueError, match="agree is 2; it must be more than half of the 5 votes"):
        StreamSettings(agree=2)
    live = signs(sign(1, 2))
    live.push(landmarks(sign(1, 2), np.arange(3) / 30))
    with pytest.raises(ValueError, match=r"The stream's size changes from .*; begin a new stream"):
        live.push(landmarks(sign(1, 2), np.arange(3, 6) / 30).replace(size=(10, 10)))
    with pytest.raises(ValueError, match="time stamp is nan"):
        live.process(next(blank_frames(np.zeros(1)))[1], float("nan"))
    with pytest.raises(
        ValueError, match=r"needs a pipeline of sign-recognition; this one is of continuous-sign-recognition\."
    ):
        StreamPool(pipeline("continuous-sign-recognition", model=str(save_tiny_recognizer(tmp_path))))
    with pytest.raises(TypeError, match="does not know colour"):
        signs(sign(1, 2), colour="red")
