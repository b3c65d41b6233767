"""Tables of sentences: what is wrong with one is said with line and column, and capitals make no second gloss."""

from __future__ import annotations

import logging

import pytest

from signlang_hf.data.gloss_tables import (
    Sentence,
    checked_sentences,
    one_spelling,
    read_parallel,
    read_table,
    split_glosses,
)
from signlang_hf.data.metadata import DatasetError
from signlang_hf.data.text_files import read_utf8

COLUMNS = ("name", "gloss", "text")


def written(tmp_path, content, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_cells_are_named_and_other_columns_passed_over(tmp_path):
    path = written(tmp_path, '\ufefftext,x,name,gloss\n"so, so",1, a ,A  B\n\n,2,b,C\n')
    faults = []
    assert read_table(path, ",", COLUMNS, faults) == [
        (2, {"name": "a", "gloss": "A  B", "text": "so, so"}),
        (4, {"name": "b", "gloss": "C", "text": ""}),
    ]
    assert not faults


def test_a_quote_is_a_quote_in_tables_without_commas(tmp_path):
    path = written(tmp_path, 'name|gloss|text\na|A|he says "no\nb|B|yes\n')
    assert [cells["text"] for _, cells in read_table(path, "|", COLUMNS, [])] == ['he says "no', "yes"]


def test_a_column_that_two_things_are_read_from_is_named_once(tmp_path):
    path = written(tmp_path, "a,b\n1,2\n")
    with pytest.raises(ValueError, match="line 1: the column text is missing; the table has a, b"):
        read_table(path, ",", ("text", "a", "text"), [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name;gloss;text\na;A;x\n", "line 1, column 5: the columns are separated by semicolons, not by commas"),
        ("name\tgloss\ttext\n", "line 1, column 5: the columns are separated by tabs, not by commas"),
        ("name,glos,text\n", "line 1: the column gloss is missing; the table has name, glos, text"),
        ("", "line 1: the column name and gloss and text is missing"),
        ("name,gloss,text\na,A,schön\nb,Ä,grün\n".encode("latin-1"), r"line 2, column 8: the byte 0xf6 is not UTF-8"),
        ("name,gloss,text\nä,Ä,x\n".encode() + b"b,B,\xe9t\xe9\n", r"line 3, column 5: the byte 0xe9 is not UTF-8"),
        ("name,gloss,text\n".encode("utf-16"), "line 1, column 1: the file is UTF-16"),
        ('name,gloss,text\na,A,"x\nb,B,y\n', "line 2: a quotation mark in the row is not closed"),
    ],
)
def test_a_wrong_separator_or_encoding_is_said_with_line_and_column(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=message) as error:
        read_table(path, ",", COLUMNS, [])
    assert str(path) in str(error.value)


def test_a_row_with_other_cells_is_a_fault_with_its_place(tmp_path):
    faults = []
    rows = read_table(written(tmp_path, "name|gloss|text\na|A|x|y\nb|B\nc;C;z\nd|D|w\n"), "|", COLUMNS, faults)
    assert [cells["name"] for _, cells in rows] == ["d"]
    assert [str(fault) for fault in faults] == [
        "row 2, table.csv: column 6: the row has 4 cells, the header 3.",
        "row 3, table.csv: column 4: the row has 2 cells, the header 3.",
        "row 4, table.csv: column 2: the row has 1 cell, the header 3. It seems to have semicolons instead of “|”.",
    ]


def test_parallel_files_must_have_the_same_lines(tmp_path):
    one, two = written(tmp_path, "A B\nC\n", "a.gloss"), written(tmp_path, "x\ny\n", "a.de")
    assert read_parallel(one, two) == [(1, "A B", "x"), (2, "C", "y")]
    with pytest.raises(ValueError, match=r"a\.gloss has 2 lines, b\.de 1"):
        read_parallel(one, written(tmp_path, "x\n", "b.de"))


def test_glosses_are_what_white_space_leaves():
    assert split_glosses("  A\tB-1  C\u00a0D ") == ("A", "B-1", "C", "D")
    assert split_glosses("u\u0308ber") == ("über",)


def sentence(id="a", glosses=("A",), text="x", line=2):
    return Sentence(id, tuple(glosses), text, None, "train", "t.csv", line)


def test_rows_without_glosses_or_text_are_listed_or_left_out(caplog):
    rows = [
        sentence(),
        sentence("b", (), "x", 3),
        sentence("c", ("A",), "", 4),
        sentence("a", line=5),
        sentence("d", (), None, 6),
    ]
    with pytest.raises(DatasetError) as error:
        checked_sentences(rows, "corpus", [], "raise")
    assert str(error.value).splitlines() == [
        "corpus has 4 faults:",
        "  row 3, t.csv: the row has no glosses.",
        "  row 4, t.csv: the row has no text.",
        "  row 5, t.csv: the id 'a' stands in line 2 of t.csv, too.",
        "  row 6, t.csv: the row has no glosses and no text.",
    ]
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        assert checked_sentences(rows, "corpus", [], "skip") == rows[:1]
    assert "4 rows are left out, the first: row 3" in caplog.text
    assert len(checked_sentences([sentence(text=None)], "corpus", [], "raise", text=False)) == 1
    with pytest.raises(ValueError, match="corpus: there is no sentence in it"):
        checked_sentences([], "corpus", [], "skip")


def test_mixed_case_is_one_gloss_in_the_spelling_used_most(caplog):
    rows = [sentence("a", ("HOUSE", "I")), sentence("b", ("house", "HOUSE")), sentence("c", ("House", "straße"))]
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        glosses = [one.glosses for one in checked_sentences(rows, "corpus", [], "raise")]
    assert glosses == [("HOUSE", "I"), ("HOUSE", "HOUSE"), ("HOUSE", "straße")]
    assert "HOUSE and House and house as HOUSE" in caplog.text and "straße" not in caplog.text
    assert one_spelling([["A", "B"], ["b", "b"]], "x") == {"B": "b"}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_utf8(tmp_path / "none.csv")
