"""LiveSentences: glosses as they become final, a sentence after a rest, and both as the pipeline reads the same clip."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scripted_signer import HEIGHT, WIDTH, Hand, ScriptedSigner, blank_frames, first_of, sign
from tiny_translation import GLOSSES, save_tiny_composite, save_tiny_recognizer, save_tiny_translator
from transformers import pipeline

from signlang_hf import ContinuousSignRecognitionPipeline, LiveSentences
from signlang_hf.decoding import NgramModel
from signlang_hf.landmarks import register_layout
from signlang_hf.pipelines import SENTENCE_RULE, LiveGloss, LiveSentence, SignRule

FPS = 25


@pytest.fixture(scope="module", params=["causal", "windowed"])
def folder(request, tmp_path_factory) -> Path:
    """A recogniser whose features of a frame depend on its neighbours alone, so that a stream can give what the clip gives."""
    folder = tmp_path_factory.mktemp(request.param)
    return save_tiny_recognizer(folder, per_frame=True, max_gap=0.1, causal=request.param == "causal")


@pytest.fixture
def live(folder):
    """``live(right, left, …)``: live sentences of a tiny recogniser in front of a scripted signer."""

    def make(*hands: Hand, rule: SignRule | None = None, **arguments: object) -> LiveSentences:
        pipe = pipeline("continuous-sign-recognition", model=str(folder), estimator=ScriptedSigner(*hands))
        return LiveSentences(pipe, rule, **arguments)

    return make


def run(live: LiveSentences, seconds: float, start: float = 0.0) -> list[tuple[float, LiveGloss | LiveSentence]]:
    """What was found, and when."""
    times = start + np.arange(round(seconds * FPS)) / FPS
    return [(time, one) for time, frame in blank_frames(times) for one in live.process(frame, time)]


def sentences(found: list[tuple[float, LiveGloss | LiveSentence]]) -> list[LiveSentence]:
    return [one for _, one in found if isinstance(one, LiveSentence)]


def whole(live: LiveSentences, start: float, end: float, seconds: float) -> dict:
    """The pipeline's answer about the clip of these frames."""
    pipe, signer = live._pipe, live._pipe.estimator
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
        assert json.loads(json.dumps(asdict(one))) == asdict(one)
        assert all(one.start - 0.2 <= sign["start"] < sign["end"] <= one.end + 0.25 for sign in one.glosses)
    glosses = [asdict(one) for _, one in found if isinstance(one, LiveGloss)]
    assert glosses == first.glosses + second.glosses
    ended = [time for time, one in found if isinstance(one, LiveSentence)]
    assert ended[0] - first.end == pytest.approx(SENTENCE_RULE.rest, abs=0.06)


def test_a_gloss_comes_within_the_stated_latency(live):
    recogniser = live(sign(0.5, 9))
    found = run(recogniser, 8)
    early = [(time, one) for time, one in found if isinstance(one, LiveGloss)]
    assert early and not sentences(found)
    begun = SENTENCE_RULE.shortest + 1.0  # nothing is read before; then a burst of what has waited
    assert all(time - one.end <= max(recogniser.latency, begun - one.end) + 2 / FPS for time, one in early)
    if recogniser._pipe.model.config.causal:
        assert recogniser.latency < 1


def test_short_pauses_belong_to_the_sentence_and_long_ones_end_it(live):
    pause = first_of(sign(1, 3), sign(3.5, 5))
    assert len(sentences(run(live(pause), 8))) == 1
    assert len(sentences(run(live(pause, rule=SignRule(rest=0.3)), 8))) == 2


def test_idle_frames_give_nothing(live):
    rng = np.random.default_rng(0)
    for hand in (lambda _: None, lambda _: (0.3, 1.4 + rng.normal(0, 0.02)), sign(2, 2.4)):
        recogniser = live(hand)
        assert run(recogniser, 6) == [] and recogniser.finish() == []


def test_the_end_of_the_stream_ends_the_sentence(live):
    recogniser = live(sign(1, 90))
    run(recogniser, 4)
    assert recogniser.signing
    *_, sentence = recogniser.finish()
    assert isinstance(sentence, LiveSentence) and sentence.glosses and abs(sentence.end - 4) < 0.1
    same(sentence.glosses, whole(recogniser, sentence.start, sentence.end, 4)["glosses"])
    assert not recogniser.signing and recogniser.finish() == []
    run(recogniser, 2)
    assert recogniser._pipe.estimator.clips == 2


def test_an_endless_sentence_is_cut_and_needs_no_room(live):
    recogniser = live(lambda seconds: (0.3 * np.sin(9 * seconds), 0.2), rule=SignRule(longest=3.0))
    found = sentences(run(recogniser, 7))
    assert [round(one.end) for one in found] == [3, 6]
    assert len(recogniser._frames) < FPS


def test_a_translator_gives_the_sentence_its_text(folder, tmp_path):
    both = save_tiny_composite(tmp_path / "both", folder, save_tiny_translator(tmp_path / "translator"))
    pipe = pipeline("sign-translation", model=str(both), estimator=ScriptedSigner(sign(0.5, 3)))
    live = LiveSentences(pipe, beam_size=4, num_beams=2)
    (sentence,) = sentences(run(live, 5))
    expected = pipe.translator([sign["gloss"] for sign in sentence.glosses], num_beams=2)
    assert sentence.text == str(sentence) == expected["text"] and 0 < sentence.score < expected["score"]


def test_a_sentence_that_the_translator_knows_nothing_of_says_so(tmp_path):
    settings = {"per_frame": True, "max_gap": 0.1, "causal": True}
    first = save_tiny_recognizer(tmp_path / "first", ("ELEPHANT", "ZEBRA"), **settings)
    both = save_tiny_composite(tmp_path / "both", first, save_tiny_translator(tmp_path / "translator"))
    with pytest.warns(UserWarning):
        pipe = pipeline("sign-translation", model=str(both), estimator=ScriptedSigner(sign(0.5, 3)))
        (sentence,) = sentences(run(LiveSentences(pipe), 5))
    assert sentence.text == " ".join(one["gloss"].lower() for one in sentence.glosses) and sentence.score == 0.0
    assert sentence.message.startswith("The translator knows none of these glosses")


def test_a_gloss_in_words():
    assert str(LiveGloss("DOCTOR", 0.934, 1.0, 1.2)) == "DOCTOR 93 %"


def test_settings_that_cannot_be_used(live, folder, tmp_path):
    with pytest.raises(ValueError, match="beam_size is 0"):
        live(sign(1, 2), beam_size=0)
    with pytest.raises(TypeError, match="does not know top_k"):
        live(sign(1, 2), top_k=3)
    with pytest.raises(ValueError, match=r"need a pipeline of continuous-.*; this one is of gloss-translation\."):
        LiveSentences(pipeline("gloss-translation", model=str(save_tiny_translator(tmp_path / "translator"))))
    with pytest.raises(ValueError, match="stream needs a clock"):
        own_clock = pipeline(
            "continuous-sign-recognition", model=str(save_tiny_recognizer(tmp_path, target_fps=None)),
            estimator=ScriptedSigner(sign(1, 2)),
        )  # fmt: skip
        LiveSentences(own_clock)
    handless = ScriptedSigner(sign(1, 2))
    handless.layout = register_layout("face-alone", ["nose", "left_eye"]).name
    loaded = pipeline("continuous-sign-recognition", model=str(folder))
    with pytest.raises(ValueError, match="'face-alone' has no hands"):
        LiveSentences(
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
        (sentence,) = sentences(run(LiveSentences(pipe, **arguments), 6))
        return [one["gloss"] for one in sentence.glosses]

    heard = signs({}, language_model=led)
    assert heard == signs({}, language_model=led, lm_weight=0.5) != signs({})
    assert heard == signs({"language_model": led}) == signs({"language_model": led, "engine": "numpy"})
