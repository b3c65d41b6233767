"""The program that converts a model to TFLite: ``python tflite_converter.py JOB.json``, run in an environment that has litert-torch.

Design decisions:

* litert-torch does not go with the rest of this library, so this file imports nothing of it. The code of a model's family is read as
  the Hub would hand it out: its configuration and its modeling files, which need torch and transformers alone.
* It runs what it has converted on the examples that it is given and writes the answers down. Whether they are right is for the caller
  to say, whose torch knows better.
* What goes wrong ends in one line on the error stream and in exit code 1.

``JOB.json``: ``{"code": folder of signlang_hf, "source": the model's folder, "target": folder for the graphs, "quantize": "",
"dynamic" or "weights", "graphs": [{"file", "part", "outputs", "examples": [.npz of inputs, …]}, …]}``. Beside each example its answers are
written, ``NAME.answers.npz``, and where it is quantised those of the smaller graph, ``NAME.quantized.npz``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

MODELS = {
    "signlang_transformer": ("keypoint", "modeling_transformer", "SignTransformerForSignClassification"),
    "signlang_bilstm": ("keypoint", "modeling_bilstm", "SignBiLSTMForSignClassification"),
    "signlang_hybrid": ("keypoint", "modeling_hybrid", "SignHybridForSignClassification"),
    "signlang_conv": ("keypoint", "modeling_conv", "SignConvForSignClassification"),
    "signlang_ctc": ("ctc", "modeling_ctc", "SignForCTC"),
    "signlang_detector": ("detector", "modeling_detector", "SignDetectorForKeypointDetection"),
    "signlang_translator": ("translator", "modeling_translator", "SignTranslatorForConditionalGeneration"),
    "signlang_translator_ensemble": (
        "translator", "modeling_translator_ensemble", "SignTranslatorEnsembleForConditionalGeneration",
    ),
}  # fmt: skip
"""Model type → the folder of its family, the module and the class in it."""
MISSING = "missing: "
"""How the line begins that names a package which is not installed."""
_PACKAGES = ("litert-torch", "ai-edge-quantizer", "ai-edge-litert", "torch", "transformers")


def convert(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job, see the module. Returns ``{"versions": …}``."""
    import litert_torch
    import torch

    torch.manual_seed(0)
    code, target = Path(job["code"]), Path(job["target"])
    _bare_package("signlang_export", code / "export")
    graphs = importlib.import_module("signlang_export.tflite_graphs")
    model = _model(code, Path(job["source"]))
    for graph in job["graphs"]:
        path = target / graph["file"]
        examples = [Path(one) for one in graph["examples"]]
        module = graphs.graph_of(model, graph["part"], graph["outputs"])
        inputs = {name: torch.from_numpy(value) for name, value in _arrays(examples[0]).items()}
        with torch.inference_mode():
            converted = litert_torch.convert(module, sample_kwargs=inputs)
        converted.export(str(path))
        _answer(path, examples, "answers")
        if job["quantize"]:
            _quantize(path, job["quantize"])
            _answer(path, examples, "quantized")
        path.chmod(path.stat().st_mode & ~0o111)  # the converter writes files as if they were programs
    return {"versions": {name: version(name) for name in _PACKAGES}}


def _bare_package(name: str, folder: Path) -> None:
    """A package of that name whose modules lie in the folder, without running its ``__init__``, which needs more than there is here."""
    package = types.ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package


def _model(code: Path, source: Path) -> Any:
    """The model in a folder, in float32 and for evaluation."""
    import torch

    kind = json.loads((source / "config.json").read_text(encoding="utf-8"))["model_type"]
    family, module, name = MODELS[kind]
    _bare_package(f"signlang_{family}", code / "models" / family)
    made = getattr(importlib.import_module(f"signlang_{family}.{module}"), name)
    return made.from_pretrained(source, dtype=torch.float32, local_files_only=True).eval()


def _answer(path: Path, examples: list[Path], kind: str) -> None:
    """Run a graph on every example."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(path), num_threads=1).get_signature_runner()
    for example in examples:
        np.savez(example.with_suffix(f".{kind}.npz"), **run(**_arrays(example)))


def _quantize(path: Path, how: str) -> None:
    """Put a graph's weights into int8, in place: ``dynamic`` computes with it, ``weights`` only stores it."""
    from ai_edge_quantizer import quantizer, recipe

    recipes = {"dynamic": recipe.dynamic_wi8_afp32, "weights": recipe.weight_only_wi8_afp32}
    work = quantizer.Quantizer(str(path))
    work.load_quantization_recipe(recipes[how]())
    smaller = path.with_suffix(".int8")
    work.quantize().export_model(str(smaller))
    smaller.replace(path)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def main(job: str) -> int:
    path = Path(job)
    try:
        done = convert(json.loads(path.read_text(encoding="utf-8")))
    except ModuleNotFoundError as error:
        print(f"{MISSING}{error.name}", file=sys.stderr)
        return 1
    except Exception as error:  # of torch, of the converter: they share no base class
        lines = str(error).strip().splitlines() or [""]
        print(f"{type(error).__name__}: {lines[0]}".rstrip(": "), file=sys.stderr)
        return 1
    half = path.with_name("done.tmp")
    half.write_text(json.dumps(done), encoding="utf-8")
    os.replace(half, path.with_name("done.json"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
