"""The WebSocket: what goes over it, what is refused, and that one client cannot hold up the server."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from running_server import START, Running, closed, jpeg, messages_of, running, signed, talk, until
from scripted_signer import sign
from websockets.exceptions import ConnectionClosed, InvalidStatus

from signlang_hf.pipelines.streaming import SignStream, StreamPool
from signlang_hf.pipelines.streaming_sentences import SentenceStream
from signlang_hf.serving.engine import message


def says_error(ws, code: str, close: int, words: str = "") -> None:
    found, said = closed(ws)
    assert said[-1]["type"] == "error" and said[-1]["code"] == code and words in said[-1]["detail"], said
    assert found == close


def test_landmarks_give_the_events_of_the_librarys_own_stream(server: Running):
    sequence = signed()
    pipe = server.service.engines["signs"].model.pipe
    stream, pool, expected = SignStream(), StreamPool(pipe), []
    with server.started(**START) as ws:
        found = []
        for number, one in enumerate(messages_of(sequence)):
            ws.send(json.dumps(one))
            expected += [*stream.push(sequence.frames(slice(number, number + 1))), *pool.predict([stream])[0]]
        ws.send(json.dumps({"type": "stop"}))
        found = until(ws, "stopped")
    expected += [*stream.finish(), *pool.predict([stream])[0]]
    ours, theirs = (
        [(one["type"], one["start"], one.get("label")) for one in events if one["type"] != "partial"]
        for events in (found[:-1], [message(event) for event in expected])
    )
    assert ours == theirs and [kind for kind, *_ in ours] == ["sign_started", "sign", "idle"] * 2
    signs = [one for one in found if one["type"] == "sign"]
    for one, other in zip(signs, [message(event) for event in expected if event.kind == "sign"]):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4) and len(one["predictions"]) == 3
    times = [one["time"] for one in found[:-1]]
    assert times == sorted(times)  # though all was sent at once
    assert found[-1]["counts"]["frames"] == 210 and found[-1]["counts"]["dropped"] == 0


def test_several_frames_of_a_message_are_the_same_and_none_is_lost(server: Running):
    frames = [{"time": one["time"], "points": one["points"]} for one in messages_of(signed())]
    with server.started(**START) as ws:
        for start in range(0, len(frames), 50):
            ws.send(json.dumps({"type": "landmarks", "frames": frames[start : start + 50]}))
        ws.send(json.dumps({"type": "stop"}))
        found = until(ws, "stopped")
    assert [one["type"] for one in found if one["type"] in ("sign", "idle")] == ["sign", "idle"] * 2
    assert found[-1]["counts"]["frames"] == 210


def test_a_mirrored_client_gives_the_same_signs(server: Running):
    from signlang_hf.landmarks.normalize import mirror

    labels = []
    for sequence, mirrored in ((signed(), False), (mirror(signed()), True)):
        with server.started(**START, mirrored=mirrored) as ws:
            for one in messages_of(sequence):
                ws.send(json.dumps(one))
            ws.send(json.dumps({"type": "stop"}))
            found = until(ws, "stopped")
            labels.append([(one["label"], round(one["score"], 3)) for one in found if one["type"] == "sign"])
    assert labels[0] == labels[1] and len(labels[0]) == 2


def test_a_server_that_does_not_come_to_an_end_says_so(server: Running, monkeypatch):
    monkeypatch.setattr("signlang_hf.serving.socket._LAST_WORDS", 0.1)
    monkeypatch.setattr("signlang_hf.serving.engine.LiveSession.finish", lambda session: None)
    with server.started(**START) as ws:
        ws.send(json.dumps({"type": "stop"}))
        says_error(ws, "unavailable", 1013, "too much to do to look at what was sent last")


def test_sentences_give_glosses_and_a_text(server: Running):
    sequence = signed(sign(0.5, 3.5), 5.5)
    stream = SentenceStream(server.service.engines["sentences"].model.pipe)
    expected = [message(event) for event in [*stream.push(sequence), *stream.finish()]]
    with server.started(**START, mode="sentences") as ws:
        for one in messages_of(sequence):
            ws.send(json.dumps(one))
        ws.send(json.dumps({"type": "stop"}))
        found = until(ws, "stopped")[:-1]
    assert [one["type"] for one in found] == [one["type"] for one in expected]
    (ours,), (theirs,) = ([one for one in events if one["type"] == "sentence"] for events in (found, expected))
    assert ours["text"] == theirs["text"] and ours["glosses"]
    assert [one["gloss"] for one in ours["glosses"]] == [one["gloss"] for one in theirs["glosses"]]


def test_ready_says_what_to_expect_and_a_stream_may_start_again(server: Running):
    with server.socket() as ws:
        said = talk(ws, START)
        assert said == {
            "type": "ready", "mode": "signs", "model": "signs", "labels": 6, "layout": "mediapipe-holistic", "fps": 25.0,
            "languages": [],
        }  # fmt: skip
        assert server.metric("signlang_streams") == 1
        assert talk(ws, {"type": "stop"})["type"] == "stopped"
        assert talk(ws, {**START, "model": "others", "layout": "isl-48"})["labels"] == 3
        again = talk(ws, {**START, "mode": "sentences"})  # without a stop: the server stops the one before
        assert again["type"] == "stopped" and until(ws, "ready")[-1]["mode"] == "sentences"
    end = time.monotonic() + 5
    while server.metric("signlang_streams") and time.monotonic() < end:
        time.sleep(0.02)
    assert server.metric("signlang_streams") == 0 and server.metric("signlang_websockets") == 0


def test_frames_come_back_as_landmarks_in_order(server: Running):
    with server.started(timestamps=True, return_landmarks=True) as ws:
        found = []
        for number in range(6):
            ws.send(struct.pack("<d", number / 10) + jpeg(40 + 30 * number))
            found += until(ws, "landmarks")[-1:]
        assert [one["time"] for one in found] == [number / 10 for number in range(6)]
        assert all(len(one["points"]) == 75 and one["layout"] == "mediapipe-holistic" for one in found)
        assert found[0]["points"] != found[1]["points"]
        ws.send(struct.pack("<d", 0.6) + jpeg(0, (48, 64)))  # turned, and nobody in it
        dark = until(ws, "landmarks")[-1]
        assert dark["points"] == [[pytest.approx(value, abs=2e-2) for value in point] for point in dark["points"]]
        ws.send(json.dumps({"type": "stop"}))
        counts = until(ws, "stopped")[-1]["counts"]
    assert (counts["frames"], counts["dropped"]) == (7, 0)


def test_frames_without_a_time_have_that_of_their_arrival(server: Running):
    with server.started(return_landmarks=True) as ws:
        times = []
        for _ in range(3):
            time.sleep(0.05)
            ws.send(jpeg())
            times.append(until(ws, "landmarks")[-1]["time"])
    assert all(0.04 < later - sooner < 2 for later, sooner in zip(times[1:], times))


def test_frames_that_cannot_be_kept_up_with_are_dropped_and_counted(settings):
    slow = settings(estimator="grey_pose:Grey", estimator_options='{"pause": 0.15}')
    with running(slow) as server, server.started(timestamps=True) as ws:
        for number in range(40):
            ws.send(struct.pack("<d", number / 30) + jpeg(60, (16, 16)))
        ws.send(json.dumps({"type": "stop"}))
        found = until(ws, "stopped")
        counts = found[-1]["counts"]
        busy = [one for one in found if one["type"] == "busy"]
        assert counts["dropped"] > 20 and counts["frames"] + counts["dropped"] == 40
        assert len(busy) == 1 and 1 <= busy[0]["dropped"] <= counts["dropped"]  # once a second at most
        assert server.metric('signlang_frames_total{outcome="dropped"}') == counts["dropped"]
        assert server.metric('signlang_frames_total{outcome="used"}') == counts["frames"]


BAD_STARTS = {
    "no json": ("{", "not JSON"),
    "a list": ("[]", "type is start"),
    "deep": ("[" * 50_000, "nested"),
    "no type": ("{}", "type is start"),
    "another type": ('{"type": "sing"}', "type is start"),
    "landmarks first": (json.dumps({"type": "landmarks", "time": 0, "points": []}), "before start"),
    "stop first": ('{"type": "stop"}', "nothing to stop"),
    "a frame first": (jpeg(), "before start"),
    "mode": ('{"type": "start", "mode": "songs"}', "signs or sentences"),
    "mode of another type": ('{"type": "start", "mode": ["signs"]}', "must be a string"),
    "source": ('{"type": "start", "source": "smoke"}', "frames or landmarks"),
    "model": ('{"type": "start", "model": "../../etc"}', "There is no model"),
    "layout": ('{"type": "start", "source": "landmarks", "layout": "/etc/passwd", "size": [1, 1]}', "not known"),
    "no size": ('{"type": "start", "source": "landmarks"}', "size"),
    "huge size": ('{"type": "start", "source": "landmarks", "size": [1e99, 5]}', "size"),
    "flag": ('{"type": "start", "mirrored": "yes"}', "true or false"),
    "field": ('{"type": "start", "colour": 1}', "does not know"),
    "infinity": ('{"type": "start", "size": [Infinity, 5]}', "Infinity"),
}


@pytest.mark.parametrize("name", BAD_STARTS)
def test_bad_starts_are_told_and_closed(server: Running, name):
    text, words = BAD_STARTS[name]
    with server.socket() as ws:
        ws.send(text)
        says_error(ws, "bad_message", 1008, words)


POINT = [0.1, 0.2, 0.3]
BAD_FRAMES = {
    "time": ({"time": "now", "points": [POINT] * 75}, "time must be"),
    "no time": ({"points": [POINT] * 75}, "time must be"),
    "endless time": ({"time": 1e300, "points": [POINT] * 75}, "time must be"),
    "points": ({"time": 0, "points": [POINT] * 74}, "75 points"),
    "no points": ({"time": 0}, "75 points"),
    "five numbers": ({"time": 0, "points": [[1, 2, 3, 4, 5]] * 75}, "2 or 3 numbers"),
    "ragged": ({"time": 0, "points": [POINT] * 74 + [[1, 2]]}, "rectangular"),
    "text": ({"time": 0, "points": [POINT] * 74 + ["x"]}, "rectangular"),
    "far": ({"time": 0, "points": [[1e9, 0, 0]] * 75}, "beyond"),
    "visibility": ({"time": 0, "points": [POINT] * 75, "visibility": [1]}, "75 numbers"),
    "visibility of another type": ({"time": 0, "points": [POINT] * 75, "visibility": {}}, "list of numbers"),
    "frames": ({"frames": 5}, "list of at most"),
    "too many frames": ({"frames": [{}] * 300}, "list of at most"),
    "a frame that is none": ({"frames": [[]]}, "frame 0"),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_landmarks_are_told_and_closed(server: Running, name):
    given, words = BAD_FRAMES[name]
    with server.started(**START) as ws:
        ws.send(json.dumps({"type": "landmarks", **given}))
        says_error(ws, "bad_message", 1008, words)


def test_a_layout_that_the_model_cannot_read_is_told(server: Running):
    """That shows with the first sign; other streams of the same batch are answered."""
    with server.started(**{**START, "layout": "boston-3"}) as ws, server.started(**START) as other:
        for one in messages_of(signed(seconds=3.5)):
            wave = 0.4 + 0.1 * np.sin(8 * one["time"]) if one["time"] < 2 else 0.4
            with suppress(ConnectionClosed):  # told already
                ws.send(json.dumps({"type": "landmarks", "time": one["time"], "points": [[wave, 0.3, 0.0]] * 3}))
            other.send(json.dumps(one))
        other.send(json.dumps({"type": "stop"}))
        assert "sign" in [one["type"] for one in until(other, "stopped")]
        says_error(ws, "bad_message", 1008, "boston-3")


def test_frames_that_are_none_are_told(server: Running):
    for data, words in ((b"GIF89a" + bytes(20), "not a JPEG"), (b"\xff\xd8\xff" + bytes(20), "cannot be read")):
        with server.started() as ws:
            ws.send(data)
            says_error(ws, "bad_message", 1008, words)
    with server.started(timestamps=True) as ws:
        ws.send(b"\0\0")
        says_error(ws, "bad_message", 1008, "8 bytes")
    with server.started(timestamps=True) as ws:
        ws.send(struct.pack("<d", float("nan")) + jpeg())
        says_error(ws, "bad_message", 1008, "time")


def test_messages_and_pictures_have_a_size_limit(settings):
    with running(settings(max_frame_kb=20, max_pixels=10_000)) as server:
        with server.started() as ws:
            ws.send(b"\xff\xd8\xff" + bytes(20_500))
            says_error(ws, "too_large", 1009, "20000")
        with server.started() as ws:  # far beyond: the protocol itself ends it
            ws.send(bytes(500_000))
            assert closed(ws)[0] == 1009
        with server.started() as ws:
            ws.send(jpeg(100, (200, 100)))
            says_error(ws, "too_large", 1009, "too many pixels")
        with server.started(return_landmarks=True) as ws:
            ws.send(jpeg(100))
            assert until(ws, "landmarks")


def test_a_client_that_says_nothing_is_closed(settings):
    with running(settings(idle_timeout=0.5)) as server, server.socket() as ws:
        started = time.monotonic()
        says_error(ws, "timeout", 1008, "0.5 s")
        assert 0.4 < time.monotonic() - started < 5
        assert server.metric('signlang_errors_total{code="timeout"}') == 1


def test_a_client_that_does_not_read_is_let_go_and_others_go_on(settings, monkeypatch):
    """What it asked for waits in a bounded queue; the server's memory does not grow with it."""
    monkeypatch.setattr("signlang_hf.serving.socket._SLOW", 0.5)
    with running(settings(idle_timeout=300)) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(
            b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        shout(deaf, {**START, "return_landmarks": True})
        frames = [{"points": one["points"]} for one in messages_of(signed(seconds=1))]

        def talk_on() -> None:
            clock = 0.0
            with suppress(OSError):  # cut off, or nobody reads any more
                while True:
                    for frame in frames:
                        frame["time"] = clock = clock + 1 / 30
                    shout(deaf, {"type": "landmarks", "frames": frames})

        with server.started(**START) as other:
            assert server.service.open_sockets == 2
            threading.Thread(target=talk_on, daemon=True).start()
            end = time.monotonic() + 40
            while server.service.open_sockets == 2 and time.monotonic() < end:
                time.sleep(0.01)
            assert server.service.open_sockets == 1
            deaf.shutdown(socket.SHUT_RDWR)
            for one in messages_of(signed(seconds=3.5)):
                other.send(json.dumps(one))
            other.send(json.dumps({"type": "stop"}))
            assert "sign" in [one["type"] for one in until(other, "stopped", 60)]


def shout(connection: socket.socket, message: Any) -> None:
    """Send a message over a bare socket, as a client must: masked."""
    text = json.dumps(message).encode()
    head = bytes([0x81, 0x80 | 127]) + struct.pack(">Q", len(text)) if len(text) > 65535 else None
    head = head or bytes([0x81, 0x80 | 126]) + struct.pack(">H", len(text))
    connection.sendall(head + bytes(4) + text)


def test_events_that_nobody_reads_end_the_connection(server: Running):
    """The queue itself: full of events it ends the conversation, full of landmarks it leaves some out."""
    import asyncio

    from signlang_hf.serving.socket import Conversation

    async def fill() -> None:
        conversation = Conversation(None, server.service)
        size = conversation._outgoing.maxsize
        conversation._say([{"type": "landmarks"}] * (3 * size))
        assert conversation._outgoing.qsize() == size // 2 + 1 and not conversation._over.is_set()
        conversation._say([{"type": "partial"}] * size)
        assert conversation._over.is_set() and conversation._close[0] == 1008

    asyncio.run(fill())


def test_the_number_of_connections_is_limited_in_all_and_for_a_client(settings):
    with running(settings(max_websockets=3, max_websockets_per_client=2)) as server:
        with server.started(**START), server.started(**START), server.socket() as third:
            says_error(third, "too_many", 1013, "as many WebSockets")
        end = time.monotonic() + 5
        while server.service.open_sockets and time.monotonic() < end:
            time.sleep(0.01)
        with server.started(**START):
            pass


def test_a_foreign_page_may_not_connect_and_a_request_id_comes_back(server: Running):
    with pytest.raises(InvalidStatus) as refused, server.socket(origin="https://elsewhere.example"):
        pass
    assert refused.value.response.status_code == 403
    own = f"http://127.0.0.1:{server.port}"
    with server.socket(origin=own, additional_headers={"X-Request-ID": "mine-1"}) as ws:
        assert ws.response.headers["X-Request-ID"] == "mine-1"


def test_a_server_follows_so_many_cameras_and_no_more(settings):
    with running(settings(streams_per_worker=1)) as server, server.started() as first:
        with server.socket() as second:
            second.send(json.dumps({"type": "start"}))
            says_error(second, "unavailable", 1013, "cameras")
        first.close()
        end = time.monotonic() + 5
        while server.service.open_sockets and time.monotonic() < end:
            time.sleep(0.01)
        with server.started(return_landmarks=True) as third:
            third.send(jpeg())
            assert until(third, "landmarks")
