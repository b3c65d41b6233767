"""Labelled images: what a row of them holds, the file that one label is, and every fault that such a file can have.

Coordinates are continuous pixels of the image as it is seen, that is after the turn that its EXIF data asks for: (0, 0) is its top-left
corner, the centre of the first pixel is (0.5, 0.5). The points are the 64 of the layout ``signlang-64``; left and right are the person's own.

A label file is JSON::

    {"image": "anna_0012.jpg", "width": 640, "height": 480, "source": "anna.mp4", "bbox": [x, y, width, height],
     "keypoints": [{"name": "nose", "x": 318.2, "y": 120.9, "visible": 1}, …]}

All 64 points are named, in any order. ``visible`` is 1 where it is left out; what coordinates an invisible point has is of no account.
``bbox`` may be left out: it then is the box around the visible points, or the whole image where there is none. ``source`` is the video or
set of images that an image comes from, which splits must not share. Other fields are faults, because a misspelt one is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..landmarks import get_layout
from ..landmarks.files import atomic_write
from .metadata import Fault
from .text_files import BadByte, decode_utf8

if TYPE_CHECKING:
    from datasets import Features

LAYOUT = "signlang-64"
POINTS: tuple[str, ...] = get_layout(LAYOUT).points
IMAGE_SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png")
_FIELDS = {"image", "width", "height", "keypoints", "bbox", "source"}
_POINT_FIELDS = {"name", "x", "y", "visible"}
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@dataclass(frozen=True, eq=False)
class KeypointLabel:
    """One person in one image.

    Args:
        id: unique within its split.
        image: path of the image.
        size: (width, height) in pixels, upright.
        keypoints: (64, 2) float32 pixels, NaN where not visible.
        bbox: (4,) float32 x, y, width, height in pixels.
        source: what splits must not share, or None.
        area: square pixels of the person's segment, where known.
    """

    id: str
    image: Path
    size: tuple[int, int]
    keypoints: np.ndarray
    bbox: np.ndarray
    source: str | None = None
    area: float | None = None

    @property
    def visible(self) -> np.ndarray:
        """(64,) bool."""
        return ~np.isnan(self.keypoints[:, 0])


def keypoint_features(*, area: bool = False, points: int = len(POINTS)) -> Features:
    """Columns of all datasets of labelled images; with ``area``, of those that know the area of a person."""
    import datasets

    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "image": datasets.Image(),
            "width": datasets.Value("int32"),
            "height": datasets.Value("int32"),
            "keypoints": datasets.Array2D((points, 2), "float32"),
            "visible": datasets.List(datasets.Value("bool"), length=points),
            "bbox": datasets.List(datasets.Value("float32"), length=4),
            "source": datasets.Value("string"),
        }
    )
    if area:
        features["area"] = datasets.Value("float32")
    return features


def keypoint_row(label: KeypointLabel) -> dict[str, Any]:
    """The row of one label, without ``area``."""
    return {
        "id": label.id,
        "image": str(label.image),
        "width": label.size[0],
        "height": label.size[1],
        "keypoints": label.keypoints,
        "visible": label.visible.tolist(),
        "bbox": label.bbox.tolist(),
        "source": label.source,
    }


def box_of(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(4,) float32 x, y, width, height around the points (K, 2) that are not NaN, at least a pixel wide and high; the whole image where
    all are."""
    seen = keypoints[~np.isnan(keypoints).any(axis=1)]
    if not len(seen):
        return np.array([0, 0, *size], np.float32)
    low = seen.min(axis=0)
    return np.concatenate([low, np.maximum(seen.max(axis=0) - low, 1)]).astype(np.float32)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image as it is seen, from its header alone. Raises ValueError where there is no image in the file."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImportError('Images need Pillow: pip install "signlang-hf[pose]"') from None
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = image.getexif().get(0x0112) in _SIDEWAYS
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        raise ValueError("the image cannot be read.") from None
    return (height, width) if sideways else (width, height)


def write_label(
    folder: str | Path,
    image: str,
    size: tuple[int, int],
    keypoints: np.ndarray,
    *,
    visible: Sequence[bool] | np.ndarray | None = None,
    bbox: Sequence[float] | np.ndarray | None = None,
    source: str | None = None,
) -> Path:
    """Write the label of one image, whole or not at all.

    Args:
        folder: folder that holds ``images/`` and ``labels/`` (made where it is missing).
        image: name of the file in ``images/``.
        size: (width, height) of the image in pixels, upright.
        keypoints: (64, 2) pixels in the order of ``signlang-64``; NaN where a point is not known.
        visible: (64,) which points are visible; default: those that are not NaN.
        bbox: x, y, width, height in pixels; default: what readers derive from the visible points.
        source: the video or image set that the image comes from.

    Returns:
        The file, ``labels/<stem>.json``. Coordinates are rounded to a thousandth of a pixel.

    Raises:
        ValueError: a visible point outside the image or without coordinates, or another number of points.
    """
    keypoints = np.asarray(keypoints, float)
    if keypoints.shape != (len(POINTS), 2):
        raise ValueError(f"keypoints are {keypoints.shape}; {LAYOUT} needs ({len(POINTS)}, 2).")
    seen = ~np.isnan(keypoints).any(axis=1) if visible is None else np.asarray(visible, bool)
    points = []
    for name, (x, y), flag in zip(POINTS, keypoints.tolist(), seen.tolist()):
        known = math.isfinite(x) and math.isfinite(y)
        place = {"x": round(x, 3) if known else None, "y": round(y, 3) if known else None}
        points.append({"name": name, **place, "visible": int(flag)})
    content: dict[str, Any] = {"image": image, "width": int(size[0]), "height": int(size[1])}
    content |= {} if source is None else {"source": source}
    content |= {} if bbox is None else {"bbox": [round(float(value), 3) for value in bbox]}
    file = Path(folder) / "labels" / f"{Path(image).stem}.json"
    faults = list(_content_faults(content | {"keypoints": points}, file.name))
    if faults:
        raise ValueError(f"{file} was not written: {faults[0].message}")
    # One line a point, so that people can read a label and diff two.
    lines = ",\n".join(f"  {json.dumps(point)}" for point in points)
    text = f'{json.dumps(content, ensure_ascii=False)[:-1]}, "keypoints": [\n{lines}\n]}}\n'
    atomic_write(file, lambda stream: stream.write(text.encode()))  # type: ignore[arg-type, return-value]
    return file


def read_label(
    file: Path, image: Path, shown: tuple[int, int] | None, name: str
) -> tuple[KeypointLabel | None, list[Fault]]:
    """The label of one image, or all that is wrong with it.

    Args:
        file: the label.
        image: the image that lies beside it.
        shown: its (width, height); None where the image cannot be read, which is another fault.
        name: what faults call the label.
    """
    try:
        text = decode_utf8(file.read_bytes())
        if isinstance(text, BadByte):
            place = f"line {text.line}, column {text.column}"
            return None, [Fault("error", "bad-json", f"broken JSON at {place}: {text.reason}.", name)]
        content = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return None, [Fault("error", "bad-json", f"broken JSON at {place}: {error.msg}.", name)]
    except (OSError, ValueError, RecursionError) as error:  # a number of 5000 digits, a thousand brackets
        return None, [Fault("error", "bad-json", f"cannot be read ({error}).", name)]
    faults = list(_content_faults(content, name))
    if isinstance(content, dict):
        faults += _image_faults(content, image, shown, name)
    if faults:
        return None, faults
    size = (content["width"], content["height"])
    keypoints = np.full((len(POINTS), 2), np.nan, np.float32)
    for point in content["keypoints"]:
        if point.get("visible", 1):
            keypoints[POINTS.index(point["name"])] = point["x"], point["y"]
    bbox = content.get("bbox")
    box = box_of(keypoints, size) if bbox is None else np.array(bbox, np.float32)
    return KeypointLabel(image.stem, image, size, keypoints, box, content.get("source")), []


def _content_faults(content: Any, name: str) -> Iterator[Fault]:
    """What is wrong with a label by itself."""

    def fault(kind: str, message: str) -> Fault:
        return Fault("error", kind, message, name)

    if not isinstance(content, dict):
        yield fault("bad-label", f"holds {_said(content)}, not an object with image, width, height and keypoints.")
        return
    for field in sorted(set(content) - _FIELDS):
        yield fault("unknown-field", f"unknown field '{field}'; a label has {', '.join(sorted(_FIELDS))}.")
    for field in ("image", "width", "height", "keypoints"):
        if field not in content:
            yield fault("missing-field", f"the field '{field}' is missing.")
    for field in ("width", "height"):
        if field in content and not _is_size(content[field]):
            yield fault("bad-size", f"{field} is {_said(content[field])}; it must be a whole number of pixels from 1.")
    for field in ("image", "source"):
        given = content.get(field)
        if given is not None and not (isinstance(given, str) and given):
            yield fault(f"bad-{field}", f"{field} is {_said(given)}; it must be a name.")
    limits = [content.get(field) if _is_size(content.get(field)) else None for field in ("width", "height")]
    if "keypoints" in content:
        for kind, message in _point_faults(content["keypoints"], limits):
            yield fault(kind, message)
    if content.get("bbox") is not None and (message := _box_fault(content["bbox"], limits)):
        yield fault("bad-bbox", message)


def _point_faults(points: Any, limits: list[int | None]) -> Iterator[tuple[str, str]]:
    if not isinstance(points, list):
        yield "bad-label", f"keypoints is {_said(points)}; it must be a list of {len(POINTS)} points."
        return
    seen: set[str] = set()
    for number, point in enumerate(points, 1):
        name = point.get("name") if isinstance(point, dict) else None
        if not isinstance(name, str):
            yield "bad-point", f"point {number} is {_said(point)}; it must be an object with name, x and y."
            continue
        if name in seen:
            yield "duplicate-point", f"{name} is there twice."
        elif name not in POINTS:
            yield "unknown-point", f"point {number} is called '{name}', which is none of the {len(POINTS)} of {LAYOUT}."
        seen.add(name)
        for field in sorted(set(point) - _POINT_FIELDS):
            yield "unknown-field", f"{name} has the unknown field '{field}'; a point has name, x, y and visible."
        visible = point.get("visible", 1)
        if isinstance(visible, bool) or visible not in (0, 1):
            yield "bad-visible", f"{name}: visible is {_said(visible)}; it must be 0 or 1."
        elif visible:
            for axis, limit, side in zip("xy", limits, ("width", "height")):
                value = point.get(axis)
                if not _is_number(value):
                    yield "bad-number", f"{name}: {axis} is {_said(value)}; a visible point needs a finite number."
                elif limit is not None and not 0 <= value <= limit:
                    yield "out-of-bounds", f"{name}: {axis} is {value:g}, outside 0 to {limit}, the image's {side}."
    missing = [name for name in POINTS if name not in seen]
    if missing and len(missing) < len(POINTS):
        for name in missing:
            yield "missing-point", f"{name} is missing; write it with visible 0 where it is not seen."
    elif missing:
        yield "missing-point", f"none of the {len(POINTS)} points of {LAYOUT} is there."


def _box_fault(box: Any, limits: list[int | None]) -> str | None:
    if not (isinstance(box, list) and len(box) == 4 and all(_is_number(value) for value in box)):
        return f"bbox is {_said(box)}; it must be four finite numbers x, y, width, height."
    x, y, width, height = box
    if width <= 0 or height <= 0:
        return f"bbox is {width:g} wide and {height:g} high; both must be positive."
    right, bottom = (math.inf if limit is None else limit for limit in limits)
    if x >= right or y >= bottom or x + width <= 0 or y + height <= 0:
        return f"bbox {_said(box)} lies outside the image."
    return None


def _image_faults(content: dict[str, Any], image: Path, shown: tuple[int, int] | None, name: str) -> Iterator[Fault]:
    """What is wrong with a label beside its image."""
    called = content.get("image")
    if isinstance(called, str) and called and called.removeprefix("images/") != image.name:
        yield Fault("error", "other-image", f"image is '{called}', but its label lies beside {image.name}.", name)
    given = content.get("width"), content.get("height")
    if shown is not None and all(_is_size(value) for value in given) and given != tuple(shown):
        message = (
            f"width and height are {given[0]} × {given[1]}, but the image is {shown[0]} × {shown[1]} when upright."
        )
        yield Fault("error", "wrong-size", message, name)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15


def _said(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
