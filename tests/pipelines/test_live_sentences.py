"""StreamingSentences: glosses as they become final, a sentence after a rest, and both as the pipeline reads the same clip."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scripted_signer import HEIGHT, WIDTH, Hand, ScriptedSigner, blank_frames, first_of, sign
from tiny_translation import GLOSSES, save_tiny_composite, save_tiny_recognizer, save_tiny_translator
from transformers import pipeline

from signlang_hf import ContinuousSignRecognitionPipeline, StreamingSentences
from signlang_hf.decoding import NgramModel
from signlang_hf.landmarks import register_layout
from signlang_hf.pipelines import SENTENCE_RULE, SignRule, StreamEvent

FPS = 25


@pytest.fixture(scope="module", params=["causal", "windowed"])
def folder(request, tmp_path_factory) -> Path:
    """A recogniser whose features of a frame depend on its neighbours alone, so that a stream can give what the clip gives."""
    folder = tmp_path_factory.mktemp(request.param)
    return save_tiny_recognizer(folder, per_frame=True, max_gap=0.1, causal=request.param == "causal")


@pytest.fixture
def live(folder):
    """``live(right, left, …)``: live sentences of a tiny recogniser in front of a scripted signer."""

    def make(*hands: Hand, rule: SignRule | None = None, **arguments: object) -> StreamingSentences:
        pipe = pipeline("continuous-sign-recognition", model=str(folder), estimator=ScriptedSigner(*hands))
        return StreamingSentences(pipe, rule=rule, **arguments)

    return make


def run(live: StreamingSentences, seconds: float, start: float = 0.0) -> list[StreamEvent]:
    """What was found, glosses and sentences."""
    times = start + np.arange(round(seconds * FPS)) / FPS
    found = [(time, one) for time, frame in blank_frames(times) for one in live.process(frame, time)]
    assert all(one.time == time for time, one in found)
    return [one for _, one in found if one.answers]


def sentences(found: list[StreamEvent]) -> list[StreamEvent]:
    return [one for one in found if one.kind == "sentence"]


def as_sign(event: StreamEvent) -> dict:
    return {"gloss": event.label, "score": event.score, "start": event.start, "end": event.end}


def whole(live: StreamingSentences, start: float, end: float, seconds: float) -> dict:
    """The pipeline's answer about the clip of these frames."""
    pipe, signer = live.pipe, live.pipe.estimator
    times = np.array([t for t in np.arange(round(seconds * FPS)) / FPS if start - 0.2 <= t <= end + 0.2])
    clip = signer.sequence([signer.detect(None, time) for time in times], times, (WIDTH, HEIGHT))
    return pipe(clip)


def same(signs: list[dict], others: list[dict]) -> None:
    assert [sign["gloss"] for sign in signs] == [sign["gloss"] for sign in others] and signs
    for name in ("score", "start", "end"):
        np.testing.assert_allclose([s[name] for s in signs], [s[name] for s in others], atol=1e-3)


def test_two_sentences_with_a_rest_between(live):
    recogniser = live(first_of(sign(1, 4), sign(7, 9)))
    found = run(recogniser, 12)
    first, second = sentences(found)
    for one, (start, end) in zip((first, second), ((1.1, 3.9), (7.1, 8.9))):
        assert abs(one.start - start) < 0.2 and abs(one.end - end) < 0.2
        answer = whole(recogniser, one.start, one.end, 12)
        same(one.glosses, answer["glosses"])
        assert one.score == pytest.approx(answer["score"], abs=1e-3)
        assert one.text is None and str(one) == " ".join(sign["gloss"] for sign in one.glosses)
        assert json.loads(json.dumps(one.to_dict()))["glosses"] == list(one.glosses)
        assert all(one.start - 0.2 <= sign["start"] < sign["end"] <= one.end + 0.25 for sign in one.glosses)
    glosses = [as_sign(one) for one in found if one.kind == "gloss"]
    assert glosses == [*first.glosses, *second.glosses]
    assert first.time - first.end == pytest.approx(SENTENCE_RULE.rest, abs=0.06)


def test_a_gloss_comes_within_the_stated_latency(live):
    recogniser = live(sign(0.5, 9))
    found = run(recogniser, 8)
    early = [one for one in found if one.kind == "gloss"]
    assert early and not sentences(found)
    begun = SENTENCE_RULE.shortest + 1.0  # nothing is read before; then a burst of what has waited
    assert all(one.time - one.end <= max(recogniser.stream.latency, begun - one.end) + 2 / FPS for one in early)
    if recogniser.pipe.model.config.causal:
        assert recogniser.stream.latency < 1


def test_short_pauses_belong_to_the_sentence_and_long_ones_end_it(live):
    pause = first_of(sign(1, 3), sign(3.5, 5))
    assert len(sentences(run(live(pause), 8))) == 1
    assert len(sentences(run(live(pause, rule=SignRule(rest=0.3)), 8))) == 2


def test_idle_frames_give_nothing(live):
    rng = np.random.default_rng(0)
    for hand in (lambda _: None, lambda _: (0.3, 1.4 + rng.normal(0, 0.02)), sign(2, 2.4)):
        recogniser = live(hand)
        assert run(recogniser, 6) == [] and not [one for one in recogniser.finish() if one.answers]


def test_the_end_of_the_stream_ends_the_sentence(live):
    recogniser = live(sign(1, 90))
    run(recogniser, 4)
    assert recogniser.signing
    *_, sentence, idle = recogniser.finish()
    assert (
        (sentence.kind, idle.kind, idle.reason) == ("sentence", "idle", "sentence")
        and sentence.glosses
        and abs(sentence.end - 4) < 0.1
    )
    same(sentence.glosses, whole(recogniser, sentence.start, sentence.end, 4)["glosses"])
    assert not recogniser.signing and recogniser.finish() == []
    run(recogniser, 2)
    assert recogniser.pipe.estimator.clips == 2


def test_an_endless_sentence_is_cut_and_needs_no_room(live):
    recogniser = live(lambda seconds: (0.3 * np.sin(9 * seconds), 0.2), rule=SignRule(longest=3.0))
    found = sentences(run(recogniser, 7))
    assert [round(one.end) for one in found] == [3, 6]
    assert len(recogniser.stream._frames) < FPS


def test_a_translator_gives_the_sentence_its_text(folder, tmp_path):
    both = save_tiny_composite(tmp_path / "both", folder, save_tiny_translator(tmp_path / "translator"))
    pipe = pipeline("sign-translation", model=str(both), estimator=ScriptedSigner(sign(0.5, 3)))
    live = StreamingSentences(pipe, beam_size=4, num_beams=2)
    (sentence,) = sentences(run(live, 5))
    expected = pipe.translator([sign["gloss"] for sign in sentence.glosses], num_beams=2)
    assert sentence.text == str(sentence) == expected["text"] and 0 < sentence.score < expected["score"]


def test_a_sentence_that_the_translator_knows_nothing_of_says_so(tmp_path):
    settings = {"per_frame": True, "max_gap": 0.1, "causal": True}
    first = save_tiny_recognizer(tmp_path / "first", ("ELEPHANT", "ZEBRA"), **settings)
    both = save_tiny_composite(tmp_path / "both", first, save_tiny_translator(tmp_path / "translator"))
    with pytest.warns(UserWarning):
        pipe = pipeline("sign-translation", model=str(both), estimator=ScriptedSigner(sign(0.5, 3)))
        (sentence,) = sentences(run(StreamingSentences(pipe), 5))
    assert sentence.text == " ".join(one["gloss"].lower() for one in sentence.glosses) and sentence.score == 0.0
    assert sentence.message.startswith("The translator knows none of these glosses")


def test_settings_that_cannot_be_used(live, folder, tmp_path):
    with pytest.raises(ValueError, match="beam_size is 0"):
        live(sign(1, 2), beam_size=0)
    with pytest.raises(TypeError, match="does not know top_k"):
        live(sign(1, 2), top_k=3)
    with pytest.raises(ValueError, match=r"need a pipeline of continuous-.*; this one is of gloss-translation\."):
        StreamingSentences(pipeline("gloss-translation", model=str(save_tiny_translator(tmp_path / "translator"))))
    with pytest.raises(ValueError, match="stream needs a clock"):
        own_clock = pipeline(
            "continuous-sign-recognition", model=str(save_tiny_recognizer(tmp_path, target_fps=None)),
            estimator=ScriptedSigner(sign(1, 2)),
        )  # fmt: skip
        StreamingSentences(own_clock)
    handless = ScriptedSigner(sign(1, 2))
    handless.layout = register_layout("face-alone", ["nose", "left_eye"]).name
    loaded = pipeline("continuous-sign-recognition", model=str(folder))
    with pytest.raises(ValueError, match="'face-alone' has no hands"):
        StreamingSentences(
            ContinuousSignRecognitionPipeline(
                model=loaded.model, feature_extractor=loaded.feature_extractor, estimator=handless
            )
        )


def test_a_language_model_is_heard_whoever_it_is_given_to(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / "decoder.json").write_text('{"beam_size": 10, "language_model": null, "lm_weight": 0.0}')
    led = NgramModel.train([["RAIN", "TODAY"]] * 200 + [[gloss] for gloss in GLOSSES], order=2)

    def signs(of_the_pipeline: dict, **arguments: object) -> list[str]:
        signer = ScriptedSigner(sign(1, 4))
        pipe = pipeline(
            "continuous-sign-recognition", model=str(tmp_path / "model"), estimator=signer, **of_the_pipeline
        )
        (sentence,) = sentences(run(StreamingSentences(pipe, **arguments), 6))
        return [one["gloss"] for one in sentence.glosses]

    heard = signs({}, language_model=led)
    assert heard == signs({}, language_model=led, lm_weight=0.5) != signs({})
    assert heard == signs({"language_model": led}) == signs({"language_model": led, "engine": "numpy"})
