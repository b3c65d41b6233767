"""Hands: angles within their ranges, bones of one length in every shape, and shapes that are what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.landmarks.layout import HAND
from signlang_hf.rendering.hands import (
    FINGER_LIMITS,
    SHAPES,
    THUMB_LIMITS,
    hand_points,
    nail_directions,
    sample_shape,
)

INDEX = {name: i for i, name in enumerate(HAND)}
RADIAL, DISTAL, DORSAL = range(3)


def shapes(count=200):
    rng = np.random.default_rng(0)
    return [*SHAPES.values(), *(sample_shape(rng) for _ in range(count))]


def tip(shape, finger):
    return hand_points(SHAPES[shape], 1.0)[INDEX[f"{finger}_tip"]]


def test_every_joint_stays_within_its_range():
    for shape in shapes():
        assert (shape.fingers >= FINGER_LIMITS[:, 0]).all() and (shape.fingers <= FINGER_LIMITS[:, 1]).all()
        assert (shape.thumb >= THUMB_LIMITS[:, 0]).all() and (shape.thumb <= THUMB_LIMITS[:, 1]).all()


def test_a_bent_finger_spreads_less():
    most = max(abs(shape.fingers[:, 3][shape.fingers[:, 0] > 80]).max(initial=0.0) for shape in shapes())
    assert most <= 22.0 * (1 - 0.8 * 80 / 90) + 1e-9


def test_bones_keep_their_length():
    bones = np.array(
        [np.linalg.norm(np.diff(hand_points(s, 0.18)[1:].reshape(5, 4, 3), axis=1), axis=2) for s in shapes()]
    )
    assert np.ptp(bones, axis=0).max() < 1e-12
    assert 0.95 * 0.18 < np.linalg.norm(hand_points(SHAPES["flat"], 0.18)[INDEX["middle_tip"]]) < 1.02 * 0.18


def test_fingers_bend_towards_the_palm_and_the_thumb_is_radial():
    for shape in shapes():
        points = hand_points(shape, 1.0)
        bent = shape.fingers[:, :2].sum(axis=1) > 25
        assert (points[8::4, DORSAL][bent] < points[5::4, DORSAL][bent]).all()
        assert points[INDEX["thumb_mcp"], RADIAL] > points[INDEX["middle_mcp"], RADIAL]
    assert (np.diff(hand_points(SHAPES["five"], 1.0)[[4, 8, 12, 16, 20], RADIAL]) < 0).all()


@pytest.mark.parametrize(
    ("shape", "straight"),
    [
        ("flat", {"index", "middle", "ring", "little"}),
        ("fist", set()),
        ("point", {"index"}),
        ("v", {"index", "middle"}),
        ("w", {"index", "middle", "ring"}),
        ("ily", {"index", "little"}),
        ("y", {"little"}),
    ],
)
def test_shapes_stretch_the_fingers_that_they_are_known_for(shape, straight):
    points = hand_points(SHAPES[shape], 1.0)
    out = {
        f
        for f in ("index", "middle", "ring", "little")
        if tip(shape, f)[DISTAL] > 1.2 * points[INDEX[f"{f}_mcp"], DISTAL]
    }
    assert out == straight


def test_thumb_and_index_meet_where_the_shape_says_so():
    apart = {name: np.linalg.norm(tip(name, "thumb") - tip(name, "index")) for name in SHAPES}
    assert apart["pinch"] < 0.15 and apart["o"] < 0.15
    assert apart["five"] > 0.5 and apart["l"] > 0.5 and 0.15 < apart["c"] < 0.5


def test_nails_face_away_from_the_palm_across_the_last_bone():
    for shape in shapes(20):
        points, nails = hand_points(shape, 1.0), nail_directions(shape)
        last = points[4::4] - points[3::4]
        np.testing.assert_allclose(np.linalg.norm(nails, axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose((nails * last).sum(axis=1), 0.0, atol=1e-12)
    assert (nail_directions(SHAPES["flat"])[1:, DORSAL] > 0.9).all()
