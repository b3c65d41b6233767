"""``LandmarkSequence``: the one type for landmarks over time, whatever they came from.

Design decisions:

* A point that was not seen is **NaN**, never 0, in all three coordinates, and its visibility is 0. A hand that was not found
  is 21 NaN points; in real sign videos that is the normal case.
* Time is a time stamp per frame. ``fps`` is nominal: what the source claims, or what the time stamps suggest.
* Image coordinates are divided by width and height (z by width, as MediaPipe does), so they only become comparable along
  different directions after :meth:`LandmarkSequence.isotropic`, which everything geometric uses.
* A sequence is a value: methods return new sequences and never write into the arrays that they were given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from .layout import Layout, get_layout
from .vectors import take_points

UNITS: tuple[str, ...] = ("image", "pose", "pixel", "metre", "unknown")
"""``image``: x / width, y / height, z / width. ``pose``: x and y in pixels, z / width, as MediaPipe ``.pose`` files hold.
``pixel``: all three in pixels. ``unknown``: isotropic, any scale."""


@dataclass(frozen=True, eq=False)
class LandmarkSequence:
    """Landmarks of one signer over time.

    Args:
        data: (T, K, 3) or (T, K, 2) float array; NaN marks points that were not seen. Two coordinates get z = 0.
        layout: name of the layout (or the layout) that names the K points.
        timestamps: (T,) seconds, strictly increasing. Default: frame number / ``fps``.
        visibility: (T, K) in [0, 1]. Default: 1 where the point was seen.
        fps: nominal frame rate. Default: derived from the time stamps, or 25 when there are none.
        size: (width, height) of the picture in pixels. Needed by ``image`` and ``pose`` units for anything geometric.
        units: one of :data:`UNITS`.
        world: optional (T, K, 4) of the same points: x, y, z in metres around the hips (or the hand), and visibility; NaN where
            the source has none. It has its own visibility because a source may know a point in only one of the two.

    Raises:
        ValueError: shapes, layout, units or time stamps do not fit, in one sentence that says which.
    """

    data: np.ndarray
    layout: str
    timestamps: np.ndarray | None = None
    visibility: np.ndarray | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    units: str = "image"
    world: np.ndarray | None = None

    def __post_init__(self) -> None:
        layout = get_layout(self.layout)
        data = _points(self.data, len(layout), f"landmarks of layout '{layout.name}'")
        if self.units not in UNITS:
            raise ValueError(f"Unknown units {self.units!r}; choose one of {', '.join(UNITS)}.")
        frames = len(data)
        missing = np.isnan(data)
        x, y, z = missing[..., 0], missing[..., 1], missing[..., 2]
        seen = ~(x | y | z)  # several times faster than .any(axis=2), and this runs for every new sequence
        if (x & y & z != ~seen).any():
            data = np.where(seen[..., None], data, np.float32(np.nan))
        visibility = seen.astype(np.float32) if self.visibility is None else np.asarray(self.visibility, np.float32)
        if visibility.shape != seen.shape:
            raise ValueError(f"Visibility has shape {visibility.shape}; the landmarks need {seen.shape}.")
        # fmax() takes NaN for the smaller, so an unknown visibility is 0.
        visibility = np.where(seen, np.minimum(np.fmax(visibility, np.float32(0.0)), np.float32(1.0)), np.float32(0.0))
        timestamps, fps = _clock(self.timestamps, self.fps, frames)
        world = None if self.world is None else np.asarray(self.world, np.float32)
        if world is not None and world.shape != (frames, len(layout), 4):
            raise ValueError(f"World landmarks have shape {world.shape}; expected {(frames, len(layout), 4)}.")
        for field, value in (
            ("data", data), ("layout", layout.name), ("timestamps", timestamps), ("visibility", visibility),
            ("fps", fps), ("size", _size(self.size)), ("world", world),
        ):  # fmt: skip
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return (
            f"LandmarkSequence({len(self)} frames, {self.layout}, {self.fps:g} fps, {self.units} units, "
            f"{100 * self.seen.mean() if len(self) else 0:.0f} % of points seen)"
        )

    @property
    def spec(self) -> Layout:
        """The layout object behind ``layout``."""
        return get_layout(self.layout)

    @property
    def seen(self) -> np.ndarray:
        """(T, K) bool: whether the point was found in the frame."""
        return ~np.isnan(self.data[..., 0])

    @property
    def duration(self) -> float:
        """Seconds from the first to the last frame."""
        return float(self.timestamps[-1] - self.timestamps[0]) if len(self) else 0.0

    def part_seen(self, part: str) -> np.ndarray:
        """(T,) bool: whether any point of the body part (``left_hand``, ``pose`` …) was found in the frame."""
        indices = self.spec.parts.get(part)
        if indices is None:
            raise ValueError(f"Layout '{self.layout}' has no part '{part}'; it has {', '.join(self.spec.parts)}.")
        return take_points(self.seen, indices).any(axis=1)

    def replace(self, **changes: Any) -> LandmarkSequence:
        """A copy with the given fields changed."""
        return replace(self, **changes)

    def _with(self, **changes: Any) -> LandmarkSequence:
        """:meth:`replace` without the checks, which cost as much as the work itself in a clip of usual length.

        For this room's own functions, whose results fit by construction: shapes and types of all fields agree, a missing point is
        NaN in three coordinates and has visibility 0, time increases.
        """
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__, **changes)  # past __setattr__, which refuses to write into a value
        return changed

    def frames(self, index: slice | np.ndarray) -> LandmarkSequence:
        """The frames of a slice, an index array or a boolean mask over T, with their time stamps."""
        chosen = {
            "data": self.data[index],
            "visibility": self.visibility[index],
            "timestamps": self.timestamps[index],
            "world": None if self.world is None else self.world[index],
        }
        time = chosen["timestamps"]
        # Whatever else may be wrong with them, replace() says it.
        return self._with(**chosen) if time.ndim == 1 and (time[1:] > time[:-1]).all() else self.replace(**chosen)

    def to_layout(self, layout: str | Layout) -> LandmarkSequence:
        """The same landmarks in another layout, matched by point name; points that this layout lacks become NaN.

        Raises:
            ValueError: the two layouts share no point at all.
        """
        target = get_layout(layout)
        if target.name == self.layout:
            return self
        source = target.conversion_from(self.spec)
        found = source >= 0
        if not found.any():
            raise ValueError(f"Layout '{self.layout}' shares no point with layout '{target.name}'; nothing to convert.")
        return self._with(
            data=_take(self.data, source, found, np.nan),
            visibility=_take(self.visibility, source, found, 0.0),
            world=None if self.world is None else _take(self.world, source, found, np.nan),
            layout=target.name,
        )

    @property
    def axes(self) -> np.ndarray:
        """(3,) float32: how many isotropic units (pixels for pictures) one unit of x, y and z is.

        Raises:
            ValueError: ``image`` or ``pose`` units without the picture's size.
        """
        if self.units not in ("image", "pose"):
            return np.ones(3, np.float32)
        if self.size is None:
            raise ValueError(
                f"Landmarks in {self.units} units need the picture's size (width, height); pass size= when loading."
            )
        width, height = self.size
        return np.array([width, height, width] if self.units == "image" else [1, 1, width], np.float32)

    def isotropic(self) -> LandmarkSequence:
        """The same landmarks with one unit along x, y and z: pixels for pictures, unchanged otherwise."""
        return self.to_units("pixel") if self.units in ("image", "pose") else self

    def to_units(self, units: str) -> LandmarkSequence:
        """Convert between ``image``, ``pose`` and ``pixel`` units.

        Raises:
            ValueError: any other conversion, or the picture's size is missing.
        """
        if units == self.units:
            return self
        if not {units, self.units} <= {"image", "pose", "pixel"}:
            raise ValueError(f"Landmarks in {self.units} units cannot be converted to {units} units.")
        target = self._with(units=units)
        if units == "pixel":
            return target._with(data=np.asfortranarray(self.data) * self.axes)
        # Through float64, so that converting there and back stays within one unit in the last place.
        scale = self.axes.astype(np.float64) / target.axes
        return self._with(data=(self.data * scale).astype(np.float32), units=units)

    def save(self, path: str | Path) -> Path:
        """Write to ``.npz`` or ``.pose``, by suffix; the file appears whole or not at all. See :mod:`.files`."""
        from .files import save_landmarks

        return save_landmarks(self, path)

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> LandmarkSequence:
        """Read ``.npz``, ``.pose`` or ``.npy``, by suffix; ``options`` as in :func:`.files.load_landmarks`."""
        from .files import load_landmarks

        return load_landmarks(path, **options)


def _points(array: Any, count: int, what: str) -> np.ndarray:
    """(T, count, 3) float32 from an array-like of 2 or 3 coordinates, or a ValueError that says what is wrong."""
    try:
        array = np.asarray(array, dtype=np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"The {what} are not a rectangular array of numbers (T, K, 3).") from None
    if array.ndim != 3 or array.shape[2] not in (2, 3):
        raise ValueError(f"The {what} have shape {array.shape}; expected (frames, {count}, 3).")
    if array.shape[1] != count:
        raise ValueError(f"The {what} have {array.shape[1]} points; the layout has {count}.")
    if array.shape[2] == 2:
        depth = np.where(np.isnan(array[..., :1]), np.float32(np.nan), np.float32(0.0))
        array = np.concatenate([array, depth], axis=2)
    if np.isinf(array).any():
        raise ValueError(f"The {what} hold infinite values; mark missing points with NaN.")
    return array


def _clock(timestamps: Any, fps: float | None, frames: int) -> tuple[np.ndarray, float]:
    """Time stamps and nominal fps, each from the other where one is missing."""
    if fps is not None and not (isinstance(fps, Real | np.ndarray) and 0 < float(fps) < np.inf):
        raise ValueError(f"fps is {fps!r}; it must be a positive number.")
    if timestamps is None:
        fps = 25.0 if fps is None else float(fps)
        return np.arange(frames, dtype=np.float64) / fps, fps
    timestamps = np.asarray(timestamps, np.float64)
    if timestamps.shape != (frames,):
        raise ValueError(f"There are {timestamps.size} time stamps for {frames} frames.")
    steps = np.diff(timestamps)
    if not np.isfinite(timestamps).all() or (steps <= 0).any():
        raise ValueError("Time stamps must be finite seconds that increase from frame to frame.")
    if fps is None:
        fps = 1.0 / float(np.median(steps)) if frames > 1 else 25.0
    return timestamps, float(fps)


def _size(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    try:
        width, height = (int(side) for side in size)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"size is {size!r}; expected (width, height) in pixels.") from None
    if width <= 0 or height <= 0:
        raise ValueError(f"size is {width} x {height}; both sides must be positive.")
    return width, height


def _take(array: np.ndarray, source: np.ndarray, found: np.ndarray, missing: float) -> np.ndarray:
    taken = take_points(array, source)
    if not found.all():
        taken[:, ~found] = missing
    return taken
