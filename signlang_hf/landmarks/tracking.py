"""Two detected hands become a right and a left one, and every signer a right-handed one in front of an unmirrored camera.

A hand detector fills two slots in whatever order it found the hands. In DGS-30 the order flips within 7 of 10 clips
with two hands, and no column says which hand is which. :func:`track_hands` brings any layout with two hands into one
form, layout ``face-hands-43``, so that a model trained on such data understands a webcam through MediaPipe Holistic.

Design decisions:

* **Which slot holds the right hand** is the state of a hidden Markov model, one bit a frame, and Viterbi's algorithm
  finds the likeliest course (Rabiner 1989). Continuity and side are decided together: a glimpse of a hand from its good
  side names it for the whole clip. A change of slots costs what the hands would have to jump.
* A hand *looks* right or left: fingers bend towards the palm, so the normal of the triangle wrist, index knuckle,
  little knuckle and the way from the knuckles to the finger tips tell a hand from its mirror image, from whichever side
  it is seen. Weaker evidence: in the picture the signer's right hand is left of the face. Without depth (z = 0) only
  that remains.
* Where the layout names its sides, the names are evidence too, and outweigh the looks of single frames.
* **The picture is mirrored** when the hand that looks left was seen :data:`DOMINANCE` times as often as the other one:
  a left-handed signer, or a camera that mirrors. Presence decides and not movement, because in signs of two hands
  either may move more: by movement half of such clips of DGS-30 would be mirrored, by presence 4 %. Nothing tells a
  sign of two equal hands from its mirror image, so those stay as they are; training with mirrored copies covers them.
* The face is one point, the signer's right eye: the first point of MediaPipe's face detector, which is what DGS-30
  holds.
* Frames before the first hand and after the last one are cut off; DGS-30 has none either.

Measured. 410 fingerspelled letters and 21 other clips by MediaPipe Holistic, sides forgotten and slots shuffled (at
every fifth frame): the right side in 98.4 % of the frames (without depth 97.7 %), and 1 of 1000 frames at a wrong
change. Four clips of one-handed signs through MediaPipe Hands and face detection instead differ from Holistic by 0.00
to 0.03 palms, and by 0.04 to 0.07 when the camera mirrors (one more, without a face in view, is shifted). Nine of ten
mirrored clips of DGS-30's one-handed signs are turned back. Where two hands of DGS-30 are more than a palm apart, they
lie the other way round than in most of their clip in 12.9 % of the frames as they come, and in 1.4 % when tracked. A
kernel classifier gets 92.7 % of DGS-30 with tracked hands and 90.1 % with the slots as they come; halving or doubling
the constants costs less than one point. Not done, because it gained nothing: dropping hands that are seen for less than
0.1 s (40 % of the appearances of a second hand last a single frame).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .layout import HAND, Layout, get_layout
from .normalize import frame_median, mirror
from .sequence import LandmarkSequence
from .vectors import cross, length, take_points

TRACKED_LAYOUT = "face-hands-43"
DOMINANCE = 1.5
_LOOKS = 0.25  # evidence of one frame, in palms of jump that it is worth
_PLACE = 0.08  # the same for each palm that the hand is beside the face, of which at most three count
_NAMES = 2.0  # the same for a name that the layout gives
_HALF_EYES = 0.37  # palms from the right eye to the middle of the face
_APPEAR = 2.0  # palms of jump that a hand's coming or going is worth
_FARTHEST = 4.0  # palms; a jump beyond tells no more
_EPSILON = 1e-6
_KNUCKLES = tuple(HAND.index(f"{finger}_mcp") for finger in ("index", "middle", "ring", "little"))
_TIPS = tuple(HAND.index(f"{finger}_tip") for finger in ("index", "middle", "ring", "little"))
_FINGERS = tuple(zip(_TIPS, _KNUCKLES, strict=True))
_INDEX, _MIDDLE, _, _LITTLE = _KNUCKLES
# The right eye by its names, each with the point that takes its place in a mirror.
_FACES = (("face", "face"), ("right_eye", "left_eye"), ("face_right_eye", "face_left_eye"))


def track_hands(sequence: LandmarkSequence) -> LandmarkSequence:
    """The hands of a clip as those of a right-handed signer, in layout ``face-hands-43``.

    Args:
        sequence: landmarks in a layout with ``left_hand_*`` and ``right_hand_*`` or ``hand1_*`` and ``hand2_*``, 21
            points each, x to the right and y down; z, where there is one, grows away from the camera (as MediaPipe's).
            ``image`` units need the size.

    Returns:
        ``face``, the left and the right hand from the first to the last frame with a hand (all frames when there is
        none), in the units of ``sequence``. A mirrored clip of a sign of one hand gives the same as the clip itself.

    Raises:
        ValueError: the layout has no two hands, or the picture's size is missing.
    """
    spec = sequence.spec
    slots, _ = _slots(spec)
    hands = take_points(sequence.data, slots)
    seen = _seen(hands)
    first_is_right = _sides(sequence, hands, seen)
    on_the_left, on_the_right = np.where(first_is_right, seen.T[::-1], seen.T).sum(axis=1)
    left_handed = bool(on_the_left > DOMINANCE * on_the_right)
    face = _face(spec, mirrored=left_handed)

    def sided(values: np.ndarray, hands: np.ndarray, missing: float) -> np.ndarray:
        first, second = hands[:, 0].T, hands[:, 1].T
        eye = values[:, face : face + 1].T if face >= 0 else np.full_like(first[..., :1, :], missing)
        left, right = np.where(first_is_right, second, first), np.where(first_is_right, first, second)
        return np.concatenate([eye, left, right], axis=-2).T

    visibility, world = sequence.visibility, sequence.world
    tracked = sequence._with(
        data=sided(sequence.data, hands, np.nan),
        visibility=sided(visibility, take_points(visibility, slots), 0.0),
        world=None if world is None else sided(world, take_points(world, slots), np.nan),
        layout=TRACKED_LAYOUT,
    )
    if seen.any():
        with_hand = np.flatnonzero(seen.any(axis=1))
        tracked = tracked.frames(slice(with_hand[0], with_hand[-1] + 1))
    return mirror(tracked) if left_handed else tracked


def assign_sides(sequence: LandmarkSequence) -> np.ndarray:
    """Which of the two hands of each frame is the one that looks right.

    Returns:
        (T,) bool: True where the layout's first hand does (``right_hand`` or ``hand1``), False where the second one
        does. In frames without a hand as in the frame before.

    Raises:
        ValueError: the layout has no two hands, or the picture's size is missing.
    """
    hands = take_points(sequence.data, _slots(sequence.spec)[0])
    return _sides(sequence, hands, _seen(hands))


def _seen(hands: np.ndarray) -> np.ndarray:
    """(T, 2) whether any point of a hand was found."""
    return ~np.isnan(hands[..., 0]).all(axis=2)


def _sides(sequence: LandmarkSequence, hands: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """:func:`assign_sides` for the points ``hands`` (T, 2, 21, 3) of the sequence, of which ``seen`` (T, 2) is known."""
    axes = sequence.axes
    found = np.flatnonzero(seen.any(axis=1))
    if len(found) == 0:
        return np.ones(len(sequence), bool)
    face = _face(sequence.spec, mirrored=False)
    eye = sequence.data[:, face, 0] * axes[0] if face >= 0 else np.full(len(sequence), np.nan, np.float32)
    if len(found) < len(sequence):
        hands, seen, eye = np.asfortranarray(hands[found]), seen[found], eye[found]
    hands = hands * axes
    palms = length(hands[:, :, _MIDDLE] - hands[:, :, 0])
    palms = palms[palms > _EPSILON]
    palm = float(frame_median(palms)) if len(palms) else 1.0
    evidence = _evidence(hands, eye, palm)
    evidence = evidence[:, 0] - evidence[:, 1] + (_NAMES if _slots(sequence.spec)[1] else 0.0)
    states = _viterbi(evidence, *_jumps(hands, seen, palm))
    before = np.searchsorted(found, np.arange(len(sequence)), side="right") - 1
    return states[np.maximum(before, 0)]


def require_tracked(layout: str | Layout) -> None:
    """Raise ValueError when a layout has points that :func:`track_hands` does not give."""
    spec = get_layout(layout)
    lost = [point for point in spec.points if point not in get_layout(TRACKED_LAYOUT).index]
    if lost:
        more = " …" if len(lost) > 3 else ""
        raise ValueError(
            f"Tracked hands come with a face point and nothing else, and layout '{spec.name}' has {', '.join(lost[:3])}{more}; "
            f"choose '{TRACKED_LAYOUT}' or 'hands-42'."
        )


def looks_right(hands: np.ndarray) -> np.ndarray:
    """How much hands look like right hands: about +1 for a right hand with bent fingers, 0 for a flat one, -1 for a left hand.

    Args:
        hands: (…, 21, 3) isotropic points, x to the right, y down, z away from the viewer.

    Returns:
        (…) the way from the knuckles to the finger tips along the normal of the palm, in palms, through tanh(5 x); 0
        where a point is missing.
    """
    wrist = hands[..., 0, :]
    normal = cross(hands[..., _INDEX, :] - wrist, hands[..., _LITTLE, :] - wrist)
    bend = sum(hands[..., tip, :] - hands[..., knuckle, :] for tip, knuckle in _FINGERS) / len(_FINGERS)
    size = length(normal) * length(hands[..., _MIDDLE, :] - wrist)
    return _known(np.tanh(5 * (normal * bend).sum(axis=-1) / np.maximum(size, _EPSILON)))


@lru_cache(maxsize=64)
def _slots(spec: Layout) -> tuple[np.ndarray, bool]:
    """(2, 21) positions of the two hands, and whether their names say right (first) and left."""
    for pair in (("right_hand", "left_hand"), ("hand1", "hand2")):
        names = [[f"{hand}_{point}" for point in HAND] for hand in pair]
        if all(name in spec.index for hand in names for name in hand):
            return np.array([spec.indices(hand) for hand in names]), pair[0] == "right_hand"
    raise ValueError(
        f"Layout '{spec.name}' has no two hands of 21 points (left_hand_* and right_hand_*, or hand1_* and hand2_*); "
        "hand tracking needs them."
    )


def _face(spec: Layout, *, mirrored: bool) -> int:
    """Position of the eye that is, or in a mirror will be, the signer's right one; -1 where the layout has none."""
    return next((spec.index[pair[mirrored]] for pair in _FACES if pair[mirrored] in spec.index), -1)


def _evidence(hands: np.ndarray, eye: np.ndarray, palm: float) -> np.ndarray:
    """(T, 2): for each hand how strongly its shape and its place speak for the right one; 0 where nothing is known."""
    beside = (eye[:, None] + _HALF_EYES * palm - _centre(hands[..., (0, *_KNUCKLES), 0])) / palm
    return _LOOKS * looks_right(hands) + _PLACE * _known(np.minimum(np.maximum(beside, -3), 3))


def _known(values: np.ndarray) -> np.ndarray:
    """0 in the place of NaN."""
    return np.where(np.isnan(values), 0, values)


def _jumps(hands: np.ndarray, seen: np.ndarray, palm: float) -> tuple[np.ndarray, np.ndarray]:
    """What it costs, in palms, if the hands keep their slots from frame to frame, and if they change them: two (T - 1,) arrays."""
    distance = length(hands[1:, :, None, :, :2] - hands[:-1, None, :, :, :2])
    distance = np.minimum(_centre(distance) / palm, _FARTHEST)  # (T - 1, new, old), NaN unless both were seen
    either = seen[1:, :, None] | seen[:-1, None, :]
    cost = np.where(np.isnan(distance), _APPEAR * either, distance)
    return cost[:, 0, 0] + cost[:, 1, 1], cost[:, 0, 1] + cost[:, 1, 0]


def _centre(values: np.ndarray) -> np.ndarray:
    """Mean over the seen points on the last axis, NaN (without a warning) where there are none."""
    seen = ~np.isnan(values)
    count = np.add.reduce(seen, axis=-1, dtype=values.dtype)
    count[count == 0] = np.nan
    return np.where(seen, values, 0).sum(axis=-1) / count


def _viterbi(evidence: np.ndarray, keep: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Cheapest course of the bit "the first hand is the right one", which costs half the evidence against it in each frame.

    Args:
        evidence: (T,) for True.
        keep, change: (T - 1,) costs of the steps between frames.
    """
    half = (0.5 * evidence).tolist()
    wrong, right = half[0], -half[0]
    came_from: list[tuple[bool, bool]] = []
    for weight, stay, switch in zip(half[1:], keep.tolist(), change.tolist(), strict=True):
        switch_to_wrong, switch_to_right = right + switch < wrong + stay, wrong + switch < right + stay
        came_from.append((switch_to_wrong, not switch_to_right))
        wrong, right = (
            (right + switch if switch_to_wrong else wrong + stay) + weight,
            (wrong + switch if switch_to_right else right + stay) - weight,
        )
    states = [right <= wrong]
    for origin in reversed(came_from):
        states.append(origin[states[-1]])
    return np.array(states[::-1])
