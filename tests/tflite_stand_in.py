"""A converter to TFLite without litert-torch: the library's own program, with packages in its place that keep a model in memory.

``python tflite_stand_in.py -I PROGRAM JOB`` is called as a Python that has litert-torch would be. What goes wrong in it, or nothing, is
said by the variable ``STAND_IN``.
"""

from __future__ import annotations

import importlib.metadata
import os
import runpy
import sys
import types
from pathlib import Path
from typing import Any

MODULES: dict[str, Any] = {}
"""Content of a ``.tflite`` file → the module that it stands for."""


class Converted:
    def __init__(self, module: Any) -> None:
        self.module = module

    def export(self, path: str) -> None:
        name = f"module {len(MODULES)}"
        MODULES[name] = self.module
        Path(path).write_text(name)

    export_model = export


class Interpreter:
    def __init__(self, model_path: str, num_threads: int) -> None:
        self.module = MODULES[Path(model_path).read_text()]

    def get_signature_runner(self) -> Any:
        import torch

        def run(**inputs: Any) -> dict[str, Any]:
            with torch.inference_mode():
                answers = self.module(**{name: torch.from_numpy(value) for name, value in inputs.items()})
            return {name: value.numpy() for name, value in answers.items()}

        return run


class Quantizer:
    def __init__(self, path: str) -> None:
        self.path, self.recipe = path, None

    def load_quantization_recipe(self, recipe: str) -> None:
        self.recipe = recipe

    def quantize(self) -> Converted:
        module = MODULES[Path(self.path).read_text()]
        amount = {"dynamic": 0.01, "weights": 0.001}[self.recipe]
        return Converted(
            lambda **inputs: {
                name: one + amount if one.is_floating_point() else one for name, one in module(**inputs).items()
            }
        )


def convert(module: Any, sample_kwargs: dict[str, Any]) -> Converted:
    fault = os.environ.get("STAND_IN", "")
    if fault == "crash":
        raise RuntimeError("aten.frobnicate has no lowering\nat line 1 of many")
    if fault == "killed":
        os.kill(os.getpid(), 9)
    if fault == "wrong":
        return Converted(lambda **inputs: {name: 2 * one + 1 for name, one in module(**inputs).items()})
    if fault == "shapes":
        return Converted(lambda **inputs: {name: one[..., :1] for name, one in module(**inputs).items()})
    return Converted(module)


def stand_in(folder: Path) -> Path:
    """Something that is called like a Python with litert-torch in it."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    path.chmod(0o755)
    return path


def put_in_place() -> None:
    names = ("litert_torch", "ai_edge_litert", "ai_edge_litert.interpreter", "ai_edge_quantizer")
    torch_, litert, interpreter, quantizing = (types.ModuleType(name) for name in names)
    torch_.convert, interpreter.Interpreter = convert, Interpreter
    quantizing.quantizer = types.SimpleNamespace(Quantizer=Quantizer)
    quantizing.recipe = types.SimpleNamespace(
        dynamic_wi8_afp32=lambda: "dynamic", weight_only_wi8_afp32=lambda: "weights"
    )
    sys.modules.update(zip(names, (torch_, litert, interpreter, quantizing)))
    if os.environ.get("STAND_IN") == "missing":
        sys.modules.pop("litert_torch")
    true = importlib.metadata.version
    importlib.metadata.version = lambda name: "0.0" if name.startswith(("litert", "ai-edge")) else true(name)


if __name__ == "__main__":
    isolated, program, job = sys.argv[1:]
    assert isolated == "-I"
    if os.environ.get("STAND_IN") == "silent":
        sys.exit(0)
    put_in_place()
    sys.argv = [program, job]
    runpy.run_path(program, run_name="__main__")
