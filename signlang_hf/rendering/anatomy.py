"""A random person's measures: bone lengths and girths in metres, from stature.

Segment lengths follow the fractions of stature of Drillis and Contini (Body Segment Parameters, 1966) as printed in Winter,
Biomechanics and Motor Control of Human Movement; each person strays from them by a few per cent. Girths are by eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Fractions of stature. Shoulders and hips are the distances between the joints' centres, not the widths over the skin.
_FRACTIONS: dict[str, float] = {
    "upper_arm": 0.172,
    "forearm": 0.150,
    "hand": 0.108,
    "shoulders": 0.198,
    "hips": 0.112,
    "trunk": 0.288,
    "neck": 0.062,
    "head": 0.130,
    "thigh": 0.245,
    "shank": 0.246,
    "ankle": 0.039,
}


@dataclass(frozen=True)
class Person:
    """Lengths in metres; ``girth`` multiplies the thickness of the trunk and limbs, ``waist`` the waist alone.

    ``trunk`` runs from the hips' height to the shoulders', ``neck`` from there to the chin's height, ``head`` from chin to
    crown, ``hand`` from the wrist to the tip of the middle finger.
    """

    stature: float
    upper_arm: float
    forearm: float
    hand: float
    shoulders: float
    hips: float
    trunk: float
    neck: float
    head: float
    thigh: float
    shank: float
    ankle: float
    girth: float = 1.0
    waist: float = 1.0
    bust: float = 0.0
    finger_girth: float = 1.0
    face_width: float = 1.0


def sample_person(rng: np.random.Generator) -> Person:
    """A person of 1.45 to 2.0 m with a build of their own."""
    stature = float(np.clip(rng.normal(1.68, 0.10), 1.45, 2.0))
    lengths = {
        name: stature * fraction * float(np.clip(rng.normal(1.0, 0.045), 0.88, 1.12))
        for name, fraction in _FRACTIONS.items()
    }
    return Person(
        stature=stature,
        **lengths,
        girth=float(np.clip(rng.lognormal(0.0, 0.14), 0.78, 1.45)),
        waist=float(rng.uniform(0.82, 1.12)),
        bust=float(max(0.0, rng.uniform(-0.05, 0.05))),
        finger_girth=float(rng.uniform(0.85, 1.18)),
        face_width=float(rng.uniform(0.93, 1.08)),
    )


# Height in trunk lengths above the hips · half width and half depth in metres at 1.68 m · how far the middle stands back.
_TRUNK = np.array(
    [
        (-0.20, 0.150, 0.105, 0.012),
        (-0.06, 0.172, 0.115, 0.012),
        (0.10, 0.166, 0.110, 0.006),
        (0.32, 0.142, 0.098, -0.002),
        (0.52, 0.150, 0.106, 0.002),
        (0.72, 0.166, 0.114, 0.006),
        (0.86, 0.172, 0.108, 0.010),
        (0.95, 0.176, 0.096, 0.014),
        (1.02, 0.168, 0.082, 0.016),
        (1.075, 0.142, 0.073, 0.016),
        (1.13, 0.100, 0.064, 0.014),
        (1.22, 0.062, 0.058, 0.006),
    ]
)
_WAIST_ROW, _HIP_ROW = 3, 1


def trunk_rings(person: Person) -> np.ndarray:
    """Ellipses that the trunk's surface runs through: (R, 4) height above the hips, half width, half depth, offset backwards."""
    rings = _TRUNK.copy()
    size = person.stature / 1.68
    rings[:, 0] *= person.trunk
    rings[:, 1:3] *= size * np.sqrt(person.girth)
    rings[:, 2] *= np.sqrt(person.girth)  # people grow in depth first
    share = np.exp(-(((_TRUNK[:, 0] - _TRUNK[_WAIST_ROW, 0]) / 0.25) ** 2))[:, None]
    rings[:, 1:3] *= 1.0 + share * (person.waist - 1.0)
    rings[_HIP_ROW - 1 : _HIP_ROW + 2, 1] *= 0.5 + 0.5 * person.hips / (0.112 * person.stature)
    shoulders = 0.4 + 0.6 * person.shoulders / (0.198 * person.stature)
    rings[5:9, 1] *= shoulders
    rings[:, 3] *= size
    return rings


# Positions in the head's own frame in head heights: to the person's left, backwards, up; the origin is the head's middle.
FACE: dict[str, tuple[float, float, float]] = {
    "nose": (0.0, -0.525, -0.165),
    "left_eye": (0.148, -0.405, 0.015),
    "right_eye": (-0.148, -0.405, 0.015),
    "left_ear": (0.352, 0.035, -0.06),
    "right_ear": (-0.352, 0.035, -0.06),
}
HEAD_RADII = np.array([0.345, 0.445, 0.505])
"""Half axes of the ellipsoid that holds the skull, in head heights."""


def face_points(person: Person) -> dict[str, np.ndarray]:
    """Nose, eyes and ears in the head's frame, metres."""
    wide = np.array([person.face_width, 1.0, 1.0])
    return {name: np.array(place) * wide * person.head for name, place in FACE.items()}
