"""Per-frame features: sizes, derivatives per second, missing points."""

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, get_layout, register_layout
from signlang_hf.landmarks.alignment import key_path, reference_path
from signlang_hf.landmarks.features import FEATURES, derivative, extract_features, feature_size
from signlang_hf.landmarks.normalize import hand_shape, normalize

ALL = list(FEATURES)
OF_HANDS = [name for name in ALL if name.startswith("hand") or name in ("joint_angle", "hull_shape")] + ["trajectory"]
THE_490 = ("hand_position", "joint_angle", "hand_velocity", "hand_acceleration", "hull_shape", "trajectory")


def body(frames=10, layout="mediapipe-holistic", **options):
    data = np.random.default_rng(3).normal(size=(frames, len(get_layout(layout)), 3))
    return LandmarkSequence(data, layout, **{"units": "unknown", **options})


# ------------------------------------------------------------------------------------------------------- derivative


def test_derivative_equals_numpys_on_a_regular_clock():
    values = np.random.default_rng(0).normal(size=(40, 5, 3))
    times = np.arange(40) / 25
    np.testing.assert_allclose(derivative(values, times), np.gradient(values, 1 / 25, axis=0), rtol=1e-9)


def test_derivative_is_per_second_whatever_the_frame_rate():
    for fps in (15, 25, 30, 60):
        times = np.arange(2 * fps) / fps
        speed = derivative(np.sin(times)[:, None], times)[:, 0]
        np.testing.assert_allclose(speed[1:-1], np.cos(times)[1:-1], atol=2e-3)


def test_derivative_on_an_irregular_clock():
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.1, 30))
    np.testing.assert_allclose(derivative((4 * times - 1)[:, None], times), 4, rtol=1e-9)


def test_derivative_beside_a_gap_is_one_sided():
    values = np.array([0.0, 1, 2, np.nan, 6, 8, np.nan, np.nan, 3, np.nan])[:, None]
    slope = derivative(values, np.arange(10.0))[:, 0]
    np.testing.assert_array_equal(slope[[0, 1, 2, 4, 5]], [1, 1, 1, 2, 2])
    assert np.isnan(slope[8]), "nothing is known about the movement of a lone sighting"


@pytest.mark.parametrize("frames", [0, 1])
def test_derivative_of_nothing_that_moves(frames):
    values = np.full((frames, 2), 5.0)
    values[:, 1] = np.nan
    result = derivative(values, np.arange(frames, dtype=float))
    assert result.shape == (frames, 2)
    assert (result[:, 0] == 0).all() and np.isnan(result[:, 1]).all()


def test_derivative_of_two_frames():
    np.testing.assert_allclose(derivative(np.array([[1.0], [3.0]]), np.array([0.0, 0.5])), [[4.0], [4.0]])


# --------------------------------------------------------------------------------------------------------- features


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    "layout", ["mediapipe-holistic", "isl-48", "karsl-184", "signlang-64", "coco-wholebody-133", "gislr-543"]
)
def test_every_feature_has_the_announced_size(layout, dims):
    sequence = body(4, layout)
    for name in ALL:
        assert extract_features(sequence, [name], dims).shape == (4, feature_size(layout, [name], dims)), name
    assert extract_features(sequence, ALL, dims).shape == (4, feature_size(layout, ALL, dims))


@pytest.mark.parametrize("layout", ["boston-3", "kinect-20"])
def test_features_of_layouts_without_hands_or_bones(layout):
    names = [name for name in ALL if name not in OF_HANDS]
    features = extract_features(body(4, layout), names)
    assert features.shape == (4, feature_size(layout, names)) and np.isfinite(features).all()
    for name in OF_HANDS:
        with pytest.raises(ValueError, match=f"'{layout}' has no (left_hand or right_hand; hand features|point left_)"):
            extract_features(body(4, layout), [name])


def test_hands_without_sides_have_all_features_but_the_trajectory():
    names = [name for name in ALL if name != "trajectory"]
    sequence = body(4, "dgs-43")
    assert extract_features(sequence, names).shape == (4, feature_size("dgs-43", names))
    sided = sequence.replace(layout="face-hands-43")
    np.testing.assert_array_equal(extract_features(sequence, OF_HANDS[:-1]), extract_features(sided, OF_HANDS[:-1]))
    with pytest.raises(ValueError, match="'dgs-43' has no point left_elbow, left_wrist"):
        extract_features(sequence, ["trajectory"])


def test_a_layout_that_lacks_a_hand_or_a_finger_says_which():
    right = register_layout("test-right-hand", get_layout("hands-42").points[21:])
    with pytest.raises(ValueError, match="'test-right-hand' has no left_hand; hand features need it"):
        extract_features(body(4, right), ["hull_shape"])
    points = [point for point in get_layout("hands-42").points if point != "left_hand_ring_dip"]
    maimed = register_layout("test-maimed", points)
    with pytest.raises(ValueError, match="'test-maimed' has no point left_hand_ring_dip"):
        extract_features(body(4, maimed), ["hand_position"])


def test_features_stand_side_by_side_in_the_given_order():
    sequence = body(6)
    features = extract_features(sequence, ["presence", "position"], dims=2)
    np.testing.assert_array_equal(features[:, :3], 1)
    np.testing.assert_array_equal(features[:, 3:].reshape(6, 75, 2), sequence.data[..., :2])
    assert features.dtype == np.float32


def test_values_of_the_features():
    sequence = body(12, fps=10)
    velocity = extract_features(sequence, ["velocity"]).reshape(12, 75, 3)
    np.testing.assert_allclose(velocity, np.gradient(sequence.data, 0.1, axis=0), rtol=1e-4, atol=1e-4)
    acceleration = extract_features(sequence, ["acceleration"]).reshape(12, 75, 3)
    np.testing.assert_allclose(acceleration, np.gradient(velocity, 0.1, axis=0), rtol=1e-3, atol=1e-3)
    bones = extract_features(sequence, ["bone_direction"]).reshape(12, -1, 3)
    np.testing.assert_allclose(np.linalg.norm(bones, axis=2), 1, rtol=1e-5)
    a, b = sequence.spec.bones[0]
    direction = sequence.data[:, b] - sequence.data[:, a]
    np.testing.assert_allclose(bones[:, 0], direction / np.linalg.norm(direction, axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(extract_features(sequence, ["hand_shape"]).reshape(12, 42, 3), hand_shape(sequence))


@pytest.mark.parametrize("layout", ["isl-48", "mediapipe-holistic"])
def test_the_features_of_hands_make_490(layout):
    sizes = [feature_size(layout, [name]) for name in THE_490]
    assert sizes == [126, 78, 126, 126, 4, 30] and feature_size(layout, THE_490) == 490
    reference = reference_path([key_path(body(20, layout))])
    features = extract_features(body(7, layout), THE_490, reference=reference)
    assert features.shape == (7, 490) and np.isfinite(features).all()
    assert feature_size(layout, THE_490, dims=2) == 84 + 26 + 84 + 84 + 4 + 20


def test_hand_coordinates_are_the_hands_part_of_position():
    sequence = body(9)
    for hand, whole in (
        ("hand_position", "position"),
        ("hand_velocity", "velocity"),
        ("hand_acceleration", "acceleration"),
    ):
        for dims in (2, 3):
            expected = extract_features(sequence, [whole], dims).reshape(9, 75, dims)[:, 33:]
            np.testing.assert_array_equal(extract_features(sequence, [hand], dims).reshape(9, 42, dims), expected)
    mirrored_order = body(3, "karsl-184")  # which lists the right hand first
    left = mirrored_order.spec.indices(["left_hand_wrist"])
    np.testing.assert_array_equal(
        extract_features(mirrored_order, ["hand_position"])[:, :3], mirrored_order.data[:, left[0]]
    )


def test_missing_points_are_nan_in_coordinates_and_0_in_presence_and_visibility():
    data = body(5).data.copy()
    data[:, 33:54] = np.nan
    sequence = body(5).replace(data=data)
    left = extract_features(sequence, ["position", "velocity", "acceleration"]).reshape(5, 3, 75, 3)[:, :, 33:54]
    assert np.isnan(left).all()
    assert np.isnan(extract_features(sequence, ["hand_shape"])[:, :63]).all()
    assert extract_features(sequence, ["presence"]).tolist() == [[1, 0, 1]] * 5
    assert (extract_features(sequence, ["visibility"])[:, 33:54] == 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_clips_and_clips_in_which_nothing_was_seen(frames):
    assert len(extract_features(body(frames), ALL)) == frames
    nobody = body(frames).replace(data=np.full((frames, 75, 3), np.nan))
    features = extract_features(nobody, ALL)
    assert features.shape == (frames, feature_size("mediapipe-holistic", ALL))
    assert not np.isinf(features).any()


def test_a_bone_of_no_length_has_no_direction():
    sequence = LandmarkSequence(np.ones((2, 75, 3)), "mediapipe-holistic", units="unknown")
    np.testing.assert_array_equal(extract_features(sequence, ["bone_direction"]), 0)


def test_unknown_features_and_none():
    with pytest.raises(ValueError, match="Unknown feature 'colour'; known are position, velocity"):
        extract_features(body(), ["position", "colour"])
    with pytest.raises(ValueError, match="Unknown feature 'colour'"):
        feature_size("hands-42", ["colour"])
    with pytest.raises(ValueError, match="Choose at least one feature"):
        extract_features(body(), [])


def test_a_clip_and_its_padded_square_have_the_same_features():
    rng = np.random.default_rng(0)
    wide = LandmarkSequence(rng.uniform(0.2, 0.8, (12, 75, 3)), "mediapipe-holistic", size=(1280, 720))
    padded = wide.data.copy()
    padded[..., 1] = (padded[..., 1] * 720 + 280) / 1280
    square = wide.replace(data=padded, size=(1280, 1280))
    names = [name for name in ALL if name != "acceleration"]
    np.testing.assert_allclose(
        extract_features(normalize(square), names), extract_features(normalize(wide), names), atol=2e-3
    )
