"""What all explainers share: a clip in, heat over its time and joints out. A method says only how a model's features get heat.

Design decisions:

* The model is asked about the **logit** of one label. Its baseline is a clip in which nothing was seen: zeros are what the
  processor writes for that, and what a deleted landmark becomes.
* Heat is evidence **for** the label. What speaks against it is cut to 0, after the features of a point have been added up.
* A keypoint model is known by what it has (an ``encoder`` and a ``config.input_size``), not by its class: a model loaded with
  remote code has another one.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..landmarks import LANDMARK_SUFFIXES
from ..pipelines.inputs import to_landmarks
from ..pose import PoseEstimator, default_estimator
from ..video import Video, VideoSource, as_video
from .attribution import feature_shares, origin
from .explanation import SignExplanation

_MIN_FRAMES = 3


class SignExplainer(ABC):
    """Explains what a keypoint model answers. Subclasses give ``method`` and :meth:`attribute`.

    Args:
        model: a keypoint model for sign classification.
        processor: the processor that was saved with it.
        estimator: finds landmarks in pictures; default: MediaPipe, made when the first video comes in.

    Raises:
        ValueError: the model is none that gradients can be taken of, or the processor belongs to another model.
    """

    method: str

    def __init__(self, model: Any, processor: Any, *, estimator: PoseEstimator | None = None) -> None:
        size = getattr(getattr(model, "config", None), "input_size", None)
        if not isinstance(model, torch.nn.Module) or not hasattr(model, "encoder") or size is None:
            raise ValueError(
                f"Only keypoint models for sign classification can be explained, and {type(model).__name__} is none; "
                "of an ensemble explain a member."
            )
        if getattr(processor, "feature_size", None) != size or not hasattr(processor, "layout"):
            raise ValueError(
                f"The model takes {size} features a frame, the processor makes "
                f"{getattr(processor, 'feature_size', 'none')}; they were not saved together."
            )
        self.model = model
        self.processor = processor
        self._estimator = estimator

    @abstractmethod
    def attribute(self, values: torch.Tensor, mask: torch.Tensor, label: int) -> torch.Tensor:
        """Heat of each point in each of the model's frames.

        Args:
            values: (1, T', F) features.
            mask: (1, T').
            label: number of the label.

        Returns:
            (T', K') ≥ 0, for the K' points of the processor's layout.
        """

    @cached_property
    def shares(self) -> torch.Tensor:
        """(F, K') how much of each feature belongs to each point, see :func:`.attribution.feature_shares`."""
        return torch.from_numpy(feature_shares(self.processor))

    def generate(self, clip: Any, *, label: str | int | None = None, fps: float | None = None) -> SignExplanation:
        """Explain what the model sees in one clip.

        Args:
            clip: whatever ``pipeline("sign-recognition")`` takes: a video, a landmark file, frames, a LandmarkSequence …
            label: name or number of the label to explain; default: the one that the model answers.
            fps: frame rate of bare frames and arrays; default 25.

        Returns:
            Heat for every frame and point of the clip, in its own layout.

        Raises:
            ValueError: an unknown label, fewer than 3 frames, nobody in the clip, a layout that shares no point with the
                model's; or as in the pipeline.
        """
        target = None if label is None else self._label_number(label)
        sequence = to_landmarks(clip, self._landmarker, layout=self.processor.layout, fps=fps)
        if len(sequence) < _MIN_FRAMES:
            raise ValueError(
                f"The clip has {len(sequence)} frame{'s' * (len(sequence) != 1)}; heat over time needs at least {_MIN_FRAMES}."
            )
        if not sequence.seen.any():
            raise ValueError("Nobody was found in this clip; there is nothing to explain.")
        with _differentiable(self.model):
            features = self.processor(sequence, return_tensors="pt").to(self.model.device)
            values, mask = features["input_values"], features["attention_mask"]
            with torch.no_grad():
                logits = self.model(values, mask).logits[0].float()
            target = int(logits.argmax()) if target is None else target
            heat = self.attribute(values, mask, target)
        source = origin(self.processor, sequence)
        looked_at = np.zeros(source.shape[1], bool)
        points = source.points[:, (self.shares > 0).any(dim=0).numpy()]
        looked_at[points[points >= 0]] = True
        heat = source.carry(heat.detach().float().cpu().numpy())
        heat[~sequence.seen] = 0
        peak = heat.max()
        temperature = float(getattr(self.model.config, "logit_temperature", 1.0))
        return SignExplanation(
            heat=heat / peak if peak > 0 else heat,
            sequence=sequence,
            label=str(self.model.config.id2label[target]),
            label_id=target,
            score=float((logits / temperature).softmax(-1)[target]),
            method=self.method,
            looked_at=looked_at,
            video=_pictures(clip, fps),
        )

    def _landmarker(self) -> PoseEstimator:
        if self._estimator is None:
            self._estimator = default_estimator()
        return self._estimator

    def _label_number(self, label: str | int) -> int:
        names = {int(number): str(name) for number, name in self.model.config.id2label.items()}
        if isinstance(label, str):
            numbers = [number for number, name in names.items() if name == label]
            if numbers:
                return numbers[0]
        elif label in names:
            return int(label)
        near = difflib.get_close_matches(str(label), names.values(), n=3, cutoff=0.5)
        some = list(names.values())[:8]
        hint = f"did you mean {' or '.join(near)}?" if near else f"it knows {', '.join(some)}{' …' * (len(names) > 8)}."
        raise ValueError(f"The model has no label {label!r} among its {len(names)}; {hint}")


@contextmanager
def _differentiable(model: torch.nn.Module) -> Iterator[None]:
    """Gradients on, whatever the caller switched off; dropout off; cuDNN off, whose recurrent layers refuse gradients then."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        model.train(training)


def _pictures(clip: Any, fps: float | None) -> VideoSource | None:
    """What heat can be drawn onto, of the things that :func:`to_landmarks` takes; None for bare landmarks."""
    if isinstance(clip, Mapping):
        return None if "landmarks" in clip else clip.get("bytes") or clip.get("path")
    if isinstance(clip, (str, Path)):
        return None if Path(clip).suffix.lower() in LANDMARK_SUFFIXES and "://" not in str(clip) else clip
    if isinstance(clip, (bytes, bytearray, Video)):
        return clip
    if isinstance(clip, np.ndarray) and clip.dtype == np.uint8:
        return as_video(clip, fps=25.0 if fps is None else fps)
    return None
