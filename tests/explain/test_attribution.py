"""Which points a feature shows, and the way back from the model's clip to the user's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from signlang_hf import LandmarkSequence, SignKeypointProcessor, get_layout, register_layout
from signlang_hf.explain.attribution import Origin, feature_shares, origin
from signlang_hf.landmarks.alignment import KEY_POINTS
from signlang_hf.landmarks.features import FEATURES

FRAMES = 24


def processor(layout: str = "isl-48", **settings: Any) -> SignKeypointProcessor:
    return SignKeypointProcessor(layout=layout, **settings)


def shares(layout: str, feature: str, dims: int = 3, **settings: Any) -> np.ndarray:
    """(F, points) of one feature."""
    found = feature_shares(processor(layout, features=[feature], dims=dims, **settings))
    assert found.shape == (FEATURES[feature][1](get_layout(layout), dims), len(get_layout(layout)))
    assert found.dtype == np.float32 and (found >= 0).all()
    return found


# ------------------------------------------------------------------------------------------------------- feature → points


@pytest.mark.parametrize("feature", ["position", "velocity", "acceleration"])
@pytest.mark.parametrize("layout", ["isl-48", "kinect-20"])
def test_coordinates_and_their_derivatives_belong_to_their_point(layout, feature):
    expected = np.repeat(np.eye(len(get_layout(layout))), 3, axis=0)
    settings = {"normalization": "centroid"}
    np.testing.assert_allclose(shares(layout, feature, **settings), expected, atol=1e-6)


def test_a_bone_belongs_to_both_ends():
    found = shares("isl-48", "bone_direction")
    for number, (a, b) in enumerate(get_layout("isl-48").bones):
        for column in found[3 * number : 3 * number + 3]:
            assert set(np.flatnonzero(column)) == {a, b}
            np.testing.assert_allclose(column[[a, b]], 0.5, atol=0.02)


def test_a_distance_belongs_to_both_points_and_hardly_to_its_unit_of_length():
    layout = get_layout("hands-42")
    found = shares("hands-42", "hand_distance", normalization="centroid")
    # The first row of pairs is the wrist's: with thumb_mcp, thumb_tip, index_mcp …
    wrist, thumb = layout.indices(["left_hand_wrist", "left_hand_thumb_mcp"])
    np.testing.assert_allclose(found[0, [wrist, thumb]], 0.5, atol=0.1)
    thumb_to_tip = found[14]  # thumb_mcp to thumb_tip: neither end measures the palm
    ends = layout.indices(["left_hand_thumb_mcp", "left_hand_thumb_tip"])
    np.testing.assert_allclose(thumb_to_tip[ends], 0.5, atol=0.02)
    assert thumb_to_tip.sum() - thumb_to_tip[ends].sum() < 0.03


def test_a_hand_about_its_wrist_belongs_to_point_and_wrist():
    layout = get_layout("hands-42")
    found = shares("hands-42", "hand_shape", normalization="centroid").reshape(42, 3, 42)
    tip, wrist = layout.indices(["right_hand_index_tip", "right_hand_wrist"])
    np.testing.assert_allclose(found[tip][:, [tip, wrist]], 0.5, atol=0.03)


def test_visibility_and_presence_belong_to_the_points_that_appear():
    np.testing.assert_allclose(shares("isl-48", "visibility"), np.eye(48))
    found = shares("isl-48", "presence")
    for row, points in zip(found, get_layout("isl-48").parts.values(), strict=True):
        np.testing.assert_allclose(row[list(points)], 1 / len(points), atol=1e-6)
        assert row.sum() == pytest.approx(1)


def test_standardisation_changes_nothing():
    plain = processor(features=["position", "bone_direction", "presence"])
    fitted = processor(
        features=["position", "bone_direction", "presence"],
        mean=np.linspace(-3, 3, plain.feature_size), std=np.geomspace(0.01, 100, plain.feature_size),
    )  # fmt: skip
    np.testing.assert_allclose(feature_shares(fitted), feature_shares(plain), atol=2e-3)


def test_a_feature_and_a_layout_of_tomorrow(monkeypatch):
    register_layout("tomorrow", ["antenna", "left_claw", "right_claw"])

    def reach(sequence, dims):
        return np.linalg.norm(sequence.data[:, 1] - sequence.data[:, 0], axis=1, keepdims=True)

    def constant(sequence, dims):
        return np.ones((len(sequence), 1), np.float32)

    monkeypatch.setitem(FEATURES, "reach", (reach, lambda layout, dims: 1))
    monkeypatch.setitem(FEATURES, "constant", (constant, lambda layout, dims: 1))
    found = feature_shares(processor("tomorrow", features=["reach", "constant"], normalization="none"))
    np.testing.assert_allclose(found[0], [0.5, 0.5, 0], atol=1e-3)
    assert not found[1].any()


@pytest.mark.parametrize("layout", ["isl-48", "face-hands-43", "kinect-20"])
def test_every_feature_belongs_to_few_points(layout):
    """Whatever is in the registry. Only what is 0 by definition, a hand's wrist about itself, belongs to none."""
    tried = 0
    for name in FEATURES:
        try:
            one = processor(layout, features=[name], normalization="centroid")
            one.fit([moving_clip(layout), moving_clip(layout, fps=20)])
        except ValueError as error:  # the layout has no fingers, or no arms
            assert "Layout" in str(error), name
            continue
        found = feature_shares(one)
        total, owners = found.sum(axis=1), (found > 0.05).sum(axis=1)
        assert (np.isclose(total, 1, atol=1e-4) | (total == 0)).all(), name
        assert (total == 0).sum() == (6 if name == "hand_shape" else 0), name
        if name not in ("hull_shape", "presence"):
            assert owners.max() <= 6, name
        tried += 1
    assert tried > 4


def test_a_key_point_beside_its_reference_path_belongs_to_that_point():
    one = processor(features=["trajectory"], normalization="centroid")
    found = feature_shares(one.fit([moving_clip("isl-48"), moving_clip("isl-48", fps=20)]))
    expected = np.repeat(get_layout("isl-48").indices(KEY_POINTS), 3)
    np.testing.assert_array_equal(found.argmax(axis=1), expected)
    assert found.max(axis=1).min() > 0.9


def test_shares_are_the_same_every_time():
    one = processor(features=["hand_distance", "bone_direction"])
    np.testing.assert_array_equal(feature_shares(one), feature_shares(one))


# ------------------------------------------------------------------------------------------------- model's clip → user's clip


def moving_clip(layout: str = "mediapipe-holistic", fps: float = 30.0, irregular: bool = False) -> LandmarkSequence:
    """Every point moves along its own straight line, so a coordinate tells where and when it was measured."""
    rng = np.random.default_rng(3)
    times = np.arange(FRAMES) / fps
    if irregular:
        times = times + rng.uniform(0, 0.4 / fps, FRAMES)
    count = len(get_layout(layout))
    start, speed = rng.uniform(0.2, 0.8, (2, count, 3))
    data = start + speed * times[:, None, None]
    return LandmarkSequence(data.astype(np.float32), layout, timestamps=times, size=(640, 480))


SETTINGS = [
    {},
    {"target_fps": 50.0},
    {"target_fps": 10.0},
    {"target_fps": None},
    {"num_frames": 7},
    {"num_frames": 40, "target_fps": None},
    {"max_frames": 11},
    {"max_gap": 0.0, "features": ["velocity"]},
    {"smooth_window": 5, "smooth_order": 2},
    {"normalization": "centroid", "per_frame": True},
    {"dominant_hand": "left"},
    {"dominant_hand": "right"},
    {"layout": "hands-42", "normalization": "centroid"},
    {"layout": "mediapipe-holistic-face478"},
    {"layout": "signlang-64"},
    {"repair": 5.0},
    {"align": True},
    {"layout": "face-hands-43", "normalization": "centroid", "track_hands": True, "target_fps": None},
]


@pytest.mark.parametrize("irregular", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_cell_is_what_its_origin_shows(settings, irregular):
    given = {"layout": "isl-48", **settings}
    clip = moving_clip(irregular=irregular)
    one = processor(**given)
    if one.align:
        pace = np.where(np.arange(FRAMES) < FRAMES // 4, 0, FRAMES - 1)  # the same way in one early leap
        one.fit([moving_clip().replace(data=moving_clip().data[pace])])
    found = origin(one, clip)
    one.normalization, one.per_frame = "none", False
    prepared = one.prepare(clip) if not one.align else None
    assert found.shape == clip.data.shape[:2]
    if prepared is None:  # DTW sees another clip without normalisation
        assert (np.diff(found.frames, axis=0) >= 0).all() and found.frames.max() == pytest.approx(FRAMES - 1, abs=1)
        assert np.abs(np.diff(found.frames[:, 0], n=2)).max() > 0.1
        return
    known = ~np.isnan(prepared.data[..., 0])
    np.testing.assert_array_equal(found.points >= 0, known)
    pixels = clip.isotropic().data
    before = np.floor(found.frames).astype(int).clip(0, FRAMES - 2)
    part = (found.frames - before)[..., None]
    points = found.points.clip(0)
    expected = pixels[before, points] * (1 - part) + pixels[before + 1, points] * part
    mirrored = np.concatenate([clip.size[0] - expected[..., :1], expected[..., 1:]], axis=2)
    assert any(np.allclose(shown[known], prepared.data[known], atol=0.05) for shown in (expected, mirrored))


def test_the_settings_above_mirror_one_way_and_not_the_other():
    found = [origin(processor(dominant_hand=side), moving_clip()).points[0] for side in ("left", "right")]
    names, layout = get_layout("mediapipe-holistic").points, get_layout("isl-48")
    hands = {names[points[layout.index["left_hand_thumb_tip"]]] for points in found}
    assert hands == {"left_hand_thumb_tip", "right_hand_thumb_tip"}


def test_points_that_were_never_seen_have_an_origin_too():
    clip = moving_clip("isl-48")
    data = clip.data.copy()
    data[:, 6:27] = np.nan
    found = origin(processor(layout="isl-48"), clip.replace(data=data, visibility=None))
    np.testing.assert_array_equal(found.points, np.broadcast_to(np.arange(48), found.points.shape))


def test_hands_that_change_places():
    """A processor that exchanges two hands in the middle of the clip, as one with slots in another order must."""

    class Exchanging(SignKeypointProcessor):
        def prepare(self, sequence: LandmarkSequence) -> LandmarkSequence:
            order = list(sequence.spec.mirror)
            fields = {name: getattr(sequence, name) for name in ("data", "visibility", "world")}
            for name, values in fields.items():
                if values is not None:
                    fields[name] = np.concatenate([values[: FRAMES // 2], values[FRAMES // 2 :, order]])
            return super().prepare(sequence.replace(**fields))

    one = Exchanging(layout="hands-42", normalization="none", target_fps=50.0)
    clip = moving_clip("hands-42")
    found = origin(one, clip)
    left = clip.spec.index["left_hand_wrist"]
    right = clip.spec.index["right_hand_wrist"]
    assert set(found.points[:, left]) == {left, -1, right} and (found.points[:, left] == -1).sum() <= 2
    heat = np.zeros(found.points.shape, np.float32)
    heat[:, left] = 1
    carried = found.carry(heat)
    assert set(np.flatnonzero(carried.any(axis=0))) == {left, right}
    assert (carried[: FRAMES // 2 - 1, left] == 1).all() and (carried[FRAMES // 2 + 1 :, left] == 0).all()
    assert (carried[FRAMES // 2 + 1 :, right] == 1).all() and (carried[: FRAMES // 2 - 1, right] == 0).all()


def carry(heat: list[float], frames: list[float], count: int) -> list[float]:
    """One point's heat in the model's frames, which lie at ``frames`` → in the clip's ``count`` frames."""
    column = np.array(heat, np.float32)[:, None]
    place = np.array(frames, float)[:, None]
    return Origin(place, np.zeros(place.shape, int), (count, 1)).carry(column)[:, 0].tolist()


def test_frames_are_pooled_by_their_maximum():
    assert carry([0, 0.5, 1, 0.25, 0], [0, 0.5, 1.2, 1.4, 2], 3) == [0.5, 1, 0]
    assert carry([1, 0], [0, 4], 5) == [1, 0.75, 0.5, 0.25, 0]
    assert carry([0.5, 0.5], [2, 3], 7) == [0, 0.5, 0.5, 0.5, 0.5, 0, 0]  # the model saw nothing of the rest
    assert carry([0.5], [2], 4) == [0, 0.5, 0.5, 0.5]


def test_two_points_of_the_model_that_are_one_of_the_clip_add_up():
    heat = np.array([[0.25, 0.5]], np.float32)
    where = Origin(np.zeros((1, 2)), np.array([[3, 3]]), (1, 5))
    assert where.carry(heat).tolist() == [[0, 0, 0, 0.75, 0]]
