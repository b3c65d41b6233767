"""A signer at rest, and the way there: what stands before and after a sign that nobody cut out.

Design decisions:

* Arms hang, each bone as long as it is in the clip. Hands that a detector finds (21 points) are out of its sight then; where the source
  sees the body, the wrists and what it calls a hand hang below.
* Datasets cut their clips to the sign and show no arm at rest, a camera shows it all the time. A model that will stand in front of one
  learns to look past it: ``rest`` of :class:`.augment.AugmentConfig`.
"""

from __future__ import annotations

import numpy as np

from .sequence import LandmarkSequence

_FOUND = ("left_hand", "right_hand", "hand1", "hand2")
_RISE = (0.25, 0.6)  # seconds that an arm takes from rest to a sign, and back
_PAUSE = 0.25  # seconds of rest that are seen at most


def found_hands(sequence: LandmarkSequence) -> list[list[int]]:
    """Points of each hand that a detector finds; none where the source sees a body alone."""
    parts = sequence.spec.parts
    return [list(parts[name]) for name in _FOUND if name in parts]


def resting_pose(sequence: LandmarkSequence) -> np.ndarray:
    """(K, 3) of the signer at rest; NaN for what is not seen."""
    points = sequence.data
    unseen = np.isnan(points).all(axis=(0, 2))
    pose = np.nanmedian(np.where(unseen[:, None], 0, points), axis=0).astype(np.float32)
    pose[unseen] = np.nan
    for hand in found_hands(sequence):
        pose[hand] = np.nan
    index, axes = sequence.spec.index, sequence.axes
    for side in ("left", "right"):
        above = f"{side}_shoulder"
        for below in (f"{side}_elbow", f"{side}_wrist", f"{side}_hand"):
            if above not in index or below not in index:
                continue
            bone = np.linalg.norm((points[:, index[below]] - points[:, index[above]]) * axes, axis=1)
            if not np.isnan(bone).all():
                pose[index[below]] = pose[index[above]] + [0, np.nanmedian(bone) / axes[1], 0]  # y points down
                above = below
    return pose


def between(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    """(count, K, 3) on the way from a pose (K, 3) to another, both left out; points that only one of them has are missing."""
    weight = ((np.arange(count) + 1) / (count + 1))[:, None, None]
    return (one + weight * (other - one)).astype(np.float32)


def with_rest(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
    """The clip with some of what a camera sees before and after it: arms come up out of rest and go down again.

    How long that takes and how much of it is seen is drawn, for both ends apart. Points are missing while they move if they are
    out of sight at rest.
    """
    if len(sequence) < 2:
        return sequence
    pose, step = resting_pose(sequence), sequence.duration / (len(sequence) - 1)

    def way(sign: np.ndarray) -> np.ndarray:
        rising = between(pose, sign, max(1, round(rng.uniform(*_RISE) / step)))
        whole = np.concatenate([np.repeat(pose[None], round(_PAUSE / step), axis=0), rising])
        return whole[len(whole) - rng.integers(0, len(whole) + 1) :]

    before, after = way(sequence.data[0]), way(sequence.data[-1])[::-1]
    counts, clock = (len(before), len(after)), sequence.timestamps
    return sequence.replace(
        data=np.concatenate([before, sequence.data, after]),
        visibility=np.pad(sequence.visibility, (counts, (0, 0)), mode="edge"),
        timestamps=np.concatenate(
            [clock[0] - step * np.arange(counts[0], 0, -1), clock, clock[-1] + step * np.arange(1, counts[1] + 1)]
        ),
        world=None
        if sequence.world is None
        else np.pad(sequence.world, (counts, (0, 0), (0, 0)), constant_values=np.nan),
    )


__all__ = ["between", "found_hands", "resting_pose", "with_rest"]
