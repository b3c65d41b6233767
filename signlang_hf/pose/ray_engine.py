"""Videos → landmarks on Ray Data: one stage, decode and estimate, on as many machines as a cluster has.

Design decisions:

* An actor keeps a :class:`~signlang_hf.pose.worker.Worker`, the same process with an estimator that runs where there is no Ray, so a
  clip's landmarks and the words for what is wrong with it do not depend on the engine. A crash of a decoder or of MediaPipe ends that
  process, not the actor: it costs its video and no neighbour.
* An actor may be lost all the same: a machine goes, the memory runs out. Ray starts another and does its block again, without end if
  need be. So a *ledger*, an actor beside them, counts how often a video was on hand when its actor was lost, and after
  :data:`ATTEMPTS` that video is given up in one sentence. Ray's own limit (``max_task_retries``) drops whole blocks, videos that
  merely waited included.
* Every video is a block of output of its own, whatever its size. Ray goes by number when it does a block again and leaves out the
  pieces that it has; pieces cut by size would be cut elsewhere the second time, and rows between the cuts be lost.
* Back-pressure: an actor has one block in work and one waiting, looks at one video at a time, and stops while two of its rows were not
  taken over; Ray Data takes none over while :data:`WAITING_MB` a worker wait for the writer.
* Rows travel as Arrow, the measures with them as JSON.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..landmarks import load_landmarks
from ..landmarks.rows import to_row
from .runtime import quiet
from .worker import Worker, WorkerDied, blank_row, setup_error

if TYPE_CHECKING:
    import pyarrow as pa

ATTEMPTS = 3
"""A video that was on hand this often when an actor was lost is given up."""
WAITING_MB = 64
"""Rows, in megabytes a worker, that may wait in the cluster's memory for the writer."""
_CONNECT_S, _JOIN_S = 10, 60
_MOST_VIDEOS_A_BLOCK, _BLOCKS_A_WORKER = 64, 32


def ray_answers(
    tasks: list[dict[str, str]],
    *,
    estimator: str,
    options: dict[str, Any],
    fps: float | None,
    num_workers: int,
    gpus_per_worker: float = 0.0,
) -> Iterator[tuple[str, dict[str, Any], pa.Table | None]]:
    """(video, what the manifest says about it, its row without ``id``) as they come; no row where something was wrong.

    Args:
        tasks: ``name``, and ``video``, the path as all machines see it.
        estimator, options: ``module:callable`` that makes the estimator, and its keyword arguments.
        fps: look at this many frames a second only.
        num_workers: actors, a CPU each; what the cluster has not yet is waited for while the others work.
        gpus_per_worker: share of a GPU that each has.

    Raises:
        ImportError, FileNotFoundError, ConnectionError, ValueError, RuntimeError: the estimator cannot be set up.
    """
    import ray
    from ray.data import ActorPoolStrategy, ExecutionResources

    if not tasks:
        return
    num_workers = min(num_workers, len(tasks))
    ledger = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Ledger).remote()
    videos = ray.data.from_items(
        tasks, override_num_blocks=math.ceil(len(tasks) / _block_size(len(tasks), num_workers))
    )
    context = videos.context
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # byte: no row waits for a second one
    context.execution_no_progress_timeout_s = -1  # one long video is no reason to give up
    context.execution_options.resource_limits = ExecutionResources(object_store_memory=(num_workers * WAITING_MB) << 20)
    answers = videos.map_batches(
        Extractor,
        fn_constructor_args=(estimator, options, fps, ledger, sys.path),
        batch_size=1,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=num_workers, max_tasks_in_flight_per_actor=2),
        num_cpus=1,
        num_gpus=gpus_per_worker or None,
    )
    open_videos = {task["name"] for task in tasks}
    for table in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
        for index, text in enumerate(table["answer"].to_pylist()):
            name, answer = table["name"][index].as_py(), json.loads(text)
            if "kinds" in answer:
                raise setup_error(answer["kinds"], answer["error"])
            if name in open_videos:
                open_videos.remove(name)
                row = table.slice(index, 1).drop_columns(["name", "answer"]) if answer["error"] is None else None
                yield name, answer, row


def _block_size(videos: int, num_workers: int) -> int:
    """Videos that an actor is handed at a time: few enough that none waits for another at the end, and that little is done twice."""
    return max(1, min(_MOST_VIDEOS_A_BLOCK, videos // (num_workers * _BLOCKS_A_WORKER)))


class Ledger:
    """Counts, for each video, the actors that were lost while they had it on hand."""

    def __init__(self) -> None:
        self._on_hand: Counter[str] = Counter()

    def begin(self, name: str, before: str | None) -> int:
        """An actor takes the video up, having put ``before`` away; returns how many were lost with it."""
        if before is not None:
            self._on_hand.pop(before, None)
        lost = self._on_hand[name]
        self._on_hand[name] += 1
        return lost


class Extractor:
    """What an actor does: keeps a worker process and turns a video's name into its answer and row."""

    def __init__(
        self, estimator: str, options: dict[str, Any], fps: float | None, ledger: Any, search: list[str]
    ) -> None:
        sys.path += [folder for folder in search if folder not in sys.path]  # an estimator of the user's own
        self._worker, self._fps, self._ledger = Worker(estimator, options), fps, ledger
        self._before: str | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The row of the one video in ``batch``."""
        import ray

        task = {name: column[0] for name, column in batch.to_pydict().items()}
        lost = ray.get(self._ledger.begin.remote(task["name"], self._before))
        self._before = task["name"]
        if lost >= ATTEMPTS:
            reason = f"given up: {ATTEMPTS} times the machine or the process at work on it was lost"
            return _table(task["name"], blank_row(error=reason), None)
        return _table(task["name"], *self._extract(task))

    def _extract(self, task: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="signlang-") as folder:
            target = Path(folder) / "clip.npz"
            try:
                answer = self._worker.run({"video": task["video"], "target": str(target), "fps": self._fps})
            except WorkerDied as death:
                return blank_row(error=str(death), seconds=round(time.perf_counter() - started, 3)), None
            except Exception as error:  # the estimator cannot be set up: the whole job's error
                kinds = [kind.__name__ for kind in type(error).__mro__]
                return {"kinds": kinds, "error": str(error) or type(error).__name__}, None
            row = None if answer["error"] is not None else to_row(load_landmarks(target), id=task["name"])
        return answer, row


def _table(name: str, answer: dict[str, Any], row: dict[str, Any] | None) -> pa.Table:
    """One line with the same columns whether or not there is a row, so that Ray Data can join them."""
    import pyarrow as pa

    number, text = pa.float32(), pa.string()
    schema = pa.schema(
        {
            "name": text, "answer": text, "landmarks": pa.list_(pa.list_(pa.list_(number))),
            "visibility": pa.list_(pa.list_(number)), "timestamps": pa.list_(pa.float64()), "fps": pa.float64(),
            "size": pa.list_(pa.int32()), "layout": text, "units": text, "signer": text, "view": text,
        }
    )  # fmt: skip
    values = {**(row or {}), "name": name, "answer": json.dumps(answer)}
    for column in ("landmarks", "visibility", "timestamps"):
        if row is not None:
            values[column] = row[column].tolist()
    return pa.Table.from_pylist([values], schema=schema)


@contextmanager
def ray_cluster(address: str | None, num_workers: int) -> Iterator[int]:
    """A Ray to work on, for the time of the block; yields the number of workers to start on it.

    Args:
        address: ``auto`` (the cluster that this machine is part of) or ``host:port`` of its head node. None
            starts a Ray on this machine with ``num_workers`` CPUs and ends it afterwards. A Ray that this process has joined is
            used as it is.
        num_workers: workers wanted; 0 for as many as there are CPUs.

    Raises:
        ImportError: Ray is not installed.
        ValueError: not an address.
        ConnectionError: nobody answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(f'--engine ray needs Ray ({error.name} is missing): pip install "signlang-hf[ray]"') from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    joined = ray.is_initialized()
    if not joined:
        silent: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if address is not None:
            _require_answer(address)
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        with quiet():
            if address is None:
                ray.init("local", num_cpus=num_workers or os.cpu_count(), include_dashboard=False, **silent)
            else:
                ray.init(address, **silent)
    try:
        with redirect_stdout(sys.stderr):  # where Ray tells of lost actors; the other one is the caller's
            yield num_workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if not joined:
            ray.shutdown()


_JOIN = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False, logging_level='CRITICAL')"


def _require_answer(address: str) -> None:
    """Find out in bounded time whether there is a Ray at the address; joining one that is not there can take for ever, and the process."""
    if address.startswith("ray://"):  # Ray Client, over which Ray Data fails
        raise ValueError(
            f"address is {address!r}, but Ray Data has to run in the cluster: start the command on one of its machines, with auto "
            "or host:port."
        )
    host, colon, port = address.rpartition(":")
    if address != "auto" and not (colon and port.isdigit()):
        raise ValueError(f"address is {address!r}; it must be auto or host:port.")
    try:
        if address != "auto":
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        command = [sys.executable, "-c", _JOIN, address]
        tried = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_JOIN_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = f"nothing in {_JOIN_S} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise _no_answer(address, reason) from None
    if "Unauthenticated" in tried.stderr:
        raise _no_answer(
            address, "it asks for a token that this machine has not shown, see RAY_AUTH_MODE in Ray's documentation"
        )
    if tried.returncode:
        raise _no_answer(address, (tried.stderr.strip().splitlines() or ["it was refused"])[-1][:200])


def _no_answer(address: str, reason: str) -> ConnectionError:
    hint = "start one with ray start --head" if address == "auto" else "check the address, and that its head node runs"
    return ConnectionError(f"No Ray cluster answers at {address} ({reason.rstrip('.')}); {hint}.")
