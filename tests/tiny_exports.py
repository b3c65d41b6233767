"""A tiny model of every family with its processor, each saved and exported once a run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tiny_detector import save_tiny_detector
from tiny_model import LABELS
from tiny_translation import save_tiny_composite, save_tiny_recognizer, save_tiny_translator

from signlang_hf import SignKeypointProcessor
from signlang_hf.models.keypoint import (
    SignBiLSTMConfig,
    SignBiLSTMForSignClassification,
    SignConvConfig,
    SignConvForSignClassification,
    SignHybridConfig,
    SignHybridForSignClassification,
    SignTransformerConfig,
    SignTransformerForSignClassification,
)
from signlang_hf.models.translator import (
    SignTranslatorConfig,
    SignTranslatorEnsembleForConditionalGeneration,
    SignTranslatorForConditionalGeneration,
    SignTranslatorProcessor,
)

_SMALL = {"hidden_size": 16, "num_attention_heads": 2, "embedding_size": 8, "num_hidden_layers": 1}
_RECURRENT = {**_SMALL, "num_hidden_layers": 2}
KEYPOINT: dict[str, tuple[type, type, dict[str, Any]]] = {
    "transformer": (SignTransformerConfig, SignTransformerForSignClassification, _SMALL),
    "bilstm": (SignBiLSTMConfig, SignBiLSTMForSignClassification, _RECURRENT),
    "zoneout": (SignBiLSTMConfig, SignBiLSTMForSignClassification, {**_SMALL, "zoneout": 0.2}),
    "hybrid": (SignHybridConfig, SignHybridForSignClassification, {**_SMALL, "lstm_units": 6, "fusion_size": 20}),
    "conv": (
        SignConvConfig,
        SignConvForSignClassification,
        {**_SMALL, "num_convolutions": 2, "kernel_size": 5},
    ),
}
CLIPS = (*KEYPOINT, "ctc", "ctc-causal")
"""Those that are one graph over clips."""


def keypoint(name: str, folder: Path, seed: int = 0, **settings: Any) -> Path:
    """A classifier whose clips get clearly different scores."""
    config_class, model_class, sizes = KEYPOINT[name]
    processor = SignKeypointProcessor(**{"layout": "isl-48", **settings})
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {label: place for place, label in enumerate(LABELS)}}
    torch.manual_seed(seed)
    model = model_class(config_class(input_size=processor.feature_size, **sizes, **names)).eval()
    with torch.no_grad():
        model.classifier.weight.mul_(8.0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def translator(folder: Path, seed: int = 1, **settings: Any) -> Path:
    """A translator of another build than ``save_tiny_translator``'s, with the same processor."""
    save_tiny_translator(folder)
    processor = SignTranslatorProcessor.from_pretrained(folder)
    torch.manual_seed(seed)
    config = SignTranslatorConfig(
        source_vocab_size=len(processor.source_vocabulary), vocab_size=processor.target_vocabulary_size,
        embedding_size=8, hidden_size=8, **settings,
    )  # fmt: skip
    model = SignTranslatorForConditionalGeneration(config).eval()
    with torch.no_grad():
        model.lm_head.bias[:2] -= 50.0
    model.generation_config.max_new_tokens = 12
    model.save_pretrained(folder)
    return folder


def translator_ensemble(folder: Path) -> Path:
    """Three translators of different builds that write together."""
    folders = [
        translator(folder / "deep", 1, num_hidden_layers=2),
        translator(folder / "unfed", 2, input_feeding=False),
        save_tiny_translator(folder / "plain"),
    ]
    members = [SignTranslatorForConditionalGeneration.from_pretrained(one) for one in folders]
    whole = folder / "whole"
    model = SignTranslatorEnsembleForConditionalGeneration.from_members(members)
    model.generation_config.max_new_tokens = 12
    model.save_pretrained(whole)
    SignTranslatorProcessor.from_pretrained(folders[0]).save_pretrained(whole)
    return whole


def ensemble(folder: Path, booster: bool = True) -> Path:
    """Two members that see a clip differently, and trees strong enough to change answers."""
    import numpy as np
    import xgboost

    from signlang_hf.models.ensemble import SignClassMeans, SignEnsembleForSignClassification, SignEnsembleProcessor

    settings = {
        "upper": {},
        "hands": {"layout": "hands-42", "normalization": "centroid", "target_fps": 10, "max_frames": 8},
    }
    folders = {name: keypoint("transformer", folder / f"of-{name}", **own) for name, own in settings.items()}
    members = {name: SignTransformerForSignClassification.from_pretrained(one) for name, one in folders.items()}
    processors = {name: SignKeypointProcessor.from_pretrained(one) for name, one in folders.items()}
    parts: dict[str, Any] = {}
    if booster:
        rng, classes = np.random.default_rng(0), len(LABELS)
        rows = xgboost.DMatrix(
            rng.normal(size=(400, 4 * classes)), rng.integers(0, classes, 400), base_margin=np.zeros((400, classes))
        )
        parts["booster"] = xgboost.train(
            {"objective": "multi:softprob", "num_class": classes, "eta": 0.5, "max_depth": 3}, rows, 6
        )
        generator = torch.Generator().manual_seed(0)
        embeddings = torch.randn(60, 8, generator=generator)
        parts["class_means"] = {
            name: SignClassMeans.measure(embeddings, torch.arange(60) % classes, classes) for name in members
        }
    whole = folder / "whole"
    SignEnsembleForSignClassification.from_members(members, weights=[0.7, 1.2], **parts).save_pretrained(whole)
    SignEnsembleProcessor(processors).save_pretrained(whole)
    return whole


def detector(folder: Path, hands: bool = True) -> Path:
    """A detector, and one of hands beside it."""
    save_tiny_detector(folder)
    if hands:
        save_tiny_detector(folder / "hands", layout="right-hand-21")
    return folder


def simcc(folder: Path) -> Path:
    from signlang_hf.models.detector import (
        SignDetectorConfig,
        SignDetectorForKeypointDetection,
        SignDetectorProcessor,
    )

    torch.manual_seed(0)
    processor = SignDetectorProcessor(image_size=64)
    config = SignDetectorConfig(keypoints=processor.keypoints, backbone="test_resnet", image_size=64, head="simcc")
    SignDetectorForKeypointDetection(config).eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def composite(folder: Path) -> Path:
    one, other = save_tiny_recognizer(folder / "one", temporal_stride=2), save_tiny_translator(folder / "other")
    return save_tiny_composite(folder / "whole", one, other)


BUILDERS: dict[str, Callable[[Path], Path]] = {
    **{name: functools.partial(keypoint, name) for name in KEYPOINT},
    "ctc": functools.partial(save_tiny_recognizer, temporal_stride=2),
    "ctc-causal": functools.partial(save_tiny_recognizer, causal=True),
    "translator": save_tiny_translator,
    "translator-deep": functools.partial(translator, num_hidden_layers=2, bidirectional=False),
    "translator-unfed": functools.partial(translator, input_feeding=False),
    "translator-ensemble": translator_ensemble,
    "ensemble": ensemble,
    "vote": functools.partial(ensemble, booster=False),
    "composite": composite,
    "detector": detector,
    "simcc": simcc,
}


class TinyExports:
    """Folders by the names of :data:`BUILDERS`; only to be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sources: dict[str, Path] = {}
        self._exports: dict[tuple[str, str], Path] = {}

    def source(self, name: str) -> Path:
        """Model in torch and processor."""
        if name not in self._sources:
            self._sources[name] = BUILDERS[name](self.folder / "sources" / name)
        return self._sources[name]

    def export(self, name: str, quantize: str | None = None, **settings: Any) -> Path:
        """The same in ONNX."""
        from signlang_hf.export import export_model

        key = (name, quantize or "float32")
        if key not in self._exports:
            out = self.folder / "exports" / "-".join(key)
            self._exports[key] = export_model(self.source(name), out, quantize=quantize, **settings).folder
        return self._exports[key]
