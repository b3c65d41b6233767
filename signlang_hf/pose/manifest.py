"""The record of an extraction: ``manifest.jsonl`` (one row per video) and ``settings.json`` beside the landmark files.

A row is appended, in one write, after its landmark file has been moved into place. So whenever the job is killed, a row
vouches for its file; a file without a row is made again, and a last line that was cut short is dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..landmarks.files import atomic_write

MANIFEST, SETTINGS = "manifest.jsonl", "settings.json"
_ROW = "a row of an extraction manifest"
_LEFTOVER = re.compile(r"^\..+\.(npz|pose|parquet|jsonl|json)\.[^.]+\.tmp$")


class Manifest:
    """The rows of an extraction folder by video; later rows of a video replace earlier ones.

    Args:
        folder: where the landmark files go.
        settings: what must be the same for all files of the folder.
        resume: go on with what is there. Otherwise the files that its manifest lists are removed and all starts afresh.

    Raises:
        ValueError: the folder was made with other settings, or its manifest is not one.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.folder, self.path = folder, folder / MANIFEST
        self.rows: dict[str, dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.rglob(".*.tmp"):
            if _LEFTOVER.match(leftover.name):
                leftover.unlink(missing_ok=True)
        if not resume:
            for row in rows_by_source(self.path, _ROW).values():
                if row.get("file_name"):
                    (folder / row["file_name"]).unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        elif self.path.exists():
            self._check(settings)
            self.rows = rows_by_source(self.path, _ROW)
        _write_text(folder / SETTINGS, json.dumps(dict(settings), indent=2, sort_keys=True) + "\n")
        self.compact()

    def append(self, *rows: dict[str, Any]) -> None:
        """Record videos, in one write."""
        self.rows |= {row["source"]: row for row in rows}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write("".join(map(_line, rows)))

    def compact(self) -> None:
        """One row per video, sorted by video, as the whole content of the file."""
        if self.rows:
            _write_text(self.path, "".join(_line(self.rows[source]) for source in sorted(self.rows)))

    def done(self, source: str, video: Path) -> bool:
        """Whether the video was extracted as it is now: same size and time, or at least the same content."""
        row = self.rows.get(source)
        if row is None or row["error"] is not None or not row["file_name"]:
            return False
        if not (self.folder / row["file_name"]).is_file():
            return False
        state = video.stat()
        if state.st_size != row["bytes"]:
            return False
        return state.st_mtime_ns == row["mtime_ns"] or content_hash(video) == row["sha256"]

    def targets(self, sources: Iterable[str], suffix: str, column: str = "file_name") -> dict[str, str]:
        """Landmark file of each video: ``clip.npz`` for ``clip.mp4``, and ``clip.mov.npz`` where that name is taken.

        A video keeps the name that it once had, in ``column`` of its row, so a new neighbour renames nothing.
        """
        names = {source: str(row[column]) for source, row in self.rows.items() if row.get(column)}
        taken = set(names.values())
        for source in sources:
            plain = os.path.splitext(source)[0] + suffix
            names.setdefault(source, plain if plain not in taken else source + suffix)
            taken.add(names[source])
        return {source: names[source] for source in sources}

    def _check(self, settings: Mapping[str, Any]) -> None:
        try:
            known = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ValueError(
                f"{self.folder} holds a {MANIFEST} without a readable {SETTINGS}; use another folder, or resume=False to "
                "extract everything again."
            ) from None
        settings = json.loads(json.dumps(dict(settings)))
        changed = [
            f"{key}={value!r} instead of {known.get(key)!r}"
            for key, value in settings.items()
            if value != known.get(key)
        ]
        if changed:
            raise ValueError(
                f"{self.folder} was extracted with other settings ({', '.join(changed)}); use another folder, or "
                "resume=False to extract everything again."
            )


def rows_by_source(path: Path, called: str) -> dict[str, dict[str, Any]]:
    """The rows of a JSON-lines file that a run appends to, by their ``source``; the last of a source counts, and a last line that was
    cut off when the run was does not. Nothing where there is no file.

    Raises:
        ValueError: a line that is not ``called``; says which.
    """
    rows: dict[str, dict[str, Any]] = {}
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
            if row is not None:
                rows[row["source"]] = row
        except (ValueError, KeyError, TypeError):
            if number < len(lines):
                raise ValueError(f"{path}, line {number}: not {called}.") from None
    return rows


def read_manifest(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rows of an extraction folder's manifest, sorted by video; a torn last line is left out."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"No {MANIFEST} in {folder}; signlang extract writes one.")
    return [row for _, row in sorted(rows_by_source(path, _ROW).items())]


def content_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _write_text(path: Path, text: str) -> None:
    atomic_write(path, lambda stream: stream.write(text.encode()))  # type: ignore[arg-type, return-value]
