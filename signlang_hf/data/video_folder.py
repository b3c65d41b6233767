"""Dataset ``video_folder``: one's own videos and a ``metadata.csv``; landmarks are extracted on first use and kept.

::

    my_videos/
        metadata.csv            file_name,label,signer,split
        anna/hello_1.mp4        anna/hello_1.mp4,hello,anna,train

``load_dataset("video_folder", data_dir="my_videos", num_proc=4)`` runs the pose estimator over every video, in four processes; how
its results are kept is told in :mod:`.video_builder`.
"""

from __future__ import annotations

from ..video import VIDEO_SUFFIXES
from .metadata import METADATA
from .video_builder import VideoBuilder


class VideoFolder(VideoBuilder):
    """Videos listed in ``metadata.csv``, as landmarks."""

    SUFFIXES = VIDEO_SUFFIXES
    WHAT = "video"
    NEEDS = f"the folder with {METADATA} and the video files"
