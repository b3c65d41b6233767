"""Videos: reading with time stamps, sampling, drawing landmarks and writing. numpy here; decoders are imported on use."""

from .cutting import Stretch, cut_video
from .drawing import PART_COLOURS, draw_landmarks
from .pictures import PICTURE_SUFFIXES, iter_pictures
from .reading import (
    Video,
    VideoChunk,
    VideoInfo,
    VideoSource,
    VideoWarning,
    as_video,
    iter_video,
    probe_video,
    read_video,
)
from .sampling import sample_rate, sample_uniform
from .sources import VIDEO_SUFFIXES, read_image, to_rgb
from .strip import skeleton_strip
from .writing import write_video

__all__ = [
    "PART_COLOURS",
    "PICTURE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Stretch",
    "Video",
    "VideoChunk",
    "VideoInfo",
    "VideoSource",
    "VideoWarning",
    "as_video",
    "cut_video",
    "draw_landmarks",
    "iter_pictures",
    "iter_video",
    "probe_video",
    "read_image",
    "read_video",
    "sample_rate",
    "sample_uniform",
    "skeleton_strip",
    "to_rgb",
    "write_video",
]
