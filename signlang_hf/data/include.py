"""Datasets ``include`` and ``include50``: 263 Indian signs in 4292 videos, and the 50 of them that papers compare on.

The source is zenodo.org/record/4010759 (CC BY 4.0), a zip file for each part of a category, unpacked into one folder::

    INCLUDE/
        Adjectives/1. loud/MVI_9289.MOV
        Places/19. House/Extra/MVI_3439.MOV

``load_dataset("include50", data_dir="INCLUDE", num_proc=8)`` extracts landmarks on first use; ``signlang extract INCLUDE --out
INCLUDE_landmarks`` does so once and for good, and ``data_dir="INCLUDE_landmarks"`` reads them. Facts that were checked:

* The official splits, bundled in ``facts/include.csv``, are those of github.com/AI4Bharat/INCLUDE (MIT): 3127 / 348 / 817 clips, and
  689 / 77 / 192 for the 50 signs. Within each of the two no clip is listed twice. Each has every sign in training.
* A label is the letters of the sign's folder in lower case (``8. Race (ethnicity)`` → ``raceethnicity``); in alphabetical order
  these are exactly the numbers of the authors' label maps.
* The 50 signs were split anew: 159 of their 192 test clips are training or validation clips of ``include``. A model that has seen
  ``include`` cannot be tested on ``include50``.
* No list names the signers. The splits do not keep sessions apart: the camera numbers its files, and 82 % of the test clips (86 % of
  ``include50``'s) are one number away from a training clip of the same sign.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from .about import DatasetFacts
from .clip_files import find_clip_files
from .folder_builder import leave_out
from .metadata import Clip, Metadata
from .video_builder import VideoBuilder

_EXAMPLE = "Adjectives/1. loud/MVI_9289.MOV"


class OfficialClip(NamedTuple):
    """A line of the official lists: path without suffix, label, and the split in each dataset ("" where it is not in it)."""

    path: str
    label: str
    include: str
    include50: str


class Include(VideoBuilder):
    """263 signs. Options as for ``video_folder``; ``on_error="skip"`` also leaves out what was not downloaded."""

    SUBSET = "include"
    NEEDS = f"the folder into which INCLUDE was unpacked (it holds {_EXAMPLE}), or what signlang extract made of it"
    FACTS = DatasetFacts(
        title="INCLUDE",
        summary="INCLUDE: 263 isolated signs of Indian Sign Language in 15 categories, as landmarks.",
        licence="cc-by-4.0",
        homepage="https://zenodo.org/record/4010759",
        citation="""@inproceedings{sridhar2020include,
  title = {INCLUDE: A Large Scale Dataset for Indian Sign Language Recognition},
  author = {Sridhar, Advaith and Ganesan, Rohith Gandhi and Kumar, Pratyush and Khapra, Mitesh},
  booktitle = {Proceedings of the 28th ACM International Conference on Multimedia},
  year = {2020},
  doi = {10.1145/3394171.3413528}
}""",
        sign_languages=("ins",),
        split_rule="The authors' lists (github.com/AI4Bharat/INCLUDE, MIT): 3127 train, 348 validation, 817 test. They do not "
        "keep recording sessions apart, nor, as far as is known, signers.",
        processing="Landmarks were estimated from the videos; the rows' layout and the estimator's settings say how.",
        limits=(
            "The clips do not name their signers.",
            "INCLUDE-50 is a subset with splits of its own: 159 of its 192 test clips are training or validation clips here.",
        ),
        anchors=("official test split: 85.6 % top-1 on a pre-trained video encoder (Sridhar et al., ACM MM 2020)",),
    )

    def find_clips(self, folder: Path, options: dict[str, Any]) -> Metadata:
        official = {clip.path: clip for clip in official_clips() if getattr(clip, self.SUBSET)}
        found = find_clip_files(folder, lambda path: _official_path(path, official))
        if not found:
            raise FileNotFoundError(f"{folder} holds none of the {len(official)} clips; it should be {self.NEEDS}.")
        missing = [f"{path}.MOV" for path in official if path not in found]
        leave_out(folder, missing, len(official), options.get("on_error", "raise"))
        clips = [
            Clip(0, path, found[path], clip.label, id=path, split=getattr(clip, self.SUBSET))
            for path, clip in official.items()
            if path in found
        ]
        return Metadata(folder, clips, classes=sorted({clip.label for clip in official.values()}))


INCLUDE50_FACTS = replace(
    Include.FACTS,
    title="INCLUDE-50",
    summary="INCLUDE-50: 50 isolated signs of Indian Sign Language, the subset of INCLUDE that papers compare on, as landmarks.",
    split_rule="The authors' lists (github.com/AI4Bharat/INCLUDE, MIT): 689 train, 77 validation, 192 test. They do not keep "
    "recording sessions apart, nor, as far as is known, signers.",
    limits=(
        "The clips do not name their signers.",
        "159 of the 192 test clips are training or validation clips of INCLUDE: do not pre-train on it.",
    ),
    anchors=("official test split: 94.5 % top-1 on a pre-trained video encoder (Sridhar et al., ACM MM 2020)",),
)


@lru_cache(maxsize=1)
def official_clips() -> list[OfficialClip]:
    """The authors' lists, sorted by path."""
    clips = []
    text = (files("signlang_hf.data") / "facts" / "include.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        label = "".join(filter(str.isalpha, row["folder"].split("/")[1])).lower()
        for number in row["files"].split(";"):
            clips.append(OfficialClip(f"{row['folder']}/MVI_{number}", label, row["include"], row["include50"]))
    return sorted(clips)


def _official_path(path: PurePosixPath, official: dict[str, OfficialClip]) -> str | None:
    """The part of a path that the lists name, however deep its category lies."""
    tails = ("/".join(path.parts[-length:]) for length in (3, 4))
    return next((tail for tail in tails if tail in official), None)
