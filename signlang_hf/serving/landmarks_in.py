"""Landmarks that strangers send, as JSON or as ``.npz``, checked before anything is computed.

Design decisions:

* JSON knows no NaN and no Infinity here; a point that was not seen is ``null``. In ``.npz`` it is NaN, as in the library's own files.
* A layout is one that this installation knows. A file may not bring one: names would outlive the request.
* An archive is measured by its directory and by the headers of its arrays before one is unpacked, so a bomb never goes off.
* Coordinates beyond :data:`FAR` are no landmarks, and a clip has a longest duration: it is put on a regular clock, and two frames a year
  apart would become billions.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout, list_layouts
from ..landmarks.sequence import UNITS
from .errors import ServingError, one_line
from .estimators import Frame
from .settings import ServerSettings

FAR = 1e5
"""Largest coordinate, in any unit."""
_LATEST = 1e12  # seconds; time stamps of clocks that count from 1970 in milliseconds pass
_MOST_PIXELS = 100_000  # of a side
_FIELDS = {"layout", "size", "units", "fps", "timestamps", "frames", "points", "visibility"}
_ARRAYS = {"data", "visibility", "timestamps", "fps", "layout", "points", "units", "size", "world"}
_DEFAULT_LAYOUT = "mediapipe-holistic"


def read_landmarks(body: bytes, settings: ServerSettings) -> LandmarkSequence:
    """A clip of landmarks: ``.npz`` as the library writes it, or a JSON object with ``points`` (T, K, 2 or 3).

    Raises:
        ServingError: ``bad_input`` or ``too_large``, with one sentence.
    """
    if not body:
        raise ServingError("bad_input", "There are no landmarks: send JSON, or a file .npz.")
    fields = _from_npz(body, settings) if body[:4] == b"PK\x03\x04" else _from_json(body)
    try:
        sequence = LandmarkSequence(**fields)
    except (ValueError, TypeError, OverflowError) as error:
        raise ServingError("bad_input", one_line(error)) from None
    _check(sequence, settings)
    return sequence


def parse_json(text: str | bytes) -> Any:
    """JSON without NaN, endless nesting and numbers of a thousand digits.

    Raises:
        ServingError: ``bad_input``.
    """
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ServingError("bad_input", "The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise ServingError("bad_input", "The JSON is not UTF-8.") from None
    except ValueError as error:
        raise ServingError("bad_input", f"This is not JSON that can be read: {one_line(error, 120)}.") from None


def layout_of(name: Any) -> str:
    """The name of a layout that is known. Names are looked up in a list, and never used as anything else."""
    if name is None:
        return _DEFAULT_LAYOUT
    if not isinstance(name, str) or name not in list_layouts():
        known = ", ".join(list_layouts())
        raise ServingError("bad_input", f"The layout {_short(name)} is not known; choose one of {known}.")
    return name


def units_of(name: Any) -> str:
    """Units that are known; default: ``image``."""
    if name is None:
        return "image"
    if not isinstance(name, str) or name not in UNITS:
        raise ServingError("bad_input", f"The units {_short(name)} are not known; choose one of {', '.join(UNITS)}.")
    return name


def size_of(size: Any, units: str) -> tuple[int, int] | None:
    """(width, height) in pixels, which landmarks in ``image`` and ``pose`` units need."""
    if size is None:
        if units in ("image", "pose"):
            raise ServingError(
                "bad_input", f"Landmarks in {units} units need the picture's size: [width, height] in pixels."
            )
        return None
    good = isinstance(size, (list, tuple)) and len(size) == 2 and all(type(side) is int for side in size)
    if not good or not all(0 < side <= _MOST_PIXELS for side in size):
        raise ServingError(
            "bad_input", f"size must be [width, height] in pixels, whole numbers from 1 to {_MOST_PIXELS}."
        )
    return int(size[0]), int(size[1])


def frame_of(given: Any, count: int, size: tuple[int, int] | None, where: str = "landmarks") -> Frame:
    """One frame of a stream, of ``count`` points.

    Raises:
        ServingError: ``bad_message``, where it is none.
    """
    if not isinstance(given, dict):
        raise ServingError("bad_message", f"{where}: a frame must be an object with time and points.")
    seconds = seconds_of(given.get("time"), where)
    points = _frame_points(given.get("points"), count, where)
    visibility = given.get("visibility")
    if visibility is not None:
        visibility = _numbers(visibility, f"{where}: visibility")
        if visibility.shape != (count,):
            raise ServingError("bad_message", f"{where}: visibility must have {count} numbers, one a point.")
    return Frame(seconds, points, visibility, size)


def seconds_of(value: Any, where: str) -> float:
    """A time stamp. Raises ServingError ``bad_message`` where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LATEST:
        raise ServingError("bad_message", f"{where}: time must be a number of seconds.")
    return float(value)


def _frame_points(points: Any, count: int, where: str) -> np.ndarray:
    """(K, 3) float32, NaN where not seen."""
    if not isinstance(points, list) or len(points) != count:
        raise ServingError(
            "bad_message", f"{where}: points must be a list of {count} points, as many as the layout has."
        )
    try:
        array = np.array(points, np.float32)
        if array.ndim != 2:
            raise ValueError
    except (ValueError, TypeError, OverflowError):  # some were not seen
        first = next((point for point in points if isinstance(point, list)), [0.0, 0.0, 0.0])
        blank = [math.nan] * len(first)
        array = _numbers([blank if point is None else point for point in points], f"{where}: points")
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise ServingError("bad_message", f"{where}: each point must be null, or 2 or 3 numbers.")
    if np.isinf(array).any() or (np.abs(array) > FAR).any():
        raise ServingError("bad_message", f"{where}: a coordinate lies beyond {FAR:g}.")
    if array.shape[1] == 2:
        depth = np.where(np.isnan(array[:, :1]), np.float32(np.nan), np.float32(0))
        array = np.concatenate([array, depth], axis=1)
    return array


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        if isinstance(values, list) and any(isinstance(one, (str, dict, bool)) for one in values):
            raise TypeError
        return np.array(values, np.float32)
    except (ValueError, TypeError, OverflowError):
        raise ServingError("bad_message", f"{what} must be a rectangular list of numbers.") from None


def _from_json(body: bytes) -> dict[str, Any]:
    given = parse_json(body)
    if not isinstance(given, dict):
        raise ServingError("bad_input", "Landmarks must be a JSON object with points, size and timestamps or fps.")
    foreign = sorted(set(given) - _FIELDS)
    if foreign:
        raise ServingError(
            "bad_input", f"The field {_short(foreign[0])} is not known; known are {', '.join(sorted(_FIELDS))}."
        )
    layout, units = layout_of(given.get("layout")), units_of(given.get("units"))
    size, count = size_of(given.get("size"), units), len(get_layout(layout))
    points = given.get("points")
    if not isinstance(points, list) or not points:
        raise ServingError("bad_input", f"points must be a list of frames, each a list of {count} points.")
    try:
        data = np.stack([_frame_points(one, count, f"frame {number}") for number, one in enumerate(points)])
        visibility = None if given.get("visibility") is None else _numbers(given["visibility"], "visibility")
        times = None if given.get("timestamps") is None else _numbers64(given["timestamps"], "timestamps")
    except ServingError as error:
        raise ServingError("bad_input", error.detail) from None
    return {
        "data": data, "layout": layout, "units": units, "size": size, "visibility": visibility, "timestamps": times,
        "fps": _rate(given.get("fps")),
    }  # fmt: skip


def _numbers64(values: Any, what: str) -> np.ndarray:
    try:
        if isinstance(values, list) and any(isinstance(one, (str, dict, bool)) for one in values):
            raise TypeError
        return np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise ServingError("bad_input", f"{what} must be a list of numbers.") from None


def _rate(fps: Any) -> float | None:
    if fps is None:
        return None
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0.01 <= fps <= 1000:
        raise ServingError("bad_input", "fps must be a number from 0.01 to 1000.")
    return float(fps)


def _from_npz(body: bytes, settings: ServerSettings) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            arrays = _arrays(archive, settings.max_landmarks)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, KeyError):
        raise ServingError("bad_input", "The file is not an .npz archive that can be read; it is damaged.") from None
    except ValueError as error:
        reason = (
            "it holds pickled Python objects, which are never read" if "pickle" in str(error) else one_line(error, 120)
        )
        raise ServingError("bad_input", f"The archive cannot be read: {reason}.") from None
    return _fields(arrays)


def _arrays(archive: zipfile.ZipFile, limit: int) -> dict[str, np.ndarray]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    foreign = [name for name in names if not name.endswith(".npy") or name[:-4] not in _ARRAYS]
    if foreign or len(set(names)) != len(names):
        what = f"{_short(foreign[0])}, which is none of an archive of landmarks" if foreign else "an entry twice"
        raise ServingError("bad_input", f"The archive holds {what}.")
    # What the directory says; an entry that holds more than it says fails to unpack.
    if sum(entry.file_size for entry in entries) > limit:
        raise ServingError(
            "too_large", f"The archive unpacks to more than {limit / 1e6:g} MB, the limit of this server."
        )
    arrays = {}
    for entry in entries:
        with archive.open(entry) as stream:
            content = stream.read(entry.file_size + 1)
        if len(content) > entry.file_size:
            raise zipfile.BadZipFile
        arrays[entry.filename[:-4]] = _array(content)
    return arrays


def _array(content: bytes) -> np.ndarray:
    """An array whose header claims no more than there is: numpy would first make room for all that it claims."""
    stream = io.BytesIO(content)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise ValueError("an array is in a format of numpy that is not known here")
    shape, _, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("pickle")
    if math.prod(shape) * dtype.itemsize > len(content):
        raise ValueError("an array is cut off")
    return np.load(io.BytesIO(content), allow_pickle=False)


def _fields(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if "data" not in arrays:
        raise ServingError("bad_input", "The archive has no array 'data'.")
    layout = layout_of(_word(arrays.get("layout")))
    units = units_of(_word(arrays.get("units")))
    if "points" in arrays and [str(point) for point in arrays["points"].ravel()] != list(get_layout(layout).points):
        raise ServingError("bad_input", f"The archive names other points than layout '{layout}' has on this server.")
    numbers = ("data", "visibility", "timestamps", "fps", "size", "world")
    if any(name in arrays and arrays[name].dtype.kind not in "fiu" for name in numbers):
        raise ServingError("bad_input", "The archive holds something else than numbers where numbers belong.")
    size = arrays["size"].ravel().tolist() if "size" in arrays else None
    fps = arrays["fps"].ravel().tolist() if "fps" in arrays else [None]
    return {
        "data": arrays["data"],
        "layout": layout,
        "units": units,
        "size": size_of(None if size is None else [_whole(side) for side in size], units),
        "visibility": arrays.get("visibility"),
        "timestamps": arrays.get("timestamps"),
        "fps": _rate(fps[0] if len(fps) == 1 else "several"),
    }


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _word(array: np.ndarray | None) -> Any:
    return None if array is None else str(array) if array.ndim == 0 and array.dtype.kind == "U" else array.dtype.name


def _check(sequence: LandmarkSequence, settings: ServerSettings) -> None:
    if len(sequence) == 0:
        raise ServingError("bad_input", "There are no frames.")
    if len(sequence) > settings.max_frames:
        raise ServingError("too_large", f"There are more than {settings.max_frames} frames, the limit of this server.")
    if not sequence.duration <= settings.max_seconds:
        raise ServingError(
            "too_large", f"The clip is longer than {settings.max_seconds:g} s, the limit of this server."
        )
    if abs(float(sequence.timestamps[0])) > _LATEST:
        raise ServingError("bad_input", "The time stamps are no seconds of a clip.")
    if (np.abs(sequence.data) > FAR).any():  # NaN is not
        raise ServingError("bad_input", f"A coordinate lies beyond {FAR:g}.")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON; a point that was not seen is null")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


__all__ = ["FAR", "frame_of", "layout_of", "parse_json", "read_landmarks", "seconds_of", "size_of", "units_of"]
