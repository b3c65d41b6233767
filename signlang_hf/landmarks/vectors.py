"""Many short vectors at once: their lengths, their cross products, and points out of arrays of them.

numpy is fast along a long axis and stops at each end of a short one, and an array (T, K, 3) has 3 in its innermost place. So
coordinates are worked on one by one, and :func:`take_points` lays its result out with **time last in memory**: shape and
indices are the same, ``array.T`` is contiguous, and all that is done with it later is several times faster.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def length(vectors: np.ndarray) -> np.ndarray:
    """(…, d) → (…) Euclidean lengths."""
    squares = vectors * vectors
    total = squares[..., 0]
    for axis in range(1, vectors.shape[-1]):
        total = total + squares[..., axis]
    return np.sqrt(total)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products (…, 3)."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def take_points(values: np.ndarray, index: np.ndarray | Sequence[int]) -> np.ndarray:
    """``values[:, index]`` of an array (T, K) or (T, K, d), with time last in memory."""
    if values.flags.f_contiguous:
        return values.T.take(np.transpose(index), axis=-2).T
    return np.asfortranarray(values.take(index, axis=1))


__all__ = ["cross", "length", "take_points"]
