"""Worker processes: what dies with one and what does not, how long one may think, and what waits."""

from __future__ import annotations

import json
import os
import signal
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from grey_pose import CRASH, FAULT
from running_server import Running, running, until
from test_socket import closed, jpeg

from signlang_hf.video import write_video


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """``grey(level)``: a video of one grey level."""
    folder = tmp_path_factory.mktemp("grey")

    def make(level: int, frames: int = 6) -> bytes:
        path = folder / f"{level}-{frames}.mp4"
        if not path.exists():
            write_video(path, np.full((frames, 32, 32, 3), level, np.uint8), 25)
        return path.read_bytes()

    return make


@pytest.fixture
def greys(settings):
    """``greys(pause, **settings)``: settings of a server whose estimator sees grey levels."""

    def make(pause: float = 0.0, log: Path | str = "", **changes):
        options = json.dumps({"pause": pause, "log": str(log)})
        return settings(estimator="grey_pose:Grey", estimator_options=options, **changes)

    return make


def up_again(server: Running) -> None:
    end = time.monotonic() + 20
    while not server.service.pool.ready and time.monotonic() < end:
        time.sleep(0.02)
    assert server.service.pool.ready


def test_a_killed_process_takes_its_own_clip_and_streams_with_it_and_service_goes_on(greys, grey):
    with running(greys(0.2, workers=2)) as server, ThreadPoolExecutor() as pool:
        with server.started(timestamps=True) as first, server.started(timestamps=True, return_landmarks=True) as second:
            slots = server.service.pool._slots
            assert [len(slot.streams) for slot in slots] == [1, 1]  # each sticks to a process of its own
            first.send(struct.pack("<d", 0.0) + jpeg(60, (16, 16)))
            asked = pool.submit(server.http.post, "/predict", content=grey(60, 20))
            end = time.monotonic() + 10
            while not any(slot.clip for slot in slots) and time.monotonic() < end:
                time.sleep(0.01)
            victim = next(slot for slot in slots if slot.clip)
            its_socket, other = (first, second) if victim is slots[0] else (second, first)
            os.kill(victim.worker.pid, signal.SIGKILL)
            answer = asked.result(20)
            assert answer.status_code == 503 and "died" in answer.json()["detail"], answer.text
            code, said = closed(its_socket)
            assert code == 1013 and said[-1]["code"] == "unavailable" and "died" in said[-1]["detail"]
            other.send(struct.pack("<d", 1.0) + jpeg(60, (16, 16)))
            other.send(json.dumps({"type": "stop"}))
            assert until(other, "stopped")[-1]["counts"]["frames"] >= 1
        up_again(server)
        assert server.metric("signlang_worker_restarts_total") == 1 and server.metric("signlang_workers") == 2
        assert server.http.post("/predict", content=grey(60)).status_code == 200
        assert server.files() == []


def test_a_crash_or_a_fault_in_a_clip_is_that_clips_error(greys, grey):
    with running(greys()) as server:
        crash = server.http.post("/predict", content=grey(CRASH))
        assert (crash.status_code, crash.json()["code"]) == (503, "unavailable") and crash.headers["Retry-After"]
        up_again(server)
        fault = server.http.post("/predict", content=grey(FAULT))
        assert (fault.status_code, fault.json()["code"]) == (422, "bad_input")
        assert fault.json()["detail"] == "something went wrong in two lines"
        assert server.http.post("/predict", content=grey(60)).status_code == 200
        assert server.metric("signlang_worker_restarts_total") == 1 and server.files() == []


def test_a_process_that_does_not_answer_is_ended(greys, grey):
    with running(greys(worker_timeout=0.8)) as server:
        os.kill(server.service.pool.pids[0], signal.SIGSTOP)
        answer = server.http.post("/predict", content=grey(60))
        assert answer.status_code == 503 and "died" in answer.json()["detail"]
        up_again(server)
        assert server.http.post("/predict", content=grey(60)).status_code == 200


def test_a_clip_that_takes_too_long_is_given_up(greys, grey):
    with running(greys(0.2, request_timeout=1.0)) as server:
        started = time.monotonic()
        answer = server.http.post("/predict", content=grey(60, 60))
        assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
        assert time.monotonic() - started < 5
        assert server.http.post("/predict", content=grey(60, 1)).status_code == 200  # the process is free again
        assert server.metric("signlang_worker_restarts_total") == 0 and server.files() == []


def test_a_full_queue_says_when_to_come_back(greys, grey):
    with running(greys(0.1, queue_size=1)) as server, ThreadPoolExecutor() as pool:
        asked = [pool.submit(server.http.post, "/predict", content=grey(60, 8)) for _ in range(6)]
        codes = sorted(one.result(30).status_code for one in asked)
        assert codes.count(200) >= 2 and set(codes) == {200, 503}
        full = next(one.result() for one in asked if one.result().status_code == 503)
        assert "queue is full" in full.json()["detail"] and int(full.headers["Retry-After"]) >= 1
        assert server.metric('signlang_errors_total{code="unavailable"}') == codes.count(503)
        assert server.metric('signlang_queue_depth{queue="clips"}') == 0 and server.files() == []


def test_a_client_that_goes_away_is_not_worked_for(greys, grey, tmp_path):
    import httpx

    log = tmp_path / "log"
    with running(greys(0.1, log)) as server:
        with pytest.raises(httpx.ReadTimeout):
            server.http.post("/predict", content=grey(60, 60), timeout=0.5)
        end = time.monotonic() + 5
        while (server.files() or any(slot.clip for slot in server.service.pool._slots)) and time.monotonic() < end:
            time.sleep(0.02)
        assert time.monotonic() < end  # six seconds of frames were left
        assert server.http.post("/predict", content=grey(60, 1)).status_code == 200


def test_frames_of_a_stream_come_between_those_of_a_clip(greys, grey):
    with running(greys(0.05)) as server, ThreadPoolExecutor() as pool:
        with server.started(timestamps=True, return_landmarks=True) as ws:
            ws.send(struct.pack("<d", 0.0) + jpeg(60, (16, 16)))
            until(ws, "landmarks")
            asked = pool.submit(server.http.post, "/predict", content=grey(60, 40))
            for number in range(1, 4):
                ws.send(struct.pack("<d", number / 10) + jpeg(60, (16, 16)))
                until(ws, "landmarks", 5)
            assert not asked.done()
        assert asked.result(20).status_code == 200


def test_an_estimator_that_cannot_be_had_ends_the_server_with_one_sentence(settings):
    broken = settings(estimator="grey_pose:Grey", estimator_options='{"missing": "mediapipe"}')
    with running(broken, wait=False) as server:
        end = time.monotonic() + 20
        while server.service.failure is None and time.monotonic() < end:
            time.sleep(0.02)
        assert server.service.failure == "mediapipe is not installed" and server.server.should_exit
