"""Signs out of a stream of landmarks, as events: signing starts, what it looks like so far, the sign, rest.

Design decisions:

* A stream only decides. :meth:`SignStream.push` says what has happened and keeps what is to be predicted (:attr:`SignStream.due`);
  :class:`StreamPool` predicts for many streams in one batch.
* While somebody signs, a sliding window is predicted every ``stride`` seconds. The majority of the last ``votes`` answers is what the sign
  looks like so far (``partial``); one that changes its mind for less than ``agree`` windows is not heard.
* The sign itself is decided once, on all of it: when hands have come to rest, or when another sign has won the majority. So it is
  said once however long it is held. What the model does not know (its own threshold) is no sign: ``idle`` says ``unknown`` then.
* A window that another one has overtaken before its turn came is left out and counted, a sign never.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence
from .clip_pipeline import ClipPipeline
from .gate import SignRule
from .sign_recognition import UNKNOWN, SignRecognitionPipeline
from .stream import LandmarkStream, StreamEvent, joined

_SHORTEST = 3  # frames; with fewer there is nothing to see


@dataclass(frozen=True)
class StreamSettings:
    """How a stream decides; times in seconds.

    Args:
        rule: when signing starts and ends.
        window: of a sliding window: so much of the past the model sees for a ``partial``.
        stride: from one window to the next.
        votes: windows that vote.
        agree: votes that make a majority.
        confirm: somebody who has signed for less has not started: a twitch is not said.
        gap: between two frames; after more than that the stream begins anew.
        split: whether another majority ends a sign, for signs without rest between them.
        mirrored: whether the landmarks, or the frames, are those of a mirror image.
        top_k: predictions of an event.
    """

    rule: SignRule = field(default_factory=SignRule)
    window: float = 1.6
    stride: float = 0.25
    votes: int = 5
    agree: int = 3
    confirm: float = 0.2
    gap: float = 1.0
    split: bool = False
    mirrored: bool = False
    top_k: int = 3

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name not in ("rule", "split", "mirrored") and not 0 < value < float("inf"):
                raise ValueError(f"{one.name} is {value}; it must be a positive number.")
        if not self.votes / 2 < self.agree <= self.votes:
            raise ValueError(
                f"agree is {self.agree}; it must be more than half of the {self.votes} votes, and at most all."
            )


@dataclass(frozen=True)
class Window:
    """A stretch of a stream that is to be predicted: a sliding one, or all of a sign (``final``)."""

    sequence: LandmarkSequence
    start: float
    end: float
    time: float
    final: bool


class SignStream(LandmarkStream):
    """One stream of landmarks, and the signs in it.

    Args:
        settings: how it decides.

    Example:
        >>> stream, pool = SignStream(), StreamPool(pipeline("sign-recognition"))
        >>> for piece in pieces:  # LandmarkSequences with time stamps, of one frame or more
        ...     for event in [*stream.push(piece), *pool.predict([stream])[0]]:
        ...         print(event.kind, event)
        sign_started signing …
        ...
    """

    def __init__(self, settings: StreamSettings | None = None) -> None:
        self.settings = settings or StreamSettings()
        super().__init__(
            self.settings.rule,
            gap=self.settings.gap,
            confirm=self.settings.confirm,
            mirrored=self.settings.mirrored,
        )
        self.due: deque[Window] = deque()
        """What is to be predicted, in order; :meth:`answer` takes the answers in the same order."""
        self._since = -np.inf  # windows of signing before that vote no more
        self._clear()

    def answer(self, predictions: Sequence[dict[str, Any]]) -> list[StreamEvent]:
        """What follows from the answer to the first window that is due: the pipeline's predictions about it."""
        window = self.due.popleft()
        self.counts.windows += 1
        chosen = tuple(predictions[: self.settings.top_k])
        if not window.final:
            return self._vote(window, chosen) if window.start >= self._since else []
        span = {"start": window.start, "end": window.end}
        if chosen[0]["label"] in (None, UNKNOWN):
            return [StreamEvent("idle", window.time, **span, reason="unknown", predictions=chosen)]
        best = {"label": chosen[0]["label"], "score": float(chosen[0]["score"])}
        return [
            StreamEvent("sign", window.time, **span, **best, predictions=chosen),
            StreamEvent("idle", window.time, **span, reason="sign"),
        ]

    def finish(self) -> list[StreamEvent]:
        """The stream ends; what is due then is still to be answered. The next frame begins another one."""
        events = super().finish()
        self._since = -np.inf
        return events

    def _goes_on(self, seconds: float, start: float, up: float) -> list[StreamEvent]:
        ready = up - start >= self.rule.shortest
        if ready and seconds - self._asked >= self.settings.stride - 1e-9:
            self._asked = seconds
            self._ask(max(start - self.rule.margin, seconds - self.settings.window), seconds, start, final=False)
        return []

    def _ended(self, start: float, end: float) -> list[StreamEvent] | None:
        self._clear()
        self._since = end
        margin = self.rule.margin
        return [] if self._ask(start - margin, end + margin, start, final=True, until=end) else None

    def _split(self, moment: float) -> None:
        """Another sign has won the majority: the one before it is over, and signing goes on."""
        gate = self._gate
        if gate is None or gate.start is None or moment - gate.start < self.rule.shortest:
            return
        self._ask(gate.start - self.rule.margin, moment, gate.start, final=True)
        gate.start = self._since = moment
        self._votes.clear()

    def _ask(self, low: float, high: float, start: float, *, final: bool, until: float | None = None) -> bool:
        """Have a stretch predicted; whether there is enough of it."""
        chosen = [frame for frame in self._frames if low <= frame.timestamps[0] <= high]
        if len(chosen) < _SHORTEST:
            return False
        if self.due and not self.due[-1].final:  # overtaken: what matters is how it looks now, or what it was
            self.due.pop()
            self.counts.coalesced += 1
        stretch = joined(chosen)
        stretch = stretch.replace(timestamps=stretch.timestamps - stretch.timestamps[0])
        self.due.append(Window(stretch, start, high if until is None else until, self.last, final))
        return True

    def _vote(self, window: Window, chosen: tuple[dict[str, Any], ...]) -> list[StreamEvent]:
        self._votes.append(chosen[0]["label"])
        label, count = Counter(self._votes).most_common(1)[0]
        if count < self.settings.agree or label in (None, UNKNOWN, self._said) or label != chosen[0]["label"]:
            return []
        if self._said is not None and self.settings.split:
            self._split(window.end - self.settings.window / 2)
        self._said = label
        score = float(chosen[0]["score"])
        return [StreamEvent("partial", window.time, window.start, None, label, score, predictions=chosen)]

    def _clear(self) -> None:
        """The next signing is not this one."""
        self._asked = -np.inf
        self._votes: deque[str | None] = deque(maxlen=self.settings.votes)
        self._said: str | None = None


class StreamPool:
    """Predicts for many streams at once.

    Args:
        pipe: a ``sign-recognition`` pipeline, of torch or onnxruntime.
        batch_size: windows a forward pass.
        **arguments: call arguments of the pipeline, such as ``threshold`` and ``mirror_margin``.

    Raises:
        ValueError: another task's pipeline, a model that sees frames instead of landmarks, or arguments that do not go together.
    """

    def __init__(self, pipe: SignRecognitionPipeline, batch_size: int = 32, **arguments: Any) -> None:
        if isinstance(pipe, ClipPipeline) and not isinstance(pipe, SignRecognitionPipeline):
            raise ValueError(
                f"A stream of signs needs a pipeline of sign-recognition; this one is of {pipe.task_name}."
            )
        if not hasattr(pipe.feature_extractor, "layout"):
            raise ValueError(
                "Live recognition finds signs by their landmarks; a video language model sees none. Give it whole clips."
            )
        pipe.ready(**arguments)
        self.pipe, self.batch_size, self.arguments = pipe, batch_size, arguments

    def predict(self, streams: Iterable[SignStream]) -> list[list[StreamEvent]]:
        """Predict all that is due, and hand it back: the events of each stream."""
        streams = list(streams)
        owners = [(place, window) for place, stream in enumerate(streams) for window in stream.due]
        events: list[list[StreamEvent]] = [[] for _ in streams]
        if not owners:
            return events
        top_k = max(stream.settings.top_k for stream in streams)
        sequences = [window.sequence for _, window in owners]
        answers = self.pipe(sequences, batch_size=self.batch_size, top_k=top_k, **self.arguments)
        for (place, _), answer in zip(owners, answers):
            events[place] += streams[place].answer(answer)
        return events


__all__ = ["SignStream", "StreamPool", "StreamSettings", "Window"]
