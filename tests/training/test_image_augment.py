"""Views of pictures: points follow their pixels, sides follow mirrors, chance follows its seed."""

import math

import numpy as np
import pytest

from signlang_hf.landmarks import get_layout
from signlang_hf.training.image_augment import (
    ImageAugmentConfig,
    ImageAugmenter,
    affine,
    mapped,
    motion_blur,
    padded,
    warp,
)

pytest.importorskip("PIL", reason="views of pictures need Pillow")
from PIL import Image

LAYOUT = get_layout("signlang-64")
SIZE = 96
NOTHING = dict.fromkeys(
    ("flip", "rotate_degrees", "scale", "shift", "whole_image", "hand_crop", "brightness", "contrast", "saturation")
    + ("tint", "grey", "noise", "blur", "cutout"),
    0.0,
)


def spotted(points: np.ndarray, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A dark picture with a round bright spot at each point, whose centre of brightness is the point."""
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    light = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in points)
    return Image.fromarray((255 * light.clip(0, 1)).astype(np.uint8)).convert("RGB")


def centre_of(pixels: np.ndarray, near: np.ndarray, radius: int = 9) -> np.ndarray:
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    weight = pixels[..., 0].astype(float) * (np.hypot(x - near[0], y - near[1]) < radius)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def person() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two known points of a person, the others unseen, and the box."""
    points = np.full((64, 2), np.nan, np.float32)
    points[LAYOUT.index["left_wrist"]] = 50.3, 40.8
    points[LAYOUT.index["right_wrist"]] = 100.6, 80.2
    return points, np.isfinite(points).all(axis=1), np.array([30.0, 20.0, 90.0, 80.0])


@pytest.mark.parametrize("angle", (0.0, 0.4, -1.1))
@pytest.mark.parametrize("flip", (False, True))
@pytest.mark.parametrize("side", (70.0, 150.0, 400.0))
def test_points_land_where_their_pixels_do(angle, flip, side):
    points = np.array([[70.3, 55.6]], np.float32)
    matrix = affine(np.array([75.0, 60.0]), side, SIZE, angle, flip)
    pixels = warp(spotted(points), matrix, SIZE)
    ((found,), weights) = mapped(points, np.array([True]), matrix, SIZE)
    assert weights.tolist() == [1]
    # With much shrinking the grey beyond the picture's edge comes near the spot, hence the small window.
    assert np.abs(centre_of(pixels, found, radius=9 if side < 200 else 4) - found).max() < 0.25


def test_a_map_is_the_one_that_it_says():
    matrix = affine(np.array([40.0, 30.0]), 80.0, 160, math.pi / 2)
    assert np.allclose(matrix @ [40, 30, 1], [80, 80])  # the centre stays in the middle
    assert np.allclose(matrix @ [50, 30, 1], [80, 100])  # right becomes down, twice as large


def test_a_mirror_image_swaps_sides_by_name():
    points, visible, box = person()
    view = ImageAugmenter(ImageAugmentConfig(**{**NOTHING, "flip": 1.0}), LAYOUT, SIZE)(
        spotted(points[visible]), points, visible, box, np.random.default_rng(0)
    )
    left, right = (view.points[LAYOUT.index[f"{side}_wrist"]] for side in ("left", "right"))
    zoom = SIZE / (90 * 1.25)
    assert right == pytest.approx(((75 - 50.3) * zoom + SIZE / 2, (40.8 - 60) * zoom + SIZE / 2), abs=1e-3)
    assert left == pytest.approx(((75 - 100.6) * zoom + SIZE / 2, (80.2 - 60) * zoom + SIZE / 2), abs=1e-3)
    assert np.flatnonzero(view.weights).tolist() == sorted(LAYOUT.index[name] for name in ("left_wrist", "right_wrist"))


def test_without_changes_a_view_is_the_person_in_the_middle():
    points, visible, box = person()
    view = ImageAugmenter(ImageAugmentConfig(**NOTHING), LAYOUT, SIZE, padding=1.0)(
        spotted(points[visible]), points, visible, box, np.random.default_rng(0)
    )
    for index in np.flatnonzero(visible):
        assert np.abs(centre_of(view.pixels, view.points[index]) - view.points[index]).max() < 0.25


def test_points_outside_the_view_do_not_count():
    points, visible, _ = person()
    view = ImageAugmenter(ImageAugmentConfig(**NOTHING), LAYOUT, SIZE, padding=1.0)(
        spotted(points[visible]), points, visible, np.array([30.0, 20.0, 40.0, 40.0]), np.random.default_rng(0)
    )
    assert view.weights[LAYOUT.index["left_wrist"]] == 1 and view.weights[LAYOUT.index["right_wrist"]] == 0
    assert np.isnan(view.points[view.weights == 0]).all()


def test_everything_at_once_keeps_points_on_their_pixels_and_draws_the_same_again():
    points, visible, box = person()
    image = spotted(points[visible])
    quiet = {**NOTHING, "flip": 0.5, "rotate_degrees": 40.0, "scale": 0.4, "shift": 0.1}
    augmenter = ImageAugmenter(ImageAugmentConfig(**quiet), LAYOUT, SIZE)
    flips = 0
    for seed in range(20):
        view = augmenter(image, points, visible, box, np.random.default_rng(seed))
        for point in view.points[view.weights > 0]:
            if (point > 10).all() and (point < SIZE - 10).all():
                assert np.abs(centre_of(view.pixels, point) - point).max() < 0.5
        again = augmenter(image, points, visible, box, np.random.default_rng(seed))
        assert np.array_equal(view.pixels, again.pixels) and np.array_equal(view.points, again.points, equal_nan=True)
        left, right = (view.points[LAYOUT.index[f"{side}_wrist"]][1] for side in ("left", "right"))
        flips += left > right  # the left wrist is the higher one, unless the picture is mirrored
    assert 4 <= flips <= 16


def test_a_hand_is_looked_at_closely():
    rng = np.random.default_rng(3)
    points = np.full((64, 2), np.nan, np.float32)
    hand = list(LAYOUT.parts["left_hand"])
    points[hand] = [60, 50] + rng.uniform(-5, 5, (21, 2))
    visible, box = np.isfinite(points).all(axis=1), np.array([0.0, 0.0, 160.0, 120.0])
    augmenter = ImageAugmenter(ImageAugmentConfig(**{**NOTHING, "hand_crop": 1.0}), LAYOUT, SIZE)
    spans = []
    for seed in range(10):
        view = augmenter(spotted(points[visible]), points, visible, box, np.random.default_rng(seed))
        assert (view.weights[hand] == 1).all()
        spans.append(np.ptp(view.points[hand], axis=0).max() / SIZE)
    assert min(spans) > 0.2 and max(spans) > 0.4  # of the whole picture it would be 0.06


def test_colours_change_and_stay_a_picture():
    points, visible, box = person()
    image = spotted(points[visible])
    plain = ImageAugmenter(ImageAugmentConfig(**NOTHING), LAYOUT, SIZE)
    loud = ImageAugmenter(
        ImageAugmentConfig(**{**NOTHING, "brightness": 0.5, "tint": 0.3, "noise": 0.1, "blur": 1.0, "cutout": 1.0}),
        LAYOUT,
        SIZE,
    )
    before, after = (one(image, points, visible, box, np.random.default_rng(1)) for one in (plain, loud))
    assert after.pixels.shape == (SIZE, SIZE, 3) and after.pixels.dtype == np.uint8
    assert np.abs(after.pixels.astype(int) - before.pixels).mean() > 3


def test_motion_blur_smears_along_its_direction():
    pixels = np.zeros((21, 21, 3), np.uint8)
    pixels[10, 10] = 210
    across, down = motion_blur(pixels, 7, 0.0)[..., 0], motion_blur(pixels, 7, math.pi / 2)[..., 0]
    assert across[10, 7:14].tolist() == [30] * 7 and across.sum() == 210
    assert np.array_equal(down, across.T)


def test_padding_grows_about_the_centre():
    assert padded(np.array([10, 20, 40, 80]), 1.5).tolist() == [0, 0, 60, 120]


@pytest.mark.parametrize(
    "settings, reason",
    (
        ({"flip": 1.5}, "flip is 1.5"),
        ({"noise": -1}, "noise is -1"),
        ({"flipp": 1}, "flipp; known are flip"),
        ({"rotate_degrees": "much"}, "must be a number"),
        ({"blur_pixels": 1}, "at least 2"),
    ),
)
def test_settings_that_cannot_be(settings, reason):
    with pytest.raises(ValueError, match=reason):
        ImageAugmentConfig.from_dict(settings)
