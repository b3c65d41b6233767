"""``signlang label-frames``: frames of any videos with the points that MediaPipe finds in them, as a ``keypoint_images`` dataset.

Design decisions:

* The teacher looks at whole videos (:func:`~signlang_hf.pose.extract_folder`: worker processes, resumable, one bad video costs that video) and its
  landmarks stay in ``landmarks/``; frames are chosen from them afterwards (:mod:`.frame_choice`), so other choices cost no second look.
* A point that the teacher is not sure of, or that lies outside the picture, is not visible; a hand that it did not find is 21 such points.
  So is one whose wrist lies far from the end of its arm: the teacher then took something else for a hand.
* ``source`` is the video (or, where people asked for it, its folder, for instance a signer's): splits share none, whoever makes them.
* The labels are a teacher's, not a human's: ``contact_sheet.png`` shows them, to be looked at before anything is trained on them.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..landmarks.files import atomic_write
from ..pose import extract_folder
from ..pose.job import find_videos
from ..pose.manifest import rows_by_source
from ..video import iter_video
from .contact_sheet import write_contact_sheet
from .frame_choice import SAME_POSE, choose_frames
from .keypoint_labels import LAYOUT, write_label

RECORD, LANDMARKS, CONTACT_SHEET = "frames.jsonl", "landmarks", "contact_sheet.png"
SPLIT_BY = ("video", "folder")
_QUALITY = 92
_FARTHEST_HAND = 0.6  # of the shoulders' distance: a wrist of a hand from the wrist of its arm
_LAYOUT = get_layout(LAYOUT)


@dataclass(frozen=True)
class LabelReport:
    """How labelling went.

    Args:
        out: the dataset's folder.
        rows: one for each video, sorted by ``source``: its ``images``, ``error`` and ``warning``.
        labelled: videos whose frames were written in this run.
        skipped: videos that an earlier run had done.
        seconds: duration of this run.
    """

    out: Path
    rows: list[dict[str, Any]]
    labelled: int
    skipped: int
    seconds: float

    @property
    def images(self) -> int:
        """Images of all these videos."""
        return sum(len(row["images"]) for row in self.rows)

    @property
    def failures(self) -> list[tuple[str, str]]:
        """(video, what was wrong) of each video without images."""
        return [(row["source"], row["error"]) for row in self.rows if row["error"] is not None]

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """(video, what to know) of the others."""
        return [(row["source"], row["warning"]) for row in self.rows if row["warning"]]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "out": str(self.out),
            "images": self.images,
            "labelled": self.labelled,
            "skipped": self.skipped,
            "failed": len(self.failures),
            "seconds": round(self.seconds, 3),
            "videos": [{**row, "images": len(row["images"])} for row in self.rows],
        }

    def __str__(self) -> str:
        look = f" Look at {self.out / CONTACT_SHEET}" if self.images else ""
        lines = [
            f"{self.images} images of {len(self.rows)} videos: {self.labelled} worked on in {self.seconds:.1f} s, "
            f"{self.skipped} already done, {len(self.failures)} failed.{look}"
        ]
        lines += [f"  warning  {source}: {reason}" for source, reason in self.warnings]
        lines += [f"  failed   {source}: {reason}" for source, reason in self.failures]
        return "\n".join(lines)


def label_frames(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    frames_per_clip: int = 40,
    min_confidence: float = 0.5,
    fps: float | None = None,
    max_size: int = 1280,
    split_by: str = "video",
    seed: int = 0,
    num_workers: int = 1,
    estimator: str = "mediapipe",
    estimator_options: dict[str, Any] | None = None,
    resume: bool = True,
    progress: bool = True,
) -> LabelReport:
    """Make a folder of labelled images from the videos of a folder and its sub-folders.

    Args:
        source: folder of videos, or one video.
        out: folder for ``images/``, ``labels/``, ``landmarks/``, ``frames.jsonl`` and ``contact_sheet.png``.
        frames_per_clip: most frames of a video; those that differ most are taken.
        min_confidence: points of which the teacher is less sure are not visible.
        fps: look at this many frames a second only. Default: all.
        max_size: longest side of an image in pixels; larger frames are made smaller, no frame is made larger.
        split_by: what no two splits share: ``"video"``, or ``"folder"`` for videos that lie in a folder a signer.
        seed: of the choice of frames.
        num_workers: worker processes of the teacher; 0 works in this process.
        estimator, estimator_options: the teacher, as for :func:`~signlang_hf.pose.extract_folder`.
        resume: go on where an earlier run stopped. A video is done again when it, or how its frames are chosen, has changed. False does all of
            them again, the teacher's part too.
        progress: show progress bars on the error stream.

    Returns:
        The report; failures are in it, not raised.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no videos in it, bad arguments, or landmarks in ``out`` that another teacher made.
        ImportError: the teacher is not installed.
    """
    started = time.perf_counter()
    _check(frames_per_clip, min_confidence, max_size, split_by)
    out = Path(out)
    videos = find_videos(source)
    if out.resolve() in {parent for path in videos.values() for parent in path.resolve().parents}:
        raise ValueError(f"The videos lie in {out}, where the dataset should go; give another folder.")
    extracted = extract_folder(
        source, out / LANDMARKS, num_workers=num_workers, fps=fps, resume=resume, estimator=estimator,
        estimator_options=estimator_options, progress=progress,
    )  # fmt: skip
    settings = {
        "frames_per_clip": frames_per_clip, "min_confidence": min_confidence, "fps": fps, "max_size": max_size,
        "split_by": split_by, "seed": seed, "least_distance": SAME_POSE,
    }  # fmt: skip
    record = _Record(out)
    labelled = skipped = 0
    for row in _progress(extracted.rows, progress):
        key = {"sha256": row["sha256"], "estimator": row["estimator"], **settings}
        if resume and record.done(row["source"], key):
            skipped += 1
            continue
        record.remove(row["source"])
        labelled += 1
        entry = {"source": row["source"], "images": [], "error": row["error"], "warning": row["warning"], **key}
        if row["error"] is None:
            _label_video(videos[row["source"]], entry, row["file_name"], out, record)
        record.append(entry)
    rows = [record.rows[row["source"]] for row in extracted.rows]
    shown = {row["source"]: row["images"] for row in rows if row["images"]}
    if shown and (labelled or not (out / CONTACT_SHEET).is_file()):
        write_contact_sheet(out, shown, out / CONTACT_SHEET)
    return LabelReport(out, rows, labelled, skipped, time.perf_counter() - started)


def teacher_keypoints(sequence: LandmarkSequence, min_confidence: float) -> np.ndarray:
    """(T, 64, 2) pixels of the teacher's landmarks, NaN for points that are not to be trusted.

    Args:
        sequence: landmarks in ``image`` units with a size, in a layout that names the points.
        min_confidence: least visibility of a point.
    """
    assert sequence.size is not None
    points = sequence.to_layout(LAYOUT)
    keypoints = points.data[..., :2].astype(np.float64) * sequence.size
    with np.errstate(invalid="ignore"):
        inside = ((keypoints >= 0) & (keypoints <= sequence.size)).all(-1)
    keypoints[~inside | (points.visibility < min_confidence)] = np.nan
    shoulders = _LAYOUT.indices(("left_shoulder", "right_shoulder"))
    width = np.linalg.norm(keypoints[:, shoulders[0]] - keypoints[:, shoulders[1]], axis=1)
    width = np.nanmedian(width) if not np.isnan(width).all() else np.nan
    for side in ("left", "right"):
        arm, hand = _LAYOUT.indices((f"{side}_wrist", f"{side}_hand_wrist"))
        gap = np.linalg.norm(keypoints[:, arm] - keypoints[:, hand], axis=1)
        strays = np.flatnonzero(gap > _FARTHEST_HAND * width)
        keypoints[np.ix_(strays, _LAYOUT.parts[f"{side}_hand"])] = np.nan
    return keypoints


def _label_video(video: Path, entry: dict[str, Any], file_name: str, out: Path, record: _Record) -> None:
    """Write the chosen frames of one video with their labels, and into ``entry`` (the settings and the source) how it went."""
    try:
        keypoints = teacher_keypoints(LandmarkSequence.load(out / LANDMARKS / file_name), entry["min_confidence"])
        # Mixed with the name, or the first frame would be as far into every video.
        mixed = hashlib.blake2b(f"{entry['seed']}\0{entry['source']}".encode(), digest_size=8).digest()
        chosen = choose_frames(
            keypoints, _LAYOUT, entry["frames_per_clip"],
            seed=int.from_bytes(mixed, "big"), least_distance=entry["least_distance"],
        )  # fmt: skip
        if not len(chosen):
            entry["warning"] = "nobody was found in it, so it gives no image."
            return
        prefix = record.prefix(entry["source"], file_name)
        names = {index: f"{prefix}_{index:06d}.jpg" for index in chosen.tolist()}
        # What a run that is stopped here leaves behind, for the next one to remove.
        record.append({**entry, "images": list(names.values()), "error": "the run was stopped."})
        written = set()
        for index, frame in _frames(video, entry["fps"], chosen):
            image, scale = _shrunk(frame, entry["max_size"])
            atomic_write(
                out / "images" / names[index], lambda stream, image=image: image.save(stream, "JPEG", quality=_QUALITY)
            )
            # Rounding may bring a scaled point just over the edge.
            points = np.minimum(keypoints[index] * scale, image.size)
            group = entry["source"] if entry["split_by"] == "video" else Path(entry["source"]).parent.as_posix()
            write_label(out, names[index], image.size, points, source=group)
            written.add(index)
        if len(written) < len(names):
            raise ValueError(f"{entry['source']} gave {len(written)} of {len(names)} frames when it was read again.")
        entry["images"] = list(names.values())
    except (ValueError, OSError) as error:
        record.remove(entry["source"])
        entry["error"] = " ".join(str(error).split())


def _frames(video: Path, fps: float | None, chosen: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    wanted, first = set(chosen.tolist()), 0
    for frames, _ in iter_video(video, fps=fps, chunk=8):
        for index in sorted(wanted & set(range(first, first + len(frames)))):
            yield index, frames[index - first]
        first += len(frames)
        if not wanted or first > max(wanted):
            return


def _shrunk(frame: np.ndarray, max_size: int) -> tuple[Any, np.ndarray]:
    """The frame as a picture, and what coordinates in it are multiplied by, (2,)."""
    from PIL import Image

    image = Image.fromarray(frame)
    factor = max_size / max(image.size)
    if factor >= 1:
        return image, np.ones(2)
    size = tuple(max(1, round(side * factor)) for side in image.size)
    return image.resize(size, Image.Resampling.LANCZOS), np.array(size) / image.size


class _Record:
    """``frames.jsonl``: a row for each video, appended after its images and labels are written."""

    def __init__(self, out: Path) -> None:
        self.out, self.path = out, out / RECORD
        self.rows = rows_by_source(self.path, f"a row of {RECORD}")
        if self.path.is_file():  # without a line that was cut off, which the next would be glued to
            self._write()

    def done(self, source: str, key: dict[str, Any]) -> bool:
        """Whether the video's images are there as they would be made now."""
        row = self.rows.get(source)
        if row is None or row["error"] is not None or any(row.get(name) != value for name, value in key.items()):
            return False
        return all(path.is_file() for name in row["images"] for path in self._files(name))

    def remove(self, source: str) -> None:
        """Forget a video, and remove its images."""
        row = self.rows.pop(source, None)
        if row is not None:
            self._write()
            for name in row["images"]:
                for path in self._files(name):
                    path.unlink(missing_ok=True)

    def prefix(self, source: str, file_name: str) -> str:
        """What the names of a video's images begin with: its path in one word, and a hash where another video has the same."""
        prefix = os.path.splitext(file_name)[0].replace("/", "__")
        taken = {
            name.rpartition("_")[0] for other, row in self.rows.items() if other != source for name in row["images"]
        }
        return prefix if prefix not in taken else f"{prefix}-{hashlib.sha256(source.encode()).hexdigest()[:6]}"

    def append(self, row: dict[str, Any]) -> None:
        self.rows[row["source"]] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.out / "images" / name, self.out / "labels" / f"{Path(name).stem}.json"

    def _write(self) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows.values())
        atomic_write(self.path, lambda stream: stream.write(text.encode()))  # type: ignore[arg-type, return-value]


def _check(frames_per_clip: int, min_confidence: float, max_size: int, split_by: str) -> None:
    for name, value in (("frames_per_clip", frames_per_clip), ("max_size", max_size)):
        if value != int(value) or value < 1:
            raise ValueError(f"{name} is {value}; it must be a whole number from 1.")
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence is {min_confidence}; it must be from 0 to 1.")
    if split_by not in SPLIT_BY:
        raise ValueError(f"split_by is {split_by!r}; choose {' or '.join(SPLIT_BY)}.")


def _progress(rows: list[dict[str, Any]], progress: bool) -> Iterator[dict[str, Any]]:
    from tqdm.auto import tqdm

    return iter(tqdm(rows, desc="Labelling frames", unit="video", disable=not progress))
