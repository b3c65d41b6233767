"""Signs from a running camera: frames go in one by one, a sign comes out when it has ended.

When a sign starts and ends is a rule in seconds and shoulder widths (:class:`SignRule`), so it is the same at any frame rate and
distance from the camera:

* A hand is *up* while its centre is less than ``reach`` below the line of the shoulders.
* It *moves* while its points are on average displaced faster than ``speed``, measured over ``window``. A hand that nobody saw
  for ``hold`` moves when it appears; one that the tracker lost for a moment and found in the same place does not.
* A sign starts when a hand that is up moves. It ends when no hand has been up for ``rest``, because they went down or left the
  picture, or when none has moved for ``hold``; then it takes a movement to start the next. At ``longest`` it is cut.
* What took less than ``shortest`` was no sign, such as a hand that goes down after a hold. The model also sees ``margin`` before the start and after the end.

Between signs nothing is classified, so a person who sits still gives no signs at all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..pose import Detection
from ..video.reading import check_frames
from .sign_recognition import UNKNOWN, SignRecognitionPipeline

_HANDS = ("left_hand", "right_hand", "hand1", "hand2")
_MIN_FRAMES = 3


@dataclass(frozen=True)
class SignRule:
    """When a sign starts and ends: lengths in shoulder widths (where no shoulders are seen, a third of the picture's shorter
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


@dataclass(frozen=True)
class LiveSign:
    """A sign that has ended: ``start`` and ``end`` in seconds on the clock of the frames, and the pipeline's answer.

    As text it is short: ``doctor 93 %``, or ``unknown 71 %, closest is doctor``.
    """

    start: float
    end: float
    predictions: list[dict[str, Any]]

    def __str__(self) -> str:
        best, *others = self.predictions
        if best["label"] is None:
            return str(best["message"])
        closest = f", closest is {others[0]['label']}" if best["label"] == UNKNOWN and others else ""
        return f"{best['label']} {100 * best['score']:.0f} %{closest}"


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


class LiveRecognizer:
    """Recognises signs while frames come in.

    Args:
        pipe: a ``sign-recognition`` pipeline; its pose estimator looks at every frame once, as a tracker does.
        rule: when signs start and end.
        top_k: labels a sign gets.

    Example:
        >>> live = LiveRecognizer(pipeline("sign-recognition"))
        >>> for seconds, frame in camera:  # frame (H, W, 3) uint8 RGB, not mirrored
        ...     for sign in live.process(frame, seconds):
        ...         print(sign.predictions[0]["label"])
    """

    def __init__(self, pipe: SignRecognitionPipeline, rule: SignRule | None = None, *, top_k: int = 3) -> None:
        self.rule = rule or SignRule()
        self._pipe, self._top_k = pipe, top_k
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
        """Whether a sign has started and not ended."""
        return self._start is not None

    @property
    def landmarks(self) -> LandmarkSequence | None:
        """What was found in the latest frame, a sequence of one; None before the first."""
        return self._sequence(self._frames[-1][0], np.inf) if self._frames else None

    def process(self, frame: np.ndarray, timestamp: float) -> list[LiveSign]:
        """Look at the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            timestamp: when it was taken, in seconds on any clock.

        Returns:
            the signs that ended with it: none or one.

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
        return []

    def finish(self) -> list[LiveSign]:
        """The sign that the end of the stream cut off, if there is one. The next frame starts a new stream."""
        signs = self._end(self._up) if self.signing else []
        self._frames.clear()
        self._tracks = [_Track(self.rule) for _ in self._hands]
        self._size = None
        return signs

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

    def _end(self, end: float) -> list[LiveSign]:
        start, self._start = self._start, None
        assert start is not None
        sequence = self._sequence(start - self.rule.margin, end + self.rule.margin)
        if end - start < self.rule.shortest or len(sequence) < _MIN_FRAMES:
            return []
        return [LiveSign(start, end, self._pipe(sequence, top_k=self._top_k))]

    def _sequence(self, start: float, end: float) -> LandmarkSequence:
        chosen = [(seconds, detection) for seconds, detection in self._frames if start <= seconds <= end]
        clock = np.array([seconds for seconds, _ in chosen])
        return self._pipe.estimator.sequence([detection for _, detection in chosen], clock - clock[0], self._size)
