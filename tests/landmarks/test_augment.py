"""Augmentation: what each change does, what none of them may do, and the configuration."""

import json
import pickle
import time
from dataclasses import fields, replace

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.landmarks import augment as au
from signlang_hf.landmarks.augment import AugmentConfig, Augmenter
from signlang_hf.landmarks.normalize import hand_shape, normalize

LEFT, RIGHT = slice(33, 54), slice(54, 75)
TIME = [au.time_warp, au.change_speed, au.crop_time, au.drop_frames]
SPACE = [au.rotate, au.scale, au.shear, au.rotate_hands, au.bend_fingers, au.kinematic_noise, au.jitter]
DROP = [au.drop_points, au.drop_hands]
EVERY = TIME + SPACE + DROP
PROBABILITIES = [function.__name__ for function in EVERY] + ["mirror", "rest"]
CERTAIN = replace(AugmentConfig(), **dict.fromkeys(PROBABILITIES, 1.0))


def by_name(function):
    return getattr(function, "__name__", None)


def clip(frames=40, layout="mediapipe-holistic", seed=0, missing=0.05, **options):
    """Smoothly moving points with depth; part of them missing, the left hand for a while."""
    rng = np.random.default_rng(seed)
    points = len(get_layout(layout))
    data = rng.uniform(0.2, 0.8, (1, points, 3)) + np.cumsum(rng.normal(0, 0.003, (frames, points, 3)), axis=0)
    data[rng.random((frames, points)) < missing] = np.nan
    if missing and layout == "mediapipe-holistic":
        data[5:15, LEFT] = np.nan
    visibility = rng.uniform(0.3, 1, (frames, points))
    return LandmarkSequence(data, layout, visibility=visibility, **{"size": (1280, 720), "fps": 25, **options})


def whole(frames=40, seed=0, **options):
    """The same without anything missing."""
    return clip(frames, seed=seed, missing=0, **options)


def rng(seed=1):
    return np.random.default_rng(seed)


def isotropic(sequence):
    return sequence.isotropic().data.astype(float)


def assert_valid(result, source):
    """What holds for every augmentation of every clip."""
    assert result.layout == source.layout and result.size == source.size and result.units == source.units
    assert result.data.dtype == result.visibility.dtype == np.float32 and result.timestamps.dtype == np.float64
    assert result.data.shape == (len(result), *source.data.shape[1:])
    assert result.visibility.shape == result.data.shape[:2] and result.timestamps.shape == (len(result),)
    assert (np.diff(result.timestamps) > 0).all() and np.isfinite(result.timestamps).all()
    missing = np.isnan(result.data)
    assert (missing.all(axis=2) == missing.any(axis=2)).all() and not np.isinf(result.data).any()
    assert (result.visibility[missing[..., 0]] == 0).all()
    assert 0 <= result.visibility.min(initial=0) and result.visibility.max(initial=0) <= 1  # noqa: SIM300
    assert 1 / 10 < result.fps / source.fps < 10
    assert (result.world is None) == (source.world is None)
    if result.world is not None:
        assert result.world.shape == (*result.data.shape[:2], 4) and result.world.dtype == np.float32


# ------------------------------------------------------------------------------------------- what holds for all of them


@pytest.mark.parametrize("function", [*EVERY, Augmenter(CERTAIN), Augmenter()], ids=by_name)
@pytest.mark.parametrize("layout", ["mediapipe-holistic", "hands-42", "dgs-43", "boston-3", "kinect-20", "karsl-184"])
def test_result_is_a_valid_sequence_and_depends_on_the_seed_alone(function, layout):
    source = clip(30, layout, world=np.random.default_rng(5).normal(size=(30, len(get_layout(layout)), 4)))
    kept = {name: getattr(source, name).copy() for name in ("data", "visibility", "timestamps", "world")}
    for seed in range(5):
        result, again = function(source, rng(seed)), function(source, rng(seed))
        assert_valid(result, source)
        for name, before in kept.items():
            np.testing.assert_array_equal(getattr(result, name), getattr(again, name), err_msg=name)
            np.testing.assert_array_equal(getattr(source, name), before, err_msg=f"{name} was written to")


@pytest.mark.parametrize("function", SPACE, ids=by_name)
def test_changes_in_space_leave_time_visibility_and_missing_points_alone(function):
    source = clip()
    result = function(source, rng())
    np.testing.assert_array_equal(result.seen, source.seen)
    np.testing.assert_array_equal(result.timestamps, source.timestamps)
    np.testing.assert_array_equal(result.visibility, source.visibility)
    assert np.nanmax(np.abs(result.data - source.data)) > 1e-4, "it does change something"


@pytest.mark.parametrize("function", TIME, ids=by_name)
def test_changes_in_time_invent_no_frame(function):
    source = clip()
    result = function(source, rng())
    frames = {frame.tobytes() for frame in source.data}
    assert all(frame.tobytes() in frames for frame in result.data)
    assert not np.array_equal(result.timestamps, source.timestamps)


@pytest.mark.parametrize("function", DROP, ids=by_name)
def test_dropping_only_takes_away(function):
    source = clip(world=np.random.default_rng(5).normal(size=(40, 75, 4)))
    result = function(source, rng())
    assert (result.seen <= source.seen).all() and result.seen.sum() < source.seen.sum()
    lost = source.seen & ~result.seen
    np.testing.assert_array_equal(result.data[result.seen], source.data[result.seen])
    assert (result.visibility[lost] == 0).all() and np.isnan(result.world[lost]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("function", [*EVERY, Augmenter(CERTAIN)], ids=by_name)
def test_degenerate_clips_pass_through_unharmed(function):
    nothing = np.full((20, 75, 3), np.nan)
    for source in (
        LandmarkSequence(nothing, "mediapipe-holistic", size=(640, 480)),
        LandmarkSequence(nothing[:1], "mediapipe-holistic"),
        LandmarkSequence(nothing[:0], "mediapipe-holistic"),
        LandmarkSequence(np.full((9, 75, 3), 0.5), "mediapipe-holistic", size=(640, 480)),
        clip(1),
        clip(2),
        clip(3),
    ):
        for seed in range(4):
            result = function(source, rng(seed))
            assert_valid(result, source)
            assert len(result) >= min(len(source), 2)
            if len(source) == 1:
                assert result.seen.sum() == source.seen.sum()
            if not source.seen.any():
                assert not result.seen.any()


@pytest.mark.parametrize("function", [au.rotate, au.scale, au.shear, au.rotate_hands, au.kinematic_noise, au.jitter])
def test_a_wide_clip_and_its_padded_square_are_treated_alike(function):
    wide = clip()
    padded = wide.data.copy()
    padded[..., 1] = (padded[..., 1] * 720 + 280) / 1280
    square = wide.replace(data=padded, size=(1280, 1280))
    a, b = isotropic(function(wide, rng())), isotropic(function(square, rng()))
    np.testing.assert_allclose(a + [0, 280, 0], b, atol=0.01)


@pytest.mark.parametrize("function", [au.rotate, au.scale, au.shear, au.kinematic_noise, au.jitter], ids=by_name)
def test_strength_is_relative_to_the_body(function):
    """A clip in metres and the same clip in millimetres change by the same share of the body."""
    metres = clip(units="metre", size=None)
    millimetres = metres.replace(data=metres.data * 1000 + 77)
    a, b = function(metres, rng()).data - metres.data, function(millimetres, rng()).data - millimetres.data
    np.testing.assert_allclose(a * 1000, b, atol=0.05)


@pytest.mark.parametrize("function", [au.rotate, au.scale, au.shear, au.rotate_hands, au.bend_fingers, au.jitter])
def test_image_units_without_a_size_say_so(function):
    with pytest.raises(ValueError, match="need the picture's size"):
        function(clip(size=None), rng())


@pytest.mark.parametrize("function", [*SPACE, Augmenter(CERTAIN)], ids=by_name)
def test_flat_landmarks_stay_flat(function):
    source = clip()
    flat = source.replace(data=source.data * [1, 1, 0])
    result = function(flat, rng(3))
    assert (result.data[..., 2][result.seen] == 0).all()


# ------------------------------------------------------------------------------------------------------------- time


def test_time_warp_keeps_the_duration_and_is_smooth():
    source = clip(100)
    for seed in range(10):
        result = au.time_warp(source, rng(seed), strength=0.5)
        assert result.timestamps[0] == source.timestamps[0]
        assert result.duration == pytest.approx(source.duration)
        pace = np.diff(result.timestamps) / np.diff(source.timestamps)
        assert np.ptp(pace) > 0.05 and np.abs(np.diff(np.log(pace))).max() < 0.15
    np.testing.assert_allclose(au.time_warp(source, rng(), strength=0.0).timestamps, source.timestamps, atol=1e-6)


def test_speed_stays_within_its_range_and_takes_fps_along():
    source = clip(timestamps=10 + np.arange(40) / 25)
    durations = []
    for seed in range(30):
        result = au.change_speed(source, rng(seed), 0.5, 2.0)
        durations.append(result.duration)
        assert result.timestamps[0] == 10
        assert result.fps * result.duration == pytest.approx(source.fps * source.duration)
    assert source.duration / 2 <= min(durations) < source.duration < max(durations) <= source.duration * 2


@pytest.mark.parametrize("function", [au.time_warp, au.change_speed], ids=by_name)
def test_a_clock_too_fine_to_change_stays_as_it_is(function):
    """A billion seconds in, doubles are a tenth of a microsecond apart: squeezing such steps would merge frames."""
    fine = clip(40, timestamps=1e9 + np.arange(40) * 2.0**-23, fps=25)
    for seed in range(5):
        assert (np.diff(function(fine, rng(seed)).timestamps) > 0).all()


def test_crop_keeps_one_stretch_of_at_least_the_given_share():
    source = clip(50)
    starts = set()
    for seed in range(30):
        result = au.crop_time(source, rng(seed), min_share=0.6)
        first = int(np.flatnonzero(source.timestamps == result.timestamps[0])[0])
        starts.add(first)
        np.testing.assert_array_equal(result.timestamps, source.timestamps[first : first + len(result)])
        assert len(result) >= 0.6 * 49 - 1
    assert len(starts) > 3


def test_dropping_frames_makes_an_irregular_clock_of_the_same_duration():
    source = clip(60)
    lengths = {len(au.drop_frames(source, rng(seed), max_share=0.5)) for seed in range(20)}
    assert min(lengths) >= 60 * 0.3 and max(lengths) > 50 and len(lengths) > 5
    result = au.drop_frames(source, rng(3), max_share=0.5)
    assert result.duration == source.duration
    assert np.ptp(np.diff(result.timestamps)) > 0.01


# ------------------------------------------------------------------------------------------------------------ space


def distances(sequence, dims):
    points = isotropic(sequence)[..., :dims]
    return np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)


def test_roll_keeps_all_distances_in_the_picture_and_turns_about_the_shoulders():
    source = whole()
    result = au.rotate(source, rng(), roll=30, yaw=0, pitch=0)
    np.testing.assert_allclose(distances(result, 2), distances(source, 2), atol=0.01)
    np.testing.assert_allclose(result.data[..., 2], source.data[..., 2], atol=1e-5)
    middle = np.median(isotropic(source)[:, 11:13].mean(axis=1), axis=0)
    turned = np.median(isotropic(result)[:, 11:13].mean(axis=1), axis=0)
    np.testing.assert_allclose(turned, middle, atol=2)


def test_rotation_in_metres_is_rigid():
    source = whole(units="metre", size=None)
    result = au.rotate(source, rng(), roll=20, yaw=40, pitch=40)
    np.testing.assert_allclose(distances(result, 3), distances(source, 3), atol=1e-4)
    assert np.abs(result.data[..., 2] - source.data[..., 2]).max() > 0.01


def test_angles_stay_within_their_range():
    source = whole(2)
    angles = []
    for seed in range(40):
        result = au.rotate(source, rng(seed), roll=25, yaw=0, pitch=0)
        before, after = (isotropic(s)[0, 11, :2] - isotropic(s)[0, 12, :2] for s in (source, result))
        angles.append(np.degrees(np.arctan2(*after[::-1]) - np.arctan2(*before[::-1])))
    angles = (np.array(angles) + 180) % 360 - 180
    assert np.abs(angles).max() <= 25.1 and angles.min() < -10 and angles.max() > 10


def test_a_hand_with_its_own_depth_origin_turns_with_the_wrist_of_the_body():
    """MediaPipe's hand depth is 0 at the hand's wrist: yaw must not tear the hand from the arm."""
    source = whole()
    data = source.data.copy()
    index = source.spec.index
    data[:, index["left_wrist"], 2] = -0.8  # held far in front of the body
    data[:, LEFT, :2] += (data[:, index["left_wrist"], :2] - data[:, LEFT.start, :2])[:, None]
    data[:, LEFT, 2] -= data[:, [LEFT.start], 2]
    source = source.replace(data=data)
    result = au.rotate(source, rng(), roll=0, yaw=40, pitch=20)
    moved = isotropic(result)[:, index["left_wrist"]] - isotropic(source)[:, index["left_wrist"]]
    assert np.abs(moved[:, :2]).min() > 10
    np.testing.assert_allclose(
        isotropic(result)[:, LEFT.start, :2], isotropic(result)[:, index["left_wrist"], :2], atol=0.01
    )
    np.testing.assert_allclose(result.data[:, LEFT.start, 2], 0, atol=1e-5)


def test_scale_stretches_the_axes_apart_and_keeps_the_centre():
    source = whole(units="metre", size=None)
    result = au.scale(source, rng(), 0.5, 2.0, stretch=0.3)
    ratio = np.ptp(result.data, axis=(0, 1)) / np.ptp(source.data, axis=(0, 1))
    assert (ratio >= 0.5 * 0.7).all() and (ratio <= 2 * 1.3).all() and np.ptp(ratio) > 0.01
    middle = [np.median(s.data[:, 11:13].mean(axis=1), axis=0) for s in (source, result)]
    np.testing.assert_allclose(middle[0], middle[1], atol=1e-4)
    even = au.scale(source, rng(), 0.5, 0.5, stretch=0.0)
    np.testing.assert_allclose(normalize(even).data, normalize(source).data, atol=1e-4)


def test_shear_keeps_parallel_lines_parallel_and_depth():
    source = whole(2, units="metre", size=None)
    data = source.data.copy()
    data[:, 1] = data[:, 0] + [0.2, 0.1, 0]
    data[:, 3] = data[:, 2] + [0.2, 0.1, 0]
    result = au.shear(source.replace(data=data), rng(), amount=0.4)
    np.testing.assert_allclose(result.data[:, 1] - result.data[:, 0], result.data[:, 3] - result.data[:, 2], atol=1e-5)
    np.testing.assert_allclose(result.data[..., 2], data[..., 2], atol=1e-5)
    assert np.abs(distances(result, 2) - distances(source.replace(data=data), 2)).max() > 0.01


def test_world_points_turn_about_their_own_origin():
    world = np.concatenate([np.random.default_rng(2).normal(size=(40, 75, 3)), np.full((40, 75, 1), 0.7)], axis=2)
    source = whole(world=world)
    result = au.rotate(source, rng())
    np.testing.assert_allclose(
        np.linalg.norm(result.world[..., :3], axis=2), np.linalg.norm(world[..., :3], axis=2), rtol=1e-4
    )
    assert np.abs(result.world[..., :3] - world[..., :3]).max() > 0.01
    assert (result.world[..., 3] == np.float32(0.7)).all()


def test_hands_turn_about_their_wrists_each_in_its_own_way():
    source = whole()
    result = au.rotate_hands(source, rng(), degrees=20, low=0.8, high=1.25)
    body = np.r_[0:33, LEFT.start, RIGHT.start]
    np.testing.assert_allclose(result.data[:, body], source.data[:, body], atol=1e-6)
    ratios = []
    for hand in (LEFT, RIGHT):
        before, after = isotropic(source)[:, hand], isotropic(result)[:, hand]
        lengths = [np.linalg.norm(points[:, 1:] - points[:, :1], axis=2) for points in (before, after)]
        ratio = lengths[1] / lengths[0]
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-3)  # one size for all points and frames
        assert 0.8 <= ratio[0, 0] <= 1.25
        ratios.append(ratio[0, 0])
    assert ratios[0] != pytest.approx(ratios[1], rel=1e-3)
    assert np.abs(hand_shape(result) - hand_shape(source)).max() > 0.01


@pytest.mark.parametrize("function", [au.rotate_hands, au.bend_fingers], ids=by_name)
def test_a_hand_changes_alike_in_the_picture_and_in_the_world(function):
    picture = whole(units="metre", size=None)
    source = picture.replace(world=np.concatenate([picture.data, np.ones((40, 75, 1))], axis=2))
    result = function(source, rng())
    np.testing.assert_allclose(result.world[..., :3], result.data, atol=1e-6)
    assert np.abs(result.world[:, LEFT, :3] - source.world[:, LEFT, :3]).max() > 0.01


def test_hands_in_detection_order_turn_too():
    source = clip(layout="dgs-43")
    result = au.rotate_hands(source, rng())
    np.testing.assert_array_equal(result.data[:, 0], source.data[:, 0])
    assert np.nanmax(np.abs(result.data[:, 2:22] - source.data[:, 2:22])) > 1e-3


def test_a_hand_without_its_wrist_stays():
    source = whole()
    data = source.data.copy()
    data[:, LEFT.start] = np.nan
    source = source.replace(data=data)
    for function in (au.rotate_hands, au.bend_fingers):
        result = function(source, rng())
        np.testing.assert_array_equal(result.seen, source.seen)
    turned = au.rotate_hands(source, rng())
    np.testing.assert_allclose(turned.data[:, LEFT], source.data[:, LEFT], atol=1e-6)


def test_bent_fingers_keep_their_bones_and_the_palm():
    source = whole()
    result = au.bend_fingers(source, rng(), bend=25, splay=10)
    palm = np.r_[0:33, [LEFT.start + i for i in (0, 1, 2, 3, 4, 5, 9, 13, 17)]]
    np.testing.assert_allclose(result.data[:, palm], source.data[:, palm], atol=1e-6)
    before, after = isotropic(source)[:, LEFT], isotropic(result)[:, LEFT]
    for knuckle in (5, 9, 13, 17):
        chain = slice(knuckle, knuckle + 4)
        lengths = [np.linalg.norm(np.diff(points[:, chain], axis=1), axis=2) for points in (before, after)]
        np.testing.assert_allclose(lengths[1], lengths[0], rtol=1e-3, atol=0.01)
        assert np.abs(after[:, chain] - before[:, chain]).max() > 1


def test_bending_turns_about_the_line_of_the_knuckles():
    """A flat hand in the picture plane: bending alone lifts the fingers out of it and leaves them straight ahead."""
    hand = np.zeros((21, 3))
    for i, knuckle in enumerate((5, 9, 13, 17)):
        hand[knuckle : knuckle + 4] = [[i, 4 + j, 0] for j in range(4)]
    data = np.tile(hand, (2, 2, 1))[:, :42] + [0, 0, 1]
    source = LandmarkSequence(data, "hands-42", units="metre")
    result = au.bend_fingers(source, rng(), bend=30, splay=0)
    tips = result.data[0, [8, 12, 16, 20]]
    np.testing.assert_allclose(tips[:, 0], [0, 1, 2, 3], atol=1e-5)
    angle = np.degrees(np.arctan2(tips[:, 2] - 1, tips[:, 1] - 4))
    assert (np.abs(angle) > 1).all() and len(set(np.round(angle, 3))) == 4
    np.testing.assert_allclose(np.hypot(tips[:, 2] - 1, tips[:, 1] - 4), 3, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------ noise


def shoulder_width(sequence):
    points = isotropic(sequence)
    return np.median(np.linalg.norm((points[:, 11] - points[:, 12])[:, :2], axis=1))


@pytest.mark.parametrize(("function", "std"), [(au.kinematic_noise, 0.02), (au.jitter, 0.01)])
def test_noise_has_the_given_size_and_no_bias(function, std):
    source = whole(60)
    noise = [(isotropic(function(source, rng(seed), std)) - isotropic(source)) for seed in range(20)]
    noise = np.concatenate(noise) / shoulder_width(source)
    assert noise.std() == pytest.approx(std, rel=0.1)
    assert abs(noise.mean()) < 0.1 * std
    np.testing.assert_allclose(noise.std(axis=(0, 1)), std, rtol=0.2)  # along x, y and z


def test_kinematic_noise_is_smooth_in_time_and_jitter_is_not():
    source = whole(100, fps=50)

    def roughness(function):
        noise = isotropic(function(source, rng(), 0.02)) - isotropic(source)
        return np.diff(noise, axis=0).std() / noise.std()

    assert roughness(au.kinematic_noise) < 0.3
    assert roughness(au.jitter) == pytest.approx(np.sqrt(2), rel=0.05)


def test_kinematic_noise_has_no_frequency_above_its_cutoff():
    source = whole(500, fps=50).replace(data=np.full((500, 75, 3), 0.5) + np.linspace(0, 0.1, 75)[:, None])
    noise = isotropic(au.kinematic_noise(source, rng(), 0.05, cutoff=2.0)) - isotropic(source)
    spectrum = np.abs(np.fft.rfft(noise * np.hanning(500)[:, None, None], axis=0)) ** 2
    high = np.fft.rfftfreq(500, 1 / 50) > 2.5
    assert spectrum[high].sum() < 1e-3 * spectrum.sum()


def test_noise_moves_every_point_on_its_own_path_and_world_points_alike():
    world = np.concatenate([whole().data / 5, np.ones((40, 75, 1))], axis=2)
    source = whole(world=world)
    result = au.kinematic_noise(source, rng(), 0.05)
    shift = (isotropic(result) - isotropic(source)) / shoulder_width(source)
    correlation = np.corrcoef(shift[:, :, 0].T)
    assert np.median(np.abs(correlation[np.triu_indices(75, 1)])) < 0.9
    width = np.median(np.linalg.norm((world[:, 11] - world[:, 12])[:, :2], axis=1))
    np.testing.assert_allclose((result.world - world)[..., :3] / width, shift, atol=1e-3)


def test_world_points_that_were_never_seen_stay_unseen():
    source = whole(world=np.full((40, 75, 4), np.nan))
    for function in (au.kinematic_noise, au.jitter, au.rotate, au.rotate_hands, au.bend_fingers):
        assert np.isnan(function(source, rng()).world).all()


# ---------------------------------------------------------------------------------------------------------- dropout


def spans(missing):
    """Number of separate missing stretches in each column of (T, K)."""
    padded = np.concatenate([np.zeros_like(missing[:1]), missing])
    return (padded[1:] & ~padded[:-1]).sum(axis=0)


def test_points_are_lost_for_one_span_each():
    source = whole(50)
    result = au.drop_points(source, rng(), share=0.5, max_span=0.4)
    missing = ~result.seen
    assert spans(missing).max() == 1
    assert missing.mean(axis=0).max() <= 0.4
    assert 0.2 < missing.any(axis=0).mean() < 0.7
    assert au.drop_points(source, rng(), share=0.0) is source


def test_hands_are_lost_as_a_whole_and_nothing_else_is():
    source = whole(50)
    lengths = []
    for seed in range(20):
        missing = ~au.drop_hands(source, rng(seed), max_span=0.4).seen
        assert not missing[:, :33].any()
        for hand in (LEFT, RIGHT):
            assert (missing[:, hand] == missing[:, [hand.start]]).all() and spans(missing[:, hand]).max() <= 1
            lengths.append(missing[:, hand.start].mean())
    assert max(lengths) <= 0.4 and np.mean(lengths) == pytest.approx(0.2, abs=0.06)
    assert len(set(lengths)) > 8


def test_layouts_without_hands_lose_none():
    source = clip(layout="kinect-20")
    assert au.drop_hands(source, rng()) is source


# ---------------------------------------------------------------------------------------------------- configuration


def test_defaults_are_on_but_mirroring_is_off():
    config = AugmentConfig()
    assert config.mirror == config.rest == 0.0
    assert all(getattr(config, name) > 0 for name in PROBABILITIES if name not in ("mirror", "rest"))


def test_every_probability_switches_exactly_its_own_step():
    source = clip()
    for name in PROBABILITIES:
        result = Augmenter(replace(AugmentConfig.off(), **{name: 1.0}))(source, rng())
        changed = [
            field
            for field in ("data", "visibility", "timestamps")
            if not np.array_equal(getattr(result, field), getattr(source, field), equal_nan=True)
        ]
        assert changed, name
    assert Augmenter(AugmentConfig.off())(source, rng()) is source


def test_every_setting_matters():
    """Each range or strength, changed with its step switched on, changes the outcome: none is a dead field."""
    source = clip()
    baseline = Augmenter(CERTAIN)(source, rng())
    for field in fields(AugmentConfig):
        if field.name in PROBABILITIES:
            continue
        value = getattr(CERTAIN, field.name)
        other = (0.7, 0.75) if isinstance(value, tuple) else value * 0.5
        result = Augmenter(replace(CERTAIN, **{field.name: other}))(source, rng())
        same = result.data.shape == baseline.data.shape and all(
            np.array_equal(getattr(result, name), getattr(baseline, name), equal_nan=True)
            for name in ("data", "timestamps")
        )
        assert not same, field.name


def test_probability_is_how_often_a_step_happens():
    augment = Augmenter(replace(AugmentConfig.off(), jitter=0.3))
    source, generator = clip(3), rng()
    happened = sum(augment(source, generator) is not source for _ in range(600))
    assert happened / 600 == pytest.approx(0.3, abs=0.07)


def test_calls_with_one_generator_differ_and_a_seed_brings_them_back():
    augment, source = Augmenter(), clip()

    def series():
        generator = rng(9)
        return [augment(source, generator) for _ in range(4)]

    first, second = series(), series()
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a.data, b.data)
    assert len({a.data.tobytes() for a in first}) == 4


def test_mirroring_by_configuration():
    source = whole()
    result = Augmenter(replace(AugmentConfig.off(), mirror=1.0))(source, rng())
    np.testing.assert_allclose(result.data[:, LEFT, 0], 1 - source.data[:, RIGHT, 0], atol=1e-6)


def test_configuration_survives_json_yaml_and_pickle():
    yaml = pytest.importorskip("yaml")
    config = AugmentConfig(rotate=0.7, speed_range=(0.5, 1.5), jitter=1)
    for text in (json.dumps, yaml.safe_dump):
        assert AugmentConfig.from_dict(yaml.safe_load(text(config.to_dict()))) == config
    augment = pickle.loads(pickle.dumps(Augmenter(config)))  # noqa: S301 - what a data loader does with its workers
    assert augment.config == config and "rotate=0.7" in repr(augment)
    assert AugmentConfig.from_dict({}) == AugmentConfig() == Augmenter().config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rotate": 1.5}, r"setting rotate is 1\.5; it must be a number in 0\.0 … 1\.0"),
        ({"rotate": -0.1}, r"setting rotate is -0\.1"),
        ({"rotate": float("nan")}, "setting rotate is nan"),
        ({"rotate": True}, "setting rotate is True"),
        ({"rotate": "often"}, "setting rotate is 'often'"),
        ({"rotate": None}, "setting rotate is None"),
        ({"roll_degrees": 180}, r"setting roll_degrees is 180; it must be a number in 0\.0 … 90\.0"),
        ({"noise_std": -1}, "setting noise_std is -1"),
        ({"crop_min_share": 2}, "setting crop_min_share is 2"),
        ({"speed_range": (2.0, 1.0)}, r"setting speed_range is \(2\.0, 1\.0\); it must be \[low, high\]"),
        ({"speed_range": 1.0}, r"setting speed_range is 1\.0; it must be \[low, high\]"),
        ({"speed_range": (0.0, 1.0)}, "setting speed_range"),
        ({"scale_range": [0.9]}, "setting scale_range"),
        ({"spin": 0.5}, "Unknown augmentation setting spin; known are rest, mirror"),
    ],
)
def test_bad_settings_get_one_sentence(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        AugmentConfig.from_dict(settings)
    assert "\n" not in str(caught.value)


def test_augmentation_keeps_up_with_training():
    """About half a millisecond a clip on a quiet machine; the bound leaves room for a busy one."""
    source, augment, generator = clip(64), Augmenter(), rng()
    seconds = []
    for _ in range(60):
        start = time.perf_counter()
        augment(source, generator)
        seconds.append(time.perf_counter() - start)
    assert np.median(seconds) < 0.005
