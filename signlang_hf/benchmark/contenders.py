"""What takes part in a benchmark: a model in torch or onnxruntime, as JSON says it, so that another process can open it too.

Design decisions:

* A contender makes its own made-up inputs, so nothing is timed but the network: no processor, no decoder. Where the time of a whole clip
  goes is asked by :mod:`.stages`.
* A translator's frames are glosses. It writes as many words, however soon it would stop: a search that ends early would look fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    AutoModelForKeypointDetection,
    AutoModelForSeq2SeqLM,
    AutoModelForVideoClassification,
)

from ..models.loading import is_export, loaded, weight_bytes
from .alternatives import ALTERNATIVES

TRANSLATORS = ("signlang_translator", "signlang_translator_ensemble")
_AUTO = {
    "signlang_ctc": AutoModelForCTC,
    "signlang_detector": AutoModelForKeypointDetection,
    **dict.fromkeys(TRANSLATORS, AutoModelForSeq2SeqLM),
}


class Shape(NamedTuple):
    """Clips at once, and frames of each; pictures have no frames (0)."""

    batch: int
    frames: int

    def __str__(self) -> str:
        return f"batch {self.batch}, {self.frames} frames" if self.frames else f"batch {self.batch}"


@dataclass(frozen=True)
class Contender:
    """Something to time, before it is opened.

    Args:
        version: what it is called: ``torch``, ``ort-int8``, or an alternative's name.
        folder: of a model or an export; empty for an alternative.
        device: of torch, or the provider of onnxruntime.
        compiled: through ``torch.compile``.
        settings: of an alternative: sizes that make it one for the same task.
    """

    version: str
    folder: str = ""
    device: str = "cpu"
    compiled: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def open(self) -> Opened:
        """Load it. Raises ValueError in one sentence where that fails."""
        if not self.folder:
            made = ALTERNATIVES[self.version](**self.settings)
            return Opened(made.run, made.parameters, 0)
        if is_export(self.folder):
            from ..export import load_ort_model
            from ..export.record import size_of

            model = load_ort_model(self.folder, provider=self.device)
            return Opened(_runner(model, torch.device("cpu")), None, size_of(Path(self.folder)))
        auto = _AUTO.get(AutoConfig.from_pretrained(self.folder).model_type, AutoModelForVideoClassification)
        model = loaded(self.folder, lambda: auto.from_pretrained(self.folder, dtype=torch.float32)).eval()
        size = weight_bytes(self.folder)
        count = sum(parameter.numel() for parameter in model.parameters())
        model = model.to(self.device)
        if self.compiled:
            model = torch.compile(model)
        return Opened(_runner(model, torch.device(self.device)), count, size)


@dataclass(frozen=True)
class Opened:
    """A contender that is loaded: ``run(shape)`` makes inputs of a shape and returns what runs on them; ``parameters`` (None where they
    are in a graph) and ``bytes`` of its files (0 where it has none)."""

    run: Callable[[Shape], Callable[[], Any]]
    parameters: int | None
    bytes: int


def _runner(model: Any, device: torch.device) -> Callable[[Shape], Callable[[], Any]]:
    def ready(shape: Shape) -> Callable[[], Any]:
        inputs = {name: value.to(device) for name, value in made_up(model.config, shape).items()}
        if model.config.model_type not in TRANSLATORS:
            return lambda: model(**inputs)
        words = {"min_new_tokens": shape.frames, "max_new_tokens": shape.frames, "num_beams": 1, "do_sample": False}
        return lambda: model.generate(**inputs, **words)

    return ready


def made_up(config: Any, shape: Shape) -> dict[str, torch.Tensor]:
    """Random inputs for a model of a configuration, all frames real."""
    random = torch.Generator().manual_seed(0)
    batch, frames = shape
    if config.model_type == "signlang_detector":
        return {"pixel_values": torch.rand(batch, 3, config.image_size, config.image_size, generator=random)}
    mask = torch.ones(batch, frames, dtype=torch.int64)
    if config.model_type in TRANSLATORS:
        ids = torch.randint(4, config.source_vocab_size, (batch, frames), generator=random)
        return {"input_ids": ids, "attention_mask": mask}
    values = torch.randn(batch, frames, config.input_size, generator=random)
    if config.model_type == "signlang_ensemble":
        values[..., -len(config.members) :] = 1.0  # which frames are each member's: all
    return {"input_values": values, "attention_mask": mask}


__all__ = ["TRANSLATORS", "Contender", "Opened", "Shape", "made_up"]
