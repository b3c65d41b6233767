"""What a folder with TFLite graphs says about itself: ``tflite_export.json``, as :mod:`.record` does for ONNX."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..models.loading import TFLITE_RECORD as RECORD
from .record import read_record, write_record

MODEL = "model.tflite"
"""The one graph of most models."""
ENCODER, DECODER = "encoder_model.tflite", "decoder_step.tflite"
"""The two graphs of a translator: the sentence once, and one word."""
RUNNER = "run_tflite.py"
"""The program in every folder that runs it."""


@dataclass(frozen=True)
class TFLiteRecord:
    """Facts of one exported model.

    Args:
        model: name of the model that was exported.
        files: its graphs; none for a composite, whose members have their own.
        precision: ``float32`` or ``int8``.
        frames: how many frames (of a translator: glosses) its graphs take; 0 for pictures.
        parity: largest difference of any output to torch's, over all masks that were tried, before the precision was reduced.
        difference: the same afterwards; equal to ``parity`` in float32.
        quantization: what int8 is of: ``dynamic`` where products are computed in it, ``weights`` where they are only stored in it, or empty.
        members: sub-folders with exported models.
        versions: packages that wrote it.
    """

    model: str
    files: tuple[str, ...] = ()
    precision: str = "float32"
    frames: int = 0
    parity: float = 0.0
    difference: float = 0.0
    quantization: str = ""
    members: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Write ``tflite_export.json``."""
        return write_record(self, folder / RECORD)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> TFLiteRecord:
        """Read it.

        Raises:
            FileNotFoundError: the folder is no export, or a graph that it names is missing.
            ValueError: the file holds something else.
        """
        if not Path(folder, RECORD).is_file():
            raise FileNotFoundError(
                f"{os.fspath(folder)} holds no model exported to TFLite (no {RECORD}); signlang export MODEL --to tflite --out FOLDER "
                "makes one."
            )
        return read_record(cls, Path(folder), RECORD)


__all__ = ["DECODER", "ENCODER", "MODEL", "RECORD", "RUNNER", "TFLiteRecord"]
