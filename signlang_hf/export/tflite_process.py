"""The converter to TFLite, found and run: a program in an environment of its own.

Design decisions:

* Which Python it is: what the caller says, else the variable ``SIGNLANG_TFLITE_PYTHON``, else ``.venv-tflite`` in the working directory
  or in the checkout, where ``make setup-tflite`` puts it.
* It runs isolated (``-I``), because the variables and folders of this environment would lead it to packages of the wrong versions.
* Everything that it may say is read here and becomes one sentence.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from .tflite_converter import MISSING

VARIABLE = "SIGNLANG_TFLITE_PYTHON"
"""Environment variable that names the converter's Python."""
_PACKAGE = Path(__file__).resolve().parents[1]
_PROGRAM = _PACKAGE / "export" / "tflite_converter.py"
_HOW = (
    'make setup-tflite makes it; so does python -m venv .venv-tflite && .venv-tflite/bin/pip install litert-torch "transformers<5" timm. '
    f"Another one is named by --converter (converter= in Python) or {VARIABLE}."
)


def converter_python(given: str | os.PathLike[str] | None = None) -> Path:
    """The Python that has litert-torch.

    Raises:
        FileNotFoundError: there is none; says how to get one.
    """
    asked = given or os.environ.get(VARIABLE)
    inside = Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")
    places = [Path(asked)] if asked else [root / ".venv-tflite" / inside for root in (Path.cwd(), _PACKAGE.parent)]
    for place in places:
        if place.is_file():
            return place.absolute()  # not resolved: what a link in an environment leads to is outside of it
    raise FileNotFoundError(
        f"TFLite export needs litert-torch in an environment of its own, and there is no {places[0]}. {_HOW}"
    )


def run_converter(python: Path, job: dict[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """Run the converter on a job, see :mod:`.tflite_converter`.

    Args:
        python: what runs it.
        job: without ``code``, which is added.
        folder: for the job's file and what the converter leaves.
        name: of the model, for sentences.

    Returns:
        what it said about itself, ``{"versions": …}``.

    Raises:
        ImportError: a package is missing in its environment.
        ValueError: it cannot convert the model, or broke off.
    """
    path = folder / "job.json"
    path.write_text(json.dumps(job | {"code": str(_PACKAGE)}), encoding="utf-8")
    quiet = {"HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            done = subprocess.run(
                [str(python), "-I", str(_PROGRAM), str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                env=os.environ | quiet, check=False,
            )  # fmt: skip
        except OSError as error:
            raise ValueError(f"The converter {python} cannot be run: {error.strerror or error}.") from error
        said.seek(0)
        lines = [line.strip() for line in said if line.strip()]
    last = lines[-1] if lines else f"it ended with exit code {done.returncode}"
    if done.returncode and last.startswith(MISSING):
        raise ImportError(f"The environment of {python} lacks {last.removeprefix(MISSING)}. {_HOW}")
    if done.returncode < 0:
        last = f"signal {-done.returncode} ended it, as happens where memory runs out"
    if done.returncode:
        raise ValueError(f"{name} cannot be converted to TFLite: {last}")
    try:
        return json.loads((folder / "done.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ValueError(
            f"{name} cannot be converted to TFLite: the converter {python} said nothing about its work."
        ) from None


__all__ = ["VARIABLE", "converter_python", "run_converter"]
