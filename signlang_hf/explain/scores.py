"""A picture of answers: the likeliest signs of a clip as bars, of one model or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .charts import _DPI, _EDGE, _FAINT, _INK, _box, _figure, _fit, _image

if TYPE_CHECKING:
    from PIL.Image import Image

_BAR, _OTHER, _TRACK = "#0f766e", "#9fb8b6", "#eef2f5"
_PANEL, _ROW = 3.4, 0.46  # inches


def score_chart(answers: Mapping[str, Sequence[Mapping[str, Any]]], *, num: int = 5) -> Image:
    """The ``num`` likeliest signs of each answer, with their scores.

    Args:
        answers: heading, such as the model's name → what ``pipeline("sign-recognition")`` answered, best first. One without a label
            (nobody was found) shows its message.
        num: bars of a panel.

    Raises:
        ImportError: matplotlib or Pillow is missing.
        ValueError: no answer, or ``num`` is below 1.
    """
    if not answers or num < 1:
        raise ValueError("There is no answer to draw." if num >= 1 else f"num is {num}; it must be at least 1.")
    rows = min(num, max(len(answer) for answer in answers.values()))
    top, foot = 0.44, 0.12
    size = (_EDGE + len(answers) * (_PANEL + _EDGE), top + rows * _ROW + foot)
    figure = _figure(size, dpi=_DPI)
    for column, (name, answer) in enumerate(answers.items()):
        left = _EDGE + column * (_PANEL + _EDGE)
        style: dict[str, Any] = {"va": "top", "parse_math": False}  # a label may hold a dollar sign
        title = figure.text(left / size[0], 1 - 0.1 / size[1], name, color=_INK, fontsize=11, weight="bold", **style)
        _fit(figure, title, _PANEL / size[0])
        ax = figure.add_axes(_box(size, left, foot, _PANEL, rows * _ROW))
        ax.set(xlim=(0, 1), ylim=(rows, 0), xticks=[], yticks=[])
        ax.set_facecolor("none")
        ax.spines[:].set_visible(False)
        if answer[0]["label"] is None:
            ax.text(0, 0.3, answer[0].get("message", ""), color=_FAINT, fontsize=10, va="center", parse_math=False)
            continue
        for row, one in enumerate(answer[:rows]):
            score = float(one["score"])
            ax.barh(row + 0.68, 1.0, height=0.3, color=_TRACK, linewidth=0)
            ax.barh(row + 0.68, score, height=0.3, color=_OTHER if row else _BAR, linewidth=0)
            weight = "normal" if row else "bold"
            label = ax.text(
                0, row + 0.27, one["label"], color=_INK, fontsize=10, va="center", weight=weight, parse_math=False
            )
            _fit(figure, label, 0.78 * _PANEL / size[0])
            ax.text(
                1, row + 0.27, f"{100 * score:.1f} %", color=_INK, fontsize=10, va="center", ha="right", weight=weight
            )
    return _image(figure)
