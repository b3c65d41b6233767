"""Times that can be compared on a busy machine: everybody runs once in every round, one after the other.

Design decisions:

* A run is timed by ``torch.utils.benchmark``, which warms up, waits for a GPU and sets the number of threads.
* Ratios are taken round by round, and then their median: whatever else the machine does, it does to all of a round.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

# torch's benchmark imports its builder of extensions, which complains about a CUDA without a GPU.
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
from torch.utils.benchmark import Timer  # noqa: E402

FEWEST = 5
"""Rounds that are made whatever they take: a median needs them."""


def in_turns(
    runs: Mapping[str, Callable[[], Any]], *, rounds: int = 30, seconds: float = 10.0, gradients: bool = False
) -> dict[str, np.ndarray]:
    """Seconds of each run, (rounds,), by name.

    Args:
        runs: what to time, by name.
        rounds: at most so many.
        seconds: no further round begins after them, once there are :data:`FEWEST`.
        gradients: the runs train.

    Raises:
        ValueError: nothing to time, or no rounds.
    """
    if not runs or rounds < 1:
        raise ValueError("There must be something to time, and at least one round.")
    threads = torch.get_num_threads()
    timers = {name: Timer("run()", globals={"run": run}, num_threads=threads) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode(not gradients):
        for run in runs.values():
            run()
        started = time.perf_counter()
        for number in range(rounds):
            if number >= FEWEST and time.perf_counter() - started > seconds:
                break
            for name, timer in timers.items():
                times[name].append(timer.timeit(1).median)
    return {name: np.array(found) for name, found in times.items()}


def ratio(base: np.ndarray, times: np.ndarray) -> float:
    """How many times as fast as ``base``: the median over the rounds."""
    return float(np.median(base / times))


__all__ = ["FEWEST", "in_turns", "ratio"]
