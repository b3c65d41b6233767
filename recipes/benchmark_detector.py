"""How fast the keypoint detector is: against MediaPipe Holistic on the same clip, and in training.

    python recipes/benchmark_detector.py --what speed --clip path/to/clip.mp4
    python recipes/benchmark_detector.py --what training                          # batches of 16 pictures of 512 px
    python recipes/benchmark_detector.py --what training --device cuda --bf16

**speed** is milliseconds a frame from a decoded frame to its landmarks: what is done to the picture, the network, and from heatmaps to
smoothed points. MediaPipe runs without its face mesh, which the detector does not find either. A detector looks at several frames at
once, and frame by frame as with a camera. Weights are random: speed does not depend on them, and tracking, which with them would follow
nobody, is off (it adds one look in 50 frames). Not so where a detector looks at the hands again (``+hands``): how often it does depends on what it
finds, so that is measured with the trained detector of ``--trained``, by default the one that comes with the package, and with tracking, as users get it.
Each number of threads is a process of its own that is kept to as many processor cores,
because MediaPipe does not ask how many it may use. All take turns in every round, so that whatever else the machine does hits all alike.

**training** is a step of AdamW on random pictures that are there already, forward and backward, in a process of its own a model. Memory is
the highest resident set of the process, with Python and torch in it, or what torch had allocated on a GPU.

Linux only, for the cores and the resident set. Rows go to ``detector-speed.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from signlang_hf.training.results import RESULTS, ResultRow, save_results

STATUS = Path("/proc/self/status")
TWICE = "+hands"
DETECTORS = (
    "resnet18:512",
    "resnet18:256",
    "mobilenet_v3_small:256",
    "mobilenet_v3_small:192",
    f"mobilenet_v3_small:256{TWICE}",
)
WIDTHS = {"mobilenet_v3_small": 64}
"""Channels of the deconvolutions that go with a backbone; 256 with others."""
HOLISTIC, LIVE = "MediaPipe Holistic", ", frame by frame"


def called(detector: str) -> str:
    """``resnet18:512`` → ``resnet18 at 512 px``; ``+hands`` behind it is a second look at the hands."""
    backbone, size = detector.removesuffix(TWICE).split(":")
    return f"{backbone} at {size} px" + " and hands again" * detector.endswith(TWICE)


def make_config(detector: str) -> Any:
    from signlang_hf.models.detector import SignDetectorConfig

    backbone, size = detector.removesuffix(TWICE).split(":")
    return SignDetectorConfig(backbone=backbone, image_size=int(size), deconv_width=WIDTHS.get(backbone, 256))


def trained_folder(detector: str, folder: str | None) -> Path:
    """The folder of a trained detector with one of hands, checked to be of that backbone and size; None: the packaged one.

    Raises:
        ValueError: it is another one, or has no detector of hands.
    """
    from signlang_hf import pretrained
    from signlang_hf.models.detector import SignDetectorConfig
    from signlang_hf.models.detector.processing_hands import FOLDER

    place = Path(pretrained.path(pretrained.DETECTOR) if folder is None else folder)
    wanted, found = make_config(detector), SignDetectorConfig.from_pretrained(place)
    if (found.backbone, found.image_size) != (wanted.backbone, wanted.image_size):
        raise ValueError(
            f"{detector} is measured with trained weights, but {place} is {found.backbone} at {found.image_size} px; name another with "
            "--trained."
        )
    if not (place / FOLDER / "config.json").is_file():
        raise ValueError(f"{place} has no detector of hands; name another with --trained.")
    return place


# ------------------------------------------------------------------------------------------------------------------- speed


def contenders(detectors: list[str], folder: Path, trained: str | None = None) -> dict[str, Callable[[Any], None]]:
    """Name → finds landmarks in a :class:`~signlang_hf.video.Video`. Models of random weights are written to ``folder``."""
    import torch

    from signlang_hf.models.detector import SignDetectorForKeypointDetection, SignDetectorProcessor
    from signlang_hf.pose import HeatmapEstimator, MediaPipeEstimator, PoseEstimator

    def by_frame(estimator: PoseEstimator) -> Callable[[Any], None]:
        def run(video: Any) -> None:
            estimator.reset()
            for frame, seconds in zip(video.frames, video.timestamps.tolist()):
                estimator.detect(frame, seconds)

        return run

    found: dict[str, Callable[[Any], None]] = {HOLISTIC: by_frame(MediaPipeEstimator("solutions"))}
    for detector in detectors:
        if detector.endswith(TWICE):
            estimator = HeatmapEstimator(trained_folder(detector, trained), device="cpu")
        else:
            torch.manual_seed(0)
            config = make_config(detector)
            place = folder / detector.replace(":", "-")
            SignDetectorForKeypointDetection(config).save_pretrained(place)
            SignDetectorProcessor.for_model(config).save_pretrained(place)
            estimator = HeatmapEstimator(place, device="cpu", confidence=0.0, track=False)
        found[called(detector)] = estimator.estimate
        found[called(detector) + LIVE] = by_frame(estimator)
    return found


def serve(given: dict[str, Any]) -> None:
    """The process of one number of threads: reads names, answers with milliseconds a frame."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints must not get between the answers
    os.sched_setaffinity(0, given["cores"])  # before anything starts threads of its own
    import torch

    from signlang_hf.video import Video, read_video

    torch.set_num_threads(len(given["cores"]))
    video = read_video(given["clip"])
    video = Video(video.frames[: given["frames"]], video.timestamps[: given["frames"]], video.fps)
    with tempfile.TemporaryDirectory(prefix="signlang-speed-") as folder:
        actions = contenders(given["detectors"], Path(folder), given["trained"])
        known = {"names": list(actions), "frames": len(video), "size": video.size}
        print(json.dumps(known), file=answers, flush=True)
        for line in sys.stdin:
            start = time.perf_counter()
            actions[json.loads(line)](video)
            print(1e3 * (time.perf_counter() - start) / len(video), file=answers, flush=True)


@contextmanager
def server(given: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": str(len(given["cores"]))
    }  # fmt: skip
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, __file__, "--run", json.dumps(given)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
        )  # fmt: skip
        try:
            yield process
        except EOFError:
            process.wait()
            errors.seek(0)
            raise RuntimeError(
                f"A process failed: {(errors.read().strip().splitlines() or ['no output'])[-1]}"
            ) from None
        finally:
            process.kill()
            process.communicate()


def ask(process: subprocess.Popen[str], question: str | None = None) -> Any:
    """The answer to a question; without one, the process's first line."""
    assert process.stdin is not None and process.stdout is not None
    try:
        if question is not None:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
    except BrokenPipeError:
        raise EOFError from None
    if not (answer := process.stdout.readline()):
        raise EOFError
    return json.loads(answer)


def frame_times(options: argparse.Namespace) -> tuple[dict[tuple[str, int], np.ndarray], str]:
    """(contender, threads) → milliseconds a frame, (rounds,); and what the clip is. The first round is not counted."""
    cores = sorted(os.sched_getaffinity(0))
    shared = {
        "clip": str(options.clip), "frames": options.frames, "detectors": options.detectors, "trained": options.trained
    }  # fmt: skip
    found: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        servers = {
            threads: stack.enter_context(server({**shared, "cores": cores[:threads]})) for threads in options.threads
        }
        known, *_ = [ask(process) for process in servers.values()]
        for _ in range(options.rounds + 1):
            for name in known["names"]:
                for threads, process in servers.items():
                    found.setdefault((name, threads), []).append(ask(process, name))
    clip = f"{known['frames']} frames of {' × '.join(map(str, known['size']))} px"
    return {key: np.array(values[1:]) for key, values in found.items()}, clip


def speed_rows(found: dict[tuple[str, int], np.ndarray], clip: str, command: str) -> list[ResultRow]:
    """ms a frame and frames a second of each, against MediaPipe with as many threads; MediaPipe against the fastest detector."""
    medians = {key: float(np.median(values)) for key, values in found.items()}
    rows = []
    for (name, threads), value in medians.items():
        others = {key: ms for key, ms in medians.items() if key[1] == threads and key[0] != HOLISTIC}
        other = min(others, key=others.__getitem__) if name == HOLISTIC else (HOLISTIC, threads)
        ms = found[name, threads]
        shared = {
            "model": name, "split": f"{clip}, {threads} thread{'s' * (threads > 1)}", "n": len(ms), "command": command,
            "against": f"{other[0]} in the same rounds", "ratio": medians[other] / value,
        }  # fmt: skip
        rows.append(ResultRow(metric="frame_ms", value=value, spread=float(ms.std()), **shared))
        rate = 1e3 / ms
        rows.append(ResultRow(metric="frames_per_second", value=1e3 / value, spread=float(rate.std()), **shared))
    return rows


# ---------------------------------------------------------------------------------------------------------------- training


def train(given: dict[str, Any]) -> dict[str, Any]:
    """Seconds of each step after the first, (steps,), and the highest memory in MB."""
    import torch

    from signlang_hf.models.detector import SignDetectorForKeypointDetection

    if given["threads"] is not None:
        torch.set_num_threads(given["threads"])
    torch.manual_seed(0)
    device, config = torch.device(given["device"]), make_config(given["detector"])
    model = SignDetectorForKeypointDetection(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters())
    pictures = torch.rand(given["batch"], 3, config.image_size, config.image_size, device=device)
    labels = torch.rand(given["batch"], config.num_keypoints, 3, device=device) * config.image_size
    labels[..., 2] = 1
    seconds = []
    for _ in range(given["steps"] + 1):
        start = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=given["bf16"]):
            loss = model(pixel_values=pictures, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    if device.type == "cuda":
        peak, name = torch.cuda.max_memory_allocated() / 1e6, torch.cuda.get_device_name()
    else:
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
        peak, name = int(lines["VmHWM"].split()[0]) * 1024 / 1e6, f"CPU, {torch.get_num_threads()} threads"
    return {"seconds": seconds[1:], "peak_mb": peak, "device": name}


def training_runs(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Detector → what :func:`train` measures in a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    found = {}
    for detector in options.training_detectors:
        given = {
            "detector": detector, "batch": options.batch_size, "steps": options.steps, "device": options.device,
            "bf16": options.bf16, "threads": options.training_threads,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, __file__, "--run", json.dumps(given)], capture_output=True, text=True, check=False, env=environment
        )  # fmt: skip
        if done.returncode:
            reason = (
                done.stderr.strip().splitlines() or [f"exit code {done.returncode}, perhaps of too little memory"]
            )[-1]
            raise RuntimeError(f"Training {called(detector)} failed: {reason}")
        found[detector] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def training_rows(found: dict[str, dict[str, Any]], options: argparse.Namespace, command: str) -> list[ResultRow]:
    """Pictures a second, against the first detector, and the highest memory."""
    rates = {detector: options.batch_size / np.array(run["seconds"]) for detector, run in found.items()}
    first = next(iter(rates))
    rows = []
    for detector, run in found.items():
        precision = "bfloat16" if options.bf16 else "float32"
        shared = {
            "model": called(detector), "n": options.steps, "command": command,
            "split": f"training, batch {options.batch_size}, {precision}, {run['device']}",
        }  # fmt: skip
        rate = rates[detector]
        value = float(np.median(rate))
        rows.append(
            ResultRow(
                metric="training_images_per_second",
                value=value,
                spread=float(rate.std()),
                against=f"{called(first)} in the same run",
                ratio=value / float(np.median(rates[first])),
                **shared,
            )
        )
        rows.append(ResultRow(metric="training_peak_mb", value=run["peak_mb"], **shared))
    return rows


# -------------------------------------------------------------------------------------------------------------------- both


def main(arguments: list[str] | None = None) -> list[ResultRow]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=("speed", "training"), default=["speed", "training"])
    parser.add_argument("--clip", type=Path, help="video for --what speed")
    parser.add_argument("--frames", type=int, default=32, help="frames of it, from the start")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--detectors",
        nargs="+",
        default=list(DETECTORS),
        help=f"backbone:pixels, with {TWICE} behind it for a second look at the hands",
    )
    parser.add_argument(
        "--trained", help=f"folder of the trained detector that {TWICE} is measured with; default: the packaged one"
    )
    parser.add_argument("--training_detectors", nargs="+", default=["resnet18:512", "mobilenet_v3_small:512"])
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--training_threads", type=int, help="default: what torch takes")
    parser.add_argument("--device", default="cpu", help="of --what training: cpu or cuda")
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True, help="write the result rows")
    parser.add_argument("--run", help=argparse.SUPPRESS)  # what the processes of their own are started with
    options = parser.parse_args(arguments)
    if options.run:
        given = json.loads(options.run)
        serve(given) if "clip" in given else print(json.dumps(train(given)))
        return []
    if not (STATUS.is_file() and hasattr(os, "sched_setaffinity")):
        parser.error("this measures with /proc and with cores of a process, which Linux alone has.")
    if "speed" in options.what and (options.clip is None or not options.clip.is_file()):
        parser.error("--what speed needs a --clip that is there.")
    if min(options.frames, options.rounds, options.batch_size, options.steps, *options.threads) < 1:
        parser.error("--frames, --rounds, --batch_size, --steps and --threads must be at least 1.")
    if max(options.threads) > len(os.sched_getaffinity(0)):
        parser.error(f"there are {len(os.sched_getaffinity(0))} processor cores for {max(options.threads)} --threads.")
    for detector in (*options.detectors, *options.training_detectors):
        if not detector.removesuffix(TWICE).partition(":")[2].isdecimal():
            parser.error(f"{detector} is not of the form backbone:pixels, such as resnet18:256.")

    words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "recipes/benchmark_detector.py", *words])
    rows: list[ResultRow] = []
    if "speed" in options.what:
        rows += speed_rows(*frame_times(options), command)
    if "training" in options.what:
        rows += training_rows(training_runs(options), options, command)
    for row in rows:
        against = "" if row.ratio is None else f"  {row.ratio:5.2f} × {row.against}"
        print(f"{row.model:<42} {row.split:<44} {row.metric:<26} {row.value:10.2f}{against}")
    if options.save:
        print(f"wrote {save_results('detector-speed', rows, folder=options.results, replace=False)}")
    return rows


if __name__ == "__main__":
    try:
        main()
    except (ValueError, FileNotFoundError, ImportError, RuntimeError) as error:
        sys.exit(f"benchmark_detector: {error}")
