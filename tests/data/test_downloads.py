"""One file from the web: whole or not at all, resumed, politely, and with a reason where there is none."""

from __future__ import annotations

import json
import threading
import time
from email.utils import formatdate
from itertools import pairwise

import pytest
from video_server import serve_videos  # noqa: F401  makes the fixture 'video_server' known here

from signlang_hf.data import downloads
from signlang_hf.data.downloads import DeadLink, DownloadFailed, Host, HostUnavailable, Patience, Stopped, fetch

CONTENT = bytes(range(256)) * 4000  # a megabyte
QUICK = Patience(retries=3, interval=0.0, backoff=0.02, longest=5.0)


@pytest.fixture
def host():
    made = Host(QUICK)
    yield made
    made.close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "raw" / "video.mp4"


def left(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_arrives_whole_and_leaves_nothing_beside_it(video_server, host, target):
    arrived = []
    fetch(video_server.put("a.mp4", CONTENT), target, host, seen=arrived.append)
    assert target.read_bytes() == CONTENT and left(target) == ["video.mp4"] and sum(arrived) == len(CONTENT)
    (asked,) = video_server.requests
    assert asked["agent"].startswith("signlang-hf/") and asked["range"] == ""


def test_a_cut_connection_is_resumed_where_it_broke(video_server, host, target):
    url = video_server.put("a.mp4", CONTENT, script=["cut:300000", "cut:200000"])
    fetch(url, target, host)
    assert target.read_bytes() == CONTENT
    ranges = [asked["range"] for asked in video_server.requests]
    assert ranges[0] == "" and len(ranges) == 3
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in ranges[1:]]
    assert 300_000 - 8192 < starts[0] <= 300_000 and starts[0] + 200_000 - 8192 < starts[1] <= starts[0] + 200_000
    assert {asked["if_range"] for asked in video_server.requests[1:]} == {'"v1"'}


def test_a_later_run_goes_on_with_what_an_earlier_one_left(video_server, target):
    url = video_server.put("a.mp4", CONTENT, script=["cut:300000", 500, 500, 500])
    with pytest.raises(DownloadFailed, match="HTTP 500"):
        fetch(url, target, Host(QUICK))
    assert not target.exists() and left(target) == ["video.mp4.part", "video.mp4.part.json"]
    fetch(url, target, Host(QUICK))
    assert target.read_bytes() == CONTENT and left(target) == ["video.mp4"]
    start = int(video_server.requests[-1]["range"].removeprefix("bytes=").removesuffix("-"))
    assert 300_000 - 8192 < start <= 300_000


@pytest.mark.parametrize("change", ["etag", "url", "no validator", "no ranges", "weak"])
def test_two_versions_of_a_file_are_never_mixed(video_server, target, change):
    options = {"no validator": {"etag": None}, "no ranges": {"ranges": False}, "weak": {"etag": 'W/"v1"'}}.get(
        change, {}
    )
    url = video_server.put("a.mp4", CONTENT, script=["cut:300000", 500, 500, 500], **options)
    with pytest.raises(DownloadFailed):
        fetch(url, target, Host(QUICK))
    newer = CONTENT[::-1]
    if change == "etag":
        video_server.put("a.mp4", newer, etag='"v2"')
    elif change == "url":
        url = video_server.put("b.mp4", newer)
    else:
        video_server.put("a.mp4", newer, **options)
    fetch(url, target, Host(QUICK))
    assert target.read_bytes() == newer


def test_a_part_that_is_complete_already_is_taken(video_server, host, target):
    url = video_server.put("a.mp4", CONTENT)
    target.parent.mkdir()
    (target.parent / "video.mp4.part").write_bytes(CONTENT)
    (target.parent / "video.mp4.part.json").write_text(json.dumps({"url": url, "validator": '"v1"'}))
    fetch(url, target, host)
    assert target.read_bytes() == CONTENT and left(target) == ["video.mp4"]


@pytest.mark.parametrize("facts", ["", "[]", '{"url": 1}', "{"])
def test_a_part_without_a_readable_note_starts_again(video_server, host, target, facts):
    target.parent.mkdir()
    (target.parent / "video.mp4.part").write_bytes(b"x" * 100)
    (target.parent / "video.mp4.part.json").write_text(facts)
    fetch(video_server.put("a.mp4", CONTENT), target, host)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
def test_a_dead_link_is_asked_for_once(video_server, host, target, status):
    url = video_server.put("a.mp4", CONTENT, script=[status] * 9)
    with pytest.raises(DeadLink, match=f"HTTP {status}"):
        fetch(url, target, host)
    assert len(video_server.requests) == 1 and left(target) == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_for_again(video_server, host, target, status):
    fetch(video_server.put("a.mp4", CONTENT, script=[status, status]), target, host)
    assert target.read_bytes() == CONTENT and len(video_server.requests) == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept(video_server, target, form):
    value = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
    url = video_server.put("a.mp4", CONTENT, script=[429], headers={"Retry-After": value})
    fetch(url, target, Host(QUICK))
    first, second = (asked["time"] for asked in video_server.requests)
    assert 0.75 < second - first < 4


def test_a_host_that_has_enough_is_left_alone(video_server, host, target):
    url = video_server.put("a.mp4", CONTENT, script=[429] * 9)
    with pytest.raises(HostUnavailable, match=r"HTTP 429 .*, 4 times"):
        fetch(url, target, host)
    assert len(video_server.requests) == 4
    url = video_server.put("b.mp4", CONTENT, script=[503], headers={"Retry-After": "3600"})
    with pytest.raises(HostUnavailable, match="asks to wait 3600 s"):
        fetch(url, target, host)
    assert len(video_server.requests) == 5
    url = video_server.put("c.mp4", CONTENT, script=[500] * 9)
    with pytest.raises(DownloadFailed) as caught:
        fetch(url, target, host)
    assert not isinstance(caught.value, HostUnavailable), "one file's trouble is not the host's"


def test_a_host_that_does_not_answer(target, unused_port):
    started = time.perf_counter()
    with pytest.raises(HostUnavailable, match=r"no answer \(.*refused.*\), 4 times"):
        fetch(f"http://127.0.0.1:{unused_port}/a.mp4", target, Host(QUICK))
    assert time.perf_counter() - started < 5


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_stalled_connection_times_out(video_server, host, target, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", (1.0, 0.3))
    fetch(video_server.put("a.mp4", CONTENT, script=["stall"]), target, host)
    assert target.read_bytes() == CONTENT and len(video_server.requests) == 2


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>gone", b"  \n<html>", b"\xef\xbb\xbf<?xml version='1.0'?>"])
def test_a_page_that_says_gone_with_200_is_dead(video_server, host, target, page):
    with pytest.raises(DeadLink, match=r"a web page came instead of a video \(text/html\)"):
        fetch(video_server.put("a.mp4", page, kind="text/html"), target, host)
    assert left(target) == []


def test_empty_too_large_and_no_address(video_server, host, target):
    with pytest.raises(DeadLink, match="empty"):
        fetch(video_server.put("a.mp4", b""), target, host)
    with pytest.raises(DeadLink, match="it has 1 MB, more than the 0 MB"):
        fetch(video_server.put("b.mp4", CONTENT), target, host, max_bytes=1000)
    with pytest.raises(DeadLink, match="it has more than"):
        fetch(video_server.put("c.mp4", CONTENT, length=False), target, host, max_bytes=1000)
    assert left(target) == []
    for url in ("file:///etc/passwd", "ftp://x/y.mp4", "y.mp4", ""):
        with pytest.raises(DeadLink, match="no http or https address"):
            fetch(url, target, host)


def test_redirects_lead_to_the_web_only(video_server, host, target):
    video_server.put("a.mp4", CONTENT)
    fetch(video_server.put("moved.mp4", redirect=video_server.other("a.mp4")), target, host)
    assert target.read_bytes() == CONTENT
    for place in ("file:///etc/hostname", "ftp://127.0.0.1/x"):
        with pytest.raises(DeadLink, match="no http or https address"):
            fetch(video_server.put("bad.mp4", redirect=place), target, host)
    with pytest.raises(DeadLink, match="in circles"):
        fetch(video_server.put("round.mp4", redirect=video_server.url("round.mp4")), target, host)


def test_a_file_without_a_length_is_taken_as_it_comes(video_server, host, target):
    fetch(video_server.put("a.mp4", CONTENT, length=False), target, host)
    assert target.read_bytes() == CONTENT


def test_requests_to_a_host_keep_their_distance(video_server, target):
    host = Host(Patience(interval=0.3))
    for i in range(3):
        fetch(video_server.put(f"{i}.mp4", CONTENT[:100]), target, host)
    times = [asked["time"] for asked in video_server.requests]
    assert min(b - a for a, b in pairwise(times)) > 0.25


def test_stopping_ends_waits_and_downloads(video_server, target):
    host = Host(Patience(retries=5, interval=0, backoff=60.0))
    url = video_server.put("a.mp4", CONTENT, script=[500] * 9)
    threading.Timer(0.3, host.stop.set).start()
    started = time.perf_counter()
    with pytest.raises(Stopped):
        fetch(url, target, host)
    assert time.perf_counter() - started < 5
    with pytest.raises(Stopped):
        fetch(url, target, host)


def test_a_full_disk_is_an_error_of_its_own(video_server, host, target):
    target.parent.mkdir()
    (target.parent / "video.mp4.part").mkdir()  # cannot be written to
    with pytest.raises(OSError, match="directory") as caught:
        fetch(video_server.put("a.mp4", CONTENT), target, host)
    assert isinstance(caught.value, (IsADirectoryError, PermissionError))


def test_a_packed_answer_is_unpacked_and_never_resumed(video_server, host, target):
    import gzip

    packed = gzip.compress(CONTENT)
    url = video_server.put("a.mp4", packed, packing="gzip", script=["cut:300"])
    fetch(url, target, host)
    assert target.read_bytes() == CONTENT and [asked["range"] for asked in video_server.requests] == ["", ""]
