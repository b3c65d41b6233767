"""PHOENIX-2014T without video: the three forms it comes in give the same sentences; the real tables have the published sizes."""

from __future__ import annotations

import pytest

from signlang_hf.data import find_sentence_leaks, load_dataset
from signlang_hf.data.rows import text_features

SENTENCES = {  # made up; nothing of the corpus
    "train": [("a-1", "Signer01", "SONNE HEUTE", "heute sonne"), ("a-2", "Signer02", "REGEN", "es regnet überall")],
    "dev": [("b-1", "Signer01", "WIND", "wind")],
    "test": [("c-1", "Signer01", "NACHT KALT", "kalte nacht"), ("c-2", "Signer03", "WOLKE", "wolken")],
}


def official(folder):
    folder = folder / "annotations" / "manual"
    folder.mkdir(parents=True)
    for split, rows in SENTENCES.items():
        lines = [f"{name}|{name}/1/*.png|-1|-1|{signer}|{gloss}|{text}" for name, signer, gloss, text in rows]
        header = "name|video|start|end|speaker|orth|translation"
        (folder / f"PHOENIX-2014-T.{split}.corpus.csv").write_text("\n".join([header, *lines]), encoding="utf-8")
    (folder / "PHOENIX-2014-T.train-complex-annotation.corpus.csv").write_text("other", encoding="utf-8")


def tables(folder):
    for split, rows in SENTENCES.items():
        lines = [f"{split}/{name}\t{signer}\t9\t{gloss}\t{text}" for name, signer, gloss, text in rows]
        header = "name\tsigner\tnum_frames\tgloss\ttext"
        (folder / f"{split}.tsv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def pairs(folder):
    for split, rows in SENTENCES.items():
        for suffix, column in (("gloss", 2), ("de", 3)):
            (folder / f"phoenix2014T.{split}.{suffix}").write_text(
                "".join(f"{r[column]}\n" for r in rows), encoding="utf-8"
            )


@pytest.mark.parametrize("write", [official, tables, pairs])
def test_each_form_gives_the_same_sentences_and_splits(write, tmp_path, cache_folder):
    folder = tmp_path / "phoenix"
    folder.mkdir()
    write(folder)
    splits = load_dataset("phoenix14t_text", folder, cache_dir=cache_folder)
    assert list(splits) == ["train", "validation", "test"] and splits["train"].features == text_features()
    for name, rows in SENTENCES.items():
        split = splits["validation" if name == "dev" else name]
        assert split["glosses"][:] == [gloss.split() for _, _, gloss, _ in rows]
        assert split["text"][:] == [text for *_, text in rows]
        if write is not pairs:
            assert split["id"][:] == [f"{name}/{row[0]}" for row in rows] and split["signer"][:] == [
                row[1] for row in rows
            ]
    assert set(splits["train"]["signer"]) == ({None} if write is pairs else {"Signer01", "Signer02"})


def test_the_cache_follows_the_tables_and_streaming_gives_the_same(tmp_path, cache_folder):
    tables(tmp_path)
    first = load_dataset("phoenix14t_text", tmp_path, split="train", cache_dir=cache_folder)
    streamed = list(load_dataset("phoenix14t_text", tmp_path, split="train", streaming=True, cache_dir=cache_folder))
    assert streamed == list(first)
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as stream:
        stream.write("train/a-3\tSigner01\t9\tSCHNEE\tschnee\n")
    assert len(load_dataset("phoenix14t_text", tmp_path, split="train", cache_dir=cache_folder)) == 3


def test_faults_of_all_tables_come_in_one_list(tmp_path, cache_folder):
    tables(tmp_path)
    for split, line in (("train", "train/x\tSigner01\t9\t\tein text"), ("dev", "dev/y\tSigner01\t9\tREGEN\t ")):
        with (tmp_path / f"{split}.tsv").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    with pytest.raises(
        ValueError, match=r"(?s)2 faults.*row 4, train\.tsv: .* no glosses.*row 3, dev\.tsv: .* no text"
    ):
        load_dataset("phoenix14t_text", tmp_path, cache_dir=cache_folder)
    splits = load_dataset("phoenix14t_text", tmp_path, cache_dir=cache_folder, on_error="skip")
    assert sum(map(len, splits.values())) == 5


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table of the corpus; it should be .*corpus\.csv"):
        load_dataset("phoenix14t_text", tmp_path)
    with pytest.raises(FileNotFoundError, match="Folder not found"):
        load_dataset("phoenix14t_text", tmp_path / "none")
    with pytest.raises(ValueError, match="needs data_dir=, the folder with PHOENIX"):
        load_dataset("phoenix14t_text")
    tables(tmp_path)
    with pytest.raises(ValueError, match="on_error is 'ignore'"):
        load_dataset("phoenix14t_text", tmp_path, on_error="ignore")


def test_the_real_tables_have_the_published_sizes(signlang_data, cache_folder):
    folder = signlang_data / "phoenix14t-gloss-text"
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder}")
    splits = load_dataset("phoenix14t_text", folder, cache_dir=cache_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 7096, "validation": 519, "test": 642}
    assert set(splits["train"]["signer"]) >= set(splits["test"]["signer"]) and None not in splits["train"]["signer"]
    assert all(text.endswith(" .") for text in splits["test"]["text"])
    assert len({gloss for row in splits["train"]["glosses"] for gloss in row}) > 1000
    assert find_sentence_leaks(splits), "the official splits share short sentences"


def test_several_processes_build_the_same_rows(tmp_path, cache_folder):
    tables(tmp_path)
    plain = load_dataset("phoenix14t_text", tmp_path, split="train", cache_dir=cache_folder / "a")
    spread = load_dataset("phoenix14t_text", tmp_path, split="train", num_proc=2, cache_dir=cache_folder / "b")
    assert list(plain) == list(spread)
