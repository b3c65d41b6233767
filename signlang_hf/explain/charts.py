"""Pictures of an explanation for paper and screen: contact sheet, time × body region, and the strip below a video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .explanation import SignExplanation
from .overlay import colour_table, on_canvas, panels, shade

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

_INK, _FAINT, _UNSEEN = "#2b3440", "#7c8796", "#e3e8ef"
_DARK = "#1b1c1d"
_DPI, _EDGE = 160, 0.2  # inches
METHODS = {"gradcam": "Grad-CAM", "integrated-gradients": "Integrated gradients"}
"""Method → what readers call it."""


def contact_sheet(explanation: SignExplanation, num: int = 8) -> Image:
    """The hottest frame of each of ``num`` equal stretches of the clip, with the heat of its whole stretch (max-pooled).

    Raises:
        ImportError: matplotlib or Pillow is missing.
        ValueError: ``num`` is below 1.
    """
    if num < 1:
        raise ValueError(f"num is {num}; it must be at least 1.")
    times = explanation.sequence.timestamps - explanation.sequence.timestamps[0]
    stretch = np.minimum((times / (times[-1] + 1e-9) * num).astype(int), num - 1)
    heat = {}
    for number in np.unique(stretch):
        frames = np.flatnonzero(stretch == number)
        # The middle of a stretch counts more than its ends, or two panels show the two sides of one hot moment.
        middle = 1 - np.abs(times[frames] / (times[-1] + 1e-9) * num - number - 0.5)
        hottest = frames[(explanation.frame_weights[frames] * middle + 1e-6 * middle).argmax()]
        heat[int(hottest)] = explanation.heat[frames].max(axis=0)
    pictures = panels(explanation, heat)
    height, width = next(iter(pictures.values())).shape[:2]
    columns = len(pictures) if width < 0.7 * height else -(-len(pictures) // (2 if len(pictures) > 4 else 1))
    rows = -(-len(pictures) // columns)
    across = 2.3 if width >= 0.7 * height else 1.5
    tall = across * height / width

    top, foot, side = 0.66, 1.06, 0.66
    size = (columns * across + _EDGE + side, rows * (tall + 0.24) + top + foot)
    figure = _figure(size)
    _heading(figure, explanation)
    for place, (moment, picture) in enumerate(pictures.items()):
        row, column = divmod(place, columns)
        left, low = _EDGE + column * across, size[1] - top - (row + 1) * (tall + 0.24) + 0.2
        ax = figure.add_axes(_box(size, left, low, across - 0.06, tall))
        ax.imshow(picture, aspect="auto", interpolation="lanczos")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_xlabel(f"{times[moment]:.2f} s", color=_FAINT, fontsize=8, labelpad=2)
    _scale(figure, _box(size, size[0] - side + 0.08, foot + 0.24, 0.11, size[1] - top - foot - 0.3))

    ax = figure.add_axes(_box(size, _EDGE, 0.42, columns * across - 0.06, 0.46))
    _weights(ax, explanation, times)
    ax.plot(times[list(pictures)], np.full(len(pictures), 1.12), "v", color=_INK, markersize=4, clip_on=False)
    ax.set_xlabel("seconds", color=_FAINT, fontsize=8, labelpad=1)
    return _image(figure)


def part_chart(explanation: SignExplanation) -> Image:
    """Time × body region on the left, and on the right each joint's hottest moment on the signer's skeleton.

    Raises:
        ImportError: matplotlib or Pillow is missing.
    """
    parts = explanation.parts
    times = explanation.sequence.timestamps - explanation.sequence.timestamps[0]
    canvas = on_canvas(explanation.sequence)
    rows, row = len(parts), 0.4
    tall = max(rows * row, 1.6)
    wide = 6.2
    body = (tall + 0.62) * canvas.size[0] / canvas.size[1]
    top, foot, left = 0.72, 0.5, 1.02
    size = (left + wide + 0.95 + body + 0.25, top + 0.62 + tall + foot)
    figure = _figure(size)
    _heading(figure, explanation)

    ax = figure.add_axes(_box(size, left, foot + tall + 0.08, wide, 0.5))
    _weights(ax, explanation, times)
    ax.set_xticklabels([])
    ax.text(-0.012, 0.45, "Whole body", transform=ax.transAxes, ha="right", va="center", color=_INK, fontsize=9)

    ax = figure.add_axes(_box(size, left, foot, wide, tall))
    grid = np.stack(list(parts.values()))
    edges = np.concatenate([times[:1], (times[1:] + times[:-1]) / 2, times[-1:]])
    ax.set_facecolor(_UNSEEN)
    ax.pcolormesh(edges, np.arange(rows + 1), shade(grid), cmap=_colours(), vmin=0, vmax=1, rasterized=True)
    ax.hlines(np.arange(1, rows), times[0], times[-1], color="white", linewidth=2)
    ax.set(xlim=(times[0], times[-1]), ylim=(rows, 0))
    ax.set_yticks(np.arange(rows) + 0.5, [part.capitalize() for part in parts], color=_INK, fontsize=9)
    ax.tick_params(length=0, labelsize=9)
    ax.tick_params(axis="x", colors=_FAINT, labelsize=8, length=3)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("seconds", color=_FAINT, fontsize=8, labelpad=1)
    if np.isnan(grid).any():
        figure.text(left / size[0], 0.1 / size[1], "■", color=_UNSEEN, fontsize=10, va="center")
        figure.text((left + 0.16) / size[0], 0.1 / size[1], "not seen", color=_FAINT, fontsize=8, va="center")
    _scale(figure, _box(size, left + wide + 0.15, foot, 0.11, tall))

    ax = figure.add_axes(_box(size, left + wide + 0.95, foot, body, tall + 0.58))
    _joints(ax, explanation, canvas.data[..., :2], canvas.size)
    return _image(figure)


def timeline(explanation: SignExplanation, width: int, height: int) -> tuple[np.ndarray, float, float]:
    """The strip below a video.

    Returns:
        (height, width, 3) uint8, and the columns at which time starts and ends.
    """
    figure = _figure((width / 100, height / 100), dpi=100, ground=_DARK)
    margin = 0.16 * height / width
    size = 0.17 * height * 0.72  # points, of which 72 are an inch, for a line of 0.17 of the strip
    answer = f"{explanation.label}  {100 * explanation.score:.0f} %"
    style: dict[str, Any] = {"va": "center", "weight": "bold", "parse_math": False}
    label = figure.text(margin, 0.74, answer, color="white", fontsize=1.1 * size, **style)
    bar = min(0.12, 1.2 * height / width)
    ax = figure.add_axes((1 - margin - bar, 0.68, bar, 0.12))
    ax.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=_colours())
    ax.set_axis_off()
    right = 1 - 1.6 * margin - bar
    method = METHODS[explanation.method]
    note = figure.text(right, 0.74, method, color=_FAINT, fontsize=0.9 * size, va="center", ha="right")
    taken = _fit(figure, note, 0.4 * right)
    _fit(figure, label, right - taken - 2 * margin)
    times = explanation.sequence.timestamps - explanation.sequence.timestamps[0]
    ax = figure.add_axes((margin, 0.14, 1 - 2 * margin, 0.38))
    _weights(ax, explanation, times, axis=False)
    picture = np.asarray(_image(figure))[:height, :width]
    return picture, margin * width, (1 - margin) * width


def _weights(ax: Any, explanation: SignExplanation, times: np.ndarray, axis: bool = True) -> None:
    """Each frame's heat as a bar in its colour."""
    steps = np.diff(times, append=times[-1] + np.median(np.diff(times)))
    colours = colour_table()[(255 * shade(explanation.frame_weights)).astype(int)] / 255
    ax.bar(
        times, explanation.frame_weights, width=steps + 1e-3 * times[-1], color=colours, linewidth=0, antialiased=False
    )
    ax.set(xlim=(times[0], times[-1]), ylim=(0, 1), yticks=[])
    ax.set_facecolor("none")
    ax.spines[:].set_visible(False)
    if axis:
        ax.spines["bottom"].set(visible=True, color=_FAINT, linewidth=0.6)
        ax.tick_params(axis="x", colors=_FAINT, labelsize=8, length=3)
    else:
        ax.set(xticks=[])


def _joints(ax: Any, explanation: SignExplanation, places: np.ndarray, size: tuple[int, int]) -> None:
    """Skeleton of the hottest frame; each joint as hot as it was at its hottest moment."""
    seen = ~np.isnan(places[..., 0])
    moment = int((explanation.frame_weights + seen.sum(axis=1) / seen.size).argmax())
    points, weights = places[moment], explanation.point_weights
    ax.set(xlim=(0, size[0]), ylim=(size[1], 0), xticks=[], yticks=[])
    ax.set_facecolor(_DARK)
    ax.spines[:].set_visible(False)
    looked_at = explanation.looked_at
    for a, b in explanation.sequence.spec.bones:
        if seen[moment, a] and seen[moment, b]:
            colour = "#6d7a8d" if looked_at[a] and looked_at[b] else "#363f4c"
            ax.plot(*points[[a, b]].T, color=colour, linewidth=1.4, solid_capstyle="round", zorder=1)
    order = np.argsort(weights)
    order = order[seen[moment, order] & looked_at[order]]
    colours = colour_table()[(255 * shade(weights[order])).astype(int)] / 255
    ax.scatter(*points[order].T, s=4 + 60 * weights[order], color=colours, linewidths=0, zorder=2)
    ax.set_title("each joint at its hottest", color=_FAINT, fontsize=8, pad=4, loc="left")


def _scale(figure: Figure, box: tuple[float, float, float, float]) -> None:
    ax = figure.add_axes(box)
    ax.imshow(np.linspace(1, 0, 256)[:, None], aspect="auto", cmap=_colours(), extent=(0, 1, 0, 1))
    marks = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
    ax.set(xticks=[])
    ax.set_yticks(shade(marks), [f"{mark:g}" for mark in marks])
    ax.yaxis.tick_right()
    ax.tick_params(colors=_FAINT, labelsize=8, length=2)
    ax.spines[:].set_visible(False)
    ax.set_title("heat", color=_FAINT, fontsize=8, pad=4)


def _colours() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(colour_table() / 255)


def _heading(figure: Figure, explanation: SignExplanation) -> None:
    width, height = figure.get_size_inches()
    answer = f"{explanation.label}  {100 * explanation.score:.1f} %"
    method = f"{METHODS[explanation.method]}: what speaks for this sign, when and where"
    left, top = _EDGE / width, 1 - 0.1 / height
    style: dict[str, Any] = {"va": "top", "parse_math": False}  # a label may hold a dollar sign
    title = figure.text(left, top, answer, color=_INK, fontsize=14, weight="bold", **style)
    _fit(figure, title, 1 - 2 * left)
    figure.text(left, top - 0.28 / height, method, color=_FAINT, fontsize=9, **style)


def _fit(figure: Figure, text: Any, share: float) -> float:
    """Shrink a text that is wider than its share of the figure; returns the share that it takes."""
    wide = text.get_window_extent(figure.canvas.get_renderer()).width / figure.bbox.width
    if wide > share:
        text.set_fontsize(text.get_fontsize() * share / wide)
    return min(wide, share)


def _box(
    size: tuple[float, float], left: float, low: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """Inches → the shares of a figure that matplotlib wants."""
    return left / size[0], low / size[1], width / size[0], height / size[1]


def _figure(size: tuple[float, float], dpi: int = _DPI, ground: str = "white") -> Figure:
    try:
        import PIL.Image  # noqa: F401
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('Drawing heat needs matplotlib and Pillow: pip install "signlang-hf[explain]"') from None
    figure = Figure(figsize=size, dpi=dpi, facecolor=ground)
    FigureCanvasAgg(figure)
    return figure


def _image(figure: Figure) -> Image:
    from PIL import Image

    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
