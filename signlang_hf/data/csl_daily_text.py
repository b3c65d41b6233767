"""Dataset ``csl_daily_text``: CSL-Daily, glosses of Chinese Sign Language and Chinese sentences of daily life, without video.

The corpus is given to researchers on request; nothing of it is bundled. ``data_dir`` is its folder ``sentence_label`` (or one above it) with

* ``video_map.txt``: ``index|name|length|gloss|char|word|postag``, one line a video; the cells hold parts between blanks;
* ``split_1.txt``: ``name|split`` with train, dev and test.

The annotations also come as ``csl2020ct_v2.pkl``. That is a pickle, which can run any code when it is read, so it is not. The publisher measures
translation on characters; ``unit`` chooses what the words of ``text`` are. A signer's number is part of a video's name
(``S000007_P0003_T00``: sentence, person, take). The format was taken from published readers, not tried on the corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets

from .about import DatasetFacts
from .folder_builder import FolderConfig, leave_out
from .gloss_tables import Sentence, read_table, split_glosses
from .metadata import SPLIT_ALIASES, Fault
from .text_builder import TextBuilder, find_one

_UNITS = ("char", "word", "plain")
_SIGNER = re.compile(r"_P(\d+)_")


@dataclass
class CslDailyTextConfig(FolderConfig):
    """``unit``: ``"char"`` (default) and ``"word"`` put blanks between characters or words of ``text``, ``"plain"`` none."""

    unit: str = "char"

    def check(self) -> None:
        super().check()
        if self.unit not in _UNITS:
            raise ValueError(f"unit is {self.unit!r}; choose one of {', '.join(_UNITS)}.")


class CslDailyText(TextBuilder):
    """Glosses and Chinese text with the official splits. Videos that no split lists are left out, in one line."""

    BUILDER_CONFIG_CLASS = CslDailyTextConfig
    VERSION = datasets.Version("1.0.0")
    NEEDS = "the folder sentence_label with video_map.txt and split_1.txt"
    FACTS = DatasetFacts(
        title="CSL-Daily (gloss and text)",
        summary="CSL-Daily: glosses of Chinese Sign Language and Chinese sentences of daily life, without video.",
        licence="other",
        homepage="https://ustc-slr.github.io/datasets/2021_csl_daily/",
        citation="""@inproceedings{zhou2021improving,
  title = {Improving Sign Language Translation with Monolingual Data by Sign Back-Translation},
  author = {Zhou, Hao and Zhou, Wengang and Qi, Weizhen and Pu, Junfu and Li, Houqiang},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2021}
}""",
        sign_languages=("csl",),
        split_rule="The official split_1.txt, which shares signers between its parts.",
        processing="Glosses are split at blanks; the text is the publisher's characters (or words) with blanks between them, or without.",
        limits=("For research only, on request to the authors.",),
    )

    def find_tables(self, folder: Path) -> dict[str, tuple[Path, ...]]:
        files = (find_one(folder, "video_map.txt"), find_one(folder, "split_1.txt"))
        if None not in files:
            return {"all": files}
        pickled = find_one(folder, "csl2020ct_v2.pkl")
        hint = f" {pickled.name} is a pickle and is not read." if pickled else ""
        missing = [name for name, file in zip(("video_map.txt", "split_1.txt"), files) if file is None]
        raise FileNotFoundError(f"{folder} holds no {' and no '.join(missing)}; it should be {self.NEEDS}.{hint}")

    def read(self, name: str, files: tuple[Path, ...], faults: list[Fault]) -> Iterator[Sentence]:
        table, splits = files
        column = "word" if self.config.unit == "word" else "char"
        listed = {cells["name"]: cells["split"] for _, cells in read_table(splits, "|", ("name", "split"), faults)}
        rows = read_table(table, "|", ("name", "gloss", column), faults)
        known = {cells["name"] for _, cells in rows}
        for missing, there, of in (
            ([n for n in listed if n not in known], table, listed),
            ([n for n in known if n not in listed], splits, known),
        ):
            leave_out(there, sorted(missing), len(of), "skip")
        for line, cells in rows:
            if cells["name"] not in listed:
                continue
            split = listed[cells["name"]]
            signer = _SIGNER.search(cells["name"])
            text = " ".join(cells[column].split())
            text = text.replace(" ", "") if self.config.unit == "plain" else text
            yield Sentence(
                cells["name"], split_glosses(cells["gloss"]), text, signer[1] if signer else None,
                SPLIT_ALIASES.get(split, split), table.name, line,
            )  # fmt: skip
