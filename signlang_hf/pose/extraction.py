"""Batch extraction: a folder of videos → a landmark file for each, and a manifest that says how it went.

Design decisions:

* Nothing lost, nothing twice: landmark files appear whole or not at all, a manifest row is written after its file, and a run
  does only what the manifest does not vouch for. It may be killed at any moment and started again.
* One bad video costs that video. What cannot be read becomes its row's ``error``; a worker process that dies does, too, and is
  replaced.
* A folder holds one kind of landmarks: other settings in the same folder are an error, not a mix.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .job import ExtractionReport, open_job
from .worker import Worker, WorkerDied, blank_row, extract_video, load_estimator

FORMATS: tuple[str, ...] = ("npz", "pose")


def extract_folder(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    num_workers: int = 1,
    format: str = "npz",
    fps: float | None = None,
    resume: bool = True,
    estimator_options: dict[str, Any] | None = None,
    estimator: str = "mediapipe",
    progress: bool = True,
) -> ExtractionReport:
    """Extract the landmarks of all videos in a folder and its sub-folders.

    Args:
        source: folder of videos (or one video file). Known suffixes: :data:`signlang_hf.video.VIDEO_SUFFIXES`.
        out: folder for ``sub/clip.npz`` (from ``sub/clip.mp4``), ``manifest.jsonl`` and ``settings.json``.
        num_workers: worker processes, each with its own estimator. 0 works in this process, where a crash of a decoder or of
            MediaPipe ends the job.
        format: ``npz`` (everything, exact) or ``pose`` (pixels at a constant rate, for other tools).
        fps: look at this many frames a second only. Default: all.
        resume: go on where an earlier run stopped; failed videos are tried again, changed ones done again. False removes what
            the earlier manifest lists and starts afresh.
        estimator_options: keyword arguments for the estimator; must be JSON values.
        estimator: ``mediapipe``, ``heatmap`` (our own detector), or ``module:callable`` that makes a :class:`PoseEstimator`.
        progress: show a progress bar on the error stream.

    Returns:
        The report; failures are in it, not raised.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no videos in it, other settings than the folder's, another extraction at work in it, bad arguments, a model
            that cannot be used.
        ImportError: the estimator is not installed.
    """
    if format not in FORMATS:
        raise ValueError(f"Unknown landmark format {format!r}; choose one of {', '.join(FORMATS)}.")
    if num_workers != int(num_workers) or num_workers < 0:
        raise ValueError(f"num_workers is {num_workers}; it must be a whole number from 0.")
    options = dict(estimator_options or {})
    with open_job(
        source, out, format=format, fps=fps, estimator=estimator, estimator_options=options, resume=resume
    ) as job:
        out = job.out
        targets = job.manifest.targets(job.todo, f".{format}")
        tasks = [
            {"name": name, "video": str(job.videos[name]), "target": str(out / targets[name]), "fps": fps}
            for name in job.todo
        ]
        for name, answer in job.watched(_answers(tasks, num_workers, job.factory, options), progress):
            ok = answer["error"] is None
            if not ok:
                (out / targets[name]).unlink(missing_ok=True)  # landmarks of an earlier version of the video
            job.manifest.append({"file_name": targets[name] if ok else None, "source": name, **answer})
    return job.report()


def _answers(
    tasks: list[dict[str, Any]], num_workers: int, estimator: str, options: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(video, its answer) as they come."""
    if not tasks:
        return
    if num_workers == 0:
        with load_estimator(estimator, options) as here:
            for task in tasks:
                yield task["name"], extract_video(Path(task["video"]), Path(task["target"]), here, task["fps"])
        return
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    answers: queue.SimpleQueue[tuple[str, dict[str, Any]] | BaseException] = queue.SimpleQueue()
    share = min(num_workers, len(tasks))
    workers = [Worker(estimator, options, share) for _ in range(share)]
    threads = [threading.Thread(target=_serve, args=(worker, waiting, answers), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        for _ in tasks:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        for worker, thread in zip(workers, threads):
            worker.close()
            thread.join(timeout=10)


def _serve(worker: Worker, waiting: queue.SimpleQueue[Any], answers: queue.SimpleQueue[Any]) -> None:
    """One thread per worker: hands it videos until none is left. A death is the answer for the video at hand."""
    while True:
        try:
            task = waiting.get_nowait()
        except queue.Empty:
            return
        started = time.perf_counter()
        try:
            answer = worker.run(task)
        except WorkerDied as death:
            answer = blank_row(error=str(death), seconds=round(time.perf_counter() - started, 3))
        except BaseException as error:  # the estimator cannot be set up: the whole job's error
            answers.put(error)
            return
        answers.put((task["name"], answer))
