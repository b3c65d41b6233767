"""Subtitles, SRT or WebVTT, from what the sentence pipelines answer: glosses with their times, and sentences.

Design decisions:

* What can be read comes before what was signed when: lines are short, a subtitle stays long enough, and two never overlap. The numbers
  (:class:`SubtitleStyle`) are those of the Netflix Timed Text Style Guide: two lines of 42 characters, 5/6 to 7 seconds, 17 characters a
  second. A subtitle begins with its signs; it begins later only where the one before could not be read otherwise.
* Nothing recognised is lost: text that does not fit goes into a further subtitle, never away, and a word is never cut.
* Signs follow each other faster than subtitles may, so glosses without a pause in between share one.
* A sentence has no times of its own. It is shown from its first sign to its last, and where it needs several subtitles, the time is
  shared by their length: signed and spoken order differ, so no word has the time of a sign.
* Wide characters (Chinese, Japanese, Korean) take two columns and may be broken anywhere; marks on a letter take none.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..landmarks.files import atomic_write

CONTENTS = ("auto", "text", "glosses")


@dataclass(frozen=True)
class Cue:
    """One subtitle: ``text`` (lines separated by ``\\n``) from ``start`` to ``end`` in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class SubtitleStyle:
    """What makes subtitles readable.

    Attributes:
        line_length: columns of a line; a word that is longer has a line to itself.
        max_lines: lines of a subtitle.
        min_duration, max_duration: seconds; the longer one yields where reading takes more.
        characters_per_second: reading speed that a subtitle is given time for where the next one leaves it.
        gap: seconds between two subtitles, so that the eye sees the change (two frames at 25 fps).
        pause: seconds without a sign that end a run of glosses.
    """

    line_length: int = 42
    max_lines: int = 2
    min_duration: float = 5 / 6
    max_duration: float = 7.0
    characters_per_second: float = 17.0
    gap: float = 0.08
    pause: float = 1.0

    def __post_init__(self) -> None:
        if min(self.line_length, self.max_lines) < 1:
            raise ValueError(
                f"line_length is {self.line_length} and max_lines {self.max_lines}; both must be at least 1."
            )
        if not (0 < self.min_duration <= self.max_duration and self.characters_per_second > 0):
            raise ValueError(
                f"min_duration {self.min_duration}, max_duration {self.max_duration} and characters_per_second "
                f"{self.characters_per_second} must be positive, the first no longer than the second."
            )
        if not (self.gap >= 0 and self.pause >= 0):
            raise ValueError(f"gap is {self.gap} and pause {self.pause}; neither may be negative.")


def subtitles(
    answers: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    content: str = "auto",
    style: SubtitleStyle | None = None,
    duration: float | None = None,
) -> list[Cue]:
    """The subtitles of one clip.

    Args:
        answers: what ``pipeline("sign-translation")`` or ``pipeline("continuous-sign-recognition")`` says about the clip,
            ``{"glosses": [{"gloss", "start", "end", …}, …], "text"?}``, or a list of such answers about parts of it.
        content: ``text`` shows sentences, ``glosses`` the signs, ``auto`` (default) sentences where there are any.
        style: see :class:`SubtitleStyle`.
        duration: the clip's length in seconds, if subtitles must not outlast it.
    Returns:
        Cues in order of time, which do not overlap; none where nothing was recognised.
    Raises:
        ValueError: an unknown ``content``, sentences that are asked for and missing, or glosses without times that make sense.
    """
    if content not in CONTENTS:
        raise ValueError(f"content is {content!r}; choose one of {', '.join(CONTENTS)}.")
    style = style or SubtitleStyle()
    parts = [(_signs(answer), answer) for answer in ([answers] if isinstance(answers, Mapping) else answers)]
    parts.sort(key=lambda part: part[0][0].start if part[0] else 0.0)
    cues: list[Cue] = []
    for number, (signs, answer) in enumerate(parts):
        text = " ".join(str(answer.get("text") or "").split())
        if content == "text" and signs and "text" not in answer:
            raise ValueError("This answer holds no text; show its glosses or translate them first.")
        if content == "glosses" or not text:
            cues += _of_glosses(signs, style)
        elif signs:
            until = min((later[0].start for later, _ in parts[number + 1 :] if later), default=math.inf)
            cues += _of_sentence(text, signs, until, style)
        else:
            raise ValueError(f"The sentence {text!r} has no glosses with times, so there is no time to show it at.")
    cues = _timed(_merged(cues, style), style, duration)
    return [replace(cue, text="\n".join(_lines(cue.text, style))) for cue in cues]


def to_srt(cues: Sequence[Cue]) -> str:
    """SubRip text. SubRip knows no escape and players take ``<…>`` for markup, so angle brackets become ‹ and ›."""
    blocks = []
    for number, cue in enumerate(cues, 1):
        text = cue.text.replace("<", "‹").replace(">", "›")
        blocks.append(f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(cues: Sequence[Cue]) -> str:
    """WebVTT text (W3C, https://www.w3.org/TR/webvtt1/) with ``&``, ``<`` and ``>`` escaped."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{text}\n")
    return "\n".join(blocks)


FORMATS: dict[str, Callable[[Sequence[Cue]], str]] = {".srt": to_srt, ".vtt": to_vtt}


def save_subtitles(cues: Sequence[Cue], path: str | os.PathLike[str]) -> Path:
    """Write ``.srt`` or ``.vtt``, in UTF-8, in one move. Raises ValueError for another suffix."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"Subtitles are written as {' or '.join(FORMATS)}; {path.name} is neither.")
    text = FORMATS[path.suffix.lower()](cues)
    atomic_write(path, lambda stream: stream.write(text.encode()))
    return path


def _signs(answer: Mapping[str, Any]) -> list[Cue]:
    signs = []
    for number, sign in enumerate(answer.get("glosses") or ()):
        if not isinstance(sign, Mapping) or not {"gloss", "start", "end"} <= set(sign):
            raise ValueError(f"Gloss {number} is {sign!r}; subtitles need its gloss, start and end.")
        start, end = float(sign["start"]), float(sign["end"])
        if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
            raise ValueError(f"Gloss {number}, {sign['gloss']}, runs from {start} to {end} seconds; that is no time.")
        if text := " ".join(str(sign["gloss"]).split()):
            signs.append(Cue(start, end, text))
    return sorted(signs, key=lambda sign: sign.start)


def _of_glosses(signs: Sequence[Cue], style: SubtitleStyle) -> list[Cue]:
    """Runs of signs without a pause, each as long as fits into a subtitle."""
    cues: list[Cue] = []
    for sign in signs:
        if cues and sign.start - cues[-1].end < style.pause and (both := _joined(cues[-1], sign, style)):
            cues[-1] = both
        else:
            cues.append(sign)
    return cues


def _of_sentence(text: str, signs: Sequence[Cue], until: float, style: SubtitleStyle) -> list[Cue]:
    """One subtitle, or as many as the sentence needs, which share by their length its time and, if need be, that ``until`` the next."""
    start, end = signs[0].start, max(sign.end for sign in signs)
    parts = _partition(
        _pieces(text), lambda pieces: len(_lines(_text(pieces), style, balanced=False)) <= style.max_lines
    )
    widths = [_width(part) for part in parts]
    end = max(end, min(start + sum(widths) / style.characters_per_second, until))
    times = [start + (end - start) * sum(widths[:i]) / sum(widths) for i in range(len(parts) + 1)]
    return [Cue(*span, part) for *span, part in zip(times, times[1:], parts)]


def _joined(first: Cue, second: Cue, style: SubtitleStyle) -> Cue | None:
    """Both as one subtitle, or None where that is too long to show or to read."""
    cue = Cue(first.start, max(first.end, second.end), f"{first.text} {second.text}")
    fits = len(_lines(cue.text, style, balanced=False)) <= style.max_lines
    return cue if fits and cue.end - cue.start <= style.max_duration else None


def _merged(cues: Sequence[Cue], style: SubtitleStyle) -> list[Cue]:
    """Subtitles that the next one would push away too soon join it where there is room."""
    merged: list[Cue] = []
    for cue in cues:
        hurried = merged and cue.start - style.gap - merged[-1].start < style.min_duration
        if hurried and (both := _joined(merged[-1], cue, style)):
            merged[-1] = both
        else:
            merged.append(cue)
    return merged


def _timed(cues: Sequence[Cue], style: SubtitleStyle, duration: float | None) -> list[Cue]:
    """The same subtitles, each shown long enough and gone before the next."""
    timed: list[Cue] = []
    for cue, following in zip(cues, [*cues[1:], None]):
        start = max(cue.start, timed[-1].end + style.gap) if timed else cue.start
        reading = max(style.min_duration, _width(cue.text) / style.characters_per_second)
        end = min(max(cue.end, start + reading), start + max(style.max_duration, reading))
        if following is not None:
            end = max(min(end, following.start - style.gap), start + style.min_duration)
        timed.append(Cue(start, end, cue.text))
    if duration is None:
        return timed
    # From the clip's end backwards: what would outlast it ends with it and begins earlier instead, as far as the others leave room.
    latest = duration
    for i in reversed(range(len(timed))):
        end = min(timed[i].end, latest)
        before = timed[i - 1].start + style.gap if i else 0.0
        start = min(timed[i].start, max(end - style.min_duration, before, 0.0))
        timed[i] = Cue(start, max(end, start), timed[i].text)
        latest = start - style.gap
    return timed


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


# ---------------------------------------------------------------------------------------------------------- lines of text

_WIDE = "WF"
_PAUSES = tuple(".,;:!?…、。，；：！？،؛؟।")


def _width(text: str) -> int:
    """Columns that a text takes."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in _WIDE) for letter in text
    )


def _pieces(text: str) -> list[str]:
    """What a line may be broken between: words with the blank before them, and wide characters one by one."""
    pieces: list[str] = []
    for word in re.findall(r"\s*\S+", text):
        run = ""
        for letter in word:
            wide = unicodedata.east_asian_width(letter) in _WIDE
            # Closing punctuation stays with what it closes.
            if wide and run.strip() and not letter.startswith(_PAUSES):
                pieces, run = [*pieces, run], letter
            else:
                run += letter
        pieces.append(run)
    return pieces


def _text(pieces: Sequence[str]) -> str:
    return "".join(pieces).strip()


def _lines(text: str, style: SubtitleStyle, *, balanced: bool = True) -> list[str]:
    """The text in as few lines as it takes: of about the same length, or filled one after the other, which is faster."""
    pieces = _pieces(text)
    if balanced:
        return _partition(pieces, lambda line: _width(_text(line)) <= style.line_length)
    lines: list[str] = []
    for piece in pieces:
        if lines and _width((lines[-1] + piece).strip()) <= style.line_length:
            lines[-1] += piece
        else:
            lines.append(piece)
    return [line.strip() for line in lines]


def _partition(pieces: Sequence[str], fits: Callable[[Sequence[str]], bool]) -> list[str]:
    """Pieces in as few parts that fit as possible, of about equal width, with their ends at punctuation where that costs little.

    The best of all ways by dynamic programming, with the sum of squared widths as the cost (Knuth & Plass 1981 break paragraphs so). One
    piece is a part of its own whether it fits or not.
    """
    best: list[tuple[int, float, int]] = [(0, 0.0, 0)]  # parts, cost and begin of the last part, up to here
    for end in range(1, len(pieces) + 1):
        ways = []
        for begin in reversed(range(end)):
            part = pieces[begin:end]
            if len(part) > 1 and not fits(part):
                break
            text = _text(part)
            cost = _width(text) ** 2 * (0.8 if text.endswith(_PAUSES) else 1.0)
            ways.append((best[begin][0] + 1, best[begin][1] + cost, begin))
        best.append(min(ways))
    parts, end = [], len(pieces)
    while end:
        begin = best[end][2]
        parts.append(_text(pieces[begin:end]))
        end = begin
    return parts[::-1]
