"""How fast a folder of videos becomes landmarks: more workers against one, and this library against pose-format or with Ray.

    python recipes/benchmark_extraction.py --clips path/to/videos
    python recipes/benchmark_extraction.py --clips path/to/videos --repeats 1 --no-save
    python recipes/benchmark_extraction.py --clips path/to/videos --engines --copies 4

Every contender turns the same videos into ``.pose`` files as a command of its own, start-up included, and all take turns in
every repeat, so that whatever else the machine does hits all alike. pose-format (its ``videos_to_poses``, one worker) always
finds the face mesh and world points; the library does on request, so it runs with and without. Needs a MediaPipe with
``mp.solutions``, which pose-format is built on.

With ``--engines``, processes and Ray do the same with one worker and with several. Start-up weighs on a few clips as it never does
on a million, hence ``--copies``; and beside the rate of the whole command stands that of a worker while it works (frames by the
seconds that the manifest has for them), from which the core-hours for a million clips like these are computed.
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
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from signlang_hf.landmarks import load_landmarks
from signlang_hf.pose.job import find_videos
from signlang_hf.pose.manifest import MANIFEST, read_manifest
from signlang_hf.pose.mediapipe import has_solutions
from signlang_hf.training.results import RESULTS, ResultRow, format_value, save_results

EXTRACT = """
import json, sys
from signlang_hf.pose import extract_folder
source, out, workers, options = sys.argv[1:]
report = extract_folder(source, out, num_workers=int(workers), format="pose", estimator_options=json.loads(options), progress=False)
assert not report.failures, report
"""
ENGINE = """
import sys
source, out, engine, workers = sys.argv[1:]
if engine == "ray":
    from signlang_hf.data import extract_with_ray as extract
else:
    from signlang_hf.pose import extract_folder as extract
report = extract(source, out, num_workers=int(workers), progress=False)
assert not report.failures, report
"""
POSE_FORMAT = "from pose_format.bin.directory import main; main()"
LOOP = "sum(number * number % 7 for number in range(40_000_000))"
SAME_POINTS = {"face": True, "world": True}
MILLION = 1_000_000
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


def engines(videos: Path, folder: Path, workers: int) -> dict[str, Callable[[], Path]]:
    """Name → a run over all videos, which returns the folder with the manifest; both engines, with one worker and with several."""

    def extract(engine: str, workers: int) -> Path:
        out = Path(tempfile.mkdtemp(dir=folder))
        run([sys.executable, "-c", ENGINE, str(videos), str(out), engine, str(workers)])
        return out

    return {
        f"{engine}, {number} worker{'s' * (number > 1)}": partial(extract, engine, number)
        for number in dict.fromkeys((1, workers))
        for engine in ("processes", "ray")
    }


def linked(videos: Path, folder: Path, copies: int) -> Path:
    """A folder in which every video lies ``copies`` times."""
    for number in range(copies):
        for name, path in find_videos(videos).items():
            link = folder / str(number) / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
    return folder


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command[:2])} … failed:\n{done.stderr[-2000:]}")


def measure(
    actions: dict[str, Callable[[], Path]], repeats: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]:
    """Seconds of each contender and, where it has a manifest, of its workers' work, (repeats,), in turns; and the number of
    frames, which all must agree on."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    work: dict[str, list[float]] = {name: [] for name in actions}
    frames: dict[str, int] = {}
    with tqdm(total=repeats * len(actions), unit="run") as bar:
        for _ in range(repeats):
            for name, action in actions.items():
                bar.set_description(name)
                start = time.perf_counter()
                out = action()
                times[name].append(time.perf_counter() - start)
                if (out / MANIFEST).is_file():
                    rows = read_manifest(out)
                    work[name].append(sum(row["seconds"] for row in rows))
                    frames[name] = sum(row["frames"] for row in rows)
                else:
                    frames[name] = sum(len(load_landmarks(path)) for path in out.rglob("*.pose"))
                shutil.rmtree(out)
                bar.update()
    if len(set(frames.values())) != 1:
        raise RuntimeError(f"The contenders did not extract the same number of frames: {frames}.")
    seconds = [{name: np.array(values) for name, values in table.items()} for table in (times, work)]
    return seconds[0], seconds[1], frames.popitem()[1]


def ceiling(workers: int, repeats: int, command: str) -> ResultRow:
    """What several processes can gain on this machine at best: a loop of arithmetic, which shares neither memory nor disk, in as many
    processes at once as there are workers, against one alone. Cores that are threads of one core show here."""

    def seconds(number: int) -> float:
        start = time.perf_counter()
        loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(number)]
        for loop in loops:
            loop.wait()
        return time.perf_counter() - start

    pairs = np.array([(seconds(1), seconds(workers)) for _ in range(repeats)])
    gains = workers * pairs[:, 0] / pairs[:, 1]
    return ResultRow(
        f"a loop of arithmetic, {workers} processes", "the machine's ceiling", "speedup", float(np.median(gains)), repeats, command,
        spread=float(gains.std()), against="the same loop, 1 process", ratio=float(np.median(gains)),
    )  # fmt: skip


def library_rows(args: argparse.Namespace, command: str) -> list[ResultRow]:
    """The library against pose-format."""
    number = len(find_videos(args.clips))
    with tempfile.TemporaryDirectory(prefix="signlang-") as folder:
        times, _, frames = measure(contenders(args.clips, Path(folder), args.workers), args.repeats)
    split = f"{number} sign videos, {frames} frames"
    one, other = "signlang extract, 1 worker", "pose-format videos_to_poses, 1 worker"
    full = "signlang extract, 1 worker, with face and world points as pose-format"

    def row(name: str, model: str, against: str, label: str) -> ResultRow:
        return speed(model, split, "frames_per_second", frames, times[name], times[against], label, command)

    return [
        row(ONE, one, OTHER, other),
        row(FULL, full, OTHER, other),
        row(MANY, f"signlang extract, {args.workers} workers", ONE, one),
        row(OTHER, other, ONE, one),
        ceiling(args.workers, args.repeats, command),
    ]


def engine_rows(args: argparse.Namespace, command: str) -> list[ResultRow]:
    """Processes and Ray against one process: the whole command, a worker at work, and what a million such clips take."""
    with tempfile.TemporaryDirectory(prefix="signlang-") as folder:
        videos = linked(args.clips, Path(folder) / "videos", args.copies)
        times, work, frames = measure(engines(videos, Path(folder), args.workers), args.repeats)
        clips = len(find_videos(videos))
    split, base = f"{clips} sign videos, {frames} frames", "processes, 1 worker"
    rows = []
    for name in times:
        rows.append(speed(name, split, "frames_per_second", frames, times[name], times[base], base, command))
        rows.append(speed(name, split, "frames_of_a_worker_per_second", frames, work[name], work[base], base, command))
        hours = float(np.median(work[name])) / clips * MILLION / 3600
        scaled = f"{MILLION:,} clips of {frames / clips:.0f} frames"
        rows.append(ResultRow(name, scaled, "core_hours", hours, args.repeats, command))
    return rows


def speed(
    model: str, split: str, metric: str, frames: int, seconds: np.ndarray, base: np.ndarray, against: str, command: str
) -> ResultRow:
    """A row of frames a second, with what the same run took for the same frames."""
    middle = float(np.median(seconds))
    return ResultRow(
        model, split, metric, frames / middle, len(seconds), command,
        spread=float((frames / seconds).std()), against=against, ratio=float(np.median(base)) / middle,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos")
    parser.add_argument("--workers", type=int, default=2, help="workers of the parallel run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engines", action="store_true", help="processes and Ray instead of pose-format")
    parser.add_argument("--copies", type=int, default=1, help="with --engines: how often each video is extracted")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--no-save", action="store_true", help="only print")
    args = parser.parse_args(argv)
    if not args.engines and not has_solutions():
        sys.exit("pose-format needs mp.solutions, which the installed MediaPipe has no more.")
    command = shlex.join(["python", "recipes/benchmark_extraction.py", *(sys.argv[1:] if argv is None else argv)])
    rows = (engine_rows if args.engines else library_rows)(args, command)
    for entry in rows:
        print(f"{entry.model}, {entry.split}: {entry.metric} {format_value(entry)}", end="")
        print("" if entry.ratio is None else f", {entry.ratio:.2f} times {entry.against}")
    if not args.no_save:
        print(f"Wrote {save_results('extraction', rows, folder=args.results, replace=False)}")


if __name__ == "__main__":
    main()
