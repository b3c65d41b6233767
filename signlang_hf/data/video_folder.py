"""Dataset ``video_folder``: one's own videos and a ``metadata.csv``; landmarks are extracted on first use and kept.

::

    my_videos/
        metadata.csv            file_name,label,signer,split
        anna/hello_1.mp4        anna/hello_1.mp4,hello,anna,train

``load_dataset("video_folder", data_dir="my_videos", num_proc=4)`` runs the pose estimator over every video, in four processes.

Design decisions:

* Each video's landmarks are one ``.npz`` in the cache (``<cache_dir>/signlang_landmarks/<settings>/<content>.npz``), written whole
  or not at all. An interrupted run goes on where it stopped, a new video costs one extraction, a renamed or copied one none.
* The key is the content of the video and everything that changes landmarks: estimator and version, its options, ``fps``.
* Where videos are to be extracted once and for good, ``signlang extract`` writes landmark files for ``landmark_folder``.
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

from ..landmarks import LandmarkSequence, get_layout, load_landmarks
from ..video import VIDEO_SUFFIXES
from .fingerprint import content_fingerprint
from .folder_builder import FolderBuilder, FolderConfig
from .metadata import Clip
from .validation import require_content

if TYPE_CHECKING:
    from ..pose import PoseEstimator


@dataclass
class VideoFolderConfig(FolderConfig):
    """Options of :class:`VideoFolder`.

    ``layout``: layout of the rows (default: the estimator's) · ``fps``: look at this many frames a second (default: all) ·
    ``estimator_options``: of the default estimator, e.g. ``{"model_complexity": 0}`` · ``estimator``: a
    :class:`~signlang_hf.pose.PoseEstimator` to use instead, known to the cache by its ``description``.
    """

    layout: str | None = None
    fps: float | None = None
    estimator_options: dict[str, Any] | None = None
    estimator: PoseEstimator | None = None

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Any = None) -> str:
        if config_kwargs.get("estimator") is not None:  # a loaded model has no stable hash
            config_kwargs = config_kwargs | {"estimator": config_kwargs["estimator"].description}
        return super().create_config_id(config_kwargs, custom_features)


class VideoFolder(FolderBuilder):
    """Videos listed in ``metadata.csv``, as landmarks."""

    BUILDER_CONFIG_CLASS = VideoFolderConfig
    SUFFIXES = VIDEO_SUFFIXES
    WHAT = "video"

    def __init__(self, *args: Any, cache_dir: str | None = None, **kwargs: Any) -> None:
        self.cache_root = Path(cache_dir or datasets.config.HF_DATASETS_CACHE).expanduser() / "signlang_landmarks"
        super().__init__(*args, cache_dir=cache_dir, **kwargs)

    def cache_settings(self, options: dict[str, Any]) -> tuple[str, ...]:
        return (_estimator(options.get("estimator"), options.get("estimator_options")).description,)

    def find_layout(self) -> str:
        return get_layout(self.config.layout or self._own_estimator().layout).name

    def sequences(self, clips: list[Clip]) -> Iterator[tuple[Clip, LandmarkSequence | Exception]]:
        from ..pose import estimate_video

        with ExitStack() as stack:
            estimator = self._own_estimator()
            stack.callback(estimator.close)
            folder = self.cache_root / self._settings(estimator)
            for clip in clips:
                try:
                    stored = folder / f"{content_fingerprint(clip.file)}.npz"
                    if not stored.is_file():
                        estimate_video(clip.file, estimator, fps=self.config.fps).save(stored)
                    sequence = load_landmarks(stored)
                    require_content(sequence, clip.file)
                    yield clip, sequence.to_layout(self.layout)
                except (ValueError, OSError) as error:
                    yield clip, error

    def _own_estimator(self) -> PoseEstimator:
        return _estimator(self.config.estimator, self.config.estimator_options)

    def _settings(self, estimator: PoseEstimator) -> str:
        """Name of the folder of landmarks that were made like this."""
        settings = [estimator.description, estimator.layout, self.config.fps, self.config.estimator_options]
        return hashlib.blake2b(json.dumps(settings, default=str).encode(), digest_size=8).hexdigest()


def _estimator(estimator: PoseEstimator | None, options: dict[str, Any] | None) -> PoseEstimator:
    if estimator is not None:
        return estimator
    from ..pose import default_estimator

    try:
        return default_estimator(**(options or {}))
    except TypeError as error:
        raise ValueError(f"estimator_options: {str(error).partition('() ')[2] or error}.") from None
