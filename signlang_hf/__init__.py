"""signlang_hf: sign language for the Hugging Face ecosystem.

Importing it makes ``transformers`` know our models, processors and pipelines (see :mod:`signlang_hf.registration`); the
names below load on first use, so the import itself costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import pretrained, registration

if TYPE_CHECKING:
    from .data import list_datasets, load_dataset
    from .explain import GradCAMExplainer, IntegratedGradientsExplainer
    from .export import (
        ORTModelForSignClassification,
        ORTModelForSignCTC,
        ORTModelForSignKeypoints,
        ORTModelForSignTranslation,
        ORTModelForSignTranslator,
        export_model,
        export_tflite,
    )
    from .landmarks import LandmarkSequence, Layout, get_layout, list_layouts, load_landmarks, register_layout
    from .models.ctc import SignCTCConfig, SignCTCModel, SignCTCProcessor, SignForCTC
    from .models.detector import (
        SignDetectorConfig,
        SignDetectorForKeypointDetection,
        SignDetectorModel,
        SignDetectorProcessor,
    )
    from .models.ensemble import SignEnsembleConfig, SignEnsembleForSignClassification, SignEnsembleProcessor
    from .models.keypoint import (
        SignBiLSTMConfig,
        SignBiLSTMForSignClassification,
        SignBiLSTMModel,
        SignConvConfig,
        SignConvForSignClassification,
        SignConvModel,
        SignHybridConfig,
        SignHybridForSignClassification,
        SignHybridModel,
        SignKeypointProcessor,
        SignTransformerConfig,
        SignTransformerForSignClassification,
        SignTransformerModel,
    )
    from .models.translation import SignTranslationConfig, SignTranslationModel, SignTranslationProcessor
    from .models.translator import (
        SignTranslatorConfig,
        SignTranslatorEnsembleConfig,
        SignTranslatorEnsembleForConditionalGeneration,
        SignTranslatorForConditionalGeneration,
        SignTranslatorModel,
        SignTranslatorProcessor,
    )
    from .pipelines import (
        ContinuousSignRecognitionPipeline,
        GlossTranslationPipeline,
        SentenceStream,
        SignKeypointDetectionPipeline,
        SignRecognitionPipeline,
        SignStream,
        SignTranslationPipeline,
        StreamingSentences,
        StreamingSigns,
        StreamPool,
        StreamSettings,
    )
    from .pose import estimate_video
    from .video import read_video

__version__ = "0.1.0"

_HOME = {
    "landmarks": ("LandmarkSequence", "Layout", "get_layout", "list_layouts", "load_landmarks", "register_layout"),
    "video": ("read_video",),
    "pose": ("estimate_video",),
    "data": ("list_datasets", "load_dataset"),
    "explain": ("GradCAMExplainer", "IntegratedGradientsExplainer"),
    "export": (
        "ORTModelForSignCTC",
        "ORTModelForSignClassification",
        "ORTModelForSignKeypoints",
        "ORTModelForSignTranslation",
        "ORTModelForSignTranslator",
        "export_model",
        "export_tflite",
    ),
    "models.ctc": ("SignCTCConfig", "SignCTCModel", "SignCTCProcessor", "SignForCTC"),
    "models.detector": (
        "SignDetectorConfig",
        "SignDetectorForKeypointDetection",
        "SignDetectorModel",
        "SignDetectorProcessor",
    ),
    "models.ensemble": ("SignEnsembleConfig", "SignEnsembleForSignClassification", "SignEnsembleProcessor"),
    "models.keypoint": (
        "SignBiLSTMConfig",
        "SignBiLSTMForSignClassification",
        "SignBiLSTMModel",
        "SignConvConfig",
        "SignConvForSignClassification",
        "SignConvModel",
        "SignHybridConfig",
        "SignHybridForSignClassification",
        "SignHybridModel",
        "SignKeypointProcessor",
        "SignTransformerConfig",
        "SignTransformerForSignClassification",
        "SignTransformerModel",
    ),
    "models.translation": ("SignTranslationConfig", "SignTranslationModel", "SignTranslationProcessor"),
    "models.translator": (
        "SignTranslatorConfig",
        "SignTranslatorEnsembleConfig",
        "SignTranslatorEnsembleForConditionalGeneration",
        "SignTranslatorForConditionalGeneration",
        "SignTranslatorModel",
        "SignTranslatorProcessor",
    ),
    "pipelines": (
        "ContinuousSignRecognitionPipeline",
        "GlossTranslationPipeline",
        "SentenceStream",
        "SignKeypointDetectionPipeline",
        "SignRecognitionPipeline",
        "SignStream",
        "SignTranslationPipeline",
        "StreamPool",
        "StreamSettings",
        "StreamingSentences",
        "StreamingSigns",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ContinuousSignRecognitionPipeline",
    "GlossTranslationPipeline",
    "GradCAMExplainer",
    "IntegratedGradientsExplainer",
    "LandmarkSequence",
    "Layout",
    "ORTModelForSignCTC",
    "ORTModelForSignClassification",
    "ORTModelForSignKeypoints",
    "ORTModelForSignTranslation",
    "ORTModelForSignTranslator",
    "SentenceStream",
    "SignBiLSTMConfig",
    "SignBiLSTMForSignClassification",
    "SignBiLSTMModel",
    "SignCTCConfig",
    "SignCTCModel",
    "SignCTCProcessor",
    "SignConvConfig",
    "SignConvForSignClassification",
    "SignConvModel",
    "SignDetectorConfig",
    "SignDetectorForKeypointDetection",
    "SignDetectorModel",
    "SignDetectorProcessor",
    "SignEnsembleConfig",
    "SignEnsembleForSignClassification",
    "SignEnsembleProcessor",
    "SignForCTC",
    "SignHybridConfig",
    "SignHybridForSignClassification",
    "SignHybridModel",
    "SignKeypointDetectionPipeline",
    "SignKeypointProcessor",
    "SignRecognitionPipeline",
    "SignStream",
    "SignTransformerConfig",
    "SignTransformerForSignClassification",
    "SignTransformerModel",
    "SignTranslationConfig",
    "SignTranslationModel",
    "SignTranslationPipeline",
    "SignTranslationProcessor",
    "SignTranslatorConfig",
    "SignTranslatorEnsembleConfig",
    "SignTranslatorEnsembleForConditionalGeneration",
    "SignTranslatorForConditionalGeneration",
    "SignTranslatorModel",
    "SignTranslatorProcessor",
    "StreamPool",
    "StreamSettings",
    "StreamingSentences",
    "StreamingSigns",
    "__version__",
    "estimate_video",
    "export_model",
    "export_tflite",
    "get_layout",
    "list_datasets",
    "list_layouts",
    "load_dataset",
    "load_landmarks",
    "pretrained",
    "read_video",
    "register_layout",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'signlang_hf' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{module}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


registration.install()
