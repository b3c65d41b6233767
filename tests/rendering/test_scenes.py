"""Scenes: a seed is a picture, labels are what the camera sees, and looks cover what people look like."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from signlang_hf.landmarks.layout import get_layout
from signlang_hf.rendering import finish, render_flat, sample_scene
from signlang_hf.rendering.background import sample_background
from signlang_hf.rendering.looks import sample_look, sample_skin
from signlang_hf.rendering.surface import box

SIZE = 160


@pytest.fixture(scope="module")
def scenes():
    return [sample_scene(seed, SIZE) for seed in range(12)]


def test_importing_the_room_needs_numpy_alone():
    code = (
        "import sys, signlang_hf.rendering; "
        "print(sorted({'torch', 'transformers', 'PIL', 'bpy', 'datasets', 'scipy'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_seed_is_a_scene(scenes):
    again = sample_scene(3, SIZE)
    assert again.label("a.jpg") == scenes[3].label("a.jpg")
    np.testing.assert_array_equal(again.background, scenes[3].background)
    assert render_flat(again).tobytes() == render_flat(scenes[3]).tobytes()
    assert again.label("a.jpg") != scenes[4].label("a.jpg")


def test_a_label_holds_the_projected_points(scenes):
    for scene in scenes:
        label = json.loads(json.dumps(scene.label("x.jpg")))
        assert [point["name"] for point in label["keypoints"]] == list(get_layout("signlang-64").points)
        assert (label["width"], label["height"]) == (scene.camera.width, scene.camera.height)
        assert label["source"] == f"synthetic-{scene.seed}"
        x, y, width, height = label["bbox"]
        assert 0 <= x < x + width <= label["width"] and 0 <= y < y + height <= label["height"]
        for point, pixel, seen in zip(label["keypoints"], scene.pixels, scene.visible):
            assert point["visible"] == int(seen)
            assert 0 <= point["x"] <= label["width"] and 0 <= point["y"] <= label["height"]
            if seen:
                np.testing.assert_allclose((point["x"], point["y"]), pixel, atol=6e-4)
                assert x <= point["x"] <= x + width and y <= point["y"] <= y + height


def test_most_scenes_show_a_face_and_a_hand(scenes):
    assert np.mean([scene.visible[:3].sum() >= 2 for scene in scenes]) > 0.6
    assert np.mean([max(scene.visible[17:38].sum(), scene.visible[38:59].sum()) > 8 for scene in scenes]) > 0.5


def test_the_flat_picture_shows_the_body_at_the_points(scenes):
    for scene in scenes:
        void = replace(scene, background=np.ones_like(scene.background) * np.array([1, 0, 1], np.float32), mosaic=False)
        picture = np.asarray(render_flat(void)).astype(int)
        assert picture.shape == (scene.camera.height, scene.camera.width, 3)
        body = (np.abs(picture - (255, 0, 255)) > 12).any(axis=2)
        # Ears and fingertips may stand at the very rim of the body.
        x, y = np.minimum(
            scene.pixels[scene.visible].astype(int).T, [[scene.camera.width - 1], [scene.camera.height - 1]]
        )
        assert body[y, x].mean() > 0.93
        left, top, width, height = scene.bbox
        rows, columns = np.nonzero(body)
        assert rows.min() >= top - 1 and rows.max() <= top + height + 1
        assert columns.min() >= left - 1 and columns.max() <= left + width + 1


def test_what_stands_before_the_body_is_drawn_over_it(scenes):
    scene = scenes[0]
    middle = scene.camera.place + 0.4 * (scene.pose.neck - scene.camera.place)
    wall = box(middle - 0.6, middle + np.array([0.6, -0.5, 0.6]), "furniture")
    look = replace(scene.look, colours={**scene.look.colours, "furniture": np.array([0.0, 1.0, 0.0])})
    picture = np.asarray(render_flat(replace(scene, parts=(*scene.parts, wall), look=look)))
    neck = scene.camera.project(scene.pose.neck[None])[0][0].astype(int)
    assert picture[neck[1], neck[0], 1] > 60 and picture[neck[1], neck[0], [0, 2]].max() < 10


def head_height(scene):
    return scene.pose.person.head * scene.camera.focal / scene.camera.project(scene.pose.head[None])[1][0]


def test_a_hidden_face_is_coarse_and_its_label_unchanged(scenes):
    scene = next(s for s in scenes if s.visible[0] and head_height(s) > 40)
    scene = replace(scene, motion=np.zeros((2, 2)))
    picture = render_flat(scene)
    assert finish(picture, replace(scene, mosaic=False)) is picture
    hidden = finish(picture, replace(scene, mosaic=True))
    changed = (np.asarray(hidden) != np.asarray(picture)).any(axis=2)
    x, y = scene.pixels[0].astype(int)
    around = np.asarray(hidden)[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].reshape(-1, 3)
    assert 0.002 < changed.mean() < 0.5 and len(np.unique(around, axis=0)) <= 4
    assert replace(scene, mosaic=True).label("a") == replace(scene, mosaic=False).label("a")


def test_a_moving_hand_is_blurred_and_nothing_else(scenes):
    left = list(get_layout("signlang-64").parts["left_hand"])
    scene = next(s for s in scenes if s.visible[left].sum() > 15 and not s.mosaic and np.ptp(s.pixels[left]) > 25)
    picture = np.asarray(render_flat(scene)).astype(int)
    still = finish(render_flat(scene), replace(scene, motion=np.zeros((2, 2))))
    np.testing.assert_array_equal(np.asarray(still), picture)
    moved = replace(scene, motion=np.array([[0.35, 0.0], [0.0, 0.0]]))
    blurred = np.asarray(finish(render_flat(scene), moved)).astype(int)
    hand = scene.pixels[left]
    changed = np.abs(blurred - picture).max(axis=2) > 2
    y, x = np.nonzero(changed)
    far = np.hypot(x - hand[:, 0].mean(), y - hand[:, 1].mean()) / np.ptp(hand, axis=0).max()
    assert changed.sum() > 20 and far.max() < 1.8
    # Along the motion there is less to be seen of edges than before, across it as much as before.
    low, high = hand.min(axis=0).astype(int), hand.max(axis=0).astype(int) + 1
    inside = (slice(low[1], high[1]), slice(low[0], high[0]))
    edges = [np.abs(np.diff(one[inside], axis=1)).mean() for one in (blurred, picture)]
    assert edges[0] < 0.9 * edges[1]
    assert moved.label("a") == scene.label("a")


def test_some_hands_move():
    motion = np.array([sample_scene(seed, 64).motion for seed in range(40)])
    far = np.linalg.norm(motion, axis=2)
    assert 0.15 < (far > 0).mean() < 0.6 and far.max() <= 0.22 and far[far > 0].min() >= 0.04


def test_skin_runs_from_dark_to_light_and_colours_are_colours():
    rng = np.random.default_rng(0)
    light = np.array([sample_skin(rng).mean() for _ in range(200)])
    assert light.min() < 0.2 and light.max() > 0.75 and 0.2 < np.mean(light < 0.45) < 0.8
    for _ in range(30):
        look = sample_look(rng)
        assert all(((colour >= 0) & (colour <= 1)).all() for colour in look.colours.values())


def test_backgrounds_differ_and_stay_within_range():
    pictures = [sample_background(120, 80, np.random.default_rng(seed)) for seed in range(25)]
    for picture in pictures:
        assert picture.shape == (80, 120, 3) and picture.dtype == np.float32
        assert picture.min() >= 0 and picture.max() <= 1
    assert np.std([picture.mean() for picture in pictures]) > 0.05
    assert max(picture.std() for picture in pictures) > 0.15 > min(picture.std() for picture in pictures)
