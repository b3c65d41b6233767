"""How long landmark processing takes: a holistic clip through conversion, normalisation, smoothing and derivatives.

    python recipes/benchmark_landmarks.py                       # 300 frames, 200 repeats, result row in hub_cards/results
    python recipes/benchmark_landmarks.py --frames 1000 --no-save

The bare counterpart is the least that the same numbers cost: ``scipy.signal.savgol_filter`` and two ``numpy.gradient`` on an
array that is already reduced to the points wanted, complete and isotropic. It knows no gaps, layouts, units or irregular
clock. Both take turns in every repeat, so that whatever else the machine does hits both alike.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.signal import savgol_filter

from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.landmarks.features import extract_features
from signlang_hf.landmarks.normalize import normalize, smooth
from signlang_hf.training.results import RESULTS, ResultRow, save_results

SOURCE, TARGET = "mediapipe-holistic-face478", "mediapipe-holistic"
FEATURES = ("position", "velocity", "acceleration")
FPS = 30.0


def make_clip(frames: int, seed: int) -> LandmarkSequence:
    """A clip as MediaPipe gives it: smooth movement, one hand away for a third of the time, the other lost now and then."""
    rng = np.random.default_rng(seed)
    layout = get_layout(SOURCE)
    start = rng.uniform(0.2, 0.8, (1, len(layout), 3))
    data = start + np.cumsum(rng.normal(0, 0.003, (frames, len(layout), 3)), axis=0)
    data[: frames // 3, list(layout.parts["left_hand"])] = np.nan
    for lost in rng.integers(0, frames, max(1, frames // 60)):
        data[lost : lost + 5, list(layout.parts["right_hand"])] = np.nan
    return LandmarkSequence(data, SOURCE, size=(1280, 720), fps=FPS)


def bare(values: np.ndarray) -> np.ndarray:
    """Smoothing and two derivatives of a complete (T, F) array, nothing else."""
    smoothed = savgol_filter(values, 11, 3, axis=0)
    velocity = np.gradient(smoothed, 1 / FPS, axis=0)
    return np.concatenate([smoothed, velocity, np.gradient(velocity, 1 / FPS, axis=0)], axis=1)


def measure(actions: dict[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Milliseconds of each action, (repeats,), in turns."""
    for action in actions.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: np.array(values) for name, values in times.items()}


def main(arguments: list[str] | None = None) -> dict[str, np.ndarray]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True, help="write the result rows")
    options = parser.parse_args(arguments)
    if options.frames < 12 or options.repeats < 1:
        parser.error("--frames must be at least 12 and --repeats at least 1.")

    clip = make_clip(options.frames, options.seed)
    converted = clip.to_layout(TARGET)
    normalized = normalize(converted)
    smoothed = smooth(normalized)
    complete = np.nan_to_num(normalized.data).reshape(options.frames, -1)
    times = measure(
        {
            "conversion": lambda: clip.to_layout(TARGET),
            "normalisation": lambda: normalize(converted),
            "smoothing": lambda: smooth(normalized),
            "derivatives": lambda: extract_features(smoothed, FEATURES),
            "all four": lambda: extract_features(smooth(normalize(clip.to_layout(TARGET))), FEATURES),
            "scipy + numpy alone": lambda: bare(complete),
        },
        options.repeats,
    )

    print(f"{options.frames} frames, {SOURCE} → {TARGET}, {options.repeats} repeats in turns (milliseconds)")
    for name, values in times.items():
        print(f"  {name:<20} median {np.median(values):7.3f}   p95 {np.percentile(values, 95):7.3f}")
    total, reference = times["all four"], times["scipy + numpy alone"]
    print(f"  {np.median(total) / np.median(reference):.1f} times the bare counterpart's median")

    if options.save:
        given = sys.argv[1:] if arguments is None else arguments
        statistics = {"median": np.median, "p95": lambda values: np.percentile(values, 95)}
        rows = [
            ResultRow(
                model="landmark processing",
                split=f"{options.frames} frames, {SOURCE} to {TARGET}",
                metric=f"{name}_ms",
                value=float(statistic(total)),
                n=options.repeats,
                command=shlex.join(["python", "recipes/benchmark_landmarks.py", *given]),
                seeds=(options.seed,),
                against="scipy savgol_filter and numpy gradient on a complete array",
                ratio=float(statistic(reference) / statistic(total)),
            )
            for name, statistic in statistics.items()
        ]
        print(f"wrote {save_results('speed', rows, folder=options.results, replace=False)}")
    return times


if __name__ == "__main__":
    main()
