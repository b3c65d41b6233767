"""FABRIK and the repair of joints: bones of fixed length, reachable targets reached, plausible joints untouched."""

import tarfile
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.landmarks.kinematics import bone_lengths, chains, fabrik, repair
from signlang_hf.landmarks.layout import BUILT_IN_LAYOUTS

quick = settings(max_examples=30, deadline=None)
HOLISTIC = get_layout("mediapipe-holistic")


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def bones_of(points):
    return np.linalg.norm(np.diff(points, axis=-2), axis=-1)


def signer(frames=30, seed=0, layout="mediapipe-holistic", **options):
    """A clip whose limbs and fingers turn smoothly about their joints and never change their lengths."""
    spec, rng = get_layout(layout), np.random.default_rng(seed)
    time = np.linspace(0, 1, frames)[:, None]
    data = rng.uniform(1, 3, (1, len(spec), 3)) + 0.1 * np.sin(3 * time[..., None])
    for chain in chains(spec):
        direction = unit(rng.normal(size=3))
        for a, b in pairwise(chain):
            direction = unit(direction + 0.5 * rng.normal(size=3))
            swing = unit(direction + 0.4 * np.sin(2 * time + rng.uniform(0, 6)) * rng.normal(size=3))
            data[:, b] = data[:, a] + rng.uniform(0.3, 0.6) * swing
    return LandmarkSequence(data, layout, **{"units": "metre", "fps": 25, **options})


def changed(sequence, frames, point, value):
    data = sequence.data.copy()
    data[frames, sequence.spec.index[point]] = value
    return sequence.replace(data=data, visibility=None)


def lengths_of(sequence):
    """Per chain (T, bones)."""
    return [bones_of(sequence.data[:, chain]) for chain in chains(sequence.spec)]


# ----------------------------------------------------------------------------------------------------------- FABRIK


@st.composite
def reaches(draw):
    """Chains, bone lengths and targets that the chains can reach with some slack."""
    bones, seed = draw(st.integers(1, 5)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(0.2, 2.0, (7, bones))
    points = np.cumsum(rng.normal(size=(7, bones + 1, 3)), axis=1)
    nearest = np.maximum(0, 2 * lengths.max(axis=1) - lengths.sum(axis=1))
    share = draw(st.floats(0.2, 0.9)) if bones > 1 else 1.0
    distance = nearest + share * (lengths.sum(axis=1) - nearest)
    return points, lengths, points[:, 0] + unit(rng.normal(size=(7, 3))) * distance[:, None]


@quick
@given(reaches())
def test_bones_keep_their_lengths_and_a_reachable_target_is_reached(reach):
    points, lengths, target = reach
    result = fabrik(points, lengths, target, rounds=1000)
    np.testing.assert_allclose(bones_of(result), lengths, rtol=1e-9)
    np.testing.assert_array_equal(result[:, 0], points[:, 0])
    missed = np.linalg.norm(result[:, -1] - target, axis=1)
    assert (missed <= 1e-3 * lengths.sum(axis=1) + 1e-12).all()


@quick
@given(reaches(), st.floats(1.01, 50))
def test_a_chain_points_straight_at_what_it_cannot_reach(reach, factor):
    points, lengths, target = reach
    total = lengths.sum(axis=1)
    along = unit(target - points[:, 0])
    result = fabrik(points, lengths, points[:, 0] + along * (factor * total)[:, None])
    np.testing.assert_allclose(bones_of(result), lengths, rtol=1e-9)
    np.testing.assert_allclose(result[:, -1], points[:, 0] + along * total[:, None], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("lengths", "distance"), [([1, 1, 1, 1], 3.9999), ([1, 3], 2.05), ([1, 1, 3], 1.05)])
@pytest.mark.parametrize(("rounds", "near"), [(100, 0.05), (1000, 0.002)])
def test_a_chain_at_the_limit_of_its_reach_comes_close(lengths, distance, rounds, near):
    rng = np.random.default_rng(0)
    lengths = np.array(lengths, float)
    points = np.cumsum(rng.normal(size=(50, len(lengths) + 1, 3)), axis=1)
    target = points[:, 0] + distance * unit(rng.normal(size=(50, 3)))
    result = fabrik(points, lengths, target, rounds=rounds)
    np.testing.assert_allclose(bones_of(result), np.tile(lengths, (50, 1)), rtol=1e-9)
    assert np.linalg.norm(result[:, -1] - target, axis=1).max() < near * lengths.sum()


def test_joints_on_one_line_bend_to_come_nearer():
    points = np.zeros((1, 4, 3))
    points[0, :, 0] = [0, 1, 2, 3]
    for target in ([1.5, 0, 0], [0.0, 0, 0], [-2.0, 0, 0]):
        result = fabrik(points, np.ones(3), np.array([target]))
        np.testing.assert_allclose(result[0, -1], target, atol=3e-3)
        np.testing.assert_allclose(bones_of(result), 1, rtol=1e-9)


def test_joints_in_one_place():
    result = fabrik(np.zeros((2, 4, 3)), np.ones(3), np.array([[0.0, 1.5, 0], [9.0, 0, 0]]))
    np.testing.assert_allclose(bones_of(result), 1, rtol=1e-9)
    np.testing.assert_allclose(result[:, -1], [[0, 1.5, 0], [3, 0, 0]], atol=3e-3)


def test_the_smallest_change_is_made_near_the_start():
    rng = np.random.default_rng(1)
    points = np.cumsum(unit(rng.normal(size=(20, 4, 3))), axis=1)
    same = fabrik(points, np.ones(3), points[:, -1])
    np.testing.assert_allclose(same, points, atol=1e-9)


# ----------------------------------------------------------------------------------------------------------- chains


def test_chains_follow_from_names():
    names = [[HOLISTIC.points[joint] for joint in chain] for chain in chains(HOLISTIC)]
    assert ["left_shoulder", "left_elbow", "left_wrist"] in names
    assert [
        "right_hand_wrist",
        "right_hand_ring_mcp",
        "right_hand_ring_pip",
        "right_hand_ring_dip",
        "right_hand_ring_tip",
    ] in names
    assert len(names) == 4 + 10
    kinect = [[get_layout("kinect-20").points[joint] for joint in chain] for chain in chains(get_layout("kinect-20"))]
    assert kinect[0] == ["left_shoulder", "left_elbow", "left_wrist", "left_hand"]
    assert len(chains(get_layout("dgs-43"))) == 10 and chains(get_layout("boston-3")) == ()


def test_bone_lengths_are_medians_over_the_frames_that_show_them():
    points = np.zeros((5, 3, 3))
    points[:, 1, 0], points[:, 2, 0] = [1, 1, 2, 9, np.nan], [3, 3, 3, 3, np.nan]
    points[:, 2, 1] = np.nan
    lengths = bone_lengths(points)
    assert lengths[0] == 1.5 and np.isnan(lengths[1])


# ----------------------------------------------------------------------------------------------------------- repair


@quick
@given(st.integers(0, 1000), st.sampled_from(BUILT_IN_LAYOUTS), st.floats(0.05, 2))
def test_a_plausible_clip_is_not_touched(seed, layout, tolerance):
    sequence = signer(8, seed, layout)
    repaired = repair(sequence, tolerance)
    np.testing.assert_array_equal(repaired.data, sequence.data)
    np.testing.assert_array_equal(repaired.visibility, sequence.visibility)


@quick
@given(
    st.integers(0, 1000), st.sampled_from(["left_elbow", "right_knee", "left_hand_index_pip", "right_hand_thumb_mcp"])
)
def test_an_inner_joint_that_jumped_comes_back(seed, point):
    sequence = signer(30, seed)
    broken = changed(sequence, [4, 17], point, 30.0)
    repaired = repair(broken)
    joint = HOLISTIC.index[point]
    untouched = np.ones((30, 75), bool)
    chain = next(chain for chain in chains(HOLISTIC) if joint in chain)
    untouched[np.ix_([4, 17], chain[chain.index(joint) :])] = False
    np.testing.assert_array_equal(repaired.data[untouched], broken.data[untouched])
    np.testing.assert_allclose(repaired.data[[4, 17]][:, chain], sequence.data[[4, 17]][:, chain], atol=0.15)
    for after, usual in zip(lengths_of(repaired), lengths_of(sequence)):
        np.testing.assert_allclose(after, usual, rtol=1e-3, atol=2e-3)
    assert (repaired.visibility[[4, 17], joint] == 0.5).all()


@pytest.mark.parametrize("point", ["left_elbow", "right_hand_middle_dip"])
def test_a_joint_missing_between_known_ones_is_put_in(point):
    sequence = signer()
    joint = HOLISTIC.index[point]
    holed = changed(sequence, slice(10, 14), point, np.nan)
    visibility = holed.visibility.copy()
    visibility[:, [joint - 1, joint + 1]] = 0.8
    repaired = repair(holed.replace(visibility=visibility))
    assert repaired.seen.all()
    np.testing.assert_allclose(repaired.data[10:14, joint], sequence.data[10:14, joint], atol=0.05)
    for after, usual in zip(lengths_of(repaired), lengths_of(sequence)):
        np.testing.assert_allclose(after, usual, rtol=2e-3)
    assert repaired.visibility[10:14, joint] == pytest.approx(
        0.5 * visibility[10, [11, 15]].mean() if point == "left_elbow" else 0.4
    )
    keep = np.arange(75) != joint
    np.testing.assert_array_equal(repaired.data[:, keep], sequence.data[:, keep])


def test_a_chains_end_that_jumped_is_brought_within_reach_in_its_direction():
    sequence = signer()
    elbow, wrist = HOLISTIC.indices(["right_elbow", "right_wrist"])
    direction = unit(sequence.data[9, wrist] - sequence.data[9, elbow])
    far = changed(sequence, 9, "right_wrist", sequence.data[9, elbow] + 4 * direction)
    np.testing.assert_allclose(repair(far).data, sequence.data, atol=1e-4)


def test_nothing_is_invented_beyond_the_last_joint_that_was_seen():
    sequence = signer()
    data = sequence.data.copy()
    data[5:9, HOLISTIC.indices(["left_wrist"])] = np.nan
    data[10:, 33:54] = np.nan
    data[:, HOLISTIC.indices(["right_hand_index_tip", "right_hand_index_dip"])] = np.nan
    data[3, HOLISTIC.index["right_shoulder"]] = np.nan
    holed = sequence.replace(data=data, visibility=None)
    np.testing.assert_array_equal(repair(holed).data, holed.data)


def test_a_bone_never_seen_has_no_length_to_repair_with():
    holed = changed(signer(), slice(None), "left_elbow", np.nan)
    np.testing.assert_array_equal(repair(holed).data, holed.data)


def test_a_wrist_that_jumped_away_from_its_fingers_does_not_drag_them_along():
    broken = changed(signer(), 7, "right_hand_wrist", 20.0)
    repaired = repair(broken)
    np.testing.assert_array_equal(repaired.data, broken.data)


def test_a_joint_that_is_always_wrong_by_its_measure_is_the_measure():
    sequence = signer()
    np.testing.assert_array_equal(
        repair(changed(sequence, slice(None), "left_elbow", sequence.data[:, 13] + 5)).data[:, :13],
        sequence.data[:, :13],
    )


def test_repair_works_in_isotropic_units():
    metric = signer(seed=2)
    pixels = metric.data * 100
    size = (1280, 720)
    image = LandmarkSequence(pixels / [1280, 720, 1280], metric.layout, size=size, fps=25)
    broken = changed(image, [4, 20], "left_elbow", 0.9)
    expected = repair(
        changed(
            LandmarkSequence(pixels, metric.layout, units="pixel", fps=25), [4, 20], "left_elbow", [1152, 648, 1152]
        )
    )
    repaired = repair(broken)
    assert repaired.units == "image" and (repaired.data != broken.data).any()
    np.testing.assert_allclose(repaired.isotropic().data, expected.data, atol=0.05)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", [0, 1, 2, 5])
@pytest.mark.parametrize("layout", ["mediapipe-holistic", "kinect-20", "hands-42", "boston-3"])
def test_degenerate_clips_pass_through(frames, layout):
    shape = (frames, len(get_layout(layout)), 3)
    noise = np.random.default_rng(0).normal(size=shape)
    noise[np.random.default_rng(1).random(shape[:2]) < 0.3] = np.nan
    for data in (np.full(shape, np.nan), np.zeros(shape), noise):
        sequence = LandmarkSequence(data, layout, units="metre")
        repaired = repair(sequence, 0.2)
        assert (repaired.seen >= sequence.seen).all() and np.isfinite(repaired.data[repaired.seen]).all()
    flat = LandmarkSequence(noise[..., :2], layout, units="metre")
    assert repair(flat) is flat, "without depth bones have no lengths"


@pytest.mark.parametrize("tolerance", [0, -1, np.nan])
def test_a_tolerance_that_is_none(tolerance):
    with pytest.raises(ValueError, match="must be a positive share"):
        repair(signer(3), tolerance)


def test_elbows_that_jumped_in_real_recordings_come_back(signlang_data):
    """ISL-30 (Kinect, metres): the elbow is put half a metre off in every fifth frame."""
    archive = signlang_data / "isl30-kinect.tar.xz"
    if not archive.is_file():
        pytest.skip(f"{archive} not found")
    errors = []
    with tarfile.open(archive) as tar:
        files = (member for member in tar if member.isfile() and member.name.endswith("_apurve_1.txt"))
        for member in islice(files, 3):
            points = np.loadtxt(tar.extractfile(member), ndmin=2).reshape(-1, 20, 3)
            clip = LandmarkSequence(points, "kinect-20", units="metre", fps=30)
            elbow, wrist = clip.spec.indices(["right_elbow", "right_wrist"])
            broken = changed(clip, slice(2, None, 5), "right_elbow", clip.data[2::5, elbow] + [0.3, 0.3, 0.3])
            repaired = repair(broken)
            errors += np.linalg.norm((repaired.data - clip.data)[2::5, elbow], axis=1).tolist()
            assert np.linalg.norm((repaired.data - clip.data)[2::5, wrist], axis=1).mean() < 0.05
    assert np.median(errors) < 0.05 and np.mean(errors) < 0.1, "of 0.52 m"
