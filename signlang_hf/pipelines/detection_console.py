"""``signlang detect`` at the terminal: what it says and shows of files, and of a camera."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..pose import PoseEstimator
from ..video import window
from .detection_files import Slideshow, detect_files
from .live_keypoints import LiveDetector, LiveKeypoints
from .webcam import in_window, last_in_terminal, watch


def tell_files(
    estimator: PoseEstimator,
    sources: Sequence[str],
    *,
    out: Path | None,
    show: bool,
    as_json: bool,
    console: Console,
    say: Callable[[str], None],
) -> tuple[int, int]:
    """:func:`~signlang_hf.pipelines.detection_files.detect_files`, and say how it goes.

    Args:
        estimator, sources, out: as there.
        show: show the frames in a window.
        as_json: print a JSON line a frame, and one for each file that cannot be read, instead of a line a file.
        console: where lines about files go.
        say: takes what goes wrong.

    Returns:
        Number of files, and how many of them could not be read.
    """
    count = failed = 0
    with ExitStack() as stack:
        screen = window.open_window() if show else None
        if show and screen is None:
            say("there is no display to show anything on.")
        slides = None if screen is None else Slideshow(stack.enter_context(screen))

        def done(row: dict[str, Any], drawn: np.ndarray) -> None:
            if as_json:
                print(json.dumps(row, ensure_ascii=False), flush=True)
            if slides is not None:
                slides.show(drawn)

        for row in detect_files(estimator, sources, out=out, done=done, draw=slides is not None):
            count, failed = count + 1, failed + ("error" in row)
            if as_json and "error" in row:
                print(json.dumps(row, ensure_ascii=False), flush=True)
            elif "error" in row:
                say(row["error"] if row["file"] in row["error"] else f"{row['file']}: {row['error']}")
            elif not as_json:
                frames = f"{row['frames']} frames, " if row["frames"] > 1 else ""
                where = f" → {row['overlay']}" if "overlay" in row else ""
                line = f"{row['file']}: {frames}{100 * row['seen']:.0f} % of the points seen{where}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            if slides is not None and row.get("frames") == 1:
                slides.pause()
        if slides is not None:
            slides.wait()
    if failed and count > 1:
        say(f"{failed} of {count} files could not be read.")
    return count, failed


def watch_keypoints(estimator: PoseEstimator, camera: str, *, no_window: bool, as_json: bool, console: Console) -> None:
    """Find points before a camera until its person has enough: in a window, in a line of the terminal where there is no display,
    or as a JSON line a frame. Errors as for :func:`~signlang_hf.pipelines.webcam.watch`."""

    def report(found: LiveKeypoints) -> None:
        if as_json:
            print(json.dumps(found.row, ensure_ascii=False), flush=True)

    with ExitStack() as stack:
        show = None
        if not (as_json or no_window) and (screen := window.open_window()) is not None:
            show = in_window(stack.enter_context(screen), camera, min_visibility=0.0)
        elif not as_json:
            show = last_in_terminal(stack.enter_context(console.status("waiting for the camera")))
        watch(LiveDetector(estimator, camera), camera, show, report)
