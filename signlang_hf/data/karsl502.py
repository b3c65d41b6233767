"""Dataset ``karsl502``: KArSL, 502 Arabic signs by 3 signers, 50 repetitions each, 75,300 clips.

Configurations: ``502`` (default), ``190`` (signs 1 to 190) and ``100`` (signs 71 to 170), as the publisher (KFUPM) divides them. What
circulates under the name, and is read in any mixture, in whatever folder it was unpacked to:

* videos, ``01/train/0071/03_01_0071_(10_11_16_15_41_45)_c.mp4``: signer / split / sign / chapter_signer_sign_(time); the archives put
  ``videos`` or a range of signs (``0071-0170``) in between, mirrors repeat the signer (``01/01/train``);
* the same clips as folders of pictures, ``01/01/train/0071/03_01_0071_(…)_c/*.jpg``;
* landmarks of ``signlang extract``, ``01/train/0071/….npz``;
* MediaPipe keypoints, ``karsl-kps/01-train/0071.npz``: one array (frames, 184, 3 or 4) for each clip of the sign, in the order of
  layout ``karsl-184`` (6 body, 136 face, 21 right and 21 left hand points; x, y, z and visibility), zeros where a part was not
  found. The widespread copy is *adjusted*: each part is placed by a point of its own and scaled by a length of its own, so
  where a hand is can be told from the body's wrist alone. The sides are the hand detector's labels, unchecked.

The folder of a sign decides over the file's name, which is wrong for some published clips. Pictures and keypoints carry no time:
:data:`SOURCE_FPS`, the rate of the Kinect v2 that recorded them, is assumed.

Names of the signs are read from the publisher's ``KARSL-502_Labels.xlsx`` or the ``.json`` made of it, looked for in ``data_dir``; two English
names stand for two signs each, so these carry their number: ``nephew (213)``.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import datasets
import numpy as np

from ..landmarks import LandmarkSequence
from ..video import iter_pictures
from .about import DatasetFacts
from .clip_files import find_clip_files
from .metadata import SPLIT_ALIASES, Clip, Metadata
from .validation import require_content
from .video_builder import VideoBuilder, VideoConfig
from .zero_filled import from_zero_filled

if TYPE_CHECKING:
    from ..pose import PoseEstimator

SIGNS = 502
SOURCE_FPS = 30.0
KEYPOINTS_LAYOUT = "karsl-184"
VERSION = datasets.Version("1.0.0")
_EXAMPLE = "01/train/0071/03_01_0071_(10_11_16_15_41_45)_c.mp4"
_LANGUAGES = {"ar": ("Sign-Arabic", "AR_WORDS"), "en": ("Sign-English", "EN_WORDS")}
_SPLITS = {"train": "train", "test": "test", **SPLIT_ALIASES}
_SIGNER, _SIGN = re.compile(r"0[1-3]"), re.compile(r"0\d{3}")
_FILE_NAME = re.compile(r"\d\d_(0[1-3])_\d{4}_\(")
_KEYPOINTS = re.compile(r"(0[1-3])-(\w+)")


@dataclass
class Karsl502Config(VideoConfig):
    """Options of :class:`Karsl502`, beyond those of every video dataset.

    ``signs``: first and last SignID, 1 to 502 · ``language``: names of the signs, ``"ar"`` (default), ``"en"``, or ``"number"`` (0071), which
    needs no labels file · ``labels``: the labels file, where it is not in ``data_dir`` · ``hold_out``: signer, or signers, of
    the test split · ``source_fps``: rate of pictures and keypoints · ``size``: (width, height) of the pictures that keypoints in
    image units are from; without it they are taken as they are.
    """

    signs: Sequence[int] = (1, SIGNS)
    language: str = "ar"
    labels: str | None = None
    hold_out: str | Sequence[str] = ()
    source_fps: float = SOURCE_FPS
    size: Sequence[int] | None = None

    def check(self) -> None:
        super().check()
        if self.language not in (*_LANGUAGES, "number"):
            raise ValueError(f"language is {self.language!r}; choose 'ar', 'en' or 'number'.")
        first, last = self.signs
        if not 1 <= first <= last <= SIGNS:
            raise ValueError(f"signs is {tuple(self.signs)}; give the first and the last SignID, from 1 to {SIGNS}.")


class _Place(NamedTuple):
    """What a path says about its clip."""

    signer: str | None
    split: str
    sign: int
    name: str


class Karsl502(VideoBuilder):
    """Signs with ``signer`` "01", "02" and "03".

    Without ``hold_out`` the splits are the publisher's ``train`` and ``test``, which share all signers. ``hold_out="03"`` makes all clips of
    that signer the ``test`` split; of the others, the publisher's ``train`` is ``train`` and its ``test`` is ``validation``.
    """

    BUILDER_CONFIG_CLASS = Karsl502Config
    BUILDER_CONFIGS = [  # noqa: RUF012 (the name and kind that datasets expects)
        Karsl502Config(name="502", version=VERSION, description="all signs"),
        Karsl502Config(name="190", version=VERSION, signs=(1, 190), description="numbers, letters and 120 words"),
        Karsl502Config(name="100", version=VERSION, signs=(71, 170), description="100 words"),
    ]
    DEFAULT_CONFIG_NAME = "502"
    NEEDS = f"the folder into which KArSL was unpacked (it holds {_EXAMPLE}), or keypoints of it (karsl-kps/01-train/0071.npz)"
    FACTS = DatasetFacts(
        title="KArSL-502",
        summary="KArSL: 502 isolated signs of Arabic Sign Language by 3 signers, 50 repetitions each, as landmarks.",
        licence="unknown",
        homepage="https://hamzah-luqman.github.io/KArSL/",
        citation="""@article{sidig2021karsl,
  title = {KArSL: Arabic Sign Language Database},
  author = {Sidig, Ala Addin I and Luqman, Hamzah and Mahmoud, Sabri and Mohandes, Mohamed},
  journal = {ACM Transactions on Asian and Low-Resource Language Information Processing},
  volume = {20},
  number = {1},
  year = {2021},
  doi = {10.1145/3423420}
}""",
        signers=3,
        split_rule="The publisher's train and test folders share all three signers; hold_out= makes a signer-independent split.",
        processing="Landmarks were estimated from videos or pictures, or are keypoints that others published. Pictures and "
        f"keypoints hold no time; {SOURCE_FPS:g} frames a second are assumed.",
        limits=(
            "The signs are those of the Arabic sign dictionary, which has no ISO 639-3 code.",
            "Three signers, all men between 30 and 40 years of age, before a green screen.",
            "Some letters are signed with the left and the right hand in turn.",
            "The published pictures are resized to squares, which changes the shape of what they show.",
        ),
        anchors=(
            "KArSL-100, signer-dependent: 99.74 % top-1 (pose Transformer)",
            "KArSL-100, signer-independent: 68.2 % top-1 (pose Transformer)",
        ),
    )

    def find_clips(self, folder: Path, options: dict[str, Any]) -> Metadata:
        clips = [_clip(place, file) for place, file in find_clip_files(folder, _place, pictures=True).items()]
        clips += _keypoint_clips(folder)
        if not clips:
            raise FileNotFoundError(f"{folder} holds no clip of KArSL; it should be {self.NEEDS}.")
        found = options.get("labels") or find_labels(folder)
        return Metadata(folder, clips, tables=[Path(found)] if found else [])

    def configured(self, metadata: Metadata) -> Metadata:
        first, last = self.config.signs
        clips = [clip for clip in metadata.clips if first <= int(clip.label) <= last]
        if not clips:
            raise ValueError(f"{metadata.folder} holds no clip of the signs {first} to {last}.")
        names = self._names(metadata)
        held = _held(self.config.hold_out, clips)
        moved = {"test": "validation"} if held else {}
        clips = [
            replace(
                clip,
                label=names[int(clip.label) - 1],
                split="test" if clip.signer in held else moved.get(clip.split, clip.split),
            )
            for clip in clips
        ]
        return replace(metadata, clips=clips, classes=names[first - 1 : last])

    def read_landmarks(self, clip: Clip) -> LandmarkSequence:
        if clip.member is None:
            return super().read_landmarks(clip)
        size = None if self.config.size is None else (int(self.config.size[0]), int(self.config.size[1]))
        sequence = read_keypoints(clip.file, clip.member, fps=self.config.source_fps, size=size)
        require_content(sequence, clip.file / clip.member)
        return sequence

    def estimate(self, clip: Clip, estimator: PoseEstimator) -> LandmarkSequence:
        if not clip.file.is_dir():
            return super().estimate(clip, estimator)
        return estimator.estimate(iter_pictures(clip.file, self.config.source_fps, fps=self.config.fps))

    def extraction_settings(self) -> list[Any]:
        return [*super().extraction_settings(), self.config.source_fps]

    def _names(self, metadata: Metadata) -> list[str]:
        """Name of each of the 502 signs."""
        if self.config.language == "number":
            return [f"{sign:04d}" for sign in range(1, SIGNS + 1)]
        if not metadata.tables:
            raise FileNotFoundError(
                f"{metadata.folder} holds no KARSL-502_Labels.xlsx or .json; put it there, name it with labels=, or take the "
                "signs' numbers with language='number'."
            )
        return read_labels(metadata.tables[0], self.config.language)


def find_labels(folder: Path) -> Path | None:
    """The labels file in a folder or directly below it; a ``.json`` rather than an ``.xlsx``."""
    found = [
        path
        for pattern in ("*", "*/*")
        for path in sorted(folder.glob(pattern))
        if re.fullmatch(r"karsl.*labels\.(json|xlsx)", path.name.lower())
    ]
    return min(found, key=lambda path: path.suffix.lower(), default=None)


def read_labels(path: Path, language: str) -> list[str]:
    """Names of the signs 1 to 502.

    Raises:
        FileNotFoundError: no such file.
        ImportError: an ``.xlsx``, and openpyxl is not installed.
        ValueError: it cannot be read, or does not name 502 signs.
    """
    if not path.is_file():
        raise FileNotFoundError(f"Labels file not found: {path}")
    column, key = _LANGUAGES[language]
    try:
        if path.suffix.lower() == ".json":
            names = json.loads(path.read_text(encoding="utf-8"))[key]
        else:
            names = _read_xlsx(path, column)
    except (ValueError, KeyError, TypeError, StopIteration, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no labels file of KArSL: it has no {column} that can be read.") from error
    if len(names) < SIGNS:
        raise ValueError(f"{path} names {len(names)} signs; KArSL has {SIGNS}.")
    names = [str(name).strip() for name in names[:SIGNS]]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} ({sign})" for sign, name in enumerate(names, 1)]


def read_keypoints(
    path: Path, member: str, *, fps: float = SOURCE_FPS, size: tuple[int, int] | None = None
) -> LandmarkSequence:
    """Landmarks of one clip of a keypoints file. Raises ValueError unless it holds (frames, 184, 3 or 4) numbers."""
    with np.load(path, allow_pickle=False) as archive:
        try:
            array = archive[member]
        except ValueError as error:
            raise ValueError(f"{path}: {member} is no plain array.") from error
    if array.ndim != 3 or array.shape[1:] not in ((184, 3), (184, 4)):
        raise ValueError(f"{path}: {member} has shape {array.shape}; expected (frames, 184, 3 or 4).")
    visibility = array[..., 3] if array.shape[2] == 4 else None
    return from_zero_filled(array[..., :3], KEYPOINTS_LAYOUT, visibility=visibility, fps=fps, size=size)


def _place(path: PurePosixPath) -> _Place | None:
    """What the path of a video, a landmark file or a folder of pictures says; None where it names no sign."""
    folders = path.parts[:-1]
    sign = next((part for part in reversed(folders) if _SIGN.fullmatch(part)), None)
    if sign is None or not 1 <= int(sign) <= SIGNS:
        return None
    signer = next((part for part in folders if _SIGNER.fullmatch(part)), None)
    named = _FILE_NAME.match(path.name)
    split = next((part.lower() for part in folders if part.lower() in _SPLITS), "train")
    return _Place(signer or (named[1] if named else None), _SPLITS[split], int(sign), path.name)


def _clip(place: _Place, file: Path, member: str | None = None) -> Clip:
    sign = f"{place.sign:04d}"
    name = "/".join(filter(None, (place.signer, place.split, sign, place.name)))
    return Clip(0, name, file, sign, id=name, split=place.split, signer=place.signer, member=member)


def _keypoint_clips(folder: Path) -> list[Clip]:
    """The clips in ``01-train/0071.npz`` and its like, in any depth."""
    clips = []
    for file in sorted(folder.rglob("0*.npz")):
        group = _KEYPOINTS.fullmatch(file.parent.name)
        if group is None or group[2].lower() not in _SPLITS or not _SIGN.fullmatch(file.stem):
            continue
        try:
            with np.load(file, allow_pickle=False) as archive:
                members = archive.files
        except (ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{file} is no readable .npz file; download it again.") from error
        split = _SPLITS[group[2].lower()]
        clips += [_clip(_Place(group[1], split, int(file.stem), member), file, member) for member in members]
    return clips


def _held(hold_out: str | Sequence[str] | None, clips: Sequence[Clip]) -> set[str]:
    held = {hold_out} if isinstance(hold_out, str) else set(hold_out or ())
    signers = {clip.signer for clip in clips} - {None}
    unknown = sorted(held - signers)
    if unknown:
        raise ValueError(
            f"hold_out names the unknown signer {', '.join(unknown)}; known are {', '.join(sorted(signers))}."
        )
    if held and held == signers:
        raise ValueError("hold_out names every signer; at least one must stay in the train split.")
    return held


def _read_xlsx(path: Path, column: str) -> list[Any]:
    try:
        import openpyxl
    except ImportError:
        raise ImportError(f'Reading {path.name} needs openpyxl: pip install "signlang-hf[train]"') from None
    workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        rows = workbook.active.iter_rows(values_only=True)
        header = [str(cell).strip() for cell in next(rows)]
        sign, name = header.index("SignID"), header.index(column)
        return [row[name] for row in sorted((row for row in rows if row[sign] is not None), key=lambda row: row[sign])]
    finally:
        workbook.close()
