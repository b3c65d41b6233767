"""``pipeline("continuous-sign-recognition")``: a clip of several signs → its glosses, each with its confidence and its time.

Design decisions:

* A clip is never cut off: what is longer than the model's window is read in windows that overlap, and their log-probabilities are
  merged (see ``SignCTCProcessor.merge``) before anything is decoded, so a sign on a seam is found once. Windows of all clips
  share the batches.
* A gloss's time is that of the frames that voted for it, in seconds on the clip's own clock.
* A sentence's score is the geometric mean of its glosses' confidences: the probability of a whole path falls with every frame,
  so it would say how long the clip is and not how sure the answer is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.pipelines.base import ChunkPipeline

from ..decoding import Decoder
from .clip_pipeline import NOBODY, ClipPipeline, dealt
from .gloss_decoding import DECODING, check_decoding, decoder_options, own_decoding, save_own_decoding

NO_SIGN = "No sign was recognised in this clip."
"""The message of an answer about a clip that shows a person, but none of the model's signs."""


class ContinuousSignRecognitionPipeline(ClipPipeline, ChunkPipeline):
    """Continuous sign recognition on anything that shows a signed sentence.

    Input, one or a list of: a video (path, URL, bytes), a ``.npz``/``.pose``/``.npy`` landmark file, RGB frames (T, H, W, 3)
    uint8, a ``LandmarkSequence``, a dataset row; or a dataset or one of its columns; or the path of a folder, see
    :class:`~signlang_hf.pipelines.clip_pipeline.ClipPipeline`.

    Call arguments:
        beam_size: 1 takes the best gloss of every frame; more searches for the best sentence over so many prefixes. Here and below the
            default is what training chose (``decoder.json`` in the model's folder), and 1 where it chose nothing.
        language_model: a :class:`~signlang_hf.decoding.NgramModel` over the model's glosses, or an ARPA file; needs a beam
            and takes 10 where ``beam_size`` is not given.
        lm_weight, insertion_bonus: as for :func:`signlang_hf.decoding.beam_search`. A language model that is given counts 0.5 where
            training chose no weight, or 0 because its own was of no use.
        engine: ``auto``, ``numpy`` or ``flashlight``.
        fps: frame rate of bare frames, 25 by default.
        batch_size: windows per forward pass.

    Returns:
        ``{"glosses": [{"gloss": str, "score": float, "start": float, "end": float}, …], "score": float}`` per clip: confidences
        in [0, 1], times in seconds. Where there is nothing to read, ``glosses`` is empty, ``score`` is 0 and ``message`` says why.

    Example:
        >>> pipe = pipeline("continuous-sign-recognition", model="outputs/ctc")
        >>> glosses = [sign["gloss"] for sign in pipe("sentence.mp4", beam_size=10)["glosses"]]  # ["TODAY", "DOCTOR", "COME"]
    """

    task_name = "continuous-sign-recognition"
    arguments = (*DECODING, "fps")
    needs = ("SignCTCProcessor", "windows")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._decoders: list[tuple[dict[str, Any], Decoder]] = []
        super().__init__(*args, **kwargs)
        #: What training chose, see :mod:`.gloss_decoding`.
        self.own_decoding = own_decoding(self.model.name_or_path)
        outputs, words = self.model.config.vocab_size, len(self.feature_extractor.vocabulary)
        if outputs != words:
            raise ValueError(
                f"The model has {outputs} outputs (glosses, blank and unknown), the processor's vocabulary {words}; "
                "they were not saved together."
            )

    def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        said = self._given(given)
        check_decoding(said)
        return dealt(said, ("fps",), (), DECODING)

    def preprocess(self, inputs: Any, fps: float | None = None) -> Iterator[dict[str, Any]]:
        sequence = self.landmarks(inputs, fps)
        features = torch.from_numpy(np.ascontiguousarray(self.feature_extractor.extract(sequence)))
        windows = self._windows(len(features))
        for number, (start, end) in enumerate(windows):
            yield {
                "input_values": features[None, start:end],
                "attention_mask": torch.ones(1, end - start, dtype=torch.long),
                # What the whole clip needs in the end, on each of its windows: tensors all, because only they can be batched.
                "num_frames": torch.tensor([len(features)]),
                "clock": torch.tensor([[float(sequence.timestamps[0]), float(sequence.fps)]], dtype=torch.float64),
                "person_seen": torch.tensor([bool(sequence.seen.any())]),
                "is_last": number == len(windows) - 1,
            }

    def _forward(self, model_inputs: dict[str, Any]) -> dict[str, Any]:
        inputs = {name: model_inputs.pop(name) for name in ("input_values", "attention_mask")}
        output = self.model(**inputs)
        return {"log_probs": output.logits, "lengths": output.logit_lengths, **model_inputs}

    def postprocess(self, model_outputs: list[dict[str, Any]], **decoding: Any) -> dict[str, Any]:
        first = model_outputs[0]
        if not bool(first["person_seen"].all()):
            return {"glosses": [], "score": 0.0, "message": NOBODY}
        processor, stride = self.feature_extractor, self.model.config.temporal_stride
        log_probs = self._merged(model_outputs)
        found = self.decoder(**decoding)(log_probs)
        if not found.tokens:
            return {"glosses": [], "score": 0.0, "message": NO_SIGN}
        began, fps = first["clock"].reshape(-1, 2)[0].tolist()
        spans = np.array([[token.start, token.end] for token in found.tokens], float)
        times = began + processor.seconds(spans, stride, fps=fps)
        glosses = [
            {"gloss": processor.vocabulary[token.token], "score": float(token.score), "start": start, "end": end}
            for token, (start, end) in zip(found.tokens, times.tolist())
        ]
        return {"glosses": glosses, "score": sentence_score([sign["score"] for sign in glosses])}

    def probabilities(self, clip: Any, fps: float | None = None) -> tuple[np.ndarray, float]:
        """What the model says about each moment of one clip, before anything is decoded.

        Args:
            clip: one input, as for a call.
            fps: frame rate of bare frames.

        Returns:
            (T, V) natural logarithms over ``feature_extractor.vocabulary``, and how many seconds a row stands for.
        """
        outputs = [self.forward(window) for window in self.preprocess(clip, fps)]
        rate = float(outputs[0]["clock"].reshape(-1, 2)[0, 1])
        return self._merged(outputs), self.feature_extractor.seconds(1, self.model.config.temporal_stride, fps=rate)

    def _merged(self, model_outputs: list[dict[str, Any]]) -> np.ndarray:
        """(T, V) of the whole clip out of those of its windows."""
        parts = [
            window["log_probs"][0, : int(window["lengths"].reshape(-1)[0])].float().numpy() for window in model_outputs
        ]
        frames = int(model_outputs[0]["num_frames"].reshape(-1)[0])
        return self.feature_extractor.merge(parts, self._windows(frames), self.model.config.temporal_stride)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """As in :class:`SignPipeline`, and the decoder that training chose."""
        super().save_pretrained(save_directory, **kwargs)
        save_own_decoding(self.model.name_or_path, Path(save_directory))

    def _windows(self, num_frames: int) -> list[tuple[int, int]]:
        # Here, because this package may be imported while the models' own import is under way.
        from ..models.ctc import windows_of

        return windows_of(self.model, self.feature_extractor, num_frames)

    def ready(self, **arguments: Any) -> None:
        """As in :class:`ClipPipeline`; the language model is read too, if there is one."""
        *_, decoding = self._sanitize_parameters(**arguments)
        self.decoder(**{**self._postprocess_params, **decoding})

    def decoder(self, **decoding: Any) -> Decoder:
        """The decoder of these call arguments; made once, because a language model takes a while to read."""
        for said, decoder in self._decoders:
            if said.keys() == decoding.keys() and all(
                said[name] is decoding[name] or said[name] == decoding[name] for name in said
            ):
                return decoder
        made = Decoder(self.feature_extractor.vocabulary, **decoder_options(decoding, self.own_decoding))
        self._decoders.append((decoding, made))
        return made


def sentence_score(scores: list[float]) -> float:
    """Geometric mean of confidences; 0 where there is none."""
    if not scores or min(scores) <= 0:
        return 0.0
    return math.exp(sum(map(math.log, scores)) / len(scores))
