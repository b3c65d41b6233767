"""Processor of the continuous recogniser: whole clips → features, glosses ↔ columns, long clips ↔ windows.

Design decisions:

* A clip keeps its length: on the clock of ``target_fps`` nothing is squeezed into ``max_frames`` and nothing cut off. A clip of more
  frames than that is read in windows, whose outputs fade into each other.
* The vocabulary is in the processor's JSON. Columns 0 and 1 are the blank and the unknown gloss; the order of the rest is the
  user's and is a promise of the model that was trained with it, so a vocabulary that names a gloss twice is refused.
* Glosses are compared without regard to case, surrounding spaces and Unicode composition: corpora disagree in all three.
* Where a window begins depends on nothing that comes after it, so a stream is read in the same windows as the whole clip.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from transformers import BatchFeature

from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.models.keypoint.processing_keypoint import SignKeypointProcessor

BLANK, UNKNOWN = "<blank>", "<unk>"
_LARGEST_STRIDE = 4  # windows begin where an output frame of any stride begins


def fold(gloss: str) -> str:
    """What two spellings of the same gloss have in common."""
    return unicodedata.normalize("NFC", gloss.strip()).casefold()


def gloss_vocabulary(sentences: Iterable[Sequence[str]], minimum_count: int = 1) -> list[str]:
    """The glosses of training sentences in alphabetical order, each in its most frequent spelling.

    Args:
        minimum_count: a gloss that is rarer is left to ``<unk>``.
    """
    spellings: dict[str, Counter[str]] = {}
    for sentence in sentences:
        for gloss in checked_sentence(sentence):
            spellings.setdefault(fold(gloss), Counter())[unicodedata.normalize("NFC", gloss.strip())] += 1
    frequent = {key: found for key, found in sorted(spellings.items()) if found.total() >= minimum_count}
    # Of two equally frequent spellings the alphabetically first, whatever the order of the sentences.
    return [min(found, key=lambda spelling: (-found[spelling], spelling)) for found in frequent.values()]


def checked_sentence(glosses: Sequence[str]) -> list[str]:
    """The glosses as a list.

    Raises:
        ValueError: they are no list of strings, or one is empty.
    """
    if isinstance(glosses, str) or not isinstance(glosses, Iterable):
        raise ValueError(f"The glosses of a clip are a list of strings; got {glosses!r}. Split a sentence first.")
    glosses = list(glosses)
    for place, gloss in enumerate(glosses):
        if not isinstance(gloss, str) or not gloss.strip():
            raise ValueError(f"Gloss {place} of {glosses!r} is {gloss!r}; a gloss is a string that is not empty.")
    return glosses


class SignCTCProcessor(SignKeypointProcessor):
    """Turns landmarks into inputs of :class:`SignForCTC`, and its outputs into glosses.

    Args:
        vocabulary: the glosses, in the order of the model's columns after the blank and the unknown one; both may lead it.
        layout: points that the model sees. Six of the body and both hands make, with the default features, 432 values a frame.
        features: names from :data:`signlang_hf.landmarks.features.FEATURES`, in order.
        target_fps: clock that every clip is put on; None keeps the clip's own.
        max_frames: longest window that the model reads at once.
        overlap: share of a window that the next one reads again, in [0, 1).
        **kwargs: all other settings of :class:`SignKeypointProcessor`; a fixed number of frames (``num_frames``) is not among them.

    Raises:
        ValueError: a setting that is unknown or does not go with the others, or a vocabulary with a gloss twice.
    """

    def __init__(
        self,
        vocabulary: Sequence[str] = (),
        layout: str = "isl-48",
        features: Sequence[str] = ("position", "velocity", "acceleration"),
        target_fps: float | None = 30.0,
        max_frames: int = 300,
        overlap: float = 0.5,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("num_frames") is not None:
            raise ValueError("A clip of several signs keeps its length; leave out num_frames.")
        if max_frames < _LARGEST_STRIDE:
            raise ValueError(f"max_frames is {max_frames}; a window must have at least {_LARGEST_STRIDE} frames.")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap is {overlap}; it must be in [0, 1), a share of a window.")
        glosses = checked_sentence(vocabulary)
        if glosses[:2] == [BLANK, UNKNOWN]:
            glosses = glosses[2:]
        self.vocabulary = [BLANK, UNKNOWN, *(unicodedata.normalize("NFC", gloss.strip()) for gloss in glosses)]
        self._columns()
        self.overlap = overlap
        super().__init__(layout=layout, features=features, target_fps=target_fps, max_frames=max_frames, **kwargs)

    # -------------------------------------------------------------------------------------------------------- glosses

    @property
    def glosses(self) -> list[str]:
        """The vocabulary without the blank and the unknown gloss."""
        return self.vocabulary[2:]

    @property
    def blank_token_id(self) -> int:
        return 0

    @property
    def unk_token_id(self) -> int:
        return 1

    def encode(self, glosses: Sequence[str]) -> list[int]:
        """Columns of glosses; that of ``<unk>`` for one that the vocabulary lacks."""
        columns = self._columns()
        return [columns.get(fold(gloss), self.unk_token_id) for gloss in checked_sentence(glosses)]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Glosses of columns. Blanks and the -100 of padding are dropped; nothing is collapsed, decoding has done that.

        Raises:
            ValueError: a column that the vocabulary does not have.
        """
        ids = [int(column) for column in ids]
        if wrong := [column for column in ids if column >= len(self.vocabulary) or (column < 0 and column != -100)]:
            raise ValueError(f"Column {wrong[0]} is none of the vocabulary's {len(self.vocabulary)}.")
        return [self.vocabulary[column] for column in ids if column > self.blank_token_id]

    def unknown(self, glosses: Sequence[str]) -> list[str]:
        """Those of the glosses that the vocabulary lacks, each once, in their order."""
        columns = self._columns()
        return list(dict.fromkeys(gloss for gloss in checked_sentence(glosses) if fold(gloss) not in columns))

    def _columns(self) -> dict[str, int]:
        return _columns_of(tuple(self.vocabulary))

    # ---------------------------------------------------------------------------------------------------------- clips

    def fit_length(self, sequence: LandmarkSequence) -> LandmarkSequence:
        """The sequence as it is: a clip of several signs is read in windows instead of being squeezed."""
        return sequence

    def __call__(
        self,
        clips: Any,
        glosses: Sequence[str] | Sequence[Sequence[str]] | None = None,
        *,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Features of one clip or a list of clips, and what is signed in them.

        Args:
            clips: LandmarkSequence, dataset row or array (T, K, 2 or 3), or a list of them.
            glosses: the list of glosses of the one clip, or a list of such lists.
            padding, max_length, pad_to_multiple_of, return_tensors: as in :class:`SignKeypointProcessor`.

        Returns:
            ``input_values`` (B, T, F) float32 and ``attention_mask`` (B, T) int64; with glosses ``labels`` (B, L) int64, -100
            after the last gloss.

        Raises:
            ValueError: no clip, one that is none, or glosses that are no list or not as many as clips.
        """
        options = {"max_length": max_length, "pad_to_multiple_of": pad_to_multiple_of, "return_tensors": return_tensors}
        batch = super().__call__(clips, padding=padding, **options)
        if glosses is not None:
            several = isinstance(clips, (list, tuple))
            sentences = list(glosses) if several and not isinstance(glosses, str) else [glosses]
            if len(sentences) != len(batch["input_values"]):
                raise ValueError(f"There are {len(batch['input_values'])} clips and {len(sentences)} lists of glosses.")
            batch["labels"] = _padded([self.encode(sentence) for sentence in sentences], return_tensors)
        return batch

    def pad(
        self, processed_features: Any, *args: Any, return_tensors: str | None = None, **kwargs: Any
    ) -> BatchFeature:
        """As in transformers, and ``labels`` of unequal length are filled up with -100: what a collator needs.

        Args:
            processed_features: a list of ``{"input_values", …, "labels"}``, or one dictionary of lists.
        """
        labels = None
        if not isinstance(processed_features, (Mapping, BatchFeature)):
            names = processed_features[0].keys() if processed_features else ()
            processed_features = {name: [row[name] for row in processed_features] for name in names}
        if "labels" in processed_features:
            labels = processed_features["labels"]
            processed_features = {name: rows for name, rows in processed_features.items() if name != "labels"}
        batch = super().pad(processed_features, *args, return_tensors=return_tensors, **kwargs)
        if labels is not None:
            batch["labels"] = _padded(labels, return_tensors)
        return batch

    # -------------------------------------------------------------------------------------------------- time and windows

    def seconds(self, frames: Any, stride: int = 1, *, fps: float | None = None) -> Any:
        """Seconds from the clip's first frame to output frames (a number or an array).

        Args:
            stride: the model's ``temporal_stride``.
            fps: the clip's own rate where ``target_fps`` is None.

        Raises:
            ValueError: neither is known.
        """
        fps = self.target_fps or fps
        if not fps:
            raise ValueError("The processor keeps the clip's own clock (target_fps is None); say its rate with fps=.")
        return frames * (stride / fps)

    @property
    def hop(self) -> int:
        """Frames from the beginning of one window to that of the next."""
        steps = round((1 - self.overlap) * self.max_frames / _LARGEST_STRIDE)
        return _LARGEST_STRIDE * min(max(steps, 1), self.max_frames // _LARGEST_STRIDE)

    def windows(self, num_frames: int) -> list[tuple[int, int]]:
        """Half-open ranges of frames that the model reads one by one: one where the clip is at most ``max_frames`` long; else
        every :attr:`hop` frames one of that length, the last one as long as the clip lasts."""
        starts = range(0, max(num_frames - self.max_frames, 0) + self.hop, self.hop)
        return [(start, min(start + self.max_frames, num_frames)) for start in starts]

    def merge(self, log_probs: Sequence[np.ndarray], windows: Sequence[tuple[int, int]], stride: int = 1) -> np.ndarray:
        """The outputs of :meth:`windows` as one: where they overlap, probabilities are averaged with weights that grow linearly
        from a window's edges to its middle.

        Args:
            log_probs: for each window (t_i, V) log-probabilities, without padding.
            windows: their ranges of input frames.
            stride: the model's ``temporal_stride``.

        Returns:
            (T', V) float32 log-probabilities of the whole clip.

        Raises:
            ValueError: the two do not fit each other.
        """
        if not log_probs or len(log_probs) != len(windows):
            raise ValueError(f"There are outputs of {len(log_probs)} windows for {len(windows)} ranges.")
        for one, (start, stop) in zip(log_probs, windows):
            if start % stride or len(one) != -(-(stop - start) // stride):
                raise ValueError(
                    f"The window of frames {start} to {stop} has {len(one)} output frames; with stride {stride} it must "
                    f"begin at a multiple of {stride} and have {-(-(stop - start) // stride)}."
                )
        if len(windows) == 1:
            return np.asarray(log_probs[0], np.float32)
        length = max(-(-stop // stride) for _, stop in windows)
        mixed, total = np.zeros((length, np.shape(log_probs[0])[1])), np.zeros((length, 1))
        for one, (start, _) in zip(log_probs, windows):
            place = np.arange(len(one))
            weight = np.minimum(place + 1, place[::-1] + 1)[:, None]
            mixed[start // stride + place] += weight * np.exp(np.asarray(one, np.float64))
            total[start // stride + place] += weight
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(mixed / total), -1e4).astype(np.float32)


@lru_cache(maxsize=16)
def _columns_of(vocabulary: tuple[str, ...]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for column, gloss in enumerate(vocabulary):
        if (other := columns.setdefault(fold(gloss), column)) != column:
            raise ValueError(
                f"The vocabulary names the gloss {gloss!r} twice, as entries {other} and {column} (the blank is 0); "
                "spellings that differ only in case are one gloss. gloss_vocabulary() makes one list of them."
            )
    return columns


def _padded(rows: Iterable[Sequence[int]], return_tensors: str | None) -> Any:
    rows = [np.asarray(row, np.int64).reshape(-1) for row in rows]
    padded = np.full((len(rows), max(1, *(len(row) for row in rows))), -100, np.int64)
    for line, row in zip(padded, rows):
        line[: len(row)] = row
    return BatchFeature({"labels": padded}, tensor_type=return_tensors or "np")["labels"]


__all__ = ["SignCTCProcessor", "checked_sentence", "fold", "gloss_vocabulary"]
