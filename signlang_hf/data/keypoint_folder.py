"""Folders of labelled images: which image belongs to which label, what is wrong with any of them, and a split where none is given.

This knows nothing of ``datasets``, so that ``signlang validate`` need not wait for it.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from .keypoint_labels import IMAGE_SUFFIXES, KeypointLabel, image_size, read_label
from .metadata import SPLIT_ALIASES, Fault

_SPLITS = ("train", "validation", "test", *SPLIT_ALIASES)


def is_keypoint_folder(folder: Path) -> bool:
    """Whether a folder is laid out as one of labelled images."""
    return any((part / "images").is_dir() and (part / "labels").is_dir() for part in (folder, *_given(folder)))


def read_keypoint_folder(
    folder: Path, *, whole: bool = False, progress: bool = False
) -> tuple[dict[str | None, list[KeypointLabel]], list[Fault]]:
    """All labels of a folder by split (None: to be divided), and everything that is wrong with them.

    Args:
        folder: as the dataset takes it.
        whole: decode every image, so that a file that is cut off is found, too.
        progress: show a progress bar.
    """
    from tqdm.auto import tqdm

    parts = _parts(folder)
    faults: list[Fault] = []
    if len(set(parts)) < len(_given(folder)) + (None in parts):
        faults.append(
            Fault("error", "split-twice", "two folders are the same split; keep one of val/ and validation/.")
        )
    if None in parts and len(parts) > 1:
        given = ", ".join(f"{path.name}/" for path in _given(folder))
        faults.append(Fault("error", "mixed-layout", f"images/ lies beside {given}; move its images into a split."))
    splits: dict[str | None, list[KeypointLabel]] = {}
    for split, part in parts.items():
        images: dict[str, list[Path]] = defaultdict(list)
        for path in _images(part):
            images[path.stem].append(path)
        labels = {path.stem: path for path in _labels(part)}
        splits[split] = []
        stems = sorted({*images, *labels})
        for stem in tqdm(stems, desc="Checking images", unit="image", disable=not progress):
            label, found = _read_one(folder, images.get(stem, []), labels.get(stem), whole)
            faults += found
            splits[split] += [] if label is None else [label]
    faults += _shared_sources(splits)
    return splits, faults


def _read_one(
    folder: Path, images: list[Path], label: Path | None, whole: bool
) -> tuple[KeypointLabel | None, list[Fault]]:
    if len(images) > 1:
        names = " and ".join(path.name for path in images)
        message = f"{names} have the same stem, so their label is not known apart; rename one."
        return None, [Fault("error", "duplicate-stem", message, _name(folder, images[0]))]
    if not images:
        assert label is not None
        message = f"there is no image {label.stem} ({', '.join(IMAGE_SUFFIXES)}) for this label."
        return None, [Fault("error", "missing-image", message, _name(folder, label))]
    image, faults, size = images[0], [], None
    try:
        size = image_size(image)
        if whole:
            _decode(image)
    except ValueError as error:
        faults.append(Fault("error", "bad-image", str(error), _name(folder, image)))
    if label is None:
        message = f"there is no label labels/{image.stem}.json for this image."
        return None, [*faults, Fault("error", "missing-label", message, _name(folder, image))]
    read, found = read_label(label, image, size, _name(folder, label))
    return read if not faults else None, faults + found


def _shared_sources(splits: dict[str | None, list[KeypointLabel]]) -> Iterator[Fault]:
    where: dict[str, set[str]] = defaultdict(set)
    for split, labels in splits.items():
        for label in labels:
            if split is not None and label.source is not None:
                where[label.source].add(split)
    for source, names in sorted(where.items()):
        if len(names) > 1:
            message = (
                f"images of the source '{source}' are in the splits {' and '.join(sorted(names))}; keep them in one."
            )
            yield Fault("error", "source-in-two-splits", message)


def _decode(image: Path) -> None:
    from PIL import Image

    try:
        with Image.open(image) as opened:
            opened.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"the image is damaged ({error}).") from None


def files_of_folder(folder: Path) -> list[Path]:
    """All images and labels of a folder."""
    return [path for part in _parts(folder).values() for path in (*_images(part), *_labels(part))]


def _given(folder: Path) -> list[Path]:
    """The folders of given splits."""
    return [
        folder / name for name in _SPLITS if (folder / name / "images").is_dir() or (folder / name / "labels").is_dir()
    ]


def _parts(folder: Path) -> dict[str | None, Path]:
    """Split (None: no split is given) → the folder with its images/ and labels/."""
    parts: dict[str | None, Path] = {}
    if (folder / "images").is_dir() or (folder / "labels").is_dir():
        parts[None] = folder
    for path in _given(folder):
        parts.setdefault(SPLIT_ALIASES.get(path.name, path.name), path)
    return parts


def _images(part: Path) -> list[Path]:
    return _files(part / "images", IMAGE_SUFFIXES)


def _labels(part: Path) -> list[Path]:
    return _files(part / "labels", (".json",))


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != ".")


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def divide(labels: Sequence[KeypointLabel], share: float, seed: int) -> dict[str, list[KeypointLabel]]:
    """``train`` and ``validation``, of which no two images share a source; an image without a source stands by itself.

    Sources are put in an order that follows from their names and the seed alone, so the split is the same on any machine, whatever
    else is in the folder's path and whatever order its files come in. In that order they go to validation as long as that brings its size
    nearer to ``share`` of all rows; at least one goes where there are two.
    """
    groups: dict[str, list[KeypointLabel]] = {}
    for label in labels:
        key = f"image {label.image.stem}" if label.source is None else f"source {label.source}"
        groups.setdefault(key, []).append(label)
    ordered = sorted(groups, key=lambda key: (hashlib.blake2b(f"{seed}\0{key}".encode()).digest(), key))
    wanted = share * len(labels)
    chosen: set[str] = set()
    taken = 0
    for key in ordered[: len(ordered) - 1]:
        if abs(taken + len(groups[key]) - wanted) < abs(taken - wanted):
            chosen.add(key)
            taken += len(groups[key])
    if share and not chosen and len(groups) > 1:
        chosen.add(min(ordered, key=lambda key: len(groups[key])))
    if share and len(groups) == 1 and len(labels) > 1:
        warnings.warn(
            f"All {len(labels)} images come from {labels[0].source!r}, so there is no validation split.", stacklevel=2
        )
    train = [label for key, members in groups.items() if key not in chosen for label in members]
    validation = [label for key, members in groups.items() if key in chosen for label in members]
    return {
        "train": sorted(train, key=lambda label: label.id),
        "validation": sorted(validation, key=lambda label: label.id),
    }
