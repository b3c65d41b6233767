"""Rows of a landmark dataset straight out of its memory map.

``datasets`` turns a row into numpy by way of Python objects, which costs more than all the augmentation and featurisation of the clip.
Arrow already holds the clip as one contiguous piece of float32, so a view of it costs a twentieth. Nothing is copied, cached or held in
memory: what is mapped is the dataset's own file, and the operating system keeps of it what fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from datasets import Dataset


class MappedRows(Sequence):
    """The rows of a dataset as dictionaries: numbers in lists of any depth are read-only numpy views, the rest is plain Python.

    Unlike rows in ``numpy`` format, which have lost half the digits of their time stamps, they hold what the dataset holds.

    Args:
        rows: a dataset in memory or on disk; the order of a ``select`` or ``shuffle`` is kept, a format is passed over.
        columns: only these of its columns; default: all of them. Those that it does not have are left out.
    """

    def __init__(self, rows: Dataset, columns: Sequence[str] | None = None) -> None:
        self._made_of = rows, columns
        names = [name for name in rows.column_names if columns is None or name in columns]
        # Which row of the table stands where, after select() or shuffle(); datasets has no public name for it.
        self._positions = None if rows._indices is None else rows._indices.column(0).to_numpy()
        batches = (
            rows.data.to_batches()
        )  # the columns of a table may be cut in different places, those of a batch are not
        self._chunks = [{name: _Cells(name, batch.column(name)) for name in names} for batch in batches]
        self._starts = np.cumsum([0, *map(len, batches)])
        self._length = len(rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return MappedRows, self._made_of  # a dataset travels to other processes as the path of its file

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = range(self._length)[index]
        position = index if self._positions is None else int(self._positions[index])
        chunk = int(np.searchsorted(self._starts, position, side="right")) - 1
        position -= int(self._starts[chunk])
        return {name: cells[position] for name, cells in self._chunks[chunk].items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(self._length))


class _Cells:
    """One column of one Arrow chunk."""

    def __init__(self, name: str, chunk: pa.Array) -> None:
        self.name = name
        self.regular = hasattr(chunk, "storage")  # Array2D and Array3D are lists of lists whose inner lengths are fixed
        self.values = chunk.storage if self.regular else chunk
        inner = self.values.type
        while pa.types.is_list(inner):
            inner = inner.value_type
        self.numbers = pa.types.is_floating(inner) or pa.types.is_integer(inner)

    def __getitem__(self, position: int) -> Any:
        cell = self.values[position]
        if not (self.numbers and isinstance(cell, pa.ListScalar)) or cell.values is None:
            return cell.as_py()
        values = cell.values
        shape = [len(values)]
        while isinstance(values, pa.ListArray):
            if not self.regular:
                self._refuse_ragged(values)
            count = len(values)
            values = values.flatten()
            shape.append(len(values) // count if count else 0)
        return values.to_numpy(zero_copy_only=False).reshape(shape)

    def _refuse_ragged(self, values: pa.ListArray) -> None:
        lengths = np.diff(values.offsets.to_numpy())
        if values.null_count or (lengths != lengths[:1]).any():
            raise ValueError(
                f"Column {self.name!r} holds lists of unequal length; every frame of a clip has the same points."
            )
