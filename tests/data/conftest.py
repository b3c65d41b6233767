"""Small generated datasets: landmark folders, and the same as rows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from signlang_hf.data.rows import landmark_features, to_row
from signlang_hf.landmarks import LandmarkSequence

LAYOUT = "hands-42"
WORDS = ("hello", "house", "thanks")
SIGNERS = ("anna", "ben", "cleo", "dan")


def _clip(seed: int, *, frames: int = 20, layout: str = LAYOUT, points: int = 42) -> LandmarkSequence:
    """A smooth movement that no other seed has, with a gap in the last hand."""
    rng = np.random.default_rng(seed)
    shape = rng.normal(0, 0.04, (points, 3))
    path = np.cumsum(rng.normal(0, 0.01, (frames, 1, 3)), axis=0) + 0.5
    data = (path + shape + rng.normal(0, 0.02, (1, points, 3)) * np.linspace(0, 1, frames)[:, None, None]).astype("f4")
    data[3:6, -21:] = np.nan
    return LandmarkSequence(data, layout, fps=25.0, size=(640, 480))


def _write_table(folder: Path, rows: list[dict[str, Any]], columns: list[str] | None = None) -> None:
    columns = columns or list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def _folder_rows() -> list[dict[str, Any]]:
    """Table of 3 words × 4 signers; dan is the test split."""
    return [
        {
            "file_name": f"{signer}/{word}.npz",
            "label": word,
            "signer": signer,
            "split": "test" if signer == "dan" else "train",
        }
        for signer in SIGNERS
        for word in WORDS
    ]


@pytest.fixture(name="clip")
def clip_fixture() -> Callable[..., LandmarkSequence]:
    """``clip(seed, frames=20)``: a generated clip."""
    return _clip


@pytest.fixture(name="write_table")
def write_table_fixture() -> Callable[..., None]:
    """``write_table(folder, rows)``: writes ``metadata.csv``."""
    return _write_table


@pytest.fixture
def folder_rows() -> list[dict[str, Any]]:
    """The rows of ``landmark_folder``'s table, to change and write again."""
    return _folder_rows()


@pytest.fixture
def landmark_folder(tmp_path: Path) -> Path:
    """A faultless folder of 12 landmark files with metadata.csv."""
    folder = tmp_path / "landmarks"
    rows = _folder_rows()
    for seed, row in enumerate(rows):
        _clip(seed).save(folder / row["file_name"])
    _write_table(folder, rows)
    return folder


@pytest.fixture
def cache_folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def make_dataset() -> Callable[..., datasets.Dataset]:
    """Rows from (label, signer) pairs; the seed of each clip is its position, plus ``offset``."""

    def make(pairs: list[tuple[str, str | None]], *, offset: int = 0, prefix: str = "") -> datasets.Dataset:
        names = sorted({label for label, _ in pairs})
        rows = [
            to_row(_clip(offset + i), id=f"{prefix}{i}", signer=signer, label=label)
            for i, (label, signer) in enumerate(pairs)
        ]
        return datasets.Dataset.from_list(rows, features=landmark_features(LAYOUT, label_names=names))

    return make
