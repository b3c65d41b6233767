"""Dataset ``phoenix14t_text``: RWTH-PHOENIX-Weather 2014T, the glosses and German sentences of televised weather forecasts, without video.

The corpus may be used for research only, so nothing of it is bundled. ``data_dir`` is one of

* the publisher's release, or its folder ``annotations/manual``: ``PHOENIX-2014-T.train.corpus.csv`` … ``.dev`` … ``.test``, columns
  ``name|video|start|end|speaker|orth|translation``;
* tables ``train.tsv``, ``dev.tsv`` and ``test.tsv`` with the columns ``name``, ``signer``, ``gloss`` and ``text`` between tabs, as they are made from
  the annotations that github.com/neccam/slt points to;
* line-by-line pairs ``phoenix2014T.train.gloss`` and ``phoenix2014T.train.de``, as in github.com/kayoyin/transformer-slt.

Facts that were checked on the tables: 7096 / 519 / 642 sentences, nothing empty, no id twice. Their texts end in `` .``, which the publisher's
csv leaves out; it counts in a BLEU, so compare figures of one form only. The official splits share short sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .about import DatasetFacts
from .gloss_tables import Sentence, read_parallel, read_table, split_glosses
from .metadata import SPLIT_ALIASES, Fault
from .text_builder import TextBuilder, find_one

_SPLITS = ("train", "dev", "test")


class Phoenix14tText(TextBuilder):
    """Glosses and German text with the official splits; ids are ``train/11August_2010_Wednesday_tagesschau-1``, whatever was read."""

    NEEDS = "the folder with PHOENIX-2014-T.train.corpus.csv … or train.tsv, dev.tsv and test.tsv"
    FACTS = DatasetFacts(
        title="PHOENIX-2014T (gloss and text)",
        summary="RWTH-PHOENIX-Weather 2014T: glosses of German Sign Language and German sentences of weather forecasts, without video.",
        licence="other",
        homepage="https://www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX-2014-T/",
        citation="""@inproceedings{camgoz2018neural,
  title = {Neural Sign Language Translation},
  author = {Camgoz, Necati Cihan and Hadfield, Simon and Koller, Oscar and Ney, Hermann and Bowden, Richard},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  year = {2018}
}""",
        sign_languages=("gsg",),
        split_rule="The official splits: 7096 train, 519 validation, 642 test. They share signers and short sentences.",
        processing="Glosses are split at white space; texts are as published, in lower case. In the tables made for neccam/slt a text ends in “ .”, "
        "in the publisher's csv it does not.",
        limits=("For research only.", "One subject, the weather, interpreted from speech."),
        anchors=(
            "gloss → text, test BLEU-4: 19.26 (Camgoz et al. 2018, GRU with attention)",
            "gloss → text, test BLEU-4: about 22.2 (Yin and Read 2020, transformer, via a survey)",
        ),
    )

    def find_tables(self, folder: Path) -> dict[str, tuple[Path, ...]]:
        for forms in (("PHOENIX-2014-T.{}.corpus.csv",), ("{}.tsv",), ("phoenix2014T.{}.gloss", "phoenix2014T.{}.de")):
            found = {split: tuple(find_one(folder, form.format(split)) for form in forms) for split in _SPLITS}
            found = {split: files for split, files in found.items() if None not in files}
            if "train" in found:
                return found
        raise FileNotFoundError(f"{folder} holds no table of the corpus; it should be {self.NEEDS}.")

    def read(self, name: str, files: tuple[Path, ...], faults: list[Fault]) -> Iterator[Sentence]:
        split = SPLIT_ALIASES.get(name, name)
        if len(files) == 2:
            for line, glosses, text in read_parallel(*files):
                yield Sentence(f"{name}/{line}", split_glosses(glosses), text.strip(), None, split, files[0].name, line)
            return
        official = files[0].suffix == ".csv"
        id, signer, gloss, text = (
            ("name", "speaker", "orth", "translation") if official else ("name", "signer", "gloss", "text")
        )
        for line, cells in read_table(files[0], "|" if official else "\t", (id, signer, gloss, text), faults):
            clip = cells[id] if "/" in cells[id] else f"{name}/{cells[id]}"
            yield Sentence(
                clip, split_glosses(cells[gloss]), cells[text], cells[signer] or None, split, files[0].name, line
            )
