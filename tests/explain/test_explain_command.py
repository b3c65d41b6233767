"""``signlang explain``: what it writes and prints, and how mistakes end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_model import LABELS, save_tiny_model, tiny_clip
from typer.testing import CliRunner, Result

from signlang_hf.cli import app
from signlang_hf.video import probe_video, read_video

FILES = {"heat.mp4", "heat.png", "parts.png", "heat.npz", "explanation.json"}


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
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("explain") / "tiny", layout="isl-48")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return tiny_clip(8).save(tmp_path / "clip.npz")


def explain(*words: object) -> Result:
    result = CliRunner().invoke(app, ["explain", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


def refused(result: Result, *said: str) -> None:
    assert result.exit_code == 1 and result.stdout == "", result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("signlang: ") and all(words in line for words in said), line


@pytest.mark.parametrize("method", ["gradcam", "integrated-gradients"])
def test_files_and_table(model, clip, tmp_path, method):
    result = explain(clip, "--model", model, "--out", tmp_path / "heat", "--method", method)
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "heat").iterdir()} == FILES
    summary = json.loads((tmp_path / "heat" / "explanation.json").read_text(encoding="utf-8"))
    assert summary["method"] == method and summary["label"] in LABELS and summary["frames"] == 8
    assert summary["label"] in result.stdout and "right hand" in result.stdout
    assert result.stderr.startswith("signlang: wrote heat.mp4, heat.png, parts.png, heat.npz, explanation.json to")


def test_json_and_a_chosen_label(model, clip, tmp_path):
    result = explain(clip, "--model", model, "--out", tmp_path / "heat", "--label", "thanks", "--json")
    assert result.exit_code == 0 and result.stderr == ""
    found = json.loads(result.stdout)
    assert found["label"] == "thanks" and found["file"] == str(clip) and 0 <= found["score"] <= 1
    assert {Path(path).name for path in found["files"].values()} == FILES
    assert all(Path(path).is_file() for path in found["files"].values())


def test_a_label_that_nothing_speaks_for(model, clip, tmp_path, monkeypatch):
    from signlang_hf import GradCAMExplainer

    monkeypatch.setattr(GradCAMExplainer, "attribute", lambda self, values, *_: values.new_zeros(values.shape[1], 48))
    result = explain(clip, "--model", model, "--out", tmp_path / "heat", "--label", "thanks")
    assert result.exit_code == 0 and "nothing in this clip speaks for 'thanks'" in result.stderr


def test_mistakes(model, clip, tmp_path):
    out = ["--out", tmp_path / "out"]
    refused(explain(clip, "--model", model, *out, "--label", "thank"), "no label 'thank'", "did you mean thanks?")
    refused(explain(clip, "--model", model, *out, "--method", "lime"), "Unknown method 'lime'", "gradcam")
    refused(explain(tmp_path / "none.mp4", "--model", model, *out), "not found")
    refused(explain(clip, "--model", tmp_path / "none", *out), "Model folder not found")
    short = tiny_clip(2).save(tmp_path / "short.npz")
    refused(explain(short, "--model", model, *out), "2 frames", "at least 3")
    empty = tiny_clip(5)
    empty = empty.replace(data=np.full_like(empty.data, np.nan), visibility=None).save(tmp_path / "nobody.npz")
    refused(explain(empty, "--model", model, *out), "Nobody was found")
    other = tiny_clip(5, layout="dgs-43").save(tmp_path / "other.npz")
    refused(explain(other, "--model", model, *out), "shares no point with layout 'isl-48'")
    assert not (tmp_path / "out").exists()
    assert explain(clip, "--model", model).exit_code == 2  # no --out


def test_missing_captum(model, clip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    words = [clip, "--model", model, "--out", tmp_path / "out"]
    refused(explain(*words, "--method", "integrated-gradients"), 'pip install "signlang-hf[explain]"')
    assert explain(*words).exit_code == 0  # Grad-CAM does without


def test_a_real_video(clips, signlang_data, model, tmp_path, monkeypatch):
    pytest.importorskip("mediapipe")
    monkeypatch.setenv("SIGNLANG_MEDIAPIPE_TASKS", str(signlang_data / "mediapipe-tasks"))
    from signlang_hf.video import write_video

    source = clips / "yo_001.mp4"
    short = read_video(source, fps=6)
    video = write_video(tmp_path / "yo.mp4", short.frames, fps=6)
    result = explain(video, "--model", model, "--out", tmp_path / "heat", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["layout"] == "mediapipe-holistic" and found["frames"] == len(short)
    drawn = read_video(tmp_path / "heat" / "heat.mp4")
    size = probe_video(source)
    assert len(drawn) == len(short) and drawn.size[0] == size.width and drawn.size[1] > size.height
    coloured = np.ptp(drawn.frames[:, : size.height].astype(int), axis=3) > 60
    assert coloured.any() and coloured.mean() < 0.2  # heat is there, and only here and there
