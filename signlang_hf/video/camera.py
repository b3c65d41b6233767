"""Pictures from a camera as they are taken, or from a video in its place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .reading import iter_video

_PATIENCE = 1.0  # seconds without a picture after which a camera is lost
_CHUNK = 8


def is_camera(camera: str) -> bool:
    """Whether that is the number of a camera and not a video."""
    return camera.isdecimal()


def camera_frames(camera: str) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, frame (H, W, 3) uint8 RGB) from a camera by its number, or from a video by its path or address.

    Raises:
        ConnectionError: there is no such camera, or it gives no pictures any more.
        FileNotFoundError, ValueError, ImportError: the video cannot be read, or OpenCV is missing.
    """
    if is_camera(camera):
        yield from _from_device(int(camera))
        return
    for chunk in iter_video(camera, chunk=_CHUNK):
        yield from zip(chunk.timestamps.tolist(), chunk.frames)


def _from_device(number: int) -> Iterator[tuple[float, np.ndarray]]:
    cv2 = _opencv()
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our one sentence says it better
    device = cv2.VideoCapture(number)
    try:
        if not device.isOpened():
            raise ConnectionError(
                f"Camera {number} cannot be opened; is it connected, and does no other program use it?"
            )
        start = latest = time.monotonic()
        while True:
            found, frame = device.read()
            if found:
                yield time.monotonic() - start, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                latest = time.monotonic()
            elif time.monotonic() - latest > _PATIENCE:
                raise ConnectionError(f"Camera {number} gives no pictures any more, after {latest - start:.0f} s.")
            else:
                time.sleep(0.01)
    finally:
        device.release()
        cv2.utils.logging.setLogLevel(level)


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise ImportError('A camera needs OpenCV: pip install "signlang-hf[pose]"') from None
    return cv2
