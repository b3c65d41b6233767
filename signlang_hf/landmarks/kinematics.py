"""Bones of constant length: repair of joints that are missing or where no arm or finger could be, by FABRIK.

Design decisions:

* A **chain** is a row of joints that bones connect: each arm from the shoulder on, each leg from the hip on, each
  finger from the wrist on. Which of them a layout has follows from its point names.
* The length of a bone is its median over the clip. A clip measures its own signer, so no table of human proportions is
  needed.
* A joint is at fault when all its bones in the chain have the wrong length, or when it is missing between joints that
  are not; two joints are when only the bone between them is wrong. Nothing else is touched.
* Faulty joints are put back by FABRIK (Aristidou & Lasenby 2011) from the good joint before to the good one after them,
  from where their neighbours in time say they were. Behind the last good joint of a chain the seen end is only brought
  within reach, and what was not seen there stays unseen: a hand that has left the picture is not invented.
* It needs depth, measured or estimated. Without any (z = 0 everywhere) a bone's length changes with its direction and
  tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .layout import HAND, Layout
from .sequence import LandmarkSequence

_LIMBS = (
    ("shoulder", "elbow", "wrist", "hand"),
    ("hip", "knee", "ankle", "foot"),
)
_FINGERS = tuple((0, *range(first, first + 4)) for first in range(1, len(HAND), 4))
_EPSILON = 1e-9


@lru_cache(maxsize=64)
def chains(layout: Layout) -> tuple[tuple[int, ...], ...]:
    """Positions of the joints of each chain of the layout, from the trunk outwards; at least two bones long."""
    names = [[f"{side}_{joint}" for joint in limb] for side in ("left", "right") for limb in _LIMBS]
    for hand in ("left_hand", "right_hand", "hand1", "hand2"):
        names += [[f"{hand}_{HAND[point]}" for point in finger] for finger in _FINGERS]
    found = (tuple(layout.index[name] for name in chain if name in layout.index) for chain in names)
    return tuple(chain for chain in found if len(chain) >= 3)


def bone_lengths(points: np.ndarray) -> np.ndarray:
    """Median length over time of the bones of a chain.

    Args:
        points: (T, n, 3) joints of the chain, in isotropic units, NaN where they were not seen.

    Returns:
        (n - 1,) lengths; NaN for a bone of which no frame saw both ends.
    """
    length = np.linalg.norm(np.diff(points, axis=1), axis=2)
    seen = ~np.isnan(length)
    return np.array([np.median(bone[s]) if s.any() else np.nan for bone, s in zip(length.T, seen.T)])


def fabrik(
    points: np.ndarray, lengths: np.ndarray, target: np.ndarray, *, tolerance: float = 1e-3, rounds: int = 100
) -> np.ndarray:
    """Bring the ends of chains to their targets with bones of given lengths: forward and backward reaching inverse
    kinematics (Aristidou & Lasenby, Graphical Models 73, 2011), all chains at once.

    Args:
        points: (N, n, 3) joints to start from; the first joint of a chain stays where it is.
        lengths: (N, n - 1) lengths of the bones, or (n - 1,) the same for all.
        target: (N, 3) where the last joints shall be.
        tolerance: how near to the target is near enough, as a share of the chain's length.
        rounds: how often to go there and back at most. A few are enough, but for a chain that is all but stretched, or
            folded as far as its longest bone allows: it is within 5 % of its length after 100, within 0.2 % after 1000.

    Returns:
        (N, n, 3) float64. All bones have their lengths; the end is where it shall be, or as near as the chain
        reaches: a chain points straight at a target that is too far away.
    """
    points, target = np.array(points, np.float64), np.asarray(target, np.float64)
    lengths = np.broadcast_to(lengths, (len(points), points.shape[1] - 1))[..., None]
    base, last, reach = points[:, 0].copy(), points.shape[1] - 1, lengths.sum(axis=1)
    far = np.linalg.norm(target - base, axis=1) >= reach[:, 0]
    along = np.cumsum(lengths, axis=1) * _direction(target - base)[:, None]
    points[far, 1:] = (base[:, None] + along)[far]
    points[~far, 1:last] += _off_the_line(points[~far], reach[~far])[:, None]
    active = np.flatnonzero(~far)
    for _ in range(rounds):
        if len(active) == 0:
            break
        chain, bones = points[active], lengths[active]
        chain[:, last] = target[active]
        for joint in range(last - 1, -1, -1):
            chain[:, joint] = chain[:, joint + 1] + bones[:, joint] * _direction(chain[:, joint] - chain[:, joint + 1])
        chain[:, 0] = base[active]
        for joint in range(last):
            chain[:, joint + 1] = chain[:, joint] + bones[:, joint] * _direction(chain[:, joint + 1] - chain[:, joint])
        points[active] = chain
        missed = np.linalg.norm(chain[:, last] - target[active], axis=1)
        active = active[missed > tolerance * reach[active, 0]]
    return points


def repair(sequence: LandmarkSequence, tolerance: float = 0.5) -> LandmarkSequence:
    """Put joints back that are missing inside a chain, or whose bones are too long or too short.

    Args:
        tolerance: a bone is wrong when it is more than 1 + ``tolerance`` times as long as the clip's median, or as
        short.

    Returns:
        the clip with bones of median length wherever a joint was repaired, and everything else as it was; repaired
        points get half the mean visibility of the joints that they were hung between. A clip without depth is returned
        as it is.

    Raises:
        ValueError: ``tolerance`` is not positive.
    """
    if not tolerance > 0:
        raise ValueError(f"The tolerance of repair() is {tolerance}; it must be a positive share such as 0.5.")
    z = sequence.data[..., 2][sequence.seen]
    rows = chains(sequence.spec)
    if not rows or len(z) == 0 or (z == z[0]).all():
        return sequence
    points = sequence.data.astype(np.float64) * sequence.axes
    lengths = [np.where((usual := bone_lengths(points[:, chain])) > _EPSILON, usual, np.nan) for chain in rows]
    faulty = _faulty(points, rows, lengths, 1 + tolerance)
    gaps = [
        gap
        for chain, bones in zip(rows, lengths)
        if faulty[:, chain].any()
        for gap in _gaps(points[:, chain], faulty[:, chain], np.array(chain), bones)
    ]
    data, visibility = sequence.data.copy(), sequence.visibility.copy()
    for size in {gap.joints.shape[1] for gap in gaps}:  # all gaps of one size at once
        alike = [gap for gap in gaps if gap.joints.shape[1] == size]
        frames, joints, start, bones, moved = (np.concatenate(field) for field in zip(*alike))
        placed = fabrik(start, bones, start[:, -1])
        ends = sequence.visibility[frames[:, None], joints[:, [0, -1]]].mean(axis=1)
        row, column = np.nonzero(moved)
        data[frames[row], joints[row, column]] = placed[row, column] / sequence.axes
        visibility[frames[row], joints[row, column]] = 0.5 * ends[row]
    return sequence._with(data=data, visibility=visibility)


class _Gap(NamedTuple):
    """A run of faulty joints with its two ends, in the N frames in which it is the same: N rows each."""

    frames: np.ndarray
    joints: np.ndarray
    start: np.ndarray
    bones: np.ndarray
    moved: np.ndarray


def _gaps(points: np.ndarray, faulty: np.ndarray, joints: np.ndarray, bones: np.ndarray) -> Iterator[_Gap]:
    """The runs of faulty joints in one chain (T, n), each from the good joint before it to the good one after it. A run
    that goes to the chain's end goes as far as a joint was seen there, and moves that one, too."""
    seen, expected = ~np.isnan(points[..., 0]), _expected(points, faulty)
    patterns, members = np.unique(np.concatenate([faulty, seen], axis=1), axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        bad, there = np.split(pattern, 2)
        good = np.flatnonzero(~bad)
        for first, after in zip(good, [*good[1:], None]):
            last = after if after is not None else np.flatnonzero(there)[-1]
            if last - first < (2 if after is not None else 1) or np.isnan(bones[first:last]).any():
                continue
            frames = np.flatnonzero(members.ravel() == number)
            ends = points[frames][:, [first, last]]
            line = ends[:, :1] + np.linspace(0, 1, last - first + 1)[:, None] * (ends[:, 1:] - ends[:, :1])
            start = expected[frames, first : last + 1]
            start = np.where(np.isnan(start), line, start)
            start[:, [0, -1]] = ends
            moved = np.full((len(frames), last - first + 1), True)
            moved[:, 0], moved[:, -1] = False, after is None
            rows = np.ones((len(frames), 1), int)
            yield _Gap(frames, rows * joints[first : last + 1], start, rows * bones[first:last], moved)


def _faulty(
    points: np.ndarray, rows: tuple[tuple[int, ...], ...], lengths: list[np.ndarray], limit: float
) -> np.ndarray:
    """(T, K) whether a joint is missing or to be blamed for bones that are wrong by more than the factor ``limit``."""
    missing = np.isnan(points[..., 0])
    known, wrong = np.zeros((2, *missing.shape), int)
    bones, degree = [], np.zeros(missing.shape[1], int)
    for chain, usual in zip(rows, lengths):
        length = np.linalg.norm(np.diff(points[:, chain], axis=1), axis=2)
        bad = (length > limit * usual) | (length * limit < usual)  # False where either is unknown
        for bone, (a, b) in enumerate(pairwise(chain)):
            bones.append((a, b, bad[:, bone]))
            for joint in (a, b):
                degree[joint] += 1
                known[:, joint] += ~np.isnan(length[:, bone])
                wrong[:, joint] += bad[:, bone]
    roots = np.zeros(len(degree), bool)
    roots[[chain[0] for chain in rows]] = True
    anchors = roots & (degree == 1)  # a shoulder has no second witness: the joint after it is blamed instead
    faulty = missing | ((wrong > 0) & (wrong == known) & ~anchors)
    for a, b, bad in bones:
        unexplained = bad & ~faulty[:, a] & ~faulty[:, b]
        faulty[:, b] |= unexplained
        if not roots[a]:
            faulty[:, a] |= unexplained
    return faulty


def _expected(points: np.ndarray, faulty: np.ndarray) -> np.ndarray:
    """(T, n, 3) where the joints of a chain should be by their place beside its first joint in the good frames before
    and after; NaN where that is not known."""
    frames, offset = np.arange(len(points)), points - points[:, :1]
    expected = np.full(points.shape, np.nan)
    for joint in range(1, points.shape[1]):
        good = np.flatnonzero(~faulty[:, joint] & ~faulty[:, 0])
        if len(good):
            for axis in range(3):
                expected[:, joint, axis] = points[:, 0, axis] + np.interp(frames, good, offset[good, joint, axis])
    return expected


def _direction(vectors: np.ndarray) -> np.ndarray:
    """(N, 3) unit vectors; along x for a vector without length."""
    length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return np.where(length > _EPSILON, vectors / np.maximum(length, _EPSILON), [1.0, 0.0, 0.0])


def _off_the_line(chains: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(N, 3) a small step aside for chains that lie on one line, on which FABRIK would keep them; else 0."""
    along = _direction(chains[:, -1] - chains[:, 0])
    inner = chains[:, 1:-1] - chains[:, :1]
    beside = inner - (inner * along[:, None]).sum(axis=2, keepdims=True) * along[:, None]
    on_line = (np.linalg.norm(beside, axis=2) < 1e-6 * reach).all(axis=1)
    aside = _direction(np.cross(along, np.eye(3)[np.abs(along).argmin(axis=1)]))
    return np.where(on_line[:, None], 1e-2 * reach * aside, 0.0)
