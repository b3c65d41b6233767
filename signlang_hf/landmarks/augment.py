"""Augmentation for training: one clip of landmarks in, a slightly different clip of the same sign out.

Design decisions:

* Small pure functions ``f(sequence, rng, …)``; all chance comes from the :class:`numpy.random.Generator` that is passed in,
  so a seed gives the same clip again. :class:`Augmenter` chains them as an :class:`AugmentConfig` says.
* Missing stays missing: nothing is interpolated or invented. Only the ``drop_*`` functions and ``crop_time`` take away.
* Time is changed through the time stamps, never by making up frames between frames; resampling afterwards (which every
  processor does) turns the new clock into new frames.
* Space is changed in isotropic units about the body's centre, so clips of any aspect ratio are treated alike. Lengths are
  in units of the body's size: the distance between the shoulders.
* Augment *before* normalisation. Normalisation removes translation, which is therefore not offered here.
* World landmarks, where a sequence has them, undergo the same change about their own origin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from .layout import Layout
from .normalize import frame_median, mirror
from .rest import with_rest
from .sequence import LandmarkSequence
from .vectors import cross

_HANDS = ("left_hand", "right_hand", "hand1", "hand2")
_FINGERS = ("index", "middle", "ring", "little")
_SHOULDERS_PER_PALM = 3.6
"""Shoulder distance over palm length (wrist to middle knuckle), the median of 112 clips of real signers."""

HandChange = Callable[[np.ndarray, Mapping[str, int]], np.ndarray]
"""(T, n, 3) points of one hand and the place of each of its point names → the changed points."""

# MediaPipe measures the depth of hands and face from their own origin. (part, body point at that origin, part's own point)
_DEPTH_ORIGINS = (
    ("left_hand", "left_wrist", "left_hand_wrist"),
    ("right_hand", "right_wrist", "right_hand_wrist"),
    ("face", "nose", "face_1"),
)


# ------------------------------------------------------------------------------------------------------------- time


def time_warp(sequence: LandmarkSequence, rng: np.random.Generator, strength: float = 0.25) -> LandmarkSequence:
    """Sign some stretches faster and others slower: a smooth, strictly increasing change of the time stamps.

    The local speed is the exponential of a random curve with ``strength`` as its standard deviation; the duration stays.
    """
    if len(sequence) < 3:
        return sequence
    start, duration = sequence.timestamps[0], sequence.duration
    pace = np.exp(strength * _curves(rng, (sequence.timestamps - start) / duration, 1, cutoff=1.5)[:, 0])
    passed = np.cumsum(0.5 * (pace[1:] + pace[:-1]) * np.diff(sequence.timestamps))
    return _retimed(sequence, start + np.concatenate([[0.0], passed]) * (duration / passed[-1]))


def change_speed(
    sequence: LandmarkSequence, rng: np.random.Generator, low: float = 0.8, high: float = 1.25
) -> LandmarkSequence:
    """Sign the whole clip ``low`` to ``high`` times as fast (log-uniform)."""
    if len(sequence) < 2:
        return sequence
    speed = _log_uniform(rng, low, high)
    start = sequence.timestamps[0]
    return _retimed(sequence, start + (sequence.timestamps - start) / speed, fps=sequence.fps * speed)


def crop_time(sequence: LandmarkSequence, rng: np.random.Generator, min_share: float = 0.85) -> LandmarkSequence:
    """A random stretch that lasts at least ``min_share`` of the clip; never fewer than two frames."""
    if len(sequence) < 3:
        return sequence
    share = rng.uniform(min_share, 1.0)
    begin = sequence.timestamps[0] + rng.uniform(0.0, 1.0 - share) * sequence.duration
    first = np.searchsorted(sequence.timestamps, begin, side="left")
    last = np.searchsorted(sequence.timestamps, begin + share * sequence.duration, side="right")
    return sequence.frames(slice(first, last)) if last - first >= 2 else sequence


def drop_frames(sequence: LandmarkSequence, rng: np.random.Generator, max_share: float = 0.3) -> LandmarkSequence:
    """An irregular frame rate: leave out up to ``max_share`` of the frames at random, never the first or the last."""
    if len(sequence) < 3:
        return sequence
    keep = rng.random(len(sequence)) >= rng.uniform(0.0, max_share)
    keep[[0, -1]] = True
    return sequence.frames(keep)


# ------------------------------------------------------------------------------------------------------------ space


def rotate(
    sequence: LandmarkSequence, rng: np.random.Generator, roll: float = 12.0, yaw: float = 10.0, pitch: float = 6.0
) -> LandmarkSequence:
    """Turn the body about its centre by angles uniform in ± ``roll`` (in the picture plane), ``yaw`` and ``pitch`` degrees.

    Landmarks without depth (z = 0 throughout) only roll. Hands and face whose depth counts from their own wrist or centre,
    as MediaPipe's does, turn at the depth of the body's wrist or nose and keep their own depth origin.
    """
    return _transform(sequence, _rotation(rng, roll, yaw, pitch, deep=_has_depth(sequence)))


def scale(
    sequence: LandmarkSequence, rng: np.random.Generator, low: float = 0.85, high: float = 1.15, stretch: float = 0.1
) -> LandmarkSequence:
    """Resize by ``low`` to ``high`` (log-uniform), and x, y and z apart from each other by up to 1 ± ``stretch``.

    Normalisation takes the common factor out again; the stretch (a differently built body, a wider lens) stays.
    """
    factors = _log_uniform(rng, low, high) * rng.uniform(1.0 - stretch, 1.0 + stretch, 3)
    return _transform(sequence, np.diag(factors))


def shear(sequence: LandmarkSequence, rng: np.random.Generator, amount: float = 0.1) -> LandmarkSequence:
    """Shear the picture plane: x moves by up to ± ``amount`` · y, and y by up to ± ``amount`` · x."""
    matrix = np.eye(3)
    matrix[0, 1], matrix[1, 0] = rng.uniform(-amount, amount, 2)
    return _transform(sequence, matrix)


def rotate_hands(
    sequence: LandmarkSequence,
    rng: np.random.Generator,
    degrees: float = 12.0,
    low: float = 0.9,
    high: float = 1.1,
) -> LandmarkSequence:
    """Turn and resize each hand about its own wrist, the same way in all frames: signers hold one hand shape differently.

    Args:
        degrees: largest angle about each axis (the picture plane alone for landmarks without depth).
        low, high: range of the size factor.
    """
    deep = _has_depth(sequence)

    def draw() -> HandChange:
        turn = (_rotation(rng, degrees, degrees, degrees, deep) * _log_uniform(rng, low, high)).T.astype(np.float32)

        def change(points: np.ndarray, place: Mapping[str, int]) -> np.ndarray:
            wrist = points[:, [place["wrist"]]]
            return _keep_where_nan((points - wrist) @ turn + wrist, points)

        return change

    return _each_hand(sequence, draw, needs=("wrist",))


def bend_fingers(
    sequence: LandmarkSequence, rng: np.random.Generator, bend: float = 10.0, splay: float = 3.0
) -> LandmarkSequence:
    """Bend each finger (not the thumb) at its knuckle towards or away from the palm, and sideways, the same in all frames.

    Args:
        bend: standard deviation in degrees, about the line through the knuckles.
        splay: standard deviation in degrees, about the normal of the palm.

    Rotation by the vector sum of both (Rodrigues' formula). Landmarks without depth keep z = 0: the bent finger's projection.
    """
    deep = _has_depth(sequence)
    names = [f"{finger}_{joint}" for finger in _FINGERS for joint in ("mcp", "pip", "dip", "tip")]

    def draw() -> HandChange:
        angles = np.radians(rng.normal(size=(4, 2)) * (bend, splay)).astype(np.float32)

        def change(points: np.ndarray, place: Mapping[str, int]) -> np.ndarray:
            columns = [place[name] for name in names]
            fingers = points[:, columns].reshape(-1, 4, 4, 3)
            knuckles = fingers[:, :, 0]
            across = _unit(knuckles[:, 3] - knuckles[:, 0])
            normal = _unit(cross(across, knuckles[:, 1] - points[:, place["wrist"]]))
            vector = (
                angles[:, :1] * across[:, None] + angles[:, 1:] * normal[:, None]
            )  # (T, 4, 3), its length the angle
            angle = np.sqrt((vector * vector).sum(axis=-1))[..., None, None]
            axis = vector[:, :, None] / np.maximum(angle, 1e-9)
            bones = fingers[:, :, 1:] - fingers[:, :, :1]
            along = (axis * bones).sum(axis=-1, keepdims=True)
            turned = bones * np.cos(angle) + cross(axis, bones) * np.sin(angle) + axis * along * (1 - np.cos(angle))
            if not deep:
                turned[..., 2] = 0.0
            fingers[:, :, 1:] = _keep_where_nan(turned + fingers[:, :, :1], fingers[:, :, 1:])
            bent = points.copy()
            bent[:, columns] = fingers.reshape(-1, 16, 3)
            return bent

        return change

    return _each_hand(sequence, draw, needs=("wrist", *names))


# ------------------------------------------------------------------------------------------------------------ noise


def kinematic_noise(
    sequence: LandmarkSequence, rng: np.random.Generator, std: float = 0.01, cutoff: float = 2.0
) -> LandmarkSequence:
    """Let every point drift on its own smooth path: no two executions of a sign follow the same trajectory.

    Args:
        std: standard deviation in body sizes.
        cutoff: highest frequency of the drift in hertz.
    """
    frames, points = sequence.visibility.shape
    if frames == 0:
        return sequence
    drift = _curves(rng, sequence.timestamps - sequence.timestamps[0], 3 * points, cutoff)
    return _displace(sequence, std * drift.reshape(frames, points, 3))


def jitter(sequence: LandmarkSequence, rng: np.random.Generator, std: float = 0.003) -> LandmarkSequence:
    """Independent Gaussian noise of ``std`` body sizes on every coordinate: the trembling of a landmark detector."""
    return _displace(sequence, std * rng.standard_normal(sequence.data.shape, dtype=np.float32))


# ---------------------------------------------------------------------------------------------------------- dropout


def drop_points(
    sequence: LandmarkSequence, rng: np.random.Generator, share: float = 0.05, max_span: float = 0.5
) -> LandmarkSequence:
    """Lose single points: each with probability ``share``, for a span of up to ``max_span`` of the frames."""
    frames, points = sequence.visibility.shape
    return _hide(sequence, _spans(rng, frames, points, max_span) & (rng.random(points) < share))


def drop_hands(sequence: LandmarkSequence, rng: np.random.Generator, max_span: float = 0.25) -> LandmarkSequence:
    """Lose each hand for a span of up to ``max_span`` of the frames, as a detector does in fast movement."""
    hidden = np.zeros(sequence.visibility.shape, bool)
    parts = sequence.spec.parts
    for hand in _HANDS:
        if hand in parts:
            hidden[:, list(parts[hand])] = _spans(rng, len(sequence), 1, max_span)
    return _hide(sequence, hidden)


# ------------------------------------------------------------------------------------------------------ composition


@dataclass(frozen=True)
class AugmentConfig:
    """Which augmentations happen how often and how far. Every field is a plain value, so it reads and writes as YAML.

    The field with a function's own name is its probability; the others are its arguments, as the function documents them.

    ``rest`` (:func:`.rest.with_rest`) is 0 by default: it is for models that stand in front of a camera and learn from clips that were
    cut to the sign. ``mirror`` is 0 by default: which hand signs can be part of a sign's form or label (directions, agreement verbs, "left"
    and "right"), and left-handed signers are better served by :func:`.normalize.normalize_side`. Set it to 0.5 for data in
    which both hands may lead and ``normalize_side`` is not used. The other defaults are as mild as different takes by one
    signer in front of another camera.
    """

    rest: float = 0.0
    mirror: float = 0.0
    time_warp: float = 0.5
    time_warp_strength: float = 0.25
    change_speed: float = 0.5
    speed_range: tuple[float, float] = (0.8, 1.25)
    crop_time: float = 0.3
    crop_min_share: float = 0.85
    drop_frames: float = 0.3
    drop_frames_max_share: float = 0.3
    rotate: float = 0.5
    roll_degrees: float = 12.0
    yaw_degrees: float = 10.0
    pitch_degrees: float = 6.0
    scale: float = 0.5
    scale_range: tuple[float, float] = (0.85, 1.15)
    scale_stretch: float = 0.1
    shear: float = 0.3
    shear_amount: float = 0.1
    rotate_hands: float = 0.5
    hand_degrees: float = 12.0
    hand_scale_range: tuple[float, float] = (0.9, 1.1)
    bend_fingers: float = 0.3
    bend_degrees: float = 10.0
    splay_degrees: float = 3.0
    kinematic_noise: float = 0.5
    noise_std: float = 0.01
    noise_cutoff: float = 2.0
    jitter: float = 0.3
    jitter_std: float = 0.003
    drop_points: float = 0.3
    drop_points_share: float = 0.05
    drop_points_max_span: float = 0.5
    drop_hands: float = 0.2
    drop_hands_max_span: float = 0.25

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_range"):
                object.__setattr__(self, field.name, _checked_range(field.name, value))
                continue
            low, high = _bounds(field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise ValueError(
                    f"Augmentation setting {field.name} is {value!r}; it must be a number in {low} … {high}."
                )
            object.__setattr__(self, field.name, float(value))

    def to_dict(self) -> dict[str, float | list[float]]:
        """Plain numbers and lists, for YAML and JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> AugmentConfig:
        """The opposite of :meth:`to_dict`; what is left out keeps its default. Raises ValueError for an unknown setting."""
        known = [field.name for field in fields(cls)]
        unknown = [str(name) for name in settings if name not in known]
        if unknown:
            raise ValueError(f"Unknown augmentation setting {', '.join(unknown)}; known are {', '.join(known)}.")
        return cls(**settings)

    @classmethod
    def off(cls) -> AugmentConfig:
        """No augmentation: all probabilities 0. A base for switching on a chosen few with :func:`dataclasses.replace`."""
        return cls(rest=0.0, **dict.fromkeys(_PROBABILITIES, 0.0))


class Augmenter:
    """Applies an :class:`AugmentConfig`: ``Augmenter(config)(sequence, rng)`` → :class:`LandmarkSequence`.

    Calls are independent of each other and the object holds no state but its configuration, so one serves all data-loader
    workers; give each worker its own ``rng``.
    """

    def __init__(self, config: AugmentConfig | None = None) -> None:
        self.config = AugmentConfig() if config is None else config

    def __repr__(self) -> str:
        return f"Augmenter({self.config})"

    def __call__(self, sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
        c = self.config
        # Drawn together, so that the probability of one step does not shift the random numbers of which steps happen.
        happens = dict(zip(_PROBABILITIES, rng.random(len(_PROBABILITIES))))
        # After them, and only where it is asked for: a training without it draws the numbers that it always drew.
        if c.rest and rng.random() < c.rest:
            sequence = with_rest(sequence, rng)
        steps = {
            "mirror": lambda s: mirror(s),
            "crop_time": lambda s: crop_time(s, rng, c.crop_min_share),
            "drop_frames": lambda s: drop_frames(s, rng, c.drop_frames_max_share),
            "time_warp": lambda s: time_warp(s, rng, c.time_warp_strength),
            "change_speed": lambda s: change_speed(s, rng, *c.speed_range),
            "rotate_hands": lambda s: rotate_hands(s, rng, c.hand_degrees, *c.hand_scale_range),
            "bend_fingers": lambda s: bend_fingers(s, rng, c.bend_degrees, c.splay_degrees),
            "kinematic_noise": lambda s: kinematic_noise(s, rng, c.noise_std, c.noise_cutoff),
            "rotate": lambda s: rotate(s, rng, c.roll_degrees, c.yaw_degrees, c.pitch_degrees),
            "scale": lambda s: scale(s, rng, *c.scale_range, c.scale_stretch),
            "shear": lambda s: shear(s, rng, c.shear_amount),
            "jitter": lambda s: jitter(s, rng, c.jitter_std),
            "drop_points": lambda s: drop_points(s, rng, c.drop_points_share, c.drop_points_max_span),
            "drop_hands": lambda s: drop_hands(s, rng, c.drop_hands_max_span),
        }
        for name, step in steps.items():
            if happens[name] < getattr(c, name):
                sequence = step(sequence)
        return sequence


_PROBABILITIES = (
    "mirror", "time_warp", "change_speed", "crop_time", "drop_frames", "rotate", "scale", "shear", "rotate_hands",
    "bend_fingers", "kinematic_noise", "jitter", "drop_points", "drop_hands",
)  # fmt: skip
_LIMITS = {"degrees": 90.0, "std": 1.0, "strength": 2.0, "cutoff": 50.0, "stretch": 0.9, "amount": 0.9}


def _bounds(setting: str) -> tuple[float, float]:
    return 0.0, _LIMITS.get(setting.rsplit("_", 1)[-1], 1.0)


def _checked_range(name: str, value: Any) -> tuple[float, float]:
    try:
        low, high = (float(bound) for bound in value)
    except (TypeError, ValueError):
        low = high = 0.0
    if not 0.1 <= low <= high <= 10.0:
        raise ValueError(
            f"Augmentation setting {name} is {value!r}; it must be [low, high] with 0.1 ≤ low ≤ high ≤ 10."
        )
    return low, high


# ----------------------------------------------------------------------------------------------------- what they share


def _body(data: np.ndarray, layout: Layout, axes: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Centre (3,) and size of the body over the whole clip in isotropic units; None where nothing was seen.

    Between the shoulders where they were seen; otherwise the mean of all points, sized by the palms, else by the spread.
    """
    pair = [layout.index.get(name) for name in ("left_shoulder", "right_shoulder")]
    if None not in pair:
        left, right = data[:, pair[0]] * axes, data[:, pair[1]] * axes
        across = left - right
        width = np.sqrt(across[:, :1] ** 2 + across[:, 1:2] ** 2)
        both = np.concatenate([(left + right) / 2, width], axis=1)
        both = both[~np.isnan(both[:, 3])]
        if len(both):
            median = frame_median(both)
            if median[3] > 0:
                return median[:3], float(median[3])
    seen = data[~np.isnan(data[..., 0])] * axes
    if len(seen) == 0:
        return None
    centre = seen.mean(axis=0)
    for hand in _HANDS:
        palm = [layout.index.get(f"{hand}_{name}") for name in ("wrist", "middle_mcp")]
        if None not in palm:
            length = np.linalg.norm((data[:, palm[0]] - data[:, palm[1]]) * axes, axis=1)
            length = length[~np.isnan(length)]
            if len(length) and np.median(length) > 0:
                return centre, _SHOULDERS_PER_PALM * float(np.median(length))
    return centre, float(np.sqrt(((seen - centre) ** 2).sum(axis=1).mean()))


def _has_depth(sequence: LandmarkSequence) -> bool:
    depth = sequence.data[..., 2]
    return bool(((depth > 0) | (depth < 0)).any())


def _transform(sequence: LandmarkSequence, matrix: np.ndarray) -> LandmarkSequence:
    """``matrix`` (3, 3) applied to all points about the body's centre, in isotropic units."""
    if not sequence.seen.any():
        return sequence
    axes, layout = sequence.axes, sequence.spec
    centre, _size = _body(sequence.data, layout, axes)
    # x·axes → matrix about the centre → ÷axes, folded into one matrix and one shift.
    folded = axes[:, None] * matrix.T / axes
    shift = (centre - centre @ matrix.T) / axes
    # In metres a source measures everything from one origin.
    mixes_depth = sequence.units != "metre" and (matrix[2, :2].any() or matrix[:2, 2].any())
    apart = [
        (slice(parts[0], parts[-1] + 1) if parts[-1] - parts[0] + 1 == len(parts) else list(parts), *own)
        for parts, *own in _depth_origins(layout)
        if mixes_depth
    ]
    data = sequence.data.copy() if apart else sequence.data
    origins = [data[:, own, 2].copy() for _part, _body_point, own in apart]
    for part, body, own in apart:
        data[:, part, 2] += np.nan_to_num(data[:, body, 2] - data[:, own, 2])[:, None]
    data = _linear(data, folded, shift)
    for (part, _body_point, own), origin in zip(apart, origins):
        data[:, part, 2] += np.nan_to_num(origin - data[:, own, 2])[:, None]
    world = sequence.world
    if world is not None:
        world = world.copy()
        world[..., :3] = _linear(world[..., :3], matrix.T)
    return sequence._with(data=data, world=world)


@lru_cache(maxsize=64)
def _depth_origins(layout: Layout) -> list[tuple[tuple[int, ...], int, int]]:
    """Parts whose depth has its own origin: their points, the body's point there, and the part's own point there."""
    return [
        (layout.parts[part], layout.index[body], layout.index[own])
        for part, body, own in _DEPTH_ORIGINS
        if body in layout.index and own in layout.index
    ]


def _linear(points: np.ndarray, matrix: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
    """``points`` (T, K, 3) · ``matrix`` + ``shift``; the shift is tiled first because numpy is slow along an axis of 3."""
    moved = points.reshape(-1, 3) @ matrix.astype(np.float32)
    if shift is not None:
        moved = moved.reshape(len(points), -1)
        moved += np.tile(shift.astype(np.float32), points.shape[1])
    return moved.reshape(points.shape)


def _each_hand(sequence: LandmarkSequence, draw: Callable[[], HandChange], needs: tuple[str, ...]) -> LandmarkSequence:
    """One drawn change for each hand of the layout that has the ``needs`` points, in isotropic units."""
    layout = sequence.spec
    hands = [hand for hand in _HANDS if all(f"{hand}_{point}" in layout.index for point in needs)]
    if not hands or not sequence.seen.any():
        return sequence
    axes = sequence.axes
    data = sequence.data.copy()
    world = None if sequence.world is None else sequence.world.copy()
    for hand in hands:
        columns = list(layout.parts[hand])
        place = {layout.points[column].removeprefix(f"{hand}_"): i for i, column in enumerate(columns)}
        change = draw()
        data[:, columns] = change(data[:, columns] * axes, place) / axes
        if world is not None:
            world[:, columns, :3] = change(world[:, columns, :3], place)
    return sequence._with(data=data, world=world)


def _displace(sequence: LandmarkSequence, offsets: np.ndarray) -> LandmarkSequence:
    """Add ``offsets`` (T, K, 3), in body sizes."""
    if not sequence.seen.any():
        return sequence
    axes, layout = sequence.axes, sequence.spec
    if not _has_depth(sequence):
        offsets[..., 2] = 0.0
    _centre, size = _body(sequence.data, layout, axes)
    world = sequence.world
    if world is not None:
        body = _body(world[..., :3], layout, np.ones(3, np.float32))
        if body is not None:
            world = world.copy()
            world[..., :3] += offsets * np.float32(body[1])
    unit = np.tile((size / axes).astype(np.float32), len(layout))
    scaled = offsets.reshape(len(sequence), -1) * unit
    return sequence._with(data=sequence.data + scaled.reshape(offsets.shape), world=world)


def _hide(sequence: LandmarkSequence, hidden: np.ndarray) -> LandmarkSequence:
    """Make the points where ``hidden`` (T, K) is true missing."""
    if not hidden.any():
        return sequence
    data, visibility, world = sequence.data.copy(), sequence.visibility.copy(), sequence.world
    data[hidden], visibility[hidden] = np.nan, 0.0
    if world is not None:
        world = world.copy()
        world[hidden] = np.nan
    return sequence._with(data=data, visibility=visibility, world=world)


def _retimed(sequence: LandmarkSequence, timestamps: np.ndarray, fps: float | None = None) -> LandmarkSequence:
    if (np.diff(timestamps) <= 0).any():  # a clock so fine that rounding would merge two frames stays as it is
        return sequence
    return sequence._with(timestamps=timestamps, fps=sequence.fps if fps is None else fps)


def _curves(rng: np.random.Generator, time: np.ndarray, count: int, cutoff: float, waves: int = 4) -> np.ndarray:
    """``count`` independent smooth random curves (T, count) with unit variance and no frequency above ``cutoff``.

    Sums of ``waves`` sinusoids with Gaussian amplitudes: a stationary Gaussian process given the frequencies, cheap on any
    time stamps (Rahimi & Recht 2007, random Fourier features).
    """
    phase = 2 * np.pi * time[:, None] * rng.uniform(0.0, cutoff, waves)
    basis = np.concatenate([np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
    amplitudes = rng.standard_normal((2 * waves, count), dtype=np.float32) / np.float32(np.sqrt(waves))
    return basis @ amplitudes


def _spans(rng: np.random.Generator, frames: int, count: int, max_span: float) -> np.ndarray:
    """(T, count) bool: for each of ``count`` columns one span of 0 to ``max_span`` · T frames."""
    length = np.floor(rng.uniform(0.0, max_span, count) * frames + 0.5)
    start = np.floor(rng.random(count) * (frames - length + 1))
    frame = np.arange(frames)[:, None]
    return (frame >= start) & (frame < start + length)


def _rotation(rng: np.random.Generator, roll: float, yaw: float, pitch: float, deep: bool) -> np.ndarray:
    """Rotation matrix (3, 3) about z, y and x by angles uniform within the given degrees; only about z if not ``deep``."""
    z, y, x = np.radians(rng.uniform(-1.0, 1.0, 3) * (roll, yaw, pitch))
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    if not deep:
        return about_z
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    return about_z @ about_y @ about_x


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _keep_where_nan(changed: np.ndarray, original: np.ndarray) -> np.ndarray:
    """A point whose reference point was not seen stays where it was."""
    lost = np.isnan(changed)
    return np.where(lost, original, changed) if lost.any() else changed


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True)), 1e-9)
