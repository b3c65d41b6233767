"""A signer whose hands do what a script says, seen by an estimator that looks at the clock and not at the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from signlang_hf.landmarks import get_layout
from signlang_hf.pose import Detection, PoseEstimator

WIDTH, HEIGHT = 640, 360
SHOULDERS = 0.5  # their line, in picture heights; they are 0.2 picture widths = 128 pixels apart
Hand = Callable[[float], "tuple[float, float] | None"]


class ScriptedSigner(PoseEstimator):
    """Hands at ``right(seconds)`` and ``left(seconds)``: their centre in shoulder widths from the middle of the shoulders, y down,
    or None where no hand is seen. ``shoulders=False`` keeps the body out of the picture."""

    layout = "mediapipe-holistic"

    def __init__(self, right: Hand, left: Hand = lambda _: None, *, shoulders: bool = True) -> None:
        self.hands = {"right_hand": right, "left_hand": left}
        self.shoulders = shoulders
        self.clips = 0
        self.shape = np.random.default_rng(0).normal(0, 0.1, (21, 2))
        self.shape -= self.shape.mean(axis=0)

    def reset(self) -> None:
        self.clips += 1

    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        layout = get_layout(self.layout)
        data = np.full((len(layout), 3), np.nan, np.float32)
        if self.shoulders:
            data[layout.index["left_shoulder"]] = 0.6, SHOULDERS, 0
            data[layout.index["right_shoulder"]] = 0.4, SHOULDERS, 0
        for part, hand in self.hands.items():
            centre = hand(seconds)
            if centre is not None:
                pixels = (np.array(centre) + self.shape) * 128 + [WIDTH / 2, SHOULDERS * HEIGHT]
                data[list(layout.parts[part])] = np.column_stack([pixels / [WIDTH, HEIGHT], np.zeros(21)])
        return Detection(data, (~np.isnan(data[:, 0])).astype(np.float32))


def blank_frames(times: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, frame) at these moments."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return ((float(seconds), frame) for seconds in times)


def sign(start: float, end: float, *, wave: float = 0.25, rest: tuple[float, float] | None = (0.3, 1.4)) -> Hand:
    """A hand that comes up from ``rest`` within 0.3 s at ``start``, waves in front of the chest and is down again at ``end``."""

    def where(seconds: float) -> tuple[float, float] | None:
        up = np.clip(min(seconds - start, end - seconds) / 0.3, 0, 1)
        if up == 0:
            return rest
        low = rest or (0.3, 1.4)
        wavy = wave * np.sin(2 * np.pi * 1.5 * (seconds - start))
        return (1 - up) * low[0] + up * (0.2 + wavy), (1 - up) * low[1] + up * 0.2

    return where


def first_of(*hands: Hand) -> Hand:
    """The one of several hands that is up, else the last."""

    def where(seconds: float) -> tuple[float, float] | None:
        places = [hand(seconds) for hand in hands]
        return next((place for place in places if place is not None and place[1] < 1.39), places[-1])

    return where
