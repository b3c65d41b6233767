"""One server with tiny models for all tests of this folder, and settings for others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cheap_pose import tiny_frames
from tiny_model import save_tiny_model
from tiny_translation import save_tiny_composite, save_tiny_recognizer, save_tiny_translator

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from running_server import Running, running

from signlang_hf.serving.settings import ServerSettings
from signlang_hf.video import write_video


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of models with random weights: ``signs``, ``others``, ``sentences`` and ``glosses``."""
    folder = tmp_path_factory.mktemp("models")
    glosses = save_tiny_recognizer(folder / "glosses", layout="mediapipe-holistic", max_frames=400)
    translator = save_tiny_translator(folder / "translator")
    return {
        "signs": str(save_tiny_model(folder / "signs", layout="isl-48")),
        "others": str(save_tiny_model(folder / "others", ("eins", "zwei", "drei"), layout="isl-48")),
        "sentences": str(save_tiny_composite(folder / "sentences", glosses, translator)),
        "glosses": str(glosses),
        "translator": str(translator),
    }


@pytest.fixture(scope="session")
def settings(tiny_models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ServerSettings]:
    """``settings(**changes)``: of a server with the tiny models and an estimator that costs nothing."""
    temporary = tmp_path_factory.mktemp("uploads")

    def make(**changes: Any) -> ServerSettings:
        usual = {
            "model": tiny_models["signs"],
            "sentence_model": "",
            "estimator": "cheap_pose:cheap_estimator",
            "temp_dir": str(temporary),
            "rate_limit": "",
            "websocket_rate_limit": "",
        }
        return ServerSettings(_env_file=None, **{**usual, **changes})

    return make


@pytest.fixture(scope="session")
def server(settings: Callable[..., ServerSettings], tiny_models: dict[str, str]) -> Iterator[Running]:
    """A server with two models for signs and one for sentences."""
    with running(settings(more_models=tiny_models["others"], sentence_model=tiny_models["sentences"])) as found:
        yield found


@pytest.fixture
def clean(server: Running) -> Iterator[Running]:
    """The server, which must have nothing on its disk afterwards."""
    yield server
    end = time.monotonic() + 5
    while server.files() and time.monotonic() < end:
        time.sleep(0.02)
    assert server.files() == []


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video in colours, in which the estimator sees somebody."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", tiny_frames(12), 25)
