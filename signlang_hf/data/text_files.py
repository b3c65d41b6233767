"""Reading text strictly: UTF-8 or a sentence with line and column. A vowel sign or an umlaut that was guessed wrong is another word."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_WIDE = (b"\xff\xfe", b"\xfe\xff")


class BadByte(NamedTuple):
    """The first byte that is not UTF-8: ``line`` and ``column`` from 1, the column in characters, and what is wrong in words."""

    line: int
    column: int
    reason: str


def decode_utf8(content: bytes) -> str | BadByte:
    """The text of a file's bytes, without a byte order mark, or where it stops being UTF-8."""
    if content.startswith(_WIDE):
        return BadByte(1, 1, "the file is UTF-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        reason = f"the byte 0x{content[error.start]:02x} is not UTF-8"
        return BadByte(before.count("\n") + 1, len(before) - before.rfind("\n"), reason)


def read_utf8(path: Path) -> str:
    """The text of a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not UTF-8; the sentence says line and column of the first byte that is not.
    """
    text = decode_utf8(path.read_bytes())
    if isinstance(text, BadByte):
        raise ValueError(f"{path}, line {text.line}, column {text.column}: {text.reason}; save the file as UTF-8.")
    return text
