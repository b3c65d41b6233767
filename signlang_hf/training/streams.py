"""Streams made of single clips with rest between them, and how well a recogniser of streams hears the signs in them.

Design decisions:

* At rest a signer's hands are where a real one's are (:data:`RESTS`): out of sight, or hanging where the source sees the body
  (``away``); or seen all the time where they are lowest in the clip (``still``), or there and twitching now and then (``restless``).
* A sign counts as heard when it was said once, with its label, over a time that overlaps its own. What is said beside it is false.
* A sign outside the vocabulary (label None) is one that nothing should be said of.
* False signs while nobody signs are counted for a minute of rest: whoever leaves the camera running wants to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..landmarks import LandmarkSequence
from ..landmarks.normalize import hand_points, resample
from ..landmarks.rest import between, found_hands, resting_pose

RESTS = ("away", "still", "restless")
"""What hands do between signs."""

_BLEND = 0.4  # seconds from a sign to rest and from rest to the next sign
_TREMBLE = 0.002  # of a sensor, in shoulder widths or shares of the picture
_TWITCH = 0.3  # seconds; there and back
_TWITCHES = 0.5  # a second


@dataclass(frozen=True)
class Spoken:
    """A sign in a stream: its label, None for one outside the vocabulary, and when it is signed, in seconds."""

    label: str | None
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
        signs: that were signed, of the vocabulary.
        others: that were signed and are not in the vocabulary.
        said: that were said.
        right: that were heard.
        found: that were heard as a sign, right or wrong.
        false_at_others: said while one was signed that is not in the vocabulary.
        false_at_rest: said while nobody signed.
        rest_minutes: without signing.
        latencies: seconds from a sign's end to its event, of those that were found.
    """

    signs: int
    others: int
    said: int
    right: int
    found: int
    false_at_others: int
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
    clips: Sequence[tuple[str | None, LandmarkSequence]],
    rng: np.random.Generator,
    *,
    rest: tuple[float, float] = (1.0, 3.0),
    hands: str = "away",
) -> tuple[LandmarkSequence, list[Spoken]]:
    """Clips one after the other, with rest before, between and after them.

    Args:
        clips: label and landmarks of each; of one layout and unit. All go at the rate of the first. Signs outside the vocabulary have the label None.
        rng: draws the lengths of rest.
        rest: shortest and longest, in seconds.
        hands: what they do at rest, of :data:`RESTS`.

    Returns:
        the stream, and what is signed in it.

    Raises:
        ValueError: no clips, clips of different kinds, or another rest.
    """
    if hands not in RESTS:
        raise ValueError(f"hands is '{hands}'; at rest they are {', '.join(RESTS)}.")
    if not clips:
        raise ValueError("There are no clips to make a stream of.")
    first = clips[0][1]
    if any((one.layout, one.units) != (first.layout, first.units) for _, one in clips):
        raise ValueError("The clips of a stream must have one layout and one unit.")
    step = 1 / first.fps
    way = max(1, round(_BLEND / step))
    pieces: list[np.ndarray] = []
    spoken, frames = [], 0

    def add(data: np.ndarray) -> None:
        nonlocal frames
        pieces.append(data)
        frames += len(data)

    def at_rest(pose: np.ndarray) -> np.ndarray:
        held = np.repeat(pose[None], max(2, round(rng.uniform(*rest) / step)), axis=0)
        if hands == "restless":
            held = held + _twitches(held, first, step, rng)
        return (held + rng.normal(0, _TREMBLE, held.shape) * _size(first)).astype(np.float32)

    pose = _resting(first, hands)
    add(at_rest(pose))
    for label, clip in clips:
        clip = clip if np.isclose(clip.fps, first.fps) else resample(clip, fps=first.fps)
        add(between(pose, clip.data[0], way))
        spoken.append(Spoken(label, frames * step, (frames + len(clip) - 1) * step))
        add(clip.data)
        pose = _resting(clip, hands)
        add(between(clip.data[-1], pose, way))
        add(at_rest(pose))
    data = np.concatenate(pieces)
    return LandmarkSequence(data, first.layout, fps=first.fps, size=first.size, units=first.units), spoken


def score(spoken: Sequence[Spoken], heard: Iterable[Heard], duration: float) -> StreamScores:
    """Match what was said with what was signed; ``duration`` of the stream in seconds."""
    heard = sorted(heard, key=lambda one: one.start)
    free, right, found, idle, other, late = [sign for sign in spoken if sign.label is not None], 0, 0, 0, 0, []
    for one in heard:
        beside = [sign for sign in spoken if min(sign.end, one.end) > max(sign.start, one.start)]
        if not beside:
            idle += 1
            continue
        open_signs = [sign for sign in beside if sign in free]
        if not open_signs:
            other += all(sign.label is None for sign in beside)
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
    signs = sum(sign.label is not None for sign in spoken)
    return StreamScores(signs, len(spoken) - signs, len(heard), right, found, other, idle, rest, tuple(late))


def _resting(clip: LandmarkSequence, hands: str) -> np.ndarray:
    """(K, 3) of the signer of a clip at rest."""
    if hands == "away":
        return resting_pose(clip)
    sides = [list(points) for side in ("left", "right") if (points := hand_points(clip.spec, side))]
    height = np.stack([clip.data[:, points, 1].mean(axis=1) for points in found_hands(clip) or sides])
    there = ~np.isnan(height).all(axis=0)
    if not there.any():
        return resting_pose(clip)
    lowest = np.where(np.isnan(height), -np.inf, height).max(axis=0)  # y points down
    return clip.data[int(np.argmax(np.where(there, lowest, -np.inf)))]


def _twitches(held: np.ndarray, clip: LandmarkSequence, step: float, rng: np.random.Generator) -> np.ndarray:
    """(T, K, 3) by which hands are displaced that move there and back for a moment, by half their size."""
    moved = np.zeros_like(held)
    length = max(2, round(_TWITCH / step))
    course = np.sin(np.pi * np.arange(length) / length)[:, None]
    for slot in found_hands(clip) or [list(hand_points(clip.spec, side)) for side in ("left", "right")]:
        reach = 0.5 * (np.nanmax(np.ptp(held[:1, slot, :2], axis=1)) if len(slot) > 1 else _size(clip) / 2)
        for begin in np.flatnonzero(rng.random(len(held)) < _TWITCHES * step):
            angle = rng.uniform(0, 2 * np.pi)
            way = course[: len(held) - begin] * reach * [np.cos(angle), np.sin(angle)]
            moved[begin : begin + length, slot, :2] += way[:, None]
    return moved


def _size(clip: LandmarkSequence) -> float:
    """What the tremble of a sensor is a share of."""
    index = clip.spec.index
    if "left_shoulder" not in index:
        return 1.0
    across = clip.data[:, index["left_shoulder"]] - clip.data[:, index["right_shoulder"]]
    return float(np.nanmedian(np.linalg.norm(across, axis=1)))


__all__ = ["RESTS", "Heard", "Spoken", "StreamScores", "score", "stream_of"]
