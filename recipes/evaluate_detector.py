"""What a trained detector finds in pictures with known points, as ``pipeline("sign-keypoint-detection")`` gives it to its users.

    python recipes/evaluate_detector.py --model outputs/detector-mobilenet --data_dir synthetic
    python recipes/evaluate_detector.py --model detector --data_dir my_frames --split train --box_noise 0.1

``train_detector.py`` measures the network that it has trained; this measures all that belongs to a model's folder, so the second look at the hands too
where there is a detector of hands beside it: one row without and one with it. Each person is shown by the square around their box. With ``--benchmark`` the rows
go into ``hub_cards/results/``.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm
from transformers import pipeline

import signlang_hf  # noqa: F401 - its pipelines
from signlang_hf.data import load_dataset
from signlang_hf.training.cards import portable
from signlang_hf.training.detection import measure_points
from signlang_hf.training.detector_cards import metric_rows
from signlang_hf.training.image_augment import padded
from signlang_hf.training.keypoint_views import corners, squared
from signlang_hf.training.results import ResultRow, save_results

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Pipeline

ONCE, TWICE = "one look", "second look at the hands"
console = Console()


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder, Hub id or bundled name of a detector")
    parser.add_argument("--data_dir", required=True, help="folder of labelled pictures")
    parser.add_argument("--dataset", default="keypoint_images", help="name of the dataset that reads it")
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--padding", type=float, default=1.25, help="how much larger than the person's box what is seen is"
    )
    parser.add_argument(
        "--box_noise",
        type=float,
        default=0.0,
        help="boxes moved and scaled by up to so much of their side, as those of a tracker",
    )
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--benchmark", help="name of the results file; without it nothing is written")
    args = parser.parse_args(argv)
    if not 1 <= args.padding <= 4 or not 0 <= args.box_noise <= 1 or args.batch_size < 1:
        parser.error("--padding is in [1, 4], --box_noise in [0, 1], and --batch_size at least 1.")
    return args


def boxes_of(rows: Dataset, padding: float, noise: float) -> list[list[float]]:
    """x0, y0, x1, y1 of what is seen of each person."""
    rng = np.random.default_rng(0)
    seen = []
    for box in rows["bbox"]:
        square = squared(padded(np.array(box), padding))
        side = square[2] * (1 + noise) ** rng.uniform(-1, 1)
        middle = square[:2] + square[2:] / 2 + rng.uniform(-1, 1, 2) * noise * square[2]
        seen.append(corners(np.array([*(middle - side / 2), side, side])).tolist())
    return seen


def measure(pipe: Pipeline, rows: Dataset, boxes: list[list[float]], batch_size: int, hands: bool) -> dict[str, Any]:
    """What :func:`~signlang_hf.metrics.keypoints.keypoints.keypoint_metrics` measures of a pipeline."""
    places = []
    for start in tqdm(range(0, len(rows), batch_size), unit="batch", leave=False):
        part = rows[start : start + batch_size]["image"]
        answers = pipe(part, boxes=boxes[start : start + batch_size], threshold=0.0, hands=hands, batch_size=batch_size)
        places += [[(point["x"], point["y"]) for point in one["keypoints"]] for one in answers]
    return measure_points(np.array(places), rows)


def main(argv: list[str] | None = None) -> list[ResultRow]:
    args = arguments(argv)
    splits = load_dataset(args.dataset, args.data_dir)
    if args.split not in splits:
        raise ValueError(f"There is no split '{args.split}'; the dataset has {', '.join(splits)}.")
    rows = splits[args.split]
    pipe = pipeline("sign-keypoint-detection", model=args.model)
    config = pipe.model.config
    boxes = boxes_of(rows, args.padding, args.box_noise)
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "recipes/evaluate_detector.py", *(portable(word) for word in words)])
    found: list[ResultRow] = []
    table = Table("", "points", "PCK@0.05", "PCK@0.1", title=f"{args.model} on {len(rows)} people of '{args.split}'")
    for look, hands in ((ONCE, False), (TWICE, True))[: 2 if pipe.second_look else 1]:
        metrics = measure(pipe, rows, boxes, args.batch_size, hands)
        for name, part in (("all", ""), ("body", "-body"), ("hands", "-hands")):
            if part and not metrics[f"n_points{part}"]:
                continue
            table.add_row(look, name, *(f"{100 * metrics[f'pck@{share:g}{part}']:.1f} %" for share in (0.05, 0.1)))
        found += metric_rows(metrics, f"{config.backbone}, {config.image_size} px, {look}", args.split, command)
    console.print(table)
    if args.benchmark:
        console.print(f"Wrote {save_results(args.benchmark, found, replace=False)}")
    return found


if __name__ == "__main__":
    try:
        main()
    except (ValueError, FileNotFoundError, ImportError, OSError) as error:
        sys.exit(f"evaluate_detector: {error}")
