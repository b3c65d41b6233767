"""Layouts: names, parts, mirror pairs, bones and conversion by name."""

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, Layout, get_layout, list_layouts, register_layout
from signlang_hf.landmarks.facemesh import FACE_CONTOURS, FACE_IRISES, face_mirror
from signlang_hf.landmarks.layout import COCO_BODY, HAND, MEDIAPIPE_POSE, mirror_name, part_of

SIZES = {
    "mediapipe-holistic": 75,
    "mediapipe-holistic-face468": 543,
    "mediapipe-holistic-face478": 553,
    "hands-42": 42,
    "isl-48": 48,
    "karsl-184": 184,
    "signlang-64": 64,
    "coco-wholebody-133": 133,
    "gislr-543": 543,
    "dgs-43": 43,
    "face-hands-43": 43,
    "boston-3": 3,
    "kinect-20": 20,
}
LAYOUTS = list(SIZES)


def test_every_built_in_layout_has_its_number_of_points():
    assert {name: len(get_layout(name)) for name in LAYOUTS} == SIZES
    assert set(LAYOUTS) <= set(list_layouts())
    assert (len(MEDIAPIPE_POSE), len(HAND), len(COCO_BODY)) == (33, 21, 17)
    assert (len(set(FACE_CONTOURS)), len(set(FACE_IRISES))) == (128, 8)


def test_the_face_of_karsl_184_is_mediapipes_contours_and_irises():
    faces = pytest.importorskip("mediapipe.tasks.python.vision").FaceLandmarksConnections

    def vertices(*names):
        return {
            end for name in names for edge in getattr(faces, f"FACE_LANDMARKS_{name}") for end in (edge.start, edge.end)
        }

    assert vertices("CONTOURS") == set(FACE_CONTOURS)
    assert vertices("LEFT_IRIS", "RIGHT_IRIS") == set(FACE_IRISES)
    names = [point for point in get_layout("karsl-184").points if point.startswith("face_")]
    assert names == [f"face_{vertex}" for vertex in (*FACE_CONTOURS, *FACE_IRISES)]


def test_the_face_tables_agree_with_mediapipes_older_constants():
    solutions = getattr(pytest.importorskip("mediapipe"), "solutions", None)
    if solutions is None:
        pytest.skip("this version of mediapipe has no mp.solutions")
    mesh = solutions.face_mesh
    assert {end for edge in mesh.FACEMESH_CONTOURS for end in edge} == set(FACE_CONTOURS)
    assert {end for edge in mesh.FACEMESH_IRISES for end in edge} == set(FACE_IRISES)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_is_consistent(name):
    layout = get_layout(name)
    assert len(set(layout.points)) == len(layout)
    mirror = np.array(layout.mirror)
    assert (mirror[mirror] == np.arange(len(layout))).all(), "mirroring twice is the identity"
    assert sorted(i for indices in layout.parts.values() for i in indices) == list(range(len(layout)))
    assert len(set(layout.bones)) == len(layout.bones)
    assert all(0 <= a < len(layout) and 0 <= b < len(layout) and a != b for a, b in layout.bones)
    assert layout.indices(layout.points) == list(range(len(layout)))


@pytest.mark.parametrize("name", LAYOUTS)
def test_bones_never_cross_from_one_side_to_the_other_except_over_the_middle(name):
    layout = get_layout(name)
    across = {("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("mouth_left", "mouth_right")}
    for a, b in layout.bones:
        first, second = layout.points[a], layout.points[b]
        if "left" in first.split("_") and "right" in second.split("_"):
            assert (first, second) in across
        assert part_of(first) == part_of(second)


@pytest.mark.parametrize(
    ("point", "partner"),
    [
        ("left_wrist", "right_wrist"),
        ("right_hand_index_tip", "left_hand_index_tip"),
        ("mouth_left", "mouth_right"),
        ("nose", "nose"),
        ("face_left_eye", "face_right_eye"),
        ("face_33", "face_263"),
        ("face_1", "face_1"),
        ("face_468", "face_473"),
        ("face68_0", "face68_16"),
        ("face68_36", "face68_45"),
        ("face68_30", "face68_30"),
        ("hand1_wrist", "hand1_wrist"),
    ],
)
def test_mirror_names(point, partner):
    assert mirror_name(point) == partner
    assert mirror_name(partner) == point


def test_face_mirror_is_an_involution_over_all_vertices_and_keeps_the_contours():
    partner = face_mirror()
    assert sorted(partner) == sorted(partner.values()) == list(range(478))
    assert all(partner[partner[vertex]] == vertex for vertex in partner)
    assert {partner[vertex] for vertex in FACE_CONTOURS} == set(FACE_CONTOURS)
    assert {partner[vertex] for vertex in FACE_IRISES} == set(FACE_IRISES)
    assert sum(partner[vertex] == vertex for vertex in partner) < 40, "only the midline mirrors onto itself"


@pytest.mark.parametrize(
    ("point", "part"),
    [
        ("left_hand_wrist", "left_hand"),
        ("right_hand_little_tip", "right_hand"),
        ("left_wrist", "pose"),
        ("left_hand", "pose"),
        ("hand2_wrist", "hand2"),
        ("face", "face"),
        ("face_7", "face"),
        ("face68_7", "face"),
        ("nose", "pose"),
    ],
)
def test_parts_by_name(point, part):
    assert part_of(point) == part


def test_hands_have_20_finger_bones_and_3_across_the_palm():
    layout = get_layout("hands-42")
    assert len(layout.bones) == 46
    assert layout.parts == {"left_hand": tuple(range(21)), "right_hand": tuple(range(21, 42))}


def test_fixed_orders_that_files_in_the_wild_rely_on():
    gislr = get_layout("gislr-543").points
    assert (gislr[0], gislr[468], gislr[489], gislr[522]) == ("face_0", "left_hand_wrist", "nose", "right_hand_wrist")
    assert get_layout("kinect-20").points[:4] == ("head", "shoulder_center", "left_shoulder", "right_shoulder")
    assert get_layout("coco-wholebody-133").points[17] == "left_big_toe"
    assert get_layout("coco-wholebody-133").points[91] == "left_hand_wrist"
    assert get_layout("dgs-43").points[0] == "face"
    assert get_layout("boston-3").points == ("left_hand", "right_hand", "nose")


@pytest.mark.parametrize("target", LAYOUTS)
def test_conversion_takes_points_by_name_and_round_trips(target):
    source = get_layout("mediapipe-holistic-face478")
    values = np.arange(2 * len(source) * 3, dtype=np.float32).reshape(2, len(source), 3)
    sequence = LandmarkSequence(values, source.name)
    shared = set(source.points) & set(get_layout(target).points)
    if not shared:
        with pytest.raises(ValueError, match="shares no point"):
            sequence.to_layout(target)
        return
    converted = sequence.to_layout(target)
    for i, point in enumerate(converted.spec.points):
        if point in source.index:
            np.testing.assert_array_equal(converted.data[:, i], values[:, source.index[point]], err_msg=point)
    back = converted.to_layout(source)
    kept = source.indices(sorted(shared))
    np.testing.assert_array_equal(back.data[:, kept], values[:, kept])
    assert set(np.array(source.points)[back.seen[0]]) >= shared


def test_conversion_knows_points_with_two_names():
    sequence = LandmarkSequence(np.random.default_rng(0).normal(size=(1, 133, 3)), "coco-wholebody-133")
    converted = sequence.to_layout("signlang-64")
    assert converted.seen.all()
    index = converted.spec.index
    np.testing.assert_array_equal(converted.data[:, index["face_nose"]], sequence.data[:, 0])


def test_conversion_carries_visibility_and_world_points():
    rng = np.random.default_rng(0)
    sequence = LandmarkSequence(
        rng.normal(size=(3, 75, 3)), "mediapipe-holistic", visibility=rng.random((3, 75)), world=rng.random((3, 75, 4))
    )
    converted = sequence.to_layout("isl-48")
    order = converted.spec.conversion_from(sequence.spec)
    np.testing.assert_array_equal(converted.visibility, sequence.visibility[:, order])
    np.testing.assert_array_equal(converted.world, sequence.world[:, order])
    back = converted.to_layout("mediapipe-holistic")
    nose = back.spec.index["nose"]
    assert np.isnan(back.data[:, nose]).all() and np.isnan(back.world[:, nose]).all()
    assert (back.visibility[:, nose] == 0).all()


def test_users_own_layout_works_by_name():
    points = ["left_hand_wrist", "left_hand_thumb_cmc", "right_hand_wrist", "hat"]
    layout = register_layout("test-own", points)
    assert register_layout("test-own", points) is layout, "registering the same again is allowed"
    assert "test-own" in list_layouts()
    assert layout.mirror == (2, 1, 0, 3)
    assert layout.bones == ((0, 1),)
    assert layout.parts == {"left_hand": (0, 1), "right_hand": (2,), "pose": (3,)}
    sequence = LandmarkSequence(np.ones((2, 75, 3)), "mediapipe-holistic").to_layout("test-own")
    assert sequence.seen.tolist() == [[True, True, True, False]] * 2


def test_name_taken_by_other_points_is_an_error():
    register_layout("test-taken", ["a", "b"])
    with pytest.raises(ValueError, match="'test-taken' with other points is already registered"):
        register_layout("test-taken", ["b", "a"])
    with pytest.raises(ValueError, match="already registered"):
        register_layout("hands-42", ["a"])


def test_bad_layouts_say_what_is_wrong():
    with pytest.raises(ValueError, match="names these points twice: a"):
        Layout("twice", ("a", "b", "a"))
    with pytest.raises(ValueError, match="at least one point"):
        Layout("none", ())
    with pytest.raises(ValueError, match="no point toe, heel"):
        get_layout("hands-42").indices(["left_hand_wrist", "toe", "heel"])


@pytest.mark.parametrize("name", ["mediapipe", "", None, 3, ["hands-42"]])
def test_unknown_layout_lists_the_known_ones(name):
    with pytest.raises(
        ValueError, match=r"Unknown layout .*known are mediapipe-holistic, .*kinect-20.*register_layout"
    ):
        get_layout(name)
