"""Where the peak of a heatmap is, to a fraction of a cell. Torch, for all points of all pictures at once, on the maps' own device.

Positions are continuous: cell i reaches from i to i + 1, its middle is i + 0.5. Decodings:

* ``quarter``: the highest cell, moved by a quarter of a cell towards its higher neighbour (Newell et al. 2016).
* ``dark``: the peak of the parabola through the logarithm of the smoothed map, which is exact for a Gaussian (Zhang et al.,
  "Distribution-Aware Coordinate Representation", CVPR 2020). Only a window about each peak is smoothed, which gives what smoothing
  the map would.
* ``soft-argmax``: the centre of mass of the squared map in a window about the peak. The square of a Gaussian is a narrower one, so
  that little of it lies beyond the window.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

DECODINGS = ("dark", "quarter", "soft-argmax")
_TINY = 1e-10
_HUGE = 1e6  # a square of which is still a number


def decode_heatmaps(heatmaps: Any, decoding: str = "dark", sigma: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of heatmaps.

    Args:
        heatmaps: (N, K, H, W), torch or numpy.
        decoding: one of :data:`DECODINGS`.
        sigma: standard deviation of the peaks in cells; what the model was trained with.

    Returns:
        points (N, K, 2), x and y in cells, and scores (N, K), the highest value clipped to [0, 1]; float32.

    Raises:
        ValueError: another shape, or an unknown decoding.
    """
    maps = _checked(heatmaps, 4, "heatmaps must be (N, K, H, W)")
    if decoding not in DECODINGS:
        raise ValueError(f"decoding is {decoding!r}; choose one of {', '.join(DECODINGS)}.")
    peak, scores = _peaks(maps)
    if decoding == "quarter":
        offset = _quarter(maps, peak)
    elif decoding == "dark":
        offset = _dark(maps, peak, sigma)
    else:
        offset = _centre_of_mass(maps, peak, sigma)
    return peak + 0.5 + offset, scores.clamp(0, 1)


def decode_simcc(simcc_x: Any, simcc_y: Any, sigma: float = 6.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of SimCC distributions: the middle of the likeliest bin of each axis.

    Args:
        simcc_x, simcc_y: (N, K, bins) before the softmax, torch or numpy.
        sigma: standard deviation of the targets in bins.

    Returns:
        points (N, K, 2), x and y in bins, and scores (N, K): the likeliest bin's probability over that of a perfect answer, the
        smaller of both axes, clipped to [0, 1]; float32.
    """
    positions, scores = [], []
    for axis in (simcc_x, simcc_y):
        value, index = _checked(axis, 3, "simcc_x and simcc_y must be (N, K, bins)").softmax(dim=-1).max(dim=-1)
        positions.append(index + 0.5)
        scores.append(value.nan_to_num(0.0) * sigma * math.sqrt(2 * math.pi))
    return torch.stack(positions, dim=-1), torch.minimum(*scores).clamp(0, 1)


def _checked(values: Any, dimensions: int, message: str) -> torch.Tensor:
    values = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.array(values, np.float32))
    if values.ndim != dimensions or 0 in values.shape[2:]:
        raise ValueError(f"{message}; got {tuple(values.shape)}.")
    return values.detach().float()


def _peaks(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, K, 2) x and y of the highest cells as whole float32 numbers, and their values (N, K)."""
    scores, place = maps.flatten(2).max(dim=-1)
    width = maps.shape[-1]
    # NaN is the largest of all; a map with one has an answer that nobody is to believe.
    return torch.stack([place % width, place // width], dim=-1).float(), scores.nan_to_num(0.0)


def _windows(maps: torch.Tensor, peak: torch.Tensor, radius: int) -> torch.Tensor:
    """(N, K, 2r + 1, 2r + 1): the cells about each peak; 0 beyond the map."""
    height, width = maps.shape[-2:]
    reach = torch.arange(-radius, radius + 1, device=maps.device)
    columns = peak[..., 0].long()[..., None] + reach
    rows = peak[..., 1].long()[..., None] + reach
    inside = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    place = rows.clamp(0, height - 1)[..., :, None] * width + columns.clamp(0, width - 1)[..., None, :]
    cells = maps.flatten(2).gather(2, place.flatten(2)).view(place.shape)
    return cells.masked_fill(~inside, 0.0).nan_to_num(0.0).clamp(-_HUGE, _HUGE)


def _interior(maps: torch.Tensor, peak: torch.Tensor, margin: int) -> torch.Tensor:
    """(N, K, 1): whether a peak has so many cells on each side."""
    last = torch.tensor([maps.shape[-1], maps.shape[-2]], device=maps.device) - 1
    return ((peak >= margin) & (peak <= last - margin)).all(dim=-1, keepdim=True)


def _quarter(maps: torch.Tensor, peak: torch.Tensor) -> torch.Tensor:
    around = _windows(maps, peak, 1)
    slope = torch.stack([around[..., 1, 2] - around[..., 1, 0], around[..., 2, 1] - around[..., 0, 1]], dim=-1)
    return torch.where(_interior(maps, peak, 1), 0.25 * slope.sign(), 0.0)


def _dark(maps: torch.Tensor, peak: torch.Tensor, sigma: float) -> torch.Tensor:
    radius = max(1, round(2.5 * sigma))  # 11 taps for sigma 2, as in the paper's code
    taps = torch.arange(-radius, radius + 1, device=maps.device, dtype=torch.float32)
    kernel = torch.exp(-(taps**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    # Two cells beyond the peak are needed for second differences.
    around = _windows(maps, peak, radius + 2)
    size = around.shape[-1]
    smooth = F.conv2d(around.reshape(-1, 1, size, size), kernel.view(1, 1, -1, 1))
    smooth = F.conv2d(smooth, kernel.view(1, 1, 1, -1)).view(*maps.shape[:2], 5, 5)
    log = smooth.clamp(min=_TINY).log()
    slope_x = (log[..., 2, 3] - log[..., 2, 1]) / 2
    slope_y = (log[..., 3, 2] - log[..., 1, 2]) / 2
    bend_x = (log[..., 2, 4] - 2 * log[..., 2, 2] + log[..., 2, 0]) / 4
    bend_y = (log[..., 4, 2] - 2 * log[..., 2, 2] + log[..., 0, 2]) / 4
    twist = (log[..., 3, 3] - log[..., 1, 3] - log[..., 3, 1] + log[..., 1, 1]) / 4
    determinant = bend_x * bend_y - twist**2
    step = torch.stack([twist * slope_y - bend_y * slope_x, twist * slope_x - bend_x * slope_y], dim=-1)
    step = step / torch.where(determinant == 0, 1.0, determinant)[..., None]
    # A step is one towards a peak only where the map bends down on all sides.
    peaked = (bend_x < 0) & (determinant > 0)
    usable = peaked[..., None] & _interior(maps, peak, 2)
    return torch.where(usable, step.clamp(-1, 1), 0.0)


def _centre_of_mass(maps: torch.Tensor, peak: torch.Tensor, sigma: float) -> torch.Tensor:
    radius = max(1, round(2.5 * sigma))
    mass = _windows(maps, peak, radius).clamp(min=0).square()
    reach = torch.arange(-radius, radius + 1, device=maps.device, dtype=torch.float32)
    total = mass.sum(dim=(-2, -1)).clamp(min=_TINY)
    centre = torch.stack([(mass.sum(dim=-2) * reach).sum(dim=-1), (mass.sum(dim=-1) * reach).sum(dim=-1)], dim=-1)
    return (centre / total[..., None]).clamp(-radius, radius)


__all__ = ["DECODINGS", "decode_heatmaps", "decode_simcc"]
