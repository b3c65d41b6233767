"""``recipes/export_onnx.py``: exports, measures, and keeps what is good enough."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import datasets
import pytest
from tiny_exports import detector, keypoint
from tiny_model import LABELS, save_tiny_model, tiny_clip
from tiny_pictures import write_pictures
from tiny_signs import WORDS, load_recipe, write_tiny_signs

from signlang_hf.training.results import load_results

pytestmark = [
    pytest.mark.optimum,
    pytest.mark.skipif(find_spec("optimum") is None, reason="ONNX export needs Optimum"),
]


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(Path(__file__).resolve().parents[2] / "recipes" / "export_onnx.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and rows for it."""
    from signlang_hf.data.rows import landmark_features, to_row

    folder = tmp_path_factory.mktemp("recipe")
    keypoint("bilstm", folder / "model")
    features = landmark_features("isl-48", label_names=list(LABELS))
    rows = [to_row(tiny_clip(20, seed), id=str(seed), label=LABELS[seed % 6]) for seed in range(6)]
    (folder / "rows").mkdir()
    datasets.Dataset.from_list(rows, features=features).to_parquet(folder / "rows" / "test.parquet")
    return folder


def words(folder, out, *more):
    return ["--model", str(folder / "model"), "--dataset", str(folder / "rows"), "--out", str(out), *more]


def test_both_versions_are_measured(recipe, folder, tmp_path, capsys):
    result = recipe.main(words(folder, tmp_path / "out", "--quantize", "int8", "--limit", "100"))
    assert result["folder"] == str(tmp_path / "out-int8")
    assert set(result["comparisons"]) == {"float32", "int8"}
    float32 = result["comparisons"]["float32"]
    assert list(float32["ran_on"]) == ["cpu"] and float32["ran_on"]["cpu"] > 5
    assert float32["drop"] == 0 and float32["n"] == 6 and float32["chosen"]
    assert (tmp_path / "out" / "model.onnx").is_file() and "points lost" in capsys.readouterr().out


def test_what_loses_too_much_is_reported_and_removed(recipe, folder, tmp_path, capsys, monkeypatch):
    from signlang_hf.export import comparing

    shares = iter([0.9, 0.9, 0.7, 0.9, 0.9, 0.7])
    monkeypatch.setattr(comparing, "_metrics", lambda *_: {"accuracy": next(shares)})
    given = words(folder, tmp_path / "out", "--quantize", "int8")
    result = recipe.main(given)
    assert result["folder"] == str(tmp_path / "out") and not (tmp_path / "out-int8").exists()
    assert result["comparisons"]["int8"]["drop"] == pytest.approx(20) and not result["comparisons"]["int8"]["chosen"]
    assert "int8 loses more than 1 points" in capsys.readouterr().out
    assert recipe.main([*given, "--keep"])["folder"] == str(tmp_path / "out") and (tmp_path / "out-int8").exists()


def test_what_was_measured_goes_into_the_results(recipe, folder, tmp_path, monkeypatch):
    from signlang_hf.export import comparing

    shares = iter([0.9, 0.9, 0.7])
    monkeypatch.setattr(comparing, "_metrics", lambda *_: {"accuracy": next(shares)})
    more = ["--quantize", "int8", "--benchmark", "quantization", "--name", "mine", "--results", str(tmp_path)]
    recipe.main([*words(folder, tmp_path / "out", *more), "--threads", "1"])
    rows = {(row.model, row.metric): row for row in load_results("quantization", folder=tmp_path)}
    assert {row.split for row in rows.values()} == {"rows, test"}
    assert {model for model, _ in rows} == {"mine, torch", "mine, float32", "mine, int8"}
    assert {metric for model, metric in rows if model == "mine, torch"} == {"accuracy", "size_mb", "pass_ms"}
    less = {metric: row for (model, metric), row in rows.items() if model == "mine, int8"}
    assert set(less) == {"accuracy", "points_lost", "size_mb", "pass_ms", "speedup"}
    assert less["accuracy"].value == 0.7 and less["points_lost"].value == pytest.approx(20)
    assert less["accuracy"].n == 6 and less["speedup"].n == less["pass_ms"].n > 50
    assert less["pass_ms"].against == "torch in the same rounds" and less["pass_ms"].ratio == less["speedup"].value
    assert less["accuracy"].command.startswith("python recipes/export_onnx.py --model")


def test_on_a_fold_that_training_left_out(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    model = save_tiny_model(tmp_path / "tiny", WORDS, layout="hands-42", normalization="centroid")
    signs = write_tiny_signs(tmp_path / "signs", test=())
    given = ["--model", str(model), "--dataset", "landmark_folder", "--data_dir", str(signs)]
    results = ["--benchmark", "quantization", "--results", str(tmp_path)]
    for number, (of, fold, split, clips) in enumerate(
        [("signer", "ben", "signer=ben", 16), ("stratified", "2", "fold=2", 12)]
    ):
        out = ["--out", str(tmp_path / f"out-{number}"), "--num_folds", "4"]
        found = recipe.main([*given, *out, *results, "--cross_validate", of, "--folds", fold])
        assert found["comparisons"]["float32"]["n"] == clips
        assert f"landmark_folder, {split}" in {row.split for row in load_results("quantization", folder=tmp_path)}
    with pytest.raises(ValueError, match="There is no fold 9; the folds are 1, 2"):
        recipe.main([*given, "--out", str(tmp_path / "no"), "--cross_validate", "stratified", "--folds", "9"])
    assert not (tmp_path / "no").exists()


def test_a_detector_on_pictures_of_some_sources(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    model = detector(tmp_path / "model", hands=False)
    for split, numbers in (("train", range(9)), ("test", range(9, 12))):
        write_pictures(tmp_path / "pictures" / split, numbers)
    given = ["--model", str(model), "--dataset", "keypoint_images", "--data_dir", str(tmp_path / "pictures")]
    given += ["--quantize", "int8", "--limit", "100", "--calibration_split", "train"]
    shown = []
    monkeypatch.setattr(recipe, "people_of", lambda rows, own=recipe.people_of: shown.append(rows) or own(rows))
    found = recipe.main([*given, "--out", str(tmp_path / "one")])["comparisons"]["int8"]
    assert (
        found["metric"] == "pck@0.1"
        and found["n"] == 3
        and set(shown[0]["source"]) == {"video-0", "video-1", "video-2"}
    )
    one = ["--split", "train", "--test_sources", "video-1"]
    results = ["--benchmark", "quantization", "--results", str(tmp_path)]
    assert recipe.main([*given, *one, *results, "--out", str(tmp_path / "two")])["comparisons"]["int8"]["n"] == 3
    assert set(shown[1]["source"]) == {"video-0", "video-2"}
    assert {row.split for row in load_results("quantization", folder=tmp_path)} == {"keypoint_images, video-1"}
    with pytest.raises(ValueError, match=r"No picture is of nobody; the sources are video-0, video-1, video-2"):
        recipe.main([*given, "--split", "train", "--test_sources", "nobody", "--out", str(tmp_path / "three")])
    assert all(picture.ndim == 3 and min(picture.shape[:2]) > 20 for picture in recipe.people_of(shown[0]))


def test_impossible_settings(recipe, folder, tmp_path):
    with pytest.raises(SystemExit):
        recipe.main(words(folder, tmp_path / "out", "--limit", "-1"))
    for more in (["--folds", "1"], ["--cross_validate", "signer"], ["--calibration", "a", "--calibration_split", "b"]):
        with pytest.raises(SystemExit):
            recipe.main(words(folder, tmp_path / "out", *more))
    with pytest.raises(ValueError, match="Unknown benchmark 'quantisation'"):
        recipe.main(words(folder, tmp_path / "out", "--benchmark", "quantisation"))
    with pytest.raises(ValueError, match="no provider 'npu'"):
        recipe.main(words(folder, tmp_path / "out", "--provider", "npu"))
