"""Models that come with the package: ``path("dgs30")`` is a folder that ``from_pretrained`` and ``pipeline`` take.

A model is a folder beside this file, named as it is called: ``config.json``, ``model.safetensors``, the processor's JSON and the
card as ``README.md``. It brings no code (and no ``auto_map`` that asks for some): its classes are the ones of this installation.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
DEFAULT = "dgs30"
"""The model behind ``pipeline("sign-recognition")`` and ``signlang recognize`` where none is named."""
SENTENCES = "sentences"
"""The model behind ``pipeline("continuous-sign-recognition")``, where the package carries it."""
SPELLING = "spelling"
"""The model behind ``pipeline("sign-translation")`` and ``signlang translate``, where the package carries it."""

DETECTOR = "detector"
"""The model behind ``pipeline("sign-keypoint-detection")``, ``signlang detect`` and the estimator ``heatmap``, where the package
carries it."""


def names() -> list[str]:
    """Short names of the models that this installation carries."""
    return sorted(folder.name for folder in FOLDER.iterdir() if _is_complete(folder))


def path(name: str = DEFAULT) -> Path:
    """Folder of a model by its short name.

    Raises:
        ValueError: no such model comes with this installation; names those that do.
    """
    if name not in names():
        known = f"it has {', '.join(names())}" if names() else "it has none"
        raise ValueError(f"No model {name!r} comes with this installation of signlang_hf; {known}.")
    return FOLDER / name


def resolve(model: str) -> str:
    """Anything that names a model, with a short name turned into its folder. A model's folder of that name in the working
    directory goes first, as it does before a name on the Hub; a dataset's folder may be called as it likes."""
    return str(path(model)) if model in names() and not (Path(model) / "config.json").is_file() else model


def _is_complete(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.rglob("*.safetensors"))  # members may lie in sub-folders
