"""The One Euro filter: the paper's own formulas, less trembling, little lag, and time stamps that count."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.pose.smoothing import OneEuroFilter


def smoothed(points: np.ndarray, times: np.ndarray, **settings: float) -> np.ndarray:
    smooth = OneEuroFilter(**settings)
    return np.stack([smooth(frame, seconds) for frame, seconds in zip(points, times.tolist())])


def by_the_paper(values: np.ndarray, rate: float, min_cutoff: float, beta: float, speed_cutoff: float) -> list[float]:
    """Algorithm 1 and 2 of Casiez et al. for one coordinate at a constant rate, word for word."""

    def alpha(cutoff: float) -> float:
        tau = 1.0 / (2 * np.pi * cutoff)
        return 1.0 / (1.0 + tau * rate)

    out, speed, before = [values[0]], 0.0, values[0]
    for value in values[1:]:
        dx = (value - before) * rate
        speed = alpha(speed_cutoff) * dx + (1 - alpha(speed_cutoff)) * speed
        a = alpha(min_cutoff + beta * abs(speed))
        out.append(a * value + (1 - a) * out[-1])
        before = value
    return out


def test_one_coordinate_follows_the_paper():
    times = np.arange(40) / 25
    values = np.cumsum(np.random.default_rng(0).normal(0, 0.02, 40))
    settings = {"min_cutoff": 1.3, "beta": 7.0, "speed_cutoff": 2.0}
    points = np.stack([values, np.full(40, 0.4)], axis=1)[:, None]  # the other axis stands still
    found = smoothed(points, times, **settings)
    np.testing.assert_allclose(found[:, 0, 0], by_the_paper(values, 25, **settings), atol=1e-12)
    np.testing.assert_allclose(found[:, 0, 1], 0.4)


def test_a_point_at_rest_trembles_less_and_a_fast_one_hardly_lags():
    rng, times = np.random.default_rng(1), np.arange(200) / 30
    settings = {"min_cutoff": 2.0, "beta": 40.0, "speed_cutoff": 4.0}
    still = np.full((200, 1, 2), 0.5) + rng.normal(0, 0.002, (200, 1, 2))
    assert smoothed(still, times, **settings)[20:].std() < 0.65 * still[20:].std()
    moving = np.stack([0.5 + 0.2 * np.sin(2 * np.pi * 1.5 * times), np.full(200, 0.5)], axis=1)[:, None]
    lag = np.abs(smoothed(moving, times, **settings) - moving).max()
    plain = np.abs(smoothed(moving, times, min_cutoff=2.0, beta=0.0) - moving).max()
    assert lag < 0.015 < 0.1 < plain


def test_direction_makes_no_difference():
    rng, times = np.random.default_rng(2), np.arange(50) / 25
    path = np.cumsum(rng.normal(0, 0.02, (50, 3, 2)), axis=0)
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    settings = {"min_cutoff": 1.0, "beta": 5.0}
    np.testing.assert_allclose(smoothed(path @ turn, times, **settings), smoothed(path, times, **settings) @ turn, atol=1e-12)  # fmt: skip


def test_a_movement_is_smoothed_alike_at_any_rate():
    def filtered(rate: int) -> np.ndarray:
        times = np.arange(2 * rate + 1) / rate
        path = (0.5 + 0.1 * np.sin(2 * np.pi * times))[:, None, None]
        return smoothed(path, times, min_cutoff=3.0, beta=0.0)[:: rate // 10, 0, 0]

    slow, fast = filtered(60), filtered(240)
    assert np.abs(slow - fast).max() < 0.01
    # Time stamps, not frames: the same values twice as far apart are trusted more.
    steps = np.array([0.0, 1.0])[:, None, None]
    near, far = (smoothed(steps, np.array([0, gap]), min_cutoff=1.0, beta=0.0)[1, 0, 0] for gap in (0.04, 0.08))
    assert near < far < 1


def test_a_point_that_is_lost_comes_back_without_a_past():
    times = np.arange(6) / 25
    points = np.zeros((6, 2, 2))
    points[3:, 0] = 1.0
    points[2, 0] = np.nan
    found = smoothed(points, times, min_cutoff=0.5, beta=0.0)
    assert np.isnan(found[2, 0]).all() and (found[3:, 0] == 1.0).all()  # not drawn from 0 to 1
    assert (found[:, 1] == 0).all()
    half = points.copy()
    half[2, 0] = 0.0
    assert smoothed(half, times, min_cutoff=0.5, beta=0.0)[3, 0, 0] < 0.2


def test_reset_and_values_that_stay_ones_own():
    smooth = OneEuroFilter()
    first = smooth(np.zeros((2, 2)), 5.0)
    first[:] = 9
    assert smooth(np.zeros((2, 2)), 5.1).max() == 0
    smooth.reset()
    assert smooth(np.ones((3, 2)), 0.0).min() == 1  # another number of points, an earlier time


def test_bad_settings_and_frames():
    for settings, message in (
        ({"min_cutoff": 0}, "min_cutoff is 0; it must be a positive"),
        ({"speed_cutoff": float("nan")}, "speed_cutoff is nan"),
        ({"beta": -1}, "beta is -1; it must be a number from 0"),
    ):
        with pytest.raises(ValueError, match=message):
            OneEuroFilter(**settings)
    smooth = OneEuroFilter()
    smooth(np.zeros((2, 2)), 1.0)
    for seconds in (1.0, 0.5, float("nan")):
        with pytest.raises(ValueError, match="time stamps must increase"):
            smooth(np.zeros((2, 2)), seconds)
    with pytest.raises(ValueError, match=r"shape \(3, 2\); the frame before had \(2, 2\)"):
        smooth(np.zeros((3, 2)), 2.0)
