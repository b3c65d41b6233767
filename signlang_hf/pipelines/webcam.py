"""``signlang recognize --webcam``: a camera in front of a :class:`LiveRecognizer`, and something to look at meanwhile.

A window shows the picture as a mirror would, with what was found in it; without one, a line in the terminal says whether
somebody signs. Recognition itself sees the picture as it is: in a mirror left would be right.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from ..video import draw_landmarks
from ..video.camera import camera_frames, is_camera
from ..video.window import Window
from .live import LiveRecognizer, LiveSign

if TYPE_CHECKING:
    from rich.status import Status

Show = Callable[[np.ndarray, LiveRecognizer, "LiveSign | None"], bool]
"""Shows the latest frame and sign; False when the person has seen enough."""


def watch(live: LiveRecognizer, camera: str, show: Show | None, report: Callable[[LiveSign], None]) -> None:
    """Recognise until the video ends or the person closes the window or presses Ctrl-C; a sign that is going on is still reported.

    Args:
        live: the recogniser.
        camera: number of a camera, or a video in its place; errors as for :func:`signlang_hf.video.camera.camera_frames`.
        show: called with every frame; None shows nothing.
        report: called with every sign as it ends.
    """
    last: LiveSign | None = None
    try:
        with closing(camera_frames(camera)) as frames:
            for seconds, frame in frames:
                for last in live.process(frame, seconds):
                    report(last)
                if show is not None and not show(frame, live, last):
                    break
    except KeyboardInterrupt:
        pass
    finally:
        for sign in live.finish():
            report(sign)


def in_window(window: Window, camera: str) -> Show:
    """Show pictures with landmarks and the last sign in a window; a camera's in a mirror."""
    mirror = is_camera(camera)

    def show(frame: np.ndarray, live: LiveRecognizer, last: LiveSign | None) -> bool:
        landmarks = live.landmarks
        assert landmarks is not None
        if mirror:
            frame = frame[:, ::-1]
            landmarks = landmarks.replace(data=landmarks.data * [-1, 1, 1] + [1, 0, 0])
        text = " · ".join([*(["…"] if live.signing else []), *([str(last)] if last else [])])
        return window.show(draw_landmarks(frame[None], landmarks, text=text or None)[0])

    return show


def in_terminal(status: Status) -> Show:
    """Say on a line of the terminal whether somebody signs."""

    def show(frame: np.ndarray, live: LiveRecognizer, last: LiveSign | None) -> bool:
        text = "signing …" if live.signing else "waiting for a sign"
        if text != status.status:
            status.update(text)
        return True

    return show
