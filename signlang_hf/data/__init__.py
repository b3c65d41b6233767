"""Datasets: build them, load them, split them, check them, publish them.

Until version 4.0, ``datasets`` ran *loading scripts*: a Python file in a folder or Hub repository that knew how to read a dataset's
files. Scripts are gone (``Dataset scripts are no longer supported``), ``trust_remote_code`` with them. The classes that scripts
were made of are not: every dataset of this library is a ``datasets.GeneratorBasedBuilder`` that runs in your own process, reads the
files as their publisher gives them, and is loaded by name::

    from signlang_hf.data import load_dataset

    letters = load_dataset("fingerspelling")                                # real letters, from a package on PyPI
    mine = load_dataset("landmark_folder", data_dir="my_landmarks")         # metadata.csv + .npz / .pose / .npy
    mine = load_dataset("landmark_sentences", data_dir="my_sentences")      # the same with glosses and text
    mine = load_dataset("video_folder", data_dir="my_videos", num_proc=4)   # metadata.csv + videos, extracted once
    signs = load_dataset("include50", data_dir="INCLUDE", num_proc=4)       # a published dataset, as downloaded
    shots = load_dataset("keypoint_images", data_dir="my_images")           # images with 64 labelled points each, for a detector
    asked = load_dataset("sign_videos", data_dir="my_rows")                 # videos and the word to answer, for a vision-language model
    words = load_dataset("fingerspelled_words")                             # sentences, joined out of real clips of single signs
    rows = load_dataset("fingerspelling", split="train", streaming=True)

Datasets of clips have the rows of :mod:`.rows`, those of labelled images the rows of :mod:`.keypoint_labels`. What was built once can be
published as Parquet (:func:`save_dataset`, :func:`push_dataset`), which needs no code to be read: ``datasets.load_dataset("org/name")``. A dataset of your own is a builder
class and one line, ``register_dataset("my_dataset", MyBuilder)``.

Before training, ``check_leaks`` refuses splits that share clips or, where they claim not to, signers, ``check_sentence_leaks`` those that
share sentences; ``validate_folder`` lists all faults of a folder in one run.

Importing this package is cheap: ``datasets`` is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .keypoint_labels import write_label
    from .leaks import Leak, LeakError, check_leaks, describe_leaks, find_duplicates, find_leaks
    from .loading import get_builder, list_datasets, load_dataset, register_dataset
    from .metadata import DatasetError, Fault, read_metadata
    from .parquet import push_dataset, save_dataset
    from .ray_extraction import extract_with_ray
    from .rows import LANDMARK_COLUMNS, landmark_features, text_features, to_row, to_sequence
    from .sentence_splits import (
        check_sentence_leaks,
        find_sentence_leaks,
        sentence_folds,
        sentence_groups,
        sentence_split,
    )
    from .splits import (
        explicit_split,
        leave_one_signer_out,
        signer_disjoint_split,
        stratified_folds,
        stratified_split,
    )
    from .validation import ValidationReport, validate_folder

_NAMES = {
    "keypoint_labels": ("write_label",),
    "leaks": ("Leak", "LeakError", "check_leaks", "describe_leaks", "find_duplicates", "find_leaks"),
    "loading": ("get_builder", "list_datasets", "load_dataset", "register_dataset"),
    "metadata": ("DatasetError", "Fault", "read_metadata"),
    "parquet": ("push_dataset", "save_dataset"),
    "ray_extraction": ("extract_with_ray",),
    "rows": ("LANDMARK_COLUMNS", "landmark_features", "text_features", "to_row", "to_sequence"),
    "sentence_splits": (
        "check_sentence_leaks",
        "find_sentence_leaks",
        "sentence_folds",
        "sentence_groups",
        "sentence_split",
    ),
    "splits": (
        "explicit_split",
        "leave_one_signer_out",
        "signer_disjoint_split",
        "stratified_folds",
        "stratified_split",
    ),
    "validation": ("ValidationReport", "validate_folder"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "LANDMARK_COLUMNS",
    "DatasetError",
    "Fault",
    "Leak",
    "LeakError",
    "ValidationReport",
    "check_leaks",
    "check_sentence_leaks",
    "describe_leaks",
    "explicit_split",
    "extract_with_ray",
    "find_duplicates",
    "find_leaks",
    "find_sentence_leaks",
    "get_builder",
    "landmark_features",
    "leave_one_signer_out",
    "list_datasets",
    "load_dataset",
    "push_dataset",
    "read_metadata",
    "register_dataset",
    "save_dataset",
    "sentence_folds",
    "sentence_groups",
    "sentence_split",
    "signer_disjoint_split",
    "stratified_folds",
    "stratified_split",
    "text_features",
    "to_row",
    "to_sequence",
    "validate_folder",
    "write_label",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
