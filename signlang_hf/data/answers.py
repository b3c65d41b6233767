"""Answers of a model to clips of single signs: a JSON line each, what it said and what it should have said."""

from __future__ import annotations

import json
from pathlib import Path

_SAID = ("prediction", "answer", "response", "label")
_MEANT = ("gloss", "reference")


def read_answers(path: Path) -> tuple[list[str], list[str]]:
    """Predictions and references of a file of JSON lines.

    Args:
        path: lines with ``prediction`` (or ``answer``, ``response``, ``label``) and ``gloss`` (or ``reference``).

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line that is not like that, or none at all; says which.
    """
    if not path.is_file():
        raise FileNotFoundError(f"File of answers not found: {path}")
    predictions: list[str] = []
    references: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not valid JSON ({error}).") from None
        found = [
            next((row[name] for name in names if name in row), None) if isinstance(row, dict) else None
            for names in (_SAID, _MEANT)
        ]
        for value, names in zip(found, (_SAID, _MEANT)):
            if not isinstance(value, str):
                raise ValueError(
                    f'{path}, line {number}: no word under "{names[0]}"; a line is {{"prediction": "book", "gloss": "book"}}.'
                )
        predictions.append(str(found[0]))
        references.append(str(found[1]))
    if not references:
        raise ValueError(f"{path} holds no answer.")
    return predictions, references
