"""The memory recipe: it writes what it says, tells private from mapped memory, and its rows name both."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from signlang_hf.training.results import load_results

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "benchmark_memory.py"
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the recipe measures with /proc")


@pytest.fixture(scope="module")
def recipe():
    return runpy.run_path(str(RECIPE))


@pytest.fixture(scope="module")
def cache(recipe, tmp_path_factory):
    return recipe["write"](tmp_path_factory.mktemp("cache"), 400, 10, 0)


def test_private_memory_is_what_a_process_holds_and_resident_what_it_has_mapped_as_well(tmp_path):
    (tmp_path / "mapped").write_bytes(bytes(60_000_000))
    # In a process of its own: this one may hold memory that earlier tests gave back, and hand it out again.
    script = """
import json, runpy, sys, time
import numpy as np
peaks = runpy.run_path(sys.argv[1])["peaks"]
with peaks() as before:
    assert np.memmap(sys.argv[2], mode="r").sum() == 0
    time.sleep(0.2)
with peaks() as after:
    held = np.ones(60_000_000, np.uint8)
    assert held.sum() == len(held)
    time.sleep(0.2)
print(json.dumps([before, after]))
"""
    command = [sys.executable, "-c", script, str(RECIPE), str(tmp_path / "mapped")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, cwd=RECIPE.parents[1])
    before, after = json.loads(finished.stdout.splitlines()[-1])
    assert 50 < after["private"] - before["private"] < 90
    assert before["resident"] - before["private"] > 60


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_run_splits_hashes_and_trains(recipe, cache, in_memory):
    found = recipe["train"](cache, 2, in_memory)
    assert found["resident"] > found["private"] >= found["start"] * 0.9 > 50
    assert found["train_seconds"] > 0 and found["read_seconds"] > 0


def test_rows_tell_disk_and_memory_of_all_three_runs(recipe, tmp_path, monkeypatch, capsys):
    def measured(run, files, steps):
        return {"start": 100.0, "private": 150.0, "resident": 300.0, "read_seconds": 1.0, "train_seconds": 2.0}

    monkeypatch.setitem(recipe["main"].__globals__, "in_process_of_its_own", measured)
    found = recipe["main"](["--clips", "2000", "--frames", "5", "--folder", str(tmp_path), "--results", str(tmp_path)])
    assert found["mapped"]["disk"] > 8 * found["held"]["disk"] > 1
    rows = {(row.model, row.split, row.metric): row for row in load_results("speed", folder=tmp_path)}
    assert len(rows) == 9
    row = rows["training, memory-mapped", "2,000 clips of 5 frames, isl-48", "peak_private_memory_mb"]
    assert (row.value, row.n) == (150.0, 2000) and row.command.startswith("python recipes/benchmark_memory.py --clips")
    assert ("training, all in RAM", "200 clips of 5 frames, isl-48", "on_disk_mb") in rows
    assert "private   100 →   150 MB" in capsys.readouterr().out


def test_a_run_that_fails_says_why(recipe, tmp_path):
    with pytest.raises(RuntimeError, match=r"The run 'mapped' failed: .*nowhere\.arrow"):
        recipe["in_process_of_its_own"]("mapped", [tmp_path / "nowhere.arrow"], 1)


@pytest.mark.parametrize("arguments", [["--clips", "100"], ["--frames", "2"], ["--steps", "0"]])
def test_bad_arguments(recipe, arguments, capsys):
    with pytest.raises(SystemExit):
        recipe["main"](arguments)
    assert "error:" in capsys.readouterr().err
