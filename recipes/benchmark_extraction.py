"""How fast a folder of videos becomes landmark files: more workers against one, and this library against pose-format.

    python recipes/benchmark_extraction.py --clips path/to/videos
    python recipes/benchmark_extraction.py --clips path/to/videos --repeats 1 --no-save

Every contender turns the same videos into ``.pose`` files as a command of its own, start-up included, and all take turns in
every repeat, so that whatever else the machine does hits all alike. pose-format (its ``videos_to_poses``, one worker) always
finds the face mesh and world points; the library does on request, so it runs with and without. Needs a MediaPipe with
``mp.solutions``, which pose-format is built on.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from signlang_hf.landmarks import load_landmarks
from signlang_hf.pose.job import find_videos
from signlang_hf.pose.mediapipe import has_solutions
from signlang_hf.training.results import RESULTS, ResultRow, save_results

EXTRACT = """
import json, sys
from signlang_hf.pose import extract_folder
source, out, workers, options = sys.argv[1:]
report = extract_folder(source, out, num_workers=int(workers), format="pose", estimator_options=json.loads(options), progress=False)
assert not report.failures, report
"""
POSE_FORMAT = "from pose_format.bin.directory import main; main()"
SAME_POINTS = {"face": True, "world": True}
ONE, MANY, FULL, OTHER = "one worker", "workers", "one worker, same points", "pose-format"


def contenders(videos: Path, folder: Path, workers: int) -> dict[str, Callable[[], Path]]:
    """Name → a run over all videos, which returns the folder with the ``.pose`` files."""

    def library(workers: int, options: dict[str, bool]) -> Path:
        out = Path(tempfile.mkdtemp(dir=folder))
        run([sys.executable, "-c", EXTRACT, str(videos), str(out), str(workers), json.dumps(options)])
        return out

    def pose_format() -> Path:
        out = Path(tempfile.mkdtemp(dir=folder))  # it writes beside the videos
        for name in find_videos(videos):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).symlink_to((videos / name).resolve())
        run([sys.executable, "-c", POSE_FORMAT, "--directory", str(out), "--recursive", "--num-workers", "1"])
        return out

    return {
        ONE: lambda: library(1, {}),
        MANY: lambda: library(workers, {}),
        FULL: lambda: library(1, SAME_POINTS),
        OTHER: pose_format,
    }


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command[:2])} … failed:\n{done.stderr[-2000:]}")


def measure(actions: dict[str, Callable[[], Path]], repeats: int) -> tuple[dict[str, np.ndarray], int]:
    """Seconds of each contender, (repeats,), in turns; and the number of frames, which all must agree on."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    frames: dict[str, int] = {}
    with tqdm(total=repeats * len(actions), unit="run") as bar:
        for _ in range(repeats):
            for name, action in actions.items():
                bar.set_description(name)
                start = time.perf_counter()
                out = action()
                times[name].append(time.perf_counter() - start)
                frames[name] = sum(len(load_landmarks(path)) for path in out.rglob("*.pose"))
                shutil.rmtree(out)
                bar.update()
    if len(set(frames.values())) != 1:
        raise RuntimeError(f"The contenders did not extract the same number of frames: {frames}.")
    return {name: np.array(values) for name, values in times.items()}, frames[ONE]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos")
    parser.add_argument("--workers", type=int, default=2, help="workers of the parallel run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--no-save", action="store_true", help="only print")
    args = parser.parse_args(argv)
    if not has_solutions():
        sys.exit("pose-format needs mp.solutions, which the installed MediaPipe has no more.")
    number = len(find_videos(args.clips))
    with tempfile.TemporaryDirectory(prefix="signlang-") as folder:
        times, frames = measure(contenders(args.clips, Path(folder), args.workers), args.repeats)

    command = shlex.join(["python", "recipes/benchmark_extraction.py", *(sys.argv[1:] if argv is None else argv)])
    split = f"{number} sign videos, {frames} frames"
    medians = {name: float(np.median(values)) for name, values in times.items()}
    rates = {name: frames / values for name, values in times.items()}

    def row(name: str, model: str, against: str, label: str) -> ResultRow:
        return ResultRow(
            model, split, "frames_per_second", frames / medians[name], args.repeats, command,
            spread=float(rates[name].std()), against=label, ratio=medians[against] / medians[name],
        )  # fmt: skip

    other = "pose-format videos_to_poses, 1 worker"
    rows = [
        row(ONE, "signlang extract, 1 worker", OTHER, other),
        row(FULL, "signlang extract, 1 worker, with face and world points as pose-format", OTHER, other),
        row(MANY, f"signlang extract, {args.workers} workers", ONE, "signlang extract, 1 worker"),
        row(OTHER, other, ONE, "signlang extract, 1 worker"),
    ]
    for entry in rows:
        print(
            f"{entry.model}: {entry.value:.1f} frames/s ± {entry.spread:.1f}, {entry.ratio:.2f} times {entry.against}"
        )
    if not args.no_save:
        print(f"Wrote {save_results('extraction', rows, folder=args.results)}")


if __name__ == "__main__":
    main()
