"""Signers at rest: arms as long as they are, hands out of sight, and clips with the way there and back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from signlang_hf import LandmarkSequence
from signlang_hf.landmarks.rest import between, found_hands, resting_pose, with_rest


def kinect(frames: int = 30, seed: int = 0) -> LandmarkSequence:
    """A person who stands still and moves the right arm, in metres."""
    sequence = LandmarkSequence(np.zeros((frames, 20, 3)), "kinect-20", fps=30, units="metre")
    data, index = np.random.default_rng(seed).normal(0, 0.01, (frames, 20, 3)), sequence.spec.index
    for side, x in (("left", 0.2), ("right", -0.2)):
        for name, y in (("shoulder", 0.0), ("elbow", 0.3), ("wrist", 0.1), ("hand", 0.0)):
            data[:, index[f"{side}_{name}"]] = x, y, 0
    data[:, index["right_hand"], 0] += 0.05 * np.sin(np.arange(frames))
    return sequence.replace(data=data.astype(np.float32))


def holistic(frames: int = 20) -> LandmarkSequence:
    data = np.random.default_rng(1).uniform(0.3, 0.6, (frames, 75, 3)).astype(np.float32)
    data[5:9, 33:54] = np.nan
    return LandmarkSequence(data, "mediapipe-holistic", fps=25, size=(640, 360))


def test_arms_hang_as_long_as_they_are():
    clip = kinect()
    pose, index = resting_pose(clip), clip.spec.index
    for side in ("left", "right"):
        chain = [index[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand")]
        for above, below in itertools.pairwise(chain):
            length = np.median(np.linalg.norm(clip.data[:, below] - clip.data[:, above], axis=1))
            assert np.linalg.norm(pose[below] - pose[above]) == pytest.approx(length, rel=1e-5)
            assert pose[below, 1] > pose[above, 1] and pose[below, 0] == pytest.approx(pose[above, 0])
    head = index["head"]
    assert np.allclose(pose[head], np.median(clip.data[:, head], axis=0), atol=1e-6)


def test_lengths_are_measured_in_pixels_where_the_picture_is_wide():
    clip = holistic()
    pose, index = resting_pose(clip), clip.spec.index
    above, below = index["left_shoulder"], index["left_elbow"]
    length = np.median(np.linalg.norm((clip.data[:, below] - clip.data[:, above]) * [640, 360, 640], axis=1))
    assert (pose[below, 1] - pose[above, 1]) * 360 == pytest.approx(length, rel=1e-5)


def test_hands_that_a_detector_finds_are_out_of_sight():
    clip = holistic()
    assert found_hands(clip) == [list(range(33, 54)), list(range(54, 75))] and found_hands(kinect()) == []
    pose = resting_pose(clip)
    assert np.isnan(pose[33:]).all() and not np.isnan(pose[:33]).any()


def test_what_was_never_seen_is_not_seen_at_rest():
    clip = holistic()
    data = clip.data.copy()
    data[:, clip.spec.index["left_elbow"]] = np.nan
    pose, index = resting_pose(clip.replace(data=data)), clip.spec.index
    assert np.isnan(pose[index["left_elbow"]]).all() and not np.isnan(pose[index["left_wrist"]]).any()


def test_the_way_between_two_poses():
    one, other = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    other[1] = np.nan
    way = between(one, other, 3)
    assert way[:, 0, 0].tolist() == [0.25, 0.5, 0.75] and np.isnan(way[:, 1]).all()


@pytest.mark.parametrize("clip", [kinect(), holistic()], ids=["body", "hands"])
def test_a_clip_with_rest_holds_the_clip(clip):
    rng, lengths, starts = np.random.default_rng(0), set(), []
    for _ in range(40):
        longer = with_rest(clip, rng)
        (first,) = np.flatnonzero(longer.timestamps == clip.timestamps[0])
        inside = slice(first, first + len(clip))
        assert np.array_equal(longer.data[inside], clip.data, equal_nan=True)
        assert np.array_equal(longer.timestamps[inside], clip.timestamps)
        assert (np.diff(longer.timestamps) > 0).all() and (longer.layout, longer.size) == (clip.layout, clip.size)
        lengths.add(len(longer))
        starts.append(first)
    assert len(lengths) > 10 and min(starts) < 3
    assert max(starts) / clip.fps <= 0.85 + 1 / clip.fps  # a pause and the slowest way


def test_arms_come_up_from_where_they_hang():
    clip = kinect()
    wrist, rng = clip.spec.index["right_wrist"], np.random.default_rng(3)
    longest = max((with_rest(clip, rng) for _ in range(40)), key=len)
    first = int(np.flatnonzero(longest.timestamps == clip.timestamps[0])[0])
    height = longest.data[: first + 1, wrist, 1]
    assert (np.diff(height) <= 1e-6).all() and height[0] > height[-1] + 0.3


def test_a_single_frame_stays_alone():
    clip = kinect(1)
    assert with_rest(clip, np.random.default_rng(0)) is clip
