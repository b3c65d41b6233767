"""StreamingSigns: frames one by one; which stretches of them are signs, and that idle time is none."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_signer import HEIGHT, WIDTH, Hand, ScriptedSigner, blank_frames, first_of, sign
from tiny_model import same_result

from signlang_hf import SignRecognitionPipeline
from signlang_hf.landmarks import register_layout
from signlang_hf.pipelines import SignRule, StreamEvent, StreamingSigns, StreamSettings
from signlang_hf.pose import MediaPipeEstimator
from signlang_hf.pose.mediapipe import has_solutions
from signlang_hf.video import read_video


@pytest.fixture
def recogniser(loaded):
    """``recogniser(right, left, …)``: a live recogniser of the tiny model in front of a scripted signer."""

    def make(*hands: Hand, rule: SignRule | None = None, top_k: int = 3, **options: bool) -> StreamingSigns:
        pipe = SignRecognitionPipeline(
            model=loaded.model, feature_extractor=loaded.feature_extractor, estimator=ScriptedSigner(*hands, **options)
        )
        return StreamingSigns(pipe, StreamSettings(rule=rule or SignRule(), top_k=top_k))

    return make


def answers(events: list[StreamEvent]) -> list[StreamEvent]:
    return [event for event in events if event.answers]


def run(live: StreamingSigns, seconds: float, fps: float = 30.0, start: float = 0.0) -> list[StreamEvent]:
    """The answers of a stream to so many seconds."""
    times = start + np.arange(round(seconds * fps)) / fps
    return answers([event for time, frame in blank_frames(times) for event in live.process(frame, time)])


def near(found: list[StreamEvent], *expected: tuple[float, float], within: float = 0.2) -> None:
    """Assert that these stretches of time, and no others, were signs."""
    assert len(found) == len(expected), [(sign.start, sign.end) for sign in found]
    for one, (start, end) in zip(found, expected):
        assert abs(one.start - start) <= within and abs(one.end - end) <= within, (one.start, one.end, start, end)


# --------------------------------------------------------------------------------------------------------------- segments


@pytest.mark.parametrize("fps", [10, 15, 25, 30, 60])
def test_two_signs_with_rest_between_at_any_rate(recogniser, fps):
    script = first_of(sign(1, 2.5), sign(4, 5))
    found = run(recogniser(script), 7, fps)
    near(found, (1.1, 2.4), (4.1, 4.9))
    assert [one.predictions[0]["label"] is not None for one in found] == [True, True]
    assert [len(one.predictions) for one in found] == [3, 3]


def test_a_variable_rate_and_any_clock(recogniser):
    steps = np.random.default_rng(0).uniform(0.01, 0.09, 200)
    live = recogniser(lambda seconds: sign(1, 2.5)(seconds - 5000))
    found = [one for time, frame in blank_frames(5000 + np.cumsum(steps)) for one in live.process(frame, time)]
    near(answers(found), (5001.1, 5002.4))


def test_a_sign_comes_out_soon_after_it_ended(recogniser):
    live = recogniser(sign(1, 2))
    states = []
    for time, frame in blank_frames(np.arange(90) / 30):
        found = answers(live.process(frame, time))
        states.append(live.signing)
        if found:
            break
    assert time - found[0].end <= live.stream.rule.rest + 0.05
    first = states.index(True)
    assert 1.0 < first / 30 < 1.2 and all(states[first:-1]) and not states[-1]


def test_hands_that_leave_the_picture(recogniser):
    near(run(recogniser(sign(1, 2.5, rest=None)), 4), (1, 2.5))
    near(run(recogniser(sign(1, 2.5, rest=None), shoulders=False), 4), (1, 2.5))


def test_both_hands_are_one_sign_and_sides_do_not_matter(recogniser):
    both = recogniser(sign(1, 2), sign(1.2, 2.6))
    near(run(both, 4), (1.1, 2.5))
    near(run(recogniser(lambda _: None, sign(1, 2)), 3), (1.1, 1.9))


def test_a_hold_belongs_to_the_sign_and_ends_it(recogniser):
    """A hand shape shown and kept: one answer, and none for lowering the hand."""

    def shown(seconds):
        up = np.clip(min(seconds - 1, 6 - seconds) / 0.3, 0, 1)
        return (0.2, 1.4 - 1.2 * up)

    near(run(recogniser(shown), 8), (1.1, 1.3 + 0.8))
    near(run(recogniser(shown, rule=SignRule(hold=2.0)), 8), (1.1, 1.3 + 2.0), within=0.3)


def test_a_hand_that_is_up_from_the_start_counts_once(recogniser):
    near(run(recogniser(lambda _: (0.2, 0.1)), 5), (0, 0.8))


def test_endless_movement_is_cut(recogniser):
    live = recogniser(lambda seconds: (0.3 * np.sin(9 * seconds), 0.2), rule=SignRule(longest=2.0))
    near(run(live, 6.5), (0, 2), (2, 4), (4, 6))
    assert len(live.stream._frames) < 2.5 * 30


def test_the_end_of_the_stream_ends_the_sign(recogniser):
    live = recogniser(sign(1, 9))
    assert run(live, 2.5) == [] and live.signing
    near(answers(live.finish()), (1.1, 2.5))
    assert not live.signing and live.landmarks is None and live.finish() == []
    assert live.pipe.estimator.clips == 1
    run(live, 1)
    assert live.pipe.estimator.clips == 2


def test_a_gap_in_the_stream_ends_the_sign(recogniser):
    live = recogniser(sign(1, 9))
    assert run(live, 2.5) == []
    near(run(live, 0.1, start=60), (1.1, 2.5))


# ------------------------------------------------------------------------------------------------------- no false positives

RNG = np.random.default_rng(0)
IDLE = {
    "nobody": (lambda _: None, lambda _: None),
    "hands at rest, trembling": (lambda _: (0.3, 1.4 + RNG.normal(0, 0.02)), lambda _: (-0.3, 1.4 + RNG.normal(0, 0.02))),
    "fidgeting in the lap": (lambda s: (0.3 * np.sin(8 * s), 1.2), lambda s: (0.3 * np.cos(9 * s), 1.3)),
    "one stray detection": (lambda s: (0.1, 0.1) if 2 < s < 2.04 else None, lambda _: None),
    "a hand found now and then at rest": (lambda s: (0.3, 1.3) if int(3 * s) % 2 else None, lambda _: None),
    "lifted for a moment": (sign(2, 2.5), lambda _: None),
}  # fmt: skip


@pytest.mark.parametrize("scene", IDLE)
def test_idle_frames_give_no_sign(recogniser, scene):
    live = recogniser(*IDLE[scene])
    assert run(live, 10) == [] and live.finish() == []


def test_a_still_hand_under_the_chin_is_answered_at_most_once(recogniser):
    def lost_now_and_then(seconds):
        place = (0.1 + RNG.normal(0, 0.01), -0.3 + RNG.normal(0, 0.01))
        return place if seconds > 1 and int(5 * seconds) % 4 else None

    assert len(run(recogniser(lost_now_and_then), 20)) <= 1


# ----------------------------------------------------------------------------------------------------------------- answers


def test_the_answer_is_that_of_the_segment(recogniser):
    live = recogniser(sign(1, 2.5))
    (found,) = run(live, 4)
    signer, (low, high) = live.pipe.estimator, (found.start - 0.2, found.end + 0.2)
    times = np.array([time for time in np.arange(120) / 30 if low <= time <= high])
    whole = signer.sequence([signer.detect(None, time) for time in times], times - times[0], (WIDTH, HEIGHT))
    same_result(found.predictions, live.pipe(whole, top_k=3))


def test_unknown_signs_are_answered_unknown(loaded, recogniser, monkeypatch):
    monkeypatch.setattr(loaded.model.config, "unknown_threshold", 1.0)
    (found,) = run(recogniser(sign(1, 2.5), top_k=2), 4)
    assert found.predictions[0]["label"] == "unknown" and len(found.predictions) == 2


def test_landmarks_of_the_latest_frame(recogniser):
    live = recogniser(sign(1, 2.5))
    assert live.landmarks is None
    run(live, 1.5)
    assert len(live.landmarks) == 1 and live.landmarks.part_seen("right_hand").all()
    assert live.landmarks.size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("predictions", "text"),
    [
        ([{"label": "Tür", "score": 0.934}, {"label": "Haus", "score": 0.05}], "Tür 93 %"),
        ([{"label": "unknown", "score": 0.7}, {"label": "Haus", "score": 0.2}], "unknown 70 %, closest is Haus"),
        ([{"label": "unknown", "score": 0.7}], "unknown 70 %"),
        (
            [{"label": None, "score": 0.0, "message": "Nobody was found in this clip."}],
            "Nobody was found in this clip.",
        ),
    ],
)
def test_an_answer_in_words(predictions, text):
    best = predictions[0]
    known = best["label"] not in (None, "unknown")
    event = StreamEvent(
        "sign" if known else "idle", 2, 0, 1, best["label"] if known else None, best["score"] if known else None,
        reason=None if known else "unknown", predictions=tuple(predictions),
    )  # fmt: skip
    assert str(event) == text and event.answers


# ---------------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("frame", "seconds", "message"),
    [
        (np.zeros((HEIGHT, WIDTH, 3)), 2.0, "dtype float64; expected uint8"),
        (np.zeros((HEIGHT, WIDTH), np.uint8), 2.0, "shape"),
        (None, 2.0, "dtype object"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), float("nan"), "time stamp is nan; it must be seconds"),
        (np.zeros((WIDTH, HEIGHT, 3), np.uint8), 2.0, r"change size from \(640, 360\) to \(360, 640\)"),
    ],
)
def test_frames_that_cannot_be_used(recogniser, frame, seconds, message):
    live = recogniser(sign(1, 2))
    live.process(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 1.0)
    with pytest.raises(ValueError, match=message):
        live.process(frame, seconds)
    live.process(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 2.0)  # and goes on


def test_settings_that_cannot_be_used(recogniser, loaded):
    with pytest.raises(ValueError, match="hold is 0; it must be a positive number"):
        SignRule(hold=0)
    signer = ScriptedSigner(sign(1, 2))
    signer.layout = register_layout("face-alone", ["nose", "left_eye"]).name
    pipe = SignRecognitionPipeline(model=loaded.model, feature_extractor=loaded.feature_extractor, estimator=signer)
    with pytest.raises(ValueError, match="Layout 'face-alone' has no hands"):
        StreamingSigns(pipe)


# --------------------------------------------------------------------------------------------------------------- real video


def test_real_signs_with_rest_between(loaded, clips, signlang_data):
    """A real sentence, then the hands in the lap for a second, and all of it again: two stretches of signing."""
    pytest.importorskip("mediapipe")
    bundles = signlang_data / "mediapipe-tasks"
    models = {} if has_solutions() else {
        "pose_model": bundles / "pose_landmarker_full.task", "hand_model": bundles / "hand_landmarker.task"
    }  # fmt: skip
    video = read_video(clips / "isl_are_you_free_today.mp4", fps=10)
    frames = [*video.frames, *[video.frames[-1]] * 10]
    with MediaPipeEstimator(**models) as estimator:
        pipe = SignRecognitionPipeline(
            model=loaded.model, feature_extractor=loaded.feature_extractor, estimator=estimator
        )
        live = StreamingSigns(pipe)
        found = [one for i, frame in enumerate(frames * 2) for one in live.process(frame, i / 10)]
        found += live.finish()
    length = len(frames) / 10
    near(answers(found), (0, 1.4), (length, length + 1.4), within=0.35)
