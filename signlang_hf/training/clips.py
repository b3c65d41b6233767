"""Clips for the Trainer: rows of a landmark dataset, augmented and featurised when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
        labels: for each class of the dataset its place in the model's output; default: the same order.
    """

    def __init__(
        self,
        rows: Dataset,
        processor: SequenceFeatureExtractor,
        augmenter: Augmenter | None = None,
        seed: int = 0,
        labels: Sequence[int] | None = None,
    ) -> None:
        self.rows = rows.with_format("numpy")
        self.processor = processor
        self.augmenter = augmenter
        self.seed = seed
        self.labels = labels
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that outlive an epoch see it change

    @property
    def epoch(self) -> int:
        """Epoch that augmentation draws for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """To be called at the start of each epoch.

        Accelerate's data loader does so, but neither on several processes nor in an epoch that is resumed in its middle;
        :func:`.isolated.train_isolated` calls it in every case.
        """
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[int(index)]
        sequence = to_sequence(row)
        if self.augmenter is not None:
            sequence = self.augmenter(sequence, np.random.default_rng([self.seed, self.epoch, int(index)]))
        label = int(row["label"])
        if label < 0:
            raise ValueError(f"Clip {row['id']} has no label.")
        label = label if self.labels is None else int(self.labels[label])
        return {"input_values": self.processor.extract(sequence), "labels": label}


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


def digest(rows: Dataset) -> str:
    """Hash of what is trained on: ids, labels, frame rates and landmarks of all rows, in their order."""
    found = hashlib.blake2b(digest_size=16)
    for row in rows.select_columns(["id", "label", "fps", "landmarks"]).with_format("numpy"):
        landmarks = np.ascontiguousarray(row["landmarks"], np.float32)
        found.update(repr([str(row["id"]), int(row["label"]), str(row["fps"]), landmarks.shape]).encode())
        found.update(landmarks.tobytes())
    return found.hexdigest()
