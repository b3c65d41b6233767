"""Heat on frames, contact sheet, chart and the files of an explanation."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_model import tiny_clip

from signlang_hf import LandmarkSequence, get_layout, register_layout
from signlang_hf.explain import SignExplanation
from signlang_hf.explain.charts import timeline
from signlang_hf.explain.overlay import iter_overlay, on_canvas, panels
from signlang_hf.video import Video, read_video, write_video

WIDTH, HEIGHT = 320, 240
HOT, UNSEEN = 3, 7  # points


def explanation(frames: int = 12, video: Any = "grey", layout: str = "isl-48", **changes: Any) -> SignExplanation:
    """One point is hot throughout, hottest in frame 5; another was never seen."""
    clip = tiny_clip(frames, layout=layout).replace(size=(WIDTH, HEIGHT))
    data = clip.data.copy()
    data[:, UNSEEN] = np.nan
    data[:, HOT, :2] = 0.25, 0.5
    clip = clip.replace(data=data, visibility=None)
    heat = np.zeros(data.shape[:2], np.float32)
    heat[:, HOT] = 0.5
    heat[min(5, frames - 1), HOT] = 1
    if isinstance(video, str) and video == "grey":
        video = Video(np.full((frames, HEIGHT, WIDTH, 3), 128, np.uint8), clip.timestamps, clip.fps)
    given = {"heat": heat, "sequence": clip, "label": "hello", "label_id": 1, "score": 0.875, "method": "gradcam"}
    return SignExplanation(**{**given, "looked_at": np.ones(data.shape[1], bool), "video": video, **changes})


def overlay(one: SignExplanation) -> np.ndarray:
    return np.concatenate([chunk.frames for chunk in iter_overlay(one)])


def test_only_the_hot_point_is_painted_and_hands_stay_visible():
    one = explanation()
    checked = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 * 60 + 100  # something to see beneath the heat
    frames = np.repeat(np.repeat(checked.astype(np.uint8)[None, ..., None], 3, axis=3), 12, axis=0)
    painted = overlay(dataclasses.replace(one, video=Video(frames, one.sequence.timestamps, 25.0)))
    assert painted.shape[0] == 12 and painted.shape[2] == WIDTH and painted.shape[1] > HEIGHT  # a strip below
    picture = painted[5, :HEIGHT].astype(int)
    grey = np.ptp(picture, axis=2) < 3
    y, x = np.nonzero(~grey)
    assert abs(x.mean() - 0.25 * WIDTH) < 2 and abs(y.mean() - 0.5 * HEIGHT) < 2
    assert np.hypot(x - 0.25 * WIDTH, y - 0.5 * HEIGHT).max() < 0.3 * WIDTH
    spot = picture[118:122, 78:82]
    assert np.ptp(spot, axis=2).min() > 30  # clearly coloured
    assert np.ptp(spot[..., 2].ravel()) > 10  # and the pattern shows through
    far = painted[5, :HEIGHT, -60:].astype(int)
    assert (far < frames[0, :, -60:]).all() and (far > 0.7 * frames[0, :, -60:]).all()


def test_heat_is_pooled_over_a_moment_and_fades_with_its_value():
    painted = overlay(explanation(30))[:, 120, 80].astype(int)  # the hot point's own pixel
    brightness = painted.sum(axis=1)
    assert brightness[5] == brightness[4] == brightness[6] > brightness[15] > 3 * 0.7 * 128


def test_nothing_hot_and_points_that_were_not_seen():
    cold = explanation()
    plain = overlay(dataclasses.replace(cold, heat=np.zeros_like(cold.heat)))
    assert np.ptp(plain[:, :HEIGHT].astype(int), axis=3).max() == 0
    lost = np.zeros_like(cold.heat)
    lost[:, UNSEEN] = 1
    np.testing.assert_array_equal(overlay(dataclasses.replace(cold, heat=lost))[:, :HEIGHT], plain[:, :HEIGHT])
    outside = cold.sequence.data.copy()
    outside[:, HOT, :2] = 40.0, -40.0
    far = dataclasses.replace(cold, sequence=cold.sequence.replace(data=outside))
    np.testing.assert_array_equal(overlay(far)[:, :HEIGHT], plain[:, :HEIGHT])


def test_the_strip_says_what_and_when():
    one = explanation(frames=20)
    strip, left, right = timeline(one, WIDTH, 64)
    assert strip.shape == (64, WIDTH, 3) and 0 < left < right < WIDTH
    other, _, _ = timeline(dataclasses.replace(one, label="goodbye"), WIDTH, 64)
    assert np.abs(strip.astype(int) - other).max() > 100
    heads = [np.flatnonzero((frame[HEIGHT:] == 255).all(axis=(0, 2))) for frame in overlay(one)]
    assert [len(head) for head in heads] == [2] * 20
    positions = np.array([head.mean() for head in heads])
    np.testing.assert_allclose(positions, np.linspace(left, right, 20), atol=1.5)


@pytest.mark.parametrize("width", [96, 1921])
def test_the_strip_fits_any_width(width):
    strip, left, right = timeline(explanation(label="a very long gloss " * 5), width, 64)
    assert strip.shape == (64, width, 3) and 0 < left < right < width


def test_a_video_at_another_rate_gets_the_heat_of_its_time():
    one = explanation(12)
    frames = np.full((5, HEIGHT, WIDTH, 3), 128, np.uint8)
    heat = np.zeros_like(one.heat)
    heat[11:, HOT] = 1
    slow = Video(frames, np.arange(5) * 0.1, 10.0)  # its last frame is the clip's tenth
    painted = overlay(dataclasses.replace(one, heat=heat, video=slow))
    hot = np.ptp(painted[:, :HEIGHT].astype(int), axis=3).max(axis=(1, 2)) > 20
    assert hot.tolist() == [False, False, False, False, True]


@pytest.mark.parametrize("layout", ["isl-48", "kinect-20", "dgs-43", "boston-3", "mediapipe-holistic-face478"])
@pytest.mark.parametrize("units", ["image", "unknown"])
def test_landmarks_alone_are_drawn_as_a_skeleton(layout, units):
    clip = tiny_clip(6, layout=layout)
    if units == "unknown":
        clip = clip.replace(size=None, units="unknown")
    heat = np.zeros(clip.data.shape[:2], np.float32)
    heat[:, 0] = 1
    one = explanation(6, video=None, sequence=clip, heat=heat, looked_at=np.ones(heat.shape[1], bool))
    canvas = on_canvas(clip)
    assert canvas.units == "pixel" and canvas.size[1] == 480
    frames = overlay(one)
    assert len(frames) == 6 and frames.shape[2] == canvas.size[0]
    x, y = canvas.data[3, 0, :2].round().astype(int)
    assert np.ptp(frames[3, y, x].astype(int)) > 30
    assert one.chart().width > 500 and one.sheet().width > 500


def test_upright_whatever_way_the_axis_points():
    """A head above the shoulders stays above them, with y up (Kinect) and y down (pictures)."""
    layout = get_layout("kinect-20")
    up = np.random.default_rng(0).normal(0, 0.05, (4, 20, 3)).astype(np.float32)
    up[:, layout.index["head"], 1] += 1
    for data in (up, up * (1, -1, 1)):
        canvas = on_canvas(LandmarkSequence(data, "kinect-20", units="metre"))
        head, shoulder = (canvas.data[:, layout.index[name], 1] for name in ("head", "left_shoulder"))
        assert (head < shoulder).all()


# ------------------------------------------------------------------------------------------------------ pictures and files


def test_contact_sheet_shows_the_hottest_frames():
    one = explanation(40)
    heat = np.zeros_like(one.heat)
    peaks = [4, 12, 22, 35]
    heat[peaks, HOT] = 1
    one = dataclasses.replace(one, heat=heat)
    drawn = {}

    def spy(given, wanted):
        drawn.update(wanted)
        return panels(given, wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signlang_hf.explain.charts.panels", spy)
        sheet = one.sheet(num=4)
    assert list(drawn) == peaks and all(values[HOT] == 1 for values in drawn.values())
    assert isinstance(sheet, Image.Image) and sheet.width > 500
    assert np.asarray(sheet).std() > 10
    with pytest.raises(ValueError, match="num is 0"):
        one.sheet(num=0)


def test_panels_are_cut_to_the_signer():
    clip = tiny_clip(6, layout="isl-48").replace(size=(WIDTH, HEIGHT))
    corner = clip.replace(data=clip.data * (0.5, 0.5, 1))
    one = explanation(6, sequence=corner, heat=np.ones((6, 48), np.float32))
    found = panels(one, {2: one.heat[2], 4: one.heat[4]})
    assert list(found) == [2, 4]
    height, width = found[2].shape[:2]
    assert height < 0.75 * HEIGHT and width < 0.75 * WIDTH
    assert found[4].shape == found[2].shape


def test_chart_has_a_row_for_every_region_that_the_model_looks_at():
    one = explanation()
    assert set(one.parts) == {"right arm", "left arm", "right hand", "left hand"}
    hands = np.zeros(48, bool)
    hands[6:] = True
    fewer = dataclasses.replace(one, looked_at=hands)
    assert list(fewer.parts) == ["right hand", "left hand"]
    kinect = tiny_clip(12, layout="kinect-20")
    many = explanation(12, None, sequence=kinect, heat=np.ones((12, 20), np.float32), looked_at=np.ones(20, bool))
    assert len(many.parts) == 8 and many.chart().height > one.chart().height
    assert one.parts["right arm"].max() == 1 and one.parts["right arm"].argmax() == 5  # point 3 is the right elbow
    assert one.frame_weights.tolist() == [0.5] * 5 + [1] + [0.5] * 6
    assert np.flatnonzero(one.point_weights).tolist() == [HOT]


def test_a_region_that_was_not_seen_is_no_cold_one():
    clip = tiny_clip(8)
    data = clip.data.copy()
    data[:, list(clip.spec.parts["left_hand"])] = np.nan
    data[2:4, list(clip.spec.parts["right_hand"])] = np.nan
    clip = clip.replace(data=data, visibility=None)
    one = explanation(8, video=None, sequence=clip, heat=np.where(clip.seen, 0.5, 0).astype(np.float32))
    assert np.isnan(one.parts["left hand"]).all()
    assert np.isnan(one.parts["right hand"]).tolist() == [False] * 2 + [True] * 2 + [False] * 4
    assert one.summary()["parts"]["left hand"] == 0
    assert one.chart().width > 500


def test_a_layout_whose_names_say_nothing():
    register_layout("nameless", [f"p{i}" for i in range(5)])
    clip = tiny_clip(6, layout="nameless")
    one = explanation(6, video=None, sequence=clip, heat=np.ones((6, 5), np.float32), looked_at=np.ones(5, bool))
    assert list(one.parts) == ["body"] and one.chart().width > 500


def test_save_writes_everything(tmp_path):
    one = explanation(12)
    files = one.save(tmp_path / "new" / "folder")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "explanation.json", "heat.mp4", "heat.npz", "heat.png", "parts.png",
    ]  # fmt: skip
    video = read_video(files["video"])
    assert len(video) == 12 and video.frames.shape[2] == WIDTH and video.fps == pytest.approx(25, abs=0.1)
    for name in ("sheet", "chart"):
        with Image.open(files[name]) as picture:
            assert picture.format == "PNG" and picture.width > 500 and np.asarray(picture).std() > 5
    with np.load(files["heat"], allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["heat"], one.heat)
        assert arrays["points"].tolist() == list(get_layout("isl-48").points)
        np.testing.assert_array_equal(arrays["timestamps"], one.sequence.timestamps)
    summary = json.loads(files["summary"].read_text(encoding="utf-8"))
    assert summary == json.loads(json.dumps(one.summary()))
    assert summary["label"] == "hello" and summary["score"] == 0.875 and summary["hottest_frame"] == 5
    assert summary["hottest_seconds"] == 0.2 and summary["points"] == {"right_elbow": 1.0}
    assert summary["parts"]["right arm"] == 1 and summary["parts"]["left hand"] == 0


def test_odd_videos(tmp_path):
    """An odd, tiny picture, an uneven clock, three frames, and a label that matplotlib could take for mathematics."""
    times = np.array([0.0, 0.03, 0.11])
    clip = tiny_clip(3)
    clip = clip.replace(timestamps=times, size=(51, 37))
    path = write_video(tmp_path / "in.mp4", np.full((3, 37, 51, 3), 90, np.uint8))
    one = explanation(3, video=path, sequence=clip, heat=np.ones((3, 48), np.float32), label="a$b$ \\frac مرحبا")
    files = one.save(tmp_path)
    assert len(read_video(files["video"])) == 3
    silent = explanation(3, video=None, sequence=clip, heat=np.zeros((3, 48), np.float32))
    assert json.loads(silent.save(tmp_path / "b")["summary"].read_text())["points"] == {}


def test_a_video_that_is_gone(tmp_path):
    one = explanation(video=tmp_path / "gone.mp4")
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        one.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_matplotlib_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'needs matplotlib.*pip install "signlang-hf\[explain\]"'):
        explanation().save(tmp_path)
