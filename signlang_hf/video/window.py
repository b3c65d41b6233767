"""A window to show pictures in: OpenCV's, in a process of its own.

A process of its own because PyAV, which transformers' pipelines import, brings libraries of the X window system along that make
OpenCV's windows hang for good (PyAV issue 1050), and because OpenCV's window system ends its process where it finds no display.
Pictures go there through a pipe; the process ends when its person closes the window or the pipe is closed.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys

import numpy as np

_HEADER = struct.Struct("<II")  # height and width of the picture whose bytes follow
_READY = b"ready\n"


class Window:
    """A window that shows one picture after the other; a context manager. See :func:`open_window`."""

    def __init__(self, title: str) -> None:
        # The child sees the modules that the parent sees, however the parent came by them.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        code = "from signlang_hf.video.window import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, title],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # its window system misses fonts that nobody needs
            env=environment,
        )

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def is_open(self) -> bool:
        """Wait until the window is there; False where it cannot be opened."""
        assert self._process.stdout is not None
        return self._process.stdout.readline() == _READY

    def show(self, frame: np.ndarray) -> bool:
        """Show (H, W, 3) uint8 RGB; False when the person closed the window or pressed q or Escape."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(_HEADER.pack(*frame.shape[:2]) + np.ascontiguousarray(frame).tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def close(self) -> None:
        """Close the window."""
        self._process.kill()
        self._process.communicate()


def open_window(title: str = "signlang") -> Window | None:
    """A window, or None where there is no display or no OpenCV that can draw on it."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        return None
    window = Window(title)
    if window.is_open():
        return window
    window.close()
    return None


def main() -> None:
    """The window's process: title as argument, pictures on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    import cv2

    title, pictures = sys.argv[1], sys.stdin.buffer
    cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    while header := pictures.read(_HEADER.size):
        height, width = _HEADER.unpack(header)
        frame = np.frombuffer(pictures.read(height * width * 3), np.uint8).reshape(height, width, 3)
        cv2.imshow(title, frame[:, :, ::-1])
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
            return
