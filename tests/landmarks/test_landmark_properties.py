"""Properties that hold for every clip, searched by hypothesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from signlang_hf.landmarks import LandmarkSequence, Layout, get_layout, list_layouts
from signlang_hf.landmarks.augment import AugmentConfig, Augmenter
from signlang_hf.landmarks.features import FEATURES, derivative, extract_features
from signlang_hf.landmarks.layout import mirror_name
from signlang_hf.landmarks.normalize import fill_gaps, mirror, normalize, resample, smooth

BUILT_IN = [name for name in list_layouts() if not name.startswith("test-")]
SMALL = ["mediapipe-holistic", "hands-42", "isl-48", "signlang-64", "dgs-43", "boston-3", "kinect-20"]

ALIASES = [{point, f"face_{point}"} for point in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]

quick = settings(max_examples=40, deadline=None)


@st.composite
def clips(
    draw, layouts=SMALL, units=("image", "pose", "pixel", "metre", "unknown"), min_frames=1, max_frames=40, gaps=True
):
    """A smooth clip with points, hands and whole frames missing here and there, on a regular or irregular clock."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layout = get_layout(draw(st.sampled_from(layouts)))
    frames = draw(st.integers(min_frames, max_frames))
    data = rng.uniform(0.2, 0.8, (1, len(layout), 3)) + np.cumsum(rng.normal(0, 0.01, (frames, len(layout), 3)), axis=0)
    if gaps:
        data[rng.random((frames, len(layout))) < draw(st.sampled_from([0.0, 0.02, 0.3]))] = np.nan
        for indices in layout.parts.values():
            if draw(st.integers(0, 3)) == 0:  # a part absent for a stretch, or throughout
                first, last = sorted(draw(st.tuples(st.integers(0, frames), st.integers(0, frames))))
                data[first:last, list(indices)] = np.nan
    unit = draw(st.sampled_from(units))
    size = draw(st.sampled_from([(1280, 720), (500, 500), (480, 640)]))
    if unit in ("pose", "pixel"):
        data = data * [size[0], size[1], size[0]]
    steps = (
        rng.uniform(0.01, 0.1, frames)
        if draw(st.booleans())
        else np.full(frames, draw(st.sampled_from([1 / 60, 0.04])))
    )
    return LandmarkSequence(data, layout.name, timestamps=np.cumsum(steps), size=size, units=unit)


# ------------------------------------------------------------------------------------------------------------- side


@quick
@given(clips(layouts=BUILT_IN, max_frames=4))
def test_mirroring_twice_is_the_identity(sequence):
    twice = mirror(mirror(sequence))
    np.testing.assert_allclose(twice.data, sequence.data, atol=1e-6 * max(sequence.size))
    np.testing.assert_array_equal(twice.seen, sequence.seen)
    np.testing.assert_array_equal(twice.visibility, sequence.visibility)


@quick
@given(clips(units=("image", "metre")))
def test_mirroring_moves_points_to_their_partners_and_keeps_heights(sequence):
    mirrored = mirror(sequence)
    for point, i in sequence.spec.index.items():
        partner = sequence.spec.index.get(mirror_name(point), i)
        np.testing.assert_array_equal(mirrored.data[:, partner, 1:], sequence.data[:, i, 1:])


# ---------------------------------------------------------------------------------------------------------- layouts


@quick
@given(st.sampled_from(BUILT_IN), st.randoms(use_true_random=False), st.floats(0.05, 1))
def test_layouts_round_trip_through_any_subset_in_any_order(name, random, share):
    source = get_layout(name)
    points = random.sample(source.points, max(1, int(share * len(source))))
    target = Layout("subset", tuple(points))
    there, back = target.conversion_from(source), source.conversion_from(target)
    assert [source.points[i] for i in there] == points
    for i, point in enumerate(source.points):
        if point in points:
            assert points[back[i]] == point
        elif back[i] >= 0:  # the same anatomical point under its other name
            assert {point, points[back[i]]} in ALIASES


@quick
@given(clips(layouts=["mediapipe-holistic", "isl-48", "hands-42", "kinect-20"]), st.sampled_from(BUILT_IN))
def test_conversion_to_a_layout_and_back_keeps_what_both_share(sequence, name):
    shared = [p for p in sequence.spec.points if p in get_layout(name).index]
    if not shared:
        return
    back = sequence.to_layout(name).to_layout(sequence.layout)
    kept = sequence.spec.indices(shared)
    np.testing.assert_array_equal(back.data[:, kept], sequence.data[:, kept])
    np.testing.assert_array_equal(back.visibility[:, kept], sequence.visibility[:, kept])
    assert (back.seen <= sequence.seen).all()


# --------------------------------------------------------------------------------------------------- place and size


@quick
@given(
    clips(layouts=["mediapipe-holistic", "isl-48", "kinect-20"], units=("metre", "pixel")),
    st.sampled_from(["shoulder", "centroid", "root"]),
    st.booleans(),
    st.floats(0.2, 5),
    st.tuples(*[st.floats(-2, 2)] * 3),
)
def test_normalisation_does_not_see_place_and_size(sequence, method, per_frame, factor, shift):
    if method == "root" and sequence.layout == "isl-48":
        method = "centroid"
    span = float(np.nanmax(np.abs(sequence.data), initial=1e-3, where=~np.isnan(sequence.data)))
    changed = sequence.replace(data=sequence.data * factor + np.array(shift) * span * factor)
    a, b = (normalize(s, method, per_frame=per_frame) for s in (sequence, changed))
    np.testing.assert_array_equal(a.seen, b.seen)
    np.testing.assert_array_equal(a.seen, sequence.seen)
    # Shoulders that all but coincide make large numbers: the tolerance is relative to the largest.
    size = np.abs(a.data[a.seen]).max(initial=1.0)
    np.testing.assert_allclose(b.data[a.seen] / size, a.data[a.seen] / size, atol=1e-3)


@quick
@given(clips(layouts=["mediapipe-holistic", "isl-48"], units=("image",), min_frames=2))
def test_a_clip_and_its_padded_square_give_the_same_features(sequence):
    width, height = sequence.size
    side = max(width, height)
    pad = np.array([(side - width) / 2, (side - height) / 2, 0])
    padded = (sequence.data * [width, height, width] + pad) / side
    square = sequence.replace(data=padded, size=(side, side))
    names = [name for name in FEATURES if name != "bone_direction"]  # the direction of a tiny bone is ill-conditioned
    a, b = (extract_features(normalize(s, "centroid"), names) for s in (sequence, square))
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    size = max(1.0, np.abs(a[np.isfinite(a)]).max(initial=0))
    np.testing.assert_allclose(b / size, a / size, atol=1e-4)


# ------------------------------------------------------------------------------------------------------------- time


@quick
@given(clips(min_frames=2), st.floats(5, 120))
def test_resampling_keeps_the_duration_and_invents_no_point(sequence, fps):
    result = resample(sequence, fps=fps)
    assert result.timestamps[0] == sequence.timestamps[0]
    assert 0 <= sequence.duration - result.duration + 1e-5 < 1 / fps + 2e-5
    assert (result.seen.any(axis=0) <= sequence.seen.any(axis=0)).all()
    low, high = (
        f(sequence.data, axis=0, initial=s * np.inf, where=~np.isnan(sequence.data))
        for f, s in ((np.min, 1), (np.max, -1))
    )
    slack = 1e-5 * max(sequence.size)
    assert ((result.data >= low - slack) & (result.data <= high + slack) | np.isnan(result.data)).all()


@quick
@given(clips(min_frames=2), st.integers(2, 80))
def test_resampling_to_a_length_keeps_both_ends(sequence, count):
    result = resample(sequence, num_frames=count)
    assert len(result) == count
    assert result.duration == pytest.approx(sequence.duration)
    np.testing.assert_array_equal(result.seen[[0, -1]], sequence.seen[[0, -1]])


@quick
@given(clips(), st.floats(0, 3))
def test_filling_gaps_never_invents_and_never_changes(sequence, max_gap):
    filled = fill_gaps(sequence, max_gap)
    np.testing.assert_array_equal(filled.data[sequence.seen], sequence.data[sequence.seen])
    assert (filled.seen >= sequence.seen).all()
    never = ~sequence.seen.any(axis=0)
    assert not filled.seen[:, never].any()
    for point in np.flatnonzero(~never):
        sightings = np.flatnonzero(sequence.seen[:, point])
        assert not filled.seen[: sightings[0], point].any() and not filled.seen[sightings[-1] + 1 :, point].any()
    again = fill_gaps(filled, max_gap)
    assert (again.visibility <= 1).all() and (filled.visibility[~filled.seen] == 0).all()


# -------------------------------------------------------------------------------------------------------- smoothing


@quick
@given(clips(min_frames=11, gaps=False), st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.integers(0, 2**32 - 1))
def test_smoothing_leaves_cubic_curves_unchanged(sequence, coefficients, seed):
    time = sequence.timestamps - sequence.timestamps[0]
    curve = np.polyval(coefficients, time / time[-1])
    data = np.broadcast_to(curve[:, None, None], sequence.data.shape).copy()
    data[np.random.default_rng(seed).random(data.shape[:2]) < 0.2] = np.nan
    sequence = sequence.replace(data=data)
    np.testing.assert_allclose(smooth(sequence).data, data, atol=2e-3)


@quick
@given(
    st.integers(4, 80),
    st.sampled_from([(11, 3), (7, 3), (5, 2), (9, 1), (3, 0)]),
    st.integers(0, 2**32 - 1),
)
def test_smoothing_equals_scipy_on_complete_regular_clips(frames, window_order, seed):
    window, order = window_order
    values = np.random.default_rng(seed).normal(size=(frames, 3, 3))
    sequence = LandmarkSequence(values, "boston-3", units="unknown", fps=30)
    fitting = min(window, frames if frames % 2 else frames - 1)
    if fitting <= order:
        assert smooth(sequence, window, order) is sequence
        return
    expected = savgol_filter(values, fitting, order, axis=0, mode="interp")
    np.testing.assert_allclose(smooth(sequence, window, order).data, expected, atol=1e-4)


@quick
@given(clips())
def test_smoothing_keeps_missing_points_missing(sequence):
    np.testing.assert_array_equal(smooth(sequence).seen, sequence.seen)


# ------------------------------------------------------------------------------------------------------ derivatives


@quick
@given(clips(min_frames=2, gaps=False), st.floats(-3, 3), st.floats(-3, 3))
def test_the_derivative_of_a_straight_line_is_its_slope_on_any_clock(sequence, slope, offset):
    time = sequence.timestamps
    np.testing.assert_allclose(derivative(slope * time + offset, time), slope, atol=1e-6)


@quick
@given(clips(), st.floats(0.25, 4))
def test_velocity_is_per_second(sequence, slower):
    """The same movement, stretched in time, has its speed divided: nothing counts frames."""
    stretched = sequence.replace(timestamps=sequence.timestamps * slower, fps=None)
    a = derivative(sequence.data, sequence.timestamps)
    b = derivative(stretched.data, stretched.timestamps)
    np.testing.assert_allclose(b * slower, a, rtol=1e-3, atol=1e-3 * max(sequence.size))


# ----------------------------------------------------------------------------------------------------- augmentation

probability = st.sampled_from([0.0, 0.5, 1.0])
STEPS = [
    "mirror", "time_warp", "change_speed", "crop_time", "drop_frames", "rotate", "scale", "shear", "rotate_hands",
    "bend_fingers", "kinematic_noise", "jitter", "drop_points", "drop_hands",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(clips(), st.fixed_dictionaries(dict.fromkeys(STEPS, probability)), st.integers(0, 2**32 - 1))
def test_augmentation_is_deterministic_and_invents_nothing(sequence, steps, seed):
    augment = Augmenter(AugmentConfig(**steps))
    result, again = (augment(sequence, np.random.default_rng(seed)) for _ in range(2))
    for name in ("data", "visibility", "timestamps"):
        np.testing.assert_array_equal(getattr(result, name), getattr(again, name))
    assert result.layout == sequence.layout and result.size == sequence.size and result.units == sequence.units
    assert 1 <= len(result) <= len(sequence)
    assert (np.diff(result.timestamps) > 0).all()
    assert not np.isinf(result.data).any()
    assert (result.visibility[~result.seen] == 0).all()
    rebuilt = result.replace()  # runs every check of the constructor again
    np.testing.assert_array_equal(rebuilt.data, result.data)
    np.testing.assert_array_equal(rebuilt.visibility, result.visibility)

    seen = sequence.seen[:, list(sequence.spec.mirror)] if steps["mirror"] == 1.0 else sequence.seen
    if steps["mirror"] != 0.5:
        assert (result.seen.any(axis=0) <= seen.any(axis=0)).all(), "a point never seen is never invented"
        kept_all_frames = steps["crop_time"] == steps["drop_frames"] == 0.0
        if kept_all_frames:
            assert (result.seen <= seen).all()
        if kept_all_frames and steps["drop_points"] == steps["drop_hands"] == 0.0:
            np.testing.assert_array_equal(result.seen, seen)
