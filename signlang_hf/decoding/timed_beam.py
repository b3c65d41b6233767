"""A prefix beam that knows, in every frame, where the tokens of its prefixes lie.

Whole clips are aligned when their tokens are known (:mod:`signlang_hf.decoding.alignment`). A stream cannot wait for that: here every
prefix carries its most probable alignment along, one that ends in a blank and one that ends in its last token. A prefix that fell
out of the beam and came back has lost what it knew; it is then timed from its return.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .beam import PrefixBeam
from .hypothesis import DecodedToken


class Span(NamedTuple):
    """A token in an alignment: what lies before it, its frames and the sum of its probabilities in them."""

    before: Span | None
    token: int
    start: int
    end: int
    total: float


class _Record(NamedTuple):
    """Best alignments of a prefix: log-probability and last span, ending in a blank and ending in the last token."""

    blank: float
    blank_span: Span | None
    held: float
    held_span: Span | None

    def best(self) -> tuple[float, Span | None]:
        return (self.held, self.held_span) if self.held > self.blank else (self.blank, self.blank_span)


class TimedBeam(PrefixBeam):
    """Adds the frames of the tokens to a :class:`~signlang_hf.decoding.beam.PrefixBeam`; same arguments."""

    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.frames = 0
        self.records = [_Record(0.0, None, -np.inf, None)]

    def tokens(self, number: int) -> list[DecodedToken]:
        """Tokens of prefix ``number`` in its most probable alignment so far."""
        found: list[DecodedToken] = []
        _, span = self.records[number].best()
        for _ in self.prefixes[number]:
            score = min(1.0, span.total / (span.end - span.start))
            found.append(DecodedToken(span.token, score, span.start, span.end))
            span = span.before
        return found[::-1]

    def _follow(
        self,
        frame: np.ndarray,
        joined: dict[int, int],
        old: Sequence[bool],
        source: Sequence[int],
        tokens: Sequence[int],
    ) -> None:
        records = []
        for stays, number, token in zip(old, source, tokens):
            if not stays:
                records.append(_Record(-np.inf, None, *self._grown(number, token, frame)))
                continue
            before, span = self.records[number].best()
            held, held_span = self._prolonged(number, frame)
            if number in joined:
                grown = self._grown(joined[number], int(self.last[number]), frame)
                if grown[0] > held:
                    held, held_span = grown
            records.append(_Record(before + float(frame[self.blank]), span, held, held_span))
        self.records = records
        self.frames += 1

    def _prolonged(self, number: int, frame: np.ndarray) -> tuple[float, Span | None]:
        record = self.records[number]
        if record.held_span is None:
            return -np.inf, None
        value, span = float(frame[record.held_span.token]), record.held_span
        if value == -np.inf:
            return -np.inf, None
        total = span.total + float(np.exp(value))
        return record.held + value, span._replace(end=self.frames + 1, total=total)

    def _grown(self, number: int, token: int, frame: np.ndarray) -> tuple[float, Span | None]:
        record = self.records[number]
        before, span = (record.blank, record.blank_span) if self.last[number] == token else record.best()
        value = float(frame[token])
        return before + value, Span(span, token, self.frames, self.frames + 1, float(np.exp(value)))

    def select(self, keep: Sequence[bool]) -> None:
        """Drop the prefixes that ``keep`` denies."""
        super().select(keep)
        self.records = [record for record, kept in zip(self.records, keep) if kept]

    def forget(self, count: int) -> None:
        """Cut the first ``count`` tokens off all prefixes; the last of them may still go on."""
        super().forget(count)
        self.records = [
            record._replace(
                blank_span=_shortened(record.blank_span, len(prefix)),
                held_span=_shortened(record.held_span, len(prefix)),
            )
            for record, prefix in zip(self.records, self.prefixes)
        ]


def _shortened(span: Span | None, length: int) -> Span | None:
    """The last ``length`` spans and the one before them, so that a stream does not keep its whole past."""
    if span is None:
        return None
    return span._replace(before=_shortened(span.before, length - 1) if length else None)
