"""Dataset ``wlasl``: Word-Level American Sign Language, up to 2000 words in 21,083 videos that were collected from the web.

::

    WLASL/
        WLASL_v0.3.json         gloss → video_id, split, signer_id, bbox, …
        videos/69241.mp4        as the publisher's preprocess.py cuts them; or landmarks of them, in any folder

Configurations ``100``, ``300``, ``1000`` and ``2000`` are the publisher's subsets: the first so many glosses of the table. The repository
github.com/dxli94/WLASL holds ``WLASL_v0.3.json`` and, for the authors' own code, ``nslt_100.json`` … with ``wlasl_class_list.txt``; either is
read. The tables are under the publisher's licence (C-UDA: academic, computational use), so they are not bundled. What was
checked on them:

* Both tables give a video the same split; in WLASL100 they are 1442 / 338 / 258 clips.
* Splits share signers: 52 of the 56 signers of the WLASL100 test split also train.
* Links die. Videos that are not there are left out, in one line with their number; results on what is left compare with others
  only as far as the same videos are missing.
* ``frame_start`` and ``frame_end`` belong to the videos as downloaded; those in ``videos/`` are cut already and are read whole.
  ``signlang wlasl download`` fetches and cuts them (:mod:`.wlasl_download`).

A row has the column ``bbox``: [xmin, ymin, xmax, ymax] of the signer in pixels, from the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets

from .about import DatasetFacts
from .clip_files import find_clip_files
from .folder_builder import leave_out
from .metadata import Clip, Metadata
from .video_builder import VideoBuilder, VideoConfig
from .wlasl_table import TABLES, read_instances

VERSION = datasets.Version("1.0.0")


@dataclass
class WlaslConfig(VideoConfig):
    """Options of :class:`Wlasl`, beyond those of every video dataset.

    ``words``: how many glosses, in the order of the table · ``table``: the table to read, where ``data_dir`` does not hold it under its name.
    """

    words: int = 2000
    table: str | None = None


class Wlasl(VideoBuilder):
    """The first ``words`` glosses with the publisher's splits, signers and boxes."""

    BUILDER_CONFIG_CLASS = WlaslConfig
    BUILDER_CONFIGS = [  # noqa: RUF012 (the name and kind that datasets expects)
        WlaslConfig(name=str(words), version=VERSION, words=words, description=f"WLASL{words}")
        for words in (100, 300, 1000, 2000)
    ]
    DEFAULT_CONFIG_NAME = "2000"
    NEEDS = "the folder with WLASL_v0.3.json and the videos (69241.mp4 …) or landmarks of them"
    FACTS = DatasetFacts(
        title="WLASL",
        summary="WLASL: words of American Sign Language in videos collected from the web, as landmarks.",
        licence="c-uda",
        homepage="https://github.com/dxli94/WLASL",
        citation="""@inproceedings{li2020word,
  title = {Word-level Deep Sign Language Recognition from Video: A New Large-scale Dataset and Methods Comparison},
  author = {Li, Dongxu and Rodriguez, Cristian and Yu, Xin and Li, Hongdong},
  booktitle = {The IEEE Winter Conference on Applications of Computer Vision},
  pages = {1459--1469},
  year = {2020}
}""",
        sign_languages=("ase",),
        split_rule="The publisher's splits; they share signers.",
        processing="Landmarks were estimated from the videos; the rows' layout and the estimator's settings say how.",
        limits=(
            "For academic and computational use only (C-UDA).",
            "Videos whose links are dead are missing, so test splits differ between copies.",
            "A gloss may stand for several signs: the labels are English words.",
        ),
        anchors=(
            "WLASL100, official test split, pose alone: 63.18 % top-1 (SPOTER)",
            "WLASL100, official test split, pose alone: 86.5 % top-1 (Siformer)",
        ),
    )

    def find_clips(self, folder: Path, options: dict[str, Any]) -> Metadata:
        found = find_clip_files(folder, lambda path: path.name if path.name.isdecimal() else None)
        if not found:
            raise FileNotFoundError(f"{folder} holds no clip called by a video id; it should be {self.NEEDS}.")
        tables = sorted({path for pattern in TABLES for path in folder.rglob(pattern)})
        if options.get("table"):
            tables = [Path(options["table"]).expanduser()]
        return Metadata(folder, [Clip(0, video, file, "", id=video) for video, file in found.items()], tables=tables)

    def configured(self, metadata: Metadata) -> Metadata:
        files = {clip.id: clip.file for clip in metadata.clips}
        glosses, instances = read_instances(metadata, self.config.words)
        self.boxes = {one.video: one.bbox for one in instances}
        missing = [one.video for one in instances if one.video not in files]
        if len(missing) == len(instances):
            raise FileNotFoundError(
                f"{metadata.folder} holds none of the {len(instances)} videos of WLASL{self.config.words}."
            )
        leave_out(metadata.folder, missing, len(instances), "skip")
        clips = [
            Clip(0, one.video, files[one.video], one.gloss, id=one.video, split=one.split, signer=one.signer)
            for one in instances
            if one.video in files
        ]
        return replace(metadata, clips=clips, classes=glosses)

    def extra_features(self) -> datasets.Features:
        return datasets.Features({"bbox": datasets.List(datasets.Value("int32"))})

    def extra_values(self, clip: Clip) -> dict[str, Any]:
        return {"bbox": self.boxes[clip.id]}
