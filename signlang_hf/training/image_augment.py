"""Augmentation of pictures with points: one picture of a person in, a slightly different view of the same person out.

Design decisions:

* Everything that moves pixels is one affine map, so the picture is resampled once and points follow exactly. Pictures that shrink a
  lot are first averaged over whole pixels, as the eye would; a bare bilinear look-up would flicker.
* A view is of the person, of the whole picture or of a hand: a detector is asked about all three, since a tracker's crop is never the
  annotator's box, and hands are small.
* A mirrored person has the other hand: :attr:`~signlang_hf.landmarks.Layout.mirror` swaps the points by their names.
* What is covered by a cut-out keeps its points. Guessing the hidden wrist from the arm is what a detector of signers is for.
* All chance comes from the :class:`numpy.random.Generator` that is passed in, so a seed gives the same view again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..landmarks import Layout, get_layout

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY = (128, 128, 128)  # what the processor letterboxes with
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class View(NamedTuple):
    """A square picture ``pixels`` (S, S, 3) uint8 with ``points`` (K, 2) in its pixels and ``weights`` (K,), 0 where a point is not
    to be seen; its coordinates are then NaN."""

    pixels: np.ndarray
    points: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class ImageAugmentConfig:
    """How views are drawn. Chances are in [0, 1]; 0 switches a change off.

    Args:
        flip: chance of a mirror image.
        rotate_degrees: turned by up to so much either way.
        scale: seen up to 1 + ``scale`` times larger or smaller (log-uniform).
        shift: moved by up to this share of the view in x and in y.
        whole_image: chance to look at the whole picture instead of the person.
        hand_crop: chance to look at a hand that is to be seen, with its surroundings.
        brightness, contrast, saturation: strengths; factors are log-uniform up to 1 + strength.
        tint: each colour channel's own factor, likewise.
        grey: chance of a black-and-white picture.
        noise: standard deviation of Gaussian noise, up to this share of full white.
        blur: chance of a motion blur of up to ``blur_pixels`` in a random direction.
        blur_pixels: its length.
        cutout: chance of a rectangle of one colour, up to ``cutout_size`` of the view's side.
        cutout_size: its largest side.
    """

    flip: float = 0.5
    rotate_degrees: float = 25.0
    scale: float = 0.3
    shift: float = 0.08
    whole_image: float = 0.2
    hand_crop: float = 0.15
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    tint: float = 0.15
    grey: float = 0.05
    noise: float = 0.04
    blur: float = 0.2
    blur_pixels: int = 9
    cutout: float = 0.3
    cutout_size: float = 0.3

    def __post_init__(self) -> None:
        for name in ("flip", "whole_image", "hand_crop", "grey", "blur", "cutout", "cutout_size"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Augmentation {name} is {getattr(self, name)}; it must be in [0, 1].")
        for name in ("rotate_degrees", "scale", "shift", "brightness", "contrast", "saturation", "tint", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"Augmentation {name} is {getattr(self, name)}; it must be at least 0.")
        if self.blur_pixels < 2:
            raise ValueError(f"Augmentation blur_pixels is {self.blur_pixels}; a blur has at least 2.")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> ImageAugmentConfig:
        """Settings as recipes give them. Raises ValueError for unknown ones and for values that are no numbers."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in settings if name not in known]
        if unknown:
            raise ValueError(f"Unknown augmentation setting {', '.join(unknown)}; known are {', '.join(known)}.")
        for name, value in settings.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"Augmentation {name} is {value!r}; it must be a number.")
        return cls(**settings)


class ImageAugmenter:
    """Draws views of pictures as a config says.

    Args:
        config: what is done.
        layout: of the points.
        image_size: S, side of a view in pixels.
        padding: how much larger than the person's box a view of the person is.
    """

    def __init__(
        self, config: ImageAugmentConfig, layout: str | Layout, image_size: int, padding: float = 1.25
    ) -> None:
        self.config, self.layout = config, get_layout(layout)
        self.image_size, self.padding = image_size, padding

    def __call__(
        self, image: Image, points: np.ndarray, visible: np.ndarray, box: np.ndarray, rng: np.random.Generator
    ) -> View:
        """A random view.

        Args:
            image: RGB picture.
            points: (K, 2) in its pixels, NaN where unknown.
            visible: (K,) truth values.
            box: (4,) the person: x, y, width, height.
            rng: source of chance.
        """
        config = self.config
        region = self._region(image.size, points, visible, np.asarray(box, float), rng)
        side = max(region[2:]) * float(np.exp(rng.uniform(-1, 1) * np.log1p(config.scale)))
        centre = region[:2] + region[2:] / 2 + rng.uniform(-1, 1, 2) * config.shift * side
        angle = math.radians(rng.uniform(-1, 1) * config.rotate_degrees)
        flip = rng.random() < config.flip
        matrix = affine(centre, side, self.image_size, angle, flip)
        if flip:
            order = list(self.layout.mirror)
            points, visible = points[order], visible[order]
        pixels = self._recolour(warp(image, matrix, self.image_size), rng)
        return View(pixels, *mapped(points, visible, matrix, self.image_size))

    def _region(
        self, size: tuple[int, int], points: np.ndarray, visible: np.ndarray, box: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """(4,) what is looked at: x, y, width, height."""
        draw = rng.random()
        if draw < self.config.hand_crop:
            hands = [list(self.layout.parts[part]) for part in ("left_hand", "right_hand") if part in self.layout.parts]
            seen = [points[hand][visible[hand].astype(bool)] for hand in hands]
            seen = [hand for hand in seen if len(hand) > 2]
            if seen:
                hand = seen[rng.integers(len(seen))]
                side = max(*np.ptp(hand, axis=0), 0.02 * max(box[2:])) * rng.uniform(1.5, 4.0)
                return np.array([*((hand.min(axis=0) + hand.max(axis=0) - side) / 2), side, side])
        elif draw > 1 - self.config.whole_image:
            return np.array([0.0, 0.0, *size])
        return padded(box, self.padding)

    def _recolour(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        config = self.config
        if rng.random() < config.blur:
            pixels = motion_blur(pixels, rng.uniform(1.5, config.blur_pixels), rng.uniform(0, math.pi))
        values = pixels.astype(np.float32) / 255
        bright, contrast, saturation = (
            float(np.exp(rng.uniform(-1, 1) * np.log1p(strength)))
            for strength in (config.brightness, config.contrast, config.saturation)
        )
        tint = np.exp(rng.uniform(-1, 1, 3) * np.log1p(config.tint)).astype(np.float32)
        if rng.random() < config.grey:
            saturation, tint = 0.0, np.ones(3, np.float32)
        grey = (values @ _LUMA)[..., None]
        values = (grey + saturation * (values - grey)) * (bright * tint)
        mean = float(values.mean())
        values = mean + contrast * (values - mean)
        if config.noise:
            values += rng.normal(0, rng.uniform(0, config.noise), values.shape).astype(np.float32)
        if rng.random() < config.cutout:
            width, height = (rng.uniform(0.05, max(config.cutout_size, 0.05), 2) * self.image_size).astype(int)
            left, top = (rng.integers(0, self.image_size - extent) for extent in (width, height))
            values[top : top + height, left : left + width] = rng.random(3)
        return (255 * values.clip(0, 1) + 0.5).astype(np.uint8)


def padded(box: np.ndarray, padding: float) -> np.ndarray:
    """(4,) x, y, width, height of a box about the same centre, ``padding`` times as large."""
    box = np.asarray(box, float)
    return np.concatenate([box[:2] - box[2:] * (padding - 1) / 2, box[2:] * padding])


def affine(centre: np.ndarray, side: float, size: int, angle: float = 0.0, flip: bool = False) -> np.ndarray:
    """(2, 3) from the pixels of a picture to those of a view of ``side`` picture pixels about ``centre``, turned by ``angle`` radians
    (clockwise, as y points down) and mirrored first if ``flip``."""
    zoom, cosine, sine = size / side, math.cos(angle), math.sin(angle)
    linear = zoom * np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
    return np.column_stack([linear, size / 2 - linear @ np.asarray(centre, float)])


def warp(image: Image, matrix: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) uint8: the view of an RGB picture that ``matrix`` (2, 3) maps it to; grey where the picture ends."""
    from PIL import Image as Images

    shrink = int(1 / math.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    linear, offset = matrix[:, :2], matrix[:, 2]
    if shrink > 1:
        image, linear = image.reduce(shrink), linear * shrink
    inverse = np.linalg.inv(linear)
    rows = np.column_stack([inverse, -inverse @ offset])
    view = image.transform(
        (size, size), Images.Transform.AFFINE, rows.ravel().tolist(), Images.Resampling.BILINEAR, fillcolor=_GREY
    )
    return np.array(view)


def mapped(points: np.ndarray, visible: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (K, 2) in a view, NaN where they are not in it or not visible, and their weights (K,) float32."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(invalid="ignore"):
        inside = ((moved >= 0) & (moved < size)).all(axis=1)
    weights = inside & np.asarray(visible).astype(bool)
    return np.where(weights[:, None], moved, np.nan).astype(np.float32), weights.astype(np.float32)


def motion_blur(pixels: np.ndarray, length: float, angle: float) -> np.ndarray:
    """The mean of copies of a picture (H, W, 3) uint8 that are shifted along a line of ``length`` pixels."""
    count = max(2, round(length))
    steps = np.arange(count) - (count - 1) / 2
    total = np.zeros(pixels.shape, np.float32)
    for step in steps:
        dx, dy = round(step * math.cos(angle)), round(step * math.sin(angle))
        total += np.roll(pixels, (dy, dx), axis=(0, 1))
    return (total / len(steps) + 0.5).astype(np.uint8)


__all__ = ["ImageAugmentConfig", "ImageAugmenter", "View", "affine", "mapped", "motion_blur", "padded", "warp"]
