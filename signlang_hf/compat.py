"""The only module that knows which transformers is installed. Each entry says what differs and when it can go.

transformers 4.57 is supported because Optimum's ONNX export needs it; when Optimum follows, this module goes.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from packaging.version import Version

_V5 = Version(version("transformers")) >= Version("5.0.0.dev0")

FINDS_MODELS_SAVED_AS_BEST: bool = _V5
"""Whether ``save_strategy="best"`` goes with ``load_best_model_at_end``: 4.57 saves the best and then does not find it again."""


def default_model(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``register_pipeline(default=…)`` takes for a model folder: 4.57 wants to hear that it is torch's."""
    model = (os.fspath(folder), "main")
    return {"model": model if _V5 else {"pt": model}}


def register_image_processor(config: type, processor: type) -> None:
    """Make ``AutoImageProcessor`` know a processor: 5 asks for one of each backend, and complains where it has to take the other."""
    # From its own module: transformers' shelf has a placeholder in its place where Pillow is missing.
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    if _V5:
        AutoImageProcessor.register(config, image_processor_classes={"torchvision": processor, "pil": processor})
    else:
        AutoImageProcessor.register(config, slow_image_processor_class=processor)


def move_output(args: Any, folder: str) -> None:
    """Point ``TrainingArguments`` to another folder, its logs too: 4.57 fixes ``logging_dir`` when the arguments are made."""
    if not _V5 and args.logging_dir.startswith(args.output_dir):
        args.logging_dir = os.path.join(folder, os.path.relpath(args.logging_dir, args.output_dir))
    args.output_dir = folder


def require_optimum() -> None:
    """Raise ImportError in one sentence unless models can be exported to ONNX and run there: Optimum needs transformers 4."""
    if _V5:
        raise ImportError(
            f"ONNX export needs Optimum, which goes with transformers 4.57 only; this is transformers {version('transformers')}: "
            'install "signlang-hf[onnx]" and "transformers<5" into an environment of its own.'
        )
    missing = [name for name in ("optimum", "onnx", "onnxruntime") if find_spec(name) is None]
    if missing or find_spec("optimum.onnxruntime") is None:
        raise ImportError(
            f'ONNX export needs {" and ".join(missing) or "optimum-onnx"}: pip install "signlang-hf[onnx]"'
        )
