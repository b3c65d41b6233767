"""Clips for the Trainer: rows of a landmark dataset, augmented and featurised when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..data.mapped import MappedRows
from ..landmarks.features import feature_size
from ..landmarks.rows import LANDMARK_COLUMNS, to_sequence
from .mixing import mix

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import SequenceFeatureExtractor

    from .robustness import Disturbance


class ClipDataset(torch.utils.data.Dataset):
    """Row i → ``{"input_values": (T, F), "labels": int, "draw": int}``; no ``labels`` where the rows have no column ``label``.

    Augmentation draws from a generator made of (seed, epoch, i) and of nothing else: whichever process, worker or resumed run
    asks for the clip gets the same one. So does ``draw``, a random number for what is done with whole batches (:mod:`.mixing`); a
    dataset without augmenter has none. Nothing is held in memory, so a data set may be larger than it.

    Args:
        rows: dataset with the columns of :mod:`signlang_hf.landmarks.rows` and ``label``.
        processor: keypoint processor.
        augmenter: changes each clip; a disturbance of :mod:`.robustness` serves as well. None for plain evaluation.
        seed: of the augmentation.
        labels: for each class of the dataset its place in the model's output; default: the same order.
        feature_dropout: with an augmenter, each of the processor's features is left out of so large a share of the clips: a model
            that may miss one learns from all of them. At least one is always there.
    """

    TARGET = "label"
    """Column that is learned; a subclass may learn another."""

    def __init__(
        self,
        rows: Dataset,
        processor: SequenceFeatureExtractor,
        augmenter: Disturbance | None = None,
        seed: int = 0,
        labels: Sequence[int] | None = None,
        feature_dropout: float = 0.0,
    ) -> None:
        self.rows = MappedRows(rows, [*LANDMARK_COLUMNS, self.TARGET])
        self.processor = processor
        self.augmenter = augmenter
        self.seed = seed
        self.labels = labels
        self.feature_dropout = feature_dropout
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
        clip: dict[str, Any] = {}
        if self.augmenter is None:
            clip["input_values"] = self.processor.extract(sequence)
        else:
            rng = np.random.default_rng([self.seed, self.epoch, int(index)])
            sequence = self.augmenter(sequence, rng)
            clip["draw"] = int(rng.integers(2**63))
            clip["input_values"] = self._without_features(self.processor.extract(sequence), rng)
        if self.TARGET in row:
            clip["labels"] = self.target(row)
        return clip

    def target(self, row: dict[str, Any]) -> Any:
        """What is learned of a row. Raises ValueError where it is missing."""
        if row["label"] is None or row["label"] < 0:
            raise ValueError(f"Clip {row['id']} has no label.")
        return row["label"] if self.labels is None else int(self.labels[row["label"]])

    def _without_features(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not self.feature_dropout:
            return values
        processor = self.processor
        sizes = [feature_size(processor.layout, [name], processor.dims) for name in processor.features]
        dropped = rng.random(len(sizes)) < self.feature_dropout
        # 0 is the mean of a standardised feature, and what a processor makes of one that was not seen.
        return values if dropped.all() else np.where(np.repeat(dropped, sizes), np.float32(0), values)


@dataclass
class ClipCollator:
    """Pads a batch of clips to its longest with the processor's own padding.

    Args:
        processor: keypoint processor.
        num_labels: C, needed for mixing.
        mixup_alpha: parameter of :func:`.mixing.mix`; 0 leaves clips as they are. Only clips with a ``draw`` are mixed.
    """

    processor: SequenceFeatureExtractor
    num_labels: int = 0
    mixup_alpha: float = 0.0

    def __call__(self, clips: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        values = [clip["input_values"] for clip in clips]
        labels: Any = [clip["labels"] for clip in clips if "labels" in clip]
        if self.mixup_alpha and "draw" in clips[0]:
            values, labels = mix(values, labels, self.num_labels, self.mixup_alpha, [clip["draw"] for clip in clips])
        batch = self.processor.pad(
            {"input_values": values, "attention_mask": [np.ones(len(value), np.int64) for value in values]},
            return_tensors="pt",
        )
        return {**batch, "labels": torch.as_tensor(labels)} if len(labels) else dict(batch)


def digest(rows: Dataset) -> str:
    """Hash of what is trained on: ids, labels, glosses and texts, frame rates and landmarks of all rows, in their order."""
    found = hashlib.blake2b(digest_size=16)
    for row in MappedRows(rows, ["id", "label", "fps", "landmarks", "glosses", "text"]):
        facts = [row["id"], row.get("label"), str(row.get("fps"))]
        landmarks = None
        if "landmarks" in row:
            landmarks = np.ascontiguousarray(row["landmarks"], np.float32)
            facts.append(landmarks.shape)
        facts += [row[name] for name in ("glosses", "text") if name in row]
        found.update(repr(facts).encode())
        if landmarks is not None:
            found.update(landmarks.tobytes())
    return found.hexdigest()
