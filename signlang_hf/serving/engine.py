"""One thread a model: it pushes the landmarks of all streams, and predicts whatever is due, of streams and of requests, in one batch.

Design decisions:

* Nothing of a model or a stream is ever touched by two threads, so there is nothing to lock but the queues.
* A clip or a window waits ``max_wait_ms`` for company, and not at all once a batch is full. So one client alone is answered at once,
  and fifty share the forward passes.
* Landmarks are never lost: a client that sends faster than they are looked at is read more slowly (:attr:`LiveSession.crowded`). What a
  stream looks like so far may be overtaken by a newer window, what a sign was never is.
* Every stream gets its turn with at most ``_TURN`` frames, so that a recording sent at once does not hold up the others.
* If a batch fails, each of its clips is read alone, and only those that fail by themselves get the error.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..landmarks import LandmarkSequence
from .errors import ServingError, busy, one_line, settle
from .estimators import Frame
from .metrics import ServerMetrics
from .models import ServedModel

logger = logging.getLogger(__name__)

CROWDED = 256
"""Frames of a stream that may wait before its client is read more slowly."""
_TURN = 32  # frames of a stream before another one's turn
_FASTEST = 1 / 250  # seconds between two frames; what comes sooner adds nothing
_INPUT_ERRORS = (ValueError, TypeError, ArithmeticError, IndexError)  # what the library raises about a clip


class Answered(NamedTuple):
    """A model's answer to a clip, and how long the batch took that it was read in, in milliseconds."""

    answer: Any
    features: float
    model: float


@dataclass
class _Clip:
    sequence: LandmarkSequence
    future: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class LiveSession:
    """A client's stream on its way through a model's thread.

    Args:
        engine: of the model.
        layout, units: of the landmarks.
        mirrored: whether they are those of a mirror image.
        say: takes messages for the client, in the engine's thread.
        echo: whether the landmarks themselves are wanted back.
        roomy: called in the engine's thread when a crowded stream has room again.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        layout: str,
        units: str = "image",
        mirrored: bool = False,
        say: Callable[[list[dict[str, Any]]], None],
        echo: bool = False,
        roomy: Callable[[], None] = lambda: None,
    ) -> None:
        self.layout, self.units, self.say, self.echo, self.roomy = layout, units, say, echo, roomy
        self.stream, self.due = engine.model.stream(mirrored)
        self.inbox: deque[Frame] = deque()
        self.finishing = self.closed = False
        self.dropped = 0  # frames that never became landmarks, for the counts at the end
        self._engine = engine
        self._size: tuple[int, int] | None = None

    @property
    def crowded(self) -> bool:
        """Whether more frames wait than should."""
        return len(self.inbox) >= CROWDED

    def put(self, frames: Iterable[Frame]) -> None:
        """The next frames, from any thread."""
        self.inbox.extend(frames)
        self._engine.wake(self)

    def finish(self) -> None:
        """What is being signed is over; ``stopped`` follows when all is said."""
        self.finishing = True
        self._engine.wake(self)

    def close(self) -> None:
        """Nobody listens any more."""
        self.closed = True
        self._engine.wake(self)

    def advance(self, metrics: ServerMetrics) -> None:
        """Look at the frames that wait; in the engine's thread."""
        was_crowded = self.crowded
        events: list[Any] = []
        run: list[Frame] = []
        for _ in range(min(len(self.inbox), _TURN)):
            frame = self.inbox.popleft()
            last = run[-1].seconds if run else self.stream.last
            if frame.seconds - last < _FASTEST:
                self.stream.counts.late += 1
                metrics.frames.labels("late").inc()
                continue
            if (
                frame.size != self._size
            ):  # a phone that was turned: another stream, for what measures lengths in pictures
                events += self._push(run, metrics)
                if self._size is not None:
                    events += self.stream.finish()
                run, self._size = [], frame.size
            run.append(frame)
        events += self._push(run, metrics)
        if self.finishing and not self.inbox:
            events += self.stream.finish()
        messages = [message(event) for event in events]
        if messages:
            self.say(messages)
        if was_crowded and not self.crowded:
            self.roomy()

    def _push(self, frames: list[Frame], metrics: ServerMetrics) -> list[Any]:
        if not frames:
            return []
        seen = [frame.visibility for frame in frames]
        points = np.stack([frame.points for frame in frames])
        if any(one is not None for one in seen):
            seen = [np.ones(points.shape[1], np.float32) if one is None else one for one in seen]
        sequence = LandmarkSequence(
            points,
            self.layout,
            timestamps=np.array([frame.seconds for frame in frames]),
            visibility=None if seen[0] is None else np.stack(seen),
            size=self._size,
            units=self.units,
        )
        metrics.frames.labels("used").inc(len(frames))
        if self.echo:
            self.say([_landmarks(frame, self.layout) for frame in frames])
        return self.stream.push(sequence)


class Engine:
    """The thread of one model.

    Args:
        model: that it runs.
        metrics: where it counts.
        max_batch, max_wait_ms: of a batch.
        queue_size: clips that may wait.
    """

    def __init__(
        self, model: ServedModel, metrics: ServerMetrics, *, max_batch: int, max_wait_ms: float, queue_size: int
    ) -> None:
        self.model, self.metrics = model, metrics
        self._max_batch, self._max_wait, self._queue_size = max_batch, max_wait_ms / 1000, queue_size
        self._changed = threading.Condition()
        self._clips: deque[_Clip] = deque()
        self._awake: dict[LiveSession, None] = {}
        self._due: dict[LiveSession, float] = {}  # since when; in the thread alone
        self._took = 0.0, 0.0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"signlang-model-{model.name}", daemon=True)
        metrics.watch_queue(f"model:{model.name}", lambda: len(self._clips))

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(30)

    def predict(self, sequence: LandmarkSequence) -> Future[Answered]:
        """The model's answer to a clip (:class:`Answered`).

        Raises:
            ServingError: ``unavailable``: too many wait already.
        """
        clip = _Clip(sequence)
        with self._changed:
            if self._closing:
                raise busy("The server is shutting down.")
            if len(self._clips) >= self._queue_size:
                raise busy("Too many clips wait for the model; try again in a moment.")
            self._clips.append(clip)
            self._changed.notify_all()
        return clip.future

    def wake(self, session: LiveSession) -> None:
        """A session has something to do."""
        with self._changed:
            self._awake[session] = None
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            sessions = self._wait()
            if sessions is None:
                return
            try:
                for session in sessions:
                    self._advance(session)
                batch = self._batch()
                if batch:
                    self._predict(batch)
                for session in sessions:
                    self._end(session)
            except Exception:  # the thread is the model's only one
                logger.exception("a round of a model failed")

    def _wait(self) -> list[LiveSession] | None:
        """The sessions that have something to do; None when all is done and the server stops."""
        with self._changed:
            while True:
                if self._awake:
                    sessions, self._awake = list(self._awake), {}
                    return sessions
                since = self._oldest()
                if since is None:
                    if self._closing:
                        return None
                    self._changed.wait()
                    continue
                left = since + self._max_wait - time.monotonic()
                if left <= 0 or self._closing or self._waiting() >= self._max_batch:
                    return []
                self._changed.wait(left)

    def _oldest(self) -> float | None:
        first = [self._clips[0].since] if self._clips else []
        return min([*first, *self._due.values()], default=None)

    def _waiting(self) -> int:
        return len(self._clips) + sum(len(session.due) for session in self._due)

    def _advance(self, session: LiveSession) -> None:
        if session.closed:
            self._due.pop(session, None)
            return
        try:
            session.advance(self.metrics)
        except _INPUT_ERRORS as error:
            self._fail(session, ServingError("bad_message", one_line(error)))
        except Exception:
            logger.exception("a stream failed")
            self._fail(session, ServingError("internal", "The server failed at this stream; begin a new one."))
        else:
            if session.due:
                self._due.setdefault(session, time.monotonic())
            if session.inbox:
                self.wake(session)

    def _fail(self, session: LiveSession, error: ServingError) -> None:
        session.closed = True
        self._due.pop(session, None)
        session.say([error.message])

    def _end(self, session: LiveSession) -> None:
        """Say that a session is over, once there is nothing left to say before."""
        if session.closed or not session.finishing or session.inbox:
            return
        if session.due:  # it ends when they are answered
            return
        session.closed = True
        counts = vars(session.stream.counts) | {"dropped": session.dropped}
        session.say([{"type": "stopped", "counts": counts}])

    def _batch(self) -> list[_Clip | LiveSession]:
        """What is read next: of clips and streams one each in turn, a session once for each of its windows."""
        since = self._oldest()
        if since is None:
            return []
        if self._waiting() < self._max_batch and time.monotonic() < since + self._max_wait and not self._closing:
            return []
        sessions = sorted(self._due, key=self._due.__getitem__)
        windows: deque[LiveSession] = deque(session for session in sessions for _ in session.due)
        batch: list[_Clip | LiveSession] = []
        with self._changed:
            while len(batch) < self._max_batch and (self._clips or windows):
                if self._clips:
                    batch.append(self._clips.popleft())
                if windows and len(batch) < self._max_batch:
                    batch.append(windows.popleft())
        return batch

    def _predict(self, batch: list[_Clip | LiveSession]) -> None:
        places: dict[LiveSession, int] = {}
        sequences = []
        for one in batch:
            if isinstance(one, _Clip):
                sequences.append(one.sequence)
            else:
                place = places.get(one, 0)
                places[one] = place + 1
                sequences.append(one.due[place].sequence)
        for one, answer in zip(batch, self._answers(sequences)):
            if isinstance(one, _Clip):
                settle(one.future, answer if isinstance(answer, Exception) else Answered(answer, *self._took))
            elif not one.closed:
                self._answer(one, answer)
        now = time.monotonic()
        for session in places:
            self._due.pop(session, None)
            if session.due and not session.closed:
                self._due[session] = now
            self._end(session)

    def _answer(self, session: LiveSession, answer: Any) -> None:
        if isinstance(answer, ServingError):
            self._fail(session, ServingError("internal" if answer.code == "internal" else "bad_message", answer.detail))
            return
        messages = [message(event) for event in session.stream.answer(answer)]  # type: ignore[attr-defined]
        if messages:
            session.say(messages)

    def _answers(self, sequences: list[LandmarkSequence]) -> list[Any]:
        """An answer, or the error in its place, for each."""
        self.metrics.batch_size.observe(len(sequences))
        started, features = time.perf_counter(), self.model.seconds_of_features
        try:
            answers = [_checked(answer) for answer in self.model.predict(sequences)]
        except Exception as error:
            if len(sequences) > 1:
                return [answer for sequence in sequences for answer in self._answers([sequence])]
            if isinstance(error, ServingError):
                return [error]
            if isinstance(error, _INPUT_ERRORS):
                return [ServingError("bad_input", one_line(error))]
            logger.exception("a model failed")
            return [ServingError("internal", "The model failed at this clip.")]
        features = self.model.seconds_of_features - features
        network = max(time.perf_counter() - started - features, 0.0)
        self.metrics.took("features", features)
        self.metrics.took("model", network)
        self._took = round(1000 * features, 3), round(1000 * network, 3)
        return answers


def message(event: Any) -> dict[str, Any]:
    """An event as the client gets it."""
    values = event.to_dict()
    return {"type": values.pop("kind"), **values}


def _landmarks(frame: Frame, layout: str) -> dict[str, Any]:
    points = frame.points[:, :2].astype(float).round(5).tolist()
    seen = np.isfinite(frame.points[:, 0]).tolist()
    points = [point if there else None for point, there in zip(points, seen)]
    return {"type": "landmarks", "time": frame.seconds, "points": points, "layout": layout}


def _checked(answer: Any) -> Any:
    """The answer, if its scores are numbers: landmarks that lie beyond all measure can make a network answer NaN."""
    rows = answer if isinstance(answer, list) else [answer]
    if not all(math.isfinite(row["score"]) for row in rows):
        raise ServingError("bad_input", "The model can make nothing of these landmarks; are the coordinates right?")
    return answer


__all__ = ["CROWDED", "Answered", "Engine", "LiveSession", "message"]
