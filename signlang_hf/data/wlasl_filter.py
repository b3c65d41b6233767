"""``signlang wlasl filter``: a smaller table out of a WLASL table, and what dropped out of it for which reason.

Steps are taken in one order: words, glossary, signers, videos that are there, and at last the fewest clips a gloss may have, which counts what the others
left. An instance drops out at the first step that does not want it. What is left keeps its order and every field, so all that reads a WLASL
table reads it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..metrics.gloss_accuracy.synonyms import Synonyms
from .clip_files import find_clip_files
from .glossary import glossary_words, load_glossary, match_glosses
from .wlasl_table import Instance, read_table, write_table


@dataclass(frozen=True)
class FilterReport:
    """What a filter left.

    Args:
        kept: instances of the new table.
        dropped: (instance, reason) of the others.
        unmatched: words of the glossary that are no gloss of the table.
        matched: gloss → word of the glossary, where the two are spelled differently.
    """

    kept: list[Instance]
    dropped: list[tuple[Instance, str]]
    unmatched: list[str] = field(default_factory=list)
    matched: dict[str, str] = field(default_factory=dict)

    @property
    def glosses(self) -> list[str]:
        """Glosses of the new table, in order."""
        return list(dict.fromkeys(one.gloss for one in self.kept))

    @property
    def lost_glosses(self) -> dict[str, str]:
        """Gloss of which nothing is left → the reason that took most of its instances."""
        left = set(self.glosses)
        reasons: dict[str, Counter[str]] = {}
        for one, reason in self.dropped:
            if one.gloss not in left:
                reasons.setdefault(one.gloss, Counter())[reason] += 1
        return {gloss: counted.most_common(1)[0][0] for gloss, counted in reasons.items()}

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "clips": len(self.kept),
            "glosses": len(self.glosses),
            "dropped_clips": dict(Counter(reason for _, reason in self.dropped)),
            "dropped_glosses": self.lost_glosses,
            "glossary_words_without_gloss": self.unmatched,
            "glosses_by_synonym": self.matched,
            "dropped": [{"video_id": one.video, "gloss": one.gloss, "reason": reason} for one, reason in self.dropped],
        }

    def __str__(self) -> str:
        total = len(self.kept) + len(self.dropped)
        lines = [f"{len(self.kept)} of {total} clips are left, of {len(self.glosses)} glosses."]
        lost = Counter(self.lost_glosses.values())
        for reason, count in Counter(reason for _, reason in self.dropped).items():
            glosses = f", and with them {lost[reason]} glosses" if lost[reason] else ""
            lines.append(f"  {count:>6} clips dropped out: {reason}{glosses}")
        if self.unmatched:
            lines.append(
                f"  {len(self.unmatched)} words of the glossary are no gloss of the table: {_some(self.unmatched)}"
            )
        if self.matched:
            pairs = [f"{gloss} for {word}" for gloss, word in self.matched.items()]
            lines.append(f"  {len(pairs)} glosses were taken as synonyms: {_some(pairs)}")
        return "\n".join(lines)


def filter_table(
    table: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    words: int | None = None,
    glossary: str | os.PathLike[str] | bool | None = None,
    groups: Iterable[str] = (),
    synonyms: Any = None,
    signers: Iterable[str] = (),
    without_signers: Iterable[str] = (),
    videos: str | os.PathLike[str] | None = None,
    min_clips: int = 1,
) -> FilterReport:
    """Choose instances of a table.

    Args:
        table: JSON file in the schema of ``WLASL_v0.3.json``.
        out: file for the smaller table. Default: only report.
        words: the first so many glosses.
        glossary: only glosses that are words of it: a file as for :func:`.glossary.load_glossary`, or True for the library's.
        groups: of the glossary, by name; they imply the library's where none is given.
        synonyms: take synonyms and inflections of the glossary's words, too: True for the library's table, or one as for ``Synonyms.load``.
        signers, without_signers: only, and not, these signers' clips.
        videos: only instances of which this folder holds a clip (or landmarks) called by its video id.
        min_clips: glosses with fewer clips, when all else is done, drop out.

    Raises:
        FileNotFoundError: no such table, glossary or folder.
        ValueError: a file that cannot be read, a group or a signer that does not exist, bad arguments, or nothing left.
    """
    if min_clips != int(min_clips) or min_clips < 1:
        raise ValueError(f"min_clips is {min_clips}; it must be a whole number from 1.")
    table, groups = Path(table), list(groups)
    signers, without_signers = set(map(str, signers)), set(map(str, without_signers))
    instances = read_table(table, needs=("video_id", "split", *(("signer_id",) if signers or without_signers else ())))
    reasons: dict[str, str] = {}
    glosses = list(dict.fromkeys(one.gloss for one in instances))
    if words is not None:
        if not 1 <= words <= len(glosses):
            raise ValueError(f"{table} lists {len(glosses)} glosses; words must be from 1 to that, not {words}.")
        first = set(glosses[:words])
        _drop(reasons, instances, lambda one: one.gloss in first, f"not one of the first {words} glosses")
    unmatched, matched = [], {}
    if glossary not in (None, False) or groups:
        listed = glossary_words(load_glossary(None if glossary in (None, True, False) else glossary), groups)
        same = None if synonyms in (None, False) else Synonyms.load(None if synonyms is True else synonyms)
        found, unmatched = match_glosses(glosses, listed, same)
        exact, _ = match_glosses(glosses, listed)
        matched = {gloss: word for gloss, word in found.items() if gloss not in exact}
        _drop(reasons, instances, lambda one: one.gloss in found, "no word of the glossary")
    unknown = sorted((signers | without_signers) - {one.signer for one in instances})
    if unknown:
        raise ValueError(
            f"{table} has no signer {', '.join(unknown)}; its signers are {_some(sorted({str(one.signer) for one in instances}))}."
        )
    if signers:
        _drop(reasons, instances, lambda one: one.signer in signers, "another signer")
    if without_signers:
        _drop(reasons, instances, lambda one: one.signer not in without_signers, "a signer to leave out")
    if videos is not None:
        there = find_videos_by_id(Path(videos))
        _drop(reasons, instances, lambda one: one.video in there, "no video of it is there")
    counts = Counter(one.gloss for one in instances if one.video not in reasons)
    _drop(
        reasons,
        instances,
        lambda one: counts[one.gloss] >= min_clips,
        f"its gloss has fewer than {min_clips} clips left",
    )
    kept = [one for one in instances if one.video not in reasons]
    report = FilterReport(
        kept, [(one, reasons[one.video]) for one in instances if one.video in reasons], unmatched, matched
    )
    if not kept:
        most = ", ".join(f"{count} × {reason}" for reason, count in Counter(reasons.values()).most_common())
        raise ValueError(f"No clip of {table} is left ({most}); ask for less.")
    if out is not None:
        write_table(Path(out), kept)
    return report


def find_videos_by_id(folder: Path) -> dict[str, Path]:
    """Video id → its clip, or the landmarks of it, in a folder and its sub-folders.

    Raises:
        FileNotFoundError: no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"Folder of videos not found: {folder}; signlang wlasl download makes one.")
    return find_clip_files(folder, lambda path: path.name)


def _drop(reasons: dict[str, str], instances: list[Instance], wanted: Any, reason: str) -> None:
    for one in instances:
        if one.video not in reasons and not wanted(one):
            reasons[one.video] = reason


def _some(names: list[str], shown: int = 8) -> str:
    return ", ".join(names[:shown]) + (f" … ({len(names)} in all)" if len(names) > shown else "")
