"""Signs joined into sentences: what is trimmed, how the gap is crossed, and what stays missing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from signlang_hf.data.concatenate import concatenate
from signlang_hf.data.single_sign import SHOULDERS, Sign, core
from signlang_hf.landmarks import LandmarkSequence, get_layout

KINECT = get_layout("kinect-20").index
BODY = np.zeros((20, 3), np.float32)
for name, place in {"left_shoulder": (SHOULDERS / 2, 0, 2), "right_shoulder": (-SHOULDERS / 2, 0, 2), "head": (0, -0.3, 2)}.items():  # fmt: skip
    BODY[KINECT[name]] = place
HAND = [KINECT["right_wrist"], KINECT["right_hand"]]


def signing(level=-0.1, *, fps=30.0, rise=0.5, hold=1.0, wave=0.15, place=(0.0, 0.0, 0.0), x=-0.2):
    """A Kinect skeleton whose right hand rises from 0.5 m below the shoulders, waves at ``level`` for ``hold`` s, and falls."""
    time = np.arange(round((2 * rise + hold) * fps) + 1) / fps
    y = np.interp(time, [0, rise, rise + hold, 2 * rise + hold], [0.5, level, level, 0.5])
    swing = wave * np.sin(2 * np.pi * 2 * (time - rise)) * ((time > rise) & (time < rise + hold))
    data = np.repeat(BODY[None], len(time), axis=0)
    for point in HAND:
        data[:, point] = np.stack([x + swing, y, np.full(len(time), 1.8)], axis=1)
    data[:, [KINECT["left_wrist"], KINECT["left_hand"]]] = [0.2, 0.55, 1.9]
    return LandmarkSequence(data + np.float32(place), "kinect-20", timestamps=time, fps=fps, units="metre")


def moving(start, velocity, *, frames=12, fps=30.0):
    """A skeleton whose right hand goes straight on, and which has nothing to trim."""
    time = np.arange(frames) / fps
    data = np.repeat(BODY[None], frames, axis=0)
    data[:, HAND] = (np.array(start) + time[:, None] * np.array(velocity))[:, None]
    data[:, [KINECT["left_wrist"], KINECT["left_hand"]]] = [0.2, 0.5, 1.9]
    return LandmarkSequence(data, "kinect-20", fps=fps, units="metre")


def whole(sequence):
    sign = Sign.measure(sequence)
    return Sign(**(sign.__dict__ | {"start": 0, "stop": len(sequence)}))


@pytest.mark.parametrize("fps", [15.0, 30.0, 60.0])
def test_rise_and_fall_are_trimmed_at_any_frame_rate(fps):
    clip = signing(fps=fps)
    start, stop = core(clip)
    time = clip.timestamps
    assert 0.35 <= time[start] <= 0.55 and 1.45 <= time[stop - 1] <= 1.65
    assert (clip.data[start:stop, HAND[0], 1] < 0).all(), "no frame of the core may show the hand near rest"


@pytest.mark.parametrize(("hold", "longest"), [(0.1, 0.25), (0.2, 0.45)])
def test_standing_still_is_shortened(hold, longest):
    clip = signing(wave=0.0, hold=2.0)
    start, stop = core(clip, hold=hold)
    kept = clip.timestamps[stop - 1] - clip.timestamps[start]
    assert 2 * hold - 0.1 <= kept <= longest
    assert (clip.data[start:stop, HAND[0], 1] < 0).all()


def test_a_clip_without_rest_stays_whole():
    clip = moving((-0.3, 0, 1.8), (1.0, 0, 0), frames=20)
    assert core(clip) == (0, 20)


def test_a_transition_is_the_cubic_hermite_curve_between_both_movements():
    """Against scipy's spline, on straight movements, which have no trembling; the duration follows from way and speed."""
    before, after = moving((-0.6, 0, 1.8), (0.9, 0, 0)), moving((0.0, -0.2, 1.8), (0, 0.9, 0.3))
    joined = concatenate([whole(before), whole(after)], seed=3)
    time, hand = joined.sequence.timestamps, joined.sequence.data[:, HAND[1]]
    (_, end), (begin, _) = joined.spans
    p0, p1 = before.data[-1, HAND[1]], after.data[0, HAND[1]]
    speed = (0.9 + np.hypot(0.9, 0.3)) / 2
    seconds = 1.5 * np.linalg.norm(p1 - p0) / speed
    assert 0.85 * seconds - 0.02 <= begin - end <= 1.15 * seconds + 0.02
    spline = CubicHermiteSpline([end, begin], [p0, p1], [[0.9, 0, 0], [0, 0.9, 0.3]])
    inside = (time > end + 1e-6) & (time < begin - 1e-6)
    assert inside.sum() > 5
    np.testing.assert_allclose(hand[inside], spline(time[inside]), atol=2e-5)
    np.testing.assert_allclose(np.diff(time), 1 / 30, atol=1e-6)
    np.testing.assert_allclose(hand[: len(before)], before.data[:, HAND[1]], atol=1e-6)
    np.testing.assert_allclose(hand[-len(after) :], after.data[:, HAND[1]], atol=1e-5)


def test_no_hand_is_thrown_far_by_its_speed():
    fast = concatenate([whole(moving((-0.9, 0, 1.8), (3.0, 0, 0))), whole(moving((0.2, 0, 1.8), (3.0, 0, 0)))])
    x = fast.sequence.data[:, HAND[0], 0]
    assert np.diff(x).min() > -0.06 and np.abs(np.diff(x)).max() < 0.15


def test_signs_stand_in_order_between_their_transitions():
    clips = [signing(), signing(-0.3), signing(0.05)]
    joined = concatenate(clips)
    assert joined.spans[0, 0] == 0 and joined.spans[-1, 1] == joined.sequence.timestamps[-1]
    gaps = joined.spans[1:, 0] - joined.spans[:-1, 1]
    assert (gaps >= 1 / 30 - 1e-6).all() and (gaps < 0.95).all()
    y = joined.sequence.data[:, HAND[0], 1]
    assert y[0] == pytest.approx(0.5, abs=0.01) and y[-1] == pytest.approx(0.5, abs=0.01)
    between = (joined.sequence.timestamps > 0.6) & (joined.sequence.timestamps < joined.spans[-1, 1] - 0.6)
    assert (y[between] < 0.2).all(), "hands must not go back to rest between two signs"


def test_the_seed_decides():
    clips = [signing(), signing(-0.4), signing(0.1), signing(-0.2)]
    one, same, other = (concatenate(clips, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.sequence.data, same.sequence.data)
    assert one.spans.tolist() != other.spans.tolist()


def test_place_size_and_direction_become_those_of_the_first_clip():
    first, second = signing(), signing(-0.3, x=0.1)
    angle = 0.4
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    moved = second.replace(data=(second.data @ turn).astype(np.float32) + np.float32([0.4, 0.1, -0.3]))
    straight = concatenate([first, second]).sequence
    np.testing.assert_allclose(concatenate([first, moved]).sequence.data, straight.data, atol=1e-5)

    def picture(clip, metre, size):
        flat = clip.data * [1, 1, 0] * metre + [size[0] / 2, size[1] / 2, 0]
        return clip.replace(data=flat, units="pixel", size=size)

    near, far = picture(first, 400, (640, 480)), picture(second, 150, (1280, 720))
    there = concatenate([near, far]).sequence
    alike = concatenate([near, picture(second, 400, (640, 480))]).sequence
    assert (there.units, there.size) == ("image", (640, 480))
    np.testing.assert_allclose(there.data, alike.data, atol=1e-4)


def hands(seed, *, left=slice(0, 0), frames=30):
    """``face-hands-43`` in pixels: the right hand always, the left one in the frames ``left``; both wander."""
    rng = np.random.default_rng(seed)
    shape = rng.normal(0, 20, (21, 3))
    shape[0], shape[9] = 0, (0, -60, 0)
    data = np.full((frames, 43, 3), np.nan, np.float32)
    data[:, 0] = (320, 150, 0)
    path = np.cumsum(rng.normal(0, 4, (frames, 1, 3)), axis=0) * [1, 1, 0]
    data[:, 22:] = shape + path + [250, 300, 0]
    data[left, 1:22] = (shape + path + [400, 300, 0])[left]
    return LandmarkSequence(data, "face-hands-43", fps=30.0, size=(640, 480), units="pixel")


def test_a_hand_that_only_one_sign_has_comes_and_leaves_within_half_the_transition():
    one, two = hands(0), hands(1, left=slice(0, 30))
    for signs in ((one, two), (two, one)):
        joined = concatenate([whole(sign) for sign in signs])
        (_, end), (begin, _) = joined.spans
        time = joined.sequence.timestamps
        inside = (time > end + 1e-6) & (time < begin - 1e-6)
        share = (time[inside] - end) / (begin - end)
        left = joined.sequence.part_seen("left_hand")
        near = share >= 0.5 - 1e-6 if signs[1] is two else share <= 0.5 + 1e-6
        assert inside.sum() >= 3 and near.any() and not near.all()
        assert (left[inside] == near).all()
        assert joined.sequence.part_seen("right_hand").all()
        assert not left[time <= end].any() if signs[0] is one else left[time <= end].all()
        # It comes along its own movement: no step is far from those of the sign.
        steps = np.linalg.norm(np.diff(joined.sequence.isotropic().data[:, 1, :2], axis=0), axis=1)
        assert np.nanmax(steps) < 40
    neither = concatenate([whole(one), whole(hands(2))]).sequence
    assert not neither.part_seen("left_hand").any()
    assert (neither.visibility[~neither.seen] == 0).all()


def test_a_hand_lost_just_before_the_end_is_where_it_was_seen():
    lost = hands(3, left=slice(0, 27))
    joined = concatenate([whole(lost), whole(hands(4, left=slice(2, 30)))])
    time, left = joined.sequence.timestamps, joined.sequence.part_seen("left_hand")
    inside = (time > joined.spans[0, 1] + 1e-6) & (time < joined.spans[1, 0] - 1e-6)
    assert left[inside].all() and left[: len(lost)].tolist() == [True] * 27 + [False] * 3
    assert not left[~inside][len(lost) : len(lost) + 2].any(), "what a clip does not show stays missing in it"


def test_a_transition_trembles_as_the_signs_do():
    rng = np.random.default_rng(0)

    def noisy(clip):
        return clip.replace(data=clip.data + rng.normal(0, 0.01, clip.data.shape))

    joined = concatenate([whole(noisy(moving((-0.9, 0, 1.8), (0.6, 0, 0)))), whole(noisy(moving((0.6, 0, 1.8), (0.6, 0, 0))))])  # fmt: skip
    time = joined.sequence.timestamps
    inside = (time > joined.spans[0, 1] + 1e-6) & (time < joined.spans[1, 0] - 1e-6)
    assert inside.sum() > 15
    rough = np.abs(np.diff(joined.sequence.data, n=3, axis=0)).mean(axis=(1, 2))
    ratio = rough[inside[1:-2]].mean() / rough[~inside[1:-2]].mean()
    assert 0.5 < ratio < 1.5


def test_what_cannot_be_joined_is_named():
    with pytest.raises(ValueError, match="no clip to concatenate"):
        concatenate([])
    with pytest.raises(ValueError, match=r"'kinect-20'.*'face-hands-43'.*cannot be concatenated"):
        concatenate([signing(), hands(0)])
    with pytest.raises(ValueError, match="without frames holds no sign"):
        concatenate([signing().frames(slice(0, 0))])
    empty = hands(0)
    with pytest.raises(ValueError, match="neither both shoulders nor a hand with its palm"):
        concatenate([empty.replace(data=np.full_like(empty.data, np.nan))])


def test_a_hand_detected_where_none_is_does_not_make_the_sign_longer():
    """As in DGS-30: a second hand flickers up at both ends, high above the one that is still on its way."""
    clip = signing(fps=30.0)
    start, stop = core(clip)
    data = clip.data.copy()
    data[:, [KINECT["left_wrist"], KINECT["left_hand"]]] = np.nan
    for frames in (slice(0, 3), slice(-3, None)):
        data[frames, KINECT["left_wrist"]] = (0.1, -0.2, 1.9)
    assert core(clip.replace(data=data, visibility=None)) == (start, stop)
    low = clip.data.copy()
    low[20:23, HAND, 1] = 0.4  # lost for a tenth of a second within the sign
    assert core(clip.replace(data=low))[0] <= start and core(clip.replace(data=low))[1] >= stop
