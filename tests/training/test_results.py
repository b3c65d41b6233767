"""Results files and what is rendered from them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from signlang_hf import __version__
from signlang_hf.training.results import (
    BENCHMARKS,
    RESULTS,
    ResultRow,
    comparison_table,
    format_value,
    load_results,
    results_table,
    save_results,
    unit_of,
)

ROOT = Path(__file__).resolve().parents[2]
ROW = ResultRow(
    "signlang_transformer", "mean of 16 languages", "top1", 0.6321, 410, "make bench", spread=0.081, seeds=(0, 1)
)
BASELINE = replace(ROW, model="1-nearest-neighbour", value=0.503, spread=None, seeds=())
SPEED = ResultRow(
    "signlang_hf", "import", "import_ms", 231.0, 9, "make bench-import", against="import transformers", ratio=0.12
)


def render_module():
    spec = importlib.util.spec_from_file_location("render", ROOT / "hub_cards" / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_saved_rows_come_back_with_versions_and_date(tmp_path):
    path = save_results("fingerspelling-lolo", [ROW, BASELINE], folder=tmp_path)
    assert path == tmp_path / "fingerspelling-lolo.json"
    first, second = load_results("fingerspelling-lolo", folder=tmp_path)
    assert (first.value, first.spread, first.seeds, first.n) == (0.6321, 0.081, (0, 1), 410)
    assert second.model == "1-nearest-neighbour"
    assert first.benchmark == "fingerspelling-lolo"
    assert first.versions["signlang_hf"] == __version__
    assert set(first.versions) == {"signlang_hf", "transformers", "torch", "numpy", "python"}
    assert len(first.date) == len("2026-01-31")


def test_file_holds_the_fields_of_the_format(tmp_path):
    record = json.loads(save_results("speed", [SPEED, replace(ROW, headline=False)], folder=tmp_path).read_text())
    fields = ["benchmark", "model", "split", "metric", "value", "n", "command", "spread", "seeds", "versions", "date"]
    assert sorted(record[0]) == sorted([*fields, "against", "ratio"])
    assert sorted(record[1]) == sorted([*fields, "headline"])


def test_numpy_numbers_are_written_as_plain_ones(tmp_path):
    row = replace(ROW, value=np.float32(0.5), n=np.int64(3), spread=np.float64(0.25), seeds=list(np.arange(2)))
    save_results("speed", [row], folder=tmp_path)
    (back,) = load_results("speed", folder=tmp_path)
    assert (back.value, back.n, back.spread, back.seeds) == (0.5, 3, 0.25, (0, 1))


def test_replace_and_merge(tmp_path):
    save_results("speed", [ROW, BASELINE], folder=tmp_path)
    save_results("speed", [replace(ROW, value=0.7)], folder=tmp_path, replace=False)
    assert {row.model: row.value for row in load_results("speed", folder=tmp_path)} == {
        "1-nearest-neighbour": 0.503,
        "signlang_transformer": 0.7,
    }
    save_results("speed", [ROW], folder=tmp_path)
    assert len(load_results("speed", folder=tmp_path)) == 1
    assert len(load_results(folder=tmp_path)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": 63.2}, "not a rate"),
        ({"value": float("nan")}, "finite"),
        ({"value": "0.6"}, "finite"),
        ({"value": True}, "finite"),
        ({"spread": -0.1}, "standard deviation"),
        ({"n": 0}, "n is 0"),
        ({"n": 1.5}, "n is 1.5"),
        ({"command": " "}, "'command' is empty"),
        ({"model": ""}, "'model' is empty"),
        ({"metric": "latency_ms"}, "against"),
        ({"metric": "latency_ms", "against": "pose-format"}, "against"),
        ({"metric": "bleu4", "value": 101.0}, "0–100"),
        ({"metric": "peak_mb", "value": -1.0}, "negative"),
        ({"benchmark": "load"}, "cannot be saved under"),
    ],
)
def test_a_faulty_row_is_refused_in_one_sentence_and_nothing_is_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        save_results("speed", [replace(ROW, **change)], folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_benchmark_no_rows_and_duplicates_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Unknown benchmark 'sped'.*speed"):
        save_results("sped", [ROW], folder=tmp_path)
    with pytest.raises(ValueError, match="No rows"):
        save_results("speed", [], folder=tmp_path)
    with pytest.raises(ValueError, match="two rows for signlang_transformer / mean of 16 languages / top1"):
        save_results("speed", [ROW, replace(ROW, value=0.1)], folder=tmp_path)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="'load' has no results"):
        load_results("load", folder=tmp_path)
    path = tmp_path / "load.json"
    for content, message in [("{", "load.json"), ("{}", "list of rows"), ('[{"modle": 1}]', "modle")]:
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            load_results("load", folder=tmp_path)
    save_results("speed", [ROW], folder=tmp_path).rename(path)
    with pytest.raises(ValueError, match="benchmark 'speed'"):
        load_results("load", folder=tmp_path)


@pytest.mark.parametrize(
    ("metric", "value", "spread", "shown"),
    [
        ("top1", 0.6321, 0.0812, "63.2 % ± 8.1"),
        ("gloss_wer", 1.204, None, "120.4 %"),
        ("bleu4", 19.256, None, "19.26"),
        ("step_ms", 4.7123, 0.05, "4.71 ms ± 0.0500"),
        ("step_ms", 1712.4, None, "1,712 ms"),
        ("frames_per_second", 43.21, None, "43.2 /s"),
        ("logit_difference", 3.7e-9, None, "3.7e-09"),
        ("parameter_count", 4_200_000, None, "4,200,000"),
        ("export_difference", 0.0, None, "0"),
    ],
)
def test_numbers_are_shown_in_their_unit(metric, value, spread, shown):
    assert format_value(replace(ROW, metric=metric, value=value, spread=spread)) == shown


def test_units_follow_from_names():
    assert {unit_of(name) for name in ("substitutions", "deletions", "insertions")} == {"number"}
    assert [unit_of(name) for name in ("top1", "macro_f1", "wer", "chrf", "start_speedup", "rms_px")] == [
        "rate", "rate", "open rate", "score", "times", "px"
    ]  # fmt: skip
    assert (
        unit_of("core_hours") == "h"
        and format_value(replace(ROW, metric="core_hours", value=521.4, spread=None)) == "521 h"
    )
    assert unit_of("answer") == "rate"  # an ending counts only after an underscore


def test_table_shows_only_filled_columns_and_how_it_was_measured():
    table = results_table([replace(ROW, date="2026-01-31", versions={"numpy": "2"}), BASELINE])
    head, _, first, *rest = table.splitlines()
    assert head == "| Model | Split | Metric | Value | n | Seeds |"
    assert first == "| signlang_transformer | mean of 16 languages | top1 | 63.2 % ± 8.1 | 410 | 2 |"
    assert "Measured with `make bench` on 2026-01-31 (numpy 2)." in rest
    assert "| Against | Ratio |" in results_table([SPEED])
    assert "0.12 ×" in results_table([SPEED])


def test_what_is_too_wide_for_a_page_is_a_table_a_split():
    metrics = [f"top{k}" for k in range(1, 8)]
    rows = [replace(ROW, model="a", metric=metric, split=split) for split in ("test", "folds") for metric in metrics]
    lines = comparison_table(rows).splitlines()
    heads = [line for line in lines if line.startswith("| Model |")]
    assert heads == ["| Model | " + " | ".join(metrics) + " |"] * 2
    assert [line for line in lines if line.startswith("Split: ")] == ["Split: test.", "Split: folds."]
    assert sum(line.startswith("Measured with") for line in lines) == 1
    narrow = comparison_table([row for row in rows if row.metric in metrics[:3]])
    assert narrow.count("| Model |") == 1 and "top3 (folds)" in narrow


def test_comparison_has_one_line_a_model_best_first():
    f1 = replace(ROW, metric="macro_f1", value=0.55, spread=None)
    minutes = replace(ROW, split="a fold", metric="training_minutes", value=4.25, spread=None, command="make minutes")
    head, _, *rest = comparison_table([BASELINE, ROW, f1, minutes]).splitlines()
    assert head == "| Model | top1 | macro f1 | training minutes (a fold) |"
    assert rest == [
        "| signlang_transformer | 63.2 % ± 8.1 | 55.0 % | 4.25 min |",
        "| 1-nearest-neighbour | 50.3 % |  |  |",
        "",
        "Split: mean of 16 languages where a column names no other.",
        "Measured with",
        "",
        "* `make bench`",
        "* `make minutes`",
    ]
    assert "Split: mean of 16 languages.\n" in comparison_table([ROW, f1])
    with pytest.raises(ValueError, match="No rows"):
        comparison_table([])


def test_comparison_puts_fewest_errors_first():
    rows = [replace(ROW, model=model, metric="wer", value=value) for model, value in (("b", 1.2), ("a", 0.3))]
    lines = comparison_table([*rows, replace(ROW, model="unmeasured", metric="macro_f1", value=0.5)]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| a", "| b", "| unmeasured"]


def test_comparison_names_one_metric_once():
    mirrored = replace(ROW, split="mirrored", value=0.5, spread=None)
    head, _, *rest = comparison_table([ROW, mirrored]).splitlines()
    assert head == "| Model | mean of 16 languages | mirrored |"
    assert rest[:3] == ["| signlang_transformer | 63.2 % ± 8.1 | 50.0 % |", "", "Metric: top1."]


def test_comparison_shows_seeds_where_they_differ():
    once = replace(ROW, model="once", seeds=(0,), value=0.6)
    lines = comparison_table([ROW, once, BASELINE]).splitlines()
    assert lines[0] == "| Model | top1 (mean of 16 languages) | seeds |"
    assert [line.rpartition(" | ")[2] for line in lines[2:5]] == ["2 |", "1 |", " |"]


def test_rendering_fills_blocks_and_is_idempotent(tmp_path):
    results = tmp_path / "results"
    save_results("fingerspelling-lolo", [ROW, replace(BASELINE, headline=False)], folder=results)
    readme = tmp_path / "README.md"
    readme.write_text(
        "# Title\n<!-- results:fingerspelling-lolo -->\nold\n<!-- /results -->\ntext\n"
        "<!-- results:fingerspelling-lolo all --><!-- /results -->\n"
        "<!-- results:fingerspelling-lolo compare -->\n<!-- /results -->\nend\n"
    )
    main = render_module().main
    call = [str(readme), "--results", str(results)]
    assert main([*call, "--check"]) == 1
    assert "old" in readme.read_text()
    assert main(call) == 0
    once = readme.read_text()
    assert "old" not in once
    assert once.count("63.2 %") == 3
    assert once.count("50.3 %") == 1  # the row outside the headline shows only where all are asked for
    assert "| Model | top1 (mean of 16 languages) |" in once
    assert once.startswith("# Title\n")
    assert once.endswith("<!-- /results -->\nend\n")
    assert main(call) == 0
    assert readme.read_text() == once
    assert main([*call, "--check"]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- results:load -->\n<!-- /results -->", "no results"),
        ("<!-- results:speed -->\n", "not closed"),
        ("<!-- results:speed -->\n<!-- results:speed -->\n<!-- /results -->", "not closed"),
    ],
)
def test_rendering_says_what_is_wrong_and_leaves_the_file(tmp_path, capsys, text, message):
    save_results("speed", [SPEED], folder=tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(text)
    assert render_module().main([str(readme), "--results", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert readme.read_text() == text


def test_the_renderer_runs_as_a_command(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("no blocks")
    done = subprocess.run(
        [sys.executable, ROOT / "hub_cards" / "render.py", "--check", readme],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_projects_own_results_are_valid_and_its_readme_is_up_to_date():
    for row in load_results(folder=ROOT / RESULTS):
        assert row.benchmark in BENCHMARKS
    readme = ROOT / "README.md"
    if readme.is_file():
        assert render_module().main(["--check", str(readme)]) == 0
