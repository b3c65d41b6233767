"""What an export costs and brings: accuracy on a split, size, and time, before and after.

Design decisions:

* All versions go the road that users go (processor, pipeline, decoder), so what is compared is answers.
* Times are taken by turns, one run of each version after the other, and compared round by round: whatever else the machine does, it
  does to all of them. Of a translator it is a whole search that is timed, of everything else one forward pass.
* A version that loses more than a point is reported and not chosen; that it is small and fast is no use then.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..metrics.sign_recognition.sign_recognition import sign_recognition
from ..models.loading import is_export, weight_bytes
from ..pipelines.loading import load_pipeline, task_of
from ..training.detection import measure_points
from ..training.evaluation import predict
from ..training.image_augment import padded
from ..training.keypoint_views import corners, squared
from ..training.sentence_evaluation import evaluate_sentences
from .loading import load_ort_pipeline
from .providers import ran_on
from .record import BOOSTER, ExportRecord, size_of

if TYPE_CHECKING:
    from datasets import Dataset

LIMIT = 1.0
"""Points of accuracy that may be lost."""
# Task → the metric that decides, and how it becomes a share of 1 where more is better.
_DECIDES: dict[str, tuple[str, Callable[[float], float]]] = {
    "sign-recognition": ("accuracy", float),
    "continuous-sign-recognition": ("wer", lambda wer: 1 - wer),
    "gloss-translation": ("chrf", lambda chrf: chrf / 100),
    "sign-translation": ("text_accuracy", float),
    "sign-keypoint-detection": ("pck@0.1", float),
}


@dataclass(frozen=True)
class Comparison:
    """Two versions of a model on the same rows.

    Args:
        metric: what was measured.
        before, after: in [0, 1]; rates of errors are turned round, so more is better.
        bytes_before, bytes_after: of weights or graphs.
        speedup: median of the ratios of runs by turns, above 1 where the new version is faster; None where it was not timed.
        n: rows.
        ran_on: providers that really ran the new version → operators; empty for torch.
        limit: points that may be lost.
        values: before and after as the metric itself counts.
        milliseconds: medians of the runs before and after.
        runs: how many there were of each.
    """

    metric: str
    before: float
    after: float
    bytes_before: int
    bytes_after: int
    speedup: float | None
    n: int
    ran_on: Mapping[str, int] = field(default_factory=dict)
    limit: float = LIMIT
    values: tuple[float, float] | None = None
    milliseconds: tuple[float, float] | None = None
    runs: int = 0

    @property
    def drop(self) -> float:
        """Points lost; below 0 where the new version is better."""
        return 100 * (self.before - self.after)

    @property
    def chosen(self) -> bool:
        """Whether the new version may take the old one's place."""
        return self.drop <= self.limit

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"drop": self.drop, "chosen": self.chosen}


def compare(before: str, after: str, rows: Dataset, **settings: Any) -> Comparison:
    """Measure two folders of one model on the same rows; settings and errors as :func:`compare_versions`."""
    return compare_versions(before, {"after": after}, rows, **settings)["after"]


def compare_versions(
    before: str, versions: Mapping[str, str], rows: Dataset, *, provider: str = "cpu", batch_size: int = 16,
    limit: float = LIMIT, runs: int = 30,
) -> dict[str, Comparison]:  # fmt: skip
    """Measure several folders of one model on the same rows, the first of them once.

    Args:
        before: folder with weights or an export, which the others are compared with.
        versions: name → folder.
        rows: of a dataset for the model's task.
        provider: what runs exports.
        batch_size: clips a forward pass.
        limit: points that may be lost.
        runs: rounds of runs for the time of one clip, picture or sentence; 0 takes none.

    Raises:
        ValueError: folders of different tasks, or rows that cannot be measured.
    """
    first = _pipeline(before, provider)
    others = {name: _pipeline(folder, provider) for name, folder in versions.items()}
    for name, pipe in others.items():
        if pipe.task_name != first.task_name:
            raise ValueError(
                f"{before} is for {first.task_name} and {versions[name]} for {pipe.task_name}; compare two of a kind."
            )
    metric, better = _DECIDES[first.task_name]
    pipes = [first, *others.values()]
    value, *values = (float(_metrics(pipe, rows, batch_size)[metric]) for pipe in pipes)
    times = times_by_turns([_runner(pipe, _example(first, rows)) for pipe in pipes], runs=runs) if runs else None
    found = {}
    for place, (name, folder) in enumerate(versions.items()):
        speedup, milliseconds = None, None
        if times is not None:
            speedup = float(np.median(times[0] / times[place + 1]))
            milliseconds = (1000 * float(np.median(times[0])), 1000 * float(np.median(times[place + 1])))
        found[name] = Comparison(
            metric,
            better(value),
            better(values[place]),
            *(_size(Path(one)) for one in (before, folder)),
            speedup=speedup,
            n=len(rows),
            ran_on=_ran_on(Path(folder), provider) if is_export(folder) else {},
            limit=limit,
            values=(value, values[place]),
            milliseconds=milliseconds,
            runs=runs,
        )
    return found


def times_by_turns(passes: Sequence[Callable[[], Any]], *, runs: int = 30, warmup: int = 3) -> list[np.ndarray]:
    """(runs,) seconds of each, one after the other in every round; the first ``warmup`` rounds are not counted."""
    times: list[list[float]] = [[] for _ in passes]
    for number in range(warmup + runs):
        for own, run in zip(times, passes):
            start = time.perf_counter()
            run()
            end = time.perf_counter()
            if number >= warmup:
                own.append(end - start)
    return [np.array(own) for own in times]


def interleaved_ratio(first: Callable[[], Any], second: Callable[[], Any], *, runs: int = 30, warmup: int = 3) -> float:
    """How many times as fast the second is as the first: median over pairs of runs, one after the other."""
    before, after = times_by_turns((first, second), runs=runs, warmup=warmup)
    return float(np.median(before / after))


def _pipeline(folder: str, provider: str) -> Any:
    if is_export(folder):
        return load_ort_pipeline(task_of(folder, "ort"), folder, provider)
    return load_pipeline(task_of(folder), folder)


def _metrics(pipe: Any, rows: Dataset, batch_size: int) -> Mapping[str, Any]:
    if pipe.task_name == "sign-recognition":
        logits, references = predict(pipe.model, pipe.feature_extractor, rows, batch_size=batch_size, progress=False)
        return sign_recognition(logits, references)
    if pipe.task_name != "sign-keypoint-detection":
        return evaluate_sentences(pipe, rows, batch_size=batch_size)
    boxes = [corners(squared(padded(np.array(box), 1.25))).tolist() for box in rows["bbox"]]
    answers = pipe(list(rows["image"]), boxes=boxes, threshold=0.0, batch_size=batch_size)
    places = [[(point["x"], point["y"]) for point in one["keypoints"]] for one in answers]
    return measure_points(np.array(places), rows)


def _example(pipe: Any, rows: Dataset) -> Any:
    """Inputs of one clip or picture; the glosses of one sentence for a translator."""
    if pipe.task_name == "sign-keypoint-detection":
        return {
            "pixel_values": pipe.image_processor([np.asarray(rows[0]["image"])], return_tensors="pt")["pixel_values"]
        }
    if pipe.task_name == "gloss-translation":
        return rows[0]["glosses"]
    return dict(pipe.feature_extractor(rows[0], return_tensors="pt"))


def _runner(pipe: Any, example: Any) -> Callable[[], Any]:
    if pipe.task_name == "gloss-translation":
        return lambda: pipe(example)
    model = getattr(pipe.model, "recognizer", pipe.model)

    def run() -> None:
        with torch.inference_mode():
            model(**example)

    return run


def _ran_on(folder: Path, provider: str) -> dict[str, int]:
    half = ExportRecord.load(folder).precision == "float16"
    found: Counter[str] = Counter()
    for path in folder.rglob("*.onnx"):
        # An ensemble's trees are a few microseconds, and stay on the CPU.
        found.update(ran_on(path, "cpu" if path.name == BOOSTER else provider, half=half))
    return dict(found)


def _size(folder: Path) -> int:
    if is_export(folder):
        return size_of(folder)
    return weight_bytes(folder)


__all__ = ["LIMIT", "Comparison", "compare", "compare_versions", "interleaved_ratio", "times_by_turns"]
