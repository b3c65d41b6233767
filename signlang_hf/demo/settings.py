"""What the owner of a Space sets, as environment variables (on the Hub: the Space's variables); read when it is asked for.

=============================  ====================================================================================================
``SIGNLANG_MODEL``             the model that a Space starts with: a bundled name, an id on the Hub, or a folder
``SIGNLANG_LOCAL_MODELS``      ``1`` lets whoever uses the Space name any folder on this machine; ``signlang demo`` sets it on loopback
``SIGNLANG_MODEL_FOLDERS``     folders whose models may be named, separated as in ``PATH``
``SIGNLANG_MAX_MODEL_BYTES``   largest model that is downloaded from the Hub
``SIGNLANG_MAX_SECONDS``       longest clip
``SIGNLANG_MAX_UPLOAD``        largest file, as Gradio writes it: ``50mb``
``SIGNLANG_ESTIMATOR``         what finds landmarks in pictures: ``mediapipe``, ``heatmap`` or ``module:callable``
``SIGNLANG_LIVE_PLACES``       people who may sign before a camera at the same time
``SIGNLANG_EXAMPLES``          a dataset on the Hub whose clips or pictures are examples
``SIGNLANG_DATA``              a folder with real data; clips and pictures in it are examples
=============================  ====================================================================================================
"""

from __future__ import annotations

import os
from pathlib import Path


def text(name: str, default: str = "") -> str:
    """A setting, or ``default`` where it is not set or empty."""
    return os.environ.get(f"SIGNLANG_{name}", "").strip() or default


def number(name: str, default: float) -> float:
    """A positive number. Raises ValueError in one sentence for anything else."""
    said = text(name)
    try:
        value = float(said) if said else default
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"SIGNLANG_{name} is {said!r}; it must be a positive number.")
    return value


def folders(name: str) -> list[Path]:
    """Folders, as in ``PATH``."""
    return [Path(folder).resolve() for folder in text(name).split(os.pathsep) if folder]
