"""What all landmark processors share: clips in, one padded batch out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from transformers import BatchFeature, SequenceFeatureExtractor

from signlang_hf.landmarks import LandmarkSequence


class SignProcessor(SequenceFeatureExtractor, ABC):
    """Turns landmarks into model inputs: a subclass says what the features of one clip are."""

    model_input_names = ["input_values", "attention_mask"]  # noqa: RUF012 - transformers reads a plain list

    @abstractmethod
    def to_sequence(self, clip: Any) -> LandmarkSequence:
        """A LandmarkSequence from one already, a dataset row, or an array (T, K, 2 or 3) in the processor's layout."""

    @abstractmethod
    def extract(self, clip: Any) -> np.ndarray:
        """Features of one clip: (T, F) float32 without NaN, before padding."""

    @property
    @abstractmethod
    def longest(self) -> int:
        """Frames that the longest clip has after :meth:`extract`."""

    def __call__(
        self,
        clips: Any,
        *,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Features of one clip or a list of clips.

        Args:
            clips: LandmarkSequence, dataset row or array (T, K, 2 or 3), or a list of them.
            padding: as in transformers: True (to the longest), "max_length" or False.
            max_length: frames for ``padding="max_length"``; default :attr:`longest`.
            return_tensors: "pt" or "np".

        Returns:
            ``input_values`` (B, T, F) float32 and ``attention_mask`` (B, T) int64.

        Raises:
            ValueError: no clip, or one that is none.
        """
        batch = clips if isinstance(clips, (list, tuple)) else [clips]
        if not batch:
            raise ValueError("There is no clip in the batch.")
        values = [self.extract(clip) for clip in batch]
        if padding in (True, "longest") and not pad_to_multiple_of and len({len(value) for value in values}) == 1:
            # Nothing to pad, as with any single clip: then pad() would take as long as some of the steps before it.
            shape = (len(values), len(values[0]))
            stacked = {"input_values": np.stack(values), "attention_mask": np.ones(shape, np.int64)}
            return BatchFeature(stacked, tensor_type=return_tensors)
        if padding == "max_length" and max_length is None:
            max_length = self.longest
        return self.pad(
            {"input_values": values, "attention_mask": [np.ones(len(value), np.int64) for value in values]},
            padding=padding,
            max_length=max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            return_tensors=return_tensors,
        )


__all__ = ["SignProcessor"]
