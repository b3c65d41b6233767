"""``make demo`` from end to end, with one epoch instead of fifty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def demo(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "recipes/demo_fingerspelling.py", "--output_dir", str(folder), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    finished = demo(folder, "--num_train_epochs", "1", "--report_to", "none")
    assert finished.returncode == 0, finished.stderr[-2000:]
    (folder / "output.txt").write_text(finished.stdout)
    return folder


def test_writes_pictures_model_card_and_tables(folder):
    names = (
        "skeleton.png",
        "learning_curve.png",
        "confusion_matrix.png",
        "per_class.csv",
        "README.md",
        "model.safetensors",
    )
    assert all((folder / name).stat().st_size > 0 for name in names)
    printed = (folder / "output.txt").read_text()
    assert "SignTransformerForSignClassification" in printed and "1-nearest-neighbour" in printed
    assert printed.count("ase/…") == 26  # one row a letter
    assert json.loads((folder / "results.json").read_text())["metrics"]["n"] == 26


def test_recognises_a_video_of_ones_own_with_the_model_that_is_there(folder, signlang_data):
    pytest.importorskip("mediapipe")
    video = signlang_data / "clips" / "yo_001.mp4"
    bundles = str(signlang_data / "mediapipe-tasks")  # for a MediaPipe whose models are not in its wheel
    finished = demo(
        folder,
        "--num_train_epochs",
        "1",
        "--report_to",
        "none",
        "--video",
        str(video),
        SIGNLANG_MEDIAPIPE_TASKS=bundles,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert (folder / "yo_001_skeleton.png").is_file() and (folder / "yo_001_overlay.mp4").is_file()
    assert "yo_001.mp4: " in finished.stdout


def test_a_missing_video_is_said_before_training(tmp_path):
    finished = demo(tmp_path / "out", "--video", str(tmp_path / "gone.mp4"))
    assert finished.returncode == 1 and finished.stderr.strip().endswith("gone.mp4")
    assert not (tmp_path / "out").exists()
