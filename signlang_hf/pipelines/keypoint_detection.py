"""``pipeline("sign-keypoint-detection")``: a picture of a person → where its points are, in pixels of that picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from ..video import Video
from ..video.sources import to_rgb
from .clip_pipeline import SignPipeline, dealt, is_number


@dataclass(frozen=True, eq=False)
class _Look:
    """A picture, and the part of it to look at."""

    picture: Any
    box: Any


class SignKeypointDetectionPipeline(SignPipeline):
    """Keypoints of one person in a picture, or in the part of it that a box shows.

    Input, one or a list of: an image file (path, URL, bytes), a PIL image, an array (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16,
    a dataset row with ``image``; frames (T, H, W, 3) or a ``Video``, which are T pictures; or a dataset or one of its columns.

    A model that has a detector of hands beside it (:mod:`signlang_hf.models.detector.processing_hands`) looks at the hands again.

    Call arguments:
        boxes: x0, y0, x1, y1 in pixels of the picture: one box for each of the pictures (None: all of it); several for a single picture
            are several people in it. They may reach beyond the picture.
        threshold: points with a lower score are left out; default the processor's ``keypoint_threshold``. 0 keeps all.
        decoding: ``dark``, ``quarter`` or ``soft-argmax``; default the processor's.
        hands: False looks at the hands only once; default True.
        batch_size: pictures per forward pass.

    Returns:
        for each picture ``{"keypoints": [{"name": str, "x": float, "y": float, "score": float}, …], "score": float}``: pixels from the
        picture's left top corner, in the order of the layout, and the mean of the scores. Where no point is left it is ``[]`` and 0.

    Raises:
        ValueError: a checkpoint with other points than its processor's layout has, when the pipeline is made.

    Example:
        >>> pipe = pipeline("sign-keypoint-detection")  # the model that comes with the package: 64 points
        >>> pipe("photo.jpg", threshold=0.0)["keypoints"][0]
        {'name': 'nose', 'x': ..., 'y': ..., 'score': ...}
    """

    task_name = "sign-keypoint-detection"
    arguments = ("threshold", "decoding", "hands")
    needs: ClassVar[tuple[str, str]] = ("SignDetectorProcessor", "post_process_keypoint_detection")
    part = "image_processor"

    _load_feature_extractor = False
    _load_image_processor = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_processor.require_model(self.model)
        if self.device.type == "cpu" and getattr(self.model, "dtype", None) == torch.float16:
            self.model.float()  # most processors have no half precision and take ten times as long with it
        self.second_look = self._hands_beside()
        if self.second_look:
            self.second_look.to(self.device)

    def _hands_beside(self) -> Any:
        """The detector of hands that lies beside the model, if one does."""
        if hasattr(self.model, "hand_detector"):  # exported models know how theirs is run
            return self.model.hand_detector(self.image_processor.layout)
        from ..models.detector import HandDetector

        name = getattr(self.model, "name_or_path", "")
        return name and HandDetector.beside(name, self.image_processor.layout, dtype=self.model.dtype)

    def __call__(self, inputs: Any, *, boxes: Any = None, **kwargs: Any) -> Any:
        if isinstance(inputs, Video):
            inputs = inputs.frames
        if isinstance(inputs, np.ndarray) and inputs.ndim == 4:
            inputs = list(inputs)
        if isinstance(inputs, (list, tuple)) and len(inputs) == 0:
            return []
        return super().__call__(inputs if boxes is None else _with_boxes(inputs, boxes), **kwargs)

    def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        given = self._given(given)
        threshold = given.get("threshold", 0)
        if not is_number(threshold) or not 0 <= threshold <= 1:
            raise ValueError(f"threshold is {threshold!r}; it must be a number in [0, 1].")
        if not isinstance(given.get("hands", True), bool):
            raise ValueError(f"hands is {given['hands']!r}; it must be True or False.")
        return dealt(given, ("hands",), ("decoding",), ("threshold",))

    def preprocess(self, inputs: Any, hands: bool = True) -> dict[str, Any]:
        look = inputs if isinstance(inputs, _Look) else _Look(inputs, None)
        picture = to_rgb(_picture(look.picture))
        ready = dict(self.image_processor([picture], boxes=[look.box], return_tensors="pt"))
        return ready | ({"picture": picture} if self.second_look and hands else {})

    def _forward(self, model_inputs: dict[str, Any], decoding: str | None = None) -> dict[str, Any]:
        outputs = self.model(pixel_values=model_inputs["pixel_values"])
        # Here, so that a few points leave the device instead of all the heatmaps.
        points, scores = (values.cpu().numpy() for values in self.image_processor.decode(outputs, decoding))
        points = self.image_processor.to_image(points, model_inputs["crops"])
        if "picture" in model_inputs:
            pictures = model_inputs["picture"]
            batch = pictures if isinstance(pictures, list) else [pictures]
            points, scores = self.second_look(batch, points, scores)
        return {"points": torch.from_numpy(points), "scores": torch.from_numpy(scores)}

    def postprocess(self, model_outputs: dict[str, torch.Tensor], threshold: float | None = None) -> dict[str, Any]:
        processor = self.image_processor
        threshold = processor.keypoint_threshold if threshold is None else threshold
        rows = zip(processor.keypoints, model_outputs["points"][0].tolist(), model_outputs["scores"][0].tolist())
        found = [{"name": name, "x": x, "y": y, "score": score} for name, (x, y), score in rows if score >= threshold]
        return {"keypoints": found, "score": float(np.mean([row["score"] for row in found])) if found else 0.0}


def _picture(source: Any) -> Any:
    """The picture of a dataset row; anything else as it is."""
    if not isinstance(source, Mapping):
        return source
    for name in ("image", "bytes", "path"):  # a row, or datasets.Image(decode=False)
        if source.get(name) is not None:
            return _picture(source[name])
    raise ValueError(f"A dataset row needs an 'image', or its 'bytes' or 'path'; it has {', '.join(source)}.")


def _with_boxes(inputs: Any, boxes: Any) -> list[_Look] | Iterator[_Look] | _Look:
    """Each picture with its box."""
    boxes = boxes.tolist() if isinstance(boxes, (np.ndarray, torch.Tensor)) else list(boxes)
    several = isinstance(inputs, (list, tuple)) or not (
        isinstance(inputs, (str, bytes, Mapping, np.ndarray))
        or hasattr(inputs, "convert")
        or not hasattr(inputs, "__iter__")
    )
    if several:
        if hasattr(inputs, "__len__") and len(inputs) != len(boxes):
            raise ValueError(
                f"There are {len(boxes)} boxes for {len(inputs)} pictures; give one for each, None for the whole picture."
            )
        looks = (_Look(picture, box) for picture, box in zip(inputs, boxes, strict=True))
        return list(looks) if isinstance(inputs, (list, tuple)) else looks
    if len(boxes) == 4 and all(np.ndim(value) == 0 and value is not None for value in boxes):
        return _Look(inputs, boxes)
    return [_Look(inputs, box) for box in boxes]


__all__ = ["SignKeypointDetectionPipeline"]
