"""Shards and the manifest that vouches for them: what is in the one is what is in the other, whenever the job was killed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from signlang_hf.data import landmark_features, load_dataset, to_row
from signlang_hf.data.shards import MEASURES, Shards, shard_features
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.pose.manifest import Manifest
from signlang_hf.pose.worker import blank_row

SETTINGS = {"format": "parquet"}


def clip(name, level=0.5, frames=3):
    """(manifest row, table) of a clip whose points all lie at ``level``."""
    sequence = LandmarkSequence(np.full((frames, 42, 3), level, np.float32), "hands-42", fps=25, size=(64, 48))
    row = {key: value if isinstance(value, str) else np.asarray(value).tolist() for key, value in to_row(sequence, id=name).items()}  # fmt: skip
    schema = landmark_features("hands-42").arrow_schema
    types = {field.name: getattr(field.type, "storage_type", field.type) for field in schema}
    table = pa.Table.from_pylist([row], schema=pa.schema(types))
    return {"source": f"{name}.mp4", **blank_row(frames=frames, sha256=f"of {name}", left_hand=1.0)}, table


def filled(folder, *names, max_mb=1.0, resume=True, **options):
    shards = Shards(Manifest(folder, SETTINGS, resume=resume), max_mb)
    for name in names:
        shards.add(*clip(name, **options))
    shards.flush()
    return shards


def contents(folder):
    """Shard → names of its clips, by the files alone."""
    return {path.name: pq.read_table(path)["id"].to_pylist() for path in sorted((folder / "shards").glob("*"))}


def test_shards_are_a_dataset(tmp_path):
    filled(tmp_path, "a", "b", "c")
    rows = load_dataset(tmp_path / "shards", split="train", cache_dir=tmp_path / "cache")
    assert rows.features == shard_features("hands-42") and rows["id"][:] == ["a", "b", "c"]
    assert set(rows.features) == {*landmark_features("hands-42"), *MEASURES}
    row = rows.with_format("numpy")[1]
    assert row["landmarks"].shape == (3, 42, 3) and row["landmarks"].dtype == np.float32
    assert row["source"] == "b.mp4" and row["frames"] == 3 and row["sha256"] == "of b" and row["left_hand"] == 1


def test_a_shard_is_written_when_it_is_full(tmp_path):
    nbytes = clip("a")[1].nbytes
    shards = Shards(Manifest(tmp_path, SETTINGS, resume=True), 1.5 * nbytes / 1e6)
    for name in "abc":
        shards.add(*clip(name))
    assert contents(tmp_path) == {"part-00000.parquet": ["a", "b"]}
    assert set(Manifest(tmp_path, SETTINGS, resume=True).rows) == {"a.mp4", "b.mp4"}
    shards.flush()
    shards.flush()  # nothing waits any more
    assert contents(tmp_path) == {"part-00000.parquet": ["a", "b"], "part-00001.parquet": ["c"]}


def test_a_shard_that_nobody_vouches_for_is_done_again(tmp_path):
    """Killed after the shard was moved, before its rows were in the manifest; and after some of them were."""
    filled(tmp_path, "a")
    before = (tmp_path / "manifest.jsonl").read_text()
    filled(tmp_path, "b", "c", "d")
    (tmp_path / "shards" / ".part-00002.parquet.abcdefgh.tmp").write_bytes(b"half")
    lines = (tmp_path / "manifest.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "manifest.jsonl").write_text(before + lines[2] + lines[3][:40])
    filled(tmp_path)
    assert contents(tmp_path) == {"part-00000.parquet": ["a"], "part-00001.parquet": ["c"]}
    (tmp_path / "manifest.jsonl").write_text(before)
    filled(tmp_path, "e")
    assert contents(tmp_path) == {"part-00000.parquet": ["a"], "part-00001.parquet": ["e"]}
    assert pq.read_schema(tmp_path / "shards" / "part-00001.parquet").metadata.keys() >= {b"huggingface"}


def test_a_clip_that_was_done_again_is_there_once(tmp_path):
    filled(tmp_path, "a", "b")
    shards = filled(tmp_path, "b", level=0.25)
    shards.sweep()
    assert contents(tmp_path) == {"part-00000.parquet": ["a"], "part-00001.parquet": ["b"]}
    rows = load_dataset(tmp_path / "shards", split="train", cache_dir=tmp_path / "cache")
    assert rows.features == shard_features("hands-42")  # which taking rows out has kept
    assert [float(np.asarray(row["landmarks"])[0, 0, 0]) for row in rows] == [0.5, 0.25]

    manifest = Manifest(tmp_path, SETTINGS, resume=True)
    manifest.append({**manifest.rows["a.mp4"], "file_name": None, "error": "not a video any more"})
    Shards(manifest, 1.0)
    assert contents(tmp_path) == {"part-00001.parquet": ["b"]}


def test_afresh(tmp_path):
    filled(tmp_path, "a", "b", max_mb=1e-6)
    filled(tmp_path, "c", resume=False)
    assert contents(tmp_path) == {"part-00000.parquet": ["c"]}


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left on device")

    shards = Shards(Manifest(tmp_path, SETTINGS, resume=True), 1.0)
    shards.add(*clip("a"))
    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="no space left"):
        shards.flush()
    assert list((tmp_path / "shards").iterdir()) == [] and Manifest(tmp_path, SETTINGS, resume=True).rows == {}
