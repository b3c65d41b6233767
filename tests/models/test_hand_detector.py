"""The second look at the hands: where it looks, left hands mirrored, and what is left alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bright_hands import HANDS, LAYOUT, NAMES, TIPS, bright_spots, person
from tiny_detector import save_tiny_detector
from transformers import pipeline

from signlang_hf.models.detector import (
    HandDetector,
    SignDetectorConfig,
    SignDetectorProcessor,
)
from signlang_hf.pose import HeatmapEstimator

BODY = [index for index in range(64) if index not in HANDS["left"] + HANDS["right"]]


@pytest.fixture
def look():
    return bright_spots()


def test_hands_are_found_where_they_are_and_the_rest_stays(look):
    frame, points = person()
    found, scores = look([frame], points[None], np.full((1, 64), 0.6, np.float32))
    for place, side in (((60, 50), "left"), ((140, 70), "right")):
        hand = np.delete(found[0, HANDS[side]], list(TIPS), axis=0)
        np.testing.assert_allclose(hand, np.tile(place, (19, 1)), atol=0.6)
        assert (scores[0, HANDS[side]] > 0.8).all()
    np.testing.assert_array_equal(found[0, BODY], points[BODY])
    assert (scores[0, BODY] == np.float32(0.6)).all() and (points[HANDS["left"]] != found[0, HANDS["left"]]).any()


def test_a_left_hand_is_looked_at_in_the_mirror(look):
    frame, points = person()
    found, _ = look([frame], points[None], np.ones((1, 64), np.float32))
    tip = NAMES.index("right_hand_thumb_tip")
    left, right = (found[0, HANDS[side]] for side in ("left", "right"))
    assert right[tip, 0] > right[0, 0] + 1 and left[tip, 0] < left[0, 0] - 1


def test_hands_that_the_first_look_does_not_see_are_left_alone(look):
    frame, points = person()
    scores = np.ones((1, 64), np.float32)
    scores[0, HANDS["left"]] = 0.2
    found, kept = look([frame], points[None], scores, threshold=0.3)
    np.testing.assert_array_equal(found[0, HANDS["left"]], points[HANDS["left"]])
    assert (kept[0, HANDS["left"]] == np.float32(0.2)).all() and [len(batch) for batch in look.model.seen] == [1, 1, 1]
    points[HANDS["right"]] = np.nan
    found, _ = look([frame], points[None], scores, threshold=0.3)
    assert np.isnan(found[0, HANDS["right"]]).all() and len(look.model.seen) == 3


def test_many_pictures_of_different_sizes_at_once(look):
    frame, points = person()
    small = frame[:100, :180]
    both, _ = look([frame, small], np.stack([points, points]), np.ones((2, 64), np.float32))
    one, _ = look([small], points[None], np.ones((1, 64), np.float32))
    np.testing.assert_allclose(both[1], one[0], atol=1e-3)
    assert [len(batch) for batch in look.model.seen] == [4, 4, 4, 2, 2, 2]


def test_the_square_goes_with_the_shoulders(look):
    frame, points = person(spread=0.5)  # all points in one heap: the hand is larger than that
    look([frame], points[None], np.ones((1, 64), np.float32))
    width = (look.model.seen[0][0].mean(0) > 0.3).any(0).sum()  # of the spot, in pixels of the model
    assert 6 < width < 20  # 0.7 of 40 pixels' distance of the shoulders become 64: the spot of 6 is 14 wide


def test_the_surer_of_hand_and_forearm_says_where_to_look(look):
    frame, points = person()
    points[HANDS["left"]] += [30, 30]  # all of them wrong
    scores = np.full((1, 64), 0.1, np.float32)
    scores[0, [LAYOUT.index["left_wrist"], LAYOUT.index["left_elbow"]]] = 0.9
    found, _ = look([frame], points[None], scores)
    np.testing.assert_allclose(found[0, HANDS["left"][0]], (60, 50), atol=0.6)
    scores[0, HANDS["left"]], scores[0, LAYOUT.index["left_wrist"]] = 0.9, 0.1
    found, _ = look([frame], points[None], scores)
    assert np.abs(found[0, HANDS["left"][0]] - (60, 50)).max() > 10


def test_other_models_are_refused(tmp_path):
    processor = SignDetectorProcessor(image_size=64)
    config = SignDetectorConfig(image_size=64)
    with pytest.raises(ValueError, match="layout 'signlang-64'; they must be those of 'right-hand-21'"):
        HandDetector(config, processor)
    hands = SignDetectorProcessor(image_size=64, layout="right-hand-21")
    with pytest.raises(ValueError, match="'boston-3' has no hands to look at again"):
        HandDetector(SignDetectorConfig(keypoints=NAMES, image_size=64), hands, layout="boston-3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A detector with a detector of hands beside it."""
    folder = save_tiny_detector(tmp_path_factory.mktemp("detector") / "tiny")
    save_tiny_detector(folder / "hands", layout="right-hand-21")
    return folder


def test_the_folder_beside_is_found(folder, tmp_path):
    assert HandDetector.beside(save_tiny_detector(tmp_path / "alone")) is None
    assert HandDetector.beside(folder).processor.layout == "right-hand-21"


def test_estimator_and_pipeline_look_twice_and_say_the_same(folder):
    frame = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    pipe = pipeline("sign-keypoint-detection", model=str(folder))
    answers = {}
    for hands in (True, False):
        estimator = HeatmapEstimator(folder, confidence=0.0, smooth=False, track=False, hands=hands)
        points = estimator.detect(frame, 0.0).data[:, :2] * [120, 90]
        piped = np.array([(point["x"], point["y"]) for point in pipe(frame, threshold=0.0, hands=hands)["keypoints"]])
        seen = np.isfinite(points).all(axis=1)  # the estimator leaves out what no score speaks for
        np.testing.assert_allclose(points[seen], piped[seen], atol=0.05)
        assert seen.sum() > 20
        answers[hands] = piped
    np.testing.assert_array_equal(answers[True][BODY], answers[False][BODY])
    assert np.abs(answers[True] - answers[False])[HANDS["left"]].max() > 1
    batch = pipe([frame, frame[:80]], threshold=0.0, batch_size=2)
    alone = [pipe(one, threshold=0.0) for one in (frame, frame[:80])]
    for one, other in zip(batch, alone):
        assert [point["x"] for point in one["keypoints"]] == pytest.approx(
            [point["x"] for point in other["keypoints"]], abs=0.05
        )


def test_hands_of_other_points_are_one_sentence(folder, tmp_path):
    broken = save_tiny_detector(tmp_path / "broken")
    save_tiny_detector(broken / "hands")
    with pytest.raises(ValueError, match="layout 'signlang-64'; they must be those of 'right-hand-21'"):
        HeatmapEstimator(broken).reset()
    config = broken / "hands" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"broken cannot be loaded"):
        HeatmapEstimator(broken).reset()
    with pytest.raises(ValueError, match="hands is 1; it must be True or False"):
        pipeline("sign-keypoint-detection", model=str(folder))(np.zeros((9, 9, 3), np.uint8), hands=1)
