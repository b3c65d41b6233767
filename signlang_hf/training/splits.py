"""Which clips a run trains on, chooses by and is measured on, as :class:`.arguments.DataArguments` says.

Design decisions:

* What is measured shares neither clip nor, unless allowed, signer with training. Validation may share signers with training: it chooses
  a model, it does not measure one.
* The folds of a cross-validation, and the validation part within each, are drawn with one fixed seed: runs with other seeds train other
  models on the same clips, and what is compared between two models is compared on the same folds.
* Sentences are split by sentence (:mod:`..data.sentence_splits`) or by signer, never by clip: the same sentence is signed many times.
* A stratified cross-validation would put the two copies of a clip into training and test; the later one is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from transformers.utils import logging

from ..data import check_leaks, find_duplicates, load_dataset
from ..data.sentence_splits import check_sentence_leaks, sentence_folds, sentence_split
from ..data.splits import leave_one_signer_out, signer_disjoint_split, stratified_folds, stratified_split
from .arguments import DataArguments

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.get_logger(__name__)

_FOLD_SEED = 0


def load_splits(data_args: DataArguments, seed: int) -> DatasetDict:
    """The splits that one run uses, under the names train, validation, test and unknown.

    Args:
        data_args: where they come from.
        seed: of a validation split that has to be carved out of training.

    Raises:
        ValueError: a split that the dataset does not have.
    """
    from datasets import DatasetDict

    loaded = load_dataset(
        data_args.dataset, data_args.data_dir, num_proc=data_args.num_proc, **data_args.dataset_options
    )
    if data_args.train_split not in loaded:
        raise ValueError(f"There is no split '{data_args.train_split}'; the dataset has {', '.join(loaded)}.")
    splits = DatasetDict(train=loaded[data_args.train_split])
    defaults = {field.name: field.default for field in fields(DataArguments)}
    for name in ("validation", "test", "unknown"):
        source = getattr(data_args, f"{name}_split")
        if source in loaded and source != data_args.train_split:
            splits[name] = loaded[source]
        elif source != defaults[f"{name}_split"]:
            raise ValueError(
                f"There is no split '{source}' beside the training split; the dataset has {', '.join(loaded)}."
            )
    if data_args.test_signers:
        _hold_out(splits, [str(name) for name in data_args.test_signers])
    if "validation" not in splits and data_args.validation_size:
        carved = _carve(splits["train"], data_args, seed)
        splits["train"], splits["validation"] = carved["train"], carved["test"]
    return splits


def _carve(rows: Dataset, data_args: DataArguments, seed: int) -> DatasetDict:
    """``rows`` as ``train`` and ``test``, the latter of ``validation_size``."""
    if data_args.validation_by == "clip" and "label" not in rows.column_names:
        raise ValueError("Sentences are carved out by sentence or by signer: --validation_by sentence or signer.")
    carve = {"signer": signer_disjoint_split, "sentence": sentence_split, "clip": stratified_split}
    return carve[data_args.validation_by](rows, test_size=data_args.validation_size, seed=seed)


def _hold_out(splits: DatasetDict, signers: list[str]) -> None:
    """Take the signers out of training and validation; their clips of the training split are the test split."""
    if "signer" not in splits["train"].column_names:
        raise ValueError("--test_signers needs rows with a signer; these have none.")
    of_rows = {
        name: [str(signer) for signer in splits[name]["signer"]] for name in ("train", "validation") if name in splits
    }
    missing = sorted(set(signers) - set(of_rows["train"]))
    if missing:
        known = ", ".join(sorted(set(of_rows["train"])))
        raise ValueError(f"No clip of the training split is by {', '.join(missing)}; its signers are {known}.")
    train = splits["train"]
    splits["test"] = train.select([row for row, signer in enumerate(of_rows["train"]) if signer in signers])
    for name, found in of_rows.items():
        kept = [row for row, signer in enumerate(found) if signer not in signers]
        if not kept:
            raise ValueError(f"Without {', '.join(signers)} the {name} split is empty; hold out fewer signers.")
        splits[name] = splits[name].select(kept)


def refuse_leaks(splits: DatasetDict, data_args: DataArguments) -> None:
    """No clip may stand in two splits, and no signer or sentence in training and test where the splits claim so.

    Raises:
        LeakError: they do, and ``allow_leaks`` is off.
    """
    from datasets import DatasetDict

    own = DatasetDict({name: split for name, split in splits.items() if name != "unknown"})  # its signs are others
    measured = DatasetDict({name: split for name, split in own.items() if name != "validation"})
    if data_args.sentence_independent and len(measured) > 1:
        check_sentence_leaks(measured, allow=data_args.allow_leaks)
    if "landmarks" not in own["train"].column_names:
        return
    # How near two clips of different sentences come was never measured, so of those only copies are looked for.
    check_leaks(own, allow=data_args.allow_leaks, near_duplicates="glosses" not in own["train"].column_names)
    independent = data_args.signer_independent and data_args.cross_validate not in ("stratified", "sentence")
    if independent and len(measured) > 1:
        check_leaks(measured, allow=data_args.allow_leaks, signer_independent=True, near_duplicates=False)


def load_folds(data_args: DataArguments) -> Iterator[tuple[str, DatasetDict]]:
    """The folds of a cross-validation of the training split, or those of them that ``folds`` names.

    Yields:
        (name of the held-out signer or number of the fold, its train, test and, where asked for, validation and unknown splits).

    Raises:
        ValueError: no such fold or split, or clips that cannot be divided so.
        LeakError: a fold that leaks.
    """
    if data_args.cross_validate == "rotation":
        yield from _rotations(data_args)
        return
    loaded = load_dataset(
        data_args.dataset, data_args.data_dir, num_proc=data_args.num_proc, **data_args.dataset_options
    )
    for split in filter(None, (data_args.train_split, data_args.unknown_split)):
        if split not in loaded:
            raise ValueError(f"There is no split '{split}'; the dataset has {', '.join(loaded)}.")
    rows = loaded[data_args.train_split]
    if data_args.cross_validate == "stratified":
        rows = without_duplicates(rows)
        if data_args.validation_by == "signer" and data_args.validation_size:
            raise ValueError("Stratified folds carve validation out by clip; leave --validation_by out.")
        drawn = stratified_folds(
            rows, num_folds=data_args.num_folds, validation_size=data_args.validation_size, seed=_FOLD_SEED
        )
    elif data_args.cross_validate == "sentence":
        if data_args.validation_by == "signer" and data_args.validation_size:
            raise ValueError("Folds by sentence carve validation out by sentence: --validation_by sentence.")
        drawn = sentence_folds(
            rows, num_folds=data_args.num_folds, validation_size=data_args.validation_size, seed=_FOLD_SEED
        )
    else:
        own = data_args.validation_by != "sentence"  # what leave_one_signer_out can carve out itself
        drawn = leave_one_signer_out(
            rows,
            validation_size=data_args.validation_size if own else 0.0,
            validation_by=data_args.validation_by if own else "clip",
            seed=_FOLD_SEED,
        )
        if not own and data_args.validation_size:
            drawn = ((name, _with_validation(fold, data_args)) for name, fold in drawn)
    every = dict(drawn)
    wanted = list(every) if data_args.folds is None else data_args.folds
    unknown = [name for name in wanted if name not in every]
    if unknown:
        raise ValueError(f"There is no fold {', '.join(unknown)}; the folds are {', '.join(every)}.")
    for name in wanted:
        refuse_leaks(every[name], data_args)
        if data_args.unknown_split is not None:
            every[name]["unknown"] = loaded[data_args.unknown_split]
        yield name, every[name]


def _rotations(data_args: DataArguments) -> Iterator[tuple[str, DatasetDict]]:
    """The dataset as it builds itself with each of the option's values."""
    for name in data_args.folds or ():
        value = int(name) if name.isdecimal() else name
        options = {**data_args.dataset_options, str(data_args.rotation): value}
        # What each of the folds is, is no cross-validation of its own.
        own = replace(data_args, dataset_options=options, cross_validate=None, rotation=None, folds=None)
        splits = load_splits(own, seed=_FOLD_SEED)
        if "test" not in splits:
            raise ValueError(f"With {data_args.rotation}={name} the dataset has no split '{data_args.test_split}'.")
        refuse_leaks(splits, own)
        yield name, splits


def _with_validation(fold: DatasetDict, data_args: DataArguments) -> DatasetDict:
    carved = _carve(fold["train"], data_args, _FOLD_SEED)
    fold["train"], fold["validation"] = carved["train"], carved["test"]
    return fold


def without_duplicates(rows: Dataset) -> Dataset:
    """The rows without those that are the same as an earlier one, or nearly so; says which."""
    later = {leak.ids[1] for leak in find_duplicates(rows)}
    if not later:
        return rows
    logger.warning(f"Left out, because an earlier clip is the same or nearly so: {', '.join(sorted(later))}.")
    return rows.select([index for index, name in enumerate(rows["id"]) if name not in later])
