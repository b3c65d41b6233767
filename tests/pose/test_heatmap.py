"""Our own detector as a pose estimator: points in their places, alone and in batches, a crop that follows, and every road that uses it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from tiny_detector import save_tiny_detector, spot_finder, spots
from tiny_model import save_tiny_model
from transformers import pipeline

from signlang_hf import load_landmarks, pretrained
from signlang_hf.landmarks import get_layout
from signlang_hf.pose import HeatmapEstimator, estimate_video, extract_folder
from signlang_hf.video import VideoWarning, read_video, write_video

LAYOUT = get_layout("signlang-64")
LEFT, RIGHT = LAYOUT.indices(["left_shoulder", "right_shoulder"])
NOSE = LAYOUT.index["nose"]
SMALL = ((0.56, 0.42), (0.48, 0.42), (0.52, 0.33))  # a signer far away in a large picture
FAR = {"size": (640, 360), "width": 0.025}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_detector(tmp_path_factory.mktemp("detector") / "tiny")


def finder(folder, **options):
    """An estimator that finds spots, and the network that it thinks it has."""
    estimator = HeatmapEstimator(folder, **{"smooth": False, "confidence": 0.2, **options})
    return estimator, spot_finder(estimator)


def walk(count=24, step=0.006):
    """A signer far away who walks to the right."""
    return np.stack([spots([(x + step * t - 0.1, y) for x, y in SMALL], **FAR) for t in range(count)])


def same(one, other, atol=1e-5):
    np.testing.assert_allclose(one.data, other.data, atol=atol)
    np.testing.assert_allclose(one.visibility, other.visibility, atol=atol)


# ------------------------------------------------------------------------------------------------------------------- points


def test_points_are_where_they_are_in_the_picture(folder):
    estimator, _ = finder(folder, track=False)
    detection = estimator.detect(spots(), 0.0)
    assert detection.data.shape == (64, 3) and detection.data.dtype == np.float32 and detection.world is None
    np.testing.assert_allclose(
        detection.data[[LEFT, RIGHT, NOSE], :2], [(0.5, 0.4), (0.3, 0.4), (0.4, 0.3)], atol=0.008
    )
    assert (detection.data[:, 2] == 0).all()  # no depth
    assert ((detection.visibility > 0.2) & (detection.visibility <= 1)).all()


@pytest.mark.parametrize("size", [(90, 160), (64, 64), (301, 77)])
def test_pictures_of_any_shape(folder, size):
    estimator, _ = finder(folder, track=False)
    detection = estimator.detect(spots([(0.6, 0.6), (0.3, 0.6), (0.5, 0.3)], size=size, width=6 / size[0]), 0.0)
    found = detection.data[[LEFT, RIGHT, NOSE], :2] * size
    np.testing.assert_allclose(found, np.array([(0.6, 0.6), (0.3, 0.6), (0.5, 0.3)]) * size, atol=0.02 * max(size))


def test_what_is_below_the_threshold_is_missing(folder):
    estimator, _ = finder(folder, track=False)
    scores = estimator.detect(spots(), 0.0).visibility
    assert scores[LEFT] < scores[RIGHT]
    estimator.confidence = float(scores[LEFT] + scores[RIGHT]) / 2
    detection = estimator.detect(spots(), 0.0)
    assert np.isnan(detection.data[LEFT]).all() and detection.visibility[LEFT] == 0
    assert not np.isnan(detection.data[RIGHT]).any() and detection.visibility[RIGHT] == scores[RIGHT]
    estimator.confidence = 0.0
    assert np.isnan(estimator.detect(spots([(np.nan, 0), (0.3, 0.4), (0.4, 0.3)]), 0.0).data[LEFT]).all()


def test_the_threshold_of_the_processor_counts_where_none_is_given(folder, tmp_path):
    assert HeatmapEstimator(folder).confidence == 0.3
    strict = save_tiny_detector(tmp_path / "strict", keypoint_threshold=0.7)
    assert HeatmapEstimator(strict).confidence == 0.7 and HeatmapEstimator(strict, confidence=0).confidence == 0
    scores = HeatmapEstimator(strict, track=False).detect(spots(), 0.0).visibility
    assert ((scores == 0) | (scores >= 0.7)).all() and 0 < (scores > 0).sum() < 64


def test_nobody_is_a_result(folder):
    estimator, _ = finder(folder)
    with pytest.warns(VideoWarning, match="No person was found in any of the 5 frames"):
        sequence = estimate_video(np.zeros((5, 48, 64, 3), np.uint8), estimator)
    assert not sequence.seen.any() and (sequence.visibility == 0).all()


def test_a_picture_of_one_pixel(folder):
    detection = HeatmapEstimator(folder).detect(np.full((1, 1, 3), 90, np.uint8), 0.0)
    assert detection.data.shape == (64, 3) and np.isfinite(detection.visibility).all()


# --------------------------------------------------------------------------------------------------- batches and clips


@pytest.mark.parametrize("smooth", [False, True])
def test_frame_by_frame_and_in_batches_agree_without_tracking(folder, smooth):
    frames = np.random.default_rng(0).integers(0, 255, (11, 45, 80, 3), np.uint8)
    options = {"track": False, "smooth": smooth, "confidence": 0.0}
    estimator = HeatmapEstimator(folder, batch_size=4, **options)
    whole = estimator.estimate(frames)
    estimator.reset()
    one_by_one = estimator.sequence(
        [estimator.detect(frame, seconds) for frame, seconds in zip(frames, whole.timestamps)],
        whole.timestamps,
        (80, 45),
    )
    same(whole, one_by_one)
    assert whole.layout == "signlang-64" and whole.units == "image" and whole.size == (80, 45)
    assert whole.seen.mean() > 0.9  # the weights are random, but not nothing
    same(whole, HeatmapEstimator(folder, batch_size=11, **options).estimate(frames))


def test_a_batch_is_as_large_as_was_asked_for(folder):
    estimator, network = finder(folder, track=False, batch_size=5)
    assert len(estimator.estimate(np.stack([spots()] * 12))) == 12
    assert network.batches == [5, 5, 2]
    estimator, network = finder(folder, batch_size=3)
    estimator.estimate(np.stack([spots()] * 8))
    assert network.batches == [1, 3, 3, 2]  # a look at the whole first picture, then the crop of all eight


def test_a_clip_gives_the_same_wherever_it_stands(folder):
    estimator, _ = finder(folder, smooth=True)
    clip, other = walk(), walk(10, step=-0.02)
    alone = estimator.estimate(clip)
    estimator.estimate(other)
    np.testing.assert_array_equal(estimator.estimate(clip).data, alone.data)
    fresh, _ = finder(folder, smooth=True)
    np.testing.assert_array_equal(fresh.estimate(clip).data, alone.data)


# ----------------------------------------------------------------------------------------------------------------- tracking


def test_a_signer_far_away_is_found_more_exactly_by_looking_closer(folder):
    truth = np.array(SMALL) * FAR["size"]
    frames = np.stack([spots(SMALL, **FAR)] * 8)

    def error(track: bool) -> float:
        found = finder(folder, track=track)[0].estimate(frames).data[-1, [LEFT, RIGHT, NOSE], :2] * FAR["size"]
        return float(np.linalg.norm(found - truth, axis=1).max())

    assert error(True) < 0.5 < 0.9 < error(False)


def test_the_crop_follows(folder):
    estimator, network = finder(folder)
    frames = walk()
    sequence = estimator.estimate(frames)
    truth = np.array([[(x + 0.006 * t - 0.1, y) for x, y in SMALL] for t in range(len(frames))])
    np.testing.assert_allclose(sequence.data[:, [LEFT, RIGHT, NOSE], :2], truth, atol=0.004)
    assert network.batches == [1, 8, 8, 8]  # one look at a whole picture was enough
    left, _, right, _ = estimator._crop.box
    assert 0.2 < (right - left) / 640 < 0.5 and left < truth[-1, 1, 0] * 640 < truth[-1, 0, 0] * 640 < right


def test_the_whole_picture_is_looked_at_again_every_two_seconds(folder):
    estimator, network = finder(folder)
    estimator.estimate(np.stack([spots(SMALL, **FAR)] * 64))  # 25 frames a second
    assert network.batches == [1, *[8] * 7, 1, 8]


def test_a_signer_who_jumps_away_or_leaves_is_not_lost_for_long(folder):
    estimator, network = finder(folder)
    away = [(x - 0.35, y + 0.3) for x, y in SMALL]
    frames = np.stack([spots(SMALL, **FAR)] * 8 + [spots(away, **FAR)] * 8 + [np.zeros((360, 640, 3), np.uint8)] * 8)
    sequence = estimator.estimate(frames)
    np.testing.assert_allclose(sequence.data[8:16, [LEFT, RIGHT, NOSE], :2], np.array([away] * 8), atol=0.02)
    assert network.batches[:4] == [1, 8, 8, 8]  # the crop was empty, so the whole picture was looked at
    assert not sequence.seen[16:].any() and estimator._crop.box is None
    back = estimator.detect(spots(SMALL, **FAR), 2.0)
    assert back.visibility[NOSE] > 0 and estimator._crop.box is not None


def test_live_frames_move_the_crop_one_by_one(folder):
    estimator, network = finder(folder)
    frames = walk()
    found = np.stack([estimator.detect(frame, t / 25).data for t, frame in enumerate(frames)])
    assert network.batches == [1] * 25
    np.testing.assert_allclose(found, estimator.estimate(frames).data, atol=0.004)


# -------------------------------------------------------------------------------------------------------------------- hands

HANDS = [*LAYOUT.parts["left_hand"], *LAYOUT.parts["right_hand"]]
BODY = [index for index in range(64) if index not in HANDS]


@pytest.fixture(scope="module")
def two_looks(tmp_path_factory):
    """A detector with one of hands beside it."""
    folder = save_tiny_detector(tmp_path_factory.mktemp("detector") / "two")
    save_tiny_detector(folder / "hands", layout="right-hand-21")
    return folder


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(4).integers(0, 255, (19, 45, 80, 3), np.uint8)


@pytest.mark.parametrize("track", [True, False])
def test_hands_are_looked_at_again_and_the_rest_stays(two_looks, noise, track):
    options = {"confidence": 0.0, "smooth": False, "track": track}
    twice = HeatmapEstimator(two_looks, **options).estimate(noise)
    once = HeatmapEstimator(two_looks, hands=False, **options).estimate(noise)
    np.testing.assert_array_equal(twice.data[:, BODY], once.data[:, BODY])
    assert np.nanmax(np.abs(twice.data - once.data)[:, HANDS]) > 0.02


@pytest.mark.parametrize("options", [{}, {"batch_size": 3}])
def test_a_clip_with_hands_gives_the_same_first_last_or_alone(two_looks, noise, options):
    estimator = HeatmapEstimator(two_looks, confidence=0.0, smooth=False, **options)
    alone = estimator.estimate(noise)
    estimator.estimate(noise[::-1])
    np.testing.assert_array_equal(estimator.estimate(noise).data, alone.data)
    # What is within frames that come together stays within them: a clip may be cut off between them.
    np.testing.assert_allclose(estimator.estimate(noise[:16]).data, alone.data[:16], atol=1e-5)
    same(HeatmapEstimator(two_looks, confidence=0.0, smooth=False).estimate(noise), alone)


def test_hands_frame_by_frame_and_in_batches_agree_without_tracking(two_looks, noise):
    estimator = HeatmapEstimator(two_looks, confidence=0.0, smooth=False, track=False, batch_size=4)
    whole = estimator.estimate(noise)
    estimator.reset()
    found = [estimator.detect(frame, seconds) for frame, seconds in zip(noise, whole.timestamps)]
    same(whole, estimator.sequence(found, whole.timestamps, (80, 45)), atol=1e-4)


def test_a_film_takes_fewer_looks_at_hands_than_its_pictures_and_finds_the_same(signlang_data):
    """The packaged detector on somebody it has not seen: where three looks at every frame are sure of a hand, so is the film, and there."""
    if "detector" not in pretrained.names():
        pytest.skip("the weights are not in this checkout")
    video = read_video(signlang_data / "clips" / "isl_are_you_free_today.mp4")
    size = np.array([video.frames.shape[2], video.frames.shape[1]])
    with HeatmapEstimator(confidence=0.0, smooth=False, device="cpu") as estimator:
        estimator.reset()
        hands, looks = estimator._second_look, []
        look = hands.look
        hands.look = lambda pictures, squares: looks.append(len(squares)) or look(pictures, squares)
        film = estimator.estimate(video)
        first = HeatmapEstimator(confidence=0.0, smooth=False, device="cpu", hands=False).estimate(video)
        in_film = sum(looks)
        looks.clear()
        points, scores = hands(list(video.frames), first.data[..., :2] * size, first.visibility)
    assert sum(looks) == 6 * len(video) and in_film < 0.6 * sum(looks)
    for hand in (HANDS[:21], HANDS[21:]):
        sure = scores[:, hand].mean(axis=1) > 0.35
        side = np.ptp(points[sure][:, hand], axis=1).max(axis=1)
        away = np.linalg.norm(film.data[sure][:, hand, :2] * size - points[sure][:, hand], axis=2) / side[:, None]
        assert sure.sum() > 10 and (np.median(away, axis=1) < 0.25).mean() > 0.85  # the same hand in the same place
        assert film.visibility[:, hand].mean() > 0.95 * scores[:, hand].mean()


def test_smoothing_takes_the_trembling_out(folder):
    rng = np.random.default_rng(0)
    places = np.array([(0.5, 0.4), (0.3, 0.4), (0.4, 0.3)])
    frames = np.stack([spots(places + rng.normal(0, 0.004, (3, 2))) for _ in range(40)])

    def trembling(smooth: bool) -> float:
        return float(finder(folder, smooth=smooth, track=False)[0].estimate(frames).data[10:, :, :2].std(axis=0).mean())

    assert trembling(True) < 0.75 * trembling(False)


# ------------------------------------------------------------------------------------------------------- roads that use it


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    source = tmp_path_factory.mktemp("videos")
    for name, seed in (("a.mp4", 0), ("sub/b.mp4", 1)):
        (source / name).parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 255, (6, 9, 16, 3), np.uint8)
        write_video(source / name, noise.repeat(8, axis=1).repeat(8, axis=2), fps=10)
    return source


def test_a_video_file(folder, videos):
    estimator = HeatmapEstimator(folder, confidence=0.1)
    sequence = estimate_video(videos / "a.mp4", estimator)
    assert len(sequence) == 6 and sequence.size == (128, 72) and sequence.seen.any()
    np.testing.assert_allclose(sequence.timestamps, np.arange(6) / 10, atol=1e-6)
    estimator.close()
    same(estimate_video(videos / "a.mp4", estimator), sequence)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_folder_of_videos(folder, videos, tmp_path, workers):
    options = {"model": str(folder), "confidence": 0.1, "device": "cpu"}
    settings = {"estimator": "heatmap", "estimator_options": options, "progress": False}
    report = extract_folder(videos, tmp_path / "out", num_workers=workers, **settings)
    assert report.failures == [] and report.extracted == 2
    assert {row["estimator"] for row in report.rows} == {"tiny, test_resnet at 64 px"}
    expected = estimate_video(videos / "sub" / "b.mp4", HeatmapEstimator(**options))
    same(load_landmarks(tmp_path / "out" / "sub" / "b.npz"), expected)
    assert extract_folder(videos, tmp_path / "out", num_workers=workers, **settings).extracted == 0
    with pytest.raises(ValueError, match=r"extracted with other settings .*estimator="):
        extract_folder(videos, tmp_path / "out", num_workers=workers, estimator="mediapipe", progress=False)


def test_names_of_estimators(videos, tmp_path):
    with pytest.raises(
        ValueError, match="Unknown pose estimator 'movenet'; choose mediapipe, heatmap, or module:callable"
    ):
        extract_folder(videos, tmp_path / "out", estimator="movenet", progress=False)
    assert not (tmp_path / "out").exists()
    nowhere = {"estimator": "heatmap", "estimator_options": {"model": "/nowhere"}}
    with pytest.raises(FileNotFoundError, match="Model folder not found: /nowhere"):
        extract_folder(videos, tmp_path / "out", num_workers=0, progress=False, **nowhere)


@pytest.mark.parametrize("layout", ["isl-48", "mediapipe-holistic", "signlang-64"])
def test_signs_are_recognised_through_it(folder, tmp_path, layout):
    model = save_tiny_model(tmp_path / "signs", layout=layout)
    estimator = HeatmapEstimator(folder, confidence=0.1)
    pipe = pipeline("sign-recognition", model=str(model), estimator=estimator)
    frames = np.random.default_rng(3).integers(0, 255, (12, 45, 80, 3), np.uint8)
    answer = pipe(frames, top_k=3)
    assert len(answer) == 3 and answer[0]["label"] is not None
    sequence = estimator.estimate(frames)
    assert sequence.to_layout(layout).seen.any()
    expected = pipe(sequence, top_k=3)
    assert [row["label"] for row in answer] == [row["label"] for row in expected]
    assert answer[0]["score"] == pytest.approx(expected[0]["score"], abs=1e-5)


def test_the_room_loads_without_torch():
    code = "import sys, signlang_hf.pose\nprint(*{n.partition('.')[0] for n in sys.modules} & {'torch', 'transformers', 'timm'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# ----------------------------------------------------------------------------------------------------------- what is wrong


def changed(folder, tmp_path, file, **changes):
    """A copy of a model folder with other settings in one of its files."""
    copy = tmp_path / "changed"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    settings = json.loads((copy / file).read_text()) | changes
    (copy / file).write_text(json.dumps(settings))
    return copy


def test_model_and_processor_of_other_points(folder, tmp_path):
    other = changed(folder, tmp_path, "preprocessor_config.json", layout="isl-48")
    with pytest.raises(
        ValueError, match=r"changed cannot be used: The model finds 64 points, .*'isl-48' has 48; they were not saved"
    ):
        HeatmapEstimator(other)


def test_model_of_another_task(tmp_path):
    signs = save_tiny_model(tmp_path / "signs", layout="isl-48")
    with pytest.raises(
        ValueError, match="signs is a signlang_transformer model; finding landmarks needs a signlang_detector"
    ):
        HeatmapEstimator(signs)


def test_folders_that_are_no_models(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="Model folder not found"):
        HeatmapEstimator(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"is not a model folder: it has no config\.json"):
        HeatmapEstimator(tmp_path)
    with pytest.raises(ValueError, match="nobody/nothing is not a folder here, and cannot be loaded from the Hub"):
        HeatmapEstimator("nobody/nothing")
    torn = changed(folder, tmp_path, "config.json")
    (torn / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="changed cannot be loaded"):
        HeatmapEstimator(torn).reset()


def test_without_a_name_the_bundled_detector_is_taken(folder, monkeypatch):
    monkeypatch.setattr(pretrained, "names", lambda: ["dgs30"])
    with pytest.raises(ValueError, match="No keypoint detector comes with this installation; name one with --model"):
        HeatmapEstimator()
    monkeypatch.setattr(pretrained, "names", lambda: ["detector"])
    monkeypatch.setattr(pretrained, "path", lambda name: folder if name == "detector" else None)
    assert HeatmapEstimator().description == "tiny, test_resnet at 64 px"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be a whole number from 1"),
        ({"confidence": 1.5}, "confidence is 1.5; it must be a number from 0 to 1"),
        ({"device": "abacus"}, "Device 'abacus' cannot be used here .*choose auto, cpu, cuda or mps"),
        ({"device": "meta"}, "Device 'meta' computes nothing"),
        ({"device": "cuda:99"}, "Device 'cuda:99' cannot be used here"),
    ],
)
def test_bad_options(folder, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        HeatmapEstimator(folder, **options)
    assert "\n" not in str(caught.value)


def test_bad_frames(folder):
    estimator, _ = finder(folder)
    with pytest.raises(ValueError, match="dtype float64; expected uint8"):
        estimator.estimate(np.zeros((3, 8, 8, 3)))
    estimator, _ = finder(folder, smooth=True)
    estimator.detect(spots(), 1.0)
    with pytest.raises(ValueError, match="time stamps must increase"):
        estimator.detect(spots(), 1.0)
