"""Dataset ``boston104``: RWTH-BOSTON-104, 201 sentences of American Sign Language as tracks of both hands and the nose.

The source (MIT) is the folder ``data`` of github.com/udacity/AIND-Recognizer: ``hands_condensed.csv`` (video, frame, x and y of left hand, right
hand and nose), ``speaker.csv``, ``train_words.csv`` and ``test_words.csv`` (word, first and last frame). What was checked on them, and follows:

* 15,746 frames, numbered from 0 without a gap in each video; no number is missing. 161 sentences are training, 40 are test, as RWTH split them.
* Points are pixels of the published films, 312 × 242 at 30 frames a second (www-i6.informatik.rwth-aachen.de/~dreuw/database-rwth-boston-104.php).
  73 hand positions lie up to 9 pixels below the picture; they are kept. The left hand is at larger x in 84 % of the frames: nothing is mirrored.
* Words have their first and last frame, both inclusive; neighbours share up to three frames. ``segments`` holds them half open. They were set by
  people for an exercise in isolated signs; what is measured on sentences must not use them.
* Test words were all learned but one (MUST). 22 of the 35 different test sentences are also training sentences, and all three signers sign
  in both parts: that is the official split, and what figures on it mean.
* Words carry numbers where the transcribers told variants apart (GO, GO1, GO2); each is a gloss of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from ..landmarks import LandmarkSequence
from .about import DatasetFacts
from .fingerprint import files_fingerprint
from .gloss_tables import read_table
from .metadata import DatasetError, Fault
from .rows import landmark_features, to_row
from .text_builder import find_one

LAYOUT = "boston-3"
FPS = 30.0
SIZE = (312, 242)
"""Width and height of the published films in pixels."""
VERSION = datasets.Version("1.0.0")
_FILES = ("hands_condensed.csv", "speaker.csv", "train_words.csv", "test_words.csv")
_POINTS = ("left-x", "left-y", "right-x", "right-y", "nose-x", "nose-y")
_NEEDS = f"the folder data of github.com/udacity/AIND-Recognizer with {', '.join(_FILES)}"


class Boston104(datasets.GeneratorBasedBuilder):
    """Sentences in the layout ``boston-3`` with ``glosses``, ``signer`` and ``segments`` (words × [start, end) in frames); official split."""

    VERSION = VERSION
    FACTS = DatasetFacts(
        title="RWTH-BOSTON-104 (hand tracks)",
        summary="201 sentences of American Sign Language by 3 signers, as the positions of both hands and the nose in each frame, with glosses "
        "and word segments.",
        licence="mit",
        homepage="https://github.com/udacity/AIND-Recognizer",
        citation="""@inproceedings{dreuw2007speech,
  title = {Speech Recognition Techniques for a Sign Language Recognition System},
  author = {Dreuw, Philippe and Rybach, David and Deselaers, Thomas and Zahedi, Morteza and Ney, Hermann},
  booktitle = {Interspeech},
  year = {2007}
}""",
        sign_languages=("ase",),
        split_rule="The official split: 161 sentences train, 40 test. They share the three signers and 22 of 35 different sentences.",
        processing=f"Positions are the publisher's, as shares of a picture of {SIZE[0]} × {SIZE[1]} pixels; {FPS:g} frames a second.",
        limits=(
            "Three points a frame: signs that differ by the shape of the hand alone look alike.",
            "One test word (MUST) is in no training sentence.",
            "The segments come from people; a model of sentences does not have them.",
        ),
        anchors=(
            "official split, words segmented by hand, HMM of the exercise: word error rate below 60 % is asked for",
            "official split, image features: about 17.9 % word error rate (recalled, not checked)",
        ),
    )

    def __init__(self, *args: Any, data_dir: str | Path | None = None, hash: str | None = None, **kwargs: Any) -> None:
        if data_dir is None:
            raise ValueError(f"The dataset needs data_dir=, {_NEEDS}.")
        folder = Path(data_dir).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(f"Folder not found: {folder}. It should be {_NEEDS}.")
        found = {name: find_one(folder, name) for name in _FILES}
        missing = [name for name, path in found.items() if path is None]
        if missing:
            raise FileNotFoundError(f"{folder} holds no {' and no '.join(missing)}; it should be {_NEEDS}.")
        self.files = {name: path for name, path in found.items() if path is not None}
        super().__init__(*args, data_dir=str(data_dir), hash=hash or files_fingerprint(self.files.values()), **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        features = landmark_features(LAYOUT, glosses=True)
        features["segments"] = datasets.List(datasets.List(datasets.Value("int32")))
        return self.FACTS.info(features)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        # Paths, not lists of rows: 201 sentences are not worth several processes.
        return [
            datasets.SplitGenerator(name, gen_kwargs={"words": self.files[f"{name}_words.csv"]})
            for name in (datasets.Split.TRAIN, datasets.Split.TEST)
        ]

    def _generate_examples(self, words: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        tracks = read_tracks(self.files["hands_condensed.csv"])
        faults: list[Fault] = []
        speakers = {
            cells["video"]: cells["speaker"]
            for _, cells in read_table(self.files["speaker.csv"], ",", ("video", "speaker"), faults)
        }
        sentences = read_words(words, {video: len(track) for video, track in tracks.items()}, faults)
        if faults:
            raise DatasetError(words.parent, faults)
        for video, spoken in sentences.items():
            sequence = LandmarkSequence(tracks[video], LAYOUT, fps=FPS, size=SIZE, units="pixel")
            glosses = [word for word, *_ in spoken]
            segments = [[start, end] for _, start, end in spoken]
            name = f"{int(video):03d}"
            yield name, to_row(sequence, id=name, signer=speakers.get(video), glosses=glosses, segments=segments)


def read_tracks(path: Path) -> dict[str, np.ndarray]:
    """Video → (frames, 3, 2) float32 pixels of left hand, right hand and nose.

    Raises:
        ValueError: a cell that is no number, or frames that are not numbered 0, 1, 2 … within their video.
    """
    faults: list[Fault] = []
    rows: dict[str, list[list[float]]] = defaultdict(list)
    table = read_table(path, ",", ("video", "frame", *_POINTS), faults)
    if faults:
        raise DatasetError(path, faults)
    for line, cells in table:
        try:
            numbers = [float(cells[name]) for name in _POINTS]
            frame = int(cells["frame"])
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: a cell holds no number ({error}).") from None
        if frame != len(rows[cells["video"]]):
            raise ValueError(
                f"{path}, line {line}: frame {frame} of video {cells['video']} stands where {len(rows[cells['video']])} should."
            )
        rows[cells["video"]].append(numbers)
    return {video: np.array(track, np.float32).reshape(-1, 3, 2) for video, track in rows.items()}


def read_words(path: Path, lengths: dict[str, int], faults: list[Fault]) -> dict[str, list[tuple[str, int, int]]]:
    """Video → its words in order, each with start and end, half open, in frames. ``lengths``: frames of each video.

    What is wrong with a row is added to ``faults``: an empty word, an unknown video, frames that the video does not have.
    """
    sentences: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for line, cells in read_table(path, ",", ("video", "word", "startframe", "endframe"), faults):
        video, word = cells["video"], cells["word"]
        first, last = cells["startframe"], cells["endframe"]
        if not word:
            message = "the row has no word."
        elif video not in lengths:
            message = f"the video {video} is not among the hand tracks."
        elif not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < lengths[video]):
            message = f"frames {first} to {last} are not in video {video}, which has {lengths[video]} frames."
        else:
            sentences[video].append((word, int(first), int(last) + 1))
            continue
        faults.append(Fault("error", "word", message, path.name, line))
    return {video: sorted(words, key=lambda word: word[1]) for video, words in sentences.items()}
