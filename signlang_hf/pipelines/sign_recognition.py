"""``pipeline("sign-recognition")``: one clip → the signs that it most likely shows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from transformers import Pipeline
from transformers.utils import logging

from ..pose import PoseEstimator, default_estimator
from .inputs import to_landmarks, with_clock_and_size

logger = logging.get_logger(__name__)


class SignRecognitionPipeline(Pipeline):
    """Isolated sign recognition on anything that shows one sign.

    Input, one or a list of: a video or image file (path, URL, bytes), a ``.npz``/``.pose``/``.npy`` landmark file, RGB frames
    (T, H, W, 3) uint8, one RGB image, a ``LandmarkSequence``, a dataset row; or a dataset or one of its columns.

    Call arguments:
        top_k: how many labels to return, best first (default 5).
        fps: frame rate of bare frames, 25 by default.
        batch_size: clips per forward pass.

    Returns:
        ``[{"label": str, "score": float}, …]`` per clip, scores being softmax probabilities. A clip in which nobody was
        found gives ``[{"label": None, "score": 0.0, "message": …}]``.

    Example:
        >>> pipe = pipeline("sign-recognition", model="outputs/demo")
        >>> pipe("clip.mp4", top_k=3)
    """

    _load_processor = False
    _load_feature_extractor = True
    _load_image_processor = False
    _load_video_processor = False
    _load_tokenizer = False

    def __init__(self, *args: Any, estimator: PoseEstimator | None = None, **kwargs: Any) -> None:
        self._estimator = estimator
        super().__init__(*args, **kwargs)
        if not hasattr(self.feature_extractor, "layout"):
            given = "none" if self.feature_extractor is None else type(self.feature_extractor).__name__
            raise ValueError(f"sign-recognition needs a SignKeypointProcessor as feature_extractor; got {given}.")
        size = getattr(self.model.config, "input_size", None)
        if size is not None and size != self.feature_extractor.feature_size:
            raise ValueError(
                f"The model takes {size} features a frame, the processor makes {self.feature_extractor.feature_size}; "
                "they were not saved together."
            )

    @property
    def estimator(self) -> PoseEstimator:
        """The pose estimator; made when the first picture comes in, so landmark files never need one."""
        if self._estimator is None:
            self._estimator = default_estimator()
        return self._estimator

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        inputs = with_clock_and_size(inputs)
        if type(inputs).__module__.partition(".")[0] == "datasets" and not isinstance(inputs, Mapping):
            return list(super().__call__((row for row in inputs), **kwargs))  # lazily, row by row
        if isinstance(inputs, (list, tuple)) and len(inputs) == 0:
            return []
        return super().__call__(list(inputs) if isinstance(inputs, tuple) else inputs, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save model and processor. Unlike in transformers the pipeline's code stays here: a folder that brings its own
        would only load with ``trust_remote_code=True``."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.feature_extractor.save_pretrained(save_directory, **kwargs)

    def _sanitize_parameters(
        self, top_k: int | None = None, fps: float | None = None, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if kwargs:
            raise TypeError(f"sign-recognition does not know {', '.join(kwargs)}; it takes top_k, fps and batch_size.")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k is {top_k}; it must be at least 1.")
        if fps is not None and not 0 < fps < float("inf"):
            raise ValueError(f"fps is {fps}; it must be a positive number.")
        return ({} if fps is None else {"fps": fps}), {}, ({} if top_k is None else {"top_k": top_k})

    def preprocess(self, inputs: Any, fps: float | None = None) -> dict[str, torch.Tensor]:
        processor = self.feature_extractor
        sequence = to_landmarks(inputs, lambda: self.estimator, layout=processor.layout, fps=fps)
        features = processor(sequence, return_tensors="pt")
        # A tensor, because only tensors can be batched with the rest.
        return {**features, "person_seen": torch.tensor([bool(sequence.seen.any())])}

    def _forward(self, model_inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        person_seen = model_inputs.pop("person_seen")
        return {"logits": self.model(**model_inputs).logits, "person_seen": person_seen}

    def postprocess(self, model_outputs: dict[str, torch.Tensor], top_k: int = 5) -> list[dict[str, Any]]:
        if not model_outputs["person_seen"].all():
            return [{"label": None, "score": 0.0, "message": "Nobody was found in this clip."}]
        probabilities = model_outputs["logits"][0].float().softmax(-1)
        scores, labels = probabilities.topk(min(top_k, len(probabilities)))
        names = self.model.config.id2label
        return [{"label": names[label], "score": score} for score, label in zip(scores.tolist(), labels.tolist())]
