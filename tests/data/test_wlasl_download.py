"""The road from a WLASL table to clips: every instance is settled with a reason, nothing twice, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
from cheap_pose import CheapEstimator, tiny_frames
from numbered_frames import numbered_frames
from numbered_frames import numbers as shown
from video_server import serve_videos  # noqa: F401  makes the fixture 'video_server' known here

from signlang_hf.data import load_dataset, page_videos, wlasl_download
from signlang_hf.data.downloads import DeadLink, DownloadFailed, Host, HostUnavailable, Patience, Stopped
from signlang_hf.data.page_videos import fetch_page_video
from signlang_hf.data.wlasl_download import download_wlasl, plan_wlasl
from signlang_hf.data.wlasl_links import group_links, youtube_id
from signlang_hf.data.wlasl_table import read_table
from signlang_hf.video import probe_video, read_video, write_video

av = pytest.importorskip("av", reason="PyAV writes the test videos")
ROOT = Path(__file__).resolve().parent.parent.parent
QUICK = Patience(retries=2, interval=0.0, backoff=0.02, longest=2.0)


def instance(video, url, gloss="book", start=1, end=-1):
    record = {"bbox": [0, 0, 64, 48], "fps": 25, "frame_start": start, "frame_end": end, "instance_id": 0, "signer_id": 1,
              "source": "x", "split": "train", "url": url, "variation_id": 0, "video_id": video}  # fmt: skip
    return gloss, record


def save_table(path, *instances):
    entries = {}
    for gloss, record in instances:
        entries.setdefault(gloss, []).append(record)
    path.write_text(json.dumps([{"gloss": gloss, "instances": records} for gloss, records in entries.items()]))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two seconds at 25 fps, as bytes."""
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4", numbered_frames(50), fps=25).read_bytes()


@pytest.fixture(scope="module")
def flash(tmp_path_factory):
    path = tmp_path_factory.mktemp("flash") / "a.swf"
    with av.open(str(path), "w", format="swf") as container:
        stream = container.add_stream("flv", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in tiny_frames(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def run(table, out, **options):
    return download_wlasl(table, out, **{"patience": QUICK, "progress": False, **options})


def rows(report):
    return {row["source"]: row for row in report.rows}


def numbers(path):
    return shown(read_video(path).frames)


def test_every_instance_is_settled_with_its_reason(video_server, video, flash, tmp_path):
    site = video_server
    table = save_table(
        tmp_path / "table.json",
        instance("00001", site.put("whole.mp4", video)),
        instance("00002", site.put("gone.mp4", script=[404] * 9), gloss="drink"),
        instance("00003", site.put("flash.swf", flash, kind="application/x-shockwave-flash")),
        instance("00004", site.put("broken.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(900))),
        instance("00005", site.put("page.mp4", b"<html>not found</html>", kind="text/html")),
        instance("00006", site.put("cut.mp4", video, script=["cut:1000"])),
        instance("00007", site.put("busy.mp4", video, script=[503])),
        instance("00008", "file:///etc/passwd"),
        instance("00009", site.put("short.mp4", video), start=500, end=520),
        instance("00010", site.put("failing.mp4", script=[500] * 99)),
        instance("00011", site.url("nothing here.mp4")),
    )
    report = run(table, tmp_path / "out")
    found = rows(report)
    assert {video: row["status"] for video, row in found.items()} == {
        "00001": "ok", "00002": "dead", "00003": "ok", "00004": "unreadable", "00005": "dead", "00006": "ok", "00007": "ok",
        "00008": "dead", "00009": "unreadable", "00010": "failed", "00011": "dead",
    }  # fmt: skip
    assert report.counts == {"ok": 4, "dead": 4, "failed": 1, "unreadable": 2}
    assert found["00002"]["reason"] == "HTTP 404 Not Found" and found["00002"]["gloss"] == "drink"
    assert "a web page came" in found["00005"]["reason"] and "no http or https address" in found["00008"]["reason"]
    assert "cannot" not in found["00004"]["reason"] and "not a video that can be decoded" in found["00004"]["reason"]
    assert str(tmp_path) not in json.dumps([row["reason"] for row in report.rows])
    assert "there is none from 19.96 to 20.80 s" in found["00009"]["reason"] and "HTTP 500" in found["00010"]["reason"]
    clips = sorted(path.name for path in (tmp_path / "out" / "videos").iterdir())
    assert clips == ["00001.mp4", "00003.mp4", "00006.mp4", "00007.mp4"]
    for name in clips:
        assert probe_video(tmp_path / "out" / "videos" / name).num_frames in (50, 20)
    assert (found["00001"]["frames"], found["00001"]["width"], found["00001"]["clip_fps"]) == (50, 64, 25.0)
    saved = [json.loads(line) for line in (tmp_path / "out" / "download.jsonl").read_text().splitlines()]
    assert {row["source"]: row for row in saved} == found and len(saved) == 11
    assert "4 ok, 4 dead, 1 failed, 2 unreadable" in str(report) and "HTTP 404 Not Found" in str(report)
    assert report.to_dict()["dead"] == 4 and json.dumps(report.to_dict())


def test_a_second_run_asks_only_for_what_failed(video_server, video, tmp_path):
    site = video_server
    site.put("ok.mp4", video), site.put("gone.mp4", script=[410] * 9), site.put("failing.mp4", video, script=[500] * 3)
    table = save_table(
        tmp_path / "t.json",
        *(instance(f"0000{i}", site.url(f"{name}.mp4")) for i, name in enumerate(("ok", "gone", "failing"))),
    )
    assert run(table, tmp_path / "out").counts == {"ok": 1, "dead": 1, "failed": 1}
    asked = len(site.requests)
    report = run(table, tmp_path / "out")
    assert report.counts == {"ok": 2, "dead": 1} and (report.worked, report.skipped) == (1, 2)
    assert len(site.requests) == asked + 1
    report = run(table, tmp_path / "out")
    assert (report.worked, report.skipped) == (0, 3) and len(site.requests) == asked + 1
    site.put("gone.mp4", video)
    report = run(table, tmp_path / "out", retry_dead=True)
    assert report.counts == {"ok": 3} and len(site.requests) == asked + 2
    (tmp_path / "out" / "videos" / "00000.mp4").unlink()
    assert run(table, tmp_path / "out").worked == 1 and len(site.requests) == asked + 2, "cut again from what is kept"


def test_one_video_is_downloaded_once_and_cut_several_times(video_server, video, tmp_path):
    url = video_server.put("long.mp4", video)
    table = save_table(
        tmp_path / "t.json", instance("00001", url, start=1, end=10), instance("00002", url, "drink", start=11, end=30),
        instance("00003", url, "eat", start=31, end=-1), instance("00004", url, "go"),
    )  # fmt: skip
    report = run(table, tmp_path / "out")
    assert report.counts == {"ok": 4} and len(video_server.requests) == 1
    folder = tmp_path / "out" / "videos"
    for name, expected in (
        ("00001", range(10)),
        ("00002", range(10, 30)),
        ("00003", range(30, 50)),
        ("00004", range(50)),
    ):
        assert numbers(folder / f"{name}.mp4") == list(expected), name
    assert {row["raw"] for row in report.rows} == {f"raw/{next((tmp_path / 'out' / 'raw').iterdir()).name}"}


def test_table_frames_are_moments_or_counted(video_server, tmp_path):
    """A copy at 50 fps: by time the stretch is the same second, by count it is half of one."""
    content = write_video(tmp_path / "fast.mp4", numbered_frames(100), fps=50).read_bytes()
    table = save_table(tmp_path / "t.json", instance("00001", video_server.put("fast.mp4", content), start=11, end=30))
    run(table, tmp_path / "out")
    by_time = read_video(tmp_path / "out" / "videos" / "00001.mp4")
    assert len(by_time) == 40 and by_time.fps == pytest.approx(50, rel=0.01)
    assert shown(by_time.frames) == list(range(20, 60))
    report = run(table, tmp_path / "out", cut_by="count")
    by_count = read_video(tmp_path / "out" / "videos" / "00001.mp4")
    assert report.worked == 1 and shown(by_count.frames) == list(range(10, 30))


def test_hosts_are_asked_at_once_and_each_for_one_file_at_a_time(video_server, video, tmp_path):
    site, instances = video_server, []
    for i in range(6):
        site.put(f"{i}.mp4", video)
        instances += [instance(f"a{i}", site.url(f"{i}.mp4")), instance(f"b{i}", site.other(f"{i}.mp4"))]
    table = save_table(tmp_path / "t.json", *instances)
    report = run(table, tmp_path / "out", patience=Patience(interval=0.1), max_workers=2)
    assert report.counts == {"ok": 12}
    assert set(site.most_open.values()) == {1} and len(site.most_open) == 2
    by_host = {host: [asked["time"] for asked in site.requests if asked["host"] == host] for host in site.most_open}
    (first, second) = by_host.values()
    assert min(first) < max(second) and min(second) < max(first), "both hosts were busy at the same time"


def test_a_host_that_has_enough_is_not_asked_for_the_rest(video_server, video, tmp_path):
    site, instances = video_server, []
    for i in range(5):
        site.put(f"{i}.mp4", video, script=[429] * 9)
        instances.append(instance(f"a{i}", site.url(f"{i}.mp4")))
    instances.append(instance("b", site.put("fine.mp4", video).replace("127.0.0.1", "localhost")))
    report = run(save_table(tmp_path / "t.json", *instances), tmp_path / "out")
    assert report.counts == {"ok": 1, "failed": 5} and len(site.requests) == 3 + 1
    reasons = [row["reason"] for row in report.rows]
    assert "HTTP 429" in reasons[0] and all(reason.startswith("not asked for: 127.0.0.1") for reason in reasons[1:5])


def test_a_host_whose_files_fail_one_after_the_other_is_left_for_later(video_server, tmp_path):
    instances = []
    for i in range(6):
        video_server.put(f"{i}.mp4", script=[500] * 9)
        instances.append(instance(f"a{i}", video_server.url(f"{i}.mp4")))
    report = run(save_table(tmp_path / "t.json", *instances), tmp_path / "out")
    assert report.counts == {"failed": 6} and len(video_server.requests) == 3 * 3


def test_raw_files_can_go(video_server, video, tmp_path):
    table = save_table(tmp_path / "t.json", instance("00001", video_server.put("a.mp4", video)))
    run(table, tmp_path / "out", keep_raw=False)
    assert list((tmp_path / "out" / "raw").iterdir()) == []
    assert len(read_video(tmp_path / "out" / "videos" / "00001.mp4")) == 50
    assert run(table, tmp_path / "out", keep_raw=False).worked == 0


def test_an_unreadable_file_is_tried_again_and_downloaded_anew_on_demand(video_server, video, tmp_path):
    url = video_server.put("a.mp4", b"\x00\x01\x02" * 500)
    table = save_table(tmp_path / "t.json", instance("00001", url))
    assert run(table, tmp_path / "out").counts == {"unreadable": 1}
    video_server.put("a.mp4", video)
    assert run(table, tmp_path / "out").counts == {"unreadable": 1} and len(video_server.requests) == 1
    assert run(table, tmp_path / "out", retry_dead=True).counts == {"ok": 1} and len(video_server.requests) == 2


def test_a_file_that_is_cut_off_at_its_source_gives_what_it_has_and_a_warning(video_server, tmp_path):
    whole = write_video(
        tmp_path / "a.mp4", np.random.default_rng(0).integers(0, 255, (50, 48, 64, 3), np.uint8), fps=25
    ).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2 :] = bytes(len(whole) - len(whole) // 2)
    table = save_table(
        tmp_path / "t.json", instance("1", video_server.put("short.mp4", whole[: len(whole) * 2 // 3])),
        instance("2", video_server.put("damaged.mp4", bytes(damaged))),
    )  # fmt: skip
    found = rows(run(table, tmp_path / "out"))
    for row in found.values():
        assert row["status"] == "ok" and 10 < row["frames"] < 50 and row["warning"], row
    assert 10 < len(read_video(tmp_path / "out" / "videos" / "1.mp4")) < 50


def test_leftovers_of_a_killed_run_are_removed(video_server, video, tmp_path):
    table = save_table(tmp_path / "t.json", instance("1", video_server.put("a.mp4", video)))
    for name in (".download.jsonl.x1.tmp", "videos/.1.mp4.x2.tmp", "videos/.1.mp4.link.tmp"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(b"x")
    assert run(table, tmp_path / "out").counts == {"ok": 1} and not list((tmp_path / "out").rglob(".*.tmp"))


def test_sites_that_want_their_own_page_get_it(video_server, video, tmp_path, monkeypatch):
    monkeypatch.setitem(wlasl_download.REFERERS, f"127.0.0.1:{video_server.port}", "http://page.example/")
    run(save_table(tmp_path / "t.json", instance("1", video_server.put("a.mp4", video))), tmp_path / "out")
    assert video_server.requests[0]["referer"] == "http://page.example/"


# ------------------------------------------------------------------------------------------------------ killed and started again


def start_download(table, out, *words):
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    command = [
        sys.executable,
        "-m",
        "signlang_hf.cli",
        "wlasl",
        "download",
        str(table),
        "--out",
        str(out),
        "--interval",
        "0.3",
        *words,
    ]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to a process")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_half_way_nothing_is_lost(video_server, video, tmp_path, how):
    site = video_server
    instances = [instance(f"{i:05d}", site.put(f"{i}.mp4", video)) for i in range(12)]
    table = save_table(tmp_path / "t.json", *instances)
    process = start_download(table, tmp_path / "out")
    manifest = tmp_path / "out" / "download.jsonl"
    deadline = time.monotonic() + 90
    while (not manifest.is_file() or manifest.read_text().count("\n") < 3) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130 and said.splitlines()[-1].endswith(
            "interrupted; run the same command again to go on."
        )
        assert "Traceback" not in said
    done = len(manifest.read_text().splitlines())
    assert 3 <= done < 12
    manifest.write_text(manifest.read_text() + '{"source": "000')  # the line that was being written
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "videos").glob("*.mp4")}
    asked = len(site.requests)
    report = run(table, tmp_path / "out")
    assert report.counts == {"ok": 12} and report.skipped == done
    assert len(site.requests) - asked <= 12 - done
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "videos").glob("*.mp4")}
    assert before.items() <= after.items() and len(after) == 12
    assert not list((tmp_path / "out").rglob("*.tmp")) and len(manifest.read_text().splitlines()) == 12


def test_one_download_at_a_time_in_a_folder(video_server, video, tmp_path):
    from filelock import FileLock

    table = save_table(tmp_path / "t.json", instance("1", video_server.put("a.mp4", video)))
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".download.lock"), pytest.raises(ValueError, match="Another download is at work"):
        run(table, tmp_path / "out")


# ------------------------------------------------------------------------------------------------------ a folder of videos


def test_a_folder_of_videos_instead_of_the_web(video, flash, tmp_path):
    raw = tmp_path / "raw_videos"
    (raw / "sub").mkdir(parents=True)
    (raw / "00001.mp4").write_bytes(video)
    (raw / "sub" / "00002.swf").write_bytes(flash)
    (raw / "hjS0dQDgbjo.mp4").write_bytes(video)
    (raw / "00004.mp4").write_bytes(b"")
    table = save_table(
        tmp_path / "t.json", instance("00001", "http://127.0.0.1:9/1.mp4"), instance("00002", "http://127.0.0.1:9/2.swf"),
        instance("00003", "https://www.youtube.com/watch?v=hjS0dQDgbjo", start=11, end=20),
        instance("00004", "http://127.0.0.1:9/4.mp4"), instance("00005", "https://youtu.be/0UsjUE-TXns"),
    )  # fmt: skip
    report = run(table, tmp_path / "out", videos=raw)
    assert report.counts == {"ok": 3, "unreadable": 1, "missing": 1}
    assert numbers(tmp_path / "out" / "videos" / "00003.mp4") == list(range(10, 20))
    assert rows(report)["00005"]["reason"] == f"{raw} holds no video of its id, or of YouTube's"
    assert (raw / "00001.mp4").read_bytes() == video
    (raw / "00005.mp4").write_bytes(video)
    assert run(table, tmp_path / "out", videos=raw).counts == {"ok": 4, "unreadable": 1}


def test_a_folder_of_clips_that_are_cut_already(video, tmp_path):
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "00001.mp4").write_bytes(video)
    url = "https://www.youtube.com/watch?v=hjS0dQDgbjo"
    table = save_table(tmp_path / "t.json", instance("00001", url, start=2150, end=2249))
    assert "there is none from 85.96" in run(table, tmp_path / "out", videos=tmp_path / "cut").rows[0]["reason"]
    report = run(table, tmp_path / "out", videos=tmp_path / "cut", already_cut=True)
    assert report.counts == {"ok": 1} and len(read_video(tmp_path / "out" / "videos" / "00001.mp4")) == 50


def test_wrong_arguments_are_refused_before_anything_happens(video_server, tmp_path):
    table = save_table(tmp_path / "t.json", instance("00001", video_server.url("a.mp4")))
    for options, message in (
        ({"cut_by": "frame"}, "cut_by is 'frame'"), ({"max_workers": 0}, "max_workers is 0"), ({"max_mb": 0}, "max_mb is 0"),
        ({"already_cut": True}, "name it with videos="), ({"words": 9}, "lists 1 glosses, fewer than the 9"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            run(table, tmp_path / "out", **options)
    with pytest.raises(FileNotFoundError, match="Folder of videos not found"):
        run(table, tmp_path / "out", videos=tmp_path / "nowhere")
    (tmp_path / "out" / "videos").mkdir(parents=True)
    for folder in (tmp_path / "out" / "videos", tmp_path / "out", tmp_path):
        with pytest.raises(ValueError, match="among the videos that they are cut from"):
            run(table, tmp_path / "out", videos=folder)
    assert video_server.requests == []


# ------------------------------------------------------------------------------------------------------ tables that are wrong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": None}, r"instance 2 of entry 1 \('book'\) has no 'url'; get the table again"),
        ({"video_id": None, "url": None}, "has no 'video_id' and no 'url'"),
        ({"frame_end": None}, "has no 'frame_end'"),
        ({"video_id": "../../etc/x"}, r"has the video_id '../../etc/x', which cannot name a file"),
        ({"video_id": "a/b"}, "cannot name a file"),
        ({"video_id": "00001"}, "has the video_id '00001' of another instance, of 'book'"),
        ({"frame_start": "x"}, "that is no number"),
        ({"frame_start": 20, "frame_end": 10}, "goes from frame 20 to 10 at 25 fps, which is no stretch"),
        ({"fps": 0}, "which is no stretch"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_sentence(tmp_path, change, message):
    gloss, record = instance("00002", "http://x/2.mp4")
    table = save_table(tmp_path / "t.json", instance("00001", "http://x/1.mp4"), (gloss, record | change))
    with pytest.raises(ValueError, match=message) as caught:
        run(table, tmp_path / "out")
    assert str(table) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        '[{"gloss": "a"}]',
        '[{"instances": []}]',
        '["a"]',
        '[{"gloss": "a", "instances": [3]}]',
        '"x"',
        "[",
        "\x80",
    ],
)
def test_what_is_no_table_is_one_sentence(tmp_path, content):
    (tmp_path / "t.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"is not (a table in the schema of WLASL_v0\.3|valid JSON)") as caught:
        run(tmp_path / "t.json", tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_several_faults_are_counted(tmp_path):
    table = save_table(tmp_path / "t.json", *(instance(str(i), None) for i in range(5)))
    with pytest.raises(ValueError, match="has no 'url', and 4 more like it;"):
        run(table, tmp_path / "out")


def test_a_manifest_that_is_none_is_not_overwritten(video_server, tmp_path):
    table = save_table(tmp_path / "t.json", instance("00001", video_server.url("a.mp4")))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "download.jsonl").write_text("mine\nand more\n")
    with pytest.raises(ValueError, match=r"download\.jsonl, line 1: not a row of download\.jsonl"):
        run(table, tmp_path / "out")
    assert (tmp_path / "out" / "download.jsonl").read_text() == "mine\nand more\n"


# ------------------------------------------------------------------------------------------------------ links and plans


def test_real_links_are_grouped_by_site(signlang_data):
    instances = read_table(signlang_data / "wlasl" / "asl100.json", needs=wlasl_download.NEEDS)
    hosts = group_links(instances)
    assert sum(len(link.instances) for links in hosts.values() for link in links) == len(instances) == 2038
    assert next(iter(hosts)) == "youtube.com" and {link.page for link in hosts["youtube.com"]} == {True}
    assert not any(link.page for host, links in hosts.items() if host != "youtube.com" for link in links)
    assert all(youtube_id(link.url) for link in hosts["youtube.com"])
    names = [link.name for links in hosts.values() for link in links]
    assert len(set(names)) == len(names) and {link.suffix for link in hosts["www.aslpro.com"]} == {".swf"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://www.youtube.com/watch?v=0UsjUE-TXns", "0UsjUE-TXns"), ("https://youtu.be/0UsjUE-TXns?t=3", "0UsjUE-TXns"),
     ("https://www.youtube.com/watch?x=1&v=0UsjUE-TXns&t=2", "0UsjUE-TXns"), ("https://www.youtube.com/embed/0UsjUE-TXns", "0UsjUE-TXns"),
     ("https://www.youtube.com/watch?v=../../x", None), ("https://example.org/watch?v=0UsjUE-TXns", None), ("", None)],
)  # fmt: skip
def test_ids_of_youtube(url, expected):
    assert youtube_id(url) == expected


def test_a_plan_asks_for_nothing_and_writes_nothing(video_server, video, tmp_path):
    site = video_server
    table = save_table(
        tmp_path / "t.json", instance("1", site.put("a.mp4", video)), instance("2", site.url("gone.mp4")), instance("3", site.other("c.mp4")),
        instance("4", "https://youtu.be/0UsjUE-TXns"), instance("5", "https://www.youtube.com/watch?v=0UsjUE-TXnt", start=1, end=5),
    )  # fmt: skip
    plan = plan_wlasl(table, tmp_path / "out")
    assert not (tmp_path / "out").exists() and site.requests == []
    assert [(row["how"], row["links"], row["clips"], row["to_do"]) for row in plan] == [
        ("direct", 2, 2, 2), ("yt-dlp", 2, 2, 2), ("direct", 1, 1, 1)
    ]  # fmt: skip
    run(table, tmp_path / "out", pages=False)
    asked = len(site.requests)
    plan = {row["host"]: row for row in plan_wlasl(table, tmp_path / "out")}
    here = plan[f"127.0.0.1:{site.port}"]
    assert (
        (here["done"], here["dead"], here["to_do"]) == (1, 1, 0)
        and plan["youtube.com"]["to_do"] == 2
        and len(site.requests) == asked
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "4.mp4").write_bytes(video)
    (row,) = plan_wlasl(table, tmp_path / "other", videos=tmp_path / "mine")
    assert (row["how"], row["clips"], row["to_do"], row["missing"]) == ("folder", 5, 1, 4)


def test_the_landmark_dataset_reads_what_was_downloaded(video_server, video, tmp_path):
    table = save_table(
        tmp_path / "WLASL_v0.3.json",
        *(instance(f"0000{i}", video_server.put(f"{i}.mp4", video), "book" if i % 2 else "drink") for i in range(4)),
    )
    run(table, tmp_path)
    estimator = CheapEstimator()
    dataset = load_dataset("wlasl", tmp_path, cache_dir=tmp_path / "cache", words=2, estimator=estimator)
    assert len(dataset["train"]) == 4 and estimator.clips == 1, "the four are one video to the cache"


# ------------------------------------------------------------------------------------------------------ pages, through yt-dlp


def test_a_missing_yt_dlp_is_one_sentence_and_can_be_done_without(video_server, video, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    monkeypatch.setattr(page_videos, "available", lambda: False)
    table = save_table(
        tmp_path / "t.json",
        instance("1", video_server.put("a.mp4", video)),
        instance("2", "https://youtu.be/0UsjUE-TXns"),
    )
    with pytest.raises(
        ImportError, match=r'1 of the videos are on YouTube .* pip install "signlang-hf\[wlasl\]" \(or --no-pages'
    ):
        run(table, tmp_path / "out")
    assert video_server.requests == []
    report = run(table, tmp_path / "out", pages=False)
    assert report.counts == {"ok": 1, "failed": 1} and "--no-pages" in rows(report)["2"]["reason"]
    with pytest.raises(ImportError, match="need yt-dlp: pip install"):
        fetch_page_video("https://youtu.be/0UsjUE-TXns", tmp_path / "x", "u-1", Host(QUICK))


def stand_in(monkeypatch, behave):
    """yt_dlp as far as it is used; ``behave(options, url)`` downloads or raises."""

    class Error(Exception): ...

    class Cancelled(Error): ...

    class YoutubeDL:
        def __init__(self, options):
            self.options = options

        def __enter__(self):
            return self

        def __exit__(self, *_): ...

        def extract_info(self, url, download):
            assert download
            return behave(self.options, url)

    module = types.ModuleType("yt_dlp")
    module.YoutubeDL = YoutubeDL
    module.utils = types.SimpleNamespace(YoutubeDLError=Error, DownloadError=Error, DownloadCancelled=Cancelled)
    monkeypatch.setitem(sys.modules, "yt_dlp", module)
    monkeypatch.setattr(page_videos, "available", lambda: True)
    return Error


def test_pages_are_fetched_once_and_cut(monkeypatch, video, tmp_path):
    asked = []

    def behave(options, url):
        asked.append(url)
        path = Path(options["outtmpl"] % {"ext": "webm"})
        path.write_bytes(video)
        return {"requested_downloads": [{"filepath": str(path)}]}

    stand_in(monkeypatch, behave)
    url = "https://www.youtube.com/watch?v=hjS0dQDgbjo"
    table = save_table(tmp_path / "t.json", instance("1", url, start=1, end=10), instance("2", url, start=11, end=20))
    report = run(table, tmp_path / "50%(x) out")
    assert report.counts == {"ok": 2} and asked == [url]
    assert numbers(tmp_path / "50%(x) out" / "videos" / "2.mp4") == list(range(10, 20))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ERROR: [youtube] 0UsjUE-TXns: Video unavailable. This video is private", DeadLink),
        (
            "[youtube] 0UsjUE-TXns: Private video. Sign in if you've been granted access to this video. Use --cookies-from-browser",
            DeadLink,
        ),
        ("\x1b[0;31mERROR:\x1b[0m [youtube] x: This video has been removed by the uploader", DeadLink),
        (
            "[youtube] x: This video is no longer available because the YouTube account associated with this video has been terminated.",
            DeadLink,
        ),
        ("Unable to download webpage: HTTP Error 404: Not Found", DeadLink),
        ("Unsupported URL: http://x/y", DeadLink),
        ("[youtube] x: Sign in to confirm you're not a bot. Use --cookies", HostUnavailable),
        ("Unable to download webpage: HTTP Error 429: Too Many Requests", HostUnavailable),
        ("Unable to download webpage: <urlopen error [Errno -3] Temporary failure in name resolution>", DownloadFailed),
        ("The read operation timed out", DownloadFailed),
    ],
)
def test_what_yt_dlp_says_is_told_apart(monkeypatch, tmp_path, said, kind):
    def behave(options, url):
        raise error(said)

    error = stand_in(monkeypatch, behave)
    with pytest.raises(kind) as caught:
        fetch_page_video("https://youtu.be/0UsjUE-TXns", tmp_path, "u-1", Host(QUICK))
    assert type(caught.value) is kind
    assert "\x1b" not in str(caught.value) and "ERROR" not in str(caught.value) and "--cookies" not in str(caught.value)


def test_stopping_stops_yt_dlp_and_too_large_videos_are_dead(monkeypatch, tmp_path):
    host = Host(QUICK)

    def behave(options, url):
        host.stop.set()
        options["progress_hooks"][0]({})

    stand_in(monkeypatch, behave)
    with pytest.raises(Stopped):
        fetch_page_video("https://youtu.be/0UsjUE-TXns", tmp_path, "u-1", host)
    stand_in(monkeypatch, lambda options, url: {"requested_downloads": [{"filepath": "nowhere"}]})
    with pytest.raises(DeadLink, match="gives no video of at most 5 MB"):
        fetch_page_video("https://youtu.be/0UsjUE-TXns", tmp_path, "u-1", Host(QUICK), max_bytes=5_000_000)


def test_yt_dlp_itself_on_a_page_of_this_machine(video_server, video, tmp_path):
    """Its generic extractor finds the video in the page; 404 and a page without a video are dead."""
    pytest.importorskip("yt_dlp", reason="yt-dlp comes with the extra wlasl")
    site = video_server
    site.put("clip.mp4", video)
    page = f'<html><head><title>sign</title></head><body><video src="{site.url("clip.mp4")}"></video></body></html>'
    table = save_table(
        tmp_path / "t.json",
        instance("1", site.put("watch", page.encode(), kind="text/html"), start=11, end=20),
        instance("2", site.url("nothing")),
        instance("3", site.put("empty", b"<html><body>no video</body></html>", kind="text/html")),
    )
    report = run(table, tmp_path / "out")
    found = rows(report)
    assert {name: row["status"] for name, row in found.items()} == {"1": "ok", "2": "dead", "3": "dead"}, found
    assert numbers(tmp_path / "out" / "videos" / "1.mp4") == list(range(10, 20))
    assert "404" in found["2"]["reason"] and "Unsupported URL" in found["3"]["reason"]
    assert sorted(path.suffix for path in (tmp_path / "out" / "raw").iterdir()) == [".mp4"]
    asked = len(site.requests)
    assert run(table, tmp_path / "out").worked == 0 and len(site.requests) == asked
