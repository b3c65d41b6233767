"""``metadata.csv``: every fault of the table has a sentence with its row, and one fault is not reported as many."""

from __future__ import annotations

import pytest

from signlang_hf.data.metadata import DatasetError, Fault, read_metadata

SUFFIXES = (".npz", ".npy")


@pytest.fixture
def read(tmp_path):
    """``read(text, files)``: faults of a table, as (severity, kind, row), with the metadata itself."""

    def run(text: str | bytes, files=("a.npz", "b.npz", "c.npz", "d.npz")):
        for name in files:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "metadata.csv").write_bytes(content)
        return read_metadata(tmp_path, SUFFIXES)

    return run


def kinds(metadata):
    return [(fault.severity, fault.kind, fault.row) for fault in metadata.faults]


GOOD = "file_name,label\na.npz,x\nb.npz,y\nc.npz,x\nd.npz,y\n"


@pytest.mark.parametrize(
    "text", [GOOD, GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD + "\n,\n"], ids=["plain", "crlf", "bom", "blank"]
)
def test_a_good_table_has_no_faults(read, text):
    metadata = read(text)
    assert metadata.faults == [] and metadata.require() is metadata
    assert [(clip.row, clip.id, clip.label, clip.split, clip.signer) for clip in metadata.clips[:2]] == [
        (2, "a", "x", "train", None),
        (3, "b", "y", "train", None),
    ]
    assert metadata.label_names == ["x", "y"]


def test_quoted_cells_and_row_numbers_follow_the_file(read):
    metadata = read('file_name,label\na.npz,"x, or\ny"\nb.npz,z\nnone.npz,z\n')
    assert metadata.clips[0].label == "x, or\ny"
    assert [fault.row for fault in metadata.faults if fault.kind == "missing-file"] == [5]


FAULTY = {
    "unknown column": (
        "file_name,label,singer,colour\na.npz,x,s,r\nb.npz,y,s,r\n",
        ("error", "unknown-column", 1),
        "unknown columns 'singer', 'colour'; known are file_name, label, signer, split, view, id. Rename or remove.",
    ),
    "column twice": (
        "file_name,label,label\na.npz,x,x\nb.npz,y,y\n",
        ("error", "unknown-column", 1),
        "label stands there twice",
    ),
    "no label column": (
        "file_name\na.npz\n",
        ("error", "missing-column", 1),
        "the column label is missing. Write a metadata.csv",
    ),
    "semicolons": ("file_name;label\na.npz;x\n", ("error", "separator", 1), "save the table with commas"),
    "quotation mark": (
        'file_name,label\na.npz,x\nb.npz,"y\nc.npz,x\n',
        ("error", "not-csv", 3),
        "is there a quotation mark that nothing closes?",
    ),
    "no rows": ("file_name,label\n", ("error", "empty", None), "the table lists no clip"),
    "nothing": ("", ("error", "missing-column", 1), "the column file_name and label is missing"),
    "not UTF-8": (
        "file_name,label\na.npz,grün\n".encode("latin-1"),
        ("error", "not-utf8", 2),
        "column 9: the byte 0xfc is not UTF-8",
    ),
    "cells": (
        "file_name,label\na.npz,x,1\nb.npz,y\nc.npz,x\n",
        ("error", "cells", 2),
        "the row has 3 cells, the header 2",
    ),
    "empty file name": ("file_name,label\n,x\nb.npz,y\na.npz,x\n", ("error", "empty-cell", 2), "file_name is empty"),
    "empty label": ("file_name,label\na.npz,  \nb.npz,y\nc.npz,x\n", ("error", "empty-cell", 2), "label is empty"),
    "empty split": (
        "file_name,label,split\na.npz,x,train\nb.npz,y,\nc.npz,y,train\n",
        ("error", "empty-cell", 3),
        "split is empty; give every row one",
    ),
    "bad split": (
        "file_name,label,split\na.npz,x,train set\nb.npz,y,train\n",
        ("error", "split-name", 2),
        "cannot name a split",
    ),
    "missing file": (
        "file_name,label\nnone.npz,x\nb.npz,y\na.npz,x\n",
        ("error", "missing-file", 2),
        "none.npz: the file does not exist.",
    ),
    "backslash": (
        "file_name,label\nx\\a.npz,x\nb.npz,y\na.npz,x\n",
        ("error", "missing-file", 2),
        "(use / between folders)",
    ),
    "wrong suffix": (
        "file_name,label\nclip.mp4,x\nb.npz,y\na.npz,x\n",
        ("error", "not-a-clip", 2),
        "clip.mp4: not a landmark file; known are .npz, .npy.",
    ),
    "file twice": ("file_name,label\na.npz,x\nb.npz,y\n./a.npz,x\n", ("error", "duplicate-row", 4), "first in row 2."),
    "file twice, other label": (
        "file_name,label\na.npz,x\nb.npz,y\na.npz,y\n",
        ("error", "duplicate-row", 4),
        "first in row 2 with another label ('x', 'y').",
    ),
    "id twice": (
        "file_name,label,id\na.npz,x,1\nb.npz,y,1\nc.npz,y,3\n",
        ("error", "duplicate-id", 3),
        "the id '1' is taken by row 2",
    ),
    "one class": ("file_name,label\na.npz,x\nb.npz,x\n", ("error", "one-class", None), "all clips have the label 'x'"),
    "capitals": (
        "file_name,label\na.npz,Hello\nb.npz,hello\nc.npz,x\nd.npz,x\n",
        ("warning", "label-spelling", None),
        "'Hello' (row 2) and 'hello' (row 3) differ only in capitals and count as 2 classes",
    ),
    "inner space": (
        "file_name,label\na.npz,thank you\nb.npz,thank  you\nc.npz,x\nd.npz,x\n",
        ("error", "label-spelling", None),
        "differ only in white space or Unicode form",
    ),
    "Unicode form": (
        "file_name,label\na.npz,\u00e9t\u00e9\nb.npz,e\u0301te\u0301\nc.npz,x\nd.npz,x\n",
        ("error", "label-spelling", None),
        "differ only in white space or Unicode form",
    ),
    "outer space": (
        "file_name,label\na.npz, x\nb.npz, x\nc.npz,y\nd.npz,y\n",
        ("warning", "label-spelling", 2),
        "spaces around",
    ),
    "single clip": (
        "file_name,label\na.npz,x\nb.npz,y\nc.npz,y\n",
        ("warning", "single-clip", 2),
        "'x' has a single clip",
    ),
    "class not in train": (
        "file_name,label,split\na.npz,x,train\nb.npz,y,test\nc.npz,x,test\nd.npz,y,test\n",
        ("warning", "class-not-in-train", None),
        "the test split has 1 classes that train lacks: y",
    ),
    "signer in two splits": (
        "file_name,label,signer,split\na.npz,x,s,train\nb.npz,y,t,train\nc.npz,x,s,test\nd.npz,y,u,test\n",
        ("warning", "signer-in-two-splits", None),
        "the signer 's' is in the splits train and test",
    ),
    "some without signer": (
        "file_name,label,signer\na.npz,x,s\nb.npz,y,\nc.npz,x,s\nd.npz,y,s\n",
        ("warning", "no-signer", None),
        "1 clips have no signer, first row 3",
    ),
    "unusual split": (
        "file_name,label,split\na.npz,x,train\nb.npz,y,train\nc.npz,x,tset\nd.npz,y,tset\n",
        ("warning", "split-name", 4),
        "'tset' is none of train, validation, test",
    ),
}


@pytest.mark.parametrize("case", FAULTY)
def test_each_fault_has_its_sentence(read, case):
    text, expected, sentence = FAULTY[case]
    metadata = read(text)
    assert expected in kinds(metadata)
    assert any(sentence in str(fault) for fault in metadata.faults), [str(fault) for fault in metadata.faults]
    if expected[0] == "error":
        with pytest.raises(DatasetError, match=r"metadata\.csv"):
            metadata.require()
    else:
        assert metadata.require().clips


def test_one_fault_is_reported_once(read):
    metadata = read("file_name,label\na.npz,x\nnone.npz,y\n")
    assert [fault.kind for fault in metadata.faults if fault.severity == "error"] == ["missing-file"]
    assert [clip.name for clip in metadata.clips] == ["a.npz"]


def test_a_table_that_is_not_csv_says_where(read):
    metadata = read("file_name,label\na.npz,x\nb.npz," + "y" * 200_000 + "\n")
    (fault,) = metadata.faults
    assert (fault.severity, fault.kind) == ("error", "not-csv") and "field larger than field limit" in fault.message


def test_split_aliases_and_order(read):
    metadata = read("file_name,label,split\na.npz,x,test\nb.npz,y,dev\nc.npz,x,train\nd.npz,y,train\n")
    assert {name: len(clips) for name, clips in metadata.splits.items()} == {"train": 2, "validation": 1, "test": 1}
    assert list(metadata.splits) == ["train", "validation", "test"]


def test_many_faults_are_listed_up_to_ten():
    faults = [Fault("error", "missing-file", "the file does not exist.", f"{i}.npz", i) for i in range(2, 15)]
    message = str(DatasetError("x/metadata.csv", faults))
    assert message.startswith("x/metadata.csv has 13 faults:\n  row 2, 2.npz: the file does not exist.")
    assert message.endswith("… and 3 more")
    assert str(DatasetError("x", faults[:1])) == "x: row 2, 2.npz: the file does not exist."


def test_a_thousand_rows_are_read_quickly(read, benchmark_seconds=5.0):
    import time

    names = [f"clips/{i}.npz" for i in range(1000)]
    table = "file_name,label,signer\n" + "".join(f"{name},{i % 10},{i % 7}\n" for i, name in enumerate(names))
    start = time.perf_counter()
    metadata = read(table, names)
    assert len(metadata.clips) == 1000 and time.perf_counter() - start < benchmark_seconds
