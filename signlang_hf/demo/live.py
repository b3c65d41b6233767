"""Several people before their cameras at once: each has a place with an estimator and a stream of their own; the model is shared.

Design decisions:

* A place is known by a key, which is all that a page keeps of it (Gradio copies what a page keeps). A page that is closed, or idle for
  :data:`IDLE` seconds, gives its place back.
* A tracker knows one signer, so no two places share one; making one takes a second, so that of a place which is given back waits for the
  next. There are as many as ``SIGNLANG_LIVE_PLACES``, because each costs a core while somebody signs.
* Signs and sentences come out as the same plain events: ``sign_started``, ``partial``, ``sign``, ``idle``, ``gloss``, ``sentence``.
* The time of a frame is when it arrives: a browser does not tell when it was taken.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import asdict
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence
from ..video import draw_landmarks
from . import settings
from .clips import new_estimator
from .live_view import LiveView

IDLE = 300.0
_PLACES = 4


class Signer:
    """One person's stream, and what their page shows of it.

    Args:
        pipe: pipeline of signs, glosses or sentences; its model is shared with others.
        estimator: this person's own.
        unsure: also say signs that the model does not seem to know.
    """

    def __init__(self, pipe: Any, estimator: Any, unsure: bool = False) -> None:
        from ..pipelines import LiveSentences, SignRecognitionPipeline
        from ..pipelines.streaming import StreamingSigns

        parts = {
            "model": pipe.model,
            "feature_extractor": pipe.feature_extractor,
            "estimator": estimator,
            "device": pipe.device,
        }
        own = type(pipe)(**parts)
        self.view, self.estimator = LiveView(), estimator
        self.began = self.used = time.monotonic()
        self.sees_signs = isinstance(pipe, SignRecognitionPipeline)
        said = {"threshold": None} if unsure else {}
        self._begin = (lambda: StreamingSigns(own, **said)) if self.sees_signs else (lambda: LiveSentences(own))
        self._stream: Any = self._begin()
        self._size: tuple[int, ...] = ()

    @property
    def signing(self) -> bool:
        """Whether somebody signs."""
        return self._stream.signing

    def look(self, frame: np.ndarray, seconds: float, mirror: bool = True) -> np.ndarray:
        """Look at the next frame (H, W, 3) uint8 RGB, which must be no mirror image. Returns it with the skeleton, in a mirror as
        people expect it of a camera, or as it is."""
        if self._size and frame.shape != self._size:  # the camera was turned
            self.finish()
            self._stream = self._begin()
        self._size, self.used = frame.shape, time.monotonic()
        self._tell(self._stream.process(frame, seconds))
        found = self._stream.landmarks
        if mirror:
            frame = frame[:, ::-1]
        if found is None:
            return frame
        if mirror:
            found = found.replace(data=found.data * np.float32([-1, 1, 1]) + np.float32([1, 0, 0]))
        return draw_landmarks(frame[None], found)[0]

    def push(self, landmarks: LandmarkSequence, placed: LandmarkSequence, ground: np.ndarray) -> np.ndarray:
        """Look at the next frame of a landmark file, a sequence of one. Returns a picture of it.

        Args:
            landmarks: the frame.
            placed, ground: the same frame in the pixels of an empty picture, see :func:`.pictures.canvas`.

        Raises:
            ValueError: the model reads sentences, which need pictures here.
        """
        if not self.sees_signs:
            raise ValueError("A model for sentences looks at videos here; sign-translation takes landmark files.")
        self.used = time.monotonic()
        self._tell(self._stream.push(landmarks))
        return draw_landmarks(ground[None], placed, min_visibility=0.0)[0]

    def finish(self) -> None:
        """What is being signed is over."""
        self._tell(self._stream.finish())

    def _tell(self, found: list[Any]) -> None:
        for one in found:
            self.view.tell(plain(one))
        self.view.signing = self.signing


def plain(found: Any) -> dict[str, Any]:
    """What a stream says as a plain event with a ``type``."""
    from ..pipelines import LiveGloss, LiveSentence

    if isinstance(found, LiveGloss):
        return {"type": "gloss", **asdict(found)}
    if isinstance(found, LiveSentence):
        return {"type": "sentence", **{name: value for name, value in asdict(found).items() if value is not None}}
    event = found.to_dict()
    return {"type": event.pop("kind"), **event}


class Places:
    """The places before the camera; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._taken: dict[str, Signer] = {}
        self._idle: list[Any] = []

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, pipe: Any, unsure: bool = False) -> str:
        """A place for somebody new. Returns its key.

        Raises:
            ValueError: all are taken.
        """
        most = int(settings.number("LIVE_PLACES", _PLACES))
        with self._lock:
            for key in [key for key, one in self._taken.items() if time.monotonic() - one.used > IDLE]:
                self.leave(key)
            if len(self._taken) >= most:
                raise ValueError(f"All {most} places before the camera are taken; please try again in a minute.")
            estimator = self._idle.pop() if self._idle else new_estimator()
            key = uuid.uuid4().hex
            self._taken[key] = Signer(pipe, estimator, unsure)
            return key

    def at(self, key: str | None) -> Signer | None:
        """Who has that place; None where nobody has."""
        return self._taken.get(key or "")

    def leave(self, key: str | None) -> None:
        """Give a place back; nothing where nobody has it."""
        with self._lock:
            signer = self._taken.pop(key or "", None)
            if signer is not None:
                self._idle.append(signer.estimator)
