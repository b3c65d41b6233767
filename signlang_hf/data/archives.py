"""Text files of a dataset as its publisher gives it: unpacked in a folder, or still inside the tar archive.

An archive is read in place: nothing is written to disk, so no member's name can lead anywhere, and links and devices in
it are never followed. Its members come in the order of their names, so a dataset has the same rows whichever way it is
read.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

TEXT_LIMIT = 4 << 20
"""Bytes of one text file; the largest clip of the datasets read here has 0.12 MB."""
ARCHIVE_LIMIT = 2 << 30
"""Bytes of all text files of one archive."""


def is_archive(path: str | Path) -> bool:
    """Whether the path names a tar archive by its suffix (``.tar``, ``.tar.xz``, ``.tgz`` …)."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    return bool(suffixes) and (suffixes[-1] in (".tar", ".tgz", ".txz", ".tbz2") or ".tar" in suffixes[-2:])


def find_sources(
    dataset: str, data_dir: str | Path | None, choices: Sequence[Sequence[str]], origin: str
) -> list[Path]:
    """What a builder reads: its clips' files, or the one archive that holds them.

    Args:
        dataset: name of the dataset, for messages.
        data_dir: folder or tar archive.
        choices: sets of glob patterns, the first of which that finds a file in the folder is taken.
        origin: where a user gets the data.

    Raises:
        ValueError: no ``data_dir`` was given.
        FileNotFoundError: it does not exist, or no pattern finds a file.
    """
    if data_dir is None:
        raise ValueError(f"{dataset} needs data_dir=, the folder or tar archive of {origin}.")
    folder = Path(data_dir).expanduser()
    if folder.is_file() and is_archive(folder):
        return [folder]
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is neither a folder nor a tar archive; {dataset} is read from either.")
    for patterns in choices:
        files = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
        if files:
            return files
    looked_for = ", ".join(pattern for patterns in choices for pattern in patterns)
    raise FileNotFoundError(f"{folder} holds no clip of {dataset} ({looked_for}); get it from {origin}.")


def read_texts(
    sources: Iterable[Path], wanted: Callable[[PurePosixPath], bool], *, limit: int = TEXT_LIMIT
) -> Iterator[tuple[PurePosixPath, str]]:
    """(path, text) of every wanted file.

    Args:
        sources: text files, and tar archives of text files.
        wanted: whether the file or member of that path is to be read.
        limit: most bytes of one file.

    Raises:
        ValueError: a file is larger than ``limit`` or no UTF-8 text, the wanted members of an archive together are
            larger than :data:`ARCHIVE_LIMIT`, or the archive cannot be read.
        FileNotFoundError: a source does not exist.
    """
    for source in sources:
        if is_archive(source):
            yield from _read_archive(source, wanted, limit)
        elif wanted(PurePosixPath(source.as_posix())):
            with source.open("rb") as stream:
                content = stream.read(limit + 1)
            yield PurePosixPath(source.as_posix()), _text(content, str(source), limit)


def _read_archive(
    archive: Path, wanted: Callable[[PurePosixPath], bool], limit: int
) -> Iterator[tuple[PurePosixPath, str]]:
    texts: dict[PurePosixPath, str] = {}
    total = 0
    try:
        with tarfile.open(archive, "r|*") as members:
            for member in members:
                path = PurePosixPath(member.name)
                if not member.isfile() or not wanted(path):
                    continue
                total += min(member.size, limit + 1)
                if total > ARCHIVE_LIMIT:
                    raise ValueError(
                        f"{archive} holds more than {ARCHIVE_LIMIT >> 30} GB of text; it is another archive."
                    )
                texts[path] = _text(members.extractfile(member).read(limit + 1), f"{archive}: {path}", limit)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{archive} cannot be read as a tar archive: {error}.") from error
    for path in sorted(texts):
        yield path, texts[path]


def _text(content: bytes, name: str, limit: int) -> str:
    if len(content) > limit:
        raise ValueError(f"{name} is larger than {limit / (1 << 20):.3g} MB; it is no clip of this dataset.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is no text file.") from None
