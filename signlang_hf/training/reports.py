"""What a training run leaves for people to look at: learning curve, confusion matrix, per-class table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..landmarks.files import atomic_write
from .results import unit_of

INK, ACCENT, SOFT = "#1f2933", "#d9480f", "#1971c2"


def new_figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('Pictures need matplotlib: pip install "signlang-hf[train]"') from None
    # A Figure of its own leaves the caller's pyplot state and backend alone.
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def save_figure(figure: Any, path: Path) -> Path:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    atomic_write(path, lambda stream: stream.write(buffer.getvalue()))
    return path


def learning_curve(
    history: Sequence[dict[str, Any]],
    path: Path,
    *,
    references: dict[str, float] | None = None,
    metric: str = "accuracy",
    loss_name: str = "cross-entropy loss",
) -> Path:
    """Loss and a metric of validation over epochs.

    Args:
        history: ``trainer.state.log_history``.
        path: PNG to write.
        references: name → value of horizontal lines, e.g. a baseline and the test result.
        metric: what validation measured; rates are shown in per cent, scores as they are.
        loss_name: what the left axis says.
    """
    figure = new_figure(7, 4)
    loss_axis = figure.add_subplot()
    loss = [(row["epoch"], row["loss"]) for row in history if "loss" in row]
    evaluation = [(row["epoch"], row["eval_loss"]) for row in history if "eval_loss" in row]
    score = unit_of(metric) == "score"
    factor, sign = (1, "") if score else (100, " %")
    name, key = metric.upper() if metric in ("wer", "bleu") else metric.replace("_", " "), f"eval_{metric}"
    measured = [(row["epoch"], factor * row[key]) for row in history if key in row]
    lines = loss_axis.plot(*zip(*loss), color=INK, label="training loss") if loss else []
    if evaluation:
        lines += loss_axis.plot(*zip(*evaluation), color=INK, linestyle=":", label="validation loss")
    loss_axis.set(xlabel="epoch", ylabel=loss_name)
    loss_axis.spines[["top", "right"]].set_visible(False)
    loss_axis.margins(x=0)
    if measured or references:
        share_axis = loss_axis.twinx()
        # An error rate may exceed 1, a BLEU seldom comes near 100.
        highest = max([value for _, value in measured] + [factor * value for value in (references or {}).values()])
        limit = 100 if unit_of(metric) == "rate" else 1.1 * min(max(highest, 1.0), 150)
        share_axis.set(ylabel=name if score else f"{name} (%)", ylim=(0, limit))
        share_axis.spines["top"].set_visible(False)
        if measured:
            lines += share_axis.plot(*zip(*measured), color=ACCENT, label=f"validation {name}")
        for (line, value), style in zip((references or {}).items(), ("--", "-.", ":")):
            label = f"{line} {factor * value:.1f}{sign}"
            lines += [share_axis.axhline(factor * value, color=SOFT, linestyle=style, linewidth=1.2, label=label)]
    if lines:
        figure.legend(
            lines,
            [line.get_label() for line in lines],
            loc="outside upper center",
            ncols=min(len(lines), 3),
            frameon=False,
        )
    return save_figure(figure, path)


def confusion_matrix(
    predicted: np.ndarray, references: np.ndarray, names: Sequence[str], path: Path, *, title: str = ""
) -> Path:
    """Rows are true labels, columns predictions; colour is the share of the row, small sets carry their counts."""
    count = len(names)
    matrix = np.zeros((count, count), int)
    np.add.at(matrix, (references, predicted), 1)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(max(4.0, 0.28 * count), 24.0)
    figure = new_figure(side + 1.2, side + 0.8)
    axis = figure.add_subplot()
    image = axis.imshow(100 * share, cmap="Blues", vmin=0, vmax=100)
    axis.set(xlabel="predicted", ylabel="true", title=title)
    if count <= 80:
        axis.set_xticks(range(count), names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=7)
        axis.set_yticks(range(count), names, fontsize=7)
    if count <= 40:
        for row, column in zip(*matrix.nonzero()):
            colour = "white" if share[row, column] > 0.5 else INK
            axis.text(column, row, matrix[row, column], ha="center", va="center", fontsize=6, color=colour)
    figure.colorbar(image, ax=axis, fraction=0.045, label="share of the true label (%)")
    return save_figure(figure, path)


def per_class_table(predicted: np.ndarray, references: np.ndarray, names: Sequence[str], path: Path) -> Path:
    """CSV with label, clips, precision, recall, F1 and the most frequent confusion of every label."""
    rows = []
    for index, name in enumerate(names):
        true, said = references == index, predicted == index
        hits = int((true & said).sum())
        wrong = np.bincount(predicted[true & ~said], minlength=len(names))
        rows.append(
            {
                "label": name,
                "clips": int(true.sum()),
                "precision": round(hits / max(int(said.sum()), 1), 4),
                "recall": round(hits / max(int(true.sum()), 1), 4),
                "f1": round(2 * hits / max(int(true.sum() + said.sum()), 1), 4),
                "most_confused_with": names[wrong.argmax()] if wrong.any() else "",
            }
        )

    def write(stream: Any) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        stream.write(text.getvalue().encode())

    atomic_write(path, write)
    return path
