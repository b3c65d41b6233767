"""Registers our models and pipelines with transformers at the moment transformers loads the registry they belong in.

Registering at once would import transformers' model machinery, which takes seconds that a user who only converts landmarks
should not pay. So ``import signlang_hf`` leaves a note instead: as soon as transformers has imported its Auto classes (which
``from transformers import AutoModel`` or ``pipeline`` does), :mod:`signlang_hf.models` is imported, which registers
itself; the same for its pipelines and :mod:`signlang_hf.pipelines`. Both happen before the user's own import statement
returns. If transformers has loaded a registry already, ours follows at once.

The note lies in two places: in the import of transformers' modules, and in the attribute that ``from transformers import …``
asks for. The first is needed for ``import transformers.pipelines``; the second is there because several threads may ask at
once, and only there does a thread hold no import lock that another one could be waiting for.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_AUTO = "transformers.models.auto"
# Which of our packages registers itself once one of these modules is there.
_TRIGGERS: dict[str, tuple[str, ...]] = {
    "signlang_hf.models": tuple(
        f"{_AUTO}.{kind}_auto" for kind in ("configuration", "modeling", "feature_extraction", "processing")
    ),
    "signlang_hf.pipelines": ("transformers.pipelines",),
}
_thread = threading.local()


class _AfterTransformers(MetaPathFinder):
    """Watches the import of transformers' modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "transformers":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            with _then_register(fullname):
                execute(module)
            if fullname == "transformers":
                _watch_attributes(sys.modules[fullname])

        # On this one loader only: replacing it would hide what importlib.resources and inspect ask of it.
        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _watch_attributes(transformers: ModuleType) -> None:
    class Watched(type(transformers)):  # type: ignore[misc]
        def __getattr__(self, name: str) -> Any:
            with _then_register():
                value = super().__getattr__(name)
                if _pending():
                    vars(self).pop(name, None)  # not kept yet, so other threads come by here as well, and wait
                return value

        def __reduce__(self) -> Any:  # datasets hashes functions that use transformers by pickling what they refer to
            return importlib.import_module, (self.__name__,)

    transformers.__class__ = Watched


@contextmanager
def _then_register(module: str = "") -> Iterator[None]:
    """Registers after the outermost of nested imports, when no transformers module of this thread is half initialised and
    ours can import whatever they need. ``module`` is what is being imported."""
    _thread.depth = getattr(_thread, "depth", 0) + 1
    try:
        yield
    finally:
        _thread.depth -= 1
    if _thread.depth == 0:
        register_loaded(module)


def register_loaded(finished: str = "") -> None:
    """Import those of our packages whose registry in transformers is loaded, or wait while another thread does.

    ``finished`` is a module that is loaded although Python's import has not yet come to its end.
    """
    for package in _pending(finished):
        importlib.import_module(package)


def _pending(finished: str = "") -> list[str]:
    return [
        package
        for package, triggers in _TRIGGERS.items()
        if not _is_loaded(package) and any(trigger == finished or _is_loaded(trigger) for trigger in triggers)
    ]


def _is_loaded(module: str) -> bool:
    """Whether a module is there and has been executed to its end."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def install() -> None:
    """Start watching; called once by ``import signlang_hf``."""
    sys.meta_path.insert(0, _AfterTransformers())
    if sys.modules.get("transformers") is not None:
        _watch_attributes(sys.modules["transformers"])
    register_loaded()
