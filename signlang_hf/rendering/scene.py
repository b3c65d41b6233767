"""One picture before it is drawn: person, pose, clothes, room, light and camera from one seed, and its labels.

The labels are exact: the points that the surfaces were built around, projected by the camera, with what hides them found by
rays (:mod:`.visibility`). Both renderers draw the same scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from signlang_hf.landmarks.layout import get_layout

from .anatomy import sample_person
from .background import sample_background
from .body import body_parts
from .camera import Camera, close_up, sample_camera
from .looks import Look, sample_colour, sample_look
from .pose import Pose, sample_pose, unit
from .surface import Part, box
from .visibility import visible_points


@dataclass(frozen=True)
class Light:
    """``towards`` (3,) points from the person to the light, ``strength`` is relative, ``size`` its half width in metres."""

    towards: np.ndarray
    colour: np.ndarray
    strength: float
    size: float


@dataclass(frozen=True)
class Scene:
    """Everything that a renderer needs; ``background`` is (H, W, 3) sRGB, ``ambient`` (3,) light from everywhere,
    ``wall`` the metres between the person and a background that takes their shadow, 0 where it is too far for that, ``motion`` (2, 2)
    how far the left and the right hand move in the picture while it is taken, across and down in the hand's own size."""

    seed: int
    pose: Pose
    look: Look
    camera: Camera
    parts: tuple[Part, ...]
    background: np.ndarray
    lights: tuple[Light, ...]
    ambient: np.ndarray
    wall: float
    mosaic: bool
    motion: np.ndarray

    @cached_property
    def points(self) -> np.ndarray:
        """The 64 points in metres, (64, 3)."""
        return self.pose.points()

    @cached_property
    def pixels(self) -> np.ndarray:
        """The 64 points in the picture, (64, 2); NaN behind the camera."""
        return self.camera.project(self.points)[0]

    @cached_property
    def visible(self) -> np.ndarray:
        """Which of them lie in the picture and are not hidden, (64,) bool."""
        return visible_points(self.points, self.pose.person, self.camera, self.parts)

    @cached_property
    def bbox(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the body in pixels, cut at the picture's borders."""
        body = np.concatenate([part.vertices for part in self.parts if part.group != "furniture"])
        pixels = self.camera.project(body)[0]
        size = np.array([self.camera.width, self.camera.height])
        low, high = (np.clip(edge, 0, size) for edge in (np.nanmin(pixels, axis=0), np.nanmax(pixels, axis=0)))
        return tuple(float(value) for value in (*low, *(high - low)))

    def label(self, image: str) -> dict[str, Any]:
        """The label file of the picture named ``image``; a point beyond the picture is written as (0, 0), invisible."""
        size = np.array([self.camera.width, self.camera.height])
        with np.errstate(invalid="ignore"):
            inside = ((self.pixels >= 0) & (self.pixels < size)).all(axis=1)
        places = np.where(inside[:, None], self.pixels, 0.0)
        return {
            "image": image,
            "width": self.camera.width,
            "height": self.camera.height,
            "keypoints": [
                {"name": name, "x": round(float(x), 3), "y": round(float(y), 3), "visible": int(seen)}
                for name, (x, y), seen in zip(get_layout("signlang-64").points, places, self.visible)
            ],
            "bbox": [round(value, 3) for value in self.bbox],
            "source": f"synthetic-{self.seed}",
        }


def sample_scene(seed: int, size: int = 384, look_at: str = "person") -> Scene:
    """The scene of a seed; the picture has about ``size``² pixels. The same seed gives the same scene.

    Args:
        look_at: ``person``, or ``hand`` for a close-up of one of the hands, the one that is seen better.
    """
    rng = np.random.default_rng(seed)
    pose = sample_pose(sample_person(rng), rng)
    look = sample_look(rng)
    camera = sample_camera(pose, size, rng)
    parts = tuple(body_parts(pose, look) + _furniture(pose, rng))
    if look_at == "hand":
        camera = _close_up(pose, camera, parts, size, np.random.default_rng([seed, 1]))
    lights, ambient = _sample_lights(rng)
    background = sample_background(camera.width, camera.height, rng)
    wall = float(rng.uniform(0.3, 1.2)) if rng.random() < 0.3 else 0.0
    # Published clips often hide the face of their signer behind coarse pixels.
    mosaic = bool(rng.random() < 0.2)
    return Scene(seed, pose, look, camera, parts, background, lights, ambient, wall, mosaic, _sample_motion(rng))


def _sample_motion(rng: np.random.Generator) -> np.ndarray:
    """Signing hands are seldom still: in a third of the pictures each is blurred, by up to a fifth of its size."""
    turn, far = rng.uniform(0, 2 * np.pi, 2), np.exp(rng.uniform(np.log(0.04), np.log(0.22), 2))
    return (far * (rng.random(2) < 0.35))[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _close_up(pose: Pose, camera: Camera, parts: tuple[Part, ...], size: int, rng: np.random.Generator) -> Camera:
    layout, points = get_layout("signlang-64"), pose.points()
    cameras = []
    for side in rng.permutation(["left", "right"]):
        hand = list(layout.parts[f"{side}_hand"])
        nearer = close_up(camera, points[hand], size, rng)
        seen = visible_points(points, pose.person, nearer, parts)[hand].sum()
        if seen > len(hand) / 2:
            return nearer
        cameras.append((seen, len(cameras), nearer))
    return max(cameras)[2]


def _sample_lights(rng: np.random.Generator) -> tuple[tuple[Light, ...], np.ndarray]:
    """One to three lights and what comes from everywhere, together about as bright as a camera would expose for."""
    count = int(rng.integers(1, 4))
    shares = rng.dirichlet(np.full(count, 1.5)) * rng.uniform(0.35, 0.8)
    exposure = rng.uniform(0.75, 1.15)
    lights = []
    for share in shares:
        turn, lift = rng.normal(0.0, 0.9), rng.uniform(0.05, 1.2)
        towards = unit(np.array([np.sin(turn) * np.cos(lift), -np.cos(turn) * np.cos(lift), np.sin(lift)]))
        colour = np.ones(3) if rng.random() < 0.5 else 0.65 + 0.35 * sample_colour(rng, plain=0.0)
        size = float(np.exp(rng.uniform(-3.0, 0.3)))
        lights.append(Light(towards, colour / colour.max(), float(1.35 * share * exposure), size))
    tint = 1.0 + 0.25 * (sample_colour(rng, plain=0.0) - 0.5) * (rng.random() < 0.5)
    return tuple(lights), (1.0 - shares.sum()) * exposure * tint


def _furniture(pose: Pose, rng: np.random.Generator) -> list[Part]:
    """A chair's back, and at times a table before a person who sits."""
    parts = []
    if pose.seated and rng.random() < 0.5:
        wide, top = rng.uniform(0.20, 0.30), pose.pelvis[2] + rng.uniform(0.25, 0.62)
        back = rng.uniform(0.20, 0.26)
        parts.append(box(np.array([-wide, back, 0.2]), np.array([wide, back + 0.05, top]), "furniture"))
    if pose.seated and rng.random() < 0.2:
        top = pose.pelvis[2] + rng.uniform(0.14, 0.20)
        front = -rng.uniform(0.42, 0.50)
        parts.append(box(np.array([-1.2, front - 0.6, top - 0.03]), np.array([1.2, front, top]), "furniture"))
    return parts
