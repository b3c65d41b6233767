"""``signlang translate``: JSON lines, subtitles, models given in three ways, and clips that cannot be read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cheap_pose import CheapEstimator, tiny_frames
from tiny_model import save_tiny_model, tiny_clip
from tiny_translation import GLOSSES, save_tiny_composite, save_tiny_recognizer, save_tiny_translator
from transformers import pipeline
from typer.testing import CliRunner, Result

from signlang_hf.cli import app
from signlang_hf.decoding import NgramModel
from signlang_hf.pipelines.clip_files import beside
from signlang_hf.video import write_video


@pytest.fixture(autouse=True)
def quiet_transformers():
    """The command line turns transformers' messages off for its process; a test's process goes on."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield
    logging.set_verbosity(verbosity)
    if bars:
        logging.enable_progress_bar()


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_composite(
        folder / "both", save_tiny_recognizer(folder / "recognizer"), save_tiny_translator(folder / "translator")
    )
    return folder


@pytest.fixture
def clips(tmp_path) -> Path:
    """Two clips, one of them in a sub-folder, and one that cannot be read."""
    folder = tmp_path / "clips"
    tiny_clip(60).save(folder / "a.npz")
    tiny_clip(90, 1).save(folder / "sub" / "b.npz")
    (folder / "broken.mp4").write_text("no video")
    return folder


def translate(*words: object) -> Result:
    result = CliRunner().invoke(app, ["translate", *(str(word) for word in words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    return result


def rows(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_are_the_answers_of_the_pipeline(models, clips):
    result = translate(clips / "a.npz", "--model", models / "both")
    assert result.exit_code == 0 and result.stderr == ""
    (row,) = rows(result.stdout)
    answer = pipeline("sign-translation", model=str(models / "both"))(tiny_clip(60))
    assert row == {"file": str(clips / "a.npz"), **answer}
    (pair,) = rows(
        translate(clips / "a.npz", "--recognizer", models / "recognizer", "--translator", models / "translator").stdout
    )
    assert pair == row
    (alone,) = rows(translate(clips / "a.npz", "--recognizer", models / "recognizer").stdout)
    assert alone["glosses"] == row["glosses"] and "text" not in alone


def test_a_folder_with_a_clip_that_cannot_be_read(models, clips, tmp_path):
    result = translate(clips, "--model", models / "both", "--srt", "--vtt", "--out", tmp_path / "out")
    assert result.exit_code == 0 and result.stdout == ""
    found = rows((tmp_path / "out" / "translations.jsonl").read_text())
    assert [Path(row["file"]).name for row in found] == ["a.npz", "broken.mp4", "b.npz"]
    assert set(found[1]) == {"file", "error"} and "not a video" in found[1]["error"]
    said = result.stderr.splitlines()
    assert len(said) == 4 and "broken.mp4" in said[1] and said[0].endswith(found[0]["text"])
    assert said[3] == "signlang: 2 of 3 clips were read, 1 could not be."
    assert [str(tmp_path / "out" / name) for name in ("a.srt", "a.vtt")] == found[0]["subtitles"]
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*t")}
    assert written == {"a.srt", "a.vtt", "sub/b.srt", "sub/b.vtt"}
    srt = (tmp_path / "out" / "a.srt").read_text()
    assert srt.startswith("1\n00:00:0") and found[0]["text"].split()[0] in srt
    assert (tmp_path / "out" / "sub" / "b.vtt").read_text().startswith("WEBVTT\n")
    assert translate(clips, "--model", models / "both", "--strict").exit_code == 1


def test_a_place_where_nothing_can_be_written_is_said_before_a_clip_is_read(models, clips, tmp_path):
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "lines.jsonl").mkdir()
    for out, said in (("taken", "taken/translations.jsonl"), ("lines.jsonl", "it is a folder; choose another place")):
        result = translate(clips, "--recognizer", models / "recognizer", "--out", tmp_path / out)
        assert result.exit_code == 1 and result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("signlang: The answers cannot be written to ") and said in line
    assert (tmp_path / "taken").read_text() == "mine"


def test_an_answer_is_kept_where_its_subtitles_cannot_be_written(models, clips):
    (clips / "a.srt").mkdir()
    result = translate(clips / "a.npz", "--recognizer", models / "recognizer", "--srt")
    (row,) = rows(result.stdout)
    assert row["glosses"] and "a.srt" in row["error"] and result.exit_code == 1


def test_nothing_that_can_be_read(models, clips):
    result = translate(clips / "broken.mp4", clips / "missing.npz", "--recognizer", models / "recognizer")
    assert result.exit_code == 1
    assert [set(row) for row in rows(result.stdout)] == [{"file", "error"}] * 2
    assert "0 of 2 clips were read, 2 could not be." in result.stderr and "missing.npz" in result.stderr


def test_subtitles_beside_a_video_and_nobody_in_it(models, tmp_path, monkeypatch):
    monkeypatch.setattr("signlang_hf.pipelines.clip_pipeline.default_estimator", CheapEstimator)
    write_video(tmp_path / "clip.mp4", tiny_frames(50))
    write_video(tmp_path / "dark.mp4", tiny_frames(5) * 0)
    result = translate(tmp_path, "--recognizer", models / "recognizer", "--srt", "--out", tmp_path / "lines.jsonl")
    assert result.exit_code == 0
    clip, dark = rows((tmp_path / "lines.jsonl").read_text())
    assert clip["glosses"] and clip["glosses"][0]["gloss"] in (tmp_path / "clip.srt").read_text()
    assert dark["message"] == "Nobody was found in this clip." and (tmp_path / "dark.srt").read_text() == ""
    assert "dark.mp4: Nobody was found" in result.stderr


def test_beams_and_a_language_model(models, clips, tmp_path):
    NgramModel.train([["RAIN", "TODAY"]] * 20 + [[gloss] for gloss in GLOSSES], order=2).save_arpa(tmp_path / "lm.arpa")
    common = (clips / "a.npz", "--model", models / "both", "--num-beams", 2)
    (plain,) = rows(translate(*common, "--beam", 5).stdout)
    led = translate(*common, "--language-model", tmp_path / "lm.arpa", "--lm-weight", 8)
    assert led.exit_code == 0, led.stderr
    (row,) = rows(led.stdout)
    arguments = {"language_model": str(tmp_path / "lm.arpa"), "lm_weight": 8.0, "num_beams": 2}
    assert row == {
        "file": row["file"],
        **pipeline("sign-translation", model=str(models / "both"))(tiny_clip(60), **arguments),
    }
    assert row["glosses"] != plain["glosses"]


def test_a_language_model_is_heard_where_training_gave_none_a_say(models, clips, tmp_path):
    """As in the bundled recogniser of sentences, whose training found no use for one."""
    folder = shutil.copytree(models / "recognizer", tmp_path / "recognizer")
    (folder / "decoder.json").write_text('{"beam_size": 10, "language_model": null, "lm_weight": 0.0}')
    model = NgramModel.train([["RAIN", "TODAY"]] * 200 + [[gloss] for gloss in GLOSSES], order=2)
    model.save_arpa(tmp_path / "lm.arpa")
    common = (clips / "a.npz", "--recognizer", folder)
    (plain,) = rows(translate(*common).stdout)
    (led,) = rows(translate(*common, "--language-model", tmp_path / "lm.arpa").stdout)
    assert led != plain
    assert rows(translate(*common, "--language-model", tmp_path / "lm.arpa", "--lm-weight", 0.5).stdout) == [led]


def test_vocabularies_that_disagree_are_said_once(models, clips, tmp_path, caplog):
    other = save_tiny_recognizer(tmp_path / "other", glosses=(*GLOSSES[:-1], "FROG"))
    result = translate(clips / "a.npz", "--recognizer", other, "--translator", models / "translator")
    assert result.exit_code == 0 and rows(result.stdout)[0]["text"]
    said = [*(record.message for record in caplog.records), *result.stderr.splitlines()]
    (line,) = [line for line in said if "pass through as unknown" in line]
    assert "1 of the recogniser's 6 glosses" in line and line.endswith(": FROG.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "{models}/nowhere"], "Model folder not found"),
        (["--model", "{models}/recognizer"], "is a model for continuous-sign-recognition; give one for sign-translation."),
        (["--recognizer", "{models}/translator"], "is a model for gloss-translation; give one for continuous-sign-"),
        (["--recognizer", "{models}/recognizer", "--language-model", "nowhere.arpa"], "nowhere.arpa"),
        (["--recognizer", "{models}/recognizer", "--translator", "{models}/both"], "give one for gloss-translation."),
        (["--recognizer", "{models}/isolated"], "is a model for sign-recognition; give one for continuous-sign-"),
        (["--model", "{models}/both", "--lm-weight", "nan"], "lm_weight is nan; it must be a number, 0 or more."),
    ],
)  # fmt: skip
def test_models_that_cannot_be_used_are_one_sentence(models, clips, words, said):
    if not (models / "isolated").exists():
        save_tiny_model(models / "isolated", layout="isl-48")
    result = translate(clips, *(word.format(models=models) for word in words))
    assert result.exit_code == 1 and result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("signlang: ") and said in line


@pytest.mark.parametrize(
    "words",
    [
        [], ["x.mp4", "--translator", "t"], ["x.mp4", "--model", "m", "--recognizer", "r"], ["x.mp4", "--beam", 0],
        ["x.mp4", "--recognizer", "r", "--num-beams", 2],
    ],
)  # fmt: skip
def test_a_wrong_command_line_has_exit_code_2(words):
    result = translate(*words)
    assert result.exit_code == 2 and result.stdout == "" and "Usage" in result.stderr


def test_no_model_is_named_and_none_comes_with_the_package(clips, monkeypatch):
    monkeypatch.setattr("signlang_hf.pretrained.names", lambda: [])
    result = translate(clips)
    assert result.exit_code == 1 and "give --model, or --recognizer and --translator" in result.stderr


def test_companions_never_hide_each_other(tmp_path):
    own = {name: name for name in ("x/a.mp4", "x/a.npz", "x/b.mp4", "https://host/c.mp4?x=1")}
    assert [str(path) for path in beside(own, None, ".srt").values()] == [
        "x/a.mp4.srt",
        "x/a.npz.srt",
        "x/b.srt",
        "c.srt",
    ]
    from_folder = {"x/sub/a.mp4": "x", "x/a.mp4": "x"}
    assert [str(path) for path in beside(from_folder, Path("out"), ".vtt").values()] == ["out/sub/a.vtt", "out/a.vtt"]
    with pytest.raises(ValueError, match=r"Two clips would both write out/a\.mp4\.srt"):
        beside({"x/a.mp4": "x/a.mp4", "y/a.mp4": "y/a.mp4"}, Path("out"), ".srt")
