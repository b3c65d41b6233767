"""Angles, hulls and relations of hands, each on hands for which the right answer is known."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull

from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.landmarks.hand_geometry import (
    ANGLE_BONES,
    convex_hull,
    hands_relation,
    hull_shape,
    joint_angles,
    relation_size,
)
from signlang_hf.landmarks.layout import HAND
from signlang_hf.landmarks.normalize import mirror, normalize

TIPS = [HAND.index(f"{finger}_tip") for finger in ("thumb", "index", "middle", "ring", "little")]


def hands(left=None, right=None, frames=1, layout="hands-42", **options):
    """A clip with the given (21, 3) hands, NaN for None."""
    nobody = np.full((21, 3), np.nan)
    both = [nobody if hand is None else np.asarray(hand, float) for hand in (left, right)]
    data = np.tile(np.concatenate(both), (frames, 1, 1))
    return LandmarkSequence(data, layout, **{"units": "unknown", **options})


def random_hand(seed=0):
    return np.random.default_rng(seed).normal(size=(21, 3))


def flat_hand():
    """Four straight parallel fingers up (y), a thumb to the side, palm length 1."""
    hand = np.zeros((21, 3))
    for finger, x in enumerate((0.3, 0.0, -0.2, -0.4)):
        hand[5 + 4 * finger : 9 + 4 * finger, 0] = x
        hand[5 + 4 * finger : 9 + 4 * finger, 1] = [1.0, 1.4, 1.7, 1.9]
    hand[1:5, 0], hand[1:5, 1] = [0.3, 0.6, 0.9, 1.1], 0.2
    return hand


# ------------------------------------------------------------------------------------------------------ joint angles


def angles(hand, dims=3):
    """(13, planes) of one hand."""
    return joint_angles(hands(hand, hand), dims)[0].reshape(2, len(ANGLE_BONES), -1)[0]


def test_thirteen_pairs_of_bones_that_meet_or_neighbour_each_other():
    assert len(ANGLE_BONES) == len(set(ANGLE_BONES)) == 13
    for first, second in ANGLE_BONES:
        assert {*first, *second} <= set(HAND)
        fingers = {bone[1].split("_")[0] for bone in (first, second)}
        assert first[1] == second[0] or len(fingers) == 2, "bent at a joint, or spread between digits"
    assert {point for pair in ANGLE_BONES for bone in pair for point in bone} == set(HAND) - {
        f"{finger}_tip" for finger in ("index", "middle", "ring", "little")
    }


def test_joint_angles_equal_the_formula():
    hand = random_hand()
    for pair, values in zip(ANGLE_BONES, angles(hand)):
        u, v = (hand[HAND.index(b)] - hand[HAND.index(a)] for a, b in pair)
        for plane, value in zip(([0, 1], [0, 2], [1, 2]), values):
            expected = u[plane] @ v[plane] / np.linalg.norm(u[plane]) / np.linalg.norm(v[plane])
            assert value == pytest.approx(expected, abs=1e-5)
    np.testing.assert_array_equal(angles(hand, 2)[:, 0], angles(hand)[:, 0])


def test_a_bent_finger_shows_in_its_own_angles():
    straight, bent = flat_hand(), flat_hand()
    pip, dip, tip = (HAND.index(f"middle_{joint}") for joint in ("pip", "dip", "tip"))
    bent[[dip, tip]] = bent[pip] + [[0, -0.3, 0], [0, -0.5, 0]]
    before, after = angles(straight), angles(bent)
    changed = np.flatnonzero(np.abs(before - after).max(axis=1) > 1e-6)
    assert [ANGLE_BONES[i] for i in changed] == [(("middle_mcp", "middle_pip"), ("middle_pip", "middle_dip"))]
    assert before[changed[0], 0] == pytest.approx(1) and after[changed[0], 0] == pytest.approx(-1)


def test_joint_angles_do_not_see_place_and_size_and_a_bone_upright_on_a_plane_is_0():
    hand = random_hand(3)
    np.testing.assert_allclose(angles(7 * hand + [3, -1, 2]), angles(hand), atol=1e-5)
    values = angles(flat_hand())
    np.testing.assert_array_equal(
        values[: 4 + 4, 1], 0
    )  # straight up in y: nothing of it lies in xz, where x and z are 0
    assert np.isfinite(values).all()


def test_angles_of_a_missing_hand_or_joint():
    values = joint_angles(hands(None, flat_hand())).reshape(2, 13, 3)
    assert np.isnan(values[0]).all() and np.isfinite(values[1]).all()
    fingerless = flat_hand()
    fingerless[HAND.index("index_dip")] = np.nan
    lost = np.isnan(angles(fingerless)).all(axis=1)
    assert [ANGLE_BONES[i] for i in np.flatnonzero(lost)] == [(("index_mcp", "index_pip"), ("index_pip", "index_dip"))]


# -------------------------------------------------------------------------------------------------------------- hull


def shape(points):
    """Circularity and rectangularity of one set of points (N ≤ 21, 2); the rest of the hand was not seen."""
    hand = np.full((21, 3), np.nan)
    hand[: len(points), :2], hand[: len(points), 2] = points, 0
    return hull_shape(hands(hand))[0, :2]


def scipy_shape(points):
    hull = ConvexHull(points)
    corners = points[hull.vertices]
    edges = np.roll(corners, -1, axis=0) - corners
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    across = edges @ [[0, 1], [-1, 0]]
    rectangle = min(np.ptp(corners @ u) * np.ptp(corners @ v) for u, v in zip(edges, across))
    return 4 * np.pi * hull.volume / hull.area**2, hull.volume / rectangle


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1]], (np.pi / 4, 1)),
        ([[0, 0], [4, 0], [4, 1], [0, 1]], (4 * np.pi * 4 / 100, 1)),
        ([[0, 0], [1, 0], [0, 1]], (4 * np.pi * 0.5 / (2 + np.sqrt(2)) ** 2, 0.5)),
        ([[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]], (np.pi / 4, 1)),
        ([[0, 0], [1, 1], [2, 2]], (0, 0)),
        ([[3, 3]] * 5, (0, 0)),
    ],
    ids=["square", "bar", "triangle", "turned square", "line", "dot"],
)
def test_hulls_of_known_shape(points, expected):
    np.testing.assert_allclose(shape(points), expected, rtol=1e-6, atol=1e-12)


def test_a_disc_is_round():
    angle = np.linspace(0, 2 * np.pi, 21, endpoint=False)
    circularity, rectangularity = shape(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert circularity == pytest.approx(1, abs=0.02) and rectangularity == pytest.approx(np.pi / 4, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(arrays(np.int8, (21, 2), elements=st.integers(-4, 4)))
def test_hulls_equal_scipys_with_many_points_in_a_row(points):
    """A coarse grid: points that coincide and rows of them on the hull's edges are the hard case."""
    points = points.astype(float)
    if np.linalg.matrix_rank(points - points[0]) < 2:
        np.testing.assert_allclose(shape(points), 0, atol=1e-12)
        return
    np.testing.assert_allclose(shape(points), scipy_shape(points), rtol=1e-5)
    for angle in (0.3, 1.1, 2.7):  # where rounding puts the points of an edge beside it
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        np.testing.assert_allclose(shape(points @ turn + 5), shape(points), rtol=1e-4)


def test_corners_come_in_order_and_enclose_all_points():
    points = np.random.default_rng(0).normal(size=(50, 21, 2))
    corners = convex_hull(points)
    for one, row in zip(points, corners):
        count = len(set(row.tolist()))
        assert set(row.tolist()) == set(ConvexHull(one).vertices.tolist()) and (row[count:] == row[0]).all()
        ring = one[np.append(row[:count], row[0])]
        edge, beside = np.diff(ring, axis=0)[:, None], one[None] - ring[:-1, None]
        assert (edge[..., 0] * beside[..., 1] - edge[..., 1] * beside[..., 0] > -1e-9).all()


def test_hull_of_hands_that_were_hardly_seen():
    assert np.isnan(hull_shape(hands(None, None, frames=3))).all()
    two = np.full((21, 3), np.nan)
    two[:2] = [[0, 0, 0], [1, 1, 0]]
    values = hull_shape(hands(two, flat_hand()))
    assert np.isnan(values[0, :2]).all() and np.isfinite(values[0, 2:]).all()
    assert hull_shape(hands(frames=0)).shape == (0, 4)


def test_hulls_of_a_clip_are_faster_than_a_loop_over_scipy():
    rng = np.random.default_rng(0)
    sequence = LandmarkSequence(rng.normal(size=(200, 42, 3)), "hands-42", units="unknown")

    def fastest(work):
        times = []
        for _ in range(3):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return min(times)

    ours = fastest(lambda: hull_shape(sequence))
    scipys = fastest(
        lambda: [scipy_shape(hand) for frame in sequence.data for hand in (frame[:21, :2], frame[21:, :2])]
    )
    assert ours < scipys


# --------------------------------------------------------------------------------------------------------- relations


def relation(left, right, **options):
    values = hands_relation(hands(left, right, **options))[0]
    return values[:2], values[2:27].reshape(5, 5), values[27:37].reshape(5, 2), values[37:47].reshape(5, 2), values[47:]


def test_relation_of_two_hands_in_palms():
    left, right = 3 * flat_hand() + [10, 0, 0], 3 * flat_hand() + [1, 3, 5]
    wrists, tips, to_right, to_left, places = relation(left, right)
    np.testing.assert_allclose(wrists, [-3, 1], rtol=1e-6)
    between = np.linalg.norm(left[TIPS, None, :2] - right[None, TIPS, :2], axis=2) / 3
    np.testing.assert_allclose(tips, 1 / (1 + between), rtol=1e-5)
    palm = (left[0] + left[[5, 9, 13, 17]].sum(axis=0)) / 5
    to_wrist, to_palm = (np.linalg.norm((right[TIPS] - place)[:, :2], axis=1) / 3 for place in (left[0], palm))
    np.testing.assert_allclose(to_left, 1 / (1 + np.stack([to_wrist, to_palm], axis=1)), rtol=1e-5)
    palm = (right[0] + right[[5, 9, 13, 17]].sum(axis=0)) / 5
    to_palm = np.linalg.norm((left[TIPS] - palm)[:, :2], axis=1) / 3
    np.testing.assert_allclose(to_right[:, 1], 1 / (1 + to_palm), rtol=1e-5)
    assert len(places) == 0


def test_touching_is_1_and_far_away_goes_to_0():
    left = flat_hand()
    right = flat_hand() + (left[TIPS[1]] - flat_hand()[TIPS[2]])  # the right middle finger on the left index finger
    _, tips, *_ = relation(left, right)
    assert tips[1, 2] == 1 and tips.max() == 1
    assert relation(left, right + 1e6)[1].max() < 1e-5


def test_a_missing_hand_leaves_what_the_other_has():
    body = get_layout("mediapipe-holistic")
    data = np.random.default_rng(0).normal(size=(6, 75, 3))
    data[:, 33:54] = np.nan
    data[3] = np.nan
    values = hands_relation(LandmarkSequence(data, body.name, units="unknown"))
    assert values.shape == (6, relation_size(body)) == (6, 63)
    places = values[:, 47:].reshape(6, 4, 2, 2)
    assert np.isnan(values[:, :47]).all() and np.isnan(places[:, :, 0]).all()
    assert np.isfinite(np.delete(places[:, :, 1], 3, axis=0)).all() and np.isnan(places[3]).all()
    assert np.isnan(hands_relation(hands())).all()


@pytest.mark.parametrize(
    ("layout", "places"),
    [
        ("hands-42", 0),
        ("isl-48", 2),
        ("karsl-184", 3),
        ("dgs-43", 1),
        ("signlang-64", 3),
        ("mediapipe-holistic", 4),
        ("coco-wholebody-133", 4),
        ("gislr-543", 4),
    ],
)
def test_the_places_that_a_layout_has(layout, places):
    assert relation_size(get_layout(layout)) == 47 + 4 * places
    data = np.random.default_rng(0).normal(size=(2, len(get_layout(layout)), 3))
    values = hands_relation(LandmarkSequence(data, layout, units="unknown"))
    assert values.shape == (2, 47 + 4 * places) and np.isfinite(values).all()


def test_nearness_to_the_mouth_is_to_the_middle_between_its_corners():
    spec = get_layout("mediapipe-holistic")
    data = np.random.default_rng(1).normal(size=(1, 75, 3))
    data[0, 33:54], data[0, 54:] = flat_hand(), flat_hand() + 5
    index_tip = data[0, 33 + TIPS[1]]
    data[0, spec.indices(["mouth_left", "mouth_right"])] = index_tip + [[1, 0, 0], [-1, 0, 3]]
    places = hands_relation(LandmarkSequence(data, spec.name, units="unknown"))[0, 47:].reshape(4, 4)
    assert places[1, 0] == 1


def test_relations_do_not_see_place_size_and_picture_format():
    rng = np.random.default_rng(0)
    wide = LandmarkSequence(rng.uniform(0.2, 0.8, (12, 75, 3)), "mediapipe-holistic", size=(1280, 720))
    expected = hands_relation(normalize(wide))
    for method in ("centroid", "none"):
        np.testing.assert_allclose(hands_relation(normalize(wide, method)), expected, atol=1e-4)


def test_a_mirrored_signer_has_the_mirrored_relation():
    rng = np.random.default_rng(0)
    sequence = LandmarkSequence(rng.normal(size=(3, 75, 3)), "mediapipe-holistic", units="unknown")
    values, mirrored = hands_relation(sequence), hands_relation(mirror(sequence))
    np.testing.assert_allclose(mirrored[:, :2], values[:, :2] * [1, -1], atol=1e-5)
    np.testing.assert_allclose(
        mirrored[:, 2:27].reshape(3, 5, 5), values[:, 2:27].reshape(3, 5, 5).swapaxes(1, 2), atol=1e-5
    )
    np.testing.assert_allclose(mirrored[:, 27:37], values[:, 37:47], atol=1e-5)
