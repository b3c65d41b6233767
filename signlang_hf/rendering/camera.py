"""The camera: where it stands, and where a point falls in its picture.

A pinhole without distortion. Pixels are continuous: the picture's top-left corner is (0, 0) and the centre of pixel i lies at
i + 0.5. Framings are those of signing videos: from the chest or the waist up, the person in the middle or beside it, seldom
the whole body or a face close to a telephone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .pose import Pose, unit

ASPECTS: tuple[float, ...] = (4 / 3, 16 / 9, 1.0, 3 / 4, 9 / 16)


@dataclass(frozen=True)
class Camera:
    """``place`` (3,) metres; ``axes`` (3, 3) rows: right, down and ahead in the picture; ``focal`` in pixels."""

    place: np.ndarray
    axes: np.ndarray
    focal: float
    width: int
    height: int

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 2) and depths (N,) along the optical axis in metres of points (N, 3); NaN pixels behind the camera."""
        seen = (points - self.place) @ self.axes.T
        depth = seen[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = seen[:, :2] * (self.focal / depth)[:, None]
        pixels = pixels + np.array([self.width, self.height]) / 2
        return np.where((depth > 1e-6)[:, None], pixels, np.nan), depth


def picture_size(size: int, aspect: float) -> tuple[int, int]:
    """Width and height of about ``size``² pixels at this aspect, both even."""
    width = 2 * round(size * np.sqrt(aspect) / 2)
    return width, 2 * round(width / aspect / 2)


def close_up(camera: Camera, hand: np.ndarray, size: int, rng: np.random.Generator) -> Camera:
    """The same camera, turned to a hand and zoomed in on it: a square of ``size`` pixels.

    Args:
        hand: (N, 3) its points in metres.
    """
    low, high = hand.min(axis=0), hand.max(axis=0)
    extent = float(np.linalg.norm(high - low))
    middle = (low + high) / 2 + rng.normal(0.0, 0.12, 3) * extent
    distance = float(np.linalg.norm(middle - camera.place))
    ahead = (middle - camera.place) / distance
    right = unit(np.cross(camera.axes[1], ahead))
    side = max(extent, 0.1) * float(
        np.exp(rng.uniform(np.log(1.2), np.log(2.4)))
    )  # a fist, too, has a hand's surroundings
    return Camera(camera.place, np.stack([right, np.cross(ahead, right), ahead]), size * distance / side, size, size)


def sample_camera(pose: Pose, size: int, rng: np.random.Generator) -> Camera:
    """A camera that sees the person as a signing video would."""
    width, height = picture_size(size, ASPECTS[rng.choice(5, p=[0.24, 0.34, 0.22, 0.14, 0.06])])
    person = pose.person
    crown = pose.head[2] + 0.52 * person.head
    hips, knees = pose.pelvis[2], pose.pelvis[2] - 0.9 * person.thigh
    if pose.seated:
        knees = hips - 0.3 * person.thigh
    kind = rng.choice(["near", "chest", "waist", "hips", "knees", "body"], p=[0.10, 0.14, 0.32, 0.22, 0.08, 0.14])
    low = {
        "near": hips + 0.68 * person.trunk,
        "chest": hips + 0.52 * person.trunk,
        "waist": hips + 0.18 * person.trunk,
        "hips": hips - 0.12 * person.trunk,
        "knees": knees,
        "body": -0.05,
    }[kind] + rng.normal(0.0, 0.03)
    high = crown + abs(rng.normal(0.06, 0.06)) + (rng.uniform(0.0, 0.35) if rng.random() < 0.3 else 0.0)
    middle = np.array([pose.pelvis[0] + pose.neck[0], pose.pelvis[1] + pose.neck[1], low + high]) / 2
    tall = high - low
    # A narrow picture shows the elbows all the same: the person is then smaller than the framing says.
    tall = max(tall, rng.uniform(0.62, 0.85) * height / width)
    if kind == "body":
        tall *= rng.uniform(1.0, 1.4)
    longest = (
        1.3 if kind == "near" else 2.6
    )  # who films themselves holds the telephone in their hand: hands before it are large
    focal = float(np.exp(rng.uniform(np.log(0.8), np.log(longest)))) * max(width, height)
    distance = focal * tall / height

    yaw, pitch, roll = np.radians([rng.normal(0.0, 11.0), rng.normal(2.0, 5.0), rng.normal(0.0, 1.5)])
    yaw, pitch = np.clip(yaw, -0.6, 0.6), np.clip(pitch, -0.2, 0.3)
    ahead = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = unit(np.cross(ahead, (0.0, 0.0, 1.0)))
    down = np.cross(ahead, right)
    room = max(0.0, tall * width / height - 0.9)  # beside the person
    aside = rng.uniform(-0.5, 0.5) * room if rng.random() < 0.35 else rng.normal(0.0, 0.05)
    place = middle - ahead * distance - right * aside
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    return Camera(place, np.stack([right, down, ahead]), focal, width, height)
