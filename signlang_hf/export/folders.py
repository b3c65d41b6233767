"""What goes into an exported folder beside its graphs, and how it gets there whole or not at all.

Design decisions:

* Settings travel without ``auto_map`` and code: an exported model is run by this library, and a folder that asks for code of its own
  would not open without ``trust_remote_code``.
* A folder is written under a temporary name beside its goal and moved there at the end. An earlier export in that place is replaced;
  anything else is left alone.
* Disk space is asked for before the first byte is written.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..landmarks.files import atomic_write
from ..models.loading import EXPORT_RECORD, TFLITE_RECORD

# Settings of a model, its processor and the decoder that training chose.
_SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json", "decoder.json")
_CONTENT = ("*.arpa",)
# In sizes of the weights: the graph, a copy while it is quantised, and shape inference between the two.
_SPACE = 4
_LEAST = 8_000_000


def copy_settings(source: Path, target: Path) -> None:
    """Configuration, processor and decoder of one folder, without its members'."""
    target.mkdir(parents=True, exist_ok=True)
    for name in _SETTINGS:
        if (source / name).is_file():
            settings = _without_code(json.loads((source / name).read_text(encoding="utf-8")))
            text = json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
            atomic_write(target / name, lambda stream, text=text: stream.write(text.encode()))
    for pattern in _CONTENT:
        for path in source.glob(pattern):
            shutil.copyfile(path, target / path.name)


def check_goal(out: Path) -> None:
    """Raise FileExistsError where an export may not go: a file, or a folder with something else in it."""
    if out.is_file():
        raise FileExistsError(f"{out} is a file; give a folder for the export.")
    is_export = any((out / record).is_file() for record in (EXPORT_RECORD, TFLITE_RECORD))
    if out.is_dir() and any(out.iterdir()) and not is_export:
        raise FileExistsError(f"{out} exists and holds something else than an export; give another folder.")


def check_space(source: Path, out: Path) -> None:
    """Raise OSError where the disk has not enough room for the export of a model."""
    weights = sum(path.stat().st_size for path in source.rglob("*") if path.suffix in (".safetensors", ".ubj", ".arpa"))
    needed = _SPACE * weights + _LEAST
    existing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise OSError(
            f"The export needs about {needed / 1e6:.0f} MB and {existing} has {free / 1e6:.0f} MB left; make room or give another --out."
        )


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``out`` at the end; on failure nothing is left behind, and what was there stays."""
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp"))
    try:
        yield made
        umask = os.umask(0)
        os.umask(umask)
        made.chmod(0o777 & ~umask)  # mkdtemp makes private folders
        if out.is_dir():
            old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".old"))
            os.replace(out, old / "export")
            try:
                os.replace(made, out)
            except OSError:
                os.replace(old / "export", out)
                raise
            finally:
                shutil.rmtree(old)
        else:
            os.replace(made, out)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _without_code(settings: object) -> object:
    if not isinstance(settings, dict):
        return settings
    return {key: _without_code(value) for key, value in settings.items() if key != "auto_map"}


__all__ = ["check_goal", "check_space", "copy_settings", "whole_folder"]
