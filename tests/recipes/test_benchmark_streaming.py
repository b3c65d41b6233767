"""``recipes/benchmark_streaming.py``: streams of held-out clips and of videos, and the rows that they give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripted_signer import ScriptedSigner, sign
from tiny_model import save_tiny_model
from tiny_signs import load_recipe
from transformers import pipeline

from signlang_hf import LandmarkSequence
from signlang_hf.training.results import load_results
from signlang_hf.video import write_video

WORDS = ("book", "drink", "house")
RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture
def recipe():
    return load_recipe(RECIPES / "benchmark_streaming.py")


class Oracle:
    """Reads the word off the depth of the hands, in which the clips carry it; ``unknown`` below zero."""

    class feature_extractor:
        layout = "hands-42"

    class model:
        class config:
            mirror_margin = None

    def ready(self, **arguments: object) -> None: ...

    def __call__(self, sequences, *, batch_size: int, top_k: int, **arguments: object) -> list:
        depth = [float(np.nanmedian(one.data[..., 2])) for one in sequences]
        return [[{"label": "unknown" if z < 0 else WORDS[round(10 * z)], "score": 1.0}] for z in depth]


@pytest.fixture
def waving(tmp_path) -> Path:
    """Clips of hands that wave for a second and a half, by three signers."""
    rows, rng = [], np.random.default_rng(0)
    for signer in ("anna", "ben", "cleo"):
        for number, word in enumerate(WORDS):
            for take in range(4):
                wave = 0.15 * np.sin(np.arange(45) / 3 + rng.uniform(0, 6))
                data = np.array([0.5, 0.5, 0.0]) + rng.normal(0, 0.05, (42, 3)) + rng.normal(0, 1e-3, (45, 42, 3))
                data[..., 0] += wave[:, None]
                data[..., 2] = number / 10
                name = f"{signer}-{word}-{take}.npz"
                LandmarkSequence(data, "hands-42", fps=30.0, size=(640, 480)).save(tmp_path / name)
                rows.append(f"{name},{word},{signer},train\n")
    (tmp_path / "metadata.csv").write_text("file_name,label,signer,split\n" + "".join(rows), encoding="utf-8")
    return tmp_path


def words(data_dir: Path, results: Path, **more: object) -> list[str]:
    given = {
        "dataset": "landmark_folder", "data_dir": data_dir, "cross_validate": "signer", "folds": "anna", "trained": "oracle",
        "streams": 3, "signs": 6, "clients": 2, "results": results, **more,
    }  # fmt: skip
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def test_who_knows_every_sign_hears_every_sign(recipe, waving, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipe, "_pipeline", lambda how: Oracle())
    recipe.main(words(waving, tmp_path / "results"))
    rows = {row.metric: row for row in load_results("streaming", folder=tmp_path / "results")[::-1]}
    assert rows["f1"].value == rows["detection_f1"].value == 1 and rows["f1"].n == 18
    assert rows["false_signs_a_minute_of_rest_count"].value == 0
    assert 200 < rows["latency_p50_ms"].value <= rows["latency_p95_ms"].value < 450  # hands are away for 0.3 s
    assert 0 < rows["frame_ms"].value < 50 and rows["f1"].split == "3 streams of held-out clips, anna"
    assert "windows predicted" in capsys.readouterr().out


def test_hands_in_sight_make_signs_end_later(recipe, waving, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "_pipeline", lambda how: Oracle())
    recipe.main(words(waving, tmp_path, hands="still", mirror=True))
    rows = {row.metric: row for row in load_results("streaming", folder=tmp_path)}
    assert rows["latency_p50_ms"].value > 700
    assert rows["f1"].split == "3 streams of held-out clips, anna, hands at rest still, mirrored"


def test_videos(recipe, tmp_path, monkeypatch):
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(2):
        write_video(clips / f"{number}.mp4", np.full((45, 48, 64, 3), 40 * number, np.uint8), fps=15)
    save_tiny_model(tmp_path / "model", layout="isl-48")
    pipe = pipeline("sign-recognition", model=str(tmp_path / "model"), estimator=ScriptedSigner(sign(0.5, 2)))
    monkeypatch.setattr(recipe, "_pipeline", lambda how: pipe)
    given = {"videos": clips, "trained": "tiny", "streams": 2, "results": tmp_path}
    recipe.main([word for name, value in given.items() for word in (f"--{name}", str(value))])
    rows = {row.metric: row for row in load_results("streaming", folder=tmp_path)}
    assert rows["one_answer_share"].value == 1 and rows["one_answer_share"].split == "2 videos of clips"
    assert rows["detection_f1"].value == 1 and rows["detection_f1"].n == 4


def test_what_is_missing_is_said(recipe, waving, tmp_path):
    with pytest.raises(ValueError, match="Give --trained"):
        recipe.StreamingArguments()
    with pytest.raises(ValueError, match="must be at least 1"):
        recipe.StreamingArguments(trained="x", streams=0)
    with pytest.raises(ValueError, match="others is 1"):
        recipe.StreamingArguments(trained="x", others=1)
    with pytest.raises(ValueError, match="Give --cross_validate and --folds"):
        recipe.main(["--dataset", "landmark_folder", "--data_dir", str(waving), "--trained", "x"])
