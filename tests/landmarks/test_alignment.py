"""Alignment in time: the warping path, the reference path, what becomes of a clip, and clips that can hardly be aligned."""

import sys

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.landmarks.alignment import (
    KEY_POINTS,
    REFERENCE_STEPS,
    align,
    key_path,
    key_points,
    reference_path,
    trajectory,
    warping_path,
)
from signlang_hf.landmarks.features import extract_features

POINTS = len(get_layout("isl-48"))


def sign(at, frames=40, seed=0, **options):
    """All points leave their place and come back, halfway at the moment ``at`` of [0, 1]."""
    rng = np.random.default_rng(seed)
    rest, sway = rng.normal(size=(2, POINTS, 3))
    width = rng.uniform(0.12, 0.16, (POINTS, 3))
    data = rest + sway * np.exp(-(((np.linspace(0, 1, frames)[:, None, None] - at) / width) ** 2))
    return LandmarkSequence(data, "isl-48", **{"units": "unknown", "fps": 25, **options})


EVEN, LATE = 0.45, 0.6


def hidden(sequence, frames, points):
    data = sequence.data.copy()
    data[np.ix_(np.atleast_1d(frames), sequence.spec.indices(points))] = np.nan
    return sequence.replace(data=data, visibility=None)


# ------------------------------------------------------------------------------------------------------- key points


def test_ten_key_points_of_both_arms():
    assert len(KEY_POINTS) == 10
    for layout in ("isl-48", "mediapipe-holistic", "karsl-184", "coco-wholebody-133", "gislr-543", "signlang-64"):
        assert key_points(layout) == list(KEY_POINTS)


@pytest.mark.parametrize(
    ("layout", "count"), [("kinect-20", 6), ("boston-3", 2), ("hands-42", 6), ("dgs-43", 8), ("face-hands-43", 6)]
)
def test_layouts_with_fewer_points_are_aligned_by_what_they_have(layout, count):
    assert len(key_points(layout)) == count
    sequence = LandmarkSequence(np.random.default_rng(0).normal(size=(5, len(get_layout(layout)), 3)), layout)
    assert key_path(sequence).shape == (5, count, 3)
    with pytest.raises(ValueError, match=f"'{layout}' has no point left_"):
        trajectory(sequence)


def test_a_layout_without_arms_says_so():
    from signlang_hf.landmarks import register_layout

    with pytest.raises(ValueError, match="'test-face' has no elbow, wrist or hand"):
        key_points(register_layout("test-face", ["face_1", "face_2"]))


# ----------------------------------------------------------------------------------------------------- warping path


def movement(path):
    """As paths are compared: about the mean, root mean square 1, as a table (T, P · d)."""
    table = path.reshape(len(path), -1)
    table = table - table.mean(axis=0)
    return table / np.sqrt((table**2).mean())


def best_cost(path, reference, band):
    """Textbook DTW with a cost for every step off the diagonal: cost of the best way within the band."""
    count, dims = path.shape
    cost = np.full((count + 1, count + 1), np.inf)
    cost[0, 0] = 0
    for i in range(count):
        for j in range(count):
            if abs(i - j) < band:
                before = min(cost[i, j], 0.3 * dims + min(cost[i, j + 1], cost[i + 1, j]))
                cost[i + 1, j + 1] = ((path[i] - reference[j]) ** 2).sum() + before
    return cost[-1, -1]


def walks(frames, steps, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(np.cumsum(rng.normal(size=(length, 10, 3)), axis=0) for length in (frames, steps))


@pytest.mark.parametrize("frames", [2, 3, 7, 24, 61])
def test_the_path_is_the_best_way_from_corner_to_corner(frames):
    path, reference = walks(frames, frames, seed=frames)
    frame, step = warping_path(path, reference)
    assert frame[[0, -1]].tolist() == step[[0, -1]].tolist() == [0, frames - 1]
    moves = list(zip(np.diff(frame).tolist(), np.diff(step).tolist()))
    assert set(moves) <= {(0, 1), (1, 0), (1, 1)}
    a, b = movement(path), movement(reference)
    cost = ((a[frame] - b[step]) ** 2).sum() + 0.3 * 30 * sum(move != (1, 1) for move in moves)
    assert cost == pytest.approx(best_cost(a, b, 1 + round(0.25 * frames)))


@pytest.mark.parametrize(("frames", "steps"), [(30, 32), (32, 12), (1, 32), (2, 32), (32, 1)])
def test_a_reference_of_another_length_is_stretched_first(frames, steps):
    path, reference = walks(frames, steps)
    frame, step = warping_path(path, reference)
    assert frame.max() == step.max() == frames - 1
    place = np.linspace(0, steps - 1, frames)
    table = np.stack([np.interp(place, np.arange(steps), column) for column in reference.reshape(steps, -1).T], axis=1)
    for ours, theirs in zip((frame, step), warping_path(path, table.reshape(frames, 10, 3))):
        np.testing.assert_array_equal(ours, theirs)


def test_place_and_size_of_a_movement_do_not_matter():
    path, reference = key_path(sign(LATE)), key_path(sign(EVEN))
    for first, second in zip(warping_path(3 * path + 7, reference - 20), warping_path(path, reference)):
        np.testing.assert_array_equal(first, second)
    frame, step = warping_path(path, reference)
    assert np.abs(frame - step).max() >= 5


def test_the_band_keeps_moments_near_their_place():
    path, reference = np.zeros((2, 40, 10, 3))
    path[24:32], reference[9:17] = 1, 1
    frame, step = warping_path(path, reference)
    assert np.abs(frame - step).max() == 10 == round(0.25 * 40)


def test_gaps_are_carried_and_unseen_points_take_no_part():
    a, b = key_path(sign(EVEN)), key_path(sign(LATE))
    whole = warping_path(a, b)
    gap = a.copy()
    gap[18, 3] = np.nan
    for first, second in zip(warping_path(gap, b), whole):
        np.testing.assert_array_equal(first, second)
    absent, distorted = a.copy(), b.copy()
    absent[:, 5:] = np.nan
    distorted[:, 5:] += np.random.default_rng(0).normal(size=distorted[:, 5:].shape) * 100
    for first, second in zip(warping_path(absent, distorted), warping_path(a[:, :5], b[:, :5])):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("path", [np.full((5, 10, 3), np.nan), np.ones((5, 10, 3))], ids=["nobody", "nothing moves"])
def test_with_nothing_to_align_by_moments_stay(path):
    frame, step = warping_path(path, walks(9, 9)[0])
    assert frame.tolist() == step.tolist() == list(range(5))
    frame, step = warping_path(walks(5, 5)[0], np.ones((5, 10, 3)))
    assert frame.tolist() == step.tolist() == list(range(5))


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dtaidistance", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "signlang-hf\[features\]"'):
        warping_path(np.zeros((4, 10, 3)), np.zeros((4, 10, 3)))


# --------------------------------------------------------------------------------------------------- reference path


def test_the_reference_of_one_sign_at_many_moments_is_that_sign():
    moments, lengths = (0.4, 0.45, 0.5, 0.55, 0.6), (25, 40, 33, 64, 50)
    clips = [sign(at, frames) for at, frames in zip(moments, lengths)]
    reference = reference_path([key_path(clip) for clip in clips])
    assert reference.shape == (REFERENCE_STEPS, 10, 3) and reference.dtype == np.float32
    ideal = key_path(sign(0.5, 200))

    def off(path):  # how far its steps are from the curve, wherever on it
        return max(np.linalg.norm(ideal - step, axis=(1, 2)).min() for step in path)

    mean = np.mean([key_path(sign(at, REFERENCE_STEPS)) for at in moments], axis=0)
    assert off(reference) < 0.6 * off(mean), "the mean of shifted movements is a flatter movement"
    assert np.ptp(reference, axis=0).max() > 1.05 * np.ptp(mean, axis=0).max()


def test_what_no_clip_saw_is_0_and_what_one_saw_comes_from_it():
    points = list(KEY_POINTS)
    first, second = sign(EVEN), sign(EVEN)
    first = hidden(first, np.arange(40), points[:2])
    second = hidden(second, np.arange(40), points[1:3])
    reference = reference_path([key_path(first), key_path(second)], steps=40)
    np.testing.assert_array_equal(reference[:, 1], 0)
    np.testing.assert_allclose(reference[:, [0, 2]], key_path(sign(EVEN))[:, [0, 2]], atol=0.05)


@pytest.mark.parametrize("paths", [[], [np.full((5, 10, 3), np.nan)], [np.zeros((0, 10, 3))]])
def test_no_clip_no_reference(paths):
    with pytest.raises(ValueError, match="no clip to measure the reference path on"):
        reference_path(paths)


# ------------------------------------------------------------------------------------------------------- trajectory


def test_a_clip_that_follows_the_reference_later_has_little_trajectory_left():
    reference = key_path(sign(EVEN, 80))
    unaligned = np.abs(key_path(sign(LATE, 80)) - reference).mean()
    assert np.abs(trajectory(sign(LATE, 80), reference)).mean() < 0.3 * unaligned


def test_trajectory_is_the_position_minus_the_aligned_steps():
    sequence, reference = sign(LATE, 20), key_path(sign(EVEN, 32, seed=4))
    values = trajectory(sequence, reference).reshape(20, 10, 3)
    frame, step = warping_path(key_path(sequence), reference)
    place = np.linspace(0, 31, 20)
    stretched = np.stack([np.interp(place, np.arange(32), column) for column in reference.reshape(32, -1).T], axis=1)
    for t in (0, 7, 19):
        expected = key_path(sequence)[t] - stretched[step[frame == t]].mean(axis=0).reshape(10, 3)
        np.testing.assert_allclose(values[t], expected, atol=1e-5)
    assert extract_features(sequence, ["trajectory"], reference=reference).shape == (20, 30)
    np.testing.assert_array_equal(
        extract_features(sequence, ["trajectory"], reference=reference), values.reshape(20, 30)
    )


def test_trajectory_in_the_plane_ignores_depth():
    sequence, reference = sign(LATE, 20), key_path(sign(EVEN))
    deep = sequence.replace(data=sequence.data * [1, 1, 50])
    np.testing.assert_array_equal(trajectory(deep, reference, dims=2), trajectory(sequence, reference, dims=2))
    assert trajectory(sequence, reference, dims=2).shape == (20, 20)


def test_trajectory_without_a_reference_is_about_the_clips_own_mean():
    sequence = hidden(sign(EVEN, 12), np.arange(12), ["left_elbow"])
    values = trajectory(sequence).reshape(12, 10, 3)
    assert np.isnan(values[:, 0]).all()
    np.testing.assert_allclose(values[:, 1:].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.diff(values[:, 1:], axis=0), np.diff(key_path(sequence)[:, 1:], axis=0), atol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", [0, 1, 2, 3])
@pytest.mark.parametrize("seen", [True, False])
def test_trajectory_of_short_clips_and_of_nobody(frames, seen):
    sequence = sign(EVEN, frames)
    sequence = sequence if seen else sequence.replace(data=np.full_like(sequence.data, np.nan), visibility=None)
    for reference in (None, key_path(sign(EVEN, 32))):
        values = trajectory(sequence, reference)
        assert values.shape == (frames, 30) and values.dtype == np.float32
        assert np.isfinite(values).all() if seen else np.isnan(values).all()


def test_a_missing_point_is_nan_in_its_own_values_only():
    sequence = hidden(sign(LATE, 20), [4, 5], ["right_wrist"])
    lost = np.isnan(trajectory(sequence, key_path(sign(EVEN))).reshape(20, 10, 3)).all(axis=2)
    assert np.argwhere(lost).tolist() == [[4, 6], [5, 6]] and KEY_POINTS[6] == "right_wrist"


# ------------------------------------------------------------------------------------------------------------ align


def test_an_aligned_clip_moves_at_the_pace_of_the_reference():
    reference, clip = key_path(sign(EVEN, 60)), sign(LATE, 60)
    aligned = align(clip, reference)
    assert len(aligned) == 60 and (aligned.timestamps == clip.timestamps).all() and aligned.fps == clip.fps
    before, after = (np.abs(key_path(one) - reference).mean() for one in (clip, aligned))
    assert after < 0.35 * before
    np.testing.assert_allclose(aligned.data[[0, -1]], clip.data[[0, -1]], atol=1e-6)
    fingers = sign(EVEN, 60)  # all points follow, not the key points alone
    assert np.abs(aligned.data - fingers.data).mean() < 0.35 * np.abs(clip.data - fingers.data).mean()


def test_a_clip_at_the_references_pace_stays_as_it_is():
    clip = sign(EVEN, 30, world=np.random.default_rng(0).normal(size=(30, POINTS, 4)))
    aligned = align(clip, key_path(clip))
    np.testing.assert_allclose(aligned.data, clip.data, atol=1e-6)
    np.testing.assert_allclose(aligned.world, clip.world, atol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", [0, 1, 2])
def test_a_clip_without_a_pace_stays_as_it_is(frames):
    clip = sign(EVEN, frames)
    assert align(clip, key_path(sign(EVEN))) is clip


@pytest.mark.filterwarnings("error")
def test_aligning_invents_nobody_and_loses_no_point():
    clip = sign(LATE, 30)
    nobody = clip.replace(data=np.full_like(clip.data, np.nan), visibility=None)
    assert not align(nobody, key_path(sign(EVEN))).seen.any()
    one_hand = hidden(clip, np.arange(30), [point for point in clip.spec.points if point.startswith("left_hand")])
    aligned = align(one_hand, key_path(sign(EVEN)))
    np.testing.assert_array_equal(aligned.seen, one_hand.seen)
    assert np.isfinite(aligned.visibility).all() and (aligned.visibility[~aligned.seen] == 0).all()


def test_alignment_in_the_plane_ignores_depth():
    clip, reference = sign(LATE, 30), key_path(sign(EVEN))
    noisy = reference * [1, 1, 0] + [0, 0, 9] * np.random.default_rng(0).normal(size=reference.shape)
    np.testing.assert_array_equal(align(clip, noisy, dims=2).data, align(clip, reference, dims=2).data)
    assert not np.allclose(align(clip, noisy).data, align(clip, reference).data)
