"""The crop around the signer: what it holds, how it moves, and when it is given up."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.landmarks import Layout, get_layout
from signlang_hf.pose.cropping import PersonCrop

LAYOUT = get_layout("signlang-64")
SIZE = (1280, 720)
SURE = np.ones((1, 64))


def person(x=640.0, y=360.0, shoulders=60.0, reach=50.0, frames=1):
    """(t, 64, 2): shoulders around (x, y), all other points within ``reach`` below them."""
    points = np.full((frames, 64, 2), (x, y), np.float64)
    points[:, ::2, 1] += reach
    for side, sign in (("left", 1), ("right", -1)):
        points[:, LAYOUT.index[f"{side}_shoulder"]] = (x + sign * shoulders / 2, y)
    return points


@pytest.fixture
def crop():
    crop = PersonCrop(LAYOUT)
    crop.start(person(), SURE, SIZE, 0.0)
    return crop


def test_it_is_a_square_that_holds_the_signing_space(crop):
    left, top, right, bottom = crop.box
    assert right - left == pytest.approx(bottom - top)
    assert (left + right) / 2 == pytest.approx(640)
    # 1.6 shoulder widths up and down, with a margin of a quarter.
    assert bottom - top == pytest.approx(1.25 * 2 * 1.6 * 60)
    assert left < 640 - 1.2 * 60 and right > 640 + 1.2 * 60
    far = PersonCrop(LAYOUT)
    far.start(person(reach=200), SURE, SIZE, 0.0)  # a hand that hangs down
    assert far.box[1] < 360 - 96 and far.box[3] > 360 + 200


def test_it_stays_in_the_picture_and_is_none_where_it_gains_nothing():
    crop = PersonCrop(LAYOUT)
    crop.start(person(x=20, y=30), SURE, SIZE, 0.0)
    assert crop.box[0] == 0 and crop.box[1] == 0 and 20 < crop.box[2] < 200
    crop.reset()
    assert crop.box is None and crop.due(0.0)
    crop.start(person(shoulders=400), SURE, SIZE, 0.0)
    assert crop.box is None and not crop.due(0.1)  # she fills the picture, which is not being lost
    small = PersonCrop(LAYOUT)
    small.start(person(shoulders=2, reach=1), SURE, SIZE, 0.0)
    assert small.box[2] - small.box[0] == pytest.approx(128)  # no closer than a tenth


def test_without_shoulders_the_points_decide():
    layout = Layout("ten", tuple(f"point_{i}" for i in range(10)))
    crop = PersonCrop(layout)
    points = np.full((1, 10, 2), (600.0, 300.0))
    points[0, 0] = (760, 350)
    crop.start(points, np.ones((1, 10)), SIZE, 0.0)
    np.testing.assert_allclose(crop.box, [580, 225, 780, 425])
    unseen = person()
    unseen[0, LAYOUT.index["left_shoulder"]] = np.nan
    other = PersonCrop(LAYOUT)
    other.start(unseen, SURE, SIZE, 0.0)
    assert other.box[3] - other.box[1] == pytest.approx(128)


def test_it_grows_at_once_and_shrinks_slowly(crop):
    before = crop.box.copy()
    crop.follow(person(reach=260), SURE, 0.1)
    grown = crop.box.copy()
    assert grown[3] > 360 + 260 and grown[1] <= before[1] + 1e-9
    crop.follow(person(), SURE, 0.2)
    assert before[3] < crop.box[3] < grown[3] and grown[3] - crop.box[3] < 0.2 * (grown[3] - before[3])
    for seconds in np.arange(0.3, 8, 0.1):
        crop.follow(person(), SURE, seconds)
    np.testing.assert_allclose(crop.box, before, atol=0.5)


def test_it_shrinks_in_the_same_time_at_any_rate():
    sides = []
    for rate in (5, 50):
        crop = PersonCrop(LAYOUT)
        crop.start(person(shoulders=120), SURE, SIZE, 0.0)
        for step in range(1, rate + 1):
            crop.follow(person(), SURE, step / rate)
        sides.append(crop.box)
    np.testing.assert_allclose(*sides, atol=1e-6)


def test_when_it_looks_again(crop):
    assert not crop.due(1.9) and crop.due(2.0)
    crop.start(person(), SURE, SIZE, 2.0)
    assert not crop.due(3.9)
    crop.follow(person(), 0.5 * SURE, 2.1)  # half as sure as with the whole picture
    assert crop.box is None and crop.due(2.2)


def test_when_it_is_lost(crop):
    assert not crop.lost(0.7 * SURE) and crop.lost(0.5 * SURE)
    few = np.zeros((1, 64))
    few[0, :3] = 1
    assert crop.lost(few)
    nobody = PersonCrop(LAYOUT)
    nobody.start(np.full((1, 64, 2), np.nan), np.zeros((1, 64)), SIZE, 0.0)
    assert nobody.box is None and nobody.due(0.04)


def test_somebody_elsewhere_is_not_approached_slowly(crop):
    crop.start(person(x=200), SURE, SIZE, 2.0)
    assert crop.box[2] < 400
    crop.start(person(x=220), SURE, SIZE, 4.0)  # but a step aside is
    assert crop.box[0] < 220 - 120 and crop.box[2] >= 220 + 120


def test_the_whole_of_several_frames_is_held(crop):
    points = np.concatenate([person(x=640), person(x=760)])
    crop.follow(points, np.ones((2, 64)), 0.3)
    assert crop.box[0] < 640 - 72 and crop.box[2] > 760 + 72
