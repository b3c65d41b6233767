"""Scores of a model on a landmark dataset: what ``signlang evaluate``, the recipes and the benchmarks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..landmarks.files import atomic_write
from ..landmarks.normalize import hand_lead, mirror
from ..metrics.sign_recognition.sign_recognition import sign_recognition
from ..pipelines.sides import mirror_image_wins
from .clips import ClipCollator, ClipDataset
from .reports import confusion_matrix, per_class_table

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, SequenceFeatureExtractor

    from ..landmarks import LandmarkSequence
    from .robustness import Disturbance


def label_names(rows: Dataset) -> list[str]:
    """Names of the dataset's classes. Raises ValueError when it has no ``label`` column of classes."""
    feature = rows.features.get("label")
    if feature is None or not hasattr(feature, "names"):
        raise ValueError(f"The dataset has no class column 'label'; it has {', '.join(rows.column_names)}.")
    return list(feature.names)


def label_positions(model: PreTrainedModel, names: Sequence[str]) -> np.ndarray:
    """Position of each of the dataset's classes in the model's output, matched by name.

    Raises:
        ValueError: the dataset has classes that the model cannot answer.
    """
    known = {str(name): int(index) for index, name in model.config.id2label.items()}
    unknown = [name for name in names if name not in known]
    if unknown:
        shown = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
        raise ValueError(
            f"The model does not know {len(unknown)} of the dataset's {len(names)} labels ({shown}); "
            "it was trained on other labels."
        )
    return np.array([known[name] for name in names])


def predict(
    model: PreTrainedModel,
    processor: SequenceFeatureExtractor,
    rows: Dataset,
    *,
    batch_size: int = 32,
    progress: bool = True,
    disturbance: Disturbance | None = None,
    mirror_margin: float | str | None = "model",
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, C) of every clip and true classes (N,), both in the model's order of labels.

    Args:
        model, processor: which belong together.
        rows: landmark dataset with ``label``.
        disturbance: what every clip suffers before the processor sees it, see :mod:`.robustness`.
        mirror_margin: a number reads the clips' mirror images as well, which count where they are so many logits better known
            (see :mod:`..pipelines.sides`); None reads the clips alone; "model" does as the model's configuration says.

    Raises:
        ValueError: the dataset and the model disagree about labels, or a clip cannot be featurised.
    """
    positions = label_positions(model, label_names(rows))

    def run(change: Disturbance | None) -> tuple[np.ndarray, np.ndarray]:
        clips = ClipDataset(rows, processor, change, labels=positions)
        return _run(model, ClipCollator(processor), clips, batch_size, progress)

    logits, labels = run(disturbance)
    if mirror_margin == "model":
        mirror_margin = getattr(model.config, "mirror_margin", None)
    if mirror_margin is None:
        return logits, labels
    leads: list[float] = []

    def turned(sequence: LandmarkSequence, rng: np.random.Generator) -> LandmarkSequence:
        sequence = sequence if disturbance is None else disturbance(sequence, rng)
        leads.append(hand_lead(sequence) or 0.0)
        return mirror(sequence)

    mirrored, _ = run(turned)
    wins = mirror_image_wins(logits, mirrored, np.array(leads), mirror_margin)
    return np.where(wins[:, None], mirrored, logits), labels


def predict_unknown(
    model: PreTrainedModel,
    processor: SequenceFeatureExtractor,
    rows: Dataset,
    *,
    batch_size: int = 32,
    progress: bool = True,
) -> np.ndarray:
    """Logits (N, C) of clips of other signs than the model's; a column ``label`` is passed over."""
    clips = ClipDataset(rows.select_columns([name for name in rows.column_names if name != "label"]), processor)
    return _run(model, ClipCollator(processor), clips, batch_size, progress)[0]


@torch.inference_mode()
def _run(
    model: PreTrainedModel, collate: ClipCollator, clips: ClipDataset, batch_size: int, progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    model.eval()
    loader: Any = torch.utils.data.DataLoader(clips, batch_size=batch_size, collate_fn=collate)
    logits, references = [], []
    for batch in tqdm(loader, desc="evaluating", unit="batch", disable=not progress, leave=False):
        if "labels" in batch:
            references.append(batch.pop("labels").numpy())
        logits.append(
            model(**{name: value.to(model.device) for name, value in batch.items()}).logits.float().cpu().numpy()
        )
    if not logits:
        raise ValueError("The split has no clips to evaluate.")
    return np.concatenate(logits), np.concatenate(references) if references else np.array([], np.int64)


@dataclass(frozen=True)
class Predictions:
    """What a model said about a split: everything that calibration, open-set scores and ensembles are compared by.

    Args:
        ids: (N,) names of the clips.
        logits: (N, C) float32.
        labels: (N,) true classes.
        names: (C,) names of the classes, in the order of the logits.
    """

    ids: np.ndarray
    logits: np.ndarray
    labels: np.ndarray
    names: np.ndarray

    def save(self, path: Path) -> Path:
        """Write to ``.npz``, whole or not at all."""
        atomic_write(path, lambda stream: np.savez_compressed(stream, **vars(self)))
        return path

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what :meth:`save` wrote. Raises FileNotFoundError, or ValueError for another file."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path} is missing; a training run with a test split writes it.")
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(**{field.name: stored[field.name] for field in fields(cls)})
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{path} holds no predictions: {error}") from None


def write_test(
    model: PreTrainedModel, processor: SequenceFeatureExtractor, test: Dataset, folder: Path
) -> tuple[dict[str, float], Predictions]:
    """Measure a trained model on its test split, and write ``predictions.npz``, ``confusion_matrix.png`` and
    ``per_class.csv`` into its folder.

    Returns:
        What :func:`~signlang_hf.metrics.sign_recognition.sign_recognition.sign_recognition` measures, and the predictions.

    Raises:
        ValueError: as :func:`predict`.
    """
    logits, labels = predict(model, processor, test)
    metrics = sign_recognition(logits, labels)
    names = [str(model.config.id2label[index]) for index in range(model.config.num_labels)]
    predictions = Predictions(np.array(list(test["id"])), logits, labels, np.array(names))
    predictions.save(folder / "predictions.npz")
    predicted = logits.argmax(axis=1)
    title = f"top-1 {100 * metrics['accuracy']:.1f} %"
    confusion_matrix(predicted, labels, names, folder / "confusion_matrix.png", title=title)
    per_class_table(predicted, labels, names, folder / "per_class.csv")
    return metrics, predictions
