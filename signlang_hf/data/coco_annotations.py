"""Reading annotation files in COCO's format: images and annotations that fit each other, and the pictures on disk.

Both lists are checked as a whole before a row is made; what is wrong with single annotations is collected, each with the annotation's id.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .folder_builder import leave_out
from .keypoint_builder import KeypointConfig
from .keypoint_labels import IMAGE_SUFFIXES, image_size
from .metadata import SPLIT_ALIASES, Fault

logger = logging.getLogger(__name__)
_SPLIT = re.compile(r"(?:^|[^a-z])(train|validation|valid|val|test)", re.IGNORECASE)


@dataclass
class AnnotatedConfig(KeypointConfig):
    """``on_error``: what images do that are listed and not there: ``"raise"`` (default) stops, ``"skip"`` leaves them out and says so."""

    on_error: str = "raise"

    def check(self) -> None:
        super().check()
        if self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {self.on_error!r}; choose 'raise' or 'skip'.")


@dataclass(frozen=True)
class Annotated:
    """One annotation with its image: ``path``, (width, height), and the annotation as the file has it."""

    path: Path
    size: tuple[int, int]
    annotation: dict[str, Any]

    @property
    def name(self) -> str:
        """The annotation for messages."""
        return f"annotation {self.annotation.get('id')}"


def find_annotations(folder: Path, pattern: str) -> dict[str | None, Path]:
    """Annotation files below ``folder``, in any depth, by the split that their names say (None: none).

    Raises:
        ValueError: two files of one split.
    """
    found: dict[str | None, Path] = {}
    for path in sorted(folder.rglob(pattern)):
        match = _SPLIT.search(path.stem)
        split = None if match is None else match[1].lower()
        split = SPLIT_ALIASES.get(split, split) if split else None
        if split in found:
            raise ValueError(
                f"{found[split].name} and {path.name} in {folder} are both of the split {split or 'that none names'}; "
                "keep one of them."
            )
        found[split] = path
    return found


def read_annotations(
    folder: Path, file: Path, pictures: dict[str, list[Path]], on_error: str, faults: list[Fault]
) -> Iterator[Annotated]:
    """The annotations of a file whose image is in ``folder``.

    Args:
        folder: where the data lies.
        file: annotation file.
        pictures: file name → where it was found (:func:`find_pictures`).
        on_error: whether listed images that are not there ``"raise"`` or are ``"skip"``ped, in one line with their number.
        faults: what is wrong with single annotations is added here.

    Raises:
        ValueError: not a file in COCO's format.
        FileNotFoundError: images are missing.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        images = {
            image["id"]: (image["file_name"], int(image["width"]), int(image["height"])) for image in content["images"]
        }
        annotations = [dict(annotation) for annotation in content["annotations"]]
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON ({error}).") from None
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is not an annotation file in COCO's format (no {error}).") from None
    places: dict[Any, Path] = {}
    missing = []
    for key, (name, *_) in images.items():
        path = _picture(folder, file, name, pictures)
        if path is None:
            missing.append(name)
        else:
            places[key] = path
    if len(missing) == len(images):
        raise FileNotFoundError(f"{folder} holds none of the {len(images)} images that {file.name} lists.")
    leave_out(folder, missing, len(images), on_error)
    wrong = set()
    for key, path in places.items():
        _, *size = images[key]
        if fault := _size_fault(path, tuple(size)):
            wrong.add(key)
            faults.append(Fault("error", "bad-image", fault, path.relative_to(folder).as_posix()))
    for annotation in annotations:
        key = annotation.get("image_id")
        if key not in images:
            message = f"annotation {annotation.get('id')} is of image {key}, which the file does not list."
            faults.append(Fault("error", "unknown-image", message, file.name))
        elif key in places and key not in wrong:
            yield Annotated(places[key], (images[key][1], images[key][2]), annotation)


def triples(annotation: Annotated, field: str, count: int, file: Path, faults: list[Fault]) -> np.ndarray | None:
    """The numbers of a field as (count, 3) x, y, v; None, and a fault, where they are not that."""
    try:
        values = np.array(annotation.annotation[field], float).reshape(count, 3)
        if not np.isfinite(values).all():
            raise ValueError
    except (KeyError, TypeError, ValueError):
        message = f"{annotation.name}: {field} must be {count} points x, y, v."
        faults.append(Fault("error", "bad-keypoints", message, file.name))
        return None
    return values


def box(annotation: Annotated, file: Path, faults: list[Fault]) -> np.ndarray | None:
    """(4,) float32 x, y, width, height; None, and a fault, where there is no box."""
    try:
        values = np.array(annotation.annotation["bbox"], np.float32).reshape(4)
        if not (np.isfinite(values).all() and (values[2:] > 0).all()):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        message = f"{annotation.name}: bbox must be x, y, width, height, the last two positive."
        faults.append(Fault("error", "bad-bbox", message, file.name))
        return None
    return values


def find_pictures(folder: Path) -> dict[str, list[Path]]:
    """All images below ``folder`` by file name."""
    found: dict[str, list[Path]] = {}
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                found.setdefault(name, []).append(Path(root) / name)
    return found


def paths_of(pictures: dict[str, list[Path]]) -> Iterable[Path]:
    """Every path of :func:`find_pictures`."""
    return (path for paths in pictures.values() for path in paths)


def _picture(folder: Path, file: Path, name: str, pictures: dict[str, list[Path]]) -> Path | None:
    """The picture that an annotation file calls ``name``: beside it, in the folder, or anywhere if there is only one of that name."""
    known = pictures.get(Path(name).name, [])
    for path in (file.parent / name, folder / name):
        if path in known:
            return path
    return known[0] if len(known) == 1 else None


def _size_fault(path: Path, size: tuple[int, ...]) -> str | None:
    try:
        shown = image_size(path)
    except ValueError as error:
        return str(error)
    return (
        None if shown == size else f"the image is {shown[0]} × {shown[1]}; the annotations say {size[0]} × {size[1]}."
    )
