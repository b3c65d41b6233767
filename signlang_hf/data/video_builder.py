"""What builders share whose clips are videos, or landmarks that were extracted from them.

Design decisions:

* Each video's landmarks are one ``.npz`` in the cache (``<cache_dir>/signlang_landmarks/<settings>/<content>.npz``), written whole
  or not at all. An interrupted run goes on where it stopped, a new video costs one extraction, a renamed or copied one none.
* The key is the content of the video and everything that changes landmarks: estimator and version, its options, ``fps``.
* Where videos are to be extracted once and for good, ``signlang extract videos --out landmarks`` writes landmark files in the same
  folders, and ``data_dir="landmarks"`` reads them; neither the videos nor MediaPipe are needed any more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets

from ..landmarks import LANDMARK_SUFFIXES, LandmarkSequence, get_layout, load_landmarks
from .fingerprint import content_fingerprint
from .folder_builder import FolderBuilder, FolderConfig
from .metadata import Clip
from .validation import ReadOptions, read_clip, require_content

if TYPE_CHECKING:
    from ..pose import PoseEstimator


@dataclass
class VideoConfig(FolderConfig):
    """Options of datasets that are videos.

    ``layout``: layout of the rows (default: the estimator's, or that of the first landmark file) · ``fps``: look at this many
    frames of a video a second (default: all) · ``estimator_options``: of the default estimator, e.g. ``{"model_complexity": 0}``
    · ``estimator``: a :class:`~signlang_hf.pose.PoseEstimator` to use instead, known to the cache by its ``description``.
    """

    layout: str | None = None
    fps: float | None = None
    estimator_options: dict[str, Any] | None = None
    estimator: PoseEstimator | None = None

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Any = None) -> str:
        if config_kwargs.get("estimator") is not None:  # a loaded model has no stable hash
            config_kwargs = config_kwargs | {"estimator": config_kwargs["estimator"].description}
        return super().create_config_id(config_kwargs, custom_features)


class VideoBuilder(FolderBuilder):
    """Base of ``video_folder`` and of the published video datasets. A clip's file is a video or a landmark file."""

    BUILDER_CONFIG_CLASS = VideoConfig

    def __init__(self, *args: Any, cache_dir: str | None = None, **kwargs: Any) -> None:
        self.cache_root = Path(cache_dir or datasets.config.HF_DATASETS_CACHE).expanduser() / "signlang_landmarks"
        super().__init__(*args, cache_dir=cache_dir, **kwargs)

    def cache_settings(self, options: dict[str, Any]) -> tuple[str, ...]:
        if all(map(_is_extracted, self.metadata.clips)):
            return ()
        return (_estimator(options.get("estimator"), options.get("estimator_options")).description,)

    def find_layout(self) -> str:
        if self.config.layout is not None:
            return get_layout(self.config.layout).name
        for clip in filter(_is_extracted, self.metadata.clips):
            try:
                return self.read_landmarks(clip).layout
            except (ValueError, OSError):
                if self.config.on_error == "raise":
                    raise
        return get_layout(self._own_estimator().layout).name

    def sequences(self, clips: list[Clip]) -> Iterator[tuple[Clip, LandmarkSequence | Exception]]:
        with ExitStack() as stack:
            estimator: PoseEstimator | None = None
            for clip in clips:
                if estimator is None and not _is_extracted(clip):
                    estimator = self._own_estimator()
                    stack.callback(estimator.close)
                try:
                    sequence = self.read_landmarks(clip) if _is_extracted(clip) else self._extracted(clip, estimator)
                    yield clip, sequence.to_layout(self.layout)
                except (ValueError, OSError) as error:
                    yield clip, error

    def read_landmarks(self, clip: Clip) -> LandmarkSequence:
        """The landmarks of a clip whose file holds landmarks."""
        return read_clip(clip.file, ReadOptions())

    def estimate(self, clip: Clip, estimator: PoseEstimator) -> LandmarkSequence:
        """The landmarks of a clip whose file is a video."""
        from ..pose import estimate_video

        return estimate_video(clip.file, estimator, fps=self.config.fps)

    def extraction_settings(self) -> list[Any]:
        """What, besides the estimator, changes the landmarks of a video."""
        return [self.config.fps, self.config.estimator_options]

    def _extracted(self, clip: Clip, estimator: PoseEstimator) -> LandmarkSequence:
        settings = json.dumps([estimator.description, estimator.layout, *self.extraction_settings()], default=str)
        folder = self.cache_root / hashlib.blake2b(settings.encode(), digest_size=8).hexdigest()
        stored = folder / f"{content_fingerprint(clip.file)}.npz"
        if not stored.is_file():
            self.estimate(clip, estimator).save(stored)
        sequence = load_landmarks(stored)
        require_content(sequence, clip.file)
        return sequence

    def _own_estimator(self) -> PoseEstimator:
        return _estimator(self.config.estimator, self.config.estimator_options)


def _is_extracted(clip: Clip) -> bool:
    return clip.file.suffix.lower() in LANDMARK_SUFFIXES


def _estimator(estimator: PoseEstimator | None, options: dict[str, Any] | None) -> PoseEstimator:
    if estimator is not None:
        return estimator
    from ..pose import default_estimator

    try:
        return default_estimator(**(options or {}))
    except TypeError as error:
        raise ValueError(f"estimator_options: {str(error).partition('() ')[2] or error}.") from None
