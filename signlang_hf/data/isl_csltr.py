"""Dataset ``isl_csltr``: sentences of Indian Sign Language, 100 everyday ones by 7 signers in 700 films, or any corpus in its layout.

The source is data.mendeley.com/datasets/kcmpdxky7p (CC BY 4.0): one folder of videos a sentence, and a table of glosses::

    ISL_CSLTR/
        glosses.csv                                 folder_name,gloss,sentence      (or the publisher's “ISL Corpus sign glosses.csv”)
        videos.csv                                  sentence,video,gloss,signer,published_split        (not needed)
        Videos_Sentence_Level/are you free today/free (3).MP4

Landmarks are extracted on first use, or read where ``signlang extract`` left them. ``text_only=True`` needs the tables alone and gives rows for
gloss → text. What was checked on the public tables, and follows:

* 101 sentences have glosses, 96 of them films; folders are found whatever their capitals, blanks and punctuation.
* Three ways to split, as configuration or ``splits=``. ``sentence-disjoint`` (default): no sentence stands in two splits; that of
  ``sentence_disjoint_split.csv`` (80 / 10 / 11 sentences) or a ``split`` column where there is one, else drawn with ``seed``.
  ``signer-disjoint``: whole signers. ``published``: the rows of ``videos.csv`` as they are (500 / 100 / 100).
* The published split **shares sentences**: all 61 of its validation and all 56 of its test sentences are in training. A BLEU near 100 on it is
  memory; :func:`.sentence_splits.check_sentence_leaks` refuses it.
* ``videos.csv`` has 371 names for its 700 rows: 217 of them stand for films of several signers. Where the signer of a film on disk is not certain
  it is null, and ``signer-disjoint`` leaves the film out, with a count.
* Glosses come from the table of sentences; ``published`` keeps those of ``videos.csv``, which order 389 of its rows differently.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import datasets

from .about import DatasetFacts
from .clip_files import find_clip_files
from .folder_builder import leave_out
from .gloss_tables import Sentence, one_spelling
from .isl_csltr_tables import NEEDS, Corpus, clip_key, folder_key, read_corpus
from .metadata import SPLIT_ALIASES, Clip, Metadata
from .rows import text_features
from .sentence_splits import sentence_split
from .video_builder import VideoBuilder, VideoConfig

logger = logging.getLogger(__name__)
VERSION = datasets.Version("1.0.0")
SPLITS = ("sentence-disjoint", "signer-disjoint", "published")


@dataclass
class IslCsltrConfig(VideoConfig):
    """Options of :class:`IslCsltr`, beyond those of every video dataset.

    ``splits``: ``"sentence-disjoint"``, ``"signer-disjoint"`` or ``"published"`` (which shares sentences) · ``text_only``: glosses and text
    without videos · ``test_signers``, ``validation_signers``: of the signer-disjoint split · ``seed``: of a sentence-disjoint split that has to
    be drawn (10 % validation, 10 % test).
    """

    splits: str = "sentence-disjoint"
    text_only: bool = False
    test_signers: Sequence[str] = ("6",)
    validation_signers: Sequence[str] = ("5",)
    seed: int = 0

    def check(self) -> None:
        super().check()
        if self.splits not in SPLITS:
            raise ValueError(f"splits is {self.splits!r}; choose one of {', '.join(SPLITS)}.")


class IslCsltr(VideoBuilder):
    """Sentences with ``glosses``, ``text`` and, where it is certain, ``signer``."""

    BUILDER_CONFIG_CLASS = IslCsltrConfig
    BUILDER_CONFIGS = [IslCsltrConfig(name=name, version=VERSION, splits=name) for name in SPLITS]  # noqa: RUF012
    DEFAULT_CONFIG_NAME = SPLITS[0]
    SENTENCES = True
    NEEDS = f"the folder with {NEEDS} and a folder of videos for each sentence"
    FACTS = DatasetFacts(
        title="ISL-CSLTR",
        summary="ISL-CSLTR: everyday sentences of Indian Sign Language by 7 signers, with glosses and English text.",
        licence="cc-by-4.0",
        homepage="https://data.mendeley.com/datasets/kcmpdxky7p/1",
        citation="""@misc{elakkiya2021isl,
  title = {ISL-CSLTR: Indian Sign Language Dataset for Continuous Sign Language Translation and Recognition},
  author = {Elakkiya, R and Natarajan, B},
  year = {2021},
  publisher = {Mendeley Data},
  doi = {10.17632/kcmpdxky7p.1}
}""",
        sign_languages=("ins",),
        signers=7,
        split_rule="sentence-disjoint (default) shares no sentence; signer-disjoint no signer, but all sentences; published is the split that "
        "figures were published on: all of its test sentences are also training sentences.",
        processing="Glosses are split at white space and freed of punctuation; landmarks, where there are any, were estimated from the videos.",
        limits=(
            "About a hundred sentences: a model learns them by heart, and only the sentence-disjoint split shows it.",
            "The table names films of several signers alike; where the signer is not certain it is left open.",
        ),
        anchors=(
            "published split: BLEU 1.0, on sentences that training has seen; none is comparable on sentence-disjoint splits",
        ),
    )

    def find_clips(self, folder: Path, options: dict[str, Any]) -> Metadata:
        on_error = options.get("on_error", "raise")
        self.corpus = read_corpus(folder, on_error)
        tables = self.corpus.tables
        if options.get("text_only"):
            return Metadata(folder, tables=tables)
        strangers: dict[str, None] = {}

        def key(path: PurePosixPath) -> str | None:
            if folder_key(path.parent.name) in self.corpus.sentences:
                return clip_key(path)
            strangers[path.parent.as_posix()] = None
            return None

        found = find_clip_files(folder, key)
        if not found:
            raise FileNotFoundError(
                f"{folder} holds no film of its {len(self.corpus.sentences)} sentences; it should be {self.NEEDS}. With text_only=True the "
                "tables are enough."
            )
        if strangers:
            message = f"{folder}: {len(strangers)} folders of films are in no row of {tables[0].name}, the first is {next(iter(strangers))!r}"
            if on_error == "raise":
                raise ValueError(f"{message}. Add them to the table, or leave them out with on_error='skip'.")
            logger.warning("%s; they are left out.", message)
        filmed = {key.split("/")[0] for key in found}
        missing = [one.id for key, one in self.corpus.sentences.items() if key not in filmed]
        if missing:
            logger.warning("%s: of %d of the %d sentences there is no film, the first is %r.", folder, len(missing), len(self.corpus.sentences), missing[0])  # fmt: skip
        clips = [self._clip(key, file, folder) for key, file in found.items()]
        return Metadata(folder, clips, tables=tables)

    def configured(self, metadata: Metadata) -> Metadata:
        config, corpus = self.config, self.corpus
        if config.splits == "published" or (config.text_only and config.splits == "signer-disjoint"):
            clips = self._performed(metadata)
        elif config.text_only:
            clips = [_text_clip(one, metadata.folder) for one in corpus.sentences.values()]
        else:
            clips = metadata.clips
        clips = self._divided(clips, metadata)
        if not clips:
            raise ValueError(f"{metadata.folder}: the {config.splits} split leaves nothing to load.")
        spelling = one_spelling((clip.glosses for clip in clips), metadata.folder)
        spelled = [replace(clip, glosses=tuple(spelling.get(gloss, gloss) for gloss in clip.glosses)) for clip in clips]
        return replace(metadata, clips=spelled)

    def cache_settings(self, options: dict[str, Any]) -> tuple[str, ...]:
        return () if options.get("text_only") else super().cache_settings(options)

    def find_layout(self) -> str:
        return "" if self.config.text_only else super().find_layout()

    def row_features(self) -> datasets.Features:
        return text_features() if self.config.text_only else super().row_features()

    def _generate_examples(self, clips: list[Clip]) -> Iterator[tuple[str, dict[str, Any]]]:
        if not self.config.text_only:
            yield from super()._generate_examples(clips)
            return
        for clip in clips:
            yield clip.id, {"id": clip.id, "signer": clip.signer, "glosses": list(clip.glosses), "text": clip.text}

    def _clip(self, key: str, file: Path, folder: Path) -> Clip:
        sentence = self.corpus.sentences[key.split("/")[0]]
        name = file.relative_to(folder).as_posix()
        return Clip(
            0, name, file, "", id=f"{file.parent.name}/{file.stem}", signer=self.corpus.signer(key),
            glosses=sentence.glosses, text=sentence.text,
        )  # fmt: skip

    def _performed(self, metadata: Metadata) -> list[Clip]:
        """One clip a row of ``videos.csv``; of films those that are there."""
        corpus, config = self.corpus, self.config
        if not corpus.performances:
            raise FileNotFoundError(
                f"{metadata.folder} holds no videos.csv, which the {config.splits} split is made from."
            )
        files = {clip_key(PurePosixPath(clip.id)): clip.file for clip in metadata.clips}
        clips, missing = [], []
        for one in corpus.performances:
            sentence, known = one.sentence, corpus.sentences.get(one.clip.split("/")[0])
            if config.splits != "published" and known is not None:
                sentence = replace(sentence, glosses=known.glosses, text=known.text)
            clip = _text_clip(sentence, metadata.folder)
            if config.text_only:
                clips.append(clip)
            elif one.clip in files:
                clips.append(replace(clip, file=files[one.clip]))
            else:
                missing.append(one.clip)
        leave_out(metadata.folder, missing, len(corpus.performances), config.on_error)
        return clips

    def _divided(self, clips: list[Clip], metadata: Metadata) -> list[Clip]:
        """The clips with their splits."""
        if self.config.splits == "published":
            without = sum(not clip.split for clip in clips)
            if without:
                raise ValueError(f"{metadata.folder}: {without} rows of videos.csv have no published_split.")
            logger.warning(
                "%s: the published split shares sentences between training and test; what it measures is memory.",
                metadata.folder,
            )
            return clips
        if self.config.splits == "sentence-disjoint":
            splits = _sentence_splits(self.corpus, self.config.seed)
            folders = [clip.id if self.config.text_only else clip.file.parent.name for clip in clips]
            return [replace(clip, split=splits[folder_key(name)]) for clip, name in zip(clips, folders)]
        test, validation = (
            tuple(map(str, names)) for names in (self.config.test_signers, self.config.validation_signers)
        )
        certain = [clip for clip in clips if clip.signer is not None]
        known = sorted({clip.signer for clip in certain})
        if len(certain) < len(clips):
            logger.warning("%s: the signer of %d of %d films is not certain; they are left out.", metadata.folder, len(clips) - len(certain), len(clips))  # fmt: skip
        unknown = [name for name in (*test, *validation) if name not in known]
        if unknown:
            raise ValueError(
                f"Nothing is signed by {', '.join(unknown)} (test_signers, validation_signers); known are {', '.join(known) or 'none'}."
            )
        if set(test) & set(validation) or set(test) | set(validation) >= set(known):
            raise ValueError(
                "test_signers and validation_signers must not overlap, and must leave a signer to train on."
            )
        place = dict.fromkeys(validation, "validation") | dict.fromkeys(test, "test")
        return [replace(clip, split=place.get(clip.signer, "train")) for clip in certain]


def _text_clip(sentence: Sentence, folder: Path) -> Clip:
    place = f"{sentence.file}, line {sentence.line}"
    return Clip(
        0, place, folder / sentence.file, "", id=sentence.id, split=sentence.split, signer=sentence.signer,
        glosses=sentence.glosses, text=sentence.text,
    )  # fmt: skip


def _sentence_splits(corpus: Corpus, seed: int) -> dict[str, str]:
    """:func:`folder_key` → split: as the table says, else drawn."""
    stated = {key: SPLIT_ALIASES.get(one.split, one.split) for key, one in corpus.sentences.items()}
    if all(stated.values()):
        return stated
    rows = [{"id": key, "glosses": list(one.glosses), "text": one.text} for key, one in corpus.sentences.items()]
    drawn = sentence_split(datasets.Dataset.from_list(rows), test_size=0.1, validation_size=0.1, seed=seed)
    return {key: name for name, split in drawn.items() for key in split["id"]}
