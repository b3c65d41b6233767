"""What the library costs on top of what it stands on: its import, and everything of ``pipeline(video)`` that is neither decoding
nor MediaPipe.

    python recipes/benchmark_pipeline.py --model outputs/demo --clips path/to/videos

Imports are measured in fresh processes, ``import transformers`` and ``import transformers, signlang_hf`` in turns. The
pipeline runs on real clips in turns with its bare counterpart: decord and the same MediaPipe graph in a loop. Within the pipeline's
own run decoding and MediaPipe are timed as well, which gives the share of the rest without the noise of two runs.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from transformers import pipeline

import signlang_hf.pose.estimator as estimator_module
from signlang_hf.pose import MediaPipeEstimator
from signlang_hf.training.results import ResultRow, save_results
from signlang_hf.video import VIDEO_SUFFIXES

IMPORTS = {
    "transformers": "import transformers",
    "both": "import transformers, signlang_hf",
    "own": "import signlang_hf",
}


def seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def import_times(repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each import, (repeats,), as measured inside a fresh process."""
    timed = "import time; start = time.perf_counter()\n{}\nprint(time.perf_counter() - start)"
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in tqdm(range(repeats + 1), desc="imports", unit="round"):
        for name, statement in IMPORTS.items():
            printed = subprocess.run(
                [sys.executable, "-c", timed.format(statement)], capture_output=True, text=True, check=True
            )
            times[name].append(float(printed.stdout))
    return {name: np.array(values[1:]) for name, values in times.items()}  # the first round fills the disk cache


class TimedEstimator(MediaPipeEstimator):
    """Adds up the time spent in MediaPipe."""

    spent = 0.0

    def detect(self, frame: np.ndarray, moment: float) -> Any:
        start = time.perf_counter()
        try:
            return super().detect(frame, moment)
        finally:
            self.spent += time.perf_counter() - start


class TimedDecoding:
    """Stands in for ``iter_video`` and adds up the time spent in it."""

    def __init__(self) -> None:
        self.iter_video = estimator_module.iter_video
        self.spent = 0.0

    def __call__(self, *args: Any, **options: Any) -> Iterator[Any]:
        chunks = self.iter_video(*args, **options)
        while True:
            start = time.perf_counter()
            chunk = next(chunks, None)
            self.spent += time.perf_counter() - start
            if chunk is None:
                return
            yield chunk


def bare(path: Path, estimator: MediaPipeEstimator) -> None:
    """decord and MediaPipe, nothing else."""
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    estimator.reset()
    for number in range(len(reader)):
        estimator.detect(reader[number].asnumpy(), reader.get_frame_timestamp(number)[0])


def pipeline_times(model: str, clips: list[Path], repeats: int) -> dict[str, np.ndarray]:
    """Seconds over all clips, (repeats,): the whole pipeline, its part outside decoding and MediaPipe, the bare loop."""
    estimator, decoding = TimedEstimator(), TimedDecoding()
    pipe = pipeline("sign-recognition", model=model, estimator=estimator)
    times: dict[str, list[float]] = {"pipeline": [], "outside": [], "bare": []}
    estimator_module.iter_video = decoding
    try:
        for _ in tqdm(range(repeats + 1), desc="pipeline", unit="round"):
            estimator.spent = decoding.spent = 0.0
            whole = sum(seconds(lambda clip=clip: pipe(str(clip))) for clip in clips)
            times["pipeline"].append(whole)
            times["outside"].append(whole - estimator.spent - decoding.spent)
            times["bare"].append(sum(seconds(lambda clip=clip: bare(clip, estimator)) for clip in clips))
    finally:
        estimator_module.iter_video = decoding.iter_video
        estimator.close()
    return {name: np.array(values[1:]) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="outputs/demo", help="model folder")
    parser.add_argument("--clips", type=Path, required=True, help="folder with videos")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--import_repeats", type=int, default=11)
    options = parser.parse_args()
    clips = sorted(path for path in options.clips.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if not clips:
        parser.error(f"no videos in {options.clips}")

    imports = import_times(options.import_repeats)
    added = imports["both"] - imports["transformers"]
    runs = pipeline_times(options.model, clips, options.repeats)
    share = runs["outside"] / runs["pipeline"]
    ratio = runs["bare"] / runs["pipeline"]
    print(f"import transformers {np.median(imports['transformers']):.3f} s, and signlang_hf {np.median(added):+.3f} s")
    print(f"import signlang_hf alone {1e3 * np.median(imports['own']):.1f} ms")
    print(f"outside decoding and MediaPipe {100 * np.median(share):.2f} % of pipeline(video)")
    print(
        f"pipeline {np.median(runs['pipeline']):.2f} s, bare loop {np.median(runs['bare']):.2f} s for {len(clips)} clips"
    )

    shared = {"command": shlex.join(["python", "recipes/benchmark_pipeline.py", *sys.argv[1:]])}
    transformers_ms = 1e3 * np.median(imports["transformers"])
    rows = [
        ResultRow(
            "import signlang_hf", "after import transformers", "added_ms", 1e3 * float(np.median(added)),
            len(added), spread=1e3 * float(np.std(added)), against="import transformers in the same round",
            ratio=float(transformers_ms / (1e3 * np.median(imports["both"]))), **shared,
        ),
        ResultRow(
            "import signlang_hf", "alone", "import_ms", 1e3 * float(np.median(imports["own"])), len(imports["own"]),
            spread=1e3 * float(np.std(imports["own"])), against="import transformers in the same round",
            ratio=float(np.median(imports["transformers"]) / np.median(imports["own"])), **shared,
        ),
        ResultRow(
            'pipeline("sign-recognition")', f"{len(clips)} real clips", "share_outside_mediapipe_and_decoding",
            float(np.median(share)), options.repeats, spread=float(np.std(share)), **shared,
        ),
        ResultRow(
            'pipeline("sign-recognition")', f"{len(clips)} real clips", "whole_ms",
            1e3 * float(np.median(runs["pipeline"])), options.repeats, spread=1e3 * float(np.std(runs["pipeline"])),
            against="decord and the same MediaPipe graph in a bare loop", ratio=float(np.median(ratio)), **shared,
        ),
    ]  # fmt: skip
    print(f"wrote {save_results('speed', rows, replace=False)}")


if __name__ == "__main__":
    main()
