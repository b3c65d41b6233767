"""A folder in place of a clip: every clip in it has an entry, also the one that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cheap_pose import CheapEstimator, tiny_frames
from tiny_model import tiny_clip
from tiny_translation import save_tiny_composite, save_tiny_recognizer, save_tiny_translator
from transformers import pipeline

from signlang_hf.video import write_video


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_composite(
        folder / "both", save_tiny_recognizer(folder / "recognizer"), save_tiny_translator(folder / "translator")
    )
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Three clips, one of them a video and one in a sub-folder, one that cannot be read, and other files."""
    folder = tmp_path_factory.mktemp("clips")
    tiny_clip(60).save(folder / "a.npz")
    tiny_clip(90, 1).save(folder / "sub" / "b.npz")
    write_video(folder / "c.mp4", tiny_frames(30))
    (folder / "broken.mp4").write_text("no video")
    for other in ("notes.txt", ".hidden.npz", "a.srt"):
        (folder / other).write_text("not a clip")
    return folder


NAMES = ["a.npz", "broken.mp4", "c.mp4", "b.npz"]


@pytest.fixture(
    params=[("sign-translation", "both"), ("continuous-sign-recognition", "recognizer"), ("sign-recognition", None)],
    ids=lambda param: param[0],
)
def pipe(request, models, model_folder):
    task, folder = request.param
    model = model_folder if folder is None else models / folder
    return pipeline(task, model=str(model), estimator=CheapEstimator())


def test_a_folder_is_all_its_clips(pipe, clips):
    for folder in (clips, str(clips)):  # as Path and as text
        rows = pipe(folder)
        assert [Path(row["file"]).name for row in rows] == NAMES and json.loads(json.dumps(rows)) == rows
    for row in (rows[0], *rows[2:]):
        alone = pipe(row["file"])
        answer = {name: value for name, value in row.items() if name != "file"}
        assert answer == (alone if isinstance(alone, dict) else {"predictions": alone})
        assert "error" not in answer
    assert set(rows[1]) == {"file", "error"} and "not a video" in rows[1]["error"]


def test_call_arguments_go_to_each_clip(models, clips):
    pipe = pipeline("continuous-sign-recognition", model=str(models / "recognizer"), estimator=CheapEstimator())
    rows = pipe(clips, beam_size=8, batch_size=2)
    answer = pipe(str(clips / "sub" / "b.npz"), beam_size=8)
    assert [sign["gloss"] for sign in rows[3]["glosses"]] == [sign["gloss"] for sign in answer["glosses"]]
    assert rows[3]["glosses"] != pipe(clips)[3]["glosses"]


def test_a_mistake_in_the_arguments_is_not_one_of_every_clip(pipe, clips):
    with pytest.raises(TypeError, match="does not know beams"):
        pipe(clips, beams=3)
    with pytest.raises(ValueError, match="fps is 0"):
        pipe(clips, fps=0)
    if pipe.task_name != "sign-recognition":
        with pytest.raises(FileNotFoundError, match=r"nowhere\.arpa"):
            pipe(clips, language_model="nowhere.arpa")


def test_a_folder_without_clips_and_one_in_a_list(pipe, tmp_path, clips):
    with pytest.raises(FileNotFoundError, match="There is no video or landmark file in"):
        pipe(tmp_path)
    with pytest.raises(ValueError, match="is a folder; give it by itself, not in a list"):
        pipe([str(clips / "a.npz"), str(clips)])
