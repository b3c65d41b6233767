"""What the Spaces share, part by part: sentences, places before the camera, what a live page shows, examples, ZeroGPU, charts."""

from __future__ import annotations

import sys
import time
import types
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from cheap_pose import CheapEstimator
from scripted_signer import ScriptedSigner, blank_frames, sign

from signlang_hf.demo import catalogue, errors, examples, live, models, pictures, zero_gpu
from signlang_hf.demo import settings as owner
from signlang_hf.demo.live_view import LiveView
from signlang_hf.landmarks import LandmarkSequence, get_layout

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_mistake_becomes_a_message_without_folders():
    @errors.plain_errors
    def endpoint():
        raise ValueError(
            "/tmp/gradio/abc def/clip.mp4 and /tmp/gradio/0af/clip.mp4 are no videos; see https://huggingface.co/x."
        )

    with pytest.raises(gr.Error) as caught:
        endpoint()
    assert "/tmp/gradio/0af" not in caught.value.message
    assert "clip.mp4 are no videos; see https://huggingface.co/x." in caught.value.message


def test_a_fault_of_ours_stays_one():
    @errors.plain_errors
    def endpoint():
        raise KeyError("bones")

    with pytest.raises(KeyError):
        endpoint()


def test_a_mistake_in_the_middle_of_a_stream_is_a_message_too():
    @errors.plain_errors
    def endpoint():
        yield 1
        raise FileNotFoundError("clip.mp4 is gone.")

    stream = endpoint()
    assert next(stream) == 1
    with pytest.raises(gr.Error, match=r"clip.mp4 is gone\."):
        next(stream)


@pytest.mark.parametrize(("said", "ok"), [("2.5", True), ("", True), ("none", False), ("-1", False), ("inf", False)])
def test_settings_are_positive_numbers(monkeypatch, said, ok):
    monkeypatch.setenv("SIGNLANG_MAX_SECONDS", said)
    if ok:
        assert owner.number("MAX_SECONDS", 30.0) == float(said or 30.0)
    else:
        with pytest.raises(ValueError, match=f"SIGNLANG_MAX_SECONDS is '{said}'; it must be a positive number"):
            owner.number("MAX_SECONDS", 30.0)


# ------------------------------------------------------------------------------------------------ places before a camera


class Scripted(ScriptedSigner):
    """Signs from 0.5 s to 2 s."""

    def __init__(self) -> None:
        super().__init__(sign(0.5, 2.0))


def scripted(**options: object) -> Scripted:
    return Scripted()


@pytest.fixture
def pipe(settings, monkeypatch):
    monkeypatch.setenv("SIGNLANG_ESTIMATOR", f"{__name__}:scripted")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    return models.pipeline_of("fingerspelling", "sign-recognition")


def play(signer: live.Signer, until: float, since: float = 0.0) -> list[str]:
    for seconds, frame in blank_frames(np.arange(since, until, 0.05)):
        signer.look(frame, seconds)
    return [event["type"] for event in signer.view.events]


def test_two_people_do_not_mix(pipe):
    places = live.Places()
    one, two = places.at(places.take(pipe)), places.at(places.take(pipe))
    assert one.estimator is not two.estimator
    assert "sign" in play(one, 3.0)
    assert list(two.view.events) == [] and two.view.said == [] and not two.signing
    assert play(two, 1.2)[:1] == ["sign_started"] and two.signing and not one.signing
    assert len(one.view.said) == 1 and two.view.said == []


def test_there_are_only_so_many_places_and_they_come_back(pipe, monkeypatch):
    monkeypatch.setenv("SIGNLANG_LIVE_PLACES", "2")
    places = live.Places()
    first, second = places.take(pipe), places.take(pipe)
    with pytest.raises(ValueError, match="All 2 places before the camera are taken"):
        places.take(pipe)
    kept = places.at(first).estimator
    places.leave(first)
    places.leave(first)  # twice is once
    places.leave(None)
    assert places.at(first) is None and len(places) == 1
    third = places.take(pipe)
    assert places.at(third).estimator is kept  # made once, lent again
    assert third not in (first, second)


def test_who_has_gone_without_a_word_loses_the_place(pipe, monkeypatch):
    monkeypatch.setenv("SIGNLANG_LIVE_PLACES", "1")
    places = live.Places()
    key = places.take(pipe)
    places.at(key).used -= live.IDLE + 1
    assert places.at(places.take(pipe)) is not None
    assert places.at(key) is None


def test_a_camera_that_is_turned_begins_anew(pipe):
    places = live.Places()
    signer = places.at(places.take(pipe))
    play(signer, 1.0)
    assert signer.signing
    signer.look(np.zeros((640, 360, 3), np.uint8), 1.05)  # upright: an error of the stream, if it went on
    assert signer.view.events[-1]["type"] in ("sign", "idle")


def test_what_is_looked_at_is_no_mirror_image_and_what_is_shown_is_one(settings):
    pipe = models.pipeline_of("fingerspelling", "sign-recognition")
    seen = []

    class Looking(CheapEstimator):
        def detect(self, frame, seconds):
            seen.append(frame.copy())
            return super().detect(np.zeros_like(frame), seconds)  # nobody, so that nothing is drawn

    signer = live.Signer(pipe, Looking())
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :32] = 200
    shown = signer.look(frame, 0.0)
    assert (seen[0] == frame).all() and (shown == frame[:, ::-1]).all()


def test_sentences_come_from_the_camera_too(pipe):
    signer = live.Signer(models.pipeline_of("spelling", "sign-translation"), Scripted())
    kinds = play(signer, 4.0)
    signer.finish()
    assert set(kinds) <= {"gloss", "sentence"} and kinds[-1:] in ([], ["sentence"])
    with pytest.raises(ValueError, match="A model for sentences looks at videos here"):
        signer.push(None, None, None)


# ------------------------------------------------------------------------------------------------------ what a page shows


def test_a_live_page_shows_words_and_escapes_them():
    view = LiveView()
    assert "Sign, and the word appears here." in view.word() and "Nothing has happened yet" in view.log()
    view.tell({"type": "sign_started", "time": 0.5, "start": 0.4})
    view.signing = True
    assert "signing …" in view.word()
    view.tell({"type": "partial", "time": 1.0, "label": "<b>x</b>", "score": 0.5})
    assert "&lt;b&gt;x&lt;/b&gt; ?" in view.word() and "<b>x" not in view.word() + view.log()
    view.tell({"type": "sign", "time": 1.5, "label": "<b>x</b>", "score": 0.9})
    view.tell({"type": "idle", "time": 1.5, "reason": "sign"})
    view.tell({"type": "idle", "time": 2.5, "reason": "unknown"})
    view.signing = False
    assert "90 %" in view.word() and view.sentence() == "<b>x</b>"  # a text box, which is no HTML
    assert view.log().index("does not know") < view.log().index("90 %") < view.log().index("somebody signs")
    assert [event["type"] for event in view.events] == ["sign_started", "partial", "sign", "idle"]


def test_a_guess_that_came_to_nothing_goes():
    view = LiveView()
    view.tell({"type": "partial", "time": 1.0, "label": "ich", "score": 0.5})
    view.tell({"type": "idle", "time": 2.0, "reason": "unknown"})
    assert "ich" not in view.word() and view.sentence() == ""


def test_sentences_stand_in_place_of_their_glosses():
    view = LiveView()
    view.tell({"type": "gloss", "gloss": "A", "score": 0.9, "start": 0.0, "end": 1.0})
    assert view.sentence() == "A" and ">A<" in view.word()
    view.tell({"type": "sentence", "start": 0.0, "end": 2.0, "glosses": [{"gloss": "A"}], "text": "a", "score": 0.8})
    assert view.sentence() == "a" and "2.0 s" in view.log()


# -------------------------------------------------------------------------------------------------------------- examples


def test_a_fresh_machine_has_real_examples(settings, monkeypatch):
    pytest.importorskip("spoken_to_signed")
    monkeypatch.delenv("SIGNLANG_DATA", raising=False)
    (letter,), (word,) = examples.letters("B"), examples.words(["berlin"])
    assert (letter.label, letter.model) == ("Letter B", "fingerspelling")
    assert (word.label, word.model) == ("Berlin, spelled", "spelling")
    assert examples.clips() == [] and examples.on_the_hub((".mp4",)) == []
    path = letter.make()
    assert examples.kind_of(path) == "landmarks" and path.parent != letter.make().parent
    assert [example.label for example in examples.pictures()] == ["Grace Hopper, 1984"]


def test_examples_of_the_data_folder(settings, monkeypatch, tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "yo_001.mp4").write_bytes(b"x")
    monkeypatch.setenv("SIGNLANG_DATA", str(tmp_path))
    (example,) = examples.clips()
    assert example.model == "dgs30" and examples.kind_of(example.make()) == "video"
    assert example.make().read_bytes() == b"x"


def test_without_the_package_of_letters_there_are_none(monkeypatch):
    monkeypatch.delenv("SIGNLANG_DATA", raising=False)
    monkeypatch.setattr(examples, "find_spec", lambda name: None)
    assert examples.letters("AB") == examples.words(["ab"]) == examples.pictures() == []


def test_examples_of_the_owners_dataset(settings, monkeypatch, tmp_path):
    """They are asked for when a page is opened, not when it is built."""
    import huggingface_hub

    clip = tmp_path / "clip.npz"
    clip.write_bytes(b"x")
    asked = []
    listed = ["README.md", "a/good_morning.npz", "b/hello.mp4"]
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda self, *a, **k: asked.append(a) or listed)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a, **k: str(clip))
    monkeypatch.setenv("SIGNLANG_EXAMPLES", "org/clips")
    demo = catalogue.opened(catalogue.space("sign-translation")).demo
    assert asked == []
    steps = {step.fn.__name__: step.fn for step in demo.fns.values() if step.fn is not None}
    shown = steps["ask"]()
    labels = shown["sample_labels"]
    assert [[label] for label in labels] == shown["samples"]
    assert asked == [("org/clips",)] and labels[-2:] == ["good morning", "hello"]
    video, landmarks, model = steps["take"](["good morning"])
    assert video is None and Path(landmarks).name == "clip.npz" and model == gr.skip()
    with pytest.raises(gr.Error, match="There is no such example"):
        steps["take"](["/etc/passwd"])


def test_a_space_without_examples_says_so(settings, monkeypatch):
    monkeypatch.setattr(examples, "find_spec", lambda name: None)
    monkeypatch.delenv("SIGNLANG_DATA", raising=False)
    demo = catalogue.opened(catalogue.space("keypoint-detector")).demo
    said = [block.value for block in demo.blocks.values() if isinstance(block, gr.Markdown)]
    assert "There are no examples on this machine; a picture of your own works as well." in said


def test_files_of_ours_do_not_stay(monkeypatch):
    first = pictures.new_file("a.png")
    assert first.parent.is_dir() and not first.exists()
    monkeypatch.setattr(pictures, "_KEPT_SECONDS", 0.0)
    time.sleep(0.01)
    second = pictures.new_file("b.png")
    assert not first.parent.exists() and second.parent.is_dir()


# ---------------------------------------------------------------------------------------------------------------- ZeroGPU


def test_on_zero_gpu_an_endpoint_borrows_a_gpu(monkeypatch):
    package = types.ModuleType("spaces")
    package.GPU = lambda function: ("borrowed", function)
    monkeypatch.setitem(sys.modules, "spaces", package)
    assert zero_gpu.gpu(len) == ("borrowed", len)


def test_our_own_folder_is_not_the_hubs_package(monkeypatch):
    """At the root of a checkout ``import spaces`` finds our folder, which has no GPU in it."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    assert zero_gpu.gpu(len) is len
    assert getattr(sys.modules["spaces"], "__file__", None) is None  # it was imported, and is that folder


def test_elsewhere_it_stays_as_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert zero_gpu.gpu(len) is len


# ---------------------------------------------------------------------------------------------------------------- pictures


def test_dots_lie_where_the_points_are():
    points = get_layout("signlang-64").points
    data = np.full((1, 64, 2), np.nan, np.float32)
    data[0, points.index("nose")] = 50, 30
    drawn = pictures.marked_picture(
        np.zeros((100, 120, 3), np.uint8), LandmarkSequence(data, "signlang-64", size=(120, 100), units="pixel")
    )
    assert drawn[30, 50].any() and not drawn[60:].any() and not drawn[:, 70:].any()
