"""How many clips a second are trained on: this library's data path against a plain one, item by item in Python.

    python recipes/benchmark_training.py --data_dir isl30            # rows in hub_cards/results/speed.json
    python recipes/benchmark_training.py --data_dir isl30 --steps 5 --no-save

Both train the network of ``recipes/configs/isl30_transformer.yaml`` with AdamW on the same batches, and take turns, step by step. The plain
path is what one writes first: a row as ``datasets`` gives it, and loops over frames and joints that resample, centre, turn, scale and
derive. It makes the same numbers, which is checked. A third contender is this library's path with the augmentation of the
configuration, which the plain one does not have.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import math
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch.utils.data import DataLoader, Dataset

import signlang_hf  # noqa: F401 - its models
from signlang_hf.benchmark import in_turns
from signlang_hf.benchmark.turns import ratio
from signlang_hf.data import load_dataset
from signlang_hf.landmarks import get_layout
from signlang_hf.landmarks.augment import AugmentConfig, Augmenter
from signlang_hf.training.arguments import ModelArguments
from signlang_hf.training.building import new_model, new_processor
from signlang_hf.training.clips import ClipCollator, ClipDataset
from signlang_hf.training.results import RESULTS, ResultRow, format_value, save_results

CONFIG = Path("recipes/configs/isl30_transformer.yaml")
PLAIN, OURS, AUGMENTED = "a plain data path in Python", "signlang_hf", "signlang_hf, with augmentation"
TOLERANCE = 1e-3

Point = list[float]


class PlainClips(Dataset):
    """Velocities and directions of bones of a row, by loops over frames and joints."""

    def __init__(self, rows: Any, layout: str, frames: int) -> None:
        self.rows, self.frames, self.spec = rows, frames, get_layout(layout)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        place = get_layout(row["layout"]).index
        clip = [[frame[place[point]] for point in self.spec.points] for frame in row["landmarks"]]
        times = row["timestamps"] or [number / row["fps"] for number in range(len(clip))]
        clip, times = self.at_rate(clip, times)
        clip, times = self.resampled(self.normalised(clip), times)
        values = []
        for number, frame in enumerate(clip):
            before, after = max(0, number - 1), min(len(clip) - 1, number + 1)
            line = []
            for joint in range(len(frame)):
                for axis in range(3):
                    moved = clip[after][joint][axis] - clip[before][joint][axis]
                    line.append(moved / (times[after] - times[before]))
            for first, second in self.spec.bones:
                bone = [b - a for a, b in zip(frame[first], frame[second])]
                length = max(math.sqrt(sum(value * value for value in bone)), 1e-6)
                line += [value / length for value in bone]
            values.append(line)
        return {"input_values": np.array(values, np.float32), "labels": row["label"]}

    def at_rate(
        self, clip: list[list[Point]], times: list[float], fps: float = 30.0
    ) -> tuple[list[list[Point]], list[float]]:
        count = int((times[-1] - times[0]) * fps + 1e-6) + 1
        return self.at(clip, times, [times[0] + number / fps for number in range(count)])

    def resampled(self, clip: list[list[Point]], times: list[float]) -> tuple[list[list[Point]], list[float]]:
        step = (times[-1] - times[0]) / (self.frames - 1)
        return self.at(clip, times, [times[0] + number * step for number in range(self.frames)])

    def at(
        self, clip: list[list[Point]], times: list[float], wanted: list[float]
    ) -> tuple[list[list[Point]], list[float]]:
        found, place = [], 0
        for moment in wanted:
            while place < len(times) - 2 and times[place + 1] <= moment:
                place += 1
            weight = min(max((moment - times[place]) / (times[place + 1] - times[place]), 0.0), 1.0)
            frame = []
            for one, other in zip(clip[place], clip[place + 1]):
                frame.append([a + weight * (b - a) for a, b in zip(one, other)])
            found.append(frame)
        return found, wanted

    def normalised(self, clip: list[list[Point]]) -> list[list[Point]]:
        left, right = self.spec.index["left_shoulder"], self.spec.index["right_shoulder"]
        across = [[a - b for a, b in zip(frame[left], frame[right])] for frame in clip]
        mean = math.atan2(sum(one[2] for one in across), sum(one[0] for one in across))
        angles = []
        for one in across:
            angle = math.atan2(one[2], one[0]) - mean
            angles.append(math.atan2(math.sin(angle), math.cos(angle)))
        angle = statistics.median(angles) + mean
        cos, sin = math.cos(angle), math.sin(angle)
        turned = [[[cos * x + sin * z, y, cos * z - sin * x] for x, y, z in frame] for frame in clip]
        middles = [[(a + b) / 2 for a, b in zip(frame[left], frame[right])] for frame in turned]
        origin = [statistics.median(one[axis] for one in middles) for axis in range(3)]
        widths = [math.hypot(f[left][0] - f[right][0], f[left][1] - f[right][1]) for f in turned]
        scale = statistics.median(widths)
        return [[[(a - o) / scale for a, o in zip(point, origin)] for point in frame] for frame in turned]


def plain_collate(clips: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return {
        "input_values": torch.from_numpy(np.stack([clip["input_values"] for clip in clips])),
        "labels": torch.tensor([clip["labels"] for clip in clips]),
    }


def endless(loader: DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    return itertools.chain.from_iterable(itertools.repeat(loader))


def step(model: Any, batches: Iterator[dict[str, torch.Tensor]]) -> Callable[[], None]:
    """One step of training, its batch included."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def run() -> None:
        model(**next(batches)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def agree(first: Dataset, second: Dataset) -> None:
    """Raise ValueError unless both paths make the same numbers of the clips that are complete."""
    for index in range(0, len(first), max(1, len(first) // 20)):
        one, other = first[index]["input_values"], second[index]["input_values"]
        difference = float(np.abs(one - other).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(one).max())):
            raise ValueError(f"The plain path makes other numbers of clip {index}: they differ by {difference:.2g}.")


def main(argv: list[str] | None = None) -> list[ResultRow]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True, help="folder of ISL-30")
    parser.add_argument("--steps", type=int, default=30, help="of each path")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True, help="write the result rows")
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error("--steps must be at least 1.")
    command = shlex.join(["python", "recipes/benchmark_training.py", *(sys.argv[1:] if argv is None else argv)])
    given = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    arguments = ModelArguments(model_type=given["model_type"], model=given["model"], processor=given["processor"])
    rows = load_dataset(given["dataset"], args.data_dir, split="train")
    processor = new_processor(arguments, rows)
    names = rows.features["label"].names
    torch.manual_seed(0)
    model = new_model(arguments, processor, rows, names).train()
    plain = PlainClips(rows, processor.layout, processor.num_frames)
    ours = ClipDataset(rows, processor)
    agree(ours, plain)
    size = given["per_device_train_batch_size"]
    paths = {
        PLAIN: (plain, plain_collate),
        OURS: (ours, ClipCollator(processor)),
        AUGMENTED: (
            ClipDataset(rows, processor, Augmenter(AugmentConfig.from_dict(given["augment"]))),
            ClipCollator(processor, len(names)),
        ),
    }
    runs = {}
    for name, (clips, collate) in paths.items():
        order = torch.Generator().manual_seed(0)
        loader = DataLoader(clips, size, shuffle=True, drop_last=True, collate_fn=collate, generator=order)
        runs[name] = step(copy.deepcopy(model), endless(loader))
    times = in_turns(runs, rounds=args.steps, seconds=float("inf"), gradients=True)
    split = f"ISL-30, {given['model_type']}, steps of {size} clips"
    found = []
    for name, seconds in times.items():
        rates = size / seconds
        found.append(
            ResultRow(
                f"training, {name}", split, "samples_per_second", float(np.median(rates)), len(rates), command,
                spread=float(rates.std()), against=PLAIN, ratio=ratio(times[PLAIN], seconds),
            )
        )  # fmt: skip
    for row in found:
        print(f"{row.model}: {format_value(row)}, {row.ratio:.2f} times {row.against}")
    if args.save:
        print(f"wrote {save_results('speed', found, folder=args.results, replace=False)}")
    return found


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"benchmark_training: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_training: interrupted; nothing was written.")
