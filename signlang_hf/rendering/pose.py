"""Random poses of a signing person, and the 64 points of ``signlang-64`` that they put in space.

World axes: x to the person's left, y backwards (the person faces -y), z up; metres, the floor at z = 0. A frame is a (3, 3)
array whose rows are the person's left, back and up. Hands are placed where signing happens: before the chest, at the face,
at the shoulders, one or both, or at rest. A hand's place and direction are chosen first; the arm follows by two-bone inverse
kinematics, and of several swings of the elbow the one is taken that keeps the wrist within its range and the arm out of the
body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from signlang_hf.landmarks.layout import get_layout

from .anatomy import HEAD_RADII, Person, face_points, trunk_rings
from .hands import SHAPES, HandShape, hand_points, sample_shape

SIDES: tuple[str, str] = ("left", "right")
PRONATION_LIMITS, FLEXION_LIMITS, DEVIATION_LIMITS = (-80.0, 85.0), (-65.0, 75.0), (-32.0, 22.0)
"""Degrees: forearm roll from the thumb on top (positive: palm down), wrist bend (towards the palm), tilt (to the thumb)."""
ELBOW_LIMITS = (2.0, 148.0)
"""Degrees of bend; 0 is a straight arm."""
_TRIES = 40


@dataclass(frozen=True)
class Arm:
    """One arm in the world: ``shoulder``, ``elbow`` (3,), ``hand`` (21, 3) with the wrist first; ``axes`` (3, 3) are the
    hand's radial, distal and dorsal directions; ``wrist_angles`` pronation, flexion and deviation in degrees."""

    shoulder: np.ndarray
    elbow: np.ndarray
    hand: np.ndarray
    axes: np.ndarray
    shape: HandShape
    wrist_angles: tuple[float, float, float]

    @property
    def wrist(self) -> np.ndarray:
        return self.hand[0]


@dataclass(frozen=True)
class Pose:
    """A person in space. ``legs`` maps a side to hip, knee and ankle (3, 3)."""

    person: Person
    pelvis: np.ndarray
    torso: np.ndarray
    neck: np.ndarray
    head: np.ndarray
    head_frame: np.ndarray
    arms: Mapping[str, Arm]
    legs: Mapping[str, np.ndarray]
    seated: bool

    def points(self) -> np.ndarray:
        """The points of layout ``signlang-64`` in metres: (64, 3)."""
        named = {name: self.head + place @ self.head_frame for name, place in face_points(self.person).items()}
        named |= {f"face_{name}": place for name, place in named.items()}
        layout = get_layout("signlang-64")
        for side in SIDES:
            arm = self.arms[side]
            named |= {f"{side}_shoulder": arm.shoulder, f"{side}_elbow": arm.elbow, f"{side}_wrist": arm.wrist}
            named |= {f"{side}_{joint}": place for joint, place in zip(("hip", "knee", "ankle"), self.legs[side])}
            first = layout.index[f"{side}_hand_wrist"]
            named |= dict(zip(layout.points[first : first + 21], arm.hand))
        return np.stack([named[name] for name in layout.points])


def rotation(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """Frame turned by degrees about the person's left (x: bow), back (y: tilt to the left) and up (z: turn to the left)."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians((x, y, z))):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn[a, a] = turn[b, b] = c
        turn[a, b], turn[b, a] = s, -s
        matrix = matrix @ turn
    return matrix


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length 1; a zero vector stays."""
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def sample_pose(person: Person, rng: np.random.Generator) -> Pose:
    """A random pose within the joints' ranges; hands at rest, at one-handed and at two-handed places."""
    seated = bool(rng.random() < 0.3)
    height = person.ankle + person.shank + (0.02 if seated else person.thigh)
    pelvis = np.array([0.0, 0.0, height])
    torso = rotation(rng.normal(3.0, 4.0), rng.normal(0.0, 3.0), rng.normal(0.0, 7.0))
    neck = pelvis + person.trunk * torso[2]
    head_frame = rotation(
        np.clip(rng.normal(4.0, 8.0), -22, 28), np.clip(rng.normal(0.0, 6.0), -18, 18), np.clip(rng.normal(0, 14), -45, 45)
    ) @ torso  # fmt: skip
    pivot = neck + torso[2] * (person.neck + 0.22 * person.head) - torso[1] * 0.012
    head = pivot + head_frame[2] * 0.28 * person.head - head_frame[1] * 0.06 * person.head
    base = Pose(person, pelvis, torso, neck, head, head_frame, {}, _sample_legs(person, pelvis, seated, rng), seated)

    arms: dict[str, Arm] = {}
    lead, other = SIDES if rng.random() < 0.3 else SIDES[::-1]
    shapes = {lead: sample_shape(rng), other: sample_shape(rng)}
    kind = rng.choice(["one", "mirrored", "two", "rest"], p=[0.33, 0.25, 0.32, 0.10])
    if kind == "mirrored":
        shapes[other] = shapes[lead]
    target = None if kind == "rest" else _sample_target(base, rng)
    arms[lead] = _place(base, lead, target, shapes[lead], arms, rng)
    if kind in ("one", "rest"):
        target = None
    elif kind == "two":
        target = _sample_target(base, rng)
    arms[other] = _place(base, other, target, shapes[other], arms, rng)
    return replace(base, arms=arms)


def _sample_legs(person: Person, pelvis: np.ndarray, seated: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
    legs = {}
    for side, out in zip(SIDES, (1.0, -1.0)):
        hip = pelvis + np.array([out * person.hips / 2, 0.0, -0.02])
        spread = np.radians(rng.normal(8.0 if seated else 3.0, 3.0))
        bend = np.radians(rng.normal(84.0, 5.0) if seated else abs(rng.normal(0.0, 5.0)))
        thigh = np.array([out * np.sin(spread), -np.sin(bend) * np.cos(spread), -np.cos(bend) * np.cos(spread)])
        drop = bend - np.radians(rng.normal(86.0, 8.0) if seated else abs(rng.normal(3.0, 4.0)))
        shank = np.array([0.3 * out * np.sin(spread), -np.sin(drop), -np.cos(drop)])
        knee = hip + person.thigh * unit(thigh)
        legs[side] = np.stack([hip, knee, knee + person.shank * unit(shank)])
    return legs


@dataclass(frozen=True)
class _Target:
    """Where a hand shall be, mirrored for the left: x outwards from the middle, y backwards, z up from the shoulders."""

    place: np.ndarray
    distal: np.ndarray
    palm: np.ndarray
    spread: float
    by_tip: bool


def _sample_target(pose: Pose, rng: np.random.Generator) -> _Target:
    person = pose.person
    reach = (person.upper_arm + person.forearm) / 0.54
    kind = rng.random()
    spread = 0.05
    if kind < 0.50:  # the neutral space before the chest
        place = np.array([rng.uniform(-0.08, 0.30), rng.uniform(-0.44, -0.20), rng.uniform(-0.34, 0.02)]) * reach
    elif kind < 0.74:  # at and beside the face
        up = person.neck + person.head * rng.uniform(-0.1, 1.0)
        place = np.array([rng.uniform(-0.05, 0.24), -rng.uniform(0.08, 0.32), up])
        spread = 0.03
    elif kind < 0.86:  # at chest and shoulders
        place = np.array([rng.uniform(-0.18, 0.22), rng.uniform(-0.22, -0.15), rng.uniform(-0.30, 0.02)])
    elif kind < 0.95:  # before the belly
        place = np.array([rng.uniform(-0.10, 0.28), rng.uniform(-0.40, -0.20), rng.uniform(-0.48, -0.28)]) * reach
    else:  # wide
        place = np.array([rng.uniform(0.15, 0.60), rng.uniform(-0.45, -0.05), rng.uniform(-0.30, 0.45)]) * reach
        spread = 0.08
    up, across, ahead = np.array([0.0, 0.0, 1.0]), np.array([-1.0, 0.0, 0.0]), np.array([0.0, -1.0, 0.0])
    directions = np.array([up, across, ahead, -up, up + across, up + ahead, ahead + across, up - across])
    distal = directions[rng.choice(8, p=[0.28, 0.12, 0.08, 0.05, 0.21, 0.13, 0.08, 0.05])]
    palms = np.array([ahead, -ahead, across, -up, up, ahead + across, -ahead + across])
    palm = palms[rng.choice(7, p=[0.26, 0.20, 0.16, 0.12, 0.06, 0.12, 0.08])]
    return _Target(
        place,
        unit(unit(distal) + rng.normal(0.0, 0.25, 3)),
        unit(unit(palm) + rng.normal(0.0, 0.25, 3)),
        spread,
        bool(rng.random() < 0.35),
    )


def _rest(pose: Pose, rng: np.random.Generator) -> _Target:
    """At the side, in the lap, or before the belly."""
    person, down = pose.person, np.array([0.0, 0.0, -1.0])
    if pose.seated:
        place = np.array([rng.uniform(0.0, 0.16), -rng.uniform(0.2, 0.38), 0.13 - person.trunk])
        return _Target(place, unit(np.array([-0.7, -0.9, -0.2])), down, 0.04, False)
    if rng.random() < 0.25:
        place = np.array([rng.uniform(-0.02, 0.06), -rng.uniform(0.18, 0.26), rng.uniform(-0.42, -0.30)])
        return _Target(place, unit(np.array([-1.0, -0.2, -0.3])), np.array([0.0, 1.0, 0.0]), 0.03, False)
    arm = person.upper_arm + person.forearm
    place = np.array([person.shoulders / 2 + rng.uniform(0.06, 0.16), -rng.uniform(-0.02, 0.12), -arm * 1.12])
    return _Target(place, unit(down + rng.normal(0.0, 0.12, 3)), np.array([-1.0, 0.0, 0.0]), 0.03, False)


def _place(
    pose: Pose, side: str, target: _Target | None, shape: HandShape, arms: Mapping[str, Arm], rng: np.random.Generator
) -> Arm:
    """The arm that puts the hand at the target; the best of several tries by wrist range and room around it."""
    resting = target is None
    best: tuple[float, Arm] | None = None
    for attempt in range(_TRIES):
        aim = _rest(pose, rng) if resting else target
        if resting and attempt == 0 and rng.random() < 0.8:
            noise = rng.normal(0.0, 4.0, (4, 4))
            shape = HandShape(
                SHAPES["relaxed"].fingers + noise, SHAPES["relaxed"].thumb + rng.normal(0.0, 4.0, 5)
            ).clipped()
        arm, misfit = _reach(pose, side, aim, shape, 1.0 + attempt / 10, rng)
        cost = misfit + 40.0 * _overlap(pose, side, arm, arms)
        if best is None or cost < best[0]:
            best = cost, arm
        if cost < 0.35:
            break
    return best[1]


def _reach(
    pose: Pose, side: str, target: _Target, shape: HandShape, looseness: float, rng: np.random.Generator
) -> tuple[Arm, float]:
    person, out = pose.person, (1.0 if side == "left" else -1.0)
    own = pose.torso * np.array([[out], [1.0], [1.0]])  # rows: outwards, backwards, up
    local = hand_points(shape, person.hand)
    place = target.place + rng.normal(0.0, target.spread * looseness, 3)
    distal = target.distal @ own
    palm = target.palm @ own
    palm = unit(palm - distal * (palm @ distal))
    radial = out * np.cross(palm, distal)
    held = local[8] if target.by_tip else local[9]
    wrist = pose.neck + place @ own - held @ np.stack([radial, distal, -palm])

    raised = np.clip((wrist - pose.neck) @ own[2] / 0.3, 0.0, 1.0) * 0.02
    shoulder = pose.neck + own[0] * person.shoulders / 2 + own[2] * (raised + rng.normal(0.0, 0.006))
    swing = np.radians(rng.normal(15.0, 22.0 * looseness))
    elbow, wrist, across = two_bone(shoulder, wrist, person.upper_arm, person.forearm, own, swing)

    forearm = unit(wrist - elbow)
    inward = out * across  # where the palm faces with the thumb on top
    top = out * np.cross(inward, forearm)
    angles = _wrist_angles(forearm, inward, top, distal, palm)
    clipped = np.clip(angles, *np.array([PRONATION_LIMITS, FLEXION_LIMITS, DEVIATION_LIMITS]).T)
    axes = hand_axes(forearm, inward, top, clipped)
    misfit = float(np.abs(angles - clipped).sum() / 60.0)
    relative = (elbow - shoulder) @ own.T / person.upper_arm
    misfit += (
        4.0 * max(0.0, relative[1] - 0.45) + 4.0 * max(0.0, -0.25 - relative[0]) + 2.0 * max(0.0, relative[2] - 0.3)
    )
    return Arm(shoulder, elbow, wrist + local @ axes, axes, shape, tuple(float(a) for a in clipped)), misfit


def two_bone(
    shoulder: np.ndarray, wrist: np.ndarray, upper: float, lower: float, own: np.ndarray, swing: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elbow and wrist of an arm that reaches for ``wrist``; a place out of reach is brought onto the nearest one within.

    ``own`` has the rows outwards, backwards, up; ``swing`` (radians) lifts the elbow from hanging outwards. The third value
    is the elbow's axis, upper arm × forearm.
    """
    line = wrist - shoulder
    bend = np.radians(180.0 - np.array(ELBOW_LIMITS))
    farthest, nearest = np.sqrt(upper**2 + lower**2 - 2 * upper * lower * np.cos(bend))
    distance = float(np.clip(np.linalg.norm(line), nearest, farthest))
    line = unit(line)
    hanging = -own[2] + 0.25 * own[0] + 0.35 * own[1]
    hanging = unit(hanging - line * (hanging @ line))
    outwards = np.cross(line, hanging)
    outwards *= 1.0 if outwards @ own[0] >= 0 else -1.0
    direction = np.cos(swing) * hanging + np.sin(swing) * outwards
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    aside = np.sqrt(max(upper**2 - along**2, 0.0))
    return shoulder + along * line + aside * direction, shoulder + distance * line, -np.cross(line, direction)


def _wrist_angles(
    forearm: np.ndarray, inward: np.ndarray, top: np.ndarray, distal: np.ndarray, palm: np.ndarray
) -> np.ndarray:
    """Degrees of pronation, flexion and deviation that give the hand these directions, whatever the joints allow."""
    flexion = -np.arcsin(np.clip(palm @ forearm, -1.0, 1.0))
    pronation = np.arctan2(-(palm @ top), palm @ inward)
    facing = np.cos(pronation) * inward - np.sin(pronation) * top
    radial = np.cos(pronation) * top + np.sin(pronation) * inward
    along = np.cos(flexion) * forearm + np.sin(flexion) * facing
    return np.degrees([pronation, flexion, np.arctan2(distal @ radial, distal @ along)])


def hand_axes(forearm: np.ndarray, inward: np.ndarray, top: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Radial, distal and dorsal directions (3, 3) of a hand at these angles (degrees) to its forearm."""
    pronation, flexion, deviation = np.radians(angles)
    facing = np.cos(pronation) * inward - np.sin(pronation) * top
    radial = np.cos(pronation) * top + np.sin(pronation) * inward
    along = np.cos(flexion) * forearm + np.sin(flexion) * facing
    palm = np.cos(flexion) * facing - np.sin(flexion) * forearm
    distal = np.cos(deviation) * along + np.sin(deviation) * radial
    return np.stack([np.cos(deviation) * radial - np.sin(deviation) * along, distal, -palm])


def _samples(arm: Arm) -> tuple[np.ndarray, np.ndarray]:
    """Points along forearm and hand, (N, 3), and how thick the arm is there, (N,)."""
    shares = np.array([0.0, 0.25, 0.5, 0.75])[:, None]
    forearm = arm.elbow + shares * (arm.wrist - arm.elbow)
    fingers = (arm.hand[6:20] + arm.hand[7:21]) / 2
    points = np.concatenate([forearm, arm.hand, fingers])
    return points, np.concatenate([(0.048, 0.045, 0.038, 0.032), [0.022] * 2, [0.012] * 19, [0.009] * 14])


def _overlap(pose: Pose, side: str, arm: Arm, arms: Mapping[str, Arm]) -> float:
    """Metres by which the arm is inside the trunk, the head, the thighs or the other arm, summed over its points."""
    points, radii = _samples(arm)
    local = (points - pose.pelvis) @ pose.torso.T
    rings = trunk_rings(pose.person)
    width, depth, back = (np.interp(local[:, 2], rings[:, 0], rings[:, i]) + 0.012 * (i < 3) for i in (1, 2, 3))
    inside = _depth_in_ellipse(local[:, 0] / (width + radii), (local[:, 1] - back) / (depth + radii), depth)
    inside = inside * ((local[:, 2] > rings[0, 0]) & (local[:, 2] < rings[-1, 0]))
    total = inside.sum()

    head = (points - pose.head) @ pose.head_frame.T
    size = HEAD_RADII * pose.person.head + 0.002
    r = np.linalg.norm(head / (size + radii[:, None] * 0.9), axis=1)
    total += (np.clip(1.0 - r, 0.0, None) * size[0]).sum()
    if pose.seated:
        for leg in pose.legs.values():
            total += np.clip(0.075 + radii - _to_segment(points, leg[0], leg[1]), 0.0, None).sum()
    for name, other in arms.items():
        if name != side:
            theirs, thick = _samples(other)
            apart = np.linalg.norm(points[:, None] - theirs[None], axis=-1)
            total += np.clip(0.95 * (radii[:, None] + thick[None]) - apart, 0.0, None).sum()
    return float(total)


def _depth_in_ellipse(x: np.ndarray, y: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.clip(1.0 - np.hypot(x, y), 0.0, None) * scale


def _to_segment(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    line = end - start
    share = np.clip((points - start) @ line / (line @ line), 0.0, 1.0)
    return np.linalg.norm(points - start - share[:, None] * line, axis=1)
