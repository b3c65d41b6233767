"""Dataset ``isl30``: 30 Indian signs, 10 signers, 9 repetitions, as 20 Kinect joints in metres.

The source (MIT) is the folder ``RawDataset`` of github.com/prasunroy/sign-language and its forks: one text file a clip,
``<sign>_<signer>_<repetition>.txt``, one row of 60 numbers a frame. What was checked on all 2700 clips, and follows:

* Two groups of nine names have a second ``_`` (``born__pradeep_1``, ``no__apurve_1``); some copies have names with a
  leading blank. Signs and signers are known lists, so a clip has the same id in every copy.
* The joints are named and sided: the second of each pair is the signer's own right (it moves more in 84 % of the
  clips). Nothing is missing: no gaps, no zeros.
* Kinect's space has x to the signer's right, y **up** and z away from the camera. Rows are turned by 180° about z, into
  this library's directions: x to the right of the picture, y down, z away. A turn keeps left and right; a mirror would
  not.
* The files hold no time. :data:`FPS` = 30 is what a Kinect (v1) delivers; the median clip then lasts 2.4 s, the longest
  6.3 s, and fast hands move at 2 m/s.
* The first three repetitions face the camera, the next three and the last three are turned: by their shoulder lines,
  46° (30° to 61°) and 61° (44° to 75°; mean, 5th and 95th percentile), the left shoulder towards the camera. ``view``
  says which.
* One pair of "repetitions" of one signer agrees in 98 % of its numbers. Both are kept: leaving a signer out separates
  signers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from .about import DatasetFacts
from .archives import find_sources, read_texts
from .fingerprint import files_fingerprint
from .rows import landmark_features, to_row

SIGNS: tuple[str, ...] = (
    "afternoon", "baby", "big", "born", "bye", "calendar", "child", "cloud", "come", "daily", "dance", "dark", "day", "enjoy",
    "go", "hello", "home", "love", "my", "name", "no", "rain", "sorry", "strong", "study", "thankyou", "welcome", "wind", "yes",
    "you",
)  # fmt: skip
SIGNERS: tuple[str, ...] = (
    "apurve", "gautam", "mahendra", "parveen", "pradeep", "pramod", "prateek", "rajat", "rajkumar", "shewta",
)  # fmt: skip
VIEWS: tuple[str, ...] = ("frontal", "turned-46", "turned-61")
"""Repetitions 1–3, 4–6 and 7–9: how far the signer is turned, in degrees."""
LAYOUT = "kinect-20"
FPS = 30.0
VERSION = datasets.Version("1.0.0")
FILES = (("RawDataset/*.txt",), ("*.txt",), ("*/RawDataset/*.txt",))
ORIGIN = "github.com/prasunroy/sign-language"
_NAME = re.compile(r"\s*([a-z]+)_+([a-z]+)_+([1-9])\.txt")


@dataclass
class Isl30Config(datasets.BuilderConfig):
    """``hold_out``: signer, or signers, of the ``test`` split; empty (default) for everything in one ``train`` split."""

    hold_out: str | Sequence[str] = ()


class Isl30(datasets.GeneratorBasedBuilder):
    """30 signs as ``kinect-20`` landmarks in metres, with ``signer`` and ``view``.

    ``data_dir`` is the folder ``RawDataset``, the folder that holds it, or a tar archive of it. One ``train`` split, as
    leave-one-signer-out wants it (:func:`.splits.leave_one_signer_out`); ``hold_out="shewta"`` makes signers the
    ``test`` split.
    """

    BUILDER_CONFIG_CLASS = Isl30Config
    VERSION = VERSION
    FACTS = DatasetFacts(
        title="ISL-30 (Kinect)",
        summary="30 isolated signs of Indian Sign Language by 10 signers, 9 times each, as Kinect skeletons from three views.",
        licence="mit",
        homepage=f"https://{ORIGIN}",
        sign_languages=("ins",),
        split_rule="One split, for leave-one-signer-out; hold_out= makes signers the test split.",
        processing="Joints are the publisher's, turned into x to the right of the picture, y down and z away from the camera. "
        f"The files hold no time; {FPS:g} frames a second are assumed.",
        limits=(
            "20 joints without fingers: signs that differ by the shape of the hand alone look alike.",
            "In one pair of repetitions of one signer 98 % of the numbers agree; both are kept.",
        ),
        anchors=("leave-one-signer-out: 84.81 % (arXiv 2010.12669, LSTM with alignment), 83.77 % (HMM)",),
    )

    def __init__(self, *args: Any, data_dir: str | None = None, hash: str | None = None, **kwargs: Any) -> None:
        kwargs["hold_out"] = _signers(kwargs.get("hold_out"))
        self.sources = find_sources("isl30", data_dir, FILES, ORIGIN)
        super().__init__(*args, data_dir=data_dir, hash=hash or files_fingerprint(self.sources), **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return self.FACTS.info(landmark_features(LAYOUT, label_names=SIGNS))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        held = self.config.hold_out
        splits = {datasets.Split.TRAIN: [signer for signer in SIGNERS if signer not in held]}
        if held:
            splits[datasets.Split.TEST] = held
        # The signers are a tuple because a list is what datasets spreads over num_proc processes.
        return [
            datasets.SplitGenerator(name, gen_kwargs={"sources": self.sources, "signers": tuple(signers)})
            for name, signers in splits.items()
        ]

    def _generate_examples(self, sources: list[Path], signers: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
        def wanted(path: PurePosixPath) -> bool:
            return path.suffix == ".txt" and parse_name(path.name)[1] in signers

        for path, text in read_texts(sources, wanted):
            sign, signer, repetition = parse_name(path.name)
            name = f"{sign}_{signer}_{repetition}"
            view = VIEWS[(repetition - 1) // 3]
            yield name, to_row(parse_clip(text, path.name), id=name, signer=signer, view=view, label=sign)


def parse_name(name: str) -> tuple[str, str, int]:
    """(sign, signer, repetition) of a file name. Raises ValueError when it names no clip of ISL-30."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in SIGNS or match[2] not in SIGNERS:
        raise ValueError(
            f"{name!r} names no clip of ISL-30; its files are called <sign>_<signer>_<repetition>.txt, as {SIGNS[0]}_{SIGNERS[0]}_1.txt."
        )
    return match[1], match[2], int(match[3])


def parse_clip(text: str, name: str) -> LandmarkSequence:
    """Landmarks of one file's text: ``kinect-20``, metres, x to the right of the picture, y down, z away from the camera.

    Raises:
        ValueError: rows that are not 60 numbers, or no row at all; ``name`` says whose.
    """
    joints = len(get_layout(LAYOUT))
    rows = [line.split() for line in text.splitlines() if line.strip()]
    try:
        data = np.array(rows, np.float32).reshape(len(rows), joints, 3)
    except ValueError:
        raise ValueError(f"{name}: every row must hold {3 * joints} numbers, x, y and z of {joints} joints.") from None
    if not rows or not np.isfinite(data).all():
        raise ValueError(f"{name}: the file holds {'no frame' if not rows else 'values that are no finite numbers'}.")
    return LandmarkSequence(data * np.array([-1, -1, 1], np.float32), LAYOUT, fps=FPS, units="metre")


def _signers(hold_out: str | Sequence[str] | None) -> tuple[str, ...]:
    """``hold_out`` as a sorted tuple of known signers, of which some are left to train on."""
    names = (hold_out,) if isinstance(hold_out, str) else tuple(hold_out or ())
    unknown = [name for name in names if name not in SIGNERS]
    if unknown:
        raise ValueError(f"hold_out names the unknown signer {', '.join(unknown)}; known are {', '.join(SIGNERS)}.")
    if set(names) == set(SIGNERS):
        raise ValueError("hold_out names every signer; at least one must stay in the train split.")
    return tuple(sorted(set(names)))
