"""Landmarks: the sequence type, layouts, files, geometry and augmentation. numpy and scipy only."""

from .files import LANDMARK_SUFFIXES, load_landmarks, save_landmarks
from .layout import Layout, get_layout, list_layouts, register_layout
from .sequence import LandmarkSequence

__all__ = [
    "LANDMARK_SUFFIXES",
    "LandmarkSequence",
    "Layout",
    "get_layout",
    "list_layouts",
    "load_landmarks",
    "register_layout",
    "save_landmarks",
]
