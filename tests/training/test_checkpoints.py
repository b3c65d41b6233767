"""Which checkpoint is whole, and whose folder it is."""

from __future__ import annotations

import json

import pytest

from signlang_hf.training.checkpoints import claim, last_checkpoint, stopped_early, write_json


def checkpoint(folder, step, state: str | None = '{"global_step": 1}'):
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"x")
    if state is not None:
        (path / "trainer_state.json").write_text(state)
    return path


def test_the_newest_whole_checkpoint_is_found(tmp_path):
    assert last_checkpoint(tmp_path / "nowhere") is None
    assert last_checkpoint(tmp_path) is None
    for step in (2, 10, 9):
        checkpoint(tmp_path, step)
    assert last_checkpoint(tmp_path).name == "checkpoint-10"  # by number, not by name


@pytest.mark.parametrize("state", [None, "", '{"global_step": 1', "\x00\x00"])
def test_torn_checkpoints_are_skipped(tmp_path, state):
    checkpoint(tmp_path, 4)
    checkpoint(tmp_path, 8, state)
    checkpoint(tmp_path, "best")
    (tmp_path / "checkpoint-9").write_text("a file")
    assert last_checkpoint(tmp_path).name == "checkpoint-4"


def test_a_folder_with_only_torn_checkpoints_has_none(tmp_path):
    checkpoint(tmp_path, 8, None)
    assert last_checkpoint(tmp_path) is None


def test_whether_training_had_stopped_is_read_from_the_checkpoint(tmp_path):
    def state(stop: bool) -> str:
        return json.dumps({"stateful_callbacks": {"TrainerControl": {"args": {"should_training_stop": stop}}}})

    assert stopped_early(checkpoint(tmp_path, 1, state(True)))
    assert not stopped_early(checkpoint(tmp_path, 2, state(False)))
    assert not stopped_early(checkpoint(tmp_path, 3))


def test_the_first_run_claims_a_folder_and_the_same_run_gets_it_back(tmp_path):
    folder = tmp_path / "deep" / "run"
    settings = {"seed": 1, "model": {"hidden_size": 8}, "sizes": (1, 2)}
    assert claim(folder, settings) is False
    checkpoint(folder, 4)
    assert claim(folder, settings) is False
    write_json(folder / "results.json", {})
    assert claim(folder, settings) is True
    with pytest.raises(ValueError) as refused:
        claim(folder, {"seed": 2, "model": {"hidden_size": 8, "dropout": 0.1}, "sizes": (1, 2)})
    assert str(refused.value) == (
        f"{folder} holds a run with other settings (model.dropout was None, is 0.1; seed was 1, is 2); "
        "choose another --output_dir or delete it."
    )


def test_many_changes_are_counted_and_long_values_only_named(tmp_path):
    before = dict.fromkeys("abcdef", 0) | {"hash": "0" * 40}
    claim(tmp_path, before)
    checkpoint(tmp_path, 1)
    with pytest.raises(ValueError, match=r"\(a was 0, is 1; b was 0, is 1; c was 0, is 1; d was 0, is 1 and 2 more\)"):
        claim(tmp_path, dict.fromkeys("abcdef", 1) | {"hash": "0" * 40})
    with pytest.raises(ValueError, match=r"\(hash\)"):
        claim(tmp_path, before | {"hash": "1" * 40})


def test_a_folder_without_checkpoint_or_results_can_be_claimed_anew(tmp_path):
    claim(tmp_path, {"seed": 1})
    checkpoint(tmp_path, 4, None)
    assert claim(tmp_path, {"seed": 2}) is False
    checkpoint(tmp_path, 5)
    with pytest.raises(ValueError, match="seed was 2, is 1"):
        claim(tmp_path, {"seed": 1})


def test_a_run_of_somebody_else_is_not_resumed(tmp_path):
    checkpoint(tmp_path, 4)
    with pytest.raises(ValueError, match="holds a run of unknown settings; choose another --output_dir or delete it"):
        claim(tmp_path, {"seed": 1})


def test_json_is_written_whole_and_readable(tmp_path):
    path = write_json(tmp_path / "x.json", {"b": "é", "a": [1.5]})
    assert path.read_text() == '{\n  "a": [\n    1.5\n  ],\n  "b": "é"\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text())["b"] == "é"
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]
