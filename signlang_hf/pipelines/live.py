"""Signs from a running camera: frames go in one by one, a sign comes out when it has ended.

When a sign starts and ends is the rule of :mod:`signlang_hf.pipelines.gate`. Between signs nothing is classified, so a person
who sits still gives no signs at all. The model also sees ``margin`` before the start and after the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .gate import SignRule
from .live_stream import LiveStream
from .sign_recognition import UNKNOWN, SignRecognitionPipeline

_MIN_FRAMES = 3


@dataclass(frozen=True)
class LiveSign:
    """A sign that has ended: ``start`` and ``end`` in seconds on the clock of the frames, and the pipeline's answer.

    As text it is short: ``doctor 93 %``, or ``unknown 71 %, closest is doctor``.
    """

    start: float
    end: float
    predictions: list[dict[str, Any]]

    def __str__(self) -> str:
        best, *others = self.predictions
        if best["label"] is None:
            return str(best["message"])
        closest = f", closest is {others[0]['label']}" if best["label"] == UNKNOWN and others else ""
        return f"{best['label']} {100 * best['score']:.0f} %{closest}"


class LiveRecognizer(LiveStream[LiveSign]):
    """Recognises signs while frames come in.

    Args:
        pipe: a ``sign-recognition`` pipeline; its pose estimator looks at every frame once, as a tracker does.
        rule: when signs start and end.
        top_k: labels a sign gets.

    Example:
        >>> live = LiveRecognizer(pipeline("sign-recognition"))
        >>> for seconds, frame in camera:  # frame (H, W, 3) uint8 RGB, not mirrored
        ...     for sign in live.process(frame, seconds):
        ...         print(sign.predictions[0]["label"])
    """

    def __init__(self, pipe: SignRecognitionPipeline, rule: SignRule | None = None, *, top_k: int = 3) -> None:
        super().__init__(pipe, rule or SignRule())
        self._top_k = top_k

    def _end(self, start: float, end: float) -> list[LiveSign]:
        sequence = self._sequence(start - self.rule.margin, end + self.rule.margin)
        if end - start < self.rule.shortest or len(sequence) < _MIN_FRAMES:
            return []
        return [LiveSign(start, end, self._pipe(sequence, top_k=self._top_k))]


__all__ = ["LiveRecognizer", "LiveSign", "SignRule"]
