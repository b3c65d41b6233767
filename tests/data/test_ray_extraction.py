"""Extraction on Ray: the same clips as with processes, and none is lost, whoever dies in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from grey_pose import CRASH, FATAL, FAULT

from signlang_hf.data import extract_with_ray, load_dataset, to_row
from signlang_hf.data.rows import LANDMARK_COLUMNS
from signlang_hf.landmarks import load_landmarks
from signlang_hf.pose import extract_folder, ray_engine
from signlang_hf.pose.manifest import read_manifest
from signlang_hf.pose.ray_engine import ATTEMPTS, Extractor, Ledger, _block_size, ray_cluster
from signlang_hf.video import write_video

pytest.importorskip("av")
ray = pytest.importorskip("ray", reason='needs Ray: pip install "signlang-hf[ray]"')
ESTIMATOR = "grey_pose:Grey"


@pytest.fixture(scope="module")
def cluster():
    """A Ray with two CPUs on this machine, which every run of this module joins."""
    with ray_cluster(None, 2) as workers:
        assert workers == 2
        yield ray.get_runtime_context().gcs_address


def clip(folder, level, frames=6):
    return write_video(folder / f"{level:03d}.mp4", np.full((frames, 48, 64, 3), level, np.uint8), fps=20)


def extract(source, out, **options):
    defaults = {"estimator": ESTIMATOR, "progress": False, "num_workers": 2}
    return extract_with_ray(source, out, **(defaults | options))


def dataset(out, cache):
    return load_dataset(Path(out) / "shards", split="train", cache_dir=cache).with_format("numpy")


def in_shards(out):
    """Sources of the clips in all shards."""
    return sorted(name for path in Path(out).rglob("*.parquet") for name in pq.read_table(path)["source"].to_pylist())


def lines(log):
    """(level, PID of the actor) of each clip that was begun."""
    return [tuple(map(int, line.split())) for line in log.read_text().splitlines()] if log.exists() else []


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.01)


def test_same_clips_and_faults_as_with_processes(cluster, tmp_path):
    source = tmp_path / "videos"
    for level in (20, 60, FAULT, CRASH):
        clip(source, level)
    clip(source / "sub", 80, frames=9)
    (source / "text.mp4").write_text("no video " * 100)
    (source / "020.mov").write_bytes((source / "020.mp4").read_bytes())
    processes = extract_folder(source, tmp_path / "files", num_workers=2, estimator=ESTIMATOR, progress=False)
    report = extract(source, tmp_path / "rows")

    assert report.extracted == 7 and set(dict(report.failures)) == {f"{FAULT}.mp4", f"{CRASH}.mp4", "text.mp4"}
    assert report.failures == processes.failures  # in the same words
    assert report.rows == read_manifest(tmp_path / "rows")
    for mine, theirs in zip(report.rows, processes.rows):
        names, measures = {"file_name", "id", "seconds"}, dict(mine)
        assert {key: measures[key] for key in measures.keys() - names} == {k: theirs[k] for k in theirs.keys() - names}
        assert (mine["file_name"] is None) == (theirs["file_name"] is None)

    rows = {row["source"]: row for row in dataset(tmp_path / "rows", tmp_path / "cache")}
    files = {row["source"]: row["file_name"] for row in processes.rows if row["file_name"]}
    assert rows.keys() == files.keys() and sorted(row["id"] for row in rows.values()) == [
        "020",
        "020.mp4",
        "060",
        "sub/080",
    ]
    for name, file in files.items():
        expected = to_row(load_landmarks(tmp_path / "files" / file), id=os.path.splitext(file)[0])
        assert set(expected) == set(LANDMARK_COLUMNS) <= set(rows[name])
        for column, value in expected.items():
            np.testing.assert_array_equal(rows[name][column], value, err_msg=f"{name}: {column}")
    with pytest.raises(ValueError, match="format='parquet' instead of 'npz'"):
        extract(source, tmp_path / "files")


def test_a_killed_worker_loses_nothing(cluster, tmp_path):
    source, log = tmp_path / "videos", tmp_path / "log"
    levels = list(range(20, 110, 10))
    for level in levels:
        clip(source, level)
    killed = []

    def kill():
        wait_for(lambda: len(lines(log)) >= 4)
        killed.append(lines(log)[-1])
        os.kill(killed[0][1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    report = extract(source, tmp_path / "out", estimator_options={"log": str(log), "pause": 0.1})
    killer.join()
    assert report.failures == [] and report.extracted == len(levels)
    assert in_shards(tmp_path / "out") == [f"{level:03d}.mp4" for level in levels]
    begun = [level for level, _ in lines(log)]
    ((level, actor),) = killed
    assert begun.count(level) == 2  # it was in the middle of that one
    assert len({pid for _, pid in lines(log)}) == 3 and lines(log)[-1][1] != actor
    assert sorted(set(begun)) == pytest.approx(levels, abs=3)


def test_a_video_that_takes_its_actor_along_is_given_up(cluster, tmp_path, monkeypatch):
    """In a block with others: what lies before it is done again and counted once, what lies behind it is not lost."""
    monkeypatch.setattr(ray_engine, "_block_size", lambda videos, workers: videos)
    source, log = tmp_path / "videos", tmp_path / "log"
    for level in (20, 60, FATAL, 230):
        clip(source, level)
    report = extract(source, tmp_path / "out", num_workers=1, estimator_options={"log": str(log)})
    assert dict(report.failures) == {
        f"{FATAL}.mp4": "given up: 3 times the machine or the process at work on it was lost"
    }
    begun = [level for level, _ in lines(log)]
    assert [abs(level - FATAL) < 8 for level in begun].count(True) == ATTEMPTS
    assert len(set(begun[:2])) == 2 and begun.count(begun[0]) > 1 and abs(begun[-1] - 230) < 8
    assert in_shards(tmp_path / "out") == ["020.mp4", "060.mp4", "230.mp4"]


def test_a_killed_job_goes_on(cluster, tmp_path):
    """kill -9 of the process that started the job, joined by address; then again, with videos that changed in between."""
    source, out, log = tmp_path / "videos", tmp_path / "out", tmp_path / "log"
    levels = list(range(20, 110, 10))
    for level in levels:
        clip(source, level)
    options = {"log": str(log), "pause": 0.05}
    words = {"estimator": ESTIMATOR, "estimator_options": options, "max_shard_mb": 1e-6, "progress": False}
    job = (
        "from signlang_hf.data import extract_with_ray\n"
        f"extract_with_ray({str(source)!r}, {str(out)!r}, address={cluster!r}, num_workers=2, **{words!r})"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen([sys.executable, "-c", job], env=environment)
    manifest = out / "manifest.jsonl"

    def going():
        assert process.poll() is None, "the job ended too early"
        return manifest.exists() and manifest.read_bytes().count(b"\n") >= 2

    wait_for(going)
    process.kill()
    process.wait()
    done = {row["source"] for row in read_manifest(out)}
    assert 2 <= len(done) < len(levels)
    wait_for(lambda: ray.available_resources().get("CPU") == 2)  # Ray has ended the dead job's actors
    begun = len(lines(log))

    report = extract(source, out, **words)
    assert report.skipped == len(done) and report.extracted == len(levels) - len(done) and report.failures == []
    assert len(lines(log)) - begun == report.extracted
    assert in_shards(out) == [f"{level:03d}.mp4" for level in levels]
    begun = len(lines(log))
    assert extract(source, out, **words).extracted == 0 and len(lines(log)) == begun

    (source / "020.mp4").write_text("overwritten")
    clip(source, 30, frames=4)
    clip(source, 110)
    next(out.rglob("part-*.parquet")).unlink()
    gone = {name for name in (f"{level:03d}.mp4" for level in levels) if name not in in_shards(out)}
    report = extract(source, out, **words)
    assert report.extracted == len({"020.mp4", "030.mp4", "110.mp4"} | gone) and len(report.failures) == 1
    assert in_shards(out) == [f"{level:03d}.mp4" for level in (*levels[1:], 110)]
    assert {row["source"]: row["frames"] for row in report.rows}["030.mp4"] == 4
    with pytest.raises(ValueError, match="fps=10 instead of None"):
        extract(source, out, **words, fps=10)


def test_an_estimator_that_cannot_start_ends_the_job(cluster, tmp_path):
    for level in (20, 60):
        clip(tmp_path / "videos", level)
    with pytest.raises(ImportError, match=r"^mediapipe is not installed$"):
        extract(tmp_path / "videos", tmp_path / "out", estimator_options={"missing": "mediapipe"})


def test_workers_stop_while_rows_wait_for_the_writer(cluster, tmp_path, monkeypatch):
    """Four megabytes may wait for two workers, a row has more than one, and nobody takes the second: then only a few videos are begun."""
    monkeypatch.setattr(ray_engine, "WAITING_MB", 2)
    log, video = tmp_path / "log", clip(tmp_path, 20, frames=1250)
    tasks = [{"name": f"{number:02d}", "video": str(video)} for number in range(14)]
    answers = ray_engine.ray_answers(tasks, estimator=ESTIMATOR, options={"log": str(log)}, fps=None, num_workers=2)
    names = [next(answers)[0]]
    begun = -1
    while len(lines(log)) > begun:
        begun = len(lines(log))
        time.sleep(2)
    assert 2 <= begun <= 10
    for name, answer, row in answers:
        assert answer["frames"] == 1250 and row.nbytes > 10**6
        names.append(name)
    assert sorted(names) == [task["name"] for task in tasks] and len(lines(log)) == 14


def test_command_line(cluster, tmp_path):
    from typer.testing import CliRunner

    from signlang_hf.cli import app

    clip(tmp_path / "videos", 20)
    words = ["extract", tmp_path / "videos", "--out", tmp_path / "out", "--engine", "ray", "--estimator", ESTIMATOR, "--json"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["extracted"] == 1 and report["failed"] == 0 and in_shards(tmp_path / "out") == ["020.mp4"]


# ------------------------------------------------------------------------------------------------ without a cluster


def test_the_ledger_blames_only_the_video_on_hand():
    ledger = Ledger()
    assert ledger.begin("a", None) == 0 and ledger.begin("b", "a") == 0
    # The actor is lost with b; another does the block again.
    assert ledger.begin("a", None) == 0 and ledger.begin("b", "a") == 1
    assert ledger.begin("a", None) == 0 and ledger.begin("b", "a") == 2
    assert ledger.begin("c", "b") == 0 and ledger.begin("b", None) == 0


@pytest.mark.parametrize(
    "videos, workers, size", [(1, 1, 1), (100, 2, 1), (1000, 2, 15), (10**6, 1000, 31), (10**6, 8, 64)]
)
def test_blocks_are_small_and_many(videos, workers, size):
    assert _block_size(videos, workers) == size


def test_a_video_too_many_is_answered_without_a_look(monkeypatch):
    import pyarrow as pa

    class Remote:
        def remote(self, *words):
            return ATTEMPTS

    monkeypatch.setattr(ray, "get", lambda value: value)
    extractor = Extractor(ESTIMATOR, {}, None, type("Handle", (), {"begin": Remote()}), [])
    table = extractor(pa.table({"name": ["a.mp4"], "video": ["/nowhere/a.mp4"]}))
    assert "given up" in json.loads(table["answer"][0].as_py())["error"] and table["landmarks"][0].as_py() is None


@pytest.mark.parametrize(
    "options, message",
    [({"num_workers": 0}, "num_workers is 0"), ({"max_shard_mb": 0}, "max_shard_mb is 0"), ({"fps": -1}, "fps is -1"),
     ({"gpus_per_worker": -1}, "gpus_per_worker is -1"), ({"estimator_options": {"world": True}}, "no metric points"),
     ({"estimator": "camera"}, "Unknown pose estimator 'camera'")],
)  # fmt: skip
def test_bad_options(tmp_path, options, message):
    clip(tmp_path / "videos", 20)
    with pytest.raises(ValueError, match=message):
        extract(tmp_path / "videos", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for address, message in (
        ("head", "must be auto or host:port"),
        ("head:port", "must be auto"),
        ("ray://head:10001", "in the cluster"),
    ):
        with pytest.raises(ValueError, match=message), ray_cluster(address, 1):
            pass
    started = time.monotonic()
    with pytest.raises(ConnectionError, match=r"No Ray cluster answers at 127\.0\.0\.1:9 \(.*refused\)"), ray_cluster("127.0.0.1:9", 1):  # fmt: skip
        pass
    assert time.monotonic() - started < 10


def test_without_ray(tmp_path, monkeypatch):
    clip(tmp_path / "videos", 20)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "signlang-hf\[ray\]"$'):
        extract(tmp_path / "videos", tmp_path / "out")
