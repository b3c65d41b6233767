"""Timing by turns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from signlang_hf.benchmark.turns import FEWEST, in_turns, ratio


def test_everybody_runs_once_a_round():
    seen: list[str] = []
    times = in_turns({name: lambda name=name: seen.append(name) for name in ("first", "second")}, rounds=4)
    assert list(times) == ["first", "second"] and all(len(found) == 4 and (found > 0).all() for found in times.values())
    # One warms up; afterwards whoever has begun a round is done before the next one begins.
    rounds = seen[2:]
    assert len(rounds) % 8 == 0
    size = len(rounds) // 8
    assert rounds == (["first"] * size + ["second"] * size) * 4


def test_no_round_begins_when_the_time_is_up():
    assert len(in_turns({"one": lambda: None}, rounds=1000, seconds=0)["one"]) == FEWEST


def test_gradients_only_where_they_are_wanted():
    weight = torch.ones(1, requires_grad=True)
    recorded: list[bool] = []
    for gradients in (False, True):
        in_turns({"one": lambda: recorded.append((2 * weight).requires_grad)}, rounds=1, gradients=gradients)
    assert set(recorded[: len(recorded) // 2]) == {False} and set(recorded[len(recorded) // 2 :]) == {True}


def test_a_ratio_is_of_the_same_rounds():
    # A slow second half of the machine's time hits both.
    base, other = np.array([2.0, 2.0, 20.0, 20.0]), np.array([1.0, 1.0, 10.0, 10.0])
    assert ratio(base, other) == 2.0


@pytest.mark.parametrize(("runs", "rounds"), [({}, 3), ({"one": lambda: None}, 0)])
def test_nothing_to_time(runs, rounds):
    with pytest.raises(ValueError, match="something to time, and at least one round"):
        in_turns(runs, rounds=rounds)
