"""What simple methods reach on the folds of a cross-validation, and what trained models cost beside the simplest of them.

    accelerate launch recipes/benchmark_isolated.py --config recipes/configs/dgs30_conv.yaml --data_dir DGS --cross_validate stratified \\
        --models outputs/dgs30-conv outputs/dgs30-bilstm --benchmark dgs30-5fold

takes the arguments of ``train_isolated.py``. In every fold XGBoost and extremely randomised trees over pooled features, and a plain
bidirectional ``torch.nn.LSTM`` with a mean over time, learn from the very tensors that the configuration's processor makes of the
training clips; the nearest neighbour looks at the landmarks themselves. ``--methods 1-NN`` measures that one alone. ``--models`` are folders that cross-validations left, one a family: of each the parameters, the training time of a
fold and the time of one forward pass a clip are written, under the name of the family as the trainings write theirs. Passes of all models take turns, and every time stands beside that of the LSTM in the
same round.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from signlang_hf.data.leaks import LeakError
from signlang_hf.data.mapped import MappedRows
from signlang_hf.metrics.sign_recognition.sign_recognition import sign_recognition
from signlang_hf.training.arguments import parse
from signlang_hf.training.baseline import BoosterBaseline, ExtraTreesBaseline, LSTMBaseline, NearestNeighbour
from signlang_hf.training.building import new_processor, saved_model, saved_processor
from signlang_hf.training.cards import launch_command
from signlang_hf.training.checkpoints import RESULTS
from signlang_hf.training.clips import ClipCollator, ClipDataset
from signlang_hf.training.evaluation import label_names
from signlang_hf.training.fitting import measure_features
from signlang_hf.training.results import ResultRow, format_value, save_results
from signlang_hf.training.splits import load_folds

if TYPE_CHECKING:
    from datasets import Dataset

NEIGHBOUR = "1-NN"
BASELINES: dict[str, Callable[..., Any]] = {
    "plain LSTM": LSTMBaseline, "ExtraTrees": ExtraTreesBaseline, "XGBoost": BoosterBaseline,
}  # fmt: skip
METRICS = ("accuracy", "top5_accuracy", "macro_f1")
REFERENCE = "plain LSTM"
BATCHES = (1, 64)

console = Console()


@dataclass
class ComparisonArguments:
    """What is compared."""

    methods: list[str] = field(
        default_factory=lambda: [*BASELINES, NEIGHBOUR],
        metadata={"help": f"Simple methods to measure: {', '.join([*BASELINES, NEIGHBOUR])}."},
    )
    models: list[str] = field(
        default_factory=list, metadata={"help": "Folders that cross-validations of the same clips left."}
    )
    rounds: int = field(default=20, metadata={"help": "Forward passes that a time is the median of."})

    def __post_init__(self) -> None:
        unknown = [name for name in self.methods if name not in (*BASELINES, NEIGHBOUR)]
        if unknown or not self.methods:
            raise ValueError(
                f"--methods names {', '.join(unknown) or 'none'}; choose from {', '.join([*BASELINES, NEIGHBOUR])}."
            )
        if self.models and REFERENCE not in self.methods:
            raise ValueError(f"--models are timed beside the {REFERENCE}, which --methods leaves out.")
        if self.rounds < 1:
            raise ValueError(f"rounds is {self.rounds}; it must be at least 1.")


def main(argv: list[str] | None = None) -> list[ResultRow]:
    model_args, data_args, args, comparison = parse(argv, ComparisonArguments)
    if data_args.cross_validate is None:
        raise ValueError("Methods are compared on the folds of a cross-validation; give --cross_validate.")
    runs = runs_by_family(comparison.models)
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in comparison.methods}
    minutes: dict[str, list[float]] = {name: [] for name in comparison.methods if name in BASELINES}
    folds: list[str] = []
    for fold, splits in load_folds(data_args):
        train, test = splits["train"], splits["test"]
        labels = len(label_names(train))
        references = np.array(list(test["label"]))
        if minutes:
            processor = new_processor(model_args, train)
            measure_features(processor, train)
            training, testing = (list(ClipDataset(rows, processor)) for rows in (train, test))
        for name in comparison.methods:
            if name == NEIGHBOUR:
                found = NearestNeighbour(MappedRows(train), labels).scores(MappedRows(test))
                scores = np.nan_to_num(found, neginf=-1e9)
            else:
                start = time.perf_counter()
                fitted = BASELINES[name](labels, seed=args.seed).fit(training)
                minutes[name].append((time.perf_counter() - start) / 60)
                scores = fitted.scores(testing)
                if name == REFERENCE:
                    reference = fitted.eval()
            measured[name].append(sign_recognition(scores, references, num_resamples=0))
        folds.append(fold)
        console.print(
            f"{fold}: " + ", ".join(f"{name} {100 * runs[-1]['accuracy']:.1f} %" for name, runs in measured.items())
        )

    what = {"signer": "signers", "stratified": "folds"}[data_args.cross_validate]
    mean_of = f"mean of {len(folds)} {what}"
    shared = {"seeds": (args.seed,), "command": launch_command("recipes/benchmark_isolated.py", argv)}
    rows = []
    for name, found in measured.items():
        clips = int(sum(one["n"] for one in found))
        for metric in METRICS:
            values = [one[metric] for one in found]
            rows.append(
                ResultRow(name, mean_of, metric, float(np.mean(values)), clips, spread=float(np.std(values)), **shared)
            )
        for fold, one in zip(folds, found):
            split = f"{what.removesuffix('s')}={fold}"
            rows.append(ResultRow(name, split, "accuracy", one["accuracy"], int(one["n"]), headline=False, **shared))
        if name in minutes:
            value = float(np.mean(minutes[name]))
            rows.append(ResultRow(name, mean_of, "training_minutes", value, clips, **shared))
    if REFERENCE in minutes:
        rows += costs(runs, reference, testing, test, comparison.rounds, mean_of, clips, shared)
    show([row for row in rows if row.headline])
    if data_args.benchmark:
        console.print(f"Wrote {save_results(data_args.benchmark, rows, replace=False)}")
    return rows


def costs(
    runs: dict[str, list[Path]],
    reference: LSTMBaseline,
    testing: list[dict[str, Any]],
    test: Dataset,
    rounds: int,
    split: str,
    clips: int,
    shared: dict[str, Any],
) -> list[ResultRow]:
    """Parameters, training minutes and times of the models, and of the reference."""
    count = sum(parameter.numel() for parameter in reference.parameters())
    rows = [ResultRow(REFERENCE, split, "parameter_count", float(count), clips, **shared)]
    for name, folders in runs.items():
        training = [json.loads((folder / RESULTS).read_text())["training"] for folder in folders]
        for metric, key in (("training_minutes", "minutes"), ("parameter_count", "parameters")):
            value = float(np.mean([one[key] for one in training]))
            rows.append(ResultRow(name, split, metric, value, clips, **shared))
    return rows + speeds(runs, reference, testing, test, rounds, shared)


def runs_by_family(folders: list[str]) -> dict[str, list[Path]]:
    """``model_type`` → the runs that a cross-validation of it left below its folder.

    Raises:
        FileNotFoundError: there is none below a folder.
        ValueError: two folders hold models of one family.
    """
    runs: dict[str, list[Path]] = {}
    for folder in map(Path, folders):
        found = sorted({*folder.glob(f"*/{RESULTS}"), *folder.glob(f"seed-*/*/{RESULTS}")})
        finished = [path.parent for path in found if (path.parent / "config.json").is_file()]
        if not finished:
            raise FileNotFoundError(
                f"{folder} holds no finished fold; train them with train_isolated.py or train_ensemble.py."
            )
        family = json.loads((finished[0] / "config.json").read_text())["model_type"]
        if family in runs:
            raise ValueError(
                f"{folder} and {runs[family][0].parent} both hold a {family}, and a table has one line for each."
            )
        runs[family] = finished
    return runs


def speeds(
    runs: dict[str, list[Path]],
    reference: LSTMBaseline,
    testing: list[dict[str, Any]],
    test: Dataset,
    rounds: int,
    shared: dict[str, Any],
) -> list[ResultRow]:
    """Milliseconds a clip of every model, and of the reference."""
    rows, passes = [], {}
    values = [torch.from_numpy(clip["input_values"]) for clip in testing]
    passes[REFERENCE] = lambda batch: reference(values[:batch])
    for name, folders in runs.items():
        model, processor = saved_model(str(folders[0])).eval(), saved_processor(str(folders[0]))
        clips = ClipDataset(test.select(range(min(max(BATCHES), len(test)))), processor)
        passes[name] = _forward(model, ClipCollator(processor), list(clips))
    for batch in BATCHES:
        batch = min(batch, len(testing))
        times = in_turns({name: partial(run, batch) for name, run in passes.items()}, rounds)
        for name, found in times.items():
            ratio = float(np.median(times[REFERENCE] / found))
            milliseconds = 1000 * float(np.median(found)) / batch
            rows.append(
                ResultRow(
                    name, f"batch of {batch}", "clip_ms", milliseconds, rounds, against=REFERENCE, ratio=ratio, **shared
                )
            )
    return rows


def _forward(model: Any, collate: ClipCollator, clips: list[dict[str, Any]]) -> Callable[[int], Any]:
    def run(batch: int) -> Any:
        inputs = batches.setdefault(batch, {k: v for k, v in collate(clips[:batch]).items() if k != "labels"})
        return model(**inputs)

    batches: dict[int, dict[str, torch.Tensor]] = {}
    return run


@torch.inference_mode()
def in_turns(passes: dict[str, Callable[[], Any]], rounds: int) -> dict[str, np.ndarray]:
    """(rounds,) seconds of each pass, one after the other in every round, so that a busy machine slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in passes}
    for number in range(rounds + 2):
        for name, run in passes.items():
            start = time.perf_counter()
            run()
            if number >= 2:  # the first rounds fill caches
                times[name].append(time.perf_counter() - start)
    return {name: np.array(seconds) for name, seconds in times.items()}


def show(rows: list[ResultRow]) -> None:
    """Print a line a model and a column a measure."""
    measures = list(dict.fromkeys((row.metric, row.split) for row in rows))
    cells = {(row.model, row.metric, row.split): format_value(row) for row in rows}
    splits = [f"\n{split}" if metric == "clip_ms" else "" for metric, split in measures]
    heads = (metric.replace("_", " ") + split for (metric, _), split in zip(measures, splits))
    table = Table("model", *heads, title=rows[0].split)
    for model in dict.fromkeys(row.model for row in rows):
        table.add_row(model, *(cells.get((model, *measure), "") for measure in measures))
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except (LeakError, ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"benchmark_isolated: {error}")
    except KeyboardInterrupt:
        sys.exit("benchmark_isolated: interrupted; nothing was written.")
