"""The detector's benchmark: all take turns in processes of their own, rows name what they are against, and training is measured."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tiny_detector import save_tiny_detector
from tiny_signs import ROOT, load_recipe

from signlang_hf import pretrained
from signlang_hf.pose.mediapipe import has_solutions
from signlang_hf.training.results import load_results
from signlang_hf.video import write_video

RECIPE = ROOT / "recipes" / "benchmark_detector.py"
TINY = "test_resnet:64"
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the recipe measures with /proc")


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(RECIPE)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    noise = np.random.default_rng(0).integers(0, 255, (4, 9, 16, 3), np.uint8)
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", noise.repeat(8, axis=1).repeat(8, axis=2), fps=10)


@pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None or not has_solutions(), reason="there is no MediaPipe Holistic here"
)
def test_all_take_turns_on_the_clip(recipe, clip, tmp_path, capsys):
    trained = save_tiny_detector(tmp_path / "trained")
    save_tiny_detector(trained / "hands", layout="right-hand-21")
    words = ["--what", "speed", "--clip", str(clip), "--frames", "3", "--rounds", "2", "--threads", "1"]
    words += ["--trained", str(trained)]
    rows = recipe.main([*words, "--detectors", TINY, f"{TINY}+hands", "--results", str(tmp_path)])
    saved = {(row.model, row.metric): row for row in load_results("detector-speed", folder=tmp_path)}
    assert [row.key for row in rows] == [row.key for row in saved.values()] and len(rows) == 10
    names = ["MediaPipe Holistic", "test_resnet at 64 px", "test_resnet at 64 px, frame by frame"]
    names += ["test_resnet at 64 px and hands again", "test_resnet at 64 px and hands again, frame by frame"]
    for name in names:
        ms, rate = saved[name, "frame_ms"], saved[name, "frames_per_second"]
        assert rate.value == pytest.approx(1e3 / ms.value) and ms.n == 2
        assert ms.split == "3 frames of 128 × 72 px, 1 thread"
    for name in names[1:]:
        row = saved[name, "frame_ms"]
        assert row.ratio == pytest.approx(saved[names[0], "frame_ms"].value / row.value)
        assert row.against == "MediaPipe Holistic in the same rounds"
    assert "test_resnet at 64 px" in capsys.readouterr().out


def test_rows_compare_equal_numbers_of_threads(recipe):
    found = {
        ("MediaPipe Holistic", 1): np.array([20.0, 22.0, 40.0]), ("MediaPipe Holistic", 2): np.array([15.0, 15.0, 15.0]),
        ("a at 256 px", 1): np.array([11.0, 10.0, 11.0]), ("a at 256 px", 2): np.array([6.0, 5.0, 5.0]),
        ("b at 256 px", 1): np.array([44.0, 44.0, 44.0]),
    }  # fmt: skip
    rows = {(row.model, row.split, row.metric): row for row in recipe.speed_rows(found, "the clip", "command")}
    one = rows["a at 256 px", "the clip, 1 thread", "frame_ms"]
    assert (one.value, one.ratio, one.n) == (11, 2, 3)
    two = rows["a at 256 px", "the clip, 2 threads", "frames_per_second"]
    assert (two.value, two.ratio) == (200, 3)
    assert rows["b at 256 px", "the clip, 1 thread", "frame_ms"].ratio == 0.5
    against = rows["MediaPipe Holistic", "the clip, 1 thread", "frame_ms"]
    assert against.against == "a at 256 px in the same rounds" and against.ratio == 0.5


def test_hands_are_measured_with_trained_weights(recipe, tmp_path):
    alone = save_tiny_detector(tmp_path / "alone")
    with pytest.raises(ValueError, match=r"alone has no detector of hands; name another with --trained"):
        recipe.trained_folder(f"{TINY}+hands", str(alone))
    with pytest.raises(
        ValueError, match=r"resnet18:256\+hands is measured with trained weights, but .* is test_resnet at 64 px"
    ):
        recipe.trained_folder("resnet18:256+hands", str(alone))
    save_tiny_detector(alone / "hands", layout="right-hand-21")
    assert recipe.trained_folder(f"{TINY}+hands", str(alone)) == alone
    if pretrained.DETECTOR in pretrained.names():  # what the published row is of
        assert recipe.trained_folder(recipe.DETECTORS[-1], None) == pretrained.path(pretrained.DETECTOR)


def test_training_is_measured(recipe):
    given = {"detector": TINY, "batch": 2, "steps": 3, "device": "cpu", "bf16": False, "threads": None}
    found = recipe.train(given)
    assert len(found["seconds"]) == 3 and min(found["seconds"]) > 0
    assert 100 < found["peak_mb"] < 1e5 and found["device"].startswith("CPU, ")


def test_training_rows(recipe):
    found = {
        "resnet18:512": {"seconds": [8.0, 4.0, 4.0], "peak_mb": 9000.0, "device": "CPU, 2 threads"},
        "mobilenet_v3_small:512": {"seconds": [1.0, 1.0, 2.0], "peak_mb": 3000.0, "device": "CPU, 2 threads"},
    }
    options = argparse.Namespace(batch_size=16, steps=3, bf16=True)
    rows = {(row.model, row.metric): row for row in recipe.training_rows(found, options, "command")}
    row = rows["mobilenet_v3_small at 512 px", "training_images_per_second"]
    assert (row.value, row.ratio, row.against) == (16, 4, "resnet18 at 512 px in the same run")
    assert row.split == "training, batch 16, bfloat16, CPU, 2 threads"
    assert rows["resnet18 at 512 px", "training_peak_mb"].value == 9000


def test_widths_go_with_backbones(recipe):
    assert [recipe.make_config(detector).deconv_width for detector in recipe.DETECTORS] == [256, 256, 64, 64, 64]
    assert [recipe.make_config(detector).image_size for detector in recipe.DETECTORS] == [512, 256, 256, 192, 256]


def test_a_run_that_fails_says_why(recipe):
    options = argparse.Namespace(
        training_detectors=["no_such_backbone:64"], batch_size=1, steps=1, device="cpu", bf16=False, training_threads=1
    )
    with pytest.raises(RuntimeError, match=r"Training no_such_backbone at 64 px failed: .*no_such_backbone"):
        recipe.training_runs(options)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--what", "speed"], "needs a --clip"),
        (["--what", "training", "--steps", "0"], "must be at least 1"),
        (["--what", "training", "--threads", "4096"], "processor cores for 4096"),
        (["--what", "training", "--detectors", "resnet18"], "resnet18 is not of the form backbone:pixels"),
    ],
)
def test_bad_arguments(recipe, words, said, capsys):
    with pytest.raises(SystemExit):
        recipe.main(words)
    assert said in capsys.readouterr().err
