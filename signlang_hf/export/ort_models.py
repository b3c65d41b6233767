"""Models that run in onnxruntime and answer like those of torch: they go wherever a pipeline takes a model.

Design decisions:

* They are Optimum's ``ORTModel``, but load by our own rules: a folder says what it is (``onnx_export.json``), nothing is exported
  behind a user's back, and a graph that lies in a sub-folder is never taken for the model itself.
* Names are ours (``ORTModelForSign…``), so that none hides one of Optimum's.
* The graph, the configuration and the processor of a folder are compared when it is opened, not at the first clip.
* What only torch can do (losses, gradients, streams) ends in a sentence.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from huggingface_hub import snapshot_download
from optimum.onnxruntime import ORTModel
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    AutoModelForKeypointDetection,
    AutoModelForVideoClassification,
    PretrainedConfig,
)

from ..models.ctc.modeling_ctc import SignCTCOutput
from ..models.detector import HandDetector, SignDetectorOutput, SignDetectorProcessor
from ..models.detector.processing_hands import FOLDER as HANDS
from ..models.keypoint import SignClassifierOutput
from ..models.loading import processor_settings
from .providers import open_session
from .record import MODEL, ExportRecord

_KEYPOINT = ("signlang_transformer", "signlang_bilstm", "signlang_hybrid", "signlang_conv")
_HUB_FILES = ["*.json", "*.onnx", "*.safetensors", "*.ubj", "*.arpa"]
HUB_ARGUMENTS = ("revision", "cache_dir", "token", "force_download", "local_files_only")


def exported_folder(model: str | os.PathLike[str], **where: Any) -> str:
    """The folder of an export: the one given, or that of a Hub repository, whose files are downloaded or in the cache."""
    folder = os.fspath(model)
    return folder if os.path.isdir(folder) else snapshot_download(folder, allow_patterns=_HUB_FILES, **where)


def checked_record(folder: str, precision: str | None) -> ExportRecord:
    """What a folder says of itself.

    Raises:
        FileNotFoundError: it is no export.
        ValueError: it holds another precision than the one that was asked for.
    """
    record = ExportRecord.load(folder)
    if precision not in (None, record.precision):
        raise ValueError(
            f"{folder} holds the model in {record.precision}, not in {precision}; export it again for that, or leave precision out."
        )
    return record


def checked_config(folder: str, model_types: tuple[str, ...], name: str) -> PretrainedConfig:
    """Its configuration. Raises ValueError for a model of another kind."""
    config = AutoConfig.from_pretrained(folder)
    if config.model_type not in model_types:
        raise ValueError(f"{folder} holds a {config.model_type}; {name} runs {', '.join(model_types)}.")
    return config


class SignORTModel(ORTModel):
    """Base: a folder with one graph.

    ``from_pretrained`` takes a folder that ``signlang export`` wrote, or its Hub id.
    """

    model_types: ClassVar[tuple[str, ...]] = ()
    output_class: ClassVar[type]
    main_input_name = "input_values"
    training = False
    record: ExportRecord | None = None

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        model_id: str | os.PathLike[str],
        *,
        provider: str = "cpu",
        precision: str | None = None,
        num_threads: int | None = None,
        session_options: Any = None,
        engine_cache: str | os.PathLike[str] | None = None,
        subfolder: str = "",
        **kwargs: Any,
    ) -> Any:
        """Open an exported model.

        Args:
            model_id: folder or Hub id.
            provider: ``cpu``, ``cuda``, ``tensorrt``, ``directml``, ``coreml`` or ``auto``.
            precision: ``float32``, ``float16`` or ``int8``, to be sure of what is opened; default whatever is there.
            num_threads, session_options, engine_cache: as for :func:`.providers.open_session`.
            subfolder: of a member.
            **kwargs: ``revision``, ``cache_dir``, ``token`` … of the Hub.

        Raises:
            FileNotFoundError: no export is there, or it is not complete.
            ValueError: another kind of model, another precision, a provider that does not run here, or a graph that does not go with
                the configuration or the processor beside it.
        """
        where = {name: kwargs.pop(name) for name in HUB_ARGUMENTS if kwargs.get(name) is not None}
        folder = os.path.join(exported_folder(model_id, **where), subfolder).rstrip("/")
        record = checked_record(folder, precision)
        session = {
            "provider": provider, "num_threads": num_threads, "session_options": session_options, "engine_cache": engine_cache,
        }  # fmt: skip
        return cls._open(folder, record, session)

    @classmethod
    def _open(cls, folder: str, record: ExportRecord, session: dict[str, Any]) -> Any:
        config = checked_config(folder, cls.model_types, cls.__name__)
        opened = open_session(Path(folder, MODEL), half=record.precision == "float16", **session)
        model = cls(config=config, session=opened, use_io_binding=False)
        model.record, model.session_settings = record, session
        model._check_graph(folder)
        return model

    @property
    def name_or_path(self) -> str:
        """The folder, in which pipelines look for what lies beside a model."""
        return str(self.model_save_dir)

    def eval(self) -> SignORTModel:
        """Itself: it never trains."""
        return self

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Configuration, graph and record; the processor saves itself."""
        super().save_pretrained(save_directory, *args, **kwargs)
        if self.record is not None:
            self.record.save(Path(save_directory))

    def _check_graph(self, folder: str) -> None:
        """Raise ValueError where the graph takes other inputs than the configuration or the processor says."""
        width = self.input_shapes[self.main_input_name][-1]
        settings = processor_settings(folder)
        made = (settings or {}).get(self._size_of_processor)
        for what, size in (("configuration", self._size_of(self.config)), ("processor", made)):
            if size is not None and size != width:
                raise ValueError(
                    f"{MODEL} in {folder} takes {self._unit.format(width)} and the {what} beside it says {size}; "
                    "they were not exported together."
                )

    _size_of_processor = "feature_size"
    _unit = "{} features a frame"

    @staticmethod
    def _size_of(config: PretrainedConfig) -> int:
        return config.input_size

    def _run(self, inputs: dict[str, torch.Tensor | np.ndarray]) -> Any:
        """The graph's answer as the family's ``ModelOutput``, tensors for tensors and arrays for arrays."""
        use_torch = isinstance(inputs[self.main_input_name], torch.Tensor)
        answers = self.session.run(None, self._prepare_onnx_inputs(use_torch, inputs))
        return self.output_class(**self._prepare_onnx_outputs(use_torch, answers))


class _ClipModel(SignORTModel):
    """Base of those that read features over time."""

    def forward(self, input_values: Any, attention_mask: Any = None, labels: Any = None, **kwargs: Any) -> Any:
        """
        Args:
            input_values: (B, T, F) features, as the processor makes them; tensor or array.
            attention_mask: (B, T), 1 for real frames and 0 for padding after them; default all real.
            **kwargs: what torch's models give on request (hidden states, attentions) and a graph does not have; not looked at.

        Raises:
            ValueError: features of another length, no frame, or labels, which need a model of torch.
        """
        if labels is not None:
            raise ValueError(
                f"{type(self).__name__} computes no loss; train and measure losses with the model of torch."
            )
        size = self.config.input_size
        if len(input_values.shape) != 3 or input_values.shape[-1] != size or 0 in input_values.shape:
            raise ValueError(
                f"The model takes {size} features a frame, (B, T, F), and got {tuple(input_values.shape)}; "
                "use the processor that was exported with it."
            )
        if attention_mask is None:
            make = torch.ones if isinstance(input_values, torch.Tensor) else np.ones
            attention_mask = make(tuple(input_values.shape[:2]))
        return self._run({"input_values": input_values, "attention_mask": attention_mask})


class ORTModelForSignClassification(_ClipModel):
    """Isolated signs: the keypoint families, or an ensemble of them. Output: ``logits``, ``embedding`` and ``pooling_weights``."""

    model_types = _KEYPOINT
    output_class = SignClassifierOutput
    auto_model_class = AutoModelForVideoClassification

    @classmethod
    def _open(cls, folder: str, record: ExportRecord, session: dict[str, Any]) -> Any:
        if cls is ORTModelForSignClassification and record.members:
            from .ort_composites import ORTModelForSignEnsemble  # which has members of this class

            return ORTModelForSignEnsemble.open(folder, record, session)
        return super()._open(folder, record, session)


class ORTModelForSignCTC(_ClipModel):
    """Continuous recognition. Output: ``logits`` (log-probabilities, the blank on padding) and ``logit_lengths``."""

    model_types = ("signlang_ctc",)
    output_class = SignCTCOutput
    auto_model_class = AutoModelForCTC

    def step(self, *_: Any, **__: Any) -> Any:
        """Not there: a graph remembers nothing between pieces."""
        raise ValueError("A model exported to ONNX reads whole clips; a live stream needs the model of torch.")


class ORTModelForSignKeypoints(SignORTModel):
    """Keypoint detection. Output: ``heatmaps``, or ``simcc_x`` and ``simcc_y``."""

    model_types = ("signlang_detector",)
    output_class = SignDetectorOutput
    auto_model_class = AutoModelForKeypointDetection
    main_input_name = "pixel_values"
    _size_of_processor = "image_size"
    _unit = "pictures of {} pixels"

    @staticmethod
    def _size_of(config: PretrainedConfig) -> int:
        return config.image_size

    def forward(self, pixel_values: Any, labels: Any = None, crops: Any = None, **kwargs: Any) -> SignDetectorOutput:
        """
        Args:
            pixel_values: (N, 3, S, S) RGB in [0, 1], as the processor makes them; tensor or array.
            crops: not looked at; the processor's output can be handed over whole.

        Raises:
            ValueError: pictures of another shape, or labels, which need a model of torch.
        """
        if labels is not None:
            raise ValueError(
                f"{type(self).__name__} computes no loss; train and measure losses with the model of torch."
            )
        size = self.config.image_size
        if tuple(pixel_values.shape[1:]) != (3, size, size) or len(pixel_values) == 0:
            raise ValueError(f"The model takes pictures (N, 3, {size}, {size}) and got {tuple(pixel_values.shape)}.")
        return self._run({"pixel_values": pixel_values})

    def hand_detector(self, layout: str) -> HandDetector | None:
        """The detector of hands in the folder ``hands`` beside it, in onnxruntime too; None where there is none."""
        folder = Path(self.name_or_path, HANDS)
        if not (folder / "config.json").is_file():
            return None
        model = type(self)._open(str(folder), ExportRecord.load(folder), self.session_settings)
        return HandDetector(model, SignDetectorProcessor.from_pretrained(folder), layout)


__all__ = ["ORTModelForSignCTC", "ORTModelForSignClassification", "ORTModelForSignKeypoints", "SignORTModel"]
