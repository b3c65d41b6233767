"""What the datasets share that are generated: sentences of signing, joined out of real clips of single signs.

Design decisions:

* Row ``number`` of a split depends on seed, split and number alone, whatever else is asked for: more train sentences begin
  with the same ones, and ``num_proc`` processes make the same rows as one.
* What may not stand in two splits (signers, clips or words) is divided before anything is drawn; a subclass's :meth:`pool`
  hands out what belongs to one split.
* Clips are read and measured once a split and are a few dozen megabytes; rows are written as they are made.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np

from .about import DatasetFacts
from .concatenate import concatenate
from .rows import landmark_features, to_row
from .single_sign import Sign

VERSION = datasets.Version("1.0.0")
PARTS: tuple[str, ...] = ("train", "validation", "test")


@dataclass
class GeneratedConfig(datasets.BuilderConfig):
    """``seed`` and how many sentences each split gets; 0 leaves a split out."""

    seed: int = 0
    train_sentences: int = 3000
    validation_sentences: int = 300
    test_sentences: int = 500

    def check(self) -> None:
        """Raise ValueError for a value that an option cannot have. Called by the builder: ``datasets`` sets options afterwards."""
        for name in ("seed", *(f"{part}_sentences" for part in PARTS)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"{name} is {value!r}; it must be a whole number that is not negative.")
        if not any(self.counts.values()):
            raise ValueError(
                "No sentences are asked for; set train_sentences=, validation_sentences= or test_sentences=."
            )

    @property
    def counts(self) -> dict[str, int]:
        """Split → number of sentences."""
        return {part: getattr(self, f"{part}_sentences") for part in PARTS}


@dataclass
class SentenceConfig(GeneratedConfig):
    """``shortest`` and ``longest``: signs of a sentence, all lengths between them equally often."""

    shortest: int = 3
    longest: int = 6

    def check(self) -> None:
        super().check()
        if not (
            isinstance(self.shortest, int) and isinstance(self.longest, int) and 1 <= self.shortest <= self.longest
        ):
            raise ValueError(
                f"Sentences of {self.shortest!r} to {self.longest!r} signs cannot be made; shortest= must be at least 1 and "
                "longest= not below it."
            )


class GeneratedBuilder(datasets.GeneratorBasedBuilder):
    """Base of the generated datasets. A subclass names its ``LAYOUT``, reads clips (:meth:`pool`) and draws a sentence
    (:meth:`draw`); rows have ``glosses`` and, where :meth:`draw` gives one, ``text``, and never say where signs begin."""

    BUILDER_CONFIG_CLASS = GeneratedConfig
    VERSION = VERSION
    DEFAULT_WRITER_BATCH_SIZE = 100
    FACTS: DatasetFacts
    LAYOUT: str
    TEXT = False

    @abstractmethod
    def pool(self, part: str) -> Any:
        """What the sentences of a split are drawn from."""

    @abstractmethod
    def draw(self, pool: Any, number: int, rng: np.random.Generator) -> tuple[Sequence[Sign], dict[str, Any]]:
        """The clips of sentence ``number``, and the row's values: ``glosses``, and what is known of ``signer``, ``view``, ``text``."""

    def _info(self) -> datasets.DatasetInfo:
        self.config.check()
        return self.FACTS.info(landmark_features(self.LAYOUT, glosses=True, text=self.TEXT))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        # The numbers are a list because a list is what datasets spreads over num_proc processes.
        return [
            datasets.SplitGenerator(datasets.NamedSplit(part), gen_kwargs={"part": part, "numbers": list(range(count))})
            for part, count in self.config.counts.items()
            if count
        ]

    def _generate_examples(self, part: str, numbers: list[int]) -> Iterator[tuple[str, dict[str, Any]]]:
        pool = self.pool(part)
        for number in numbers:
            rng = np.random.default_rng([self.config.seed, PARTS.index(part), number])
            signs, values = self.draw(pool, number, rng)
            name = f"{part}-{number:05d}"
            yield name, to_row(concatenate(signs, seed=rng).sequence, id=name, **values)


def draw_signs(
    clips: dict[str, list[Sign]], config: SentenceConfig, rng: np.random.Generator
) -> tuple[list[Sign], list[str]]:
    """Clips and names of a sentence: every sign is as likely as any other, whatever came before it; and so is every clip of it.

    Args:
        clips: sign → its clips.
    """
    names = sorted(clips)
    glosses = [names[i] for i in rng.integers(len(names), size=rng.integers(config.shortest, config.longest + 1))]
    return [clips[gloss][rng.integers(len(clips[gloss]))] for gloss in glosses], glosses
