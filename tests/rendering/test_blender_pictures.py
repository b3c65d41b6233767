"""The Blender renderer draws what the labels say. It needs bpy, which exists for one Python version at a time."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from signlang_hf.rendering import BlenderRenderer, render_flat, sample_scene
from signlang_hf.rendering.blender import require_bpy


def test_a_missing_bpy_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "bpy", None)
    with pytest.raises(ImportError, match=r'pip install "signlang-hf\[blender\]" \(Python 3.11\)') as error:
        BlenderRenderer()
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def renderer():
    try:
        require_bpy()
    except ImportError as error:
        pytest.skip(str(error))
    return BlenderRenderer(samples=2, threads=1)


def scene(seed, **changes):
    found = sample_scene(seed, 128)
    green = np.ones_like(found.background) * np.array([0, 1, 0], np.float32)
    return replace(found, background=green, **changes)


@pytest.mark.parametrize("seed", [1, 5, 9])
def test_both_renderers_draw_the_same_silhouette(renderer, seed):
    drawn = scene(seed, wall=0.0)
    masks = []
    for picture in (renderer(drawn), render_flat(drawn)):
        assert picture.size == (drawn.camera.width, drawn.camera.height)
        masks.append((np.abs(np.asarray(picture).astype(int) - (0, 255, 0)) > 60).any(axis=2))
    assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.93


def test_a_picture_does_not_depend_on_the_one_before(renderer):
    first = renderer(scene(4)).tobytes()
    assert renderer(scene(5)).tobytes() != first
    assert renderer(scene(4)).tobytes() == first


def test_a_wall_takes_the_shadow_and_shows_the_background(renderer):
    picture = np.asarray(renderer(scene(6, wall=0.4))).astype(int)
    corner = picture[:6, :6].reshape(-1, 3).mean(axis=0)
    assert corner[1] > 40 and corner[1] > 2 * max(corner[0], corner[2])
