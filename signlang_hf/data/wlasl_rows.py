"""``signlang wlasl build``: rows for training a vision-language model, out of a WLASL table and a folder of its clips.

::

    rows/
        train.jsonl, test.jsonl …    {"prompt": …, "video_path": …, "gloss": …}, one line a clip
        clips.jsonl                  video_id, gloss, signer, split and video_path of each clip
        statistics.json              counts, what is missing, what splits share
        clips_per_gloss.png

``load_dataset("sign_videos", "rows")`` reads them (:mod:`.sign_videos`).

The publisher's splits share signers, as do stratified ones. ``signer-disjoint`` shares none, and asks more of a model. Several clips may be cut out of one
video: how many clips of a split come from a video that also trains is in the statistics.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..landmarks.files import atomic_write
from ..video import VIDEO_SUFFIXES
from .gloss_counts import count_glosses, draw_gloss_counts
from .sign_videos import CLIPS, PROMPT
from .splits import signer_disjoint_split, stratified_split
from .wlasl_links import find_raw
from .wlasl_table import Instance, read_table

SPLITS: tuple[str, ...] = ("official", "stratified", "signer-disjoint")
STATISTICS, PICTURE = "statistics.json", "clips_per_gloss.png"
_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class BuildReport:
    """What was built.

    Args:
        out: the folder of rows.
        statistics: content of ``statistics.json``.
        missing: video ids of the table of which no clip is there.
    """

    out: Path
    statistics: dict[str, Any]
    missing: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {"out": str(self.out), **self.statistics}

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {split['clips']}" for name, split in self.statistics["splits"].items())
        lines = [f"{self.statistics['clips']} clips of {self.statistics['glosses']} glosses ({counts}) in {self.out}"]
        for name, shared in self.statistics["shared_with_train"].items():
            lines.append(
                f"  {name}: {shared['signers']} of its {self.statistics['signers'][name]} signers also train, and so do the videos of "
                f"{shared['clips_of_same_video']} of its clips"
            )
        for name, glosses in self.statistics["missing"].items():
            if glosses:
                lines.append(
                    f"  {name} has no clip of {len(glosses)} glosses: {', '.join(glosses[:8])}{' …' if len(glosses) > 8 else ''}"
                )
        if self.missing:
            lines.append(
                f"  {len(self.missing)} clips of the table are not there and were left out, the first is {self.missing[0]}; "
                "signlang wlasl download fetches what can still be had."
            )
        return "\n".join(lines)


def build_rows(
    table: str | os.PathLike[str],
    videos: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    split: str = "official",
    words: int | None = None,
    test_size: float = 0.2,
    validation_size: float = 0.0,
    seed: int = 0,
    prompt: str = PROMPT,
    relative: bool = False,
) -> BuildReport:
    """Write the rows of a table's clips.

    Args:
        table: JSON file in the schema of ``WLASL_v0.3.json``.
        videos: folder of clips called by video id, each showing its sign alone; sub-folders are searched.
        out: folder for the rows. Rows of an earlier build in it are replaced.
        split: ``"official"`` (the table's), ``"stratified"`` (every gloss has its share in each split) or ``"signer-disjoint"``.
        words: only the first so many glosses.
        test_size, validation_size, seed: of the splits that are made here.
        prompt: what the model is asked.
        relative: write paths that start at ``out``, so that both can be moved together. Default: absolute ones.

    Raises:
        FileNotFoundError: no such table or folder, or none of the clips is there.
        ValueError: a table that cannot be read, bad arguments, a gloss with too few clips for the split.
        ImportError: matplotlib is missing.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; choose one of {', '.join(SPLITS)}.")
    if not prompt.strip():
        raise ValueError("The prompt is empty; give what the model is to be asked.")
    videos, out = Path(videos), Path(out)
    needs = ("video_id", "split", *(("signer_id",) if split == "signer-disjoint" else ()))
    instances = read_table(Path(table), words=words, needs=needs)
    files = {
        name: path
        for name, path in find_raw(videos).items()
        if path.suffix.lower() in VIDEO_SUFFIXES and path.stat().st_size
    }
    there = [one for one in instances if one.video in files]
    missing = [one.video for one in instances if one.video not in files]
    if not there:
        raise FileNotFoundError(
            f"{videos} holds none of the {len(instances)} clips of {table}, the first is {instances[0].video}.mp4; signlang wlasl download fetches them."
            if instances
            else f"{table} lists no clip."
        )
    splits = _official(there) if split == "official" else _divided(there, split, test_size, validation_size, seed)
    paths = {one.video: _path(files[one.video], out, relative) for one in there}
    statistics = {
        "table": str(table), "videos": str(videos), "split": split, **({"seed": seed} if split != "official" else {}),
        **count_glosses({name: [one.gloss for one in part] for name, part in splits.items()}),
        "signers": {name: len({one.signer for one in part if one.signer is not None}) for name, part in splits.items()},
        "shared_with_train": _shared(splits),
        "missing_videos": missing,
    }  # fmt: skip
    draw_gloss_counts(statistics, out / PICTURE)
    for name in _NAMES:
        part = splits.get(name)
        if part is None:
            (out / f"{name}.jsonl").unlink(missing_ok=True)  # of an earlier build with another split
            continue
        _write_lines(
            out / f"{name}.jsonl",
            [{"prompt": prompt, "video_path": paths[one.video], "gloss": one.gloss} for one in part],
        )
    clips = [
        {"video_id": one.video, "gloss": one.gloss, "signer": one.signer, "split": name, "video_path": paths[one.video]}
        for name, part in splits.items()
        for one in part
    ]
    _write_lines(out / CLIPS, clips)
    text = json.dumps(statistics, indent=1, ensure_ascii=False) + "\n"
    atomic_write(out / STATISTICS, lambda stream: stream.write(text.encode()))  # type: ignore[arg-type, return-value]
    return BuildReport(out, statistics, missing)


def _official(instances: list[Instance]) -> dict[str, list[Instance]]:
    unknown = sorted({one.split for one in instances} - set(_NAMES))
    if unknown:
        raise ValueError(
            f"The table has the split {unknown[0]!r}; known are train, val and test. Choose --split stratified, or correct it."
        )
    return {name: part for name in _NAMES if (part := [one for one in instances if one.split == name])}


def _divided(
    instances: list[Instance], split: str, test_size: float, validation_size: float, seed: int
) -> dict[str, list[Instance]]:
    from datasets import Dataset

    rows = Dataset.from_dict(
        {
            "number": list(range(len(instances))),
            "gloss": [one.gloss for one in instances],
            "signer": [one.signer for one in instances],
        }
    )
    sizes = {"test_size": test_size, "validation_size": validation_size, "seed": seed, "label": "gloss"}
    try:
        parts = stratified_split(rows, **sizes) if split == "stratified" else signer_disjoint_split(rows, **sizes)
    except ValueError as error:
        hint = " signlang wlasl filter --min-clips 2 leaves such glosses out." if "single row" in str(error) else ""
        raise ValueError(f"{error}{hint}") from None
    return {name: [instances[number] for number in parts[name]["number"]] for name in _NAMES if name in parts}


def _shared(splits: Mapping[str, list[Instance]]) -> dict[str, dict[str, int]]:
    """What the other splits have in common with the training split."""
    train = splits.get("train", [])
    signers, urls = {one.signer for one in train} - {None}, {one.url for one in train} - {None}
    return {
        name: {
            "signers": len({one.signer for one in part} & signers),
            "clips_of_same_video": sum(one.url in urls for one in part),
        }
        for name, part in splits.items()
        if name != "train"
    }


def _path(file: Path, out: Path, relative: bool) -> str:
    absolute = os.path.abspath(file)
    return Path(os.path.relpath(absolute, os.path.abspath(out))).as_posix() if relative else absolute


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    atomic_write(path, lambda stream: stream.write(text.encode()))  # type: ignore[arg-type, return-value]
