"""How many clips each gloss has, in numbers and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..landmarks.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"train": "#3b6fb6", "validation": "#8fb8de", "test": "#e08a3c"}
_INK, _FAINT, _RULE = "#2b3440", "#7c8796", "#e3e8ef"
_NAMED = 60  # glosses of one column whose names are still readable
_DPI = 150


def count_glosses(splits: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Statistics of the glosses of each split (the gloss of every clip).

    Returns:
        ``clips``, ``glosses``, clips a gloss as ``min``, ``median``, ``mean`` and ``max``, the same of each split under ``splits``, glosses of the
        whole that a split lacks under ``missing``, and ``clips_per_gloss``: gloss → {split: clips}, the most frequent first.
    """
    names = Counter(gloss for glosses in splits.values() for gloss in glosses)
    counted = {split: Counter(glosses) for split, glosses in splits.items()}
    ordered = sorted(names, key=lambda gloss: (-names[gloss], gloss))
    return {
        **_summary(names),
        "splits": {split: _summary(counts) for split, counts in counted.items()},
        "missing": {split: sorted(set(names) - set(counts)) for split, counts in counted.items()},
        "clips_per_gloss": {gloss: {split: counts[gloss] for split, counts in counted.items()} for gloss in ordered},
    }


def draw_gloss_counts(statistics: Mapping[str, Any], path: Path, title: str = "Clips per gloss") -> None:
    """Draw the statistics of :func:`count_glosses` as a PNG: a named bar a gloss, split by split.

    A few glosses stand in one column; up to some hundreds in several, so that each name can still be read; of more than that the curve is drawn, with the
    names of its ends.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError:
        raise ImportError('The picture of clips per gloss needs matplotlib: pip install "signlang-hf[wlasl]"') from None
    table = statistics["clips_per_gloss"]
    splits = list(statistics["splits"])
    columns = -(-len(table) // _NAMED)
    many = columns > 10
    rows = 26 if many else -(-len(table) // columns)
    width, height = (11.0, 5.2) if many else (max(7.0, 2.7 * columns + 0.3), 0.152 * rows + 1.5)
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.25 / width, 1 - 0.3 / height, title, color=_INK, fontsize=13, fontweight="bold", va="center")
    said = (
        f"{statistics['clips']} clips of {statistics['glosses']} glosses · a gloss has {statistics['min']} to {statistics['max']}, "
        f"half of them at most {statistics['median']:g}"
    )
    figure.text(0.25 / width, 1 - 0.58 / height, said, color=_FAINT, fontsize=9, va="center")
    handles = [
        Patch(color=_colour(split, i), label=f"{split} ({statistics['splits'][split]['clips']})")
        for i, split in enumerate(splits)
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.17 / width, 1 - 0.68 / height), ncols=len(handles), frameon=False,
        fontsize=8.5, labelcolor=_INK, handlelength=1.1, columnspacing=1.4,
    )  # fmt: skip
    if many:
        _curve(figure.add_axes((0.6 / width, 0.75 / height, 1 - 0.85 / width, 1 - 1.85 / height)), table, splits)
    else:
        across = (width - 0.3) / columns
        glosses, longest = list(table), statistics["max"]
        for column in range(columns):
            part = glosses[column * rows : (column + 1) * rows]
            tall = 0.152 * len(part)
            left, label = 0.2 + column * across, min(1.25, 0.45 * across)
            box = ((left + label) / width, 1 - (1.18 + tall) / height, (across - label - 0.3) / width, tall / height)
            _bars(figure.add_axes(box), {gloss: table[gloss] for gloss in part}, splits, longest)
    atomic_write(path, lambda stream: figure.savefig(stream, format="png"))


def _bars(ax: Axes, table: Mapping[str, Mapping[str, int]], splits: Sequence[str], longest: int) -> None:
    """One column: the first gloss at the top."""
    places, start = np.arange(len(table)), np.zeros(len(table))
    for number, split in enumerate(splits):
        values = np.array([counts[split] for counts in table.values()])
        ax.barh(places, values, left=start, height=0.78, color=_colour(split, number))
        start += values
    for place, total in zip(places, start):
        ax.text(total + 0.015 * longest, place, f"{total:g}", color=_FAINT, fontsize=6.5, va="center")
    ax.set(xlim=(0, 1.12 * longest), ylim=(len(table) - 0.5, -0.5), xticks=[], yticks=places)
    ax.set_yticklabels([_short(gloss) for gloss in table], fontsize=7.5, color=_INK)
    ax.tick_params(length=0, pad=2)
    ax.spines[:].set_visible(False)


def _curve(ax: Axes, table: Mapping[str, Mapping[str, int]], splits: Sequence[str]) -> None:
    """All glosses from the most frequent to the rarest, as an area a split."""
    places, start = np.arange(1, len(table) + 1), np.zeros(len(table))
    for number, split in enumerate(splits):
        values = np.array([counts[split] for counts in table.values()])
        ax.fill_between(places, start, start + values, step="mid", color=_colour(split, number), linewidth=0)
        start += values
    ax.set(xlim=(0.5, len(table) + 0.5), ylim=(0, 1.05 * start[0]))
    ax.set_xlabel("glosses, the most frequent first", color=_FAINT, fontsize=8.5)
    ax.set_ylabel("clips", color=_FAINT, fontsize=8.5)
    ax.tick_params(colors=_FAINT, labelsize=8)
    ax.grid(axis="y", color=_RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    glosses = list(table)
    ends = f"{', '.join(map(_short, glosses[:5]))} …", f"… {', '.join(map(_short, glosses[-4:]))}"
    ax.text(0.01, 0.97, ends[0], transform=ax.transAxes, color=_INK, fontsize=8, va="top")
    ax.text(
        0.99, 0.12 + start[-1] / (1.05 * start[0]), ends[1], transform=ax.transAxes, color=_INK, fontsize=8, ha="right"
    )


def _summary(counts: Mapping[str, int]) -> dict[str, Any]:
    values = np.array(list(counts.values()) or [0])
    return {
        "clips": int(values.sum()),
        "glosses": len(counts),
        "min": int(values.min()),
        "median": float(np.median(values)),
        "mean": round(float(values.mean()), 2),
        "max": int(values.max()),
    }


def _colour(split: str, number: int) -> str:
    return _COLOURS.get(split, ("#6a994e", "#9d6b9e", "#b08968")[number % 3])


def _short(gloss: str, longest: int = 20) -> str:
    return gloss if len(gloss) <= longest else gloss[: longest - 1] + "…"
