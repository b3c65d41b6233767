"""Splits by sentence: whole sentences stay together, sizes are met, and a shared one is found."""

from __future__ import annotations

import datasets
import numpy as np
import pytest

from signlang_hf.data import (
    LeakError,
    check_sentence_leaks,
    find_sentence_leaks,
    sentence_folds,
    sentence_groups,
    sentence_split,
)
from signlang_hf.data.rows import text_features


def corpus(pairs):
    rows = [{"id": str(i), "signer": None, "glosses": g, "text": t} for i, (g, t) in enumerate(pairs)]
    return datasets.Dataset.from_list(rows, features=text_features())


def repeated(sentences, seed=0, most=6):
    """``sentences`` different sentences, each signed 1 to ``most`` times, in random order."""
    rng = np.random.default_rng(seed)
    pairs = [([f"G{i}", "X"], f"text {i}") for i in range(sentences) for _ in range(rng.integers(1, most + 1))]
    return corpus([pairs[i] for i in rng.permutation(len(pairs))])


def test_rows_are_one_sentence_by_text_by_glosses_or_through_a_third():
    rows = corpus(
        [
            (["YOU", "FREE"], "are you free?"),
            (["FREE", "YOU"], "Are  you free"),  # the first one's text
            (["free", "you"], "is he free"),  # the second one's glosses, so the first one's sentence, too
            (["HE", "FREE"], "he is free"),
            (["YOU", "FREE", "YOU"], "you are free"),
        ]
    )
    assert sentence_groups(rows).tolist() == [0, 0, 0, 1, 2]


def test_vowel_signs_make_a_difference_and_a_missing_text_none():
    hindi = corpus([(["A"], "पानी"), (["B"], "पानि")])
    assert sentence_groups(hindi).tolist() == [0, 1]
    assert sentence_groups(corpus([(["A"], None), (["B"], None), (["A"], None)])).tolist() == [0, 1, 0]
    only_glosses = corpus([(["A"], "x"), (["a"], "y")]).remove_columns("text")
    assert sentence_groups(only_glosses).tolist() == [0, 0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_split_shares_no_sentence_and_meets_its_sizes(seed):
    rows = repeated(60, seed)
    splits = sentence_split(rows, test_size=0.2, validation_size=0.1, seed=seed)
    texts = {name: set(split["text"]) for name, split in splits.items()}
    assert list(splits) == ["train", "validation", "test"]
    assert sum(len(part) for part in texts.values()) == 60, "every sentence in one part"
    assert sum(map(len, splits.values())) == len(rows)
    assert abs(len(splits["test"]) / len(rows) - 0.2) < 0.02 and abs(len(splits["validation"]) / len(rows) - 0.1) < 0.02
    again = sentence_split(rows, test_size=0.2, validation_size=0.1, seed=seed)
    assert again["test"]["id"][:] == splits["test"]["id"][:]
    other = sentence_split(rows, test_size=0.2, validation_size=0.1, seed=seed + 100)
    assert other["test"]["id"][:] != splits["test"]["id"][:]
    assert find_sentence_leaks(splits) == []


def test_each_sentence_is_tested_in_one_fold_with_all_its_rows():
    rows = repeated(23)
    tested = []
    for name, fold in sentence_folds(rows, num_folds=5, validation_size=0.2):
        assert find_sentence_leaks(fold) == [] and name == str(len(tested) + 1)
        assert sum(map(len, fold.values())) == len(rows)
        assert abs(len(fold["test"]) - len(rows) / 5) <= 2
        tested.append(set(fold["test"]["id"]))
    assert sum(map(len, tested)) == len(rows) and set().union(*tested) == set(rows["id"])


def test_ten_thousand_sentences_are_split_in_a_moment():
    rows = corpus([([f"G{i}"], f"text {i}") for i in range(10_000)])
    splits = sentence_split(rows, test_size=0.1, validation_size=0.1)
    assert (len(splits["train"]), len(splits["validation"]), len(splits["test"])) == (8000, 1000, 1000)


def test_shared_sentences_are_found_refused_or_allowed_knowingly():
    splits = datasets.DatasetDict(
        train=corpus([(["A", "B"], "one"), (["C"], "two"), (["D"], "three")]),
        test=corpus([(["E"], "One!"), (["c"], "other"), (["F"], "four")]),
    )
    leaks = find_sentence_leaks(splits)
    assert [(leak.kind, leak.splits, leak.ids) for leak in leaks] == [
        ("sentence", ("train", "test"), ("0", "0")),
        ("sentence", ("train", "test"), ("1", "1")),
    ]
    assert "text: one" in leaks[0].detail and "glosses: c" in leaks[1].detail
    with pytest.raises(LeakError, match=r"\(2 leaks\)"):
        check_sentence_leaks(splits)
    with pytest.warns(UserWarning, match="the same text: one"):
        assert len(check_sentence_leaks(splits, allow=True)) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rows: sentence_split(rows, test_size=0), "nothing to split off"),
        (lambda rows: sentence_split(rows, test_size=0.5, validation_size=0.25), "3 parts need at least 3 different"),
        (lambda rows: sentence_folds(rows, num_folds=3), "num_folds is 3; it must be 2 to 2, the number of different"),
        (lambda rows: sentence_groups(rows.select_columns(["id"])), "neither glosses nor text"),
        (lambda rows: sentence_groups(corpus([(["A"], "x"), ([], " ")])), "Row 1 has no text and no glosses"),
    ],
)
def test_what_cannot_be_split_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call(corpus([(["A"], "one"), (["B"], "two")]))


def test_the_disjoint_split_of_the_real_corpus_shares_none_and_the_published_one_does(signlang_data):
    import csv

    folder = signlang_data / "isl-csltr"
    if not (folder / "videos.csv").is_file():
        pytest.skip(f"real data not found: {folder}")

    def read(name, split):
        with (folder / name).open(encoding="utf-8") as stream:
            table = list(csv.DictReader(stream))
        names = dict.fromkeys(row[split] for row in table)
        return {s: corpus([(r["gloss"].split(), r["sentence"]) for r in table if r[split] == s]) for s in names}

    assert find_sentence_leaks(read("sentence_disjoint_split.csv", "split")) == []
    leaks = find_sentence_leaks(read("videos.csv", "published_split"))
    assert {leak.detail for leak in leaks if leak.splits == ("train", "test")} and len(leaks) > 100
