"""Pipelines over files: which clips a folder holds, their answers one by one, and where subtitles go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..landmarks import LANDMARK_SUFFIXES
from ..video import VIDEO_SUFFIXES


def clip_files(source: str) -> Iterator[str]:
    """A file or an address as it is; of a folder all videos and landmark files in it, in the order of their names.

    Raises:
        FileNotFoundError: a folder without any.
    """
    folder = Path(source)
    if not folder.is_dir():
        yield source
        return
    suffixes = (*VIDEO_SUFFIXES, *LANDMARK_SUFFIXES)
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise FileNotFoundError(f"There is no video or landmark file in {source}.")
    yield from map(str, files)


def answers(pipe: Callable[..., dict[str, Any]], files: Iterable[str], **arguments: Any) -> Iterator[dict[str, Any]]:
    """``{"file", …}`` with the pipeline's answer for each file, or ``{"file", "error"}`` where it cannot be read.

    Args:
        pipe: a pipeline that answers with a dictionary.
        files: paths or addresses.
        arguments: call arguments of the pipeline. Check them before: a mistake in them would look like one of every file.
    """
    for file in files:
        try:
            yield {"file": file, **pipe(file, **arguments)}
        except (ValueError, OSError, ImportError) as error:
            yield {"file": file, "error": str(error)}


def beside(files: Mapping[str, str], folder: Path | None, suffix: str) -> dict[str, Path]:
    """File → path of its companion with another suffix, such as ``.srt``.

    Args:
        files: file → the source that it came from, which may be itself or a folder that holds it.
        folder: where companions go, in the sub-folders that the files have in their source; None puts them beside their files.
            Those of an address go to the working directory then.
        suffix: with its dot. Files of one place that differ only in their own suffix keep it, so that no companion hides another.
    """
    places = {file: _place(file, source, folder) for file, source in files.items()}
    twins = Counter(place.with_suffix("") for place in places.values())
    return {
        file: place.with_name(place.name + suffix) if twins[place.with_suffix("")] > 1 else place.with_suffix(suffix)
        for file, place in places.items()
    }


def _place(file: str, source: str, folder: Path | None) -> Path:
    if "://" in file:
        return (folder or Path()) / PurePosixPath(file.partition("?")[0]).name
    path = Path(file)
    if folder is None:
        return path
    return folder / (path.relative_to(source) if file != source else path.name)
