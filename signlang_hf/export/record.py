"""What an exported folder says about itself: ``onnx_export.json``, beside ``config.json`` and the ONNX files.

Design decisions:

* The precision stands here and not in a file's name: a folder holds one precision, so nothing can be opened as what it is not.
* It names no folder of the machine that wrote it, only the model that was exported.
* Every member of a composite has a record of its own, so that it can be opened by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..landmarks.files import atomic_write
from ..models.loading import EXPORT_RECORD as RECORD

MODEL = "model.onnx"
"""The one graph of most models."""
ENCODER, DECODER = "encoder_model.onnx", "decoder_with_past_model.onnx"
"""The two graphs of a translator, named as Optimum names them."""
BOOSTER = "booster.onnx"
"""The trees of an ensemble."""
PRECISIONS = ("float32", "float16", "int8")
_PACKAGES = ("onnx", "onnxruntime", "optimum", "optimum-onnx", "torch", "transformers")


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


@dataclass(frozen=True)
class ExportRecord:
    """Facts of one exported model.

    Args:
        model: name of the model that was exported.
        files: its graphs; none for a composite, whose members have their own.
        precision: one of :data:`PRECISIONS`.
        opset: of the graphs.
        parity: largest difference of any output to torch's, over all shapes that were tried, before the precision was reduced.
        quantization: how int8 came about: ``dynamic``, ``static``, ``weights`` for weights alone, or empty.
        members: sub-folders with exported models.
        versions: packages that wrote it.
    """

    model: str
    files: tuple[str, ...] = ()
    precision: str = "float32"
    opset: int = 18
    parity: float = 0.0
    quantization: str = ""
    members: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=_versions)

    def save(self, folder: Path) -> Path:
        """Write ``onnx_export.json``."""
        return write_record(self, folder / RECORD)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> ExportRecord:
        """Read it.

        Raises:
            FileNotFoundError: the folder is no export, or a graph that it names is missing.
            ValueError: the file holds something else.
        """
        if not Path(folder, RECORD).is_file():
            raise FileNotFoundError(
                f"{os.fspath(folder)} holds no model exported to ONNX (no {RECORD}); signlang export MODEL --out FOLDER makes one."
            )
        return read_record(cls, Path(folder), RECORD)


def read_record(kind: Any, folder: Path, name: str) -> Any:
    """The record ``name`` in a folder as a ``kind``, with files that are there. Errors as :meth:`ExportRecord.load`."""
    path = folder / name
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        settings |= {part: tuple(settings[part]) for part in ("files", "members")}
        record = kind(**settings)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no record of an export: {error}") from None
    if record.precision not in PRECISIONS:
        raise ValueError(f"{path} names the precision {record.precision!r}; it must be {' or '.join(PRECISIONS)}.")
    for file in record.files:
        if not (folder / file).is_file():
            raise FileNotFoundError(f"The export in {folder} is not complete: {file} is missing.")
    return record


def write_record(record: Any, path: Path) -> Path:
    """Write a record as JSON."""
    text = json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n"
    atomic_write(path, lambda stream: stream.write(text.encode()))
    return path


def size_of(folder: Path, suffix: str = ".onnx") -> int:
    """Bytes of all graphs in an exported folder, those of its members included."""
    return sum(path.stat().st_size for path in folder.rglob(f"*{suffix}"))


__all__ = [
    "BOOSTER",
    "DECODER",
    "ENCODER",
    "MODEL",
    "PRECISIONS",
    "RECORD",
    "ExportRecord",
    "read_record",
    "size_of",
    "write_record",
]
