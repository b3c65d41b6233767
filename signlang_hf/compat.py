"""The only module that knows which transformers is installed. Each entry says what differs and when it can go."""

from __future__ import annotations

from importlib.metadata import version

from packaging.version import Version

TRANSFORMERS_V5 = Version(version("transformers")) >= Version("5.0.0.dev0")
"""True on transformers 5. Optimum's ONNX export needs 4.57, so both are supported until Optimum follows."""
