"""The speed recipe of the landmarks room: it runs, takes turns and writes rows that name what they were measured against."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.training.results import load_results

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "benchmark_landmarks.py"


@pytest.fixture(scope="module")
def recipe():
    return runpy.run_path(str(RECIPE))


def test_times_every_step_and_its_bare_counterpart(recipe, capsys):
    times = recipe["main"](["--frames", "40", "--repeats", "3", "--no-save"])
    assert list(times)[4:6] == ["all four", "scipy + numpy alone"]
    assert list(times)[6:] == ["processing, dgs30", "processing, fingerspelling", "processing, sentences"]
    assert all(values.shape == (3,) and (values > 0).all() for values in times.values())
    assert "times the bare counterpart's median" in capsys.readouterr().out


def test_both_sides_compute_the_same_numbers(recipe):
    """On a complete clip; otherwise the comparison would mean nothing."""
    clip = recipe["make_clip"](60, 0).to_layout(recipe["TARGET"])
    complete = recipe["normalize"](clip.replace(data=np.nan_to_num(clip.data, nan=0.5), visibility=None))
    ours = recipe["extract_features"](recipe["smooth"](complete), recipe["FEATURES"])
    bare = recipe["bare"](complete.data.reshape(60, -1))
    np.testing.assert_allclose(ours, bare, rtol=1e-3, atol=1e-3 * np.abs(bare).max())


def test_writes_median_and_p95_beside_other_speeds(recipe, tmp_path):
    for frames in ("30", "40"):
        times = recipe["main"](["--frames", frames, "--repeats", "5", "--results", str(tmp_path)])
    saved = load_results("speed", folder=tmp_path)
    rows = [row for row in saved if row.model == "landmark processing"]
    processed = [row for row in saved if row.model.startswith("processing, ")]
    assert {row.split for row in processed} == {"64 frames, mediapipe-holistic"}
    assert {(row.model.split(", ")[1], row.metric) for row in processed} >= {
        ("dgs30", "median_ms"),
        ("dgs30", "p95_ms"),
    }
    assert [(row.split[:2], row.metric) for row in rows] == [
        ("30", "median_ms"), ("30", "p95_ms"), ("40", "median_ms"), ("40", "p95_ms"),
    ]  # fmt: skip
    median, p95 = rows[2:]
    ours, bare = times["all four"], times["scipy + numpy alone"]
    assert median.value == np.median(ours) and median.ratio == np.median(bare) / np.median(ours)
    assert p95.value >= median.value and p95.n == 5 and p95.seeds == (0,) and "scipy" in p95.against
    assert median.command.startswith("python recipes/benchmark_landmarks.py --frames 40 --repeats 5")


@pytest.mark.parametrize("arguments", [["--frames", "3"], ["--repeats", "0"], ["--frames", "many"]])
def test_bad_arguments(recipe, arguments, capsys):
    with pytest.raises(SystemExit):
        recipe["main"](arguments)
    assert "error:" in capsys.readouterr().err
