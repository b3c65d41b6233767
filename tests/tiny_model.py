"""A tiny sign recogniser with random weights, and clips for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signlang_hf import (
    LandmarkSequence,
    SignKeypointProcessor,
    SignTransformerConfig,
    SignTransformerForSignClassification,
)
from signlang_hf.landmarks import get_layout

LABELS = ("doctor", "hello", "thanks", "today", "tomorrow", "yes")


def tiny_model(input_size: int, labels: tuple[str, ...] = LABELS) -> SignTransformerForSignClassification:
    """Weights are large, so that clips get clearly different scores."""
    torch.manual_seed(0)
    config = SignTransformerConfig(
        input_size=input_size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, embedding_size=16,
        initializer_range=0.4, id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)},
    )  # fmt: skip
    return SignTransformerForSignClassification(config).eval()


def save_tiny_model(folder: Path, labels: tuple[str, ...] = LABELS, **settings: Any) -> Path:
    """A model folder: model and processor, made for each other."""
    processor = SignKeypointProcessor(**settings)
    tiny_model(processor.feature_size, labels).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def bundle_tiny_model(folder: Path, **facts: Any) -> Path:
    """A tiny model as one that comes with the package: its files, a card that says ``facts``, and no code."""
    from signlang_hf.hub import CardInfo, save_model_card

    save_tiny_model(folder, layout="isl-48")
    for path in folder.glob("*.py"):
        path.unlink()
    for path in folder.glob("*.json"):
        settings = json.loads(path.read_text())
        settings.pop("auto_map", None)
        path.write_text(json.dumps(settings))
    save_model_card(folder, CardInfo.from_folder(folder, **facts))
    return folder


def tiny_clip(frames: int = 20, seed: int = 0, layout: str = "isl-48", fps: float = 25.0) -> LandmarkSequence:
    """Random landmarks of a 16:9 clip."""
    data = np.random.default_rng(seed).random((frames, len(get_layout(layout)), 3), np.float32)
    return LandmarkSequence(data, layout, fps=fps, size=(640, 360))


def same_result(one: list[dict[str, Any]], other: list[dict[str, Any]], atol: float = 1e-5) -> None:
    """Assert that two results of the pipeline have the same labels in the same order, and the same scores."""
    assert [row["label"] for row in one] == [row["label"] for row in other]
    np.testing.assert_allclose([row["score"] for row in one], [row["score"] for row in other], atol=atol)
