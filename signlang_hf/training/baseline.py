"""Baselines: what simple methods are worth on the very same splits.

:class:`NearestNeighbour` looks up the most similar training clip and needs nothing but landmarks. The others see what the models
see, clips of features as :class:`~.clips.ClipDataset` gives them, and are all used alike:
``Baseline(num_labels).fit(train_clips).scores(test_clips)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from ..landmarks import LandmarkSequence
from ..landmarks.normalize import hand_shape, normalize, normalize_side, resample
from ..landmarks.rows import to_sequence
from ..models.ensemble.modeling_ensemble import import_xgboost

_MOMENTS = 8
_QUARTERS = 4

Clips = Iterable[Mapping[str, Any]]
"""Clips of ``input_values`` (T, F), and ``labels`` to learn from."""


def describe(sequence: LandmarkSequence) -> np.ndarray:
    """(D,) descriptor of a clip, 0 where nothing was seen.

    Layouts with hands: both hands about their wrists at the middle of the clip, signing hand on the right. Other layouts:
    normalised positions at eight evenly spaced moments.
    """
    parts = sequence.spec.parts
    if "left_hand" in parts and "right_hand" in parts:
        shape = hand_shape(resample(normalize_side(sequence), num_frames=1))
    else:
        shape = resample(normalize(sequence, "centroid"), num_frames=_MOMENTS).data
    return np.nan_to_num(shape).ravel()


class NearestNeighbour:
    """1-NN under the Euclidean distance of :func:`describe`, with a score for every class."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], num_labels: int) -> None:
        self.num_labels = num_labels
        described = [(describe(to_sequence(row)), int(row["label"])) for row in rows]  # one pass: rows may be on disk
        self.descriptors = np.stack([descriptor for descriptor, _ in described])
        self.labels = np.array([label for _, label in described])

    def scores(self, rows: Iterable[Mapping[str, Any]]) -> np.ndarray:
        """(N, num_labels): minus the distance to the nearest training clip of each class, -inf for a class without any."""
        queries = np.stack([describe(to_sequence(row)) for row in rows])
        squared = (queries**2).sum(1)[:, None] - 2 * queries @ self.descriptors.T + (self.descriptors**2).sum(1)
        distances = np.sqrt(np.maximum(squared, 0))
        scores = np.full((len(queries), self.num_labels), -np.inf)
        for label in np.unique(self.labels):
            scores[:, label] = -distances[:, self.labels == label].min(axis=1)
        return scores


def pool(values: np.ndarray) -> np.ndarray:
    """(T, F) → (16 · F,): mean, standard deviation, smallest and largest value of each feature in each quarter of the clip."""
    edges = np.linspace(0, len(values), _QUARTERS + 1)
    # A clip of fewer frames than quarters shows some of them twice.
    quarters = [values[int(low) : max(int(low) + 1, int(high))] for low, high in pairwise(edges)]
    return np.concatenate([measure(part, axis=0) for part in quarters for measure in (np.mean, np.std, np.min, np.max)])


def _arrays(clips: Clips) -> tuple[list[np.ndarray], np.ndarray]:
    values, labels = [], []
    for clip in clips:
        values.append(np.asarray(clip["input_values"], np.float32))
        labels.append(int(clip.get("labels", -1)))
    if not values:
        raise ValueError("There is no clip.")
    return values, np.array(labels)


class ExtraTreesBaseline:
    """Extremely randomised trees (Geurts et al. 2006) over :func:`pool`."""

    def __init__(self, num_labels: int, seed: int = 0, num_trees: int = 500) -> None:
        try:
            from sklearn.ensemble import ExtraTreesClassifier
        except ImportError:
            raise ImportError('This baseline needs scikit-learn: pip install "signlang-hf[train]"') from None
        self.num_labels = num_labels
        self.trees = ExtraTreesClassifier(num_trees, random_state=seed, n_jobs=-1)

    def fit(self, clips: Clips) -> ExtraTreesBaseline:
        values, labels = _arrays(clips)
        self.trees.fit(np.stack([pool(one) for one in values]), labels)
        return self

    def scores(self, clips: Clips) -> np.ndarray:
        """(N, num_labels): probability of every class."""
        found = self.trees.predict_proba(np.stack([pool(one) for one in _arrays(clips)[0]]))
        scores = np.zeros((len(found), self.num_labels))
        scores[:, self.trees.classes_] = found
        return scores


class BoosterBaseline:
    """XGBoost over :func:`pool`, with the larger step that it needs where it learns signs by itself. One tree sees a tenth of
    the features, which costs a tenth of the time and no accuracy."""

    def __init__(self, num_labels: int, seed: int = 0, num_trees: int = 100) -> None:
        self.xgboost = import_xgboost()
        self.num_trees = num_trees
        self.parameters = {
            "objective": "multi:softprob", "num_class": num_labels, "tree_method": "hist", "eta": 0.15, "max_depth": 4,
            "max_bin": 64, "subsample": 0.8, "colsample_bytree": 0.1, "seed": seed, "device": "cuda" if torch.cuda.is_available() else "cpu",
        }  # fmt: skip

    def fit(self, clips: Clips) -> BoosterBaseline:
        values, labels = _arrays(clips)
        rows = self.xgboost.DMatrix(np.stack([pool(one) for one in values]), label=labels)
        self.booster = self.xgboost.train(self.parameters, rows, self.num_trees)
        return self

    def scores(self, clips: Clips) -> np.ndarray:
        """(N, num_labels): probability of every class."""
        return self.booster.predict(self.xgboost.DMatrix(np.stack([pool(one) for one in _arrays(clips)[0]])))


class LSTMBaseline(nn.Module):
    """What one writes first: a bidirectional ``torch.nn.LSTM``, the mean over real frames, a linear layer; Adam and nothing else."""

    def __init__(self, num_labels: int, seed: int = 0, hidden_size: int = 128, epochs: int = 40) -> None:
        super().__init__()
        self.num_labels, self.seed, self.hidden_size, self.epochs = num_labels, seed, hidden_size, epochs

    def forward(self, values: list[torch.Tensor]) -> torch.Tensor:
        packed, _ = self.lstm(pack_sequence(values, enforce_sorted=False).to(self.head.weight.device))
        hidden, lengths = pad_packed_sequence(packed, batch_first=True)
        return self.head(hidden.sum(1) / lengths[:, None].to(hidden.device))

    def fit(self, clips: Clips) -> LSTMBaseline:
        values, labels = _arrays(clips)
        torch.manual_seed(self.seed)
        self.lstm = nn.LSTM(values[0].shape[1], self.hidden_size, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * self.hidden_size, self.num_labels)
        self.to("cuda" if torch.cuda.is_available() else "cpu").train()
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
        for _ in range(self.epochs):
            for batch in torch.randperm(len(values)).split(32):
                logits = self([torch.from_numpy(values[index]) for index in batch])
                loss = F.cross_entropy(logits, torch.from_numpy(labels)[batch].to(logits.device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return self

    @torch.inference_mode()
    def scores(self, clips: Clips) -> np.ndarray:
        """(N, num_labels): logits."""
        values = [torch.from_numpy(one) for one in _arrays(clips)[0]]
        return torch.cat([self.eval()(values[start : start + 64]) for start in range(0, len(values), 64)]).cpu().numpy()


__all__ = ["BoosterBaseline", "ExtraTreesBaseline", "LSTMBaseline", "NearestNeighbour", "describe", "pool"]
