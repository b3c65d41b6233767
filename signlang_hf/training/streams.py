"""Streams made of single clips with rest between them, and how well a recogniser of streams hears the signs in them.

Design decisions:

* At rest a signer's hands are where a real one's are: out of sight where the source sees hands alone, hanging where it sees the body.
* A sign counts as heard when it was said once, with its label, over a time that overlaps its own. What is said beside it is false.
* False signs while nobody signs are counted for a minute of rest: whoever leaves the camera running wants to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..landmarks import LandmarkSequence
from ..landmarks.normalize import hand_points

_BLEND = 0.4  # seconds from a sign to rest and from rest to the next sign
_TREMBLE = 0.002  # of a sensor, in shoulder widths or shares of the picture


@dataclass(frozen=True)
class Spoken:
    """A sign in a stream: its label, and when it is signed, in seconds."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Heard:
    """What a recogniser said: label, the time that it is about, and when it said so."""

    label: str
    start: float
    end: float
    time: float


@dataclass(frozen=True)
class StreamScores:
    """How well signs were heard.

    Args:
        signs: that were signed.
        said: that were said.
        right: that were heard.
        found: that were heard as a sign, right or wrong.
        false_at_rest: said while nobody signed.
        rest_minutes: without signing.
        latencies: seconds from a sign's end to its event, of those that were found.
    """

    signs: int
    said: int
    right: int
    found: int
    false_at_rest: int
    rest_minutes: float
    latencies: tuple[float, ...]

    @property
    def f1(self) -> float:
        """2 right / (signs + said)."""
        return 2 * self.right / max(1, self.signs + self.said)

    @property
    def detection_f1(self) -> float:
        """The same without regard to labels: are the signs found, and nothing else?"""
        return 2 * self.found / max(1, self.signs + self.said)

    @property
    def false_per_minute(self) -> float:
        """Of rest."""
        return self.false_at_rest / self.rest_minutes if self.rest_minutes else 0.0


def stream_of(
    clips: Sequence[tuple[str, LandmarkSequence]], rng: np.random.Generator, *, rest: tuple[float, float] = (1.0, 3.0)
) -> tuple[LandmarkSequence, list[Spoken]]:
    """Clips one after the other, with rest before, between and after them.

    Args:
        clips: label and landmarks of each; of one layout, rate and unit.
        rng: draws the lengths of rest.
        rest: shortest and longest, in seconds.

    Returns:
        the stream, and what is signed in it.

    Raises:
        ValueError: no clips, or clips of different kinds.
    """
    if not clips:
        raise ValueError("There are no clips to make a stream of.")
    first = clips[0][1]
    if any((one.layout, one.units) != (first.layout, first.units) for _, one in clips):
        raise ValueError("The clips of a stream must have one layout and one unit.")
    step = 1 / first.fps
    pieces: list[np.ndarray] = []
    spoken, frames = [], 0

    def add(data: np.ndarray) -> None:
        nonlocal frames
        pieces.append(data)
        frames += len(data)

    def at_rest(pose: np.ndarray) -> np.ndarray:
        held = np.repeat(pose[None], max(2, round(rng.uniform(*rest) / step)), axis=0)
        return (held + rng.normal(0, _TREMBLE, held.shape) * _size(first)).astype(np.float32)

    before = None
    for label, clip in clips:
        pose = _resting(clip)
        if before is not None:
            add(_blended(before, pose, step))
        add(at_rest(pose))
        add(_blended(pose, clip.data[0], step))
        spoken.append(Spoken(label, frames * step, (frames + len(clip) - 1) * step))
        add(clip.data)
        add(_blended(clip.data[-1], pose, step))
        before = pose
    add(at_rest(before))
    data = np.concatenate(pieces)
    return LandmarkSequence(data, first.layout, fps=first.fps, size=first.size, units=first.units), spoken


def score(spoken: Sequence[Spoken], heard: Iterable[Heard], duration: float) -> StreamScores:
    """Match what was said with what was signed; ``duration`` of the stream in seconds."""
    heard = sorted(heard, key=lambda one: one.start)
    free, right, found, idle, late = list(spoken), 0, 0, 0, []
    for one in heard:
        beside = [sign for sign in spoken if min(sign.end, one.end) > max(sign.start, one.start)]
        if not beside:
            idle += 1
            continue
        open_signs = [sign for sign in beside if sign in free]
        if not open_signs:
            continue
        # One that says what was signed, else the one that it overlaps most.
        best = max(
            open_signs, key=lambda sign: (sign.label == one.label, min(sign.end, one.end) - max(sign.start, one.start))
        )
        free.remove(best)
        found += 1
        right += best.label == one.label
        late.append(one.time - best.end)
    rest = (duration - sum(sign.end - sign.start for sign in spoken)) / 60
    return StreamScores(len(spoken), len(heard), right, found, idle, rest, tuple(late))


def _resting(clip: LandmarkSequence) -> np.ndarray:
    """(K, 3) of the signer of a clip at rest: the hands out of sight where hands alone are seen, else where they were lowest."""
    sides = [list(hand_points(clip.spec, side)) for side in ("left", "right")]
    slots = [
        list(clip.spec.parts[part]) for part in ("left_hand", "right_hand", "hand1", "hand2") if part in clip.spec.parts
    ]
    if slots:
        pose = np.nanmedian(np.where(np.isnan(clip.data).all(axis=0), 0, clip.data), axis=0).astype(np.float32)
        pose[np.isnan(clip.data).all(axis=(0, 2))] = np.nan
        for slot in slots:
            pose[slot] = np.nan
        return pose
    height = np.mean([clip.data[:, side, 1].mean(axis=1) for side in sides if side], axis=0)
    return clip.data[int(np.argmax(height))]  # y points down


def _blended(one: np.ndarray, other: np.ndarray, step: float) -> np.ndarray:
    """The way from a pose to another, both left out; points that only one of them has are missing on it."""
    count = max(1, round(_BLEND / step))
    weight = ((np.arange(count) + 1) / (count + 1))[:, None, None]
    return (one + weight * (other - one)).astype(np.float32)


def _size(clip: LandmarkSequence) -> float:
    """What the tremble of a sensor is a share of."""
    index = clip.spec.index
    if "left_shoulder" not in index:
        return 1.0
    across = clip.data[:, index["left_shoulder"]] - clip.data[:, index["right_shoulder"]]
    return float(np.nanmedian(np.linalg.norm(across, axis=1)))


__all__ = ["Heard", "Spoken", "StreamScores", "score", "stream_of"]
