"""How well a detector finds people whom it has never seen: frames of videos against MediaPipe, photographs against human labels.

    signlang label-frames clips/ --out frames
    accelerate launch recipes/benchmark_detector_real.py --config recipes/configs/detector_finetune.yaml \
        --model_name_or_path outputs/detector-mobilenet --data_dir frames --more_data_dirs synthetic \
        --people room=a.mp4,b.mp4 ben=c.mp4 --persons coco-wholebody

takes the arguments of ``train_detector.py`` for a fine-tuning, and the videos of each person (or of each room whose people may be the same). Each of these
groups is held out in turn: the detector is fine-tuned on the frames of the others and measured on every frame of that group, as a user would call it
(:class:`~signlang_hf.pose.HeatmapEstimator` on a single picture: once on the whole, once on the part where somebody is). The reference is what the
teacher labelled, so a figure says how near a detector comes to MediaPipe, not to the truth. ``--persons`` measures the detector before fine-tuning, the one fine-tuned on
all frames, and MediaPipe itself on people whom humans labelled, each cut out by the annotator's box. Runs that are finished are read. The results go to
``hub_cards/results/detector-real.json`` with ``--benchmark detector-real``.

A detector of hands (``--look_at hand``, ``detector_hands_finetune.yaml``) is only fine-tuned, into the folder ``hands`` of the same runs: do that first, with the
same ``--people`` and ``--output_dir``, and the second look of each detector is at people whom neither of the two has seen.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm

from signlang_hf.compat import move_output
from signlang_hf.data import load_dataset
from signlang_hf.data.leaks import LeakError
from signlang_hf.landmarks import get_layout
from signlang_hf.models.detector.processing_hands import FOLDER as HANDS
from signlang_hf.pose import HeatmapEstimator, MediaPipeEstimator, PoseEstimator
from signlang_hf.training.arguments import parse
from signlang_hf.training.cards import launch_command
from signlang_hf.training.detection import load_pictures, measure_points, train_detector
from signlang_hf.training.detector_arguments import DetectorArguments, DetectorTrainingArguments, PictureArguments
from signlang_hf.training.detector_cards import metric_rows
from signlang_hf.training.image_augment import padded
from signlang_hf.training.keypoint_views import corners
from signlang_hf.training.results import ResultRow, save_results

if TYPE_CHECKING:
    from datasets import Dataset

LAYOUT = "signlang-64"
BEFORE, AFTER, TEACHER = "before fine-tuning", "fine-tuned", "MediaPipe"
EVERYBODY = "everybody"
SHOWN = ("pck@0.1-body", "pck@0.1-hands", "pck@0.05-body", "pck@0.05-hands")

console = Console()


@dataclass
class RealArguments:
    """Who is held out, and whom humans labelled."""

    people: list[str] = field(
        default_factory=list,
        metadata={"help": "One group each: name=video,video …; the videos as in the column source."},
    )
    persons: str | None = field(default=None, metadata={"help": "Folder of a dataset coco_wholebody."})

    def __post_init__(self) -> None:
        self.groups: dict[str, list[str]] = {}
        for word in self.people:
            name, _, videos = word.partition("=")
            if not name or not videos:
                raise ValueError(f"--people {word!r} is no group; write name=video,video.")
            self.groups[name] = [video for video in videos.split(",") if video]
        if not self.groups and self.persons is None:
            raise ValueError("There is nothing to measure on; give --people, --persons or both.")


def main(argv: list[str] | None = None) -> list[ResultRow]:
    groups = (DetectorArguments, PictureArguments, DetectorTrainingArguments)
    model_args, data_args, args, real = parse(argv, RealArguments, groups=groups)
    if model_args.model_name_or_path is None:
        raise ValueError("A detector is fine-tuned: give the one to begin with as --model_name_or_path.")
    command = launch_command("recipes/benchmark_detector_real.py", argv)

    if data_args.look_at == "hand":
        for name, videos in [*real.groups.items(), *([(EVERYBODY, None)] if real.persons else [])]:
            fold_data = replace(data_args, test_sources=videos)
            splits = load_pictures(fold_data, seed=args.seed)
            folder = train_detector(model_args, fold_data, run_arguments(args, f"{name}/{HANDS}"), splits).folder
            console.print(f"Wrote {folder}")
        return []

    # Frames of videos, each group of people held out in turn
    found: dict[str, dict[str, dict[str, Any]]] = {BEFORE: {}, AFTER: {}}
    for name, videos in real.groups.items():
        fold_data = replace(data_args, test_sources=videos)
        splits = load_pictures(fold_data, seed=args.seed)
        folder = train_detector(model_args, fold_data, run_arguments(args, name), splits).folder
        for method, model in ((BEFORE, model_args.model_name_or_path), (AFTER, folder)):
            found[method][name] = measure(estimator(model), splits["test"], f"{name}, {method}")
    rows = [row for method, folds in found.items() if folds for row in fold_rows(method, folds, command, args.seed)]

    # People in photographs
    if real.persons is not None:
        people = persons(real.persons)
        everybody = train_detector(
            model_args, data_args, run_arguments(args, EVERYBODY), load_pictures(data_args, seed=args.seed)
        )
        methods: dict[str, Any] = {BEFORE: model_args.model_name_or_path, AFTER: everybody.folder, TEACHER: None}
        for method, model in methods.items():
            looks = MediaPipeEstimator() if model is None else estimator(model)
            metrics = measure(looks, people, f"people in photographs, {method}", cut_out=True)
            split = f"{len(people)} people of COCO-WholeBody"
            rows += metric_rows(metrics, method, split, command, seeds=() if model is None else (args.seed,))
    show(rows)
    if data_args.benchmark:
        console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
    return rows


def run_arguments(args: DetectorTrainingArguments, name: str) -> DetectorTrainingArguments:
    """The arguments with a folder of the run's own."""
    args = copy.copy(args)
    move_output(args, str(Path(str(args.output_dir)) / name))
    return args


def estimator(model: str | Path) -> HeatmapEstimator:
    """A detector on single pictures: every point that it has an idea of, nothing from a picture before."""
    return HeatmapEstimator(model, confidence=0.0, smooth=False)


def persons(folder: str) -> Dataset:
    """All people of a folder of COCO-WholeBody, whatever its splits."""
    from datasets import concatenate_datasets

    return concatenate_datasets(list(load_dataset("coco_wholebody", folder).values()))


def measure(looks: PoseEstimator, rows: Dataset, title: str, *, cut_out: bool = False) -> dict[str, Any]:
    """What :func:`~signlang_hf.metrics.keypoints.keypoints.keypoint_metrics` measures of an estimator on pictures.

    Args:
        looks: one picture at a time.
        rows: pictures with points.
        title: of the progress bar.
        cut_out: look at each person's box, made a quarter larger, instead of the whole picture: where there are several people,
            this says who is meant.
    """
    order = get_layout(LAYOUT).conversion_from(get_layout(looks.layout))
    predictions = []
    with looks:
        for row in tqdm(rows, desc=title, unit="picture", leave=False):
            image, offset = row["image"].convert("RGB"), np.zeros(2)
            if cut_out:
                sides = corners(padded(np.array(row["bbox"]), 1.25)).round().astype(int)
                image, offset = image.crop(tuple(sides.tolist())), sides[:2]
            frame = np.asarray(image)
            looks.reset()
            points = looks.detect(frame, 0.0).data[order, :2] * [frame.shape[1], frame.shape[0]]
            points[order < 0] = np.nan
            predictions.append(points + offset)
    return measure_points(np.stack(predictions), rows)


def fold_rows(method: str, folds: dict[str, dict[str, Any]], command: str, seed: int) -> Iterable[ResultRow]:
    """Rows of each group of people, out of the tables, and of their mean with its spread over groups."""
    each = {
        name: {row.metric: row for row in metric_rows(metrics, method, f"unseen: {name}", command, seeds=(seed,))}
        for name, metrics in folds.items()
    }
    for metric in dict.fromkeys(metric for rows in each.values() for metric in rows):
        rows = [one[metric] for one in each.values() if metric in one]
        values = np.array([row.value for row in rows])
        yield replace(
            rows[0],
            split=f"mean of {len(rows)} unseen people or rooms",
            value=float(values.mean()),
            spread=float(values.std()),
            n=sum(row.n for row in rows),
        )
        yield from (replace(row, headline=False) for row in rows)


def show(rows: Sequence[ResultRow]) -> None:
    """Print a line for each method and split."""
    table = Table("pictures", "method", *(name.removeprefix("pck") for name in SHOWN), title="PCK")
    values = {(row.split, row.model, row.metric): row.value for row in rows}
    for split, model in dict.fromkeys((row.split, row.model) for row in rows):
        cells = [values.get((split, model, name)) for name in SHOWN]
        table.add_row(split, model, *("" if cell is None else f"{100 * cell:.1f} %" for cell in cells))
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except LeakError as error:
        sys.exit(f"benchmark_detector_real: {error}\nHere that is --allow_leaks true.")
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"benchmark_detector_real: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_detector_real: interrupted; run the same command again to go on.")
