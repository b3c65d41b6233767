"""What is behind the person: a picture of a wall, a curtain, shelves or plain disorder, drawn from random numbers.

Both renderers use it: the flat one as it is, Blender as what hangs behind the person.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .looks import sample_colour


def sample_background(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A random background: (height, width, 3) float32 sRGB in [0, 1]."""
    kinds: list[Callable[[int, int, np.random.Generator], np.ndarray]] = [
        _wall, _curtain, _bricks, _shelves, _patches, _clouds, _room,
    ]  # fmt: skip
    kind = kinds[rng.choice(len(kinds), p=[0.30, 0.10, 0.08, 0.12, 0.14, 0.10, 0.16])]
    picture = kind(width, height, rng)
    if rng.random() < 0.4:
        picture = _blurred(picture, int(rng.integers(1, max(2, width // 60))))
    grain = rng.normal(0.0, rng.uniform(0.0, 0.02), picture.shape)
    return np.clip(picture + grain, 0.0, 1.0).astype(np.float32)


def _grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y in picture heights."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / height
    return x, y


def _noise(width: int, height: int, cells: int, rng: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Smooth noise in [0, 1]: random grids of rising fineness, interpolated and summed."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        fine = max(2, cells * 2**octave)
        values = rng.random((fine + 1, fine + 1), np.float32)
        total += _between(height, fine) @ values @ _between(width, fine).T / 2**octave
    return (total - total.min()) / max(np.ptp(total), 1e-9)


def _between(length: int, cells: int) -> np.ndarray:
    """Weights (length, cells + 1) that interpolate smoothly between the corners of ``cells`` cells."""
    place = np.linspace(0, cells - 1e-4, length)
    cell, share = place.astype(int), place % 1.0
    share = share * share * (3 - 2 * share)
    weights = np.zeros((length, cells + 1), np.float32)
    weights[np.arange(length), cell] = 1 - share
    weights[np.arange(length), cell + 1] = share
    return weights


def _mixed(share: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first + share[..., None] * (second - first)


def _wall(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    x, y = _grid(width, height)
    angle = rng.uniform(0.0, 2 * np.pi)
    slope = np.cos(angle) * (x - x.mean()) + np.sin(angle) * (y - 0.5)
    colour = sample_colour(rng, plain=0.55) * 0.6 + 0.35 if rng.random() < 0.75 else sample_colour(rng)
    picture = colour * (1.0 + rng.uniform(0.0, 0.5) * slope[..., None])
    return picture * (1.0 + rng.uniform(0.0, 0.12) * (_noise(width, height, 6, rng)[..., None] - 0.5))


def _curtain(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    x, y = _grid(width, height)
    bend = 0.03 * _noise(width, height, 2, rng, 2)
    fold = 0.5 + 0.5 * np.sin((x + bend + 0.02 * y) * rng.uniform(18, 70) + 2.0 * np.sin(x * rng.uniform(3, 9)))
    colour = sample_colour(rng, plain=0.35)
    return _mixed(fold, colour * rng.uniform(0.35, 0.75), np.clip(colour * 1.15, 0, 1))


def _bricks(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    x, y = _grid(width, height)
    tall = rng.uniform(0.03, 0.12)
    wide = tall * rng.uniform(1.0, 3.5)
    row = (y / tall).astype(int)
    column = (x / wide + 0.5 * (row % 2) * (rng.random() < 0.7)).astype(int)
    shade = rng.uniform(0.75, 1.15, (row.max() + 1, column.max() + 2))[row, column]
    near = np.minimum(y / tall % 1.0, (x / wide + 0.5 * (row % 2)) % 1.0 * wide / tall)
    joint = near < rng.uniform(0.05, 0.14)
    return np.where(joint[..., None], sample_colour(rng, plain=0.9), sample_colour(rng, plain=0.3) * shade[..., None])


def _rectangle(picture: np.ndarray, left: float, top: float, right: float, bottom: float, colour: np.ndarray) -> None:
    """Fill a rectangle, sides in picture heights."""
    height = picture.shape[0]
    x0, y0, x1, y1 = (round(side * height) for side in (left, top, right, bottom))
    picture[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = colour


def _shelves(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    picture = np.ones((height, width, 3)) * sample_colour(rng, plain=0.4) * 0.6
    board, wood = rng.uniform(0.015, 0.03), sample_colour(rng, plain=0.5)
    top = rng.uniform(-0.2, 0.0)
    while top < 1.0:
        tall = rng.uniform(0.16, 0.32)
        x = rng.uniform(-0.05, 0.0)
        while x < width / height:
            thick = rng.uniform(0.012, 0.06)
            if rng.random() < 0.85:
                book = sample_colour(rng, plain=0.3)
                high = tall * rng.uniform(0.6, 0.93)
                _rectangle(picture, x, top + tall - high, x + thick * 0.94, top + tall, book)
                _rectangle(
                    picture, x, top + tall - 0.8 * high, x + thick * 0.94, top + tall - 0.7 * high, book * 0.7 + 0.2
                )
            x += thick
        _rectangle(picture, 0.0, top + tall, width / height, top + tall + board, wood)
        top += tall + board
    return picture


def _patches(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    picture = _clouds(width, height, rng) if rng.random() < 0.5 else _wall(width, height, rng)
    x, y = _grid(width, height)
    for _ in range(rng.integers(4, 28)):
        centre = rng.uniform(0.0, width / height), rng.uniform(0.0, 1.0)
        size = np.exp(rng.uniform(np.log(0.03), np.log(0.35), 2))
        colour = sample_colour(rng)
        if rng.random() < 0.6:
            _rectangle(
                picture, centre[0] - size[0], centre[1] - size[1], centre[0] + size[0], centre[1] + size[1], colour
            )
        else:
            turn = rng.uniform(0.0, np.pi)
            u = ((x - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)) / size[0]
            v = ((y - centre[1]) * np.cos(turn) - (x - centre[0]) * np.sin(turn)) / size[1]
            picture[u * u + v * v < 1.0] = colour
    return picture


def _clouds(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    share = _noise(width, height, int(rng.integers(2, 9)), rng, 5)
    picture = _mixed(share, sample_colour(rng), sample_colour(rng))
    return _mixed(_noise(width, height, 3, rng) ** 2, picture, sample_colour(rng))


def _room(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    picture = _wall(width, height, rng)
    wide = width / height
    for _ in range(rng.integers(1, 5)):  # pictures, windows, doors
        left, top = rng.uniform(-0.1, wide), rng.uniform(-0.1, 0.6)
        size = rng.uniform(0.12, 0.5, 2)
        _rectangle(picture, left, top, left + size[0], top + size[1], sample_colour(rng, plain=0.7))
        edge = rng.uniform(0.008, 0.03)
        x0, y0, x1, y1 = (max(0, round(s * height)) for s in (left + edge, top + edge, left + size[0] - edge,
                                                              top + size[1] - edge))  # fmt: skip
        if x1 > x0 and y1 > y0 and x0 < width and y0 < height:
            x1, y1 = min(x1, width), min(y1, height)
            picture[y0:y1, x0:x1] = _clouds(x1 - x0, y1 - y0, rng)
    if rng.random() < 0.6:
        _rectangle(picture, 0.0, rng.uniform(0.6, 0.95), wide, 1.0, sample_colour(rng, plain=0.5) * 0.7)
    for _ in range(rng.integers(0, 3)):  # something with leaves or the like at the sides
        x, y = _grid(width, height)
        middle = rng.choice([rng.uniform(0.0, 0.2), rng.uniform(0.8, 1.0)]) * wide, rng.uniform(0.3, 0.9)
        bushy = _noise(width, height, 24, rng, 3) * np.exp(
            -(((x - middle[0]) / 0.14) ** 2) - ((y - middle[1]) / 0.22) ** 2
        )
        green = np.array([rng.uniform(0.1, 0.4), rng.uniform(0.3, 0.6), rng.uniform(0.05, 0.25)])
        picture = np.where((bushy > 0.3)[..., None], green * (0.5 + bushy[..., None]), picture)
    return picture


def _blurred(picture: np.ndarray, radius: int) -> np.ndarray:
    """A box blur along both axes, twice."""
    for _ in range(2):
        for axis in (0, 1):
            pad = [(radius + 1, radius) if i == axis else (0, 0) for i in range(3)]
            total = np.cumsum(np.pad(picture, pad, mode="edge"), axis=axis)
            length, window = picture.shape[axis], 2 * radius + 1
            if axis == 0:
                picture = (total[window : window + length] - total[:length]) / window
            else:
                picture = (total[:, window : window + length] - total[:, :length]) / window
    return picture
