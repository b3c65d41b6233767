"""Frames one by one, and when somebody signs: what live recognition of signs and of sentences share.

When signing starts and ends is a rule in seconds and shoulder widths (:class:`SignRule`), so it is the same at any frame rate and
distance from the camera:

* A hand is *up* while its centre is less than ``reach`` below the line of the shoulders.
* It *moves* while its points are on average displaced faster than ``speed``, measured over ``window``. A hand that nobody saw
  for ``hold`` moves when it appears; one that the tracker lost for a moment and found in the same place does not.
* Signing starts when a hand that is up moves. It ends when no hand has been up for ``rest``, because they went down or left the
  picture, or when none has moved for ``hold``; then it takes a movement to start again. At ``longest`` it is cut.
* What took less than ``shortest`` was no signing, such as a hand that goes down after a hold. The model also sees ``margin`` before the start.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..pose import Detection
from ..video.reading import check_frames
from .clip_pipeline import ClipPipeline

Found = TypeVar("Found")  # what a subclass gives out
_HANDS = ("left_hand", "right_hand", "hand1", "hand2")


@dataclass(frozen=True)
class SignRule:
    """When signing starts and ends: lengths in shoulder widths (where no shoulders are seen, a third of the picture's shorter
    side), times in seconds, ``speed`` in shoulder widths a second. What they mean stands at the head of the module."""

    reach: float = 0.9
    speed: float = 0.6
    window: float = 0.2
    hold: float = 0.8
    rest: float = 0.3
    shortest: float = 0.5
    longest: float = 5.0
    margin: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 < getattr(self, field.name) < float("inf"):
                raise ValueError(f"{field.name} is {getattr(self, field.name)}; it must be a positive number.")


class _Track:
    """Where one hand was lately."""

    def __init__(self, rule: SignRule) -> None:
        self._rule = rule
        self._past: deque[tuple[float, np.ndarray]] = deque()

    def moves(self, seconds: float, points: np.ndarray, unit: float) -> bool:
        """Whether the hand moves, now that its points (21, 2) are seen; ``unit`` is a shoulder width."""
        rule, past = self._rule, self._past
        if past and seconds - past[-1][0] > rule.hold:
            past.clear()
        while len(past) > 1 and past[1][0] <= seconds - rule.window:
            past.popleft()
        past.append((seconds, points))
        since, before = past[0]
        if len(past) == 1:
            return True
        # Not over less than the window: the first frames after a hand is found are unsteady.
        elapsed = max(seconds - since, rule.window)
        return float(np.linalg.norm(points - before, axis=1).mean()) > rule.speed * unit * elapsed


class LiveStream(ABC, Generic[Found]):
    """Takes frames and tells signing from rest.

    Args:
        pipe: a pipeline on clips; its pose estimator looks at every frame once, as a tracker does.
        rule: when signing starts and ends.

    Raises:
        ValueError: the pose estimator sees no hands, or the model sees frames instead of landmarks.
    """

    def __init__(self, pipe: ClipPipeline, rule: SignRule) -> None:
        if not hasattr(pipe.feature_extractor, "layout"):
            raise ValueError(
                "Live recognition finds signs by their landmarks; a video language model sees none. Give it whole clips."
            )
        self.rule, self._pipe = rule, pipe
        layout = get_layout(pipe.estimator.layout)
        self._hands = [list(layout.parts[part]) for part in _HANDS if part in layout.parts]
        if not self._hands:
            raise ValueError(f"Layout '{layout.name}' of the pose estimator has no hands; live recognition needs them.")
        shoulders = [layout.index.get(f"{side}_shoulder") for side in ("left", "right")]
        self._shoulders = None if None in shoulders else shoulders
        self._tracks = [_Track(self.rule) for _ in self._hands]
        self._frames: deque[tuple[float, Detection]] = deque()
        self._size: tuple[int, int] | None = None
        self._start: float | None = None
        self._up = self._moved = 0.0  # when a hand was last up; when one that was up last moved

    @property
    def signing(self) -> bool:
        """Whether signing has started and not ended."""
        return self._start is not None

    @property
    def landmarks(self) -> LandmarkSequence | None:
        """What was found in the latest frame, a sequence of one; None before the first."""
        return self._sequence(self._frames[-1][0], np.inf) if self._frames else None

    def process(self, frame: np.ndarray, timestamp: float) -> list[Found]:
        """Look at the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            timestamp: when it was taken, in seconds on any clock.

        Returns:
            what is known with it.

        Raises:
            ValueError: not such a frame, one of another size than before, or a time stamp that does not increase.
        """
        frame = np.asarray(frame)
        check_frames(frame[None])
        size = (frame.shape[1], frame.shape[0])
        if self._size is None:
            self._pipe.estimator.reset()
        elif size != self._size:
            raise ValueError(f"The frames change size from {self._size} to {size}.")
        if not np.isfinite(timestamp) or (self._frames and timestamp <= self._frames[-1][0]):
            raise ValueError(f"The frame's time stamp {timestamp} does not come after the one before it.")
        self._size = size
        detection = self._pipe.estimator.detect(frame, timestamp)
        self._frames.append((timestamp, detection))
        up, moving = self._look(timestamp, detection)
        if self._start is None:
            while self._frames[0][0] < timestamp - self.rule.margin:
                self._frames.popleft()
            if not moving:
                return []
            self._start = timestamp
        if up:
            self._up = timestamp
        if moving:
            self._moved = timestamp
        if timestamp - self._up >= self.rule.rest:
            return self._end(self._up)
        if timestamp - self._moved >= self.rule.hold or timestamp - self._start >= self.rule.longest:
            return self._end(timestamp)
        return self._go_on()

    def finish(self) -> list[Found]:
        """What the end of the stream cut off, if somebody signs. The next frame starts a new stream."""
        found = self._end(self._up) if self.signing else []
        self._frames.clear()
        self._tracks = [_Track(self.rule) for _ in self._hands]
        self._size = None
        return found

    def _look(self, seconds: float, detection: Detection) -> tuple[bool, bool]:
        """Whether a hand is up, and whether one that is up moves."""
        assert self._size is not None
        points = detection.data[:, :2] * np.array(self._size)
        unit, line = min(self._size) / 3, np.inf  # without shoulders every hand in the picture is up
        if self._shoulders is not None and not np.isnan(points[self._shoulders]).any():
            left, right = points[self._shoulders]
            unit, line = max(float(np.linalg.norm(left - right)), 1.0), float(left[1] + right[1]) / 2
        up = moving = False
        for hand, track in zip(self._hands, self._tracks):
            if np.isnan(points[hand]).any():
                continue
            moves = track.moves(seconds, points[hand], unit)
            if points[hand][:, 1].mean() < line + self.rule.reach * unit:
                up, moving = True, moving or moves
        return up, moving

    def _go_on(self) -> list[Found]:
        """What is known while somebody signs, before the end."""
        return []

    @abstractmethod
    def _end(self, end: float) -> list[Found]:
        """What is known when signing has ended; ``_start`` is to be None from then on."""

    def _sequence(self, start: float, end: float) -> LandmarkSequence:
        chosen = [(seconds, detection) for seconds, detection in self._frames if start <= seconds <= end]
        clock = np.array([seconds for seconds, _ in chosen])
        return self._pipe.estimator.sequence([detection for _, detection in chosen], clock - clock[0], self._size)
