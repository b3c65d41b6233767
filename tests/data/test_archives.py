"""Texts out of folders and tar archives: the same ones in the same order, nothing followed, nothing too large."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from signlang_hf.data import archives
from signlang_hf.data.archives import is_archive, read_texts


def _is_text(path: PurePosixPath) -> bool:
    return path.suffix == ".txt"


def _archive(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:xz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.tar.xz", True), ("a.tar", True), ("a.TGZ", True), ("a.v2.tar.gz", True), ("a.zip", False), ("tar", False)],
)
def test_archives_are_known_by_their_suffix(name, expected):
    assert is_archive(name) is expected


def test_a_folder_and_its_archive_give_the_same_texts_in_the_same_order(tmp_path):
    texts = {"b.txt": "zwei", "a.txt": "eins", "notes.md": "no"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    archive = _archive(tmp_path / "all.tar.xz", {f"top/{name}": text.encode() for name, text in texts.items()})
    unpacked = [
        (path.name, text) for path, text in read_texts(sorted(tmp_path.iterdir()), _is_text) if path.parts[0] != "top"
    ]
    packed = [(path.name, text) for path, text in read_texts([archive], _is_text)]
    assert unpacked == packed == [("a.txt", "eins"), ("b.txt", "zwei")]


def test_names_that_lead_out_and_links_write_and_read_nothing(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    members = {"../escaped.txt": b"harmless", f"{tmp_path}/absolute.txt": b"harmless"}
    archive = _archive(inside / "evil.tar.xz", members, {"link.txt": str(secret)})
    assert [text for _, text in read_texts([archive], _is_text)] == ["harmless", "harmless"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["evil.tar.xz", "inside", "secret.txt"]


def test_files_and_archives_that_are_too_large_are_refused(tmp_path, monkeypatch):
    large = tmp_path / "large.txt"
    large.write_bytes(b"x" * 101)
    with pytest.raises(ValueError, match=r"large\.txt is larger than"):
        list(read_texts([large], _is_text, limit=100))
    archive = _archive(tmp_path / "one.tar.xz", {"a.txt": b"x" * 101})
    with pytest.raises(ValueError, match=r"one\.tar\.xz: a\.txt is larger than"):
        list(read_texts([archive], _is_text, limit=100))
    monkeypatch.setattr(archives, "ARCHIVE_LIMIT", 250)
    many = _archive(tmp_path / "many.tar.xz", {f"{i}.txt": b"x" * 100 for i in range(3)})
    with pytest.raises(ValueError, match=r"many\.tar\.xz holds more than"):
        list(read_texts([many], _is_text, limit=100))


def test_what_is_no_archive_or_no_text_is_named(tmp_path):
    broken = tmp_path / "broken.tar.xz"
    broken.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"broken\.tar\.xz cannot be read as a tar archive"):
        list(read_texts([broken], _is_text))
    noise = np.random.default_rng(0)
    whole = _archive(tmp_path / "whole.tar.xz", {f"{i}.txt": noise.bytes(5000).hex().encode() for i in range(9)})
    cut = tmp_path / "cut.tar.xz"
    cut.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"cut\.tar\.xz cannot be read as a tar archive"):
        list(read_texts([cut], _is_text))
    with pytest.raises(FileNotFoundError):
        list(read_texts([tmp_path / "none.tar"], _is_text))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"binary\.txt is no text file"):
        list(read_texts([tmp_path / "binary.txt"], _is_text))
