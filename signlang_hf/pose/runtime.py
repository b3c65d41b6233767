"""What the two MediaPipe engines share: where the parts lie, nothing-seen arrays, landmarks as rows, a quiet start."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

INSTALL = 'pip install "signlang-hf[pose]"'
BODY, LEFT_HAND, RIGHT_HAND, FACE = slice(0, 33), slice(33, 54), slice(54, 75), slice(75, None)
"""Parts of the layouts ``mediapipe-holistic`` and ``mediapipe-holistic-face…``."""


class Engine(Protocol):
    """A loaded MediaPipe: :meth:`detect` gives data (K, 3), visibility (K,) and world (K, 4) of a frame."""

    def reset(self) -> None: ...

    def detect(self, frame: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    def close(self) -> None: ...


def rows(landmarks: Any) -> np.ndarray:
    """(n, 4) x, y, z, visibility of MediaPipe landmarks; visibility 0 where the model has none."""
    return np.array([(p.x, p.y, p.z, p.visibility or 0.0) for p in landmarks], np.float32)


def empty(points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nothing seen: data (K, 3), visibility (K,), world (K, 4)."""
    return (
        np.full((points, 3), np.nan, np.float32),
        np.zeros(points, np.float32),
        np.full((points, 4), np.nan, np.float32),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what MediaPipe's C++ side writes to the error stream while it starts off the terminal."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)  # MediaPipe's use of protobuf
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError, ValueError):  # no error stream, as in a windowed program
        yield
        return
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
