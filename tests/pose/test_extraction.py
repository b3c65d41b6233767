"""Batch extraction: one bad video costs that video, and a killed job goes on where it stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, load_landmarks
from signlang_hf.pose import Detection, ExtractionReport, PoseEstimator, extract_folder
from signlang_hf.pose.job import find_videos
from signlang_hf.pose.manifest import read_manifest
from signlang_hf.video import write_video

pytest.importorskip("av")

# Grey levels at which the estimator below misbehaves.
NOBODY, FAULT, CRASH = 0, 200, 240


class Grey(PoseEstimator):
    """An estimator that costs nothing: the signer's points lie at the height of the picture's grey level."""

    layout = "mediapipe-holistic"

    def __init__(self, log: str = "", pause: float = 0.0, unwell: str = ""):
        if unwell:
            raise {"missing": ImportError, "value": ValueError}[unwell](f"the estimator is {unwell}")
        self.log, self.pause = log, pause

    def reset(self):
        self.started = False

    def detect(self, frame, seconds):
        level = float(frame.mean())
        if not self.started and self.log:
            with open(self.log, "a") as stream:
                stream.write(f"{round(level)}\n")
        self.started = True
        if level > CRASH - 10:
            os.kill(os.getpid(), signal.SIGSEGV)
        if level > FAULT - 10:
            raise RuntimeError("something went wrong\nin two lines")
        time.sleep(self.pause)
        data = np.full((75, 3), np.nan, np.float32)
        if level > NOBODY + 10:
            data[:33] = level / 255
            if seconds < 0.15:
                data[54:] = level / 255
        return Detection(data, np.where(np.isnan(data[:, 0]), 0, 1).astype(np.float32))


ESTIMATOR = f"{__name__}:Grey"


class Threads(Grey):
    """Says how many threads its process is told to use."""

    @property
    def description(self):
        return os.environ["OMP_NUM_THREADS"]


def clip(path, level, frames=6):
    return write_video(path, np.full((frames, 48, 64, 3), level, np.uint8), fps=20)


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    (folder / "sub" / "deep").mkdir(parents=True)
    for index, name in enumerate(["b.mp4", "a.mp4", "sub/c.mp4", "sub/deep/d.MP4"]):
        (clip(tmp_path / "x.mp4", 40 + 30 * index)).rename(folder / name)
    (folder / "notes.txt").write_text("no video")
    (folder / "._a.mp4").write_bytes(b"what macOS leaves behind")
    return folder


def extract(source, out, **options):
    return extract_folder(source, out, **({"estimator": ESTIMATOR, "progress": False, "num_workers": 0} | options))


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_folder(videos, tmp_path, workers):
    out = tmp_path / "out"
    report = extract(videos, out, num_workers=workers)
    assert isinstance(report, ExtractionReport) and report.extracted == 4 and report.skipped == 0
    assert report.failures == [] and report.warnings == []
    landmarks = ["a.npz", "b.npz", "sub/c.npz", "sub/deep/d.npz"]
    assert [name for name in files(out) if name.endswith(".npz")] == landmarks
    rows = read_manifest(out)
    assert rows == report.rows == [json.loads(line) for line in report.manifest.read_text().splitlines()]
    assert [row["source"] for row in rows] == ["a.mp4", "b.mp4", "sub/c.mp4", "sub/deep/d.MP4"]
    assert [row["file_name"] for row in rows] == landmarks
    for row in rows:
        assert row["frames"] == 6 and row["fps"] == 20.0 and row["duration"] == pytest.approx(0.25)
        assert (row["pose"], row["left_hand"], row["right_hand"], row["any_hand"]) == (1.0, 0.0, 0.5, 0.5)
        assert row["error"] is None and row["warning"] is None and row["estimator"] == "Grey" and row["seconds"] > 0
        assert row["bytes"] == (videos / row["source"]).stat().st_size and len(row["sha256"]) == 64
    sequence = load_landmarks(out / "b.npz")
    assert isinstance(sequence, LandmarkSequence) and sequence.size == (64, 48)
    assert np.nanmedian(sequence.data) == pytest.approx(40 / 255, abs=0.02)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["videos"] == rows and plain["extracted"] == 4 and plain["failed"] == 0 and plain["out"] == str(out)
    assert str(report).startswith("4 videos, 24 frames: 4 worked on in")


def test_second_run_does_nothing_and_new_or_changed_videos_only(videos, tmp_path):
    out = tmp_path / "out"
    extract(videos, out)
    before = {name: (out / name).stat().st_mtime_ns for name in files(out) if name.endswith(".npz")}
    again = extract(videos, out)
    assert again.extracted == 0 and again.skipped == 4 and len(again.rows) == 4
    os.utime(videos / "a.mp4", (1, 1))  # copied or touched: the content is the same
    assert extract(videos, out).extracted == 0
    assert before == {name: (out / name).stat().st_mtime_ns for name in before}

    clip(videos / "a.mp4", 160)
    clip(videos / "e.mp4", 70)
    (out / "sub" / "c.npz").unlink()
    third = extract(videos, out)
    assert third.extracted == 3 and third.skipped == 2
    assert np.nanmedian(load_landmarks(out / "a.npz").data) == pytest.approx(160 / 255, abs=0.02)
    assert len(read_manifest(out)) == 5 == len(third.manifest.read_text().splitlines())


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_videos_are_reported_and_skipped(videos, tmp_path, workers):
    out = tmp_path / "out"
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "text.mp4").write_text("no video " * 100)
    clip(videos / "fault.mp4", FAULT)
    clip(videos / "nobody.mp4", NOBODY)
    clip(videos / "one.mp4", 90, frames=1)
    report = extract(videos, out, num_workers=workers)
    failures = dict(report.failures)
    assert set(failures) == {"empty.mp4", "text.mp4", "fault.mp4"}
    assert "is empty (0 bytes)" in failures["empty.mp4"]
    assert "is not a video that can be decoded" in failures["text.mp4"]
    assert failures["fault.mp4"] == "something went wrong in two lines"
    assert [name for name, _ in report.warnings] == ["nobody.mp4"]
    assert "No person was found in any of the 6 frames" in dict(report.warnings)["nobody.mp4"]
    rows = {row["source"]: row for row in report.rows}
    assert rows["text.mp4"]["file_name"] is None and not (out / "text.npz").exists()
    assert rows["nobody.mp4"]["pose"] == 0 and not load_landmarks(out / "nobody.npz").seen.any()
    assert rows["one.mp4"]["frames"] == 1
    text = str(report)
    assert "3 failed" in text and "failed   fault.mp4: something went wrong" in text
    assert text.index("warning  nobody.mp4") < text.index("failed   empty.mp4")

    clip(videos / "text.mp4", 100)  # a failed video is tried again
    again = extract(videos, out, num_workers=workers)
    assert again.extracted == 3 and set(dict(again.failures)) == {"empty.mp4", "fault.mp4"}


def test_a_video_that_became_bad_loses_its_old_landmarks(videos, tmp_path):
    out = tmp_path / "out"
    extract(videos, out)
    (videos / "a.mp4").write_text("overwritten")
    assert dict(extract(videos, out).failures).keys() == {"a.mp4"}
    assert not (out / "a.npz").exists()


def test_a_crash_costs_one_video(videos, tmp_path):
    out = tmp_path / "out"
    clip(videos / "crash.mp4", CRASH)
    clip(videos / "crash2.mp4", CRASH)
    report = extract(videos, out, num_workers=2)
    assert dict(report.failures) == dict.fromkeys(
        ("crash.mp4", "crash2.mp4"), "the worker process died with signal 11 (SIGSEGV)"
    )
    assert len([row for row in report.rows if row["error"] is None]) == 4


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("unwell, kind", [("missing", ImportError), ("value", ValueError)])
def test_an_estimator_that_cannot_start_ends_the_job(videos, tmp_path, workers, unwell, kind):
    with pytest.raises(kind, match=f"the estimator is {unwell}"):
        extract(videos, tmp_path / "out", num_workers=workers, estimator_options={"unwell": unwell})
    assert extract(videos, tmp_path / "other", num_workers=workers).failures == []


def test_a_worker_that_dies_at_the_start(videos, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(RuntimeError, match="A worker could not start: the worker process died with exit code 1"):
        extract(videos, tmp_path / "out", num_workers=1)


# ------------------------------------------------------------------------------------------------ killed and resumed

_JOB = """
from signlang_hf.pose import extract_folder
extract_folder({source!r}, {out!r}, num_workers=2, estimator={estimator!r}, estimator_options={options!r}, progress=False)
"""


def test_killed_and_resumed(tmp_path):
    """kill -9 of the whole process group: afterwards nothing is lost and nothing is done twice."""
    source, out, log = tmp_path / "videos", tmp_path / "out", tmp_path / "log"
    source.mkdir()
    levels = list(range(20, 20 + 12 * 10, 10))
    for level in levels:
        clip(source / f"{level:03d}.mp4", level)
    options = {"log": str(log), "pause": 0.02}
    job = _JOB.format(source=str(source), out=str(out), estimator=ESTIMATOR, options=options)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen([sys.executable, "-c", job], start_new_session=True, env=environment)
    manifest = out / "manifest.jsonl"
    deadline = time.monotonic() + 60
    while not (manifest.exists() and manifest.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None and time.monotonic() < deadline, "the job did not get going"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while any(_alive(pid) for pid in _group(process.pid)):  # workers, reaped by init
        time.sleep(0.01)

    done = {row["source"] for row in read_manifest(out)}
    assert 3 <= len(done) < len(levels)
    for name in done:
        assert load_landmarks(out / name.replace(".mp4", ".npz")) is not None
    with manifest.open("ab") as stream:  # a row that the kill cut in two, and a landmark file half written
        stream.write(b'{"file_name": "130.npz", "sou')
    (out / ".130.npz.abcdefgh.tmp").write_bytes(b"half")
    started = log.read_text().split()

    report = extract_folder(source, out, num_workers=2, estimator=ESTIMATOR, estimator_options=options, progress=False)
    assert report.skipped == len(done) and report.extracted == len(levels) - len(done) and report.failures == []
    resumed = log.read_text().split()[len(started) :]
    assert len(resumed) == report.extracted
    assert not {f"{round(int(level))}" for level in resumed} & {str(int(name[:3])) for name in done}
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [row["source"] for row in lines] == [f"{level:03d}.mp4" for level in levels]
    assert [name for name in files(out) if name.endswith(".tmp")] == []
    for level in levels:
        sequence = load_landmarks(out / f"{level:03d}.npz")
        assert np.nanmedian(sequence.data) == pytest.approx(level / 255, abs=0.02)


def _group(leader):
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[2]) == leader:
                members.append(int(entry.name))
        except OSError:
            continue
    return members


def _alive(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_workers_end_with_their_parent(tmp_path):
    """Only the parent is killed: its workers notice and leave."""
    source, out = tmp_path / "videos", tmp_path / "out"
    source.mkdir()
    for index in range(4):
        clip(source / f"{index}.mp4", 50, frames=10)
    job = _JOB.format(source=str(source), out=str(out), estimator=ESTIMATOR, options={"pause": 0.03})
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen([sys.executable, "-c", job], start_new_session=True, env=environment)
    deadline = time.monotonic() + 60
    while not (out / "manifest.jsonl").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    while members := [pid for pid in _group(process.pid) if _alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {members}"
        time.sleep(0.02)


def test_an_interrupted_run_in_this_process_keeps_what_it_did(videos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    detect, calls = Grey.detect, []

    def interrupted(self, frame, seconds):
        calls.append(seconds)
        if len(calls) > 15:
            raise KeyboardInterrupt
        return detect(self, frame, seconds)

    monkeypatch.setattr(Grey, "detect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(videos, out)
    assert len(read_manifest(out)) == 2
    monkeypatch.undo()
    assert extract(videos, out).extracted == 2


# -------------------------------------------------------------------------------------------------- settings, names


def test_other_settings_are_an_error_not_a_mix(videos, tmp_path):
    out = tmp_path / "out"
    extract(videos, out)
    for options, named in (
        ({"fps": 10}, "fps=10 instead of None"),
        ({"format": "pose"}, "format='pose' instead of 'npz'"),
        ({"estimator_options": {"pause": 0.001}}, "estimator_options="),
    ):
        with pytest.raises(ValueError, match="was extracted with other settings") as caught:
            extract(videos, out, **options)
        assert named in str(caught.value) and "resume=False" in str(caught.value)
    assert len(read_manifest(out)) == 4
    report = extract(videos, out, fps=10, format="pose", resume=False)
    assert report.extracted == 4
    assert [name for name in files(out) if name.endswith((".npz", ".pose"))] == [
        "a.pose", "b.pose", "sub/c.pose", "sub/deep/d.pose",
    ]  # fmt: skip
    assert {row["frames"] for row in report.rows} == {3} and {row["fps"] for row in report.rows} == {10.0}
    pose = load_landmarks(out / "a.pose")
    assert len(pose) == 3 and pose.size == (64, 48)
    (out / "settings.json").unlink()
    with pytest.raises(ValueError, match=r"without a readable settings\.json"):
        extract(videos, out, fps=10, format="pose")


def test_videos_that_differ_in_suffix_only(videos, tmp_path):
    out = tmp_path / "out"
    extract(videos, out)
    clip(tmp_path / "x.mp4", 150).rename(videos / "a.m4v")  # sorts before a.mp4, which keeps its name
    report = extract(videos, out)
    names = {row["source"]: row["file_name"] for row in report.rows}
    assert names["a.mp4"] == "a.npz" and names["a.m4v"] == "a.m4v.npz"
    assert np.nanmedian(load_landmarks(out / "a.m4v.npz").data) == pytest.approx(150 / 255, abs=0.02)


def test_landmarks_beside_their_videos(videos):
    report = extract(videos, videos)
    assert (videos / "sub" / "c.npz").is_file() and report.extracted == 4
    assert extract(videos, videos).skipped == 4


def test_one_file_and_one_writer(videos, tmp_path):
    out = tmp_path / "out"
    assert [row["source"] for row in extract(videos / "a.mp4", out).rows] == ["a.mp4"]
    from filelock import FileLock

    with FileLock(out / ".extract.lock"), pytest.raises(ValueError, match="Another extraction is at work in"):
        extract(videos, out)


def test_progress_is_shown(videos, tmp_path, capfd):
    extract(videos, tmp_path / "out", progress=True)
    shown = capfd.readouterr().err
    assert "extract: 100%" in shown and "4/4" in shown and "frames=24" in shown


def test_manifest_faults(videos, tmp_path):
    out = tmp_path / "out"
    report = extract(videos, out)
    lines = report.manifest.read_text().splitlines(keepends=True)
    report.manifest.write_text(lines[0] + "nonsense\n" + "".join(lines[1:]))
    with pytest.raises(ValueError, match=r"manifest\.jsonl, line 2: not a row"):
        extract(videos, out)
    report.manifest.write_text("".join(lines) + lines[0].replace('"frames": 6', '"frames": 5'))
    assert read_manifest(out)[0]["frames"] == 5  # the later row of a video counts
    assert extract(videos, out).extracted == 0
    assert len(report.manifest.read_text().splitlines()) == 4
    with pytest.raises(FileNotFoundError, match=r"No manifest\.jsonl in"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "options, message",
    [({"format": "csv"}, "Unknown landmark format 'csv'"), ({"num_workers": -1}, "num_workers is -1"),
     ({"num_workers": 1.5}, r"num_workers is 1\.5"), ({"fps": 0}, "fps is 0")],
)  # fmt: skip
def test_bad_options(videos, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        extract(videos, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_no_videos(tmp_path):
    with pytest.raises(FileNotFoundError, match="Folder of videos not found"):
        find_videos(tmp_path / "absent")
    with pytest.raises(ValueError, match="No videos in"):
        find_videos(tmp_path)


@pytest.mark.parametrize("told", [None, "3"])
def test_workers_share_the_cores(videos, tmp_path, monkeypatch, told):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if told:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    report = extract(videos, tmp_path / "out", num_workers=2, estimator=f"{__name__}:Threads")
    assert {row["estimator"] for row in report.rows} == {told or "4"}
