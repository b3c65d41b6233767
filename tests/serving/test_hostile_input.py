"""What strangers send: refused with one sentence, early, and nothing of it stays on disk."""

from __future__ import annotations

import io
import json
import socket
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from cheap_pose import tiny_frames
from PIL import Image
from running_server import Running, running
from tiny_model import tiny_clip

from signlang_hf.landmarks import list_layouts
from signlang_hf.serving.estimator_process import kind_of
from signlang_hf.video import write_video


def check(answer, status: int, code: str, words: str = "") -> None:
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert set(said) == {"detail", "code"} and said["code"] == code
    assert words in said["detail"] and said["detail"].endswith(".") and "\n" not in said["detail"]
    assert answer.headers["X-Request-ID"]


def raw(server: Running, head: str, body: bytes = b"", timeout: float = 10) -> tuple[bytes, socket.socket]:
    """What the server says to bytes on a bare socket."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)
    connection.sendall(head.encode() + body)
    return connection.recv(4096), connection


@pytest.fixture(scope="module")
def small(settings):
    """A server that takes little."""
    limits = {
        "max_upload_mb": 0.05, "max_landmarks_mb": 0.2, "max_frame_kb": 20, "max_seconds": 2, "max_frames": 40, "max_pixels": 10_000,
        "upload_timeout": 1.0,
    }  # fmt: skip
    with running(settings(**limits)) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_left(small: Running, clean: Running):
    yield
    assert small.files() == []


def test_two_gigabytes_are_refused_before_they_are_sent(small: Running):
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: video/mp4\r\nContent-Length: 2147483648\r\n\r\n"
    said, connection = raw(small, head)
    with connection:
        assert said.startswith(b"HTTP/1.1 413") and b"connection: close" in said.lower() and b"0.05 MB" in said


def test_a_body_of_unknown_length_is_refused_when_it_passes_the_limit(small: Running):
    sent = 0

    def pieces():
        nonlocal sent
        for _ in range(10_000):
            sent += 10_000
            yield b"\0" * 10_000

    try:
        answer = small.http.post("/predict", content=pieces())
    except OSError:  # cut off while it was sending
        pass
    except Exception as error:
        assert type(error).__name__ in ("WriteError", "ReadError", "RemoteProtocolError")
    else:
        check(answer, 413, "too_large", "0.05 MB")
    assert sent < 20_000_000
    assert small.metric('signlang_errors_total{code="too_large"}') >= 1


def test_a_form_around_a_large_file_is_refused_too(small: Running):
    check(small.http.post("/predict", files={"video": b"\0" * 60_000}), 413, "too_large")
    check(small.http.post("/predict", files={"other": b"\0" * 200_000}), 413, "too_large")


def test_a_body_that_trickles_has_a_time_limit(small: Running):
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: video/mp4\r\nContent-Length: 1000\r\n\r\n"
    started = time.monotonic()
    said, connection = raw(small, head, b"abc")
    with connection:
        assert said.startswith(b"HTTP/1.1 504") and b"within 1 s" in said
        assert 0.9 < time.monotonic() - started < 6


def test_a_body_that_breaks_off_leaves_nothing(small: Running):
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: video/mp4\r\nContent-Length: 1000\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", small.port))
    connection.sendall(head.encode() + b"abc")
    end = time.monotonic() + 5
    while not small.files() and time.monotonic() < end:
        time.sleep(0.01)
    assert len(small.files()) == 1  # of a plain number, whatever the client calls it
    connection.close()
    while small.files() and time.monotonic() < end:
        time.sleep(0.01)


FORMS = {
    "no boundary": ("multipart/form-data", b"x", "boundary"),
    "an endless boundary": ("multipart/form-data; boundary=" + "b" * 300, b"x", "boundary"),
    "garbage": ("multipart/form-data; boundary=b", b"garbage", "cannot be read"),
    "cut off": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="video"\r\n\r\nabc',
        "cut off",
    ),
    "another field": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="film"\r\n\r\nabc\r\n--b--\r\n',
        "no field video",
    ),
    "twice": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="video"\r\n\r\nabc\r\n' * 2 + b"--b--\r\n",
        "twice",
    ),
    "many fields": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 20 + b"--b--\r\n",
        "more than 8 fields",
    ),
    "empty": ("video/mp4", b"", "no video"),
}


@pytest.mark.parametrize("name", FORMS)
def test_broken_forms_are_bad_input(small: Running, name):
    kind, body, words = FORMS[name]
    check(small.http.post("/predict", content=body, headers={"Content-Type": kind}), 422, "bad_input", words)


NEITHER = {
    "text": b"hello, this is no video at all",
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "program": b"\x7fELF" + bytes(300),
    "one byte": b"x",
}


@pytest.mark.parametrize("name", NEITHER)
def test_what_is_neither_video_nor_picture_is_unsupported_whatever_it_is_called(small: Running, name):
    answer = small.http.post("/predict", files={"video": ("clip.mp4", NEITHER[name], "video/mp4")})
    check(answer, 415, "unsupported", "neither a video nor a picture")


@pytest.mark.parametrize(
    "head", [b"\0\0\0\x18ftypmp42", b"\x1aE\xdf\xa3", b"RIFF\0\0\0\0AVI ", b"GIF89a", b"\0\0\x01\xba", b"OggS"]
)
def test_a_container_with_nothing_in_it_is_bad_input(small: Running, head):
    assert kind_of(head + bytes(200)) == "video"
    answer = small.http.post("/predict", content=head + bytes(1000))
    check(answer, 422, "bad_input")
    assert ".upload" not in answer.text and "/" not in answer.json()["detail"]  # no path of this machine


def test_a_video_with_too_many_frames_seconds_or_pixels_is_too_large(small: Running, tmp_path):
    frames = tiny_frames(60)
    for name, video, rate in (
        ("seconds", frames, 20),
        ("frames", frames, 60),
        ("pixels", tiny_frames(2, 0, 240, 320), 25),
    ):
        body = write_video(tmp_path / f"{name}.mp4", video, rate).read_bytes()
        assert len(body) < 50_000
        check(small.http.post("/predict", content=body), 413, "too_large", name if name != "seconds" else "2 s")


def test_a_picture_is_measured_by_its_header(small: Running):
    """A PNG of 60000 × 60000 pixels in a few bytes: 10 GB if it were decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(30_000)))
        + chunk(b"IEND", b"")
    )
    started = time.monotonic()
    check(small.http.post("/predict", content=bomb), 413, "too_large", "too many pixels")
    assert time.monotonic() - started < 5
    check(small.http.post("/predict", content=b"\x89PNG\r\n\x1a\n" + bytes(50)), 422, "bad_input", "damaged")
    check(small.http.post("/predict", content=b"\xff\xd8\xff" + bytes(50)), 422, "bad_input", "damaged")


def body(**changes) -> bytes:
    clip = tiny_clip(4)
    good = {"layout": "isl-48", "size": [640, 360], "points": clip.data.tolist(), "fps": 25}
    return json.dumps({**good, **changes}).encode()


def point_of(value) -> bytes:
    points = tiny_clip(4).data.tolist()
    points[1][2][0] = value
    return body(points=points)


LANDMARKS = {
    "nothing": (b"", "no landmarks"),
    "no json": (b"{points", "not JSON"),
    "not utf-8": (b'{"points": "\xff"}', "UTF-8"),
    "a list": (b"[1, 2]", "JSON object"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "nan": (point_of(float("nan")), "NaN is no JSON"),
    "infinity": (point_of(float("inf")), "Infinity is no JSON"),
    "huge": (point_of(1e30), "beyond"),
    "beyond floats": (point_of(1e300), ""),
    "many digits": (body().replace(b'"fps": 25', b'"fps": ' + b"9" * 5000), ""),
    "text": (point_of("x"), "rectangular list of numbers"),
    "an object": (point_of({}), "rectangular list of numbers"),
    "nested lists": (point_of([1.0]), "rectangular list of numbers"),
    "points of four": (body(points=[[[0, 0, 0, 0]] * 48] * 2), "2 or 3 numbers"),
    "points missing": (body(points=[[[0, 0, 0]] * 47] * 2), "48 points"),
    "no frames": (body(points=[]), "list of frames"),
    "layout": (body(layout="../../etc/passwd"), "not known"),
    "layout of another type": (body(layout=["isl-48"]), "not known"),
    "wrong layout": (body(layout="kinect-20"), "20 points"),
    "units": (body(units="furlong"), "not known"),
    "no size": (body(size=None), "width, height"),
    "size": (body(size=[0, 360]), "whole numbers"),
    "endless size": (body(size=[1e9, 360]), "whole numbers"),
    "fps": (body(fps=-1), "fps must be"),
    "times": (body(timestamps=[0, 0.1]), "time stamps"),
    "times backwards": (body(timestamps=[0, 0.2, 0.1, 0.3]), "increase"),
    "visibility": (body(visibility=[1, 2]), "isibility"),
    "field": (body(colour="red"), "not known"),
}  # fmt: skip


@pytest.mark.parametrize("name", LANDMARKS)
def test_bad_landmarks_are_bad_input(small: Running, name):
    given, words = LANDMARKS[name]
    check(small.http.post("/predict/landmarks", content=given), 422, "bad_input", words)


def test_a_layout_that_shares_no_point_with_the_models_is_bad_input(small: Running):
    points = [[[0.1 * n, 0.2, 0.3] for n in range(3)]] * 4
    check(
        small.http.post("/predict/landmarks", content=body(layout="boston-3", points=points)),
        422,
        "bad_input",
        "boston-3",
    )


def test_two_frames_a_year_apart_are_not_resampled(small: Running):
    points = tiny_clip(2).data.tolist()
    started = time.monotonic()
    answer = small.http.post("/predict/landmarks", content=body(points=points, timestamps=[0, 3e7]))
    check(answer, 413, "too_large", "longer than 2 s")
    many = body(points=tiny_clip(41).data.round(2).tolist(), fps=1000)
    check(small.http.post("/predict/landmarks", content=many), 413, "too_large")
    assert time.monotonic() - started < 5


def archive(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def npy(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def packed(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return stream.getvalue()


DATA = tiny_clip(4).data
GOOD = {"data": DATA, "layout": np.str_("isl-48"), "size": np.array([640, 360])}
ARCHIVES = {
    "bomb": (archive(**GOOD | {"data": np.zeros((100_000, 48, 3), np.float32)}), 413, "unpacks to more"),
    "lying header": (packed("data.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000), }")), 422, "cut off"),
    "pickle": (archive(**GOOD | {"data": np.array([{"a": 1}], object)}), 422, "pickled"),
    "code in the header": (packed("data.npy", npy("__import__('os').system('true')")), 422, "cannot be read"),
    "foreign array": (archive(**GOOD, more=DATA), 422, "none of an archive"),
    "path in a name": (packed("../../data.npy", b"x"), 422, "none of an archive"),
    "no data": (archive(layout=np.str_("isl-48")), 422, "no array 'data'"),
    "own layout": (archive(**GOOD | {"layout": np.str_("mine"), "points": np.array([f"p{i}" for i in range(48)])}), 422, "not known"),
    "other points": (archive(**GOOD, points=np.array([f"p{i}" for i in range(48)])), 422, "other points"),
    "text for numbers": (archive(**GOOD | {"data": np.array(["a"])}), 422, "else than numbers"),
    "infinite": (archive(**GOOD | {"data": DATA * np.inf}), 422, ""),
    "complex": (archive(**GOOD | {"data": DATA.astype(complex)}), 422, "else than numbers"),
    "no zip": (b"PK\x03\x04" + bytes(100), 422, "damaged"),
    "cut": (archive(**GOOD)[:-100], 422, "damaged"),
    "flat": (archive(**GOOD | {"data": DATA.reshape(-1)}), 422, "shape"),
    "size of three": (archive(**GOOD | {"size": np.array([1, 2, 3])}), 422, "width, height"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_bad_archives_are_refused_before_they_are_unpacked(small: Running, name):
    content, status, words = ARCHIVES[name]
    layouts = list_layouts()
    answer = small.http.post("/predict/landmarks", content=content)
    check(answer, status, "too_large" if status == 413 else "bad_input", words)
    assert list_layouts() == layouts  # the server knows no more names than before


def test_an_archive_that_holds_more_than_its_directory_says_is_refused(small: Running):
    good = archive(**GOOD)
    with zipfile.ZipFile(io.BytesIO(good)) as file:
        info = file.getinfo("data.npy")
    lie = good.replace(struct.pack("<I", info.file_size), struct.pack("<I", 10))
    assert lie != good
    check(small.http.post("/predict/landmarks", content=lie), 422, "bad_input")


@pytest.mark.parametrize("query", ["top_k=0", "top_k=11", "top_k=x", "model=" + "m" * 300, "model=nothing"])
def test_bad_queries_are_bad_input(small: Running, query):
    check(small.http.post(f"/predict/landmarks?{query}", content=body()), 422, "bad_input")


def test_what_is_not_there_says_so(small: Running):
    check(small.http.get("/nothing"), 404, "not_found")
    wrong = small.http.get("/predict")
    check(wrong, 405, "method_not_allowed")
    assert wrong.headers["Allow"] == "POST"


def test_the_servers_still_answer(small: Running, server: Running):
    for one in (small, server):
        assert one.http.post("/predict/landmarks", content=body()).status_code == 200
        assert one.service.pool.ready and one.metric("signlang_worker_restarts_total") == 0
    assert isinstance(Image.MAX_IMAGE_PIXELS, int)
