"""LandmarkSequence: what it accepts, what it refuses, what it derives."""

import warnings

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence

NAME = "mediapipe-holistic"


def body(frames=4, **options):
    data = np.random.default_rng(0).random((frames, 75, 3))
    return LandmarkSequence(data, options.pop("layout", NAME), **options)


def test_types_and_defaults():
    sequence = body(3)
    assert sequence.data.dtype == np.float32 and sequence.data.shape == (3, 75, 3)
    assert sequence.visibility.dtype == np.float32 and (sequence.visibility == 1).all()
    assert sequence.timestamps.dtype == np.float64
    np.testing.assert_allclose(sequence.timestamps, [0, 0.04, 0.08])
    assert (sequence.fps, sequence.size, sequence.units, sequence.world) == (25.0, None, "image", None)
    assert len(sequence) == 3 and sequence.duration == pytest.approx(0.08)
    assert "3 frames" in repr(sequence) and NAME in repr(sequence)


def test_accepts_lists_integers_and_two_coordinates():
    sequence = LandmarkSequence([[[1, 2], [3, 4], [np.nan, 5]]], "boston-3")
    np.testing.assert_array_equal(sequence.data[0, :2], [[1, 2, 0], [3, 4, 0]])
    assert np.isnan(sequence.data[0, 2]).all()


def test_a_point_missing_in_one_coordinate_is_missing_altogether():
    data = np.ones((1, 3, 3))
    data[0, 1, 2] = np.nan
    given = data.copy()
    sequence = LandmarkSequence(data, "boston-3", visibility=np.full((1, 3), 0.5))
    assert sequence.seen.tolist() == [[True, False, True]]
    assert np.isnan(sequence.data[0, 1]).all()
    assert sequence.visibility.tolist() == [[0.5, 0.0, 0.5]]
    np.testing.assert_array_equal(data, given)  # the caller's array is left alone


def test_nan_everywhere_is_a_sequence_in_which_nothing_was_seen():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sequence = LandmarkSequence(np.full((5, 75, 3), np.nan), NAME)
        assert not sequence.seen.any() and (sequence.visibility == 0).all()
        assert not sequence.part_seen("left_hand").any()
        assert "0 % of points seen" in repr(sequence)


def test_no_frames_and_one_frame():
    empty = LandmarkSequence(np.empty((0, 75, 3)), NAME)
    assert (len(empty), empty.duration, empty.fps) == (0, 0.0, 25.0)
    assert empty.to_layout("hands-42").data.shape == (0, 42, 3)
    single = LandmarkSequence(np.ones((1, 75, 3)), NAME, timestamps=[3.0])
    assert (len(single), single.duration, single.fps) == (1, 0.0, 25.0)


def test_clock():
    regular = body(3, fps=30)
    np.testing.assert_allclose(regular.timestamps, [0, 1 / 30, 2 / 30])
    stamped = body(4, timestamps=[1.0, 1.1, 1.2, 1.5])
    assert stamped.fps == pytest.approx(10) and stamped.duration == pytest.approx(0.5)
    assert body(4, timestamps=[1.0, 1.1, 1.2, 1.5], fps=24).fps == 24


def test_visibility_is_clipped_and_zero_for_missing_points():
    data = np.ones((1, 3, 3))
    data[0, 2] = np.nan
    sequence = LandmarkSequence(data, "boston-3", visibility=[[1.7, np.nan, 0.9]])
    assert sequence.visibility.tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "expected"),
        ("landmarks", "not a rectangular array of numbers"),
        ([[["a", "b", "c"]] * 3], "not a rectangular array of numbers"),
        ([[1, 2], [3]], "not a rectangular array of numbers"),
        (np.zeros((2, 3)), r"have shape \(2, 3\); expected \(frames, 3, 3\)"),
        (np.zeros((2, 3, 4)), r"have shape \(2, 3, 4\)"),
        (np.zeros((2, 3, 1)), r"have shape \(2, 3, 1\)"),
        (np.zeros((2, 4, 3)), "have 4 points; the layout has 3"),
        (np.zeros((1, 2, 3, 3)), r"have shape \(1, 2, 3, 3\)"),
        (np.full((2, 3, 3), np.inf), "infinite values; mark missing points with NaN"),
        (np.full((2, 3, 3), -np.inf), "infinite values"),
    ],
)
def test_wrong_data_gets_one_sentence(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        LandmarkSequence(data, "boston-3")
    assert "boston-3" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "unheard-of"}, "Unknown layout 'unheard-of'"),
        ({"units": "inch"}, "Unknown units 'inch'; choose one of image, pose, pixel"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": -25}, "fps is -25"),
        ({"fps": np.nan}, "fps is nan"),
        ({"fps": np.inf}, "fps is inf"),
        ({"fps": "fast"}, "fps is 'fast'"),
        ({"timestamps": [0.0, 1.0]}, "2 time stamps for 4 frames"),
        ({"timestamps": [0.0, 1.0, 1.0, 2.0]}, "increase from frame to frame"),
        ({"timestamps": [3.0, 2.0, 1.0, 0.0]}, "increase from frame to frame"),
        ({"timestamps": [0.0, 1.0, np.nan, 3.0]}, "finite seconds"),
        ({"timestamps": [0.0, 1.0, 2.0, np.inf]}, "finite seconds"),
        ({"visibility": np.ones((4, 3))}, r"Visibility has shape \(4, 3\)"),
        ({"world": np.ones((4, 75, 3))}, r"World landmarks have shape \(4, 75, 3\)"),
        ({"size": (640,)}, r"size is \(640,\)"),
        ({"size": (0, 480)}, "size is 0 x 480"),
        ({"size": 640}, "size is 640"),
        ({"size": (np.inf, 480)}, "size is"),
    ],
)
def test_wrong_options_get_one_sentence(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        body(4, **options)
    assert "\n" not in str(caught.value)


def test_units_convert_there_and_back():
    sequence = body(3, size=(1280, 720))
    pixels = sequence.to_units("pixel")
    np.testing.assert_allclose(pixels.data[..., 1], sequence.data[..., 1] * 720, rtol=1e-6)
    np.testing.assert_allclose(pixels.data[..., 2], sequence.data[..., 2] * 1280, rtol=1e-6)
    np.testing.assert_allclose(pixels.to_units("image").data, sequence.data, rtol=2e-7)
    assert sequence.isotropic().units == "pixel" and pixels.isotropic() is pixels
    assert sequence.to_units("image") is sequence


def test_units_that_cannot_be_converted():
    with pytest.raises(ValueError, match="need the picture's size"):
        body().isotropic()
    metres = body(units="metre")
    assert metres.isotropic() is metres
    with pytest.raises(ValueError, match="in metre units cannot be converted to pixel"):
        metres.to_units("pixel")


def test_parts_seen():
    data = np.ones((2, 75, 3))
    data[0, 33:54] = np.nan
    sequence = LandmarkSequence(data, NAME)
    assert sequence.part_seen("left_hand").tolist() == [False, True]
    assert sequence.part_seen("right_hand").tolist() == [True, True]
    with pytest.raises(ValueError, match="no part 'tail'; it has pose, left_hand, right_hand"):
        sequence.part_seen("tail")


@pytest.mark.parametrize("index", [slice(1, 3), np.array([0, 2]), np.array([True, False, False, True])])
def test_frames_takes_everything_along(index):
    rng = np.random.default_rng(1)
    sequence = body(4, world=rng.random((4, 75, 4)), visibility=rng.random((4, 75)), timestamps=[0, 1, 3, 4], fps=2)
    part = sequence.frames(index)
    for field in ("data", "visibility", "timestamps", "world"):
        np.testing.assert_array_equal(getattr(part, field), getattr(sequence, field)[index])
    assert part.fps == 2


def test_a_sequence_is_immutable():
    with pytest.raises(AttributeError):
        body().fps = 30
