"""The keypoint detector in onnxruntime behind :class:`~signlang_hf.pose.PoseEstimator`: landmarks without torch's networks."""

from __future__ import annotations

from typing import Any

from ..models.loading import loaded
from ..pose.heatmap import HeatmapEstimator
from .ort_models import ORTModelForSignKeypoints
from .providers import check_provider

FACTORY = "signlang_hf.export.estimator:ORTHeatmapEstimator"
"""Its name as ``module:callable``, for extraction in worker processes."""


class ORTHeatmapEstimator(HeatmapEstimator):
    """An exported ``signlang_detector``, and the detector of hands beside it.

    Args:
        model: folder that ``signlang export`` wrote.
        provider: ``cpu``, ``cuda``, ``tensorrt``, ``directml``, ``coreml`` or ``auto``.
        **options: as for :class:`~signlang_hf.pose.heatmap.HeatmapEstimator`.
    """

    runtime = "ort"

    def __init__(self, model: Any = None, *, provider: str = "cpu", **options: Any) -> None:
        check_provider(provider)
        # Pictures stay in main memory: onnxruntime moves them itself where it has to.
        super().__init__(model, **{**options, "device": "cpu"})
        self.provider = provider

    @property
    def description(self) -> str:
        """For instance ``detector, mobilenet_v3_small at 256 px, onnxruntime``."""
        return f"{super().description}, onnxruntime"

    def _load(self) -> Any:
        return loaded(
            self._folder, lambda: ORTModelForSignKeypoints.from_pretrained(self._folder, provider=self.provider)
        )

    def _load_hands(self) -> Any:
        return loaded(self._folder, lambda: self._model.hand_detector(self.layout)) if self.hands else None


__all__ = ["FACTORY", "ORTHeatmapEstimator"]
