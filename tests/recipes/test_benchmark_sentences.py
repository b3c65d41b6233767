"""``recipes/benchmark_sentences.py``: rows that add up, and the memory of a step that grows with the clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_sentences import ROOT, sentence_clip
from tiny_signs import load_recipe

from signlang_hf.training.memory import training_step_memory
from signlang_hf.training.results import load_results

RECIPE = ROOT / "recipes" / "benchmark_sentences.py"
LINUX = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the resident set is read from /proc")


def test_times_add_up_and_are_saved(trained_ctc, trained_translator, tmp_path):
    sentence_clip(["BOOK", "DRINK"], 0, 0).save(tmp_path / "clip.npz")
    words = ["--recognizer", str(trained_ctc.folder), "--translator", str(trained_translator.folder), "--rounds", "3"]
    words += ["--clip", str(tmp_path / "clip.npz"), "--seconds", "4", "--beam_size", "3", "--results", str(tmp_path)]
    load_recipe(RECIPE).main(words)
    rows = {(row.model, row.metric): row for row in load_results("speed", folder=tmp_path)}
    greedy, beam = (rows[f"stage 1 + 2, {name}", "clip_ms"] for name in ("greedy", "beam 3"))
    assert greedy.ratio == 1 and beam.ratio == pytest.approx(greedy.value / beam.value)
    for name, row in (("greedy", greedy), ("beam 3", beam)):
        factor = rows[f"stage 1 + 2, {name}", "real_time_ratio"]
        assert factor.value == pytest.approx(row.value / 4000) and factor.ratio == pytest.approx(1 / factor.value)
        assert rows[f"decoding, {name}", "clip_ms"].value < row.value
    assert greedy.split.startswith("a clip of 4 s, 0.0") and greedy.split.endswith(" M parameters") and greedy.n == 3


def test_a_clip_has_the_length_that_was_asked_for(trained_ctc, tmp_path):
    processor = trained_ctc.trainer.processing_class
    make_clip = load_recipe(RECIPE).make_clip
    sentence_clip(["BOOK"], 0, 0).save(tmp_path / "clip.npz")
    for path in (None, tmp_path / "clip.npz"):
        clip = make_clip(processor, 10, path)
        assert len(clip) / clip.fps == pytest.approx(10) and clip.layout == "hands-42"
        assert np.isfinite(processor.extract(clip)).all()


@LINUX
def test_a_step_with_longer_clips_takes_more_memory():
    config = ROOT / "recipes/configs/isl_csltr_ctc_tiny.yaml"
    short, long = (training_step_memory(config, frames=frames, batch_size=64) for frames in (16, 600))
    assert short.device == "cpu" and short.parameters == long.parameters
    # 64 clips of 432 float32 features each, read and differentiated, at the very least.
    assert long.peak_mb - short.peak_mb > 64 * (600 - 16) * 432 * 4 / 1e6
    assert short.peak_mb > short.start_mb > 0


def test_what_cannot_be_measured_is_one_sentence(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match=r"There is no configuration file .*no\.yaml\."):
        training_step_memory(tmp_path / "no.yaml", frames=9)
    (tmp_path / "bad.yaml").write_text("model: {hidden_size: 0}\n")
    with pytest.raises(ValueError, match="hidden_size is 0; it must be at least 1"):
        training_step_memory(tmp_path / "bad.yaml", frames=9)
    with pytest.raises(SystemExit):
        load_recipe(RECIPE).main([])
    assert "give --recognizer, whose speed is measured, or --memory, or both" in capsys.readouterr().err
