"""The second look at the hands of a film: what its frames tell each other, and when they do not."""

from __future__ import annotations

import numpy as np
import pytest
from bright_hands import HANDS, bright_spots, person

from signlang_hf.models.detector import HandFollower

RATE = 25


@pytest.fixture
def follow():
    return HandFollower(bright_spots())


def film(places, **options):
    """Frames in which the left hand is in these places, points of the first look, all of score 0.6, and the clock."""
    pictures, points = zip(*(person(left=place, **options) for place in places))
    return list(pictures), np.stack(points), np.full((len(places), 64), 0.6, np.float32), np.arange(len(places)) / RATE


def off(found, places):
    """(t,) pixels by which the left hands' wrists are off."""
    return np.linalg.norm(found[:, HANDS["left"][0]] - np.array(places), axis=1)


def looks(follow):
    return [len(batch) for batch in follow.detector.model.seen]


def walk(count, start=(60.0, 50.0)):
    return [(start[0] + t, start[1]) for t in range(count)]


def test_one_look_is_enough_where_all_agree(follow):
    pictures, points, scores, clock = film(walk(8))
    found, sure = follow(pictures, points, scores, clock)
    assert (off(found, walk(8)) < 0.6).all() and looks(follow) == [16]
    assert (sure[:, HANDS["left"]] > 0.8).all() and (points[:, HANDS["left"]] != found[:, HANDS["left"]]).any()
    body = [index for index in range(64) if index not in HANDS["left"] + HANDS["right"]]
    np.testing.assert_array_equal(found[:, body], points[:, body])


@pytest.mark.parametrize("wrong", [[4], [0], [3, 4]])
def test_the_frames_around_know_better(follow, wrong):
    pictures, points, scores, clock = film(walk(8))
    points[wrong] += [40, 40]  # and the arms with them
    found, _ = follow(pictures, points, scores, clock)
    assert (off(found, walk(8)) < 0.6).all() and looks(follow) == [16, 2 * len(wrong)]
    alone, _ = follow.detector(pictures, points, scores)
    assert (off(alone, walk(8))[wrong] > 10).all()  # three rounds do not help


def test_a_hand_that_the_first_look_does_not_see_is_looked_for_where_it_was(follow):
    pictures, points, scores, clock = film(walk(8))
    scores[3, HANDS["left"]], points[3, HANDS["left"]] = 0.1, np.nan
    found, _ = follow(pictures, points, scores, clock, threshold=0.3)
    assert (off(found, walk(8)) < 0.6).all() and looks(follow) == [15, 1]
    pictures[3] = np.zeros_like(pictures[3])  # where there is none, what the first look said stays
    follow.reset()
    found, sure = follow(pictures, points, scores, clock, threshold=0.3)
    assert np.isnan(found[3, HANDS["left"]]).all() and (sure[3, HANDS["left"]] == np.float32(0.1)).all()


def test_the_frames_before_are_remembered_until_a_clip_ends(follow):
    pictures, points, scores, clock = film(walk(9))
    points[8] += [40, 40]
    follow(pictures[:8], points[:8], scores[:8], clock[:8])
    last = slice(8, 9)
    found, _ = follow(pictures[last], points[last], scores[last], clock[last])
    assert off(found, [(68, 50)]) < 2.5  # the square lags behind the hand, which is still in it
    follow.reset()
    found, _ = follow(pictures[last], points[last], scores[last], clock[last])
    assert off(found, [(68, 50)]) > 10


def test_frame_by_frame_as_from_a_camera(follow):
    pictures, points, scores, clock = film(walk(12))
    points[7] += [40, 40]
    rows = [slice(t, t + 1) for t in range(12)]
    found = np.concatenate([follow(pictures[row], points[row], scores[row], clock[row])[0] for row in rows])
    assert (off(found, walk(12)) < 2.5).all()
    assert looks(follow) == [2] * 3 + [2] * 7 + [2] + [2] * 4  # the first frame is a picture like any other


def test_after_a_cut_nothing_is_left_of_the_scene_before(follow):
    places = walk(10) + walk(6, start=(30.0, 90.0))
    pictures, points, scores, clock = film(places)
    for part in (slice(0, 8), slice(8, 16)):  # the cut is within the second part
        found, sure = follow(pictures[part], points[part], scores[part], clock[part])
        assert (off(found, places[part]) < 0.6).all() and (sure[:, HANDS["left"]] > 0.8).all()


def test_a_hand_that_was_away_is_found_again_somewhere_else(follow):
    places = walk(24, start=(30.0, 90.0))
    pictures, points, scores, clock = film(places)
    pictures[4:16] = [np.zeros_like(pictures[0])] * 12
    scores[4:16] = 0.0
    found = np.concatenate(
        [
            follow(pictures[a : a + 8], points[a : a + 8], scores[a : a + 8], clock[a : a + 8], 0.3)[0]
            for a in (0, 8, 16)
        ]
    )
    assert (off(found[16:], places[16:]) < 0.6).all() and (off(found[:4], places[:4]) < 0.6).all()


def test_frames_that_are_far_apart_are_pictures(follow):
    pictures, points, scores, clock = film(walk(4))
    points[2] += [40, 40]
    found, sure = follow(pictures, points, scores, 25 * clock)
    expected = follow.detector(pictures, points, scores)
    np.testing.assert_array_equal(found, expected[0])
    np.testing.assert_array_equal(sure, expected[1])


def test_hands_that_nobody_sees_are_left_alone(follow):
    pictures, points, scores, clock = film(walk(8))
    found, sure = follow(pictures, points, scores, clock, threshold=0.7)
    np.testing.assert_array_equal(found, points)
    np.testing.assert_array_equal(sure, scores)
    assert looks(follow) == []


def test_a_frame_that_is_surer_than_those_around_is_believed(follow):
    pictures, points, scores, clock = film(
        [(60.0, 50.0)] * 3 + [(100.0, 90.0)] + [(60.0, 50.0)] * 4
    )  # as fast as no hand is
    pictures[:3] = [picture // 2 for picture in pictures[:3]]
    pictures[4:] = [picture // 2 for picture in pictures[4:]]
    found, _ = follow(pictures, points, scores, clock)
    assert off(found[3:4], [(100, 90)]) < 0.6 and looks(follow)[0] == 16


def test_no_hand_is_looked_for_where_none_was_found(follow):
    pictures, points, scores, clock = film(walk(8), right=(110.0, 60.0))
    points[4] += [40, -20]
    follow([picture // 12 for picture in pictures], points, scores, clock)
    assert looks(follow) == [16]
    follow.reset()
    follow(pictures, points, scores, clock)
    assert looks(follow) == [16, 16, 2]


def test_later_frames_do_not_change_what_was_said(follow):
    """A clip may be cut off anywhere between two calls."""
    pictures, points, scores, clock = film(walk(16))
    points[[5, 11]] += [40, 40]
    first = follow(pictures[:8], points[:8], scores[:8], clock[:8])[0].copy()
    follow(pictures[8:], points[8:], scores[8:], clock[8:])
    follow.reset()
    np.testing.assert_array_equal(follow(pictures[:8], points[:8], scores[:8], clock[:8])[0], first)
