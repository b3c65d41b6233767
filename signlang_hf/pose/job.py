"""What every engine of batch extraction shares: which videos there are, what is left to do, and the report at the end.

An engine opens the job (:func:`open_job`), works on ``job.todo`` and appends to ``job.manifest``; it neither looks for videos nor
decides what is done. So a folder that one engine left half done is judged by the same rule whichever engine goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..video import VIDEO_SUFFIXES
from .estimator import estimator_factory
from .manifest import Manifest


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


@dataclass(frozen=True)
class Job:
    """One run over the videos of a folder.

    Args:
        out: folder of the extraction.
        videos: relative name → path of every video of the source, sorted.
        manifest: how each video went; the engine appends to it.
        todo: names of the videos that the manifest does not vouch for.
        factory: ``module:callable`` that makes the estimator.
        started: when the run began, by ``time.perf_counter``.
    """

    out: Path
    videos: dict[str, Path]
    manifest: Manifest
    todo: list[str]
    factory: str
    started: float

    def watched(
        self, results: Iterator[tuple[str, dict[str, Any]]], progress: bool
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """``results``, (video, its answer) as they come, with a progress bar over all videos on the error stream."""
        from tqdm import tqdm

        total, failed, frames = len(self.videos), 0, 0
        done = total - len(self.todo)
        with tqdm(total=total, initial=done, unit="video", desc="extract", disable=not progress) as bar:
            for name, answer in results:
                yield name, answer
                frames += answer["frames"]
                failed += answer["error"] is not None
                bar.set_postfix(frames=frames, failed=failed, refresh=False)
                bar.update()

    def report(self) -> ExtractionReport:
        """How it went."""
        rows = [self.manifest.rows[name] for name in sorted(self.videos)]
        skipped = len(self.videos) - len(self.todo)
        return ExtractionReport(self.out, rows, len(self.todo), skipped, time.perf_counter() - self.started)


@contextmanager
def open_job(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str,
    fps: float | None,
    estimator: str,
    estimator_options: dict[str, Any],
    resume: bool,
) -> Iterator[Job]:
    """The job of extracting ``source`` to ``out``, alone in that folder; its manifest is put in order when the block ends well.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no videos in it, other settings than the folder's, another extraction at work in it, a bad rate, no such
            estimator.
    """
    started = time.perf_counter()
    if fps is not None and not 0 < fps < float("inf"):
        raise ValueError(f"fps is {fps}; it must be a positive number.")
    factory = estimator_factory(estimator)
    videos = find_videos(source)
    out = Path(out)
    settings = {"format": format, "fps": fps, "estimator": factory, "estimator_options": estimator_options}
    with _sole_writer(out):
        manifest = Manifest(out, settings, resume=resume)
        todo = [name for name, path in videos.items() if not manifest.done(name, path)]
        yield Job(out, videos, manifest, todo, factory, started)
        manifest.compact()


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
