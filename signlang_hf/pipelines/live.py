"""A camera, or a clip, in front of a stream: frames go in one by one, events come out at once.

A frame is looked at once by the pipeline's pose estimator, as a tracker does; what is made of the landmarks is the stream's matter
(:mod:`.streaming`, :mod:`.streaming_sentences`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..video.reading import check_frames
from .clip_pipeline import ClipPipeline
from .gate import SigningGate
from .sign_recognition import SignRecognitionPipeline
from .stream import LandmarkStream, StreamEvent
from .streaming import SignStream, StreamPool, StreamSettings
from .streaming_sentences import SentenceStream


class StreamingFrames(ABC):
    """Frames become landmarks, and these events.

    Args:
        pipe: a pipeline on clips; its pose estimator looks at the frames.
        stream: what is made of the landmarks.

    Raises:
        ValueError: the pose estimator sees no hands.
    """

    landmarks: LandmarkSequence | None = None
    """What was found in the latest frame, a sequence of one; None before the first."""

    def __init__(self, pipe: ClipPipeline, stream: LandmarkStream) -> None:
        self.pipe, self.stream = pipe, stream
        SigningGate(get_layout(pipe.estimator.layout), stream.rule)

    @property
    def signing(self) -> bool:
        """Whether somebody signs."""
        return self.stream.signing

    def process(self, frame: np.ndarray, timestamp: float) -> list[StreamEvent]:
        """Look at the next frame; one that comes late is left out and counted.

        Args:
            frame: (H, W, 3) uint8 RGB.
            timestamp: when it was taken, in seconds on any clock.

        Raises:
            ValueError: not such a frame, one of another size than before, or a time stamp that is no number.
        """
        frame = np.asarray(frame)
        check_frames(frame[None])
        if not np.isfinite(timestamp):
            raise ValueError(f"The frame's time stamp is {timestamp}; it must be seconds.")
        size, estimator = (frame.shape[1], frame.shape[0]), self.pipe.estimator
        if self.landmarks is None:
            estimator.reset()
        elif size != self.landmarks.size:
            raise ValueError(f"The frames change size from {self.landmarks.size} to {size}.")
        if self.stream.is_late(timestamp):
            return []
        found = estimator.detect(frame, timestamp)
        self.landmarks = estimator.sequence([found], np.array([float(timestamp)]), size)
        return self.push(self.landmarks)

    def finish(self) -> list[StreamEvent]:
        """The stream ends: what somebody signs is over. The next frame begins another one."""
        self.landmarks = None
        return self._finish()

    @abstractmethod
    def push(self, landmarks: LandmarkSequence) -> list[StreamEvent]:
        """Look at the next landmarks, see :meth:`.stream.LandmarkStream.push`."""

    @abstractmethod
    def _finish(self) -> list[StreamEvent]: ...


class StreamingSigns(StreamingFrames):
    """Signs from a camera.

    Args:
        pipe: a ``sign-recognition`` pipeline.
        settings: how the stream decides.
        **arguments: call arguments of the pipeline, such as ``threshold`` and ``mirror_margin``.

    Raises:
        ValueError: the pose estimator sees no hands, the model sees frames instead of landmarks, or arguments that do not go together.

    Example:
        >>> signs = StreamingSigns(pipeline("sign-recognition"))
        >>> for seconds, frame in camera:  # frame (H, W, 3) uint8 RGB
        ...     for event in signs.process(frame, seconds):
        ...         print(event.kind, event)
        sign_started signing …
        ...
    """

    stream: SignStream

    def __init__(self, pipe: SignRecognitionPipeline, settings: StreamSettings | None = None, **arguments: Any) -> None:
        self._pool = StreamPool(pipe, **arguments)
        super().__init__(pipe, SignStream(settings))

    def push(self, landmarks: LandmarkSequence) -> list[StreamEvent]:
        return [*self.stream.push(landmarks), *self._predicted()]

    def _finish(self) -> list[StreamEvent]:
        return [*self.stream.finish(), *self._predicted()]

    def _predicted(self) -> list[StreamEvent]:
        return self._pool.predict([self.stream])[0]


class StreamingSentences(StreamingFrames):
    """Sentences from a camera.

    Args:
        pipe: a ``continuous-sign-recognition`` pipeline, or a ``sign-translation`` one, whose sentences have a text.
        **arguments: of :class:`~signlang_hf.pipelines.streaming_sentences.SentenceStream`, and call arguments of the pipeline.

    Raises:
        ValueError: as for it, or the pose estimator sees no hands.

    Example:
        >>> sentences = StreamingSentences(pipeline("sign-translation", model="outputs/sentences"))
        >>> for seconds, frame in camera:  # frame (H, W, 3) uint8 RGB
        ...     for event in sentences.process(frame, seconds):
        ...         print(event.kind, event)  # every gloss as it becomes final, and then the sentence
        sign_started signing …
        ...
    """

    stream: SentenceStream

    def __init__(self, pipe: ClipPipeline, **arguments: Any) -> None:
        super().__init__(pipe, SentenceStream(pipe, **arguments))

    def push(self, landmarks: LandmarkSequence) -> list[StreamEvent]:
        return self.stream.push(landmarks)

    def _finish(self) -> list[StreamEvent]:
        return self.stream.finish()


__all__ = ["StreamingFrames", "StreamingSentences", "StreamingSigns"]
