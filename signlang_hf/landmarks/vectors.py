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
    squares = vectors[..., 0] ** 2
    for axis in range(1, vectors.shape[-1]):
        squares += vectors[..., axis] ** 2
    return np.sqrt(squares)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products (…, 3)."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    product = np.empty_like(a * b)  # of their common shape, and as they lie in memory
    product[..., 0] = ay * bz - az * by
    product[..., 1] = az * bx - ax * bz
    product[..., 2] = ax * by - ay * bx
    return product


def take_points(values: np.ndarray, index: np.ndarray | Sequence[int]) -> np.ndarray:
    """``values[:, index]`` of an array (T, K) or (T, K, d), with time last in memory."""
    if values.flags.f_contiguous:
        return values.T.take(np.transpose(index), axis=-2).T
    return np.asfortranarray(values.take(index, axis=1))


__all__ = ["cross", "length", "take_points"]
