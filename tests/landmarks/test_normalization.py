"""Time, gaps, smoothing, side, place and size: each on data for which the right answer is known."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import savgol_filter

from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.landmarks.normalize import (
    NORMALIZATIONS,
    central,
    dominant_hand,
    fill_gaps,
    hand_shape,
    mirror,
    normalize,
    normalize_side,
    resample,
    smooth,
)

LEFT, RIGHT = slice(33, 54), slice(54, 75)


def body(frames=20, seed=0, **options):
    """A clip of random but smooth points, in pixels unless told otherwise."""
    rng = np.random.default_rng(seed)
    data = rng.uniform(100, 400, (1, 75, 3)) + np.cumsum(rng.normal(0, 2, (frames, 75, 3)), axis=0)
    return LandmarkSequence(data, "mediapipe-holistic", **{"units": "pixel", "size": (640, 480), "fps": 25, **options})


def track(times, values, **options):
    """The three points of boston-3, all with x = y = z = ``values`` at ``times``."""
    data = np.repeat(np.repeat(np.asarray(values, float)[:, None, None], 3, axis=1), 3, axis=2)
    return LandmarkSequence(data, "boston-3", timestamps=times, units="unknown", **options)


def nothing(frames):
    return LandmarkSequence(np.full((frames, 75, 3), np.nan), "mediapipe-holistic", size=(640, 480))


# ------------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("fps", [7.0, 12.5, 24.0, 30.0, 60.0])
def test_resampling_a_linear_movement_is_exact(fps):
    times = np.array([0.0, 0.1, 0.15, 0.4, 0.9, 1.0])
    result = resample(track(times, 3 * times + 1), fps=fps)
    np.testing.assert_allclose(result.timestamps, np.arange(len(result)) / fps)
    np.testing.assert_allclose(result.data[:, 0, 0], 3 * result.timestamps + 1, rtol=1e-5)
    assert result.fps == fps and 1.0 - 1 / fps < result.timestamps[-1] <= 1.0 + 1e-9


@pytest.mark.parametrize("count", [2, 5, 64])
def test_resampling_to_a_number_of_frames_keeps_both_ends(count):
    sequence = body(20, timestamps=5 + np.arange(20) / 25, fps=25)
    result = resample(sequence, num_frames=count)
    assert len(result) == count
    assert result.timestamps[[0, -1]].tolist() == sequence.timestamps[[0, -1]].tolist()
    np.testing.assert_allclose(result.data[[0, -1]], sequence.data[[0, -1]], rtol=1e-6)
    assert result.fps == pytest.approx((count - 1) / sequence.duration)


def test_resampling_to_one_frame_takes_the_middle():
    sequence = body(5)
    np.testing.assert_array_equal(resample(sequence, num_frames=1).data[0], sequence.data[2])


def test_resampling_onto_the_same_clock_changes_nothing():
    sequence = body(20)
    np.testing.assert_array_equal(resample(sequence, fps=25).data, sequence.data)
    assert resample(sequence, num_frames=20) is sequence


def test_the_central_share_is_the_middle_of_the_time_not_of_the_frames():
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.5, 8.0])
    sequence = track(times, times)
    assert central(sequence, 0.5).timestamps.tolist() == [2, 3, 4, 5, 6]
    assert central(sequence, 1) is sequence
    assert central(sequence, 0.01).timestamps.tolist() == [4]
    assert central(track(times[:2], times[:2]), 0.5).timestamps.tolist() == [0, 1]
    for share in (0, 1.1, -1):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            central(sequence, share)


def test_a_picture_is_held():
    single = body(1, world=np.random.default_rng(0).random((1, 75, 4)))
    held = resample(single, num_frames=4)
    assert len(held) == 4 and (held.data == single.data).all() and held.world.shape == (4, 75, 4)
    assert (np.diff(held.timestamps) > 0).all()
    assert len(resample(single, fps=60)) == 1


def test_resampling_no_frames():
    assert len(resample(body(0), fps=10)) == 0


def test_resampling_neither_spreads_nor_closes_gaps():
    times = np.arange(5.0)
    sequence = track(times, [0, 1, np.nan, 3, 4], visibility=np.tile([[1], [0.5], [0], [1], [1]], 3))
    result = resample(sequence, fps=4)
    x = result.data[:, 0, 0]
    assert np.isnan(x[(result.timestamps > 1.5) & (result.timestamps < 2.5)]).all()
    assert not np.isnan(x[(result.timestamps < 1.5) | (result.timestamps > 2.5)]).any()
    assert x[5] == 1.0, "beside a gap the nearer frame decides"
    assert result.visibility[5, 0] == 0.5 and (result.visibility[~result.seen] == 0).all()


def test_resampling_takes_world_points_along():
    world = np.zeros((3, 75, 4))
    world[:, :, 0] = np.arange(3)[:, None]
    result = resample(body(3, world=world), num_frames=5)
    np.testing.assert_allclose(result.world[:, 0, 0], [0, 0.5, 1, 1.5, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either fps= or num_frames="),
        ({"fps": 25, "num_frames": 3}, "either fps= or num_frames="),
        ({"fps": 0}, "fps is 0"),
        ({"fps": np.nan}, "fps is nan"),
        ({"fps": np.inf}, "fps is inf"),
        ({"num_frames": 0}, "num_frames is 0"),
    ],
)
def test_resampling_to_nonsense(options, message):
    with pytest.raises(ValueError, match=message):
        resample(body(4), **options)


# ------------------------------------------------------------------------------------------------------------- gaps


def test_short_gaps_are_interpolated_in_time_with_half_the_visibility():
    times = np.array([0.0, 0.1, 0.2, 0.4, 0.5])
    filled = fill_gaps(track(times, [0.0, 1.0, np.nan, np.nan, 5.0]), max_gap=0.5)
    np.testing.assert_allclose(filled.data[:, 0, 0], [0, 1, 2, 4, 5], rtol=1e-6)
    np.testing.assert_allclose(filled.visibility[:, 0], [1, 1, 0.5, 0.5, 1])


def test_long_gaps_and_both_ends_stay_open():
    x = [np.nan, 0, np.nan, 2, np.nan, np.nan, np.nan, 6, np.nan]
    filled = fill_gaps(track(np.arange(9) / 10, x), max_gap=0.3)
    assert np.isnan(filled.data[:, 0, 0]).tolist() == [True, False, False, False, True, True, True, False, True]


def test_a_hand_that_was_absent_throughout_stays_absent():
    sequence = body(30)
    data = sequence.data.copy()
    data[:, LEFT] = np.nan
    data[10:14, RIGHT] = np.nan
    filled = fill_gaps(sequence.replace(data=data), max_gap=10)
    assert not filled.part_seen("left_hand").any()
    assert filled.part_seen("right_hand").all()
    np.testing.assert_array_equal(filled.data[:10], data[:10])


@pytest.mark.parametrize("sequence", [body(0), body(1), body(2), body(9), nothing(9)])
def test_nothing_to_fill(sequence):
    np.testing.assert_array_equal(fill_gaps(sequence).data, sequence.data)


# -------------------------------------------------------------------------------------------------------- smoothing


@pytest.mark.parametrize(("frames", "window", "order"), [(60, 11, 3), (11, 11, 3), (31, 7, 2), (40, 5, 0), (9, 9, 4)])
def test_smoothing_equals_scipy_where_nothing_is_missing(frames, window, order):
    sequence = body(frames)
    expected = savgol_filter(sequence.data.astype(float), window, order, axis=0, mode="interp")
    np.testing.assert_allclose(smooth(sequence, window, order).data, expected, atol=2e-3)  # pixels in the hundreds


@pytest.mark.parametrize(("frames", "window"), [(10, 9), (8, 7), (5, 5)])
def test_a_window_longer_than_the_clip_shrinks_to_it(frames, window):
    sequence = body(frames)
    expected = savgol_filter(sequence.data.astype(float), window, 3, axis=0, mode="interp")
    np.testing.assert_allclose(smooth(sequence).data, expected, atol=2e-3)


@pytest.mark.parametrize("frames", [0, 1, 2, 4])
def test_a_clip_too_short_for_the_fit_stays(frames):
    sequence = body(frames)
    assert smooth(sequence) is sequence


def test_gaps_stay_gaps_and_do_not_pull_on_their_neighbours():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.08, 40))
    curve = 5 + 3 * times - 2 * times**2 + times**3
    x = curve.copy()
    x[[0, 7, 8, 9, 20, 22, 24, 39]] = np.nan
    result = smooth(track(times, x)).data[:, 0, 0]
    np.testing.assert_array_equal(np.isnan(result), np.isnan(x))
    seen = ~np.isnan(x)
    np.testing.assert_allclose(result[seen], curve[seen], rtol=1e-4)


def test_a_lone_sighting_keeps_its_value():
    x = np.full(30, np.nan)
    x[[3, 4, 20]] = [1.0, 2.0, 7.0]
    np.testing.assert_array_equal(smooth(track(np.arange(30) / 25, x)).data[:, 0, 0], x)


def test_smoothing_removes_noise_and_leaves_visibility_alone():
    rng = np.random.default_rng(0)
    times = np.arange(100) / 25
    clean = np.sin(times)
    visibility = rng.uniform(0.2, 1, (100, 3)).astype(np.float32)
    noisy = track(times, clean + rng.normal(0, 0.1, 100), visibility=visibility)
    smoothed = smooth(noisy)
    assert np.abs(smoothed.data[:, 0, 0] - clean).mean() < 0.6 * np.abs(noisy.data[:, 0, 0] - clean).mean()
    np.testing.assert_array_equal(smoothed.visibility, visibility)


def test_a_long_clip_with_many_gap_patterns_is_smoothed_as_its_points_would_be_alone():
    rng = np.random.default_rng(0)
    sequence = body(700)
    data = sequence.data.copy()
    data[rng.random(data.shape[:2]) < 0.1] = np.nan
    sequence = sequence.replace(data=data)
    together = smooth(sequence)
    for point in (0, 40):
        alone = sequence.data.copy()
        alone[:, np.arange(75) != point] = np.nan
        np.testing.assert_allclose(
            together.data[:, point], smooth(sequence.replace(data=alone)).data[:, point], rtol=1e-5
        )


@pytest.mark.parametrize(("window", "order"), [(10, 3), (0, 0), (-3, 1), (3, 3), (5, -1)])
def test_smoothing_with_an_impossible_window(window, order):
    with pytest.raises(ValueError, match=f"odd window above the order; got window={window}, order={order}"):
        smooth(body(20), window, order)


# ------------------------------------------------------------------------------------------------------------- side


def test_mirroring_swaps_sides_and_flips_x():
    sequence = body(3, world=np.random.default_rng(0).normal(size=(3, 75, 4)))
    mirrored = mirror(sequence)
    index = sequence.spec.index
    np.testing.assert_array_equal(mirrored.data[:, LEFT, 1:], sequence.data[:, RIGHT, 1:])
    np.testing.assert_allclose(mirrored.data[:, LEFT, 0], 640 - sequence.data[:, RIGHT, 0], rtol=1e-6)
    np.testing.assert_allclose(mirrored.data[:, index["nose"], 0], 640 - sequence.data[:, index["nose"], 0], rtol=1e-6)
    left, right = index["left_hip"], index["right_hip"]
    np.testing.assert_array_equal(mirrored.world[:, left], sequence.world[:, right] * [-1, 1, 1, 1])


@pytest.mark.parametrize("units", ["image", "pose", "pixel", "metre", "unknown"])
def test_mirroring_in_all_units(units):
    sequence = LandmarkSequence([[[0.25, 2, 3], [1, 5, 6], [7, 8, 9]]], "boston-3", units=units)
    axis = {"image": 1.0, "pose": 0.0, "pixel": 0.0, "metre": 0.0, "unknown": 0.0}[units]
    assert mirror(sequence).data[0, 1].tolist() == [axis - 0.25, 2, 3]


def hands(left_path, right_path):
    """A clip in which the wrists move along the given x positions; NaN: not seen."""
    data = np.full((len(left_path), 75, 3), 0.5)
    data[:, LEFT, 0], data[:, RIGHT, 0] = np.array(left_path)[:, None], np.array(right_path)[:, None]
    return LandmarkSequence(data, "mediapipe-holistic", size=(640, 480))


still, moving, absent = [0.4] * 10, [0.1 * i for i in range(10)], [np.nan] * 10


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (still, moving, "right"),
        (moving, still, "left"),
        (absent, still, "right"),
        (still, absent, "left"),
        (absent, absent, None),
    ],
)
def test_dominant_hand(left, right, expected):
    assert dominant_hand(hands(left, right)) == expected


def test_the_wrist_tells_in_layouts_without_fingers():
    data = np.ones((10, 20, 3))
    kinect = LandmarkSequence(data, "kinect-20")
    data[:, kinect.spec.index["left_wrist"], 0] = moving
    left = kinect.replace(data=data)
    assert dominant_hand(left) == "left" and dominant_hand(mirror(left)) == "right"
    np.testing.assert_array_equal(normalize_side(left).data, mirror(left).data)


def test_dominant_hand_of_layouts_without_sided_hands():
    assert dominant_hand(LandmarkSequence(np.ones((3, 43, 2)), "dgs-43")) is None
    assert dominant_hand(body(0)) is None


def test_left_handed_signers_are_mirrored_and_right_handed_ones_are_not():
    left, right = hands(moving, still), hands(still, moving)
    assert normalize_side(right) is right
    assert dominant_hand(normalize_side(left)) == "right"
    assert dominant_hand(normalize_side(right, "left")) == "left"
    nobody = hands(absent, absent)
    assert normalize_side(nobody) is nobody
    with pytest.raises(ValueError, match="dominant is 'both'; it must be 'left' or 'right'"):
        normalize_side(left, "both")


# --------------------------------------------------------------------------------------------------- place and size


def shoulders(sequence):
    index = sequence.spec.index
    return sequence.data[:, index["left_shoulder"]], sequence.data[:, index["right_shoulder"]]


def still_body(frames=6):
    return body(1).replace(data=np.repeat(body(1).data, frames, axis=0), visibility=None, timestamps=None)


def test_shoulder_normalisation():
    sequence = still_body()
    result = normalize(sequence)
    left, right = shoulders(result)
    np.testing.assert_allclose((left + right) / 2, 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm((left - right)[:, :2], axis=1), 1, rtol=1e-5)
    assert result.units == "unknown" and result.layout == sequence.layout


def test_one_bad_frame_does_not_move_the_clip():
    sequence = still_body(9)
    data = sequence.data.copy()
    data[4] *= 7
    result = normalize(sequence.replace(data=data))
    keep = np.arange(9) != 4
    np.testing.assert_allclose(result.data[keep], normalize(sequence).data[keep], rtol=1e-5, atol=1e-6)


def test_movement_through_the_picture_is_kept_per_clip_and_removed_per_frame():
    sequence = still_body(9)
    walking = sequence.replace(data=sequence.data + np.arange(9)[:, None, None] * np.array([10, 0, 0]))
    assert np.ptp(normalize(walking).data[:, 0, 0]) > 0.1
    np.testing.assert_allclose(
        normalize(walking, per_frame=True).data, normalize(sequence, per_frame=True).data, atol=1e-4
    )


def test_centroid_normalisation_fits_the_unit_ball():
    data = body(12).data.copy()
    data[:, LEFT] = np.nan
    seen = ~np.isnan(data)
    for per_frame in (False, True):
        result = normalize(body(12).replace(data=data), "centroid", per_frame=per_frame)
        distance = np.linalg.norm(result.data, axis=2)
        farthest = np.nanmax(distance, axis=1) if per_frame else np.nanmax(distance)
        np.testing.assert_allclose(np.nanmean(result.data, axis=1 if per_frame else (0, 1)), 0, atol=1e-4)
        np.testing.assert_allclose(farthest, 1, rtol=1e-5)
        np.testing.assert_array_equal(~np.isnan(result.data), seen)


@pytest.mark.parametrize(("layout", "root"), [("kinect-20", "hip_center"), ("boston-3", "nose"), ("dgs-43", "face")])
def test_root_normalisation_finds_the_root_of_the_layout(layout, root):
    from signlang_hf.landmarks import get_layout

    rng = np.random.default_rng(0)
    sequence = LandmarkSequence(rng.normal(5, 1, (1, len(get_layout(layout)), 3)), layout, units="metre")
    result = normalize(sequence, "root")
    np.testing.assert_allclose(result.data[:, sequence.spec.index[root]], 0, atol=1e-6)
    assert np.linalg.norm(result.data, axis=2).max() == pytest.approx(1, rel=1e-5)


def test_root_can_be_chosen_and_must_exist():
    result = normalize(still_body(), "root", root="left_wrist")
    np.testing.assert_allclose(result.data[:, result.spec.index["left_wrist"]], 0, atol=1e-5)
    with pytest.raises(ValueError, match="has no point tail"):
        normalize(body(), "root", root="tail")
    with pytest.raises(ValueError, match="has none of hip_center, nose, head, face"):
        normalize(LandmarkSequence(np.ones((2, 42, 3)), "hands-42", units="metre"), "root")


def test_no_normalisation_is_isotropic_and_nothing_else():
    sequence = body(4).to_units("image")
    np.testing.assert_array_equal(normalize(sequence, "none").data, sequence.isotropic().data)


def test_unseen_shoulders_fall_back_to_the_centroid():
    data = body(6).data.copy()
    data[:, body(1).spec.index["left_shoulder"]] = np.nan
    sequence = body(6).replace(data=data)
    np.testing.assert_array_equal(normalize(sequence).data, normalize(sequence, "centroid").data)


@pytest.mark.parametrize("method", ["shoulder", "root"])
def test_a_frame_without_its_own_origin_takes_the_clips_and_loses_no_point(method):
    sequence = still_body(6)
    data = sequence.data.copy()
    index = sequence.spec.index
    data[2, [index["left_shoulder"], index["nose"]]] = np.nan
    result = normalize(sequence.replace(data=data), method, per_frame=True)
    np.testing.assert_array_equal(result.seen, ~np.isnan(data[..., 0]))
    wrist = index["left_hand_wrist"]
    np.testing.assert_allclose(result.data[2, wrist], result.data[1, wrist], rtol=1e-4)


def test_layouts_without_shoulders_say_so():
    with pytest.raises(ValueError, match="'hands-42' has no point left_shoulder, right_shoulder"):
        normalize(LandmarkSequence(np.ones((2, 42, 3)), "hands-42", units="metre"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", NORMALIZATIONS)
@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("sequence", [nothing(5), body(0), body(1), still_body(3)])
def test_degenerate_clips_pass_through_every_normalisation(method, per_frame, sequence):
    sequence = sequence.replace(units="metre") if method == "body" else sequence
    result = normalize(sequence, method, per_frame=per_frame)
    np.testing.assert_array_equal(result.seen, sequence.seen)
    assert np.isfinite(result.data[result.seen]).all()


@pytest.mark.filterwarnings("error")
def test_all_points_in_one_place():
    sequence = LandmarkSequence(np.full((3, 75, 3), 0.5), "mediapipe-holistic", size=(10, 10))
    for method in ("shoulder", "centroid", "root"):
        np.testing.assert_array_equal(normalize(sequence, method).data, 0)
    np.testing.assert_array_equal(normalize(sequence.replace(units="metre"), "body").data, 0)


def turned(sequence, degrees, shift=(0.0, 0.0, 0.0)):
    """The same body after a turn about the vertical axis and a step."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    return sequence.replace(data=sequence.data @ rotation.T + np.array(shift))


def kinect(frames=30, seed=1):
    """A swaying Kinect body in metres, about as wide as people are, the left shoulder where a picture shows it."""
    rng = np.random.default_rng(seed)
    data = rng.uniform(-0.5, 0.5, (1, 20, 3)) + np.cumsum(rng.normal(0, 0.01, (frames, 20, 3)), axis=0)
    data[:, 2:4] = [[0.17, 0.4, 0.01], [-0.17, 0.42, -0.01]] + rng.normal(0, 0.01, (frames, 2, 3))
    return LandmarkSequence(data, "kinect-20", units="metre", fps=30)


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("degrees", [0, 46, -61, 90, 135, 180, 250])
def test_a_signer_seen_from_another_side_has_the_same_body(degrees, per_frame):
    sequence = kinect()
    data = sequence.data.copy()
    data[7, 2] = np.nan  # one shoulder lost
    data[9, 5] = np.nan
    sequence = sequence.replace(data=data)
    frontal = normalize(sequence, "body", per_frame=per_frame)
    seen_aside = normalize(turned(sequence, degrees, (2, -1, 3)), "body", per_frame=per_frame)
    np.testing.assert_allclose(seen_aside.data, frontal.data, atol=2e-5)
    plain = normalize(turned(sequence, degrees), "shoulder", per_frame=per_frame)
    assert degrees == 0 or not np.allclose(plain.data, normalize(sequence, per_frame=per_frame).data, atol=0.1)


def test_body_normalisation_points_x_to_the_signers_left_and_keeps_the_axes_hand():
    sequence = turned(kinect(), 61)
    result = normalize(sequence, "body")
    left, right = shoulders(result)
    assert np.median((left - right)[:, 0]) == pytest.approx(1, abs=0.02)
    assert abs(np.median((left - right)[:, 2])) < 0.03
    frame, turned_frame = sequence.data[0, 8:11] - sequence.data[0, 7], result.data[0, 8:11] - result.data[0, 7]
    scale = np.linalg.norm(turned_frame[0]) / np.linalg.norm(frame[0])
    assert np.linalg.det(turned_frame) == pytest.approx(np.linalg.det(frame) * scale**3, rel=1e-3), "not a reflection"
    np.testing.assert_allclose(turned_frame[:, 1], frame[:, 1] * scale, rtol=1e-4, atol=1e-5)


def test_a_frontal_body_and_its_mirror_image():
    data = kinect().data.copy()
    data[:, 2:4] = [[0.17, 0.4, 0.0], [-0.17, 0.4, 0.0]]
    frontal = kinect().replace(data=data)
    np.testing.assert_allclose(normalize(frontal, "body").data, normalize(frontal).data, atol=1e-5)
    aside = turned(kinect(), 46)
    np.testing.assert_allclose(normalize(mirror(aside), "body").data, mirror(normalize(aside, "body")).data, atol=1e-5)


def test_body_normalisation_without_shoulders_or_depth():
    data = kinect().data.copy()
    data[:, 2] = np.nan
    sequence = kinect().replace(data=data)
    np.testing.assert_array_equal(normalize(sequence, "body").data, normalize(sequence, "centroid").data)
    with pytest.raises(ValueError, match=r"'body' needs measured depth .* in image units.* choose 'shoulder'"):
        normalize(body(4).to_units("image"), "body")


def test_turned_recordings_of_a_sign_agree_with_frontal_ones(signlang_data):
    """ISL-30: repetitions 4-6 were recorded about 46° and 7-9 about 61° aside."""
    from signlang_hf.landmarks import get_layout

    archive = signlang_data / "isl30-kinect.tar.xz"
    if not archive.is_file():
        pytest.skip(f"{archive} not found")
    with tarfile.open(archive) as tar:
        clips = {}
        for member in tar:
            name = Path(member.name).stem
            if name.startswith("afternoon_apurve_"):
                table = np.loadtxt(tar.extractfile(member), ndmin=2).reshape(-1, 20, 3)
                picture = table * [-1, -1, 1]  # Kinect's axes point to the signer's right and up
                clips[int(name[-1])] = LandmarkSequence(picture, "kinect-20", units="metre")
            if len(clips) == 9:
                break
    body_points = get_layout("kinect-20").indices(["head", "spine", "hip_center", "left_shoulder", "right_shoulder"])

    def posture(clip, method):
        return np.median(normalize(clip, method).data[:, body_points], axis=0)

    frontal = {method: posture(clips[1], method) for method in ("shoulder", "body")}
    for repetition in range(4, 10):
        error = {m: np.abs(posture(clips[repetition], m) - frontal[m]).max() for m in frontal}
        assert error["body"] < 0.5 * error["shoulder"], (repetition, error)


def test_palm_normalisation_puts_the_face_at_0_and_a_palm_at_1():
    data = body(9).data[:, :43].copy()
    data[:, 0] = [300, 120, 5]
    hands = LandmarkSequence(data, "face-hands-43", units="pixel", size=(640, 480))
    wrists, knuckles = (
        hands.spec.indices(["left_hand_wrist", "right_hand_wrist"]),
        hands.spec.indices(["left_hand_middle_mcp", "right_hand_middle_mcp"]),
    )
    result = normalize(hands, "palm")
    palms = np.linalg.norm(result.data[:, knuckles] - result.data[:, wrists], axis=2)
    np.testing.assert_allclose(np.median(palms), 1, rtol=1e-5)
    np.testing.assert_allclose(result.data[:, 0], 0, atol=1e-5)
    shifted = hands.replace(data=2 * data + np.float32([10, 20, 30]))
    np.testing.assert_allclose(normalize(shifted, "palm").data, result.data, atol=1e-4)
    np.testing.assert_allclose(
        normalize(hands, "palm", per_frame=True).data, result.data, atol=1e-4
    )  # the face is still


def test_palm_normalisation_of_one_hand_and_without_a_face():
    data = body(9).data[:, :43].copy()
    data[:, 1:22] = data[:, 0] = np.nan
    alone = LandmarkSequence(data[:, 1:], "hands-42", units="pixel")
    result = normalize(alone, "palm")
    wrist, knuckle = alone.spec.indices(["right_hand_wrist", "right_hand_middle_mcp"])
    palm = np.median(np.linalg.norm(alone.data[:, knuckle] - alone.data[:, wrist], axis=1))
    np.testing.assert_allclose(result.data[:, 21:], (data[:, 22:] - data[:, 22:].mean((0, 1))) / palm, atol=1e-3)
    unseen = LandmarkSequence(data, "face-hands-43", units="pixel")
    np.testing.assert_allclose(normalize(unseen, "palm").data[:, 1:], result.data, atol=1e-5)
    with pytest.raises(ValueError, match="'boston-3' has no hands with wrist and middle_mcp"):
        normalize(track([0.0, 0.1], [1.0, 2.0]), "palm")


def test_unknown_method_and_missing_size():
    with pytest.raises(ValueError, match=f"Unknown normalisation 'hip'; choose one of {', '.join(NORMALIZATIONS)}"):
        normalize(body(), "hip")
    with pytest.raises(ValueError, match="need the picture's size"):
        normalize(LandmarkSequence(np.ones((2, 75, 3)), "mediapipe-holistic"))


# ------------------------------------------------------------------------------------------------------------ hands


def test_hand_shape_is_relative_to_the_wrist_and_sized_by_the_palm():
    sequence = body(8)
    shape = hand_shape(sequence)
    assert shape.shape == (8, 42, 3) and shape.dtype == np.float32
    np.testing.assert_array_equal(shape[:, [0, 21]], 0)
    for start in (0, 21):
        assert np.median(np.linalg.norm(shape[:, start + 9], axis=1)) == pytest.approx(1, rel=1e-5)


def test_hand_shape_does_not_know_where_the_hand_is_or_how_large():
    sequence = body(8)
    data = sequence.data.copy()
    data[:, LEFT] = data[:, LEFT] * 3 + 1000
    np.testing.assert_allclose(hand_shape(sequence.replace(data=data)), hand_shape(sequence), atol=2e-3)


@pytest.mark.filterwarnings("error")
def test_hand_shape_of_absent_hands():
    data = body(4).data.copy()
    data[:, LEFT] = np.nan
    shape = hand_shape(body(4).replace(data=data))
    assert np.isnan(shape[:, :21]).all() and np.isfinite(shape[:, 21:]).all()
    assert np.isnan(hand_shape(nothing(4))).all()
    assert hand_shape(body(0)).shape == (0, 42, 3)


def test_hand_shape_of_hands_in_detection_order():
    sequence = LandmarkSequence(np.random.default_rng(0).random((3, 43, 3)), "dgs-43", units="unknown")
    assert hand_shape(sequence, ("hand1", "hand2")).shape == (3, 42, 3)
    with pytest.raises(ValueError, match="'dgs-43' has no left_hand or right_hand; hand shapes need it"):
        hand_shape(sequence)
