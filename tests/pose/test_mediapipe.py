"""MediaPipe on real sign videos: hands are found, both interfaces agree, left is the signer's left, clips do not mix."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.landmarks import get_layout, load_landmarks
from signlang_hf.pose import MediaPipeEstimator, estimate_frames, estimate_video, extract_folder
from signlang_hf.pose.mediapipe import has_solutions
from signlang_hf.pose.tasks import TasksEngine, assign_sides, find_bundle
from signlang_hf.video import VideoWarning, as_video, read_video

pytest.importorskip("mediapipe")
pytestmark = pytest.mark.filterwarnings("ignore:SymbolDatabase")  # MediaPipe's use of protobuf
SOLUTIONS = has_solutions()
BACKENDS = [pytest.param("solutions", marks=pytest.mark.skipif(not SOLUTIONS, reason="this MediaPipe has no mp.solutions")), "tasks"]  # fmt: skip
MSL = ("ambulancia_001", "doctor_001", "dolor_001", "hoy_001", "yo_001")


@pytest.fixture(scope="session")
def bundles(signlang_data):
    folder = signlang_data / "mediapipe-tasks"
    return {"pose_model": folder / "pose_landmarker_full.task", "hand_model": folder / "hand_landmarker.task"}


@pytest.fixture(scope="session")
def estimators(bundles):
    made = {}

    def get(backend):
        if backend not in made:
            made[backend] = MediaPipeEstimator(backend, world=True, **(bundles if backend == "tasks" else {}))
        return made[backend]

    yield get
    for estimator in made.values():
        estimator.close()


@pytest.fixture(scope="session")
def extracted(clips, estimators):
    """Landmarks of a clip by backend; each is extracted once. Tasks looks at every second frame, to save time."""
    done = {}

    def get(backend, name):
        if (backend, name) not in done:
            fps = 15 if backend == "tasks" and SOLUTIONS else None
            done[backend, name] = estimate_video(clips / f"{name}.mp4", estimators(backend), fps=fps)
        return done[backend, name]

    return get


@pytest.mark.parametrize("name", MSL)
@pytest.mark.parametrize("backend", BACKENDS)
def test_hands_are_found_in_real_clips(extracted, backend, name):
    sequence = extracted(backend, name)
    assert sequence.layout == "mediapipe-holistic" and sequence.size == (1280, 720) and sequence.units == "image"
    hands = sequence.part_seen("left_hand") | sequence.part_seen("right_hand")
    assert hands.mean() >= 0.85
    assert sequence.part_seen("pose").mean() >= 0.95
    shoulders = sequence.visibility[:, sequence.spec.indices(["left_shoulder", "right_shoulder"])]
    assert shoulders.min() > 0.8
    assert sequence.fps == pytest.approx(30 if len(sequence) > 40 else 15, abs=0.3)


@pytest.mark.skipif(not SOLUTIONS, reason="needs both interfaces of MediaPipe")
@pytest.mark.parametrize("name", MSL)
def test_both_interfaces_agree(extracted, name):
    holistic, tasks = extracted("solutions", name), extracted("tasks", name)
    holistic = holistic.frames(np.abs(holistic.timestamps[:, None] - tasks.timestamps).argmin(axis=0))
    np.testing.assert_allclose(holistic.timestamps, tasks.timestamps, atol=1e-4)
    distance = np.linalg.norm(holistic.data[..., :2] - tasks.data[..., :2], axis=2)
    assert np.nanmedian(distance) < 0.03
    for hand in ("left_hand", "right_hand"):
        both = holistic.part_seen(hand) & tasks.part_seen(hand)
        if both.any():
            assert np.nanmedian(distance[both][:, list(holistic.spec.parts[hand])]) < 0.03, hand
        # A hand that one of them sees through the clip, the other does not miss altogether, nor take for the other one.
        assert abs(holistic.part_seen(hand).mean() - tasks.part_seen(hand).mean()) < 0.4, hand


@pytest.mark.parametrize("backend", BACKENDS)
def test_left_and_right_are_the_signers_own(clips, estimators, backend):
    """This signer uses the right hand only; in a mirror the same clip shows a left-handed one."""
    video = read_video(clips / "hoy_001.mp4", fps=8)
    mirrored = as_video(video.frames[:, :, ::-1].copy(), timestamps=video.timestamps)
    seen, mirror = (estimators(backend).estimate(clip) for clip in (video, mirrored))
    assert seen.part_seen("right_hand").mean() >= 0.75 and seen.part_seen("left_hand").mean() <= 0.1
    assert mirror.part_seen("left_hand").mean() >= 0.75 and mirror.part_seen("right_hand").mean() <= 0.1
    swapped = mirror.data[:, list(mirror.spec.mirror), :2] * (-1, 1) + (1, 0)
    distance = np.linalg.norm(seen.data[..., :2] - swapped, axis=2)
    assert np.nanmedian(distance[:, :33]) < 0.03
    assert np.nanmedian(distance[:, list(seen.spec.parts["right_hand"])]) < 0.03


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_clip_gives_the_same_landmarks_wherever_it_stands(clips, bundles, estimators, backend):
    clip = read_video(clips / "isl_are_you_free_today.mp4", fps=6)
    other = read_video(clips / "hoy_001.mp4", fps=3)
    with MediaPipeEstimator(backend, world=True, **(bundles if backend == "tasks" else {})) as fresh:
        alone = fresh.estimate(clip)
    used = estimators(backend)
    used.estimate(other)
    for _ in range(2):
        again = used.estimate(clip)
        np.testing.assert_array_equal(again.data, alone.data)
        np.testing.assert_array_equal(again.visibility, alone.visibility)
        np.testing.assert_array_equal(again.world, alone.world)


@pytest.mark.skipif(not SOLUTIONS, reason="this MediaPipe has no mp.solutions")
def test_without_a_face_holistic_gives_the_same_points(clips, estimators):
    """The face branch is cut out of the graph; body and hands must be those of the whole Holistic, bit for bit."""
    from mediapipe.python.solutions.holistic import Holistic

    video = read_video(clips / "isl_are_you_free_today.mp4", fps=10)
    ours = estimators("solutions").estimate(video)
    with Holistic(model_complexity=1) as holistic:
        for index, frame in enumerate(video.frames):
            result = holistic.process(frame)
            for part, found in (("pose", result.pose_landmarks), ("left_hand", result.left_hand_landmarks),
                                ("right_hand", result.right_hand_landmarks)):  # fmt: skip
                assert ours.part_seen(part)[index] == (found is not None)
                if found is not None:
                    theirs = np.array([(p.x, p.y, p.z) for p in found.landmark], np.float32)
                    np.testing.assert_array_equal(ours.data[index, list(ours.spec.parts[part])], theirs)


@pytest.mark.skipif(not SOLUTIONS, reason="this MediaPipe has no mp.solutions")
@pytest.mark.parametrize("face, points", [(True, 468), (478, 478)])
def test_face_mesh(clips, estimators, face, points):
    video = read_video(clips / "isl_are_you_free_today.mp4", fps=2)
    with MediaPipeEstimator("solutions", face=face) as estimator:
        sequence = estimator.estimate(video)
    assert sequence.layout == f"mediapipe-holistic-face{points}" and sequence.data.shape[1] == 75 + points
    assert sequence.part_seen("face").mean() > 0.7
    nose, tip = sequence.data[:, 0, :2], sequence.data[:, 75 + 1, :2]
    assert np.nanmedian(np.linalg.norm(nose - tip, axis=1)) < 0.05
    np.testing.assert_array_equal(sequence.data[:, :75], estimators("solutions").estimate(video).data)


@pytest.mark.parametrize("backend", BACKENDS)
def test_world_points(extracted, backend):
    sequence = extracted(backend, "hoy_001")
    assert sequence.world.shape == (len(sequence), 75, 4)
    body = sequence.world[:, :33]
    width = np.linalg.norm(body[:, 11, :3] - body[:, 12, :3], axis=1)
    assert 0.2 < np.median(width) < 0.5  # metres between the shoulders
    hips = (body[:, 23, :3] + body[:, 24, :3]) / 2
    assert np.abs(hips).max() < 0.05
    hand = sequence.world[:, list(sequence.spec.parts["right_hand"])]
    if backend == "tasks":
        palm = np.linalg.norm(hand[:, 0, :3] - hand[:, 9, :3], axis=1)
        assert 0.05 < np.nanmedian(palm) < 0.13  # from the wrist to the middle knuckle
    else:
        assert np.isnan(hand).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_nobody_in_the_picture(estimators, backend, recwarn):
    place = np.add.outer(np.arange(120), np.arange(160))
    frames = np.stack([np.repeat(((place + 5 * t) % 256).astype(np.uint8)[..., None], 3, axis=2) for t in range(8)])
    with pytest.warns(VideoWarning, match="No person was found in any of the 8 frames"):
        sequence = estimate_frames(frames, estimators(backend))
    assert np.isnan(sequence.data).all() and np.isnan(sequence.world).all() and len(sequence) == 8


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_picture_is_enough(clips, estimators, backend):
    frame = read_video(clips / "hoy_001.mp4", num_frames=1).frames[0]
    sequence = estimate_frames(frame, estimators(backend))
    assert len(sequence) == 1 and sequence.part_seen("right_hand").all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_terminal_stays_clean(clips, bundles, backend, capfd):
    frame = read_video(clips / "isl_are_you_free_today.mp4", num_frames=1).frames[0]
    with MediaPipeEstimator(backend, **(bundles if backend == "tasks" else {})) as estimator:
        for _ in range(2):
            estimate_frames(np.stack([frame] * 3), estimator)
    assert capfd.readouterr().err == ""


def test_batch_extraction_of_a_real_clip(clips, bundles, tmp_path, monkeypatch):
    """The default estimator in a worker process gives what it gives here."""
    monkeypatch.setenv(
        "SIGNLANG_MEDIAPIPE_TASKS", str(bundles["pose_model"].parent)
    )  # for a MediaPipe without Holistic
    path = clips / "isl_are_you_free_today.mp4"
    report = extract_folder(path, tmp_path, fps=5, progress=False)
    assert report.failures == [] and report.rows[0]["any_hand"] > 0.5 and report.rows[0]["pose"] == 1.0
    assert report.rows[0]["estimator"].startswith("mediapipe ")
    here = estimate_video(path, fps=5)
    np.testing.assert_array_equal(load_landmarks(tmp_path / "isl_are_you_free_today.npz").data, here.data)


def test_a_graph_that_failed_is_replaced(clips, bundles):
    """The clip's error is raised; the next clip gets a new graph."""
    frame = read_video(clips / "isl_are_you_free_today.mp4", num_frames=1).frames
    estimator = MediaPipeEstimator(**({} if SOLUTIONS else bundles))
    estimator.reset()
    broken = estimator._engine

    def fail(*_):
        raise RuntimeError("the graph has errors")

    broken.detect = fail
    with pytest.raises(RuntimeError, match="the graph has errors"):
        estimator.estimate(frame)
    assert estimator.estimate(frame).part_seen("pose").all() and estimator._engine is not broken
    estimator.close()


def test_the_default_backend(monkeypatch, bundles):
    assert MediaPipeEstimator().backend == ("solutions" if SOLUTIONS else "tasks")
    assert MediaPipeEstimator().description.startswith("mediapipe ")
    if SOLUTIONS:
        monkeypatch.setattr("signlang_hf.pose.mediapipe.has_solutions", lambda: False)
        assert MediaPipeEstimator().backend == "tasks"
        with pytest.raises(ImportError, match=r'has no mp\.solutions; use backend=.tasks., or pip install "mediapipe<'):
            MediaPipeEstimator("solutions").reset()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"backend": "opencv"}, "Unknown MediaPipe backend 'opencv'"),
        ({"face": 500}, "face is 500"),
        ({"model_complexity": 3}, "model_complexity is 3"),
        ({"backend": "tasks", "face": True}, "No face bundle is configured for MediaPipe Tasks"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MediaPipeEstimator(**options)


def test_mediapipe_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ImportError, match=r'needs MediaPipe: pip install "signlang-hf\[pose\]"'):
        MediaPipeEstimator().reset()


@pytest.mark.skipif(not SOLUTIONS, reason="this MediaPipe has no mp.solutions")
def test_a_model_that_cannot_be_downloaded(monkeypatch):
    from urllib.error import URLError

    from mediapipe.python.solutions import holistic

    def unreachable(complexity):
        raise URLError("no route to host")

    monkeypatch.setattr(holistic, "_download_oss_pose_landmark_model", unreachable)
    with pytest.raises(ConnectionError, match="model_complexity=2 needs a model that MediaPipe downloads"):
        MediaPipeEstimator("solutions", model_complexity=2).reset()


# ---------------------------------------------------------------------------------------------------- Tasks bundles


def test_bundles_by_path_variable_folder_and_hub(bundles, monkeypatch, tmp_path):
    for variable in ("SIGNLANG_POSE_LANDMARKER", "SIGNLANG_HAND_LANDMARKER", "SIGNLANG_MEDIAPIPE_TASKS"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(
        FileNotFoundError, match=r"needs a pose bundle: pass pose_model= .* or set SIGNLANG_POSE_LANDMARKER"
    ):
        MediaPipeEstimator("tasks").reset()
    with pytest.raises(FileNotFoundError, match=r"hand bundle not found: .*absent\.task"):
        find_bundle("hand", tmp_path / "absent.task")
    monkeypatch.setenv("SIGNLANG_MEDIAPIPE_TASKS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"No hand_landmarker\*\.task in"):
        find_bundle("hand", None)
    monkeypatch.setenv("SIGNLANG_MEDIAPIPE_TASKS", str(bundles["hand_model"].parent))
    assert find_bundle("hand", None) == bundles["hand_model"] and find_bundle("pose", None) == bundles["pose_model"]
    other = tmp_path / "other.task"
    other.write_bytes(b"x")
    monkeypatch.setenv("SIGNLANG_HAND_LANDMARKER", str(other))
    assert find_bundle("hand", None) == other
    assert find_bundle("hand", bundles["hand_model"]) == bundles["hand_model"]

    asked = []
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda repository, file: asked.append((repository, file)) or other
    )
    assert find_bundle("hand", "someone/models/hands/hand.task") == other
    assert find_bundle("pose", "hf://someone/models/pose.task") == other
    assert asked == [("someone/models", "hands/hand.task"), ("someone/models", "pose.task")]


def test_bundle_on_a_hub_that_does_not_answer():
    with pytest.raises(
        FileNotFoundError, match=r"bundle someone/models/hand\.task is neither a file nor on the Hub: \w+"
    ):
        find_bundle("hand", "someone/models/hand.task")


def test_a_file_that_is_no_bundle(bundles, tmp_path, capfd):
    (tmp_path / "bad.task").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="A MediaPipe Tasks bundle cannot be loaded"):
        MediaPipeEstimator("tasks", pose_model=tmp_path / "bad.task", hand_model=bundles["hand_model"]).reset()


def test_tasks_time_stamps_are_whole_increasing_milliseconds(bundles, monkeypatch):
    engine = TasksEngine(bundles["pose_model"], bundles["hand_model"], 75, (0.5, 0.5))
    asked = []

    class Model:
        def detect_for_video(self, image, milliseconds):
            asked.append(milliseconds)
            return type("Result", (), {"pose_landmarks": [], "hand_landmarks": []})()

        def close(self):
            pass

    engine.reset()
    engine._models = [Model(), Model()]
    for seconds in (0.0, 0.0002, 0.0004, 0.0331, 0.0334):
        engine.detect(np.zeros((4, 4, 3), np.uint8), seconds)
    assert asked[::2] == [0, 1, 2, 33, 34] and asked[::2] == asked[1::2]


# ------------------------------------------------------------------------------------------------ whose hand it is

SIZE = (1280, 720)


def person(left_wrist=(0.65, 0.7), right_wrist=(0.35, 0.7)):
    layout = get_layout("mediapipe-holistic")
    body = np.full((33, 3), 0.5, np.float32)
    for name, place in {"left_shoulder": (0.6, 0.4), "right_shoulder": (0.4, 0.4), "left_elbow": (0.63, 0.55),
                        "right_elbow": (0.37, 0.55), "left_wrist": left_wrist, "right_wrist": right_wrist}.items():  # fmt: skip
        body[layout.index[name], :2] = place
    return body


def hands_at(*wrists):
    return np.stack([np.broadcast_to(np.array((*wrist, 0.0)), (21, 3)) for wrist in wrists])


@pytest.mark.parametrize(
    "wrists, labels, expected",
    [
        ([(0.64, 0.7), (0.36, 0.7)], ["Left", "Right"], {"left": 0, "right": 1}),
        ([(0.36, 0.7), (0.64, 0.7)], ["Left", "Right"], {"left": 1, "right": 0}),  # the wrists outvote the labels
        ([(0.36, 0.7)], ["Left"], {"right": 0}),
        ([(0.64, 0.7), (0.63, 0.69)], ["Left", "Left"], {"left": 0}),  # one hand found twice
        ([(0.95, 0.1)], ["Left"], {}),  # somebody else's
        ([(0.64, 0.7), (0.95, 0.1), (0.36, 0.7)], ["Left", "Left", "Right"], {"left": 0, "right": 2}),
    ],
)
def test_the_bodys_wrists_decide(wrists, labels, expected):
    assert assign_sides(hands_at(*wrists), labels, [0.9] * len(labels), person(), SIZE) == expected


def test_labels_decide_where_the_wrists_meet_or_there_is_no_body():
    clasped = person((0.505, 0.6), (0.495, 0.6))
    assert assign_sides(hands_at((0.5, 0.6)), ["Left"], [0.9], clasped, SIZE) == {"left": 0}
    assert assign_sides(hands_at((0.5, 0.6)), ["Right"], [0.9], clasped, SIZE) == {"right": 0}
    nobody = np.full((33, 3), np.nan)
    two = hands_at((0.2, 0.5), (0.8, 0.5))
    assert assign_sides(two, ["Right", "Left"], [0.9, 0.8], nobody, SIZE) == {"right": 0, "left": 1}
    assert assign_sides(two, ["Right", "Right"], [0.6, 0.8], nobody, SIZE) == {"right": 1, "left": 0}
    three = hands_at((0.2, 0.5), (0.8, 0.5), (0.5, 0.5))
    assert assign_sides(three, ["Right", "Right", "Left"], [0.6, 0.8, 0.7], nobody, SIZE) == {"right": 1, "left": 2}
