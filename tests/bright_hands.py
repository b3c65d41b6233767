"""Hands that are bright spots, and a stand-in for the network that finds them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from signlang_hf.landmarks import get_layout
from signlang_hf.models.detector import HandDetector, SignDetectorConfig, SignDetectorOutput, SignDetectorProcessor

LAYOUT = get_layout("signlang-64")
HANDS = {side: list(LAYOUT.parts[f"{side}_hand"]) for side in ("left", "right")}
NAMES = get_layout("right-hand-21").points
TIPS = {NAMES.index("right_hand_thumb_tip"): 17, NAMES.index("right_hand_little_tip"): -17}


class BrightSpot(nn.Module):
    """All points of a hand are where the picture is brightest, but two tips: the thumb's is 17 pixels of the model to the right of it, the little
    finger's as many to the left, so that what is found fills the square as a hand does."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.config = SignDetectorConfig(keypoints=NAMES, image_size=size, output_stride=1, sigma=1.5)
        self.device = torch.device("cpu")
        self.seen: list[torch.Tensor] = []

    def forward(self, pixel_values: torch.Tensor) -> SignDetectorOutput:
        self.seen.append(pixel_values)
        maps = pixel_values.mean(1, keepdim=True).repeat(1, 21, 1, 1)
        for tip, shift in TIPS.items():
            maps[:, tip] = maps[:, 0].roll(shift, dims=-1)
        return SignDetectorOutput(heatmaps=maps - maps.amin((-2, -1), keepdim=True))


def bright_spots() -> HandDetector:
    """A detector of hands that are bright spots."""
    return HandDetector(BrightSpot(64), SignDetectorProcessor(image_size=64, layout="right-hand-21", sigma=1.5))


def person(
    left: tuple[float, float] = (60.0, 50.0), right: tuple[float, float] = (140.0, 70.0), spread: float = 8.0
) -> tuple[np.ndarray, np.ndarray]:
    """A picture of two bright spots, and points around them that miss each by three pixels."""
    y, x = np.mgrid[:120, :200] + 0.5
    picture = np.zeros((120, 200))
    points = np.full((64, 2), 100.0, np.float32)
    for side, place, hand in (("left", left, HANDS["left"]), ("right", right, HANDS["right"])):
        picture += np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * 2.0**2))
        points[hand] = np.array(place) + 3 + np.random.default_rng(0).uniform(-spread, spread, (21, 2))
        points[LAYOUT.index[f"{side}_wrist"]] = np.array(place) + [0, 6]  # a forearm of 20 pixels, held upright
        points[LAYOUT.index[f"{side}_elbow"]] = np.array(place) + [0, 26]
    points[LAYOUT.index["left_shoulder"]], points[LAYOUT.index["right_shoulder"]] = (80, 40), (120, 40)
    frame = np.repeat(np.round(255 * picture.clip(0, 1)).astype(np.uint8)[..., None], 3, axis=2)
    return frame, points
