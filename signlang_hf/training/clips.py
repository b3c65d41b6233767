"""Clips for the Trainer: rows of a landmark dataset, augmented and featurised when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..landmarks.augment import Augmenter
from ..landmarks.rows import to_sequence

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import SequenceFeatureExtractor


class ClipDataset(torch.utils.data.Dataset):
    """Row i → ``{"input_values": (T, F), "labels": int}``.

    Augmentation draws from a generator made of (seed, epoch, i) and of nothing else: whichever process, worker or resumed run
    asks for the clip gets the same one. Nothing is held in memory, so a data set may be larger than it.

    Args:
        rows: dataset with the columns of :mod:`signlang_hf.landmarks.rows` and ``label``.
        processor: keypoint processor.
        augmenter: None for evaluation.
        seed: of the augmentation.
    """

    def __init__(
        self, rows: Dataset, processor: SequenceFeatureExtractor, augmenter: Augmenter | None = None, seed: int = 0
    ) -> None:
        self.rows = rows.with_format("numpy")
        self.processor = processor
        self.augmenter = augmenter
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Accelerate's data loader at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[int(index)]
        sequence = to_sequence(row)
        if self.augmenter is not None:
            sequence = self.augmenter(sequence, np.random.default_rng([self.seed, self.epoch, int(index)]))
        return {"input_values": self.processor.extract(sequence), "labels": int(row["label"])}


@dataclass
class ClipCollator:
    """Pads a batch of clips to its longest with the processor's own padding."""

    processor: SequenceFeatureExtractor

    def __call__(self, clips: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        values = [clip["input_values"] for clip in clips]
        batch = self.processor.pad(
            {"input_values": values, "attention_mask": [np.ones(len(value), np.int64) for value in values]},
            return_tensors="pt",
        )
        batch["labels"] = torch.tensor([clip["labels"] for clip in clips])
        return dict(batch)
