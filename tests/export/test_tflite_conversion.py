"""Every family through litert-torch, and its graphs in the LiteRT interpreter. It needs ``make setup-tflite``, which tests do not run."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from tiny_exports import BUILDERS
from tiny_model import tiny_clip
from transformers import AutoFeatureExtractor, pipeline

from signlang_hf.export import export_tflite
from signlang_hf.export.tflite_process import converter_python

try:
    PYTHON = converter_python()
except FileNotFoundError:
    PYTHON = None

pytestmark = pytest.mark.skipif(PYTHON is None, reason="litert-torch has an environment of its own (make setup-tflite)")
CONVERTED = [name for name in BUILDERS if name != "ensemble"]
"""All but the one with trees."""


@pytest.mark.parametrize("name", CONVERTED)
def test_a_graph_answers_as_torch_does(tiny, tmp_path, name):
    record = export_tflite(tiny.source(name), tmp_path / "out", frames=12).record
    assert record.parity < 1e-4


@pytest.mark.parametrize("name", ["bilstm", "ctc", "translator", "detector"])
def test_int8(tiny, tmp_path, name):
    report = export_tflite(tiny.source(name), tmp_path / "out", frames=12, quantize="int8")
    assert report.record.parity < 1e-4 <= report.record.difference < 2.0


def run(folder, *words):
    """The program in a folder, in the environment of the converter, which has an interpreter and not this library."""
    done = subprocess.run([PYTHON, "-I", folder / "run_tflite.py", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_folder_runs_by_itself(tiny, tmp_path):
    folder = export_tflite(tiny.source("composite"), tmp_path / "out", frames=30).folder
    clip = tiny_clip(25, layout="mediapipe-holistic")
    processor = AutoFeatureExtractor.from_pretrained(tiny.source("composite"))
    np.savez(tmp_path / "clip.npz", **processor(clip, return_tensors="np"))
    answer = run(folder, tmp_path / "clip.npz")
    expected = pipeline("sign-translation", model=str(tiny.source("composite")))(clip, num_beams=1)
    assert answer["text"] == expected["text"]
    assert run(folder / "translator", "--glosses", "TODAY RAIN")["text"]
