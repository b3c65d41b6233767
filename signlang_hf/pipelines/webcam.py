"""``signlang recognize --webcam`` and ``signlang detect --webcam``: a camera in front of something live, and something to look at.

A window shows the picture as a mirror would, with what was found in it; without one, a line in the terminal says whether
somebody signs, or how many points are seen. Recognition itself sees the picture as it is: in a mirror left would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..landmarks import LandmarkSequence
from ..video import draw_landmarks
from ..video.camera import camera_frames, is_camera
from ..video.window import Window

if TYPE_CHECKING:
    from rich.status import Status


class Found(Protocol):
    """What is found: an event of a stream, or points. As text it is what a person wants to read."""

    @property
    def answers(self) -> bool:
        """Whether it is shown until the next one."""


class Live(Protocol):
    """What looks at a camera's frames one by one: a :class:`~signlang_hf.pipelines.live.StreamingSigns` gives events, a
    :class:`~signlang_hf.pipelines.live_keypoints.LiveDetector` points."""

    @property
    def signing(self) -> bool: ...

    @property
    def landmarks(self) -> LandmarkSequence | None: ...

    def process(self, frame: np.ndarray, timestamp: float) -> Sequence[Found]: ...

    def finish(self) -> Sequence[Found]: ...


Show = Callable[[np.ndarray, Live, Any], bool]
"""Shows the latest frame and what was found last (None before the first); False when the person has seen enough."""


def watch(live: Live, camera: str, show: Show | None, report: Callable[[Any], None]) -> None:
    """Look until the video ends or the person closes the window or presses Ctrl-C; a sign that is going on is still reported.

    Args:
        live: the recogniser, or the detector.
        camera: number of a camera, or a video in its place; errors as for :func:`signlang_hf.video.camera.camera_frames`.
        show: called with every frame; None shows nothing.
        report: called with every event, or with the points of every frame.
    """
    last: Any = None
    try:
        with closing(camera_frames(camera)) as frames:
            for seconds, frame in frames:
                for found in live.process(frame, seconds):
                    report(found)
                    last = found if found.answers else last
                if show is not None and not show(frame, live, last):
                    break
    except KeyboardInterrupt:
        pass
    finally:
        for found in live.finish():
            report(found)


def in_window(window: Window, camera: str, **drawing: Any) -> Show:
    """Show pictures with landmarks and the last sign in a window; a camera's in a mirror. ``drawing``: further arguments of
    :func:`~signlang_hf.video.draw_landmarks`."""
    mirror = is_camera(camera)

    def show(frame: np.ndarray, live: Live, last: Any) -> bool:
        landmarks = live.landmarks
        assert landmarks is not None
        if mirror:
            frame = frame[:, ::-1]
            landmarks = landmarks.replace(data=landmarks.data * [-1, 1, 1] + [1, 0, 0])
        text = " · ".join([*(["…"] if live.signing else []), *([str(last)] if last else [])])
        return window.show(draw_landmarks(frame[None], landmarks, text=text or None, **drawing)[0])

    return show


def in_terminal(status: Status) -> Show:
    """Say on a line of the terminal whether somebody signs."""

    def show(frame: np.ndarray, live: Live, last: Any) -> bool:
        text = "signing …" if live.signing else "waiting for a sign"
        if text != status.status:
            status.update(text)
        return True

    return show


def last_in_terminal(status: Status) -> Show:
    """Say on a line of the terminal what was found last."""

    def show(frame: np.ndarray, live: Live, last: Any) -> bool:
        status.update(str(last))
        return True

    return show
