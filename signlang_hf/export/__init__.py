"""Models for other runtimes: in ONNX through Optimum, run in onnxruntime, also with fewer bits; and in TFLite for phones.

What is of ONNX needs Optimum and with it transformers 4.57; elsewhere asking for it ends in one sentence
(:func:`signlang_hf.compat.require_optimum`). What is of TFLite needs neither, so names are looked up when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..compat import require_optimum

if TYPE_CHECKING:
    from .exporting import ExportReport, export_all, export_model
    from .loading import load_ort_model, load_ort_pipeline, load_ort_translation
    from .ort_composites import ORTModelForSignEnsemble, ORTModelForSignTranslation
    from .ort_models import ORTModelForSignClassification, ORTModelForSignCTC, ORTModelForSignKeypoints
    from .ort_translator import ORTModelForSignTranslator
    from .providers import available_providers, ran_on
    from .record import ExportRecord
    from .tflite import TFLiteReport, export_all_tflite, export_tflite
    from .tflite_record import TFLiteRecord

_ONNX = {
    "exporting": ("ExportReport", "export_all", "export_model"),
    "loading": ("load_ort_model", "load_ort_pipeline", "load_ort_translation"),
    "ort_composites": ("ORTModelForSignEnsemble", "ORTModelForSignTranslation"),
    "ort_models": ("ORTModelForSignCTC", "ORTModelForSignClassification", "ORTModelForSignKeypoints"),
    "ort_translator": ("ORTModelForSignTranslator",),
    "providers": ("available_providers", "ran_on"),
    "record": ("ExportRecord",),
}
_TFLITE = {
    "tflite": ("TFLiteReport", "export_all_tflite", "export_tflite"),
    "tflite_record": ("TFLiteRecord",),
}
_MODULE_OF = {name: module for home in (_ONNX, _TFLITE) for module, names in home.items() for name in names}

__all__ = [
    "ExportRecord",
    "ExportReport",
    "ORTModelForSignCTC",
    "ORTModelForSignClassification",
    "ORTModelForSignEnsemble",
    "ORTModelForSignKeypoints",
    "ORTModelForSignTranslation",
    "ORTModelForSignTranslator",
    "TFLiteRecord",
    "TFLiteReport",
    "available_providers",
    "export_all",
    "export_all_tflite",
    "export_model",
    "export_tflite",
    "load_ort_model",
    "load_ort_pipeline",
    "load_ort_translation",
    "ran_on",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'signlang_hf.export' has no attribute '{name}'")
    if module in _ONNX:
        require_optimum()
    return getattr(importlib.import_module(f".{module}", __name__), name)
