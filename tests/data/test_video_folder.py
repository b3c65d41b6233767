"""``video_folder``: videos become rows through an estimator, once for each content and setting, however often it is interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.data import load_dataset, to_sequence
from signlang_hf.pose import Detection, PoseEstimator
from signlang_hf.video import write_video

pytest.importorskip("av", reason="PyAV writes the test videos")


class BrightSpot(PoseEstimator):
    """Every point lies on the brightest pixel; a dark frame has nobody. Writes down each clip that it looks at."""

    layout = "hands-42"

    def __init__(self, log, name="bright spot 1", die_after=None):
        self.log, self.name, self.die_after = Path(log), name, die_after

    @property
    def description(self):
        return self.name

    @property
    def clips(self):
        return self.log.read_text().count("clip") if self.log.exists() else 0

    def reset(self):
        if self.die_after is not None and self.clips >= self.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        with self.log.open("a") as stream:
            stream.write("clip\n")

    def detect(self, frame, seconds):
        grey = frame.mean(2)
        y, x = np.unravel_index(grey.argmax(), grey.shape)
        seen = grey.max() > 128
        point = np.array([x / frame.shape[1], y / frame.shape[0], 0.0], "f4") if seen else np.full(3, np.nan, "f4")
        return Detection(np.tile(point, (42, 1)), np.full(42, seen, "f4"))


def write_clip(path, column, frames=10, dark=False):
    """A white square that moves down in the given column."""
    video = np.zeros((frames, 96, 96, 3), np.uint8)
    for i in range(0 if dark else frames):
        video[i, 8 * i : 8 * i + 8, column : column + 8] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, video, fps=25)


@pytest.fixture
def estimator(tmp_path):
    return BrightSpot(tmp_path / "log.txt")


@pytest.fixture
def videos(tmp_path, write_table):
    """Four videos of two words by two signers."""
    folder = tmp_path / "videos"
    rows = []
    for number, (signer, word) in enumerate([("anna", "left"), ("anna", "right"), ("ben", "left"), ("ben", "right")]):
        write_clip(folder / f"{signer}/{word}.mp4", 8 + 16 * number)
        split = "test" if signer == "ben" else "train"
        rows.append({"file_name": f"{signer}/{word}.mp4", "label": word, "signer": signer, "split": split})
    write_table(folder, rows)
    return folder


def test_videos_become_rows(videos, cache_folder, estimator):
    splits = load_dataset("video_folder", videos, estimator=estimator, cache_dir=cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 2, "test": 2}
    row = splits["test"][1]
    assert (row["id"], row["signer"], row["label"]) == ("ben/right", "ben", 1)
    result = to_sequence(row)
    assert (result.layout, result.units, result.size, len(result)) == ("hands-42", "image", (96, 96), 10)
    np.testing.assert_allclose(result.timestamps, np.arange(10) / 25, atol=1e-3)
    np.testing.assert_allclose(result.data[:, 0, 0], 60 / 96, atol=5 / 96)
    assert estimator.clips == 4


def test_landmarks_are_kept_across_builds_renames_and_splits(videos, cache_folder, estimator, write_table):
    load_dataset("video_folder", videos, estimator=estimator, cache_dir=cache_folder)
    shutil.copy(videos / "anna/left.mp4", videos / "anna/again.mp4")
    (videos / "ben/right.mp4").rename(videos / "ben/other.mp4")
    write_clip(videos / "new.mp4", 80)
    names = ["anna/left", "anna/again", "ben/other", "new"]
    write_table(videos, [{"file_name": f"{name}.mp4", "label": name[0]} for name in names])
    split = load_dataset("video_folder", videos, split="train", estimator=estimator, cache_dir=cache_folder)
    assert list(split["id"]) == names and estimator.clips == 5
    np.testing.assert_array_equal(to_sequence(split[0]).data, to_sequence(split[1]).data)


def test_a_changed_video_and_other_settings_are_extracted_anew(videos, cache_folder, estimator, tmp_path):
    def first(**options):
        options = {"estimator": estimator} | options
        return to_sequence(load_dataset("video_folder", videos, split="train", cache_dir=cache_folder, **options)[0])

    assert len(first()) == 10 and estimator.clips == 4
    write_clip(videos / "anna/left.mp4", 8, frames=6)
    assert len(first()) == 6 and estimator.clips == 5
    assert len(first(fps=12.5)) == 3 and estimator.clips == 9
    newer = BrightSpot(tmp_path / "log.txt", name="bright spot 2")
    assert len(first(estimator=newer)) == 6 and estimator.clips == 13
    assert first(layout="isl-48").layout == "isl-48" and estimator.clips == 13


def test_a_killed_extraction_goes_on_where_it_stopped(videos, cache_folder, estimator, tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_video_folder import BrightSpot, load_dataset\n"
        f"dying = BrightSpot({str(tmp_path / 'log.txt')!r}, die_after=3)\n"
        f"load_dataset('video_folder', {str(videos)!r}, estimator=dying, cache_dir={str(cache_folder)!r})"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(cache_folder.rglob("*.npz"))) == 3 and not list(cache_folder.rglob("*.tmp"))
    splits = load_dataset("video_folder", videos, estimator=estimator, cache_dir=cache_folder)
    assert sum(len(split) for split in splits.values()) == 4
    assert estimator.clips == 4, "nothing lost, nothing twice"


def test_streaming_extracts_as_it_goes_and_keeps_the_result(videos, cache_folder, estimator):
    stream = load_dataset(
        "video_folder", videos, split="train", streaming=True, estimator=estimator, cache_dir=cache_folder
    )
    assert estimator.clips == 0
    assert next(iter(stream))["id"] == "anna/left" and estimator.clips == 1
    assert [row["id"] for row in stream] == ["anna/left", "anna/right"] and estimator.clips == 2


def test_several_processes_give_the_same_rows(videos, cache_folder, estimator):
    plain = load_dataset("video_folder", videos, split="train", estimator=estimator, cache_dir=cache_folder / "a")
    spread = load_dataset(
        "video_folder", videos, split="train", estimator=estimator, cache_dir=cache_folder / "b", num_proc=2
    )
    assert list(plain["id"]) == list(spread["id"]) and estimator.clips == 8
    for row, other in zip(plain, spread):
        np.testing.assert_array_equal(to_sequence(row).data, to_sequence(other).data)


def test_a_video_that_cannot_be_read_is_named_or_left_out(videos, cache_folder, estimator):
    (videos / "anna/right.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=r"right\.mp4 is empty"):
        load_dataset("video_folder", videos, estimator=estimator, cache_dir=cache_folder)
    splits = load_dataset("video_folder", videos, estimator=estimator, cache_dir=cache_folder, on_error="skip")
    assert list(splits["train"]["id"]) == ["anna/left"]


@pytest.mark.filterwarnings("ignore:No person")
def test_a_video_without_a_person_is_named_or_left_out(videos, cache_folder, estimator):
    write_clip(videos / "anna/right.mp4", 8, dark=True)
    with pytest.raises(ValueError, match=r"right\.mp4: no point was seen in any frame"):
        load_dataset("video_folder", videos, estimator=estimator, cache_dir=cache_folder)
    before = estimator.clips
    splits = load_dataset("video_folder", videos, estimator=estimator, cache_dir=cache_folder, on_error="skip")
    assert len(splits["train"]) == 1 and estimator.clips == before + 2, "the empty result is kept as well"


def test_landmark_files_and_wrong_options_are_refused(videos, cache_folder, write_table):
    with pytest.raises(ValueError, match="estimator_options: got an unexpected keyword argument 'colour'"):
        load_dataset("video_folder", videos, estimator_options={"colour": 1}, cache_dir=cache_folder)
    write_table(videos, [{"file_name": "a.npz", "label": "a"}, {"file_name": "anna/left.mp4", "label": "b"}])
    with pytest.raises(ValueError, match=r"row 2, a\.npz: not a video file"):
        load_dataset("video_folder", videos, cache_dir=cache_folder)


def test_without_mediapipe_one_line_says_what_to_install(videos, cache_folder):
    code = (
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name.startswith('mediapipe') else find(name, *rest)\n"
        "from signlang_hf.data import load_dataset\n"
        f"load_dataset('video_folder', {str(videos)!r}, cache_dir={str(cache_folder)!r})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    last = result.stderr.strip().splitlines()[-1]
    assert "ImportError" in last and 'pip install "signlang-hf[pose]"' in last


def test_real_clips_through_mediapipe(clips, tmp_path, cache_folder, write_table, monkeypatch):
    """Two real signs through the default estimator."""
    pytest.importorskip("mediapipe", reason="MediaPipe is not installed")
    from signlang_hf.pose.mediapipe import has_solutions

    if not has_solutions() and not os.environ.get("SIGNLANG_MEDIAPIPE_TASKS"):
        monkeypatch.setenv("SIGNLANG_MEDIAPIPE_TASKS", str(clips.parent / "mediapipe-tasks"))
    for name in ("hoy_001.mp4", "yo_001.mp4"):
        shutil.copy(clips / name, tmp_path / name)
    write_table(tmp_path, [{"file_name": f"{name}_001.mp4", "label": name} for name in ("hoy", "yo")])
    split = load_dataset("video_folder", tmp_path, split="train", cache_dir=cache_folder, fps=6)
    for row in split:
        sequence = to_sequence(row)
        assert sequence.layout == "mediapipe-holistic" and 10 <= len(sequence) <= 14
        assert sequence.part_seen("pose").all() and sequence.part_seen("right_hand").mean() > 0.6
