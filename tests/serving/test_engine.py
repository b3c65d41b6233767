"""Batches: who shares one, that answers go to their askers, and that a bad clip spoils none but itself."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.pipelines.stream import StreamCounts
from signlang_hf.pipelines.streaming import Window
from signlang_hf.serving.engine import CROWDED, Engine, LiveSession
from signlang_hf.serving.errors import ServingError
from signlang_hf.serving.estimators import Frame
from signlang_hf.serving.metrics import ServerMetrics


def clip(number: float, frames: int = 5) -> LandmarkSequence:
    return LandmarkSequence(np.full((frames, 42, 3), number, np.float32), "hands-42", size=(640, 360))


class Counting:
    """A model that answers with the number in a clip; it notes its batches, and fails at clips of negative numbers."""

    name, mode = "counting", "signs"

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.seconds_of_features = 0.0
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, sequences):
        self.gate.wait(10)
        numbers = [float(one.data[0, 0, 0]) for one in sequences]
        self.batches.append(numbers)
        if min(numbers) < 0:
            raise {-1.0: ValueError("this clip is bad"), -2.0: RuntimeError("out of memory")}.get(min(numbers), KeyError)
        scores = [float("nan") if number == 666 else number for number in numbers]
        return [[{"label": str(number), "score": score}] for number, score in zip(numbers, scores)]

    def stream(self, mirrored: bool):
        stream = Stream()
        return stream, stream.due


class Stream:
    """A stream in which every frame is a window, unless it is overtaken."""

    def __init__(self) -> None:
        self.due: deque[Window] = deque()
        self.counts, self.last = StreamCounts(), -np.inf

    def push(self, landmarks):
        for number, time_ in enumerate(landmarks.timestamps.tolist()):
            self.last = time_
            self.counts.frames += 1
            self.due.append(Window(landmarks.frames(slice(number, number + 1)), time_, time_, time_, True))
        return []

    def answer(self, predictions):
        window = self.due.popleft()
        return [Said(window.time, predictions[0]["label"])]

    def finish(self):
        return []


class Said:
    def __init__(self, time_: float, label: str) -> None:
        self.values = {"kind": "sign", "time": time_, "label": label}

    def to_dict(self):
        return dict(self.values)


@pytest.fixture
def engine():
    made: list[Engine] = []

    def make(**changes) -> tuple[Engine, Counting]:
        settings = {"max_batch": 8, "max_wait_ms": 30, "queue_size": 100, **changes}
        model = Counting()
        made.append(Engine(model, ServerMetrics(), **settings))
        made[-1].start()
        return made[-1], model

    yield make
    for one in made:
        one.model.gate.set()
        one.close()


def frame(seconds: float, number: float) -> Frame:
    return Frame(seconds, np.full((42, 3), number, np.float32), None, (640, 360))


def test_clips_that_come_together_share_a_batch_and_get_their_own_answers(engine):
    one, model = engine(max_wait_ms=200)
    futures = [one.predict(clip(number)) for number in range(5)]
    answers = [future.result(10).answer[0]["label"] for future in futures]
    assert answers == ["0.0", "1.0", "2.0", "3.0", "4.0"]
    assert model.batches == [[0.0, 1.0, 2.0, 3.0, 4.0]]
    assert one.metrics.registry.get_sample_value("signlang_batch_size_sum") == 5


def test_a_full_batch_does_not_wait_and_a_lone_clip_waits_no_longer_than_it_must(engine):
    one, model = engine(max_batch=4, max_wait_ms=5000)
    started = time.monotonic()
    futures = [one.predict(clip(number)) for number in range(8)]
    assert [future.result(10).answer[0]["score"] for future in futures] == list(range(8))
    assert time.monotonic() - started < 2
    assert [len(batch) for batch in model.batches] == [4, 4]
    quick, _ = engine(max_wait_ms=50)
    started = time.monotonic()
    quick.predict(clip(1)).result(10)
    assert 0.04 < time.monotonic() - started < 2


def test_many_threads_get_their_own_answers(engine):
    one, model = engine(max_wait_ms=2)
    wrong: list[float] = []

    def ask(base: int) -> None:
        for number in range(base, base + 40):
            if one.predict(clip(number)).result(20).answer[0]["score"] != number:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(1000 * place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == [] and sum(map(len, model.batches)) == 320
    assert max(map(len, model.batches)) > 1  # they did share


def test_a_bad_clip_fails_alone(engine):
    one, _ = engine(max_wait_ms=200)
    numbers = [1, -1, 2, -2, 666, 3, -3]
    futures: list[Future] = [one.predict(clip(number)) for number in numbers]
    found = []
    for future in futures:
        try:
            found.append(future.result(10).answer[0]["score"])
        except ServingError as error:
            found.append((error.code, error.detail))
    assert [found[0], found[2], found[5]] == [1, 2, 3]
    assert found[1] == ("bad_input", "this clip is bad")
    assert found[3] == ("internal", "The model failed at this clip.") == found[6]  # what went wrong inside stays inside
    assert found[4][0] == "bad_input" and "coordinates" in found[4][1]


def test_streams_and_clips_share_the_batches_and_answers_are_not_mixed_up(engine):
    one, model = engine(max_wait_ms=50)
    said: dict[int, list] = {place: [] for place in range(5)}
    sessions = [LiveSession(one, layout="hands-42", say=said[place].extend) for place in range(5)]
    futures = []
    for step in range(10):
        for place, session in enumerate(sessions):
            session.put([frame(step / 10, 100 * place + step)])
        futures.append(one.predict(clip(5000 + step)))
    for session in sessions:
        session.finish()
    assert [future.result(10).answer[0]["score"] for future in futures] == [5000 + step for step in range(10)]
    end = time.monotonic() + 10
    while not all(messages and messages[-1]["type"] == "stopped" for messages in said.values()):
        assert time.monotonic() < end
        time.sleep(0.01)
    for place, messages in said.items():
        assert [one["label"] for one in messages[:-1]] == [f"{float(100 * place + step)}" for step in range(10)]
        assert messages[-1]["counts"]["frames"] == 10
    assert any(max(batch) >= 5000 > min(batch) for batch in model.batches)  # clips and windows together


def test_a_full_queue_is_told_and_a_cancelled_clip_is_nobodys(engine):
    one, model = engine(queue_size=2, max_batch=1, max_wait_ms=0)
    model.gate.clear()
    first = one.predict(clip(0))
    end = time.monotonic() + 5
    while one._clips and time.monotonic() < end:
        time.sleep(0.01)
    second, third = one.predict(clip(1)), one.predict(clip(2))
    with pytest.raises(ServingError) as full:
        one.predict(clip(3))
    assert full.value.status == 503 and full.value.headers["Retry-After"]
    assert one.metrics.registry.get_sample_value("signlang_queue_depth", {"queue": "model:counting"}) == 2
    second.cancel()
    model.gate.set()
    assert first.result(10).answer[0]["score"] == 0 and third.result(10).answer[0]["score"] == 2


def test_late_frames_are_left_out_and_counted_and_a_crowded_stream_says_when_there_is_room(engine):
    one, model = engine(max_wait_ms=0)
    said, roomy = [], threading.Event()
    session = LiveSession(one, layout="hands-42", say=said.extend, roomy=roomy.set)
    session.put([frame(0.1, 1), frame(0.05, 2), frame(0.1, 3), frame(0.101, 4), frame(0.2, 5)])
    session.finish()
    end = time.monotonic() + 10
    while not said or said[-1]["type"] != "stopped":
        assert time.monotonic() < end
        time.sleep(0.01)
    assert [one["time"] for one in said[:-1]] == [0.1, 0.2]
    assert (said[-1]["counts"]["late"], said[-1]["counts"]["frames"]) == (3, 2)
    assert one.metrics.registry.get_sample_value("signlang_frames_total", {"outcome": "late"}) == 3
    model.gate.clear()
    one.predict(clip(0))
    time.sleep(0.05)  # the thread is in the model now
    session = LiveSession(one, layout="hands-42", say=said.extend, roomy=roomy.set)
    session.put(frame(number, number) for number in range(CROWDED + 10))
    assert session.crowded and not roomy.is_set()
    model.gate.set()
    assert roomy.wait(10) and not session.crowded
    session.close()


def test_what_waits_is_finished_when_the_server_stops(engine):
    one, model = engine(max_wait_ms=10_000)
    futures = [one.predict(clip(number)) for number in range(3)]
    one.close()
    assert [future.result(0).answer[0]["score"] for future in futures] == [0, 1, 2]
    with pytest.raises(ServingError, match="shutting down"):
        one.predict(clip(4))
