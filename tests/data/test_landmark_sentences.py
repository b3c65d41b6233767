"""``landmark_sentences``: one's own files with glosses and text become rows; faults of the table are sentences."""

from __future__ import annotations

import logging

import pytest

from signlang_hf.data import DatasetError, load_dataset, read_metadata, to_sequence, validate_folder
from signlang_hf.data.rows import landmark_features
from signlang_hf.data.sentence_metadata import sentence_table

ROWS = [
    {"file_name": "anna/1.npz", "glosses": "YOU  FREE TODAY", "text": "are you free today?", "signer": "anna", "split": "train"},
    {"file_name": "anna/2.npz", "glosses": "BRING WATER ME", "text": "bring me water", "signer": "anna", "split": "train"},
    {"file_name": "ben/1.npz", "glosses": "you free", "text": "are you free", "signer": "ben", "split": "dev"},
    {"file_name": "ben/2.npz", "glosses": "ME WATER", "text": "water, for me", "signer": "ben", "split": "test"},
]  # fmt: skip


@pytest.fixture
def rows():
    return [dict(row) for row in ROWS]


@pytest.fixture
def folder(tmp_path, clip, rows, write_table):
    folder = tmp_path / "sentences"
    for seed, row in enumerate(rows):
        clip(seed, frames=9 + seed).save(folder / row["file_name"])
    write_table(folder, rows)
    return folder


def test_rows_have_glosses_text_and_landmarks(folder, cache_folder, caplog):
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        splits = load_dataset("landmark_sentences", folder, cache_dir=cache_folder)
    assert {name: split["id"][:] for name, split in splits.items()} == {
        "train": ["anna/1", "anna/2"], "validation": ["ben/1"], "test": ["ben/2"],
    }  # fmt: skip
    assert splits["train"].features == landmark_features("hands-42", glosses=True, text=True)
    row = splits["train"][0]
    assert (row["glosses"], row["text"], row["signer"]) == (["YOU", "FREE", "TODAY"], "are you free today?", "anna")
    assert len(to_sequence(row)) == 9
    assert splits["validation"][0]["glosses"] == ["YOU", "FREE"], "capitals make no second gloss"
    assert "FREE and free as FREE" in caplog.text


def test_glosses_between_commas_are_pointed_out(folder, cache_folder, rows, write_table, caplog):
    rows[0]["glosses"] = "YOU,FREE,TODAY"
    write_table(folder, rows)
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        load_dataset("landmark_sentences", folder, cache_dir=cache_folder)
    assert (
        "1 glosses hold a separator, the first: row 2, anna/1.npz: the gloss 'YOU,FREE,TODAY' holds “,”" in caplog.text
    )


def test_text_may_be_left_out_but_not_of_single_rows(folder, cache_folder, rows, write_table):
    for row in rows:
        del row["text"]
    write_table(folder, rows)
    split = load_dataset("landmark_sentences", folder, split="train", cache_dir=cache_folder)
    assert split.features == landmark_features("hands-42", glosses=True)
    rows[1]["text"] = "bring me water"
    write_table(folder, [row | {"text": row.get("text", "")} for row in rows])
    with pytest.raises(DatasetError, match=r"row 2, anna/1\.npz: text is empty; give every row one"):
        load_dataset("landmark_sentences", folder, cache_dir=cache_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"glosses": " "}, r"row 3, anna/2\.npz: glosses is empty"),
        ({"text": ""}, r"row 3, anna/2\.npz: text is empty"),
        ({"file_name": "anna/9.npz"}, r"row 3, anna/9\.npz: the file does not exist"),
        ({"file_name": "anna/1.npz"}, "the file is listed twice, first in row 2"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(change, message, folder, rows, write_table):
    rows[1] |= change
    write_table(folder, rows)
    with pytest.raises(DatasetError, match=message):
        load_dataset("landmark_sentences", folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file_name;glosses\nanna/1.npz;A\n", "row 1: column 10: the columns are separated by semicolons; save .* commas"),
        ("file_name,glosses\nanna/1.npz,GRÜN\n".encode("latin-1"), "row 2: column 14: the byte 0xdc is not UTF-8"),
        (b"file_name,label\nanna/1.npz,A\n", "lists isolated signs .*load it as 'landmark_folder'"),
        (b"file_name,text\nanna/1.npz,A\n", "the column glosses is missing. Write a metadata.csv with the columns file_name,glosses"),
    ],
)  # fmt: skip
def test_a_table_of_another_kind_is_refused(content, message, folder):
    (folder / "metadata.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        load_dataset("landmark_sentences", folder)


def test_sentences_are_no_isolated_signs(folder):
    with pytest.raises(DatasetError, match=r"lists sentences .*load it as 'landmark_sentences'"):
        load_dataset("landmark_folder", folder)


def test_glosses_outside_a_vocabulary_are_refused_with_the_nearest(folder, rows, write_table, cache_folder):
    words = ["you", "free", "today", "bring", "water", "me"]
    assert load_dataset("landmark_sentences", folder, vocabulary=words, cache_dir=cache_folder)
    rows[1]["glosses"] = "BRING WATR XYZ"
    write_table(folder, rows)
    with pytest.raises(DatasetError) as error:
        load_dataset("landmark_sentences", folder, vocabulary=words, cache_dir=cache_folder)
    assert "row 3, anna/2.npz: the gloss 'WATR' is not in the vocabulary; did you mean 'water'?" in str(error.value)
    assert "the gloss 'XYZ' is not in the vocabulary." in str(error.value)


def test_what_is_worth_a_look_is_said_without_refusing(folder, rows, write_table):
    rows[3] |= {"glosses": "ME, NEW", "text": "Bring me  water!"}
    write_table(folder, rows)
    faults = {fault.kind: fault for fault in read_metadata(folder, (".npz",), kind=sentence_table()).require().faults}
    assert set(faults) == {
        "signer-in-two-splits",
        "gloss-spelling",
        "gloss-separator",
        "gloss-not-in-train",
        "sentence-in-two-splits",
    }
    assert {fault.severity for fault in faults.values()} == {"warning"}
    assert "'ME,' holds “,”; glosses are separated by blanks" in faults["gloss-separator"].message
    assert "test split has 2 glosses that train lacks: ME,, NEW" in faults["gloss-not-in-train"].message
    assert "test has 1 of train's sentences, the first 'ME, NEW'" in faults["sentence-in-two-splits"].message


def test_signlang_validate_knows_sentences(folder, rows, write_table):
    report = validate_folder(folder)
    assert report.ok and (report.classes, report.glosses, report.clips) == (0, 6, 4)
    assert "6 glosses" in str(report) and report.to_dict()["glosses"] == 6
    rows[0]["glosses"] = ""
    write_table(folder, rows)
    assert [str(fault) for fault in validate_folder(folder).errors] == ["row 2, anna/1.npz: glosses is empty."]
