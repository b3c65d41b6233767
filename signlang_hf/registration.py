"""Registers our models and pipelines with transformers at the moment transformers loads the registry they belong in.

Registering at once would import transformers' model machinery, which takes seconds that a user who only converts landmarks
should not pay. So ``import signlang_hf`` leaves a note instead: as soon as transformers has imported its Auto classes (which
``from transformers import AutoModel`` or ``pipeline`` does), :mod:`signlang_hf.models` is imported, which registers
itself; the same for its pipelines and :mod:`signlang_hf.pipelines`. Both happen before the user's own import statement
returns. If transformers has loaded a registry already, ours follows at once.

Threads that race to import transformers' parts for the first time are not served: import what you need before starting them.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_AUTO = "transformers.models.auto"
# Which of our packages registers itself once one of these modules is there.
_TRIGGERS: dict[str, tuple[str, ...]] = {
    "signlang_hf.models": tuple(
        f"{_AUTO}.{kind}_auto" for kind in ("configuration", "modeling", "feature_extraction", "processing")
    ),
    "signlang_hf.pipelines": ("transformers.pipelines",),
}


class _AfterTransformers(MetaPathFinder):
    """Watches the import of transformers' modules; acts when the outermost of them has finished.

    Only then is no transformers module half initialised, and ours can import whatever they need.
    """

    def __init__(self) -> None:
        self.local = threading.local()

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
            self.local.depth = getattr(self.local, "depth", 0) + 1
            try:
                execute(module)
            finally:
                self.local.depth -= 1
            if self.local.depth == 0:
                register_loaded()

        # On this one loader only: replacing it would hide what importlib.resources and inspect ask of it.
        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register_loaded() -> None:
    """Import those of our packages whose registry in transformers is loaded."""
    for package, triggers in _TRIGGERS.items():
        if package not in sys.modules and any(trigger in sys.modules for trigger in triggers):
            importlib.import_module(package)


def install() -> None:
    """Start watching; called once by ``import signlang_hf``."""
    sys.meta_path.insert(0, _AfterTransformers())
    register_loaded()
