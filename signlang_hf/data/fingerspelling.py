"""Dataset ``fingerspelling``: real letters A–Z in 16 sign languages, installed from PyPI.

The package ``spoken-to-signed`` (MIT) carries a fingerspelling lexicon: an ``index.csv`` and one MediaPipe Holistic ``.pose``
file a letter. Sixteen of its languages spell with the Latin alphabet, one signer and one clip a letter each: 410 clips of
26 letters (Lithuanian ``lls`` and Turkish ``tsm`` have no Q, W and X). What was checked on version 0.4.0, and follows:

* Rows of ``fsl`` point at ``ase``'s files: they are dropped, or the same clips would stand in two languages. So is any row
  whose file an earlier row already named.
* ``start`` and ``end`` do not apply to the files. ``start`` is always 0, and ``end`` counts milliseconds of the recording that
  the file was made from; the files were trimmed and sped up afterwards, and none lasts longer than 0.52 of its ``end``
  (a third on average). Whole files are read.
* One sign language is one signer, so ``signer`` holds the language's ISO 639-3 code and leaving a language out is leaving a
  signer out. Alphabets differ between languages (some share almost no letter with the rest): a hard and honest test.
* Nothing in the files is missing by accident in ``ase``, ``gsg`` and ``sgg``: their left hand was removed by the publisher.
  ``ise`` signs with the left hand.
"""

from __future__ import annotations

import csv
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import datasets

from ..landmarks import load_landmarks
from .about import DatasetFacts
from .fingerprint import files_fingerprint
from .rows import landmark_features, to_row

LETTERS: tuple[str, ...] = tuple(string.ascii_uppercase)
LANGUAGES: tuple[str, ...] = (
    "ase", "asq", "bzs", "cse", "csq", "eso", "gsg", "ise", "lls", "mfs", "psr", "sgg", "ssp", "svk", "swl", "tsm",
)  # fmt: skip
"""ISO 639-3 codes of the sign languages that spell with the Latin alphabet."""
LAYOUT = "mediapipe-holistic"
VERSION = datasets.Version("1.0.0")


@dataclass
class FingerspellingConfig(datasets.BuilderConfig):
    """``hold_out``: language, or languages, of the ``test`` split; empty for everything in one ``train`` split."""

    hold_out: str | Sequence[str] = ("ase",)


class Fingerspelling(datasets.GeneratorBasedBuilder):
    """Letters A–Z as ``mediapipe-holistic`` landmarks (75 points, image units), ``signer`` = sign language.

    Configurations: ``holdout`` (default; American Sign Language ``ase`` is the test split) and ``all`` (one ``train`` split, for
    leave-one-signer-out). ``hold_out="sgg"`` holds another language out. ``data_dir`` names a copy of the lexicon folder;
    without it the installed package's own is read.
    """

    BUILDER_CONFIG_CLASS = FingerspellingConfig
    BUILDER_CONFIGS = [  # noqa: RUF012 (the name and kind that datasets expects)
        FingerspellingConfig(
            name="holdout", version=VERSION, description="all languages but ase to train on, ase to test"
        ),
        FingerspellingConfig(name="all", version=VERSION, hold_out=(), description="all languages in one split"),
    ]
    DEFAULT_CONFIG_NAME = "holdout"
    FACTS = DatasetFacts(
        title="Fingerspelling",
        summary="Fingerspelled letters A–Z in 16 sign languages as MediaPipe Holistic landmarks, one clip a letter and language.",
        licence="mit",
        homepage="https://github.com/sign-language-processing/spoken-to-signed-translation",
        sign_languages=LANGUAGES,
        signers=len(LANGUAGES),
        split_rule="A language is one signer and is left out whole: American Sign Language by default, any other by hold_out.",
        processing="Landmarks are the publisher's. Rows that repeat another language's file are left out.",
        limits=(
            "One signer and one clip for each letter of a language.",
            "Alphabets differ between languages; some share almost no letter with the rest.",
            "Single letters, not words: a fingerspelled word flows from letter to letter.",
        ),
    )

    def __init__(self, *args: Any, data_dir: str | None = None, hash: str | None = None, **kwargs: Any) -> None:
        if "hold_out" in kwargs:
            kwargs["hold_out"] = _languages(kwargs["hold_out"])
        self.lexicon = read_lexicon(data_dir)
        fingerprint = hash or files_fingerprint([row["file"] for row in self.lexicon])
        super().__init__(*args, data_dir=data_dir, hash=fingerprint, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return self.FACTS.info(landmark_features(LAYOUT, label_names=LETTERS))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        held = _languages(self.config.hold_out)
        train = [row for row in self.lexicon if row["language"] not in held]
        test = [row for row in self.lexicon if row["language"] in held]
        if not train:
            raise ValueError("hold_out names every language; at least one must stay in the train split.")
        splits = {datasets.Split.TRAIN: train} | ({datasets.Split.TEST: test} if test else {})
        return [datasets.SplitGenerator(name, gen_kwargs={"rows": rows}) for name, rows in splits.items()]

    def _generate_examples(self, rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        for row in rows:
            sequence = load_landmarks(row["file"]).to_layout(LAYOUT)
            name = f"{row['language']}/{row['letter']}"
            yield name, to_row(sequence, id=name, signer=row["language"], label=row["letter"])


def read_lexicon(folder: str | Path | None = None) -> list[dict[str, Any]]:
    """The lexicon's Latin letters: a list of {"file": Path, "language": str, "letter": str}, without rows that repeat a file.

    Args:
        folder: folder with ``index.csv``; default: the one inside the installed package ``spoken-to-signed``.

    Raises:
        ModuleNotFoundError: the package is not installed.
        FileNotFoundError: the folder has no ``index.csv``, or a listed file is missing.
    """
    folder = _installed_lexicon() if folder is None else Path(folder)
    index = folder / "index.csv"
    if not index.is_file():
        raise FileNotFoundError(f"{folder} is not the fingerspelling lexicon of spoken-to-signed: it has no index.csv.")
    rows: dict[str, dict[str, Any]] = {}
    with index.open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            language, letter, path = line["signed_language"], line["words"], line["path"]
            if language in LANGUAGES and letter in LETTERS and path not in rows:
                rows[path] = {"file": folder / path, "language": language, "letter": letter}
    missing = [str(row["file"]) for row in rows.values() if not row["file"].is_file()]
    if missing:
        raise FileNotFoundError(f"{index} lists {len(missing)} files that are not there, the first is {missing[0]}.")
    return list(rows.values())


def _installed_lexicon() -> Path:
    package = find_spec("spoken_to_signed")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(
            'The dataset fingerspelling lives in the package spoken-to-signed: pip install "signlang-hf[train]"'
        )
    return Path(package.submodule_search_locations[0]) / "assets" / "fingerspelling_lexicon"


def _languages(hold_out: str | Sequence[str] | None) -> tuple[str, ...]:
    """``hold_out`` as a sorted tuple of known codes."""
    codes = (hold_out,) if isinstance(hold_out, str) else tuple(hold_out or ())
    unknown = [code for code in codes if code not in LANGUAGES]
    if unknown:
        raise ValueError(f"hold_out names the unknown language {', '.join(unknown)}; known are {', '.join(LANGUAGES)}.")
    return tuple(sorted(set(codes)))
