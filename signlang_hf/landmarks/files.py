"""Reading and writing landmark files: ``.npz`` (ours), ``.pose`` (the field's, through pose-format) and ``.npy`` (bare arrays).

An ``.npz`` holds plain arrays only (no pickles): ``data``, ``visibility``, ``timestamps``, ``fps``, ``layout``, ``points``,
``units``, and ``size`` and ``world`` where known. The point names travel along, so a file in a layout that its reader never
registered can still be read. A ``.pose`` holds x and y in pixels and, as MediaPipe measures it, z in widths, at a constant
rate; it is read into ``pose`` units so that writing it again gives the same numbers bit for bit. Confidences outside [0, 1], which interpolation leaves in some published files,
are clipped, and a point whose confidence is 0 or below counts as not seen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from .layout import HAND, MEDIAPIPE_POSE, Layout, get_layout, register_layout
from .sequence import LandmarkSequence

LANDMARK_SUFFIXES: tuple[str, ...] = (".npz", ".pose", ".npy")

_WORLD = "POSE_WORLD_LANDMARKS"
_HAND_NAMES = [point.upper().replace("LITTLE", "PINKY").replace("INDEX_", "INDEX_FINGER_") for point in HAND]
_HAND_NAMES = [name.replace("MIDDLE_", "MIDDLE_FINGER_").replace("RING_", "RING_FINGER_") for name in _HAND_NAMES]
# .pose component → (our prefix, MediaPipe's point names, colour); the face comes in two sizes and is added when writing.
_COMPONENTS: dict[str, tuple[str, list[str], tuple[int, int, int]]] = {
    "POSE_LANDMARKS": ("", [point.upper() for point in MEDIAPIPE_POSE], (255, 0, 0)),
    "FACE_LANDMARKS": ("face_", [str(i) for i in range(478)], (128, 0, 0)),
    "LEFT_HAND_LANDMARKS": ("left_hand_", _HAND_NAMES, (0, 255, 0)),
    "RIGHT_HAND_LANDMARKS": ("right_hand_", _HAND_NAMES, (0, 0, 255)),
}


def load_landmarks(
    path: str | Path,
    *,
    layout: str | None = None,
    person: int | None = None,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    units: str | None = None,
) -> LandmarkSequence:
    """Read a landmark file.

    Args:
        path: ``.npz``, ``.pose`` or ``.npy`` file.
        layout: layout of a file that does not name its own (``.npy``, foreign ``.npz``); checked against one that does.
        person: which person of a ``.pose`` file with several.
        fps, size, units: for files that do not carry them; ``.npy`` holds (T, K, 2 or 3), (T, K, 4) with visibility, or
            (T, 3·K) numbers.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a landmark file, another number of points than the layout has, several people and none chosen.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Landmark file not found: {path}")
    readers: dict[str, Callable[..., LandmarkSequence]] = {".npz": _read_npz, ".pose": _read_pose, ".npy": _read_npy}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path} is not a landmark file; known are {', '.join(LANDMARK_SUFFIXES)}.")
    try:
        sequence = reader(path, layout=layout, person=person, fps=fps, size=size, units=units)
    except (ImportError, OSError):
        raise
    except Exception as error:  # bytes that are not what they claim to be can raise anything, from zlib to tokenize
        reason = str(error).strip("'\"") or type(error).__name__
        if "pickle" in reason:  # numpy's own words suggest loading it unsafely
            reason = "not a file of plain arrays (pickled Python objects are never read)."
        raise ValueError(f"{path}: {reason}") from error
    if layout is not None and sequence.layout != get_layout(layout).name:
        raise ValueError(f"{path} holds layout '{sequence.layout}', not '{layout}'.")
    return sequence


def save_landmarks(sequence: LandmarkSequence, path: str | Path) -> Path:
    """Write ``sequence`` to ``path`` (``.npz`` or ``.pose``): first to a temporary name beside it, then moved into place."""
    path = Path(path)
    writers: dict[str, Callable[[IO[bytes], LandmarkSequence], None]] = {".npz": _write_npz, ".pose": _write_pose}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise ValueError(f"Cannot write landmarks to {path.name}; use a name that ends in .npz or .pose.")
    atomic_write(path, lambda stream: writer(stream, sequence))
    return path


def atomic_write(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Let ``write`` fill a temporary file in ``path``'s folder, then move it to ``path``; on failure nothing is left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes private files
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _write_npz(stream: IO[bytes], sequence: LandmarkSequence) -> None:
    fields: dict[str, Any] = {
        "data": sequence.data,
        "visibility": sequence.visibility,
        "timestamps": sequence.timestamps,
        "fps": np.float64(sequence.fps),
        "layout": np.str_(sequence.layout),
        "points": np.array(sequence.spec.points),
        "units": np.str_(sequence.units),
    }
    if sequence.size is not None:
        fields["size"] = np.array(sequence.size, np.int64)
    if sequence.world is not None:
        fields["world"] = sequence.world
    np.savez_compressed(stream, **fields)


def _read_npz(path: Path, *, layout: str | None, fps: Any, size: Any, units: Any, **_: Any) -> LandmarkSequence:
    with np.load(path, allow_pickle=False) as archive:
        fields = {name: archive[name] for name in archive.files}
    if "data" not in fields:
        raise ValueError(f"the archive has no array 'data' (it has {', '.join(fields) or 'nothing'}).")
    if "layout" in fields:
        name = str(fields["layout"])
        if "points" in fields:
            register_layout(name, [str(point) for point in fields["points"]])
    elif layout is not None:
        name = layout
    else:
        raise ValueError("the archive does not name its layout; pass layout=.")
    return LandmarkSequence(
        fields["data"],
        name,
        timestamps=fields.get("timestamps"),
        visibility=fields.get("visibility"),
        fps=float(fields["fps"]) if "fps" in fields else fps,
        size=tuple(fields["size"].tolist()) if "size" in fields else size,
        units=str(fields["units"]) if "units" in fields else units or "image",
        world=fields.get("world"),
    )


def _read_npy(path: Path, *, layout: str | None, fps: Any, size: Any, units: Any, **_: Any) -> LandmarkSequence:
    if layout is None:
        raise ValueError("an .npy file does not name its layout; pass layout=.")
    array = np.load(path, allow_pickle=False)
    points = len(get_layout(layout))
    if array.ndim == 2 and array.shape[1] == 3 * points:
        array = array.reshape(len(array), points, 3)
    visibility = None
    if array.ndim == 3 and array.shape[2] == 4:
        array, visibility = array[..., :3], array[..., 3]
    return LandmarkSequence(
        array, layout, visibility=visibility, fps=fps, size=size, units=units or ("image" if size else "unknown")
    )


def _pose_format() -> Any:
    try:
        import pose_format
    except ImportError:
        raise ImportError('Reading .pose files needs pose-format: pip install "signlang-hf[pose]"') from None
    return pose_format


def _read_pose(path: Path, *, layout: str | None, person: int | None, **_: Any) -> LandmarkSequence:
    try:
        pose = _pose_format().Pose.read(path.read_bytes())
    except ImportError:
        raise
    except Exception as error:  # the reader raises whatever its buffer arithmetic runs into
        raise ValueError(f"not a readable .pose file ({type(error).__name__}).") from error
    values = np.ma.getdata(pose.body.data)
    confidence = np.clip(np.asarray(pose.body.confidence, np.float32), 0.0, 1.0)
    values, confidence = _one_person(values, confidence, person)
    if values.shape[2] not in (2, 3):
        raise ValueError(f"the file has {values.shape[2]} coordinates a point; 2 or 3 are known.")
    values = np.where(confidence[..., None] > 0, values, np.nan).astype(np.float32)

    offset, parts, names, world, world_names = 0, [], [], None, ()
    for component in pose.header.components:
        columns = slice(offset, offset + len(component.points))
        offset = columns.stop
        if component.name == _WORLD:
            if values.shape[2] == 3:
                world = np.concatenate([values[:, columns], confidence[:, columns, None]], axis=2)
                world_names = tuple(str(point).lower() for point in component.points)
        elif component.name in _COMPONENTS:
            prefix, known, _colour = _COMPONENTS[component.name]
            # Points are matched by name, so a file that was reduced to some of its points still reads right.
            lookup = dict(zip(known, MEDIAPIPE_POSE if not prefix else HAND if "hand" in prefix else known))
            names += [prefix + lookup.get(str(point), str(point).lower()) for point in component.points]
            parts.append(columns)
        elif layout is None:
            raise ValueError(
                f"the component {component.name} is not MediaPipe Holistic's; pass layout= with a registered layout."
            )
        else:
            parts.append(columns)
            names += [f"{component.name}:{point}" for point in component.points]
    kept = np.concatenate([np.arange(columns.start, columns.stop) for columns in parts])
    source = Layout("file", tuple(names))
    target = get_layout(layout) if layout is not None else _holistic_layout(source)
    if layout is not None and len(kept) == len(target) and not set(names) & set(target.points):
        order = np.arange(len(kept))  # a foreign file in the order that the caller names
    else:
        order = target.conversion_from(source)
    if (order < 0).all():
        raise ValueError(
            f"the file's {len(kept)} points share no name with layout '{target.name}' ({len(target)} points)."
        )
    missing = order < 0
    data = values[:, kept[order]]
    visibility = confidence[:, kept[order]]
    data[:, missing], visibility[:, missing] = np.nan, 0.0
    dimensions = pose.header.dimensions
    return LandmarkSequence(
        data,
        target.name,
        visibility=visibility,
        fps=float(pose.body.fps),
        size=(dimensions.width, dimensions.height),
        units="pose",
        world=None if world is None else _spread_world(world, Layout("world", world_names), target),
    )


def _one_person(values: np.ndarray, confidence: np.ndarray, person: int | None) -> tuple[np.ndarray, np.ndarray]:
    people = values.shape[1]
    if people == 0:
        raise ValueError("the file holds no person.")
    if person is None and people > 1:
        raise ValueError(f"the file holds {people} people; choose one with person=0 … {people - 1}.")
    index = person or 0
    if not 0 <= index < people:
        raise ValueError(f"person={index} is not in the file, which holds {people}.")
    return values[:, index], confidence[:, index]


def _holistic_layout(source: Layout) -> Layout:
    names = ("mediapipe-holistic", "mediapipe-holistic-face468", "mediapipe-holistic-face478")
    return next(
        (spec for spec in map(get_layout, names) if set(source.points) <= set(spec.points)), get_layout(names[-1])
    )


def _spread_world(world: np.ndarray, source: Layout, layout: Layout) -> np.ndarray:
    """World points (T, len(source), 4) placed among the K points of the layout, NaN elsewhere."""
    order = layout.conversion_from(source)
    spread = world[:, order]
    spread[:, order < 0] = np.nan
    return spread


def _write_pose(stream: IO[bytes], sequence: LandmarkSequence) -> None:
    _pose_format()
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    if sequence.size is None:
        raise ValueError("A .pose file needs the picture's size (width, height); this sequence has none.")
    if sequence.units in ("metre", "unknown"):
        raise ValueError(f"A .pose file holds pixels; landmarks in {sequence.units} units cannot be written to it.")
    sequence = _constant_rate(sequence.to_units("pose"))
    layout = sequence.spec

    components, columns = [], []
    for name, (prefix, point_names, colour) in _COMPONENTS.items():
        known = MEDIAPIPE_POSE if not prefix else HAND if "hand" in prefix else point_names
        present = [(label, layout.index.get(prefix + point)) for point, label in zip(known, point_names)]
        present = [(label, index) for label, index in present if index is not None]
        if not present:
            continue
        place = {index: i for i, (_, index) in enumerate(present)}
        limbs = [(place[a], place[b]) for a, b in layout.bones if a in place and b in place]
        components.append(PoseHeaderComponent(name, [label for label, _ in present], limbs, [colour], "XYZC"))
        columns += [index for _, index in present]
    if not columns:
        raise ValueError(f"Layout '{sequence.layout}' has no point that a MediaPipe .pose file could hold.")
    if len(columns) < len(layout):
        lost = [point for i, point in enumerate(layout.points) if i not in set(columns)]
        raise ValueError(
            f"A .pose file has no place for {', '.join(lost[:5])} of layout '{sequence.layout}'; use .npz."
        )
    values, confidence = sequence.data[:, columns], sequence.visibility[:, columns]
    body = [layout.index[point] for point in MEDIAPIPE_POSE if point in layout.index]
    if sequence.world is not None and body:  # the format knows world points of the body alone
        labels = [layout.points[index].upper() for index in body]
        components.append(PoseHeaderComponent(_WORLD, labels, [], [(255, 0, 0)], "XYZC"))
        world = sequence.world[:, body]
        values = np.concatenate([values, world[..., :3]], axis=1)
        confidence = np.concatenate([confidence, np.nan_to_num(world[..., 3])], axis=1)
    width, height = sequence.size
    header = PoseHeader(version=0.2, dimensions=PoseHeaderDimensions(width, height, 0), components=components)
    body = NumPyPoseBody(sequence.fps, np.nan_to_num(values)[:, None], confidence[:, None])
    Pose(header, body).write(stream)


def _constant_rate(sequence: LandmarkSequence) -> LandmarkSequence:
    """A .pose file holds a rate, not time stamps: irregular frames are put on the nominal rate first."""
    if len(sequence) < 2:
        return sequence
    regular = np.arange(len(sequence)) / sequence.fps
    if np.abs(sequence.timestamps - sequence.timestamps[0] - regular).max() <= 0.5 / sequence.fps:
        return sequence
    from .normalize import resample

    return resample(sequence, fps=sequence.fps)
