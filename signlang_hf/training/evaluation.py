"""Scores of a model on a landmark dataset: what ``signlang evaluate``, the recipes and the benchmarks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .clips import ClipCollator, ClipDataset

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, SequenceFeatureExtractor


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


@torch.inference_mode()
def predict(
    model: PreTrainedModel,
    processor: SequenceFeatureExtractor,
    rows: Dataset,
    *,
    batch_size: int = 32,
    progress: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, C) of every clip and true classes (N,), both in the model's order of labels.

    Raises:
        ValueError: the dataset and the model disagree about labels, or a clip cannot be featurised.
    """
    positions = label_positions(model, label_names(rows))
    model.eval()
    loader: Any = torch.utils.data.DataLoader(
        ClipDataset(rows, processor, labels=positions), batch_size=batch_size, collate_fn=ClipCollator(processor)
    )
    logits, references = [], []
    for batch in tqdm(loader, desc="evaluating", unit="batch", disable=not progress, leave=False):
        references.append(batch.pop("labels").numpy())
        logits.append(
            model(**{name: value.to(model.device) for name, value in batch.items()}).logits.float().cpu().numpy()
        )
    if not logits:
        raise ValueError("The split has no clips to evaluate.")
    return np.concatenate(logits), np.concatenate(references)
