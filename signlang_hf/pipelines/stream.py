"""What every stream of landmarks shares: the events, the counts, and telling signing from rest, frame by frame.

Design decisions:

* A stream is pushed and gives events; it reads no camera, waits for nothing and starts no thread. So a server with fifty clients and a
  script with one camera run the same code, and a recorded clip gives the same events every time.
* The gate (:mod:`.gate`) stands before the model: while hands rest nothing is predicted, and resting hands give no sign.
* Time is in seconds on the clock of the frames. A frame that comes late is left out and counted; after a gap the stream begins anew.
* A camera that shows one's mirror image turns a sign round: a stream that is told so (``mirrored``) turns the landmarks back. Where nobody
  knows, and for left-handed signers, the model decides: processors that follow hands (``track_hands``), or ``mirror_margin``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..landmarks.normalize import mirror
from .gate import SigningGate, SignRule

KINDS = ("sign_started", "partial", "sign", "gloss", "sentence", "idle")


@dataclass(frozen=True)
class StreamEvent:
    """What a stream has to say. As text it is short: ``doctor 93 %``, ``unknown 71 %, closest is doctor``, or a sentence.

    Args:
        kind: one of :data:`KINDS`: somebody begins to sign (``sign_started``) and rests again (``idle``); between them a stream of signs
            says what the sign looks like so far (``partial``) and what it was (``sign``), one of sentences each ``gloss`` as it
            becomes final and the ``sentence``.
        time: of the frame that brought it out.
        start, end: of the signing that it is about; ``end`` is None while that goes on.
        label, score: of ``partial``, ``sign`` and ``gloss``; a ``sentence`` has a score alone.
        reason: of ``idle``: ``sign`` or ``sentence`` (it was recognised), ``unknown`` (the model does not know it), ``short`` (no
            sign, only a movement), or ``nothing`` (a sentence without glosses).
        predictions: of ``partial`` and ``sign``, and of ``idle`` after an unknown one: best first.
        glosses: of ``sentence``, as the pipeline gives them: ``{"gloss", "score", "start", "end"}``.
        text: of ``sentence``; None where nothing translates.
        message: what there is to say about the text.
    """

    kind: str
    time: float
    start: float
    end: float | None = None
    label: str | None = None
    score: float | None = None
    reason: str | None = None
    predictions: tuple[dict[str, Any], ...] = ()
    glosses: tuple[dict[str, Any], ...] = ()
    text: str | None = None
    message: str | None = None

    @property
    def answers(self) -> bool:
        """Whether it says what was signed: a sign, a gloss, a sentence, or that the model does not know it."""
        return self.kind in ("sign", "gloss", "sentence") or self.reason == "unknown"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without what is not known."""
        known = {name: value for name, value in asdict(self).items() if value is not None and value != ()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}

    def __str__(self) -> str:
        if self.kind == "sentence":
            return " ".join(sign["gloss"] for sign in self.glosses) if self.text is None else self.text
        if self.label is not None:
            return f"{self.label} {100 * (self.score or 0):.0f} %"
        if not self.predictions:
            return {"sign_started": "signing …"}.get(self.kind, self.reason or self.kind)
        best, *others = self.predictions
        if best["label"] is None:
            return str(best["message"])
        closest = f", closest is {others[0]['label']}" if others else ""
        return f"{best['label']} {100 * best['score']:.0f} %{closest}"


@dataclass
class StreamCounts:
    """What happened to frames and windows: ``frames`` seen, ``late`` ones left out, ``gaps``; ``windows`` predicted, ``coalesced`` ones that
    another had overtaken before their turn came."""

    frames: int = 0
    late: int = 0
    gaps: int = 0
    windows: int = 0
    coalesced: int = 0


class LandmarkStream(ABC):
    """One stream of landmarks, and when somebody signs in it.

    Args:
        rule: when signing starts and ends.
        gap: seconds between two frames after which the stream begins anew.
        confirm: seconds; somebody who has signed for less has not started: a twitch is not said.
        mirrored: whether the landmarks are those of a mirror image.

    Raises:
        ValueError: a gap or ``confirm`` that is not positive.
    """

    def __init__(self, rule: SignRule, *, gap: float = 1.0, confirm: float = 0.2, mirrored: bool = False) -> None:
        for name, value in (("gap", gap), ("confirm", confirm)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; it must be a positive number.")
        self.rule, self.mirrored, self.counts = rule, mirrored, StreamCounts()
        self.last = -np.inf
        """Time of the latest frame."""
        self._gap, self._confirm, self._said_start = gap, confirm, False
        self._frames: deque[LandmarkSequence] = deque()
        self._gate: SigningGate | None = None

    @property
    def signing(self) -> bool:
        """Whether somebody signs."""
        return self._gate is not None and self._gate.start is not None

    def push(self, landmarks: LandmarkSequence) -> list[StreamEvent]:
        """Look at the next frames.

        Args:
            landmarks: in time with each other and with what was pushed before; a layout with hands or wrists.

        Returns:
            what is known with them.

        Raises:
            ValueError: another layout, units or size than before.
        """
        events: list[StreamEvent] = []
        self._check(landmarks)
        if self.mirrored:
            landmarks = mirror(landmarks)
        for number, seconds in enumerate(landmarks.timestamps.tolist()):
            if self.is_late(seconds):
                continue
            if seconds - self.last > self._gap and self._frames:
                self.counts.gaps += 1
                events += self._over()
            self.last = seconds
            self.counts.frames += 1
            events += self._step(seconds, landmarks.frames(slice(number, number + 1)))
        return events

    def is_late(self, seconds: float) -> bool:
        """Whether a frame of that time comes too late; if so it is counted."""
        late = seconds <= self.last
        self.counts.late += late
        return late

    def finish(self) -> list[StreamEvent]:
        """The stream ends: what somebody signs is over. The next frame begins another one, on any clock and of any size."""
        events = self._over()
        self.last, self._gate = -np.inf, None
        return events

    def _over(self) -> list[StreamEvent]:
        gate = self._gate
        if gate is None:
            return []
        events = self._finished(*gate.end(gate.up)) if self.signing else []
        self._frames.clear()
        gate.reset()
        return events

    def _check(self, landmarks: LandmarkSequence) -> None:
        if self._gate is None:
            self._gate = SigningGate(get_layout(landmarks.layout), self.rule)
            self._like = landmarks
        for name in ("layout", "units", "size"):
            ours, theirs = getattr(self._like, name), getattr(landmarks, name)
            if ours != theirs:
                raise ValueError(f"The stream's {name} changes from {ours} to {theirs}; begin a new stream.")

    def _step(self, seconds: float, frame: LandmarkSequence) -> list[StreamEvent]:
        assert self._gate is not None
        gate = self._gate
        self._frames.append(frame)
        isotropic = frame.isotropic() if frame.size is not None else frame
        ended = gate.step(seconds, isotropic.data[0, :, :2], _unit(isotropic))
        if ended is not None:
            return self._finished(*ended)
        if gate.start is None:
            while self._frames[0].timestamps[0] < seconds - self.rule.margin:
                self._frames.popleft()
            return []
        events = []
        if not self._said_start and gate.up - gate.start >= self._confirm:
            self._said_start = True
            events.append(StreamEvent("sign_started", seconds, gate.start))
        return events + self._goes_on(seconds, gate.start, gate.up)

    def _finished(self, start: float, end: float) -> list[StreamEvent]:
        said, self._said_start = self._said_start, False
        events = self._ended(start, end) if end - start >= self.rule.shortest else None
        if events is None:
            return [StreamEvent("idle", self.last, start, end, reason="short")] if said else []
        return events

    @abstractmethod
    def _goes_on(self, seconds: float, start: float, up: float) -> list[StreamEvent]:
        """What is known at ``seconds`` while somebody signs since ``start`` and had a hand up last at ``up``."""

    @abstractmethod
    def _ended(self, start: float, end: float) -> list[StreamEvent] | None:
        """What is known when signing has ended; None where it was none."""


def joined(frames: Sequence[LandmarkSequence]) -> LandmarkSequence:
    """Frames of a stream one after the other, on their own clock."""
    first = frames[0]
    return LandmarkSequence(
        np.concatenate([frame.data for frame in frames]),
        first.layout,
        timestamps=np.concatenate([frame.timestamps for frame in frames]),
        visibility=np.concatenate([frame.visibility for frame in frames]),
        size=first.size,
        units=first.units,
    )


def _unit(frame: LandmarkSequence) -> float:
    """A shoulder width where no shoulders are seen: a third of the picture's shorter side."""
    return min(frame.size) / 3 if frame.size is not None else 1.0  # what `unknown` units measure nobody knows


__all__ = ["KINDS", "LandmarkStream", "StreamCounts", "StreamEvent", "joined"]
