"""Where a peak is: against Gaussians whose centres are known to a fraction of a cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from signlang_hf.models.detector import DECODINGS, decode_heatmaps, decode_simcc

ERRORS = {"dark": 0.02, "quarter": 0.26, "soft-argmax": 0.05}
"""Decoding → largest error along an axis in cells that it may make on a clean Gaussian."""


def gaussians(centres: torch.Tensor, height: int, width: int, sigma: float) -> torch.Tensor:
    """(N, K, 2) x, y → (N, K, height, width), computed cell by cell."""
    y, x = np.mgrid[:height, :width] + 0.5
    maps = [
        [np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2)) for cx, cy in picture]
        for picture in centres.tolist()
    ]
    return torch.tensor(np.array(maps), dtype=torch.float32)


def centres(pictures: int, points: int, height: int, width: int, margin: float) -> torch.Tensor:
    share = torch.rand(pictures, points, 2, generator=torch.Generator().manual_seed(3))
    return margin + share * (torch.tensor([width, height]) - 2 * margin)


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("decoding", DECODINGS)
def test_the_centre_of_a_gaussian_is_found_to_a_fraction_of_a_cell(decoding: str, sigma: float) -> None:
    true = centres(3, 40, 48, 64, margin=4 * sigma)
    points, scores = decode_heatmaps(gaussians(true, 48, 64, sigma), decoding, sigma)
    error = (points - true).abs()
    assert error.max() < ERRORS[decoding]
    assert (
        scores.min() > 0.85 and scores.max() <= 1
    )  # the middle of a cell is never more than half a cell's diagonal away


def test_no_decoding_is_biased_and_the_whole_cell_would_be_worse() -> None:
    true = centres(4, 250, 64, 64, margin=9)
    maps = gaussians(true, 64, 64, 2.0)
    whole = true.floor() + 0.5
    errors = {"cell": (whole - true).norm(dim=-1).mean()}
    for decoding in DECODINGS:
        offset = decode_heatmaps(maps, decoding, 2.0)[0] - true
        assert offset.mean(dim=(0, 1)).abs().max() < 0.02, decoding
        errors[decoding] = offset.norm(dim=-1).mean()
    assert errors["dark"] < 0.005 < errors["quarter"] < 0.5 * errors["cell"]
    assert errors["soft-argmax"] < 0.03


def test_dark_bears_noise_better_than_the_quarter_offset() -> None:
    true = centres(4, 100, 64, 64, margin=10)
    maps = gaussians(true, 64, 64, 2.0)
    maps = maps + 0.03 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(1))
    error = {name: (decode_heatmaps(maps, name, 2.0)[0] - true).norm(dim=-1).mean() for name in ("dark", "quarter")}
    assert error["dark"] < error["quarter"]


def smoothed_everywhere(heatmap: np.ndarray, sigma: float) -> np.ndarray:
    """The whole map smoothed as in the paper's code, with loops."""
    radius = round(2.5 * sigma)
    taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    padded = np.pad(heatmap, radius)
    rows = np.stack([np.convolve(row, taps, "valid") for row in padded])
    return np.stack([np.convolve(column, taps, "valid") for column in rows.T]).T


def test_dark_is_the_taylor_step_of_the_paper_on_the_map_smoothed_as_a_whole() -> None:
    noise = np.random.default_rng(0).random((20, 24)) * 0.2
    y, x = np.mgrid[:20, :24] + 0.5
    heatmap = np.exp(-((x - 11.3) ** 2 / 6 + (y - 8.8) ** 2 / 12 + (x - 11.3) * (y - 8.8) / 14)) + noise
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    log = np.log(smoothed_everywhere(heatmap, 2.0))
    slope = np.array([log[row, column + 1] - log[row, column - 1], log[row + 1, column] - log[row - 1, column]]) / 2
    twist = (
        log[row + 1, column + 1] - log[row + 1, column - 1] - log[row - 1, column + 1] + log[row - 1, column - 1]
    ) / 4
    bend_x = (log[row, column + 2] - 2 * log[row, column] + log[row, column - 2]) / 4
    bend_y = (log[row + 2, column] - 2 * log[row, column] + log[row - 2, column]) / 4
    step = -np.linalg.inv(np.array([[bend_x, twist], [twist, bend_y]])) @ slope
    assert np.abs(step).max() < 1  # else it would be clipped
    points, _ = decode_heatmaps(heatmap[None, None], "dark", 2.0)
    np.testing.assert_allclose(points[0, 0].numpy(), [column + 0.5 + step[0], row + 0.5 + step[1]], atol=1e-4)


@pytest.mark.parametrize("decoding", DECODINGS)
def test_all_points_of_all_pictures_at_once_as_one_by_one(decoding: str) -> None:
    maps = torch.rand(3, 5, 17, 23, generator=torch.Generator().manual_seed(0))
    points, scores = decode_heatmaps(maps, decoding)
    for picture in range(3):
        for point in range(5):
            alone, score = decode_heatmaps(maps[picture : picture + 1, point : point + 1], decoding)
            torch.testing.assert_close(points[picture, point], alone[0, 0])
            assert scores[picture, point] == score[0, 0]
    again, _ = decode_heatmaps(maps.numpy(), decoding)
    assert torch.equal(again, points)


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize(
    ("name", "heatmap"),
    [
        ("empty", torch.zeros(9, 12)),
        ("flat", torch.full((9, 12), 0.5)),
        ("negative", -torch.ones(9, 12)),
        ("one cell", torch.ones(1, 1)),
        ("not a number", torch.full((9, 12), torch.nan)),
        ("infinite", torch.full((9, 12), torch.inf)),
    ],
)
def test_maps_without_a_peak_give_finite_points(decoding: str, name: str, heatmap: torch.Tensor) -> None:
    points, scores = decode_heatmaps(heatmap[None, None], decoding)
    assert torch.isfinite(points).all() and (scores >= 0).all() and (scores <= 1).all()
    assert (points >= -1).all() and (points <= 13).all()


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize(("column", "row"), [(0, 0), (15, 0), (0, 11), (15, 11), (7, 0), (1, 5)])
def test_a_peak_at_the_border_stays_within_a_cell(decoding: str, column: int, row: int) -> None:
    true = torch.tensor([[[column + 0.5, row + 0.5]]])
    points, _ = decode_heatmaps(gaussians(true, 12, 16, 2.0), decoding)
    # Half of it is cut off, which pulls a centre of mass inwards.
    assert (points - true).abs().max() <= (1.3 if decoding == "soft-argmax" else 1e-4)


def test_scores_are_the_peaks_clipped_to_a_probability() -> None:
    maps = torch.zeros(1, 3, 8, 8)
    maps[0, 0, 4, 4], maps[0, 1, 4, 4], maps[0, 2] = 1.7, 0.4, -0.1
    assert decode_heatmaps(maps)[1][0].tolist() == pytest.approx([1.0, 0.4, 0.0])


def test_half_precision_is_decoded_as_single() -> None:
    true = centres(1, 20, 32, 32, margin=9)
    points, _ = decode_heatmaps(gaussians(true, 32, 32, 2.0).half(), "dark")
    assert points.dtype == torch.float32 and (points - true).abs().max() < 0.05


def test_simcc_takes_the_likeliest_bin_of_each_axis() -> None:
    bins = torch.arange(64) + 0.5
    true = torch.tensor([[[20.5, 33.5], [7.5, 60.5]]])
    scores_x, scores_y = (-((bins - true[..., axis : axis + 1]) ** 2) / (2 * 6.0**2) for axis in (0, 1))
    points, scores = decode_simcc(scores_x, scores_y, 6.0)
    assert torch.equal(points, true)
    # The first point's distributions are the targets themselves; the second's are cut off by the border, hence higher.
    torch.testing.assert_close(scores[0, 0], torch.tensor(1.0), atol=1e-3, rtol=0)
    flat = decode_simcc(torch.zeros(1, 1, 64), scores_y[:, :1], 6.0)[1]
    assert flat.item() == pytest.approx(6 * np.sqrt(2 * np.pi) / 64, rel=1e-4)
    assert decode_simcc(scores_x.numpy(), scores_y.numpy(), 6.0)[0].equal(true)


def test_bad_input_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="decoding is 'best'; choose one of dark, quarter, soft-argmax"):
        decode_heatmaps(torch.zeros(1, 1, 4, 4), "best")
    with pytest.raises(ValueError, match=r"must be \(N, K, H, W\); got \(4, 4\)"):
        decode_heatmaps(torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r"must be \(N, K, bins\); got \(4, 4\)"):
        decode_simcc(torch.zeros(4, 4), torch.zeros(4, 4))
