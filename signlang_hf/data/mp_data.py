"""Dataset ``mp_data``: the ``MP_Data`` folders that a widespread tutorial on sign recognition has its readers record.

::

    MP_Data/
        hello/0/0.npy           word / sequence / frame: 1662 numbers
        hello/0/1.npy

A frame is 33 body points with x, y, z and visibility, 468 face points, 21 left and 21 right hand points with x, y, z; all numbers of
a part that was not found are 0. Common variants leave the face out (258 numbers) or keep the hands alone (126), and save a
sequence as one array (``hello/0.npy``). All are read; frames are in the order of their numbers.

The files hold neither time nor picture size nor signer: :data:`SOURCE_FPS` is assumed, and ``size=(640, 480)``, which is what OpenCV asks
of a webcam, makes the coordinates comparable along x and y. There is one ``train`` split; sequences of a word are recorded in a
row, so a random test split measures the same session.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..video.pictures import by_number
from .about import DatasetFacts
from .folder_builder import FolderBuilder, FolderConfig
from .metadata import Clip, Metadata
from .validation import require_content
from .zero_filled import from_zero_filled

SOURCE_FPS = 30.0
_HANDS = (("left_hand", 3), ("right_hand", 3))
# Numbers a frame → layout, and the parts in their order with the numbers a point.
_FORMATS: dict[int, tuple[str, tuple[tuple[str, int], ...]]] = {
    1662: ("mediapipe-holistic-face468", (("pose", 4), ("face", 3), *_HANDS)),
    258: ("mediapipe-holistic", (("pose", 4), *_HANDS)),
    126: ("hands-42", _HANDS),
}


@dataclass
class MPDataConfig(FolderConfig):
    """Options of :class:`MPData`: ``layout`` of the rows (default: what the files hold), ``source_fps`` and ``size`` of the recordings."""

    layout: str | None = None
    source_fps: float = SOURCE_FPS
    size: Sequence[int] | None = None


class MPData(FolderBuilder):
    """Words as MediaPipe Holistic landmarks, one ``train`` split."""

    BUILDER_CONFIG_CLASS = MPDataConfig
    NEEDS = "the folder MP_Data, with <word>/<sequence>/<frame>.npy"
    FACTS = DatasetFacts(
        title="MP_Data recordings",
        summary="Isolated signs recorded as MediaPipe Holistic landmarks, one array a frame (MP_Data folders).",
        licence="unknown",
        homepage="https://github.com/nicknochnack/ActionDetectionforSignLanguage",
        split_rule="One split. Sequences of a word are recorded in a row by one person: a random part of them is not an "
        "independent test.",
        processing=f"Parts whose numbers are all 0 are missing. The files hold no time; {SOURCE_FPS:g} frames a second are assumed.",
        limits=("The files name neither signer nor picture size.",),
    )

    def find_clips(self, folder: Path, options: dict[str, Any]) -> Metadata:
        folder = folder / "MP_Data" if (folder / "MP_Data").is_dir() else folder
        clips = []
        for word in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
            for sequence in sorted(word.iterdir(), key=by_number):
                if sequence.suffix == ".npy" or (sequence.is_dir() and next(sequence.glob("*.npy"), None)):
                    name = f"{word.name}/{sequence.name}"
                    clips.append(Clip(0, name, sequence, word.name, id=f"{word.name}/{sequence.stem}"))
        if not clips:
            raise FileNotFoundError(f"{folder} holds no <word>/<sequence>/<frame>.npy; it should be {self.NEEDS}.")
        # A frame that is written anew does not change its folder's time, hence every file.
        return Metadata(folder, clips, tables=[file for clip in clips for file in _frames(clip.file)])

    def find_layout(self) -> str:
        if self.config.layout is not None:
            return get_layout(self.config.layout).name
        for clip in self.metadata.clips:
            try:
                return read_sequence(clip.file).layout
            except (ValueError, OSError):
                if self.config.on_error == "raise":
                    raise
        raise ValueError(f"{self.metadata.folder}: not one of the {len(self.metadata.clips)} sequences can be read.")

    def sequences(self, clips: list[Clip]) -> Iterator[tuple[Clip, LandmarkSequence | Exception]]:
        size = None if self.config.size is None else (int(self.config.size[0]), int(self.config.size[1]))
        for clip in clips:
            try:
                sequence = read_sequence(clip.file, fps=self.config.source_fps, size=size)
                require_content(sequence, clip.file)
                yield clip, sequence.to_layout(self.layout)
            except (ValueError, OSError) as error:
                yield clip, error


def read_sequence(path: Path, *, fps: float = SOURCE_FPS, size: tuple[int, int] | None = None) -> LandmarkSequence:
    """Landmarks of one sequence: a folder of frames, or one array (frames, numbers).

    Raises:
        ValueError: an array that cannot be read, frames that differ, or another number of numbers than the known formats.
    """
    files = _frames(path)
    try:
        arrays = [np.atleast_2d(np.load(file, allow_pickle=False)) for file in files]
    except (ValueError, EOFError):
        raise ValueError(f"{path}: a frame is no file of a plain array (pickled objects are never read).") from None
    if len({array.shape[1:] for array in arrays}) != 1:
        raise ValueError(f"{path}: the frames hold different numbers of numbers.")
    frames = np.concatenate(arrays)
    known = _FORMATS.get(frames.shape[-1] if frames.ndim == 2 else 0)
    if known is None:
        counts = ", ".join(map(str, _FORMATS))
        raise ValueError(f"{path}: a frame holds {frames.shape[-1]} numbers; known are {counts}.")
    layout, parts = known
    spec = get_layout(layout)
    data = np.zeros((len(frames), len(spec), 3), np.float32)
    visibility = np.zeros((len(frames), len(spec)), np.float32)
    start = 0
    for part, numbers in parts:
        columns = list(spec.parts[part])
        stop = start + numbers * len(columns)
        points = frames[:, start:stop].reshape(len(frames), len(columns), numbers)
        data[:, columns] = points[..., :3]
        if numbers == 4:
            visibility[:, columns] = points[..., 3]
        start = stop
    return from_zero_filled(data, layout, visibility=visibility, fps=fps, size=size)


def _frames(path: Path) -> list[Path]:
    return sorted(path.glob("*.npy"), key=by_number) if path.is_dir() else [path]
