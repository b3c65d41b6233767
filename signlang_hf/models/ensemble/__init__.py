"""Ensemble of keypoint models with an XGBoost meta-learner."""

from .configuration_ensemble import SignEnsembleConfig
from .modeling_ensemble import SignClassMeans, SignEnsembleForSignClassification, SignEnsembleOutput
from .processing_ensemble import SignEnsembleProcessor

__all__ = [
    "SignClassMeans",
    "SignEnsembleConfig",
    "SignEnsembleForSignClassification",
    "SignEnsembleOutput",
    "SignEnsembleProcessor",
]
