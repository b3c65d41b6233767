"""A posed person as surfaces: trunk, limbs and hands, dressed. The head is in :mod:`.head`.

Arms, legs and fingers are tubes along the bones, the trunk a loft of ellipses. Clothes are wider tubes over the skin.
"""

from __future__ import annotations

import numpy as np

from .anatomy import Person, trunk_rings
from .hands import FINGER_RADII, FINGER_SCALES, THUMB_RADII, nail_directions
from .head import head_parts
from .looks import Look
from .pose import SIDES, Arm, Pose, unit
from .surface import Part, ellipsoid, loft, spline, tube

_CARPUS = np.array([(0.065, 0.04, 0.0), (0.022, 0.04, 0.004), (-0.025, 0.04, 0.002), (-0.065, 0.04, -0.004)])
# Share of the upper arm or forearm, half width at 1.68 m.
_UPPER_ARM = np.array([(0.0, 0.046), (0.16, 0.052), (0.35, 0.050), (0.6, 0.045), (0.9, 0.040), (1.0, 0.039)])
_FOREARM = np.array([(0.0, 0.039), (0.18, 0.043), (0.45, 0.038), (0.75, 0.030), (1.0, 0.026)])
_THIGH = np.array([(0.0, 0.088), (0.3, 0.082), (0.7, 0.064), (1.0, 0.055)])
_SHANK = np.array([(0.0, 0.055), (0.25, 0.056), (0.6, 0.043), (1.0, 0.035)])


def body_parts(pose: Pose, look: Look) -> list[Part]:
    """Every surface of the person, in world coordinates."""
    parts = [*_trunk_parts(pose, look), *head_parts(pose, look)]
    for side in SIDES:
        parts += [*_arm_parts(pose, side, look), *hand_parts(pose.person, pose.arms[side], side)]
        parts += _leg_parts(pose, side)
    return parts


def _trunk_parts(pose: Pose, look: Look) -> list[Part]:
    person = pose.person
    rings = spline(trunk_rings(person), 26)

    def skin(rows: np.ndarray, extra: float, material: str, around: int = 24) -> Part:
        angles = np.arange(around) * 2 * np.pi / around
        # A chest is squarer than an ellipse.
        x = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** 0.8
        y = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** 0.9
        local = np.stack(
            [
                (rows[:, 1:2] + extra) * x,
                (rows[:, 2:3] + extra) * y + rows[:, 3:4],
                np.broadcast_to(rows[:, :1], (len(rows), around)),
            ],
            axis=-1,
        )
        if person.bust:
            row, out = rows[:, :1] / person.trunk, local[..., 0] / rows[:, 1:2]
            swell = np.exp(-(((row - 0.68) / 0.10) ** 2)) * np.exp(-(((np.abs(out) - 0.42) / 0.26) ** 2))
            local[..., 1] -= person.bust * swell * (y < 0)
        world = pose.pelvis + local @ pose.torso
        return loft(world, material, ends=(world[0].mean(axis=0), world[-1].mean(axis=0)))

    height = rings[:, 0] / person.trunk
    shirt = rings[(height > look.hem) & (height < look.neckline)]
    neck = np.stack([pose.neck - pose.torso[2] * 0.03, pose.head - pose.head_frame[2] * 0.25 * person.head])
    girth = person.stature / 1.68 * np.sqrt(person.girth)
    return [
        skin(rings[height < 0.3], 0.0, "trousers"),
        skin(rings[height > 0.6], 0.0, "skin"),
        skin(shirt, look.loose * 0.7, "shirt"),
        tube(neck, np.array([0.064, 0.056]) * girth, pose.torso[0], "skin", around=16, caps=(False, False)),
    ]


def _profile(start: np.ndarray, end: np.ndarray, table: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    return start + table[:, :1] * (end - start), table[:, 1] * size


def _arm_parts(pose: Pose, side: str, look: Look) -> list[Part]:
    person, arm = pose.person, pose.arms[side]
    size = person.stature / 1.68 * np.sqrt(person.girth)
    upper, upper_radii = _profile(arm.shoulder, arm.elbow, _UPPER_ARM, size)
    lower, lower_radii = _profile(arm.elbow, arm.wrist, _FOREARM, size)
    hand = person.hand
    # The forearm flattens towards the wrist, along the hand.
    flat = _FOREARM[:, :1] ** 2 * np.array([0.10, -0.22]) + 1.0
    wide = lower_radii[:, None] * flat
    wide[-1] = np.array([0.165, 0.118]) * hand
    path, radii = np.concatenate([upper, lower[1:]]), np.concatenate([upper_radii, lower_radii[1:]])
    parts = [
        tube(np.concatenate([upper, lower[1:2]]), np.append(upper_radii, lower_radii[1] * 0.9), pose.torso[1], "skin",
             group=f"{side}_arm", around=14, rounding=0.9),
        tube(lower, wide, arm.axes[0], "skin", group=f"{side}_arm", around=14),
    ]  # fmt: skip
    # Sleeves follow the same path as far as they reach.
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    end = max(look.sleeve, 0.04) * length[-1]
    inside = length < end
    stop = np.array([np.interp(end, length, path[:, i]) for i in range(3)])
    sleeve = np.concatenate([path[inside], stop[None]])
    thickness = np.append(radii[inside], np.interp(end, length, radii)) + look.loose * np.append(
        np.linspace(0.6, 1.0, inside.sum()), 1.1
    )
    if look.sleeve > 0.5:
        thickness[-1] = max(thickness[-1], 0.172 * hand + 0.3 * look.loose)
    parts.append(tube(sleeve, thickness, pose.torso[1], "shirt", group=f"{side}_arm", around=14, rounding=0.8,
                      caps=(True, False)))  # fmt: skip
    return parts


def hand_parts(person: Person, arm: Arm, side: str) -> list[Part]:
    """Palm, five fingers and their nails."""
    size, group = person.hand, f"{side}_hand"
    out = 1.0 if side == "left" else -1.0
    radial, distal, dorsal = arm.axes
    girth = person.finger_girth

    def at(*place: float) -> np.ndarray:
        return arm.wrist + size * np.array(place) @ arm.axes

    parts = []
    for finger in range(4):
        joints = arm.hand[5 + 4 * finger : 9 + 4 * finger]
        base = at(*_CARPUS[finger])
        thick = FINGER_RADII * FINGER_SCALES[finger] * girth * size
        middle = 0.45 * base + 0.55 * joints[0] + dorsal * 0.004
        tip = joints[3] - unit(joints[3] - joints[2]) * 0.15 * thick[3]
        path = np.stack([base, middle, joints[0], *joints[1:3], tip])
        widths = np.array([0.062 * size, 0.064 * size, *thick])
        heights = np.array([0.085 * size, 0.072 * size, 1.02 * thick[0], *(0.92 * thick[1:])])
        spread = radial - unit(joints[1] - joints[0]) * (radial @ unit(joints[1] - joints[0]))
        parts.append(tube(path, np.stack([widths, heights], 1), spread, "skin", group=group, around=12, rounding=0.9))
    thick = THUMB_RADII * girth * size
    thumb = np.stack([at(0.05, 0.02, -0.02), *arm.hand[1:5]])
    flatness = np.stack([np.array([0.08 * size, *thick]), np.array([0.075 * size, *(0.9 * thick)])], 1)
    nails = nail_directions(arm.shape) @ arm.axes
    parts.append(tube(thumb, flatness, np.cross(nails[0], unit(thumb[4] - thumb[3])), "skin", group=group, around=12,
                      rounding=0.9))  # fmt: skip
    parts += [
        ellipsoid(at(-0.02, 0.27, -0.018), size * np.stack([0.145 * radial, 0.055 * dorsal, 0.23 * distal]), "skin",
                  group=group),
        ellipsoid(at(-0.115, 0.20, -0.035), size * np.stack([0.062 * radial, 0.062 * dorsal, 0.19 * distal]), "skin",
                  group=group),
        ellipsoid(at(0.0, 0.02, 0.0), size * np.stack([0.150 * radial, 0.112 * dorsal, 0.13 * distal]), "skin",
                  group=group),
    ]  # fmt: skip
    # The fold of skin between thumb and index finger.
    ends = np.stack([0.45 * arm.hand[1] + 0.55 * arm.hand[2], 0.35 * at(*_CARPUS[0]) + 0.65 * arm.hand[5]])
    web = np.stack([ends[0], ends.mean(axis=0) - 0.035 * size * distal, ends[1]])
    widths = np.array([(0.07, 0.05), (0.075, 0.034), (0.085, 0.05)]) * size
    parts.append(tube(web, widths, distal, "skin", group=group, around=12))
    for finger, facing in enumerate(nails):
        last, tip = arm.hand[3 + 4 * finger], arm.hand[4 + 4 * finger]
        radius = (THUMB_RADII[3] if finger == 0 else FINGER_RADII[3] * FINGER_SCALES[finger - 1]) * girth * size
        along = unit(tip - last)
        centre = tip + 0.1 * radius * along + 0.80 * radius * facing
        axes = np.stack([0.66 * radius * out * np.cross(facing, along), 0.24 * radius * facing, 0.85 * radius * along])
        parts.append(ellipsoid(centre, axes, "nail", group=f"{group}_nails", around=8, rows=4))
    return parts


def _leg_parts(pose: Pose, side: str) -> list[Part]:
    person = pose.person
    hip, knee, ankle = pose.legs[side]
    size = person.stature / 1.68 * np.sqrt(person.girth)
    thigh, thigh_radii = _profile(hip, knee, _THIGH, size)
    shank, shank_radii = _profile(knee, ankle, _SHANK, size)
    path, radii = np.concatenate([thigh, shank[1:]]), np.concatenate([thigh_radii, shank_radii[1:] + 0.008])
    toe = np.array([0.0, -1.0, 0.0])
    foot = ankle + toe * 0.055 * person.stature / 1.68 - np.array([0.0, 0.0, 0.5 * person.ankle])
    axes = np.stack([(0.042, 0.0, 0.0), (0.0, 0.0, 0.032), (0.0, 0.125, 0.0)]) * person.stature / 1.68
    return [
        tube(path, radii, np.array([1.0, 0.0, 0.0]), "trousers", group=f"{side}_leg", around=14, rounding=0.8),
        ellipsoid(foot, axes, "shoe"),
    ]
