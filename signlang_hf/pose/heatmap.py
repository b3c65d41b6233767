"""Our own keypoint detector (:mod:`signlang_hf.models.detector`) behind :class:`PoseEstimator`: landmarks without MediaPipe.

Design decisions:

* Several frames go through the network at once. The crop around the signer is known before them and moves after them, so with
  ``track=False`` a clip gives the same landmarks frame by frame and at once.
* Every clip starts with a look at its whole first picture, so it gives the same landmarks first, last, or alone.
* A point below the ``confidence`` threshold is missing, not a guess with a low score.
* A detector that has one of hands beside it looks at the hands again: with ``track=False`` in every frame for itself
  (:mod:`signlang_hf.models.detector.processing_hands`), else with what the frames around it say
  (:mod:`signlang_hf.models.detector.processing_hands_film`). The crop follows the first look, whose scores are of one kind.
* On a CPU the networks' pictures lie in memory with their colours innermost, which takes them less time.
* The detector sees no depth: z is 0, as in all two-dimensional sources.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import pretrained
from ..landmarks import get_layout
from .cropping import PersonCrop
from .estimator import Detection, PoseEstimator
from .smoothing import OneEuroFilter

_CONFIDENCE = 0.3
_STEP = 8  # frames for which a crop stays: a third of a second
# In longer sides of the picture. Least error to the undisturbed points on MediaPipe's landmarks of sign clips with noise of 0.4 % of it.
_SMOOTHING = {"min_cutoff": 2.0, "beta": 40.0, "speed_cutoff": 4.0}


class HeatmapEstimator(PoseEstimator):
    """A trained ``signlang_detector``.

    Args:
        model: folder, Hub id or a bundled model's name; default: the detector that comes with the package.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        batch_size: most frames in the network at once. Tracking moves the crop every 8 frames, so more than these only count
            without it.
        confidence: threshold in [0, 1]; a point below it is missing. Default: the one that the processor was saved with, or 0.3
            where that gives all points.
        smooth: take the trembling out of the points with a :class:`~signlang_hf.pose.smoothing.OneEuroFilter`.
        track: look closer at the part of the picture in which the signer was last, and at their hands where they are in the frames around.
        hands: look at the hands again where the model comes with a detector of hands. It costs less than the first look,
            and more than it without ``track``.

    Raises:
        FileNotFoundError: there is no such model folder.
        ValueError: it cannot be loaded, is for another task, its model and processor were not saved together, there is no such
            device, or no detector comes with the package and none is named.
    """

    runtime = "torch"
    """What runs the model; see :func:`~signlang_hf.models.loading.checked_folder`."""

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        batch_size: int = _STEP,
        confidence: float | None = None,
        smooth: bool = True,
        track: bool = True,
        hands: bool = True,
    ) -> None:
        if not (isinstance(batch_size, int) and batch_size >= 1):
            raise ValueError(f"batch_size is {batch_size!r}; it must be a whole number from 1.")
        if confidence is not None and not 0 <= confidence <= 1:
            raise ValueError(f"confidence is {confidence}; it must be a number from 0 to 1.")
        self._folder = _find(model, self.runtime)
        self._config, self._processor = _settings(self._folder)
        self.layout = self._processor.layout
        own = self._processor.keypoint_threshold or _CONFIDENCE
        self.confidence = own if confidence is None else confidence
        self.batch_size, self.smooth, self.track, self.hands = batch_size, smooth, track, hands
        self.chunk = _STEP if track else batch_size
        self._device = _device(device)
        self._model: Any = None
        self._second_look: Any = None
        self._follower: Any = None
        self._crop = PersonCrop(get_layout(self.layout))
        self._filter = OneEuroFilter(**_SMOOTHING)

    @property
    def description(self) -> str:
        """For instance ``detector, mobilenet_v3_small at 256 px``."""
        return f"{Path(self._folder).name}, {self._config.backbone} at {self._config.image_size} px"

    def reset(self) -> None:
        if self._model is None:
            from ..models.detector import HandFollower

            self._model = self._load()
            self._second_look = self._load_hands()
            self._follower = None if self._second_look is None else HandFollower(self._second_look)
        if self._follower is not None:
            self._follower.reset()
        self._crop.reset()
        self._filter.reset()

    def detect(self, frame: np.ndarray, seconds: float) -> Detection:
        return self.detect_all(np.asarray(frame)[None], np.array([seconds]))[0]

    def detect_all(self, frames: np.ndarray, timestamps: np.ndarray) -> list[Detection]:
        if self._model is None:
            self.reset()
        found = []
        for start in range(0, len(frames), self.chunk):
            part, clock = frames[start : start + self.chunk], timestamps[start : start + self.chunk].tolist()
            points, scores = self._look(part, clock) if self.track else self._network(part, None)
            points, scores = self._seen(*self._hands_again(part, points, scores, clock))
            size = np.array([part.shape[2], part.shape[1]])
            for place, score, seconds in zip(points, scores, clock):
                if self.smooth:
                    place = self._filter(place / size.max(), seconds) * size.max()
                data = np.column_stack([place / size, np.where(score > 0, 0.0, np.nan)])
                found.append(Detection(data.astype(np.float32), score))
        return found

    def close(self) -> None:
        self._model = self._second_look = self._follower = None

    def _look(self, frames: np.ndarray, clock: list[float]) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`_network` on the part of the picture where the signer is."""
        size = (frames.shape[2], frames.shape[1])
        first: list[tuple[np.ndarray, np.ndarray]] = []
        if self._crop.due(clock[0]):
            first = [self._network(frames[:1], None)]
            self._crop.start(*self._seen(*first[0]), size, clock[0])
        box = self._crop.box
        if box is None:  # the first frame is done
            rest = frames[len(first) :]
            parts = first + ([self._network(rest, None)] if len(rest) else [])
            points, scores = (np.concatenate(arrays) for arrays in zip(*parts))
        else:
            points, scores = self._network(frames, box)
            sure = self._seen(points, scores)[1]
            if self._crop.lost(sure):
                whole = self._network(frames, None)
                if self._seen(*whole)[1].mean() > sure.mean():
                    points, scores = whole
        self._crop.follow(*self._seen(points, scores), clock[-1])
        return points, scores

    def _network(self, frames: np.ndarray, box: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Points (t, K, 2) in pixels, and scores (t, K) float32, of the first look at a part of the picture."""
        import torch

        points, scores = [], []
        for start in range(0, len(frames), self.batch_size):
            part = frames[start : start + self.batch_size]
            boxes = None if box is None else np.repeat(box[None], len(part), axis=0)
            batch = self._processor(list(part), boxes=boxes, return_tensors="pt")
            with torch.inference_mode():
                outputs = self._model(pixel_values=batch["pixel_values"].to(self._device))
            found = self._processor.post_process_keypoint_detection(outputs, batch["crops"], threshold=0.0)
            place, score = (np.stack([one[name] for one in found]) for name in ("keypoints", "scores"))
            points.append(place.astype(np.float64))
            scores.append(score.astype(np.float32))
        return np.concatenate(points), np.concatenate(scores)

    def _hands_again(
        self, frames: np.ndarray, points: np.ndarray, scores: np.ndarray, clock: list[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points and scores with those of the second look."""
        if self._second_look is None:
            return points, scores
        if self.track:
            points, scores = self._follower(frames, points, scores, clock, self.confidence)
        else:
            points, scores = self._second_look(frames, points, scores, self.confidence)
        return points.astype(np.float64), scores

    def _seen(self, points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points and scores, NaN and 0 where a point is not seen."""
        missing = ~(np.isfinite(points).all(axis=2) & (scores >= self.confidence) & (scores > 0))
        return np.where(missing[..., None], np.nan, points), np.where(missing, np.float32(0), scores)

    def _load(self) -> Any:
        import torch

        from ..models.detector import SignDetectorForKeypointDetection
        from ..models.loading import loaded

        def load() -> Any:
            return SignDetectorForKeypointDetection.from_pretrained(self._folder, dtype=torch.float32)

        return self._placed(loaded(self._folder, load).eval())

    def _load_hands(self) -> Any:
        """The detector of hands beside the model; None where there is none or none is wanted."""
        import torch

        from ..models.detector import HandDetector
        from ..models.loading import loaded

        if not self.hands:
            return None
        hands = loaded(self._folder, lambda: HandDetector.beside(self._folder, self.layout, dtype=torch.float32))
        if hands is not None:
            self._placed(hands.model)
        return hands

    def _placed(self, model: Any) -> Any:
        """A model on the device."""
        import torch

        model = model.to(self._device)
        return model.to(memory_format=torch.channels_last) if self._device.type == "cpu" else model


def _find(model: str | os.PathLike[str] | None, runtime: str) -> str:
    from ..models.loading import checked_folder

    if model is None and pretrained.DETECTOR not in pretrained.names():
        raise ValueError("No keypoint detector comes with this installation; name one with --model (model= in Python).")
    return checked_folder(pretrained.DETECTOR if model is None else os.fspath(model), runtime)


def _settings(folder: str) -> tuple[Any, Any]:
    """Configuration and processor of a detector, checked to be of one."""
    from transformers import AutoConfig

    from ..models.detector import SignDetectorConfig, SignDetectorProcessor
    from ..models.loading import loaded

    config = loaded(folder, lambda: AutoConfig.from_pretrained(folder))
    if not isinstance(config, SignDetectorConfig):
        raise ValueError(f"{folder} is a {config.model_type} model; finding landmarks needs a signlang_detector.")
    processor = loaded(folder, lambda: SignDetectorProcessor.from_pretrained(folder))
    try:
        processor.require_model(config)
    except ValueError as error:
        raise ValueError(f"{folder} cannot be used: {error}") from error
    return config, processor


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # AssertionError: a torch without CUDA
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"Device {name!r} cannot be used here ({reason}); choose auto, cpu, cuda or mps.") from error
    if device.type == "meta":
        raise ValueError("Device 'meta' computes nothing; choose auto, cpu, cuda or mps.")
    return device
