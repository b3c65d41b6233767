"""Frames one by one, and when somebody signs: what live recognition of signs and of sentences share.

When signing starts and ends is the gate's to say, see :mod:`signlang_hf.pipelines.gate`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, TypeVar

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..pose import Detection
from ..video.reading import check_frames
from .clip_pipeline import ClipPipeline
from .gate import SigningGate, SignRule

Found = TypeVar("Found")  # what a subclass gives out


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
        self._gate = SigningGate(get_layout(pipe.estimator.layout), rule)
        self._frames: deque[tuple[float, Detection]] = deque()
        self._size: tuple[int, int] | None = None

    @property
    def signing(self) -> bool:
        """Whether signing has started and not ended."""
        return self._gate.start is not None

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
        points = detection.data[:, :2] * np.array(size)
        ended = self._gate.step(timestamp, points, min(size) / 3)
        if ended is not None:
            return self._end(*ended)
        if self.signing:
            return self._go_on()
        while self._frames[0][0] < timestamp - self.rule.margin:
            self._frames.popleft()
        return []

    def finish(self) -> list[Found]:
        """What the end of the stream cut off, if somebody signs. The next frame starts a new stream."""
        found = self._end(*self._gate.end(self._gate.up)) if self.signing else []
        self._frames.clear()
        self._gate.reset()
        self._size = None
        return found

    def _go_on(self) -> list[Found]:
        """What is known while somebody signs, before the end."""
        return []

    @abstractmethod
    def _end(self, start: float, end: float) -> list[Found]:
        """What is known when signing has ended."""

    def _sequence(self, start: float, end: float) -> LandmarkSequence:
        chosen = [(seconds, detection) for seconds, detection in self._frames if start <= seconds <= end]
        clock = np.array([seconds for seconds, _ in chosen])
        return self._pipe.estimator.sequence([detection for _, detection in chosen], clock - clock[0], self._size)
