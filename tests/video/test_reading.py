"""Reading: both decoders agree, time stamps rule, rotation is honoured, and every bad file gets one clear sentence."""

from __future__ import annotations

import http.server
import io
import struct
import subprocess
import sys
import threading
import time
import warnings
from fractions import Fraction

import numpy as np
import pytest

from signlang_hf.video import (
    Video,
    VideoWarning,
    as_video,
    decoders,
    iter_video,
    probe_video,
    read_image,
    read_video,
    sources,
    write_video,
)
from signlang_hf.video.decoders import is_cut_off

av = pytest.importorskip("av")
pytest.importorskip("decord")

BACKENDS = ("decord", "pyav")
STEP = 8  # grey levels between frames: survives lossy coding


def numbered(count, width=64, height=48, step=STEP):
    """Frames whose grey level says which they are."""
    return np.broadcast_to(
        (np.arange(count, dtype=np.uint8) * step)[:, None, None, None], (count, height, width, 3)
    ).copy()


def numbers(frames, step=STEP):
    """Which frames these are."""
    return np.rint(frames.reshape(len(frames), -1).mean(axis=1) / step).astype(int).tolist()


def encode(path, frames, *, pts=None, codec="libx264", pix_fmt="yuv420p", rate=25, **options):
    """Write frames with PyAV, at given time stamps in milliseconds if there are any."""
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pix_fmt
        if pts is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", numbered(30), fps=30)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """300 frames with a key frame every 25, distinguishable modulo 30."""
    frames = np.tile(numbered(30), (10, 1, 1, 1))
    return encode(tmp_path_factory.mktemp("clip") / "long.mp4", frames, g="25")


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_frames_with_their_times(clip, backend):
    video = read_video(clip, backend=backend)
    assert video.frames.shape == (30, 48, 64, 3) and video.frames.dtype == np.uint8
    assert numbers(video.frames) == list(range(30))
    np.testing.assert_allclose(video.timestamps, np.arange(30) / 30, atol=1e-6)
    assert video.fps == 30.0 and video.size == (64, 48)


@pytest.mark.parametrize("backend", BACKENDS)
def test_probe(clip, backend):
    info = probe_video(clip, backend=backend)
    assert info[:4] == (64, 48, 30.0, 30)
    assert info.duration == pytest.approx(29 / 30, abs=1e-6)
    assert info.rotation == (0 if backend == "pyav" else None)


@pytest.mark.parametrize("name", ["hoy_001.mp4", "isl_are_you_free_today.mp4"])
def test_decoders_agree_on_real_clips(clips, name):
    """Bit for bit, also where frames are left out: the first has open GOPs, in which decord's own seeking goes wrong."""
    everything = read_video(clips / name, backend="pyav")
    other = read_video(clips / name, backend="decord")
    np.testing.assert_array_equal(everything.frames, other.frames)
    np.testing.assert_allclose(everything.timestamps, other.timestamps, atol=1e-5)
    for options in ({"fps": 12, "backend": "decord"}, {"fps": 12, "backend": "pyav"}, {"num_frames": 4}):
        sampled = read_video(clips / name, **options)
        assert (np.diff(sampled.timestamps) > 0).all()
        places = np.abs(everything.timestamps[:, None] - sampled.timestamps).argmin(axis=0)
        np.testing.assert_array_equal(sampled.frames, everything.frames[places])
        np.testing.assert_allclose(sampled.timestamps, everything.timestamps[places], atol=1e-5)


def test_seeking_gives_the_same_frames_as_reading_through(clips, monkeypatch):
    monkeypatch.setattr(decoders, "_SEEK_GAIN", 1)
    decoder = decoders.PyAVDecoder(clips / "hoy_001.mp4")
    wanted = np.array([3, 17, 30, 33, 50, 61])
    sought = dict(decoder.frames(wanted))
    through = dict(decoder.frames(np.arange(len(decoder.times))))
    assert list(sought) == wanted.tolist()
    for position, frame in sought.items():
        np.testing.assert_array_equal(frame, through[position])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "fps, kept", [(10, range(0, 300, 3)), (30, range(300)), (60, range(300)), (0.5, [0, 60, 120, 180, 240])]
)
def test_target_rate(long_clip, tmp_path, backend, fps, kept):
    path = write_video(tmp_path / "a.mp4", np.tile(numbered(30), (10, 1, 1, 1)), fps=30) if fps != 0.5 else long_clip
    rate = 30 if fps != 0.5 else 25
    video = read_video(path, fps=fps, backend=backend)
    kept = list(kept) if fps != 0.5 else [0, 50, 100, 150, 200, 250]
    np.testing.assert_allclose(video.timestamps, np.array(kept) / rate, atol=1e-5)
    assert numbers(video.frames) == [index % 30 for index in kept]


def test_few_of_many_frames_are_sought(long_clip, monkeypatch):
    """From eight frames passed over for one wanted, the default is PyAV, which seeks."""
    used = []
    original = decoders.PyAVDecoder._seek
    monkeypatch.setattr(decoders.PyAVDecoder, "_seek", lambda self, *a: (used.append(a[2]), original(self, *a))[1])
    video = read_video(long_clip, num_frames=3)
    assert numbers(video.frames) == [50 % 30, 150 % 30, 250 % 30]
    assert used


@pytest.mark.parametrize("backend", BACKENDS)
def test_variable_frame_rate(tmp_path, backend):
    gaps = np.random.default_rng(0).choice([20, 33, 50, 120], 29)
    stamps = np.concatenate([[0], np.cumsum(gaps)])
    path = encode(tmp_path / "vfr.mp4", numbered(30), pts=stamps.tolist(), bf="0")
    video = read_video(path, backend=backend)
    np.testing.assert_allclose(video.timestamps, stamps / 1000, atol=1e-4)
    assert numbers(video.frames) == list(range(30))

    sampled = read_video(path, backend=backend, fps=10)
    ticks = np.arange(int(stamps[-1] / 100) + 1) / 10
    nearest = np.unique(np.abs(stamps[:, None] / 1000 - ticks).argmin(axis=0))
    assert numbers(sampled.frames) == nearest.tolist()
    np.testing.assert_allclose(sampled.timestamps, stamps[nearest] / 1000, atol=1e-4)

    middles = (np.arange(6) + 0.5) * (stamps[-1] + np.median(gaps)) / 6
    shown = np.searchsorted(stamps, middles, side="right") - 1
    assert numbers(read_video(path, backend=backend, num_frames=6).frames) == shown.tolist()


def rotated(source, target, angle):
    """A copy of an MP4 whose track header says that it is shown turned clockwise by ``angle``."""
    one = 1 << 16
    matrix = {90: (0, one, 0, -one, 0, 0), 180: (-one, 0, 0, 0, -one, 0), 270: (0, -one, 0, one, 0, 0)}[angle]
    data = bytearray(source.read_bytes())
    header = data.find(b"tkhd") + 4
    place = header + (40 if data[header] == 0 else 52)
    data[place : place + 36] = struct.pack(">9i", *matrix, 0, 0, 1 << 30)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("angle", [90, 180, 270])
def test_rotation_metadata(tmp_path, backend, angle):
    upright = np.zeros((4, 48, 64, 3), np.uint8)
    upright[:, :24, :32] = 255  # white quarter at the top left
    path = rotated(write_video(tmp_path / "a.mp4", upright), tmp_path / "b.mp4", angle)
    expected = np.rot90(upright[0], -angle // 90)
    video = read_video(path, backend=backend)
    assert video.frames.shape[1:] == expected.shape
    assert np.abs(video.frames[0].astype(int) - expected).mean() < 4
    info = probe_video(path, backend=backend)
    assert (info.width, info.height) == video.size
    if backend == "pyav":
        assert info.rotation % 360 == -angle % 360


@pytest.mark.parametrize("start, shown", [(5, None), (10, 12), (0, 12), (8, None)])
@pytest.mark.parametrize("bf", ["0", "2"])
def test_trimmed_mp4_shows_only_what_is_left(tmp_path, start, shown, bf, capfd):
    """Phones trim clips with an edit list: the frames before and after are in the file but not in the video."""
    path = encode(tmp_path / "whole.mp4", numbered(30), bf=bf, g="8")
    data = bytearray(path.read_bytes())
    place = data.find(b"elst") + 12  # duration in milliseconds, then the start in 1/12800 s
    duration, begin = struct.unpack_from(">Ii", data, place)
    struct.pack_into(">Ii", data, place, duration if shown is None else shown * 40, begin + start * 512)
    (tmp_path / "trimmed.mp4").write_bytes(data)
    expected = list(range(start, 30 if shown is None else start + shown))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for backend in ("auto", "pyav"):
            video = read_video(tmp_path / "trimmed.mp4", backend=backend)
            assert numbers(video.frames) == expected
            np.testing.assert_allclose(video.timestamps, np.arange(len(expected)) / 25, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_chunks_are_the_whole_video(clip, backend):
    chunks = list(iter_video(clip, chunk=8, backend=backend))
    assert [len(chunk.frames) for chunk in chunks] == [8, 8, 8, 6]
    assert all(chunk.timestamps.dtype == np.float64 for chunk in chunks)
    video = read_video(clip, backend=backend)
    np.testing.assert_array_equal(np.concatenate([chunk.frames for chunk in chunks]), video.frames)
    np.testing.assert_array_equal(np.concatenate([chunk.timestamps for chunk in chunks]), video.timestamps)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_frame_clip(tmp_path, backend):
    path = write_video(tmp_path / "one.mp4", numbered(1) + 80)
    video = read_video(path, backend=backend)
    assert len(video) == 1 and video.timestamps.tolist() == [0.0]
    assert probe_video(path, backend=backend).num_frames == 1
    assert len(read_video(path, backend=backend, fps=10)) == 1
    assert len(read_video(path, backend=backend, num_frames=4)) == 4


def test_fewer_frames_than_wanted_repeat(tmp_path):
    video = read_video(write_video(tmp_path / "a.mp4", numbered(3), fps=3), num_frames=6)
    assert numbers(video.frames) == [0, 0, 1, 1, 2, 2]
    assert (np.diff(video.timestamps) >= 0).all()


@pytest.mark.parametrize(
    "name, codec, pix_fmt", [("a.webm", "libvpx-vp9", "yuv420p"), ("a.mkv", "libx264", "yuv420p"), ("a.gif", "gif", "rgb8"),
                             ("a.avi", "mpeg4", "yuv420p"), ("av1.mp4", "libsvtav1", "yuv420p")]
)  # fmt: skip
def test_other_containers_and_codecs(tmp_path, capfd, name, codec, pix_fmt):
    """Also those that decord cannot read: PyAV stands in."""
    video = read_video(encode(tmp_path / name, numbered(20, step=10), codec=codec, pix_fmt=pix_fmt))
    assert len(video) == 20
    if name != "a.gif":  # whose palette does not hold these greys
        assert numbers(video.frames, step=10) == list(range(20))
    assert (np.diff(video.timestamps) > 0).all()


def test_stream_without_time_stamps(tmp_path):
    path = encode(tmp_path / "raw.h264", numbered(20), bf="0", rate=25)
    video = read_video(path, backend="pyav")
    assert numbers(video.frames) == list(range(20))
    np.testing.assert_allclose(video.timestamps, np.arange(20) / 25, atol=1e-6)
    assert numbers(read_video(path, backend="pyav", num_frames=4).frames) == [2, 7, 12, 17]


def test_bytes(clip):
    np.testing.assert_array_equal(read_video(clip.read_bytes()).frames, read_video(clip).frames)


def test_decord_is_the_default_and_pyav_stands_in(clip, monkeypatch):
    assert isinstance(decoders.open_decoder(clip), decoders.DecordDecoder)
    monkeypatch.setitem(sys.modules, "decord", None)
    assert isinstance(decoders.open_decoder(clip), decoders.PyAVDecoder)
    assert numbers(read_video(clip).frames) == list(range(30))
    with pytest.raises(ImportError, match=r'needs decord: pip install "signlang-hf\[pose\]"'):
        read_video(clip, backend="decord")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r'needs decord or PyAV: pip install "signlang-hf\[pose\]"'):
        read_video(clip)


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("reader", [read_video, probe_video, lambda source: next(iter_video(source))])
def test_bad_files(tmp_path, reader):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is not a video " * 200)
    with pytest.raises(FileNotFoundError, match=r"Video file not found: .*absent\.mp4"):
        reader(tmp_path / "absent.mp4")
    with pytest.raises(ValueError, match=r"empty\.mp4 is empty \(0 bytes\)"):
        reader(tmp_path / "empty.mp4")
    with pytest.raises(ValueError, match=r"text\.mp4 is not a video that can be decoded"):
        reader(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match="is a folder, not a video"):
        reader(tmp_path)
    with pytest.raises(ValueError, match="The path of the video is empty"):
        reader("")
    with pytest.raises(TypeError, match="not as int"):
        reader(7)


def test_file_without_its_index(clip, tmp_path):
    """An MP4 that was cut before its index at the end: nothing in it can be found."""
    plain = encode(tmp_path / "plain.mov", numbered(30))
    (tmp_path / "cut.mp4").write_bytes(plain.read_bytes()[:800])
    with pytest.raises(ValueError, match=r"cut\.mp4 is not a video that can be decoded"):
        read_video(tmp_path / "cut.mp4")


@pytest.mark.parametrize("backend", ["auto", "pyav"])
def test_truncated_file_gives_what_it_holds(long_clip, tmp_path, backend, capfd):
    data = long_clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.warns(VideoWarning, match=r"cut\.mp4 is cut off or damaged: \d+ of 300 frames could be decoded"):
        video = read_video(tmp_path / "cut.mp4", backend=backend)
    assert 10 < len(video) < 290
    np.testing.assert_array_equal(video.frames, read_video(long_clip).frames[: len(video)])
    with pytest.warns(VideoWarning, match="cut off or damaged"):
        few = read_video(tmp_path / "cut.mp4", backend=backend, num_frames=5)
    assert few.frames.shape[0] == 5


def test_a_file_that_is_cut_off_is_known_by_its_boxes(long_clip, clip, tmp_path):
    data = long_clip.read_bytes()
    for share in (0.2, 0.5, 0.99):
        (tmp_path / "cut.mp4").write_bytes(data[: int(share * len(data))])
        assert is_cut_off(tmp_path / "cut.mp4")
    assert not is_cut_off(long_clip) and not is_cut_off(clip)
    # A box of 64-bit length, one that reaches to the end, and a file of another kind.
    wide = data + (1).to_bytes(4, "big") + b"free" + (24).to_bytes(8, "big") + bytes(8)
    for name, content in {"wide": wide, "open": data + bytes(4) + b"free123", "other": b"RIFF" + data}.items():
        (tmp_path / name).write_bytes(content)
        assert not is_cut_off(tmp_path / name), name
    (tmp_path / "wide").write_bytes(wide[:-1])
    assert is_cut_off(tmp_path / "wide")


def test_decord_alone_gives_what_it_can_of_a_truncated_file(clips, tmp_path, capfd):
    """Where decord opens the file and fails on the way, PyAV reads on; without PyAV the frames so far are the result."""
    data = (clips / "pose_format_test_video.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.warns(VideoWarning):
        alone = read_video(tmp_path / "cut.mp4", backend="decord")
    with pytest.warns(VideoWarning):
        both = read_video(tmp_path / "cut.mp4")
    assert 10 < len(alone) <= len(both)
    np.testing.assert_array_equal(alone.frames, both.frames[: len(alone)])
    assert (np.diff(both.timestamps) > 0).all()


def test_no_readable_frame_is_an_error(clips, tmp_path, capfd):
    data = bytearray((clips / "pose_format_test_video.mp4").read_bytes())
    start = data.find(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    (tmp_path / "zeros.mp4").write_bytes(data)
    with pytest.raises(ValueError, match=r"zeros\.mp4 holds no frame that can be decoded"):
        read_video(tmp_path / "zeros.mp4", backend="pyav")
    with pytest.raises(ValueError, match=r"zeros\.mp4 holds no frame that can be decoded"):
        read_video(tmp_path / "zeros.mp4")


def test_audio_only_and_zero_frames(tmp_path, capfd):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"sound\.mp4 is not a video that can be decoded \(it holds no video stream\)"):
        read_video(tmp_path / "sound.mp4")
    with av.open(str(tmp_path / "none.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    for backend in ("auto", "pyav"):
        with pytest.raises(ValueError, match=r"none\.avi holds no frames"):
            read_video(tmp_path / "none.avi", backend=backend)


@pytest.mark.parametrize(
    "options, message",
    [({"fps": 0}, "fps is 0"), ({"fps": float("nan")}, "fps is nan"), ({"num_frames": 0}, "num_frames is 0"),
     ({"fps": 5, "num_frames": 5}, "not both"), ({"backend": "opencv"}, "Unknown video backend 'opencv'")],
)  # fmt: skip
def test_bad_options(clip, options, message):
    with pytest.raises(ValueError, match=message):
        read_video(clip, **options)


# ------------------------------------------------------------------------------------------- arrays and pictures


@pytest.mark.parametrize(
    "frames, message",
    [
        (np.zeros((3, 8, 8, 3), np.float32), "dtype float32; expected uint8"),
        (np.zeros((3, 8, 8), np.uint8), r"shape \(3, 8, 8\); expected \(T, H, W, 3\)"),
        (np.zeros((3, 8, 8, 4), np.uint8), r"expected \(T, H, W, 3\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no frame or no picture"),
        (np.zeros((3, 0, 8, 3), np.uint8), "no frame or no picture"),
    ],
)
def test_wrong_arrays(frames, message):
    with pytest.raises(ValueError, match=message):
        as_video(frames)
    with pytest.raises(ValueError, match=message):
        list(iter_video(frames))


def test_arrays_are_videos():
    video = as_video(numbered(20), fps=10)
    assert len(video) == 20 and video.fps == 10 and video.timestamps[-1] == pytest.approx(1.9)
    assert numbers(read_video(video, fps=5).frames) == list(range(0, 20, 2))
    assert numbers(read_video(numbered(20), num_frames=4).frames) == [2, 7, 12, 17]
    assert [len(chunk.frames) for chunk in iter_video(video, chunk=7)] == [7, 7, 6]
    assert len(as_video(numbered(1)[0])) == 1
    stamped = as_video(numbered(3), timestamps=np.array([0, 0.1, 0.4]))
    assert stamped.fps == 5.0 and isinstance(stamped, Video)
    with pytest.raises(ValueError, match="2 time stamps for 3 frames"):
        as_video(numbered(3), timestamps=np.array([0, 0.1]))
    with pytest.raises(ValueError, match="increase"):
        as_video(numbered(3), timestamps=np.array([0, 0.1, 0.1]))


def test_pictures(tmp_path):
    from PIL import Image

    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:10, :15] = (200, 10, 10)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture).convert("RGBA").save(tmp_path / "misnamed.mp4", format="PNG")
    for name in ("a.png", "misnamed.mp4"):
        video = read_video(tmp_path / name)
        np.testing.assert_array_equal(video.frames, picture[None])
        assert video.timestamps.tolist() == [0.0]
        assert probe_video(tmp_path / name)[:4] == (30, 20, 25.0, 1)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise by 90 degrees
    Image.fromarray(picture).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    turned = read_image(tmp_path / "turned.jpg")
    assert turned.shape == (30, 20, 3) and turned[2, 15, 0] > 150 and turned[2, 2, 0] < 60
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (100, 150, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    assert read_video(buffer.getvalue(), num_frames=3).frames.shape == (3, 100, 150, 3)
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[:-1000])
    with pytest.raises(ValueError, match=r"cut\.jpg is cut off"):
        read_video(tmp_path / "cut.jpg")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    with pytest.raises(ValueError, match=r"bad\.png is not a picture"):
        read_image(tmp_path / "bad.png")


# ------------------------------------------------------------------------------------------------------- addresses


@pytest.fixture(scope="module")
def server(clip):
    data = clip.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow.mp4":
                time.sleep(2)
            if self.path == "/absent.mp4":
                return self.send_error(404)
            self.send_response(200)
            if self.path != "/unsized.mp4":
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):  # clients that hang up are part of the tests
            pass

    with Quiet(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_address(server, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    video = read_video(f"{server}/clip.mp4?token=1")
    np.testing.assert_array_equal(video.frames, read_video(clip).frames)
    assert probe_video(f"{server}/unsized.mp4").num_frames == 30
    partly = iter_video(f"{server}/clip.mp4", chunk=4)
    next(partly)
    assert len(list(tmp_path.iterdir())) == 1  # the download that is being read
    partly.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["clip.mp4", "unsized.mp4"])
def test_download_limit(server, name, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(ValueError, match=r"larger than 0\.001 MB, the limit for downloads"),
        sources.local_file(f"{server}/{name}", max_bytes=1000),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_download_failures(server):
    with pytest.raises(ConnectionError, match=r"Could not download .*/absent\.mp4: HTTP 404"):
        read_video(f"{server}/absent.mp4")
    with (
        pytest.raises(ConnectionError, match=r"no answer within 0\.3 s"),
        sources.local_file(f"{server}/slow.mp4", timeout=0.3),
    ):
        pass
    with pytest.raises(ConnectionError, match=r"Could not download http://127\.0\.0\.1:9/a\.mp4"):
        read_video("http://127.0.0.1:9/a.mp4")


# ---------------------------------------------------------------------------------------------------------- memory

_MEASURE = """
import resource, sys
from signlang_hf.video import iter_video
small, long, backend = sys.argv[1:]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for _ in iter_video(small, backend=backend): pass
before, frames = peak(), 0
for chunk in iter_video(long, backend=backend): frames += len(chunk.frames)
print(frames, peak() - before, chunk.timestamps[-1])
"""


@pytest.fixture(scope="module")
def ten_minutes(tmp_path_factory):
    """10 minutes at 12 frames a second: 415 MB when decoded."""
    pattern = np.zeros((24, 120, 160, 3), np.uint8)
    for index, frame in enumerate(pattern):
        frame[:, index * 6 : index * 6 + 20] = 255
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", (pattern for _ in range(300)), fps=12, quality=40)


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_is_bounded(clip, ten_minutes, backend):
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(clip), str(ten_minutes), backend],
        capture_output=True,
        text=True,
        check=True,
    )
    frames, megabytes, last = (float(value) for value in done.stdout.split())
    assert frames == 7200 and last == pytest.approx(7199 / 12, abs=1e-3)
    assert megabytes < 60, f"{backend} needed {megabytes:.0f} MB more for ten minutes than for one second"


def test_no_warning_for_undamaged_files(clip):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_video(clip)
        read_video(clip, fps=7)
        read_video(clip, num_frames=3)
