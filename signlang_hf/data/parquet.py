"""Datasets as Parquet shards with a dataset card: the format that travels.

A folder written here is read back by plain ``datasets.load_dataset(folder)``, streaming included, on a machine without this
library: the features (array shapes, class names) are stored in the Parquet schema. Pushed to the Hub, the same folder is a
dataset repository with a viewer.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_MEGABYTE = 10**6
_TASKS = {"label": "video-classification", "glosses": "automatic-speech-recognition", "text": "translation"}
_DESCRIPTION = "Sign language clips as landmarks over time, one row a clip."


def save_dataset(
    dataset: Dataset | DatasetDict,
    folder: str | Path,
    *,
    max_shard_mb: int = 500,
    overwrite: bool = False,
    description: str | None = None,
    **card: Any,
) -> Path:
    """Write a dataset to ``folder``: ``data/<split>-00000-of-00001.parquet`` … and a ``README.md`` dataset card.

    Args:
        dataset: a split, or all of them; all with the same features.
        folder: where to; it appears whole or not at all.
        max_shard_mb: largest shard, in megabytes of Arrow data (Parquet compresses it further).
        overwrite: replace a dataset that this function wrote there earlier.
        description: first paragraph of the card; default: what the dataset's builder says.
        card: fields of the card's front matter, e.g. ``license="mit"``, ``language=["ase"]``, ``pretty_name="…"``.

    Raises:
        FileExistsError: the folder has content and ``overwrite`` is not set, or holds files that are not a saved dataset's.
        ValueError: the splits differ in their features, or the dataset is a streaming one.
    """
    splits = _splits(dataset)
    folder = Path(folder)
    if folder.exists():
        _check_replaceable(folder, overwrite)
    with _new_folder(folder) as temporary:
        for name, split in splits.items():
            _write_shards(split, temporary / "data", name, max_shard_mb * _MEGABYTE)
        (temporary / "README.md").write_text(_card(splits, description, card), encoding="utf-8")
    return folder


def push_dataset(
    dataset: Dataset | DatasetDict | str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str = "Upload dataset",
    **save_options: Any,
) -> str:
    """Upload a dataset to the Hugging Face Hub, as :func:`save_dataset` writes it.

    Args:
        dataset: the dataset, or a folder that :func:`save_dataset` wrote.
        repo_id: ``"org/name"``; created where it does not exist.
        private, token, revision, commit_message: as everywhere in ``huggingface_hub``.
        save_options: of :func:`save_dataset`.

    Returns:
        Address of the commit. Shards of an earlier push are removed by it.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with tempfile.TemporaryDirectory(prefix="signlang-push-") as temporary:
        if isinstance(dataset, (str, Path)):
            folder = Path(dataset)
            if not (folder / "data").is_dir():
                raise FileNotFoundError(f"{folder} is not a folder that save_dataset wrote: it has no data/.")
        else:
            folder = save_dataset(dataset, Path(temporary) / "dataset", **save_options)
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            revision=revision,
            commit_message=commit_message,
            delete_patterns=["data/*.parquet"],
        )
    return commit.commit_url


def task_categories(columns: Collection[str]) -> list[str]:
    """Tasks, as the Hub spells them, of rows with these columns. Glosses are something to recognise only where there are landmarks."""
    return [
        task for column, task in _TASKS.items() if column in columns and (column != "glosses" or "landmarks" in columns)
    ]


def _splits(dataset: Any) -> dict[str, Dataset]:
    from datasets import Dataset, DatasetDict

    if isinstance(dataset, Dataset):
        name = str(dataset.split or "train").partition("[")[
            0
        ]  # a part of a split, train[:10%], is called like the whole
        dataset = DatasetDict({name if name.isidentifier() else "train": dataset})
    if not isinstance(dataset, DatasetDict):
        raise ValueError(
            f"Only a Dataset or DatasetDict can be saved, not {type(dataset).__name__}; load without streaming."
        )
    if not dataset:
        raise ValueError("The dataset has no split to save.")
    first, *others = dataset
    for name in others:
        if dataset[name].features != dataset[first].features:
            raise ValueError(
                f"The splits {first!r} and {name!r} differ in their columns or class names; make them equal first."
            )
    return dict(dataset)


def _check_replaceable(folder: Path, overwrite: bool) -> None:
    content = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    if content and not overwrite:
        raise FileExistsError(f"{folder} already exists; pass overwrite=True to replace the dataset in it.")
    foreign = sorted(content - {"README.md", "data"})
    if foreign:
        raise FileExistsError(
            f"{folder} holds {', '.join(foreign[:3])}, which no saved dataset does; choose another folder."
        )


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its place when the block ends well, and disappears when it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    (temporary / "data").mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            os.replace(folder, old)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_shards(split: Dataset, folder: Path, name: str, max_bytes: int) -> None:
    from datasets import Image
    from datasets.table import embed_table_storage

    if any(isinstance(feature, Image) for feature in split.features.values()):
        # Rows that name their images by path would lead nowhere on another machine.
        with tempfile.TemporaryDirectory(prefix="signlang-images-") as temporary:
            cache = str(Path(temporary) / "embedded.arrow")
            embedded = split.with_format("arrow").map(
                embed_table_storage, batched=True, batch_size=100, cache_file_name=cache, desc="Embedding images"
            )
            _write_table_shards(embedded, folder, name, max_bytes)
    else:
        _write_table_shards(split, folder, name, max_bytes)


def _write_table_shards(split: Dataset, folder: Path, name: str, max_bytes: int) -> None:
    # The Arrow table behind a selection is larger than what the selection shows of it.
    nbytes = split.data.nbytes * len(split) / max(len(split.data), 1)
    shards = max(1, min(len(split), -int(-nbytes // max_bytes)))
    split = split.with_format(None)
    for index in range(shards):
        shard = split.shard(shards, index, contiguous=True)
        shard.to_parquet(folder / f"{name}-{index:05d}-of-{shards:05d}.parquet")


def _card(splits: dict[str, Dataset], description: str | None, fields: dict[str, Any]) -> str:
    """README.md: front matter for the Hub and ``load_dataset``, and a page for people."""
    from huggingface_hub import DatasetCardData

    first = next(iter(splits.values()))
    features, info = first.features, first.info
    total = sum(len(split) for split in splits.values())
    files = [{"split": name, "path": f"data/{name}-*.parquet"} for name in splits]
    front = {
        "pretty_name": "Sign language landmarks",
        "tags": ["sign-language", "landmarks"],
        "task_categories": task_categories(features),
        "size_categories": [next((name for limit, name in _SIZES if total < limit), "n>10M")],
        "configs": [{"config_name": "default", "data_files": files}],
        "license": info.license,
        **fields,
    }
    data = DatasetCardData(**{key: value for key, value in front.items() if value})
    columns = [f"| `{name}` | `{feature}` |" for name, feature in _readable(features).items()]
    counts = [f"| {name} | {len(split)} |" for name, split in splits.items()]
    labels = getattr(features.get("label"), "names", [])
    lines = [
        f"---\n{data.to_yaml()}\n---",
        f"# {front['pretty_name']}",
        description or info.description or _DESCRIPTION,
        f"Source: {info.homepage}" if info.homepage else "",
        "\n".join(["| split | clips |", "|---|---|", *counts]),
        "\n".join(["| column | type |", "|---|---|", *columns]),
        f"{len(labels)} classes: {', '.join(labels)}" if labels else "",
        "A point that was not seen is NaN. Read it with `datasets.load_dataset` alone, or with "
        "[signlang-hf](https://pypi.org/project/signlang-hf/) for models and processors that take these rows.",
        f"```bibtex\n{info.citation}\n```" if info.citation else "",
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def _readable(features: Any) -> dict[str, str]:
    """Column types in a few words."""
    types = {}
    for name, feature in features.items():
        shape, dtype = getattr(feature, "shape", None), getattr(feature, "dtype", None)
        if shape is not None:
            types[name] = f"{dtype} ({', '.join('T' if side is None else str(side) for side in shape)})"
        elif getattr(feature, "names", None) is not None:
            types[name] = f"class label, {len(feature.names)} classes"
        else:
            inner = getattr(getattr(feature, "feature", None), "dtype", None)
            types[name] = f"list of {inner}" if inner else str(dtype or feature)
    return types
