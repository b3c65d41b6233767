"""Which model a Space opens, and who may name it.

Design decisions:

* Anybody may name a bundled model or a public one on the Hub. Folders of this machine are for people who sit at it
  (``SIGNLANG_LOCAL_MODELS``), or lie in folders that the owner has listed; the model that the owner starts the Space with is always fine.
* A model is data. Of a repository on the Hub only settings and weights are fetched, no code and no pickle, and every part must be of a kind
  that this library has the code for (:mod:`.hub_models`). So nothing that a stranger names can run here.
* The first model of a Space opens by itself once the page is served (:func:`warm`), so that the first click waits for nothing.
* Few models stay open; the one that was used longest ago goes first.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import pretrained
from . import settings

KEPT = 4
"""Models that stay open."""
_TASKS = {
    "signlang_ctc": "continuous-sign-recognition",
    "signlang_translation": "sign-translation",
    "signlang_translator": "gloss-translation",
    "signlang_translator_ensemble": "gloss-translation",
    "signlang_detector": "sign-keypoint-detection",
}
_ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
LOADING = threading.RLock()
"""Held while something is imported that may import transformers: threads that race for that are not served."""
_open: OrderedDict[tuple[str, ...], Any] = OrderedDict()


def bundled(*tasks: str) -> list[str]:
    """Bundled models of these tasks, in their order; reads their settings and loads nothing."""
    kinds = {name: _task(pretrained.path(name)) for name in pretrained.names()}
    return [name for task in tasks for name, kind in kinds.items() if kind == task]


def choices(*tasks: str) -> list[str]:
    """What a list of models offers: the owner's own first, then the bundled ones."""
    own = settings.text("MODEL")
    return list(dict.fromkeys([*([own] if own else []), *bundled(*tasks)]))


def first_choice(fallback: str) -> str:
    """The model that a Space starts with."""
    return settings.text("MODEL", fallback)


def pipeline_of(name: str | None, *tasks: str) -> Any:
    """The pipeline of a model that somebody has named.

    Args:
        name: bundled name, id on the Hub, or folder; None or blank is the first choice.
        tasks: what it may be for.

    Raises:
        FileNotFoundError, ValueError: it may not be named, is not there, is for another task, or cannot be loaded; one sentence says why.
    """
    name = (name or "").strip() or first_choice(next(iter(bundled(*tasks)), ""))
    folder = place_of(name)  # may be a download, which holds up nobody else
    key = (folder, *tasks)
    with LOADING:
        if key not in _open:
            _open[key] = _loaded(name, folder, tasks)
            while len(_open) > KEPT:
                _open.popitem(last=False)
        _open.move_to_end(key)
        return _open[key]


def warm(*tasks: str, after: float = 1.0) -> threading.Thread:
    """Open the first choice in the background, ``after`` seconds from now. What is wrong with it is said at the first click."""

    def open_it() -> None:
        with suppress(Exception):
            pipeline_of(None, *tasks)

    timer = threading.Timer(after, open_it)
    timer.daemon = True
    timer.start()
    return timer


def place_of(name: str) -> str:
    """The folder of a model that somebody has named; fetched from the Hub where it lies there.

    Raises:
        FileNotFoundError, ValueError: there is none, or it may not be named.
    """
    own = settings.text("MODEL")
    if name in pretrained.names():
        return str(pretrained.path(name))
    if _is_path(name):
        return str(_local(name, allowed=name == own))
    if not _ON_THE_HUB.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{name[:100]!r} is no model's name; take one of the list, or an id on the Hub such as org/model."
        )
    from .hub_models import fetched

    # What is private to the owner stays so, unless the owner has chosen it.
    return str(fetched(name, token=None if name == own else False))


def _is_path(name: str) -> bool:
    if Path(name).is_absolute() or name.startswith((".", "~")) or "\\" in name or name.count("/") > 1:
        return True
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # too long for a file system, or a zero in it
        return False


def _local(name: str, allowed: bool) -> Path:
    path = Path(name).expanduser().resolve()
    allowed = allowed or settings.text("LOCAL_MODELS") == "1"
    if not (allowed or any(path.is_relative_to(folder) for folder in settings.folders("MODEL_FOLDERS"))):
        raise ValueError(
            "Folders can be named only where the Space runs on your own machine (signlang demo); here, take a model of the list or one "
            "on the Hub."
        )
    if not path.is_dir():
        raise FileNotFoundError(f"Model folder not found: {name}")
    return path


def _loaded(name: str, folder: str, tasks: tuple[str, ...]) -> Any:
    from ..models.loading import is_export
    from ..pipelines.loading import load_pipeline, task_of

    runtime = "ort" if is_export(folder) else "torch"
    found = task_of(folder, runtime)
    if found not in tasks:
        raise ValueError(f"{name} is a model for {found}; this Space needs one for {' or '.join(tasks)}.")
    if runtime == "torch":
        return load_pipeline(found, folder)
    from ..compat import require_optimum

    require_optimum()
    from ..export import load_ort_pipeline

    return load_ort_pipeline(found, folder)


def _task(folder: Path) -> str:
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return _TASKS.get(settings.get("model_type", ""), "sign-recognition")
