"""The tables of WLASL: ``WLASL_v0.3.json``, and what the authors' own code reads instead (``nslt_<words>.json`` with ``wlasl_class_list.txt``).

A table is a list of ``{"gloss": …, "instances": [{"video_id": …, "url": …, "split": …, …}, …]}``. What one needs of an instance depends on what is
done with it, so a reader says which fields it needs; a table that lacks them ends in one sentence that says where.

Video ids become names of files, so only letters, digits, ``_`` and ``-`` are taken for one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..landmarks.files import atomic_write
from .metadata import SPLIT_ALIASES, Metadata

CLASS_LIST = "wlasl_class_list.txt"
TABLES: tuple[str, ...] = ("WLASL_v*.json", "nslt_*.json", CLASS_LIST)
"""Patterns of the files that are looked for."""
FPS = 25.0
"""Frames a second that ``frame_start`` and ``frame_end`` count: the publisher decoded all videos at this rate."""
_LANDMARK_FIELDS = ("video_id", "split", "signer_id", "bbox")
_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCHEMA = "is not a table in the schema of WLASL_v0.3.json"


class Instance(NamedTuple):
    """One video of a table; what it does not say is None, or the schema's default.

    ``frame_start`` and ``frame_end`` count from 1 at ``fps`` and include both ends; a ``frame_end`` of -1 is the end of the video.
    ``record`` is the instance as the table has it.
    """

    video: str
    gloss: str
    split: str
    signer: str | None = None
    bbox: list[int] | None = None
    url: str | None = None
    fps: float = FPS
    frame_start: int = 1
    frame_end: int = -1
    record: dict[str, Any] | None = None


def read_table(path: Path, *, words: int | None = None, needs: Sequence[str] = ("video_id", "split")) -> list[Instance]:
    """The instances of a table, in its order.

    Args:
        path: a JSON file in the schema of ``WLASL_v0.3.json``.
        words: only the first so many glosses. Default: all.
        needs: fields that every instance must have.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not JSON, another schema, an instance without a field that is needed or with one that cannot be used, a video id
            that is no name or stands for two instances, fewer glosses than ``words``.
    """
    return _read_table(path, words, needs)[1]


def write_table(path: Path, instances: Iterable[Instance]) -> None:
    """Write instances that :func:`read_table` gave as a table of the same schema, glosses in the order in which they come."""
    entries: dict[str, list[dict[str, Any] | None]] = {}
    for one in instances:
        entries.setdefault(one.gloss, []).append(one.record)
    content = [{"gloss": gloss, "instances": records} for gloss, records in entries.items()]
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    atomic_write(path, lambda stream: stream.write(text.encode()))  # type: ignore[arg-type, return-value]


def read_instances(metadata: Metadata, words: int) -> tuple[list[str], list[Instance]]:
    """Glosses and instances of the first ``words`` glosses, from the newest ``WLASL_v*.json``, else from ``nslt_<words>.json``.

    Raises:
        FileNotFoundError: there is neither.
        ValueError: a table that cannot be read, or that lists fewer glosses.
    """
    tables = {path.name: path for path in metadata.tables}
    nslt, class_list = tables.get(f"nslt_{words}.json"), tables.get(CLASS_LIST)
    newest = max((name for name in tables if not name.startswith("nslt_") and name != CLASS_LIST), default=None)
    if newest is not None:
        return _read_table(tables[newest], words, _LANDMARK_FIELDS)
    if nslt is not None and class_list is not None:
        return _read_nslt(nslt, class_list, words)
    raise FileNotFoundError(
        f"{metadata.folder} holds neither WLASL_v0.3.json nor both nslt_{words}.json and {CLASS_LIST}; copy one of them from "
        "github.com/dxli94/WLASL, or name a table with table=."
    )


def _read_table(path: Path, words: int | None, needs: Sequence[str]) -> tuple[list[str], list[Instance]]:
    """Glosses, those without instances too, and instances."""
    content = _load_json(path)
    if not isinstance(content, list) or not content:
        hint = f" (nslt tables have no {' or '.join(needs)})" if isinstance(content, dict) else ""
        raise ValueError(f"{path} {_SCHEMA}: it should be a list with an entry a gloss{hint}.")
    if words is not None and not 1 <= words <= len(content):
        raise ValueError(f"{path} lists {len(content)} glosses, fewer than the {words} asked for.")
    glosses: list[str] = []
    instances: dict[str, Instance] = {}
    faults: list[str] = []
    for number, entry in enumerate(content[:words], 1):
        where = f"entry {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("gloss"), str) or not entry["gloss"].strip():
            faults.append(f"{where} has no 'gloss'")
            continue
        glosses.append(entry["gloss"].strip())
        where += f" ({entry['gloss']!r})"
        if not isinstance(entry.get("instances"), list):
            faults.append(f"{where} has no 'instances'")
            continue
        for position, record in enumerate(entry["instances"], 1):
            place = f"instance {position} of {where}"
            found = _instance(record, entry["gloss"], needs)
            if isinstance(found, str):
                faults.append(f"{place} {found}")
            elif instances.setdefault(found.video, found) != found:
                other = instances[found.video].gloss
                faults.append(f"{place} has the video_id {found.video!r} of another instance, of {other!r}")
    if faults:
        more = f", and {len(faults) - 1} more like it" if len(faults) > 1 else ""
        raise ValueError(
            f"{path} {_SCHEMA}: {faults[0]}{more}; get the table again from github.com/dxli94/WLASL, or correct it."
        )
    return list(dict.fromkeys(glosses)), list(instances.values())


def _instance(record: Any, gloss: str, needs: Sequence[str]) -> Instance | str:
    """The instance, or what is wrong with it."""
    if not isinstance(record, dict):
        return "is no object"
    missing = [name for name in needs if record.get(name) is None]
    if missing:
        return f"has no {' and no '.join(map(repr, missing))}"
    video = str(record.get("video_id"))
    if not _VIDEO_ID.fullmatch(video):
        return f"has the video_id {video!r}, which cannot name a file"
    try:
        fps, start, end = (
            float(record.get("fps", FPS)),
            int(record.get("frame_start", 1)),
            int(record.get("frame_end", -1)),
        )
    except (TypeError, ValueError):
        return "has an fps, frame_start or frame_end that is no number"
    if not 0 < fps < 1000 or start < 0 or (end > 0 and end < start):
        return f"goes from frame {start} to {end} at {fps:g} fps, which is no stretch of a video"
    signer, split = record.get("signer_id"), str(record.get("split", "train"))
    return Instance(
        video, gloss.strip(), SPLIT_ALIASES.get(split, split), None if signer is None else str(signer),
        record.get("bbox"), record.get("url"), fps, max(start, 1), end if end > 0 else -1, record,
    )  # fmt: skip


def _read_nslt(path: Path, class_list: Path, words: int) -> tuple[list[str], list[Instance]]:
    lines = class_list.read_text(encoding="utf-8").splitlines()
    glosses = [line.split("\t")[-1].strip() for line in lines if line.strip()][:words]
    try:
        instances = [
            Instance(video, glosses[row["action"][0]], SPLIT_ALIASES.get(row["subset"], row["subset"]))
            for video, row in _load_json(path).items()
        ]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{path} and {class_list.name} do not fit each other ({error}).") from error
    return glosses, instances


def _load_json(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"Table not found: {path}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}).") from error
