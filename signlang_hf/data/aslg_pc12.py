"""Dataset ``aslg_pc12``: English sentences and their glosses in ASL order, 87,710 pairs that were made by rules.

``data_dir`` holds one of

* ``data/train-00000-of-00001.parquet`` of the Hub's ``achrafothman/aslg_pc12`` (columns ``gloss`` and ``text``): one ``train`` split;
* ``sample-corpus-asl-en.asl`` and ``sample-corpus-asl-en.en``, as the authors publish it, line by line: one ``train`` split;
* ``aslg.train.gloss.asl`` and ``aslg.train.en``, likewise ``dev`` and ``test``: the splits of github.com/kayoyin/transformer-slt.

Where there is one split, :func:`.sentence_splits.sentence_split` makes three that share no sentence. The glosses come from rules, not from
signers: a corpus to learn with, not one to show that a model understands signing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .about import DatasetFacts
from .gloss_tables import Sentence, read_parallel, split_glosses
from .metadata import SPLIT_ALIASES, Fault
from .text_builder import TextBuilder, find_one


class AslgPc12(TextBuilder):
    """Glosses and English text."""

    NEEDS = "the folder with train-00000-of-00001.parquet, sample-corpus-asl-en.asl and .en, or aslg.train.gloss.asl and aslg.train.en"
    FACTS = DatasetFacts(
        title="ASLG-PC12",
        summary="English-ASL Gloss Parallel Corpus 2012: English sentences and their glosses in the order of American Sign Language, made by rules.",
        licence="cc-by-nc-4.0",
        homepage="https://achrafothman.net/site/asl-smt/",
        citation="""@inproceedings{othman2012english,
  title = {English-ASL Gloss Parallel Corpus 2012: ASLG-PC12},
  author = {Othman, Achraf and Jemni, Mohamed},
  booktitle = {5th Workshop on the Representation and Processing of Sign Languages, LREC},
  year = {2012}
}""",
        sign_languages=("ase",),
        split_rule="The authors give one split; files of github.com/kayoyin/transformer-slt give theirs. sentence_split() makes three that share "
        "no sentence.",
        processing="Glosses are split at white space; texts are as published.",
        limits=(
            "Glosses are made from the English text by rules; nobody signed them.",
            "Sentences of parliament and of novels.",
        ),
    )

    def find_tables(self, folder: Path) -> dict[str, tuple[Path, ...]]:
        pairs = {
            split: (find_one(folder, f"aslg.{split}.gloss.asl"), find_one(folder, f"aslg.{split}.en"))
            for split in ("train", "dev", "test")
        }
        if None not in pairs["train"]:
            return {split: files for split, files in pairs.items() if None not in files}
        shards = tuple(sorted(folder.rglob("train-*.parquet")))
        if shards:
            return {"train": shards}
        pair = (
            find_one(folder, "sample-corpus-asl-en.asl", "sample-corpus-asl-en.asl.txt"),
            find_one(folder, "sample-corpus-asl-en.en", "sample-corpus-asl-en.en.txt"),
        )
        if None not in pair:
            return {"train": pair}
        raise FileNotFoundError(f"{folder} holds no file of the corpus; it should be {self.NEEDS}.")

    def read(self, name: str, files: tuple[Path, ...], faults: list[Fault]) -> Iterator[Sentence]:
        split = SPLIT_ALIASES.get(name, name)
        rows = _parquet(files) if files[0].suffix == ".parquet" else read_parallel(*files)
        for line, glosses, text in rows:
            # A byte order mark in the middle of a line is left over from files that were put together.
            glosses, text = (part.replace("\ufeff", "").strip() for part in (glosses, text))
            yield Sentence(f"{name}/{line}", split_glosses(glosses), text, None, split, files[0].name, line)


def _parquet(files: tuple[Path, ...]) -> Iterator[tuple[int, str, str]]:
    import pyarrow
    import pyarrow.parquet

    row = 0
    for file in files:
        try:
            table = pyarrow.parquet.read_table(file, columns=["gloss", "text"])
        except pyarrow.ArrowException as error:
            raise ValueError(f"{file} is no Parquet file with the columns gloss and text ({error}).") from None
        missing = [name for name in ("gloss", "text") if name not in table.column_names]
        if missing:
            raise ValueError(f"{file} has no column {' and '.join(missing)}; ASLG-PC12 has gloss and text.")
        for gloss, text in zip(table["gloss"].to_pylist(), table["text"].to_pylist()):
            row += 1
            yield row, gloss or "", text or ""
