"""Continuous recognition while the signer signs: landmarks go in as they come, glosses come out when they are final.

Design decisions:

* A causal model reads every frame once and carries its state along. Any other model reads the windows of
  :meth:`SignCTCProcessor.windows`, one as soon as it is complete, and they fade into each other as in a whole clip. So in both cases
  the log-probabilities of a stream are those of :func:`clip_log_probs`, and its greedy glosses are those of the clip.
* A frame's features wait until nothing that follows can change them: a gap may still be closed for ``max_gap`` seconds, a
  derivative looks a frame ahead, a smoothing filter half its window. Together with the model that bounds the latency, which is stated.
* What is measured on a whole clip (its median place and size, the signing hand) is in a stream measured on the last ``max_frames``.
  Then glosses may differ from those of the whole clip, and :attr:`StreamingRecognizer.exact` is False. ``per_frame=True`` (or
  ``normalization="none"``) without a ``dominant_hand`` keeps it True, as long as the shoulders are seen.
* The past is forgotten: an endless stream needs no more room than one window.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from signlang_hf.decoding import DecodedToken, StreamingDecoder
from signlang_hf.landmarks import LandmarkSequence
from signlang_hf.models.ctc.modeling_ctc import SignForCTC
from signlang_hf.models.ctc.processing_ctc import SignCTCProcessor

# Feature → frames on each side that its derivatives look at.
_NEIGHBOURS = {"velocity": 1, "acceleration": 2, "hand_velocity": 1, "hand_acceleration": 2}
# Features whose unit is measured on the whole clip.
_OF_THE_CLIP = {"hand_shape", "hand_distance", "hands_relation"}
_TINY = 1e-9


def windows_of(model: SignForCTC, processor: SignCTCProcessor, num_frames: int) -> list[tuple[int, int]]:
    """Ranges of frames that a model reads one by one: the processor's windows. A causal model has no need of them: it forgets
    nothing at a seam, and a stream of the same frames gives the same."""
    return [(0, num_frames)] if model.config.causal else processor.windows(num_frames)


@torch.no_grad()
def clip_log_probs(
    model: SignForCTC, processor: SignCTCProcessor, features: np.ndarray, *, batch_size: int = 8
) -> np.ndarray:
    """Log-probabilities of a whole clip, however long.

    Args:
        features: (T, F) of :meth:`SignCTCProcessor.extract`.
        batch_size: windows in one forward pass.

    Returns:
        (T', V) float32.
    """
    windows = windows_of(model, processor, len(features))
    values = torch.from_numpy(np.ascontiguousarray(features, np.float32)).to(model.device)
    parts: list[np.ndarray] = []
    for first in range(0, len(windows), batch_size):
        batch = windows[first : first + batch_size]
        padded = torch.nn.utils.rnn.pad_sequence([values[start:stop] for start, stop in batch], batch_first=True)
        lengths = torch.tensor([stop - start for start, stop in batch], device=model.device)
        mask = torch.arange(padded.shape[1], device=model.device) < lengths[:, None]
        output = model(padded, mask)
        parts += [one[:length].cpu().numpy() for one, length in zip(output.logits, output.logit_lengths.tolist())]
    return processor.merge(parts, windows, model.config.temporal_stride)


class FeatureStream:
    """Features of a clip that goes on: those of :meth:`SignCTCProcessor.extract`, frame by frame as they become final.

    Args:
        processor: how features are made; with a ``target_fps``.

    Raises:
        ValueError: a setting that needs the whole clip.
    """

    def __init__(self, processor: SignCTCProcessor) -> None:
        if processor.target_fps is None:
            raise ValueError("A stream needs a clock; make the processor with a target_fps, such as 30.")
        if processor.align or processor.central_share < 1 or "trajectory" in processor.features:
            raise ValueError("align, central_share and the feature trajectory need the whole clip; a stream has none.")
        self.processor = processor
        local = processor.per_frame and processor.normalization not in ("palm", "body")
        measured = (
            processor.dominant_hand or processor.track_hands or processor.repair or {*processor.features} & _OF_THE_CLIP
        )
        self.exact = (local or processor.normalization == "none") and not measured
        ahead = max((_NEIGHBOURS.get(feature, 0) for feature in processor.features), default=0)
        self._ahead = ahead + processor.smooth_window // 2
        self._gap = math.ceil(processor.max_gap * processor.target_fps)
        memory = self._ahead + self._gap + 3
        self._memory = memory if self.exact else max(memory, processor.max_frames)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next frames begin a new clip."""
        self._frames: LandmarkSequence | None = None
        self._origin = 0.0  # time of the first frame
        self._base = 0  # frame on the processor's clock at which what is remembered begins
        self._given = 0  # frames whose features were handed out

    @property
    def latency(self) -> float:
        """Seconds after a frame at which its features are final, up to the rate of the incoming frames."""
        return self.processor.max_gap + (self._ahead + 1) / self.processor.target_fps

    @property
    def origin(self) -> float:
        """Time stamp of the first frame, in seconds on the clock of the frames."""
        return self._origin

    def push(self, sequence: LandmarkSequence, at_least: int = 1) -> np.ndarray:
        """Take in the next frames.

        Args:
            sequence: they, with time stamps that go on; same layout, units and picture size as before.
            at_least: fewer final frames than this are kept back for the next call.

        Returns:
            (t, F) float32 features that are final now.
        """
        self._append(sequence)
        if self._frames is None:
            return np.zeros((0, self.processor.feature_size), np.float32)
        fps, clock = self.processor.target_fps, self._frames.timestamps
        settled = clock[
            clock <= clock[-1] - self.processor.max_gap + _TINY
        ]  # no gap that reaches them can still be closed
        count = math.floor((settled[-1] - self._origin - _TINY) * fps) + 1 - self._ahead if len(settled) else 0
        if count - self._given < max(at_least, 1):
            return np.zeros((0, self.processor.feature_size), np.float32)
        features = self.processor.extract(self._frames)[self._given - self._base : count - self._base]
        self._given = count
        self._forget()
        return features

    def finish(self) -> np.ndarray:
        """(t, F) features of all frames that are left; the next frames begin a new clip."""
        features = np.zeros((0, self.processor.feature_size), np.float32)
        if self._frames is not None:
            features = self.processor.extract(self._frames)[self._given - self._base :]
        self.reset()
        return features

    def _append(self, sequence: LandmarkSequence) -> None:
        if not isinstance(sequence, LandmarkSequence):
            raise ValueError(f"A stream takes LandmarkSequences with time stamps; got {type(sequence).__name__}.")
        if len(sequence) == 0:
            return
        sequence, before = sequence.replace(world=None), self._frames
        if before is None:
            self._frames, self._origin = sequence, float(sequence.timestamps[0])
            return
        for name in ("layout", "units", "size"):
            if getattr(before, name) != getattr(sequence, name):
                raise ValueError(
                    f"The frames change their {name} from {getattr(before, name)} to {getattr(sequence, name)}; "
                    "finish() the stream first."
                )
        if sequence.timestamps[0] <= before.timestamps[-1]:
            raise ValueError(
                f"The frames begin at {sequence.timestamps[0]:g} s, but those before end at {before.timestamps[-1]:g} s; "
                "time stamps must go on."
            )
        joined = {
            name: np.concatenate([getattr(before, name), getattr(sequence, name)])
            for name in ("data", "visibility", "timestamps")
        }
        self._frames = before.replace(**joined)

    def _forget(self) -> None:
        """Drop what no later frame looks at, and keep the clock: what is left begins at one of the processor's own frames."""
        base = self._given - self._memory
        if base <= self._base:
            return
        start = self._origin + base / self.processor.target_fps
        kept = self._frames.frames(self._frames.timestamps > start + _TINY)
        # In the place of the frame at which it begins stands one in which nothing was seen; nobody asks for its features.
        self._frames = kept.replace(
            data=np.concatenate([np.full_like(kept.data[:1], np.nan), kept.data]),
            visibility=np.concatenate([np.zeros_like(kept.visibility[:1]), kept.visibility]),
            timestamps=np.concatenate([[start], kept.timestamps]),
        )
        self._base = base


class StreamingRecognizer:
    """Glosses while frames come in.

    Args:
        model: in evaluation. A causal one answers soon after a sign, any other after a window.
        processor: the one that was saved with it.
        chunk_frames: frames that a causal model waits for before it reads them together; 1 answers soonest and costs most.
        **decoding: options of :class:`signlang_hf.decoding.StreamingDecoder`: ``method``, ``beam_size``, ``language_model`` …

    Raises:
        ValueError: model and processor do not belong together, or a setting needs the whole clip.

    Example:
        >>> stream = StreamingRecognizer(model, processor)
        >>> heard = [sign for piece in pieces for sign in stream.push(piece)]  # LandmarkSequences with time stamps that go on
        >>> heard += stream.finish()  # [{"gloss": "TODAY", "score": 0.93, "start": 0.4, "end": 0.9}, …]
    """

    def __init__(
        self, model: SignForCTC, processor: SignCTCProcessor, *, chunk_frames: int = 8, **decoding: Any
    ) -> None:
        if model.config.vocab_size != len(processor.vocabulary):
            raise ValueError(
                f"The model has {model.config.vocab_size} columns and the processor's vocabulary {len(processor.vocabulary)}; "
                "take both from one folder."
            )
        if model.training:
            raise ValueError("The model is in training; call eval() on it first.")
        if chunk_frames < 1:
            raise ValueError(f"chunk_frames is {chunk_frames}; it must be at least 1.")
        self.model, self.processor, self.chunk_frames = model, processor, chunk_frames
        self._features = FeatureStream(processor)
        self._decoder = StreamingDecoder(processor.vocabulary, processor.blank_token_id, **decoding)
        self._reset()

    def _reset(self) -> None:
        self._state: Any = None
        self._waiting = np.zeros(
            (0, self.processor.feature_size), np.float32
        )  # features from the next window's first on
        self._next = 0  # where that window begins
        self._parts: list[tuple[np.ndarray, tuple[int, int]]] = []  # windows that reach frames not yet final
        self._final = 0  # output frames handed to the decoder

    @property
    def exact(self) -> bool:
        """Whether the features, and so the greedy glosses, are those of the whole clip."""
        return self._features.exact

    @property
    def latency(self) -> float:
        """Seconds from the end of a sign to its gloss at most, up to the rate of the incoming frames."""
        fps, stride = self.processor.target_fps, self.model.config.temporal_stride
        frames = self.chunk_frames if self.model.config.causal else self.processor.max_frames + 1
        steps = 1 if self._decoder.method == "greedy" else self._decoder.max_latency
        return self._features.latency + (frames + (steps + 1) * stride) / fps

    def push(self, sequence: LandmarkSequence) -> list[dict[str, Any]]:
        """Take in the next frames.

        Args:
            sequence: they, with time stamps that go on.

        Returns:
            the glosses that became final: ``{"gloss", "score" in [0, 1], "start", "end" in seconds on the frames' clock}``.

        Raises:
            ValueError: frames that do not continue those before.
        """
        if self.model.config.causal:
            due = self.chunk_frames
        else:  # what completes the next window, and a frame more, which says that it is not the last
            due = self.processor.max_frames + 1 - len(self._waiting)
        return self._read(self._features.push(sequence, due), last=False)

    def finish(self) -> list[dict[str, Any]]:
        """The glosses that are left at the end of the stream; the next frames begin a new one."""
        origin, rest = self._features.origin, self._features.finish()
        found = self._read(rest, last=True, origin=origin)
        found += self._glosses(self._decoder.finish(), origin)
        self._reset()
        return found

    def _read(self, features: np.ndarray, last: bool, origin: float | None = None) -> list[dict[str, Any]]:
        log_probs = self._causal(features, last) if self.model.config.causal else self._windowed(features, last)
        tokens = self._decoder.push(log_probs) if len(log_probs) else []
        return self._glosses(tokens, self._features.origin if origin is None else origin)

    def _causal(self, features: np.ndarray, last: bool) -> np.ndarray:
        if not len(features) and (not last or self._state is None):
            return np.zeros((0, self.model.config.vocab_size), np.float32)
        values = torch.from_numpy(np.ascontiguousarray(features)).to(self.model.device)[None]
        log_probs, self._state = self.model.step(values, self._state, final=last)
        return log_probs[0].cpu().numpy()

    def _windowed(self, features: np.ndarray, last: bool) -> np.ndarray:
        """Output frames that no window to come reads, (t', V)."""
        processor, stride = self.processor, self.model.config.temporal_stride
        self._waiting = np.concatenate([self._waiting, features])
        final: list[np.ndarray] = []
        while len(self._waiting) > processor.max_frames or (last and len(self._waiting)):
            window = self._waiting[: processor.max_frames]
            is_last = len(self._waiting) <= processor.max_frames
            self._parts.append((clip_log_probs(self.model, processor, window), (self._next, self._next + len(window))))
            merged, begin = self._merged(stride)
            self._next += processor.hop
            self._waiting = self._waiting[:0] if is_last else self._waiting[processor.hop :]
            stop = begin + len(merged) if is_last else self._next // stride
            final.append(merged[self._final - begin : stop - begin])
            self._final = stop
            self._parts = [part for part in self._parts if part[1][1] > self._next]
        return np.concatenate(final) if final else np.zeros((0, self.model.config.vocab_size), np.float32)

    def _merged(self, stride: int) -> tuple[np.ndarray, int]:
        """The windows that are remembered as one, and the output frame at which it begins."""
        begin = self._parts[0][1][0]
        windows = [(start - begin, stop - begin) for _, (start, stop) in self._parts]
        return self.processor.merge([part for part, _ in self._parts], windows, stride), begin // stride

    def _glosses(self, tokens: list[DecodedToken], origin: float) -> list[dict[str, Any]]:
        stride, vocabulary = self.model.config.temporal_stride, self.processor.vocabulary
        return [
            {
                "gloss": vocabulary[token.token],
                "score": float(token.score),
                "start": float(origin + self.processor.seconds(token.start, stride)),
                "end": float(origin + self.processor.seconds(token.end, stride)),
            }
            for token in tokens
        ]


__all__ = ["FeatureStream", "StreamingRecognizer", "clip_log_probs"]
