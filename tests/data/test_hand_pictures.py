"""Hands cut out of pictures of people: the points stay on what they marked, and every hand becomes a right one."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_pictures import NAMES, dotted, write_pictures

from signlang_hf.data import load_dataset
from signlang_hf.data.hand_pictures import LAYOUT, hand_pictures
from signlang_hf.landmarks import get_layout

RIGHT = get_layout(LAYOUT).points
LEFT = [name.replace("right_", "left_", 1) for name in RIGHT]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = write_pictures(tmp_path_factory.mktemp("people"), range(3))
    return load_dataset("keypoint_images", folder, validation_size=0)["train"]


def colour_at(image, point):
    x, y = np.floor(point).astype(int)
    return np.asarray(image.convert("RGB"), int)[y, x]


def test_each_person_gives_two_hands_in_order(rows):
    hands = hand_pictures(rows)
    assert [row["id"] for row in hands.select_columns("id")] == [
        f"{name}-{side}" for name in rows["id"] for side in ("left", "right")
    ]
    assert hands["source"] == [source for source in rows["source"] for _ in range(2)]
    assert all(sum(seen) == 21 for seen in hands["visible"])


def test_points_mark_what_they_marked_before(rows):
    hands = hand_pictures(rows)
    whole, points = dotted(0)
    for row, names in zip(hands.select(range(2)), (LEFT, RIGHT)):
        for place, name in zip(np.array(row["keypoints"]), names):
            before = colour_at(whole, points[NAMES.index(name)])
            assert np.abs(colour_at(row["image"], place) - before).max() < 40, name  # JPEG


def test_a_left_hand_is_mirrored(rows):
    left, right = hand_pictures(rows).select(range(2))
    points = dotted(0)[1]
    for row, names, sign in ((left, LEFT, -1), (right, RIGHT, 1)):
        before = points[[NAMES.index(name) for name in names]]
        across = np.diff(np.array(row["keypoints"]), axis=0)
        np.testing.assert_allclose(across, np.diff(before, axis=0) * [sign, 1], atol=1e-3)


def test_a_hand_that_is_hardly_seen_is_left_out(tmp_path):
    folder = write_pictures(tmp_path, range(2), hidden=[*LEFT[:12], *RIGHT[:3]])
    hands = hand_pictures(load_dataset("keypoint_images", folder, validation_size=0)["train"])
    assert [name.rpartition("-")[2] for name in hands["id"]] == ["right", "right"]
    assert hands[0]["visible"] == [False] * 3 + [True] * 18


def test_a_large_hand_is_made_smaller(tmp_path, monkeypatch):
    from signlang_hf.data import hand_pictures as module

    folder = write_pictures(tmp_path, range(1))
    rows = load_dataset("keypoint_images", folder, validation_size=0)["train"]
    large = [np.array(row["keypoints"]) for row in hand_pictures(rows)]
    monkeypatch.setattr(module, "_LARGEST", 40)
    small = hand_pictures(rows.select(range(1)))
    assert max(small[0]["width"], small[0]["height"]) <= 40
    for before, row in zip(large, small):
        ratio = np.ptp(before, axis=0) / np.ptp(np.array(row["keypoints"]), axis=0)
        assert np.allclose(ratio, ratio.round(), atol=0.02) and ratio[0] >= 2
