"""The faithfulness recipe: it runs on a dataset and writes rows that can be compared."""

import runpy
from pathlib import Path

import datasets
import pytest
from tiny_model import save_tiny_model
from tiny_signs import WORDS, write_tiny_signs

from signlang_hf.training.results import load_results

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "benchmark_faithfulness.py"
METHODS = ("gradcam", "integrated-gradients")


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(RECIPE))["main"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The part of the command line that says what to measure."""
    folder = tmp_path_factory.mktemp("faithfulness")
    model = save_tiny_model(folder / "tiny", WORDS, layout="hands-42", normalization="centroid")
    signs = write_tiny_signs(folder / "signs")
    return ["--model", str(model), "--dataset", "landmark_folder", "--data_dir", str(signs), "--repeats", "2"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_rows_of_both_methods(main, words, tmp_path, capsys):
    main([*words, "--results", str(tmp_path)])
    rows = load_results("faithfulness", folder=tmp_path)
    assert {row.model for row in rows} == {f"tiny, {method}" for method in METHODS} and len(rows) == 12
    for method in METHODS:
        values = {(row.split, row.metric): row for row in rows if row.model == f"tiny, {method}"}
        assert set(values) == {
            ("whole clips", "true_label_score"),
            ("without the hottest 20 %", "true_label_score"),
            ("without random 20 %", "true_label_score"),
            ("without 20 % in the same pattern elsewhere", "true_label_score"),
            ("hottest 20 % against random 20 %", "share_of_clips_hurt_more"),
            ("hottest 20 % against 20 % in the same pattern elsewhere", "share_of_clips_hurt_more"),
        }
        assert all(row.n == 16 and row.seeds == (0,) for row in values.values())
        assert values["without random 20 %", "true_label_score"].spread is not None
    whole = [row.value for row in rows if row.split == "whole clips"]
    assert whole[0] == whole[1]
    assert rows[0].command.startswith("python recipes/benchmark_faithfulness.py --model")
    assert "without the hottest 20 %" in capsys.readouterr().out


def test_some_clips_another_share_and_one_method(main, words, tmp_path):
    options = ["--clips", "3", "--share", "0.1", "--methods", "gradcam", "--name", "mine", "--results", str(tmp_path)]
    rows = main([*words, *options])
    assert {row.n for row in rows} == {3} and {row.model for row in rows} == {"mine, gradcam"}
    assert rows[1].split == "without the hottest 10 %"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--clips", "0"], "--clips must be at least 1"),
        (["--model", "./none"], "Model folder not found"),
        (["--split", "exam"], "exam"),
        (["--share", "2"], "share is 2.0"),
        (["--methods", "lime"], "invalid choice"),
    ],
)
def test_mistakes(main, words, tmp_path, capsys, changes, said):
    with pytest.raises(SystemExit):
        main([*words, *changes, "--results", str(tmp_path / "results")])
    assert said in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
