"""Pipelines over files: which clips a folder holds, their answers one by one, and where subtitles go."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..landmarks import LANDMARK_SUFFIXES
from ..landmarks.files import atomic_write
from ..video import VIDEO_SUFFIXES
from .subtitles import save_subtitles, subtitles

UNREADABLE = (ValueError, OSError, ImportError)
"""What a clip raises that cannot be read; of many clips the others are read all the same."""


def clip_files(
    source: str,
    suffixes: Sequence[str] = (*VIDEO_SUFFIXES, *LANDMARK_SUFFIXES),
    called: str = "video or landmark file",
) -> Iterator[str]:
    """A file or an address as it is; of a folder all videos and landmark files in it, in the order of their names.

    Args:
        source: file, address or folder.
        suffixes: which files of a folder count, by the ends of their names.
        called: what such a file is called in a message.

    Raises:
        FileNotFoundError: a folder without any.
    """
    folder = Path(source)
    if not folder.is_dir():
        yield source
        return
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise FileNotFoundError(f"There is no {called} in {source}.")
    yield from map(str, files)


def translate_files(
    pipe: Any,
    sources: Sequence[str],
    *,
    out: Path | None = None,
    subtitle_formats: Sequence[str] = (),
    **arguments: Any,
) -> Iterator[dict[str, Any]]:
    """The answer of a sentence pipeline about each clip of ``sources``, one after the other; files are written on the way.

    Args:
        pipe: ``sign-translation`` or ``continuous-sign-recognition``.
        sources: clips, addresses, or folders that are searched.
        out: a file that gets the answers as JSON lines, or a folder that gets them as ``translations.jsonl`` beside the subtitles.
            It is written when all is done, or was broken off.
        subtitle_formats: ``.srt``, ``.vtt``, both or none. Subtitles lie in ``out`` or beside its file; without it, beside the clips.
        arguments: call arguments of the pipeline.

    Yields:
        ``{"file", …}`` with the answer, and ``subtitles`` with the paths that were written; ``{"file", "error"}`` where a clip
        cannot be read, with the answer where only its subtitles cannot be written.

    Raises:
        FileNotFoundError: a folder without clips, or a language model that is not there.
        ValueError: arguments that do not go together, two clips whose subtitles would be one file, or an ``out`` where nothing can be
            written, which is better known before the first clip than after the last.
    """
    files = {file: source for source in sources for file in clip_files(source)}
    lines = out if out is None or out.suffix.lower() in (".jsonl", ".json") else out / "translations.jsonl"
    folder = None if lines is None else lines.parent
    places = {suffix: beside(files, folder, suffix) for suffix in subtitle_formats}
    pipe.ready(**arguments)
    if lines is not None:
        _prepare(lines)
    rows: list[dict[str, Any]] = []
    try:
        for file in files:
            row: dict[str, Any] = {"file": file}
            try:
                row.update(pipe(file, **arguments))
                if subtitle_formats:
                    cues = subtitles(row)
                    row["subtitles"] = [str(save_subtitles(cues, places[suffix][file])) for suffix in subtitle_formats]
            except UNREADABLE as error:
                row["error"] = str(error)
            rows.append(row)
            yield row
    finally:
        if lines is not None:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            atomic_write(lines, lambda stream: stream.write(text.encode()))


def _prepare(path: Path) -> None:
    """Make the folder of a file that will be written. Raises ValueError where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        reason = "it is a folder" if path.is_dir() else ""
    except OSError as error:
        reason = str(error.strerror)
    if not reason and not os.access(path.parent, os.W_OK):
        reason = "the folder may not be written to"
    if reason:
        raise ValueError(f"The answers cannot be written to {path}: {reason}; choose another place for them.")


def beside(files: Mapping[str, str], folder: Path | None, suffix: str) -> dict[str, Path]:
    """File → path of its companion with another suffix, such as ``.srt``.

    Args:
        files: file → the source that it came from, which may be itself or a folder that holds it.
        folder: where companions go, in the sub-folders that the files have in their source; None puts them beside their files.
            Those of an address go to the working directory then.
        suffix: with its dot. Files of one place that differ only in their own suffix keep it, so that no companion hides another.

    Raises:
        ValueError: two files of the same name from different places would have one companion in ``folder``.
    """
    places = {file: _place(file, source, folder) for file, source in files.items()}
    twins = Counter(place.with_suffix("") for place in places.values())
    found = {
        file: place.with_name(place.name + suffix) if twins[place.with_suffix("")] > 1 else place.with_suffix(suffix)
        for file, place in places.items()
    }
    if double := [path for path, count in Counter(found.values()).items() if count > 1]:
        raise ValueError(f"Two clips would both write {double[0]}; give them in two runs with an output folder each.")
    return found


def _place(file: str, source: str, folder: Path | None) -> Path:
    if "://" in file:
        return (folder or Path()) / PurePosixPath(file.partition("?")[0]).name
    path = Path(file)
    if folder is None:
        return path
    return folder / (path.relative_to(source) if file != source else path.name)
