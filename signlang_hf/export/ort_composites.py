"""Composites whose members run in onnxruntime: the ensemble, and recogniser with translator.

Design decisions:

* What a composite does with its members' answers is a few small products; it is done by the very code that does it for members of
  torch, which are only replaced. So both cannot drift apart.
* A composite saves itself as the copy of its folder.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig

from ..models.ensemble import SignClassMeans, SignEnsembleForSignClassification
from ..models.ensemble.modeling_ensemble import BOOSTER as TREES
from ..models.ensemble.modeling_ensemble import WEIGHTS, load_booster
from ..models.translation import SignTranslationConfig, SignTranslationModel
from .ort_models import (
    HUB_ARGUMENTS,
    ORTModelForSignClassification,
    ORTModelForSignCTC,
    checked_config,
    checked_record,
    exported_folder,
)
from .ort_translator import ORTModelForSignTranslator
from .providers import open_session
from .record import BOOSTER, ExportRecord


class _Member(nn.Module):
    """A model of onnxruntime where a module is asked for."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.model(*inputs)


class _Composite:
    """What both have in common."""

    record: ExportRecord

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """A copy of the folder."""
        if Path(save_directory).resolve() != Path(self.name_or_path).resolve():
            shutil.copytree(self.name_or_path, save_directory, dirs_exist_ok=True)


def _session(settings: dict[str, Any]) -> dict[str, Any]:
    names = ("provider", "num_threads", "session_options", "engine_cache")
    return {name: settings[name] for name in names if name in settings}


class ORTModelForSignEnsemble(_Composite, SignEnsembleForSignClassification):
    """An exported ensemble; ``ORTModelForSignClassification.from_pretrained`` opens it too."""

    _auto_class = None

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, model_id: str | os.PathLike[str], *, precision: str | None = None, **settings: Any
    ) -> ORTModelForSignEnsemble:
        """As :meth:`ORTModelForSignClassification.from_pretrained`."""
        where = {name: settings.pop(name) for name in HUB_ARGUMENTS if settings.get(name) is not None}
        folder = exported_folder(model_id, **where)
        return cls.open(folder, checked_record(folder, precision), _session(settings))

    @classmethod
    def open(cls, folder: str, record: ExportRecord, session: dict[str, Any]) -> ORTModelForSignEnsemble:
        """The ensemble of a folder whose record is read."""
        config = checked_config(folder, ("signlang_ensemble",), cls.__name__)
        members = {
            name: _Member(ORTModelForSignClassification.from_pretrained(Path(folder, config.folder(name)), **session))
            for name in config.members
        }
        model = cls(config, members).eval()
        model.record, model.trees = record, None
        if config.booster:
            tensors = load_file(Path(folder, WEIGHTS))
            model.class_means = nn.ModuleList(
                SignClassMeans(tensors[f"{place}.mean"], tensors[f"{place}.directions"])
                for place in range(len(config.members))
            )
            if BOOSTER in record.files:
                model.trees = model.booster = open_session(
                    Path(folder, BOOSTER), num_threads=session.get("num_threads")
                )
            else:
                model.booster = load_booster(str(Path(folder, TREES)))
        return model

    @property
    def device(self) -> torch.device:
        return self.members[0].model.device

    def _correction(self, features: torch.Tensor) -> torch.Tensor:
        if self.trees is None:
            return super()._correction(features)
        (margins,) = self.trees.run(None, {"features": features.numpy(force=True)})
        return torch.from_numpy(margins).to(features.device)


class ORTModelForSignTranslation(_Composite, SignTranslationModel):
    """An exported pair of recogniser and translator; see :func:`.loading.load_ort_translation` for two single ones."""

    _auto_class = None

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, model_id: str | os.PathLike[str], *, precision: str | None = None, **settings: Any
    ) -> ORTModelForSignTranslation:
        """As :meth:`ORTModelForSignCTC.from_pretrained`, for both members."""
        where = {name: settings.pop(name) for name in HUB_ARGUMENTS if settings.get(name) is not None}
        folder = exported_folder(model_id, **where)
        record, session = checked_record(folder, precision), _session(settings)
        config = checked_config(folder, ("signlang_translation",), cls.__name__)
        recognizer = ORTModelForSignCTC.from_pretrained(Path(folder, config.folder("recognizer")), **session)
        translator = ORTModelForSignTranslator.from_pretrained(Path(folder, config.folder("translator")), **session)
        model = cls(config, recognizer, translator).eval()
        model.record = record
        return model

    @property
    def device(self) -> torch.device:
        return self.recognizer.device


def paired(recognizer: Any, translator: Any, gloss_tokens: list[list[int]], blank: int) -> ORTModelForSignTranslation:
    """Two models, whatever they run in, as one; ``gloss_tokens`` as :class:`SignTranslationConfig` wants them."""
    plain = [AutoConfig.from_pretrained(one.name_or_path).to_dict() for one in (recognizer, translator)]
    config = SignTranslationConfig(
        recognizer=plain[0], translator=plain[1], gloss_tokens=gloss_tokens, blank_token_id=blank
    )
    return ORTModelForSignTranslation(config, recognizer, translator).eval()


__all__ = ["ORTModelForSignEnsemble", "ORTModelForSignTranslation", "paired"]
