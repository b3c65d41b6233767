"""``signlang wlasl``: from a table on disk to rows and a score, and how mistakes end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cheap_pose import tiny_frames
from typer.testing import CliRunner, Result
from video_server import serve_videos  # noqa: F401  makes the fixture 'video_server' known here

from signlang_hf.cli import app
from signlang_hf.data import load_dataset
from signlang_hf.video import write_video

pytest.importorskip("av", reason="PyAV writes the test videos")
ROOT = Path(__file__).resolve().parent.parent
GLOSSES = ("book", "drink", "computer")


def signlang(*words: object) -> Result:
    result = CliRunner().invoke(app, ["wlasl", *(str(word) for word in words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    return result


def refused(result: Result, *said: str) -> None:
    """One sentence on the error stream, nothing on the other, exit code 1."""
    assert result.exit_code == 1 and result.stdout == "", result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("signlang: ")
    for words in said:
        assert words in line


@pytest.fixture
def table(tmp_path, video_server):
    """Twelve clips of three glosses; one link is dead."""
    for number in range(12):
        clip = write_video(tmp_path / "clip.mp4", tiny_frames(10, seed=number), fps=25)
        if number != 7:
            video_server.put(f"{number}.mp4", clip.read_bytes())
    content = [
        {"gloss": gloss, "instances": [
            {"video_id": f"{4 * g + i:05d}", "url": video_server.url(f"{4 * g + i}.mp4"), "split": ("train", "train", "val", "test")[i],
             "signer_id": i, "fps": 25, "frame_start": 1, "frame_end": -1, "bbox": [0, 0, 64, 48]}
            for i in range(4)]}
        for g, gloss in enumerate(GLOSSES)
    ]  # fmt: skip
    (tmp_path / "table.json").write_text(json.dumps(content))
    return tmp_path / "table.json"


def test_the_whole_road(table, tmp_path, video_server):
    plan = signlang("download", table, "--out", tmp_path / "WLASL", "--dry-run")
    assert plan.exit_code == 0 and "127.0.0.1" in plan.stdout and "12" in plan.stdout and video_server.requests == []
    done = signlang("download", table, "--out", tmp_path / "WLASL", "--interval", "0", "--max-workers", "2")
    assert done.exit_code == 0 and "12 clips: 11 ok, 1 dead" in done.stderr and "HTTP 404 Not Found" in done.stderr
    assert signlang("download", table, "--out", tmp_path / "WLASL", "--strict").exit_code == 1
    kept = signlang(
        "filter",
        table,
        "--out",
        tmp_path / "small.json",
        "--glossary",
        "--videos",
        tmp_path / "WLASL" / "videos",
        "--min-clips",
        "4",
    )
    assert (
        kept.exit_code == 0
        and "8 of 12 clips are left, of 2 glosses." in kept.stderr
        and "no video of it is there" in kept.stderr
    )
    built = signlang(
        "build", tmp_path / "small.json", "--videos", tmp_path / "WLASL" / "videos", "--out", tmp_path / "rows"
    )
    assert built.exit_code == 0 and "8 clips of 2 glosses (train 4, validation 2, test 2)" in built.stderr
    dataset = load_dataset("sign_videos", tmp_path / "rows", cache_dir=tmp_path / "cache")
    answers = [
        {"prediction": answer, "gloss": row["gloss"]} for row, answer in zip(dataset["test"], ("Books.", "auto"))
    ]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    shown = signlang("score", tmp_path / "answers.jsonl")
    assert (
        shown.exit_code == 0
        and "0.0 %" in shown.stdout
        and "50.0 %" in shown.stdout
        and "Books. for book" in shown.stdout
    )
    scores = json.loads(signlang("score", tmp_path / "answers.jsonl", "--json").stdout)
    assert (scores["accuracy"], scores["accuracy_synonyms"], scores["n"]) == (0.0, 0.5, 2)


def test_json_is_alone_on_standard_output(table, tmp_path):
    out = tmp_path / "WLASL"
    (host,) = json.loads(signlang("download", table, "--out", out, "--dry-run", "--json").stdout)
    assert (host["clips"], host["to_do"]) == (12, 12)
    report = json.loads(signlang("download", table, "--out", out, "--interval", "0", "--json").stdout)
    assert (report["ok"], report["dead"], len(report["videos"])) == (11, 1, 12)
    assert json.loads(signlang("filter", table, "--videos", out, "--json").stdout)["clips"] == 11
    built = json.loads(
        signlang(
            "build",
            table,
            "--videos",
            out / "videos",
            "--out",
            tmp_path / "rows",
            "--split",
            "signer-disjoint",
            "--json",
        ).stdout
    )
    assert built["missing_videos"] == ["00007"] and built["shared_with_train"]["test"]["signers"] == 0
    assert len(json.loads(signlang("glossary", "--json").stdout)) == 15


def test_the_glossary_is_listed():
    shown = signlang("glossary")
    assert shown.exit_code == 0 and "Pronouns" in shown.stdout
    assert signlang("glossary", "colors").stdout.split()[:2] == ["RED", "BLUE"]
    refused(signlang("glossary", "animals"), "has no group 'animals'; it has Pronouns")


def test_mistakes_are_one_sentence(table, tmp_path):
    nowhere = tmp_path / "nowhere.json"
    for command in (("download", nowhere, "--out", tmp_path / "o"), ("download", nowhere, "--out", tmp_path / "o", "--dry-run"),
                    ("filter", nowhere), ("build", nowhere, "--videos", tmp_path, "--out", tmp_path / "o")):  # fmt: skip
        refused(signlang(*command), f"Table not found: {nowhere}")
    broken = tmp_path / "broken.json"
    content = json.loads(table.read_text())
    del content[1]["instances"][2]["url"]
    broken.write_text(json.dumps(content))
    refused(
        signlang("download", broken, "--out", tmp_path / "o"),
        "instance 3 of entry 2 ('drink') has no 'url'; get the table again",
    )
    refused(
        signlang("build", table, "--videos", tmp_path / "none", "--out", tmp_path / "o"), "Folder of videos not found"
    )
    (tmp_path / "empty").mkdir()
    refused(
        signlang("build", table, "--videos", tmp_path / "empty", "--out", tmp_path / "o"),
        "holds none of the 12 clips",
        "signlang wlasl download",
    )
    refused(
        signlang("build", table, "--videos", tmp_path, "--out", tmp_path / "o", "--split", "mine"), "split is 'mine'"
    )
    refused(signlang("filter", table, "--min-clips", "9"), "ask for less")
    refused(signlang("score", nowhere), "File of answers not found")
    (tmp_path / "answers.jsonl").write_text('{"prediction": "a"}\n')
    refused(signlang("score", tmp_path / "answers.jsonl"), 'line 1: no word under "gloss"')
    (tmp_path / "answers.jsonl").write_text("\n")
    refused(signlang("score", tmp_path / "answers.jsonl"), "holds no answer")
    assert not (tmp_path / "o").exists()
    assert signlang("download", table).exit_code == 2 and signlang("filter", table, "--min-clips", "0").exit_code == 2


def test_nothing_to_be_had_is_exit_code_1(table, tmp_path, video_server):
    video_server.resources.clear()
    result = signlang("download", table, "--out", tmp_path / "WLASL", "--interval", "0")
    assert result.exit_code == 1 and result.stdout == ""
    assert "12 of 12 clips are not there" in result.stderr and "12 dead" in result.stderr
    result = signlang("download", table, "--out", tmp_path / "other", "--videos", tmp_path)
    assert result.exit_code == 1 and "among the videos that they are cut from" in result.stderr


def test_a_build_with_missing_videos_can_be_strict(table, tmp_path):
    signlang("download", table, "--out", tmp_path / "WLASL", "--interval", "0")
    words = ("build", table, "--videos", tmp_path / "WLASL" / "videos", "--out", tmp_path / "rows")
    assert signlang(*words).exit_code == 0
    strict = signlang(*words, "--strict")
    assert (
        strict.exit_code == 1
        and "1 clips of the table are not there" in strict.stderr
        and (tmp_path / "rows" / "train.jsonl").is_file()
    )


def test_commands_of_the_readme_exist():
    """Every ``signlang wlasl`` line of the README is a command with options that it has."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^signlang wlasl ([a-z]+)(.*)$", text, re.MULTILINE)
    assert {command for command, _ in found} == {"download", "filter", "build", "score"}
    for command, rest in found:
        said = re.sub(
            r"\x1b\[[0-9;]*m", "", CliRunner(env={"COLUMNS": "200"}).invoke(app, ["wlasl", command, "--help"]).stdout
        )
        for option in re.findall(r"--[a-z-]+", rest.partition("#")[0]):
            assert option in said, f"signlang wlasl {command} has no {option}"
