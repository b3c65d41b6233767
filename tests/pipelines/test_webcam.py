"""The camera, the video in its place, the window and the terminal of ``signlang recognize --webcam``."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_camera import HEIGHT, WIDTH, make_up_camera
from rich.console import Console
from scripted_signer import ScriptedSigner, first_of, sign
from typer.testing import CliRunner, Result

from signlang_hf import SignRecognitionPipeline
from signlang_hf.cli import app
from signlang_hf.pipelines import StreamEvent, StreamingSigns
from signlang_hf.pipelines.webcam import in_terminal, in_window, watch
from signlang_hf.video import read_video, write_video
from signlang_hf.video.camera import is_camera

ROOT = Path(__file__).resolve().parents[2]
TWO_SIGNS = first_of(sign(0.5, 2), sign(3.5, 4.5))


@pytest.fixture
def live(loaded) -> StreamingSigns:
    """A recogniser in front of a person who signs twice in six seconds."""
    return StreamingSigns(
        SignRecognitionPipeline(
            model=loaded.model, feature_extractor=loaded.feature_extractor, estimator=ScriptedSigner(TWO_SIGNS)
        )
    )


@pytest.fixture
def device(monkeypatch):
    return make_up_camera(monkeypatch)


class Looked:
    """A screen that counts; closed by its person after ``patience`` frames."""

    def __init__(self, patience: float = np.inf) -> None:
        self.frames, self.last, self.patience = 0, [], patience

    def __call__(self, frame, live, last) -> bool:
        self.frames += 1
        self.last.append(last)
        return self.frames < self.patience


def seen(live, camera, show=None) -> list[StreamEvent]:
    """The answers."""
    found: list[StreamEvent] = []
    watch(live, str(camera), show, found.append)
    return [event for event in found if event.answers]


# ------------------------------------------------------------------------------------------------------------------ camera


def test_a_camera_until_its_person_has_enough(live, device):
    camera, screen = device(60), Looked(patience=135)
    first, second = seen(live, 0, screen)
    assert 0.5 < first.start < 0.8 and 1.7 < first.end < 2.1 and 3.5 < second.start < 3.8
    assert screen.frames == 135 and screen.last[0] is None and screen.last[-1] == second
    assert camera.opened[-1].released


def test_a_camera_that_is_lost_in_the_middle_of_a_sign(live, device):
    camera = device(1.5)
    found: list[StreamEvent] = []
    with pytest.raises(ConnectionError, match=r"Camera 0 gives no pictures any more, after 2 s"):
        watch(live, "0", None, found.append)
    (found,) = [event for event in found if event.answers]
    assert found.end == pytest.approx(1.5, abs=0.1)
    assert camera.opened[-1].released


def test_ctrl_c_ends_it_and_keeps_the_sign(live, device):
    camera = device(1.5, then=KeyboardInterrupt)
    assert len(seen(live, 0)) == 1
    assert camera.opened[-1].released
    device(1.5)

    class Impatient(Looked):
        def __call__(self, *what) -> bool:
            if self.frames == 20:
                raise KeyboardInterrupt
            return super().__call__(*what)

    assert seen(live, 0, Impatient()) == []
    assert camera.opened[-1].released


# ------------------------------------------------------------------------------------------------- a video in its place


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Six seconds of nothing; what the signer does in them is the script's."""
    frames = np.zeros((60, 72, 128, 3), np.uint8)
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4", frames, fps=10)


def test_a_video(live, video):
    assert len(seen(live, video)) == 2
    with pytest.raises(FileNotFoundError, match=r"Video file not found: none\.mp4"):
        seen(live, "none.mp4")


# ------------------------------------------------------------------------------------------------------- what one looks at


class Pane:
    """A window of which a test sees the pictures."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []

    def show(self, frame) -> bool:
        self.pictures.append(frame)
        return len(self.pictures) < 4


@pytest.mark.parametrize(("camera", "side"), [("0", 0.6), ("clip.mp4", 0.4)])
def test_the_window_shows_a_mirror_and_the_last_sign(live, monkeypatch, camera, side):
    texts, drawn, pane = [], [], Pane()

    def draw(frames, landmarks, *, text):
        texts.append(text)
        drawn.append(landmarks.data[0, landmarks.spec.index["right_shoulder"], 0])
        return frames

    monkeypatch.setattr("signlang_hf.pipelines.webcam.draw_landmarks", draw)
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[:, : WIDTH // 2, 0] = 200  # red on the left
    last = StreamEvent("sign", 1, 0, 1, "Tür", 0.934)
    show = in_window(pane, camera)
    live.process(frame, 0.0)
    assert show(frame, live, None)
    live.process(frame, 0.8)
    assert show(frame, live, None) and show(frame, live, last)
    live.finish()
    live.process(frame, 0.0)
    assert not show(frame, live, last)  # closed
    assert texts == [None, "…", "… · Tür 93 %", "Tür 93 %"]
    assert drawn == pytest.approx([side] * 4)
    assert pane.pictures[0][0, -1 if is_camera(camera) else 0].tolist() == [200, 0, 0]


def test_landmarks_are_drawn_where_the_mirrored_signer_is(live):
    pane, frame = Pane(), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    live.process(frame, 0.0)
    live.process(frame, 0.8)
    in_window(pane, "0")(frame, live, None)
    x = np.flatnonzero(pane.pictures[0][: HEIGHT // 2 + 40].any(axis=(0, 2)))
    assert 0.35 < x.min() / WIDTH < 0.4 and 0.6 < x.max() / WIDTH < 0.65  # the shoulders; the hand lies between


def test_the_terminal_says_whether_somebody_signs(live, video):
    said = []
    with Console(file=io.StringIO(), force_terminal=True).status("waiting for a sign") as status:
        show = in_terminal(status)

        def spy(*what) -> bool:
            going_on = show(*what)
            said.append(status.status)
            return going_on

        assert len(seen(live, video, spy)) == 2
    changes = [text for text, before in zip(said, [None, *said]) if text != before]
    assert changes == ["waiting for a sign", "signing …"] * 2 + ["waiting for a sign"]


# ------------------------------------------------------------------------------------------------------------- the command


def recognize(*words: object) -> Result:
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    try:
        result = CliRunner().invoke(app, ["recognize", *map(str, words)])
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


@pytest.fixture
def signer(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("signlang_hf.pipelines.clip_pipeline.default_estimator", lambda: ScriptedSigner(TWO_SIGNS))


def test_command_on_a_video(signer, model_folder, video):
    result = recognize("--webcam", "--camera", video, "--model", model_folder)
    assert result.exit_code == 0 and result.stderr == ""
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    assert len(lines) == 2 and all(" s  " in line and line.endswith(" %") for line in lines)
    as_json = recognize("--webcam", "--camera", video, "--model", model_folder, "--json", "--top-k", 2)
    rows = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [row["kind"] for row in rows if row["kind"] != "partial"] == ["sign_started", "sign", "idle"] * 2
    signs = [row for row in rows if row["kind"] == "sign"]
    assert [len(row["predictions"]) for row in signs] == [2, 2] and signs[0]["end"] < signs[1]["start"]
    assert as_json.exit_code == 0 and as_json.stderr == ""


def test_command_on_a_camera_that_fails(signer, model_folder, device):
    device(1.5)
    lost = recognize("--webcam", "--model", model_folder)
    assert lost.exit_code == 1 and len(lost.stdout.strip().splitlines()) == 1
    assert lost.stderr == "signlang: Camera 0 gives no pictures any more, after 2 s.\n"
    missing = recognize("--webcam", "--camera", 1, "--model", model_folder)
    assert missing.exit_code == 1 and missing.stdout.strip() == ""
    assert missing.stderr.startswith("signlang: Camera 1 cannot be opened") and missing.stderr.count("\n") == 1


def test_ctrl_c_is_the_way_out(signer, model_folder, device):
    device(1.5, then=KeyboardInterrupt)
    result = recognize("--webcam", "--model", model_folder)
    assert result.exit_code == 0 and result.stderr == "" and len(result.stdout.strip().splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--no-window"], ["--json"]])
def test_the_command_opens_a_window_where_it_can(signer, model_folder, device, monkeypatch, options):
    class Opened(Pane):
        def __enter__(self) -> Opened:
            return self

        def __exit__(self, *error: object) -> None:
            windows.append(len(self.pictures))

    windows: list[int] = []
    device(1.5)
    monkeypatch.setattr("signlang_hf.video.window.open_window", Opened)
    result = recognize("--webcam", "--model", model_folder, *options)
    assert windows == ([] if options else [4])
    assert result.exit_code == (1 if options else 0)  # the person closed the window before the camera was lost


def test_clips_and_webcam_exclude_each_other(model_folder):
    for words in (["clip.mp4", "--webcam"], [], ["--model", model_folder]):
        result = recognize(*words)
        assert result.exit_code == 2 and "Give clips, or --webcam" in result.stderr and result.stdout == ""


def test_a_real_clip_in_a_process_of_its_own(model_folder, clips, signlang_data, tmp_path):
    pytest.importorskip("mediapipe")
    short = read_video(clips / "isl_are_you_free_today.mp4", fps=8)
    write_video(tmp_path / "clip.mp4", short.frames, fps=8)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "SIGNLANG_MEDIAPIPE_TASKS": str(signlang_data / "mediapipe-tasks")
    }  # fmt: skip
    environment.pop("DISPLAY", None)
    words = ["recognize", "--webcam", "--camera", tmp_path / "clip.mp4", "--model", model_folder, "--json"]
    command = [sys.executable, "-m", "signlang_hf.cli", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    (row,) = [row for row in map(json.loads, done.stdout.splitlines()) if row["kind"] == "sign"]
    assert row["start"] < 0.3 and 1.0 < row["end"] < 1.8 and len(row["predictions"]) == 5
