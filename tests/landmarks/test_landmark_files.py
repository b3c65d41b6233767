"""Landmark files: exact round trips, real .pose files, and what happens with files that are not what they seem."""

import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.landmarks import (
    LandmarkSequence,
    get_layout,
    list_layouts,
    load_landmarks,
    register_layout,
    save_landmarks,
)
from signlang_hf.landmarks.files import atomic_write

BUILT_IN = [
    "mediapipe-holistic", "mediapipe-holistic-face468", "mediapipe-holistic-face478", "hands-42", "isl-48", "karsl-184",
    "signlang-64", "coco-wholebody-133", "gislr-543", "dgs-43", "boston-3", "kinect-20",
]  # fmt: skip


def clip(layout="mediapipe-holistic", frames=6, world=False, **options):
    rng = np.random.default_rng(7)
    points = len(get_layout(layout))
    data = rng.random((frames, points, 3)).astype(np.float32)
    data[rng.random((frames, points)) < 0.2] = np.nan
    visibility = rng.uniform(0.1, 1, (frames, points)).astype(np.float32)
    world = rng.normal(size=(frames, points, 4)) if world else None
    return LandmarkSequence(data, layout, visibility=visibility, world=world, **{"size": (640, 360), **options})


def assert_same(a, b):
    for field in ("data", "visibility", "timestamps", "world"):
        first, second = getattr(a, field), getattr(b, field)
        if first is None or second is None:
            assert first is second, field
        else:
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second, err_msg=field)
    assert (a.layout, a.fps, a.size, a.units) == (b.layout, b.fps, b.size, b.units)


# ------------------------------------------------------------------------------------------------------------- .npz


@pytest.mark.parametrize("layout", BUILT_IN)
def test_npz_round_trip_is_exact_in_every_layout(layout, tmp_path):
    sequence = clip(layout, fps=29.97)
    assert_same(sequence, load_landmarks(sequence.save(tmp_path / "a.npz")))


@pytest.mark.parametrize(
    "options",
    [
        {"size": None},
        {"units": "pixel"},
        {"units": "metre", "size": None},
        {"world": True},
        {"timestamps": np.array([0.5, 0.51, 0.6, 1.0, 1.7, 9.0]), "fps": 12.5},
        {"frames": 0},
        {"frames": 1},
    ],
)
def test_npz_keeps_all_fields(options, tmp_path):
    sequence = clip(**options)
    assert_same(sequence, LandmarkSequence.load(sequence.save(tmp_path / "new" / "folder" / "a.npz")))


def test_users_layout_travels_in_the_npz(tmp_path, monkeypatch):
    from signlang_hf.landmarks import layout as layouts

    monkeypatch.setattr(layouts, "_REGISTRY", dict(layouts._REGISTRY))
    register_layout("test-travels", ["left_hand_wrist", "right_hand_wrist", "hat"])
    sequence = LandmarkSequence(np.random.default_rng(0).random((2, 3, 3)), "test-travels")
    sequence.save(tmp_path / "a.npz")
    del layouts._REGISTRY["test-travels"]  # as in another process that never registered it
    assert "test-travels" not in list_layouts()
    loaded = load_landmarks(tmp_path / "a.npz")
    assert_same(sequence, loaded)
    assert loaded.spec.points == ("left_hand_wrist", "right_hand_wrist", "hat")


def test_npz_with_other_points_under_a_known_name_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", data=np.zeros((2, 3, 3)), layout="boston-3", points=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"a\.npz.*'boston-3' with other points"):
        load_landmarks(tmp_path / "a.npz")


def test_foreign_npz(tmp_path):
    data = np.random.default_rng(0).random((4, 42, 3))
    np.savez(tmp_path / "bare.npz", data=data)
    loaded = load_landmarks(tmp_path / "bare.npz", layout="hands-42", fps=30, size=(100, 50), units="pixel")
    np.testing.assert_array_equal(loaded.data, data.astype(np.float32))
    assert (loaded.fps, loaded.size, loaded.units) == (30, (100, 50), "pixel")
    with pytest.raises(ValueError, match="does not name its layout; pass layout="):
        load_landmarks(tmp_path / "bare.npz")
    with pytest.raises(ValueError, match=r"bare\.npz: .*42 points; the layout has 75"):
        load_landmarks(tmp_path / "bare.npz", layout="mediapipe-holistic")
    np.savez(tmp_path / "other.npz", keypoints=data)
    with pytest.raises(ValueError, match=r"no array 'data' \(it has keypoints\)"):
        load_landmarks(tmp_path / "other.npz", layout="hands-42")


def test_layout_argument_is_checked_against_the_file(tmp_path):
    clip("hands-42").save(tmp_path / "a.npz")
    assert load_landmarks(tmp_path / "a.npz", layout="hands-42").layout == "hands-42"
    with pytest.raises(ValueError, match="holds layout 'hands-42', not 'boston-3'"):
        load_landmarks(tmp_path / "a.npz", layout="boston-3")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", np.array([1, 2, 3])),
        ("size", np.array(5)),
        ("fps", np.array([1.0, 2.0])),
        ("fps", np.array(-1.0)),
        ("units", np.str_("furlong")),
        ("layout", np.str_("unheard-of")),
        ("timestamps", np.zeros(6)),
        ("visibility", np.zeros((6, 2))),
    ],
)
def test_npz_with_a_bad_field_names_the_file(field, value, tmp_path):
    fields = {"data": np.zeros((6, 3, 3)), "layout": np.str_("boston-3"), field: value}
    np.savez(tmp_path / "bad.npz", **fields)
    with pytest.raises(ValueError, match=r"bad\.npz: "):
        load_landmarks(tmp_path / "bad.npz")


# ------------------------------------------------------------------------------------------------------------- .npy


@pytest.mark.parametrize("coordinates", [2, 3])
def test_npy_arrays(coordinates, tmp_path):
    data = np.random.default_rng(0).random((5, 20, coordinates)).astype(np.float32)
    np.save(tmp_path / "a.npy", data)
    loaded = load_landmarks(tmp_path / "a.npy", layout="kinect-20", fps=30)
    np.testing.assert_array_equal(loaded.data[..., :coordinates], data)
    assert (loaded.units, loaded.fps) == ("unknown", 30)
    assert load_landmarks(tmp_path / "a.npy", layout="kinect-20", size=(8, 8)).units == "image"


def test_npy_with_visibility_and_flat_rows(tmp_path):
    data = np.random.default_rng(0).random((5, 20, 4)).astype(np.float32)
    np.save(tmp_path / "visible.npy", data)
    loaded = load_landmarks(tmp_path / "visible.npy", layout="kinect-20")
    np.testing.assert_array_equal(loaded.data, data[..., :3])
    np.testing.assert_array_equal(loaded.visibility, data[..., 3])
    np.save(tmp_path / "flat.npy", data[..., :3].reshape(5, 60))
    np.testing.assert_array_equal(load_landmarks(tmp_path / "flat.npy", layout="kinect-20").data, data[..., :3])


def test_npy_needs_a_layout_that_fits(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 20, 3)))
    with pytest.raises(ValueError, match="does not name its layout"):
        load_landmarks(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"a\.npy: .*20 points; the layout has 3"):
        load_landmarks(tmp_path / "a.npy", layout="boston-3")


# ------------------------------------------------------------------------------------------------------------ .pose


def pose_of(people=1, components=None, frames=3, coordinates="XYZ", fps=30.0, seed=0):
    pytest.importorskip("pose_format")
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    components = components or {"LEFT_HAND_LANDMARKS": ["WRIST", "INDEX_FINGER_TIP"]}
    header = PoseHeader(
        version=0.2,
        dimensions=PoseHeaderDimensions(640, 480, 0),
        components=[PoseHeaderComponent(n, p, [], [(0, 0, 0)], coordinates + "C") for n, p in components.items()],
    )
    rng = np.random.default_rng(seed)
    points = sum(len(names) for names in components.values())
    data = rng.uniform(0, 400, (frames, people, points, len(coordinates))).astype(np.float32)
    confidence = rng.uniform(0.5, 1, (frames, people, points)).astype(np.float32)
    return Pose(header, NumPyPoseBody(fps, data, confidence))


def write_pose(pose, path):
    with open(path, "wb") as stream:
        pose.write(stream)
    return path


def read_pose(path):
    from pose_format import Pose

    return Pose.read(Path(path).read_bytes())


def real_pose_files():
    """One real fingerspelling clip of each sign language in the spoken-to-signed package."""
    spec = find_spec("spoken_to_signed")
    if spec is None or find_spec("pose_format") is None:
        return []
    folder = Path(spec.origin).parent / "assets" / "fingerspelling_lexicon"
    return [min(language.glob("*.pose")) for language in sorted(folder.iterdir()) if any(language.glob("*.pose"))]


@pytest.mark.parametrize("path", real_pose_files() or [None], ids=lambda path: path and path.parent.name)
def test_real_pose_file_round_trips_exactly_with_confidences_in_range(path, tmp_path):
    if path is None:
        pytest.skip("spoken-to-signed and pose-format are not installed")
    sequence = load_landmarks(path)
    assert sequence.layout == "mediapipe-holistic-face478" and sequence.units == "pose"
    assert sequence.world.shape == (len(sequence), 553, 4)
    assert np.isfinite(sequence.world[:, :33]).any() and np.isnan(sequence.world[:, 33:]).all()

    sequence.save(tmp_path / "again.pose")
    before, after = read_pose(path), read_pose(tmp_path / "again.pose")
    assert after.body.data.shape == before.body.data.shape  # 586 points: the world points are among them
    seen = before.body.confidence[..., None] > 0  # some published files hold interpolated confidences below 0
    np.testing.assert_array_equal(after.body.data.filled(0), np.where(seen, before.body.data.filled(0), 0))
    np.testing.assert_array_equal(after.body.confidence, before.body.confidence.clip(0, 1))
    if path.parent.name == "ase":
        assert before.body.confidence.min() >= 0 and before.body.confidence.max() <= 1
        np.testing.assert_array_equal(after.body.data.mask, before.body.data.mask)
    assert after.body.fps == before.body.fps
    assert vars(after.header.dimensions) == vars(before.header.dimensions)
    for mine, theirs in zip(after.header.components, before.header.components):
        assert (mine.name, mine.points, mine.format) == (theirs.name, theirs.points, theirs.format)

    assert_same(sequence, load_landmarks(tmp_path / "again.pose"))
    assert_same(sequence, load_landmarks(sequence.save(tmp_path / "again.npz")))


def test_values_of_a_pose_file_arrive_where_they_belong(tmp_path):
    pose = pose_of(components={"POSE_LANDMARKS": ["RIGHT_WRIST"], "LEFT_HAND_LANDMARKS": ["PINKY_TIP", "WRIST"]})
    pose.body.confidence[1, 0, 2] = 0
    sequence = load_landmarks(write_pose(pose, tmp_path / "a.pose"))
    assert (sequence.layout, sequence.fps, sequence.size) == ("mediapipe-holistic", 30.0, (640, 480))
    index = sequence.spec.index
    raw = np.ma.getdata(pose.body.data)[:, 0]
    np.testing.assert_array_equal(sequence.data[:, index["right_wrist"]], raw[:, 0])
    np.testing.assert_array_equal(sequence.data[:, index["left_hand_little_tip"]], raw[:, 1])
    np.testing.assert_array_equal(sequence.data[[0, 2], index["left_hand_wrist"]], raw[[0, 2], 2])
    assert np.isnan(sequence.data[1, index["left_hand_wrist"]]).all()
    assert sequence.visibility[0, index["right_wrist"]] == pose.body.confidence[0, 0, 0]
    assert sequence.seen.sum() == 8, "nothing that the file does not hold is seen"


def test_several_people_choose_one_or_get_an_error(tmp_path):
    pose = pose_of(people=3)
    path = write_pose(pose, tmp_path / "crowd.pose")
    with pytest.raises(ValueError, match=r"crowd\.pose: the file holds 3 people; choose one with person=0 … 2"):
        load_landmarks(path)
    index = get_layout("mediapipe-holistic").index["left_hand_wrist"]
    for person in range(3):
        loaded = load_landmarks(path, person=person)
        np.testing.assert_array_equal(loaded.data[:, index], np.ma.getdata(pose.body.data)[:, person, 0])
    for person in (3, -1):
        with pytest.raises(ValueError, match=f"person={person} is not in the file, which holds 3"):
            load_landmarks(path, person=person)


def test_pose_file_without_people(tmp_path):
    with pytest.raises(ValueError, match="holds no person"):
        load_landmarks(write_pose(pose_of(people=0), tmp_path / "a.pose"))


def test_two_dimensional_pose_file(tmp_path):
    components = {"LEFT_HAND_LANDMARKS": ["WRIST"], "POSE_WORLD_LANDMARKS": ["NOSE"]}
    pose = pose_of(coordinates="XY", components=components)
    sequence = load_landmarks(write_pose(pose, tmp_path / "flat.pose"))
    wrist = sequence.data[:, sequence.spec.index["left_hand_wrist"]]
    np.testing.assert_array_equal(wrist[:, :2], np.ma.getdata(pose.body.data)[:, 0, 0])
    assert (wrist[:, 2] == 0).all() and sequence.world is None


def test_foreign_pose_components_need_a_layout(tmp_path):
    path = write_pose(pose_of(components={"BODY_135": ["a", "b", "c"]}), tmp_path / "openpose.pose")
    with pytest.raises(ValueError, match="component BODY_135 is not MediaPipe Holistic's; pass layout="):
        load_landmarks(path)
    loaded = load_landmarks(path, layout="boston-3")
    np.testing.assert_array_equal(loaded.data, np.ma.getdata(read_pose(path).body.data)[:, 0])
    with pytest.raises(ValueError, match="3 points share no name with layout 'hands-42'"):
        load_landmarks(path, layout="hands-42")


@pytest.mark.parametrize("layout", ["hands-42", "isl-48", "karsl-184", "mediapipe-holistic-face468", "gislr-543"])
@pytest.mark.parametrize("world", [False, True])
def test_reduced_pose_file_round_trips_by_name(layout, world, tmp_path):
    pytest.importorskip("pose_format")
    sequence = clip(layout, units="pose")
    if world:  # the format knows world points of the body alone
        values = np.full((len(sequence), len(sequence.spec), 4), np.nan, np.float32)
        body = list(sequence.spec.parts.get("pose", ()))
        values[:, body] = np.random.default_rng(1).uniform(0.1, 1, (len(sequence), len(body), 4))
        sequence = sequence.replace(world=values)
    sequence.save(tmp_path / "reduced.pose")
    loaded = load_landmarks(tmp_path / "reduced.pose", layout=layout)
    if layout == "hands-42":
        sequence = sequence.replace(world=None)
    assert_same(sequence, loaded)


def test_a_reduced_file_is_read_into_the_smallest_holistic_layout_that_holds_it(tmp_path):
    pytest.importorskip("pose_format")
    expected = {
        "isl-48": "mediapipe-holistic",
        "gislr-543": "mediapipe-holistic-face468",
        "karsl-184": "mediapipe-holistic-face478",  # it has irises
    }
    for layout, holistic in expected.items():
        sequence = clip(layout, units="pose")
        loaded = load_landmarks(sequence.save(tmp_path / f"{layout}.pose"))
        assert loaded.layout == holistic
        assert loaded.seen.sum() == sequence.seen.sum(), "no point is lost on the way"


def test_image_units_become_pose_units_in_a_pose_file(tmp_path):
    pytest.importorskip("pose_format")
    sequence = clip()
    loaded = load_landmarks(sequence.save(tmp_path / "a.pose"))
    assert_same(loaded, sequence.to_units("pose"))


@pytest.mark.parametrize("frames", [0, 1])
def test_very_short_pose_files(frames, tmp_path):
    pytest.importorskip("pose_format")
    sequence = clip(frames=frames, units="pose")
    assert_same(sequence, load_landmarks(sequence.save(tmp_path / "short.pose")))


def test_nothing_seen_round_trips_through_pose(tmp_path):
    pytest.importorskip("pose_format")
    sequence = LandmarkSequence(np.full((4, 75, 3), np.nan), "mediapipe-holistic", size=(64, 48), units="pose")
    assert_same(sequence, load_landmarks(sequence.save(tmp_path / "nobody.pose")))


def test_irregular_time_stamps_are_put_on_the_rate_of_the_pose_file(tmp_path):
    pytest.importorskip("pose_format")
    times = np.array([0.0, 0.1, 0.5, 0.6])
    data = np.repeat(np.repeat(times[:, None, None], 75, axis=1), 3, axis=2) * 100  # a point that moves evenly
    sequence = LandmarkSequence(data, "mediapipe-holistic", timestamps=times, fps=10, size=(64, 48), units="pose")
    loaded = load_landmarks(sequence.save(tmp_path / "vfr.pose"))
    assert len(loaded) == 7 and loaded.fps == 10
    np.testing.assert_allclose(loaded.data[:, 0, 0], np.arange(7) * 10, atol=1e-4)


def test_jitter_below_half_a_frame_keeps_the_frames_of_a_pose_file(tmp_path):
    pytest.importorskip("pose_format")
    times = np.arange(6) / 30 + np.array([0, 1, -1, 2, 0, 1]) * 1e-3
    sequence = clip(timestamps=times, fps=30, units="pose")
    loaded = load_landmarks(sequence.save(tmp_path / "a.pose"))
    np.testing.assert_array_equal(loaded.data, sequence.data)
    np.testing.assert_allclose(loaded.timestamps, np.arange(6) / 30)


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (lambda: clip(size=None), "needs the picture's size"),
        (lambda: clip(units="metre"), "holds pixels; landmarks in metre units cannot"),
        (lambda: clip(units="unknown"), "holds pixels; landmarks in unknown units cannot"),
        (lambda: clip("boston-3"), "has no place for left_hand, right_hand of layout 'boston-3'; use .npz"),
        (lambda: clip("dgs-43"), "no point that a MediaPipe .pose file could hold"),
        (lambda: clip("coco-wholebody-133"), "has no place for left_big_toe"),
    ],
)
def test_what_a_pose_file_cannot_hold(sequence, message, tmp_path):
    pytest.importorskip("pose_format")
    with pytest.raises(ValueError, match=message):
        sequence().save(tmp_path / "a.pose")
    assert list(tmp_path.iterdir()) == [], "nothing half-written is left"


# ----------------------------------------------------------------------------------------------------- broken files


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Landmark file not found: .*gone\.npz"):
        load_landmarks(tmp_path / "gone.npz")
    with pytest.raises(FileNotFoundError, match="not found"):
        load_landmarks(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.txt is not a landmark file; known are \.npz, \.pose, \.npy"):
        load_landmarks(tmp_path / "notes.txt")
    for name in ("a.txt", "a.npy", "a"):
        with pytest.raises(ValueError, match=r"use a name that ends in \.npz or \.pose"):
            save_landmarks(clip(), tmp_path / name)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pose"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 200, b"hello, this is no landmark file", b"PK\x03\x04rubbish"])
def test_files_that_are_not_what_they_are_called(suffix, content, tmp_path):
    if suffix == ".pose":
        pytest.importorskip("pose_format")
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"broken\{suffix}: ") as caught:
        load_landmarks(path, layout="mediapipe-holistic")
    assert "allow_pickle" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".npz", ".pose"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files(suffix, share, tmp_path):
    if suffix == ".pose":
        pytest.importorskip("pose_format")
    path = clip(frames=20).save(tmp_path / f"cut{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"cut\{suffix}: "):
        load_landmarks(path)


def test_damaged_npz(tmp_path):
    path = clip(frames=20).save(tmp_path / "damaged.npz")
    content = bytearray(path.read_bytes())
    content[200:400] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged\.npz: "):
        load_landmarks(path)


class Trap:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickles_inside_npy_and_npz_are_refused(tmp_path):
    sprung = tmp_path / "sprung"
    trap = np.array([Trap(sprung)], dtype=object)
    np.save(tmp_path / "trap.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "trap.npz", data=trap)
    with zipfile.ZipFile(tmp_path / "side.npz", "w") as archive:  # a good archive with one bad member
        for name, array in {"data": np.zeros((1, 3, 3)), "layout": np.str_("boston-3"), "timestamps": trap}.items():
            stream = io.BytesIO()
            np.save(stream, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", stream.getvalue())
    for name in ("trap.npy", "trap.npz", "side.npz"):
        with pytest.raises(ValueError, match=rf"{name}: .*pickled Python objects are never read"):
            load_landmarks(tmp_path / name, layout="boston-3")
    assert not sprung.exists()


# ---------------------------------------------------------------------------------------------------------- writing


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"before")

    def write(stream):
        stream.write(b"half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, write)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_replaces_the_old_one_and_is_readable_by_others(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    atomic_write(path, lambda stream: stream.write(b"after"))
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode == plain.stat().st_mode


def test_pose_files_without_pose_format_say_what_to_install(tmp_path, monkeypatch):
    import sys

    (tmp_path / "a.pose").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pose_format", None)
    for action in (lambda: load_landmarks(tmp_path / "a.pose"), lambda: clip().save(tmp_path / "b.pose")):
        with pytest.raises(ImportError, match=r'pip install "signlang-hf\[pose\]"') as caught:
            action()
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pose"]
