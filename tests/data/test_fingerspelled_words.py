"""Fingerspelled words: what they are made of, and what no two splits share."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest

from signlang_hf.data import load_dataset
from signlang_hf.data.fingerspelled_words import (
    FingerspelledWords,
    check_words,
    invent_words,
    spelled_words,
    split_words,
)
from signlang_hf.data.fingerspelling import LANGUAGES, read_lexicon
from signlang_hf.data.rows import to_sequence
from signlang_hf.landmarks import load_landmarks

FEW = {"train_sentences": 10, "validation_sentences": 4, "test_sentences": 6}


@pytest.fixture(autouse=True)
def lexicon():
    pytest.importorskip("spoken_to_signed", reason="the package spoken-to-signed is not installed")


def test_the_word_list_is_large_and_clean():
    words = spelled_words()
    assert len(words) == len(set(words)) == 2342 and {len(word) for word in words} == set(range(2, 14))
    assert set("".join(words)) == set("abcdefghijklmnopqrstuvwxyz")
    parts = split_words(words, seed=0)
    assert len(parts["test"]) > 500 and sorted(chain(*parts.values())) == sorted(words)
    assert parts == split_words(words, seed=0) != split_words(words, seed=1)


def test_rows_spell_words(cache_folder):
    splits = load_dataset("fingerspelled_words", cache_dir=cache_folder, **FEW)
    assert {name: len(split) for name, split in splits.items()} == {"train": 10, "validation": 4, "test": 6}
    words = {name: set(split["text"]) for name, split in splits.items()}
    assert sum(map(len, words.values())) == 20 == len(set.union(*words.values())), (
        "no word stands in two splits, or twice"
    )
    for row in splits["test"].with_format("numpy"):
        assert "".join(row["glosses"]) == row["text"].upper() and row["signer"] in LANGUAGES
        sequence = to_sequence(row)
        assert (sequence.layout, sequence.units, sequence.size) == ("isl-48", "image", (500, 500))
        seconds = sequence.duration / len(row["glosses"])
        assert 0.2 < seconds < 0.8
        assert (sequence.part_seen("left_hand") | sequence.part_seen("right_hand"))[5:-5].mean() > 0.9


def test_a_language_is_left_out_whole(cache_folder):
    def signers(**options):
        splits = load_dataset(
            "fingerspelled_words", config_name="unseen_language", cache_dir=cache_folder, **FEW, **options
        )
        return {name: set(split["signer"]) for name, split in splits.items()}

    default = signers()
    assert (default["test"], default["validation"]) == ({"ase"}, {"asq"}) and not default["train"] & {"ase", "asq"}
    other = signers(test_language="tsm", dev_language="gsg")
    assert (other["test"], other["validation"]) == ({"tsm"}, {"gsg"}) and not other["train"] & {"tsm", "gsg"}


def test_the_letters_are_those_of_the_language(cache_folder):
    """A word's trimmed letters are found again in the clips that they were taken from, up to where the signer stands."""
    row = load_dataset("fingerspelled_words", config_name="unseen_language", split="test", cache_dir=cache_folder,
                       words=["abcdefg", "hij", "kl", "mnop"], train_sentences=0, validation_sentences=0, test_sentences=1)  # fmt: skip
    row = row.with_format("numpy")[0]
    clips = {item["letter"]: item["file"] for item in read_lexicon() if item["language"] == "ase"}
    sequence = to_sequence(row).isotropic()
    right = sequence.data[:, list(sequence.spec.parts["right_hand"])]
    shape = right - right[:, :1]
    at = []
    for letter in row["glosses"]:
        clip = load_landmarks(clips[letter]).to_layout("isl-48").isotropic()
        hand = clip.data[len(clip) // 2, list(clip.spec.parts["right_hand"])]
        distance = np.linalg.norm((shape - (hand - hand[0]))[..., :2], axis=2).mean(axis=1)
        at.append(int(np.nanargmin(distance)))
        assert np.nanmin(distance) < 4, f"{letter} is not to be found in the word"
    assert at == sorted(at) and len(set(at)) == len(at)


def test_a_word_is_spelled_only_where_its_letters_are():
    builder = FingerspelledWords(words=["wax", "quiz", "box", "queen"] + ["word"] * 3)
    for part in ("train", "test"):
        for word, able in builder.pool(part):
            codes = {alphabet["language"] for alphabet in able}
            assert codes == set(LANGUAGES) - ({"lls", "tsm"} if set(word) & set("qwx") else set())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unseen": "signer"}, "unseen is 'signer'; choose one of words, language, nothing"),
        ({"test_language": "xyz"}, "test_language is the unknown language 'xyz'; known are ase"),
        ({"dev_language": "ase"}, "ase cannot be the test and the validation language"),
        ({"words": ["good", "naïve"]}, "'naïve' cannot be spelled"),
        ({"words": ["one", "two"]}, "No word of the validation split can be spelled"),
        ({"invented": -1}, "invented is -1; it must be a whole number that is not negative"),
        ({"words": [*"abcdefghij", "ab"], "invented": 700}, "invented is 700, but the . training words give"),
    ],
)
def test_options_that_cannot_be_are_named(cache_folder, options, message):
    with pytest.raises(ValueError, match=message):
        load_dataset("fingerspelled_words", cache_dir=cache_folder, **FEW, **options)


def test_words_are_read_whatever_their_case():
    assert check_words(["Anna", "ANNA", "bob"]) == ("anna", "bob")


def test_invented_words_are_new_and_have_the_habits_of_the_real_ones():
    words = spelled_words()
    parts = split_words(words, 0)
    made = invent_words(parts["train"], 2000, seed=0, known=words)
    assert len(set(made)) == 2000 and not {*made} & {*words}
    assert made == invent_words(parts["train"], 2000, seed=0, known=words) != invent_words(words, 2000, seed=1)
    assert made[:50] == invent_words(parts["train"], 50, seed=0, known=words)
    habits = {f"^^{word}$"[i : i + 3] for word in parts["train"] for i in range(len(word) + 1)}
    triples = [f"^^{word}$"[i : i + 3] for word in made for i in range(len(word) + 1)]
    assert 0.7 < np.mean([triple in habits for triple in triples]) < 0.95  # most, but any letters may meet


def test_single_letters_and_abbreviations_are_among_the_invented_words():
    """By long words alone a speller would make words of them."""
    words = spelled_words()
    made = invent_words(words, 8000, seed=0, known=words)
    unruly = made[3::4]
    assert {word for word in made if len(word) == 1} == set("abcdefghijklmnopqrstuvwxyz")
    assert {len(word) for word in unruly} == set(range(1, 7))
    letters = Counter("".join(word for word in unruly if len(word) > 2))
    assert max(letters.values()) < 1.5 * min(letters.values())  # any letter, as often as another
    assert set(map(len, invent_words(["ab", "cd"], 8, seed=0))) <= {1, 2}  # not longer than the real ones


def test_invented_words_are_for_training_alone():
    builder = FingerspelledWords(invented=50)
    plain = FingerspelledWords()
    assert len(builder.pool("train")) == len(plain.pool("train")) + 50
    for part in ("validation", "test"):
        assert [word for word, _ in builder.pool(part)] == [word for word, _ in plain.pool(part)]
    dictionary = FingerspelledWords(unseen="nothing")
    assert {word for word, _ in dictionary.pool("train")} == {*spelled_words()}
    assert [word for word, _ in dictionary.pool("test")] == [word for word, _ in plain.pool("test")]
