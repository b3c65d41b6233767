"""ZeroGPU: a Space on the Hub that borrows a GPU for a call, where the Hub's package ``spaces`` is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def gpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """``spaces.GPU`` around an endpoint where there is such a thing, else the endpoint itself.

    The package must come before torch touches CUDA, which it does: no app imports torch before its first call. A folder called
    ``spaces`` in the working directory (ours, in a checkout) imports as an empty package; it has no ``GPU`` and is passed over.
    """
    try:
        decorate = getattr(importlib.import_module("spaces"), "GPU", None)
    except ImportError:
        decorate = None
    return function if decorate is None else decorate(function)
