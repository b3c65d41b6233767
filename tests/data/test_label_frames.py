"""Frames with a teacher's points: which frames, which points, what a run leaves behind, and what the next run makes of it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from signlang_hf.cli import app
from signlang_hf.data import load_dataset, validate_folder
from signlang_hf.data.contact_sheet import write_contact_sheet
from signlang_hf.data.frame_choice import choose_frames, pose_descriptors
from signlang_hf.data.keypoint_labels import POINTS, write_label
from signlang_hf.data.label_frames import label_frames, teacher_keypoints
from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.pose import Detection, PoseEstimator
from signlang_hf.video import write_video

HOLISTIC, TARGET = get_layout("mediapipe-holistic"), get_layout("signlang-64")
SIZE = (64, 48)
HAND = np.stack([np.linspace(0, 0.08, 21), np.linspace(0, -0.12, 21) ** 2 * 8], axis=1)
ARMS = {
    "nose": (0.5, 0.2), "left_shoulder": (0.65, 0.4), "right_shoulder": (0.35, 0.4), "left_elbow": (0.7, 0.6),
    "right_elbow": (0.3, 0.6), "left_wrist": (0.6, 0.7), "right_wrist": (0.4, 0.7), "left_hip": (0.6, 0.9),
    "right_hip": (0.4, 0.9), "left_knee": (0.6, 1.3), "left_ear": (0.55, 0.2),
}  # fmt: skip


class ColourTeacher(PoseEstimator):
    """Sees a signer whose right hand is as high as the picture is red; green hides the hand, and black is nobody."""

    layout = "mediapipe-holistic"
    frames = 0

    def reset(self) -> None:
        pass

    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        ColourTeacher.frames += 1
        red, green, blue = frame.reshape(-1, 3).mean(axis=0) / 255
        data, visibility = np.full((75, 3), np.nan, np.float32), np.zeros(75, np.float32)
        if max(red, green, blue) < 0.05:
            return Detection(data, visibility)
        points = dict(ARMS)
        points["right_wrist"] = (0.4, 0.9 - 0.6 * red)
        for side, shown in (("left", True), ("right", green < 0.3)):
            if shown:
                hand = HAND + points[f"{side}_wrist"]
                points |= dict(zip(HOLISTIC.points[33:54] if side == "left" else HOLISTIC.points[54:], hand))
        for name, xy in points.items():
            data[HOLISTIC.index[name]] = (*xy, 0)
            visibility[HOLISTIC.index[name]] = 0.3 if name == "left_ear" else 0.9
        return Detection(data, visibility)


def colour_teacher(**options) -> ColourTeacher:
    return ColourTeacher()


def clip(path, colours, size=SIZE):
    frames = np.stack([np.full((size[1], size[0], 3), colour, np.uint8) for colour in colours])
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, frames)


def red(*values):
    return [(value, 20, 60) for value in values]


@pytest.fixture
def videos(tmp_path):
    """Five videos: two that move, one that stands still, one of nobody, and one that is none."""
    folder = tmp_path / "clips"
    clip(folder / "anna" / "up.mp4", red(*range(20, 240, 10)))
    clip(folder / "ben" / "up.mp4", [*red(40, 120, 200), (120, 200, 60), (200, 200, 60)])
    clip(folder / "still.mp4", red(*[128] * 12))
    clip(folder / "nobody.mp4", [(0, 0, 0)] * 4)
    (folder / "broken.mp4").write_bytes(b"this is no video")
    return folder


def run(videos, out, **options):
    options = {"estimator": "test_label_frames:colour_teacher", "num_workers": 0, "progress": False, **options}
    return label_frames(videos, out, **options)


def labels(out):
    return {file.stem: json.loads(file.read_text()) for file in sorted((out / "labels").iterdir())}


# -------------------------------------------------------------------------------------------------------- which frames


def arm_clip(heights):
    """(T, 64, 2) pixels: a signer 100 pixels wide with the right wrist at these heights, one hand that goes along."""
    keypoints = np.full((len(heights), 64, 2), np.nan)
    for name, xy in ARMS.items():
        keypoints[:, TARGET.index[name]] = np.array(xy) * 300
    for t, height in enumerate(heights):
        keypoints[t, TARGET.index["right_wrist"]] = 100, height
        keypoints[t, list(TARGET.parts["right_hand"])] = HAND * 300 + (100, height)
    return keypoints


def test_frames_that_differ_are_chosen_not_evenly_spaced_ones():
    """A signer at rest for 90 frames and in motion for 10: evenly spaced, one of ten frames would show the motion."""
    heights = np.concatenate([np.full(90, 250.0), np.linspace(240, 60, 10)])
    keypoints = arm_clip(heights)
    for seed in range(5):
        chosen = choose_frames(keypoints, TARGET, 10, seed=seed)
        assert len(chosen) == 10 and (np.diff(chosen) > 0).all()
        assert (chosen >= 90).sum() >= 9
        poses = pose_descriptors(keypoints, TARGET)
        even = np.linspace(0, 99, 10).round().astype(int)
        gap = [np.linalg.norm(poses[:, None] - poses[picks], axis=2).min(1).max() for picks in (chosen, even)]
        assert gap[0] < 0.5 * gap[1], "every pose of the clip has a chosen one near it"


def test_size_and_place_of_the_signer_do_not_make_a_difference():
    keypoints = arm_clip(np.linspace(250, 60, 20))
    poses = pose_descriptors(keypoints, TARGET)
    assert np.allclose(pose_descriptors(keypoints * 3 + (17, -40), TARGET), poses)
    assert choose_frames(keypoints * 3 + 9, TARGET, 5).tolist() == choose_frames(keypoints, TARGET, 5).tolist()


def test_a_hand_that_comes_makes_a_difference_and_a_hidden_knee_none():
    keypoints = arm_clip([200.0] * 3)
    keypoints[1, list(TARGET.parts["right_hand"])] = np.nan
    keypoints[2, TARGET.index["left_elbow"]] = np.nan
    poses = pose_descriptors(keypoints, TARGET)
    assert np.linalg.norm(poses[0] - poses[1]) > 0.4 and np.allclose(poses[0], poses[2])


def test_clips_with_little_to_choose_from():
    still = arm_clip([200.0] * 30)
    assert len(choose_frames(still, TARGET, 10)) == 1
    assert len(choose_frames(still, TARGET, 10, least_distance=-1)) == 10
    nobody = np.full((5, 64, 2), np.nan)
    assert len(choose_frames(nobody, TARGET, 10)) == 0
    nobody[3, :8] = 5
    assert choose_frames(nobody, TARGET, 10).tolist() == [3], "without shoulders, too"
    moving = arm_clip(np.linspace(250, 60, 6))
    assert choose_frames(moving, TARGET, 40).tolist() == [0, 1, 2, 3, 4, 5]


# --------------------------------------------------------------------------------------------------------- which points


def test_points_that_are_not_to_be_trusted_are_not_visible():
    detection = ColourTeacher().detect(np.full((4, 4, 3), (100, 0, 0), np.uint8), 0.0)
    data, visibility = detection.data[None].repeat(3, 0), detection.visibility[None].repeat(3, 0)
    data[1, 54:, 0] += 0.4  # a hand that is not at the end of its arm
    data[2, 54:] = np.nan
    sequence = LandmarkSequence(data, "mediapipe-holistic", visibility=visibility, fps=25, size=(200, 100))
    found = teacher_keypoints(sequence, 0.5)
    seen = ~np.isnan(found[..., 0])
    assert found.shape == (3, 64, 2) and np.allclose(found[0, TARGET.index["left_shoulder"]], (130, 40))
    assert np.allclose(found[0, TARGET.index["face_nose"]], found[0, 0])
    for name, visible in {"nose": True, "left_knee": False, "left_ear": False, "right_eye": False}.items():
        assert seen[:, TARGET.index[name]].tolist() == [visible] * 3, name
    assert seen[:, list(TARGET.parts["right_hand"])].all(1).tolist() == [True, False, False]
    assert not seen[1:, list(TARGET.parts["right_hand"])].any() and seen[:, list(TARGET.parts["left_hand"])].all()
    assert (~np.isnan(teacher_keypoints(sequence, 0.2)[..., 0]))[:, TARGET.index["left_ear"]].all()


# -------------------------------------------------------------------------------------------------------------- the run


def test_a_folder_of_videos_becomes_a_dataset(videos, tmp_path, cache_folder):
    report = run(videos, tmp_path / "set", frames_per_clip=8)
    rows = {row["source"]: row for row in report.rows}
    assert {name: len(row["images"]) for name, row in rows.items()} == {
        "anna/up.mp4": 8, "ben/up.mp4": 5, "still.mp4": 1, "nobody.mp4": 0, "broken.mp4": 0,
    }  # fmt: skip
    assert [name for name, _ in report.failures] == ["broken.mp4"] and (report.labelled, report.skipped) == (5, 0)
    assert ("nobody.mp4", "nobody was found in it, so it gives no image.") in report.warnings
    assert "14 images of 5 videos" in str(report) and "failed   broken.mp4" in str(report)
    written = labels(tmp_path / "set")
    assert {label["source"] for label in written.values()} == {"anna/up.mp4", "ben/up.mp4", "still.mp4"}
    assert set(written) == {name.removesuffix(".jpg") for row in report.rows for name in row["images"]}
    assert all(name.startswith(("anna__up_0", "ben__up_0", "still_0")) for name in written)
    assert validate_folder(tmp_path / "set").faults == []
    splits = load_dataset("keypoint_images", tmp_path / "set", cache_dir=cache_folder)
    assert sum(map(len, splits.values())) == 14
    assert not set(splits["train"]["source"]) & set(splits["validation"]["source"])


def test_a_label_belongs_to_its_frame(videos, tmp_path):
    run(videos, tmp_path / "set", frames_per_clip=22)
    written = labels(tmp_path / "set")
    for stem, label in written.items():
        points = {point["name"]: point for point in label["keypoints"]}
        with Image.open(tmp_path / "set" / "images" / label["image"]) as image:
            mean = np.asarray(image).reshape(-1, 3).mean(axis=0) / 255
        assert (label["width"], label["height"]) == SIZE and len(points) == 64
        expected = (0.9 - 0.6 * mean[0]) * SIZE[1]
        assert points["right_wrist"]["y"] == pytest.approx(expected, abs=0.6), stem
        assert points["right_hand_wrist"]["visible"] == (mean[1] < 0.3), stem
        assert points["left_knee"] == {"name": "left_knee", "x": None, "y": None, "visible": 0}
    assert len({label["keypoints"][10]["y"] for label in written.values()}) > 15


def test_large_frames_are_made_smaller_with_their_points(tmp_path):
    clip(tmp_path / "clips" / "large.mp4", red(60, 200), size=(200, 120))
    run(tmp_path / "clips", tmp_path / "set", max_size=50)
    for label in labels(tmp_path / "set").values():
        assert (label["width"], label["height"]) == (50, 30)
        shoulder = label["keypoints"][POINTS.index("left_shoulder")]
        assert shoulder["x"] == pytest.approx(0.65 * 50, abs=1e-3) and shoulder["y"] == pytest.approx(12, abs=1e-3)
    assert validate_folder(tmp_path / "set").ok


def test_videos_of_a_folder_can_stay_together(videos, tmp_path):
    clip(videos / "anna" / "more.mp4", red(30, 100, 220))
    run(videos, tmp_path / "set", split_by="folder")
    assert {label["source"] for label in labels(tmp_path / "set").values()} == {"anna", "ben", "."}


def test_a_second_run_does_nothing_and_a_changed_video_is_done_again(videos, tmp_path):
    out = tmp_path / "set"
    run(videos, out, frames_per_clip=3)
    before, seen = {path: path.stat().st_mtime_ns for path in out.rglob("*.jp*g")}, ColourTeacher.frames
    report = run(videos, out, frames_per_clip=3)
    # The one that failed is tried again.
    assert (report.labelled, report.skipped) == (1, 4) and ColourTeacher.frames == seen
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.jp*g")} == before
    clip(videos / "still.mp4", red(30, 200, 100, 60))
    shutil.copy(videos / "ben" / "up.mp4", videos / "broken.mp4")
    report = run(videos, out, frames_per_clip=3)
    assert (report.labelled, report.skipped) == (2, 3) and not report.failures
    assert len([name for name in labels(out) if name.startswith("still")]) == 3 and validate_folder(out).ok


def test_other_frames_cost_no_second_look(videos, tmp_path):
    out = tmp_path / "set"
    run(videos, out, frames_per_clip=3)
    seen, first = ColourTeacher.frames, set(labels(out))
    report = run(videos, out, frames_per_clip=5)
    assert ColourTeacher.frames == seen and report.images == 11 == len(labels(out)) == len(list(out.glob("images/*")))
    run(videos, out, frames_per_clip=3)
    assert set(labels(out)) == first
    run(videos, out, frames_per_clip=3, seed=5)
    assert set(labels(out)) != first
    with pytest.raises(ValueError, match="was extracted with other settings"):
        run(videos, out, fps=5)
    assert run(videos, out, fps=5, resume=False).images < 11


def test_a_run_that_was_stopped_goes_on(videos, tmp_path, monkeypatch):
    import signlang_hf.data.label_frames as module

    out, count = tmp_path / "set", 0

    def stopped(*arguments, **options):
        nonlocal count
        count += 1
        if count == 6:
            raise KeyboardInterrupt
        return write_label(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_label", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(videos, out, frames_per_clip=4)
    with (out / "frames.jsonl").open("a") as stream:
        stream.write('{"source": "ben/u')
    assert len(labels(out)) == 5
    shutil.copytree(out, tmp_path / "other")
    report = run(videos, out, frames_per_clip=4)
    assert report.skipped == 1 and report.images == len(labels(out)) == len(list((out / "images").glob("*.jpg"))) == 9
    assert validate_folder(out).ok
    report = run(videos, tmp_path / "other", frames_per_clip=3, seed=4)
    assert report.images == len(labels(tmp_path / "other")) == 7, "what other settings had begun is gone"


def test_a_video_that_reads_differently_the_second_time_leaves_nothing(videos, tmp_path, monkeypatch):
    import signlang_hf.data.label_frames as module

    out = tmp_path / "set"
    frames = module._frames
    monkeypatch.setattr(module, "_frames", lambda *arguments: list(frames(*arguments))[:-1])
    report = run(videos, out, frames_per_clip=4)
    assert dict(report.failures)["anna/up.mp4"] == "anna/up.mp4 gave 3 of 4 frames when it was read again."
    assert report.images == 0 and not labels(out) and not (out / "contact_sheet.png").exists()


def test_images_that_were_deleted_are_made_again(videos, tmp_path):
    out = tmp_path / "set"
    run(videos, out, frames_per_clip=3)
    next((out / "images").glob("anna*")).unlink()
    report = run(videos, out, frames_per_clip=3)
    assert report.labelled == 2 and len(list((out / "images").glob("anna*"))) == 3


def test_videos_whose_names_differ_in_their_suffix_or_folder_alone(tmp_path):
    clip(tmp_path / "clips" / "a" / "b.mp4", red(30, 200))
    clip(tmp_path / "clips" / "a__b.mp4", red(30, 200, 120))
    shutil.copy(tmp_path / "clips" / "a" / "b.mp4", tmp_path / "clips" / "a" / "b.m4v")
    report = run(tmp_path / "clips", tmp_path / "set")
    assert not report.failures and report.images == 7 == len(labels(tmp_path / "set"))
    assert run(tmp_path / "clips", tmp_path / "set").skipped == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames_per_clip": 0}, "frames_per_clip is 0; it must be a whole number from 1"),
        ({"max_size": 0.5}, "max_size is 0.5"),
        ({"min_confidence": 2}, "min_confidence is 2; it must be from 0 to 1"),
        ({"split_by": "signer"}, "split_by is 'signer'; choose video or folder"),
        ({"estimator": "eye"}, "Unknown pose estimator 'eye'"),
    ],
)
def test_what_cannot_be_done_says_so(videos, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(videos, tmp_path / "set", **options)


def test_the_dataset_does_not_go_among_the_videos(videos):
    with pytest.raises(ValueError, match="where the dataset should go; give another folder"):
        run(videos, videos)
    with pytest.raises(FileNotFoundError, match="Folder of videos not found"):
        run(videos / "none", videos / "out")


# ----------------------------------------------------------------------------------------------------------- the pictures


def test_the_contact_sheet_shows_points_where_they_are(tmp_path):
    (tmp_path / "images").mkdir()
    points = np.full((64, 2), np.nan)
    points[TARGET.index["left_shoulder"]], points[TARGET.index["right_shoulder"]] = (300, 200), (100, 200)
    points[TARGET.index["right_hand_wrist"]], points[TARGET.index["nose"]] = (200, 100), (200, 280)
    for stem in "abc":
        Image.new("RGB", (400, 300), (40, 40, 40)).save(tmp_path / "images" / f"{stem}.png")
        write_label(tmp_path, f"{stem}.png", (400, 300), points)
    file = write_contact_sheet(tmp_path, {"one": ["a.png", "b.png"], "two": ["c.png"], "none": []}, tmp_path / "s.png")
    sheet = np.asarray(Image.open(file)).astype(int)
    assert sheet.shape == (600, 600, 3)
    # Shown is x 84 to 316, y 84 to 296, the larger side in 300 pixels; the title covers the foot of a row's first tile.
    scale = 300 / 232
    x, y = round((200 - 84) * scale), round((200 - 84) * scale)
    for top, left in ((0, 0), (0, 300), (300, 0)):
        assert sheet[top + y, left + x, 2] > 120, "the line between the shoulders"
        assert sheet[top + round(16 * scale), left + x, 0] > 150, "the hand's wrist"
        assert (sheet[top + 60, left + 30] == 40).all()
    assert (sheet[300:, 300:] == 255).all() and not (sheet[240:270, 20:290] == sheet[240:270, 320:590]).all()


def test_a_sheet_of_many_groups_is_not_endless(videos, tmp_path):
    out = tmp_path / "set"
    run(videos, out, frames_per_clip=9)
    report = run(videos, out, frames_per_clip=9)
    groups = {row["source"]: row["images"] for row in report.rows}
    sheet = Image.open(write_contact_sheet(out, groups, tmp_path / "sheet.png", columns=3, most_rows=2))
    assert sheet.size == (900, 600) and (out / "contact_sheet.png").is_file()
    with pytest.raises(ValueError, match="There is no labelled image"):
        write_contact_sheet(out, {"a": []}, tmp_path / "sheet.png")


# ------------------------------------------------------------------------------------------------------------- the command


def command(*words):
    return CliRunner().invoke(app, ["label-frames", *map(str, words)])


def test_the_command(videos, tmp_path, monkeypatch):
    import signlang_hf.data.label_frames as module

    monkeypatch.setattr(module, "extract_folder", lambda *a, **o: extract(*a, **{**o, "num_workers": 0}))
    from signlang_hf.pose import extract_folder as extract

    words = (
        videos,
        "--out",
        tmp_path / "set",
        "--estimator",
        "test_label_frames:colour_teacher",
        "--frames-per-clip",
        4,
    )
    result = command(*words, "--json", "--estimator-options", '{"backend": "tasks"}')
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["images"], found["failed"], found["labelled"]) == (9, 1, 5)
    assert {row["source"]: row["images"] for row in found["videos"]}["anna/up.mp4"] == 4
    again = command(*words, "--estimator-options", '{"backend": "tasks"}', "--strict")
    assert again.exit_code == 1 and "failed   broken.mp4" in again.stderr and again.stdout == ""
    wrong = command(*words, "--estimator-options", "[1]")
    assert wrong.exit_code == 1 and "--estimator-options must be a JSON object" in wrong.stderr


def test_real_clips_with_mediapipe(clips, tmp_path):
    """The teacher at work on one real clip: hands found, points on the signer."""
    pytest.importorskip("mediapipe")
    from signlang_hf.pose.mediapipe import has_solutions

    options = {}
    if not has_solutions():
        folder = clips.parent / "mediapipe-tasks"
        if not folder.is_dir():
            pytest.skip(f"MediaPipe's models not found: {folder}")
        options = {part: str(next(folder.glob(f"{part.split('_')[0]}_landmarker*.task"))) for part in ("pose_model", "hand_model")}  # fmt: skip
    if not (clips / "isl_are_you_free_today.mp4").is_file():
        pytest.skip(f"real clips not found: {clips}")
    source = clips / "isl_are_you_free_today.mp4"
    report = label_frames(
        source, tmp_path / "set", frames_per_clip=6, fps=8, num_workers=0, estimator_options=options, progress=False
    )
    assert report.images == 6 and not report.failures
    seen = np.array([[p["visible"] for p in label["keypoints"]] for label in labels(tmp_path / "set").values()])
    assert seen[:, TARGET.indices(("nose", "left_shoulder", "right_shoulder"))].all()
    assert seen[:, list(TARGET.parts["right_hand"])].all(1).mean() >= 0.5
    assert not seen[:, TARGET.indices(("left_ankle", "right_ankle"))].any()
