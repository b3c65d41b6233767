"""One worker of a batch extraction: a process with one estimator that takes videos by line and answers by line.

A fresh interpreter rather than :mod:`multiprocessing`: a user's script needs no ``__main__`` guard, nothing is
pickled, and a crash in a decoder or in MediaPipe takes down this process only. The worker ends when its input does, so none
outlives its parent.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..video import VideoWarning
from .estimator import PoseEstimator, estimate_video, estimator_factory
from .manifest import content_hash


class WorkerDied(RuntimeError):
    """The worker process ended in the middle of a video."""


def make_estimator(name: str, options: dict[str, Any]) -> PoseEstimator:
    """The estimator of a name, or behind ``module:callable``, made with the options."""
    module, _, attribute = estimator_factory(name).partition(":")
    return getattr(importlib.import_module(module), attribute)(**options)


def load_estimator(name: str, options: dict[str, Any]) -> PoseEstimator:
    """:func:`make_estimator`, and with its model loaded."""
    estimator = make_estimator(name, options)
    estimator.reset()
    return estimator


def blank_row(**known: Any) -> dict[str, Any]:
    """A manifest row's measurements before anything is measured, in their order, with what is ``known``.

    ``pose``, ``left_hand``, ``right_hand``, ``any_hand``: share of frames in which the part was found. ``bytes``,
    ``mtime_ns``, ``sha256``: the video as it was extracted.
    """
    row: dict[str, Any] = {"frames": 0, "fps": None, "duration": None}
    row |= dict.fromkeys(("pose", "left_hand", "right_hand", "any_hand", "seconds"), 0.0)
    row |= dict.fromkeys(("error", "warning", "estimator", "bytes", "mtime_ns", "sha256"))
    return row | known


def extract_video(video: Path, target: Path, estimator: PoseEstimator, fps: float | None) -> dict[str, Any]:
    """Extract one video to ``target``; returns what the manifest says about it. Never raises for the video's own faults."""
    started = time.perf_counter()
    row = blank_row(estimator=estimator.description)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VideoWarning)
        try:
            state = video.stat()
            row |= {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": content_hash(video)}
            sequence = estimate_video(video, estimator, fps=fps)
            sequence.save(target)
        except Exception as error:  # whatever a damaged file does to a decoder is this video's error, not the job's
            row["error"] = " ".join(str(error).split()) or type(error).__name__
        else:
            seen = {part: sequence.part_seen(part) for part in sequence.spec.parts}
            hands = [seen[part] for part in ("left_hand", "right_hand", "hand1", "hand2") if part in seen]
            if hands:
                seen["any_hand"] = np.logical_or.reduce(hands)
            row |= {part: round(float(found.mean()), 4) for part, found in seen.items() if part in row}
            row |= {"frames": len(sequence), "fps": sequence.fps, "duration": round(sequence.duration, 4)}
    ours = [str(warning.message) for warning in caught if issubclass(warning.category, VideoWarning)]
    row["warning"] = " ".join(ours) or None
    row["seconds"] = round(time.perf_counter() - started, 3)
    return row


def setup_error(kinds: list[str], message: str) -> Exception:
    """What another process could not set its estimator up for, as an exception here; ``kinds``: names of its class and its parents."""
    known = {kind.__name__: kind for kind in (ImportError, FileNotFoundError, ConnectionError, ValueError)}
    return next((known[kind] for kind in kinds if kind in known), RuntimeError)(message)


class Worker:
    """The parent's end of a worker process, which is started when it is first needed and again after it died.

    Args:
        estimator: ``module:callable`` that makes the pose estimator.
        options: its keyword arguments.
        share: how many such processes share the machine; an estimator that computes in threads of its own gets so much fewer.
    """

    program = "from signlang_hf.pose.worker import main; main()"
    """What the process runs: it reads the set-up, then one task a line, and answers each with a line."""

    def __init__(self, estimator: str, options: dict[str, Any], share: int = 1) -> None:
        self._setup: dict[str, Any] = {"estimator": estimator, "options": options}
        self._threads = max(1, (os.cpu_count() or 1) // share)
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self._closed = False

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """The answer to one task.

        Raises:
            WorkerDied: the process ended before it answered.
            ImportError, FileNotFoundError, ValueError, RuntimeError: the estimator cannot be set up.
        """
        if self._closed:
            raise WorkerDied("the worker was closed")
        if self._process is None:
            self._start()
        try:
            return self._ask(task)
        except (BrokenPipeError, EOFError):
            raise WorkerDied(self._obituary()) from None

    def close(self) -> None:
        """End the process at once."""
        self._closed = True
        process = self._process  # run() may drop it meanwhile, in its own thread
        if process is not None:
            process.kill()
            process.wait()

    def _start(self) -> None:
        # The child sees the modules that the parent sees, however the parent came by them.
        environment = {"OMP_NUM_THREADS": str(self._threads), **os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        if self._closed:  # while the process started
            self._process.kill()
        try:
            answer = self._ask(self._setup)
        except (BrokenPipeError, EOFError):
            raise RuntimeError(f"A worker could not start: {self._obituary()}") from None
        if answer["error"] is not None:
            self._process.wait()
            raise setup_error(answer["kinds"], answer["error"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer.endswith("\n"):
            raise EOFError
        return dict(json.loads(answer))

    def _obituary(self) -> str:
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        code = process.wait()
        if code < 0:
            cause = f"signal {-code} ({signal.Signals(-code).name})"
        else:
            cause = f"exit code {code}"
        if self._closed:
            return cause
        self._errors.seek(0)
        lines = [line for line in self._errors.read()[-2000:].decode(errors="replace").splitlines() if line.strip()]
        return f"the worker process died with {cause}" + (f": {lines[-1][:200]}" if lines and code > 0 else "")


def main() -> None:
    """The worker's process: extracts a video for each task."""
    answer_tasks(_extractor)


def answer_tasks(make: Callable[[dict[str, Any]], Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """Read the set-up, then one task per line; answer each with one line.

    Args:
        make: what answers tasks, from the set-up. If that fails, the first answer says so, and the process ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints must not get between the answers
    setup = json.loads(sys.stdin.readline() or "null")
    if setup is None:
        return
    try:
        answer = make(setup)
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        _say(answers, {"error": str(error) or type(error).__name__, "kinds": kinds})
        return
    _say(answers, {"error": None})
    for line in sys.stdin:
        _say(answers, answer(json.loads(line)))


def _extractor(setup: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    estimator = load_estimator(setup["estimator"], setup["options"])
    return lambda task: extract_video(Path(task["video"]), Path(task["target"]), estimator, task["fps"])


def _say(stream: Any, answer: dict[str, Any]) -> None:
    try:
        stream.write(json.dumps(answer) + "\n")
        stream.flush()
    except BrokenPipeError:  # the parent is gone; who comes after it does this task again
        os._exit(0)
