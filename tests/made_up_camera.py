"""A camera that a test makes up, in place of OpenCV's, with a clock that goes as it takes pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

WIDTH, HEIGHT = 640, 360


class Device:
    """Camera 0 gives blue pictures for ``frames`` frames, 25 a second, one in ten of which is lost; then ``then`` is raised, or
    with None there are no more pictures."""

    opened: list[Device]
    frames: int
    then: type[BaseException] | None
    now: float

    def __init__(self, number: int) -> None:
        self.number, self.left, self.released = number, self.frames, False
        self.opened.append(self)

    def isOpened(self) -> bool:
        return self.number == 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        type(self).now += 0.04
        self.left -= 1
        if self.left < 0 and self.then is not None:
            raise self.then
        if self.left < 0 or self.left % 10 == 5:
            return False, None
        return True, np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8)  # blue, as OpenCV sees it

    def release(self) -> None:
        self.released = True


def make_up_camera(monkeypatch: pytest.MonkeyPatch) -> Callable[..., type[Device]]:
    """``device(seconds, then)`` makes OpenCV open such a camera."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

    def prepare(seconds: float, then: type[BaseException] | None = None) -> type[Device]:
        class Made(Device):
            opened, frames, now = [], round(seconds * 25), 100.0

        Made.then = then

        class Clock:
            monotonic = staticmethod(lambda: Made.now)
            sleep = staticmethod(lambda seconds: setattr(Made, "now", Made.now + seconds))

        monkeypatch.setattr("signlang_hf.video.camera.time", Clock)
        monkeypatch.setattr(cv2, "VideoCapture", Made)
        return Made

    return prepare
