"""Sentences out of a stream of landmarks, as events: a gloss when it is final, and the sentence after a rest.

Design decisions:

* When somebody signs is the gate's rule, with longer pauses (:data:`SENTENCE_RULE`): between two signs hands may hang or stand for a
  moment. Where the signs are within a sentence, the model alone says.
* The model reads the same frames as a clip of the sentence would have: from ``margin`` before the start to ``margin`` after the hands
  were last up. So glosses are those of the pipeline on that clip wherever ``StreamingRecognizer.exact`` says so.
* It reads them in chunks, while they come. How soon a gloss comes is the model's: a causal one answers while the sentence goes on, any
  other after a window, or at the end.
* What takes less than ``shortest`` is not read at all, so a hand that scratches a nose says nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .continuous import ContinuousSignRecognitionPipeline, sentence_score
from .gate import SignRule
from .gloss_decoding import DECODING, decoder_options
from .sign_translation import SignTranslationPipeline
from .stream import LandmarkStream, StreamEvent, joined

SENTENCE_RULE = SignRule(rest=1.0, hold=2.0, longest=60.0)
"""When a sentence starts and ends unless another rule is given."""


class SentenceStream(LandmarkStream):
    """One stream of landmarks, and the sentences in it.

    Args:
        pipe: a ``continuous-sign-recognition`` pipeline, or a ``sign-translation`` one, whose sentences have a text. Streams share its
            model, and each has a decoder of its own.
        rule: when sentences start and end.
        chunk_frames: frames that a causal model waits for before it reads them together.
        mirrored: whether the landmarks are those of a mirror image.
        **arguments: call arguments of the pipeline, such as ``beam_size``; default: what the pipeline was made with.

    Raises:
        ValueError: arguments that do not go together, or a model that needs the whole clip.

    Example:
        >>> stream = SentenceStream(pipeline("sign-translation"))
        >>> for piece in pieces:  # LandmarkSequences with time stamps, of one frame or more
        ...     for event in stream.push(piece):
        ...         print(event.kind, event)
        sign_started signing …
        ...
    """

    def __init__(
        self,
        pipe: ContinuousSignRecognitionPipeline | SignTranslationPipeline,
        rule: SignRule | None = None,
        *,
        chunk_frames: int = 8,
        mirrored: bool = False,
        **arguments: Any,
    ) -> None:
        # Here, because this package may be imported while the models' own import is under way.
        from ..models.ctc.processing_stream import StreamingRecognizer

        if not isinstance(pipe, (ContinuousSignRecognitionPipeline, SignTranslationPipeline)):
            raise ValueError(
                "Live sentences need a pipeline of continuous-sign-recognition or sign-translation; "
                f"this one is of {getattr(pipe, 'task_name', type(pipe).__name__)}."
            )
        super().__init__(rule or SENTENCE_RULE, mirrored=mirrored)
        *_, said = pipe._sanitize_parameters(**arguments)
        # A stream has an engine of its own.
        standing = {name: value for name, value in pipe._postprocess_params.items() if name != "engine"}
        said = {**standing, **said}
        self._translator = pipe.translator if isinstance(pipe, SignTranslationPipeline) else None
        self._search = {name: value for name, value in said.items() if name not in DECODING}
        recognizer = pipe if self._translator is None else pipe.recognizer
        if not hasattr(recognizer.feature_extractor, "layout"):
            raise ValueError(
                "Live recognition finds signs by their landmarks; a video language model sees none. Give it whole clips."
            )
        own = {name: value for name, value in recognizer.own_decoding.items() if name != "engine"}
        self._reader = StreamingRecognizer(
            recognizer.model, recognizer.feature_extractor, chunk_frames=chunk_frames, **decoder_options(said, own)
        )
        self._glosses: list[dict[str, Any]] = []
        self._read_to = float("-inf")  # time of the last frame that the model has seen

    @property
    def latency(self) -> float:
        """Seconds from the end of a sign to its gloss at most, while the sentence goes on; its end brings out all that is left."""
        return self._reader.latency

    def _goes_on(self, seconds: float, start: float, up: float) -> list[StreamEvent]:
        return self._read(start, up) if up - start >= self.rule.shortest else []

    def _ended(self, start: float, end: float) -> list[StreamEvent]:
        events = self._read(start, end) + self._final(self._reader.finish())
        glosses, self._glosses, self._read_to = self._glosses, [], float("-inf")
        if not glosses:
            return [*events, StreamEvent("idle", self.last, start, end, reason="nothing")]
        idle = StreamEvent("idle", self.last, start, end, reason="sentence")
        return [*events, self._sentence(start, end, glosses), idle]

    def _read(self, start: float, end: float) -> list[StreamEvent]:
        """Give the model the frames of this stretch and the margins around it that it has not seen."""
        low, high = max(start - self.rule.margin, self._read_to), end + self.rule.margin
        new = [
            frame
            for frame in self._frames
            if low <= frame.timestamps[0] <= high and frame.timestamps[0] > self._read_to
        ]
        if not new:
            return []
        self._read_to = float(new[-1].timestamps[0])
        # Those that the next sentence may begin with stay, and those that still wait to be read.
        since = min(self._read_to, self.last - self.rule.margin)
        self._frames = deque(frame for frame in self._frames if frame.timestamps[0] > since)
        return self._final(self._reader.push(joined(new)))

    def _final(self, signs: list[dict[str, Any]]) -> list[StreamEvent]:
        self._glosses += signs
        return [
            StreamEvent("gloss", self.last, sign["start"], sign["end"], sign["gloss"], sign["score"]) for sign in signs
        ]

    def _sentence(self, start: float, end: float, glosses: list[dict[str, Any]]) -> StreamEvent:
        score, known = sentence_score([one["score"] for one in glosses]), {}
        if self._translator is not None:
            sentence = self._translator([[gloss["gloss"] for gloss in glosses]], **self._search)[0]
            score *= sentence["score"]
            known = {"text": sentence["text"], "message": sentence.get("message")}
        return StreamEvent("sentence", self.last, start, end, score=score, glosses=tuple(glosses), **known)


__all__ = ["SENTENCE_RULE", "SentenceStream"]
