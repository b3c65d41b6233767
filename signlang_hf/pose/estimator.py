"""The interface of pose estimators: frames in, one :class:`LandmarkSequence` out.

Design decisions:

* An estimator works frame by frame (:meth:`PoseEstimator.detect`), because trackers do; whole clips, streams and batches are
  built on that. One that is faster on several frames at a time gives :meth:`PoseEstimator.detect_all` too.
  :meth:`PoseEstimator.reset` forgets the clip before, so a clip gives the same landmarks wherever it stands.
* Frames come in chunks and only landmarks are kept, so a video of any length needs the memory of one chunk.
* No person is a result, not an error: every point is NaN, and a warning says so.
"""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from ..landmarks import LandmarkSequence, get_layout
from ..video import Video, VideoChunk, VideoSource, VideoWarning, as_video, iter_video
from ..video.reading import check_frames
from ..video.sampling import mean_rate

_CHUNK = 8  # frames decoded at a time: 4K video then needs 200 MB


class Detection(NamedTuple):
    """What was found in one frame, for the K points of the estimator's layout.

    ``data`` (K, 3) image units, NaN where not seen; ``visibility`` (K,) in [0, 1]; ``world`` (K, 4) metres and visibility, or
    None.
    """

    data: np.ndarray
    visibility: np.ndarray
    world: np.ndarray | None = None


class PoseEstimator(ABC):
    """Finds one signer's landmarks. A subclass names its ``layout`` and gives :meth:`reset` and :meth:`detect`.

    Use it as a context manager, or call :meth:`close`, to free the model.
    """

    layout: str
    """Name of the layout of the K points that :meth:`detect` returns."""
    chunk: int = _CHUNK
    """Most frames that :meth:`detect_all` gets at a time, and so that lie in memory."""

    @property
    def description(self) -> str:
        """What made the landmarks, for manifests and cards: name, version and variant."""
        return type(self).__name__

    @abstractmethod
    def reset(self) -> None:
        """Forget everything about the frames so far: the next frame starts a clip."""

    @abstractmethod
    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        """Landmarks of one frame (H, W, 3) uint8 RGB, shown ``seconds`` after the start of the clip."""

    def detect_all(self, frames: np.ndarray, timestamps: np.ndarray) -> list[Detection]:
        """Landmarks of the next frames of a clip, (t, H, W, 3) uint8 RGB, shown at ``timestamps`` (t,) seconds."""
        return [self.detect(frame, seconds) for frame, seconds in zip(frames, timestamps.tolist())]

    def close(self) -> None:  # noqa: B027 - nothing to free is a fine default
        """Free the model. The estimator may be used again; it then loads anew."""

    def estimate(self, video: Video | np.ndarray | Iterable[VideoChunk]) -> LandmarkSequence:
        """Landmarks of one clip.

        Args:
            video: a :class:`Video`, frames (T, H, W, 3) uint8 RGB at 25 fps, or the chunks of :func:`iter_video`.

        Returns:
            T frames in this estimator's layout, ``image`` units, with time stamps, visibility and size.

        Raises:
            ValueError: frames of another shape or dtype, of changing size, or none at all.
        """
        chunks = iter_video(video, chunk=self.chunk) if isinstance(video, (Video, np.ndarray)) else video
        found: list[Detection] = []
        times: list[float] = []
        size: tuple[int, int] | None = None
        for frames, timestamps in chunks:
            check_frames(frames)
            height, width = frames.shape[1:3]
            if size is None:  # not before: a video that cannot be read needs no model
                self.reset()
            if size not in (None, (width, height)):
                raise ValueError(f"The frames change size from {size} to {(width, height)} within the clip.")
            size = (width, height)
            found += self.detect_all(frames, timestamps)
            times += timestamps.tolist()
        if not found:
            raise ValueError("There are no frames to find landmarks in.")
        return self.sequence(found, np.array(times), size)

    def sequence(self, found: Sequence[Detection], clock: np.ndarray, size: tuple[int, int] | None) -> LandmarkSequence:
        """The detections of consecutive frames as one sequence.

        Args:
            found: what :meth:`detect` gave, one a frame.
            clock: (T,) seconds of these frames.
            size: (width, height) of the frames.

        Raises:
            ValueError: time stamps that do not increase.
        """
        if (np.diff(clock) <= 0).any():
            raise ValueError("A frame does not come after the one before it; time stamps must increase.")
        return LandmarkSequence(
            np.stack([detection.data for detection in found]),
            get_layout(self.layout).name,
            timestamps=clock,
            visibility=np.stack([detection.visibility for detection in found]),
            fps=mean_rate(clock),
            size=size,
            units="image",
            world=None if found[0].world is None else np.stack([detection.world for detection in found]),
        )

    def __enter__(self) -> PoseEstimator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def estimate_video(
    source: VideoSource, estimator: PoseEstimator | None = None, *, fps: float | None = None
) -> LandmarkSequence:
    """Landmarks of the signer in a video, an image, or an array of frames, in bounded memory.

    Args:
        source: path, http(s) address, bytes, frames (T, H, W, 3) uint8 RGB, or a :class:`Video`.
        estimator: what finds the landmarks; default: MediaPipe, loaded for this one call. Keep one for many videos.
        fps: look at this many frames a second only (the nearest by time stamp). Default: all frames.

    Raises:
        FileNotFoundError, ConnectionError, ValueError: the video cannot be had or read; see :func:`iter_video`.
        ImportError: the default estimator is not installed.

    Warns:
        VideoWarning: nobody was found (the landmarks are all NaN), or the file is cut off.
    """
    chunks = iter_video(source, fps=fps, chunk=_CHUNK if estimator is None else estimator.chunk)
    if estimator is None:
        with default_estimator() as estimator:
            sequence = estimator.estimate(chunks)
    else:
        sequence = estimator.estimate(chunks)
    if not sequence.seen.any():
        name = source if isinstance(source, (str, os.PathLike)) else "the clip"
        warnings.warn(
            f"No person was found in any of the {len(sequence)} frames of {name}; all landmarks are missing.",
            VideoWarning,
            stacklevel=2,
        )
    return sequence


def estimate_frames(
    frames: np.ndarray,
    estimator: PoseEstimator | None = None,
    *,
    fps: float = 25.0,
    timestamps: np.ndarray | None = None,
) -> LandmarkSequence:
    """Landmarks of frames in memory, (T, H, W, 3) or one (H, W, 3), uint8 RGB. Otherwise as :func:`estimate_video`.

    Args:
        frames: RGB frames.
        estimator: what finds the landmarks; default: MediaPipe.
        fps: their rate, where there are no ``timestamps`` (T,) in seconds.
    """
    return estimate_video(as_video(frames, fps=fps, timestamps=timestamps), estimator)


ESTIMATORS: dict[str, str] = {
    "mediapipe": "signlang_hf.pose:default_estimator",
    "heatmap": "signlang_hf.pose.heatmap:HeatmapEstimator",
}
"""Name of an estimator → ``module:callable`` that makes one."""


def estimator_factory(name: str) -> str:
    """``module:callable`` of an estimator's name, or of itself.

    Raises:
        ValueError: no such name.
    """
    if ":" not in name and name not in ESTIMATORS:
        raise ValueError(
            f"Unknown pose estimator {name!r}; choose {', '.join(ESTIMATORS)}, or module:callable of your own."
        )
    return ESTIMATORS.get(name, name)


def default_estimator(**options: Any) -> PoseEstimator:
    """The estimator that is used where none is named: :class:`~signlang_hf.pose.mediapipe.MediaPipeEstimator`."""
    from .mediapipe import MediaPipeEstimator

    return MediaPipeEstimator(**options)
