"""Pose estimators: frames → :class:`~signlang_hf.landmarks.LandmarkSequence`; and batch extraction over folders of videos."""

from .estimator import ESTIMATORS, Detection, PoseEstimator, default_estimator, estimate_frames, estimate_video
from .extraction import extract_folder
from .heatmap import HeatmapEstimator
from .job import ExtractionReport
from .mediapipe import MediaPipeEstimator

__all__ = [
    "ESTIMATORS",
    "Detection",
    "ExtractionReport",
    "HeatmapEstimator",
    "MediaPipeEstimator",
    "PoseEstimator",
    "default_estimator",
    "estimate_frames",
    "estimate_video",
    "extract_folder",
]
