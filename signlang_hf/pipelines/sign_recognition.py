"""``pipeline("sign-recognition")``: one clip → the signs that it most likely shows.

Whether a clip shows a sign of the vocabulary at all is decided by how known it looks (the model's ``unknown_score``) against a
threshold. An answer ``unknown`` says how sure that is on the scale of log-odds, where the threshold is even odds:

    P(known) = sigmoid(s(knownness) - s(threshold)),  s(x) = log(x / (1 - x)) for a probability,  x / logit_temperature else

``unknown`` gets 1 - P(known), which is more than one half, and the signs share the rest by their probabilities: an answer
always sums to 1 over all labels, and its order is that of its scores.

A video language model sees the frames themselves, and needs neither landmarks nor an estimator: its logits are the log-probabilities of
the labels as its answers.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from transformers.utils import logging

from ..landmarks import LandmarkSequence
from ..landmarks.normalize import hand_lead, mirror
from ..metrics.open_set.open_set import knownness
from ..video import VideoWarning
from .clip_pipeline import NOBODY, ClipPipeline, dealt
from .sides import mirror_image_wins

logger = logging.get_logger(__name__)

UNKNOWN = "unknown"
"""The label of a clip that shows no sign of the vocabulary."""
_IN_THE_MIRROR = "mirrored_"  # before the names of a mirror image's inputs
_SHORTEST = 3  # frames; with fewer there is no change of movement
_OF_THE_MODEL = "model"  # what an argument is called that the model's configuration decides


class SignRecognitionPipeline(ClipPipeline):
    """Isolated sign recognition on anything that shows one sign.

    Input, one or a list of: a video or image file (path, URL, bytes), a ``.npz``/``.pose``/``.npy`` landmark file, RGB frames
    (T, H, W, 3) uint8, one RGB image, a ``LandmarkSequence``, a dataset row; or a dataset or one of its columns.

    Call arguments:
        top_k: how many labels to return, best first (default 5).
        threshold: a clip that looks less known than this is answered ``unknown``: a number on the scale of the model's
            ``unknown_score``, None to accept every clip, or "model" (default) for the model's own ``unknown_threshold``.
        mirror_margin: a number reads the clip's mirror image as well, for left-handed signers and mirrored cameras, and answers
            for it where it is so many logits better known (0 treats both alike); None reads the clip alone; "model" (default)
            does as the model's own ``mirror_margin`` says.
        return_embedding: also return the clip's embedding.
        fps: frame rate of bare frames, 25 by default.
        batch_size: clips per forward pass.

    Returns:
        ``[{"label": str, "score": float}, …]`` per clip: the probabilities of softmax(logits / logit_temperature). A clip that shows
        none of the model's signs gives ``unknown`` first and then the closest ones, see the module. A clip in which nobody was
        found gives ``[{"label": None, "score": 0.0, "message": …}]``.
        With ``return_embedding`` a clip gives ``{"predictions": […], "embedding": [float, …]}``, the embedding being None where
        nobody was found.

    Example:
        >>> pipe = pipeline("sign-recognition")  # the model that comes with the package: 30 German signs
        >>> best, *others = pipe("clip.mp4", top_k=3)  # [{"label": "Haus", "score": 0.93}, …]
    """

    task_name = "sign-recognition"
    arguments = ("top_k", "threshold", "mirror_margin", "return_embedding", "fps")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._label_ids = None
        if self._sees_frames:
            self.feature_extractor.use_base_of(self.model)
            self._label_ids = self.feature_extractor.label_ids(self.model.config.labels)

    @property
    def _sees_frames(self) -> bool:
        """Whether the model looks at frames instead of landmarks."""
        return hasattr(self.model, "score_labels")

    def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        given = self._given(given, nullable=("threshold", "mirror_margin"))
        if given.get("top_k", 1) < 1:
            raise ValueError(f"top_k is {given['top_k']}; it must be at least 1.")
        if "threshold" in given:
            self._check_threshold(given["threshold"])
        if "mirror_margin" in given:
            _check_margin(given["mirror_margin"])
        return dealt(
            given,
            ("fps", "mirror_margin"),
            ("return_embedding", "mirror_margin"),
            ("top_k", "threshold", "return_embedding"),
        )

    def _check_threshold(self, threshold: Any) -> None:
        if threshold is None or threshold == _OF_THE_MODEL:
            return
        if isinstance(threshold, (bool, str)) or not math.isfinite(threshold):
            raise ValueError(
                f"threshold is {threshold!r}; it must be a number, None (accept every clip) or 'model' (the model's own)."
            )
        if self._unknown_score == "probability" and not 0 <= threshold <= 1:
            raise ValueError(f"threshold is {threshold}; this model scores by probability, so it must be in [0, 1].")

    # Models of other origin, such as exported ones, may lack these settings.
    @property
    def _unknown_score(self) -> str:
        return getattr(self.model.config, "unknown_score", "probability")

    @property
    def _temperature(self) -> float:
        return getattr(self.model.config, "logit_temperature", 1.0)

    def _margin(self, given: float | str | None) -> float | None:
        return getattr(self.model.config, "mirror_margin", None) if given == _OF_THE_MODEL else given

    def preprocess(
        self, inputs: Any, fps: float | None = None, mirror_margin: float | str | None = _OF_THE_MODEL
    ) -> dict[str, torch.Tensor]:
        processor = self.feature_extractor
        if self._sees_frames:
            return {**processor(inputs), "person_seen": torch.tensor([True])}
        sequence = self.landmarks(inputs, fps)
        _warn_of_short(sequence)
        # Tensors all, because only they can be batched.
        result = {**processor(sequence, return_tensors="pt"), "person_seen": torch.tensor([bool(sequence.seen.any())])}
        if self._margin(mirror_margin) is not None:
            image = processor(mirror(sequence), return_tensors="pt")
            result.update({_IN_THE_MIRROR + name: value for name, value in image.items()})
            result["lead"] = torch.tensor([hand_lead(sequence) or 0.0])
        return result

    def _forward(
        self,
        model_inputs: dict[str, torch.Tensor],
        return_embedding: bool = False,
        mirror_margin: float | str | None = _OF_THE_MODEL,
    ) -> dict[str, torch.Tensor]:
        person_seen, lead = model_inputs.pop("person_seen"), model_inputs.pop("lead", None)
        sides = [{}, {}]
        for name, value in model_inputs.items():
            sides[name.startswith(_IN_THE_MIRROR)][name.removeprefix(_IN_THE_MIRROR)] = value
        result = self._read(sides[0], return_embedding)
        if lead is not None:
            image = self._read(sides[1], return_embedding)
            logits = [side["logits"].float().cpu().numpy() for side in (result, image)]
            wins = torch.from_numpy(mirror_image_wins(*logits, lead.cpu().numpy(), self._margin(mirror_margin)))
            wins = wins.to(lead.device).unsqueeze(1)
            result = {name: torch.where(wins, image[name], value) for name, value in result.items()}
        return {**result, "person_seen": person_seen}

    def _read(self, inputs: dict[str, torch.Tensor], return_embedding: bool) -> dict[str, torch.Tensor]:
        if self._sees_frames:
            output = self.model.score_labels(label_ids=self._label_ids, **inputs)
        else:
            output = self.model(**inputs)
        result = {"logits": output.logits}
        if return_embedding:
            embedding = getattr(output, "embedding", None)
            if embedding is None:
                raise ValueError(f"{type(self.model).__name__} gives no embedding; leave return_embedding out.")
            result["embedding"] = embedding
        return result

    def postprocess(
        self,
        model_outputs: dict[str, torch.Tensor],
        top_k: int = 5,
        threshold: float | str | None = _OF_THE_MODEL,
        return_embedding: bool = False,
    ) -> list[dict[str, Any]] | dict[str, Any]:
        seen = bool(model_outputs["person_seen"].all())
        if threshold == _OF_THE_MODEL:
            threshold = getattr(self.model.config, "unknown_threshold", None)
        if seen:
            predictions = self._ranked(model_outputs["logits"].float(), threshold)[:top_k]
        else:
            predictions = [{"label": None, "score": 0.0, "message": NOBODY}]
        if not return_embedding:
            return predictions
        embedding = model_outputs["embedding"][0].float().tolist() if seen else None
        return {"predictions": predictions, "embedding": embedding}

    def _ranked(self, logits: torch.Tensor, threshold: float | None) -> list[dict[str, Any]]:
        """All labels of a clip with logits (1, C), best first; with ``unknown`` before them where it is not known enough."""
        known, first = 1.0, []
        if threshold is not None:
            score, temperature = self._unknown_score, self._temperature
            knowing = float(knownness(logits.numpy(), score, temperature)[0])
            if knowing < threshold:
                scale = _log_odds if score == "probability" else lambda value: value / temperature
                known = 1 / (1 + math.exp(min(scale(threshold) - scale(knowing), 700.0)))
                first = [{"label": UNKNOWN, "score": 1 - known}]
        scores, labels = (known * (logits[0] / self._temperature).softmax(-1)).sort(descending=True, stable=True)
        names = self.model.config.id2label
        return first + [{"label": names[i], "score": score} for i, score in zip(labels.tolist(), scores.tolist())]


def _check_margin(margin: Any) -> None:
    if margin is None or margin == _OF_THE_MODEL:
        return
    if isinstance(margin, (bool, str)) or not 0 <= margin < math.inf:
        raise ValueError(
            f"mirror_margin is {margin!r}; it must be a number of logits (0 or more), None (read the clip alone) or 'model'."
        )


def _log_odds(probability: float) -> float:
    probability = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(probability / (1 - probability))


def _warn_of_short(sequence: LandmarkSequence) -> None:
    if 0 < len(sequence) < _SHORTEST:
        warnings.warn(
            f"The clip is too short to show a movement ({len(sequence)} of at least {_SHORTEST} frames); the answer rests on the "
            "shape and place of the hands alone.",
            VideoWarning,
            stacklevel=2,
        )
