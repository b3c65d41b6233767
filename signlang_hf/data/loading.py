"""``load_dataset``: one call for every dataset that this library can build, and for those that lie ready.

``datasets`` 4.0 removed loading *scripts*: ``datasets.load_dataset`` no longer runs a Python file from a folder or the Hub. The
builder classes behind those scripts are still there, so this library ships its datasets as ``GeneratorBasedBuilder`` classes
and runs them in this process: with the same cache, the same splits, ``streaming=True`` and ``num_proc``. What they build can be
saved as Parquet (:func:`.parquet.save_dataset`), which plain ``datasets.load_dataset`` reads anywhere.
"""

from __future__ import annotations

import dataclasses
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .metadata import METADATA

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder, DatasetDict, IterableDataset, IterableDatasetDict

    from .about import DatasetFacts

# Built-in datasets are named by module and class, so that listing them imports neither datasets nor their readers.
_REGISTRY: dict[str, str | type[DatasetBuilder]] = {
    "aslg_pc12": "signlang_hf.data.aslg_pc12:AslgPc12",
    "boston104": "signlang_hf.data.boston104:Boston104",
    "coco_wholebody": "signlang_hf.data.coco_wholebody:CocoWholeBody",
    "csl_daily_text": "signlang_hf.data.csl_daily_text:CslDailyText",
    "dgs30": "signlang_hf.data.dgs30:Dgs30",
    "dgs30_sentences": "signlang_hf.data.dgs30_sentences:Dgs30Sentences",
    "fingerspelled_words": "signlang_hf.data.fingerspelled_words:FingerspelledWords",
    "fingerspelling": "signlang_hf.data.fingerspelling:Fingerspelling",
    "freihand": "signlang_hf.data.freihand:FreiHand",
    "gislr": "signlang_hf.data.gislr:Gislr",
    "include": "signlang_hf.data.include:Include",
    "include50": "signlang_hf.data.include50:Include50",
    "isl_csltr": "signlang_hf.data.isl_csltr:IslCsltr",
    "isl30": "signlang_hf.data.isl30:Isl30",
    "isl30_sentences": "signlang_hf.data.isl30_sentences:Isl30Sentences",
    "karsl502": "signlang_hf.data.karsl502:Karsl502",
    "keypoint_images": "signlang_hf.data.keypoint_images:KeypointImages",
    "landmark_folder": "signlang_hf.data.landmark_folder:LandmarkFolder",
    "landmark_sentences": "signlang_hf.data.landmark_sentences:LandmarkSentences",
    "mp_data": "signlang_hf.data.mp_data:MPData",
    "phoenix14t_text": "signlang_hf.data.phoenix14t_text:Phoenix14tText",
    "sign_videos": "signlang_hf.data.sign_videos:SignVideos",
    "video_folder": "signlang_hf.data.video_folder:VideoFolder",
    "wlasl": "signlang_hf.data.wlasl:Wlasl",
}


def register_dataset(name: str, builder: str | type[DatasetBuilder]) -> None:
    """Make a builder known to :func:`load_dataset`.

    Args:
        name: name to load it by.
        builder: a ``datasets.DatasetBuilder`` class, or ``"package.module:Class"`` to import it on first use. One module per
            builder: ``datasets`` names the cache after the module.

    Raises:
        ValueError: the name is taken by another builder, or looks like a path or Hub id.
    """
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"{name!r} cannot name a dataset; use letters, digits, _ and -.")
    if _REGISTRY.setdefault(name, builder) != builder:
        raise ValueError(f"A dataset named {name!r} is already registered; choose another name.")


def list_datasets() -> list[str]:
    """Names of all registered datasets."""
    return list(_REGISTRY)


def get_builder(name: str) -> type[DatasetBuilder]:
    """The builder class of a registered dataset. Raises ValueError that lists the known names."""
    try:
        builder = _REGISTRY[name]
    except KeyError:
        raise ValueError(f"Unknown dataset {name!r}; known are {', '.join(_REGISTRY)}, a folder of Parquet files "
                         "and a Hub id such as 'org/name'.") from None  # fmt: skip
    if isinstance(builder, str):
        module, _, attribute = builder.partition(":")
        builder = getattr(import_module(module), attribute)
    return builder


def dataset_facts(name: str | None) -> DatasetFacts | None:
    """What the builder of a registered dataset states about it; None where there is no such builder, or it states nothing."""
    return None if name not in _REGISTRY else getattr(get_builder(name), "FACTS", None)


def load_dataset(
    name: str | Path,
    data_dir: str | Path | None = None,
    *,
    split: str | None = None,
    streaming: bool = False,
    num_proc: int | None = None,
    cache_dir: str | Path | None = None,
    **config: Any,
) -> DatasetDict | Dataset | IterableDatasetDict | IterableDataset:
    """Load a sign language dataset.

    Args:
        name: a registered dataset (:func:`list_datasets`), a folder written by :func:`.parquet.save_dataset`, or a Hub id.
        data_dir: folder with the source data, for datasets that need one.
        split: one split (``"train"``, ``"train[:10%]"``; with ``streaming`` whole splits only); default: all of them.
        streaming: iterate over rows as they are read, without building a cache first.
        num_proc: processes that build the cache.
        cache_dir: where built datasets go; default: the ``datasets`` cache. A dataset is built again when its files change.
        config: ``config_name=`` and the options of the dataset's configuration, e.g. ``hold_out="sgg"``.

    Returns:
        A ``DatasetDict`` of all splits or one ``Dataset``; their ``Iterable`` counterparts with ``streaming``.

    Raises:
        ValueError: unknown name, option or split, or faulty data, in a sentence that says which.
        FileNotFoundError: the folder, or something in it, does not exist.
    """
    if str(name) not in _REGISTRY:
        return _load_ready(str(name), data_dir, split, streaming, num_proc, cache_dir, config)
    builder_class = get_builder(str(name))
    _check_options(str(name), builder_class, config)
    builder = builder_class(
        cache_dir=None if cache_dir is None else str(cache_dir),
        data_dir=None if data_dir is None else str(data_dir),
        **config,
    )
    if streaming:
        return _one_split(builder.as_streaming_dataset(), split)
    _prepare(builder, num_proc)
    return builder.as_dataset(split=split)


def _prepare(builder: DatasetBuilder, num_proc: int | None) -> None:
    """Build the cache; the sentence of a faulty clip is raised as it is, not wrapped in an error about the cache."""
    from datasets.exceptions import DatasetGenerationError

    try:
        builder.download_and_prepare(num_proc=num_proc)
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, (ValueError, OSError, ImportError)):
            raise error.__cause__ from None
        if num_proc is None or num_proc == 1:
            raise
        # A worker process hands back only the text of its error; the same fault met in this process has its own type.
        _prepare(builder, None)


def _check_options(name: str, builder_class: type[DatasetBuilder], config: dict[str, Any]) -> None:
    choices = list(builder_class.builder_configs)
    own = {field.name for field in dataclasses.fields(builder_class.BUILDER_CONFIG_CLASS)}
    own -= {"name", "version", "data_dir", "data_files", "description"}
    known = sorted(own | ({"config_name"} if choices else set()))
    unknown = [option for option in config if option not in known]
    if unknown:
        raise ValueError(f"The dataset {name!r} has no option {', '.join(unknown)}; it has {', '.join(known)}.")
    if config.get("config_name") is not None and config["config_name"] not in choices:
        raise ValueError(
            f"The dataset {name!r} has no configuration {config['config_name']!r}; it has {', '.join(choices)}."
        )


def _one_split(splits: Any, split: str | None) -> Any:
    if split is None:
        return splits
    if split not in splits:
        raise ValueError(f"There is no split {split!r} to stream; the dataset has {', '.join(splits)}.")
    return splits[split]


def _load_ready(
    name: str, data_dir: str | Path | None, split: str | None, streaming: bool,
    num_proc: int | None, cache_dir: str | Path | None, config: dict[str, Any],
) -> Any:  # fmt: skip
    """A folder of Parquet files or a Hub dataset, through ``datasets`` itself."""
    folder = Path(name)
    if folder.is_dir():
        if (folder / METADATA).is_file():
            raise ValueError(
                f"{folder} is a folder with {METADATA}: use load_dataset('landmark_folder', data_dir={name!r}), or "
                "'video_folder' for videos and 'landmark_sentences' for sentences."
            )
        if next(folder.rglob("*.parquet"), None) is None:
            raise ValueError(f"{folder} holds neither Parquet files (save_dataset writes them) nor a {METADATA}.")
    elif name.count("/") != 1 or name.startswith((".", "~", "/")):
        get_builder(name)
    import datasets

    return datasets.load_dataset(
        name,
        config.pop("config_name", None),
        data_dir=None if data_dir is None else str(data_dir),
        split=split,
        streaming=streaming,
        num_proc=None if streaming else num_proc,
        cache_dir=None if cache_dir is None else str(cache_dir),
        **config,
    )
