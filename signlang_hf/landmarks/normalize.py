"""From landmarks as a camera gave them to landmarks that can be compared: time, gaps, noise, side, place and size.

Design decisions:

* Every function takes a :class:`LandmarkSequence` and returns a new one; all are vectorised over frames and points.
* Missing stays missing unless the function's purpose is to fill it, and nothing fills a point that was never seen.
* Geometry happens in isotropic units, so a 16:9 clip and the same clip padded to a square come out equal.
* Origin and scale are taken once per clip by default (a median, so that a few bad frames do not matter): a body that moves
  through the picture is part of the sign. ``per_frame=True`` removes that movement as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .layout import Layout
from .sequence import LandmarkSequence
from .vectors import length, take_points

NORMALIZATIONS: tuple[str, ...] = ("shoulder", "body", "centroid", "root", "palm", "none")
_ROOTS = ("hip_center", "nose", "head", "face")
_FACES = ("face", "right_eye", "nose", "head")
_EPSILON = 1e-6


# ------------------------------------------------------------------------------------------------------------- time


def resample(
    sequence: LandmarkSequence, *, fps: float | None = None, num_frames: int | None = None
) -> LandmarkSequence:
    """Put a sequence on a regular clock by linear interpolation between its time stamps.

    Args:
        fps: frames per second of the result; the first frame stays, the last may move by less than 1 / fps.
        num_frames: instead of ``fps``, a fixed number of frames over the same duration (the last frame stays).

    A point is seen in a new frame when it was seen in the nearest old one; it is interpolated where both neighbours saw it.
    """
    if (fps is None) == (num_frames is None):
        raise ValueError("resample() takes either fps= or num_frames=.")
    if fps is not None and not 0 < fps < np.inf:
        raise ValueError(f"fps is {fps}; it must be a positive number.")
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"num_frames is {num_frames}; it must be at least 1.")
    old = sequence.timestamps
    if len(sequence) == 0:
        return sequence if fps is None else sequence._with(fps=float(fps))
    if len(sequence) == 1:  # one picture has no duration: hold it
        rate = fps or sequence.fps
        index = np.zeros(1 if num_frames is None else num_frames, int)
        return sequence._with(
            data=sequence.data[index],
            visibility=sequence.visibility[index],
            timestamps=old[0] + np.arange(len(index)) / rate,
            fps=rate,
            world=None if sequence.world is None else sequence.world[index],
        )
    if num_frames is None:
        new = old[0] + np.arange(int(sequence.duration * fps + 1e-6) + 1) / fps
    elif num_frames == 1:
        new = old[[len(old) // 2]]
    else:
        new = np.linspace(old[0], old[-1], num_frames)
    if len(new) == len(old) and np.abs(new - old).max() < 1e-6:
        return sequence if fps is None else sequence._with(fps=float(fps))

    if fps is None:
        fps = (num_frames - 1) / sequence.duration if num_frames > 1 else sequence.fps
    return interpolate(sequence, new, new)._with(fps=float(fps))


def central(sequence: LandmarkSequence, share: float) -> LandmarkSequence:
    """The frames in the middle ``share`` (0–1] of a sequence's time: a sign by itself begins and ends with hands that come and go."""
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; it must be above 0 and at most 1.")
    if share == 1 or len(sequence) < 3:
        return sequence
    margin = (1 - share) / 2 * sequence.duration
    times = sequence.timestamps
    inside = (times >= times[0] + margin - 1e-6) & (times <= times[-1] - margin + 1e-6)
    if not inside.any():  # fewer frames than that
        inside[np.abs(times - (times[0] + times[-1]) / 2).argmin()] = True
    return sequence.frames(inside)


def interpolate(sequence: LandmarkSequence, times: np.ndarray, timestamps: np.ndarray) -> LandmarkSequence:
    """The sequence as it was at ``times`` (N,), linear between its frames (two at least), with ``timestamps`` as its new clock.

    A point is seen when it was seen in the nearest frame; it is interpolated where both neighbours saw it.
    """
    old = sequence.timestamps
    before = np.clip(np.searchsorted(old, times, side="right") - 1, 0, len(old) - 2)
    weight = ((times - old[before]) / (old[before + 1] - old[before])).clip(0, 1).astype(np.float32)

    def blend(values: np.ndarray) -> np.ndarray:
        w = weight.reshape(-1, *(1,) * (values.ndim - 1))
        values = np.ascontiguousarray(values)  # frames are copied as a whole
        a, b = values[before], values[before + 1]
        mixed = a + w * (b - a)
        # Where one neighbour is missing the mix is NaN: there the nearer one decides.
        lost = np.isnan(mixed)
        return np.where(lost, np.where(w < 0.5, a, b), mixed) if lost.any() else mixed

    return sequence._with(
        data=blend(sequence.data),
        visibility=np.fmax(blend(np.where(sequence.seen, sequence.visibility, np.float32(np.nan))), np.float32(0.0)),
        timestamps=timestamps,
        world=None if sequence.world is None else blend(sequence.world),
    )


def fill_gaps(sequence: LandmarkSequence, max_gap: float = 0.5) -> LandmarkSequence:
    """Interpolate points over gaps of at most ``max_gap`` seconds between two frames in which they were seen.

    Nothing is extrapolated before the first or after the last sighting, so a hand that was absent throughout stays absent.
    Filled points get half the interpolated visibility, to tell them from seen ones.
    """
    if len(sequence) < 3:
        return sequence
    seen = sequence.seen
    appearances = seen[0] + (seen[1:] > seen[:-1]).sum(axis=0)
    broken = np.flatnonzero(appearances > 1)  # points that come back, seldom many
    if len(broken) == 0:
        return sequence
    seen = seen[:, broken]
    frames = np.arange(len(sequence))[:, None]
    before = np.maximum.accumulate(np.where(seen, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, frames, len(sequence))[::-1], axis=0)[::-1]
    inside = ~seen & (before >= 0) & (after < len(sequence))
    t, k = np.nonzero(inside)
    a, b, k = before[t, k], after[t, k], broken[k]
    time = sequence.timestamps
    short = time[b] - time[a] <= max_gap + 1e-9
    t, k, a, b = t[short], k[short], a[short], b[short]
    if len(t) == 0:
        return sequence
    weight = ((time[t] - time[a]) / (time[b] - time[a])).astype(np.float32)
    data, visibility = np.copy(sequence.data), np.copy(sequence.visibility)
    data[t, k] = data[a, k] + weight[:, None] * (data[b, k] - data[a, k])
    visibility[t, k] = 0.5 * (visibility[a, k] + weight * (visibility[b, k] - visibility[a, k]))
    return sequence._with(data=data, visibility=visibility)


def smooth(sequence: LandmarkSequence, window: int = 11, order: int = 3) -> LandmarkSequence:
    """Savitzky–Golay smoothing over time (Savitzky & Golay 1964): a local polynomial fit, evaluated at each frame.

    Equal to ``scipy.signal.savgol_filter(mode="interp")`` on complete, regular data. Beyond that, missing points take no part
    in the fit and time stamps need not be regular. A window longer than the clip shrinks to it; a point with too few
    neighbours for a fit keeps its value, and a point that was not seen stays unseen.

    Args:
        window: frames in the fit, odd.
        order: degree of the polynomial, below ``window``.
    """
    if window < 1 or window % 2 == 0 or not 0 <= order < window:
        raise ValueError(f"smooth() needs an odd window above the order; got window={window}, order={order}.")
    frames = len(sequence)
    window = min(window, frames if frames % 2 else frames - 1)
    if window <= order:
        return sequence
    first = np.clip(np.arange(frames) - window // 2, 0, frames - window)
    index = first[:, None] + np.arange(window)
    time = sequence.timestamps
    step = sequence.duration / (frames - 1)
    offset = (time[index] - time[:, None]) / (step * window)
    basis = np.ones((frames, window, order + 1))
    for degree in range(order):  # ten times faster than a power of the whole array
        basis[..., degree + 1] = basis[..., degree] * offset

    data = sequence.data.copy()
    # Points of one body part come and go together, so there are few different columns of the mask: one fit for each.
    columns_of: dict[bytes, list[int]] = {}
    for column, pattern in enumerate(np.ascontiguousarray(sequence.seen.T)):
        columns_of.setdefault(pattern.tobytes(), []).append(column)
    for key, columns in columns_of.items():
        pattern = np.frombuffer(key, bool)
        fits = pattern & (pattern[index].sum(axis=1) > order)
        if not fits.any():
            continue
        weighted = basis * pattern[index][..., None]
        gram = np.swapaxes(weighted, 1, 2) @ basis
        gram[~fits] = np.eye(order + 1)
        # The fitted value at the frame itself is the constant term: first row of (BᵀWB)⁻¹ BᵀW.
        unit = np.zeros((frames, order + 1, 1))
        unit[:, 0] = 1.0
        coefficients = np.swapaxes(weighted @ np.linalg.solve(gram, unit), 1, 2).astype(np.float32)  # (T, 1, window)
        values = np.nan_to_num(sequence.data[:, columns]).reshape(frames, -1)
        rows = np.flatnonzero(fits)
        for block in np.array_split(rows, -(-len(rows) // 512)):  # bounds the memory of the gather on long clips
            fitted = (coefficients[block] @ values[index[block]]).reshape(len(block), len(columns), 3)
            data[np.ix_(block, columns)] = fitted
    return sequence.replace(data=data)


# ------------------------------------------------------------------------------------------------------------- side


def mirror(sequence: LandmarkSequence) -> LandmarkSequence:
    """The signer seen in a mirror: x is flipped and left and right points change places. Twice gives the original."""
    order = sequence.spec.mirror
    data = take_points(sequence.data, order)
    if sequence.units == "image":
        flipped = 1.0 - data[..., 0]
    elif sequence.units in ("pose", "pixel") and sequence.size is not None:
        flipped = sequence.size[0] - data[..., 0]
    else:
        flipped = -data[..., 0]
    data[..., 0] = flipped
    world = None
    if sequence.world is not None:
        world = take_points(sequence.world, order)
        world[..., 0] *= -1
    return sequence._with(data=data, visibility=take_points(sequence.visibility, order), world=world)


def hand_lead(sequence: LandmarkSequence) -> float | None:
    """How much more the right hand signs than the left, in [-3, 3]; below 0 the left one signs. None when the layout has
    neither sided hands nor wrists, or no hand was seen.

    Each hand's activity is the share of frames in which it was seen, plus the path length of its wrist in units of the
    larger path, plus the share of frames in which it is the higher of the two: a hand that is always there, moves and is
    raised wins over one that rests or is never found. In signs of two equal hands height decides more steadily than movement.
    """
    hands = [_hand(sequence.spec, side) for side in ("left", "right")]
    if not all(hands):
        return None
    axes = sequence.axes if sequence.size is not None else np.ones(3, np.float32)
    wrists = [sequence.data[:, points[0], :2] * axes[:2] for points in hands]
    seen = sequence.seen
    share = [take_points(seen, points).any(axis=1).mean() if len(sequence) else 0.0 for points in hands]
    if max(share) == 0:
        return None
    path = [float(np.nansum(length(wrist[1:] - wrist[:-1]))) for wrist in wrists]
    higher = [np.mean(this[:, 1] < other[:, 1]) for this, other in (wrists, wrists[::-1])]  # y points down
    left, right = np.array(share) + np.array(path) / (max(path) + _EPSILON) + higher
    return float(right - left)


def dominant_hand(sequence: LandmarkSequence) -> str | None:
    """Which hand signs, see :func:`hand_lead`: ``left`` or ``right``, or None."""
    lead = hand_lead(sequence)
    return None if lead is None else "left" if lead < 0 else "right"


@lru_cache(maxsize=64)
def _hand(spec: Layout, side: str) -> tuple[int, ...]:
    """Positions of a hand's points, its wrist first; of the body's own wrist or hand where the layout has no more of it."""
    if f"{side}_hand" in spec.parts:
        return spec.parts[f"{side}_hand"]
    return tuple(spec.index[point] for point in (f"{side}_wrist", f"{side}_hand") if point in spec.index)


def normalize_side(sequence: LandmarkSequence, dominant: str = "right") -> LandmarkSequence:
    """Mirror the clip if its signing hand is not the ``dominant`` one, so left-handed signers and mirrored cameras agree."""
    if dominant not in ("left", "right"):
        raise ValueError(f"dominant is {dominant!r}; it must be 'left' or 'right'.")
    return mirror(sequence) if dominant_hand(sequence) not in (None, dominant) else sequence


# --------------------------------------------------------------------------------------------------- place and size


def normalize(
    sequence: LandmarkSequence, method: str = "shoulder", *, root: str | None = None, per_frame: bool = False
) -> LandmarkSequence:
    """Remove place and size, and with ``body`` the direction in which the signer looks.

    Args:
        method: ``shoulder``: origin between the shoulders, one unit = the distance between them (x, y plane). Where the
            shoulders were never seen, as ``centroid``. ``body``: as ``shoulder``, after a turn about the vertical (y) axis that
            brings the clip's median direction from the right to the left shoulder onto +x, where a picture shows it: the same
            sign seen from another side gives the same numbers. It needs measured depth, that is ``metre`` units, or
            ``unknown`` ones whose z is on the scale of x. ``centroid``: origin at the mean of all seen points, one unit = the
            largest distance from it. ``root``: origin at the ``root`` point, one unit = the largest distance from it.
            ``palm``, for layouts without shoulders: origin at the face (the first of face, right_eye, nose, head that the layout
            has), one unit = the median palm (wrist to middle knuckle, 3-D) of both hands.
            ``none``: isotropic units, nothing removed.
        root: point name for ``root``; default the first of hip_center, nose, head, face that the layout has.
        per_frame: origin and scale of each frame (the turn of ``body`` and the unit of ``palm`` stay the clip's); the clip's
            median only where a frame lacks them.

    Returns:
        the sequence in ``unknown`` (isotropic, relative) units; a clip in which nothing was seen stays as it is.

    Raises:
        ValueError: unknown method, a layout without the points that it needs, or ``body`` on a picture's landmarks, whose z
            is a guess.
    """
    if method not in NORMALIZATIONS:
        raise ValueError(f"Unknown normalisation {method!r}; choose one of {', '.join(NORMALIZATIONS)}.")
    if method == "body" and sequence.units not in ("metre", "unknown"):
        raise ValueError(
            f"Normalisation 'body' needs measured depth (metre units), and this clip is in {sequence.units} units, whose "
            "z is estimated from a picture; choose 'shoulder'."
        )
    isotropic = sequence.isotropic()
    data = np.asfortranarray(isotropic.data)  # time last in memory: what follows goes along frames, not coordinates
    if method == "none" or not sequence.seen.any():
        return isotropic._with(units="unknown")
    origin = scale = None
    if method in ("shoulder", "body"):
        shoulders = sequence.spec.indices(["left_shoulder", "right_shoulder"])
        if method == "body":
            data = _turn_to_front(data, *shoulders)
        left, right = (data[:, i] for i in shoulders)
        origin = _clip_median((left + right) / 2, per_frame)
        scale = _clip_median(length((left - right)[:, :2]), per_frame)
    elif method == "root":
        origin = _clip_median(data[:, sequence.spec.indices([_root(sequence, root)])[0]], per_frame)
    elif method == "palm":
        origin, scale = _face(isotropic, per_frame), _palm(isotropic)
    if origin is None or np.isnan(origin).all():
        origin = _mean(data, axis=1 if per_frame else (0, 1))
    centred = data - origin.reshape(-1, 1, 3)
    if scale is None or np.isnan(scale).all():
        largest = np.fmax.reduce(length(centred), axis=1)
        scale = largest if per_frame else np.fmax.reduce(largest, keepdims=True)
    scale = np.where(scale > _EPSILON, scale, np.float32(1.0))  # all points in one place, or a frame without them
    return isotropic._with(data=centred / scale.reshape(-1, 1, 1), units="unknown")


def _face(isotropic: LandmarkSequence, per_frame: bool) -> np.ndarray | None:
    """Where the face is; None where the layout has no point of it."""
    points = [isotropic.spec.index[name] for name in _FACES if name in isotropic.spec.index]
    return _clip_median(isotropic.data[:, points[0]], per_frame) if points else None


def _palm(isotropic: LandmarkSequence) -> np.ndarray:
    """Median distance from the wrist to the middle knuckle over both hands and all frames, (1,), NaN where there is none."""
    wrists, knuckles = _palm_ends(isotropic.spec)
    palms = length(take_points(isotropic.data, knuckles) - take_points(isotropic.data, wrists))
    return _clip_median(palms.reshape(-1), per_frame=False)


@lru_cache(maxsize=64)
def _palm_ends(spec: Layout) -> np.ndarray:
    """(2, hands) positions of the wrists and of the middle knuckles of all hands that have both."""
    pairs = [(f"{hand}_wrist", f"{hand}_middle_mcp") for hand in ("left_hand", "right_hand", "hand1", "hand2")]
    found = [spec.indices(pair) for pair in pairs if all(point in spec.index for point in pair)]
    if not found:
        raise ValueError(
            f"Layout '{spec.name}' has no hands with wrist and middle_mcp; normalisation 'palm' needs them."
        )
    return np.array(found).T


def _turn_to_front(data: np.ndarray, left: int, right: int) -> np.ndarray:
    """``data`` turned about y so that the median direction from point ``right`` to point ``left`` has no z and a positive x."""
    across = data[:, left].astype(np.float64) - data[:, right]
    direction = across[:, 0] + 1j * across[:, 2]
    clip = direction[~np.isnan(direction)]
    if not np.abs(clip).sum() > _EPSILON:  # never seen, or one above the other: no direction to turn by
        return data
    # A median of angles that a turn of the whole clip turns along: about their mean direction, so 180° = -180° is no seam.
    mean = clip.sum() / max(np.abs(clip.sum()), _EPSILON)
    angle = np.median(np.angle(clip * mean.conjugate())) + np.angle(mean)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.copy(data)
    turned[..., 0] = cos * data[..., 0] + sin * data[..., 2]
    turned[..., 2] = cos * data[..., 2] - sin * data[..., 0]
    return turned


def hand_shape(sequence: LandmarkSequence, hands: Sequence[str] = ("left_hand", "right_hand")) -> np.ndarray:
    """Hands alone: each relative to its own wrist, one unit = the clip's median palm (wrist to middle knuckle, 3-D).

    Returns:
        (T, 21 · len(hands), 3) float32, NaN where the hand was not seen.
    """
    points, wrists, palms = _hand_points(sequence.spec, tuple(hands))
    data = np.asfortranarray(sequence.isotropic().data)
    sizes = [_clip_median(length(data[:, knuckle] - data[:, wrist]), per_frame=False) for wrist, knuckle, _ in palms]
    unit = np.concatenate([np.repeat(size, count) for size, (_, _, count) in zip(sizes, palms)])
    unit = np.where(unit > _EPSILON, unit, np.float32(1.0))
    return (take_points(data, points) - take_points(data, wrists)) / unit[:, None]


@lru_cache(maxsize=64)
def _hand_points(layout: Layout, hands: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, int]]]:
    """Positions of the points of all hands, and of the wrist of each; wrist, middle knuckle and number of points of each hand."""
    missing = [hand for hand in hands if hand not in layout.parts]
    if missing:
        raise ValueError(f"Layout '{layout.name}' has no {' or '.join(missing)}; hand shapes need it.")
    ends = [layout.indices([f"{hand}_wrist", f"{hand}_middle_mcp"]) for hand in hands]
    counts = [len(layout.parts[hand]) for hand in hands]
    points = np.concatenate([layout.parts[hand] for hand in hands])
    wrists = np.repeat([wrist for wrist, _ in ends], counts)
    return points, wrists, [(*pair, count) for pair, count in zip(ends, counts)]


def _root(sequence: LandmarkSequence, root: str | None) -> str:
    if root is not None:
        return root
    for candidate in _ROOTS:
        if candidate in sequence.spec.index:
            return candidate
    raise ValueError(f"Layout '{sequence.layout}' has none of {', '.join(_ROOTS)}; name the root point with root=.")


def _clip_median(values: np.ndarray, per_frame: bool) -> np.ndarray:
    """Median (1, …) of ``values`` (T, …) over the frames in which they were seen, NaN where there are none.

    ``per_frame``: the values themselves, and the median only in frames in which they were not seen.
    """
    missing = np.isnan(values)
    count = len(values) - np.count_nonzero(missing) // max(values[:1].size, 1)
    if count == 0:
        return np.full((1, *values.shape[1:]), np.nan, np.float32)
    median = _sorted_median(np.sort(values, axis=0)[:count])[None]  # NaN is sorted to the end
    return np.where(missing, median, values) if per_frame else median


def frame_median(values: np.ndarray) -> np.ndarray:
    """``np.median(values, axis=0)`` of at least one value without NaN, several times faster on arrays of a clip's size."""
    return _sorted_median(np.sort(values, axis=0))


def _sorted_median(ordered: np.ndarray) -> np.ndarray:
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _mean(data: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Mean over the seen points, NaN (without a warning) where there are none."""
    seen = ~np.isnan(data)
    count = seen.sum(axis=axis)
    return np.where(count > 0, np.where(seen, data, 0).sum(axis=axis) / np.maximum(count, 1), np.nan).astype(np.float32)
