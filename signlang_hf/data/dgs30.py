"""Dataset ``dgs30``: 30 German signs from many people's webcams, and 2998 clips of other words.

The source (Apache-2.0) is ``lab/data/absolute`` of github.com/Tachionstrahl/SignLanguageRecognition: one
``;``-separated file a clip, made by MediaPipe's face detector and multi-hand tracker of 2020.
``3D_full/<word>/<id>.csv`` are 1755 clips of 30 words with x, y, z; ``2D_unknown/unknown/<word>.csv`` 3012 clips, one a
word, with x and y. What was checked on all of them, and follows:

* A row is a face point and one or two hands, in the order of detection and **not** left or right (layout ``dgs-43``):
  the first hand is left of the second in half of the rows, and the order flips within 7 of 10 clips with two hands.
  :func:`~signlang_hf.landmarks.tracking.track_hands` (processor setting ``track_hands``) makes a right and a left hand
  of them. The face point is the detector's first, the signer's right eye.
* The publisher left out frames without a face or a hand, so time has unmarked holes (one hand step in a hundred is a
  jump). Some got through: in 492 rows of 363 clips (and 107 of 100 unknown ones), most of them a clip's first or last, the only hand has all
  its points at (0, 0). It is missing; the next smallest hand anywhere reaches 0.05.
* The files hold no time. :data:`FPS` = 30 is what webcams deliver; hands then move as fast (9 palms a second in the
  fast tenth of a clip) as in other clips of known rate (7.5), which half or twice the rate would not give.
* The files hold no picture size either. The bones of a hand keep their length in every direction when pictures are 1.30
  to 1.35 times as wide as high, in both parts (fits over all clips), hence 4:3; ``size`` says 640 × 480, of which only
  the ratio is known.
* Four clips are copies of another: two bit for bit, two processed twice (59 of 60 and 56 of 71 rows agree). They are
  left out.
* Fourteen of the "unknown" words are among the 30 (``essen``, ``Du``, ``Fussball`` …). They are left out too. The rest
  comes from another source (SignDict.org), so telling it from the known words is partly telling cameras apart; words
  left out of ``3D_full`` are the stricter test.
* Nobody knows who signs: ``signer`` is null, and results hold for the same people. All but a few clips are of
  right-handed signers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
import numpy as np

from ..landmarks import LandmarkSequence
from .about import DatasetFacts
from .archives import find_sources, read_texts
from .fingerprint import files_fingerprint
from .rows import landmark_features, to_row

WORDS: tuple[str, ...] = (
    "Bier", "Foto", "Fußball", "Haben", "Haus", "Hose", "Hunger", "Land", "Mainz", "Software", "Sonne", "Tag", "Universität",
    "Wetter", "computer", "deutschland", "du", "essen", "gestern", "hallo", "heute", "ich", "lernen", "lieben", "morgen", "rennen",
    "trinken", "unser", "welt", "zeigen",
)  # fmt: skip
"""The 30 words as the source spells them."""
COPIES: dict[str, str] = {
    "Haben/8de9e3b1-08d6-48e4-9b80-651453a32b26": "Haben/73b370c9-39ae-4ec8-b4e1-0fc7535b23b1",
    "computer/775287d8-ecdb-44d0-94f8-5790d4b06c37": "computer/5db074c5-14d8-4bbf-87a6-4c21b5162e6a",
    "unser/dcae3dc7-4da3-4e82-8f7c-827f246f7ba8": "unser/5ab62f71-7917-463d-b8e6-f2099ae7e4e4",
    "unser/def6b619-99c1-4238-824a-87f5dcc9f64d": "unser/5ab62f71-7917-463d-b8e6-f2099ae7e4e4",
}
"""Clips that are left out, each with the one that it repeats."""
UNKNOWN = -1
"""``label`` of the split ``unknown``."""
LAYOUT = "dgs-43"
FPS = 30.0
SIZE = (640, 480)
VERSION = datasets.Version("1.0.1")
KNOWN_FOLDER, UNKNOWN_FOLDER = "3D_full", "2D_unknown"
FILES = tuple(
    tuple(f"{above}{folder}/*/*.csv" for folder in (KNOWN_FOLDER, UNKNOWN_FOLDER)) for above in ("", "*/", "*/*/*/")
)
ORIGIN = "github.com/Tachionstrahl/SignLanguageRecognition"
_HAND = 21
_NO_HAND = 1e-6  # a hand with no coordinate above it is none


@dataclass
class Dgs30Config(datasets.BuilderConfig):
    """``dims``: 3 keeps the depth of the known clips, 2 drops it and adds the unknown ones."""

    dims: int = 3


class Dgs30(datasets.GeneratorBasedBuilder):
    """30 words as ``dgs-43`` landmarks in image units.

    Configurations: ``3d`` (default), one ``train`` split of 1751 clips; ``2d``, the same without depth (z = 0) and a
    split ``unknown`` of 2998 clips of other words, whose ``label`` is -1. They are apart because the unknown clips have
    no depth: next to clips that have, a model would know them by that.

    ``data_dir`` is the folder that holds ``3D_full`` and ``2D_unknown``, one above it, or a tar archive.
    """

    BUILDER_CONFIG_CLASS = Dgs30Config
    BUILDER_CONFIGS = [  # noqa: RUF012 (the name and kind that datasets expects)
        Dgs30Config(name="3d", version=VERSION, description="x, y and z of the 30 words"),
        Dgs30Config(name="2d", version=VERSION, description="x and y of the 30 words and of unknown ones", dims=2),
    ]
    DEFAULT_CONFIG_NAME = "3d"
    FACTS = DatasetFacts(
        title="DGS-30",
        summary="30 isolated signs of German Sign Language from many people's webcams, as a face point and up to two hands; "
        "with clips of other words (configuration 2d).",
        licence="apache-2.0",
        homepage=f"https://{ORIGIN}",
        sign_languages=("gsg",),
        split_rule="One split of the 30 words, for stratified cross-validation: nobody knows who signs, so signers are "
        "shared. The split unknown holds other words.",
        processing="Landmarks are the publisher's, by MediaPipe of 2020. Four copies of clips and 14 known words among the unknown "
        f"ones are left out. The files hold neither time nor picture size; {FPS:g} frames a second and 4:3 are assumed.",
        limits=(
            "Hands come in order of detection; the processor setting track_hands finds right and left.",
            "Frames without a face or hand are missing, so time has unmarked holes.",
            "The unknown words were recorded elsewhere (SignDict.org): a model may know them by their pictures.",
            "Almost all clips are of right-handed signers.",
        ),
        anchors=("stratified 5-fold over single clips: 86.8 % (extremely randomised trees)",),
    )

    def __init__(self, *args: Any, data_dir: str | None = None, hash: str | None = None, **kwargs: Any) -> None:
        self.sources = find_sources("dgs30", data_dir, FILES, ORIGIN)
        super().__init__(*args, data_dir=data_dir, hash=hash or files_fingerprint(self.sources), **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return self.FACTS.info(landmark_features(LAYOUT, label_names=WORDS))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        splits = {datasets.Split.TRAIN: KNOWN_FOLDER}
        if self.config.dims == 2:
            splits[datasets.NamedSplit("unknown")] = UNKNOWN_FOLDER
        return [
            datasets.SplitGenerator(name, gen_kwargs={"sources": self.sources, "folder": folder})
            for name, folder in splits.items()
        ]

    def _generate_examples(self, sources: list[Path], folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        def wanted(path: PurePosixPath) -> bool:
            return path.suffix == ".csv" and path.parts[-3:-2] == (folder,) and is_kept(path)

        for path, text in read_texts(sources, wanted):
            name = clip_id(path)
            label = word_of(path) if folder == KNOWN_FOLDER else UNKNOWN
            if label not in (*WORDS, UNKNOWN):
                raise ValueError(f"{name}: {label!r} is none of the 30 words of DGS-30: {', '.join(WORDS)}.")
            sequence = parse_clip(text, name)
            if self.config.dims == 2:
                sequence = sequence.replace(data=sequence.data[..., :2])
            yield name, to_row(sequence, id=name, label=label)


def parse_clip(text: str, name: str) -> LandmarkSequence:
    """Landmarks of one file's text: ``dgs-43``, image units, NaN where no second hand was found, z = 0 where the file has none.

    Raises:
        ValueError: the header or a row has another number of columns, or there is none; ``name`` says whose.
    """
    lines = [line.split(";") for line in text.splitlines() if line.strip()]
    dims = {2 + 2 * _HAND * dims: dims for dims in (2, 3)}.get(len(lines[0]) if lines else 0)
    if dims is None or not lines[0][0].startswith("face"):
        raise ValueError(
            f"{name}: the file does not begin with the header of DGS-30 (face_x;face_y; …, 86 or 128 columns)."
        )
    if len(lines) == 1:
        raise ValueError(f"{name}: the file holds no frame.")
    hand = dims * _HAND
    data = np.full((len(lines) - 1, 1 + 2 * _HAND, dims), np.nan, np.float32)
    for number, line in enumerate(lines[1:]):
        try:
            values = np.array(line, np.float32)
            if not np.isfinite(values).all():
                raise ValueError
            hands = values[2:].reshape(-1, _HAND, dims)
            hands[(np.abs(hands[..., :2]) < _NO_HAND).all(axis=(1, 2))] = np.nan
            data[number, 1 : 1 + len(hands) * _HAND] = hands.reshape(-1, dims)
        except ValueError:
            raise ValueError(
                f"{name}: row {number + 1} is not a face point and one or two hands, {2 + hand} or {2 + 2 * hand} numbers."
            ) from None
        data[number, 0, :2], data[number, 0, 2:] = values[:2], 0
    return LandmarkSequence(data, LAYOUT, fps=FPS, size=SIZE)


def word_of(path: PurePosixPath) -> str:
    # Copies that went through a Mac have decomposed umlauts.
    return unicodedata.normalize("NFC", path.parts[-2])


def clip_id(path: PurePosixPath) -> str:
    return f"{word_of(path)}/{unicodedata.normalize('NFC', path.stem)}"


def is_kept(path: PurePosixPath) -> bool:
    """Whether the clip is no copy of another, and no known word among the unknown ones."""
    if path.parts[-3] == KNOWN_FOLDER:
        return clip_id(path) not in COPIES
    known = {word.casefold() for word in WORDS}
    return unicodedata.normalize("NFC", path.stem).casefold() not in known
