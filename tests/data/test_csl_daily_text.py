"""CSL-Daily without video: map and split become rows, whatever the units of the text; the pickle is not read."""

from __future__ import annotations

import logging

import pytest

from signlang_hf.data import load_dataset

MAP = """index|name|length|gloss|char|word|postag
0|S000000_P0000_T00|73|他 谁|他 是 谁 ？|他 是 谁 ？|r v v w
1|S000001_P0004_T00|60|我 喜欢 苹果|我 喜 欢 苹 果 。|我 喜欢 苹果 。|r v n w
2|S000002_P0004_T00|61|你 去|你 去 哪 里|你 去 哪里|r v r
3|S000003_P0001_T00|61|好|好|好|a
"""
SPLIT = """name|split
S000000_P0000_T00|train
S000001_P0004_T00|dev
S000002_P0004_T00|test
S000009_P0004_T00|train
"""


@pytest.fixture
def folder(tmp_path):
    label = tmp_path / "CSL-Daily" / "sentence_label"
    label.mkdir(parents=True)
    (label / "video_map.txt").write_text(MAP, encoding="utf-8")
    (label / "split_1.txt").write_text(SPLIT, encoding="utf-8")
    return label.parent


def test_rows_have_splits_signers_and_characters(folder, cache_folder, caplog):
    with caplog.at_level(logging.WARNING, "signlang_hf"):
        splits = load_dataset("csl_daily_text", folder, cache_dir=cache_folder)
    assert {name: split["id"][:] for name, split in splits.items()} == {
        "train": ["S000000_P0000_T00"],
        "validation": ["S000001_P0004_T00"],
        "test": ["S000002_P0004_T00"],
    }
    assert splits["validation"][0] == {
        "id": "S000001_P0004_T00", "signer": "0004", "glosses": ["我", "喜欢", "苹果"], "text": "我 喜 欢 苹 果 。",
    }  # fmt: skip
    assert "S000009_P0004_T00" in caplog.text and "S000003_P0001_T00" in caplog.text


@pytest.mark.parametrize(("unit", "text"), [("word", "我 喜欢 苹果 。"), ("plain", "我喜欢苹果。")])
def test_the_unit_of_the_text_can_be_chosen(unit, text, folder, cache_folder):
    splits = load_dataset("csl_daily_text", folder, cache_dir=cache_folder, unit=unit)
    assert splits["validation"][0]["text"] == text


def test_what_cannot_be_read_is_said(folder, tmp_path):
    with pytest.raises(ValueError, match="unit is 'letter'; choose one of char, word, plain"):
        load_dataset("csl_daily_text", folder, unit="letter")
    label = folder / "sentence_label"
    (label / "video_map.txt").unlink()
    (label / "csl2020ct_v2.pkl").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"no video_map\.txt; .*csl2020ct_v2\.pkl is a pickle and is not read"):
        load_dataset("csl_daily_text", folder)


def test_a_table_in_another_encoding_is_named(folder, cache_folder):
    table = folder / "sentence_label" / "video_map.txt"
    table.write_bytes(MAP.encode("gb18030"))
    with pytest.raises(ValueError, match=r"video_map\.txt, line 2, column 24: the byte 0x.. is not UTF-8"):
        load_dataset("csl_daily_text", folder, cache_dir=cache_folder)
