"""pipeline("continuous-sign-recognition"): glosses with confidences and times, long clips, decoding, and what cannot be used."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from cheap_pose import CheapEstimator, tiny_frames
from tiny_model import save_tiny_model, tiny_clip
from tiny_translation import GLOSSES, save_tiny_recognizer
from transformers import pipeline

from signlang_hf import ContinuousSignRecognitionPipeline, LandmarkSequence, SignCTCProcessor
from signlang_hf.decoding import NgramModel
from signlang_hf.video import VideoWarning

TASK = "continuous-sign-recognition"
NOBODY = {"glosses": [], "score": 0.0, "message": "Nobody was found in this clip."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tiny_recognizer(tmp_path_factory.mktemp("ctc") / "tiny")


@pytest.fixture(scope="module")
def pipe(folder) -> ContinuousSignRecognitionPipeline:
    return pipeline(TASK, model=str(folder), estimator=CheapEstimator())


def words(answer: dict) -> list[str]:
    return [sign["gloss"] for sign in answer["glosses"]]


def same(one: dict, other: dict, atol: float = 1e-4) -> None:
    assert words(one) == words(other)
    for name in ("score", "start", "end"):
        values = [[sign[name] for sign in answer["glosses"]] for answer in (one, other)]
        np.testing.assert_allclose(*values, atol=atol)
    assert one["score"] == pytest.approx(other["score"], abs=atol)


def probabilities(pipe: ContinuousSignRecognitionPipeline, features: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return pipe.model(torch.from_numpy(features)[None]).logits[0].exp().numpy()


def read(probabilities: np.ndarray, seconds: float) -> list[tuple[str, float, float]]:
    """Glosses of (T, V) probabilities with start and end, best column by best column, each ``seconds`` long."""
    found = []
    for column, run in groupby(enumerate(probabilities.argmax(1)), key=lambda item: item[1]):
        frames = [frame for frame, _ in run]
        if column:
            found.append((("<unk>", *GLOSSES)[column - 1], frames[0] * seconds, (frames[-1] + 1) * seconds))
    return found


def check(answer: dict, expected: list[tuple[str, float, float]]) -> None:
    assert len(expected) > 3 and words(answer) == [gloss for gloss, _, _ in expected]
    times = [(sign["start"], sign["end"]) for sign in answer["glosses"]]
    np.testing.assert_allclose(times, [time for _, *time in expected], atol=1e-9)


# --------------------------------------------------------------------------------------------------------------- answers


def test_glosses_and_times_are_those_of_the_model(pipe):
    clip = tiny_clip(38)
    check(pipe(clip), read(probabilities(pipe, pipe.feature_extractor.extract(clip)), 1 / 25))


def test_what_the_model_says_before_anything_is_decoded(pipe):
    clip = tiny_clip(38)
    log_probs, seconds = pipe.probabilities(clip)
    np.testing.assert_allclose(np.exp(log_probs), probabilities(pipe, pipe.feature_extractor.extract(clip)), atol=1e-5)
    assert seconds == pytest.approx(1 / 25)


def test_probabilities_of_a_clip_longer_than_a_window_are_those_that_are_decoded(pipe):
    clip = tiny_clip(5 * pipe.feature_extractor.max_frames // 2)
    log_probs, seconds = pipe.probabilities(clip)
    assert log_probs.shape == (len(pipe.feature_extractor.extract(clip)), len(pipe.feature_extractor.vocabulary))
    check(pipe(clip), read(np.exp(log_probs), seconds))


def test_the_answer_is_plain_python(pipe):
    answer = pipe(tiny_clip(30))
    assert json.loads(json.dumps(answer)) == answer
    for sign in answer["glosses"]:
        assert list(sign) == ["gloss", "score", "start", "end"]
        assert type(sign["gloss"]) is str and all(type(sign[name]) is float for name in ("score", "start", "end"))
        assert 0 <= sign["start"] < sign["end"] <= 30 / 25 and 0 < sign["score"] <= 1
    scores = [sign["score"] for sign in answer["glosses"]]
    assert answer["score"] == pytest.approx(np.prod(scores) ** (1 / len(scores)))


def test_one_list_batch_and_dataset_agree(pipe):
    import datasets

    from signlang_hf.data.rows import landmark_features, to_row

    clips = [tiny_clip(30), tiny_clip(95, 1), tiny_clip(12, 2), tiny_clip(130, 3)]  # one to six windows
    alone = [pipe(clip) for clip in clips]
    rows = datasets.Dataset.from_list(
        [to_row(clip, id=str(i)) for i, clip in enumerate(clips)], features=landmark_features("isl-48")
    )
    several = (
        pipe(clips), pipe(tuple(clips), batch_size=3), pipe(clips, batch_size=16), pipe(rows, batch_size=4),
        list(pipe(clip for clip in clips)),
    )  # fmt: skip
    for answers in several:
        assert len(answers) == len(clips)
        for one, other in zip(alone, answers):
            same(one, other)
    assert pipe([]) == []


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_long_clip_is_read_in_windows_that_fade_into_each_other(tmp_path, stride):
    pipe = pipeline(TASK, model=str(save_tiny_recognizer(tmp_path, temporal_stride=stride)))
    clip = tiny_clip(151)
    features = pipe.feature_extractor.extract(clip)
    total = weights = 0
    for start in range(0, 131, 20):  # windows of 40 frames that overlap by half
        part = probabilities(pipe, features[start : start + 40])
        ramp = np.array([min(place + 1, len(part) - place) for place in range(len(part))], float)[:, None]
        spread = np.zeros((-(-151 // stride), 1 + part.shape[1]))
        spread[start // stride : start // stride + len(part)] = np.hstack([ramp * part, ramp])
        total, weights = total + spread[:, :-1], weights + spread[:, -1:]
    check(pipe(clip), read(total / weights, stride / 25))


def test_a_clip_as_long_as_a_window_is_read_whole(pipe, folder, tmp_path):
    wide = pipeline(TASK, model=str(save_tiny_recognizer(tmp_path, max_frames=1000)))
    same(pipe(tiny_clip(40)), wide(tiny_clip(40)))
    clip = tiny_clip(150)
    check(wide(clip), read(probabilities(wide, wide.feature_extractor.extract(clip)), 1 / 25))


def test_a_causal_model_reads_any_clip_whole(tmp_path):
    pipe = pipeline(TASK, model=str(save_tiny_recognizer(tmp_path, causal=True)))
    clip = tiny_clip(150)
    check(pipe(clip), read(probabilities(pipe, pipe.feature_extractor.extract(clip)), 1 / 25))


def test_times_are_on_the_clock_of_the_clip(pipe):
    clip = tiny_clip(30)
    late = clip.replace(timestamps=clip.timestamps + 7.5)
    for now, then in zip(pipe(clip)["glosses"], pipe(late)["glosses"]):
        assert then["start"] == pytest.approx(now["start"] + 7.5) and then["end"] == pytest.approx(now["end"] + 7.5)


def test_an_own_clock(tmp_path):
    """A processor without target_fps reads a clip at its own rate; seconds stay seconds."""
    pipe = pipeline(TASK, model=str(save_tiny_recognizer(tmp_path, target_fps=None)))
    fast, slow = pipe(tiny_clip(30, fps=50.0)), pipe(tiny_clip(30, fps=10.0))
    assert 1 < slow["glosses"][-1]["end"] <= 3 and fast["glosses"][-1]["end"] <= 0.6


def test_frames_and_files(pipe, tmp_path):
    tiny_clip(30).save(tmp_path / "clip.npz")
    same(pipe(str(tmp_path / "clip.npz")), pipe(tiny_clip(30)))
    fast, slow = (pipe(tiny_frames(40), fps=fps) for fps in (50, 10))
    assert max(sign["end"] for sign in fast["glosses"]) <= 0.8 and slow["glosses"][-1]["end"] > 0.8


# --------------------------------------------------------------------------------------------------- nothing to be read


def test_a_clip_without_anybody_says_so_and_does_not_disturb_its_batch(pipe):
    nobody = np.full((50, 48, 3), np.nan, np.float32)
    assert pipe(nobody) == NOBODY
    answers = pipe([tiny_clip(95), nobody, tiny_clip(30)], batch_size=4)
    assert answers[1] == NOBODY
    same(answers[0], pipe(tiny_clip(95)))
    same(answers[2], pipe(tiny_clip(30)))
    with pytest.warns(VideoWarning, match="No person"):
        assert pipe(np.zeros((5, 48, 64, 3), np.uint8)) == NOBODY


def test_a_clip_without_a_sign_says_so(folder):
    pipe = pipeline(TASK, model=str(folder))
    with torch.no_grad():
        pipe.model.classifier.bias[0] += 1000
    assert pipe(tiny_clip(30)) == {"glosses": [], "score": 0.0, "message": "No sign was recognised in this clip."}


def test_a_clip_without_frames(pipe):
    with pytest.raises(ValueError, match="no frames; at least one"):
        pipe(LandmarkSequence(np.zeros((0, 48, 3)), "isl-48", units="unknown"))
    assert "glosses" in pipe(tiny_clip(1))


# -------------------------------------------------------------------------------------------------------------- decoding


def test_beams_and_a_language_model(pipe, tmp_path):
    clip = tiny_clip(30)
    assert words(pipe(clip, beam_size=1)) == words(pipe(clip))
    beam = pipe(clip, beam_size=20)
    assert json.loads(json.dumps(beam)) == beam and beam["glosses"]
    model = NgramModel.train([["RAIN", "TODAY"]] * 20 + [[gloss] for gloss in GLOSSES], order=2)
    model.save_arpa(tmp_path / "glosses.arpa")
    led = pipe(clip, language_model=str(tmp_path / "glosses.arpa"), lm_weight=8.0, insertion_bonus=-1.0)
    assert words(led) != words(beam) and "RAIN" in words(led)
    same(led, pipe(clip, language_model=model, beam_size=10, lm_weight=8.0, insertion_bonus=-1.0), atol=0.02)
    again = {"language_model": str(tmp_path / "glosses.arpa")}
    assert pipe.decoder(**again) is pipe.decoder(**again)  # read once
    standing = pipeline(TASK, model=pipe.model, feature_extractor=pipe.feature_extractor, beam_size=20)
    same(standing(clip), beam)


def test_a_language_model_that_is_given_is_heard(tmp_path):
    """Also where training found that its own was of no use, and left a weight of 0."""
    folder = save_tiny_recognizer(tmp_path / "model")
    model = NgramModel.train([["RAIN", "TODAY"]] * 200 + [[gloss] for gloss in GLOSSES], order=2)
    clip = tiny_clip(30)
    plain = pipeline(TASK, model=str(folder))
    by_default = plain(clip, language_model=model)
    same(by_default, plain(clip, language_model=model, lm_weight=0.5))
    assert words(by_default) != words(plain(clip, beam_size=10))
    (folder / "decoder.json").write_text('{"beam_size": 10, "language_model": null, "lm_weight": 0.0}')
    chosen = pipeline(TASK, model=str(folder))
    same(chosen(clip, language_model=model), by_default)
    same(pipeline(TASK, model=str(folder), language_model=model)(clip), by_default)
    same(chosen(clip, language_model=model, lm_weight=0.0), chosen(clip), atol=0.02)  # 0 that is said is 0
    (folder / "decoder.json").write_text('{"beam_size": 10, "lm_weight": 8.0}')
    weighed = pipeline(TASK, model=str(folder))
    same(weighed(clip, language_model=model), plain(clip, language_model=model, lm_weight=8.0))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"beam_size": 0}, ValueError, "beam_size is 0; it must be a whole number, 1"),
        ({"beam_size": 2.5}, ValueError, "beam_size is 2.5"),
        ({"beam_size": 1, "language_model": "x.arpa"}, ValueError, "language model needs a beam"),
        ({"language_model": "nowhere.arpa"}, FileNotFoundError, "nowhere.arpa"),
        ({"beam_size": 5, "engine": "abacus"}, ValueError, "abacus"),
        ({"fps": 0}, ValueError, "fps is 0"),
        ({"fps": "25"}, ValueError, "fps is '25'; it must be a positive number"),
        ({"beam_size": 5, "lm_weight": "high"}, ValueError, "lm_weight is 'high'; it must be a number, 0 or more"),
        ({"beam_size": 5, "lm_weight": -1.0}, ValueError, "lm_weight is -1.0"),
        ({"beam_size": 5, "insertion_bonus": float("nan")}, ValueError, "insertion_bonus is nan; it must be a number"),
        ({"top_k": 3}, TypeError, "continuous-sign-recognition does not know top_k; it takes beam_size"),
    ],
)
def test_arguments_that_cannot_be_used(pipe, arguments, kind, message):
    with pytest.raises(kind, match=message):
        pipe(tiny_clip(30), **arguments)


def test_a_language_model_of_other_glosses(pipe, tmp_path):
    NgramModel.train([["CAT", "DOG"]], order=2).save_arpa(tmp_path / "animals.arpa")
    with pytest.raises(ValueError, match="DOCTOR"):
        pipe(tiny_clip(30), language_model=str(tmp_path / "animals.arpa"))


# ---------------------------------------------------------------------------------------------------------------- folders


def test_saved_pipeline_loads_like_any_model_folder(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    same(pipeline(TASK, model=str(tmp_path))(tiny_clip(30)), pipe(tiny_clip(30)), atol=1e-6)
    assert not any(path.name.startswith(("continuous", "clip_pipeline")) for path in tmp_path.iterdir())


def test_folders_that_do_not_fit(folder, tmp_path):
    isolated = pipeline("sign-recognition", model=str(save_tiny_model(tmp_path / "isolated", layout="isl-48")))
    model = pipeline(TASK, model=str(folder)).model
    with pytest.raises(ValueError, match="needs a SignCTCProcessor as feature_extractor; got SignKeypointProcessor"):
        pipeline(TASK, model=model, feature_extractor=isolated.feature_extractor)
    with pytest.raises(ValueError, match=r"8 outputs.*vocabulary 4; they were not saved together"):
        pipeline(TASK, model=model, feature_extractor=SignCTCProcessor(["A", "B"]))
    with pytest.raises(ValueError, match="takes 432 features a frame, the processor makes 144"):
        pipeline(TASK, model=model, feature_extractor=SignCTCProcessor(GLOSSES, features=["position"]))


def test_it_reads_as_training_chose(tmp_path):
    folder = save_tiny_recognizer(tmp_path / "model")
    greedy = pipeline(TASK, model=str(folder))
    model = NgramModel.train([["RAIN", "TODAY"]] * 20 + [[gloss] for gloss in GLOSSES], order=2)
    model.save_arpa(folder / "language_model.arpa")
    chosen = {"method": "beam", "beam_size": 7, "language_model": "language_model.arpa", "lm_weight": 8.0}
    (folder / "decoder.json").write_text(json.dumps(chosen | {"engine": "auto", "chosen_on": {"clips": 3}}))
    pipe, clip = pipeline(TASK, model=str(folder)), tiny_clip(30)
    same(pipe(clip), greedy(clip, language_model=model, beam_size=7, lm_weight=8.0), atol=0.02)
    assert words(pipe(clip)) != words(greedy(clip))
    same(pipe(clip, beam_size=1), greedy(clip))
    same(pipe(clip, lm_weight=0.0), greedy(clip, beam_size=7), atol=0.02)
    pipe.save_pretrained(tmp_path / "saved")
    same(pipeline(TASK, model=str(tmp_path / "saved"))(clip), pipe(clip))
    (folder / "language_model.arpa").unlink()
    with pytest.raises(FileNotFoundError, match=r"decoder\.json names the language model language_model\.arpa"):
        pipeline(TASK, model=str(folder))
    for text, message in (
        ("[", "holds no settings of a decoder"),
        (json.dumps(chosen | {"language_model": "../x.arpa"}), "must lie in the same folder"),
        (json.dumps(chosen | {"beam_size": 0}), "beam_size is 0"),
    ):
        (folder / "decoder.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            pipeline(TASK, model=str(folder))
    (folder / "decoder.json").write_text('{"method": "greedy"}')
    same(pipeline(TASK, model=str(folder))(clip), greedy(clip))
