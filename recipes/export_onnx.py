"""Export a model to ONNX, and see on a dataset what that, and fewer bits, cost.

    python recipes/export_onnx.py --model dgs30 --out exports/dgs30 --quantize int8 --dataset dgs30 --data_dir DGS \\
        --options '{"config_name": "2d"}' --cross_validate stratified --folds 1
    python recipes/export_onnx.py --model detector --out exports/detector --quantize int8 --dataset keypoint_images \\
        --data_dir people --calibration_split train

writes the model in float32 to ``exports/dgs30`` and with fewer bits to ``exports/dgs30-int8``, and measures torch, float32 and
int8 on the split, or on the clips that one fold of a cross-validation left out of training. A version that loses more than ``--limit``
points is reported and removed unless ``--keep`` is given; the last line names the folder to use. The command ends with 1 where the
float32 export loses more than that, which it never should. ``--benchmark quantization`` writes the figures of all versions into
``hub_cards/results/``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import signlang_hf  # noqa: F401 - its pipelines
from signlang_hf import pretrained
from signlang_hf.data import load_dataset
from signlang_hf.training.arguments import DataArguments
from signlang_hf.training.cards import portable
from signlang_hf.training.image_augment import padded
from signlang_hf.training.keypoint_views import corners, squared
from signlang_hf.training.results import RESULTS, ResultRow, require_benchmark, save_results, unit_of
from signlang_hf.training.splits import load_folds

if TYPE_CHECKING:
    from datasets import Dataset

    from signlang_hf.export.comparing import Comparison

TORCH = "torch"
_FOLD_OF = {"signer": "signer", "stratified": "fold", "sentence": "fold"}
_ROUNDS = 100
_PADDING = 1.25
"""How much larger than a person's box what is seen of them is, as where detectors are measured."""

console = Console()


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder, Hub id or bundled name")
    parser.add_argument(
        "--out", required=True, help="folder for the float32 export; '-int8' or '-fp16' is added for the other"
    )
    parser.add_argument("--quantize", choices=("int8", "fp16"), help="fewer bits; without it only float32 is measured")
    parser.add_argument("--opset", type=int, default=18)
    parser.add_argument("--calibration", help="pictures and videos of signers, for int8 of a keypoint detector")
    parser.add_argument("--calibration_split", help="or a split of the dataset, whose people are cut out")
    parser.add_argument("--dataset", required=True, help="registered dataset, Parquet folder or Hub id")
    parser.add_argument("--data_dir", help="folder with the dataset's source")
    parser.add_argument("--split", default="test")
    parser.add_argument("--options", default="{}", help="options of the dataset as JSON")
    parser.add_argument(
        "--cross_validate",
        choices=tuple(_FOLD_OF),
        help="measure on a fold of the split 'train', as the model's training drew it",
    )
    parser.add_argument("--num_folds", type=int, default=5, help="of a cross-validation that is not by signer")
    parser.add_argument("--folds", help="the one to measure on: a signer's name, or a number from 1")
    parser.add_argument("--test_sources", nargs="+", help="only pictures of these sources, and calibrate on the others")
    parser.add_argument("--provider", default="cpu", help="of onnxruntime")
    parser.add_argument("--threads", type=int, help="of torch and onnxruntime; default: what torch takes")
    parser.add_argument("--limit", type=float, default=1.0, help="points that may be lost")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--keep", action="store_true", help="keep a version that loses more than that")
    parser.add_argument("--benchmark", help="name of the results file; without it nothing is written")
    parser.add_argument("--name", help="name of the model in the results; default: its folder's")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    args = parser.parse_args(argv)
    if args.limit < 0 or args.batch_size < 1 or (args.threads or 1) < 1:
        parser.error("--limit is 0 or more, --batch_size and --threads at least 1.")
    if (args.cross_validate is None) != (args.folds is None):
        parser.error("--cross_validate and --folds belong together.")
    if args.calibration and args.calibration_split:
        parser.error("--calibration and --calibration_split both say what ranges are measured on; choose one.")
    return args


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Export, measure, and choose.

    Returns:
        ``{"folder": what to use, "comparisons": {"float32": {…}, "int8": {…}}}``; what has run is in each of them.
    """
    args = arguments(argv)
    from signlang_hf.export import export_model
    from signlang_hf.export.comparing import compare_versions

    if args.benchmark:
        require_benchmark(args.benchmark)
    if args.threads:
        torch.set_num_threads(args.threads)
    rows, pictures = data_of(args)
    source = pretrained.resolve(args.model)
    versions = {"float32": args.out}
    export_model(source, args.out, opset=args.opset)
    if args.quantize:
        versions[args.quantize] = f"{args.out}-{args.quantize}"
        export_model(source, versions[args.quantize], quantize=args.quantize, opset=args.opset, pictures=pictures)
    found = compare_versions(
        source, versions, rows, provider=args.provider, batch_size=args.batch_size, limit=args.limit, runs=_ROUNDS
    )
    show(found)
    chosen = "float32"
    if args.quantize:
        if found[args.quantize].chosen:
            chosen = args.quantize
        else:
            console.print(f"{args.quantize} loses more than {args.limit:g} points; float32 is what to use.")
            if not args.keep:
                shutil.rmtree(versions[args.quantize])
    if args.benchmark:
        words = sys.argv[1:] if argv is None else argv
        command = shlex.join(["python", "recipes/export_onnx.py", *(portable(word) for word in words)])
        measured = result_rows(args.name or Path(args.model).name, split_name(args), found, command)
        path = save_results(args.benchmark, measured, folder=args.results, replace=False)
        console.print(f"Wrote {path}", soft_wrap=True)
    ran = ", ".join(f"{provider} ({count} operators)" for provider, count in found[chosen].ran_on.items())
    console.print(f"Use {versions[chosen]}; it ran on {ran}.", soft_wrap=True)
    comparisons = {name: one.to_dict() for name, one in found.items()}
    return {"folder": versions[chosen], "comparisons": comparisons}


def data_of(args: argparse.Namespace) -> tuple[Dataset, list[np.ndarray]]:
    """What is measured on, and the pictures that a detector's ranges are measured on.

    Raises:
        ValueError, FileNotFoundError: there is no such dataset, split, fold or source.
    """
    from signlang_hf.export.pictures import calibration_pictures

    options = json.loads(args.options)
    if args.cross_validate:
        data_args = DataArguments(
            dataset=args.dataset, data_dir=args.data_dir, dataset_options=options, cross_validate=args.cross_validate,
            num_folds=args.num_folds, folds=[args.folds],
        )  # fmt: skip
        ((_, splits),) = load_folds(data_args)
        rows = splits["test"]
    else:
        rows = load_dataset(args.dataset, args.data_dir, split=args.split, **options)
    if args.test_sources:
        rows = of_sources(rows, args.test_sources)
    pictures = calibration_pictures(args.calibration) if args.calibration else []
    if args.calibration_split:
        shown = load_dataset(args.dataset, args.data_dir, split=args.calibration_split, **options)
        pictures = people_of(of_sources(shown, args.test_sources, others=True) if args.test_sources else shown)
    return rows, pictures


def of_sources(rows: Dataset, sources: list[str], others: bool = False) -> Dataset:
    """The rows of some sources, or of the others. Raises ValueError where there are none."""
    known = rows["source"]
    kept = rows.select([row for row, source in enumerate(known) if (source in sources) != others])
    if not len(kept):
        raise ValueError(
            f"No picture is of {'others than ' * others}{', '.join(sources)}; the sources are {', '.join(sorted(set(known)))}."
        )
    return kept


def people_of(rows: Dataset) -> list[np.ndarray]:
    """As many pictures as an export calibrates on, spread evenly over the rows, each cut to the square around its person."""
    from signlang_hf.export.quantizing import PICTURES

    found = []
    for row in rows.select(range(0, len(rows), max(1, len(rows) // PICTURES))):
        picture = np.asarray(row["image"].convert("RGB"))
        x0, y0, x1, y1 = corners(squared(padded(np.array(row["bbox"]), _PADDING))).round().astype(int).clip(0)
        found.append(picture[y0:y1, x0:x1])
    return found[:PICTURES]


def split_name(args: argparse.Namespace) -> str:
    """What the rows of the results call that which was measured on."""
    split = f"{_FOLD_OF[args.cross_validate]}={args.folds}" if args.cross_validate else args.split
    if args.test_sources:
        split = ", ".join(args.test_sources)
    return f"{portable(args.dataset)}, {split}"


def show(found: dict[str, Comparison]) -> None:
    """Print a line a version."""
    first = next(iter(found.values()))
    table = Table("", "MB", "against torch", first.metric, "points lost")
    table.add_row(TORCH, f"{first.bytes_before / 1e6:.2f}", "", _shown(first.metric, first.values[0]), "")
    for name, one in found.items():
        speed = "" if one.speedup is None else f"{one.speedup:.2f} × as fast"
        cells = (f"{one.bytes_after / 1e6:.2f}", speed, _shown(one.metric, one.values[1]), f"{one.drop:+.2f}")
        table.add_row(name, *cells)
    console.print(table)


def _shown(metric: str, value: float) -> str:
    return f"{value if unit_of(metric) == 'score' else 100 * value:.2f}"


def result_rows(model: str, split: str, found: dict[str, Comparison], command: str) -> list[ResultRow]:
    """Score, points lost, size and time of torch and of every version. Times stand beside torch's in the same rounds, torch's own beside
    those of the first version."""
    reference, one = next(iter(found.items()))
    name = f"{model}, {TORCH}"
    shared = {"command": command}
    before, _ = one.values
    rows = [
        ResultRow(name, split, one.metric, before, one.n, **shared),
        ResultRow(name, split, "size_mb", one.bytes_before / 1e6, 1, **shared),
    ]
    if one.milliseconds is not None:
        against = {"against": f"{reference} in the same rounds", "ratio": 1 / one.speedup}
        rows.append(ResultRow(name, split, "pass_ms", one.milliseconds[0], one.runs, **against, **shared))
    for version, one in found.items():
        name = f"{model}, {version}"
        rows += [
            ResultRow(name, split, one.metric, one.values[1], one.n, **shared),
            ResultRow(name, split, "points_lost", one.drop, one.n, **shared),
            ResultRow(name, split, "size_mb", one.bytes_after / 1e6, 1, **shared),
        ]
        if one.milliseconds is not None:
            against = {"against": f"{TORCH} in the same rounds", "ratio": one.speedup}
            rows.append(ResultRow(name, split, "pass_ms", one.milliseconds[1], one.runs, **against, **shared))
            rows.append(ResultRow(name, split, "speedup", one.speedup, one.runs, **against, **shared))
    return rows


if __name__ == "__main__":
    try:
        result = main()
        sys.exit(int(not result["comparisons"]["float32"]["chosen"]))
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"export_onnx: {error}")
    except KeyboardInterrupt:
        sys.exit("export_onnx: interrupted; run the same command again.")
