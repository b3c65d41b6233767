"""Export models to TFLite, and see how far they are from torch and how large they are.

    python recipes/export_tflite.py --models dgs30 fingerspelling sentences --out outputs/tflite
    python recipes/export_tflite.py --models dgs30 --out outputs/tflite --frames 64 --results hub_cards/results

exports every model in float32 and in int8 to ``OUT/MODEL-PRECISION`` and shows a table; ``--results`` writes its rows. Times are those of a
phone and not of the computer that converts, so none are taken here.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import signlang_hf  # noqa: F401 - its models
from signlang_hf import pretrained
from signlang_hf.export import TFLiteReport, export_tflite
from signlang_hf.training.results import ResultRow, save_results

PRECISIONS = ("float32", "int8")
console = Console()


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", help="folders, Hub ids or bundled names; default all bundled ones")
    parser.add_argument("--out", required=True, type=Path, help="folder for the exports")
    parser.add_argument("--frames", type=int, default=64, help="frames of a clip, or glosses of a sentence")
    parser.add_argument("--converter", help="Python that has litert-torch; default .venv-tflite (make setup-tflite)")
    parser.add_argument("--results", help="folder for the rows, hub_cards/results in the project")
    args = parser.parse_args(argv)
    args.models = args.models or pretrained.names()
    return args


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Export and compare.

    Returns:
        model → precision → the report's plain values.
    """
    args = arguments(argv)
    found: dict[str, dict[str, TFLiteReport]] = {}
    for model in args.models:
        name = Path(model).name
        found[name] = {
            precision: export_tflite(
                pretrained.resolve(model), args.out / f"{name}-{precision}", frames=args.frames,
                quantize=None if precision == "float32" else precision, converter=args.converter,
            )
            for precision in PRECISIONS
        }  # fmt: skip
    table = Table("model", "precision", "MB", "largest difference to torch")
    for name, reports in found.items():
        table.add_row(name, "torch", f"{reports['float32'].bytes_before / 1e6:.2f}", "")
        for precision, report in reports.items():
            table.add_row("", precision, f"{report.bytes_after / 1e6:.2f}", f"{report.record.difference:.1e}")
    console.print(table)
    if args.results:
        save_results("export-parity", rows_of(found, args), folder=args.results, replace=False)
    return {name: {one: report.to_dict() for one, report in reports.items()} for name, reports in found.items()}


def rows_of(found: dict[str, dict[str, TFLiteReport]], args: argparse.Namespace) -> list[ResultRow]:
    """Differences and sizes; n is the masks at which every graph was compared."""
    rows = []
    for name, reports in found.items():
        command = f"python recipes/export_tflite.py --models {name} --out outputs/tflite --frames {args.frames}"
        for precision, report in reports.items():
            frames = report.record.frames
            split = f"TFLite {precision}" + (f", {frames} frames" if frames else "")
            common = {"model": name, "split": split, "command": command}
            rows += [
                ResultRow(metric="largest_difference", value=report.record.difference, n=3 if frames else 2, **common),
                ResultRow(metric="size_mb", value=report.bytes_after / 1e6, n=1, **common),
            ]
        rows.append(
            ResultRow(
                model=name, split="torch, as stored", metric="size_mb", value=reports["float32"].bytes_before / 1e6, n=1,
                command=command,
            )
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    try:
        print(json.dumps(main()), file=sys.stderr)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"export_tflite: {error}")
    except KeyboardInterrupt:
        sys.exit("export_tflite: interrupted; run the same command again.")
