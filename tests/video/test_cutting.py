"""Stretches of videos: the right frames at any rate, odd containers, and what cannot be cut."""

from __future__ import annotations

import os
import stat
import sys

import numpy as np
import pytest
from numbered_frames import numbered_frames
from numbered_frames import numbers as shown

from signlang_hf.video import Stretch, cut_video, iter_video, probe_video, read_video, write_video
from signlang_hf.video.cutting import cut_by_count, is_browser_mp4

av = pytest.importorskip("av", reason="PyAV writes the test videos")


def numbers(path):
    return shown(read_video(path).frames)


def write_as(path, frames, codec, fps=25, **options):
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("fps", [25, 30, 50])
def test_a_stretch_is_the_same_moments_at_any_rate(tmp_path, fps):
    source = write_video(tmp_path / "a.mp4", numbered_frames(4 * 25), fps=fps)
    cut_video(source, tmp_path / "b.mp4", Stretch(0.4, 1.2))
    assert numbers(tmp_path / "b.mp4") == list(range(round(0.4 * fps), round(1.2 * fps)))
    assert probe_video(tmp_path / "b.mp4").fps == pytest.approx(fps, rel=0.01)


def test_counted_frames_are_frames_of_the_file(tmp_path):
    source = write_video(tmp_path / "a.mp4", numbered_frames(60), fps=50)
    cut_by_count(source, tmp_path / "b.mp4", 10, 19)
    assert numbers(tmp_path / "b.mp4") == list(range(10, 20))
    with pytest.raises(ValueError, match="It has 60 frames; there is none from 71 to 80"):
        cut_by_count(source, tmp_path / "c.mp4", 70, 79)


def test_a_whole_mp4_is_not_encoded_again(tmp_path):
    source = write_video(tmp_path / "a.mp4", numbered_frames(10), fps=25)
    for _ in range(2):
        cut_video(source, tmp_path / "out" / "b.mp4")
        assert (tmp_path / "out" / "b.mp4").read_bytes() == source.read_bytes()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.mp4"]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.swf", "flv", {"format": "swf"}), ("a.flv", "flv", {}), ("a.avi", "mpeg4", {}), ("a.mkv", "libx264", {}),
     ("a.mov", "mjpeg", {}), ("a.mp4", "mpeg4", {})],
)  # fmt: skip
def test_odd_containers_become_h264_mp4(tmp_path, name, codec, options):
    source = write_as(tmp_path / name, numbered_frames(20), codec, **options)
    assert not is_browser_mp4(source)
    source = source.rename(tmp_path / "no_suffix_helps.bin")
    cut_video(source, tmp_path / "b.mp4")
    assert is_browser_mp4(tmp_path / "b.mp4") and numbers(tmp_path / "b.mp4") == list(range(20))
    cut_video(source, tmp_path / "c.mp4", Stretch(0.2, 0.4))
    assert numbers(tmp_path / "c.mp4") == list(range(5, 10))


def test_what_is_no_video_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"FWS\x05 not really flash" * 50)
    for stretch in (None, Stretch(0, 1)):
        with pytest.raises(ValueError, match=r"a\.mp4 is not a video that can be decoded"):
            cut_video(tmp_path / "a.mp4", tmp_path / "b.mp4", stretch)
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        cut_video(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()


def test_a_stretch_behind_the_end_says_so(tmp_path):
    source = write_video(tmp_path / "a.mp4", numbered_frames(25), fps=25)
    with pytest.raises(ValueError, match=r"The last frame begins at 0\.96 s; there is none from 4\.00 to 5\.00 s"):
        cut_video(source, tmp_path / "b.mp4", Stretch(4, 5))
    assert not (tmp_path / "b.mp4").exists()
    with pytest.raises(ValueError, match="there is none from 4"):
        list(iter_video(read_video(source), between=(4.0, 5.0)))


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a #! line")
@pytest.mark.parametrize("works", [True, False])
def test_ffmpeg_is_asked_for_what_the_library_cannot_read(tmp_path, monkeypatch, works):
    """A stand-in for the program: copies a video to where it is told to, or fails."""
    good = write_video(tmp_path / "good.mp4", numbered_frames(25), fps=25)
    body = f"shutil.copy({str(good)!r}, sys.argv[-1])" if works else "sys.exit(1)"
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport shutil, sys\nassert '-nostdin' in sys.argv\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])
    odd = tmp_path / "odd; rm -rf $HOME.swf"
    odd.write_bytes(b"CWS" + bytes(500))
    if works:
        cut_video(odd, tmp_path / "b.mp4")
        assert len(read_video(tmp_path / "b.mp4")) == 25
        cut_video(odd, tmp_path / "c.mp4", Stretch(0.0, 0.4))
        assert len(read_video(tmp_path / "c.mp4")) == 10
    else:
        with pytest.raises(ValueError, match=r"not a video that can be decoded .*, by ffmpeg neither\."):
            cut_video(odd, tmp_path / "b.mp4")


def test_between_keeps_the_time_stamps_of_the_whole(tmp_path):
    source = write_video(tmp_path / "a.mp4", numbered_frames(50), fps=25)
    for given in (source, read_video(source)):
        times = np.concatenate([chunk.timestamps for chunk in iter_video(given, between=(1.0, 1.2), chunk=2)])
        np.testing.assert_allclose(times, [1.0, 1.04, 1.08, 1.12, 1.16], atol=1e-3)
        slower = np.concatenate([chunk.timestamps for chunk in iter_video(given, between=(1.0, float("inf")), fps=5)])
        np.testing.assert_allclose(slower, [1.0, 1.2, 1.4, 1.6, 1.8], atol=0.021)
