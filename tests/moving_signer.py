"""A signer who moves smoothly, so that clips of any frame rate and length show the same: what the processor's tests look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from signlang_hf import LandmarkSequence, get_layout

LAYOUT = "isl-48"
POINTS = len(get_layout(LAYOUT))


def motion(times: np.ndarray, *, layout: str = LAYOUT, size: tuple[int, int] = (640, 480)) -> LandmarkSequence:
    """A signer whose arms and fingers move slowly and smoothly; the right hand moves more. ``times`` in seconds."""
    spec = get_layout(layout)
    rng = np.random.default_rng(7)
    rest = rng.uniform(0.35, 0.65, (len(spec), 3))
    sway = rng.uniform(0.01, 0.02, (len(spec), 3)) * [[2.0 if "right_hand" in point else 1.0] for point in spec.points]
    speed, phase = rng.uniform(1.0, 2.0, (len(spec), 3)), rng.uniform(0, 6, (len(spec), 3))
    for side, x in (("left", 0.62), ("right", 0.38)):
        shoulder = spec.index.get(f"{side}_shoulder")
        if shoulder is not None:
            rest[shoulder], sway[shoulder] = (x, 0.45, 0.0), 0.0
    data = rest + sway * np.sin(speed * times[:, None, None] + phase)
    return LandmarkSequence(data, layout, timestamps=times, size=size)


def clip(frames: int = 50, fps: float = 25.0, **options: Any) -> LandmarkSequence:
    return motion(np.arange(frames) / fps, **options)


# The same movement at another pace.
