"""What a video language model answers about labelled clips: probabilities of its labels, and what they are worth."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..metrics.gloss_accuracy.gloss_accuracy import gloss_accuracy
from ..metrics.sign_recognition.sign_recognition import sign_recognition
from ..models.internvl import SignInternVLForConditionalGeneration, SignInternVLProcessor
from ..video import VideoWarning

if TYPE_CHECKING:
    from datasets import Dataset


@torch.inference_mode()
def label_probabilities(
    model: SignInternVLForConditionalGeneration,
    processor: SignInternVLProcessor,
    rows: Dataset,
    *,
    batch_size: int = 1,
    progress: bool = True,
) -> np.ndarray:
    """(N, C) float32 probability of each of the model's labels for each row's ``video_path``, by its own temperature."""
    model.eval()
    labels = processor.label_ids(model.config.labels)
    clips = rows.select_columns([name for name in ("video_path", "prompt") if name in rows.column_names])
    found = []
    for start in tqdm(
        range(0, len(clips), batch_size), desc="recognising", unit="batch", disable=not progress, leave=False
    ):
        part = list(clips.select(range(start, min(start + batch_size, len(clips)))))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VideoWarning)
            batch = processor(part, [row.get("prompt") or processor.prompt for row in part])
        batch = {name: value.to(model.device) for name, value in batch.items()}
        logits = model.score_labels(label_ids=labels, **batch).logits / model.config.logit_temperature
        found.append(logits.softmax(-1).cpu().numpy())
    return np.concatenate(found)


def gloss_scores(
    probabilities: np.ndarray, rows: Dataset, model: SignInternVLForConditionalGeneration, **options: Any
) -> dict[str, Any]:
    """Accuracy, strict and with synonyms, of the likeliest labels; top-5 and macro-F1 where all the rows' glosses are labels.

    Args:
        probabilities: (N, C), as :func:`label_probabilities` gives them.
        rows: the N clips with their ``gloss``.
        model: whose labels they are.
        options: of the metrics, such as ``num_resamples``.
    """
    labels, glosses = model.config.labels, list(rows["gloss"])
    result = gloss_accuracy([labels[best] for best in probabilities.argmax(1)], glosses, **options)
    result["outside_count"] = sum(gloss not in model.config.label2id for gloss in glosses)
    if not result["outside_count"]:
        classes = np.array([model.config.label2id[gloss] for gloss in glosses])
        result = {**sign_recognition(probabilities, classes, **options), **result}
    else:
        result["top5_accuracy"] = float(
            np.mean([gloss in _best(labels, row) for gloss, row in zip(glosses, probabilities)])
        )
    return result


def _best(labels: Sequence[str], probabilities: np.ndarray, k: int = 5) -> list[str]:
    return [labels[index] for index in np.argsort(-probabilities, kind="stable")[:k]]


__all__ = ["gloss_scores", "label_probabilities"]
