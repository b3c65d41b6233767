"""Splits: shares, disjoint signers, folds, explicit lists; and what each refuses."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from signlang_hf.data.splits import (
    explicit_split,
    leave_one_signer_out,
    signer_disjoint_split,
    stratified_folds,
    stratified_split,
)

WORDS = ("a", "b", "c")
SIGNERS = ("s1", "s2", "s3", "s4", "s5", "s6")


@pytest.fixture
def dataset(make_dataset):
    """3 words × 6 signers × 2 repetitions."""
    return make_dataset([pair for pair in product(WORDS, SIGNERS) for _ in range(2)])


def ids(split):
    return set(split["id"])


def assert_partition(splits, dataset):
    parts = [ids(split) for split in splits.values()]
    assert sum(len(part) for part in parts) == len(dataset) == len(set().union(*parts))


def test_stratified_gives_every_class_its_share(dataset):
    splits = stratified_split(dataset, test_size=0.25, validation_size=0.25)
    assert list(splits) == ["train", "validation", "test"]
    assert_partition(splits, dataset)
    assert Counter(splits["test"]["label"]) == {0: 3, 1: 3, 2: 3}
    assert Counter(splits["train"]["label"]) == {0: 6, 1: 6, 2: 6}


def test_stratified_total_is_right_where_shares_are_not_whole(make_dataset):
    dataset = make_dataset([("a", "x")] * 7 + [("b", "x")] * 7 + [("c", "x")] * 6)
    splits = stratified_split(dataset, test_size=0.25)
    assert len(splits["test"]) == 5
    assert all(1 <= count <= 2 for count in Counter(splits["test"]["label"]).values())


def test_stratified_leaves_small_classes_in_train(make_dataset):
    splits = stratified_split(make_dataset([("a", "x")] * 2 + [("b", "x")] * 20), test_size=0.1, validation_size=0.1)
    assert Counter(splits["train"]["label"])[0] == 1 and Counter(splits["test"]["label"])[0] == 1


@pytest.mark.parametrize("split", [stratified_split, signer_disjoint_split])
def test_the_seed_decides(dataset, split):
    first, again, other = split(dataset, seed=1), split(dataset, seed=1), split(dataset, seed=2)
    assert ids(first["test"]) == ids(again["test"]) != ids(other["test"])


def test_signer_disjoint_shares_no_signer_and_meets_the_sizes(dataset):
    splits = signer_disjoint_split(dataset, test_size=1 / 3, validation_size=1 / 6)
    assert_partition(splits, dataset)
    signers = [set(split["signer"]) for split in splits.values()]
    assert [len(part) for part in signers] == [3, 1, 2] and len(set().union(*signers)) == 6


def test_signer_disjoint_keeps_every_class_in_train(make_dataset):
    # Only s1 signs the word c: every good split has s1 in train.
    pairs = [*product("ab", SIGNERS), ("c", "s1"), ("c", "s1")]
    for seed in range(5):
        splits = signer_disjoint_split(make_dataset(pairs), test_size=0.3, seed=seed)
        assert "s1" in splits["train"]["signer"]


def test_signer_disjoint_says_when_a_class_is_not_in_train(make_dataset):
    dataset = make_dataset([("a", "s1"), ("b", "s2")])
    with pytest.warns(UserWarning, match="1 classes are signed by no signer of the train split"):
        signer_disjoint_split(dataset, test_size=0.5)


def test_leave_one_signer_out_yields_each_signer_once(dataset):
    folds = list(leave_one_signer_out(dataset))
    assert [signer for signer, _ in folds] == list(SIGNERS)
    for signer, splits in folds:
        assert set(splits) == {"train", "test"}
        assert_partition(splits, dataset)
        assert set(splits["test"]["signer"]) == {signer} and signer not in splits["train"]["signer"]


def test_leave_one_signer_out_carves_validation_by_signer_or_clip(dataset):
    for signer, splits in leave_one_signer_out(dataset, validation_size=0.2):
        assert_partition(splits, dataset)
        validation = set(splits["validation"]["signer"])
        assert len(validation) == 1 and not validation & (set(splits["train"]["signer"]) | {signer})
    _, splits = next(leave_one_signer_out(dataset, validation_size=0.2, validation_by="clip"))
    assert Counter(splits["validation"]["label"]) == {0: 2, 1: 2, 2: 2}
    assert set(splits["validation"]["signer"]) <= set(splits["train"]["signer"])


@pytest.mark.parametrize("num_folds", [2, 3, 5])
def test_stratified_folds_test_every_row_once_and_give_each_class_its_share(make_dataset, num_folds):
    dataset = make_dataset([(word, "s") for word, count in (("a", 11), ("b", 6), ("c", 2)) for _ in range(count)])
    folds = list(stratified_folds(dataset, num_folds=num_folds, seed=1))
    assert [name for name, _ in folds] == [str(number + 1) for number in range(num_folds)]
    for _, splits in folds:
        assert set(splits) == {"train", "test"}
        assert_partition(splits, dataset)
        for label, count in enumerate((11, 6, 2)):
            assert splits["test"]["label"].count(label) in (count // num_folds, -(-count // num_folds))
            assert splits["train"]["label"].count(label) > 0
    tested = [row for _, splits in folds for row in splits["test"]["id"]]
    assert sorted(tested) == sorted(dataset["id"])
    sizes = [len(splits["test"]) for _, splits in folds]
    assert max(sizes) - min(sizes) <= 1


def test_stratified_folds_are_drawn_by_the_seed(make_dataset):
    dataset = make_dataset(list(product("ab", "0123456789")))
    drawn = [[ids(splits["test"]) for _, splits in stratified_folds(dataset, seed=seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_stratified_folds_carve_validation(make_dataset):
    dataset = make_dataset(list(product("ab", "0123456789")))
    for _, splits in stratified_folds(dataset, num_folds=5, validation_size=0.25):
        assert_partition(splits, dataset)
        assert Counter(splits["validation"]["label"]) == {0: 2, 1: 2}


def test_stratified_folds_that_cannot_be_are_refused(make_dataset):
    dataset = make_dataset([("a", "x"), ("a", "y"), ("b", "x")])
    with pytest.raises(ValueError, match=r"num_folds is 4; it must be 2 to 3, the number of rows\."):
        stratified_folds(dataset, num_folds=4)
    with pytest.raises(ValueError, match=r"A class with a single row cannot stand in two splits: b\."):
        stratified_folds(dataset, num_folds=2)


def test_explicit_lists_by_id_signer_and_label_name(dataset):
    splits = explicit_split(dataset, {"train": ["0", "1"], "test": ["5"]})
    assert ids(splits["train"]) == {"0", "1"} and ids(splits["test"]) == {"5"}
    splits = explicit_split(dataset, {"test": ["s3"]}, column="signer", rest="train")
    assert set(splits["test"]["signer"]) == {"s3"} and len(splits["train"]) == 30
    splits = explicit_split(dataset, {"known": ["a", "b"], "new": ["c"]}, column="label")
    assert set(splits["new"]["label"]) == {2} and len(splits["known"]) == 24


def test_splits_keep_rows_features_and_ignore_a_format(dataset):
    splits = stratified_split(dataset.with_format("torch"), test_size=0.25)
    assert splits["test"].features == dataset.features
    row = splits["test"].with_format("numpy")[0]
    np.testing.assert_array_equal(row["landmarks"], dataset.with_format("numpy")[int(row["id"])]["landmarks"])
    assert splits["test"].format["type"] == "torch"


def test_a_class_with_a_single_row_is_refused(make_dataset):
    with pytest.raises(ValueError, match="class with a single row cannot stand in two splits: b"):
        stratified_split(make_dataset([("a", "x"), ("a", "x"), ("b", "x")]))


@pytest.mark.parametrize("split", [signer_disjoint_split, leave_one_signer_out])
def test_a_dataset_without_signers_is_refused(dataset, make_dataset, split):
    with pytest.raises(ValueError, match="no column 'signer'"):
        split(dataset.remove_columns("signer"))
    with pytest.raises(ValueError, match="1 of 3 rows have no signer"):
        split(make_dataset([("a", "x"), ("b", "y"), ("a", None)]))


def test_too_few_signers_are_refused(make_dataset):
    with pytest.raises(ValueError, match="at least 2 signers here; the dataset has 1"):
        leave_one_signer_out(make_dataset([("a", "x"), ("b", "x")]))
    with pytest.raises(ValueError, match="at least 3 signers here; the dataset has 2"):
        leave_one_signer_out(make_dataset([("a", "x"), ("b", "y")]), validation_size=0.5)
    with pytest.raises(ValueError, match="3 parts need at least 3 signers; the dataset has 2"):
        signer_disjoint_split(make_dataset([("a", "x"), ("b", "y")]), test_size=0.3, validation_size=0.3)


def test_sizes_out_of_range_are_refused(dataset):
    with pytest.raises(ValueError, match=r"test_size is 1\.5"):
        stratified_split(dataset, test_size=1.5)
    with pytest.raises(ValueError, match="nothing is left to train"):
        stratified_split(dataset, test_size=0.5, validation_size=0.5)
    with pytest.raises(ValueError, match="nothing to split off"):
        signer_disjoint_split(dataset, test_size=0.0)
    with pytest.raises(ValueError, match="choose 'signer' or 'clip'"):
        leave_one_signer_out(dataset, validation_size=0.1, validation_by="frame")


def test_explicit_lists_with_faults_are_refused(dataset):
    with pytest.raises(ValueError, match="2 listed values of id are in no row: x, y"):
        explicit_split(dataset, {"train": ["0", "x", "y"]})
    with pytest.raises(ValueError, match="id '0' is listed for 'train' and for 'test'"):
        explicit_split(dataset, {"train": ["0"], "test": ["0"]})
    with pytest.raises(ValueError, match="given as a string"):
        explicit_split(dataset, {"train": "0"})
    with pytest.raises(ValueError, match="no column 'gloss'"):
        explicit_split(dataset, {"train": ["0"]}, column="gloss")
    with pytest.raises(ValueError, match="'rest' gets no row"):
        explicit_split(dataset, {"train": [str(i) for i in range(36)]}, rest="rest")
