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
_LEFTOVER = re.compile(r"^\..+\.(npz|pose|jsonl|json)\.[^.]+\.tmp$")


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
            self._load()
            for row in self.rows.values():
                if row.get("file_name"):
                    (folder / row["file_name"]).unlink(missing_ok=True)
            self.rows = {}
            self.path.unlink(missing_ok=True)
        elif self.path.exists():
            self._check(settings)
            self._load()
        _write_text(folder / SETTINGS, json.dumps(dict(settings), indent=2, sort_keys=True) + "\n")
        self.compact()

    def append(self, row: dict[str, Any]) -> None:
        """Record a video."""
        self.rows[row["source"]] = row
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(row))

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

    def targets(self, sources: Iterable[str], suffix: str) -> dict[str, str]:
        """Landmark file of each video: ``clip.npz`` for ``clip.mp4``, and ``clip.mov.npz`` where that name is taken.

        A video keeps the name that it once had, so a new neighbour renames nothing.
        """
        names = {source: str(row["file_name"]) for source, row in self.rows.items() if row["file_name"]}
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

    def _load(self) -> None:
        if not self.path.exists():
            return
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line) if line.strip() else None
                if row is not None:
                    self.rows[row["source"]] = row
            except (ValueError, KeyError, TypeError):
                if number < len(lines):
                    raise ValueError(f"{self.path}, line {number}: not a row of an extraction manifest.") from None


def read_manifest(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rows of an extraction folder's manifest, sorted by video; a torn last line is left out."""
    manifest = Manifest.__new__(Manifest)
    manifest.folder, manifest.path, manifest.rows = Path(folder), Path(folder) / MANIFEST, {}
    if not manifest.path.is_file():
        raise FileNotFoundError(f"No {MANIFEST} in {folder}; signlang extract writes one.")
    manifest._load()
    return [manifest.rows[source] for source in sorted(manifest.rows)]


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
