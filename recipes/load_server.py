"""A server that is put under load: ``signlang serve`` on a free port of this machine, its processes, and their memory over time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

_START = 180.0  # seconds to load models and start workers
_SAMPLE = 0.5  # seconds between two looks at the memory
_SETTLED = 0.25  # of a phase: what it fills at first (buffers, pools) is no leak


class LoadedServer:
    """Runs for the time of a ``with`` block.

    Args:
        model: of the server; there is none for sentences.
        workers: processes that find landmarks.
        estimator: what they run.
        waiting: clips that may wait.
    """

    def __init__(self, model: str, workers: int, estimator: str, waiting: int) -> None:
        self.url = self.socket_url = ""
        self.marks: dict[str, float] = {}
        self._samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._command = [
            sys.executable, "-m", "signlang_hf.cli", "serve", "--model", model, "--sentence-model", "", "--port", "0",
            "--workers", str(workers), "--estimator", estimator, "--rate-limit", "", "--log-level", "warning",
        ]  # fmt: skip
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("SIGNLANG_") or name in _ELSEWHERE
        }
        self._environment = kept | {
            "SIGNLANG_WEBSOCKET_RATE_LIMIT": "",
            "SIGNLANG_MAX_WEBSOCKETS": "1000",
            "SIGNLANG_MAX_WEBSOCKETS_PER_CLIENT": "1000",
            "SIGNLANG_QUEUE_SIZE": str(2 * waiting),
            "SIGNLANG_REQUEST_TIMEOUT": "300",
            "PYTHONPATH": os.pathsep.join([*sys.path[1:]]),
        }

    def __enter__(self) -> LoadedServer:
        self._folder = tempfile.TemporaryDirectory(prefix="signlang-load-")
        log = Path(self._folder.name) / "server.log"
        with log.open("w") as stream:
            # In a folder of its own, so that no .env of the working folder has a say.
            self._process = subprocess.Popen(
                self._command, env=self._environment, cwd=self._folder.name, stdout=stream, stderr=subprocess.STDOUT
            )
        try:
            self._wait(log)
        except BaseException:
            self._end()
            raise
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._end()

    def mark(self, name: str) -> None:
        """A phase ends."""
        self.marks[name] = self._samples[-1][0] if self._samples else 0.0

    def workers(self) -> list[psutil.Process]:
        """Processes that find landmarks."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        return [child for child in children if "estimator_process" in " ".join(_cmdline(child))]

    def kill_worker(self) -> int:
        """Kill one of them; its process id."""
        worker = self.workers()[0]
        worker.kill()
        return worker.pid

    def memory(self) -> dict[str, np.ndarray]:
        """``seconds`` and ``mb`` (RSS of all processes); ``idle`` before the streams, ``steady`` while they ran, and the ``slope`` then in MB a
        minute, both without the first quarter."""
        seconds, megabytes = np.array(self._samples).T
        begin, end = self.marks["start"], self.marks["streams"]
        during = (seconds >= begin + _SETTLED * (end - begin)) & (seconds <= end)
        slope = 60 * np.polyfit(seconds[during], megabytes[during], 1)[0] if during.sum() > 2 else np.float64(0)
        idle = megabytes[seconds <= begin + _SAMPLE]
        return {
            "seconds": seconds,
            "mb": megabytes,
            "idle": np.mean(idle),
            "steady": np.mean(megabytes[during]),
            "slope": slope,
        }

    def _wait(self, log: Path) -> None:
        from urllib.error import URLError
        from urllib.request import urlopen

        limit = time.monotonic() + _START
        while time.monotonic() < limit:
            said = log.read_text(errors="replace")
            if self._process.poll() is not None:
                raise RuntimeError(f"The server does not start: {said[-600:].strip()}")
            if found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", said):
                self.url = found[1]
                self.socket_url = self.url.replace("http", "ws", 1) + "/ws"
                try:
                    with urlopen(f"{self.url}/ready", timeout=5):  # loopback
                        return
                except (URLError, OSError):
                    pass
            time.sleep(0.2)
        raise RuntimeError(
            f"The server is not ready after {_START:g} s: {log.read_text(errors='replace')[-600:].strip()}"
        )

    def _watch(self) -> None:
        begun = time.monotonic()
        while not self._over.is_set():
            self._samples.append((time.monotonic() - begun, self._rss()))
            self._over.wait(_SAMPLE)

    def _rss(self) -> float:
        try:
            server = psutil.Process(self._process.pid)
            return sum(_memory(one) for one in [server, *server.children(recursive=True)]) / 1e6
        except psutil.NoSuchProcess:
            return 0.0

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


_ELSEWHERE = ("SIGNLANG_POSE_LANDMARKER", "SIGNLANG_HAND_LANDMARKER", "SIGNLANG_MEDIAPIPE_TASKS")


def _memory(process: psutil.Process) -> float:
    try:
        return process.memory_info().rss
    except psutil.Error:  # it has just ended
        return 0.0


def _cmdline(process: psutil.Process) -> list[Any]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
