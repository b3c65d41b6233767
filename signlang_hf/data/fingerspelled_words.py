"""Dataset ``fingerspelled_words``: words spelled with the real letters of sixteen sign languages.

Each row spells one word with one language's letters of :mod:`.fingerspelling`, joined by :mod:`.concatenate`; ``glosses``
are its letters, ``text`` is the word, ``signer`` the language.

Design decisions:

* **Words are disjoint** between splits in both configurations, so that a model which corrects spelling cannot know a test
  word. ``unseen_words`` tests words in languages that were trained on; as there is one clip of a letter and language, the
  test words are made of *the same clips*: it measures finding and ordering letters, not recognising a new person's.
  ``unseen_language`` leaves the letters of one language, and with it one signer, out for the test, and those of another for
  validation: a hard and honest test, because alphabets differ.
* The 2342 words are this library's own list (given names, places, everyday words; ``facts/spelled_words.txt``, CC0), of 2 to
  13 letters. A quarter of them is for testing, a tenth for validation. ``words`` spells a list of one's own instead.
* ``invented`` adds words that do not exist to the training split, made of the letter triples of its real ones: with real words alone a
  translator learns these by heart and bends every other one towards them. Validation and test words are real. With
  ``unseen="nothing"`` the training split has all words: for a translator that is to know them as a dictionary does.
* Rows go through the split's words in turn, each spelled in a language drawn at random of those that have its letters (``lls``
  and ``tsm`` have no Q, W and X): 500 test sentences are 500 different words.
* Letters may stand still for :data:`HOLD` seconds at either side, which makes about three letters a second: what a careful
  speller does. The clips themselves hold a letter for half a second.
* Rows keep the points that spell (``isl-48``: arms and hands). ``ise`` spells with the left hand, and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from ..landmarks import load_landmarks
from .about import DatasetFacts
from .fingerprint import files_fingerprint
from .fingerspelling import LANGUAGES, read_lexicon
from .generated import VERSION, GeneratedBuilder, GeneratedConfig
from .single_sign import Sign

UNSEEN: tuple[str, ...] = ("words", "language", "nothing")
SHARES = {"test": 0.25, "validation": 0.1}
"""Shares of the words; the rest is for training."""
HOLD = 0.1
_WORD = re.compile("[a-z]+")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_CONTEXTS = (0.75, 0.2, 0.05)  # how often a letter of an invented word follows two letters, one or none
_UNRULY = 4  # every so manieth invented word is any letters in any order,
_UNRULY_LETTERS = 6  # one to so many of them


@dataclass
class FingerspelledWordsConfig(GeneratedConfig):
    """``unseen``: what training does not show of the test split, ``"words"``, ``"language"`` (and words), or ``"nothing"``: all words are
    in training, as in a dictionary.

    ``test_language`` and ``dev_language`` are left out by the latter; without ``dev_language`` it is the next one. ``words``: a
    list of one's own; empty for the library's. ``invented``: words made up for the training split.
    """

    unseen: str = UNSEEN[0]
    test_language: str = LANGUAGES[0]
    dev_language: str | None = None
    words: Sequence[str] = ()
    invented: int = 0

    def check(self) -> None:
        super().check()
        if not isinstance(self.invented, int) or isinstance(self.invented, bool) or self.invented < 0:
            raise ValueError(f"invented is {self.invented!r}; it must be a whole number that is not negative.")
        if self.unseen not in UNSEEN:
            raise ValueError(f"unseen is {self.unseen!r}; choose one of {', '.join(UNSEEN)}.")
        for option in ("test_language", "dev_language"):
            code = getattr(self, option)
            if code not in LANGUAGES and not (option == "dev_language" and code is None):
                raise ValueError(f"{option} is the unknown language {code!r}; known are {', '.join(LANGUAGES)}.")
        if self.test_language == self.dev_language:
            raise ValueError(f"{self.test_language} cannot be the test and the validation language; choose two.")

    @property
    def languages(self) -> dict[str, tuple[str, ...]]:
        """Split → languages whose letters it is spelled with."""
        if self.unseen != "language":
            return dict.fromkeys(("train", "validation", "test"), LANGUAGES)
        dev = self.dev_language or LANGUAGES[(LANGUAGES.index(self.test_language) + 1) % len(LANGUAGES)]
        train = tuple(code for code in LANGUAGES if code not in (self.test_language, dev))
        return {"train": train, "validation": (dev,), "test": (self.test_language,)}


class FingerspelledWords(GeneratedBuilder):
    """Words as ``isl-48`` landmarks (arms and hands, image units), with ``glosses``, ``text`` and ``signer`` = sign language.

    Configurations: ``unseen_words`` (default) and ``unseen_language``. Options: ``test_language`` (``"ase"``), ``dev_language``,
    ``words``, ``invented`` (0), ``train_sentences`` (3000), ``validation_sentences`` (300), ``test_sentences`` (500) and ``seed`` (0).
    ``data_dir`` names a copy of the lexicon folder; without it the installed package's own is read.
    """

    BUILDER_CONFIG_CLASS = FingerspelledWordsConfig
    BUILDER_CONFIGS = [  # noqa: RUF012 (the name and kind that datasets expects)
        FingerspelledWordsConfig(name="unseen_words", version=VERSION, description="words that were not trained on"),
        FingerspelledWordsConfig(
            name="unseen_language",
            version=VERSION,
            description="a language, and words, that were not",
            unseen="language",
        ),
    ]
    DEFAULT_CONFIG_NAME = "unseen_words"
    LAYOUT = "isl-48"
    TEXT = True
    FACTS = DatasetFacts(
        title="Fingerspelled words",
        summary="Words spelled with the real letters of 16 sign languages, generated by joining the MediaPipe Holistic clips of the "
        "package spoken-to-signed.",
        licence="mit",
        homepage="https://github.com/sign-language-processing/spoken-to-signed-translation",
        sign_languages=LANGUAGES,
        signers=len(LANGUAGES),
        split_rule="Words are disjoint. unseen_words shares languages, and with them clips; unseen_language leaves a language, "
        "which is a signer, out whole.",
        processing="Rest is trimmed, letters are joined by velocity-matched transitions; arms and hands are kept.",
        limits=(
            "Generated: the movements between letters are interpolated, and double letters are spelled twice alike.",
            "A clip is spelling from start to end: a rest within one is not in the data, and may be read as a letter.",
            "One signer and one clip for each letter of a language; unseen_words tests on the clips that it trains on.",
        ),
    )

    def __init__(self, *args: Any, data_dir: str | None = None, hash: str | None = None, **kwargs: Any) -> None:
        if "words" in kwargs:
            kwargs["words"] = check_words(kwargs["words"] or ())
        self.lexicon = read_lexicon(data_dir)
        self._letters: dict[tuple[str, str], Sign] = {}
        fingerprint = hash or files_fingerprint([row["file"] for row in self.lexicon])
        super().__init__(*args, data_dir=data_dir, hash=fingerprint, **kwargs)

    def pool(self, part: str) -> list[tuple[str, list[dict[str, Any]]]]:
        """Words in turn, each with the alphabets (``language``, and ``letters`` → clip) that it can be spelled with."""
        alphabets: dict[str, dict[str, Sign]] = {}
        for row in self.lexicon:
            if row["language"] in self.config.languages[part]:
                alphabets.setdefault(row["language"], {})[row["letter"]] = self.letter(row)
        every = self.config.words or spelled_words()
        words = split_words(every, self.config.seed)[part]
        if part == "train" and self.config.unseen == "nothing":
            words = list(every)
        if part == "train" and self.config.invented:
            words = words + invent_words(words, self.config.invented, self.config.seed, known=every)
        pool = []
        for word in words:
            able = [
                {"language": language, "letters": letters}
                for language, letters in sorted(alphabets.items())
                if letters.keys() >= set(word.upper())
            ]
            pool += [(word, able)] if able else []
        if not pool:
            raise ValueError(f"No word of the {part} split can be spelled with the letters that are there.")
        return pool

    def letter(self, row: dict[str, Any]) -> Sign:
        """The clip of a row of the lexicon, read once: all splits may be spelled with it."""
        key = row["language"], row["letter"]
        if key not in self._letters:
            clip = load_landmarks(row["file"]).to_layout(self.LAYOUT)
            self._letters[key] = Sign.measure(clip, hold=HOLD)
        return self._letters[key]

    def draw(self, pool: Any, number: int, rng: np.random.Generator) -> tuple[Sequence[Sign], dict[str, Any]]:
        word, able = pool[number % len(pool)]
        chosen = able[rng.integers(len(able))]
        letters = list(word.upper())
        values = {"glosses": letters, "text": word, "signer": chosen["language"]}
        return [chosen["letters"][letter] for letter in letters], values


@cache
def spelled_words() -> tuple[str, ...]:
    """The library's list: 2342 different words of the letters a to z, in lower case."""
    lines = (files(__package__) / "facts" / "spelled_words.txt").read_text(encoding="utf-8").splitlines()
    return check_words([word for line in lines if not line.startswith("#") for word in line.split()])


def check_words(words: Sequence[str]) -> tuple[str, ...]:
    """Words in lower case, each once.

    Raises:
        ValueError: one of them has other letters than a to z.
    """
    lower = dict.fromkeys(str(word).lower() for word in words)
    wrong = [word for word in lower if not _WORD.fullmatch(word)]
    if wrong:
        raise ValueError(
            f"{wrong[0]!r} cannot be spelled; words= takes words of the letters a to z ({len(wrong)} are not)."
        )
    return tuple(lower)


def split_words(words: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Split → its words, in random order; no word stands in two."""
    order = [words[i] for i in np.random.default_rng(seed).permutation(len(words))]
    test = round(SHARES["test"] * len(order))
    validation = round(SHARES["validation"] * len(order))
    return {
        "test": order[:test], "validation": order[test : test + validation], "train": order[test + validation :],
    }  # fmt: skip


def invent_words(words: Sequence[str], count: int, seed: int, known: Sequence[str] = ()) -> list[str]:
    """``count`` different words that are none of ``known``: a walk over the letters in which each follows the two before it as often as
    it does in ``words`` (Shannon 1948, section 3); now and then it follows the one before alone, or is any letter, because names do.
    Every fourth is one to six letters in any order, because single letters, initials and abbreviations are spelled too.

    Raises:
        ValueError: so few words cannot be put together to so many new ones.
    """
    follows: dict[str, list[str]] = {}
    for word in words:
        marked = f"^^{word}$"
        for end in range(2, len(marked)):
            for context in (marked[end - 2 : end], marked[end - 1]):
                follows.setdefault(context, []).append(marked[end])
    rng = np.random.default_rng(seed)
    longest = max(map(len, words), default=0)
    taken, invented = {*words, *known}, []
    for _ in range(100 * count):
        if len(invented) == count:
            break
        if len(invented) % _UNRULY == _UNRULY - 1:
            word = "".join(
                _ALPHABET[i] for i in rng.integers(len(_ALPHABET), size=rng.integers(1, _UNRULY_LETTERS + 1))
            )
        else:
            word = "^^"
            while word[-1] != "$" and len(word) < longest + 3:
                contexts = (word[-reach:] for reach in range(rng.choice((2, 1, 0), p=_CONTEXTS), 0, -1))
                choices = next((follows[context] for context in contexts if context in follows), _ALPHABET)
                word += choices[rng.integers(len(choices))]
            word = word[2:-1]
        if 1 <= len(word) <= longest and word not in taken:
            taken.add(word)
            invented.append(word)
    if len(invented) < count:
        raise ValueError(
            f"invented is {count}, but the {len(words)} training words give only {len(invented)} new ones."
        )
    return invented
