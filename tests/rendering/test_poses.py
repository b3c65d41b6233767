"""Poses: arms by the law of cosines, wrists and elbows within their ranges, hands where signing happens."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.landmarks.layout import HAND, get_layout
from signlang_hf.rendering.anatomy import sample_person
from signlang_hf.rendering.pose import (
    DEVIATION_LIMITS,
    ELBOW_LIMITS,
    FLEXION_LIMITS,
    PRONATION_LIMITS,
    SIDES,
    hand_axes,
    rotation,
    sample_pose,
    two_bone,
)

LAYOUT = get_layout("signlang-64")


@pytest.fixture(scope="module")
def poses():
    result = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        result.append(sample_pose(sample_person(rng), rng))
    return result


def angle(first, second):
    return np.degrees(np.arccos(np.clip(first @ second / np.linalg.norm(first) / np.linalg.norm(second), -1, 1)))


def points(pose):
    return dict(zip(LAYOUT.points, pose.points()))


def test_an_arm_reaches_what_is_within_reach_and_points_at_what_is_not():
    own = np.eye(3)
    rng = np.random.default_rng(0)
    for _ in range(50):
        shoulder, target = rng.normal(size=3), rng.normal(scale=0.4, size=3)
        target = shoulder + target
        elbow, wrist, across = two_bone(shoulder, target, 0.29, 0.25, own, rng.normal())
        assert np.linalg.norm(elbow - shoulder) == pytest.approx(0.29)
        assert np.linalg.norm(wrist - elbow) == pytest.approx(0.25)
        distance = np.linalg.norm(target - shoulder)
        bend = angle(elbow - shoulder, wrist - elbow)
        assert ELBOW_LIMITS[0] - 1e-6 <= bend <= ELBOW_LIMITS[1] + 1e-6
        if 0.20 < distance < 0.53:
            np.testing.assert_allclose(wrist, target, atol=1e-9)
            cosine = (0.29**2 + 0.25**2 - distance**2) / (2 * 0.29 * 0.25)
            assert bend == pytest.approx(180 - np.degrees(np.arccos(cosine)))
        else:
            assert angle(wrist - shoulder, target - shoulder) == pytest.approx(0.0, abs=1e-4)
        assert angle(across, np.cross(elbow - shoulder, wrist - elbow)) == pytest.approx(0.0, abs=1e-3)


def test_a_wrist_at_rest_continues_the_forearm_and_turns_as_named():
    forearm, inward, top = np.array([0.0, -1, 0]), np.array([1.0, 0, 0]), np.array([0.0, 0, 1])  # a right arm, thumb up
    np.testing.assert_allclose(hand_axes(forearm, inward, top, np.zeros(3)), [top, forearm, -inward], atol=1e-12)
    palm_down = hand_axes(forearm, inward, top, np.array([90.0, 0, 0]))
    np.testing.assert_allclose(palm_down[2], top, atol=1e-12)
    bent = hand_axes(forearm, inward, top, np.array([0.0, 30, 0]))
    assert angle(bent[1], forearm) == pytest.approx(30) and bent[1] @ inward > 0
    tilted = hand_axes(forearm, inward, top, np.array([0.0, 0, 20]))
    assert angle(tilted[1], forearm) == pytest.approx(20) and tilted[1] @ top > 0


def test_joints_of_sampled_poses_stay_within_their_ranges(poses):
    for pose in poses:
        for side in SIDES:
            arm, person = pose.arms[side], pose.person
            for value, limits in zip(arm.wrist_angles, (PRONATION_LIMITS, FLEXION_LIMITS, DEVIATION_LIMITS)):
                assert limits[0] - 1e-9 <= value <= limits[1] + 1e-9
            _, flexion, deviation = np.radians(arm.wrist_angles)
            # Flexion and deviation are about axes at right angles: their cosines multiply (spherical Pythagoras).
            bend = angle(
                arm.hand[9] - arm.hand[0] - (arm.hand[9] - arm.hand[0]) @ arm.axes[2] * arm.axes[2], arm.axes[1]
            )
            assert bend < 4.0  # the middle knuckle lies ahead of the wrist
            assert np.cos(np.radians(angle(arm.wrist - arm.elbow, arm.axes[1]))) == pytest.approx(
                np.cos(flexion) * np.cos(deviation), abs=1e-9
            )
            assert (
                ELBOW_LIMITS[0] - 0.1 <= angle(arm.elbow - arm.shoulder, arm.wrist - arm.elbow) <= ELBOW_LIMITS[1] + 0.1
            )
            assert np.linalg.norm(arm.elbow - arm.shoulder) == pytest.approx(person.upper_arm)
            assert np.linalg.norm(arm.wrist - arm.elbow) == pytest.approx(person.forearm)
            np.testing.assert_allclose(arm.axes @ arm.axes.T, np.eye(3), atol=1e-9)


def test_left_hands_are_left_hands(poses):
    for pose in poses:
        assert np.linalg.det(pose.arms["left"].axes) == pytest.approx(1.0)
        assert np.linalg.det(pose.arms["right"].axes) == pytest.approx(-1.0)
        named = points(pose)
        torso = pose.torso
        for part in ("shoulder", "hip", "eye", "ear"):
            assert (named[f"left_{part}"] - named[f"right_{part}"]) @ torso[0] > 0
        assert (named["nose"] - named["left_ear"]) @ pose.head_frame[1] < 0


def test_the_64_points_are_those_of_body_face_and_hands(poses):
    for pose in poses[:5]:
        named = points(pose)
        for part in ("nose", "left_eye", "right_ear"):
            np.testing.assert_array_equal(named[part], named[f"face_{part}"])
        for side in SIDES:
            np.testing.assert_array_equal(named[f"{side}_wrist"], named[f"{side}_hand_wrist"])
            hand = np.stack([named[f"{side}_hand_{name}"] for name in HAND])
            np.testing.assert_array_equal(hand, pose.arms[side].hand)
            knee, hip, ankle = (named[f"{side}_{joint}"] for joint in ("knee", "hip", "ankle"))
            assert np.linalg.norm(knee - hip) == pytest.approx(pose.person.thigh)
            assert np.linalg.norm(knee - ankle) == pytest.approx(pose.person.shank)


def test_hands_are_where_signing_happens_and_not_inside_the_body(poses):
    wrists = np.array([(pose.arms[side].wrist - pose.neck) @ pose.torso.T for pose in poses for side in SIDES])
    before = (wrists[:, 1] < -0.12) & (np.abs(wrists[:, 0]) < 0.6)
    raised = before & (wrists[:, 2] > -0.42)
    assert 0.45 < raised.mean() < 0.95  # and some at rest
    for pose in poses:
        for side in SIDES:
            local = (pose.arms[side].hand - pose.head) @ pose.head_frame.T / pose.person.head
            assert np.linalg.norm(local / (0.30, 0.38, 0.45), axis=1).min() > 0.85


def test_people_sit_and_stand_and_differ(poses):
    assert 0.1 < np.mean([pose.seated for pose in poses]) < 0.6
    statures = [pose.person.stature for pose in poses]
    assert 1.45 <= min(statures) < 1.62 and 1.75 < max(statures) <= 2.0
    assert np.std([pose.person.forearm / pose.person.stature for pose in poses]) > 0.003


def test_a_seed_is_a_pose():
    def pose(seed):
        rng = np.random.default_rng(seed)
        return sample_pose(sample_person(rng), rng).points()

    np.testing.assert_array_equal(pose(7), pose(7))
    assert np.abs(pose(7) - pose(8)).max() > 0.01


def test_rotation_turns_as_named():
    left, back, _ = np.eye(3)
    assert rotation(x=20)[2] @ back < 0  # bowed, the top comes forward
    assert rotation(y=20)[2] @ left > 0
    assert -rotation(z=20)[1] @ left > 0  # turned to the left, the front looks there
