"""Processor of the keypoint detector: pictures → model inputs, heatmaps → points in the pictures.

Design decisions:

* A picture, or a box in it, keeps its proportions: its longer side fills the square, the rest is grey. The size and place of that is in
  ``crops``, exactly, so that points find their way back to a fraction of a pixel: image = (left, top) + scale · model.
* Coordinates are continuous: the corner of the picture is (0, 0), the middle of its first pixel (0.5, 0.5).
* A box may reach beyond its picture, as that of a person who is cut off does; there it is grey, too.
* Pictures are made smaller with anti-aliasing by torch, which takes a fifth of the time of Pillow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import BatchFeature, PretrainedConfig, PreTrainedModel

# From its own module: transformers' shelf has a placeholder in its place where Pillow is missing.
from transformers.image_processing_utils import BaseImageProcessor

from signlang_hf.landmarks import get_layout, register_layout
from signlang_hf.landmarks.layout import BUILT_IN_LAYOUTS
from signlang_hf.models.detector.processing_heatmaps import DECODINGS, decode_heatmaps, decode_simcc
from signlang_hf.video import to_rgb

GREY = 0.5
_LARGEST_REGION = 64_000_000  # pixels of a box; more is a mistake rather than a picture


class SignDetectorProcessor(BaseImageProcessor):
    """Turns pictures into inputs of :class:`SignDetectorForKeypointDetection`, and its outputs into points.

    Args:
        image_size: S, side of the model's square input in pixels.
        layout: the model's points, by the name of their layout.
        layout_points: point names of a user's own layout; filled in by itself when the layout is not a built-in one.
        decoding: ``dark``, ``quarter`` or ``soft-argmax``; see :mod:`~signlang_hf.models.detector.processing_heatmaps`.
        keypoint_threshold: a point whose score is lower is not given; 0 gives all.
        sigma: standard deviation of the model's heatmaps in cells; simcc_sigma: of its SimCC distributions in bins.

    :meth:`for_model` takes what a model's configuration says.

    Raises:
        ValueError: a setting that is unknown, in one sentence.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012 - transformers reads a plain list

    def __init__(
        self,
        image_size: int = 512,
        layout: str = "signlang-64",
        layout_points: Sequence[str] | None = None,
        decoding: str = "dark",
        keypoint_threshold: float = 0.0,
        sigma: float = 2.0,
        simcc_sigma: float = 6.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if layout_points is not None:
            register_layout(layout, layout_points)
        if not isinstance(image_size, int) or image_size < 1:
            raise ValueError(f"image_size is {image_size!r}; it must be a whole number of pixels.")
        if decoding not in DECODINGS:
            raise ValueError(f"decoding is {decoding!r}; choose one of {', '.join(DECODINGS)}.")
        if not 0 <= keypoint_threshold <= 1:
            raise ValueError(f"keypoint_threshold is {keypoint_threshold}; it must be in [0, 1].")
        for name, value in (("sigma", sigma), ("simcc_sigma", simcc_sigma)):
            if not value > 0:
                raise ValueError(f"{name} is {value}; it must be positive.")
        spec = get_layout(layout)
        self.image_size = image_size
        self.layout = spec.name
        self.layout_points = None if spec.name in BUILT_IN_LAYOUTS else list(spec.points)
        self.decoding = decoding
        self.keypoint_threshold = float(keypoint_threshold)
        self.sigma = float(sigma)
        self.simcc_sigma = float(simcc_sigma)

    @classmethod
    def for_model(cls, config: PretrainedConfig, layout: str = "signlang-64", **settings: Any) -> SignDetectorProcessor:
        """The processor that goes with a model of that configuration.

        Raises:
            ValueError: the model's points are not those of ``layout``.
        """
        given = {"image_size": config.image_size, "sigma": config.sigma, "simcc_sigma": config.simcc_sigma}
        processor = cls(layout=layout, **{**given, **settings})
        processor.require_model(config)
        return processor

    def require_model(self, model: PreTrainedModel | PretrainedConfig) -> None:
        """Raise a ValueError of one sentence unless the model, or one of that configuration, goes with this processor."""
        config = getattr(model, "config", model)
        ours, theirs = self.keypoints, list(config.keypoints)
        if len(ours) != len(theirs):
            raise ValueError(
                f"The model finds {len(theirs)} points, but the processor's layout '{self.layout}' has {len(ours)}; they were not "
                "saved together."
            )
        if ours != theirs:
            first = next(i for i, (one, other) in enumerate(zip(ours, theirs)) if one != other)
            raise ValueError(
                f"Point {first} of the model is {theirs[first]}, of the processor's layout '{self.layout}' it is {ours[first]}; "
                "they were not saved together."
            )
        if config.image_size != self.image_size and config.head == "simcc":
            raise ValueError(
                f"The model takes pictures of {config.image_size} pixels, the processor makes them {self.image_size} wide; they were "
                "not saved together."
            )

    @property
    def keypoints(self) -> list[str]:
        """The names of the K points, in order."""
        return list(get_layout(self.layout).points)

    # -------------------------------------------------------------------------------------------------------- pictures

    def __call__(self, images: Any, boxes: Any = None, return_tensors: str | None = None) -> BatchFeature:
        """Inputs of the model from one picture or a list of pictures.

        Args:
            images: PIL images, arrays (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8 or uint16, files, or a list of them; an array
                (N, H, W, 3) is N pictures.
            boxes: (N, 4) x0, y0, x1, y1 in pixels of each picture, or (4,) of the only one; they may reach beyond it. None, for all
                or in a list for one of them, is the whole picture.
            return_tensors: "pt" or "np".

        Returns:
            ``pixel_values`` (N, 3, S, S) float32 RGB in [0, 1], and ``crops`` (N, 3) float32: left and top in pixels of the picture, and
            pixels of the picture to one of the model.

        Raises:
            ValueError: no picture, one that is none, or boxes that are none or not as many as pictures.
        """
        pictures = _listed(images)
        regions = _listed_boxes(boxes, len(pictures))
        made = [self._letterboxed(to_rgb(picture), box) for picture, box in zip(pictures, regions)]
        data = {
            "pixel_values": np.stack([pixels for pixels, _ in made]),
            "crops": np.array([crop for _, crop in made], np.float32),
        }
        return BatchFeature(data, tensor_type=return_tensors)

    preprocess = __call__

    def _letterboxed(
        self, picture: np.ndarray, box: Sequence[float] | None
    ) -> tuple[np.ndarray, tuple[float, float, float]]:
        """One picture (H, W, 3) uint8 → (3, S, S) float32 and its crop."""
        height, width = picture.shape[:2]
        left, top, right, bottom = (0, 0, width, height) if box is None else _whole_pixels(box)
        size = self.image_size
        scale = max(right - left, bottom - top) / size
        if (right - left) * (bottom - top) > max(_LARGEST_REGION, height * width):
            raise ValueError(
                f"The box {_text(box)} is {right - left} × {bottom - top} pixels large, of a picture of {width} × {height}."
            )
        # A side shorter than one of the model's pixels would vanish.
        spare_x, spare_y = (max(0, int(np.ceil(scale)) - length) for length in (right - left, bottom - top))
        left, right, top, bottom = (
            left - spare_x // 2,
            right + (spare_x + 1) // 2,
            top - spare_y // 2,
            bottom + (spare_y + 1) // 2,
        )
        region = _region(picture, left, top, right, bottom)
        small = _resized(region, scale)
        rows, columns = small.shape[1:]
        down, along = (size - rows) // 2, (size - columns) // 2
        pixels = np.full((3, size, size), GREY, np.float32)
        # What lies beyond the picture is grey exactly, not the nearest byte to it.
        x0, x1 = (
            int(np.clip(bound, 0, columns)) for bound in (np.floor(-left / scale), np.ceil((width - left) / scale))
        )
        y0, y1 = (int(np.clip(bound, 0, rows)) for bound in (np.floor(-top / scale), np.ceil((height - top) / scale)))
        np.divide(small[:, y0:y1, x0:x1], 255, out=pixels[:, down + y0 : down + y1, along + x0 : along + x1])
        return pixels, (left - along * scale, top - down * scale, scale)

    # ---------------------------------------------------------------------------------------------------------- points

    def decode(self, outputs: Any, decoding: str | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Points in the model's own pixels.

        Args:
            outputs: of the model; a mapping with ``heatmaps`` or with ``simcc_x`` and ``simcc_y``; or a tuple of that one or those two.
                Torch or numpy.
            decoding: other than the processor's own.

        Returns:
            points (N, K, 2) and scores (N, K), float32 on the outputs' device.

        Raises:
            ValueError: neither is there, for another number of points, or an unknown decoding.
        """
        heatmaps, simcc_x, simcc_y = _outputs(outputs)
        if heatmaps is not None:
            points, scores = decode_heatmaps(heatmaps, self.decoding if decoding is None else decoding, self.sigma)
            cells = heatmaps.shape[-1]
        elif simcc_x is not None and simcc_y is not None:
            points, scores = decode_simcc(simcc_x, simcc_y, self.simcc_sigma)
            cells = simcc_x.shape[-1]
        else:
            raise ValueError("The outputs have neither heatmaps nor simcc_x and simcc_y.")
        if points.shape[1] != len(self.keypoints):
            raise ValueError(
                f"The outputs have {points.shape[1]} points, the processor's layout '{self.layout}' has {len(self.keypoints)}."
            )
        return points * (self.image_size / cells), scores

    def post_process_keypoint_detection(
        self, outputs: Any, crops: Any, decoding: str | None = None, threshold: float | None = None
    ) -> list[dict[str, np.ndarray]]:
        """Points in the pictures.

        Args:
            outputs: as for :meth:`decode`.
            crops: (N, 3), as the call that made the inputs gave them.
            decoding: other than the processor's own.
            threshold: points with a lower score are NaN; default ``keypoint_threshold``. 0 keeps all.

        Returns:
            for each picture ``{"keypoints": (K, 2) float32 x and y in its pixels, "scores": (K,) float32 in [0, 1]}``.

        Raises:
            ValueError: as :meth:`decode`, or crops of other pictures.
        """
        points, scores = (values.cpu().numpy() for values in self.decode(outputs, decoding))
        placed = self.to_image(points, crops)
        placed[scores < (self.keypoint_threshold if threshold is None else threshold)] = np.nan
        return [{"keypoints": where, "scores": sure} for where, sure in zip(placed, scores)]

    def to_image(self, points: Any, crops: Any) -> np.ndarray:
        """Model pixels (N, K, 2) → pixels of the pictures, float32."""
        points, crops = _numpy(points), _numpy(crops)
        if crops.shape != (len(points), 3):
            raise ValueError(
                f"crops have shape {crops.shape}; they must be ({len(points)}, 3), those of these pictures."
            )
        return (crops[:, None, :2] + crops[:, None, 2:] * points).astype(np.float32)

    def to_model(self, points: Any, crops: Any) -> np.ndarray:
        """Pixels of the pictures (N, K, 2) → model pixels, float32: what labels are given in."""
        points, crops = _numpy(points), _numpy(crops)
        if crops.shape != (len(points), 3):
            raise ValueError(
                f"crops have shape {crops.shape}; they must be ({len(points)}, 3), those of these pictures."
            )
        return ((points - crops[:, None, :2]) / crops[:, None, 2:]).astype(np.float32)


def _listed(images: Any) -> list[Any]:
    if isinstance(images, np.ndarray) and images.ndim == 4:
        images = list(images)
    pictures = list(images) if isinstance(images, (list, tuple)) else [images]
    if not pictures:
        raise ValueError("There is no picture in the batch.")
    return pictures


def _listed_boxes(boxes: Any, count: int) -> list[Any]:
    if boxes is None:
        return [None] * count
    boxes = list(_numpy(boxes)) if isinstance(boxes, (np.ndarray, torch.Tensor)) else list(boxes)
    if count == 1 and len(boxes) == 4 and all(np.ndim(value) == 0 and value is not None for value in boxes):
        boxes = [boxes]
    if len(boxes) != count:
        raise ValueError(
            f"There are {len(boxes)} boxes for {count} pictures; give one for each, None for the whole picture."
        )
    return boxes


def _whole_pixels(box: Any) -> tuple[int, int, int, int]:
    """The pixels that a box touches. To whole ones, so that each of the model's pixels is an even mean of the picture's."""
    try:
        values = np.asarray(_numpy(box), np.float64).reshape(-1)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (4,) or not np.isfinite(values).all() or values[2] <= values[0] or values[3] <= values[1]:
        raise ValueError(f"The box {_text(box)} is none: give x0, y0, x1, y1 with x1 beyond x0 and y1 beyond y0.")
    values = np.clip(values, -1e9, 1e9)
    left, top = np.floor(values[:2])
    right, bottom = np.ceil(values[2:])
    return int(left), int(top), int(right), int(bottom)


def _region(picture: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """Part of a picture, with grey where it reaches beyond."""
    height, width = picture.shape[:2]
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return picture[top:bottom, left:right]
    region = np.full((bottom - top, right - left, 3), round(255 * GREY), np.uint8)
    x0, x1, y0, y1 = max(left, 0), min(right, width), max(top, 0), min(bottom, height)
    if x0 < x1 and y0 < y1:
        region[y0 - top : y1 - top, x0 - left : x1 - left] = picture[y0:y1, x0:x1]
    return region


def _resized(region: np.ndarray, scale: float) -> np.ndarray:
    """(H, W, 3) → (3, floor(H / scale), floor(W / scale)) uint8: pixel i is the mean about (i + 0.5) · scale."""
    plain = (
        region.flags.writeable and min(region.strides) > 0
    )  # torch takes neither what is mirrored nor what is read-only
    planes = torch.from_numpy(region if plain else region.copy()).permute(2, 0, 1)[None]
    # A hair more than 1 / scale: what divides evenly must not lose its last row to rounding.
    factor = (1 + 1e-9) / scale
    return F.interpolate(planes, scale_factor=factor, mode="bilinear", antialias=True)[0].numpy()


def _outputs(outputs: Any) -> tuple[Any, Any, Any]:
    """heatmaps, simcc_x and simcc_y, or None for what is not there."""
    if isinstance(outputs, (tuple, list)):
        return (outputs[0], None, None) if len(outputs) == 1 else (None, *outputs[:2])
    if isinstance(outputs, Mapping):
        return outputs.get("heatmaps"), outputs.get("simcc_x"), outputs.get("simcc_y")
    return tuple(getattr(outputs, name, None) for name in ("heatmaps", "simcc_x", "simcc_y"))


def _numpy(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, np.float32) if np.asarray(values).dtype != np.float64 else np.asarray(values)


def _text(box: Any) -> str:
    return (
        ", ".join(f"{value:g}" for value in box)
        if isinstance(box, (list, tuple, np.ndarray))
        and all(isinstance(value, (int, float, np.number)) for value in box)
        else repr(box)
    )


__all__ = ["SignDetectorProcessor"]
