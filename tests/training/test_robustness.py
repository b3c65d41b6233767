"""Disturbances: each changes what it says, by as much as it says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, register_layout
from signlang_hf.training.robustness import DISTURBANCES, hand_points


def clip(layout: str = "isl-48", points: int = 48, frames: int = 40, units: str = "image") -> LandmarkSequence:
    rng = np.random.default_rng(0)
    data = rng.random((1, points, 3)) + 0.01 * rng.standard_normal((frames, points, 3)).cumsum(axis=0)
    return LandmarkSequence(data, layout, fps=25, size=(1280, 720) if units == "image" else None, units=units)


def disturbed(name: str, sequence: LandmarkSequence, seed: int = 0) -> LandmarkSequence:
    return DISTURBANCES[name](sequence, np.random.default_rng(seed))


def test_every_disturbance_is_reproducible_and_changes_the_clip() -> None:
    for name in DISTURBANCES:
        once, again = disturbed(name, clip()), disturbed(name, clip())
        np.testing.assert_array_equal(once.data, again.data)
        assert once.data.shape != clip().data.shape or not np.array_equal(once.data, clip().data, equal_nan=True), name


def test_frames_go_and_the_others_keep_their_time() -> None:
    sequence = clip()
    dropped, halved = disturbed("30 % of frames dropped", sequence), disturbed("half the frame rate", sequence)
    assert len(dropped) == 28 and len(halved) == 20
    assert set(dropped.timestamps) < set(sequence.timestamps)
    assert halved.timestamps[-1] == sequence.timestamps[-2]


def test_roll_keeps_distances_and_turns_by_fifteen_degrees() -> None:
    sequence = clip()
    before, after = sequence.isotropic().data, disturbed("±15° roll", sequence).data
    a, b = before[:, 5, :2] - before[:, 9, :2], after[:, 5, :2] - after[:, 9, :2]
    np.testing.assert_allclose(np.linalg.norm(b, axis=1), np.linalg.norm(a, axis=1), rtol=1e-4)
    cos = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    np.testing.assert_allclose(np.degrees(np.arccos(cos)), 15, atol=0.1)
    turned = [disturbed("±15° roll", sequence, seed).data for seed in range(9)]
    signs = {np.sign(a[0, 0] * c[0, 1] - a[0, 1] * c[0, 0]) for c in (t[:, 5, :2] - t[:, 9, :2] for t in turned)}
    assert signs == {-1.0, 1.0}


def test_noise_is_five_per_cent_of_the_signer_and_leaves_flat_landmarks_flat() -> None:
    sequence = clip()
    plane = sequence.isotropic().data[..., :2]
    size = np.sqrt(np.square(plane - plane.mean((0, 1))).sum(-1).mean())
    noise = disturbed("5 % landmark noise", sequence).data - sequence.isotropic().data
    assert noise.std() == pytest.approx(0.05 * size, rel=0.05)
    flat = sequence.replace(data=sequence.data * [1, 1, 0])
    assert not disturbed("5 % landmark noise", flat).data[..., 2].any()


@pytest.mark.parametrize(("layout", "points", "units"), [("isl-48", 48, "image"), ("kinect-20", 20, "metre")])
def test_the_active_and_the_passive_hand_go(layout: str, points: int, units: str) -> None:
    sequence = clip(layout, points, units=units)
    left, right = hand_points(sequence)
    data = sequence.data.copy()
    data[:, right] = data[:1, right]
    data[:, right, 0] += 0.001 * np.arange(40)[:, None]
    sequence = sequence.replace(data=data)
    passive, active = (disturbed(f"{which} hand missing", sequence) for which in ("passive", "active"))
    assert not passive.seen[:, right].any() and passive.seen[:, left].all()
    assert not active.seen[:, left].any() and active.seen[:, right].all()


def test_one_handed_clip_has_no_passive_hand_to_lose() -> None:
    sequence = clip()
    left, _right = hand_points(sequence)
    data = sequence.data.copy()
    data[:, left] = np.nan
    one_handed = sequence.replace(data=data)
    np.testing.assert_array_equal(disturbed("passive hand missing", one_handed).data, one_handed.data)


def test_layout_without_hands_says_so() -> None:
    with pytest.raises(ValueError, match="does not have two hands"):
        hand_points(LandmarkSequence(np.zeros((3, 2, 3)), register_layout("two-eyes", ["left_eye", "right_eye"]).name))
