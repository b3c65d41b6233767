"""All five Spaces served by the test's own process, once a module; their estimator costs nothing unless a test asks for the real one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from cheap_pose import tiny_frames

pytest.importorskip("gradio", reason='the Spaces need Gradio: pip install "signlang-hf[demo]"')

from signlang_hf.demo import catalogue, clips
from signlang_hf.video import write_video

STUB = "cheap_pose:cheap_estimator"


class Served(NamedTuple):
    """A Space that runs: where, and the module of its app."""

    url: str
    app: ModuleType


@pytest.fixture(scope="module")
def settings() -> Iterator[pytest.MonkeyPatch]:
    """The settings of the Spaces of a module: those of a fresh machine, and an estimator that costs nothing."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SIGNLANG_")]:
            if name not in ("SIGNLANG_DATA", "SIGNLANG_CHROMIUM", "SIGNLANG_SCREENSHOTS"):
                patch.delenv(name)
        patch.setenv("SIGNLANG_ESTIMATOR", STUB)
        patch.setattr(clips, "_estimator", None)
        patch.setattr(clips, "_known", type(clips._known)())
        yield patch


@pytest.fixture(scope="module")
def served(settings: pytest.MonkeyPatch) -> Iterator[Callable[[str], Served]]:
    """``served("live-signs")``: the Space, started when it is first asked for."""
    from signlang_hf.demo.page import launch

    running: dict[str, Served] = {}

    def start(name: str) -> Served:
        if name not in running:
            app = catalogue.opened(catalogue.space(name))
            _, url, _ = launch(app.demo, prevent_thread_lock=True, quiet=True)
            running[name] = Served(url, app)
        return running[name]

    yield start
    for one in running.values():
        one.app.demo.close(verbose=False)


@pytest.fixture
def real_estimator(settings: pytest.MonkeyPatch, signlang_data: Path) -> Iterator[None]:
    """MediaPipe instead of the stub."""
    pytest.importorskip("mediapipe", reason="MediaPipe finds the landmarks here")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SIGNLANG_ESTIMATOR", raising=False)
        patch.setenv("SIGNLANG_MEDIAPIPE_TASKS", str(signlang_data / "mediapipe-tasks"))
        patch.setattr(clips, "_estimator", None)
        patch.setattr(clips, "_known", type(clips._known)())
        yield


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 24 frames, in which the stub sees a person."""
    return write_video(tmp_path_factory.mktemp("clip") / "film.mp4", tiny_frames(24, height=96, width=128), fps=12.0)


@pytest.fixture(scope="session")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A black video, in which the stub sees nobody."""
    frames = np.zeros((12, 96, 128, 3), np.uint8)
    return write_video(tmp_path_factory.mktemp("clip") / "nobody.mp4", frames, fps=12.0)


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 40 seconds."""
    return write_video(tmp_path_factory.mktemp("clip") / "long.mp4", tiny_frames(40, height=48, width=64), fps=1.0)


@pytest.fixture(scope="session")
def no_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text that calls itself a video."""
    path = tmp_path_factory.mktemp("clip") / "words.mp4"
    path.write_text("this is no video\n" * 50)
    return path


@pytest.fixture(scope="session")
def berlin() -> Path:
    """BERLIN in real letters of American Sign Language."""
    pytest.importorskip("spoken_to_signed", reason="the real letters come with spoken-to-signed")
    from signlang_hf.demo.examples import spelled

    return spelled("berlin")


@pytest.fixture(scope="session")
def letter_b() -> Path:
    """The letter B of American Sign Language, as recorded."""
    pytest.importorskip("spoken_to_signed", reason="the real letters come with spoken-to-signed")
    from signlang_hf.demo.examples import letters

    return letters("B")[0].make()
