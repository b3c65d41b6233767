"""Body regions: the rows of a chart. Finer than a layout's parts, which call everything between nose and heel ``pose``."""

from __future__ import annotations

from collections.abc import Mapping

from ..landmarks import Layout
from ..landmarks.layout import part_of

# Row → words of a point's name, the first that fits; a side is added where the name says one.
_HEAD = {"nose", "eye", "ear", "mouth", "head", "face"}
_ARM = {"shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hand"}
_LEG = {"hip", "knee", "ankle", "heel", "foot", "toe"}
_ORDER = (
    "head",
    "right arm",
    "right hand",
    "left hand",
    "left arm",
    "hand 1",
    "hand 2",
    "trunk",
    "right leg",
    "left leg",
    "body",
)


def region_of(point: str) -> str:
    """Region of a point by its name: ``left_hand_thumb_tip`` → ``left hand``, ``right_elbow`` → ``right arm``."""
    part = part_of(point)
    if part.endswith("_hand"):
        return part.replace("_", " ")
    if part.startswith("hand"):
        return f"hand {part[-1]}"
    words = set(point.split("_"))
    if part == "face" or words & _HEAD:
        return "head"
    side = "left" if "left" in words else "right" if "right" in words else None
    if side and words == {side, "hand"}:  # a hand that is one point
        return f"{side} hand"
    if side and words & _ARM:
        return f"{side} arm"
    if side and words & _LEG:
        return f"{side} leg"
    return "trunk" if words & (_ARM | _LEG | {"spine", "neck", "chest", "pelvis", "center"}) else "body"


def regions(layout: Layout) -> Mapping[str, tuple[int, ...]]:
    """Region → positions of its points, from head to feet. A layout whose names say nothing is one ``body``."""
    found: dict[str, list[int]] = {}
    for position, point in enumerate(layout.points):
        found.setdefault(region_of(point), []).append(position)
    return {region: tuple(found[region]) for region in _ORDER if region in found}
