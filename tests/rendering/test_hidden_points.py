"""Surfaces, and what they hide: rays against triangles compared with geometry that needs none."""

from __future__ import annotations

import numpy as np
import pytest

from signlang_hf.landmarks import get_layout
from signlang_hf.rendering.anatomy import sample_person
from signlang_hf.rendering.body import body_parts
from signlang_hf.rendering.camera import Camera, picture_size, sample_camera
from signlang_hf.rendering.looks import sample_look
from signlang_hf.rendering.pose import sample_pose
from signlang_hf.rendering.surface import Part, box, ellipsoid, outwards, spline, tube
from signlang_hf.rendering.visibility import hidden, visible_points


def volume(part):
    a, b, c, d = (part.vertices[outwards(part)[:, i]] for i in range(4))
    return (np.einsum("fk,fk->", a, np.cross(b, c)) + np.einsum("fk,fk->", a, np.cross(c, d))) / 6


def front_camera(distance=3.0, size=200, focal=300.0):
    """Looks at the person's front from ``distance`` metres, the picture's middle at the origin's height."""
    axes = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    return Camera(np.array([0.0, -distance, 0.0]), axes, focal, size, size)


def test_closed_surfaces_have_the_volume_of_the_body_they_approach():
    ball = ellipsoid(np.ones(3), np.diag([0.5, 0.4, 0.3]), "skin", around=48, rows=40)
    assert volume(ball) == pytest.approx(4 / 3 * np.pi * 0.5 * 0.4 * 0.3, rel=0.02)
    path = np.array([[0.0, 0, 0], [0, 0, 0.5], [0, 0, 1]])
    pipe = tube(path, np.full(3, 0.1), np.array([1.0, 0, 0]), "skin", around=48, caps=(False, False))
    assert volume(pipe) == pytest.approx(np.pi * 0.01, rel=0.02)
    assert volume(box(np.zeros(3), np.array([1.0, 2, 3]), "furniture")) == pytest.approx(6.0)


def test_outwards_holds_for_a_mirrored_part():
    ball = ellipsoid(np.zeros(3), np.diag([0.5, 0.4, 0.3]), "skin")
    mirrored = Part(ball.vertices * (-1, 1, 1), ball.faces, "skin")
    assert volume(mirrored) == pytest.approx(volume(ball)) and volume(ball) > 0


def test_a_tube_is_as_thick_as_asked_and_a_spline_runs_through_its_points():
    path = np.array([[0.0, 0, 0], [0, 0, 1], [0, 0.5, 2]])
    pipe = tube(path, np.array([[0.2, 0.1]] * 3), np.array([1.0, 0, 0]), "skin", around=16, rounding=1.0)
    assert np.abs(pipe.vertices[:, 0]).max() == pytest.approx(0.2)
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(spline(points, 9)[::2], points, atol=1e-6)


def test_hidden_agrees_with_the_sphere_that_the_triangles_approach():
    radius, eye = 0.5, np.array([0.0, -3, 0])
    ball = ellipsoid(np.zeros(3), np.eye(3) * radius, "skin", around=64, rows=50)
    points = np.random.default_rng(0).uniform(-1.5, 1.5, (400, 3))
    rays = (points - eye) / np.linalg.norm(points - eye, axis=1, keepdims=True)
    along = -rays @ eye
    closest = np.linalg.norm(eye + along[:, None] * rays, axis=1)
    enter = along - np.sqrt(np.maximum(radius**2 - closest**2, 0))
    expected = (closest < radius) & (enter < np.linalg.norm(points - eye, axis=1))
    clear = np.abs(closest - radius) > 0.01  # the rim of a polyhedron is not that of a sphere
    clear &= np.abs(np.linalg.norm(points, axis=1) - radius) > 0.01
    found = hidden(points, np.zeros((400, 1)), eye, [[ball]])
    assert 0.05 < expected.mean() < 0.5
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_slack_lets_a_surface_close_to_the_point_pass():
    wall = box(np.array([-1.0, -0.10, -1]), np.array([1.0, -0.09, 1]), "furniture")
    point, eye = np.zeros((1, 3)), np.array([0.0, -3, 0])
    assert hidden(point, np.array([[0.05]]), eye, [[wall]]).all()
    assert not hidden(point, np.array([[0.15]]), eye, [[wall]]).any()
    assert not hidden(
        point, np.array([[0.15, 0.0]]), eye, [[wall], [box(np.full(3, 5.0), np.full(3, 6.0), "furniture")]]
    ).any()


def test_projection_is_that_of_the_camera_matrix():
    rng = np.random.default_rng(0)
    pose = sample_pose(sample_person(rng), rng)
    camera = sample_camera(pose, 320, rng)
    points = pose.points()
    intrinsic = np.array([[camera.focal, 0, camera.width / 2], [0, camera.focal, camera.height / 2], [0, 0, 1]])
    matrix = intrinsic @ np.hstack([camera.axes, -camera.axes @ camera.place[:, None]])
    image = np.hstack([points, np.ones((64, 1))]) @ matrix.T
    pixels, depth = camera.project(points)
    np.testing.assert_allclose(pixels, image[:, :2] / image[:, 2:])
    np.testing.assert_allclose(depth, image[:, 2])
    np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.axes) == pytest.approx(1.0)


def test_what_is_behind_the_camera_has_no_pixel():
    pixels, depth = front_camera().project(np.array([[0.0, -4.0, 0.0], [0.0, 0.0, 0.0]]))
    assert np.isnan(pixels[0]).all() and depth[0] < 0
    np.testing.assert_allclose(pixels[1], [100, 100])


def test_left_is_on_the_right_of_the_picture_and_up_is_up():
    pixels, _ = front_camera().project(np.array([[0.5, 0, 0], [0, 0, 0.5]]))
    assert pixels[0, 0] > 100 and pixels[1, 1] < 100


@pytest.mark.parametrize("aspect", [4 / 3, 16 / 9, 1.0, 9 / 16])
def test_a_picture_has_its_aspect_and_area(aspect):
    width, height = picture_size(384, aspect)
    assert width / height == pytest.approx(aspect, rel=0.02) and width * height == pytest.approx(384**2, rel=0.02)
    assert width % 2 == height % 2 == 0


@pytest.fixture(scope="module")
def person():
    rng = np.random.default_rng(11)
    pose = sample_pose(sample_person(rng), rng)
    return pose, body_parts(pose, sample_look(rng))


def full_view(pose):
    camera = front_camera(6.0, 400, 1000.0)
    return Camera(camera.place + (0, 0, 0.9), camera.axes, camera.focal, 400, 400)


def test_a_wall_before_the_person_hides_every_point(person):
    pose, parts = person
    seen = visible_points(pose.points(), pose.person, full_view(pose), parts)
    assert seen.sum() > 20
    wall = box(np.array([-3.0, -2.0, -1.0]), np.array([3.0, -1.9, 3.0]), "furniture")
    assert not visible_points(pose.points(), pose.person, full_view(pose), [*parts, wall]).any()
    behind = box(np.array([-3.0, 1.0, -1.0]), np.array([3.0, 1.1, 3.0]), "furniture")
    np.testing.assert_array_equal(visible_points(pose.points(), pose.person, full_view(pose), [*parts, behind]), seen)


def test_from_behind_the_face_is_hidden_and_the_shoulders_are_not(person):
    pose, parts = person
    front = full_view(pose)
    back = Camera(np.array([0.0, 6.0, 0.9]), front.axes * np.array([[-1], [1], [-1]]), front.focal, 400, 400)
    seen = visible_points(pose.points(), pose.person, back, parts)
    assert not seen[[0, 1, 2, 59, 60, 61]].any() and seen[[5, 6]].all()


def test_a_point_beyond_the_picture_is_not_visible(person):
    pose, parts = person
    camera = full_view(pose)
    low = Camera(camera.place + (0, 0, 0.75), camera.axes, camera.focal * 4, 400, 400)  # nothing below the chest
    seen = visible_points(pose.points(), pose.person, low, parts)
    assert seen.any() and not seen[11:17].any()


def test_a_hand_does_not_hide_its_own_points_but_those_of_the_other(person):
    pose, parts = person
    points, camera = pose.points(), full_view(pose)
    layout = get_layout("signlang-64")
    left, right = (list(layout.parts[f"{side}_hand"]) for side in ("left", "right"))
    hand = [part for part in parts if part.group.startswith("left_hand")]
    assert hidden(points[left], np.full((21, 1), 0.005), camera.place, [hand]).sum() > 5  # it does stand before them
    assert visible_points(points, pose.person, camera, hand)[left].all()
    # The same points as those of the right hand: now it is another hand that stands before them.
    points[right] = points[left]
    assert not visible_points(points, pose.person, camera, hand)[right].all()
