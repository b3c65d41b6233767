"""Models in ONNX: exporting them through Optimum, running them in onnxruntime, and fewer bits.

It needs Optimum and with it transformers 4.57; elsewhere importing it ends in one sentence (:func:`signlang_hf.compat.require_optimum`).
"""

from ..compat import require_optimum

require_optimum()

from .exporting import ExportReport, export_all, export_model  # noqa: E402 - what follows imports Optimum
from .loading import load_ort_model, load_ort_pipeline, load_ort_translation  # noqa: E402
from .ort_composites import ORTModelForSignEnsemble, ORTModelForSignTranslation  # noqa: E402
from .ort_models import ORTModelForSignClassification, ORTModelForSignCTC, ORTModelForSignKeypoints  # noqa: E402
from .ort_translator import ORTModelForSignTranslator  # noqa: E402
from .providers import available_providers, ran_on  # noqa: E402
from .record import ExportRecord  # noqa: E402

__all__ = [
    "ExportRecord",
    "ExportReport",
    "ORTModelForSignCTC",
    "ORTModelForSignClassification",
    "ORTModelForSignEnsemble",
    "ORTModelForSignKeypoints",
    "ORTModelForSignTranslation",
    "ORTModelForSignTranslator",
    "available_providers",
    "export_all",
    "export_model",
    "load_ort_model",
    "load_ort_pipeline",
    "load_ort_translation",
    "ran_on",
]
