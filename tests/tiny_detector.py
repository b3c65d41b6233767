"""A tiny keypoint detector with random weights, and a stand-in for its network that finds coloured spots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from signlang_hf.landmarks import get_layout
from signlang_hf.models.detector import (
    SignDetectorConfig,
    SignDetectorForKeypointDetection,
    SignDetectorOutput,
    SignDetectorProcessor,
)

SIZE = 64
SPOTS = {"left_shoulder": 0, "right_shoulder": 1}
"""Which of the three colours a point has; all others have the third."""


def save_tiny_detector(folder: Path, **settings: Any) -> Path:
    """Model and processor, made for each other. ``settings``: of the processor. The weights are large, so that scores differ."""
    torch.manual_seed(0)
    processor = SignDetectorProcessor(image_size=SIZE, **settings)
    config = SignDetectorConfig(
        keypoints=processor.keypoints, backbone="test_resnet", image_size=SIZE, deconv_width=8, sigma=1.5
    )
    model = SignDetectorForKeypointDetection(config).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith("weight") and ("deconvolution" in name or "head" in name or "lateral" in name):
                weights.normal_(std=0.3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


class SpotFinder(nn.Module):
    """Each point's heatmap is where its colour shines. Counts the pictures that it has seen in each batch."""

    def __init__(self, points: tuple[str, ...]) -> None:
        super().__init__()
        self.channels = [SPOTS.get(point, 2) for point in points]
        self.batches: list[int] = []

    def forward(self, pixel_values: torch.Tensor) -> SignDetectorOutput:
        self.batches.append(len(pixel_values))
        grey = (pixel_values.amax(1) - pixel_values.amin(1) < 0.05)[:, None]  # the border of the letterbox
        maps = nn.functional.avg_pool2d(pixel_values.masked_fill(grey, 0.0), 4)
        return SignDetectorOutput(heatmaps=maps[:, self.channels])


def spot_finder(estimator: Any) -> SpotFinder:
    """Put a :class:`SpotFinder` in the place of the estimator's network."""
    estimator._model = SpotFinder(get_layout(estimator.layout).points)
    return estimator._model


def spots(
    places: Any = ((0.5, 0.4), (0.3, 0.4), (0.4, 0.3)), size: tuple[int, int] = (160, 90), width: float = 0.04
) -> np.ndarray:
    """(H, W, 3) uint8: a red, a green and a blue spot on black, at ``places`` in picture widths and heights; NaN leaves one out.
    ``width``: standard deviation, in picture widths."""
    across, down = size
    y, x = np.mgrid[:down, :across] + 0.5
    frame = np.zeros((down, across, 3))
    for channel, (left, top) in enumerate(places):
        if not np.isnan(left):
            distance = (x - left * across) ** 2 + (y - top * down) ** 2
            frame[..., channel] = np.exp(-distance / (2 * (width * across) ** 2))
    return np.round(255 * frame).astype(np.uint8)
