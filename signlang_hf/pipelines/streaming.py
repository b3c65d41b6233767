"""Signs out of a stream of frames or landmarks, as events: signing starts, what it looks like so far, the sign, rest.

Design decisions:

* A stream only decides; it neither waits nor computes a network. :meth:`SignStream.push` says what has happened and keeps what is to be
  predicted (:attr:`SignStream.due`); :class:`StreamPool` predicts for many streams in one batch. So a server with fifty clients and a script
  with one camera run the same code, and a recorded clip gives the same events every time.
* The gate (:mod:`.gate`) stands before the model: while hands rest nothing is predicted, and resting hands give no sign.
* While somebody signs, a sliding window is predicted every ``stride`` seconds. The majority of the last ``votes`` answers is what the sign
  looks like so far (``partial``); one that changes its mind for less than ``agree`` windows is not heard.
* The sign itself is decided once, on all of it: when hands have come to rest, or when another sign has won the majority. So it is said
  once however long it is held. What the model does not know (its own threshold) is no sign: ``idle`` says ``unknown`` then.
* Time is in seconds on the clock of the frames. A frame that comes late is left out and counted; over a gap of more than ``gap`` the
  stream begins anew. A window that another one has overtaken is left out and counted, a sign never.
* Left-handed signers and mirrored cameras are the pipeline's matter: processors that follow hands (``track_hands``), or ``mirror_margin``.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..video.reading import check_frames
from .gate import SigningGate, SignRule
from .sign_recognition import UNKNOWN, SignRecognitionPipeline

KINDS = ("sign_started", "partial", "sign", "idle")
_SHORTEST = 3  # frames; with fewer there is nothing to see


@dataclass(frozen=True)
class StreamEvent:
    """What a stream has to say.

    Args:
        kind: one of :data:`KINDS`.
        time: of the frame that brought it out.
        start, end: of the signing that it is about; ``end`` is None while that goes on.
        label, score: of ``partial`` and ``sign``.
        reason: of ``idle``: ``sign`` (it was recognised), ``unknown`` (the model does not know it), or ``short`` (no sign, only a movement).
        predictions: of ``partial`` and ``sign``, and of ``idle`` after an unknown one: best first.
    """

    kind: str
    time: float
    start: float
    end: float | None = None
    label: str | None = None
    score: float | None = None
    reason: str | None = None
    predictions: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without what is not known."""
        plain = {name: value for name, value in asdict(self).items() if value is not None}
        return {**plain, "predictions": list(self.predictions)} if self.predictions else _without(plain, "predictions")


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
    top_k: int = 3

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name not in ("rule", "split") and not 0 < value < float("inf"):
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


@dataclass
class StreamCounts:
    """What happened to frames and windows: ``frames`` seen, ``late`` ones left out, ``gaps``; ``windows`` predicted, ``coalesced`` ones that
    another had overtaken before their turn came."""

    frames: int = 0
    late: int = 0
    gaps: int = 0
    windows: int = 0
    coalesced: int = 0


class SignStream:
    """One stream of landmarks.

    Args:
        settings: how it decides.

    Example:
        >>> stream, pool = SignStream(), StreamPool(pipeline("sign-recognition"))
        >>> for piece in pieces:  # LandmarkSequences with time stamps, of one frame or more
        ...     for event in [*stream.push(piece), *pool.predict([stream])[0]]:
        ...         print(event.kind, event.label)
    """

    def __init__(self, settings: StreamSettings | None = None) -> None:
        self.settings = settings or StreamSettings()
        self.counts = StreamCounts()
        self.due: deque[Window] = deque()
        """What is to be predicted, in order; :meth:`answer` takes the answers in the same order."""
        self._clear()
        self._since = -np.inf  # windows of signing before that vote no more
        self._frames: deque[LandmarkSequence] = deque()
        self._gate: SigningGate | None = None
        self._last = -np.inf

    @property
    def signing(self) -> bool:
        """Whether somebody signs."""
        return self._gate is not None and self._gate.start is not None

    def push(self, landmarks: LandmarkSequence) -> list[StreamEvent]:
        """Look at the next frames.

        Args:
            landmarks: in time with each other and with what was pushed before; a layout with hands or wrists.

        Returns:
            what is known with them already. What the model has to say comes from :meth:`answer`.

        Raises:
            ValueError: another layout, units or size than before.
        """
        events: list[StreamEvent] = []
        self._check(landmarks)
        for number, seconds in enumerate(landmarks.timestamps.tolist()):
            if seconds <= self._last:
                self.counts.late += 1
                continue
            if seconds - self._last > self.settings.gap and self._frames:
                self.counts.gaps += 1
                events += self.finish()
            self._last = seconds
            self.counts.frames += 1
            events += self._step(seconds, landmarks.frames(slice(number, number + 1)))
        return events

    def finish(self) -> list[StreamEvent]:
        """The stream ends, or pauses: what somebody signs is over. The next frame begins a new one."""
        events = self._ended(*self._gate.end(self._gate.up)) if self._gate is not None and self.signing else []
        self._frames.clear()
        if self._gate is not None:
            self._gate.reset()
        return events

    def answer(self, predictions: Sequence[dict[str, Any]]) -> list[StreamEvent]:
        """What follows from the answer to the first window that is due: the pipeline's predictions about it."""
        window = self.due.popleft()
        self.counts.windows += 1
        chosen = tuple(predictions[: self.settings.top_k])
        known = chosen[0]["label"] not in (None, UNKNOWN)
        if not window.final:
            return self._vote(window, chosen) if window.start >= self._since else []
        span = {"start": window.start, "end": window.end}
        if not known:
            return [StreamEvent("idle", window.time, **span, reason="unknown", predictions=chosen)]
        best = {"label": chosen[0]["label"], "score": float(chosen[0]["score"])}
        return [
            StreamEvent("sign", window.time, **span, **best, predictions=chosen),
            StreamEvent("idle", window.time, **span, reason="sign"),
        ]

    def _check(self, landmarks: LandmarkSequence) -> None:
        if self._gate is None:
            self._gate = SigningGate(get_layout(landmarks.layout), self.settings.rule)
            self._like = landmarks
        for name in ("layout", "units", "size"):
            ours, theirs = getattr(self._like, name), getattr(landmarks, name)
            if ours != theirs:
                raise ValueError(f"The stream's {name} changes from {ours} to {theirs}; begin a new stream.")

    def _step(self, seconds: float, frame: LandmarkSequence) -> list[StreamEvent]:
        assert self._gate is not None
        rule, gate = self.settings.rule, self._gate
        self._frames.append(frame)
        isotropic = frame.isotropic() if frame.size is not None else frame
        ended = gate.step(seconds, isotropic.data[0, :, :2], _unit(isotropic))
        if ended is not None:
            return self._ended(*ended)
        if gate.start is None:
            while self._frames[0].timestamps[0] < seconds - rule.margin:
                self._frames.popleft()
            return []
        events = []
        if not self._started and gate.up - gate.start >= self.settings.confirm:
            self._started = True
            events.append(StreamEvent("sign_started", seconds, gate.start))
        ready = gate.up - gate.start >= rule.shortest
        if ready and seconds - self._asked >= self.settings.stride - 1e-9:
            self._asked = seconds
            self._ask(max(gate.start - rule.margin, seconds - self.settings.window), seconds, gate.start, final=False)
        return events

    def _ended(self, start: float, end: float) -> list[StreamEvent]:
        rule, started = self.settings.rule, self._started
        self._clear()
        self._since = end
        if end - start < rule.shortest or not self._ask(
            start - rule.margin, end + rule.margin, start, final=True, until=end
        ):
            return [StreamEvent("idle", self._last, start, end, reason="short")] if started else []
        return []

    def _split(self, moment: float) -> None:
        """Another sign has won the majority: the one before it is over, and signing goes on."""
        gate = self._gate
        if gate is None or gate.start is None or moment - gate.start < self.settings.rule.shortest:
            return
        self._ask(gate.start - self.settings.rule.margin, moment, gate.start, final=True)
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
        self.due.append(Window(_joined(chosen), start, high if until is None else until, self._last, final))
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
        self._started, self._asked = False, -np.inf
        self._votes: deque[str | None] = deque(maxlen=self.settings.votes)
        self._said: str | None = None


class StreamPool:
    """Predicts for many streams at once.

    Args:
        pipe: a ``sign-recognition`` pipeline, of torch or onnxruntime.
        batch_size: windows a forward pass.
        **arguments: call arguments of the pipeline, such as ``threshold`` and ``mirror_margin``.
    """

    def __init__(self, pipe: SignRecognitionPipeline, batch_size: int = 32, **arguments: Any) -> None:
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


class StreamingSigns:
    """A camera or a clip in front of one stream: frames or landmarks go in, events come out at once.

    Args:
        pipe: a ``sign-recognition`` pipeline; frames are looked at by its pose estimator.
        settings: how the stream decides.
        **arguments: call arguments of the pipeline.

    Example:
        >>> signs = StreamingSigns(pipeline("sign-recognition"))
        >>> for seconds, frame in camera:  # frame (H, W, 3) uint8 RGB
        ...     for event in signs.process(frame, seconds):
        ...         print(event.kind, event.label)
    """

    def __init__(self, pipe: SignRecognitionPipeline, settings: StreamSettings | None = None, **arguments: Any) -> None:
        self.stream, self.pool = SignStream(settings), StreamPool(pipe, **arguments)
        self._fresh = True
        self.landmarks: LandmarkSequence | None = None
        """What was found in the latest frame."""

    @property
    def signing(self) -> bool:
        """Whether somebody signs."""
        return self.stream.signing

    def process(self, frame: np.ndarray, timestamp: float) -> list[StreamEvent]:
        """Look at the next frame, (H, W, 3) uint8 RGB, taken at ``timestamp`` seconds. A late one is left out.

        Raises:
            ValueError: not such a frame, or one of another size than before.
        """
        frame = np.asarray(frame)
        check_frames(frame[None])
        if not np.isfinite(timestamp):
            raise ValueError(f"The frame's time stamp is {timestamp}; it must be seconds.")
        estimator = self.pool.pipe.estimator
        if self._fresh:
            estimator.reset()
            self._fresh = False
        found = estimator.detect(frame, timestamp)
        size = (frame.shape[1], frame.shape[0])
        self.landmarks = estimator.sequence([found], np.array([float(timestamp)]), size)
        return self.push(self.landmarks)

    def push(self, landmarks: LandmarkSequence) -> list[StreamEvent]:
        """Look at the next landmarks, see :meth:`SignStream.push`."""
        return [*self.stream.push(landmarks), *self._predicted()]

    def finish(self) -> list[StreamEvent]:
        """The stream ends; the next frame begins a new one."""
        self._fresh = True
        return [*self.stream.finish(), *self._predicted()]

    def _predicted(self) -> list[StreamEvent]:
        return self.pool.predict([self.stream])[0]


def _unit(frame: LandmarkSequence) -> float:
    """A shoulder width where no shoulders are seen: a third of the picture's shorter side."""
    return min(frame.size) / 3 if frame.size is not None else 1.0  # what `unknown` units measure nobody knows


def _joined(frames: Sequence[LandmarkSequence]) -> LandmarkSequence:
    """Frames one after the other, the first at time 0."""
    first = frames[0]
    clock = np.concatenate([frame.timestamps for frame in frames])
    return LandmarkSequence(
        np.concatenate([frame.data for frame in frames]),
        first.layout,
        timestamps=clock - clock[0],
        visibility=np.concatenate([frame.visibility for frame in frames]),
        size=first.size,
        units=first.units,
    )


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


__all__ = [
    "KINDS",
    "SignStream",
    "StreamCounts",
    "StreamEvent",
    "StreamPool",
    "StreamSettings",
    "StreamingSigns",
    "Window",
]
