"""Heat on pictures: a soft glow over each joint, alpha-blended so that hands stay visible beneath it.

Each hot point glows with a Gaussian about as wide as a finger is long; where glows meet the larger one counts, so that 21 joints of a hand
are no hotter than one. Heat is max-pooled over a fifth of a second around each frame, because what is hot in a single
frame cannot be seen in a video. Landmarks without pictures are drawn as a skeleton first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.ndimage import maximum_filter1d

from ..landmarks import LandmarkSequence
from ..landmarks.layout import HAND
from ..video import Video, VideoChunk, draw_landmarks, iter_video
from ..video.strip import body_box, picture_points
from .explanation import SignExplanation

COLOURS = "inferno"
"""Name of matplotlib's colour map, of which the darkest part is left out."""
OPACITY = 0.65
"""Of the hottest spot; cooler ones are more transparent."""
_COOLEST, _GAMMA = 0.25, 0.6
_FADED, _DIMMED = 0.75, 0.85
_GROUND = (30, 34, 40)
_CANVAS = 480  # pixels of a blank picture's height
_POOL_SECONDS = 0.2
_CHUNK = 8
_FINGER, _HAND = 0.08, 0.1  # radius of a glow in distances between the shoulders
_INVISIBLE = 0.02  # of the hottest: not drawn


def iter_overlay(explanation: SignExplanation) -> Iterator[VideoChunk]:
    """The clip's frames with heat, and below them a strip with label, scale and timeline; chunk by chunk, in bounded memory.

    Raises:
        ImportError: Pillow or matplotlib is missing.
        FileNotFoundError, ValueError: the video is no longer there.
    """
    from .charts import timeline

    sequence = explanation.sequence
    window = max(1, round(_POOL_SECONDS * sequence.fps) | 1)
    heat = maximum_filter1d(explanation.heat, window, axis=0)
    foot = None
    for chunk, moments in _painted(explanation, dict(enumerate(heat))):
        if foot is None:
            height, width = chunk.frames.shape[1:3]
            foot, left, right = timeline(explanation, width, max(64, round(height / 7)))
        strips = np.repeat(foot[None], len(moments), axis=0)
        for strip, moment in zip(strips, moments):
            passed = (sequence.timestamps[moment] - sequence.timestamps[0]) / sequence.duration
            column = round(left + passed * (right - left))
            strip[:, column - 1 : column + 1] = 255
        yield VideoChunk(np.concatenate([chunk.frames, strips], axis=1), chunk.timestamps)


def panels(explanation: SignExplanation, heat: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Some of the clip's frames with heat, cut to the signer's upper body: (H, W, 3) uint8 each, all of one size.

    Args:
        heat: position among the clip's frames → (K,) heat to draw there.

    Raises:
        As :func:`iter_overlay`; ValueError: the video shows none of these frames.
    """
    pictures = {
        int(moment): frame
        for chunk, moments in _painted(explanation, heat)
        for frame, moment in zip(chunk.frames, moments)
        if moment in heat
    }
    if not pictures:
        raise ValueError("The video shows none of the frames to draw; it is not the one that was explained.")
    if explanation.video is None:
        return pictures
    height, width = next(iter(pictures.values())).shape[:2]
    box = body_box(_places(explanation.sequence, width, height) * (1, -1), explanation.sequence.spec)
    left, right = (int(np.clip(side, 0, width)) for side in box[:2])
    top, bottom = (int(np.clip(-side, 0, height)) for side in (box[3], box[2]))
    if right - left < width // 4 or bottom - top < height // 4:  # a signer far away is small enough already
        return pictures
    return {moment: picture[top:bottom, left:right] for moment, picture in pictures.items()}


def on_canvas(sequence: LandmarkSequence) -> LandmarkSequence:
    """The same landmarks in the pixels of a blank picture that holds the upper body."""
    points = picture_points(sequence, 0.0)
    left, right, bottom, top = body_box(points, sequence.spec)
    scale = _CANVAS / (top - bottom)
    width = 2 * round(float(np.clip((right - left) * scale, 0.6 * _CANVAS, 1.8 * _CANVAS)) / 2)
    scale = min(scale, width / (right - left))
    centre = np.array([left + right, top + bottom]) / 2
    place = (points - centre) * (scale, -scale) + np.array([width, _CANVAS]) / 2
    return LandmarkSequence(
        place.astype(np.float32), sequence.layout, sequence.timestamps, fps=sequence.fps, size=(width, _CANVAS),
        units="pixel",
    )  # fmt: skip


def colour_table() -> np.ndarray:
    """(256, 3) float32 in 0–255: colours from cool to hot."""
    try:
        from matplotlib import colormaps
    except ImportError:
        raise ImportError('Drawing heat needs matplotlib: pip install "signlang-hf[explain]"') from None
    return (255 * colormaps[COLOURS](np.linspace(_COOLEST, 1, 256))[:, :3]).astype(np.float32)


def shade(heat: np.ndarray) -> np.ndarray:
    """Place of heat on the colour scale: a power below 1, so that one very hot cell does not leave all others dark."""
    return heat**_GAMMA


def _painted(explanation: SignExplanation, heat: Mapping[int, np.ndarray]) -> Iterator[tuple[VideoChunk, np.ndarray]]:
    """The clip's frames, those in ``heat`` with it, and which of the clip's frames they are."""
    colours = colour_table()
    sequence = explanation.sequence if explanation.video is not None else on_canvas(explanation.sequence)
    times, places = sequence.timestamps, None
    for chunk in _backdrop(explanation, sequence):
        height, width = chunk.frames.shape[1:3]
        if places is None:
            places = _places(sequence, width, height)
            radius = _radius(places, sequence)
        after = np.searchsorted(times, chunk.timestamps).clip(1, len(times) - 1)
        moments = np.where(chunk.timestamps - times[after - 1] <= times[after] - chunk.timestamps, after - 1, after)
        frames = chunk.frames.copy()
        for frame, moment in zip(frames, moments):
            if moment in heat:
                frame[...] = _faded(frame)
                _glow(frame, places[moment], heat[moment], radius, colours)
        yield VideoChunk(frames, chunk.timestamps), moments


def _backdrop(explanation: SignExplanation, sequence: LandmarkSequence) -> Iterator[VideoChunk]:
    if explanation.video is not None:
        yield from iter_video(explanation.video, chunk=_CHUNK)
        return
    width, height = sequence.size or (_CANVAS, _CANVAS)
    for start in range(0, len(sequence), _CHUNK):
        part = sequence.frames(slice(start, start + _CHUNK))
        blank = np.full((len(part), height, width, 3), _GROUND, np.uint8)
        skeleton = draw_landmarks(Video(blank, part.timestamps, part.fps), part, min_visibility=0.0)
        yield VideoChunk(skeleton, part.timestamps)


def _faded(frame: np.ndarray) -> np.ndarray:
    """A frame a little darker and with most of its colour taken out, so that what is coloured and bright is heat."""
    red, green, blue = np.moveaxis(frame.astype(np.uint16), -1, 0)
    grey = (77 * red + 150 * green + 29 * blue) >> 8  # ITU-R BT.601, in integers because that is many times faster
    own, shared = ((_DIMMED * share * np.arange(256)).astype(np.uint8) for share in (1 - _FADED, _FADED))
    return own[frame] + shared[grey][..., None]


def _places(sequence: LandmarkSequence, width: int, height: int) -> np.ndarray:
    """(T, K, 2) in pixels of a picture of that size."""
    of = (1, 1) if sequence.units == "image" else sequence.size or (width, height)
    return sequence.data[..., :2].astype(np.float64) * (width / of[0], height / of[1])


def _radius(places: np.ndarray, sequence: LandmarkSequence) -> float:
    """Standard deviation of a glow in pixels: a third of a finger by the signer's size in the picture, or where the layout has
    no fingers that of a whole hand."""
    seen = places[~np.isnan(places[..., 0])]
    size = 0.3 * float(np.linalg.norm(np.subtract(*np.percentile(seen, [95, 5], axis=0))))
    index = sequence.spec.index
    if "left_shoulder" in index and "right_shoulder" in index:
        across = places[:, index["left_shoulder"]] - places[:, index["right_shoulder"]]
        across = across[~np.isnan(across[:, 0])]
        if len(across):  # a signer who is seen from the side is no smaller
            size = max(size, float(np.median(np.linalg.norm(across, axis=1))))
    fingers = any(len(points) == len(HAND) for points in sequence.spec.parts.values())
    return max(2.0, (_FINGER if fingers else _HAND) * size)


def _glow(frame: np.ndarray, xy: np.ndarray, heat: np.ndarray, radius: float, colours: np.ndarray) -> None:
    """Blend heat into ``frame`` in place."""
    hot = (heat > _INVISIBLE) & ~np.isnan(xy[:, 0])
    if not hot.any():
        return
    reach = 3 * radius
    height, width = frame.shape[:2]
    low = np.clip(np.floor(xy[hot].min(axis=0) - reach), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(xy[hot].max(axis=0) + reach), 0, [width, height]).astype(int)
    if (high <= low).any():
        return
    x, y = np.arange(low[0], high[0]), np.arange(low[1], high[1])
    field = np.zeros((len(y), len(x)), np.float32)
    for (px, py), value in zip(xy[hot], shade(heat[hot])):
        columns = slice(*np.searchsorted(x, [px - reach, px + reach]))
        rows = slice(*np.searchsorted(y, [py - reach, py + reach]))
        across = np.exp(-0.5 * ((x[columns] - px) / radius) ** 2)
        down = np.exp(-0.5 * ((y[rows] - py) / radius) ** 2)
        np.maximum(field[rows, columns], value * down[:, None] * across, out=field[rows, columns])
    patch = frame[low[1] : high[1], low[0] : high[0]]
    colour = colours[(field * 255).astype(int)]
    alpha = OPACITY * field[..., None]
    patch[...] = (patch * (1 - alpha) + colour * alpha + 0.5).astype(np.uint8)
