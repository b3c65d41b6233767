"""Keypoint detection: where the points of a person are in a picture, without MediaPipe."""

from .configuration_detector import KEYPOINTS, SignDetectorConfig
from .modeling_detector import (
    SignDetectorForKeypointDetection,
    SignDetectorModel,
    SignDetectorModelOutput,
    SignDetectorOutput,
    SignDetectorPreTrainedModel,
)
from .processing_detector import SignDetectorProcessor
from .processing_hands import HandDetector
from .processing_hands_film import HandFollower
from .processing_heatmaps import DECODINGS, decode_heatmaps, decode_simcc

__all__ = [
    "DECODINGS",
    "KEYPOINTS",
    "HandDetector",
    "HandFollower",
    "SignDetectorConfig",
    "SignDetectorForKeypointDetection",
    "SignDetectorModel",
    "SignDetectorModelOutput",
    "SignDetectorOutput",
    "SignDetectorPreTrainedModel",
    "SignDetectorProcessor",
    "decode_heatmaps",
    "decode_simcc",
]
