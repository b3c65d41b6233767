"""Pictures of single sentences: where a translator looked, and what a recogniser saw when.

Design decisions:

* An alignment is read like the figures of Bahdanau et al. (2015): source along the top, target downwards, each row the attention of one
  word. Pieces of a word share a row, their mean, because people read words.
* The recogniser's picture shows probabilities, not scores, over the clip's time, with blank in grey: CTC is mostly blank, and a gloss that
  never rises above it is why it is missing. The decoded segments lie below on the same axis.
* Both take arrays, so that pictures of an evaluation cost no second forward pass; :func:`attention_of` runs a translator for those who
  have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ..decoding import DecodedToken, greedy_search
from .reports import INK, new_figure, save_figure

_END = "</s>"
_GREY = "#adb5bd"
# Tableau's ten, as in matplotlib, without their grey.
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf")
# Inches that a letter of 8 points takes on average, upper case with some room.
_LETTER = 0.078
# A cell has room for its number up to this many rows or columns.
_NUMBERED = 20


@dataclass(frozen=True)
class Alignment:
    """Attention of one translated sentence.

    Attributes:
        weights: (L, S) rows that sum to 1, one for each target word.
        glosses: S names of the source; the end token, if the model reads one, is ``</s>``.
        words: L target words, the end token last.
        text: the sentence.
    """

    weights: np.ndarray
    glosses: tuple[str, ...]
    words: tuple[str, ...]
    text: str


def attention_of(
    model: Any, processor: Any, glosses: Sequence[str] | str, *, pieces: bool = False, **generation: Any
) -> Alignment:
    """Translate one sentence and keep where each word looked.

    Args:
        model: a ``SignTranslatorForConditionalGeneration``.
        processor: its ``SignTranslatorProcessor``.
        glosses: of the sentence, as the processor takes them.
        pieces: a row for each piece of a word: where a single word is spelled, its letters are what people read.
        generation: arguments of ``model.generate``, e.g. ``num_beams``.
    Raises:
        ValueError: a sentence without glosses.
    """
    names = list(glosses.split() if isinstance(glosses, str) else glosses)
    inputs = processor([names], return_tensors="pt").to(model.device)
    sequence = model.generate(**inputs, **generation)[:1]
    weights = model.score(sequence, **inputs).attentions[0].float().cpu().numpy()
    ids = sequence[0].tolist()[1:]
    if processor.eos_token_id in ids:
        ids = ids[: ids.index(processor.eos_token_id) + 1]
    # The sentence grows token by token; what begins with a blank begins a word.
    rows: list[list[int]] = []
    words: list[str] = []
    text = ""
    for step, token in enumerate(ids):
        longer = processor.decode(ids[: step + 1], names, weights[: step + 1])
        added, text = longer[len(text) :], longer
        if token == processor.eos_token_id:
            added = f" {_END}"
        elif not added and token in (processor.pad_token_id, processor.bos_token_id, processor.unk_token_id):
            added = " <unk>"
        if not words or added.startswith(" ") or (pieces and added and words[-1]):
            words, rows = [*words, added.strip()], [*rows, [step]]
        else:  # a piece may be the beginning of a word and no letter of it yet
            words[-1] += added
            rows[-1].append(step)
    weights = np.stack([weights[steps].mean(axis=0) for steps in rows])
    return Alignment(weights, (*_source_names(processor, names), _END), tuple(words), text)


def _source_names(processor: Any, glosses: Sequence[str]) -> list[str]:
    """A name for each source token; a gloss that the processor takes apart has several, an unknown one keeps its own."""
    names: list[str] = []
    for gloss in glosses:
        if gloss.strip():
            ids = processor.encode_glosses([gloss])[:-1]
            names += [gloss] if len(ids) == 1 else [processor.source_vocabulary[i] for i in ids]
    return names


def alignment_picture(alignment: Alignment, path: str | Path, *, title: str = "") -> Path:
    """Heat map of an :class:`Alignment`: source glosses × target words, the colour is the attention in percent.

    Args:
        alignment: see :func:`attention_of`.
        path: PNG to write.
    Raises:
        ValueError: weights of another shape than there are words and glosses.
    """
    weights = np.asarray(alignment.weights, np.float64)
    shape = len(alignment.words), len(alignment.glosses)
    if weights.shape != shape or 0 in shape:
        raise ValueError(
            f"The attention is {weights.shape}; with {shape[0]} words and {shape[1]} glosses it must be {shape}."
        )
    longest = [max(map(len, names)) for names in (alignment.words, alignment.glosses)]
    figure = new_figure(
        min(max(3.5, 0.42 * shape[1] + 0.08 * longest[0] + 1.6), 24.0),
        min(max(2.5, 0.3 * shape[0] + 0.08 * longest[1] + 0.8), 24.0),
    )
    axis = figure.add_subplot()
    image = axis.imshow(100 * weights, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axis.set(xlabel="glosses", ylabel="words", title=title)
    axis.xaxis.set_label_position("top")
    axis.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axis.set_xticks(range(shape[1]), alignment.glosses, rotation=90, fontsize=8)
    axis.set_yticks(range(shape[0]), alignment.words, fontsize=8)
    if max(shape) <= _NUMBERED:
        for row, column in zip(*(weights >= 0.095).nonzero()):
            colour = "white" if weights[row, column] > 0.5 else INK
            axis.text(
                column, row, f"{100 * weights[row, column]:.0f}", ha="center", va="center", fontsize=7, color=colour
            )
    figure.colorbar(image, ax=axis, fraction=0.06, label="attention of the word (%)")
    return save_figure(figure, Path(path))


def ctc_picture(
    log_probs: np.ndarray,
    vocabulary: Sequence[str],
    path: str | Path,
    *,
    tokens: Sequence[DecodedToken] | None = None,
    blank: int = 0,
    seconds_per_frame: float | None = None,
    reference: Sequence[str] | None = None,
    others: int = 3,
    title: str = "",
) -> Path:
    """Gloss probabilities of one clip over time, and below them the decoded segments.

    Args:
        log_probs: (T, V) natural logarithms, as ``SignForCTC`` gives them for the T frames of the clip.
        vocabulary: V names of the columns.
        path: PNG to write.
        tokens: what was decoded; default greedy search.
        blank: column of the blank.
        seconds_per_frame: length of an output frame, for a time axis in seconds; default counts frames.
        reference: the glosses that were signed, shown above the curves.
        others: how many of the strongest glosses that were not decoded have a curve too, as the runners-up.
    Raises:
        ValueError: shapes that do not fit, a clip without frames.
    """
    log_probs = np.asarray(log_probs, np.float64)
    if log_probs.ndim != 2 or len(log_probs) == 0 or log_probs.shape[1] != len(vocabulary):
        raise ValueError(
            f"The log-probabilities are {log_probs.shape}; they must be (T, {len(vocabulary)}) with T at least 1."
        )
    tokens = greedy_search(log_probs, blank=blank).tokens if tokens is None else tokens
    probabilities, unit = np.exp(log_probs), seconds_per_frame or 1.0
    times = unit * (np.arange(len(probabilities)) + 0.5)
    decoded = list(dict.fromkeys(token.token for token in tokens))
    ranked = [i for i in np.argsort(-probabilities.max(axis=0), kind="stable").tolist() if i not in (*decoded, blank)]
    colours = {token: _COLOURS[i % len(_COLOURS)] for i, token in enumerate(decoded)}
    names = [f"{vocabulary[token.token]} {100 * token.score:.0f}" for token in tokens]
    runners_up = [(column, f"not decoded: {vocabulary[column]}") for column in ranked[:others]]
    width = min(max(4.5, 0.5 * len(tokens), 0.012 * len(times)), 20.0)  # of the axes, in inches
    places, upright = _label_places([(token.start + token.end) / 2 / len(times) * width for token in tokens], names)
    below = 0.5 + (max(map(len, names)) * _LETTER if upright else 0.2)
    figure = new_figure(width + 1.5 + _LETTER * max((len(name) for _, name in runners_up), default=5), 3.8 + below)
    curves, segments = figure.subplots(2, sharex=True, height_ratios=(3, below))
    curves.plot(times, 100 * probabilities[:, blank], color=_GREY, label="blank", zorder=1)
    for column in decoded:
        curves.plot(times, 100 * probabilities[:, column], color=colours[column], label=vocabulary[column], zorder=3)
    for (column, name), style in zip(runners_up, cycle(("--", "-.", ":"))):
        curves.plot(times, 100 * probabilities[:, column], color=INK, linestyle=style, linewidth=0.9, label=name)
    shown = {"blank", *(name for _, name in runners_up)}
    curves.legend(
        handles=[line for line in curves.lines if line.get_label() in shown],
        loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8,
    )  # fmt: skip
    curves.set(ylabel="probability (%)", ylim=(0, 102))
    heading = [title] if title else []
    if reference is not None:
        heading += fill("signed: " + " ".join(reference), max(int(width / _LETTER), 20)).split("\n")
    curves.set_title("\n".join(heading), loc="left", fontsize=9)
    for token, name, place in zip(tokens, names, places):
        colour, span = colours[token.token], unit * (token.end - token.start)
        segments.barh(below - 0.2, span, left=unit * token.start, height=0.25, color=colour)
        segments.text(
            place / width * unit * len(times), below - 0.4, name, ha="center", va="top", fontsize=8, color=colour,
            rotation=90 if upright else 0,
        )  # fmt: skip
    segments.set(xlabel="time (s)" if seconds_per_frame else "output frame", xlim=(0, unit * len(times)))
    segments.set(ylim=(0, below), yticks=[below - 0.2], yticklabels=["decoded"])
    for axis in (curves, segments):
        axis.spines[["top", "right"]].set_visible(False)
    segments.spines["left"].set_visible(False)
    segments.tick_params(axis="y", length=0)
    return save_figure(figure, Path(path))


def _label_places(centres: Sequence[float], names: Sequence[str]) -> tuple[list[float], bool]:
    """Where labels stand (inches along the axis), and whether upright: below their segments if they fit side by side, else turned
    and moved apart as little as it takes from left to right."""
    level = all(
        second - first > _LETTER * (len(one) + len(other)) / 2 + 0.05
        for (first, one), (second, other) in pairwise(zip(centres, names))
    )
    if level:
        return list(centres), False
    places: list[float] = []
    for centre in centres:
        places.append(max(centre, places[-1] + 2 * _LETTER) if places else centre)
    return places, True
