"""``signlang benchmark``."""

from __future__ import annotations

import json

import pytest
from cheap_pose import CheapEstimator, tiny_frames
from PIL import Image
from tiny_model import save_tiny_model
from typer.testing import CliRunner, Result

from signlang_hf.benchmark import Benchmark, Road, Speed
from signlang_hf.benchmark.report import markdown, picture
from signlang_hf.cli import app
from signlang_hf.pipelines import clip_pipeline
from signlang_hf.video import write_video

QUICK = ("--rounds", 1, "--seconds", 0, "--no-memory", "--providers", "torch")


def signlang(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("models") / "mine")


def test_table_figures_and_picture(model, tmp_path, monkeypatch):
    monkeypatch.setattr(clip_pipeline, "default_estimator", CheapEstimator)
    clip = write_video(tmp_path / "clip.mp4", tiny_frames(), fps=25)
    files = {"--json": tmp_path / "out.json", "--markdown": tmp_path / "out.md", "--picture": tmp_path / "out.png"}
    words = [word for pair in files.items() for word in pair]
    done = signlang(
        "benchmark", model, *QUICK, "--batch", "1,2", "--frames", "4", "--no-alternatives", "--clip", clip, *words
    )
    assert done.exit_code == 0, done.output
    found = json.loads(files["--json"].read_text())
    assert [(row["model"], row["version"], row["batch"], row["frames"]) for row in found["rows"]] == [
        ("mine", "torch", 1, 4), ("mine", "torch", 2, 4)
    ]  # fmt: skip
    (road,) = found["roads"]
    assert road["clip"] == "clip.mp4" and road["frames"] == 6
    assert found["machine"]["cores"] >= 1 and "torch" in found["machine"]["versions"]
    assert done.stdout == files["--markdown"].read_text()
    assert "| mine | torch | 2 | 4 |" in done.stdout and "landmarks ms" in done.stdout
    assert Image.open(files["--picture"]).size[0] > 500


def test_figures_on_standard_output(model):
    done = signlang("benchmark", model, *QUICK, "--batch", 1, "--frames", 3, "--no-alternatives", "--json", "-")
    assert [row["frames"] for row in json.loads(done.stdout)["rows"]] == [3]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--batch", "0"), 1, "batch is 0"),
        (("--batch", "many"), 2, "no list of whole numbers"),
        (("--providers", "tensorflow"), 1, "There is no provider 'tensorflow'"),
        (("--frames", ""), 1, "frames is empty"),
    ],
)
def test_mistakes_are_said_in_a_sentence(model, words, code, said):
    done = signlang("benchmark", model, *words)
    assert done.exit_code == code and done.stdout == ""
    assert said in " ".join(done.stderr.replace("│", " ").split())


def row(**changes: object) -> Speed:
    known = {
        "model": "m", "version": "torch", "batch": 1, "frames": 64, "median_ms": 2.0, "p95_ms": 3.0, "clips_per_second": 500.0,
        "frames_per_second": 32000.0, "ratio": 1.0, "runs": 5, "parameters": 1000, "file_mb": 0.004, "peak_mb": 400.0,
    }  # fmt: skip
    return Speed(**known | changes)


def test_a_table_leaves_cells_empty_where_there_is_nothing():
    found = Benchmark([row(), row(frames=0, parameters=None, file_mb=0.0, peak_mb=None)], left_out=["x: no pictures"])
    first, second = [line for line in markdown(found).splitlines() if line.startswith("| m ")]
    assert first == "| m | torch | 1 | 64 | 2.00 | 3.00 | 500 | 32,000 | 1.00 × | 1,000 | 0.00 MB | 400 MB |"
    assert second == "| m | torch | 1 |  | 2.00 | 3.00 | 500 |  | 1.00 × |  |  |  |"
    assert markdown(found).rstrip().endswith("Left out: x: no pictures")


def test_a_picture_of_roads_alone(tmp_path):
    road = Road(
        "m, torch",
        "a.mp4",
        10,
        dict.fromkeys(("decoding", "landmarks", "processing", "model", "post-processing"), 1.0),
        3,
    )
    assert picture(Benchmark(), tmp_path / "roads.png", [road]).is_file()
    with pytest.raises(ValueError, match="nothing to draw"):
        picture(Benchmark(), tmp_path / "nothing.png")
