"""Sentences from a running camera: frames go in one by one, a gloss comes out when it is final, and a sentence after a rest.

Design decisions:

* When somebody signs is the rule of :mod:`signlang_hf.pipelines.gate`, with longer pauses (:data:`SENTENCE_RULE`): between two signs
  hands may hang or stand for a moment. Where the signs are within a sentence, the model alone says.
* The model reads the same frames as a clip of the sentence would have: from ``margin`` before the start to ``margin`` after the hands
  were last up. So glosses are those of the pipeline on that clip wherever ``StreamingRecognizer.exact`` says so.
* What takes less than ``shortest`` is not read at all, so a hand that scratches a nose says nothing.
* How soon a gloss comes is the model's: a causal one answers while the sentence goes on, any other after a window, or at the end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .continuous import ContinuousSignRecognitionPipeline, sentence_score
from .gate import SignRule
from .gloss_decoding import DECODING, decoder_options
from .live_stream import LiveStream
from .sign_translation import SignTranslationPipeline

SENTENCE_RULE = SignRule(rest=1.0, hold=2.0, longest=60.0)
"""When a sentence starts and ends unless another rule is given."""


@dataclass(frozen=True)
class LiveGloss:
    """A gloss that is final: its confidence in [0, 1], its time in seconds on the clock of the frames. As text ``DOCTOR 93 %``."""

    gloss: str
    score: float
    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.gloss} {100 * self.score:.0f} %"


@dataclass(frozen=True)
class LiveSentence:
    """A sentence that has ended: when somebody signed, and what the pipeline answers about a clip; ``text`` is None where nothing
    translates, ``message`` where there is nothing to say about the text. As text it is its text, or its glosses."""

    start: float
    end: float
    glosses: list[dict[str, Any]]
    score: float
    text: str | None = None
    message: str | None = None

    def __str__(self) -> str:
        return " ".join(sign["gloss"] for sign in self.glosses) if self.text is None else self.text


class LiveSentences(LiveStream["LiveGloss | LiveSentence"]):
    """Reads sentences while frames come in.

    Args:
        pipe: a ``continuous-sign-recognition`` pipeline, or a ``sign-translation`` one, whose sentences have a text; its pose estimator
            looks at every frame once.
        rule: when sentences start and end.
        chunk_frames: frames that a causal model waits for before it reads them together.
        **arguments: call arguments of the pipeline, such as ``beam_size``; default: what the pipeline was made with.

    Raises:
        ValueError: arguments that do not go together, a model that needs the whole clip, or an estimator that sees no hands.

    Example:
        >>> live = LiveSentences(pipeline("sign-translation", model="runs/composite"))
        >>> for seconds, frame in camera:  # frame (H, W, 3) uint8 RGB, not mirrored
        ...     for found in live.process(frame, seconds):
        ...         print(found)  # every gloss as it becomes final, and then the sentence
    """

    def __init__(
        self,
        pipe: ContinuousSignRecognitionPipeline | SignTranslationPipeline,
        rule: SignRule | None = None,
        *,
        chunk_frames: int = 8,
        **arguments: Any,
    ) -> None:
        # Here, because this package may be imported while the models' own import is under way.
        from ..models.ctc.processing_stream import StreamingRecognizer

        if not isinstance(pipe, (ContinuousSignRecognitionPipeline, SignTranslationPipeline)):
            raise ValueError(
                "Live sentences need a pipeline of continuous-sign-recognition or sign-translation; "
                f"this one is of {getattr(pipe, 'task_name', type(pipe).__name__)}."
            )
        super().__init__(pipe, rule or SENTENCE_RULE)
        *_, said = pipe._sanitize_parameters(**arguments)
        # A stream has an engine of its own.
        standing = {name: value for name, value in pipe._postprocess_params.items() if name != "engine"}
        said = {**standing, **said}
        self._translator = pipe.translator if isinstance(pipe, SignTranslationPipeline) else None
        self._search = {name: value for name, value in said.items() if name not in DECODING}
        recognizer = pipe if self._translator is None else pipe.recognizer
        own = {name: value for name, value in recognizer.own_decoding.items() if name != "engine"}
        self._stream = StreamingRecognizer(
            recognizer.model, recognizer.feature_extractor, chunk_frames=chunk_frames, **decoder_options(said, own)
        )
        self._glosses: list[LiveGloss] = []
        self._read_to = float("-inf")  # time of the last frame that the model has seen

    @property
    def latency(self) -> float:
        """Seconds from the end of a sign to its gloss at most, while the sentence goes on; its end brings out all that is left."""
        return self._stream.latency

    def _go_on(self) -> list[LiveGloss | LiveSentence]:
        start, up = self._gate.start, self._gate.up
        assert start is not None
        return list(self._read(start, up)) if up - start >= self.rule.shortest else []

    def _end(self, start: float, end: float) -> list[LiveGloss | LiveSentence]:
        if end - start < self.rule.shortest:
            return []
        found = self._read(start, end) + self._final(self._stream.finish())
        glosses, self._glosses, self._read_to = self._glosses, [], float("-inf")
        return [*found, self._sentence(start, end, glosses)] if glosses else []

    def _read(self, start: float, end: float) -> list[LiveGloss]:
        """Give the model the frames of this stretch and the margins around it that it has not seen."""
        low, high = max(start - self.rule.margin, self._read_to), end + self.rule.margin
        new = [
            (seconds, found) for seconds, found in self._frames if low <= seconds <= high and seconds > self._read_to
        ]
        if not new:
            return []
        clock, detections = zip(*new)
        self._read_to = clock[-1]
        sequence = self._pipe.estimator.sequence(list(detections), np.array(clock), self._size)
        # Those that the next sentence may begin with stay, and those that still wait to be read.
        kept = [
            one for one in self._frames if one[0] > self._read_to or one[0] >= self._frames[-1][0] - self.rule.margin
        ]
        self._frames = deque(kept)
        return self._final(self._stream.push(sequence))

    def _final(self, signs: list[dict[str, Any]]) -> list[LiveGloss]:
        found = [LiveGloss(**sign) for sign in signs]
        self._glosses += found
        return found

    def _sentence(self, start: float, end: float, glosses: list[LiveGloss]) -> LiveSentence:
        signs, score = [asdict(gloss) for gloss in glosses], sentence_score([one.score for one in glosses])
        if self._translator is None:
            return LiveSentence(start, end, signs, score)
        sentence = self._translator([[gloss.gloss for gloss in glosses]], **self._search)[0]
        return LiveSentence(start, end, signs, score * sentence["score"], sentence["text"], sentence.get("message"))
