"""ASLG-PC12: Parquet, the authors' two files and the split ones give sentences; what is missing is said."""

from __future__ import annotations

import datasets
import pytest

from signlang_hf.data import load_dataset

PAIRS = [("WRITE LETTER", "i write a letter"), ("DESC-ORAL QUESTION", "an oral question"), ("HE GO", "he goes")]


def parquet(folder):
    rows = [{"gloss": f"{gloss}\n", "text": f"{text}\n"} for gloss, text in PAIRS]
    (folder / "data").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(folder / "data" / "train-00000-of-00001.parquet")


def authors(folder):
    for suffix, column in (("asl", 0), ("en", 1)):
        text = "\ufeff" + "".join(f"{pair[column]}\r\n" for pair in PAIRS)
        (folder / f"sample-corpus-asl-en.{suffix}").write_text(text, encoding="utf-8", newline="")


def splits(folder):
    for split in ("train", "dev", "test"):
        (folder / f"aslg.{split}.gloss.asl").write_text("".join(f"{gloss}\n" for gloss, _ in PAIRS), encoding="utf-8")
        (folder / f"aslg.{split}.en").write_text("".join(f"{text}\n" for _, text in PAIRS), encoding="utf-8")


@pytest.mark.parametrize("write", [parquet, authors, splits])
def test_each_form_gives_the_pairs(write, tmp_path, cache_folder):
    folder = tmp_path / "aslg"
    folder.mkdir()
    write(folder)
    loaded = load_dataset("aslg_pc12", folder, cache_dir=cache_folder)
    assert list(loaded) == (["train", "validation", "test"] if write is splits else ["train"])
    assert loaded["train"]["glosses"][:] == [gloss.split() for gloss, _ in PAIRS]
    assert loaded["train"]["text"][:] == [text for _, text in PAIRS]
    assert loaded["train"]["id"][:] == ["train/1", "train/2", "train/3"] and set(loaded["train"]["signer"]) == {None}


def test_faulty_files_are_named(tmp_path, cache_folder):
    with pytest.raises(FileNotFoundError, match=r"no file of the corpus; it should be .*sample-corpus"):
        load_dataset("aslg_pc12", tmp_path)
    datasets.Dataset.from_list([{"a": "x"}]).to_parquet(tmp_path / "train-0.parquet")
    with pytest.raises(ValueError, match=r"train-0\.parquet.* gloss and text"):
        load_dataset("aslg_pc12", tmp_path, cache_dir=cache_folder)
    splits(tmp_path)
    (tmp_path / "aslg.dev.en").write_text("one\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"gloss\.asl has 3 lines, aslg\.dev\.en 1"):
        load_dataset("aslg_pc12", tmp_path, cache_dir=cache_folder)
