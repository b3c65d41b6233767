"""Pose estimators: frames → :class:`~signlang_hf.landmarks.LandmarkSequence`; and batch extraction over folders of videos."""

from .estimator import Detection, PoseEstimator, default_estimator, estimate_frames, estimate_video
from .extraction import ExtractionReport, extract_folder
from .mediapipe import MediaPipeEstimator

__all__ = [
    "Detection",
    "ExtractionReport",
    "MediaPipeEstimator",
    "PoseEstimator",
    "default_estimator",
    "estimate_frames",
    "estimate_video",
    "extract_folder",
]
