"""Rows out of the memory map: the same as datasets hands out, in any order, in any process, without reading the file into memory."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler  # what sends a dataset to the workers of a data loader

import numpy as np
import pytest
from datasets import Dataset, Features, List, Value, concatenate_datasets

from signlang_hf.data import landmark_features, to_row, to_sequence
from signlang_hf.data.mapped import MappedRows
from signlang_hf.landmarks import LandmarkSequence


def clip(seed: int) -> dict:
    """Three clips in seven have no frame, no picture size and no signer; points are missing here and there."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(0 if seed % 7 == 3 else 3 + seed % 5, 42, 3)).astype(np.float32)
    data[rng.random(data.shape[:2]) < 0.2] = np.nan
    times = np.cumsum(rng.uniform(0.01, 0.05, len(data)))
    size = None if seed % 7 == 2 else (640, 480)
    sequence = LandmarkSequence(data, "hands-42", timestamps=times, size=size, units="image" if size else "unknown")
    return to_row(sequence, id=f"clip{seed}", signer=None if seed % 7 == 1 else "ben", label=seed % 2)


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Dataset:
    """40 clips on disk, in several record batches."""
    features = landmark_features("hands-42", label_names=["no", "yes"])
    folder = tmp_path_factory.mktemp("rows")
    parts = [Dataset.from_list([clip(i) for i in range(at, at + 8)], features=features) for at in range(0, 40, 8)]
    concatenate_datasets(parts).save_to_disk(folder)
    return Dataset.load_from_disk(str(folder))


def assert_same(row: dict, expected: dict) -> None:
    assert row.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, list) and row[name] is not None:
            given = np.asarray(value, row[name].dtype)
            np.testing.assert_array_equal(row[name], given.reshape(row[name].shape), err_msg=name)
            assert row[name].size == given.size
        else:
            assert row[name] == value, name


def test_rows_are_those_of_the_dataset(rows):
    mapped = MappedRows(rows)
    assert len(mapped) == len(rows) == 40
    for row, expected in zip(mapped, rows):
        assert_same(row, expected)
    one, other = to_sequence(mapped[5]), to_sequence(rows[5])
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_array_equal(one.timestamps, other.timestamps)  # numpy format would have cut them to float32


def test_the_order_of_select_shuffle_and_concatenation_is_kept(rows):
    turned = rows.shuffle(seed=3).select(range(5, 25))
    assert [row["id"] for row in MappedRows(turned)] == turned["id"]
    both = concatenate_datasets([turned, rows.select([7])]).with_format("torch")
    assert [row["id"] for row in MappedRows(both)] == [*turned["id"], "clip7"]
    wider = rows.add_column("note", [f"note {i}" for i in range(40)])  # one column in one piece, the others in five
    assert [row["note"] for row in MappedRows(wider)][13] == "note 13"
    assert MappedRows(wider)[13]["id"] == "clip13"


def test_only_the_columns_asked_for(rows):
    assert set(MappedRows(rows, ["id", "label", "text"])[0]) == {"id", "label"}


def test_indices_are_those_of_a_list(rows):
    mapped = MappedRows(rows)
    assert mapped[-1]["id"] == mapped[np.int64(39)]["id"] == "clip39"
    for outside in (40, -41):
        with pytest.raises(IndexError):
            mapped[outside]


def test_nothing_is_copied(rows):
    landmarks = MappedRows(rows)[0]["landmarks"]
    assert landmarks.dtype == np.float32 and not landmarks.flags.owndata and not landmarks.flags.writeable
    assert landmarks.ctypes.data == MappedRows(rows.select([5, 0]))[1]["landmarks"].ctypes.data


def test_other_processes_get_the_path_and_not_the_rows(rows):
    sent = ForkingPickler.dumps(MappedRows(rows.select([4, 2]), ["id", "landmarks"]))
    assert len(sent) < 10_000 < rows.data.nbytes
    assert [row["id"] for row in ForkingPickler.loads(sent)] == ["clip4", "clip2"]


def test_plain_lists_are_read_as_well_and_ragged_ones_refused():
    features = Features({"landmarks": List(List(List(Value("float64")))), "glosses": List(Value("string"))})
    even = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [0, 1, None]]]
    rows = Dataset.from_dict({"landmarks": [even, even[:1], []], "glosses": [["a"], [], ["b", "c"]]}, features=features)
    mapped = MappedRows(rows)
    np.testing.assert_array_equal(mapped[0]["landmarks"], np.array(even, float))
    assert mapped[1]["landmarks"].shape == (1, 2, 3) and mapped[2]["landmarks"].size == 0
    assert [row["glosses"] for row in mapped] == [["a"], [], ["b", "c"]]
    for ragged in ([[[1, 2, 3]], [[1, 2, 3], [4, 5, 6]]], [[[1, 2], [3]]], [None, [[1, 2, 3]]]):
        with pytest.raises(ValueError, match="Column 'landmarks' holds lists of unequal length"):
            MappedRows(
                Dataset.from_dict({"landmarks": [ragged]}, features=Features({"landmarks": features["landmarks"]}))
            )[0]
