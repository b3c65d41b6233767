"""Recognise a clip again after it was cut, moved, scaled, resampled or extracted anew: compact descriptors and a distance.

A descriptor is the clip at :data:`FRAMES` moments, reduced to a few points in up to three blocks: the body, placed and scaled
by the clip's own mean and spread, and each hand, placed by its own centre in every moment and scaled by its own spread. The
hands count by themselves because in two signs of one person the bodies hardly differ. Every block has norm 1 per moment, so
distances are relative to body and hand size.

The distance of two clips is the mean frame distance along the best alignment in time (dynamic time warping, up to 4 of the 24
moments free at either end), so a clip that lost its first frames is still found. Before that, a plain Euclidean distance of
8 moments picks the few candidates that are worth aligning.

Descriptors of a hundred thousand clips are half a gigabyte, so they are kept in temporary files and mapped into memory.
"""

from __future__ import annotations

import tempfile

import numpy as np

from ..landmarks import Layout, get_layout

FRAMES = 24
"""Moments of a descriptor."""
FREE_ENDS = 4
_COARSE = 8
_TABLE = 1 << 22  # distances held at a time
_HANDS = ("left_hand", "right_hand", "hand1", "hand2")
_BODY = ("nose", "head", "shoulder", "elbow", "wrist", "hip", "hand")
_MOST_BODY_POINTS = 20
_HAND_POINTS = 5  # fewer than these do not make a shape


class RowFile:
    """Arrays of one shape and type, appended to a temporary file and read back as one array without holding it in memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the arrays that map it
        self._kind: tuple[np.dtype, tuple[int, ...]] | None = None
        self._rows = 0

    def append(self, rows: np.ndarray) -> None:
        """Add (n, …) rows of the shape and type of those before."""
        kind = (rows.dtype, rows.shape[1:])
        assert self._kind in (None, kind)
        self._kind = kind
        self._file.write(rows.tobytes())
        self._rows += len(rows)

    def array(self) -> np.ndarray:
        """All rows (N, …), not to be written to; at least one must have been added."""
        assert self._kind is not None
        dtype, shape = self._kind
        self._file.flush()
        return np.memmap(self._file, dtype, mode="r", shape=(self._rows, *shape))


class Describer:
    """Turns the landmarks of one layout into descriptors of :attr:`size` numbers a moment."""

    def __init__(self, layout: str | Layout) -> None:
        layout = get_layout(layout)
        hands = [list(points) for part in _HANDS if len(points := layout.parts.get(part, ())) >= _HAND_POINTS]
        rest = list(layout.parts.get("pose", ()))
        body = [i for i in rest if any(word in layout.points[i].split("_") for word in _BODY)]
        body = body or rest or list(range(len(layout)))[:: max(1, len(layout) // _MOST_BODY_POINTS)]
        blocks = [body[:_MOST_BODY_POINTS], *hands]
        self.points = np.concatenate(blocks)
        self.ends = np.cumsum([len(block) for block in blocks])
        self.size = 2 * len(self.points)

    def __call__(self, data: np.ndarray, size: tuple[int, int] | None) -> tuple[np.ndarray, bool]:
        """Descriptor of one clip.

        Args:
            data: (T, K, 3) landmarks, NaN where a point was not seen; T ≥ 1.
            size: (width, height) when ``data`` is divided by them, else None.

        Returns:
            (FRAMES, size) float32, and whether a hand was seen.
        """
        moments = _at_moments(data[:, self.points, :2], FRAMES)
        if size is not None:
            moments[..., 1] *= size[1] / size[0]
        blocks, hand_seen = [], False
        for number, block in enumerate(np.split(moments, self.ends[:-1], axis=1)):
            seen = ~np.isnan(block[0, :, 0])
            placed = np.zeros_like(block)
            if seen.sum() >= (_HAND_POINTS if number else 1):
                block = block[:, seen]
                block = block - (block.mean(1, keepdims=True) if number else block.mean((0, 1)))
                spread = np.sqrt(np.square(block).sum(2).mean())
                placed[:, seen] = block / (max(float(spread), 1e-9) * np.sqrt(seen.sum()))
                hand_seen |= number > 0
            blocks.append(placed)
        return np.concatenate(blocks, axis=1).reshape(FRAMES, self.size), hand_seen


def _at_moments(points: np.ndarray, count: int) -> np.ndarray:
    """(count, K, 2): points at equally spaced moments, over gaps too; NaN only for points that were never seen.

    A moment is a weighted mean of the frames around it, so that cutting off a frame, which moves all moments a little, does
    not turn the jitter of single frames into distance.
    """
    frames = len(points)
    moment = np.linspace(0, frames - 1, count)[:, None]
    weight = np.maximum(0, 1 - np.abs(moment - np.arange(frames)) / max(1.0, (frames - 1) / (count - 1)))
    weight = (weight / weight.sum(1, keepdims=True)).astype(np.float32)
    filled = _fill(points).reshape(frames, -1)
    return (weight @ filled).reshape(count, *points.shape[1:])


def _fill(points: np.ndarray) -> np.ndarray:
    """(T, K, 2) with gaps bridged by straight lines and ends held; points that were never seen stay NaN."""
    seen = ~np.isnan(points[..., 0])
    if seen.all():
        return points
    frames = len(points)
    index = np.arange(frames)[:, None]
    before = np.maximum.accumulate(np.where(seen, index, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, index, frames)[::-1], axis=0)[::-1]
    before, after = np.where(before < 0, after, before), np.where(after >= frames, before, after)
    before, after = np.minimum(before, frames - 1), np.maximum(after, 0)  # never seen: whatever stands there is NaN
    column = np.arange(points.shape[1])
    share = ((index - before) / np.maximum(after - before, 1))[..., None].astype(np.float32)
    return points[before, column] * (1 - share) + points[after, column] * share


def coarse(descriptors: np.ndarray) -> np.ndarray:
    """(N, 8 · size) from (N, FRAMES, size): what candidates are looked for by."""
    moment = np.linspace(0, FRAMES - 1, _COARSE)
    low = np.floor(moment).astype(int)
    high = np.minimum(low + 1, FRAMES - 1)
    weight = (moment - low)[:, None].astype(np.float32)
    rows = RowFile()
    for start in range(0, len(descriptors), 1024):
        block = descriptors[start : start + 1024]
        mixed = block[:, low] * (1 - weight) + block[:, high] * weight
        rows.append((mixed / np.sqrt(_COARSE)).reshape(len(block), -1).astype(np.float32))
    return rows.array()


def nearest(
    queries: np.ndarray, candidates: np.ndarray, k: int, block: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest rows of ``candidates`` (M, D) for each row of ``queries`` (N, D): indices and distances, both (N, k).

    ``block`` queries are compared at a time; by default as many as keep the table of their distances small.
    """
    k = min(k, len(candidates))
    block = block or max(16, _TABLE // len(candidates))
    squares = np.einsum("ij,ij->i", candidates, candidates)
    indices = np.empty((len(queries), k), int)
    distances = np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), block):
        part = queries[start : start + block]
        table = squares - 2 * part @ candidates.T
        chosen = np.argpartition(table, k - 1, axis=1)[:, :k]
        indices[start : start + block] = chosen
        squared = np.take_along_axis(table, chosen, 1) + np.square(part).sum(1, keepdims=True)
        distances[start : start + block] = np.sqrt(np.maximum(squared, 0))
    return indices, distances


def aligned_distance(a: np.ndarray, b: np.ndarray, free: int = FREE_ENDS) -> np.ndarray:
    """(P,) distances of P pairs of descriptors (P, FRAMES, size), each along its best alignment in time."""
    pairs, frames, _ = a.shape
    dots = a @ b.transpose(0, 2, 1)
    frame = np.sqrt(np.maximum(np.square(a).sum(2)[:, :, None] + np.square(b).sum(2)[:, None] - 2 * dots, 0))
    cost = np.full((frames, frames, pairs), np.inf, np.float32)
    length = np.ones((frames, frames, pairs), np.float32)
    for i in range(frames):
        for j in range(frames):
            if min(i, j) == 0 and max(i, j) <= free:
                best, steps = np.zeros(pairs, np.float32), np.zeros(pairs, np.float32)
            else:
                best, steps = np.full(pairs, np.inf, np.float32), np.zeros(pairs, np.float32)
            for down, right in ((1, 1), (1, 0), (0, 1)):
                if i >= down and j >= right:
                    other = cost[i - down, j - right]
                    closer = other < best
                    best = np.where(closer, other, best)
                    steps = np.where(closer, length[i - down, j - right], steps)
            cost[i, j] = best + frame[:, i, j]
            length[i, j] = steps + 1
    last = frames - 1
    ends = [(last, j) for j in range(last - free, frames)] + [(i, last) for i in range(last - free, last)]
    return np.min([cost[i, j] / length[i, j] for i, j in ends], axis=0)
