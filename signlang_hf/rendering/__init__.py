"""Synthetic pictures of signing people with exact labels. Numpy alone, but for Pillow and bpy inside the renderers."""

from .blender import BlenderRenderer
from .camera import Camera
from .finish import finish
from .flat import render_flat
from .scene import Scene, sample_scene

__all__ = ["BlenderRenderer", "Camera", "Scene", "finish", "render_flat", "sample_scene"]
