"""``signlang validate``: every fault of a dataset, in one run.

:func:`validate_folder` takes a folder with ``metadata.csv`` and landmark files or videos, or a folder of bare files, or one of labelled
images (:mod:`.keypoint_images`), opens every file and lists what is wrong, each with file and row or point. The dataset builders use the
same checks (:func:`read_clip`), so a dataset without errors here loads there, and both say the same sentence about the same fault.

Errors keep a dataset from being loaded. Warnings are facts worth a look (a class with one clip, a signer in two splits, a
clip without hands): they may be meant.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..landmarks import LANDMARK_SUFFIXES, LandmarkSequence, load_landmarks
from ..video import VIDEO_SUFFIXES, probe_video
from .keypoint_folder import divide, is_keypoint_folder, read_keypoint_folder
from .keypoint_labels import LAYOUT
from .metadata import METADATA, SIGNS, Clip, Fault, read_metadata
from .sentence_metadata import lists_sentences, sentence_table

_HANDS = ("left_hand", "right_hand", "hand1", "hand2")


@dataclass(frozen=True)
class ReadOptions:
    """How to read landmark files into one layout.

    Args:
        layout: layout of the result; default: each file's own.
        file_layout: layout of files that do not name theirs (``.npy``); default: ``layout``.
        fps, size, units: for files that do not carry them.
    """

    layout: str | None = None
    file_layout: str | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    units: str | None = None


@dataclass
class ValidationReport:
    """What :func:`validate_folder` found. ``str(report)`` is the text a terminal shows, ``to_dict()`` goes into JSON."""

    folder: Path
    faults: list[Fault] = field(default_factory=list)
    clips: int = 0
    frames: int = 0
    classes: int = 0
    glosses: int = 0
    signers: int = 0
    images: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    layouts: dict[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> list[Fault]:
        """Faults that keep the dataset from being loaded."""
        return [fault for fault in self.faults if fault.severity == "error"]

    @property
    def warnings(self) -> list[Fault]:
        """Faults that are worth a look."""
        return [fault for fault in self.faults if fault.severity == "warning"]

    @property
    def ok(self) -> bool:
        """True when there is no error."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Plain values: counts, and the faults as a list of dictionaries."""
        counts = {
            name: getattr(self, name)
            for name in ("clips", "frames", "classes", "glosses", "signers", "images", "splits", "layouts")
        }
        return {
            "folder": str(self.folder),
            "ok": self.ok,
            **counts,
            "faults": [vars(fault) for fault in self.faults],
        }

    def __str__(self) -> str:
        rows = sorted(self.faults, key=lambda fault: (fault.severity, fault.row or 0, fault.file or ""))
        lines = [f"{fault.severity:7}  {fault}" for fault in rows]
        facts = [f"{self.images} images"] if self.images else [f"{self.clips} clips", f"{self.frames} frames"]
        facts += [f"{self.classes} classes"] if self.classes else []
        facts += [f"{self.glosses} glosses"] if self.glosses else []
        facts += [f"{self.signers} signers"] if self.signers else []
        facts += [", ".join(f"{name} {count}" for name, count in self.splits.items())] if len(self.splits) > 1 else []
        facts += [", ".join(self.layouts)] if self.layouts else []
        total = f"{len(self.errors)} errors, {len(self.warnings)} warnings" if self.faults else "no faults"
        return "\n".join([*lines, f"{self.folder}: {' · '.join(facts)}: {total}."])


def read_clip(file: Path, options: ReadOptions) -> LandmarkSequence:
    """Landmarks of one file, in ``options.layout``.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it cannot be read, does not fit the layout, has no frames, or holds no landmark at all.
    """
    file_layout = options.file_layout or (options.layout if _is_bare(file) else None)
    try:
        sequence = load_landmarks(file, layout=file_layout, fps=options.fps, size=options.size, units=options.units)
        if options.layout is not None:
            sequence = sequence.to_layout(options.layout)
    except ValueError as error:
        reason = str(error).replace("pass layout=", "pass file_layout=")
        raise ValueError(reason if str(file) in reason else f"{file}: {reason}") from error
    require_content(sequence, file)
    return sequence


def _is_bare(file: Path) -> bool:
    """Whether the file holds numbers without the name of their layout."""
    if file.suffix.lower() == ".npz" and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return "layout.npy" not in archive.namelist()
    return file.suffix.lower() == ".npy"


def require_content(sequence: LandmarkSequence, file: Path) -> None:
    """Raise ValueError when there is nothing in a sequence to learn from: no frames, or NaN everywhere."""
    if len(sequence) == 0:
        raise ValueError(f"{file}: the clip has no frames.")
    if not sequence.seen.any():
        raise ValueError(f"{file}: no point was seen in any frame (NaN everywhere).")


def validate_folder(
    folder: str | Path,
    *,
    layout: str | None = None,
    file_layout: str | None = None,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    units: str | None = None,
    signer_independent: bool = False,
    progress: bool = False,
) -> ValidationReport:
    """Open every clip of a dataset and list all of its faults.

    Args:
        folder: folder with ``metadata.csv`` (clips are landmark files or videos), with bare files in any depth, or with labelled images.
        layout, file_layout, fps, size, units: how to read landmark files, as in :class:`ReadOptions`.
        signer_independent: the splits claim to share no signer; one that they share is then an error.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Folder not found: {folder}")
    options = ReadOptions(layout, file_layout, fps, size, units)
    report = ValidationReport(folder)
    if is_keypoint_folder(folder) and not (folder / METADATA).is_file():
        return _validate_images(report, progress)
    present = set(_files(folder))
    if (folder / METADATA).is_file():
        sentences = lists_sentences(folder)
        kind = sentence_table() if sentences else SIGNS
        metadata = read_metadata(folder, LANDMARK_SUFFIXES + VIDEO_SUFFIXES, "landmark or video", kind)
        clips = metadata.clips
        report.faults += metadata.faults
        report.classes = 0 if sentences else len(metadata.label_names)
        report.glosses = len({gloss.casefold() for clip in clips for gloss in clip.glosses})
        report.signers = len({clip.signer for clip in clips} - {None})
        report.splits = {name: len(members) for name, members in metadata.splits.items()}
        if signer_independent:
            report.faults = [_as_error(fault, "signer-in-two-splits") for fault in report.faults]
        named = {clip.name for clip in clips} | {fault.file for fault in metadata.faults}
        unlisted = sorted(path for path in present if path.relative_to(folder).as_posix() not in named)
        if unlisted:
            listed = ", ".join(path.relative_to(folder).as_posix() for path in unlisted[:5])
            more = " …" if len(unlisted) > 5 else ""
            message = f"{len(unlisted)} files are not in {METADATA}: {listed}{more}"
            report.faults.append(Fault("warning", "unlisted-file", message))
    else:
        clips = [Clip(0, path.relative_to(folder).as_posix(), path, "", "") for path in sorted(present)]
        if not clips:
            known = ", ".join(LANDMARK_SUFFIXES + VIDEO_SUFFIXES)
            report.faults.append(Fault("error", "empty", f"the folder has no clip ({known}) and no {METADATA}."))
        else:
            message = f"there is no {METADATA}, so only the files were checked. {SIGNS.example}"
            report.faults.append(Fault("warning", "no-metadata", message))
    report.clips = len(clips)
    for clip, fault in _check_files(clips, options, report, progress):
        fault = Fault(fault.severity, fault.kind, fault.message, clip.name, clip.row or None)
        report.faults.append(fault)
    if len(report.layouts) > 1 and layout is None:
        counted = ", ".join(f"{name} ({count})" for name, count in report.layouts.items())
        message = (
            f"the files hold different layouts: {counted}. They will be converted to the first clip's; layout= chooses."
        )
        report.faults.append(Fault("warning", "mixed-layouts", message))
    return report


def _validate_images(report: ValidationReport, progress: bool) -> ValidationReport:
    splits, report.faults = read_keypoint_folder(report.folder, whole=True, progress=progress)
    labels = [label for members in splits.values() for label in members]
    report.images, report.layouts = len(labels), {LAYOUT: len(labels)}
    if None in splits:
        splits |= divide(splits.pop(None), 0.1, 0)
    report.splits = {name: len(members) for name, members in splits.items() if name is not None and members}
    for label in labels:
        if not label.visible.any():
            file = (label.image.parent.parent / "labels" / f"{label.image.stem}.json").relative_to(report.folder)
            report.faults.append(Fault("warning", "no-point", "no point is visible.", file.as_posix()))
    return report


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in LANDMARK_SUFFIXES + VIDEO_SUFFIXES and not hidden and path.is_file():
            yield path


def _as_error(fault: Fault, kind: str) -> Fault:
    return Fault("error", kind, fault.message, fault.file, fault.row) if fault.kind == kind else fault


def _check_files(
    clips: list[Clip], options: ReadOptions, report: ValidationReport, progress: bool
) -> Iterator[tuple[Clip, Fault]]:
    """Open each file; count frames and layouts into ``report``; yield faults with the clip that they belong to."""
    from tqdm.auto import tqdm

    seen: dict[bytes, Clip] = {}
    layouts: Counter[str] = Counter()
    for clip in tqdm(clips, desc="Checking clips", unit="clip", disable=not progress):
        if clip.file.suffix.lower() in VIDEO_SUFFIXES:
            try:
                report.frames += probe_video(clip.file).num_frames
            except (ValueError, OSError) as error:
                yield clip, Fault("error", "unreadable", _without_path(error, clip))
            continue
        try:
            sequence = read_clip(clip.file, options)
        except (ValueError, OSError) as error:
            yield clip, Fault("error", "unreadable", _without_path(error, clip))
            continue
        layouts[sequence.layout] += 1
        report.frames += len(sequence)
        hands = [part for part in _HANDS if part in sequence.spec.parts]
        if hands and not any(sequence.part_seen(part).any() for part in hands):
            yield clip, Fault("warning", "no-hands", "no hand was seen in any frame.")
        digest = hashlib.blake2b(np.ascontiguousarray(sequence.data), digest_size=16).digest()
        twin = seen.setdefault(digest, clip)
        if twin is not clip:
            place = f" (row {twin.row})" if twin.row else ""
            message = f"the same landmarks as {twin.name}{place}"
            if twin.split != clip.split:
                yield clip, Fault("error", "same-content", f"{message}, which is in the {twin.split} split.")
            else:
                yield clip, Fault("warning", "same-content", f"{message}.")
    report.layouts = dict(layouts)


def _without_path(error: Exception, clip: Clip) -> str:
    """The sentence of an error, without the path that the fault names anyway."""
    return str(error).replace(f"{clip.file}: ", "").replace(str(clip.file), clip.name)
