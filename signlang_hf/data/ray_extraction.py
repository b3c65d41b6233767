"""Extraction at scale: a folder of videos → Parquet shards, by the machines of a Ray cluster.

Design decisions:

* Same job as :func:`signlang_hf.pose.extract_folder`: the same manifest, the same rule of what is done, the same answers for bad videos.
  What differs is who works (:mod:`signlang_hf.pose.ray_engine`) and what comes out (:mod:`.shards`): a million clips are a few hundred
  shards rather than a million files, and a dataset as they lie.
* The process that started the job is the only writer, so shards and manifest cannot disagree; killed at any moment it loses the
  shard that it was filling, and the same command goes on. Interrupted, it writes that one too.
* Machines share the paths of the videos, not those of the landmarks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..pose.job import ExtractionReport, Job, open_job
from ..pose.ray_engine import ray_answers, ray_cluster
from .shards import Shards

if TYPE_CHECKING:
    import pyarrow as pa


def extract_with_ray(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    address: str | None = None,
    num_workers: int | None = None,
    gpus_per_worker: float = 0.0,
    fps: float | None = None,
    resume: bool = True,
    estimator_options: dict[str, Any] | None = None,
    estimator: str = "mediapipe",
    max_shard_mb: float = 256,
    progress: bool = True,
) -> ExtractionReport:
    """Extract the landmarks of all videos in a folder and its sub-folders on Ray Data.

    Args:
        source: folder of videos, under a path that all machines of the cluster see.
        out: folder for ``shards/part-00000.parquet`` …, ``manifest.jsonl`` and ``settings.json``; only this machine needs it. The
            shards are a dataset: ``load_dataset("<out>/shards")``. A row's ``id`` is the video's name without suffix.
        address: cluster to join: ``auto`` or ``host:port``. Default: a Ray on this machine, for this call.
        num_workers: actors, one CPU and one estimator each. Default: one for each CPU of the cluster.
        gpus_per_worker: GPUs of each, for an estimator that uses one; 0.25 puts four on a GPU.
        fps, resume, estimator_options, estimator, progress: as for :func:`signlang_hf.pose.extract_folder`.
        max_shard_mb: size at which a shard is written, in megabytes before compression; so much is lost when this process is
            killed.

    Returns:
        The report; failures are in it, not raised. A row's ``file_name`` is its shard.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no videos in it, other settings than the folder's, another extraction at work in it, bad arguments, a model
            that cannot be used.
        ImportError: Ray or the estimator is not installed.
        ConnectionError: no cluster at the address.
    """
    options = dict(estimator_options or {})
    if num_workers is not None and (num_workers != int(num_workers) or num_workers < 1):
        raise ValueError(f"num_workers is {num_workers}; it must be a whole number from 1.")
    if not 0 < max_shard_mb < float("inf"):
        raise ValueError(f"max_shard_mb is {max_shard_mb}; it must be a positive number.")
    if not 0 <= gpus_per_worker < float("inf"):
        raise ValueError(f"gpus_per_worker is {gpus_per_worker}; it must be a number from 0.")
    if options.get("world"):
        raise ValueError("A dataset's rows hold no metric points; leave world out, or extract with processes.")
    with open_job(
        source, out, format="parquet", fps=fps, estimator=estimator, estimator_options=options, resume=resume
    ) as job:
        shards = Shards(job.manifest, max_shard_mb)
        if job.todo:
            with ray_cluster(address, int(num_workers or 0)) as workers:
                found = ray_answers(
                    [{"name": name, "video": str(job.videos[name].absolute())} for name in job.todo],
                    estimator=job.factory, options=options, fps=fps, num_workers=workers, gpus_per_worker=gpus_per_worker,
                )  # fmt: skip
                try:
                    for _ in job.watched(_recorded(found, job, shards), progress):
                        pass
                finally:  # interrupted, too
                    shards.flush()
            shards.sweep()  # rows of videos that were done again
    return job.report()


def _recorded(
    found: Iterator[tuple[str, dict[str, Any], pa.Table | None]], job: Job, shards: Shards
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(video, its answer) as they come, each recorded: what failed in the manifest at once, what did not with its shard."""
    import pyarrow as pa

    ids = job.manifest.targets(job.todo, "", column="id")
    for name, answer, table in found:
        row = {"source": name, "id": ids[name], **answer}
        if table is None:
            job.manifest.append({"file_name": None, **row})
        else:
            shards.add(row, table.add_column(0, "id", pa.array([ids[name]])))
        yield name, answer
