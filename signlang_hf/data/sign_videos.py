"""Dataset ``sign_videos``: videos of single signs as questions to a vision-language model, one JSON row a clip.

::

    rows/
        train.jsonl             {"prompt": "…", "video_path": "/data/WLASL/videos/69241.mp4", "gloss": "book"}
        test.jsonl              the same; a split a file, .jsonl or a .json list
        clips.jsonl             optional: {"video_path": …, "signer": …} of each clip

``signlang wlasl build`` writes such a folder (:mod:`.wlasl_rows`). Rows have the columns ``id``, ``prompt``, ``video_path`` (absolute), ``gloss``, ``label`` (the gloss as
a class, in alphabetical order) and ``signer``. Videos stay where they are and are read by whoever trains; a path that is not absolute starts at the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

from .fingerprint import files_fingerprint
from .folder_builder import FolderConfig, leave_out
from .metadata import SPLIT_ALIASES, DatasetError, Fault

PROMPT = "You are an expert sign-language recognition model. Identify the sign in the video and respond with exactly one word and nothing else."
"""What a model is asked about a clip. The model's configuration says it once more: it travels to the Hub by itself, and a reader of data
needs no model."""
CLIPS = "clips.jsonl"
VERSION = datasets.Version("1.0.0")
_ORDER = ("train", "validation", "test")


class SignVideos(datasets.GeneratorBasedBuilder):
    """A folder of JSON rows. ``on_error="skip"`` leaves out rows whose video is not there, and says how many."""

    BUILDER_CONFIG_CLASS = FolderConfig
    VERSION = VERSION
    NEEDS = "the folder with train.jsonl and other splits, as signlang wlasl build writes it"
    FACTS = None

    def __init__(self, *args: Any, data_dir: str | Path | None = None, hash: str | None = None, **kwargs: Any) -> None:
        if data_dir is None:
            raise ValueError(f"The dataset needs data_dir=, {self.NEEDS}.")
        folder = Path(data_dir).expanduser().absolute()
        if not folder.is_dir():
            raise FileNotFoundError(f"Folder not found: {folder}. It should be {self.NEEDS}.")
        tables = _find_tables(folder)
        if not tables:
            raise FileNotFoundError(f"{folder} holds no split such as train.jsonl; it should be {self.NEEDS}.")
        self.folder, self.rows = folder, read_rows(folder, tables)
        self.missing = {
            row["video_path"] for rows in self.rows.values() for row in rows if not _is_video(row["video_path"])
        }
        fingerprint = hash or files_fingerprint([*tables.values(), folder / CLIPS], sorted(self.missing))
        super().__init__(*args, data_dir=str(data_dir), hash=fingerprint, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        self.config.check()
        total = sum(map(len, self.rows.values()))
        if len(self.missing) and len(self.missing) == len(
            {row["video_path"] for rows in self.rows.values() for row in rows}
        ):
            raise FileNotFoundError(
                f"None of the {total} videos that {self.folder} lists is there, the first is {min(self.missing)}; was the folder moved? "
                "signlang wlasl build writes it for where the videos are now."
            )
        leave_out(self.folder, sorted(self.missing), total, self.config.on_error)
        string = datasets.Value("string")
        glosses = sorted({row["gloss"] for rows in self.rows.values() for row in rows})
        return datasets.DatasetInfo(
            description="Videos of single signs with a prompt and the gloss to answer, one row a clip.",
            features=datasets.Features(
                {"id": string, "prompt": string, "video_path": string, "gloss": string,
                 "label": datasets.ClassLabel(names=glosses), "signer": string}
            ),
        )  # fmt: skip

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        kept = {
            name: [row for row in rows if row["video_path"] not in self.missing] for name, rows in self.rows.items()
        }
        return [
            datasets.SplitGenerator(datasets.NamedSplit(name), gen_kwargs={"rows": kept[name]})
            for name in (*_ORDER, *(name for name in kept if name not in _ORDER))
            if kept.get(name)
        ]

    def _generate_examples(self, rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        for row in rows:
            yield row["video_path"], {**row, "label": row["gloss"]}


def read_rows(folder: Path, tables: dict[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """Split → its rows, checked, with absolute paths.

    Raises:
        DatasetError: rows without a field, or a video that is listed twice; says where.
    """
    faults: list[Fault] = []
    signers = {
        str(_absolute(folder, row["video_path"])): row.get("signer")
        for _, row in (_json_lines(folder / CLIPS, faults) if (folder / CLIPS).is_file() else ())
        if isinstance(row, dict) and isinstance(row.get("video_path"), str)
    }
    splits: dict[str, list[dict[str, Any]]] = {}
    places: dict[str, str] = {}
    for name, table in tables.items():
        rows = splits.setdefault(name, [])
        for number, row in _json_lines(table, faults):
            missing = [
                field for field in ("video_path", "gloss")
                if not isinstance(row, dict) or not isinstance(row.get(field), str) or not row[field].strip()
            ]  # fmt: skip
            if missing:
                said = f"has no {' and no '.join(map(repr, missing))}"
                faults.append(Fault("error", "field", f"row {number} {said}", file=table.name))
                continue
            path, place = _absolute(folder, row["video_path"]), f"row {number} of {table.name}"
            if places.setdefault(str(path), place) != place:
                faults.append(
                    Fault("error", "twice", f"row {number} has the video of {places[str(path)]}", file=table.name)
                )
                continue
            rows.append(
                {
                    "id": path.stem, "prompt": row.get("prompt") or PROMPT, "video_path": str(path), "gloss": row["gloss"].strip(),
                    "signer": row.get("signer", signers.get(str(path))),
                }
            )  # fmt: skip
    if faults:
        raise DatasetError(folder, faults)
    return splits


def _find_tables(folder: Path) -> dict[str, Path]:
    """Split → its file; the statistics and lists beside them are no splits."""
    tables: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = SPLIT_ALIASES.get(path.stem, path.stem)
        if path.suffix in (".jsonl", ".json") and name in _ORDER:
            tables.setdefault(name, path)
    return tables


def _json_lines(path: Path, faults: list[Fault]) -> Iterator[tuple[int, Any]]:
    """(number, row) of a file of JSON lines, or of one that is a JSON list."""
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".json":
            content = json.loads(text)
            yield from enumerate(content if isinstance(content, list) else [content], 1)
            return
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, json.loads(line)
    except ValueError as error:
        faults.append(Fault("error", "json", f"not valid JSON ({error})", file=path.name))


def _absolute(folder: Path, path: str) -> Path:
    given = Path(path).expanduser()
    return given if given.is_absolute() else Path(folder / given)


def _is_video(path: str) -> bool:
    try:
        return Path(path).stat().st_size > 0
    except OSError:
        return False
