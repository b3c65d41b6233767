"""How long landmark processing takes: a holistic clip through conversion, normalisation, smoothing and derivatives, and a clip
of 64 frames through the processor of each model that comes with the package, from landmarks to ``input_values``.

    python recipes/benchmark_landmarks.py                       # 300 frames, 200 repeats, result rows in hub_cards/results
    python recipes/benchmark_landmarks.py --frames 1000 --no-save

The bare counterpart is the least that the same numbers cost: ``scipy.signal.savgol_filter`` and two ``numpy.gradient`` on an
array that is already reduced to the points wanted, complete and isotropic. It knows no gaps, layouts, units or irregular
clock. All take turns in every repeat, so that whatever else the machine does hits both alike.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy.signal import savgol_filter
from transformers import AutoFeatureExtractor

from signlang_hf import pretrained
from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.landmarks.features import extract_features
from signlang_hf.landmarks.normalize import normalize, smooth
from signlang_hf.models.keypoint.processing_keypoint import SignKeypointProcessor
from signlang_hf.training.results import RESULTS, ResultRow, save_results

SOURCE, TARGET = "mediapipe-holistic-face478", "mediapipe-holistic"
FEATURES = ("position", "velocity", "acceleration")
FPS = 30.0
CLIP = 64  # frames through each processor
BARE = "scipy + numpy alone"


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


def processors() -> dict[str, SignKeypointProcessor]:
    """Processor of each bundled model that takes landmarks and gives ``input_values``, by the model's name."""
    folders = {name: pretrained.path(name) for name in pretrained.names()}
    kinds = {
        name: json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8")).get(
            "feature_extractor_type"
        )
        for name, folder in folders.items()
        if (folder / "preprocessor_config.json").is_file()
    }
    return {
        name: AutoFeatureExtractor.from_pretrained(folders[name])
        for name, kind in kinds.items()
        if kind in ("SignKeypointProcessor", "SignCTCProcessor")
    }


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


def report(times: dict[str, np.ndarray]) -> None:
    """Print median and 95th percentile of each action, and how many bare counterparts fit into it."""
    for name, values in times.items():
        print(
            f"  {name:<26} median {np.median(values):7.3f}   p95 {np.percentile(values, 95):7.3f}"
            f"   {np.median(values) / np.median(times[BARE]):5.1f} times the bare counterpart's median"
        )


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
            BARE: lambda: bare(complete),
        },
        options.repeats,
    )
    print(f"{options.frames} frames, {SOURCE} → {TARGET}, {options.repeats} repeats in turns (milliseconds)")
    report(times)

    webcam = make_clip(CLIP, options.seed).to_layout(TARGET)
    short = np.nan_to_num(normalize(webcam).data).reshape(CLIP, -1)
    processing: dict[str, Callable[[], object]] = {
        f"processing, {name}": partial(processor, webcam) for name, processor in processors().items()
    }
    processed = measure({**processing, BARE: lambda: bare(short)}, options.repeats)
    print(f"{CLIP} frames, {TARGET}, landmarks → input_values")
    report(processed)

    if options.save:
        given = sys.argv[1:] if arguments is None else arguments
        statistics = {"median": np.median, "p95": lambda values: np.percentile(values, 95)}
        measured = [
            ("landmark processing", f"{options.frames} frames, {SOURCE} to {TARGET}", times["all four"], times[BARE])
        ]
        measured += [(name, f"{CLIP} frames, {TARGET}", processed[name], processed[BARE]) for name in processing]
        rows = [
            ResultRow(
                model=model,
                split=split,
                metric=f"{name}_ms",
                value=float(statistic(total)),
                n=options.repeats,
                command=shlex.join(["python", "recipes/benchmark_landmarks.py", *given]),
                seeds=(options.seed,),
                against="scipy savgol_filter and numpy gradient on a complete array",
                ratio=float(statistic(reference) / statistic(total)),
            )
            for model, split, total, reference in measured
            for name, statistic in statistics.items()
        ]
        print(f"wrote {save_results('speed', rows, folder=options.results, replace=False)}")
    return times | {name: processed[name] for name in processing}


if __name__ == "__main__":
    main()
