"""Parquet shards that grow while an extraction runs: rows of clips, and the manifest that vouches for them.

Design decisions:

* A shard appears whole, then its rows go into the manifest in one write. So a row that the manifest does not vouch for comes of a run
  that was killed in between, or of a video that has changed since; such rows are taken out (:meth:`Shards.sweep`) before a run adds
  any, and what is in the shards is what the manifest says, each video once.
* What went wrong stays in the manifest: a dataset holds clips, and none of them is empty.
* The columns are those of :mod:`.rows`, with their types in the schema, so that plain ``datasets`` reads a folder of shards; and what
  is known of the clip besides (:data:`MEASURES`), to choose clips by.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..landmarks.files import atomic_write
from .rows import landmark_features

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

    from ..pose.manifest import Manifest

FOLDER = "shards"
_ROW_GROUP = 100  # clips that a reader has in memory at a time
MEASURES: dict[str, str] = {
    "source": "string", "frames": "int32", "duration": "float64", "pose": "float32", "left_hand": "float32",
    "right_hand": "float32", "any_hand": "float32", "warning": "string", "estimator": "string", "sha256": "string",
}  # fmt: skip
"""Columns beside those of every row → their type; what they mean is told at :func:`signlang_hf.pose.worker.blank_row`."""


def shard_features(layout: str) -> Features:
    """Columns of a shard whose clips are in this layout."""
    from datasets import Value

    features = landmark_features(layout)
    features.update({name: Value(kind) for name, kind in MEASURES.items()})
    return features


class Shards:
    """The shards of an extraction folder.

    Args:
        manifest: of that folder. ``file_name`` of a row is its shard.
        max_mb: size at which a shard is written, in megabytes of Arrow data. Parquet compresses it further.
    """

    def __init__(self, manifest: Manifest, max_mb: float) -> None:
        self._manifest, self._max_bytes = manifest, max_mb * 1e6
        self._rows: list[dict[str, Any]] = []
        self._tables: list[pa.Table] = []
        self._bytes = 0
        self.sweep()
        taken = [int(path.stem.rpartition("-")[2]) for path in self._paths()]
        self._number = max(taken, default=-1) + 1

    def add(self, row: dict[str, Any], table: pa.Table) -> None:
        """One clip: its row of the manifest, without ``file_name``, and its row of the dataset."""
        self._rows.append(row)
        self._tables.append(table)
        self._bytes += table.nbytes
        if self._bytes >= self._max_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what was added as a shard, then vouch for it."""
        if not self._rows:
            return
        import pyarrow as pa

        rows, table = self._rows, pa.concat_tables(self._tables)
        self._rows, self._tables, self._bytes = [], [], 0
        for name in MEASURES:
            table = table.append_column(name, pa.array([row[name] for row in rows]))
        features = shard_features(table["layout"][0].as_py())
        file_name = f"{FOLDER}/part-{self._number:05d}.parquet"
        _write(self._manifest.folder / file_name, table, features)
        self._manifest.append(*({"file_name": file_name, **row} for row in rows))
        self._number += 1

    def sweep(self) -> None:
        """Take out the rows that the manifest does not vouch for."""
        from datasets import Features

        for path in self._paths():
            file_name = path.relative_to(self._manifest.folder).as_posix()
            sources = _read(path, ["source"])["source"].to_pylist()
            known = [self._manifest.rows.get(source, {}).get("file_name") == file_name for source in sources]
            if not any(known):
                path.unlink()
            elif not all(known):
                table = _read(path)
                _write(path, table.filter(known), Features.from_arrow_schema(table.schema))

    def _paths(self) -> list[Path]:
        return sorted((self._manifest.folder / FOLDER).glob("part-*.parquet"))


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A shard in this thread alone: those of ``read_table`` may still be at it when Python ends, and then take the process along."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read(columns=columns, use_threads=False)


def _write(path: Path, table: pa.Table, features: Features) -> None:
    import pyarrow.parquet as pq
    from datasets.table import table_cast

    table = table_cast(table.select(list(features)), features.arrow_schema)
    atomic_write(path, lambda stream: pq.write_table(table, stream, row_group_size=_ROW_GROUP))
