"""``download.jsonl``: what became of each instance of a WLASL table, with the reason where there is no clip.

``status`` is ``ok``; ``dead`` (the link leads to nothing that may be had), ``failed`` (it did not work this time), ``unreadable`` (what came is no video,
or does not hold that stretch) or ``missing`` (the folder of videos does not have it).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..landmarks.files import atomic_write
from ..pose.manifest import rows_by_source
from .wlasl_table import Instance

MANIFEST = "download.jsonl"
STATUSES = ("ok", "dead", "failed", "unreadable", "missing")


@dataclass(frozen=True)
class DownloadReport:
    """How a download went.

    Args:
        out: the folder with ``videos/`` and the manifest.
        rows: the manifest's row for each instance of the table, in its order.
        worked: instances that were worked on in this run.
        skipped: instances that an earlier run had settled.
        seconds: duration of this run.
    """

    out: Path
    rows: list[dict[str, Any]]
    worked: int
    skipped: int
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Instances by status."""
        found = Counter(row["status"] for row in self.rows)
        return {status: found[status] for status in STATUSES if found[status]}

    @property
    def failures(self) -> list[tuple[str, str]]:
        """(video id, what was wrong) of each instance without a clip."""
        return [(row["source"], f"{row['status']}: {row['reason']}") for row in self.rows if row["status"] != "ok"]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "out": str(self.out),
            "manifest": str(self.out / MANIFEST),
            **{status: self.counts.get(status, 0) for status in STATUSES},
            "worked": self.worked,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            "videos": self.rows,
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        lines = [
            f"{len(self.rows)} clips: {counts}; {self.worked} worked on in {self.seconds:.1f} s, {self.skipped} settled before. "
            f"Every one with its reason: {self.out / MANIFEST}"
        ]
        reasons = Counter(f"{row['status']:<10}  {row['reason']}" for row in self.rows if row["status"] != "ok")
        lines += [f"  {count:>6} {reason}" for reason, count in reasons.most_common(12)]
        if len(reasons) > 12:
            lines.append(f"  … and {len(reasons) - 12} other reasons")
        return "\n".join(lines)


class Record:
    """``download.jsonl``: a row an instance, appended when it is settled; the last one of an instance counts."""

    def __init__(self, out: Path, *, read_only: bool = False) -> None:
        self.out, self.path = out, out / MANIFEST
        self.rows = rows_by_source(self.path, f"a row of {MANIFEST}")
        if self.rows and not read_only:  # without a line that was cut off, which the next would be glued to
            self.compact()

    def settled(self, one: Instance, cut_by: str, retry_dead: bool) -> bool:
        """Whether nothing is to be done: the clip is there as it would be cut now, or there is none to be had."""
        row = self.rows.get(one.video)
        if row is None or any(row.get(name) != value for name, value in settings_of(one, cut_by).items()):
            return False
        if row.get("status") == "ok":
            return (self.out / str(row.get("file"))).is_file()
        if row.get("status") == "unreadable":  # an ffmpeg that has come since may read what is still there
            return not retry_dead and not (self.out / (row.get("raw") or "?")).is_file()
        return row.get("status") == "dead" and not retry_dead

    def append(self, row: dict[str, Any]) -> None:
        """Record an instance."""
        self.rows[row["source"]] = row
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    def compact(self) -> None:
        """One row an instance, as the whole content of the file."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows.values())
        if text:
            atomic_write(self.path, lambda stream: stream.write(text.encode()))  # type: ignore[arg-type, return-value]


def settings_of(one: Instance, cut_by: str) -> dict[str, Any]:
    """What makes a clip what it is."""
    return {
        "source": one.video,
        "url": one.url,
        "fps": one.fps,
        "frame_start": one.frame_start,
        "frame_end": one.frame_end,
        "cut_by": cut_by,
    }
