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
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        atomic_write(folder / RECORD, lambda stream: stream.write(text.encode()))
        return folder / RECORD

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> ExportRecord:
        """Read it.

        Raises:
            FileNotFoundError: the folder is no export, or a graph that it names is missing.
            ValueError: the file holds something else.
        """
        path = Path(folder, RECORD)
        if not path.is_file():
            raise FileNotFoundError(
                f"{os.fspath(folder)} holds no model exported to ONNX (no {RECORD}); signlang export MODEL --out FOLDER makes one."
            )
        try:
            settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            settings |= {name: tuple(settings[name]) for name in ("files", "members")}
            record = cls(**settings)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is no record of an export: {error}") from None
        if record.precision not in PRECISIONS:
            raise ValueError(f"{path} names the precision {record.precision!r}; it must be {' or '.join(PRECISIONS)}.")
        for name in record.files:
            if not Path(folder, name).is_file():
                raise FileNotFoundError(f"The export in {os.fspath(folder)} is not complete: {name} is missing.")
        return record


def size_of(folder: Path) -> int:
    """Bytes of all graphs in an exported folder, those of its members included."""
    return sum(path.stat().st_size for path in folder.rglob("*.onnx"))


__all__ = ["BOOSTER", "DECODER", "ENCODER", "MODEL", "PRECISIONS", "RECORD", "ExportRecord", "size_of"]
