"""Where the time of a whole clip goes, from the file to the answer: decoding, landmarks, processing, model, the rest.

It is the road of ``pipeline(video)`` itself, with a clock at each of its doors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..pipelines.clip_pipeline import ClipPipeline
from ..video import iter_video

STAGES = ("decoding", "landmarks", "processing", "model", "post-processing")
"""Decode the file; find landmarks in its frames; landmarks → inputs of the model; the network; its output → the answer."""


@dataclass(frozen=True)
class Road:
    """Times of one clip.

    Args:
        model: of the pipeline.
        clip: name of the file.
        frames: that it has.
        ms: stage → its median, of :data:`STAGES`.
        runs: how often the road was gone.
    """

    model: str
    clip: str
    frames: int
    ms: dict[str, float]
    runs: int

    @property
    def total_ms(self) -> float:
        """All stages."""
        return sum(self.ms.values())

    def share(self, stage: str) -> float:
        """Of a stage in the whole, in [0, 1]."""
        return self.ms[stage] / self.total_ms


def measure_road(pipe: Any, clip: str | os.PathLike[str], *, runs: int = 3, model: str = "") -> Road:
    """Times of the stages of a pipeline on a video.

    Args:
        pipe: of clips, with a model of torch or onnxruntime.
        clip: video file.
        runs: after one that warms up.
        model: its name, for tables.

    Raises:
        FileNotFoundError, ValueError: the video cannot be read, or the pipeline does not read landmarks of clips.
    """
    if not isinstance(pipe, ClipPipeline) or hasattr(pipe.model, "score_labels"):
        raise ValueError(
            "The road of a clip is measured for models that read landmarks; this one reads pictures or text."
        )
    rounds = [_once(pipe, clip) for _ in range(runs + 1)][1:]
    ms = {stage: 1e3 * float(np.median([times[stage] for times, _ in rounds])) for stage in STAGES}
    return Road(model, Path(clip).name, rounds[0][1], ms, runs)


def _once(pipe: Any, clip: str | os.PathLike[str]) -> tuple[dict[str, float], int]:
    estimator, clock = pipe.estimator, _Clock()
    begun = time.perf_counter()
    sequence = estimator.estimate(clock.timed(iter_video(clip, chunk=estimator.chunk)))
    found = time.perf_counter()
    inputs = pipe.preprocess(sequence, **pipe._preprocess_params)
    ready = time.perf_counter()
    with torch.inference_mode():
        outputs = pipe.forward(inputs, **pipe._forward_params)
    answered = time.perf_counter()
    pipe.postprocess(outputs, **pipe._postprocess_params)
    done = time.perf_counter()
    seconds = (clock.spent, found - begun - clock.spent, ready - found, answered - ready, done - answered)
    return dict(zip(STAGES, seconds)), len(sequence)


class _Clock:
    """Adds up what it takes to get the next item."""

    def __init__(self) -> None:
        self.spent = 0.0

    def timed(self, items: Iterable[Any]) -> Iterator[Any]:
        iterator = iter(items)
        while True:
            start = time.perf_counter()
            item = next(iterator, None)
            self.spent += time.perf_counter() - start
            if item is None:
                return
            yield item


__all__ = ["STAGES", "Road", "measure_road"]
