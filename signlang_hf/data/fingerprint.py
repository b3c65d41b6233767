"""Fingerprints of files: the cheap one that keeps a dataset cache honest, and the exact one that recognises content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def files_fingerprint(files: Iterable[Path], *settings: Any) -> str:
    """16 hexadecimal digits that change when a file appears, disappears or is written to.

    Hashes path, time of change and size, not content, so that ten thousand clips cost milliseconds. A file that does not
    exist counts as such. ``settings`` are mixed in through ``repr``.
    """
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=8)
    for file in sorted(files):
        try:
            status = file.stat()
            state = f"{status.st_mtime_ns} {status.st_size}"
        except OSError:
            state = "missing"
        digest.update(f"{file}\0{state}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def content_fingerprint(path: Path) -> str:
    """32 hexadecimal digits of a file's bytes, or of those of all files of a folder; the same for a copy or a renamed one."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
