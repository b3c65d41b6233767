"""Dataset ``gislr``: Google's Isolated Sign Language Recognition, 250 American signs as landmarks (Kaggle ``asl-signs``).

::

    asl-signs/
        train.csv                                       path,participant_id,sequence_id,sign
        sign_to_prediction_index_map.json               sign → number
        train_landmark_files/16069/100015657.parquet    frame,row_id,type,landmark_index,x,y,z

94,477 sequences by 21 participants; there are no labels of the competition's test data, hence one ``train`` split, to be split by
signer (:func:`.splits.signer_disjoint_split`). What was checked on the published files, and follows:

* Every frame is 543 rows in the order of layout ``gislr-543`` (face, left hand, body, right hand); a missing point is null.
* ``frame`` counts frames of the recording. It starts anywhere, so the clip's own time begins with its first frame.
* Files hold neither rate nor picture size: :data:`SOURCE_FPS` is assumed, and without ``size=`` x and y are taken as they are.

A row with all 543 points takes 0.32 MB at the mean length of 37 frames, the whole dataset about 30 GB; ``layout="mediapipe-holistic"`` makes 4 GB of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from .about import DatasetFacts
from .folder_builder import FolderBuilder, FolderConfig, leave_out
from .metadata import Clip, Metadata
from .validation import require_content

LAYOUT = "gislr-543"
SOURCE_FPS = 30.0
TABLE, INDEX = "train.csv", "sign_to_prediction_index_map.json"
_COLUMNS = ("path", "participant_id", "sequence_id", "sign")
_ORDER = np.concatenate([np.arange(count) for count in (468, 21, 33, 21)])


@dataclass
class GislrConfig(FolderConfig):
    """Options of :class:`Gislr`: ``layout`` of the rows, ``source_fps`` and ``size`` (width, height) of the recordings."""

    layout: str = LAYOUT
    source_fps: float = SOURCE_FPS
    size: Sequence[int] | None = None


class Gislr(FolderBuilder):
    """250 signs, ``signer`` = participant, one ``train`` split."""

    BUILDER_CONFIG_CLASS = GislrConfig
    NEEDS = f"the unpacked Kaggle competition data asl-signs, with {TABLE} and train_landmark_files/"
    FACTS = DatasetFacts(
        title="Google Isolated Sign Language Recognition (asl-signs)",
        summary="250 isolated signs of American Sign Language by 21 participants, as MediaPipe Holistic landmarks.",
        licence="cc-by-4.0",
        homepage="https://www.kaggle.com/competitions/asl-signs",
        citation="""@misc{asl-signs,
  title = {Google - Isolated Sign Language Recognition},
  author = {Chow, Ashley and Cameron, Glenn and Sherwood, Mark and Culliton, Phil and Sepah, Sam and Dane, Sohier and Starner, Thad},
  year = {2023},
  publisher = {Kaggle},
  howpublished = {https://kaggle.com/competitions/asl-signs}
}""",
        sign_languages=("ase",),
        split_rule="One split: labels of the competition's test data are not public. Split by signer.",
        processing=f"Landmarks are the publisher's. The files hold no time; {SOURCE_FPS:g} frames a second are assumed.",
        limits=(
            "The picture's size is not published, so x and y are not exactly comparable.",
            "Participants were asked to sign with one hand: the other is missing from most sequences.",
        ),
        anchors=(
            "signer-disjoint split of the training data: 76.3 % top-1 with 1.84 M parameters (a published solution)",
        ),
    )

    def find_clips(self, folder: Path, options: dict[str, Any]) -> Metadata:
        table = folder / TABLE
        if not table.is_file():
            raise FileNotFoundError(f"{folder} has no {TABLE}; it should be {self.NEEDS}.")
        clips = []
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lacking = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise ValueError(f"{table} has no column {', '.join(lacking)}; asl-signs has {', '.join(_COLUMNS)}.")
            for row in reader:
                path, signer, sequence, sign = (row[name] for name in _COLUMNS)
                name = f"{signer}/{sequence}"
                clips.append(Clip(reader.line_num, path, folder / path, sign, id=name, signer=signer))
        missing = {clip.name for clip in clips if not clip.file.is_file()}
        if len(missing) == len(clips):
            raise FileNotFoundError(
                f"{folder} holds none of the {len(clips)} files that {TABLE} lists; it should be {self.NEEDS}."
            )
        leave_out(folder, sorted(missing), len(clips), options.get("on_error", "raise"))
        index = folder / INDEX
        signs = {clip.label for clip in clips}
        classes = sorted(signs)
        if index.is_file():
            classes = _signs_by_number(index)
            unknown = sorted(signs - set(classes))
            if unknown:
                raise ValueError(f"{index} has no number for {', '.join(unknown[:5])}, which {TABLE} lists.")
        clips = [clip for clip in clips if clip.name not in missing]
        return Metadata(folder, clips, classes=classes, tables=[table, index])

    def find_layout(self) -> str:
        return get_layout(self.config.layout).name

    def sequences(self, clips: list[Clip]) -> Iterator[tuple[Clip, LandmarkSequence | Exception]]:
        size = None if self.config.size is None else (int(self.config.size[0]), int(self.config.size[1]))
        for clip in clips:
            try:
                sequence = read_parquet(clip.file, fps=self.config.source_fps, size=size)
                require_content(sequence, clip.file)
                yield clip, sequence.to_layout(self.layout)
            except (ValueError, OSError) as error:
                yield clip, error


def read_parquet(path: Path, *, fps: float = SOURCE_FPS, size: tuple[int, int] | None = None) -> LandmarkSequence:
    """Landmarks of one sequence in layout ``gislr-543``.

    Raises:
        ValueError: not a Parquet file, or not 543 points a frame in the published order.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(path, columns=["frame", "landmark_index", "x", "y", "z"])
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(f"{path} is no landmark file of asl-signs ({str(error).splitlines()[0]}).") from error
    columns = {name: table[name].to_numpy() for name in table.column_names}
    points = len(get_layout(LAYOUT))
    frames, rest = divmod(table.num_rows, points)
    order = columns["landmark_index"][: frames * points].reshape(frames, points)
    if rest or (order != _ORDER).any():
        raise ValueError(f"{path} does not hold {points} points a frame in the order of layout {LAYOUT}.")
    numbers = columns["frame"].reshape(frames, points)[:, 0].astype(np.float64)
    data = np.stack([columns[axis] for axis in "xyz"], axis=-1).astype(np.float32).reshape(frames, points, 3)
    return LandmarkSequence(
        data,
        LAYOUT,
        timestamps=(numbers - numbers[:1]) / fps,
        fps=fps,
        size=size,
        units="unknown" if size is None else "image",
    )


def _signs_by_number(index: Path) -> list[str]:
    try:
        numbers = json.loads(index.read_text(encoding="utf-8"))
        signs = sorted(numbers, key=numbers.get)
        if [numbers[sign] for sign in signs] != list(range(len(signs))):
            raise ValueError("its numbers do not run from 0 without gaps")
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} does not map signs to numbers: {error}.") from error
    return signs
