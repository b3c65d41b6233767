"""``signlang detect``: pictures and videos with their skeletons, their points as JSON lines, a camera, and what is wrong."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_up_camera import HEIGHT, WIDTH, make_up_camera
from PIL import Image
from test_cli import quiet_transformers, refused, signlang  # noqa: F401  the first keeps transformers' messages on
from tiny_detector import save_tiny_detector, spot_finder, spots
from tiny_model import save_tiny_model

from signlang_hf import load_landmarks
from signlang_hf.landmarks import get_layout
from signlang_hf.pipelines.detection_files import Slideshow, detect_files
from signlang_hf.pose import HeatmapEstimator, extract_folder
from signlang_hf.pose.worker import extract_video, load_estimator
from signlang_hf.video import read_image, read_video, write_video

POINTS = get_layout("signlang-64").points
PLACES = {"left_shoulder": (0.5, 0.4), "right_shoulder": (0.3, 0.4), "nose": (0.4, 0.3)}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_detector(tmp_path_factory.mktemp("detector") / "tiny")


@pytest.fixture(autouse=True)
def finds_spots(monkeypatch):
    """The weights stay random; what the network answers is where the colours are."""
    monkeypatch.setattr(HeatmapEstimator, "_load", lambda self: spot_finder(self))


@pytest.fixture
def sources(tmp_path) -> Path:
    folder = tmp_path / "sources"
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(spots()).save(folder / "a.png")
    Image.fromarray(spots()).save(folder / "sub" / "b.jpg", quality=95)
    write_video(folder / "c.mp4", np.stack([spots()] * 5), fps=10)
    (folder / "notes.txt").write_text("no picture")
    return folder


class Here:
    """A worker that is no process of its own."""

    def __init__(self, estimator: str, options: dict, share: int) -> None:
        self.estimator = load_estimator(estimator, options)

    def run(self, task: dict) -> dict:
        return extract_video(Path(task["video"]), Path(task["target"]), self.estimator, task["fps"])

    def close(self) -> None: ...


def unboxed(text: str) -> str:
    """What typer's box says, on one line."""
    return " ".join(text.replace("│", " ").split())


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def at_the_spots(row: dict, size=(160, 90), atol=0.015) -> None:
    found = {point["name"]: (point["x"], point["y"]) for point in row["keypoints"]}
    assert list(found) == list(POINTS) and row["size"] == list(size)
    for name, place in PLACES.items():
        np.testing.assert_allclose(np.array(found[name]) / size, place, atol=atol)


# -------------------------------------------------------------------------------------------------------- pictures and videos


def test_a_folder(model, sources, tmp_path):
    out = tmp_path / "out"
    result = signlang("detect", sources, "--model", model, "--out", out, "--conf-threshold", 0.2)
    assert result.exit_code == 0 and result.stderr == ""
    said = result.stdout.splitlines()
    assert len(said) == 3 and "100 % of the points seen" in said[0] and "5 frames" in said[1]
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {"a.png", "a.jsonl", "c.mp4", "c.jsonl", "sub/b.jpg", "sub/b.jsonl"}
    for name in ("a", "sub/b"):
        (row,) = lines((out / f"{name}.jsonl").read_text())
        assert (row["frame"], row["seconds"]) == (0, 0) and row["file"].startswith(str(sources / name))
        at_the_spots(row)
        assert all(0.2 <= point["score"] <= 1 for point in row["keypoints"])
    rows = lines((out / "c.jsonl").read_text())
    assert [row["frame"] for row in rows] == list(range(5)) and rows[4]["seconds"] == pytest.approx(0.4)
    at_the_spots(rows[4])


def test_the_overlay_is_the_picture_with_the_skeleton(model, sources, tmp_path):
    signlang("detect", sources, "--model", model, "--out", tmp_path / "out", "--conf-threshold", 0.2)
    before, after = spots(), read_image(tmp_path / "out" / "a.png")
    changed = (before != after).any(axis=2)
    down, across = np.nonzero(changed)
    assert after.shape == before.shape and 0.001 < changed.mean() < 0.3
    # From shoulder to shoulder and up to the nose, and nowhere else.
    assert 0.25 < across.min() / 160 < 0.32 and 0.48 < across.max() / 160 < 0.55
    assert 0.2 < down.min() / 90 < 0.32 and 0.38 < down.max() / 90 < 0.5
    assert changed[int(0.4 * 90) - 1 : int(0.4 * 90) + 2, 64].any()  # the bone between the shoulders
    video = read_video(tmp_path / "out" / "c.mp4")
    assert len(video) == 5 and video.fps == pytest.approx(10) and video.size == (160, 90)
    assert np.abs(video.frames[4].astype(int) - after).mean() < 6 < np.abs(video.frames[4][changed].astype(int) - before[changed]).mean()  # fmt: skip


def test_json_on_standard_output(model, sources):
    result = signlang("detect", sources, "--model", model, "--json", "--conf-threshold", 0.2)
    rows = lines(result.stdout)
    assert result.exit_code == 0 and result.stderr == "" and len(rows) == 7
    assert [Path(row["file"]).name for row in rows] == ["a.png", *["c.mp4"] * 5, "b.jpg"]
    for row in rows:
        at_the_spots(row)


def test_options_reach_the_estimator(model, sources, monkeypatch):
    asked = []
    made = HeatmapEstimator.__init__

    def spy(self, model=None, **options):
        asked.append((model, options))
        made(self, model, **options)

    monkeypatch.setattr(HeatmapEstimator, "__init__", spy)
    words = ["--conf-threshold", 0.9, "--no-smooth", "--no-track", "--device", "cpu", "--json"]
    (row,) = lines(signlang("detect", sources / "a.png", "--model", model, *words).stdout)
    assert asked == [(str(model), {"device": "cpu", "confidence": 0.9, "smooth": False, "track": False})]
    assert all(point == {"name": point["name"], "x": None, "y": None, "score": 0.0} for point in row["keypoints"])


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("grey.png", Image.fromarray(spots().max(axis=2))),
        ("rgba.png", Image.fromarray(np.dstack([spots(), np.full((90, 160), 128, np.uint8)]))),
        ("deep.png", Image.fromarray(spots().max(axis=2).astype(np.uint16) * 257)),
        ("one.png", Image.new("RGB", (1, 1), (90, 20, 20))),
        ("palette.gif.bmp", Image.fromarray(spots()).quantize(64)),
    ],
)
def test_pictures_of_every_kind(model, tmp_path, name, picture):
    picture.save(tmp_path / name)
    result = signlang(
        "detect", tmp_path / name, "--model", model, "--out", tmp_path / "out", "--json", "--conf-threshold", 0.2
    )
    (row,) = lines(result.stdout)
    assert result.exit_code == 0 and row["size"] == list(picture.size)
    (overlay,) = [path for path in (tmp_path / "out").iterdir() if path.suffix == ".png"]
    drawn = read_image(overlay)
    assert drawn.shape == (*picture.size[::-1], 3)
    if name == "deep.png":  # 16 bits keep their shades
        assert 60 < drawn[34, 64].max() <= 255 and drawn[80, 150].max() == 0
    if name in ("rgba.png", "palette.gif.bmp"):
        at_the_spots(row)


def test_a_picture_that_is_shown_turned(model, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise by 90 degrees
    Image.fromarray(np.rot90(spots())).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    result = signlang("detect", tmp_path / "turned.jpg", "--model", model, "--json", "--conf-threshold", 0.2)
    (row,) = lines(result.stdout)
    at_the_spots(row)


def test_points_of_a_video_are_those_of_extract(model, sources, tmp_path, monkeypatch):
    # In this process, where the network finds spots.
    monkeypatch.setattr("signlang_hf.pose.extract_folder", partial(extract_folder, progress=False))
    monkeypatch.setattr("signlang_hf.pose.extraction.Worker", Here)
    words = ["--estimator", "heatmap", "--model", model]
    done = signlang("extract", sources / "c.mp4", "--out", tmp_path / "landmarks", *words)
    assert done.exit_code == 0, done.output
    landmarks = load_landmarks(tmp_path / "landmarks" / "c.npz")
    assert landmarks.layout == "signlang-64" and landmarks.size == (160, 90)
    rows = lines(signlang("detect", sources / "c.mp4", "--model", model, "--json").stdout)
    found = np.array([[(p["x"], p["y"]) for p in row["keypoints"]] for row in rows], float)
    np.testing.assert_allclose(landmarks.data[..., :2] * landmarks.size, found, atol=0.01)
    settings = json.loads((tmp_path / "landmarks" / "settings.json").read_text())
    assert settings["estimator_options"] == {"model": str(model)}


def test_options_of_the_other_estimator_are_refused(model, sources, tmp_path):
    words = ["extract", sources, "--out", tmp_path / "no", "--model", model]
    for more in (["--face"], ["--world"], ["--backend", "solutions"]):
        wrong = signlang(*words, "--estimator", "heatmap", *more)
        assert wrong.exit_code == 2 and "are MediaPipe's" in unboxed(wrong.stderr)
    wrong = signlang(*words)
    assert wrong.exit_code == 2 and "go with --estimator heatmap" in unboxed(wrong.stderr)
    refused(signlang(*words, "--estimator", "nose"), "Unknown pose estimator 'nose'")
    assert not (tmp_path / "no").exists()


# -------------------------------------------------------------------------------------------------------------- what is wrong


def test_a_file_that_cannot_be_read_is_reported_and_skipped(model, sources, tmp_path):
    (sources / "b.mp4").write_bytes(b"no video at all")
    (sources / "torn.png").write_bytes((sources / "a.png").read_bytes()[:200])
    words = ["detect", sources, tmp_path / "none.jpg", "--model", model, "--out", tmp_path / "out"]
    result = signlang(*words)
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 3
    said = result.stderr.splitlines()
    assert len(said) == 4 and said[-1] == "signlang: 3 of 6 files could not be read."
    for name in ("b.mp4", "torn.png", "none.jpg"):
        assert sum(name in line for line in said) == 1
    assert not (tmp_path / "out" / "torn.png").exists() and not (tmp_path / "out" / "b.mp4").exists()
    assert not [path for path in (tmp_path / "out").rglob("*") if ".tmp" in path.name]
    assert signlang(*words, "--strict").exit_code == 1
    refused(signlang("detect", sources / "b.mp4", "--model", model, "--out", tmp_path / "out"), "b.mp4 is not a video")
    as_json = signlang("detect", sources / "b.mp4", sources / "a.png", "--model", model, "--json")
    failed, fine = lines(as_json.stdout)
    assert [*failed] == ["file", "error"] and "keypoints" in fine and as_json.exit_code == 0


def test_a_source_is_never_written_over(model, sources, tmp_path):
    before = {path: path.read_bytes() for path in sources.rglob("*") if path.is_file()}
    refused(signlang("detect", sources, "--model", model, "--out", sources), "would be written over")
    assert {path: path.read_bytes() for path in sources.rglob("*") if path.is_file()} == before
    twin = tmp_path / "twin"
    twin.mkdir()
    (twin / "a.png").write_bytes((sources / "a.png").read_bytes())
    both = signlang("detect", sources / "a.png", twin / "a.png", "--model", model, "--out", tmp_path / "out")
    refused(both, "would both write")
    (sources / "c.png").write_bytes((sources / "a.png").read_bytes())  # beside c.mp4
    assert signlang("detect", sources, "--model", model, "--out", tmp_path / "out").exit_code == 0
    assert {"c.png.png", "c.png.jsonl", "c.mp4.mp4", "c.mp4.jsonl"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }


def test_models_that_are_none(sources, tmp_path):
    refused(signlang("detect", sources, "--model", tmp_path / "nowhere", "--json"), "Model folder not found")
    signs = save_tiny_model(tmp_path / "signs", layout="isl-48")
    refused(signlang("detect", sources, "--model", signs, "--json"), "is a signlang_transformer model")


def test_a_folder_without_pictures(model, tmp_path):
    refused(signlang("detect", tmp_path, "--model", model, "--json"), "There is no picture or video in")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Give pictures or videos, or --webcam"),
        (["a.png", "--webcam"], "Give pictures or videos, or --webcam"),
        (["a.png"], "--out, --show or --json"),
        (["--webcam", "--out", "x"], "go with files"),
        (["a.png", "--json", "--conf-threshold", "2"], "--conf-threshold"),
    ],
)
def test_a_wrong_command_line(words, said):
    result = signlang("detect", *words)
    assert result.exit_code == 2 and said in unboxed(result.stderr) and result.stdout == ""


# -------------------------------------------------------------------------------------------------------- windows and cameras


class Pane:
    """A window of which a test sees the pictures; closed by its person after ``patience`` of them."""

    opened: list[Pane]
    patience = 10**6

    def __init__(self, *_: object) -> None:
        self.pictures: list[np.ndarray] = []
        self.opened.append(self)

    def __enter__(self) -> Pane:
        return self

    def __exit__(self, *error: object) -> None: ...

    def show(self, frame: np.ndarray) -> bool:
        self.pictures.append(frame)
        return len(self.pictures) < self.patience


@pytest.fixture
def pane(monkeypatch):
    class Made(Pane):
        pass

    Made.opened = []

    monkeypatch.setattr("signlang_hf.video.window.open_window", Made)
    monkeypatch.setattr("signlang_hf.pipelines.detection_files.time.sleep", lambda seconds: None)
    return Made


def test_a_window_shows_every_frame_until_it_is_closed(model, sources, pane):
    pane.patience = 12  # seven frames, and a while for the last
    result = signlang("detect", sources, "--model", model, "--show", "--conf-threshold", 0.2)
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 3
    (window,) = pane.opened
    assert len(window.pictures) == 12
    assert (window.pictures[0] != spots()).any()  # with a skeleton
    np.testing.assert_array_equal(window.pictures[11], window.pictures[6])
    pane.patience = 3
    assert len(signlang("detect", sources, "--model", model, "--show", "--json").stdout.splitlines()) == 7
    assert len(pane.opened[1].pictures) == 3


def test_a_large_picture_is_made_to_fit(pane):
    window = pane()
    Slideshow(window).show(np.zeros((3000, 4000, 3), np.uint8))
    assert window.pictures[0].shape == (720, 960, 3)


def test_without_a_display_there_is_no_window(model, sources, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    result = signlang("detect", sources / "a.png", "--model", model, "--show", "--out", tmp_path / "out")
    assert result.exit_code == 0 and result.stderr == "signlang: there is no display to show anything on.\n"
    assert (tmp_path / "out" / "a.png").is_file()


@pytest.fixture
def device(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    return make_up_camera(monkeypatch)


def test_a_camera(model, device, pane):
    device(1.0)
    pane.patience = 10
    result = signlang("detect", "--webcam", "--model", model, "--conf-threshold", 0.2)
    assert result.exit_code == 0 and result.stderr == "" and len(pane.opened[0].pictures) == 10
    assert pane.opened[0].pictures[0].shape == (HEIGHT, WIDTH, 3)
    device(1.0, then=KeyboardInterrupt)
    as_json = signlang("detect", "--webcam", "--model", model, "--json", "--conf-threshold", 0.2)
    rows = lines(as_json.stdout)
    assert as_json.exit_code == 0 and len(pane.opened) == 1 and len(rows) > 15
    assert [row["frame"] for row in rows] == list(range(len(rows))) and rows[0]["size"] == [WIDTH, HEIGHT]
    assert all(one["seconds"] < other["seconds"] for one, other in pairwise(rows))


def test_a_video_in_place_of_a_camera(model, sources, device):
    result = signlang("detect", "--webcam", "--camera", sources / "c.mp4", "--model", model, "--conf-threshold", 0.2)
    assert result.exit_code == 0 and result.stderr == ""
    rows = lines(
        signlang(
            "detect", "--webcam", "--camera", sources / "c.mp4", "--model", model, "--json", "--conf-threshold", 0.2
        ).stdout
    )
    assert len(rows) == 5
    at_the_spots(rows[-1])


def test_a_camera_that_does_not_open(model, device):
    device(1.0)
    missing = signlang("detect", "--webcam", "--camera", 1, "--model", model)
    assert missing.exit_code == 1 and missing.stdout.strip() == "" and missing.stderr.count("\n") == 1
    assert missing.stderr.startswith("signlang: Camera 1 cannot be opened")
    refused(signlang("detect", "--webcam", "--camera", "none.mp4", "--model", model, "--json"), "none.mp4")


def test_the_function_behind_it(model, sources):
    seen = []
    estimator = HeatmapEstimator(model, confidence=0.2)
    rows = list(detect_files(estimator, [str(sources)], done=lambda row, frame: seen.append(frame), draw=False))
    assert [row["frames"] for row in rows] == [1, 5, 1] and all(row["seen"] == 1 for row in rows)
    assert [*rows[0]] == ["file", "frames", "seen"]
    np.testing.assert_array_equal(seen[0], spots())  # bare frames, as asked
