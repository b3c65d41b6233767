"""Dataset ``landmark_sentences``: one's own landmark files of whole sentences and a ``metadata.csv`` with their glosses.

::

    my_sentences/
        metadata.csv            file_name,glosses,text,signer,split
        anna/1.npz              anna/1.npz,YOU FREE TODAY,are you free today?,anna,train
        ben/1.pose              ben/1.pose,BRING WATER ME,bring me some water,ben,test

``load_dataset("landmark_sentences", data_dir="my_sentences")`` gives rows with ``glosses``, a list of strings, and ``text`` where the table has that
column; layouts, splits and options are those of :mod:`.landmark_folder`. Of videos, ``signlang extract videos --out my_sentences`` makes the files.
Glosses that differ in capitals alone become one, in the spelling that is used most.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .gloss_tables import one_spelling
from .landmark_folder import LandmarkFolder, LandmarkFolderConfig
from .metadata import METADATA, Metadata, read_metadata
from .sentence_metadata import sentence_table

logger = logging.getLogger(__name__)


@dataclass
class LandmarkSentencesConfig(LandmarkFolderConfig):
    """Options of :class:`LandmarkSentences`, beyond those of ``landmark_folder``.

    ``vocabulary``: the glosses that there are, in any capitals; a table that holds another one is refused, with its row.
    """

    vocabulary: Sequence[str] | None = None


class LandmarkSentences(LandmarkFolder):
    """``.npz``, ``.pose`` and ``.npy`` files of sentences listed in ``metadata.csv``."""

    BUILDER_CONFIG_CLASS = LandmarkSentencesConfig
    SENTENCES = True
    NEEDS = f"the folder with {METADATA} (file_name,glosses,text …) and the landmark files"

    def find_clips(self, folder: Path, options: dict[str, Any]) -> Metadata:
        kind = sentence_table(options.get("vocabulary") or ())
        metadata = read_metadata(folder, self.SUFFIXES, self.WHAT, kind).require()
        separated = [fault for fault in metadata.faults if fault.kind == "gloss-separator"]
        if separated:  # most likely every sentence would be one long gloss
            logger.warning(
                "%s: %d glosses hold a separator, the first: %s", folder / METADATA, len(separated), separated[0]
            )
        spelling = one_spelling((clip.glosses for clip in metadata.clips), folder / METADATA)
        metadata.clips = [
            replace(clip, glosses=tuple(spelling.get(gloss, gloss) for gloss in clip.glosses))
            for clip in metadata.clips
        ]
        return metadata
