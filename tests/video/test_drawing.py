"""Drawing and writing: what was seen is drawn where it was, what was not is not, and browsers can play the result."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.landmarks import LandmarkSequence, get_layout
from signlang_hf.video import (
    PART_COLOURS,
    Video,
    as_video,
    draw_landmarks,
    read_video,
    sample_rate,
    sample_uniform,
    skeleton_strip,
    write_video,
)

HOLISTIC = get_layout("mediapipe-holistic")


def near(picture, colour, tolerance=12):
    """Where the picture has that colour."""
    return (np.abs(picture.astype(int) - np.array(colour)) <= tolerance).all(axis=-1)


def signer(frames=6, layout=HOLISTIC, size=(640, 480), units="image", fps=25.0):
    """Somebody who waves the right hand: every point somewhere sensible, the left hand never seen."""
    rng = np.random.default_rng(0)
    data = np.full((frames, len(layout), 3), np.nan, np.float32)
    known = {
        "nose": (0.5, 0.2), "left_ear": (0.54, 0.2), "right_ear": (0.46, 0.2), "left_eye": (0.52, 0.18),
        "right_eye": (0.48, 0.18), "left_shoulder": (0.62, 0.42), "right_shoulder": (0.38, 0.42),
        "left_elbow": (0.66, 0.65), "right_elbow": (0.3, 0.6), "left_wrist": (0.62, 0.85), "right_wrist": (0.3, 0.4),
    }  # fmt: skip
    for name, place in known.items():
        if name in layout.index:
            data[:, layout.index[name], :2] = place
            data[:, layout.index[name], 2] = 0
    hand = list(layout.parts.get("right_hand", ()))
    if hand:
        shape = rng.uniform(-0.06, 0.06, (len(hand), 2)) + (0.3, 0.32)
        sway = np.linspace(0, 0.1, frames)[:, None, None] * (1, 0)
        data[:, hand, :2] = shape + sway
        data[:, hand, 2] = 0
    sequence = LandmarkSequence(data, layout.name, fps=fps, size=size)
    return sequence if units == "image" else sequence.to_units(units)


def grey(frames=6, size=(640, 480)):
    return np.full((frames, size[1], size[0], 3), 128, np.uint8)


@pytest.mark.parametrize("units", ["image", "pose", "pixel"])
def test_bones_and_points_lie_where_the_landmarks_are(units):
    frames, sequence = grey(), signer(units=units)
    drawn = draw_landmarks(frames, sequence)
    assert drawn.shape == frames.shape and drawn.dtype == np.uint8
    assert (frames == 128).all(), "the input was written to"
    pose, hand = near(drawn[0], PART_COLOURS["pose"]), near(drawn[0], PART_COLOURS["right_hand"])
    assert pose.any() and hand.any()
    assert not near(drawn, PART_COLOURS["left_hand"]).any(), "a hand that was not seen was drawn"
    # Half way along the upper arm there is a bone; in the middle of the chest there is none.
    assert pose[round(0.51 * 480) - 4 : round(0.51 * 480) + 5, round(0.34 * 640) - 4 : round(0.34 * 640) + 5].any()
    assert (drawn[0, 300, 320] == 128).all()
    rows, columns = np.nonzero(hand)
    assert abs(columns.mean() / 640 - 0.3) < 0.03 and abs(rows.mean() / 480 - 0.32) < 0.04
    later = np.nonzero(near(drawn[-1], PART_COLOURS["right_hand"]))[1].mean()
    assert later - columns.mean() == pytest.approx(64, abs=8)


def test_untrusted_and_missing_points_are_not_drawn():
    frames, sequence = grey(), signer()
    doubtful = sequence.replace(visibility=np.where(sequence.seen, np.float32(0.4), np.float32(0)))
    assert (draw_landmarks(frames, doubtful) == 128).all()
    assert (draw_landmarks(frames, doubtful, min_visibility=0.3) != 128).any()
    nothing = sequence.replace(data=np.full_like(sequence.data, np.nan), visibility=None)
    assert (draw_landmarks(frames, nothing) == 128).all()


def test_points_outside_the_picture_do_no_harm():
    sequence = signer()
    data = sequence.data.copy()
    data[:, HOLISTIC.index["left_elbow"], :2] = (1.4, 1.2)
    data[:, HOLISTIC.index["left_wrist"], :2] = (90.0, -90.0)
    drawn = draw_landmarks(grey(), sequence.replace(data=data))
    assert near(drawn[0], PART_COLOURS["pose"]).any()
    far = np.where(np.isnan(sequence.data), np.nan, np.float32(50))
    assert (draw_landmarks(grey(), sequence.replace(data=far)) == 128).all()


@pytest.mark.parametrize("name", ["boston-3", "isl-48", "signlang-64", "coco-wholebody-133", "dgs-43", "kinect-20"])
def test_every_layout_can_be_drawn(name):
    layout = get_layout(name)
    data = np.random.default_rng(1).uniform(0.2, 0.8, (2, len(layout), 3))
    sequence = LandmarkSequence(data, name, size=(200, 200))
    drawn = draw_landmarks(grey(2, (200, 200)), sequence)
    for part in layout.parts:
        assert near(drawn, PART_COLOURS[part], 40).any(), part
    assert skeleton_strip(sequence, num=2).width > 100


def test_landmarks_meet_a_video_by_time():
    """A video at twice the rate of its landmarks: each frame gets the nearest."""
    video = as_video(grey(12), fps=50)
    drawn = draw_landmarks(video, signer(6, fps=25))
    centres = [np.nonzero(near(frame, PART_COLOURS["right_hand"]))[1].mean() for frame in drawn]
    assert all(np.diff(centres) >= -1) and centres[-1] - centres[0] == pytest.approx(64, abs=8)
    with pytest.raises(ValueError, match="different stretches of time"):
        draw_landmarks(as_video(grey(200, (64, 48)), fps=25), signer(6))
    with pytest.raises(ValueError, match="6 frames of landmarks for 12 frames"):
        draw_landmarks(grey(12), signer(6))
    with pytest.raises(ValueError, match="metre units have no place"):
        draw_landmarks(grey(6), signer().replace(units="metre"))


@pytest.mark.parametrize("text", ["Ambulance", "скорая помощь", "سيارة إسعاف", "ασθενοφόρο"])
def test_captions_in_several_scripts(text):
    frames, nobody = grey(1), signer(1).replace(data=np.full((1, 75, 3), np.nan), visibility=None)
    drawn = draw_landmarks(frames, nobody, text=text)
    assert (drawn[0, :380] == 128).all(), "the caption left its band"
    assert near(drawn[0], (255, 255, 255)).sum() > 200
    boxes = draw_landmarks(frames, nobody, text="\ue000" * len(text))  # letters that no font has
    assert (drawn != boxes).any()


def test_caption_per_frame_and_long_captions_wrap():
    nobody = signer(2).replace(data=np.full((2, 75, 3), np.nan), visibility=None)
    drawn = draw_landmarks(grey(2), nobody, text=["", "word " * 30])
    assert (drawn[0] == 128).all()
    white = np.nonzero(near(drawn[1], (255, 255, 255)))
    assert white[1].min() >= 0 and white[1].max() < 640 and np.ptp(white[0]) > 60  # several lines
    with pytest.raises(ValueError, match="3 captions for 2 frames"):
        draw_landmarks(grey(2), nobody, text=["a", "b", "c"])


# --------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("size", [(64, 48), (63, 48), (65, 47)])
def test_written_videos_play_in_browsers(tmp_path, size):
    av = pytest.importorskip("av")
    frames = np.zeros((10, size[1], size[0], 3), np.uint8)
    frames[:, :, : size[0] // 2] = (200, 40, 40)
    path = write_video(tmp_path / "out.mp4", frames, fps=29.97)
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat"), "the index is not at the front"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert stream.width % 2 == 0 and stream.height % 2 == 0
        assert float(stream.average_rate) == pytest.approx(29.97, abs=1e-3)
    back = read_video(path)
    assert back.size == (size[0] + size[0] % 2, size[1] + size[1] % 2) and len(back) == 10
    difference = np.abs(back.frames[:, : size[1], : size[0]].astype(int) - frames)
    assert difference.mean() < 6
    assert [item.name for item in tmp_path.iterdir()] == ["out.mp4"]


def test_writing_chunks_and_videos(tmp_path):
    video = Video(grey(9, (64, 48)), np.arange(9) / 10, 10.0)
    assert read_video(write_video(tmp_path / "a.mp4", video)).fps == pytest.approx(10, abs=0.01)
    assert len(read_video(write_video(tmp_path / "b.mp4", iter([grey(4, (64, 48)), video]), fps=5))) == 13


@pytest.mark.parametrize(
    "frames, fps, name, message",
    [
        (grey(2, (64, 48)), 25, "a.avi", r"Cannot write a video to a\.avi"),
        (grey(2, (64, 48)), 0, "a.mp4", "fps is 0"),
        (grey(2, (64, 48)).astype(float), 25, "a.mp4", "expected uint8"),
        ([], 25, "a.mp4", "no frame to write"),
        ([grey(2, (64, 48)), grey(2, (32, 48))], 25, "a.mp4", "32 x 48 follow frames of 64 x 48"),
    ],
)
def test_nothing_is_left_of_a_video_that_could_not_be_written(tmp_path, frames, fps, name, message):
    (tmp_path / "a.mp4").write_bytes(b"what was there")
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / name, frames, fps=fps)
    assert [item.name for item in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"what was there"


# ---------------------------------------------------------------------------------------------------- skeleton strip


def test_strip_shows_body_and_hand():
    pytest.importorskip("matplotlib")
    picture = skeleton_strip(signer(20), title="hello · 0.93", num=5)
    pixels = np.asarray(picture)
    assert pixels.ndim == 3 and pixels.shape[2] == 3 and picture.width > 1000
    assert near(pixels, PART_COLOURS["pose"]).sum() > 500
    assert near(pixels, PART_COLOURS["right_hand"]).sum() > 200
    assert not near(pixels[: picture.height // 2], PART_COLOURS["left_hand"]).any()  # a finger below has its colour
    untitled = skeleton_strip(signer(20), num=5)
    assert untitled.height < picture.height and untitled.width == picture.width
    assert skeleton_strip(signer(20), num=8).width > picture.width
    assert skeleton_strip(signer(3), num=8).width < untitled.width  # three frames are three panels


def test_strip_is_upright_whatever_the_units():
    """Head above shoulders, from pictures (y down) and from metric sources whose y points up."""
    body = get_layout("kinect-20")
    data = np.full((4, 20, 3), np.nan, np.float32)
    for name, place in {"head": (0, 1.7), "shoulder_center": (0, 1.4), "left_shoulder": (0.2, 1.4),
                        "right_shoulder": (-0.2, 1.4), "right_elbow": (-0.4, 1.2), "right_wrist": (-0.4, 1.0)}.items():  # fmt: skip
        data[:, body.index[name]] = (*place, 0)
    up = np.asarray(skeleton_strip(LandmarkSequence(data, "kinect-20", units="metre"), num=1))
    flipped = data * np.array([1, -1, 1], np.float32)
    down = np.asarray(skeleton_strip(LandmarkSequence(flipped, "kinect-20", units="metre"), num=1))
    np.testing.assert_array_equal(up, down)
    rows = np.nonzero(near(up, PART_COLOURS["pose"]))[0]
    widths = near(up, PART_COLOURS["pose"]).sum(axis=1)
    assert widths.argmax() < (rows.min() + rows.max()) / 2, "the shoulder line is not in the upper half"


def test_strip_of_nobody():
    nobody = signer(5).replace(data=np.full((5, 75, 3), np.nan), visibility=None)
    with pytest.raises(ValueError, match="Nothing was seen"):
        skeleton_strip(nobody)
    with pytest.raises(ValueError, match="num is 0"):
        skeleton_strip(signer(5), num=0)


# --------------------------------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("fps", [1.0, 7.5, 12.0, 25.0, 29.97, 60.0, 1000.0])
def test_rate_sampling_takes_the_nearest_frame_of_each_tick(fps):
    rng = np.random.default_rng(int(fps))
    times = np.concatenate([[0], np.cumsum(rng.uniform(0.01, 0.2, 200))])
    taken = sample_rate(times, fps)
    assert (np.diff(taken) > 0).all() and taken[0] == 0
    ticks = np.arange(int((times[-1] + 1e-4) * fps) + 1) / fps
    distance = np.abs(times[:, None] - ticks)
    least = distance.min(axis=0) + 2e-4  # two frames nearer than this to each other in distance are a tie
    assert (distance[taken].min(axis=0) <= least).all(), "a tick lost its nearest frame"
    assert (distance[taken] <= least).any(axis=1).all(), "a frame was taken that is no tick's nearest"
    assert len(sample_rate(times[:1], fps)) == 1 and len(sample_rate(times[:0], fps)) == 0


def test_uniform_sampling_follows_time_not_count():
    times = np.concatenate([np.arange(50) / 100, 0.5 + np.arange(5) / 10])  # ten times slower in the second half
    taken = times[sample_uniform(times, 10)]
    assert (taken < 0.5).sum() == 5
    assert len(sample_uniform(times, 200)) == 200
    assert sample_uniform(np.array([3.0]), 4).tolist() == [0, 0, 0, 0]
    assert sample_uniform(np.zeros(0), 4).tolist() == []
