"""The server's end of the worker processes: clips and streams of frames go in, landmarks come out.

Design decisions:

* A stream of frames stays with one process, whose tracker knows it; a clip goes to a process that has nothing else to do, if there is one.
* Each process has a thread here, which asks one thing at a time: a frame of every stream that has one, then a few frames of its clip.
* Nothing waits without an end: the queue of clips is bounded, and of a stream only the latest frames wait; older ones are dropped and counted.
* A process that dies takes its own clip and streams with it, and no others. It is started again, ever more slowly if that does not help.
* A process that does not answer in time is ended, which is the same as dying.
"""

from __future__ import annotations

import base64
import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..landmarks import LandmarkSequence
from ..pose.estimator import estimator_factory
from ..pose.worker import Worker, WorkerDied
from ..video.sampling import mean_rate
from .errors import ServingError, busy, one_line, settle
from .metrics import ServerMetrics
from .settings import ServerSettings

logger = logging.getLogger(__name__)

_WAITING = 2  # frames of a stream
_START = 180.0  # seconds in which a process has loaded its models
_LOG = 1 << 20  # bytes of a process's own messages that are kept
_AGAIN = (0.1, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before the next try to start a process
_STARTS = (ImportError, OSError, ValueError, RuntimeError)  # what a process that cannot be set up raises


class Frame(NamedTuple):
    """Landmarks of a frame: ``points`` (K, 3) and ``visibility`` (K,) or None, shown at ``seconds``; ``size`` of the picture."""

    seconds: float
    points: np.ndarray
    visibility: np.ndarray | None
    size: tuple[int, int] | None


@dataclass
class Estimated:
    """Landmarks of a clip, what kind of file it was (``video`` or ``image``), what took how long (ms), and what to know about it."""

    sequence: LandmarkSequence
    kind: str
    timings: dict[str, float]
    warnings: list[str]


@dataclass
class _Clip:
    path: str
    deadline: float
    future: Future[Estimated] = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)
    opened: dict[str, Any] | None = None
    parts: list[dict[str, Any]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class EstimatorWorker(Worker):
    """A process that finds landmarks for the server, see :mod:`.estimator_process`."""

    program = "from signlang_hf.serving.estimator_process import main; main()"

    def __init__(self, settings: ServerSettings) -> None:
        super().__init__(estimator_factory(settings.estimator), settings.estimator_arguments, settings.workers)
        names = ("max_pixels", "max_seconds", "max_frames")
        self._setup["limits"] = {name: getattr(settings, name) for name in names}
        self.asked: float | None = None
        """When it was asked what it has not answered yet."""

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        process = self._process
        return None if process is None else process.pid

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """As in :class:`Worker`; ServingError where the process says what is wrong with the data."""
        self.asked = time.monotonic()
        try:
            answer = super().run(task)
        finally:
            self.asked = None
        if os.fstat(self._errors.fileno()).st_size > _LOG:  # MediaPipe talks, and the server runs for months
            self._errors.seek(0)
            self._errors.truncate()
        if "error" in answer:
            raise ServingError(answer["code"], answer["error"])
        return answer

    def end(self) -> None:
        """End the process; whoever waits for its answer hears that it died."""
        process = self._process
        if process is not None:
            process.kill()


class FrameStream:
    """A stream of frames on its way through a process.

    Args:
        pool: that it belongs to.
        deliver: takes each frame's landmarks, in order, in the thread of the process.
        fail: takes the error after which there is nothing more.
    """

    def __init__(
        self, pool: EstimatorPool, number: int, deliver: Callable[[Frame], None], fail: Callable[[ServingError], None]
    ) -> None:
        self.number, self.deliver, self.fail = number, deliver, fail
        self.pending: deque[tuple[float, bytes]] = deque()
        self.dropped = 0
        self._pool = pool
        self._when_empty: Callable[[], None] | None = None
        self._at_work = False

    def put(self, seconds: float, jpeg: bytes) -> bool:
        """The next frame; False if an older one was dropped for it."""
        with self._pool.changed:
            fits = len(self.pending) < _WAITING
            if not fits:
                self.pending.popleft()
                self.dropped += 1
            self.pending.append((seconds, jpeg))
            self._pool.changed.notify_all()
        if not fits:
            self._pool.metrics.frames.labels("dropped").inc()
        return fits

    def when_empty(self, then: Callable[[], None]) -> None:
        """Call this, in any thread, once all frames that wait have been looked at."""
        with self._pool.changed:
            if self.pending or self._at_work:
                self._when_empty = then
                return
        then()

    def close(self) -> None:
        """No more frames; the place is free for another stream."""
        self._pool.forget(self)

    def _take(self) -> tuple[float, bytes]:
        self._at_work = True
        return self.pending.popleft()

    def _taken(self) -> Callable[[], None] | None:
        self._at_work = False
        if self.pending:
            return None
        then, self._when_empty = self._when_empty, None
        return then


class _Slot:
    """A process, its thread and what it has to do."""

    def __init__(self, worker: EstimatorWorker) -> None:
        self.worker = worker
        self.streams: dict[int, FrameStream] = {}
        self.over: list[int] = []
        self.clip: _Clip | None = None
        self.up = self.idle = False
        self.thread: threading.Thread | None = None


class EstimatorPool:
    """All processes of a server.

    Args:
        settings: of the server.
        metrics: where it counts.
    """

    def __init__(self, settings: ServerSettings, metrics: ServerMetrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.changed = threading.Condition()
        self.layout = ""
        """Of the landmarks that are found; known once a process is up."""
        self.failure: str | None = None
        """Why the processes could not be started at all."""
        self._slots = [_Slot(EstimatorWorker(settings)) for _ in range(settings.workers)]
        self._queue: deque[_Clip] = deque()
        self._numbers = itertools.count(1)
        self._closing = threading.Event()
        metrics.watch_queue("clips", lambda: len(self._queue))
        metrics.workers.set_function(lambda: float(sum(slot.up for slot in self._slots)))

    @property
    def ready(self) -> bool:
        """Whether all processes are up."""
        return all(slot.up for slot in self._slots)

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [pid for slot in self._slots if (pid := slot.worker.pid) is not None]

    def start(self) -> None:
        """Start the processes; they come up in the background."""
        for slot in self._slots:
            slot.thread = threading.Thread(target=self._serve, args=(slot,), name="signlang-estimator", daemon=True)
            slot.thread.start()
        threading.Thread(target=self._watch, name="signlang-watchdog", daemon=True).start()

    def close(self) -> None:
        """End the processes; what still waits fails."""
        self._closing.set()
        for slot in self._slots:
            slot.worker.close()
        with self.changed:
            self.changed.notify_all()
        for slot in self._slots:
            if slot.thread is not None:
                slot.thread.join(10)
        for clip in self._queue:
            settle(clip.future, busy("The server is shutting down."))
        self._queue.clear()

    def clip(self, path: str, seconds: float) -> Future[Estimated]:
        """Find the landmarks in a file within ``seconds``; the future can be cancelled.

        Raises:
            ServingError: ``unavailable``: too many clips wait already, or no process is up.
        """
        clip = _Clip(path, time.monotonic() + seconds)
        with self.changed:
            if self._closing.is_set():
                raise busy("The server is shutting down.")
            if not any(slot.up for slot in self._slots):
                raise busy("No worker process is up yet; try again in a moment.")
            if len(self._queue) >= self.settings.queue_size:
                raise busy("All workers are busy and the queue is full; try again in a moment.")
            self._queue.append(clip)
            self.changed.notify_all()
        return clip.future

    def stream(self, deliver: Callable[[Frame], None], fail: Callable[[ServingError], None]) -> FrameStream:
        """Begin a stream of frames with the process that follows the fewest.

        Raises:
            ServingError: ``unavailable``: none has a place, or none is up.
        """
        with self.changed:
            free = [slot for slot in self._slots if slot.up and len(slot.streams) < self.settings.streams_per_worker]
            if not free or self._closing.is_set():
                raise busy("The server follows as many cameras as it can; try again later, or send landmarks.", 10)
            slot = min(free, key=lambda one: (len(one.streams), one.clip is not None))
            stream = FrameStream(self, next(self._numbers), deliver, fail)
            slot.streams[stream.number] = stream
            return stream

    def forget(self, stream: FrameStream) -> None:
        """A stream is over."""
        with self.changed:
            for slot in self._slots:
                if slot.streams.pop(stream.number, None) is not None:
                    slot.over.append(stream.number)
                    self.changed.notify_all()

    def _serve(self, slot: _Slot) -> None:
        """The thread of a process."""
        self._bring_up(slot, first=True)
        if not slot.up:
            return
        while not self._closing.is_set():
            frames, over, clip = self._next(slot)
            try:
                for number in over:
                    slot.worker.run({"do": "forget", "stream": number})
                for stream, frame in frames:
                    self._look(slot, stream, frame)
                if clip is not None:
                    self._read_on(slot, clip)
            except WorkerDied as error:
                self._died(slot, error)

    def _next(self, slot: _Slot) -> tuple[list[tuple[FrameStream, tuple[float, bytes]]], list[int], _Clip | None]:
        with self.changed:
            while True:
                frames = [(stream, stream._take()) for stream in slot.streams.values() if stream.pending]
                over, slot.over = slot.over, []
                if slot.clip is None and self._queue and not self._is_for_another(slot):
                    slot.clip = self._queue.popleft()
                if frames or over or slot.clip is not None or self._closing.is_set():
                    slot.idle = False
                    return frames, over, slot.clip
                slot.idle = True
                self.changed.wait()

    def _is_for_another(self, slot: _Slot) -> bool:
        """Whether a clip had better go to a process that follows no stream."""
        return bool(slot.streams) and any(one.up and one.idle and not one.streams for one in self._slots)

    def _look(self, slot: _Slot, stream: FrameStream, frame: tuple[float, bytes]) -> None:
        seconds, jpeg = frame
        task = {"do": "frame", "stream": stream.number, "seconds": seconds, "jpeg": base64.b64encode(jpeg).decode()}
        try:
            answer = slot.worker.run(task)
        except ServingError as error:
            self.forget(stream)
            stream.fail(error)
            return
        for stage in ("decode", "pose"):
            self.metrics.took(stage, answer[stage])
        (points,), (visibility,) = _arrays(answer)
        stream.deliver(Frame(seconds, points, visibility, tuple(answer["size"])))
        with self.changed:
            then = stream._taken()
        if then is not None:
            then()

    def _read_on(self, slot: _Slot, clip: _Clip) -> None:
        """The next frames of a clip."""
        future = clip.future
        try:
            if future.cancelled():
                raise ServingError("unavailable", "Nobody waits for the answer.")
            if time.monotonic() > clip.deadline:
                raise ServingError("timeout", "The clip took too long to read; send a shorter one.")
            if clip.opened is None:
                self.metrics.took("queue", time.monotonic() - clip.submitted, clip.timings)
                clip.opened = slot.worker.run({"do": "open", "path": clip.path})
                return
            answer = slot.worker.run({"do": "next", "path": clip.path})
            clip.warnings += answer["warnings"]
            if not answer["last"]:
                clip.parts.append(answer)
                return
            self._finish(clip)
        except ServingError as error:
            settle(clip.future, error)
            slot.worker.run({"do": "drop"})
        slot.clip = None

    def _finish(self, clip: _Clip) -> None:
        assert clip.opened is not None
        if not clip.parts:
            raise ServingError("bad_input", "The video holds no frame that can be decoded; it is cut off or damaged.")
        for stage in ("decode", "pose"):
            self.metrics.took(stage, sum(part[stage] for part in clip.parts), clip.timings)
        pieces = [_arrays(part) for part in clip.parts]
        times = np.array([seconds for part in clip.parts for seconds in part["times"]])
        sequence = LandmarkSequence(
            np.concatenate([points for points, _ in pieces]),
            clip.opened["layout"],
            timestamps=times,
            visibility=np.concatenate([visibility for _, visibility in pieces]),
            fps=mean_rate(times),
            size=tuple(clip.parts[0]["size"]),
        )
        settle(clip.future, Estimated(sequence, clip.opened["kind"], clip.timings, clip.warnings))

    def _died(self, slot: _Slot, error: BaseException) -> None:
        if self._closing.is_set():
            reason = busy("The server is shutting down.")
        else:
            logger.error("a worker process died", extra={"reason": one_line(error)})
            reason = busy("The process that looked at the frames has died; try again.")
        with self.changed:
            streams, slot.streams, slot.over = list(slot.streams.values()), {}, []
            clip, slot.clip, slot.up = slot.clip, None, False
        if clip is not None:
            settle(clip.future, reason)
        for stream in streams:
            stream.fail(reason)
        if not self._closing.is_set():
            self.metrics.restarts.inc()
            self._bring_up(slot)

    def _bring_up(self, slot: _Slot, first: bool = False) -> None:
        """Start the process; at a server's start a fault in its set-up is final, later it is tried again and again."""
        for pause in itertools.chain(_AGAIN, itertools.repeat(_AGAIN[-1])):
            try:
                layout = slot.worker.run({"do": "ping"})["layout"]
            except (WorkerDied, *_STARTS) as error:
                if self._closing.is_set():
                    return
                logger.error("a worker process cannot be started", extra={"reason": one_line(error)})
                if first:
                    self.failure = one_line(error)
                    return
                if self._closing.wait(pause):
                    return
            else:
                with self.changed:
                    self.layout, slot.up = layout, True
                return

    def _watch(self) -> None:
        """End the processes that do not answer."""
        while not self._closing.wait(min(0.5, self.settings.worker_timeout / 4)):
            for slot in self._slots:
                asked = slot.worker.asked
                limit = self.settings.worker_timeout if slot.up else _START
                if asked is not None and time.monotonic() - asked > limit:
                    logger.error("a worker process does not answer", extra={"seconds": limit})
                    slot.worker.end()


def _arrays(answer: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(t, K, 3) points and (t, K) visibility of an answer."""
    count = answer["points"]
    points = np.frombuffer(base64.b64decode(answer["data"]), "<f4").reshape(-1, count, 3)
    return points, np.frombuffer(base64.b64decode(answer["visibility"]), "<f4").reshape(-1, count)


__all__ = ["Estimated", "EstimatorPool", "EstimatorWorker", "Frame", "FrameStream"]
