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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..video import VIDEO_SUFFIXES
from .estimator import estimator_factory
from .manifest import Manifest
from .worker import Worker, WorkerDied, blank_row, extract_video, load_estimator

FORMATS: tuple[str, ...] = ("npz", "pose")


@dataclass(frozen=True)
class ExtractionReport:
    """How an extraction went.

    Args:
        out: folder with the landmark files.
        rows: the manifest's row for each video of the source, sorted by ``source``.
        extracted: videos that were worked on in this run, failures included.
        skipped: videos that an earlier run had done.
        seconds: duration of this run.
    """

    out: Path
    rows: list[dict[str, Any]]
    extracted: int
    skipped: int
    seconds: float

    @property
    def manifest(self) -> Path:
        """The manifest's path."""
        return self.out / "manifest.jsonl"

    @property
    def failures(self) -> list[tuple[str, str]]:
        """(video, what was wrong) of each video without landmarks."""
        return [(row["source"], row["error"]) for row in self.rows if row["error"] is not None]

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """(video, what to know) of videos that are cut off or show nobody."""
        return [(row["source"], row["warning"]) for row in self.rows if row["warning"]]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "out": str(self.out),
            "manifest": str(self.manifest),
            "extracted": self.extracted,
            "skipped": self.skipped,
            "failed": len(self.failures),
            "seconds": round(self.seconds, 3),
            "videos": self.rows,
        }

    def __str__(self) -> str:
        frames = sum(row["frames"] for row in self.rows)
        lines = [
            f"{len(self.rows)} videos, {frames} frames: {self.extracted} worked on in {self.seconds:.1f} s, "
            f"{self.skipped} already done, {len(self.failures)} failed. Landmarks in {self.out}"
        ]
        lines += [f"  warning  {source}: {reason}" for source, reason in self.warnings]
        lines += [f"  failed   {source}: {reason}" for source, reason in self.failures]
        return "\n".join(lines)


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
    started = time.perf_counter()
    if format not in FORMATS:
        raise ValueError(f"Unknown landmark format {format!r}; choose one of {', '.join(FORMATS)}.")
    if num_workers != int(num_workers) or num_workers < 0:
        raise ValueError(f"num_workers is {num_workers}; it must be a whole number from 0.")
    if fps is not None and not 0 < fps < float("inf"):
        raise ValueError(f"fps is {fps}; it must be a positive number.")
    factory = estimator_factory(estimator)
    videos = find_videos(source)
    out = Path(out)
    options = dict(estimator_options or {})
    settings = {"format": format, "fps": fps, "estimator": factory, "estimator_options": options}
    with _sole_writer(out):
        manifest = Manifest(out, settings, resume=resume)
        todo = [name for name, path in videos.items() if not manifest.done(name, path)]
        targets = manifest.targets(todo, f".{format}")
        tasks = [
            {"name": name, "video": str(videos[name]), "target": str(out / targets[name]), "fps": fps} for name in todo
        ]
        results = _answers(tasks, num_workers, factory, options)
        for name, answer in _with_progress(results, len(videos), len(todo), progress):
            ok = answer["error"] is None
            if not ok:
                (out / targets[name]).unlink(missing_ok=True)  # landmarks of an earlier version of the video
            manifest.append({"file_name": targets[name] if ok else None, "source": name, **answer})
        manifest.compact()
        rows = [manifest.rows[name] for name in sorted(videos)]
    return ExtractionReport(out, rows, len(todo), len(videos) - len(todo), time.perf_counter() - started)


def find_videos(source: str | os.PathLike[str]) -> dict[str, Path]:
    """Videos in a folder and its sub-folders (or the one file given): relative name with forward slashes → path, sorted.

    Raises:
        FileNotFoundError: no such folder. ValueError: no video in it.
    """
    root = Path(source)
    if root.is_file():
        return {root.name: root}
    if not root.is_dir():
        raise FileNotFoundError(f"Folder of videos not found: {root}")
    found = {
        path.relative_to(root).as_posix(): path
        for path in root.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    }
    if not found:
        raise ValueError(f"No videos in {root}; looked for {', '.join(VIDEO_SUFFIXES)}.")
    return dict(sorted(found.items()))


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


def _with_progress(
    results: Iterator[tuple[str, dict[str, Any]]], total: int, todo: int, progress: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    from tqdm import tqdm

    failed = frames = 0
    with tqdm(total=total, initial=total - todo, unit="video", desc="extract", disable=not progress) as bar:
        for name, answer in results:
            yield name, answer
            frames += answer["frames"]
            failed += answer["error"] is not None
            bar.set_postfix(frames=frames, failed=failed, refresh=False)
            bar.update()


@contextmanager
def _sole_writer(out: Path) -> Iterator[None]:
    """One extraction at a time in a folder; the lock goes with its process, however that ends."""
    from filelock import FileLock, Timeout

    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".extract.lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"Another extraction is at work in {out}; wait for it or use another folder.") from None
