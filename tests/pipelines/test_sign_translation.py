"""pipeline("sign-translation"): both stages of a composite, in every form of input, and what cannot be used."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from cheap_pose import CheapEstimator, tiny_frames
from stub_hub import serve_hub  # noqa: F401  makes the fixture 'stub_hub' known here
from tiny_model import tiny_clip
from tiny_translation import GLOSSES, save_tiny_composite, save_tiny_recognizer, save_tiny_translator
from transformers import pipeline

from signlang_hf import LandmarkSequence, SignTranslationPipeline
from signlang_hf.decoding import NgramModel

TASK = "sign-translation"
NOBODY = {"glosses": [], "text": "", "score": 0.0, "message": "Nobody was found in this clip."}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("translation")
    save_tiny_composite(
        folder / "both", save_tiny_recognizer(folder / "recognizer"), save_tiny_translator(folder / "translator")
    )
    return folder


@pytest.fixture(scope="module")
def pipe(folders) -> SignTranslationPipeline:
    return pipeline(TASK, model=str(folders / "both"), estimator=CheapEstimator())


@pytest.fixture(scope="module")
def stages(folders):
    """``stages(clip, decoding, search)``: the answer of the two pipelines by themselves, one after the other."""
    recognizer = pipeline("continuous-sign-recognition", model=str(folders / "recognizer"))
    translator = pipeline("gloss-translation", model=str(folders / "translator"))

    def answer(clip, decoding=None, search=None) -> dict:
        found = recognizer(clip, **(decoding or {}))
        sentence = translator([sign["gloss"] for sign in found["glosses"]], **(search or {}))
        return {**found, "text": sentence["text"], "score": found["score"] * sentence["score"]}

    return answer


def same(one: dict, other: dict, atol: float = 1e-4) -> None:
    assert one["text"] == other["text"] and one["score"] == pytest.approx(other["score"], abs=atol)
    assert [sign["gloss"] for sign in one["glosses"]] == [sign["gloss"] for sign in other["glosses"]]
    for name in ("score", "start", "end"):
        values = [[sign[name] for sign in answer["glosses"]] for answer in (one, other)]
        np.testing.assert_allclose(*values, atol=atol)


def test_it_is_the_two_stages_in_a_row(pipe, stages):
    for clip in (tiny_clip(30), tiny_clip(100, 1)):
        answer = pipe(clip)
        same(answer, stages(clip))
        assert list(answer) == ["glosses", "text", "score"] and answer["text"] and 0 < answer["score"] < 1
        assert json.loads(json.dumps(answer)) == answer
    search = {"num_beams": 3, "length_penalty": -1.0, "max_new_tokens": 6}
    same(pipe(tiny_clip(30), beam_size=8, **search), stages(tiny_clip(30), {"beam_size": 8}, search))


def test_one_list_batch_and_generator_agree(pipe):
    clips = [tiny_clip(30), tiny_clip(95, 1), np.full((9, 48, 3), np.nan, np.float32), tiny_clip(12, 2)]
    alone = [pipe(clip) for clip in clips]
    assert alone[2] == NOBODY
    for answers in (pipe(clips), pipe(clips, batch_size=3), list(pipe(clip for clip in clips))):
        for one, other in zip(alone, answers, strict=True):
            same(one, other)
    assert pipe([]) == []


def test_frames_files_and_empty_clips(pipe, tmp_path):
    tiny_clip(30).save(tmp_path / "clip.npz")
    same(pipe(str(tmp_path / "clip.npz")), pipe(tiny_clip(30)))
    assert pipe.recognizer.estimator is pipe.estimator and pipe(tiny_frames(40), fps=10)["text"]
    with pytest.raises(ValueError, match="no frames; at least one"):
        pipe(LandmarkSequence(np.zeros((0, 48, 3)), "isl-48", units="unknown"))


def test_glosses_that_the_translator_does_not_know_stay_in_the_answer(tmp_path):
    recognizer = save_tiny_recognizer(tmp_path / "recognizer", ("ELEPHANT", "HELLO", "ZEBRA"))
    translator = save_tiny_translator(tmp_path / "translator")
    with pytest.warns(UserWarning):
        pipe = pipeline(TASK, model=str(save_tiny_composite(tmp_path / "both", recognizer, translator)))
        answer = pipe(tiny_clip(60))
    assert {"ELEPHANT", "ZEBRA"} & {sign["gloss"] for sign in answer["glosses"]} and answer["text"]


def test_where_the_translator_knows_no_gloss_nothing_is_made_up(tmp_path):
    recognizer = save_tiny_recognizer(tmp_path / "recognizer", ("ELEPHANT", "ZEBRA"))
    translator = save_tiny_translator(tmp_path / "translator")
    with pytest.warns(UserWarning):
        pipe = pipeline(TASK, model=str(save_tiny_composite(tmp_path / "both", recognizer, translator)))
        answer = pipe(tiny_clip(60))
    assert answer["glosses"] and answer["text"] == " ".join(sign["gloss"].lower() for sign in answer["glosses"])
    assert answer["score"] == 0.0 and answer["message"].startswith("The translator knows none of these glosses")
    assert list(answer) == ["glosses", "text", "score", "message"]


def test_no_sign_has_no_text(folders):
    pipe = pipeline(TASK, model=str(folders / "both"))
    with torch.no_grad():
        pipe.model.recognizer.classifier.bias[0] += 1000
    assert pipe(tiny_clip(30)) == {**NOBODY, "message": "No sign was recognised in this clip."}


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"beam_size": 0}, ValueError, "beam_size is 0"),
        ({"num_beams": 0}, ValueError, "num_beams is 0"),
        ({"language_model": "nowhere.arpa"}, FileNotFoundError, "nowhere.arpa"),
        ({"top_k": 3}, TypeError, "sign-translation does not know top_k; it takes beam_size"),
    ],
)
def test_arguments_that_cannot_be_used(pipe, arguments, kind, message):
    with pytest.raises(kind, match=message):
        pipe(tiny_clip(30), **arguments)


def test_saving_and_folders_that_do_not_fit(pipe, folders, tmp_path):
    pipe.save_pretrained(tmp_path / "saved")
    same(pipeline(TASK, model=str(tmp_path / "saved"))(tiny_clip(30)), pipe(tiny_clip(30)), atol=1e-6)
    with pytest.raises(ValueError, match="needs a SignTranslationProcessor as feature_extractor"):
        pipeline(TASK, model=str(folders / "translator"))


def test_it_reads_as_the_recogniser_s_training_chose(folders, tmp_path):
    pipe = pipeline(TASK, model=str(folders / "both"))
    shutil.copytree(folders / "both", tmp_path / "both")
    (tmp_path / "both" / "recognizer" / "decoder.json").write_text('{"method": "beam", "beam_size": 9}')
    chosen = pipeline(TASK, model=str(tmp_path / "both"))
    same(chosen(tiny_clip(30)), pipe(tiny_clip(30), beam_size=9))
    assert chosen(tiny_clip(30))["glosses"] != pipe(tiny_clip(30))["glosses"]
    chosen.save_pretrained(tmp_path / "saved")
    same(pipeline(TASK, model=str(tmp_path / "saved"))(tiny_clip(30)), chosen(tiny_clip(30)))


def test_from_the_hub_it_reads_with_its_language_model(stub_hub, folders, tmp_path):
    shutil.copytree(folders / "both", tmp_path / "both")
    member = tmp_path / "both" / "recognizer"
    NgramModel.train([["RAIN", "TODAY"]] * 20 + [[gloss] for gloss in GLOSSES], order=2).save_arpa(member / "lm.arpa")
    (member / "decoder.json").write_text('{"beam_size": 9, "language_model": "lm.arpa", "lm_weight": 8.0}')
    tiny_clip(30).save(tmp_path / "clip.npz")
    code = f"""
        import json, signlang_hf
        from signlang_hf.hub import push_to_hub, save_model_card
        from transformers import pipeline
        save_model_card({str(tmp_path / "both")!r}, summary="Reads six signs.")
        push_to_hub({str(tmp_path / "both")!r}, "org/both")
        print(json.dumps(pipeline("sign-translation", model="org/both")({str(tmp_path / "clip.npz")!r})))
    """
    done = stub_hub.run(textwrap.dedent(code), tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    same(found, pipeline(TASK, model=str(tmp_path / "both"))(tiny_clip(30)))
    assert found["glosses"] != pipeline(TASK, model=str(folders / "both"))(tiny_clip(30))["glosses"]
